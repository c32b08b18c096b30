// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// directory is a fake Slack with people and what they hold.
type directory struct {
	*fake.Slack
	plan     string
	channels string
}

func newDirectory(plan, channels string, seed uint64, token string) *directory {
	setup := fake.SlackConfig{Token: token, Plan: plan}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 13, ServerErrorEvery: 17, DropReplyEvery: 19}
	}
	return &directory{Slack: fake.NewSlack(setup), plan: plan, channels: channels}
}

func (d *directory) Change(n int) { d.Churn(n) }

func (d *directory) Forbid(kind string) bool {
	snapshot := d.Snapshot()
	switch kind {
	case "people":
		return false // It is one listing, or two of which each is needed.
	case "groups":
		if d.channels == "none" {
			return false
		}
		d.Slack.Forbid("conversations.list", d.team())
	case "memberships":
		d.Slack.Forbid("usergroups.users.list", snapshot.Groups[slices.IndexFunc(snapshot.Groups, func(g fake.SlackGroup) bool { return !g.Disabled })].ID)
	case "roles":
		if d.plan != enterprise {
			return false
		}
		d.Slack.Forbid("admin.roles.listAssignments", "")
	case "apps":
		if d.plan != enterprise {
			return false
		}
		d.Slack.Forbid("team.integrationLogs", snapshot.Teams[0].ID)
	}
	return true
}

// team is what a listing of the first workspace is about: the number of its arguments where it names none.
func (d *directory) team() string {
	if d.plan == enterprise {
		return d.Snapshot().Teams[0].ID
	}
	return ""
}

func (d *directory) Truth(kind string) []*curfewv1.Entry {
	truth := d.Snapshot()
	var entries []*curfewv1.Entry
	add := func(key string, entry *curfewv1.Entry) {
		entry.Key = key
		entries = append(entries, entry)
	}
	workspace := fake.SlackID("T", "workspace")
	switch kind {
	case "people":
		for _, p := range truth.People {
			mfa := p.MFA
			account := &curfewv1.Account{
				Id: p.ID, Login: p.Name, Name: p.RealName, Emails: []string{p.Email}, Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active",
				Guest: p.Guest, Mfa: &mfa,
			}
			if p.Bot {
				account.Type = curfewv1.ActorType_ACTOR_TYPE_APP
			}
			if p.Deleted {
				account.Status = "suspended"
			}
			if d.plan == enterprise {
				account.Created = timestamppb.New(p.Created)
			}
			add(p.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
		}
	case "groups", "memberships":
		member := func(group, user string) {
			if kind == "memberships" {
				add(group+"/"+user, &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
					Group: group, Member: user, MemberType: "account", Level: "member",
				}}})
			}
		}
		group := func(g *curfewv1.Group) {
			if kind == "groups" {
				add(g.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: g}})
			}
		}
		for _, g := range truth.Groups {
			if g.Disabled {
				continue
			}
			group(&curfewv1.Group{Id: g.ID, Name: g.Name, Type: "user_group", ManagedBy: map[bool]string{true: "directory"}[g.Managed]})
			for _, user := range g.Users {
				member(g.ID, user)
			}
		}
		for _, c := range truth.Channels {
			if c.Hidden || c.Archived || d.channels == "none" || d.channels == "private" && !c.Private {
				continue
			}
			group(&curfewv1.Group{Id: c.ID, Name: c.Name, Type: "channel"})
			for _, user := range c.Members {
				member(c.ID, user)
			}
		}
	case "roles":
		role := func(role, holder, scope string) {
			if role != "" {
				name := map[string]string{"admin": "Administrator", "owner": "Owner", "primary_owner": "Primary Owner"}[role]
				add(role+"/"+holder+"/"+scope, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
					Role: role, RoleName: name, Holder: holder, HolderType: "account", Scope: scope,
				}}})
			}
		}
		for _, p := range truth.People {
			if d.plan != enterprise {
				if !p.Deleted {
					role(p.Levels[workspace], p.ID, "workspace/"+workspace)
				}
				continue
			}
			if !p.Deleted {
				role(p.OrgLevel, p.ID, "")
			}
			for _, team := range truth.Teams {
				// Slack's lists of owners do not say which of them is the primary one.
				level := p.Levels[team.ID]
				if level == "primary_owner" {
					level = "owner"
				}
				role(level, p.ID, "workspace/"+team.ID)
			}
		}
		if d.plan == enterprise {
			for _, r := range truth.Roles {
				role(r.Role, r.User, map[byte]string{'T': "workspace/", 'C': "channel/"}[r.Entity[0]]+r.Entity)
			}
		}
	case "apps":
		for _, i := range truth.Installs {
			key := i.AppID + "/" + i.User.ID
			if d.plan == enterprise {
				key = i.Team + "/" + key
			}
			scopes := strings.Split(i.Scope, ",")
			slices.Sort(scopes)
			add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: &curfewv1.AppAccess{
				App: &curfewv1.App{Id: i.AppID, Name: i.App, Scopes: scopes}, Grantor: i.User.ID, Status: "active", Created: timestamppb.New(i.Time),
			}}})
		}
	}
	return entries
}

