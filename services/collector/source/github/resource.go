// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// resource is what the act was done to: what the action's family says where the record names it, else the narrowest
// thing the record names.
func (d *decoding) resource() *curfewv1.Resource {
	family, _, _ := strings.Cut(d.action, ".")
	order := []func() *curfewv1.Resource{d.repo, d.team, d.org, d.business, d.user}
	switch {
	case family == "team" || family == "team_discussions" || family == "team_group_mapping" || family == "enterprise_team":
		order = []func() *curfewv1.Resource{d.team, d.org, d.business}
	case family == "org" || strings.HasPrefix(family, "org_") || strings.HasPrefix(family, "organization"):
		order = []func() *curfewv1.Resource{d.org, d.business}
	case strings.HasPrefix(family, "business") || strings.HasPrefix(family, "enterprise"):
		order = []func() *curfewv1.Resource{d.business, d.org}
	case strings.HasPrefix(family, "user") || strings.HasPrefix(family, "two_factor") || family == "passkey" || family == "security_key":
		order = []func() *curfewv1.Resource{d.user}
	}
	for _, find := range order {
		if found := find(); found != nil {
			return found
		}
	}
	return nil
}

func (d *decoding) repo() *curfewv1.Resource {
	name := cmp.Or(d.Repo.Text, d.Repository.Text)
	if name == "" {
		return nil
	}
	r := owned("repo", name, d.Org.Text)
	r.Visibility = event.Clean(d.Visibility.Text)
	if r.GetVisibility() == "" && (d.PublicRepo.Text == "true" || d.RepositoryPublic.Text == "true") {
		r.Visibility = "public"
	}
	return r
}

func (d *decoding) team() *curfewv1.Resource {
	if d.Team.Text == "" {
		return nil
	}
	return owned("team", d.Team.Text, cmp.Or(d.Org.Text, d.Business.Text))
}

// org is the organisation; where only a repository is named, the one that owns it.
func (d *decoding) org() *curfewv1.Resource {
	owner, _, both := strings.Cut(cmp.Or(d.Repo.Text, d.Repository.Text), "/")
	if d.Org.Text == "" && both {
		return single("org", owner)
	}
	return single("org", d.Org.Text)
}

func (d *decoding) business() *curfewv1.Resource { return single("business", d.Business.Text) }

// user is the account acted on; where the record names none but the actor, the actor's own.
func (d *decoding) user() *curfewv1.Resource {
	return single("user", cmp.Or(d.User.Text, d.Actor.Text))
}

// owned is the resource of "owner/name", or of a name whose owner stands elsewhere.
func owned(kind, name, owner string) *curfewv1.Resource {
	if before, after, both := strings.Cut(name, "/"); both {
		owner, name = before, after
	}
	r := &curfewv1.Resource{Path: event.Path(kind, owner, name), Kind: kind, Name: event.Clean(name)}
	if owner != "" {
		r.Name = event.Clean(owner + "/" + name)
		r.Owner = event.Clean(owner)
	}
	return r
}

func single(kind, id string) *curfewv1.Resource {
	if id == "" {
		return nil
	}
	return &curfewv1.Resource{Path: event.Path(kind, id), Kind: kind, Name: event.Clean(id)}
}

// app is the application that an act was done through or gave access to. A token stands as an application of its own in
// the acts that are about tokens; elsewhere it is only how its owner came in.
func (d *decoding) app() *curfewv1.App {
	family, _, _ := strings.Cut(d.action, ".")
	a := &d.apps
	id := cmp.Or(a.ApplicationClient.Text, a.OAuthApplicationID.Text, a.InstallationID.Text)
	name := cmp.Or(a.Integration.Text, a.OAuthName.Text, a.OAuthApplication.Text, a.ApplicationName.Text)
	lists := []named{{"scopes", a.Scopes}}
	switch {
	case strings.HasPrefix(family, "integration"):
		// Before integration was there, the app's name stood in name.
		name = cmp.Or(name, d.Name.Text)
		lists = append(lists, named{"permissions", a.Permissions})
	case family == "personal_access_token":
		id, name = tokenID(a), cmp.Or(a.ProgrammaticName.Text, name)
		lists = []named{{"permissions", a.Permissions}, {"scopes", a.Scopes}, {"token_scopes", a.TokenScopes}}
	case family == "org_credential_authorization" || family == "oauth_access" || family == "oauth_authorization":
		if id == "" && name == "" {
			id = tokenID(a)
		}
		lists = append(lists, named{"token_scopes", a.TokenScopes})
	}
	if id == "" && name == "" {
		return nil
	}
	app := &curfewv1.App{Id: event.Clean(cmp.Or(id, name)), Name: event.Clean(name)}
	for _, l := range lists {
		if len(l.scopes.list) == 0 {
			continue
		}
		app.Scopes = l.scopes.list
		if l.scopes.cut {
			d.odd(l.field + ": more than can be kept; the rest stands in the record")
		}
		break
	}
	return app
}

// named is a list of scopes and the field it came from.
type named struct {
	field  string
	scopes scopes
}

// tokenID tells a token by GitHub's own id of it, else by its hash; never by the token.
func tokenID(a *apps) string {
	id := cmp.Or(a.ProgrammaticID.Text, a.TokenID.Text, a.HashedToken.Text)
	if id == "" {
		return ""
	}
	return "token/" + id
}
