// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// restTeam is a team, of a repository or a role.
type restTeam struct {
	ID         int64  `json:"id"`
	Slug       string `json:"slug"`
	Name       string `json:"name"`
	Permission string `json:"permission"`
	RoleName   string `json:"role_name"`
	Assignment string `json:"assignment"`
}

// restRepo is a repository.
type restRepo struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	FullName string   `json:"full_name"`
	Owner    restUser `json:"owner"`
}

// restRole is a role of the organisation.
type restRole struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// restHolder is an account that holds a role of the organisation.
type restHolder struct {
	restUser
	Assignment    string     `json:"assignment"`
	InheritedFrom []restTeam `json:"inherited_from"`
}

// restRepoInvitation is an invitation to a repository.
type restRepoInvitation struct {
	ID          int64     `json:"id"`
	Invitee     *restUser `json:"invitee"`
	Permissions string    `json:"permissions"`
}

// roles are the owners, who holds a role of the organisation, and who has a repository otherwise than by being a member.
func (o *observation) roles() {
	o.part("owners", o.members(func(edge *graphEdge) {
		if edge.Role == "ADMIN" {
			o.assignment(&curfewv1.Assignment{Role: "admin", RoleName: "owner", Holder: number(edge.Node.ID), HolderType: "account"})
		}
	}))
	o.orgRoles()
	for _, repo := range o.repos() {
		if o.ctx.Err() != nil {
			return
		}
		o.repoRoles(&repo)
	}
}

// repos are the repositories that the token sees. GitHub leaves private ones out in silence where a right is missing, so
// that is named.
func (o *observation) repos() []restRepo {
	var repos []restRepo
	read := o.part("repositories", list(o.ctx, o.Source, "", o.orgPath("repos"), func(repo restRepo) {
		if isSlug(repo.Name) {
			repos = append(repos, repo)
		}
	}))
	if err := o.seesAll(o.ctx, kindCollaborator); read && err != nil {
		o.part("repositories that the token does not see", errors.New(strings.TrimPrefix(err.Error(), errUnseen.Error()+"; ")))
	}
	return repos
}

// orgRoles are the roles of the organisation that teams and people hold; every organisation has some.
func (o *observation) orgRoles() {
	var all []restRole
	o.part("roles of the organisation", list(o.ctx, o.Source, "roles", o.orgPath("organization-roles"), func(role restRole) { all = append(all, role) }))
	for _, role := range all {
		assignment := func(holder int64, kind string) {
			o.assignment(&curfewv1.Assignment{Role: number(role.ID), RoleName: event.Clean(role.Name), Holder: number(holder), HolderType: kind})
		}
		o.part("people with role "+role.Name, list(o.ctx, o.Source, "", o.orgPath("organization-roles", number(role.ID), "users"), func(user restHolder) {
			if user.Assignment != "indirect" {
				assignment(user.ID, "account")
			}
		}))
		o.part("teams with role "+role.Name, list(o.ctx, o.Source, "", o.orgPath("organization-roles", number(role.ID), "teams"), func(team restTeam) {
			if team.Assignment != "indirect" {
				assignment(team.ID, "group")
			}
		}))
	}
}

// repoRoles are the roles that people and teams have of a repository in their own right.
func (o *observation) repoRoles(repo *restRepo) {
	scope := event.Path("repo", o.config.Org, repo.Name)
	o.part("collaborators of "+repo.Name, o.pages(o.ctx, queryCollaborators, map[string]any{"repo": repo.Name}, ofRepo, func(page *connection) {
		for _, edge := range page.Edges {
			if own := edge.own(); own != "" {
				o.assignment(&curfewv1.Assignment{Role: own, RoleName: own, Holder: number(edge.Node.ID), HolderType: "account", Scope: scope})
			}
		}
	}))
	o.part("teams of "+repo.Name, list(o.ctx, o.Source, "", o.base.JoinPath("repos", o.config.Org, repo.Name, "teams"), func(team restTeam) {
		role := roleName(cmp.Or(team.RoleName, team.Permission))
		o.assignment(&curfewv1.Assignment{Role: role, RoleName: role, Holder: number(team.ID), HolderType: "group", Scope: scope})
	}))
	o.part("invitations to "+repo.Name, list(o.ctx, o.Source, "", o.base.JoinPath("repos", o.config.Org, repo.Name, "invitations"), func(i restRepoInvitation) {
		if i.Invitee != nil {
			role := roleName(i.Permissions)
			o.assignment(&curfewv1.Assignment{Id: number(i.ID), Role: role, RoleName: role, Holder: number(i.Invitee.ID), HolderType: "account", Scope: scope, Pending: true})
		}
	}))
}

