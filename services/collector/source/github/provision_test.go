// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func serveShop(t *testing.T, s shop) *Source {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return newManager(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2, Impatient: true})
}

// registry is a fake organisation in which nobody holds anything yet.
type registry struct{ *fake.GitHub }

func newRegistry(seed uint64, token string) registry {
	setup := fake.GitHubConfig{Token: token}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 25, ServerErrorEvery: 40, DropReplyEvery: 15, LieEvery: 4, AwayAfter: 50, AwayFor: 8}
	}
	r := registry{fake.NewGitHub(setup)}
	r.Directory(func(d *fake.GitHubDirectory) {
		d.SingleSignOn = true
		for _, login := range []string{"ada", "bob", "cyn"} {
			d.Person(login, "member")
		}
		d.Team("red").Name = "The Reds"
		d.Team("blue")
		d.Repo("store")
		d.Repo("site")
		d.Role("auditor")
		for _, slug := range []string{"renew", "lint"} {
			d.Apps[slug] = "Iv1." + slug
		}
	})
	return r
}

func id(name string) int64 { return fake.GitHubID(name) }

// hold sets what somebody holds, and says what that is now.
func (r registry) hold(p *curfewv1.Privilege, set bool, level string, held bool) (now string, isHeld bool) {
	holder, _ := strconv.ParseInt(p.GetHolder(), 10, 64)     // an app's is none
	resource, _ := strconv.ParseInt(p.GetResource(), 10, 64) // the owner's role is none
	r.Directory(func(d *fake.GitHubDirectory) {
		switch p.GetKind() {
		case kindTeam:
			now = hold(d.Teams[resource].Members, holder, set, level, held)
		case kindCollaborator:
			now = hold(d.Repos[resource].Collaborators, holder, set, level, held)
		case kindInstallation:
			slug := strings.TrimPrefix(p.GetHolder(), "Iv1.")
			if set && held {
				d.Install(slug, nil)
			} else if set {
				delete(d.Installations, resource)
			}
			isHeld = d.Installations[resource] != nil
			return
		case kindOrgRole:
			role := d.Roles[resource]
			if role != nil {
				if set {
					role.Users[holder] = held
				}
				isHeld = role.Users[holder]
				return
			}
			person := d.People[holder]
			if person == nil {
				return
			}
			if set {
				person.Role = map[bool]string{true: "admin", false: "member"}[held]
			}
			isHeld = person.Role == "admin"
			return
		}
		isHeld = now != ""
	})
	return now, isHeld
}

func hold(levels map[int64]string, holder int64, set bool, level string, held bool) string {
	if set && held {
		levels[holder] = level
	} else if set {
		delete(levels, holder)
	}
	return levels[holder]
}

func (r registry) Holds(p *curfewv1.Privilege) (string, bool) { return r.hold(p, false, "", false) }

func (r registry) Hold(p *curfewv1.Privilege, level string, held bool) { r.hold(p, true, level, held) }

func (r registry) Remove(holder string) {
	r.Directory(func(d *fake.GitHubDirectory) {
		if slug, isApp := strings.CutPrefix(holder, "Iv1."); isApp {
			delete(d.Apps, slug)
			delete(d.Installations, id("installation "+slug))
			return
		}
		person, _ := strconv.ParseInt(holder, 10, 64) // It is a number.
		d.Delete(person)
	})
}

// privileges are of a kind, of holders and resources by their names.
func privileges(kind, level string, pairs ...[2]string) []*curfewv1.Privilege {
	var all []*curfewv1.Privilege
	for _, pair := range pairs {
		p := &curfewv1.Privilege{
			Source: source, Kind: kind, Level: level, Holder: number(id(pair[0])), HolderName: pair[0], Resource: number(id(pair[1])), ResourceName: pair[1],
		}
		if kind == kindInstallation {
			p.Holder = "Iv1." + pair[0]
		}
		if pair[1] == ownerRole {
			p.Resource = ownerRole
		}
		all = append(all, p)
	}
	return all
}

