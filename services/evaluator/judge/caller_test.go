// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// judgeOf judges by one policy, in force since ever.
func judgeOf(t *testing.T, identities string, known *temporal.Known) *Judge {
	t.Helper()
	p, err := NewPolicy(map[string][]byte{policyFile: []byte("p, role:anyone, *, *, level:low, *, allow\n"), identitiesFile: []byte(identities)}, loadCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	return &Judge{Tenant: "main", Pseudonyms: []byte("key"), Policies: func(time.Time) (*Policy, time.Time) { return p, time.Time{} }, Known: known}
}

// Who calls Curfew is who we said it was, whatever a policy states of accounts by the same names.
func TestOwnCallersAreNoAccounts(t *testing.T) {
	j := judgeOf(t, "people: [{id: ann, accounts: {curfew: [admin, bob]}}, {id: bob}]\n", nil)
	for _, c := range []struct {
		name   string
		source string
		actor  *curfewv1.Actor
		want   string
	}{
		{"a person", Self, &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "bob"}, "person:bob"},
		{"a service", Self, &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: "admin"}, "service:admin"},
		{"a service with a slash is not a vendor's", Self, &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: "okta/x"}, "service:okta%2Fx"},
		{"a vendor's service by that name", "okta", &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: "admin"}, "service:okta/admin"},
		{"a vendor's person by that name", "okta", &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "bob"}, "unknown:okta/bob"},
		{"a service that says it is a person", Self, &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_SERVICE, Id: "person:ann"}, "service:person:ann"},
		{"no kind", Self, &curfewv1.Actor{Id: "bob"}, ""},
		{"nobody", Self, &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := j.Decide(&curfewv1.Event{Source: c.source, Actor: c.actor}).GetSubject(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCallerByEmail(t *testing.T) {
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	d.read("okta", morning, &curfewv1.Account{Id: "00ucid", Emails: []string{"cid@example.com"}}, &curfewv1.Account{Id: "00ux", Emails: []string{"bob@example.com"}})
	const listed = "people: [{id: ann, emails: [Ann@example.com]}, {id: bob, emails: [bob@example.com]}]\n"
	for _, c := range []struct{ name, identities, email, want string }{
		{"listed", listed, "ann@EXAMPLE.com", "ann"},
		{"nobody's", listed, "eve@example.com", ""},
		{"no address", listed, "", ""},
		{"a letter that looks like another", listed, "\u0430nn@example.com", ""},
		{"in the inventory of no directory", listed, "cid@example.com", ""},
		{"in the directory", listed + "directory: okta\n", "cid@example.com", "00ucid"},
		{"in both", listed + "directory: okta\n", "bob@example.com", "bob"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why := judgeOf(t, c.identities, d.fold.Known()).CallerByEmail(c.email, morning.Add(time.Minute))
			if got != c.want || (why == "") != (c.want != "") {
				t.Errorf("got %q (%s), want %q", got, why, c.want)
			}
		})
	}
}

func TestCaller(t *testing.T) {
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	ann := &curfewv1.Account{Id: "00uann", Emails: []string{"ann@example.com"}}
	d.read("okta", morning, ann, &curfewv1.Account{Id: "00ubob", Emails: []string{"bob@example.com"}})
	d.read("okta", morning.Add(time.Hour), ann)
	const listed = "people: [{id: ann, emails: [ann@example.com]}, {id: bob, emails: [bob@example.com]}, {id: cid, accounts: {okta: [00ucid]}}, {id: dan}]\n"
	for _, c := range []struct {
		name, identities, person string
		want                     Caller
	}{
		{"no directory", listed, "ann", Caller{Known: true}},
		{"nobody", listed, "eve", Caller{}},
		{"no id", listed + "directory: okta\n", "a/b", Caller{Directory: "okta", Accounts: []string{"a%2Fb"}}},
		{"with an account", listed + "directory: okta\n", "ann", Caller{Known: true, Directory: "okta", Accounts: []string{"00uann"}}},
		{"whose account is gone", listed + "directory: okta\n", "bob", Caller{Known: true, Directory: "okta", Lost: true}},
		{"whose account is stated", listed + "directory: okta\n", "cid", Caller{Known: true, Directory: "okta", Accounts: []string{"00ucid"}}},
		{"who never had one", listed + "directory: okta\n", "dan", Caller{Known: true, Directory: "okta"}},
		{"of the directory alone", "directory: okta\n", "00uann", Caller{Known: true, Directory: "okta", Accounts: []string{"00uann"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judgeOf(t, c.identities, d.fold.Known()).Caller(c.person, morning.Add(2*time.Hour))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
