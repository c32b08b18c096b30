// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// What answers 404 without being Google is no proof that something is gone.
func TestNotFoundIsGooglesToSay(t *testing.T) {
	for _, body := range []string{"", "<html>404</html>", `{"error":"not_found"}`, `{"error":{"code":404,"errors":[{"reason":"gone fishing"}]}}`} {
		source, _ := recorder(t, func(w http.ResponseWriter, _ url.Values, _ int) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(body))
		})
		for _, kind := range source.Privileges() {
			if state, err := source.Read(t.Context(), &curfewv1.Privilege{Kind: kind, Holder: anna, Resource: finance}); err == nil {
				t.Errorf("%s, body %q: got %v, want an error", kind, body, state)
			}
		}
	}
}

// Somebody may be faster between our read and our change.
func TestSomebodyIsFaster(t *testing.T) {
	admin := &curfewv1.Privilege{Kind: "admin_role", Holder: anna, Resource: helpdesk}
	for _, test := range []struct {
		name   string
		p      *curfewv1.Privilege
		level  string // what the other makes it
		held   bool
		revoke bool
		want   curfewv1.ProvisionOutcome
		end    string
	}{
		{"a role", admin, "", true, false, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, ""},
		{"a member", inGroup(anna, "", ""), "member", true, false, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, "member"},
		{"a member at a lower level", inGroup(anna, "", "owner"), "member", true, false, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, "owner"},
		{"a role taken", admin, "", false, true, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, ""},
		{"a member taken out", inGroup(anna, "", ""), "member", false, true, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, ""},
		{"an app put out", &curfewv1.Privilege{Kind: "oauth_token", Holder: anna, Resource: mailMagic}, "", false, true, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			o.Hold(test.p, "member", test.revoke)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost || r.Method == http.MethodDelete {
					o.Hold(test.p, test.level, test.held)
				}
				o.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			s := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true})
			ask := s.Grant
			if test.revoke {
				ask = func(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
					return s.Revoke(ctx, p, nil)
				}
			}
			made, err := ask(t.Context(), test.p)
			if err != nil || made.GetOutcome() != test.want {
				t.Errorf("got %v, %v, want %v", made, err, test.want)
			}
			if level, held := o.Holds(test.p); held == test.revoke || level != test.end {
				t.Errorf("got it held: %v, at level %q", held, level)
			}
		})
	}
}

// heldByAnna is one of each kind, held by Anna.
func heldByAnna(o *organisation) map[string]*curfewv1.Privilege {
	held := map[string]*curfewv1.Privilege{
		"group":       inGroup(anna, "anna@example.com", ""),
		"admin_role":  {Kind: "admin_role", Holder: anna, Resource: helpdesk},
		"oauth_token": {Kind: "oauth_token", Holder: anna, Resource: mailMagic},
	}
	for _, p := range held {
		o.Hold(p, "member", true)
	}
	return held
}

// One answer that something is not there which is takes nothing from sight: whatever is asked, what is held is taken.
func TestStrayNotFound(t *testing.T) {
	const directory = "/admin/directory/v1/"
	for _, test := range []struct{ kind, method, path string }{
		{"group", http.MethodGet, "users/" + anna},
		{"group", http.MethodGet, "groups/" + finance},
		{"group", http.MethodGet, "groups/" + finance + "/members/" + anna},
		{"group", http.MethodDelete, "groups/" + finance + "/members/" + anna},
		{"admin_role", http.MethodGet, "users/" + anna},
		{"admin_role", http.MethodGet, "customer/my_customer/roles/" + helpdesk},
		{"admin_role", http.MethodGet, "customer/my_customer/roleassignments"},
		{"admin_role", http.MethodDelete, "customer/my_customer/roleassignments/7000000001"},
		{"oauth_token", http.MethodGet, "users/" + anna},
		{"oauth_token", http.MethodGet, "users/" + anna + "/tokens/" + mailMagic},
		{"oauth_token", http.MethodDelete, "users/" + anna + "/tokens/" + mailMagic},
	} {
		t.Run(test.kind+" "+test.method+" "+test.path, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			s := at(t, o)
			var waits []time.Duration
			s.client.Pause = func(_ context.Context, wait time.Duration) error {
				waits = append(waits, wait)
				return nil
			}
			p := heldByAnna(o)[test.kind]
			o.Hide(test.method, directory+test.path, 1)
			revoked, err := s.Revoke(t.Context(), p, nil)
			_, held := o.Holds(p)
			if done := revoked.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE; err == nil && (!done || held) {
				t.Errorf("got %v, and it is held: %v; want it done, or an error", revoked, held)
			}
			if revoked, err := s.Revoke(t.Context(), p, nil); err != nil || revoked.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
				t.Errorf("again: got %v, %v", revoked, err)
			}
			if _, held := o.Holds(p); held {
				t.Error("it is held after it was asked twice")
			}
			for _, wait := range waits {
				if wait != moment {
					t.Errorf("got a wait of %v, want %v", wait, moment)
				}
			}
		})
	}
}

// Somebody from outside is no account, so that hasMember does not answer: the list of members does.
func TestStrayNotFoundFromOutside(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	p := inGroup("1777", "", "")
	o.Hold(p, "manager", true)
	o.Hide(http.MethodGet, "/admin/directory/v1/groups/"+finance+"/members/1777", 1)
	state := read(t, s, p)
	if state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || state.GetLevel() != "manager" || state.GetHolder() != curfewv1.Presence_PRESENCE_UNSPECIFIED {
		t.Errorf("got %v, want a manager that is no account", state)
	}
}

// A member by another way alone is not one in their own right, however often the group's own list is read.
func TestStrayNotFoundOfNested(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	p := inGroup(anna, "anna@example.com", "")
	o.SetMember(fake.GoogleMember{Group: finance, Member: staff, Type: "GROUP"})
	o.SetMember(fake.GoogleMember{Group: staff, Member: anna})
	if state := read(t, s, p); state.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT || len(state.GetVia()) != 1 {
		t.Errorf("got %v, want absent and by one other way", state)
	}
	o.Hold(p, "owner", true)
	o.Hide(http.MethodGet, "/admin/directory/v1/groups/"+finance+"/members/"+anna, 1)
	if state := read(t, s, p); state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || state.GetLevel() != "owner" || len(state.GetVia()) != 1 {
		t.Errorf("got %v, want an owner, and by one other way", state)
	}
}

// Sessions are ended to the last, whatever Google does not see for a moment.
func TestStrayNotFoundWhileSessionsEnd(t *testing.T) {
	user := "/admin/directory/v1/users/" + anna
	for _, test := range []struct{ method, path string }{
		{http.MethodPost, "/signOut"}, {http.MethodDelete, "/tokens/" + mailMagic}, {http.MethodDelete, "/asps/7"}, {http.MethodGet, "/tokens"}, {http.MethodGet, "/asps"},
	} {
		o := newOrganisation(0, "invented")
		s := at(t, o)
		o.LetIn(fake.GoogleToken{User: anna, ClientID: mailMagic})
		o.AddPassword(fake.GooglePassword{User: anna, CodeID: 7})
		o.Hide(test.method, user+test.path, 1)
		ended, err := s.EndSessions(t.Context(), anna)
		if state := o.State(); err == nil && (o.SignOuts(anna) != 1 || len(state.Tokens)+len(state.Passwords) > 0) || ended.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
			t.Errorf("%v: got %v, with %d sign-outs, tokens %v and passwords %v", test, ended, o.SignOuts(anna), state.Tokens, state.Passwords)
		}
		if test.method != http.MethodGet && err != nil {
			t.Errorf("%v: %v", test, err)
		}
	}
}
