// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// OktaSnapshot is the truth of an org at a moment, each list in the order of ids.
type OktaSnapshot struct {
	People []OktaUser
	Groups []OktaGroup
	Rules  []OktaRule
	Apps   []OktaApp
	Roles  []OktaRole
	Grants []OktaGrant
	Tokens []OktaToken
	// Members are the people of each group, AppGroups the groups of each app.
	Members, AppGroups map[string][]string
	// AppUsers are those who have each app, however they have it.
	AppUsers map[string][]OktaAppUser
	// Labels are the names of custom roles.
	Labels map[string]string
}

// Snapshot is the truth as it is now.
func (o *Okta) Snapshot() OktaSnapshot {
	d := o.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	s := OktaSnapshot{
		People: ordered(d.people), Groups: ordered(d.groups), Rules: ordered(d.rules), Apps: ordered(d.apps), Roles: ordered(d.roles),
		Grants: ordered(d.grants), Tokens: ordered(d.tokens), Members: map[string][]string{}, AppGroups: map[string][]string{},
		AppUsers: map[string][]OktaAppUser{}, Labels: map[string]string{},
	}
	for group := range d.groups {
		s.Members[group] = slices.Sorted(maps.Keys(picked(d.people, func(u OktaUser) bool { return d.members[group][u.ID] })))
	}
	for app := range d.apps {
		s.AppGroups[app] = slices.Sorted(maps.Keys(picked(d.groups, func(g OktaGroup) bool { return d.appGroups[app][g.ID] })))
	}
	for app := range d.apps {
		s.AppUsers[app] = d.appUsers(app)
	}
	for id, role := range d.custom {
		s.Labels[id] = role.Label
	}
	return s
}

// Churn makes something else true of everything there is: each number its own changes, the same each time.
func (o *Okta) Churn(n int) {
	created := time.Date(2026, time.March, 2, 8, n, 0, 0, time.UTC)
	id := func(prefix string, k int) string { return OktaID(prefix, fmt.Sprintf("churn %d %d", n, k)) }
	before := func(prefix string, k int) string { return OktaID(prefix, fmt.Sprintf("churn %d %d", n-1, k)) }
	for k := range 4 {
		o.Put(OktaUser{
			ID: id("00u", k), Login: fmt.Sprintf("person.%d.%d@example.com", n, k), First: "Person", Last: fmt.Sprintf("%d of %d", k, n),
			Number: fmt.Sprint(1000 + 10*n + k), Status: []string{"ACTIVE", "SUSPENDED", "DEPROVISIONED", "PROVISIONED"}[k], Created: created,
		})
	}
	o.Put(
		OktaGroup{ID: id("00g", 0), Name: fmt.Sprintf("Team %d", n)},
		OktaGroup{ID: id("00g", 1), Name: fmt.Sprintf("Directory %d", n), Type: "APP_GROUP"},
		OktaGroup{ID: id("00g", 2), Name: fmt.Sprintf("By rule %d", n)},
		OktaRule{ID: id("0pr", 0), Name: fmt.Sprintf("Rule %d", n), Groups: []string{id("00g", 2)}, Covers: []string{id("00u", 1)}},
		OktaRule{ID: id("0pr", 1), Name: fmt.Sprintf("Idle rule %d", n), Groups: []string{id("00g", 0)}, Inactive: true},
		OktaApp{ID: id("0oa", 0), Name: "slack", Label: fmt.Sprintf("Slack %d", n), Features: []string{"PUSH_NEW_USERS"}, Created: created},
		OktaApp{ID: id("0oa", 1), Name: "oidc_client", Label: fmt.Sprintf("Reports %d", n), Service: true, Created: created},
		OktaApp{ID: id("0oa", 2), Name: "bookmark", Label: fmt.Sprintf("Bookmark %d", n), SignOn: "BOOKMARK", Status: "INACTIVE"},
		OktaCustomRole{ID: id("cr0", 0), Label: fmt.Sprintf("Helper %d", n)},
		OktaRole{ID: id("ra1", 0), Holder: id("00u", 0), Type: "USER_ADMIN", Label: "Group Administrator", Targets: []string{id("00g", 0), id("00g", 2)}},
		OktaRole{ID: id("ra1", 1), Holder: id("00u", 0), Type: "APP_ADMIN", Label: "Application Administrator", Targets: []string{id("0oa", 0), "salesforce"}},
		OktaRole{ID: id("ra1", 2), Holder: id("00g", 0), Type: "READ_ONLY_ADMIN", Label: "Read-Only Administrator"},
		OktaRole{ID: id("ra1", 3), Holder: id("0oa", 1), Type: "CUSTOM", Role: id("cr0", 0), Set: id("iam", 0), Label: fmt.Sprintf("Helper %d", n)},
		OktaRole{ID: id("ra1", 4), Holder: id("00u", 1), Type: "SUPER_ADMIN", Label: "Super Administrator"},
		OktaGrant{ID: id("oag", 0), App: id("0oa", 1), Scope: "okta.users.read", Created: created},
		OktaGrant{ID: id("oag", 1), App: id("0oa", 1), Scope: "okta.groups.read", Created: created},
		OktaGrant{ID: id("oag", 2), App: id("0oa", 1), User: id("00u", 0), Scope: "offline_access", Created: created},
		OktaGrant{ID: id("oag", 3), App: id("0oa", 1), User: id("00u", 0), Scope: "openid", Created: created.Add(time.Minute)},
		OktaGrant{ID: id("oag", 4), App: id("0oa", 1), User: id("00u", 1), Scope: "profile", Created: created},
		OktaToken{ID: id("00T", 0), Name: fmt.Sprintf("script %d", n), User: id("00u", 0), Created: created, Expires: created.AddDate(0, 0, 30)},
	)
	o.Join(id("00g", 0), id("00u", 0), id("00u", 1), before("00u", 0))
	o.Join(id("00g", 1), id("00u", 0), id("00u", 3))
	o.Assign(id("0oa", 0), id("00u", 0), id("00u", 1))
	o.AssignGroup(id("0oa", 0), id("00g", 0), id("00g", 1))
	o.Name(id("0oa", 0), id("00u", 0), fmt.Sprintf("U%04d", n))
	o.ApplyRules()
	o.Delete(before("00u", 1), before("00g", 1), before("0oa", 2), before("00T", 0), before("ra1", 2), before("oag", 4))
	o.Leave(before("00g", 0), before("00u", 0))
	o.Put(OktaGroup{ID: before("00g", 2), Name: fmt.Sprintf("By rule, renamed at %d", n)})
}
