// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// M365Object is something a tenant can hold: an M365User, M365Group, M365Device, M365Role, M365RoleAssignment,
// M365Registration, M365Principal, M365Grant or M365AppRole.
type M365Object interface{ put(*M365Directory) }

// M365User is a person of the tenant, or a guest.
type M365User struct {
	// M365Person is id, user principal name and display name.
	M365Person
	// Mail is their address: the login if empty. Aliases are further ones.
	Mail    string
	Aliases []string
	// Number is their employeeId, Synced the immutable id of the directory that they come from.
	Number, Synced string
	// Guest and Invited are whether they are of another organisation, and have not come yet; Disabled is whether they may
	// not sign in.
	Guest, Invited, Disabled bool
	// Created is when; never if zero.
	Created time.Time
}

// M365Group is a group: a security group where nothing is set.
type M365Group struct {
	// ID and Name name it.
	ID, Name string
	// Team is whether it is a Microsoft 365 group with a team, Mail whether it is a security group that takes mail.
	Team, Mail bool
	// Dynamic, Synced and ForRoles are whether a rule fills it, another directory does, and roles can be given to it.
	Dynamic, Synced, ForRoles bool
}

// M365Device is a computer: what else can be in a group.
type M365Device struct{ ID, Name string }

// M365Role is the definition of a directory role.
type M365Role struct{ ID, Name string }

// M365RoleAssignment is a directory role that a user, a group or a service principal holds.
type M365RoleAssignment struct {
	// ID is made if empty.
	ID string
	// Role, Holder and Scope are what, who and on what; "/" if Scope is empty.
	Role, Holder, Scope string
	// Expires is when it ends; never if zero.
	Expires time.Time
	// Eligible is whether the holder has to activate it first.
	Eligible bool
}

// M365Credential is a secret or a certificate of an app, of which nobody sees the value.
type M365Credential struct {
	// ID is its keyId, Name what people see.
	ID, Name string
	// Certificate is what it is; a secret otherwise.
	Certificate bool
	// Begins and Ends are when; never if zero.
	Begins, Ends time.Time
}

// M365Registration is an app that the tenant makes.
type M365Registration struct {
	// ID is the object's, AppID the client id.
	ID, AppID, Name string
	// Credentials open it.
	Credentials []M365Credential
}

// M365Principal is a service principal: an app as the tenant uses it.
type M365Principal struct {
	// ID is the object's, AppID the client id.
	ID, AppID, Name string
	// Publisher is the verified publisher, Owner the tenant of whoever makes it: this one if empty.
	Publisher, Owner string
	// Disabled is whether nobody can use it.
	Disabled bool
	// Roles are the application permissions that it offers, value by id.
	Roles map[string]string
	// Credentials open it.
	Credentials []M365Credential
}

// M365Grant is consent to delegated permissions.
type M365Grant struct {
	// ID is made if empty.
	ID string
	// Client may use Resource, both service principals, for Principal, or for everybody where that is empty.
	Client, Resource, Principal string
	// Scope is the permissions, with spaces between.
	Scope string
}

// M365AppRole is an application permission, or a place in an app, that somebody was given.
type M365AppRole struct {
	// ID is made if empty.
	ID string
	// Holder has Role of Resource.
	Holder, Resource, Role string
	// Created is when; never if zero.
	Created time.Time
}

// M365Directory is a tenant's people, groups, roles and apps, as Graph shows and changes them.
type M365Directory struct {
	tenant *M365
	mux    *http.ServeMux

	mu            sync.Mutex
	users         map[string]M365User
	groups        map[string]M365Group
	devices       map[string]M365Device
	roles         map[string]M365Role
	assignments   map[string]M365RoleAssignment
	registrations map[string]M365Registration
	principals    map[string]M365Principal
	grants        map[string]M365Grant
	appRoles      map[string]M365AppRole
	members       map[string]map[string]bool // by group
	owners        map[string]map[string]bool // by group
	deleted       map[string]string          // the kind of what can be restored
	ended         map[string]int             // how often a person's sessions were ended
	forbidden     []string
	changes       int
	made          int
}

func newM365Directory(tenant *M365) *M365Directory {
	d := &M365Directory{
		tenant: tenant,
		users:  map[string]M365User{}, groups: map[string]M365Group{}, devices: map[string]M365Device{}, roles: map[string]M365Role{},
		assignments: map[string]M365RoleAssignment{}, registrations: map[string]M365Registration{}, principals: map[string]M365Principal{},
		grants: map[string]M365Grant{}, appRoles: map[string]M365AppRole{},
		members: map[string]map[string]bool{}, owners: map[string]map[string]bool{}, ended: map[string]int{}, deleted: map[string]string{},
	}
	d.mux = d.route()
	return d
}

func (u M365User) put(d *M365Directory) {
	if u.Mail == "" {
		u.Mail = u.Login
	}
	d.users[u.ID] = u
}

func (g M365Group) put(d *M365Directory) { d.groups[g.ID] = g }

func (c M365Device) put(d *M365Directory) { d.devices[c.ID] = c }

