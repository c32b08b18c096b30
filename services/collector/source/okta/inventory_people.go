// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// people reads every account, with its ids in the apps whose accounts Okta makes.
func (v *survey) people(ctx context.Context) error {
	size := v.source.pageSize(1, maxListed)
	accounts := map[string]*curfewv1.Account{}
	read := func(path, what string) error {
		return list(ctx, v, readsUsers, limited(path, size), what, func(u user) error {
			if u.ID == "" {
				v.note(what, errNoID)
				return nil
			}
			if accounts[u.ID] == nil {
				accounts[u.ID] = u.account()
				v.add(u.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: accounts[u.ID]}})
			}
			return nil
		})
	}
	// The plain list leaves deactivated people out: https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/.
	if err := v.main("people", read("/api/v1/users", "people")); err != nil {
		return v.none(err)
	}
	deactivated := "/api/v1/users?filter=" + url.QueryEscape(`status eq "DEPROVISIONED"`)
	if err := read(deactivated, "deactivated people"); err != nil {
		if err := v.lack(ctx, "deactivated people", whole{}, err); err != nil {
			return v.none(err)
		}
	}
	return v.none(v.links(ctx, accounts))
}

// none takes back what was read, where an error ended it: the accounts lack their links.
func (v *survey) none(err error) error {
	if err != nil {
		v.inventory.Entries = nil
	}
	return err
}

// system is Curfew's own word for an app of Okta's catalogue, so that its ids meet those of the source; the catalogue's
// word for any other. That Okta's externalId is the id which the app itself writes into its logs is not
// confirmed.
func system(name string) string {
	switch name {
	case "google":
		return "google_workspace"
	case "office365":
		return "m365"
	case "githubcloud":
		return "github"
	}
	return name
}

// links adds to accounts their ids elsewhere. Only apps with provisioning have such ids, so only they are asked. What is
// refused is missing from now on and each time; what breaks ends it, since links that come and go would tear people apart.
func (v *survey) links(ctx context.Context, accounts map[string]*curfewv1.Account) error {
	err := v.eachApp(ctx, func(a app) error {
		if !a.provisions() {
			return nil
		}
		what := "ids in the app " + a.ID
		path := limited(at("/api/v1/apps/", a.ID, "/users"), v.source.pageSize(1, maxListed))
		err := list(ctx, v, readsApps, path, what, func(u appUser) error {
			if account := accounts[u.ID]; account != nil && u.External != "" {
				account.Links = append(account.Links, event.Clean(system(a.Name)+":"+u.External))
			}
			return nil
		})
		if err != nil && isRefusal(err) {
			return v.lack(ctx, what, anApp(a.ID), err)
		}
		return err
	})
	if err != nil && isRefusal(err) {
		err = v.lack(ctx, "ids in apps", whole{}, err)
	}
	if err != nil {
		return err
	}
	for _, account := range accounts {
		slices.Sort(account.Links)
		account.Links = slices.Compact(account.Links)
	}
	return nil
}

// eachApp reads every app there is, inactive ones as well.
func (v *survey) eachApp(ctx context.Context, each func(app) error) error {
	path := limited("/api/v1/apps?includeNonDeleted=true", v.source.pageSize(1, maxListed))
	return list(ctx, v, readsApps, path, "apps", func(a app) error {
		if a.ID == "" {
			v.note("apps", errNoID)
			return nil
		}
		return each(a)
	})
}

// eachGroup reads every group.
func (v *survey) eachGroup(ctx context.Context, query string, each func(group) error) error {
	path := limited("/api/v1/groups"+query, v.source.pageSize(1, maxListed))
	return list(ctx, v, readsGroups, path, "groups", func(g group) error {
		if g.ID == "" {
			v.note("groups", errNoID)
			return nil
		}
		return each(g)
	})
}

// groups reads every group, and every app as a set of those who have it.
func (v *survey) groups(ctx context.Context) error {
	ruled := map[string]bool{}
	err := list(ctx, v, readsGroups, limited("/api/v1/groups/rules", v.source.pageSize(1, maxListed)), "group rules", func(r rule) error {
		for _, id := range r.Actions.Assign.GroupIDs {
			ruled[id] = ruled[id] || r.Status == "ACTIVE"
		}
		return nil
	})
	switch {
	case err != nil && !isRefusal(err):
		return err
	case err != nil:
		// From now on and each time; whoever may not see rules sees groups.
		v.note("which groups rules fill", err)
	}
	err = v.eachGroup(ctx, "", func(g group) error {
		v.add(g.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{
			Id: event.Clean(g.ID), Name: event.Clean(g.Profile.Name), Type: "group", ManagedBy: managedBy(g.Type, ruled[g.ID]),
		}}})
		return nil
	})
	if err := v.main("groups", err); err != nil {
		return err
	}
	err = v.eachApp(ctx, func(a app) error {
		v.add(a.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{
			Id: event.Clean(a.ID), Name: event.Clean(a.Label), Type: "app",
		}}})
		return nil
	})
	return v.main("apps", err)
}

// managedBy is who decides on the members of a group of a type:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Group/.
func managedBy(groupType string, ruled bool) string {
	switch {
	case groupType == typeDirectory:
		return "directory"
	case groupType == typeBuiltIn || ruled:
		return "rule"
	}
	return ""
}

// memberships reads who is in which group, and who has which app.
func (v *survey) memberships(ctx context.Context) error {
	member := func(group, member, memberType, level string) {
		v.add(group+"/"+member, &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
			Group: event.Clean(group), Member: event.Clean(member), MemberType: memberType, Level: event.Clean(level),
		}}})
	}
	err := v.eachGroup(ctx, "", func(g group) error {
		return v.part(ctx, aGroup(g.ID), "/users", 1, "members of the group "+g.ID, func(u appUser) {
			member(g.ID, u.ID, "account", "member")
		})
	})
	if err := v.main("groups", err); err != nil {
		return err
	}
	err = v.eachApp(ctx, func(a app) error {
		err := v.part(ctx, anApp(a.ID), "/users", 1, "people of the app "+a.ID, func(u appUser) {
			member(a.ID, u.ID, "account", u.Scope)
		})
		if err != nil {
			return err
		}
		// Okta refuses pages of less than 20 here.
		return v.part(ctx, anApp(a.ID), "/groups", 20, "groups of the app "+a.ID, func(g appUser) {
			member(a.ID, g.ID, "group", "member")
		})
	})
	return v.main("people of apps", err)
}

// What parts belong to.
func aPerson(id string) whole { return whole{readsUsers, at("/api/v1/users/", id)} }
func aGroup(id string) whole  { return whole{readsGroups, at("/api/v1/groups/", id)} }
func anApp(id string) whole   { return whole{readsApps, at("/api/v1/apps/", id)} }

// part reads one of many lists of those who belong to something; where it is refused, it is missing and the rest is read.
func (v *survey) part(ctx context.Context, of whole, after string, least int, what string, each func(appUser)) error {
	err := list(ctx, v, of.right, limited(of.path+after, v.source.pageSize(least, maxListed)), what, func(u appUser) error {
		if u.ID == "" {
			v.note(what, errNoID)
			return nil
		}
		each(u)
		return nil
	})
	if err != nil {
		if err := v.lack(ctx, what, of, err); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
