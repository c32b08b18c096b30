// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// githubQuery is a request for GraphQL: https://docs.github.com/en/graphql. This fake reads no query: it answers by the
// operation's name, with the fields that a query of that name asks for.
type githubQuery struct {
	Query     string `json:"query"`
	Operation string `json:"operationName"`
	Variables struct {
		Org   string  `json:"org"`
		Slug  string  `json:"slug"`
		Repo  string  `json:"repo"`
		Login string  `json:"login"`
		First int     `json:"first"`
		After *string `json:"after"`
	} `json:"variables"`
}

func (g *GitHub) graphql(c *githubCall) githubAnswer {
	var q githubQuery
	if err := json.Unmarshal(c.body, &q); err != nil || !strings.Contains(q.Query, "query "+q.Operation+"(") {
		return githubRefusal(http.StatusBadRequest, "A query attribute must be specified and must be a string.")
	}
	if q.Variables.First < 0 || q.Variables.First > 100 {
		return githubFault("EXCESSIVE_PAGINATION", "Requesting more than 100 records on a connection is not possible.")
	}
	path := "/graphql/" + q.Operation
	if slices.ContainsFunc(g.forbidden, func(forbidden string) bool {
		return strings.HasPrefix(path+"/"+q.Variables.Slug+q.Variables.Repo, forbidden)
	}) {
		return githubFault("FORBIDDEN", "Resource not accessible by personal access token")
	}
	if !g.may(c, "admin:org", "write:org", "read:org") {
		return githubFault("INSUFFICIENT_SCOPES", "Your token has not been granted the required scopes to execute this query.")
	}
	if q.Operation == "Emails" {
		return g.queryEmails(&q)
	}
	if !strings.EqualFold(q.Variables.Org, g.config.Org) {
		return githubFault("NOT_FOUND", "Could not resolve to an Organization with the login of that name.")
	}
	switch q.Operation {
	case "People":
		return g.queryPeople(&q)
	case "Identities":
		return g.queryIdentities(&q)
	case "Teams":
		return g.queryTeams(&q)
	case "TeamMembers":
		return g.queryTeamMembers(&q)
	case "Collaborators", "Collaborator":
		return g.queryCollaborators(&q)
	}
	return githubFault("undefinedField", "this fake does not know the operation")
}

// githubFault is how GraphQL refuses: with status 200.
func githubFault(kind, message string) githubAnswer {
	return githubJSON(http.StatusOK, map[string]any{
		"data": nil, "errors": []any{map[string]any{"type": kind, "message": message, "path": []string{"organization"}}},
	})
}

// githubData puts a value at the end of a path of fields.
func githubData(value any, path ...string) githubAnswer {
	for _, field := range slices.Backward(path) {
		value = map[string]any{field: value}
	}
	return githubJSON(http.StatusOK, map[string]any{"data": value})
}

// connection is a page of a list, as edges or nodes.
func (q *githubQuery) connection(kind string, items []any) map[string]any {
	start := 0
	if q.Variables.After != nil {
		start, _ = strconv.Atoi(strings.TrimPrefix(*q.Variables.After, "cursor:"))
	}
	start = min(max(start, 0), len(items))
	end := min(start+max(q.Variables.First, 1), len(items))
	return map[string]any{
		"pageInfo": map[string]any{"hasNextPage": end < len(items), "endCursor": "cursor:" + strconv.Itoa(end)},
		kind:       append([]any{}, items[start:end]...),
	}
}

func (g *GitHub) queryPeople(q *githubQuery) githubAnswer {
	var edges []any
	for _, p := range githubSorted(g.directory.People) {
		if p.Role == "" {
			continue
		}
		edges = append(edges, map[string]any{
			"role": strings.ToUpper(p.Role), "hasTwoFactorEnabled": p.TwoFactor,
			"node": map[string]any{
				"databaseId": p.ID, "login": p.Login, "name": p.Name, "createdAt": githubTime(p.Created),
				"organizationVerifiedDomainEmails": append([]string{}, p.Emails...),
			},
		})
	}
	return githubData(q.connection("edges", edges), "organization", "membersWithRole")
}

