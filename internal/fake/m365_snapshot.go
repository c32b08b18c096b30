// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// M365Snapshot is the truth of a tenant at a moment, each list in the order of ids.
type M365Snapshot struct {
	Users         []M365User
	Groups        []M365Group
	Roles         []M365Role
	Assignments   []M365RoleAssignment
	Registrations []M365Registration
	Principals    []M365Principal
	Grants        []M365Grant
	AppRoles      []M365AppRole
	// Members and Owners are those of each group.
	Members, Owners map[string][]string
	// Kinds is what each user, group, service principal and device is, in Graph's words.
	Kinds map[string]string
}

// Snapshot is the truth as it is now.
func (d *M365Directory) Snapshot() M365Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := M365Snapshot{
		Users: ordered(d.users), Groups: ordered(d.groups), Roles: ordered(d.roles), Assignments: ordered(d.assignments),
		Registrations: ordered(d.registrations), Principals: ordered(d.principals), Grants: ordered(d.grants), AppRoles: ordered(d.appRoles),
		Members: map[string][]string{}, Owners: map[string][]string{}, Kinds: map[string]string{},
	}
	for group := range d.groups {
		s.Members[group] = slices.Sorted(maps.Keys(d.members[group]))
		s.Owners[group] = slices.Sorted(maps.Keys(d.owners[group]))
	}
	for _, ids := range [][]string{
		slices.Collect(maps.Keys(d.users)), slices.Collect(maps.Keys(d.groups)), slices.Collect(maps.Keys(d.principals)), slices.Collect(maps.Keys(d.devices)),
	} {
		for _, id := range ids {
			s.Kinds[id] = d.kind(id)
		}
	}
	return s
}

// m365Maker is the tenant that makes Microsoft's own apps.
const m365Maker = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

// Churn makes something else true of everything there is: each number its own changes, the same each time.
func (d *M365Directory) Churn(n int) {
	created := time.Date(2026, time.March, 2, 8, n, 0, 0, time.UTC)
	at := func(n int) func(kind string, k int) string {
		return func(kind string, k int) string { return M365ID(kind, fmt.Sprintf("churn %d %d", n, k)) }
	}
	id, before := at(n), at(n-1)
	for k := range 4 {
		login := fmt.Sprintf("person.%d.%d@example.com", n, k)
		user := M365User{M365Person: M365Person{ID: id("user", k), Login: login, Name: fmt.Sprintf("Person %d of %d", k, n)}, Created: created}
		switch k {
		case 0:
			user.Aliases, user.Number, user.Synced = []string{fmt.Sprintf("p%d@example.com", n)}, fmt.Sprint(1000+n), fmt.Sprintf("aW52ZW50ZWQ%d==", n)
		case 1:
			user.Disabled = true
		case 2:
			user.Guest, user.Invited = true, n%2 == 0
		}
		d.Put(user)
	}
	graph := M365Principal{
		ID: M365ID("principal", "Microsoft Graph"), AppID: "00000003-0000-0000-c000-000000000000", Name: "Microsoft Graph", Owner: m365Maker,
		Roles: map[string]string{M365ID("app role", "Mail.Read"): "Mail.Read", M365ID("app role", "User.Read.All"): "User.Read.All"},
	}
	app, own := id("app", 0), id("app", 1)
	d.Put(
		M365Group{ID: id("group", 0), Name: fmt.Sprintf("Payments %d", n)},
		M365Group{ID: id("group", 1), Name: fmt.Sprintf("Team %d", n), Team: true},
		M365Group{ID: id("group", 2), Name: fmt.Sprintf("By rule %d", n), Dynamic: true},
		M365Group{ID: id("group", 3), Name: fmt.Sprintf("Synced %d", n), Synced: true},
		M365Device{ID: id("device", 0), Name: fmt.Sprintf("Laptop %d", n)},
		M365Role{ID: M365ID("role", "Reports Reader"), Name: "Reports Reader"},
		M365Role{ID: M365ID("role", "User Administrator"), Name: "User Administrator"},
		graph,
		M365Principal{
			ID: id("principal", 0), AppID: app, Name: fmt.Sprintf("Mail merge %d", n), Publisher: "Invented Ltd", Owner: M365ID("tenant", "Invented Ltd"),
			Disabled: n%2 == 1,
		},
		M365Principal{
			ID: id("principal", 1), AppID: own, Name: fmt.Sprintf("Payroll %d", n), Roles: map[string]string{id("app role", 0): ""},
			Credentials: []M365Credential{{ID: id("key", 0), Name: "signing", Certificate: true, Begins: created, Ends: created.AddDate(1, 0, 0)}},
		},
		M365Registration{ID: id("registration", 0), AppID: own, Name: fmt.Sprintf("Payroll %d", n), Credentials: []M365Credential{
			{ID: id("key", 1), Name: "deploy", Begins: created, Ends: created.AddDate(0, 6, 0)},
			{ID: id("key", 2), Certificate: true, Begins: created},
		}},
		M365RoleAssignment{ID: id("assignment", 0), Role: M365ID("role", "Reports Reader"), Holder: id("user", 0)},
		M365RoleAssignment{ID: id("assignment", 1), Role: M365ID("role", "User Administrator"), Holder: id("group", 0), Scope: "/administrativeUnits/" + id("unit", 0)},
		M365RoleAssignment{ID: id("assignment", 2), Role: M365ID("role", "Reports Reader"), Holder: id("principal", 1), Expires: created.AddDate(0, 1, 0)},
		M365RoleAssignment{ID: id("assignment", 3), Role: M365ID("role", "User Administrator"), Holder: id("user", 0), Eligible: true},
		M365Grant{ID: id("grant", 0), Client: id("principal", 0), Resource: graph.ID, Principal: id("user", 0), Scope: "User.Read Mail.Read"},
		M365Grant{ID: id("grant", 1), Client: id("principal", 0), Resource: graph.ID, Scope: "User.Read"},
		M365AppRole{ID: id("app role given", 0), Holder: id("principal", 1), Resource: graph.ID, Role: M365ID("app role", "Mail.Read"), Created: created},
		M365AppRole{ID: id("app role given", 1), Holder: id("principal", 1), Resource: graph.ID, Role: M365ID("app role", "User.Read.All"), Created: created.Add(time.Minute)},
		M365AppRole{ID: id("app role given", 2), Holder: id("user", 0), Resource: id("principal", 1), Role: id("app role", 0), Created: created},
	)
	d.Join(id("group", 0), id("user", 0), id("group", 3), id("principal", 1), id("device", 0))
	d.Join(id("group", 1), id("user", 0), id("user", 2))
	d.Join(id("group", 2), id("user", 1))
	d.Join(id("group", 3), id("user", 3))
	d.Own(id("group", 0), id("user", 0), id("principal", 1))
	d.Own(id("group", 1), id("user", 3))
	d.Delete(before("user", 1), before("group", 3), before("principal", 0), before("registration", 0), before("assignment", 1), before("app role given", 1))
	d.Leave(before("group", 0), before("user", 0))
	d.Put(M365Group{ID: before("group", 2), Name: fmt.Sprintf("By rule, renamed at %d", n), Dynamic: true})
}
