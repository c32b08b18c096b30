// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// directory is a fake tenant with people in it, and its truth in the contract's words.
type directory struct{ *fake.M365 }

func newDirectory(seed uint64, token string) *directory {
	setup := fake.M365Config{Token: token}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 15, ServerErrorEvery: 20, DropReplyEvery: 20, AwayAfter: 40, AwayFor: 2}
	}
	return &directory{fake.NewM365(setup)}
}

func (d *directory) Change(n int) { d.Directory.Churn(n) }

func (d *directory) Forbid(kind string) bool {
	s := d.Directory.Snapshot()
	switch kind {
	case "memberships":
		d.Directory.Forbid("GET /v1.0/groups/"+s.Groups[0].ID+"/members", "GET /v1.0/servicePrincipals/"+s.Principals[0].ID+"/memberOf")
	case "roles":
		d.Directory.Forbid("GET " + eligiblePath)
	case "apps":
		d.Directory.Forbid("GET /v1.0/oauth2PermissionGrants")
	case "tokens":
		d.Directory.Forbid("GET /v1.0/applications")
	default:
		return false
	}
	return true
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func (d *directory) Truth(kind string) []*curfewv1.Entry {
	s := d.Directory.Snapshot()
	var truth []*curfewv1.Entry
	add := func(key string, entry *curfewv1.Entry) {
		entry.Key = key
		truth = append(truth, entry)
	}
	types := map[string]string{"user": "account", "group": "group", "servicePrincipal": "app"}
	switch kind {
	case "people":
		for _, u := range s.Users {
			account := &curfewv1.Account{
				Id: u.ID, Login: u.Login, Name: u.Name, Emails: append([]string{u.Mail}, u.Aliases...), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
				Status: "active", Guest: u.Guest, Created: stamp(u.Created),
			}
			if u.Number != "" {
				account.Links = []string{"employee:" + u.Number, "onpremises:" + u.Synced}
			}
			switch {
			case u.Disabled:
				account.Status = "suspended"
			case u.Invited:
				account.Status = "invited"
			}
			add(u.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
		}
	case "groups":
		for _, g := range s.Groups {
			entry := &curfewv1.Group{Id: g.ID, Name: g.Name, Type: map[bool]string{true: "team", false: "group"}[g.Team]}
			switch {
			case g.Dynamic:
				entry.ManagedBy = "rule"
			case g.Synced:
				entry.ManagedBy = "directory"
			}
			add(g.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: entry}})
		}
	case "memberships":
		for level, relation := range map[string]map[string][]string{"member": s.Members, "owner": s.Owners} {
			for group, holders := range relation {
				for _, holder := range holders {
					if kind := types[s.Kinds[holder]]; kind != "" {
						key := map[string]string{"member": group + "/" + holder, "owner": group + "/" + holder + "/owner"}[level]
						add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{Group: group, Member: holder, MemberType: kind, Level: level}}})
					}
				}
			}
		}
	case "roles":
		names := map[string]string{}
		for _, r := range s.Roles {
			names[r.ID] = r.Name
		}
		for _, a := range s.Assignments {
			scope := strings.TrimPrefix(a.Scope, "/")
			key := strings.TrimSuffix(a.Role+"/"+a.Holder+"/"+scope, "/")
			if a.Eligible {
				key += "/eligible"
			}
			add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
				Id: a.ID, Role: a.Role, RoleName: names[a.Role], Holder: a.Holder, HolderType: types[s.Kinds[a.Holder]], Scope: scope,
				Pending: a.Eligible, ExpiresAt: stamp(a.Expires),
			}}})
		}
	case "apps":
		truth = d.apps(s)
	case "tokens":
		credentials := func(id, app string, list []fake.M365Credential) {
			for _, c := range list {
				kind := map[bool]string{true: "certificate", false: "client_secret"}[c.Certificate]
				add(id+"/"+kind+"/"+c.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
					Id: c.ID, Name: c.Name, Owner: app, Type: kind, Created: stamp(c.Begins), ExpiresAt: stamp(c.Ends),
				}}})
			}
		}
		for _, r := range s.Registrations {
			credentials(r.ID, r.AppID, r.Credentials)
		}
		for _, p := range s.Principals {
			credentials(p.ID, p.AppID, p.Credentials)
		}
	}
	return truth
}

