// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// Some things GraphQL alone tells: names and verified addresses of people, who the identity provider says they are, and
// which of the ways to a team or repository is somebody's own. https://docs.github.com/en/graphql/reference.
const (
	queryPeople = `query People($org: String!, $first: Int!, $after: String) { organization(login: $org) { membersWithRole(first: $first, after: $after) {
 pageInfo { hasNextPage endCursor } edges { role hasTwoFactorEnabled node { databaseId login name createdAt organizationVerifiedDomainEmails(login: $org) } } } } }`
	queryIdentities = `query Identities($org: String!, $first: Int!, $after: String) { organization(login: $org) { samlIdentityProvider {
 externalIdentities(first: $first, after: $after, membersOnly: true) { pageInfo { hasNextPage endCursor }
 nodes { samlIdentity { nameId } scimIdentity { username } user { databaseId } } } } } }`
	queryTeams = `query Teams($org: String!, $first: Int!, $after: String) { organization(login: $org) { teams(first: $first, after: $after) {
 pageInfo { hasNextPage endCursor } nodes { databaseId slug name parentTeam { databaseId } } } } }`
	queryTeamMembers = `query TeamMembers($org: String!, $slug: String!, $login: String, $first: Int!, $after: String) { organization(login: $org) { team(slug: $slug) {
 members(first: $first, after: $after, membership: IMMEDIATE, query: $login) { pageInfo { hasNextPage endCursor } edges { role node { databaseId login } } } } } }`
	queryCollaborators = `query Collaborators($org: String!, $repo: String!, $first: Int!, $after: String) { repository(owner: $org, name: $repo) {
 collaborators(first: $first, after: $after, affiliation: DIRECT) { pageInfo { hasNextPage endCursor } edges { node { databaseId login } ` + sources + ` } } } }`
	queryCollaborator = `query Collaborator($org: String!, $repo: String!, $login: String!, $first: Int!, $after: String) { repository(owner: $org, name: $repo) {
 collaborators(first: $first, after: $after, affiliation: ALL, login: $login) { pageInfo { hasNextPage endCursor } edges { node { databaseId login } ` + sources + ` } } } }`
	queryEmails = `query Emails($org: String!, $login: String!) { user(login: $login) { databaseId organizationVerifiedDomainEmails(login: $org) } }`

	sources = `permissionSources { roleName permission source { __typename ... on Team { slug } } }`
)

// graph is all that is read of any answer.
type graph struct {
	Organization *struct {
		People *connection `json:"membersWithRole"`
		SAML   *struct {
			Identities *connection `json:"externalIdentities"`
		} `json:"samlIdentityProvider"`
		Teams *connection `json:"teams"`
		Team  *struct {
			Members *connection `json:"members"`
		} `json:"team"`
	} `json:"organization"`
	Repository *struct {
		Collaborators *connection `json:"collaborators"`
	} `json:"repository"`
	User *graphNode `json:"user"`
}

// connection is one page of a list.
type connection struct {
	PageInfo struct {
		HasNextPage bool   `json:"hasNextPage"`
		EndCursor   string `json:"endCursor"`
	} `json:"pageInfo"`
	Edges []graphEdge `json:"edges"`
	Nodes []graphNode `json:"nodes"`
}

type graphEdge struct {
	Role      string    `json:"role"`
	TwoFactor *bool     `json:"hasTwoFactorEnabled"`
	Node      graphNode `json:"node"`
	Sources   []struct {
		RoleName   string `json:"roleName"`
		Permission string `json:"permission"`
		Source     struct {
			Type string `json:"__typename"`
			Slug string `json:"slug"`
		} `json:"source"`
	} `json:"permissionSources"`
}

