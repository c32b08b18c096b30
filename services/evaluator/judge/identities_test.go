// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// directory is inventories of people, one reading after the other.
type directory struct {
	t      *testing.T
	fold   *temporal.Fold
	states map[string]*inventory.State
}

func (d *directory) read(source string, at time.Time, accounts ...*curfewv1.Account) {
	d.t.Helper()
	state := d.states[source]
	first := state == nil
	if first {
		state = new(inventory.State)
		d.states[source] = state
	}
	seen := new(curfewv1.Inventory)
	for _, a := range accounts {
		seen.Entries = append(seen.Entries, &curfewv1.Entry{Key: a.GetId(), Thing: &curfewv1.Entry_Account{Account: a}})
	}
	record := &curfewv1.Inventory{Source: source, Kind: "people", Began: timestamppb.New(at), Ended: timestamppb.New(at), Changes: state.Observe(seen)}
	record.Count, record.Digest = uint64(state.Len()), state.Digest()
	content, err := state.Object()
	if err != nil {
		d.t.Fatal(err)
	}
	if first {
		record.Object = "all"
	}
	if err := d.fold.Inventory(record, func(string) ([]byte, error) { return content, nil }); err != nil {
		d.t.Fatal(err)
	}
}

func TestWhoseAccount(t *testing.T) {
	const listed = `people:
  - {id: ann, emails: [ann@example.com], accounts: {github: [ann-linden], okta: [00uann]}}
  - {id: bob, emails: [bob@example.com]}
`
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	hour := func(n int) time.Time { return morning.Add(time.Duration(n) * time.Hour) }
	listing := func(id, email string, links ...string) *curfewv1.Account {
		return &curfewv1.Account{Id: id, Emails: []string{email}, Links: links}
	}
	both := listing("77", "ann@example.com")
	both.Emails = append(both.Emails, "bob@example.com")
	d.read("okta", hour(0), listing("00uann", "ann@example.com", "employee:1"), listing("00ucid", "cid@example.com", "employee:3"))
	login := listing("71", "Bob@Example.com")
	login.Login = "bob-x"
	before := []*curfewv1.Account{
		login, listing("72", "none@example.com", "saml:00ucid"), listing("73", "cid@example.com"),
		listing("74", "who@example.com", "employee:3"), both, listing("78", "ann@example.com", "saml:00ucid"),
	}
	d.read("github", hour(0), before...)
	d.read("github", hour(1), before...)
	// The address that was bob's account's is another's from the third hour on, and nobody saw when it changed.
	d.read("github", hour(3), listing("71", "cid@example.com"), listing("72", "none@example.com", "saml:00ucid"), both)
	known := d.fold.Known()
	for _, c := range []struct {
		name   string
		people string
		account
		at    time.Time
		known *temporal.Known
		want  string
		doubt string
	}{
		{"stated by id", listed, account1("okta", "00uann"), hour(1), known, "ann", ""},
		{"stated by login", listed, account{source: "github", id: "9", name: "ann-linden", person: true}, hour(1), known, "ann", ""},
		{"a login of digits is no login", "people: [{id: ann, accounts: {github: [\"583231\"]}}]", account{source: "github", id: "9", name: "583231", person: true}, hour(1), known, "", ""},
		{"by the event's own e-mail", listed, account{source: "slack", id: "U1", email: "BOB@example.com", person: true}, hour(1), nil, "bob", ""},
		{"an app's e-mail is nobody's", listed, account{source: "slack", id: "U1", email: "bob@example.com"}, hour(1), known, "", ""},
		{"by an address that the source vouches for", listed, account1("github", "71"), hour(0), known, "bob", ""},
		{"while the address changed hands", listed, account1("github", "71"), hour(2), known, "bob", "not certain that the account was person:bob's"},
		{"after it changed hands", listed, account1("github", "71"), hour(4), known, "", ""},
		{"before the first inventory", listed, account1("github", "72"), hour(-1), known, "", "the first whole inventory of people came later"},
		{"two people's addresses", listed, account1("github", "77"), hour(4), known, "", "joined to two people, person:ann and person:bob"},
		{"an address and an id of two people", listed + "directory: okta\n", account1("github", "78"), hour(0), known, "", "joined to two people"},
		{"in the directory", listed + "directory: okta\n", account1("okta", "00ucid"), hour(1), known, "00ucid", ""},
		{"in the directory, and listed", listed + "directory: okta\n", account1("okta", "00uann"), hour(1), known, "ann", ""},
		{"by the id that the directory signs in", listed + "directory: okta\n", account1("github", "72"), hour(0), known, "00ucid", ""},
		{"by an address of the directory's", listed + "directory: okta\n", account1("github", "73"), hour(0), known, "00ucid", ""},
		{"by another id in common", listed + "directory: okta\n", account1("github", "74"), hour(0), known, "00ucid", ""},
		{"without a directory ids join nobody", listed, account1("github", "72"), hour(0), known, "", ""},
		{"an address in the place of an id", listed + "directory: okta\n", account1("okta", "cid@example.com"), hour(1), known, "00ucid", ""},
		{"a directory's id that is a listed person's", listed + "directory: okta\n", account1("okta", "bob"), hour(1), known, "", ""},
		{"in the directory, and listed by e-mail", "people: [{id: cid, emails: [cid@example.com]}]\ndirectory: okta\n", account1("okta", "00ucid"), hour(1), known, "cid", ""},
		{"by the login alone", listed, account{source: "github", id: "bob-x", name: "bob-x", person: true}, hour(0), known, "bob", ""},
		{"nobody known", listed, account1("slack", "U9"), hour(1), known, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids, err := readIdentities([]byte(c.people))
			if err != nil {
				t.Fatal(err)
			}
			got := ids.owner(c.account, temporal.Nanos(c.at), c.known)
			if got.person != c.want || (got.doubt != "") != (c.doubt != "") || !strings.Contains(got.doubt, c.doubt) {
				t.Errorf("got %q (%s), want %q (%s)", got.person, got.doubt, c.want, c.doubt)
			}
			// The other way round: who owns an account by inventories has it among their belongings, and nobody else has.
			for _, person := range []string{"ann", "bob", "00ucid"} {
				has := false
				for _, link := range (belongings{ids, c.known, temporal.Nanos(c.at)}).Links("person:" + person) {
					if link.Held == temporal.Account(c.source, c.id) && link.From <= temporal.Nanos(c.at) && temporal.Nanos(c.at) < link.Until {
						has = true
					}
				}
				if has && person != got.person {
					t.Errorf("the account is among %s's, and belongs to %q", person, got.person)
				}
				if !has && person == got.person && !strings.Contains(c.name, "login") && !strings.Contains(c.id, "@") && c.email == "" {
					t.Errorf("the account belongs to %s, and is not among theirs", person)
				}
			}
		})
	}
}

