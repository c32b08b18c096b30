// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// slackDirectory is Okta's people, and Slack's: one joined by e-mail alone, one by single sign-on, one by that of two people.
func slackDirectory(t *testing.T) *temporal.Known {
	t.Helper()
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	account := func(id, email string, links ...string) *curfewv1.Account {
		return &curfewv1.Account{Id: id, Emails: []string{email}, Links: links}
	}
	d.read("okta", morning, account("00uann", "ann@example.com"), account("00ubob", "bob@example.com"), account("00ucid", "cid@example.com"))
	d.read("slack", morning, account("U-ANN", "ann@example.com"), account("U-BOB", "x@example.com", "saml:00ubob"),
		account("U-TWO", "y@example.com", "saml:00ubob", "saml:00ucid"), account("U-NONE", "z@example.com", "saml:00unone"))
	return d.fold.Known()
}

const slackPeople = `directory: okta
people:
  - {id: ann, emails: [ann@example.com]}
  - {id: bob, emails: [bob@example.com]}
  - {id: cid, emails: [cid@example.com], accounts: {slack: [U-CID]}}
`

// Who clicks is who the identities state, or whom the directory signs in there: an address that two accounts carry proves
// nothing.
func TestCallerByAccount(t *testing.T) {
	j := judgeOf(t, slackPeople, slackDirectory(t))
	for _, c := range []struct{ name, source, id, want, why string }{
		{"stated", "slack", "U-CID", "cid", ""},
		{"by an e-mail alone", "slack", "U-ANN", "", "it is nobody's by identities.yaml"},
		{"signed in by the directory", "slack", "U-BOB", "bob", ""},
		{"of two", "slack", "U-TWO", "", "it is joined to two people, person:bob and person:cid"},
		{"signed in by what the directory does not have", "slack", "U-NONE", "", "it is nobody's"},
		{"unknown", "slack", "U-EVE", "", "it is nobody's"},
		{"by a person's name", "slack", "cid", "", "it is nobody's"},
		{"none", "slack", "", "", "it is nobody's"},
		{"another system's", "teams", "U-CID", "", "it is nobody's"},
	} {
		got, why := j.CallerByAccount(c.source, c.id, morning.Add(time.Minute))
		if got != c.want || !strings.Contains(why, c.why) || (why == "") != (c.want != "") {
			t.Errorf("%s: got %q (%s), want %q (%s)", c.name, got, why, c.want, c.why)
		}
	}
}

func TestContacts(t *testing.T) {
	j := judgeOf(t, slackPeople, slackDirectory(t))
	for person, want := range map[string][]Contact{
		"ann":  {{"email", "ann@example.com"}, {"slack", "U-ANN"}},
		"bob":  {{"email", "bob@example.com"}, {"slack", "U-BOB"}},
		"cid":  {{"email", "cid@example.com"}, {"slack", "U-CID"}},
		"none": nil,
	} {
		if diff := cmp.Diff(want, j.Contacts(person, []string{"slack"}, morning.Add(time.Minute))); diff != "" {
			t.Errorf("%s: %s", person, diff)
		}
	}
}

// Every call has an act and a class, so that a row can name it; what the catalogue says comes first.
func TestOwnActions(t *testing.T) {
	cat := loadCatalog(t)
	for name, want := range map[string]string{
		"alerts.list": "read audit", "alerts.get": "read audit", "alerts.acknowledge": "update audit", "alerts.resolve": "update audit", "alerts.ask": "update audit",
		"alerts.answer": "update internal", "silences.list": "read audit", "silences.create": "create admin", "silences.approve": "approve admin",
		"silences.end": "delete admin", "commands.take": "update internal", "grants.revoke": "administer admin",
	} {
		if got, known := cat.Action(Self, "api", name); !known || got.Act+" "+got.Class != want {
			t.Errorf("%s: got %v, %v, want %s", name, got, known, want)
		}
	}
	if got, known := cat.Action(Self, "api", "alerts.delete"); known {
		t.Errorf("got %v of a call that there is not", got)
	}
}