func (g *GitHub) queryIdentities(q *githubQuery) githubAnswer {
	if !g.directory.SingleSignOn {
		return githubData(nil, "organization", "samlIdentityProvider")
	}
	var nodes []any
	for _, p := range githubSorted(g.directory.People) {
		if p.Role == "" || p.SAML == "" {
			continue
		}
		nodes = append(nodes, map[string]any{
			"samlIdentity": map[string]any{"nameId": p.SAML}, "scimIdentity": nil, "user": map[string]any{"databaseId": p.ID},
		})
	}
	return githubData(q.connection("nodes", nodes), "organization", "samlIdentityProvider", "externalIdentities")
}

func (g *GitHub) queryTeams(q *githubQuery) githubAnswer {
	var nodes []any
	for _, t := range githubSorted(g.directory.Teams) {
		var parent any
		if t.Parent != 0 {
			parent = map[string]any{"databaseId": t.Parent}
		}
		nodes = append(nodes, map[string]any{"databaseId": t.ID, "slug": t.Slug, "name": t.Name, "parentTeam": parent})
	}
	return githubData(q.connection("nodes", nodes), "organization", "teams")
}

// queryTeamMembers is of a team's own members alone, or of one of them.
func (g *GitHub) queryTeamMembers(q *githubQuery) githubAnswer {
	team := g.directory.bySlug(q.Variables.Slug)
	if team == nil {
		return githubData(nil, "organization", "team")
	}
	var edges []any
	for _, p := range githubSorted(g.directory.People) {
		if role := team.Members[p.ID]; role != "" && (q.Variables.Login == "" || strings.Contains(strings.ToLower(p.Login), strings.ToLower(q.Variables.Login))) {
			edges = append(edges, map[string]any{"role": strings.ToUpper(role), "node": map[string]any{"databaseId": p.ID, "login": p.Login}})
		}
	}
	return githubData(q.connection("edges", edges), "organization", "team", "members")
}

// queryCollaborators is of who has a repository in their own right, or of one account however it has it.
func (g *GitHub) queryCollaborators(q *githubQuery) githubAnswer {
	repo := g.directory.byName(q.Variables.Repo)
	if repo == nil {
		return githubFault("NOT_FOUND", "Could not resolve to a Repository with that name.")
	}
	var edges []any
	for _, p := range githubSorted(g.directory.People) {
		if q.Variables.Login != "" && !strings.EqualFold(q.Variables.Login, p.Login) {
			continue
		}
		var sources []any
		source := func(role, kind, slug string) {
			sources = append(sources, map[string]any{"roleName": role, "permission": "READ", "source": map[string]any{"__typename": kind, "slug": slug}})
		}
		if p.Role == "admin" {
			source("admin", "Organization", "")
		}
		for _, t := range githubSorted(g.directory.Teams) {
			if role := repo.Teams[t.ID]; role != "" && t.Members[p.ID] != "" {
				source(role, "Team", t.Slug)
			}
		}
		own := repo.Collaborators[p.ID]
		if own != "" {
			source(own, "Repository", "")
		}
		if own == "" && (q.Operation == "Collaborators" || len(sources) == 0) {
			continue
		}
		edges = append(edges, map[string]any{"node": map[string]any{"databaseId": p.ID, "login": p.Login}, "permissionSources": sources})
	}
	return githubData(q.connection("edges", edges), "repository", "collaborators")
}

func (g *GitHub) queryEmails(q *githubQuery) githubAnswer {
	person := g.directory.byLogin(q.Variables.Login)
	if person == nil {
		return githubFault("NOT_FOUND", "Could not resolve to a User with that login.")
	}
	return githubData(map[string]any{"databaseId": person.ID, "organizationVerifiedDomainEmails": append([]string{}, person.Emails...)}, "user")
}
