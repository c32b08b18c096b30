// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// registry is a fake Slack at which privileges are held.
type registry struct{ *fake.Slack }

var (
	anna, ben = fake.SlackPerson("anna.berg"), fake.SlackPerson("ben.bach")
	workplace = fake.SlackID("T", "workspace")
	// tokenOwner is the account that the fake says the token is of.
	tokenOwner = fake.SlackID("W", "root")
)

func newRegistry(plan string, seed uint64, token string) *registry {
	setup := fake.SlackConfig{Token: token, Plan: plan}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 8, LieEvery: 5}
	}
	r := &registry{fake.NewSlack(setup)}
	member := func(u fake.SlackUser) fake.SlackMember {
		return fake.SlackMember{ID: u.ID, Name: u.Name, RealName: "Real " + u.Name, Email: u.Email}
	}
	r.Put(
		member(anna), member(ben), fake.SlackMember{ID: "W0SERVICE", Name: "service"},
		// A group cannot be emptied by the API, so one member stays.
		fake.SlackGroup{ID: "S0SUPPORT", Name: "support", Users: []string{"W0SERVICE"}},
		fake.SlackGroup{ID: "S0FINANCE", Name: "finance", Users: []string{"W0SERVICE"}},
		fake.SlackChannel{ID: "G0SALARIES", Name: "salaries", Private: true, Members: []string{"W0SERVICE", tokenOwner}},
		fake.SlackChannel{ID: "C0SHOP", Name: "shop", Members: []string{"W0SERVICE", tokenOwner}},
	)
	for _, app := range []string{"A0POLLS", "A0NOTES"} {
		for i, change := range []string{"added", "removed"} {
			r.Install(fake.SlackInstall{SlackIntegration: fake.SlackIntegration{Time: morning.Add(time.Duration(i) * time.Minute), AppID: app, App: app, Change: change}})
		}
	}
	return r
}

func (r *registry) Holds(p *curfewv1.Privilege) (level string, held bool) {
	truth := r.Snapshot()
	switch p.GetKind() {
	case userGroupKind:
		return "", slices.ContainsFunc(truth.Groups, func(g fake.SlackGroup) bool {
			return g.ID == p.GetResource() && slices.Contains(g.Users, p.GetHolder())
		})
	case channelKind:
		return "", slices.ContainsFunc(truth.Channels, func(c fake.SlackChannel) bool {
			return c.ID == p.GetResource() && slices.Contains(c.Members, p.GetHolder())
		})
	case workspaceRoleKind:
		for _, m := range truth.People {
			if m.ID == p.GetHolder() {
				return m.Levels[p.GetResource()], m.Levels[p.GetResource()] != ""
			}
		}
	case appKind:
		return "", slices.ContainsFunc(truth.Installs, func(i fake.SlackInstall) bool {
			return i.Team == p.GetResource() && i.AppID == p.GetHolder()
		})
	}
	return "", false
}

func (r *registry) Hold(p *curfewv1.Privilege, level string, held bool) {
	truth := r.Snapshot()
	change := func(list []string) []string {
		list = slices.DeleteFunc(slices.Clone(list), func(id string) bool { return id == p.GetHolder() })
		if held {
			list = append(list, p.GetHolder())
		}
		return list
	}
	switch p.GetKind() {
	case userGroupKind:
		for _, g := range truth.Groups {
			if g.ID == p.GetResource() {
				g.Users = change(g.Users)
				r.Put(g)
			}
		}
	case channelKind:
		for _, c := range truth.Channels {
			if c.ID == p.GetResource() {
				c.Members = change(c.Members)
				r.Put(c)
			}
		}
	case workspaceRoleKind:
		for _, m := range truth.People {
			if m.ID == p.GetHolder() {
				m.Levels = map[string]string{}
				if held {
					m.Levels[p.GetResource()] = level
				}
				r.Put(m)
			}
		}
	case appKind:
		install := fake.SlackIntegration{Time: time.Now(), AppID: p.GetHolder(), App: p.GetHolder(), Change: "removed"}
		if held {
			install.Time, install.Change = morning.Add(time.Hour), "added"
		}
		r.Install(fake.SlackInstall{Team: p.GetResource(), SlackIntegration: install})
	}
}

// privileges are two of one resource, and one of another.
func privileges(kind, level string, resources ...string) []*curfewv1.Privilege {
	var list []*curfewv1.Privilege
	for i, resource := range resources {
		holder := []fake.SlackUser{anna, ben, anna}[i]
		p := &curfewv1.Privilege{Source: source, Kind: kind, Holder: holder.ID, HolderName: holder.Email, Resource: resource, Level: level}
		if kind == userGroupKind {
			p.Scope = workplace
		}
		list = append(list, p)
	}
	return list
}

func apps() []*curfewv1.Privilege {
	return []*curfewv1.Privilege{
		{Source: source, Kind: appKind, Holder: "A0POLLS", Resource: workplace}, {Source: source, Kind: appKind, Holder: "A0NOTES", Resource: workplace},
	}
}

