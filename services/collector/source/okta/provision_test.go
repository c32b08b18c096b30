// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// registry is a fake Okta at which privileges are held.
type registry struct{ *fake.Okta }

func newRegistry(seed uint64, token string) *registry {
	setup := fake.OktaConfig{Token: token}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 12, ServerErrorEvery: 14, DropReplyEvery: 10, LieEvery: 4, AwayAfter: 30, AwayFor: 4}
	}
	r := &registry{fake.NewOkta(setup)}
	r.Put(
		fake.OktaUser{ID: "00uAnna", Login: "anna.berg@example.com"}, fake.OktaUser{ID: "00uBen", Login: "ben.okafor@example.com"},
		fake.OktaUser{ID: "00uCleo", Login: "cleo.lang@example.com"},
		fake.OktaGroup{ID: "00gPayments", Name: "Payments"}, fake.OktaGroup{ID: "00gRefunds", Name: "Refunds"},
		fake.OktaGroup{ID: "00gDirectory", Name: "Directory", Type: "APP_GROUP"}, fake.OktaGroup{ID: "00gEveryone", Name: "Everyone", Type: "BUILT_IN"},
		fake.OktaApp{ID: "0oaShop", Name: "shop", Label: "Shop admin"}, fake.OktaApp{ID: "0oaBooks", Name: "books", Label: "Books"},
		fake.OktaApp{ID: "0oaReports", Name: "oidc_client", Label: "Reports", Service: true}, fake.OktaApp{ID: "0oaSync", Name: "oidc_client", Label: "Sync", Service: true},
		fake.OktaCustomRole{ID: "cr0Helper", Label: "Helper"},
	)
	return r
}

func (r *registry) Holds(p *curfewv1.Privilege) (string, bool) {
	s := r.Snapshot()
	switch p.GetKind() {
	case "group":
		for _, member := range s.Members[p.GetResource()] {
			if member == p.GetHolder() {
				return "", true
			}
		}
	case "app":
		for _, has := range s.AppUsers[p.GetResource()] {
			if has.User == p.GetHolder() && !has.ByGroup {
				return "", true
			}
		}
	case "admin_role":
		_, held := r.role(p)
		return "", held
	case "oauth_grant":
		_, held := r.grant(p)
		return "", held
	}
	return "", false
}

func (r *registry) role(p *curfewv1.Privilege) (id string, held bool) {
	for _, role := range r.Snapshot().Roles {
		if role.Holder == p.GetHolder() && (role.Type == p.GetResource() || role.Role == p.GetResource() && role.Set == p.GetScope()) {
			return role.ID, true
		}
	}
	return "", false
}

func (r *registry) grant(p *curfewv1.Privilege) (id string, held bool) {
	for _, grant := range r.Snapshot().Grants {
		if grant.App == p.GetHolder() && grant.Scope == p.GetResource() && grant.User == "" {
			return grant.ID, true
		}
	}
	return "", false
}

func (r *registry) Hold(p *curfewv1.Privilege, _ string, held bool) {
	switch p.GetKind() {
	case "group":
		if held {
			r.Join(p.GetResource(), p.GetHolder())
		} else {
			r.Leave(p.GetResource(), p.GetHolder())
		}
	case "app":
		if held {
			r.Assign(p.GetResource(), p.GetHolder())
		} else {
			r.Unassign(p.GetResource(), p.GetHolder())
		}
	case "admin_role":
		id, _ := r.role(p)
		r.Delete(id)
		role := fake.OktaRole{Holder: p.GetHolder(), Type: p.GetResource(), Label: "By hand"}
		if p.GetScope() != "" {
			role.Type, role.Role, role.Set = "CUSTOM", p.GetResource(), p.GetScope()
		}
		if held {
			r.Put(role)
		}
	case "oauth_grant":
		id, _ := r.grant(p)
		r.Delete(id)
		if held {
			r.Put(fake.OktaGrant{App: p.GetHolder(), Scope: p.GetResource()})
		}
	}
}

func (r *registry) Remove(holder string) { r.Delete(holder) }

func privileges(kind string, resources, holders []string) []*curfewv1.Privilege {
	names := map[string]string{"00uAnna": "anna.berg@example.com", "00uBen": "BEN.okafor@example.com", "00uCleo": "cleo.lang@example.com"}
	var list []*curfewv1.Privilege
	for _, resource := range resources {
		for _, holder := range holders {
			p := &curfewv1.Privilege{Source: source, Kind: kind, Holder: holder, HolderName: names[holder], Resource: resource}
			if strings.HasPrefix(resource, "cr0") {
				p.Scope = "iamShops"
			}
			list = append(list, p)
		}
	}
	return list
}

