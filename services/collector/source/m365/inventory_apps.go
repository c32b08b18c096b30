// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The lists of directory roles. That they take a size of their pages is not confirmed, so they are given none.
const (
	rolesPath       = "/v1.0/roleManagement/directory/roleDefinitions"
	assignmentsPath = "/v1.0/roleManagement/directory/roleAssignments"
	instancesPath   = "/v1.0/roleManagement/directory/roleAssignmentScheduleInstances"
	eligiblePath    = "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances"
)

// roles reads who holds a directory role, and who may activate one.
func (v *survey) roles(ctx context.Context) error {
	names, ends := map[string]string{}, map[string]string{}
	err := list(ctx, v, readsRoles, rolesPath+"?$select=id,displayName", "names of roles", func(r *struct {
		ID   string `json:"id"`
		Name string `json:"displayName"`
	}) error {
		names[r.ID] = r.Name
		return nil
	})
	if err := v.whole("names of roles", err); err != nil {
		return err
	}
	err = list(ctx, v, readsSchedule, instancesPath, "ends of roles", func(a *assignment) error {
		if a.Through != "Group" && a.Ends != "" {
			ends[a.key()] = a.Ends
		}
		return nil
	})
	// Without the plan no role has an end.
	if code(err) != codeNoPIM {
		// Refused, ends lack from now on and each time.
		if err := v.whole("ends of roles", err); err != nil {
			return err
		}
	}
	add := func(a *assignment, key, what string, pending bool) {
		if a.Role == "" || a.Holder == "" {
			v.note(what, errNoID)
			return
		}
		entry := &curfewv1.Assignment{
			Id: event.Clean(a.ID), Role: event.Clean(a.Role), RoleName: event.Clean(names[a.Role]), Holder: event.Clean(a.Holder),
			HolderType: a.Object.holderType(), Scope: event.Clean(a.scope()), Pending: pending, ExpiresAt: event.ParseTime(a.Ends),
		}
		v.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Assignment{Assignment: entry}})
	}
	err = list(ctx, v, readsRoles, assignmentsPath+"?$expand=principal", "roles", func(a *assignment) error {
		a.Ends = ends[a.key()]
		add(a, a.key(), "roles", false)
		return nil
	})
	if err := v.whole("roles", err); err != nil {
		return err
	}
	const eligible = "roles to be activated"
	err = list(ctx, v, readsSchedule, eligiblePath+"?$expand=principal", eligible, func(a *assignment) error {
		// What a group may activate is shown of the group.
		if a.Through != "Group" {
			add(a, a.key()+"/eligible", eligible, true)
		}
		return nil
	})
	if code(err) == codeNoPIM {
		return nil
	}
	return v.whole(eligible, err)
}

// apps reads which apps were given what. It keeps what names an app by its service principal's id.
func (v *survey) apps(ctx context.Context) error {
	known := map[string]*principal{}
	err := v.eachPrincipal(ctx, "id,appId,displayName,accountEnabled,appOwnerOrganizationId,verifiedPublisher", func(p *principal) error {
		known[p.ID] = p
		return nil
	})
	if err != nil {
		// Without them nothing here has a name that stays.
		return err
	}
	if err := v.whole("delegated permissions", v.delegated(ctx, known)); err != nil {
		return err
	}
	values := map[string]map[string]string{}
	for _, p := range sortedByID(known) {
		if strings.EqualFold(p.Owner, microsoft) {
			continue
		}
		if err := v.permissions(ctx, p, known, values); err != nil {
			return err
		}
	}
	return nil
}