func (d *directory) apps(s fake.M365Snapshot) []*curfewv1.Entry {
	known := map[string]fake.M365Principal{}
	for _, p := range s.Principals {
		known[p.ID] = p
	}
	entries := map[string]*curfewv1.Entry{}
	access := func(key string, p fake.M365Principal) *curfewv1.AppAccess {
		if entries[key] == nil {
			entries[key] = &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_App{App: &curfewv1.AppAccess{
				App: &curfewv1.App{Id: p.AppID, Name: p.Name}, Publisher: p.Publisher, Status: map[bool]string{true: "suspended", false: "active"}[p.Disabled],
			}}}
		}
		return entries[key].GetApp()
	}
	for _, g := range s.Grants {
		grantor := g.Principal
		if grantor == "" {
			grantor = "*"
		}
		a := access(known[g.Client].AppID+"/"+grantor+"/"+known[g.Resource].AppID, known[g.Client])
		a.Id, a.Grantor, a.App.Scopes = g.ID, g.Principal, strings.Fields(g.Scope)
		slices.Sort(a.App.Scopes)
	}
	for _, r := range s.AppRoles {
		holder, isApp := known[r.Holder]
		if !isApp || holder.Owner == microsoft {
			continue
		}
		value := known[r.Resource].Roles[r.Role]
		a := access(holder.AppID+"/app/"+known[r.Resource].AppID, holder)
		a.App.Scopes = append(a.App.Scopes, value)
		slices.Sort(a.App.Scopes)
		if a.Created == nil || r.Created.Before(a.Created.AsTime()) {
			a.Created = stamp(r.Created)
		}
	}
	var truth []*curfewv1.Entry
	for _, entry := range entries {
		truth = append(truth, entry)
	}
	return truth
}

func TestInventory(t *testing.T) {
	sourcetest.Inventory(t, sourcetest.InventoryCase{
		Source:    source,
		New:       func(t *testing.T, options sourcetest.Options) sourcetest.Observer { return newSource(t, options) },
		Directory: func(seed uint64, token string) sourcetest.Directory { return newDirectory(seed, token) },
	})
}

// serveTenant is a source of a fake tenant, with a pause that does not wait.
func serveTenant(t *testing.T, tenant http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(tenant)
	t.Cleanup(server.Close)
	source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true})
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source
}

func TestInventoryOfWhatMayNotBeSeen(t *testing.T) {
	tests := []struct {
		kind    string
		forbid  []string
		premium bool
		missing []string // what begins each line of what is missing
		entries int
		err     string
	}{
		{"people", []string{"GET /v1.0/users"}, true, nil, 0, "the application permission User.Read.All of Microsoft Graph"},
		{"groups", nil, true, nil, 5, ""},
		{"memberships", []string{"GET /v1.0/groups"}, true, []string{"groups: microsoft answered 403"}, 2, ""},
		{"memberships", []string{"GET /v1.0/servicePrincipals"}, true, []string{"groups of apps: microsoft answered 403"}, 8, ""},
		{"roles", nil, false, nil, 3, ""},
		{"roles", []string{"GET " + instancesPath, "GET " + eligiblePath}, true, []string{"ends of roles: ", "roles to be activated: "}, 3, ""},
		{"roles", []string{"GET " + rolesPath}, true, []string{"names of roles: "}, 4, ""},
		{"roles", []string{"GET /v1.0/roleManagement"}, true, nil, 0, "nothing could be read: names of roles"},
		{"apps", []string{"GET /v1.0/servicePrincipals"}, true, nil, 0, "Application.Read.All"},
		{"apps", []string{"GET /v1.0/oauth2PermissionGrants"}, true, []string{"delegated permissions: "}, 1, ""},
		{"tokens", []string{"GET /v1.0/servicePrincipals"}, true, []string{"service principals: "}, 2, ""},
	}
	for _, test := range tests {
		tenant := fake.NewM365(fake.M365Config{Token: "invented", NoPremium: !test.premium})
		tenant.Directory.Churn(0)
		tenant.Directory.Forbid(test.forbid...)
		got, err := serveTenant(t, tenant).Observe(t.Context(), test.kind)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s without %q: got error %v, want one with %q", test.kind, test.forbid, err, test.err)
			}
			continue
		}
		if err != nil || len(got.GetEntries()) != test.entries || len(got.GetMissing()) != len(test.missing) {
			t.Errorf("%s without %q: got %d entries, %q missing, %v, want %d and %q", test.kind, test.forbid, len(got.GetEntries()), got.GetMissing(), err, test.entries, test.missing)
			continue
		}
		for i, missing := range got.GetMissing() {
			if !strings.HasPrefix(missing, test.missing[i]) {
				t.Errorf("%s without %q: got %q missing, want it to begin with %q", test.kind, test.forbid, missing, test.missing[i])
			}
		}
	}
}

