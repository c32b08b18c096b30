// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// githubRoute is a path of the API as GitHub documents it, with what it asks and what answers it.
type githubRoute struct {
	method, path string
	answer       func(g *GitHub, c *githubCall) githubAnswer
}

// githubCall is a request on its way to its answer.
type githubCall struct {
	*http.Request
	args []string // what stands in the path's places
	body []byte
	// isApp is whether it has a token that the app was given.
	isApp bool
}

func (c *githubCall) id(n int) int64 {
	id, err := strconv.ParseInt(c.args[n], 10, 64)
	if err != nil {
		return -1
	}
	return id
}

// githubRoutes is what this fake knows of https://docs.github.com/en/rest: "{}" stands for one part of a path.
var githubRoutes = []githubRoute{
	{"GET", "/orgs/{}", (*GitHub).getOrg},
	{"GET", "/orgs/{}/outside_collaborators", (*GitHub).listOutside},
	{"GET", "/orgs/{}/invitations", (*GitHub).listInvitations},
	{"GET", "/orgs/{}/memberships/{}", (*GitHub).getMembership},
	{"PUT", "/orgs/{}/memberships/{}", (*GitHub).putMembership},
	{"GET", "/user/memberships/orgs/{}", (*GitHub).getOwnMembership},
	{"GET", "/orgs/{}/hooks", (*GitHub).listHooks},
	{"GET", "/user/{}", (*GitHub).getUser},
	{"GET", "/orgs/{}/teams", (*GitHub).listTeams},
	{"GET", "/orgs/{}/teams/{}/invitations", (*GitHub).listTeamInvitations},
	{"GET", "/orgs/{}/teams/{}/team-sync/group-mappings", (*GitHub).listMappings},
	{"GET", "/organizations/{}/team/{}", (*GitHub).getTeam},
	{"GET", "/organizations/{}/team/{}/memberships/{}", (*GitHub).getPlace},
	{"PUT", "/organizations/{}/team/{}/memberships/{}", (*GitHub).putPlace},
	{"DELETE", "/organizations/{}/team/{}/memberships/{}", (*GitHub).deletePlace},
	{"GET", "/orgs/{}/repos", (*GitHub).listRepos},
	{"GET", "/repositories/{}", (*GitHub).getRepo},
	{"GET", "/repos/{}/{}/teams", (*GitHub).listRepoTeams},
	{"GET", "/repos/{}/{}/keys", (*GitHub).listKeys},
	{"GET", "/repos/{}/{}/invitations", (*GitHub).listRepoInvitations},
	{"DELETE", "/repos/{}/{}/invitations/{}", (*GitHub).deleteRepoInvitation},
	{"PUT", "/repos/{}/{}/collaborators/{}", (*GitHub).putCollaborator},
	{"DELETE", "/repos/{}/{}/collaborators/{}", (*GitHub).deleteCollaborator},
	{"GET", "/orgs/{}/organization-roles", (*GitHub).listRoles},
	{"GET", "/orgs/{}/organization-roles/{}", (*GitHub).getRole},
	{"GET", "/orgs/{}/organization-roles/{}/users", (*GitHub).listRoleUsers},
	{"GET", "/orgs/{}/organization-roles/{}/teams", (*GitHub).listRoleTeams},
	{"PUT", "/orgs/{}/organization-roles/users/{}/{}", (*GitHub).putRole},
	{"DELETE", "/orgs/{}/organization-roles/users/{}/{}", (*GitHub).deleteRole},
	{"GET", "/orgs/{}/installations", (*GitHub).listInstallations},
	{"GET", "/apps/{}", (*GitHub).getApp},
	{"DELETE", "/enterprises/{}/apps/organizations/{}/installations/{}", (*GitHub).deleteInstallation},
	{"GET", "/orgs/{}/credential-authorizations", (*GitHub).listCredentials},
	{"DELETE", "/orgs/{}/credential-authorizations/{}", (*GitHub).deleteCredential},
	{"GET", "/orgs/{}/personal-access-tokens", (*GitHub).listTokens},
	{"POST", "/orgs/{}/personal-access-tokens/{}", (*GitHub).revokeToken},
	{"POST", "/graphql", (*GitHub).graphql},
}

// route answers a request for anything but the audit log.
func (g *GitHub) route(c *githubCall) githubAnswer {
	for _, route := range githubRoutes {
		args, fits := githubMatch(route.path, c.URL.Path)
		if !fits || route.method != c.Method {
			continue
		}
		if slices.ContainsFunc(g.forbidden, func(path string) bool { return strings.HasPrefix(c.URL.Path, path) }) {
			return githubRefusal(http.StatusForbidden, "Must have admin rights to Repository.")
		}
		// Names of organisations stand where one is meant.
		if (strings.HasPrefix(route.path, "/orgs/{}") || strings.HasPrefix(route.path, "/repos/{}")) && !strings.EqualFold(args[0], g.config.Org) ||
			strings.HasPrefix(route.path, "/organizations/{}") && args[0] != githubNumber {
			return githubRefusal(http.StatusNotFound, "Not Found")
		}
		if g.hides(c, route.path) {
			return githubNotFound()
		}
		c.args = args
		return route.answer(g, c)
	}
	return githubRefusal(http.StatusNotFound, "Not Found")
}