func sortedByID(known map[string]*principal) []*principal {
	list := make([]*principal, 0, len(known))
	for _, p := range known {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *principal) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// access is an entry of an app without its scopes.
func (p *principal) access() *curfewv1.AppAccess {
	return &curfewv1.AppAccess{
		App: &curfewv1.App{Id: event.Clean(p.AppID), Name: event.Clean(p.Name)}, Publisher: event.Clean(p.Publisher.Name), Status: p.status(),
	}
}

// delegated reads what apps may do for people.
func (v *survey) delegated(ctx context.Context, known map[string]*principal) error {
	const what = "delegated permissions"
	given := map[string]*curfewv1.AppAccess{}
	return list(ctx, v, readsGrants, v.source.topped("/v1.0/oauth2PermissionGrants"), what, func(g *permissionGrant) error {
		client, resource := known[g.Client], known[g.Resource]
		if client == nil || resource == nil {
			// It was made, or is gone, since apps were listed.
			return nil
		}
		key := client.AppID + "/*/" + resource.AppID
		if g.Principal != "" {
			key = client.AppID + "/" + g.Principal + "/" + resource.AppID
		}
		access := given[key]
		if access == nil {
			access = client.access()
			access.Id, access.Grantor = event.Clean(g.ID), event.Clean(g.Principal)
			given[key] = access
			v.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
		}
		access.App.Scopes = tidy(append(access.App.Scopes, strings.Fields(event.Clean(g.Scope))...))
		return nil
	})
}

// permissions reads the application permissions of an app, an entry for each API.
func (v *survey) permissions(ctx context.Context, p *principal, known map[string]*principal, values map[string]map[string]string) error {
	what := "application permissions of the app " + p.ID
	given := map[string]*curfewv1.AppAccess{}
	var unnamed error
	err := list(ctx, v, readsApps, at("/v1.0/servicePrincipals/", p.ID, "/appRoleAssignments"), what, func(r *roleGiven) error {
		resource := known[r.Resource]
		if resource == nil {
			return nil
		}
		if values[r.Resource] == nil {
			offered, err := v.offered(ctx, r.Resource)
			if err != nil {
				unnamed = err
				return err
			}
			values[r.Resource] = offered
		}
		access := given[resource.AppID]
		if access == nil {
			access = p.access()
			given[resource.AppID] = access
		}
		value := values[r.Resource][r.Role]
		if value == "" {
			// A role need not have a word of its own.
			value = r.Role
		}
		access.App.Scopes = append(access.App.Scopes, event.Clean(value))
		if created := event.ParseTime(r.Created); created != nil && (access.Created == nil || created.AsTime().Before(access.Created.AsTime())) {
			access.Created = created
		}
		return nil
	})
	switch {
	case unnamed != nil && ctx.Err() == nil:
		// That an API is gone does not say so of the app that has its permissions.
		return v.gap(what, unnamed)
	case err != nil:
		// A part of an app's permissions would look like all of them.
		return v.lack(ctx, what, err)
	}
	for resource, access := range given {
		access.App.Scopes = tidy(access.App.Scopes)
		v.add(p.AppID+"/app/"+resource, &curfewv1.Entry{Thing: &curfewv1.Entry_App{App: access}})
	}
	return nil
}

// offered is the words for the application permissions that an API offers, by their ids.
func (v *survey) offered(ctx context.Context, resource string) (map[string]string, error) {
	answer, err := v.source.readPatiently(ctx, readsApps, at("/v1.0/servicePrincipals/", resource, "?$select=id,appRoles"))
	if err != nil {
		return nil, err
	}
	var p principal
	if err := json.Unmarshal(answer.Body, &p); err != nil || p.ID == "" {
		return nil, errors.New("read the API's permissions: the answer is not as it is documented")
	}
	words := map[string]string{}
	for _, role := range p.Roles {
		words[role.ID] = role.Value
	}
	return words, nil
}

// tidy is scopes in order, each once.
func tidy(scopes []string) []string {
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// tokens reads the secrets and certificates of apps, of those that the tenant makes first. Of a secret nothing is read but
// its id, its name and its dates.
func (v *survey) tokens(ctx context.Context) error {
	const fields = "id,appId,passwordCredentials,keyCredentials"
	add := func(p *principal) error {
		for _, of := range []struct {
			kind string
			list []credential
		}{{"client_secret", p.Secrets}, {"certificate", p.Keys}} {
			for _, c := range of.list {
				if c.ID == "" {
					v.note("tokens of the app "+p.ID, errNoID)
					continue
				}
				// A certificate can have a secret of the same id: that which opens its private key.
				v.add(p.ID+"/"+of.kind+"/"+c.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
					Id: event.Clean(c.ID), Name: event.Clean(c.Name), Owner: event.Clean(p.AppID), Type: of.kind,
					Created: event.ParseTime(c.Created), ExpiresAt: event.ParseTime(c.Expires),
				}}})
			}
		}
		return nil
	}
	const what = "app registrations"
	err := list(ctx, v, readsApps, v.source.topped("/v1.0/applications?$select="+fields), what, func(p *principal) error {
		if p.ID == "" {
			v.note(what, errNoID)
			return nil
		}
		return add(p)
	})
	if err := v.whole(what, err); err != nil {
		return err
	}
	return v.whole("service principals", v.eachPrincipal(ctx, fields, add))
}
