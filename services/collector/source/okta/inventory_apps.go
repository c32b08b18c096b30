// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// apps reads every app with the scopes that the org gave it, and then what each person consented to: one request a
// person, which is by far the most of all.
func (v *survey) apps(ctx context.Context) error {
	names := map[string]string{}
	err := v.eachApp(ctx, func(a app) error {
		names[a.ID] = event.Clean(a.Label)
		access := &curfewv1.AppAccess{App: &curfewv1.App{Id: event.Clean(a.ID), Name: names[a.ID]}, Status: status(a.Status), Created: event.ParseTime(a.Created)}
		if a.isOAuth() && !a.isOktas() {
			what := "scopes of the app " + a.ID
			err := list(ctx, v, readsGrants, at("/api/v1/apps/", a.ID, "/grants"), what, func(c consent) error {
				if isActive(c.Status) {
					access.App.Scopes = append(access.App.Scopes, event.Clean(c.ScopeID))
				}
				return nil
			})
			if err != nil {
				// An app without its scopes would look harmless.
				return v.lack(ctx, what, anApp(a.ID), err)
			}
		}
		access.App.Scopes = tidy(access.App.Scopes)
		v.add(a.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
		return nil
	})
	// Where apps may not be seen, consents lack their names, from now on and each time.
	if err := v.main("apps", err); err != nil {
		return err
	}
	path := limited("/api/v1/users", v.source.pageSize(1, maxListed))
	err = list(ctx, v, readsUsers, path, "people", func(u user) error { return v.consents(ctx, u.ID, names) })
	return v.main("consents of people", err)
}

// consents reads what a person consented to, an entry for each app.
func (v *survey) consents(ctx context.Context, person string, names map[string]string) error {
	what := "consents of " + person
	given := map[string]*curfewv1.AppAccess{}
	path := limited(at("/api/v1/users/", person, "/grants"), v.source.pageSize(1, maxListed))
	err := list(ctx, v, readsUsers, path, what, func(c consent) error {
		if c.ClientID == "" {
			v.note(what, errNoID)
			return nil
		}
		if !isActive(c.Status) {
			return nil
		}
		access := given[c.ClientID]
		if access == nil {
			access = &curfewv1.AppAccess{App: &curfewv1.App{Id: event.Clean(c.ClientID), Name: names[c.ClientID]}, Grantor: event.Clean(person), Status: "active"}
			given[c.ClientID] = access
		}
		access.App.Scopes = append(access.App.Scopes, event.Clean(c.ScopeID))
		if created := event.ParseTime(c.Created); access.Created == nil || created != nil && created.AsTime().Before(access.Created.AsTime()) {
			access.Created = created
		}
		return nil
	})
	if err != nil {
		// A part of a person's consents would look like all of them.
		return v.lack(ctx, what, aPerson(person), err)
	}
	for client, access := range given {
		access.App.Scopes = tidy(access.App.Scopes)
		v.add(client+"/"+person, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
	}
	return nil
}

// tidy is scopes in order, each once.
func tidy(scopes []string) []string {
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// roles reads the administrator roles of people, then of groups, then of service apps. A person's role by a group is the
// group's and is shown there.
func (v *survey) roles(ctx context.Context) error {
	err := v.eachAssignee(ctx, func(id string) error { return v.rolesOf(ctx, "/api/v1/users/", aPerson(id), id, "account") })
	if err := v.main("roles of people", err); err != nil {
		return err
	}
	err = v.eachGroup(ctx, "?expand=stats", func(g group) error {
		// An answer without the number is asked for each group: a role overlooked is worse than a request too many.
		if admin := g.Embedded.Stats.Admin; admin != nil && !*admin {
			return nil
		}
		return v.rolesOf(ctx, "/api/v1/groups/", aGroup(g.ID), g.ID, "group")
	})
	if err := v.main("roles of groups", err); err != nil {
		return err
	}
	err = v.eachApp(ctx, func(a app) error {
		if !a.isService() {
			return nil
		}
		return v.rolesOf(ctx, "/oauth2/v1/clients/", anApp(a.ID), a.ID, "app")
	})
	return v.main("roles of apps", err)
}

// eachAssignee reads who among the people holds a role. The list is in an object, with the link to its next page.
func (v *survey) eachAssignee(ctx context.Context, each func(id string) error) error {
	path := limited("/api/v1/iam/assignees/users", v.source.pageSize(1, 100))
	for trail := (trail{}); path != ""; {
		answer, err := v.source.readPatiently(ctx, readsRoles, path)
		if err != nil {
			return err
		}
		v.broken = 0
		var page struct {
			Value []struct {
				ID string `json:"id"`
			} `json:"value"`
			Links struct {
				Next link `json:"next"`
			} `json:"_links"`
		}
		if err := json.Unmarshal(answer.Body, &page); err != nil || page.Value == nil {
			return errors.New("read page: not an object with a list")
		}
		for _, person := range page.Value {
			if err := each(person.ID); err != nil {
				return err
			}
		}
		// Documented in the body; in the header as well, if it is there as for every other list.
		next, err := trail.after(v.source.base, path, answer.Header)
		if err != nil {
			return err
		}
		if page.Links.Next.Href != "" {
			address, err := vendorhttp.SameHost(v.source.base, page.Links.Next.Href)
			if err != nil {
				return err
			}
			if next, err = trail.follow(path, address); err != nil {
				return err
			}
		}
		path = next
	}
	return nil
}

// rolesOf reads the roles of one holder, who is of a whole.
func (v *survey) rolesOf(ctx context.Context, kind string, of whole, holder, holderType string) error {
	what := "roles of " + holder
	err := list(ctx, v, readsRoles, at(kind, holder, "/roles"), what, func(r role) error {
		if holderType == "account" && r.By == "GROUP" || !isActive(r.Status) {
			return nil
		}
		if r.ID == "" || r.key() == "" {
			v.note(what, errNoID)
			return nil
		}
		scopes, err := v.scopes(ctx, at(kind, holder, "/roles/"), r)
		if err != nil {
			// Without its limits a role would look like more than it is.
			return v.lack(ctx, "limits of the role "+r.ID+" of "+holder, whole{readsRoles, at(kind, holder, at("/roles/", r.ID))}, err)
		}
		for _, scope := range scopes {
			key := r.key() + "/" + holder
			if scope != "" {
				key += "/" + scope
			}
			v.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
				Id: event.Clean(r.ID), Role: event.Clean(r.key()), RoleName: event.Clean(r.Label), Holder: event.Clean(holder), HolderType: holderType, Scope: scope,
			}}})
		}
		return nil
	})
	if err != nil {
		return v.lack(ctx, what, of, err)
	}
	return nil
}

// scopes is on what a role holds: "" for everything.
func (v *survey) scopes(ctx context.Context, path string, r role) ([]string, error) {
	if r.Type == customRole {
		return []string{event.Path("resource_set", r.Set)}, nil
	}
	if r.targets() == "" {
		return []string{""}, nil
	}
	var scopes []string
	path += url.PathEscape(r.ID) + "/targets/" + r.targets()
	err := list(ctx, v, readsRoles, limited(path, v.source.pageSize(1, maxListed)), "limits of roles", func(target struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}) error {
		switch {
		case r.targets() == "groups":
			scopes = append(scopes, event.Path("group", target.ID))
		case target.ID != "":
			scopes = append(scopes, event.Path("app", target.ID))
		default:
			// Every instance of an app of the catalogue.
			scopes = append(scopes, event.Path("catalog_app", target.Name))
		}
		return nil
	})
	if len(scopes) == 0 {
		scopes = []string{""}
	}
	return scopes, err
}
