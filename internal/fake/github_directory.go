// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"
	"strings"
	"time"
)

// GitHubDirectory is who and what there is in an organisation, by id. It is reached by GitHub.Directory alone.
type GitHubDirectory struct {
	// People are all accounts that can be looked up, members or not.
	People map[int64]*GitHubPerson
	// Invitations are those to the organisation.
	Invitations map[int64]*GitHubInvitation
	// Teams, Repos, Roles, Installations, Credentials and Tokens are the organisation's.
	Teams         map[int64]*GitHubTeam
	Repos         map[int64]*GitHubRepo
	Roles         map[int64]*GitHubRole
	Installations map[int64]*GitHubInstallation
	Credentials   map[int64]*GitHubCredential
	Tokens        map[int64]*GitHubToken
	// Apps are the GitHub Apps that there are, installed or not: client id by slug.
	Apps map[string]string
	// SingleSignOn is whether the organisation has SAML single sign-on.
	SingleSignOn bool
}

// GitHubPerson is an account.
type GitHubPerson struct {
	// ID, Login and Name are the account's.
	ID          int64
	Login, Name string
	// Emails are those of the organisation's verified domains, SAML is what the identity provider calls the person.
	Emails []string
	SAML   string
	// Role is "admin" for an owner, "member", or "" for somebody outside the organisation.
	Role string
	// TwoFactor is whether a second factor is enrolled.
	TwoFactor bool
	// Created is when the account was made.
	Created time.Time
}

// GitHubInvitation is an invitation, to the organisation or to a repository.
type GitHubInvitation struct {
	ID int64
	// Invitee is the account invited; 0 where there is an Email alone.
	Invitee int64
	Email   string
	// Role is what is offered.
	Role string
	// Teams are the teams that it is to as well.
	Teams []int64
}

// GitHubTeam is a team. Members and their roles are those of its own, without those of teams below it.
type GitHubTeam struct {
	ID         int64
	Slug, Name string
	// Parent is the team above it, 0 for none.
	Parent int64
	// Members are "member" or "maintainer" by account.
	Members map[int64]string
	// Managed is whether an identity provider fills it.
	Managed bool
}

// GitHubRepo is a repository. Roles are "read", "triage", "write", "maintain" or "admin".
type GitHubRepo struct {
	ID   int64
	Name string
	// Owner is who owns it, if it was moved; "" for the organisation.
	Owner string
	// Collaborators and Teams have the roles of accounts and teams.
	Collaborators map[int64]string
	Teams         map[int64]string
	// Invitations are of people outside the organisation.
	Invitations map[int64]*GitHubInvitation
	// Keys are deploy keys.
	Keys map[int64]*GitHubKey
}

// GitHubKey is a deploy key.
type GitHubKey struct {
	ID       int64
	Title    string
	ReadOnly bool
	Created  time.Time
}

// GitHubRole is a role of the organisation.
type GitHubRole struct {
	ID           int64
	Name         string
	Users, Teams map[int64]bool
}

// GitHubInstallation is a GitHub App on the organisation.
type GitHubInstallation struct {
	ID             int64
	ClientID, Slug string
	Permissions    map[string]string
	Suspended      bool
	Created        time.Time
}

// GitHubCredential is a token or key that its owner let in by single sign-on.
type GitHubCredential struct {
	ID     int64
	Owner  int64
	SSHKey bool
	Name   string
	Scopes []string
	// Authorized and Accessed are when it was let in and last used; Accessed is zero for never.
	Authorized, Accessed time.Time
}

// GitHubToken is a fine-grained personal access token with access to the organisation.
type GitHubToken struct {
	ID, TokenID int64
	Owner       int64
	Name        string
	Permissions map[string]string
	Granted     time.Time
}

func newGitHubDirectory() *GitHubDirectory {
	return &GitHubDirectory{
		People: map[int64]*GitHubPerson{}, Invitations: map[int64]*GitHubInvitation{}, Teams: map[int64]*GitHubTeam{},
		Repos: map[int64]*GitHubRepo{}, Roles: map[int64]*GitHubRole{}, Installations: map[int64]*GitHubInstallation{},
		Credentials: map[int64]*GitHubCredential{}, Tokens: map[int64]*GitHubToken{}, Apps: map[string]string{},
	}
}

// Directory calls look with who and what there is, which look may change as a person in the organisation's settings would.
// The organisation answers nothing meanwhile.
func (g *GitHub) Directory(look func(*GitHubDirectory)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	look(g.directory)
}