func TestProvision(t *testing.T) {
	people := []string{"00uAnna", "00uBen", "00uCleo"}
	sourcetest.Provision(t, sourcetest.ProvisionCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Provisioner {
			return newSource(t, options)
		},
		Registry: func(seed uint64, token string) sourcetest.Registry { return newRegistry(seed, token) },
		Cases: map[string]sourcetest.PrivilegeCase{
			"group":       {Privileges: privileges("group", []string{"00gPayments", "00gRefunds"}, people)},
			"app":         {Privileges: privileges("app", []string{"0oaShop", "0oaBooks"}, people)},
			"admin_role":  {Privileges: privileges("admin_role", []string{"READ_ONLY_ADMIN", "USER_ADMIN", "cr0Helper"}, people)},
			"oauth_grant": {Privileges: privileges("oauth_grant", []string{"okta.users.read", "okta.logs.read"}, []string{"0oaReports", "0oaSync"})},
		},
	})
}

// TestProvisionTraps is what Okta does that a peer fell over: https://github.com/gravitational/teleport/issues/53947.
func TestProvisionTraps(t *testing.T) {
	anna := "00uAnna"
	tests := []struct {
		name              string
		kind, resource    string
		before            func(r *registry)
		presence          curfewv1.Presence
		level             string
		via               []string
		detail            string // some of it
		granted, revoked  string // the outcomes
		task              string // some of the revocation's
		heldAfter, stayed bool
	}{
		{
			name: "an app by a group alone is left to the group", kind: "app", resource: "0oaShop",
			before:   func(r *registry) { r.Join("00gPayments", anna); r.AssignGroup("0oaShop", "00gPayments") },
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: []string{"group 00gPayments"}, granted: "ALREADY", revoked: "ALREADY",
		},
		{
			name: "an own assignment that a group keeps", kind: "app", resource: "0oaShop",
			before: func(r *registry) {
				r.Assign("0oaShop", anna)
				r.Join("00gPayments", anna)
				r.AssignGroup("0oaShop", "00gPayments")
			},
			presence: curfewv1.Presence_PRESENCE_PRESENT, via: []string{"group 00gPayments"}, granted: "ALREADY", revoked: "TASK",
			task: "while group 00gPayments gives the app as well", heldAfter: true,
		},
		{
			name: "a group that a rule fills", kind: "group", resource: "00gPayments",
			before: func(r *registry) {
				r.Put(fake.OktaRule{ID: "0prPayments", Groups: []string{"00gPayments"}, Covers: []string{anna}})
				r.ApplyRules()
			},
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "the group rule 0prPayments fills the group", granted: "ALREADY", revoked: "DONE",
		},
		{
			name: "a rule at rest", kind: "group", resource: "00gPayments",
			before:   func(r *registry) { r.Put(fake.OktaRule{ID: "0pr1", Groups: []string{"00gPayments"}, Inactive: true}) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, granted: "DONE", revoked: "DONE",
		},
		{
			name: "rules that may not be seen", kind: "group", resource: "00gPayments",
			before:   func(r *registry) { r.Forbid("GET /api/v1/groups/rules") },
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "could not be learnt", granted: "DONE", revoked: "DONE",
		},
		{
			name: "a group that a directory fills", kind: "group", resource: "00gDirectory", before: func(r *registry) { r.Join("00gDirectory", anna) },
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "a directory or an app fills the group", granted: "ALREADY", revoked: "TASK",
			task: "take the person out of the group in the directory", heldAfter: true,
		},
		{
			name: "a group that a directory fills, to be joined", kind: "group", resource: "00gDirectory", before: func(*registry) {},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "a directory or an app fills the group", granted: "TASK", revoked: "ALREADY",
		},
		{
			name: "everyone", kind: "group", resource: "00gEveryone", before: func(r *registry) { r.Join("00gEveryone", anna) },
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "Okta itself fills the group", granted: "ALREADY", revoked: "TASK",
			task: "nothing can take the person out of", heldAfter: true,
		},
		{
			name: "a role by a group", kind: "admin_role", resource: "READ_ONLY_ADMIN",
			before: func(r *registry) {
				r.Join("00gPayments", anna)
				r.Put(fake.OktaRole{Holder: "00gPayments", Type: "READ_ONLY_ADMIN"})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: []string{"group 00gPayments"}, granted: "DONE", revoked: "DONE",
		},
		{
			name: "a role for one group alone", kind: "admin_role", resource: "USER_ADMIN",
			before: func(r *registry) {
				r.Put(fake.OktaRole{Holder: anna, Type: "USER_ADMIN", Targets: []string{"00gRefunds"}})
			},
			presence: curfewv1.Presence_PRESENCE_PRESENT, level: "limited", granted: "TASK", revoked: "DONE",
		},
		{
			name: "a group that is gone", kind: "group", resource: "00gGone", before: func(*registry) {},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the group does not exist any more", granted: "GONE", revoked: "GONE",
		},
		{
			name: "an app that is gone", kind: "app", resource: "0oaGone", before: func(*registry) {},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the app does not exist any more", granted: "GONE", revoked: "GONE",
		},
		{
			name: "a person who was renamed", kind: "group", resource: "00gPayments",
			before: func(r *registry) {
				r.Put(fake.OktaUser{ID: anna, Login: "anna.meyer@example.com", Email: "anna.berg@example.com", Status: "SUSPENDED"})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the account is SUSPENDED", granted: "DONE", revoked: "DONE",
		},
		{
			name: "a person at another domain", kind: "group", resource: "00gPayments",
			before:   func(r *registry) { r.Put(fake.OktaUser{ID: anna, Login: "anna.berg@linden-lark.example.com"}) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the person goes by another login now", granted: "DONE", revoked: "DONE",
		},
		{
			name: "an id under another name", kind: "group", resource: "00gPayments",
			before: func(r *registry) {
				r.Put(fake.OktaUser{ID: anna, Login: "dora.stein@example.com"})
				r.Join("00gPayments", anna)
			},
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "the id goes by another login", granted: "GONE", revoked: "DONE",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRegistry(0, "invented")
			test.before(r)
			source := serveOrg(t, r)
			p := privileges(test.kind, []string{test.resource}, []string{anna})[0]
			state, err := source.Read(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if state.GetPresence() != test.presence || state.GetLevel() != test.level || strings.Join(state.GetVia(), ",") != strings.Join(test.via, ",") || !strings.Contains(state.GetDetail(), test.detail) {
				t.Errorf("read: got %v, want %v at %q by %q with %q", state, test.presence, test.level, test.via, test.detail)
			}
			granted, err := source.Grant(t.Context(), p)
			if err != nil || !strings.HasSuffix(granted.GetOutcome().String(), test.granted) {
				t.Errorf("grant: got %v, %v, want %s", granted, err, test.granted)
			}
			revoked, err := source.Revoke(t.Context(), p, nil)
			if err != nil || !strings.HasSuffix(revoked.GetOutcome().String(), test.revoked) || !strings.Contains(revoked.GetTask(), test.task) {
				t.Errorf("revoke: got %v, %v, want %s with the task %q", revoked, err, test.revoked, test.task)
			}
			if _, held := r.Holds(p); held != test.heldAfter {
				t.Errorf("it is held afterwards: %v, want %v", held, test.heldAfter)
			}
		})
	}
}

func TestPrivilegesThatAreNone(t *testing.T) {
	source := serveOrg(t, newRegistry(0, "invented"))
	for want, p := range map[string]*curfewv1.Privilege{
		"has no levels":                  {Kind: "group", Holder: "00uAnna", Resource: "00gPayments", Level: "owner"},
		"cannot be limited":              {Kind: "app", Holder: "00uAnna", Resource: "0oaShop", Scope: "x"},
		"would hold for everything":      {Kind: "admin_role", Holder: "00uAnna", Resource: "USER_ADMIN", Scope: "00gPayments"},
		"holds on a resource set":        {Kind: "admin_role", Holder: "00uAnna", Resource: "cr0Helper"},
		"name a custom role by its id":   {Kind: "admin_role", Holder: "00uAnna", Resource: "CUSTOM", Scope: "iam1"},
		"no scope of okta's":             {Kind: "oauth_grant", Holder: "0oaSync", Resource: "https://example.com/read"},
		"the holder is no id of okta's":  {Kind: "group", Holder: "anna.berg@example.com", Resource: "00gPayments"},
		`there is no kind "zone"; there`: {Kind: "zone", Holder: "00uAnna", Resource: "00gPayments"},
	} {
		if _, err := source.Read(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v, want one with %q", p, err, want)
		}
	}
}

func TestEndSessions(t *testing.T) {
	r := newRegistry(0, "invented")
	source := serveOrg(t, r)
	for holder, want := range map[string]curfewv1.ProvisionOutcome{
		"00uAnna":    curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE,
		"0oaReports": curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE,
		"00uGone":    curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE,
	} {
		ended, err := source.EndSessions(t.Context(), holder)
		if err != nil || ended.GetOutcome() != want || len(ended.GetCalls()) == 0 {
			t.Errorf("end sessions of %s: got %v, %v, want %v", holder, ended, err, want)
		}
		if done := want == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE; (r.SessionsEnded(holder) == 1) != done || (ended.GetResidual() != "") != done {
			t.Errorf("end sessions of %s: they were ended %d times, leaving %q", holder, r.SessionsEnded(holder), ended.GetResidual())
		}
	}
	if _, err := source.EndSessions(t.Context(), "../users"); err == nil {
		t.Error("end sessions of an id that is none: got no error")
	}
}

func TestWhatIsNotedHoldsNoQuery(t *testing.T) {
	r := newRegistry(0, "invented")
	source := serveOrg(t, r)
	p := privileges("group", []string{"00gPayments"}, []string{"00uAnna"})[0]
	granted, err := source.Grant(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /api/v1/users/00uAnna: 200", "GET /api/v1/groups/00gPayments: 200", "GET /api/v1/users/00uAnna/groups: 200",
		"GET /api/v1/groups/rules: 200", "PUT /api/v1/groups/00gPayments/users/00uAnna: 204",
	}
	if got := strings.Join(granted.GetCalls(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got the calls\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
