// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// shop is a fake organisation with a few of everything.
type shop struct{ *fake.GitHub }

func newShop(seed uint64, token string) shop {
	setup := fake.GitHubConfig{Token: token}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 15, ServerErrorEvery: 40, DropReplyEvery: 60, LieEvery: 4, AwayAfter: 30, AwayFor: 3}
	}
	s := shop{fake.NewGitHub(setup)}
	s.Directory(func(d *fake.GitHubDirectory) {
		d.SingleSignOn = true
		kim, lee, nia := d.Person("kim", "admin"), d.Person("lee", "member"), d.Person("nia", "member")
		lee.SAML, nia.TwoFactor, nia.Emails = "", false, nil
		guest := d.Person("guest", "")
		support, second := d.Team("support", lee), d.Team("second", nia)
		support.Members[kim.ID], second.Parent = "maintainer", support.ID
		d.Invitations[5] = &fake.GitHubInvitation{ID: 5, Email: "new@example.com", Role: "direct_member", Teams: []int64{support.ID}}
		store, site := d.Repo("store"), d.Repo("site")
		store.Collaborators[guest.ID], store.Collaborators[lee.ID], store.Teams[support.ID] = "read", "maintain", "write"
		store.Invitations[6] = &fake.GitHubInvitation{ID: 6, Invitee: d.Person("friend", "").ID, Role: "write"}
		site.Keys[7] = &fake.GitHubKey{ID: 7, Title: "server", ReadOnly: true, Created: kim.Created}
		auditor := d.Role("auditor")
		auditor.Users[nia.ID], auditor.Teams[support.ID] = true, true
		d.Install("renew", map[string]string{"contents": "write", "metadata": "read"})
		d.Credentials[8] = &fake.GitHubCredential{ID: 8, Owner: lee.ID, Name: "laptop", Scopes: []string{"repo"}, Authorized: kim.Created}
		d.Credentials[9] = &fake.GitHubCredential{ID: 9, Owner: nia.ID, Name: "key", SSHKey: true, Authorized: kim.Created, Accessed: kim.Created.Add(time.Hour)}
		d.Tokens[10] = &fake.GitHubToken{ID: 10, TokenID: 11, Owner: lee.ID, Name: "deploys", Permissions: map[string]string{"contents": "write"}, Granted: kim.Created}
	})
	return s
}

// Change makes, changes and takes away something of each kind.
func (s shop) Change(n int) {
	s.Directory(func(d *fake.GitHubDirectory) {
		p := d.Person(fmt.Sprintf("person-%d", n), []string{"member", "admin"}[n%2])
		team := d.Team(fmt.Sprintf("team-%d", n), p)
		repo := d.Repo(fmt.Sprintf("repo-%d", n))
		repo.Collaborators[p.ID], repo.Teams[team.ID] = "admin", "triage"
		repo.Keys[int64(100+n)] = &fake.GitHubKey{ID: int64(100 + n), Title: "key", Created: p.Created}
		d.Role(fmt.Sprintf("role-%d", n)).Users[p.ID] = true
		d.Install(fmt.Sprintf("app-%d", n), map[string]string{"issues": "read"}).Suspended = n%2 == 0
		d.Credentials[int64(200+n)] = &fake.GitHubCredential{ID: int64(200 + n), Owner: p.ID, Name: "token", Authorized: p.Created}
		before := fmt.Sprintf("person-%d", n-2)
		for id, person := range d.People {
			if person.Login == before {
				d.Delete(id)
			}
		}
		delete(d.Installations, fake.GitHubID(fmt.Sprintf("installation app-%d", n-2)))
		delete(d.Teams, fake.GitHubID(fmt.Sprintf("team team-%d", n-2)))
	})
}

func (s shop) Forbid(kind string) bool {
	part := map[string]string{
		"people": "/orgs/example/outside_collaborators", "memberships": "/graphql/TeamMembers/support", "roles": "/repos/example/store/teams",
		"tokens": "/repos/example/site/keys",
	}[kind]
	if part == "" {
		return false
	}
	s.GitHub.Forbid(part)
	return true
}

func anEntry(key string, of func(*curfewv1.Entry)) *curfewv1.Entry {
	e := &curfewv1.Entry{Key: key}
	of(e)
	return e
}

// Truth is what the directory holds, in the words of the inventory.
func (s shop) Truth(kind string) []*curfewv1.Entry {
	var entries []*curfewv1.Entry
	s.Directory(func(d *fake.GitHubDirectory) {
		entries = map[string]func(*fake.GitHubDirectory) []*curfewv1.Entry{
			"people": truePeople, "groups": trueGroups, "memberships": trueMemberships, "roles": trueRoles, "apps": trueApps, "tokens": trueTokens,
		}[kind](d)
	})
	return entries
}