// ofRepo finds the collaborators in an answer.
func ofRepo(g *graph) (*connection, error) {
	if g.Repository == nil || g.Repository.Collaborators == nil {
		return nil, errNotThere
	}
	return g.Repository.Collaborators, nil
}

// own is the role that an account has of a repository in its own right, "" for none.
func (e *graphEdge) own() string {
	for _, source := range e.Sources {
		if source.Source.Type == "Repository" {
			return roleName(cmp.Or(source.RoleName, source.Permission))
		}
	}
	return ""
}

func (o *observation) assignment(a *curfewv1.Assignment) {
	key := a.GetRole() + "/" + a.GetHolder()
	if a.GetScope() != "" {
		// One holder has one role of a repository, and may be invited to another.
		key = a.GetScope() + "/" + a.GetHolder()
	}
	if a.GetHolderType() == "group" {
		key += "/team"
	}
	if a.GetPending() {
		key += "/invitation"
	}
	o.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: a}})
}

// restInstallation is a GitHub App on the organisation.
type restInstallation struct {
	ID          int64             `json:"id"`
	ClientID    string            `json:"client_id"`
	Slug        string            `json:"app_slug"`
	Permissions map[string]string `json:"permissions"`
	CreatedAt   string            `json:"created_at"`
	SuspendedAt string            `json:"suspended_at"`
}

// app is the installation's app, by the id that its events have too.
func (i *restInstallation) app() string { return cmp.Or(i.ClientID, number(i.ID)) }

// apps are the GitHub Apps installed on the organisation. Who installed them is not told.
func (o *observation) apps() {
	o.part("installations", list(o.ctx, o.Source, "installations", o.orgPath("installations"), func(i restInstallation) {
		access := &curfewv1.AppAccess{
			Id:     number(i.ID),
			App:    &curfewv1.App{Id: event.Clean(i.app()), Name: event.Clean(i.Slug), Scopes: levels(i.Permissions)},
			Status: "active", Created: event.ParseTime(i.CreatedAt),
		}
		if i.SuspendedAt != "" {
			access.Status = "suspended"
		}
		o.add("installation/"+access.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
	}))
}

// levels are permissions as "contents:write", sorted.
func levels(permissions map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		list = append(list, event.Clean(name+":"+permissions[name]))
	}
	return list
}

// restCredential is a token or key that its owner let in by single sign-on.
type restCredential struct {
	ID           int64    `json:"credential_id"`
	Login        string   `json:"login"`
	Type         string   `json:"credential_type"`
	Scopes       []string `json:"scopes"`
	Note         string   `json:"authorized_credential_note"`
	Title        string   `json:"authorized_credential_title"`
	AuthorizedAt string   `json:"credential_authorized_at"`
	AccessedAt   string   `json:"credential_accessed_at"`
	ExpiresAt    string   `json:"authorized_credential_expires_at"`
}

// restToken is a fine-grained personal access token with access to the organisation.
type restToken struct {
	ID          int64                        `json:"id"`
	TokenID     int64                        `json:"token_id"`
	Name        string                       `json:"token_name"`
	Owner       restUser                     `json:"owner"`
	Permissions map[string]map[string]string `json:"permissions"`
	GrantedAt   string                       `json:"access_granted_at"`
	LastUsedAt  string                       `json:"token_last_used_at"`
	ExpiresAt   string                       `json:"token_expires_at"`
}

// restKey is a deploy key.
type restKey struct {
	ID        int64  `json:"id"`
	Title     string `json:"title"`
	ReadOnly  bool   `json:"read_only"`
	CreatedAt string `json:"created_at"`
	LastUsed  string `json:"last_used"`
}