func (r M365Role) put(d *M365Directory) { d.roles[r.ID] = r }

func (a M365RoleAssignment) put(d *M365Directory) {
	if a.Scope == "" {
		a.Scope = "/"
	}
	if a.ID == "" {
		a.ID = d.newID("assignment")
	}
	d.assignments[a.ID] = a
}

func (r M365Registration) put(d *M365Directory) { d.registrations[r.ID] = r }

func (p M365Principal) put(d *M365Directory) {
	if p.Owner == "" {
		p.Owner = m365Tenant
	}
	d.principals[p.ID] = p
}

func (g M365Grant) put(d *M365Directory) {
	if g.ID == "" {
		g.ID = d.newID("grant")
	}
	d.grants[g.ID] = g
}

func (a M365AppRole) put(d *M365Directory) {
	if a.ID == "" {
		a.ID = d.newID("app role")
	}
	d.appRoles[a.ID] = a
}

// newID is an id as Graph gives to what joins two objects: no GUID.
func (d *M365Directory) newID(kind string) string {
	d.made++
	return strings.ReplaceAll(M365ID(kind, fmt.Sprint(d.made)), "-", "_") + "-1"
}

// Put makes the objects what they are, or replaces those of the same id.
func (d *M365Directory) Put(objects ...M365Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, object := range objects {
		object.put(d)
	}
}

// Delete removes the objects of these ids, and what those among them held.
func (d *M365Directory) Delete(ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.remove(id)
	}
}

func (d *M365Directory) remove(id string) {
	// Of groups only those of Microsoft 365 can be restored: https://learn.microsoft.com/graph/api/resources/directory.
	if kind := d.kind(id); kind == "user" || kind == "servicePrincipal" || d.groups[id].Team {
		d.deleted[id] = kind
	}
	delete(d.users, id)
	delete(d.groups, id)
	delete(d.devices, id)
	delete(d.roles, id)
	delete(d.assignments, id)
	delete(d.registrations, id)
	delete(d.principals, id)
	delete(d.grants, id)
	delete(d.appRoles, id)
	for _, relation := range []map[string]map[string]bool{d.members, d.owners} {
		delete(relation, id)
		for _, related := range relation {
			delete(related, id)
		}
	}
	maps.DeleteFunc(d.assignments, func(_ string, a M365RoleAssignment) bool { return a.Holder == id || a.Role == id })
	maps.DeleteFunc(d.grants, func(_ string, g M365Grant) bool { return g.Client == id || g.Resource == id || g.Principal == id })
	maps.DeleteFunc(d.appRoles, func(_ string, a M365AppRole) bool { return a.Holder == id || a.Resource == id })
}

// Join makes users, groups, service principals and devices members of a group, whatever fills it.
func (d *M365Directory) Join(group string, ids ...string) { d.relate(d.members, group, ids, true) }

// Leave is the contrary of Join.
func (d *M365Directory) Leave(group string, ids ...string) { d.relate(d.members, group, ids, false) }

// Own makes users and service principals owners of a group.
func (d *M365Directory) Own(group string, ids ...string) { d.relate(d.owners, group, ids, true) }

// Disown is the contrary of Own.
func (d *M365Directory) Disown(group string, ids ...string) { d.relate(d.owners, group, ids, false) }

func (d *M365Directory) relate(relation map[string]map[string]bool, group string, ids []string, there bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if relation[group] == nil {
		relation[group] = map[string]bool{}
	}
	for _, id := range ids {
		if there {
			relation[group][id] = true
		} else {
			delete(relation[group], id)
		}
	}
}

// Forbid refuses what begins with one of these, such as "GET /v1.0/users", as it refuses a missing permission.
func (d *M365Directory) Forbid(requests ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forbidden = append(d.forbidden, requests...)
}

// Changes is how many changes the API made.
func (d *M365Directory) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// SessionsEnded is how often the API ended a person's sessions.
func (d *M365Directory) SessionsEnded(person string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended[person]
}

// kind is what an id is of, in Graph's words; "" where there is no such object.
func (d *M365Directory) kind(id string) string {
	if _, there := d.users[id]; there {
		return "user"
	}
	if _, there := d.groups[id]; there {
		return "group"
	}
	if _, there := d.principals[id]; there {
		return "servicePrincipal"
	}
	if _, there := d.devices[id]; there {
		return "device"
	}
	return ""
}

// holds is every group that an object is in, in its own right or by another group.
func (d *M365Directory) holds(id string) map[string]bool {
	in := map[string]bool{}
	for next := []string{id}; len(next) > 0; {
		at := next[0]
		next = next[1:]
		for group, members := range d.members {
			if members[at] && !in[group] {
				in[group] = true
				next = append(next, group)
			}
		}
	}
	return in
}

// isForbidden is whether Forbid named a request.
func (d *M365Directory) isForbidden(r *http.Request) bool {
	return slices.ContainsFunc(d.forbidden, func(request string) bool { return strings.HasPrefix(r.Method+" "+r.URL.Path, request) })
}