func TestProvision(t *testing.T) {
	sourcetest.Provision(t, sourcetest.ProvisionCase{
		New:      func(t *testing.T, options sourcetest.Options) sourcetest.Provisioner { return newManager(t, options) },
		Registry: func(seed uint64, token string) sourcetest.Registry { return newRegistry(seed, token) },
		Cases: map[string]sourcetest.PrivilegeCase{
			kindTeam: {
				Privileges: privileges(kindTeam, "maintainer", [2]string{"ada", "team red"}, [2]string{"bob", "team red"}, [2]string{"ada", "team blue"}),
				Lower:      "member",
			},
			kindCollaborator: {
				Privileges: privileges(kindCollaborator, "admin", [2]string{"ada", "repo store"}, [2]string{"bob", "repo store"}, [2]string{"cyn", "repo site"}),
				Lower:      "read",
			},
			kindOrgRole: {
				Privileges: privileges(kindOrgRole, "", [2]string{"ada", ownerRole}, [2]string{"bob", ownerRole}, [2]string{"cyn", "role auditor"}, [2]string{"ada", "role auditor"}),
			},
			kindInstallation: {
				Privileges: privileges(kindInstallation, "", [2]string{"renew", "installation renew"}, [2]string{"lint", "installation lint"}),
				GrantTask:  true, RevokeTask: true,
			},
		},
	})
}

// changed is a registry changed by hand, and a source that reads it.
func changed(t *testing.T, change func(*fake.GitHubDirectory)) (registry, *Source) {
	t.Helper()
	r := newRegistry(0, "invented")
	r.Directory(change)
	return r, serveShop(t, shop(r))
}

// Who is in a team below one is told by REST as a member of it, and is none to take out.
func TestTeamBelow(t *testing.T) {
	r, source := changed(t, func(d *fake.GitHubDirectory) {
		blue := d.Teams[id("team blue")]
		blue.Parent, blue.Members[id("ada")] = id("team red"), "member"
	})
	p := privileges(kindTeam, "", [2]string{"ada", "team red"})[0]
	state, err := source.Read(t.Context(), p)
	if err != nil || state.GetPresence() != absent || !slices.Equal(state.GetVia(), []string{"a team below red"}) {
		t.Errorf("read: got %v, %v, want absent, and a team below", state, err)
	}
	got, err := source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY || r.Changes() > 0 {
		t.Errorf("revoke: got %v, %v after %d changes, want that it was so", got, err, r.Changes())
	}
}

// What an identity provider fills is changed there, and what is changed here is put back.
func TestManagedTeam(t *testing.T) {
	_, source := changed(t, func(d *fake.GitHubDirectory) {
		red := d.Teams[id("team red")]
		red.Managed, red.Members[id("ada")] = true, "member"
	})
	p := privileges(kindTeam, "", [2]string{"ada", "team red"})[0]
	if state, err := source.Read(t.Context(), p); err != nil || !strings.Contains(state.GetDetail(), "put back") {
		t.Errorf("read: got %v, %v, want that it is put back", state, err)
	}
	got, err := source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || !strings.Contains(got.GetTask(), "identity provider") {
		t.Errorf("revoke: got %v, %v, want a task", got, err)
	}
}

// Somebody outside is invited to a repository, and to a team by a person alone: that would be the whole organisation.
func TestOutside(t *testing.T) {
	r, source := changed(t, func(d *fake.GitHubDirectory) { d.Person("guest", "") })
	for _, kind := range []*curfewv1.Privilege{
		privileges(kindTeam, "", [2]string{"guest", "team red"})[0], privileges(kindOrgRole, "", [2]string{"guest", ownerRole})[0],
	} {
		got, err := source.Grant(t.Context(), kind)
		if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || r.Changes() > 0 {
			t.Errorf("grant %s: got %v, %v after %d changes, want a task", kind.GetKind(), got, err, r.Changes())
		}
	}
	p := privileges(kindCollaborator, "push", [2]string{"guest", "repo store"})[0]
	got, err := source.Grant(t.Context(), p)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Fatalf("grant: got %v, %v, want it done", got, err)
	}
	state, err := source.Read(t.Context(), p)
	if err != nil || state.GetPresence() != pending || state.GetLevel() != "push" || state.GetHandle() == "" {
		t.Errorf("read: got %v, %v, want an invitation that waits", state, err)
	}
	if got, err = source.Grant(t.Context(), p); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
		t.Errorf("grant again: got %v, %v, want that it was so", got, err)
	}
	// Another level is another invitation.
	p.Level = "admin"
	if got, err = source.Grant(t.Context(), p); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE || len(got.GetCalls()) != 2 {
		t.Errorf("grant more: got %v, %v, want the first invitation gone and another one made", got, err)
	}
	if got, err = source.Revoke(t.Context(), p, nil); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Errorf("revoke: got %v, %v, want it done", got, err)
	}
	if state, err = source.Read(t.Context(), p); err != nil || state.GetPresence() != absent {
		t.Errorf("read: got %v, %v, want no invitation left", state, err)
	}
}