// tokens are what was let in by single sign-on, fine-grained tokens, and deploy keys. Classic tokens of organisations
// without single sign-on are not shown to anybody but their owners.
func (o *observation) tokens() {
	o.credentials()
	o.fineGrained()
	for _, repo := range o.repos() {
		if o.ctx.Err() != nil {
			return
		}
		o.part("deploy keys of "+repo.Name, list(o.ctx, o.Source, "", o.base.JoinPath("repos", o.config.Org, repo.Name, "keys"), func(key restKey) {
			scope := "write"
			if key.ReadOnly {
				scope = "read"
			}
			o.credential("deploy_key/"+number(key.ID), &curfewv1.Credential{
				Id: number(key.ID), Name: event.Clean(key.Title), Owner: event.Path("repo", o.config.Org, repo.Name), Type: "deploy_key",
				Scopes: []string{scope}, Created: event.ParseTime(key.CreatedAt), LastUsed: event.ParseTime(key.LastUsed),
			})
		}))
	}
}

func (o *observation) credential(key string, c *curfewv1.Credential) {
	o.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Credential{Credential: c}})
}

// credentials names owners by login, and events and entries name them by id. An organisation without single sign-on is
// answered as one that is not there.
func (o *observation) credentials() {
	var all []restCredential
	err := list(o.ctx, o.Source, "", o.orgPath("credential-authorizations"), func(c restCredential) { all = append(all, c) })
	if isHidden(err) {
		err = o.seesNoSignOn(o.ctx, err)
	}
	ids := map[string]string{}
	if err == nil && len(all) > 0 {
		err = o.members(func(edge *graphEdge) { ids[strings.ToLower(edge.Node.Login)] = number(edge.Node.ID) })
	}
	if !o.part("tokens and keys let in by single sign-on", err) {
		return
	}
	var strangers error
	for _, c := range all {
		owner := ids[strings.ToLower(c.Login)]
		if owner == "" {
			// Without its owner it would be another entry than with one.
			strangers = errors.New("no member has the login")
			continue
		}
		kind := strings.ReplaceAll(strings.ToLower(event.Clean(c.Type)), " ", "_")
		o.credential("credential/"+number(c.ID), &curfewv1.Credential{
			Id: number(c.ID), Name: event.Clean(cmp.Or(c.Note, c.Title)), Owner: owner, Type: kind, Scopes: cleanAll(c.Scopes),
			Created: event.ParseTime(c.AuthorizedAt), LastUsed: event.ParseTime(c.AccessedAt), ExpiresAt: event.ParseTime(c.ExpiresAt),
		})
	}
	if strangers != nil {
		o.part("owners of some tokens let in by single sign-on", strangers)
	}
}

// seesNoSignOn is nil if what was hidden is so because the organisation has no single sign-on.
func (s *Source) seesNoSignOn(ctx context.Context, hidden error) error {
	if err := s.seesAll(ctx, kindSession); err != nil {
		return err
	}
	g, err := s.ask(ctx, queryIdentities, map[string]any{"first": 1, "after": nil})
	switch {
	case err != nil:
		return err
	case g.Organization == nil || g.Organization.SAML != nil:
		return hidden
	}
	return nil
}

// fineGrained tokens are shown to GitHub Apps alone:
// https://docs.github.com/en/rest/orgs/personal-access-tokens#list-fine-grained-personal-access-tokens-with-access-to-organization-resources.
func (o *observation) fineGrained() {
	if o.Source.tokens == nil {
		o.part("fine-grained personal access tokens", errors.New("GitHub shows them to a GitHub App alone; configure one instead of the token"))
		return
	}
	o.part("fine-grained personal access tokens", list(o.ctx, o.Source, "", o.orgPath("personal-access-tokens"), func(token restToken) {
		var scopes []string
		for _, about := range []string{"organization", "repository", "other"} {
			scopes = append(scopes, levels(token.Permissions[about])...)
		}
		o.credential("token/"+number(token.TokenID), &curfewv1.Credential{
			Id: number(token.ID), Name: event.Clean(token.Name), Owner: number(token.Owner.ID), Type: "personal_access_token", Scopes: scopes,
			Created: event.ParseTime(token.GrantedAt), LastUsed: event.ParseTime(token.LastUsedAt), ExpiresAt: event.ParseTime(token.ExpiresAt),
		})
	}))
}