// admin is a source with the pace of a test.
func admin(t *testing.T, plan, channels string, options sourcetest.Options) *Source {
	t.Helper()
	source, err := New(Config{
		URL: options.URL, Plan: plan, Token: config.SecretValue(options.Token), PageSize: options.PageSize, Channels: channels,
	})
	if err != nil {
		t.Fatal(err)
	}
	source.pace = func(ctx context.Context, _ string) error { return ctx.Err() }
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source
}

func TestInventory(t *testing.T) {
	for _, test := range []struct{ plan, channels string }{{enterprise, "all"}, {other, "private"}, {other, "none"}} {
		t.Run(test.plan+" "+test.channels, func(t *testing.T) {
			sourcetest.Inventory(t, sourcetest.InventoryCase{
				Source: source,
				New: func(t *testing.T, options sourcetest.Options) sourcetest.Observer {
					return admin(t, test.plan, test.channels, options)
				},
				Directory: func(seed uint64, token string) sourcetest.Directory {
					return newDirectory(test.plan, test.channels, seed, token)
				},
			})
		})
	}
}

// An app is there for each account that added it since it was last removed, with what each was asked for.
func TestAppsOfALog(t *testing.T) {
	slack := fake.NewSlack(fake.SlackConfig{Plan: other})
	server := httptest.NewServer(slack)
	defer server.Close()
	anna, max := fake.SlackPerson("anna.berg"), fake.SlackPerson("max.moor")
	at := func(minute int) time.Time { return morning.Add(time.Duration(minute) * time.Minute) }
	for i, install := range []fake.SlackIntegration{
		{AppID: "A1", App: "Polls", User: anna, Scope: "chat:write"},
		{AppID: "A1", App: "Polls", User: anna, Change: "removed"},
		{AppID: "A1", App: "Polls", User: max, Scope: "files:read"},
		{AppID: "A1", App: "Polls", User: max, Change: "expanded", Scope: "users:read,files:read"},
		{AppID: "A2", App: "Notes", User: anna, Scope: "chat:write"},
		{AppID: "A2", App: "Notes", User: anna, Change: "disabled", Scope: "chat:write"},
		{AppID: "A3", App: "Gone", User: anna, Scope: "chat:write"},
		{AppID: "A3", App: "Gone", User: max, Change: "removed"},
		{AppID: "A4", App: "Off and on", User: anna, Scope: "chat:write"},
		{AppID: "A4", App: "Off and on", User: anna, Change: "disabled", Scope: "chat:write"},
		{AppID: "A4", App: "Off and on", User: anna, Change: "enabled", Scope: "chat:write"},
	} {
		install.Time = at(i)
		slack.Install(fake.SlackInstall{SlackIntegration: install})
	}
	inventory, err := admin(t, other, "none", sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2}).Observe(t.Context(), "apps")
	if err != nil || len(inventory.GetMissing()) > 0 {
		t.Fatalf("got %v, %v", inventory, err)
	}
	got := map[string]string{}
	for _, entry := range inventory.GetEntries() {
		app := entry.GetApp()
		got[entry.GetKey()] = app.GetStatus() + " " + strings.Join(app.GetApp().GetScopes(), ",") + " " + app.GetCreated().AsTime().Format("15:04")
	}
	want := map[string]string{
		"A1/" + max.ID: "active files:read,users:read 08:02", "A2/" + anna.ID: "disabled chat:write 08:04", "A4/" + anna.ID: "active chat:write 08:08",
	}
	for key, entry := range want {
		if got[key] != entry {
			t.Errorf("%s: got %q, want %q", key, got[key], entry)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A page that breaks is asked for again, and a listing that stays broken is missing and not short.
func TestBrokenPages(t *testing.T) {
	slack := fake.NewSlack(fake.SlackConfig{Plan: other})
	for _, name := range []string{"a.a", "b.b", "c.c"} {
		person := fake.SlackPerson(name)
		slack.Put(fake.SlackMember{ID: person.ID, Name: name})
	}
	broken, asked := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked > 1 && broken > 0 {
			broken--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		slack.ServeHTTP(w, r)
	}))
	defer server.Close()
	source := admin(t, other, "none", sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2})
	broken = 2
	inventory, err := source.Observe(t.Context(), "people")
	if err != nil || len(inventory.GetEntries()) != 3 || len(inventory.GetMissing()) > 0 || asked != 4 {
		t.Errorf("a page that breaks twice: got %v, %v in %d requests, want it whole", inventory, err, asked)
	}
	broken, asked = 1000, 0
	if inventory, err := source.Observe(t.Context(), "people"); err == nil {
		t.Errorf("the only listing stays broken: got %v, want an error", inventory)
	}
}