func truePeople(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	add := func(key string, account *curfewv1.Account) {
		entries = append(entries, anEntry(key, func(e *curfewv1.Entry) { e.Thing = &curfewv1.Entry_Account{Account: account} }))
	}
	for _, p := range d.People {
		outside := slices.ContainsFunc(slices.Collect(maps.Values(d.Repos)), func(r *fake.GitHubRepo) bool { return r.Collaborators[p.ID] != "" })
		switch {
		case p.Role != "":
			account := &curfewv1.Account{
				Id: number(p.ID), Login: p.Login, Name: p.Name, Emails: p.Emails, Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
				Status: "active", Mfa: proto.Bool(p.TwoFactor), Created: timestamppb.New(p.Created),
			}
			if p.SAML != "" {
				account.Links = []string{"saml:" + p.SAML}
			}
			add(number(p.ID), account)
		case outside:
			add(number(p.ID), &curfewv1.Account{Id: number(p.ID), Login: p.Login, Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active", Guest: true})
		}
	}
	for _, i := range d.Invitations {
		id := "invitation/" + number(i.ID)
		add(id, &curfewv1.Account{Id: id, Emails: []string{i.Email}, Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "invited"})
	}
	return entries
}

func trueGroups(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	for _, t := range d.Teams {
		entries = append(entries, anEntry(number(t.ID), func(e *curfewv1.Entry) {
			e.Thing = &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: number(t.ID), Name: t.Name, Type: "team", Aliases: []string{"example/" + t.Slug}}}
		}))
	}
	return entries
}

func trueMemberships(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	add := func(m *curfewv1.Membership) {
		entries = append(entries, anEntry(m.GetGroup()+"/"+m.GetMember(), func(e *curfewv1.Entry) { e.Thing = &curfewv1.Entry_Membership{Membership: m} }))
	}
	for _, t := range d.Teams {
		for member, level := range t.Members {
			add(&curfewv1.Membership{Group: number(t.ID), Member: number(member), MemberType: "account", Level: level})
		}
		if t.Parent != 0 {
			add(&curfewv1.Membership{Group: number(t.Parent), Member: number(t.ID), MemberType: "group", Level: "member"})
		}
		for _, i := range d.Invitations {
			if slices.Contains(i.Teams, t.ID) {
				add(&curfewv1.Membership{Group: number(t.ID), Member: "invitation/" + number(i.ID), MemberType: "account", Level: "member", Pending: true})
			}
		}
	}
	return entries
}

func trueRoles(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	add := func(key string, a *curfewv1.Assignment) {
		entries = append(entries, anEntry(key, func(e *curfewv1.Entry) { e.Thing = &curfewv1.Entry_Assignment{Assignment: a} }))
	}
	for _, p := range d.People {
		if p.Role == "admin" {
			add("admin/"+number(p.ID), &curfewv1.Assignment{Role: "admin", RoleName: "owner", Holder: number(p.ID), HolderType: "account"})
		}
	}
	for _, r := range d.Roles {
		for holder := range r.Users {
			add(number(r.ID)+"/"+number(holder), &curfewv1.Assignment{Role: number(r.ID), RoleName: r.Name, Holder: number(holder), HolderType: "account"})
		}
		for holder := range r.Teams {
			if d.Teams[holder] != nil {
				add(number(r.ID)+"/"+number(holder)+"/team", &curfewv1.Assignment{Role: number(r.ID), RoleName: r.Name, Holder: number(holder), HolderType: "group"})
			}
		}
	}
	for _, r := range d.Repos {
		scope := "repo/example/" + r.Name
		for holder, role := range r.Collaborators {
			add(scope+"/"+number(holder), &curfewv1.Assignment{Role: role, RoleName: role, Holder: number(holder), HolderType: "account", Scope: scope})
		}
		for holder, role := range r.Teams {
			if d.Teams[holder] != nil {
				add(scope+"/"+number(holder)+"/team", &curfewv1.Assignment{Role: role, RoleName: role, Holder: number(holder), HolderType: "group", Scope: scope})
			}
		}
		for _, i := range r.Invitations {
			add(scope+"/"+number(i.Invitee)+"/invitation", &curfewv1.Assignment{Id: number(i.ID), Role: i.Role, RoleName: i.Role, Holder: number(i.Invitee), HolderType: "account", Scope: scope, Pending: true})
		}
	}
	return entries
}

