// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/curfewhq/curfew/internal/event"
)

// probe asks for the beginning of each list that an inventory of a kind is read from, and is the first error.
func (c *checking) probe(ctx context.Context, kind string) error {
	if lacks := lacking(c.scopes, inventoryScopes[kind]); c.classic && lacks != "" {
		// What is private is left out of a list then, and no word said.
		return errors.New("the token does not have the scope " + lacks)
	}
	switch kind {
	case "people":
		return allOf(
			func() error { return c.queries(ctx, queryPeople, nil, nil) },
			func() error { return c.queries(ctx, queryIdentities, nil, nil) },
			func() error { return lists[restUser](ctx, c, "", c.orgPath("outside_collaborators"), nil) },
			func() error { return lists[restInvitation](ctx, c, "", c.orgPath("invitations"), nil) },
		)
	case "groups":
		return c.queries(ctx, queryTeams, nil, nil)
	case "memberships":
		return c.probeMemberships(ctx)
	case "roles":
		return c.probeRoles(ctx)
	case "apps":
		return lists[restInstallation](ctx, c, "installations", c.orgPath("installations"), nil)
	}
	if c.tokens == nil {
		return errors.New("GitHub shows fine-grained tokens to a GitHub App alone; the others are read")
	}
	return allOf(
		func() error { return lists[restToken](ctx, c, "", c.orgPath("personal-access-tokens"), nil) },
		func() error {
			err := lists[restCredential](ctx, c, "", c.orgPath("credential-authorizations"), nil)
			if isHidden(err) {
				return c.seesNoSignOn(ctx, err)
			}
			return err
		},
		func() error {
			return c.ofFirstRepo(ctx, func(repo string) error {
				return lists[restKey](ctx, c, "", c.base.JoinPath("repos", c.config.Org, repo, "keys"), nil)
			})
		},
	)
}

// inventoryScopes are the scopes without which lists leave something out, one of each list.
var inventoryScopes = map[string][][]string{"roles": {{"repo"}}}

func (c *checking) probeMemberships(ctx context.Context) error {
	slug := ""
	err := c.queries(ctx, queryTeams, nil, func(g *graph) {
		if g.Organization != nil && g.Organization.Teams != nil && len(g.Organization.Teams.Nodes) > 0 {
			slug = g.Organization.Teams.Nodes[0].Slug
		}
	})
	if err != nil || !isSlug(slug) {
		return err
	}
	return allOf(
		func() error { return c.queries(ctx, queryTeamMembers, map[string]any{"slug": slug}, nil) },
		func() error { return lists[restInvitation](ctx, c, "", c.orgPath("teams", slug, "invitations"), nil) },
	)
}

func (c *checking) probeRoles(ctx context.Context) error {
	return allOf(
		func() error { return c.queries(ctx, queryPeople, nil, nil) },
		func() error {
			role := ""
			err := lists(ctx, c, "roles", c.orgPath("organization-roles"), func(r restRole) { role = number(r.ID) })
			if err != nil || role == "" {
				return err
			}
			return allOf(
				func() error {
					return lists[restHolder](ctx, c, "", c.orgPath("organization-roles", role, "users"), nil)
				},
				func() error { return lists[restTeam](ctx, c, "", c.orgPath("organization-roles", role, "teams"), nil) },
			)
		},
		func() error {
			return c.ofFirstRepo(ctx, func(repo string) error {
				address := c.base.JoinPath("repos", c.config.Org, repo)
				return allOf(
					func() error { return c.queries(ctx, queryCollaborators, map[string]any{"repo": repo}, nil) },
					func() error { return lists[restTeam](ctx, c, "", address.JoinPath("teams"), nil) },
					func() error { return lists[restRepoInvitation](ctx, c, "", address.JoinPath("invitations"), nil) },
				)
			})
		},
	)
}

// ofFirstRepo calls probe with the first repository, if there is one.
func (c *checking) ofFirstRepo(ctx context.Context, probe func(repo string) error) error {
	name := ""
	err := lists(ctx, c, "", c.orgPath("repos"), func(repo restRepo) { name = repo.Name })
	if err != nil || !isSlug(name) {
		return err
	}
	return probe(name)
}

// allOf is the first error of what is done one after the other.
func allOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// queries asks for the first of a list of GraphQL's.
func (c *checking) queries(ctx context.Context, query string, variables map[string]any, look func(*graph)) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	one := map[string]any{"first": 1, "after": nil}
	for name, value := range variables {
		one[name] = value
	}
	g, err := c.ask(ctx, query, one)
	if err == nil && look != nil {
		look(g)
	}
	return err
}

// lists asks for the first of a list of REST's, and calls look with it if there is one.
func lists[T any](ctx context.Context, c *checking, key string, address *url.URL, look func(T)) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answer, err := c.get(ctx, address.String()+"?per_page=1")
	if err != nil {
		return fmt.Errorf("%s: %w", event.Clean(address.Path), err)
	}
	items, err := readList[T](answer, key)
	if err == nil && look != nil && len(items) > 0 {
		look(items[0])
	}
	return err
}