func TestObserveNothing(t *testing.T) {
	server := httptest.NewServer(fake.NewSlack(fake.SlackConfig{Token: "another"}))
	defer server.Close()
	source := admin(t, enterprise, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
	for _, kind := range source.Kinds() {
		if inventory, err := source.Observe(t.Context(), kind); err == nil || reasonOf(err) != "invalid_auth" {
			t.Errorf("%s: got %v, %v, want an error that says invalid_auth", kind, inventory, err)
		}
	}
}

// Every organisation has a workspace: one that shows none does not show it, and nothing is whole.
func TestNoWorkspaces(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"ok":true,"teams":[],"users":[],"role_assignments":[]}`))
	}))
	defer server.Close()
	source := admin(t, enterprise, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
	for _, kind := range []string{"groups", "memberships", "apps"} {
		if inventory, err := source.Observe(t.Context(), kind); err == nil {
			t.Errorf("%s: got %v, want an error", kind, inventory)
		}
	}
	if inventory, err := source.Observe(t.Context(), "roles"); err == nil && len(inventory.GetMissing()) == 0 {
		t.Errorf("roles: got %v, want what is missing", inventory)
	}
}

// What Slack breaks with by a word is asked again, as what it breaks with by a status is.
func TestBrokenByAWord(t *testing.T) {
	for _, reason := range []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "not_allowed"} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked++; asked == 1 {
				_, _ = fmt.Fprintf(w, `{"ok":false,"error":%q}`, reason)
				return
			}
			_, _ = w.Write([]byte(`{"ok":true,"members":[{"id":"W1","name":"a"}]}`))
		}))
		t.Cleanup(server.Close)
		inventory, err := admin(t, other, "none", sourcetest.Options{URL: server.URL, Token: "invented"}).Observe(t.Context(), "people")
		again := reason != "not_allowed"
		if (err == nil) != again || (asked == 2) != again || again && len(inventory.GetEntries()) != 1 {
			t.Errorf("%s: got %v, %v in %d requests, want it asked again: %v", reason, inventory, err, asked, again)
		}
	}
}

// What lies behind the last page that Slack shows of a log is missing, and not taken as not there.
func TestAppsBehindTheLastPage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil || page > 100 {
			_, _ = w.Write([]byte(`{"ok":false,"error":"over_pagination_limit"}`))
			return
		}
		_, _ = fmt.Fprintf(w, `{"ok":true,"logs":[{"app_id":"A%d","user_id":"W1","change_type":"added"}],"paging":{"pages":101}}`, page)
	}))
	defer server.Close()
	inventory, err := admin(t, other, "none", sourcetest.Options{URL: server.URL, Token: "invented"}).Observe(t.Context(), "apps")
	if err == nil && (len(inventory.GetEntries()) != 100 || len(inventory.GetMissing()) != 1) {
		t.Errorf("got %d entries, %q missing, want 100 and what is missing", len(inventory.GetEntries()), inventory.GetMissing())
	}
	if err != nil && !strings.Contains(err.Error(), "a hundred pages") {
		t.Errorf("got error %v, want one that says why", err)
	}
}