// A vendor that goes away in the middle is not asked for each of a thousand parts.
func TestInventoryEndsWhenMicrosoftIsAway(t *testing.T) {
	tenant := fake.NewM365(fake.M365Config{Token: "invented", Faults: fake.Faults{AwayAfter: 1, AwayFor: 1 << 30}})
	for n := range 60 {
		tenant.Directory.Put(fake.M365Group{ID: fake.M365ID("group", strings.Repeat("x", n)), Name: "Team"})
	}
	var requests atomic.Int32
	source := serveTenant(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		tenant.ServeHTTP(w, r)
	}))
	if got, err := source.Observe(t.Context(), "memberships"); err == nil || !strings.Contains(err.Error(), "did not answer several times in a row") {
		t.Errorf("got %v and error %v, want one that says that microsoft is away", got, err)
	}
	// Go's own client asks once more where a connection that was used before ends.
	if most := 2 * (1 + maxBroken*patience); int(requests.Load()) > most {
		t.Errorf("got %d requests, want at most %d", requests.Load(), most)
	}
}

// What vanished between the list and its part is gone, and nothing of it is missing; another's 404 says nothing.
func TestInventoryOfWhatVanished(t *testing.T) {
	for code, missing := range map[string]int{codeMissing: 0, "ResourceNotFound": 2} {
		source := serveTenant(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch r.URL.Path {
			case "/v1.0/groups":
				_, _ = w.Write([]byte(`{"value":[{"id":"gone"},{"id":"here"}]}`))
			case "/v1.0/groups/here/members":
				_, _ = w.Write([]byte(`{"value":[{"@odata.type":"#microsoft.graph.user","id":"anna"},{"@odata.type":"#microsoft.graph.orgContact","id":"x"}]}`))
			case "/v1.0/groups/here/owners", "/v1.0/servicePrincipals":
				_, _ = w.Write([]byte(`{"value":[]}`))
			default:
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"error":{"code":"` + code + `","message":"invented"}}`))
			}
		}))
		got, err := source.Observe(t.Context(), "memberships")
		if err != nil || len(got.GetEntries()) != 1 || len(got.GetMissing()) != missing {
			t.Errorf("%s: got %v, %v, want one entry and %d missing", code, got, err, missing)
		}
	}
}

func TestListsThatLeadAstray(t *testing.T) {
	for name, next := range map[string]string{
		"another host":  "https://192.0.2.1/v1.0/users?$skiptoken=1",
		"another list":  "/v1.0/groups?$skiptoken=1",
		"the same page": "/v1.0/users?" + userFields + "&$top=999",
	} {
		requests := 0
		source := serveTenant(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"value":[{"id":"anna"},{"id":7},{}],"@odata.nextLink":"` + next + `"}`))
		}))
		got, err := source.Observe(t.Context(), "people")
		if err != nil || len(got.GetEntries()) != 1 || len(got.GetMissing()) < 3 || requests != 1 {
			t.Errorf("%s: got %v, %v, want one entry, and what is missing", name, got, err)
		}
	}
}