// Person adds a member whose id follows from the login.
func (d *GitHubDirectory) Person(login, role string) *GitHubPerson {
	p := &GitHubPerson{
		ID: GitHubID(login), Login: login, Name: strings.ToUpper(login[:1]) + login[1:], Role: role, TwoFactor: true,
		Created: time.Date(2024, time.May, 2, 8, 0, 0, 0, time.UTC), Emails: []string{login + "@example.com"}, SAML: login + "@example.com",
	}
	d.People[p.ID] = p
	return p
}

// Team adds a team whose id follows from the slug.
func (d *GitHubDirectory) Team(slug string, members ...*GitHubPerson) *GitHubTeam {
	t := &GitHubTeam{ID: GitHubID("team " + slug), Slug: slug, Name: strings.ToUpper(slug[:1]) + slug[1:], Members: map[int64]string{}}
	for _, member := range members {
		t.Members[member.ID] = "member"
	}
	d.Teams[t.ID] = t
	return t
}

// Repo adds a repository whose id follows from the name.
func (d *GitHubDirectory) Repo(name string) *GitHubRepo {
	r := &GitHubRepo{
		ID: GitHubID("repo " + name), Name: name, Collaborators: map[int64]string{}, Teams: map[int64]string{},
		Invitations: map[int64]*GitHubInvitation{}, Keys: map[int64]*GitHubKey{},
	}
	d.Repos[r.ID] = r
	return r
}

// Role adds a role of the organisation whose id follows from the name.
func (d *GitHubDirectory) Role(name string) *GitHubRole {
	r := &GitHubRole{ID: GitHubID("role " + name), Name: name, Users: map[int64]bool{}, Teams: map[int64]bool{}}
	d.Roles[r.ID] = r
	return r
}

// Install adds a GitHub App to the organisation; its ids follow from the slug.
func (d *GitHubDirectory) Install(slug string, permissions map[string]string) *GitHubInstallation {
	i := &GitHubInstallation{
		ID: GitHubID("installation " + slug), ClientID: "Iv1." + slug, Slug: slug, Permissions: permissions,
		Created: time.Date(2025, time.June, 3, 9, 0, 0, 0, time.UTC),
	}
	d.Installations[i.ID] = i
	d.Apps[slug] = i.ClientID
	return i
}

// Delete deletes an account, and with it all that it holds.
func (d *GitHubDirectory) Delete(person int64) {
	delete(d.People, person)
	for _, team := range d.Teams {
		delete(team.Members, person)
	}
	for _, repo := range d.Repos {
		delete(repo.Collaborators, person)
		for id, invitation := range repo.Invitations {
			if invitation.Invitee == person {
				delete(repo.Invitations, id)
			}
		}
	}
	for _, role := range d.Roles {
		delete(role.Users, person)
	}
	for id, credential := range d.Credentials {
		if credential.Owner == person {
			delete(d.Credentials, id)
		}
	}
	for id, token := range d.Tokens {
		if token.Owner == person {
			delete(d.Tokens, id)
		}
	}
}

func (d *GitHubDirectory) byLogin(login string) *GitHubPerson {
	for _, person := range d.People {
		if strings.EqualFold(person.Login, login) {
			return person
		}
	}
	return nil
}

func (d *GitHubDirectory) bySlug(slug string) *GitHubTeam {
	for _, team := range d.Teams {
		if team.Slug == slug {
			return team
		}
	}
	return nil
}

func (d *GitHubDirectory) byName(name string) *GitHubRepo {
	for _, repo := range d.Repos {
		if repo.Name == name && repo.Owner == "" {
			return repo
		}
	}
	return nil
}

// below is whether an account is in a team below one.
func (d *GitHubDirectory) below(team, person int64) bool {
	for _, child := range d.Teams {
		if child.Parent == team && (child.Members[person] != "" || d.below(child.ID, person)) {
			return true
		}
	}
	return false
}

// Forbid makes GitHub refuse what begins with a path, as it refuses a missing right; of GraphQL, the path is
// "/graphql/" and the operation's name.
func (g *GitHub) Forbid(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forbidden = append(g.forbidden, path)
}

// Changes is how many changes took effect through the API so far.
func (g *GitHub) Changes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes
}

// change makes a change take effect, unless this is one that is answered and not made.
func (g *GitHub) change(make func()) {
	if g.faults.lies() {
		return
	}
	make()
	g.changes++
}

// githubSorted are the values of a map by their keys.
func githubSorted[V any](values map[int64]V) []V {
	keys := make([]int64, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	sorted := make([]V, 0, len(keys))
	for _, key := range keys {
		sorted = append(sorted, values[key])
	}
	return sorted
}
