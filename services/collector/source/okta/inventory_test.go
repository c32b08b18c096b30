// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

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

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// directory is a fake Okta with people in it, and its truth in the contract's words.
type directory struct {
	*fake.Okta
	// unlinked is an app whose people may not be seen.
	unlinked string
}

func newDirectory(seed uint64, token string) *directory {
	setup := fake.OktaConfig{Token: token}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 15, ServerErrorEvery: 20, DropReplyEvery: 20, AwayAfter: 40, AwayFor: 2}
	}
	d := &directory{Okta: fake.NewOkta(setup)}
	everyone := fake.OktaGroup{ID: "00gEveryone", Name: "Everyone", Type: "BUILT_IN"}
	d.Put(everyone, fake.OktaUser{ID: "00uAnna", Login: "anna.berg@example.com", First: "Anna", Last: "Berg", LastLogin: time.Unix(1_772_000_000, 0)})
	d.Join(everyone.ID, "00uAnna")
	return d
}

func (d *directory) Change(n int) { d.Churn(n) }

func (d *directory) Forbid(kind string) bool {
	s := d.Snapshot()
	switch kind {
	case "people":
		for _, app := range s.Apps {
			if len(app.Features) > 0 {
				d.unlinked = app.ID
			}
		}
		d.Okta.Forbid("GET /api/v1/apps/" + d.unlinked + "/users")
	case "groups":
		d.Okta.Forbid("GET /api/v1/apps")
	case "memberships":
		d.Okta.Forbid("GET /api/v1/groups/"+s.Groups[0].ID+"/", "GET /api/v1/apps/"+s.Apps[0].ID+"/groups")
	case "roles":
		d.Okta.Forbid("GET /oauth2/v1/clients/", "GET /api/v1/users/"+s.People[1].ID+"/roles")
	case "apps":
		for _, grant := range s.Grants {
			if grant.User != "" {
				d.Okta.Forbid("GET /api/v1/users/" + grant.User + "/grants")
			}
		}
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
	s := d.Snapshot()
	var truth []*curfewv1.Entry
	add := func(key string, entry *curfewv1.Entry) {
		entry.Key = key
		truth = append(truth, entry)
	}
	labels := map[string]string{}
	for _, app := range s.Apps {
		labels[app.ID] = app.Label
	}
	switch kind {
	case "people":
		words := map[string]string{"ACTIVE": "active", "SUSPENDED": "suspended", "PROVISIONED": "invited", "DEPROVISIONED": "deleted"}
		for _, u := range s.People {
			account := &curfewv1.Account{
				Id: u.ID, Login: u.Login, Name: u.First + " " + u.Last, Emails: []string{u.Email}, Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
				Status: words[u.Status], Created: stamp(u.Created), LastLogin: stamp(u.LastLogin),
			}
			if u.Number != "" {
				account.Links = append(account.Links, "employee:"+u.Number)
			}
			for _, app := range s.Apps {
				for _, has := range s.AppUsers[app.ID] {
					if has.User == u.ID && has.External != "" && app.ID != d.unlinked {
						account.Links = append(account.Links, app.Name+":"+has.External)
					}
				}
			}
			slices.Sort(account.Links)
			add(u.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
		}
	case "groups":
		for _, g := range s.Groups {
			by := map[string]string{"APP_GROUP": "directory", "BUILT_IN": "rule"}[g.Type]
			for _, rule := range s.Rules {
				if !rule.Inactive && slices.Contains(rule.Groups, g.ID) {
					by = "rule"
				}
			}
			add(g.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: g.ID, Name: g.Name, Type: "group", ManagedBy: by}}})
		}
		for _, a := range s.Apps {
			add(a.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: a.ID, Name: a.Label, Type: "app"}}})
		}
	case "memberships":
		member := func(group, member, memberType, level string) {
			add(group+"/"+member, &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
				Group: group, Member: member, MemberType: memberType, Level: level,
			}}})
		}
		for group, people := range s.Members {
			for _, person := range people {
				member(group, person, "account", "member")
			}
		}
		for app, people := range s.AppUsers {
			for _, has := range people {
				member(app, has.User, "account", map[bool]string{true: "GROUP", false: "USER"}[has.ByGroup])
			}
		}
		for app, groups := range s.AppGroups {
			for _, group := range groups {
				member(app, group, "group", "member")
			}
		}
	case "roles":
		for _, r := range s.Roles {
			a := curfewv1.Assignment{Id: r.ID, Role: r.Type, RoleName: r.Label, Holder: r.Holder}
			a.HolderType = map[string]string{"00u": "account", "00g": "group", "0oa": "app"}[r.Holder[:3]]
			scopes := []string{""}
			if r.Type == "CUSTOM" {
				a.Role, scopes = r.Role, []string{"resource_set/" + r.Set}
			}
			for i, target := range r.Targets {
				kind := map[string]string{"00g": "group/", "0oa": "app/"}[target[:3]]
				if kind == "" {
					kind = "catalog_app/"
				}
				scopes = append(scopes[:i], kind+target)
			}
			for _, scope := range scopes {
				key := strings.TrimSuffix(a.Role+"/"+a.Holder+"/"+scope, "/")
				add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
					Id: a.Id, Role: a.Role, RoleName: a.RoleName, Holder: a.Holder, HolderType: a.HolderType, Scope: scope,
				}}})
			}
		}
	case "apps":
		for _, a := range s.Apps {
			access := &curfewv1.AppAccess{App: &curfewv1.App{Id: a.ID, Name: a.Label}, Status: map[string]string{"ACTIVE": "active", "INACTIVE": "suspended"}[a.Status], Created: stamp(a.Created)}
			add(a.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
		}
		byKey := map[string]*curfewv1.AppAccess{}
		for _, entry := range truth {
			byKey[entry.GetKey()] = entry.GetApp()
		}
		for _, g := range s.Grants {
			key := strings.TrimSuffix(g.App+"/"+g.User, "/")
			if byKey[key] == nil {
				byKey[key] = &curfewv1.AppAccess{App: &curfewv1.App{Id: g.App, Name: labels[g.App]}, Grantor: g.User, Status: "active", Created: stamp(g.Created)}
				add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: byKey[key]}})
			}
			access := byKey[key]
			access.App.Scopes = append(access.App.Scopes, g.Scope)
			slices.Sort(access.App.Scopes)
			if g.User != "" && g.Created.Before(access.Created.AsTime()) {
				access.Created = stamp(g.Created)
			}
		}
	case "tokens":
		for _, token := range s.Tokens {
			add(token.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
				Id: token.ID, Name: token.Name, Owner: token.User, Type: "api_token", Created: stamp(token.Created), ExpiresAt: stamp(token.Expires),
			}}})
		}
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

