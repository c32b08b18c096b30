// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Okta's 404 of what our role does not reach is no end of what is held.
func TestHiddenIsNotGone(t *testing.T) {
	for _, test := range []struct {
		kind, resource, holder string
		hide                   []string // what is answered as not there
		forbid                 string
		held, gone             bool
		want                   string // of the error
	}{
		{"group", "00gPayments", "00uAnna", []string{"GET /api/v1/groups/00gPayments"}, "", true, false, "read the group: okta says that there is none"},
		{"group", "00gPayments", "00uAnna", []string{"GET /api/v1/groups/00gPayments"}, "", false, true, ""},
		{"group", "00gPayments", "00uAnna", []string{"GET /api/v1/groups/00gPayments"}, "GET /api/v1/users/00uAnna/groups", true, false, "403"},
		{"app", "0oaShop", "00uAnna", []string{"GET /api/v1/apps/0oaShop"}, "", true, false, "read the app: okta says that there is none"},
		{"app", "0oaShop", "00uAnna", []string{"GET /api/v1/apps/0oaShop"}, "", false, true, ""},
		{"app", "0oaShop", "00uAnna", []string{"GET /api/v1/apps/0oaShop"}, "GET /api/v1/users/00uAnna/appLinks", true, false, "403"},
		{"admin_role", "cr0Helper", "00uAnna", []string{"GET /api/v1/iam/roles/cr0Helper"}, "", true, false, "read the custom role: okta says that there is none"},
		{"admin_role", "cr0Helper", "00uAnna", []string{"GET /api/v1/iam/roles/cr0Helper"}, "", false, true, ""},
		{"oauth_grant", "okta.users.read", "0oaSync", []string{"GET /api/v1/apps/0oaSync"}, "", true, false, "read the app: okta says that there is none"},
		{"oauth_grant", "okta.users.read", "0oaSync", []string{"GET /api/v1/apps/0oaSync", "GET /api/v1/apps/0oaSync/grants"}, "", false, true, ""},
	} {
		name := fmt.Sprint(test.kind, " hidden, held: ", test.held, test.forbid)
		r := newRegistry(0, "invented")
		p := privileges(test.kind, []string{test.resource}, []string{test.holder})[0]
		r.Hold(p, "", test.held)
		r.Hide(test.hide...)
		if test.forbid != "" {
			r.Forbid(test.forbid)
		}
		source := serveOrg(t, r)
		state, err := source.Read(t.Context(), p)
		if (err == nil) != test.gone || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: read: got %v, %v, want an error with %q: %v", name, state, err, test.want, !test.gone)
		}
		for what, change := range map[string]func() (*curfewv1.Provisioned, error){
			"grant":  func() (*curfewv1.Provisioned, error) { return source.Grant(t.Context(), p) },
			"revoke": func() (*curfewv1.Provisioned, error) { return source.Revoke(t.Context(), p, nil) },
		} {
			done, err := change()
			if isGone := done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE; isGone != test.gone || (err == nil) != test.gone {
				t.Errorf("%s: %s: got %v, %v, want it gone: %v", name, what, done, err, test.gone)
			}
		}
		if r.Changes() > 0 {
			t.Errorf("%s: %d changes were made", name, r.Changes())
		}
	}
}

// What Okta says is missing while it is changed is read again: it is gone, or done by somebody else, or to be asked again.
func TestMissingAtTheChange(t *testing.T) {
	p := privileges("group", []string{"00gPayments"}, []string{"00uAnna"})[0]
	for name, test := range map[string]struct {
		meanwhile func(r *registry)
		want      string // the outcome; "" for an error
	}{
		"nothing happened":      {func(*registry) {}, ""},
		"it was taken":          {func(r *registry) { r.Leave("00gPayments", "00uAnna") }, "ALREADY"},
		"the group was deleted": {func(r *registry) { r.Delete("00gPayments") }, "GONE"},
		"the person was":        {func(r *registry) { r.Delete("00uAnna") }, "GONE"},
		"it cannot be read":     {func(r *registry) { r.Forbid("GET /api/v1/users/00uAnna") }, ""},
	} {
		r := newRegistry(0, "invented")
		r.Hold(p, "", true)
		r.Hide("DELETE /api/v1/groups/00gPayments/users/00uAnna")
		source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodDelete {
				test.meanwhile(r)
			}
			r.ServeHTTP(w, q)
		}))
		done, err := source.Revoke(t.Context(), p, nil)
		if (err != nil) != (test.want == "") || !strings.HasSuffix(done.GetOutcome().String(), test.want) {
			t.Errorf("%s: got %v, %v, want %q", name, done, err, test.want)
		}
	}
}

func TestSessionsOfSomebodyHidden(t *testing.T) {
	for holder, path := range map[string]string{"00uAnna": "/api/v1/users/00uAnna/sessions", "0oaSync": "/api/v1/apps/0oaSync/tokens"} {
		r := newRegistry(0, "invented")
		r.Hide("DELETE " + path)
		if ended, err := serveOrg(t, r).EndSessions(t.Context(), holder); err == nil {
			t.Errorf("%s: got %v, want an error: they are there", holder, ended)
		}
	}
}

// Okta finds people by their login too: who was named by it is not who the privilege says.
func TestAnswersAboutSomebodyElse(t *testing.T) {
	for kind, resource := range map[string]string{"group": "00gPayments", "app": "0oaShop", "admin_role": "READ_ONLY_ADMIN"} {
		r := newRegistry(0, "invented")
		r.Put(fake.OktaUser{ID: "00uDora", Login: "dora"})
		p := &curfewv1.Privilege{Source: source, Kind: kind, Holder: "dora", Resource: resource}
		granted, err := serveOrg(t, r).Grant(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), "about somebody else") || r.Changes() > 0 {
			t.Errorf("%s: got %v, %v, want that it is somebody else", kind, granted, err)
		}
	}
}

