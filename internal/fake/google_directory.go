// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// GoogleUser is an account of a Workspace. What is not set is left out of answers, as Google does.
type GoogleUser struct {
	// ID is the profile id; GoogleProfile of the address if empty.
	ID string
	// Email is the primary address, Name the full name.
	Email, Name string
	// Aliases are further addresses.
	Aliases []string
	// EmployeeID is what the Admin console calls so.
	EmployeeID string
	// Super is whether it is a super administrator.
	Super bool
	// Suspended and Enrolled2SV are whether it is suspended and has a second factor.
	Suspended, Enrolled2SV bool
	// Created and LastLogin are when it was made and signed in last; never if zero.
	Created, LastLogin time.Time
}

// GoogleGroup is a group.
type GoogleGroup struct {
	// ID is its id; one is made from the address if empty.
	ID string
	// Email is its address, Name its display name.
	Email, Name string
	// Aliases are further addresses; NonEditableAliases those that Google gives it by itself.
	Aliases, NonEditableAliases []string
}

// GoogleMember is a place in a group.
type GoogleMember struct {
	// Group and Member are ids.
	Group, Member string
	// Role is MEMBER, MANAGER or OWNER, Type USER, GROUP or CUSTOMER; MEMBER and USER if empty.
	Role, Type string
	// Expires is when Google ends it; never if zero.
	Expires time.Time
}

// GoogleRole is an administrator role.
type GoogleRole struct {
	// ID is a number, Name its name.
	ID, Name string
}

// GoogleAssignment is a role that somebody holds.
type GoogleAssignment struct {
	// ID is made when it is added.
	ID string
	// Role and Holder are ids; the holder is a user's or a group's.
	Role, Holder string
	// OrgUnit is the organisational unit it is for; the whole Workspace if empty.
	OrgUnit string
	// Condition restricts it further, if it is set.
	Condition string
}

// GoogleToken is a third-party app's access to what is a user's.
type GoogleToken struct {
	// User is the id of who let the app in.
	User string
	// ClientID and Name are the app's, Scopes what it may do.
	ClientID, Name string
	Scopes         []string
}

// GooglePassword is a password that a user made for one application.
type GooglePassword struct {
	// User is the id of its owner, CodeID its number.
	User   string
	CodeID int
	// Name is what its owner calls it.
	Name string
	// Created and LastUsed are when it was made and used last; never if zero.
	Created, LastUsed time.Time
}

// GoogleState is all that a fake Workspace holds, each list in an order of its own that does not change.
type GoogleState struct {
	Users       []GoogleUser
	Groups      []GoogleGroup
	Members     []GoogleMember
	Roles       []GoogleRole
	Assignments []GoogleAssignment
	Tokens      []GoogleToken
	Passwords   []GooglePassword
}

// googleDirectory is the state, each thing by its key.
type googleDirectory struct {
	users       map[string]GoogleUser
	groups      map[string]GoogleGroup
	members     map[string]GoogleMember // group/member
	roles       map[string]GoogleRole
	assignments map[string]GoogleAssignment
	tokens      map[string]GoogleToken    // user/client
	passwords   map[string]GooglePassword // user/code
	signOuts    map[string]int            // by user
	forbidden   []string
	numbers     int
	changes     int
}

func newGoogleDirectory() *googleDirectory {
	return &googleDirectory{
		users: map[string]GoogleUser{}, groups: map[string]GoogleGroup{}, members: map[string]GoogleMember{}, roles: map[string]GoogleRole{},
		assignments: map[string]GoogleAssignment{}, tokens: map[string]GoogleToken{}, passwords: map[string]GooglePassword{}, signOuts: map[string]int{},
	}
}

// AddUser adds or replaces an account and returns its id.
func (g *Google) AddUser(u GoogleUser) (id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u.ID = cmp.Or(u.ID, GoogleProfile(u.Email))
	g.directory.users[u.ID] = u
	return u.ID
}

// AddGroup adds or replaces a group and returns its id.
func (g *Google) AddGroup(group GoogleGroup) (id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	group.ID = cmp.Or(group.ID, "0"+GoogleProfile(group.Email)[6:])
	g.directory.groups[group.ID] = group
	return group.ID
}

// SetMember makes somebody a member of a group.
func (g *Google) SetMember(m GoogleMember) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Role, m.Type = cmp.Or(m.Role, "MEMBER"), cmp.Or(m.Type, "USER")
	g.directory.members[m.Group+"/"+m.Member] = m
}

// RemoveMember takes somebody out of a group.
func (g *Google) RemoveMember(group, member string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.directory.members, group+"/"+member)
}