// serveOrg is a source of a fake org, with a pause that does not wait.
func serveOrg(t *testing.T, org http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(org)
	t.Cleanup(server.Close)
	source, err := New(Config{URL: server.URL, Token: config.SecretValue("invented"), HookSecret: config.SecretValue("invented-hook")})
	if err != nil {
		t.Fatal(err)
	}
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source
}

func TestInventoryOfWhatMayNotBeSeen(t *testing.T) {
	tests := []struct {
		kind    string
		forbid  []string
		missing []string // what begins each line of what is missing
		entries int
		err     string
	}{
		{"people", []string{"GET /api/v1/apps"}, []string{"ids in apps: okta answered 403"}, 5, ""},
		{"people", []string{"GET /api/v1/users"}, nil, 0, "nothing could be read: people: okta answered 403 Forbidden (E0000006"},
		{"groups", []string{"GET /api/v1/groups/rules"}, []string{"which groups rules fill: okta answered 403"}, 8, ""},
		{"groups", []string{"GET /api/v1/groups"}, []string{"which groups rules fill: ", "groups: okta answered 403"}, 3, ""},
		{"memberships", []string{"GET /api/v1/groups"}, []string{"groups: okta answered 403"}, 5, ""},
		{"roles", []string{"GET /api/v1/iam"}, []string{"roles of people: okta answered 403"}, 2, ""},
		{"roles", []string{"GET /api/v1/groups", "GET /api/v1/apps"}, []string{"roles of groups: ", "roles of apps: "}, 5, ""},
		{"apps", []string{"GET /api/v1/apps"}, []string{"apps: "}, 2, ""},
		{"tokens", []string{"GET /api/v1/api-tokens"}, nil, 0, "give them the role Read-only Administrator"},
	}
	for _, test := range tests {
		org := newDirectory(0, "invented")
		org.Churn(0)
		org.Okta.Forbid(test.forbid...)
		got, err := serveOrg(t, org).Observe(t.Context(), test.kind)
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
func TestInventoryEndsWhenOktaIsAway(t *testing.T) {
	org := fake.NewOkta(fake.OktaConfig{Faults: fake.Faults{AwayAfter: 1, AwayFor: 1 << 30}})
	for n := range 60 {
		org.Put(fake.OktaGroup{ID: "00g" + strings.Repeat("x", n+1), Name: "Team"})
	}
	var requests atomic.Int32
	source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		org.ServeHTTP(w, r)
	}))
	if got, err := source.Observe(t.Context(), "memberships"); err == nil || !strings.Contains(err.Error(), "did not answer several times in a row") {
		t.Errorf("got %v and error %v, want one that says that okta is away", got, err)
	}
	// Go's own client asks once more where a connection that was used before ends.
	if most := 2 * (1 + maxBroken*patience); int(requests.Load()) > most {
		t.Errorf("got %d requests, want at most %d", requests.Load(), most)
	}
}