// A part that answers 404 has vanished only if what it is a part of has.
func TestInventoryOfWhatIsHidden(t *testing.T) {
	parts := map[string][]struct{ part, of string }{
		"memberships": {
			{"/api/v1/groups/00gPayments/users", "/api/v1/groups/00gPayments"},
			{"/api/v1/apps/0oaShop/users", "/api/v1/apps/0oaShop"}, {"/api/v1/apps/0oaShop/groups", "/api/v1/apps/0oaShop"},
		},
		"roles": {
			{"/api/v1/users/00uAnna/roles", "/api/v1/users/00uAnna"}, {"/api/v1/groups/00gRefunds/roles", "/api/v1/groups/00gRefunds"},
			{"/oauth2/v1/clients/0oaSync/roles", "/api/v1/apps/0oaSync"},
			{"/api/v1/users/00uAnna/roles/ra1/targets/groups", "/api/v1/users/00uAnna/roles/ra1"},
		},
		"apps":   {{"/api/v1/apps/0oaSync/grants", "/api/v1/apps/0oaSync"}, {"/api/v1/users/00uAnna/grants", "/api/v1/users/00uAnna"}},
		"people": {{"/api/v1/apps/0oaBooks/users", "/api/v1/apps/0oaBooks"}},
	}
	for kind, parts := range parts {
		for _, part := range parts {
			for _, answer := range []int{http.StatusOK, http.StatusForbidden, http.StatusBadGateway, http.StatusNotFound} {
				vanished := answer == http.StatusNotFound
				r := newRegistry(0, "invented")
				r.Join("00gPayments", "00uAnna")
				r.Assign("0oaShop", "00uAnna")
				r.Put(
					fake.OktaApp{ID: "0oaBooks", Name: "books", Features: []string{"PUSH_NEW_USERS"}},
					fake.OktaRole{ID: "ra1", Holder: "00uAnna", Type: "USER_ADMIN", Targets: []string{"00gRefunds"}},
					fake.OktaRole{Holder: "00gRefunds", Type: "APP_ADMIN"}, fake.OktaRole{Holder: "0oaSync", Type: "APP_ADMIN"},
					fake.OktaGrant{App: "0oaSync", User: "00uAnna", Scope: "openid"}, fake.OktaGrant{App: "0oaSync", Scope: "okta.users.read"},
				)
				r.Hide("GET " + part.part)
				if vanished {
					r.Hide("GET " + part.of)
				}
				source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if q.URL.Path == part.of && !vanished && answer != http.StatusOK {
						w.WriteHeader(answer)
						return
					}
					r.ServeHTTP(w, q)
				}))
				got, err := source.Observe(t.Context(), kind)
				if err != nil || (len(got.GetMissing()) == 0) != vanished {
					t.Errorf("%s without %s, of what answers %d: got %q missing, %v", kind, part.part, answer, got.GetMissing(), err)
				}
				if away := strings.Contains(strings.Join(got.GetMissing(), " "), "502"); away != (answer == http.StatusBadGateway) {
					t.Errorf("%s without %s, of what answers %d: got %q missing, want it said that okta is away: %v", kind, part.part, answer, got.GetMissing(), !away)
				}
			}
		}
	}
	r := newRegistry(0, "invented")
	source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Query().Has("filter") {
			q.URL.Path = "/nowhere"
		}
		r.ServeHTTP(w, q)
	}))
	if got, err := source.Observe(t.Context(), "people"); err != nil || len(got.GetMissing()) != 1 {
		t.Errorf("deactivated people: got %q missing, %v, want them", got.GetMissing(), err)
	}
}

// A role whose limits could not be read is missing, and never shown as one for everything.
func TestRoleWithoutItsLimits(t *testing.T) {
	targets := "/api/v1/users/00uAnna/roles/ra1/targets/groups"
	for name, spoil := range map[string]func(w http.ResponseWriter, page bool) bool{
		"broken":     func(w http.ResponseWriter, _ bool) bool { w.WriteHeader(http.StatusBadGateway); return true },
		"refused":    func(w http.ResponseWriter, _ bool) bool { w.WriteHeader(http.StatusForbidden); return true },
		"not a list": func(w http.ResponseWriter, _ bool) bool { _, _ = w.Write([]byte(`{}`)); return true },
		"broken in the middle": func(w http.ResponseWriter, second bool) bool {
			if second {
				w.WriteHeader(http.StatusBadGateway)
			}
			return second
		},
	} {
		r := newRegistry(0, "invented")
		r.Put(
			fake.OktaRole{ID: "ra1", Holder: "00uAnna", Type: "USER_ADMIN", Targets: []string{"00gPayments", "00gRefunds"}},
			fake.OktaRole{ID: "ra2", Holder: "00uBen", Type: "READ_ONLY_ADMIN"},
		)
		source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == targets && spoil(w, q.URL.Query().Has("after")) {
				return
			}
			r.ServeHTTP(w, q)
		}))
		source.config.PageSize = 1
		got, err := source.Observe(t.Context(), "roles")
		if err != nil || len(got.GetEntries()) != 1 || got.GetEntries()[0].GetAssignment().GetHolder() != "00uBen" || len(got.GetMissing()) != 1 {
			t.Errorf("%s: got %v, %v, want Ben's role, and Anna's missing", name, got, err)
		}
		if name == "broken in the middle" {
			continue // Of a privilege it is enough that there is one limit.
		}
		p := privileges("admin_role", []string{"USER_ADMIN"}, []string{"00uAnna"})[0]
		if state, err := source.Read(t.Context(), p); err == nil {
			t.Errorf("%s: read: got %v, want an error", name, state)
		}
	}
}