func account1(source, id string) account { return account{source: source, id: id, person: true} }

// What a lost record would have said is not known: what was held is a guess from the reading before it on.
func TestALostRecordMakesItUncertain(t *testing.T) {
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	d.read("okta", morning, &curfewv1.Account{Id: "00u1", Emails: []string{"bob@example.com"}})
	ids, err := readIdentities([]byte("people: [{id: bob, emails: [bob@example.com]}]"))
	if err != nil {
		t.Fatal(err)
	}
	later := temporal.Nanos(morning.Add(time.Hour))
	if got := ids.owner(account1("okta", "00u1"), later, d.fold.Known()); got.person != "bob" || got.doubt != "" {
		t.Fatalf("got %+v", got)
	}
	d.fold.Lose("okta", "people")
	if got := ids.owner(account1("okta", "00u1"), later, d.fold.Known()); got.doubt == "" {
		t.Errorf("an account of which a record is missing: got %+v", got)
	}
	if got := ids.owner(account1("okta", "00u2"), later, d.fold.Known()); got.doubt == "" {
		t.Errorf("one that the missing record may show: got %+v", got)
	}
}

// An account that may be somebody else's has nobody's rights, and escapes nobody's denies.
func TestADoubtfulAccountIsUnknownWhereItMatters(t *testing.T) {
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	d.read("google_workspace", morning.Add(-time.Hour), &curfewv1.Account{Id: "5", Emails: []string{"ann@example.com", "bob@example.com"}},
		&curfewv1.Account{Id: "6", Emails: []string{"bob@example.com"}})
	d.read("google_workspace", morning.Add(time.Hour), &curfewv1.Account{Id: "5", Emails: []string{"ann@example.com", "bob@example.com"}},
		&curfewv1.Account{Id: "6", Emails: []string{"eve@example.com"}})
	policy, err := makePolicy(t, policyFile, `p, role:anyone, *, *, level:low, *, allow
p, person:bob, *, *, content.files, read, allow
p, role:barred, *, *, internal, *, deny
g, person:bob, role:barred
g, person:ann, role:barred
`, identitiesFile, "people: [{id: ann, emails: [ann@example.com]}, {id: bob, emails: [bob@example.com]}]")
	if err != nil {
		t.Fatal(err)
	}
	j := &Judge{Tenant: "main", Policies: func(time.Time) (*Policy, time.Time) { return policy, time.Time{} }, Known: d.fold.Known()}
	for _, c := range []struct {
		name, id, action, act, kind string
	}{
		{"maybe bob, with his right", "6", "view", "read", "file"},
		{"ann or bob, both of whom are barred", "5", "login_success", "login", "calendar"},
	} {
		at := timestamppb.New(morning)
		e := &curfewv1.Event{
			Source: "google_workspace", Feed: "drive", Action: c.action, Act: c.act, Time: at, Received: at,
			Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: c.id},
			Resource: &curfewv1.Resource{Path: c.kind + "/1", Kind: c.kind},
		}
		if c.act == "login" {
			e.Feed, e.Action, e.Act = "calendar", "create_event", "create"
		}
		if got := j.Decide(e); got.GetVerdict() != curfewv1.Verdict_VERDICT_UNKNOWN {
			t.Errorf("%s: got %v as %s because %q (%v)", c.name, got.GetVerdict(), got.GetSubject(), got.GetReason(), got.GetClasses())
		}
	}
}