// Another way to the same repository is told, and left.
func TestVia(t *testing.T) {
	_, source := changed(t, func(d *fake.GitHubDirectory) {
		d.Teams[id("team red")].Members[id("ada")] = "member"
		d.Repos[id("repo store")].Teams[id("team red")] = "admin"
		d.Repos[id("repo store")].Collaborators[id("ada")] = "read"
	})
	p := privileges(kindCollaborator, "pull", [2]string{"ada", "repo store"})[0]
	state, err := source.Read(t.Context(), p)
	if err != nil || state.GetPresence() != present || state.GetLevel() != "pull" || !slices.Equal(state.GetVia(), []string{"team red"}) {
		t.Errorf("read: got %v, %v, want the holder's own level, and the team", state, err)
	}
}

// An account that was renamed is the same one: what it has is taken, and it is given nothing unseen.
func TestRenamed(t *testing.T) {
	_, source := changed(t, func(d *fake.GitHubDirectory) {
		d.People[id("ada")].Login = "ada-new"
		d.Teams[id("team red")].Members[id("ada")] = "member"
	})
	p := privileges(kindTeam, "maintainer", [2]string{"ada", "team red"})[0]
	if state, err := source.Read(t.Context(), p); err != nil || state.GetPresence() != present || !strings.Contains(state.GetDetail(), "called ada-new now") {
		t.Errorf("read: got %v, %v, want it there, and that the account was renamed", state, err)
	}
	got, err := source.Grant(t.Context(), p)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
		t.Errorf("grant: got %v, %v, want that there is nobody of that name", got, err)
	}
	got, err = source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Errorf("revoke: got %v, %v, want it done", got, err)
	}
}

// With the enterprise's right an app is uninstalled; else a person has to.
func TestUninstall(t *testing.T) {
	vendor := fake.NewGitHub(fake.GitHubConfig{Org: "example", Enterprise: "example-corp"})
	vendor.Directory(func(d *fake.GitHubDirectory) { d.Install("renew", nil) })
	source := serveShop(t, shop{vendor})
	p := privileges(kindInstallation, "", [2]string{"renew", "installation renew"})[0]
	got, err := source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || !strings.HasSuffix(got.GetLink(), "/organizations/example/settings/installations/"+p.GetResource()) {
		t.Errorf("revoke: got %v, %v, want a task and where to do it", got, err)
	}
	source.config.Enterprise = "example-corp"
	got, err = source.Revoke(t.Context(), p, nil)
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE || got.GetResidual() == "" || vendor.Changes() != 1 {
		t.Errorf("revoke by the enterprise: got %v, %v, want it done, and how long its tokens live", got, err)
	}
}

func TestEndSessions(t *testing.T) {
	r, source := changed(t, func(d *fake.GitHubDirectory) {
		d.Credentials[1] = &fake.GitHubCredential{ID: 1, Owner: id("ada")}
		d.Credentials[2] = &fake.GitHubCredential{ID: 2, Owner: id("bob")}
		d.Tokens[3] = &fake.GitHubToken{ID: 3, TokenID: 4, Owner: id("ada")}
	})
	got, err := source.EndSessions(t.Context(), number(id("ada")))
	want := []string{"DELETE /orgs/example/credential-authorizations/1: 204", "POST /orgs/example/personal-access-tokens/3: 204"}
	if err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK || !slices.Equal(got.GetCalls(), want) || !strings.HasSuffix(got.GetLink(), "/orgs/example/people/ada/sso") {
		t.Errorf("got %v, %v, want calls %q, and a task for the browser's session", got, err, want)
	}
	r.Directory(func(d *fake.GitHubDirectory) {
		d.SingleSignOn = false
		if d.Credentials[1] != nil || d.Credentials[2] == nil || len(d.Tokens) > 0 {
			t.Errorf("got %v and %v left, want bob's", d.Credentials, d.Tokens)
		}
	})
	if got, err = source.EndSessions(t.Context(), number(id("ada"))); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
		t.Errorf("without single sign-on: got %v, %v, want that there was nothing to end", got, err)
	}
	if got, err = source.EndSessions(t.Context(), "999"); err != nil || got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
		t.Errorf("nobody: got %v, %v, want that there is nobody", got, err)
	}
	if got, err = source.EndSessions(t.Context(), "../x"); err == nil && got.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
		t.Errorf("an app: got %v, want nothing to end", got)
	}
}