// githubMatch is whether a path is one of a route, and what stands in the route's places.
func githubMatch(route, path string) (args []string, ok bool) {
	want, got := strings.Split(route, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	for i := range want {
		switch {
		case want[i] == "{}" && got[i] != "":
			args = append(args, got[i])
		case want[i] != got[i]:
			return nil, false
		}
	}
	return args, true
}

// paged answers with a page of a list, by number, with a link to the next one if there is one. Under a key the list
// stands in an object.
func (g *GitHub) paged(c *githubCall, key string, items []any) githubAnswer {
	query := c.URL.Query()
	size, err := strconv.Atoi(cmp.Or(query.Get("per_page"), "30"))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, 100)
	number, err := strconv.Atoi(cmp.Or(query.Get("page"), "1"))
	if err != nil || number < 1 {
		number = 1
	}
	start := min((number-1)*size, len(items))
	end := min(start+size, len(items))
	page := append([]any{}, items[start:end]...)
	answer := githubJSON(http.StatusOK, page)
	if key != "" {
		answer = githubJSON(http.StatusOK, map[string]any{"total_count": len(items), key: page})
	}
	if end < len(items) {
		next := url.Values{}
		for name, values := range query {
			next[name] = values
		}
		next.Set("page", strconv.Itoa(number+1))
		answer.header.Set("Link", "<http://"+c.Host+c.URL.Path+"?"+next.Encode()+`>; rel="next"`)
	}
	return answer
}

func githubNothing() githubAnswer {
	return githubAnswer{status: http.StatusNoContent, header: http.Header{}}
}

func githubNotFound() githubAnswer { return githubRefusal(http.StatusNotFound, "Not Found") }

func githubUser(p *GitHubPerson) map[string]any {
	return map[string]any{"id": p.ID, "login": p.Login, "type": "User", "site_admin": false, "name": p.Name}
}

func githubTime(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UTC().Format(time.RFC3339)
}

// getOrg shows the organisation's settings to its owners alone.
func (g *GitHub) getOrg(c *githubCall) githubAnswer {
	org := map[string]any{"id": 2001, "login": g.config.Org}
	if g.may(c, "admin:org") {
		org["plan"], org["billing_email"], org["default_repository_permission"] = map[string]any{"name": "enterprise"}, "billing@example.com", "read"
	}
	return githubJSON(http.StatusOK, org)
}

// listHooks tells of one hook of the organisation.
func (g *GitHub) listHooks(c *githubCall) githubAnswer {
	return g.paged(c, "", []any{map[string]any{"id": 9002, "active": true, "events": []string{"*"}, "config": map[string]any{"content_type": "json"}}})
}

func (g *GitHub) getUser(c *githubCall) githubAnswer {
	person := g.directory.People[c.id(0)]
	if person == nil {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, githubUser(person))
}

// listOutside lists who has a repository and is no member.
func (g *GitHub) listOutside(c *githubCall) githubAnswer {
	var users []any
	for _, person := range githubSorted(g.directory.People) {
		outside := person.Role == ""
		has := slices.ContainsFunc(githubSorted(g.directory.Repos), func(r *GitHubRepo) bool { return r.Collaborators[person.ID] != "" })
		if outside && has {
			users = append(users, githubUser(person))
		}
	}
	return g.paged(c, "", users)
}

func (g *GitHub) invitation(i *GitHubInvitation) map[string]any {
	invitation := map[string]any{"id": i.ID, "login": nil, "email": nil, "role": i.Role, "created_at": "2026-03-01T08:00:00Z"}
	if i.Email != "" {
		invitation["email"] = i.Email
	}
	if person := g.directory.People[i.Invitee]; person != nil {
		invitation["login"] = person.Login
	}
	return invitation
}

func (g *GitHub) listInvitations(c *githubCall) githubAnswer {
	var invitations []any
	for _, i := range githubSorted(g.directory.Invitations) {
		invitations = append(invitations, g.invitation(i))
	}
	return g.paged(c, "", invitations)
}

func (g *GitHub) getMembership(c *githubCall) githubAnswer {
	person := g.directory.byLogin(c.args[1])
	if person == nil || person.Role == "" {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, map[string]any{"state": "active", "role": person.Role, "user": githubUser(person)})
}

// getOwnMembership is that of the token's owner, who owns the organisation too.
func (g *GitHub) getOwnMembership(c *githubCall) githubAnswer {
	if !strings.EqualFold(c.args[0], g.config.Org) {
		return githubNotFound()
	}
	if !g.right.owner {
		return githubJSON(http.StatusOK, map[string]any{"state": "active", "role": "member"})
	}
	return githubJSON(http.StatusOK, map[string]any{"state": "active", "role": "admin"})
}

// putMembership changes a member's role; who is none would be invited, which nothing that is tested may do.
func (g *GitHub) putMembership(c *githubCall) githubAnswer {
	person := g.directory.byLogin(c.args[1])
	role := githubField(c.body, "role")
	switch {
	case person == nil:
		return githubNotFound()
	case role != "admin" && role != "member" || person.Role == "":
		return githubRefusal(http.StatusUnprocessableEntity, "Validation Failed")
	}
	g.change(func() {
		g.tellPermission(person, person.Role, role)
		person.Role = role
	})
	return githubJSON(http.StatusOK, map[string]any{"state": "active", "role": role, "user": githubUser(person)})
}