// What vanished between the list and its part is gone, and nothing of it is missing; another's 404 says nothing.
func TestInventoryOfWhatVanished(t *testing.T) {
	for code, missing := range map[string]int{"E0000007": 0, "E0000008": 1} {
		source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/api/v1/groups":
				_, _ = w.Write([]byte(`[{"id":"00gGone","type":"OKTA_GROUP","profile":{"name":"Gone"}},{"id":"00gHere"}]`))
			case "/api/v1/groups/00gHere/users":
				_, _ = w.Write([]byte(`[{"id":"00uAnna"}]`))
			case "/api/v1/apps":
				_, _ = w.Write([]byte(`[]`))
			default:
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"errorCode":"` + code + `","errorSummary":"invented"}`))
			}
		}))
		got, err := source.Observe(t.Context(), "memberships")
		if err != nil || len(got.GetEntries()) != 1 || len(got.GetMissing()) != missing {
			t.Errorf("%s: got %v, %v, want one entry and %d missing", code, got, err, missing)
		}
	}
}

func TestInventoryLeavesRoom(t *testing.T) {
	tests := []struct {
		limit, remaining string
		waits            bool
	}{
		{"600", "599", false}, {"600", "61", false}, {"600", "60", true}, {"600", "0", true}, {"", "0", false}, {"600", "", false}, {"much", "none", false},
	}
	for _, test := range tests {
		date := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
		source := serveOrg(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Rate-Limit-Limit", test.limit)
			w.Header().Set("X-Rate-Limit-Remaining", test.remaining)
			w.Header().Set("X-Rate-Limit-Reset", "1773043220") // 20 s from date
			w.Header().Set("Date", date.Format(http.TimeFormat))
			_, _ = w.Write([]byte("[]"))
		}))
		var waited time.Duration
		source.client.Pause = func(_ context.Context, wait time.Duration) error {
			waited += wait
			return nil
		}
		if _, err := source.Observe(t.Context(), "tokens"); err != nil || (waited > 0) != test.waits || waited > time.Minute {
			t.Errorf("%s of %s left: waited %v, %v, want a wait: %v", test.remaining, test.limit, waited, err, test.waits)
		}
	}
}