type graphNode struct {
	ID        int64     `json:"databaseId"`
	Login     string    `json:"login"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	CreatedAt string    `json:"createdAt"`
	Emails    []string  `json:"organizationVerifiedDomainEmails"`
	Parent    *graphRef `json:"parentTeam"`
	User      *graphRef `json:"user"`
	SAML      *struct {
		NameID string `json:"nameId"`
	} `json:"samlIdentity"`
	SCIM *struct {
		Username string `json:"username"`
	} `json:"scimIdentity"`
}

type graphRef struct {
	ID int64 `json:"databaseId"`
}

// graphRefused is the error for a query that GitHub refused for a missing right.
type graphRefused struct{ text string }

// Error is one line without a secret.
func (r *graphRefused) Error() string { return r.text }

// ask makes a query. Its error holds no secret.
func (s *Source) ask(ctx context.Context, query string, variables map[string]any) (*graph, error) {
	operation, _, _ := strings.Cut(strings.TrimPrefix(query, "query "), "(")
	variables["org"] = s.config.Org
	body, err := json.Marshal(map[string]any{"query": query, "operationName": operation, "variables": variables})
	if err != nil {
		return nil, fmt.Errorf("write query: %w", err)
	}
	answer, err := s.do(ctx, http.MethodPost, s.graphAddress(), body)
	for try := 0; try < 2 && isBroken(err); try++ {
		// It changes nothing, so it can be asked again, which the client does not know of a POST.
		if err := s.client.Pause(ctx, time.Second<<try); err != nil {
			return nil, err
		}
		answer, err = s.do(ctx, http.MethodPost, s.graphAddress(), body)
	}
	if err != nil {
		return nil, err
	}
	var got struct {
		Data   *graph `json:"data"`
		Errors []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(answer.Body, &got); err != nil || got.Data == nil && len(got.Errors) == 0 {
		return nil, errors.New("read answer: not one of GraphQL")
	}
	// A part of the data beside an error is not the whole of it.
	for _, wrong := range got.Errors {
		if !isRight(wrong.Type, wrong.Message) {
			return nil, errors.New(answer.Quote(fmt.Sprintf("read answer: github broke off (%s: %s)", wrong.Type, wrong.Message), 400))
		}
	}
	if len(got.Errors) > 0 {
		return nil, &graphRefused{answer.Quote(fmt.Sprintf("github refused (%s: %s)", got.Errors[0].Type, got.Errors[0].Message), 400)}
	}
	return got.Data, nil
}

// isRight is whether an error of GraphQL is about a missing right, and will be there the next time too. GitHub lists no
// types; these, and its words about single sign-on, are not confirmed.
func isRight(kind, message string) bool {
	return kind == "FORBIDDEN" || kind == "INSUFFICIENT_SCOPES" || strings.Contains(message, "SAML enforcement")
}

// isBroken is whether an error is of a server that broke.
func isBroken(err error) bool {
	var refused *vendorhttp.Refused
	return errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError
}

// graphAddress is where GraphQL is: beside the API of a server of one's own, whose path ends with its version.
func (s *Source) graphAddress() string {
	if root, isServer := strings.CutSuffix(s.base.Path, "/v3"); isServer {
		address := *s.base
		address.Path = root
		return address.JoinPath("graphql").String()
	}
	return s.base.JoinPath("graphql").String()
}

// isGraphLimited is whether an answer with status 200 refuses a query for being one too many:
// https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api.
func isGraphLimited(answer *vendorhttp.Answer) bool {
	return len(answer.Body) < 4<<10 && bytes.HasPrefix(answer.Body, []byte("{")) && bytes.Contains(answer.Body, []byte(`"RATE_LIMITED"`)) && bytes.Contains(answer.Body, []byte(`"errors"`))
}

// pages makes a query page by page and calls each with the connection that find takes from its answer. A nil connection
// ends the pages.
func (s *Source) pages(ctx context.Context, query string, variables map[string]any, find func(*graph) (*connection, error), each func(*connection)) error {
	var after any
	seen := map[string]bool{}
	for {
		variables["first"], variables["after"] = s.config.PageSize, after
		data, err := s.ask(ctx, query, variables)
		if err != nil {
			return err
		}
		page, err := find(data)
		if err != nil || page == nil {
			return err
		}
		each(page)
		if !page.PageInfo.HasNextPage {
			return nil
		}
		next := page.PageInfo.EndCursor
		if err := turn(seen, next); err != nil {
			return err
		}
		after = next
	}
}

var errNotThere = errors.New("read answer: it does not tell what was asked for")

// ofOrg is how to find a connection in an answer about the organisation.
func ofOrg(find func(g *graph) *connection) func(*graph) (*connection, error) {
	return func(g *graph) (*connection, error) {
		if g.Organization == nil {
			return nil, errNotThere
		}
		if page := find(g); page != nil {
			return page, nil
		}
		return nil, errNotThere
	}
}

// ofTeam finds a team's own members in an answer.
func ofTeam(g *graph) (*connection, error) {
	if g.Organization == nil || g.Organization.Team == nil || g.Organization.Team.Members == nil {
		return nil, errNotThere
	}
	return g.Organization.Team.Members, nil
}

func cleanAll(texts []string) []string {
	var clean []string
	for _, text := range texts {
		clean = append(clean, event.Clean(text))
	}
	return clean
}