func TestProvision(t *testing.T) {
	for _, plan := range []string{enterprise, other} {
		t.Run(plan, func(t *testing.T) {
			sourcetest.Provision(t, sourcetest.ProvisionCase{
				New: func(t *testing.T, options sourcetest.Options) sourcetest.Provisioner {
					return admin(t, plan, "all", options)
				},
				Registry: func(seed uint64, token string) sourcetest.Registry { return newRegistry(plan, seed, token) },
				Cases: map[string]sourcetest.PrivilegeCase{
					userGroupKind: {Privileges: privileges(userGroupKind, "", "S0SUPPORT", "S0SUPPORT", "S0FINANCE")},
					channelKind:   {Privileges: privileges(channelKind, "", "G0SALARIES", "G0SALARIES", "C0SHOP")},
					workspaceRoleKind: {
						Privileges: privileges(workspaceRoleKind, "owner", workplace, workplace), Lower: "admin",
						GrantTask: plan != enterprise, RevokeTask: plan != enterprise,
					},
					appKind: {Privileges: apps(), GrantTask: true, RevokeTask: plan != enterprise},
				},
			})
		})
	}
}

func provisioner(t *testing.T, plan string) (*registry, *Source) {
	t.Helper()
	r := newRegistry(plan, 0, "invented")
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, admin(t, plan, "all", sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2})
}

// What Slack does not let an API do is a task for a person, who is told why.
func TestTasks(t *testing.T) {
	r, source := provisioner(t, enterprise)
	r.Put(
		fake.SlackGroup{ID: "S0ALONE", Name: "alone", Users: []string{anna.ID}},
		fake.SlackChannel{ID: "C0GENERAL", Name: "general", General: true, Members: []string{anna.ID}},
		fake.SlackChannel{ID: "C0FOREIGN", Name: "foreign", Members: []string{anna.ID}},
		fake.SlackMember{ID: "W0GUEST", Name: "guest", Guest: true},
		fake.SlackMember{ID: "W0PRIMARY", Name: "primary", Levels: map[string]string{workplace: "primary_owner"}},
		fake.SlackMember{ID: "W0ORGADMIN", Name: "orgadmin", OrgLevel: "admin", Levels: map[string]string{workplace: "admin"}},
	)
	tests := []struct {
		name      string
		privilege *curfewv1.Privilege
		grant     bool
		want      string
	}{
		{"the last member of a group", &curfewv1.Privilege{Kind: userGroupKind, Holder: anna.ID, Resource: "S0ALONE", Scope: workplace}, false, "it is the last member"},
		{"a guest in a group", &curfewv1.Privilege{Kind: userGroupKind, Holder: "W0GUEST", Resource: "S0ALONE", Scope: workplace}, true, "guests and bots"},
		{"out of the channel of all", &curfewv1.Privilege{Kind: channelKind, Holder: anna.ID, Resource: "C0GENERAL"}, false, "everybody is in this channel"},
		{"the primary owner", &curfewv1.Privilege{Kind: workspaceRoleKind, Holder: "W0PRIMARY", Resource: workplace, Level: "owner"}, true, ""},
		{"an administrator of the organisation", &curfewv1.Privilege{Kind: workspaceRoleKind, Holder: "W0ORGADMIN", Resource: workplace, Level: "admin"}, false, "administrator of the organisation; change it there"},
		{"an app", apps()[0], true, "a person has to consent"},
		{"a role for a guest", &curfewv1.Privilege{Kind: workspaceRoleKind, Holder: "W0GUEST", Resource: workplace, Level: "admin"}, true, "it is a guest"},
		{"out of a channel that the token's owner is not in", &curfewv1.Privilege{Kind: channelKind, Holder: anna.ID, Resource: "C0FOREIGN"}, false, "the token's owner is not in the channel"},
	}
	for _, test := range tests {
		before := r.Changes()
		act := func() (*curfewv1.Provisioned, error) { return source.Revoke(t.Context(), test.privilege, nil) }
		if test.grant {
			act = func() (*curfewv1.Provisioned, error) { return source.Grant(t.Context(), test.privilege) }
		}
		got, err := act()
		if test.want == "" {
			// The lists of owners do not tell the primary one: it is an owner already.
			if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
				t.Errorf("%s: got %v, %v, want ALREADY", test.name, got, err)
			}
			continue
		}
		if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || !strings.Contains(got.GetTask(), test.want) || got.GetLink() == "" {
			t.Errorf("%s: got %v, %v, want a task that says %q, and where", test.name, got, err, test.want)
		}
		if r.Changes() != before {
			t.Errorf("%s: something was changed", test.name)
		}
	}
	state, err := source.Read(t.Context(), tests[4].privilege)
	if err != nil || !slices.Contains(state.GetVia(), "administrator of the organisation") {
		t.Errorf("got %v, %v, want the other way by which the role is held", state, err)
	}
}