func trueApps(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	for _, i := range d.Installations {
		access := &curfewv1.AppAccess{
			Id: number(i.ID), App: &curfewv1.App{Id: i.ClientID, Name: i.Slug, Scopes: levels(i.Permissions)}, Status: "active", Created: timestamppb.New(i.Created),
		}
		if i.Suspended {
			access.Status = "suspended"
		}
		entries = append(entries, anEntry("installation/"+number(i.ID), func(e *curfewv1.Entry) { e.Thing = &curfewv1.Entry_App{App: access} }))
	}
	return entries
}

func trueTokens(d *fake.GitHubDirectory) (entries []*curfewv1.Entry) {
	add := func(key string, c *curfewv1.Credential) {
		entries = append(entries, anEntry(key, func(e *curfewv1.Entry) { e.Thing = &curfewv1.Entry_Credential{Credential: c} }))
	}
	for _, c := range d.Credentials {
		credential := &curfewv1.Credential{Id: number(c.ID), Name: c.Name, Owner: number(c.Owner), Type: "personal_access_token", Scopes: c.Scopes, Created: timestamppb.New(c.Authorized)}
		if c.SSHKey {
			credential.Type = "ssh_key"
		}
		if !c.Accessed.IsZero() {
			credential.LastUsed = timestamppb.New(c.Accessed)
		}
		add("credential/"+number(c.ID), credential)
	}
	for _, t := range d.Tokens {
		add("token/"+number(t.TokenID), &curfewv1.Credential{
			Id: number(t.ID), Name: t.Name, Owner: number(t.Owner), Type: "personal_access_token", Scopes: levels(t.Permissions), Created: timestamppb.New(t.Granted),
		})
	}
	for _, r := range d.Repos {
		for _, k := range r.Keys {
			scope := "write"
			if k.ReadOnly {
				scope = "read"
			}
			add("deploy_key/"+number(k.ID), &curfewv1.Credential{
				Id: number(k.ID), Name: k.Title, Owner: "repo/example/" + r.Name, Type: "deploy_key", Scopes: []string{scope}, Created: timestamppb.New(k.Created),
			})
		}
	}
	return entries
}

// newManager is a source that reads and changes as a GitHub App, which alone is shown everything.
func newManager(t *testing.T, options sourcetest.Options) *Source {
	t.Helper()
	source, err := New(Config{URL: options.URL, Org: "example", Token: config.SecretValue(options.Token), PageSize: options.PageSize})
	if err != nil {
		t.Fatal(err)
	}
	source.tokens = vendorhttp.NewTokens(func(context.Context) (*oauth2.Token, error) {
		return &oauth2.Token{AccessToken: options.Token, Expiry: time.Now().Add(time.Hour)}, nil
	})
	hasten(source, options)
	return source
}

func TestInventory(t *testing.T) {
	sourcetest.Inventory(t, sourcetest.InventoryCase{
		Source:    source,
		New:       func(t *testing.T, options sourcetest.Options) sourcetest.Observer { return newManager(t, options) },
		Directory: func(seed uint64, token string) sourcetest.Directory { return newShop(seed, token) },
	})
}

// A personal token is not shown fine-grained tokens, and an organisation without single sign-on has nothing let in by it.
func TestInventoryIsHonest(t *testing.T) {
	s := newShop(0, "invented")
	s.Directory(func(d *fake.GitHubDirectory) { d.SingleSignOn = false })
	source := serveShop(t, s)
	source.tokens = nil
	got, err := source.Observe(t.Context(), "tokens")
	if err != nil || len(got.GetMissing()) != 1 || !strings.Contains(got.GetMissing()[0], "a GitHub App alone") || len(got.GetEntries()) != 1 {
		t.Errorf("got %v, %v, want the deploy key, and that fine-grained tokens are missing", got, err)
	}
	if got, err = source.Observe(t.Context(), "people"); err != nil || len(got.GetMissing()) > 0 || len(got.GetEntries()) != 5 {
		t.Errorf("got %v, %v, want five accounts and nothing missing", got, err)
	}
	// GitHub leaves out private repositories in silence.
	s.SetScopes("admin:org")
	for _, kind := range []string{"roles", "tokens"} {
		got, err := source.Observe(t.Context(), kind)
		if err != nil || !strings.Contains(strings.Join(got.GetMissing(), "\n"), "repositories that the token does not see: the token does not have the scope repo") {
			t.Errorf("%s without the scope repo: got %q missing, %v", kind, got.GetMissing(), err)
		}
	}
	source.config.Org = ""
	if kinds := source.Kinds(); kinds != nil {
		t.Errorf("without an organisation: got kinds %v, want none", kinds)
	}
}