// AddRole adds or replaces a role.
func (g *Google) AddRole(r GoogleRole) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.directory.roles[r.ID] = r
}

// Assign makes somebody hold a role and returns the assignment's id.
func (g *Google) Assign(a GoogleAssignment) (id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.directory.assign(a)
}

func (d *googleDirectory) assign(a GoogleAssignment) (id string) {
	a.ID = d.newAssignmentID()
	d.assignments[a.ID] = a
	return a.ID
}

func (d *googleDirectory) newAssignmentID() string {
	d.numbers++
	return fmt.Sprint(7_000_000_000 + d.numbers)
}

// Unassign ends every assignment of a role to a holder.
func (g *Google) Unassign(role, holder string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.directory.assignments, func(_ string, a GoogleAssignment) bool { return a.Role == role && a.Holder == holder })
}

// LetIn gives a third-party app access.
func (g *Google) LetIn(t GoogleToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.directory.tokens[t.User+"/"+t.ClientID] = t
}

// PutOut ends a third-party app's access.
func (g *Google) PutOut(user, clientID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.directory.tokens, user+"/"+clientID)
}

// AddPassword adds a password for one application.
func (g *Google) AddPassword(p GooglePassword) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.directory.passwords[fmt.Sprintf("%s/%d", p.User, p.CodeID)] = p
}

// Delete deletes an account or a group, and with it all that it held and that was in it.
func (g *Google) Delete(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.directory
	delete(d.users, id)
	delete(d.groups, id)
	maps.DeleteFunc(d.members, func(_ string, m GoogleMember) bool { return m.Group == id || m.Member == id })
	maps.DeleteFunc(d.assignments, func(_ string, a GoogleAssignment) bool { return a.Holder == id })
	maps.DeleteFunc(d.tokens, func(_ string, t GoogleToken) bool { return t.User == id })
	maps.DeleteFunc(d.passwords, func(_ string, p GooglePassword) bool { return p.User == id })
}

// Forbid makes Google refuse every path that begins so, as it does where the administrator lacks the right.
func (g *Google) Forbid(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.directory.forbidden = append(g.directory.forbidden, path)
}

func (d *googleDirectory) forbids(path string) bool {
	return slices.ContainsFunc(d.forbidden, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// State is all that the Workspace holds now.
func (g *Google) State() GoogleState {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.directory
	d.expire()
	return GoogleState{
		Users: byKey(d.users), Groups: byKey(d.groups), Members: byKey(d.members), Roles: byKey(d.roles),
		Assignments: byKey(d.assignments), Tokens: byKey(d.tokens), Passwords: byKey(d.passwords),
	}
}

// byKey is the things of a map in the order of their keys.
func byKey[T any](things map[string]T) []T {
	list := make([]T, 0, len(things))
	for _, key := range slices.Sorted(maps.Keys(things)) {
		list = append(list, things[key])
	}
	return list
}

// Changes is how many changes by requests took effect.
func (g *Google) Changes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.directory.changes
}

// SignOuts is how often a user was signed out everywhere.
func (g *Google) SignOuts(user string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.directory.signOuts[user]
}

// expire ends the memberships whose time is over.
func (d *googleDirectory) expire() {
	now := time.Now()
	maps.DeleteFunc(d.members, func(_ string, m GoogleMember) bool { return !m.Expires.IsZero() && !m.Expires.After(now) })
}

// user, group and role find what a request names: a user or a group by id or address.
func (d *googleDirectory) user(key string) (GoogleUser, bool) {
	if u, there := d.users[key]; there {
		return u, true
	}
	for _, u := range d.users {
		if strings.EqualFold(u.Email, key) || slices.Contains(u.Aliases, key) {
			return u, true
		}
	}
	return GoogleUser{}, false
}

func (d *googleDirectory) group(key string) (GoogleGroup, bool) {
	if group, there := d.groups[key]; there {
		return group, true
	}
	for _, group := range d.groups {
		if strings.EqualFold(group.Email, key) || slices.Contains(group.Aliases, key) || slices.Contains(group.NonEditableAliases, key) {
			return group, true
		}
	}
	return GoogleGroup{}, false
}

// holds is whether a group has a member, directly or by a group within it.
func (d *googleDirectory) holds(group, member string, seen map[string]bool) bool {
	if seen[group] {
		return false
	}
	seen[group] = true
	if _, direct := d.members[group+"/"+member]; direct {
		return true
	}
	for _, m := range d.members {
		if m.Group == group && (m.Type == "CUSTOMER" || m.Type == "GROUP" && d.holds(m.Member, member, seen)) {
			return true
		}
	}
	return false
}