// Who else is in a group stays in it, and a list that others change while it is written is not said to be as it was wanted.
func TestGroupKeepsOthers(t *testing.T) {
	r := newRegistry(enterprise, 0, "invented")
	meddling := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.ServeHTTP(w, request)
		if meddling && strings.HasSuffix(request.URL.Path, "usergroups.users.update") {
			r.Put(fake.SlackGroup{ID: "S0SUPPORT", Name: "support", Users: []string{"W0SERVICE"}})
		}
	}))
	defer server.Close()
	source := admin(t, enterprise, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
	privilege := privileges(userGroupKind, "", "S0SUPPORT")[0]
	held := proto.CloneOf(privilege)
	held.Holder = ben.ID
	r.Hold(held, "", true)
	got, err := source.Grant(t.Context(), privilege)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Fatalf("got %v, %v, want it done", got, err)
	}
	for _, other := range []string{ben.ID, "W0SERVICE"} {
		held.Holder = other
		if _, there := r.Holds(held); !there {
			t.Errorf("%s is in the group no more", other)
		}
	}
	if !slices.ContainsFunc(got.GetCalls(), func(call string) bool {
		return strings.HasPrefix(call, "POST /api/usergroups.users.update ") && strings.HasSuffix(call, ": ok")
	}) {
		t.Errorf("got calls %q", got.GetCalls())
	}
	meddling = true
	if got, err := source.Revoke(t.Context(), privilege, nil); err == nil || !strings.Contains(err.Error(), "changed by somebody else") {
		t.Errorf("a group that somebody else wrote meanwhile: got %v, %v, want an error", got, err)
	}
}

// A group that Slack says to have changed, and has not, is not said to be changed.
func TestGroupLie(t *testing.T) {
	slack := fake.NewSlack(fake.SlackConfig{Plan: other, Faults: fake.Faults{Seed: 1, LieEvery: 1}})
	slack.Put(fake.SlackMember{ID: anna.ID, Name: anna.Name}, fake.SlackGroup{ID: "S0SUPPORT", Users: []string{"W0SERVICE", anna.ID}}, fake.SlackMember{ID: "W0SERVICE"})
	server := httptest.NewServer(slack)
	defer server.Close()
	source := admin(t, other, "all", sourcetest.Options{URL: server.URL, Token: "invented"})
	got, err := source.Revoke(t.Context(), &curfewv1.Privilege{Kind: userGroupKind, Holder: anna.ID, Resource: "S0SUPPORT"}, nil)
	if err == nil || !strings.Contains(err.Error(), "shows it as it was") {
		t.Errorf("got %v, %v, want an error", got, err)
	}
}

// What only tells of names is said, and keeps nobody from anything.
func TestRenamed(t *testing.T) {
	r, source := provisioner(t, enterprise)
	privilege := privileges(channelKind, "", "C0SHOP")[0]
	privilege.ResourceName = "#till"
	state, err := source.Read(t.Context(), privilege)
	if err != nil || state.GetResource() != curfewv1.Presence_PRESENCE_PRESENT || !strings.Contains(state.GetDetail(), "it is called shop now") {
		t.Errorf("a channel with another name: got %v, %v", state, err)
	}
	r.Put(fake.SlackMember{ID: anna.ID, Name: "anna.neu", RealName: "Anna Neu", Email: anna.Email, Deleted: true})
	state, err = source.Read(t.Context(), privilege)
	if err != nil || state.GetHolder() != curfewv1.Presence_PRESENCE_PRESENT || !strings.Contains(state.GetDetail(), "deactivated") {
		t.Errorf("an account with another login: got %v, %v", state, err)
	}
	// A private channel that is not shown may be there: that it is gone cannot be said.
	r.Put(fake.SlackChannel{ID: "G0HIDDEN", Private: true, Hidden: true, Members: []string{anna.ID}})
	if state, err := source.Read(t.Context(), &curfewv1.Privilege{Kind: channelKind, Holder: anna.ID, Resource: "G0HIDDEN"}); err == nil {
		t.Errorf("a channel that is not shown: got %v, want an error", state)
	}
	for _, gone := range []*curfewv1.Privilege{
		{Kind: userGroupKind, Holder: ben.ID, Resource: "S0NONE", Scope: workplace}, {Kind: workspaceRoleKind, Holder: ben.ID, Resource: "T0NONE", Level: "admin"},
	} {
		state, err := source.Read(t.Context(), gone)
		if err != nil || state.GetResource() != curfewv1.Presence_PRESENCE_ABSENT || state.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT {
			t.Errorf("%s: got %v, %v, want the resource gone", gone.GetResource(), state, err)
		}
		if got, err := source.Revoke(t.Context(), gone, nil); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
			t.Errorf("%s: got %v, %v, want GONE", gone.GetResource(), got, err)
		}
	}
}
