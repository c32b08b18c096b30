// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// OktaObject is something an org can hold: an OktaUser, OktaGroup, OktaRule, OktaApp, OktaCustomRole, OktaRole,
// OktaGrant, OktaToken or OktaHook.
type OktaObject interface{ put(*oktaDirectory) }

// OktaUser is a person of the org.
type OktaUser struct {
	// ID is Okta's, such as "00uInvented1".
	ID string
	// Login is what they sign in with, Email their address: the login if empty.
	Login, Email string
	// First and Last are their names.
	First, Last string
	// Number is their employeeNumber.
	Number string
	// Status is Okta's; "ACTIVE" if empty.
	Status string
	// Created and LastLogin are when; never if zero.
	Created, LastLogin time.Time
}

// OktaGroup is a group.
type OktaGroup struct {
	// ID and Name name it.
	ID, Name string
	// Type is "OKTA_GROUP", "APP_GROUP" or "BUILT_IN"; the first if empty.
	Type string
}

// OktaRule is a group rule: it puts people into groups.
type OktaRule struct {
	// ID and Name name it.
	ID, Name string
	// Groups are filled by it.
	Groups []string
	// Covers are the people it puts there when ApplyRules is called.
	Covers []string
	// Inactive is whether it does nothing.
	Inactive bool
}

// OktaApp is an application.
type OktaApp struct {
	// ID is Okta's and its OAuth client id, Name the catalogue's word, Label what people see.
	ID, Name, Label string
	// Status is "ACTIVE" if empty, SignOn "SAML_2_0" if empty.
	Status, SignOn string
	// Service is whether it is a service app; it signs on by "OPENID_CONNECT" then.
	Service bool
	// Features are what it provisions, such as "PUSH_NEW_USERS".
	Features []string
	// Created is when; never if zero.
	Created time.Time
}

// OktaCustomRole is a role made by the org.
type OktaCustomRole struct {
	// ID and Label name it.
	ID, Label string
}

// OktaRole is an administrator role that somebody holds.
type OktaRole struct {
	// ID is that of the assignment; made if empty.
	ID string
	// Holder is a person, a group or a service app, told by the beginning of its id.
	Holder string
	// Type is a standard role or "CUSTOM"; Role and Set are the custom role and its resource set.
	Type, Role, Set string
	// Label is what people see.
	Label string
	// Targets limit it, each a group's id, an app's, or the name of an app of the catalogue.
	Targets []string
}

// OktaGrant is consent to a scope: a person's, or where User is empty the org's.
type OktaGrant struct {
	// ID is made if empty.
	ID string
	// App is the client, User who consented, Scope to what.
	App, User, Scope string
	// Created is when; never if zero.
	Created time.Time
}

// OktaToken is an API token, of which nobody sees the value.
type OktaToken struct {
	// ID and Name name it, User owns it.
	ID, Name, User string
	// Created and Expires are when; never if zero.
	Created, Expires time.Time
}

// OktaHook is an event hook.
type OktaHook struct {
	// ID and Name name it.
	ID, Name string
	// Events are its event types.
	Events []string
	// Inactive and Unverified are why it may not send.
	Inactive, Unverified bool
}

// OktaAppUser is a person's place in an app.
type OktaAppUser struct {
	// User is the person, External their id in the app.
	User, External string
	// ByGroup is whether they have it by a group alone.
	ByGroup bool
}

// oktaDirectory is all that an org holds but its log. Its lock is held by whoever calls its methods.
type oktaDirectory struct {
	mu        sync.Mutex
	people    map[string]OktaUser
	groups    map[string]OktaGroup
	rules     map[string]OktaRule
	apps      map[string]OktaApp
	custom    map[string]OktaCustomRole
	roles     map[string]OktaRole
	grants    map[string]OktaGrant
	tokens    map[string]OktaToken
	hooks     map[string]OktaHook
	members   map[string]map[string]bool   // by group
	assigned  map[string]map[string]bool   // people in their own right, by app
	appGroups map[string]map[string]bool   // by app
	external  map[string]map[string]string // by app and person
	ended     map[string]int               // how often a person's sessions were ended
	forbidden []string
	hidden    []string
	changes   int
	made      int
}

func newOktaDirectory() *oktaDirectory {
	return &oktaDirectory{
		people: map[string]OktaUser{}, groups: map[string]OktaGroup{}, rules: map[string]OktaRule{}, apps: map[string]OktaApp{},
		custom: map[string]OktaCustomRole{}, roles: map[string]OktaRole{}, grants: map[string]OktaGrant{}, tokens: map[string]OktaToken{},
		hooks: map[string]OktaHook{}, members: map[string]map[string]bool{}, assigned: map[string]map[string]bool{},
		appGroups: map[string]map[string]bool{}, external: map[string]map[string]string{}, ended: map[string]int{},
	}
}

func (u OktaUser) put(d *oktaDirectory) {
	u.Email, u.Status = cmp.Or(u.Email, u.Login), cmp.Or(u.Status, "ACTIVE")
	d.people[u.ID] = u
}

func (g OktaGroup) put(d *oktaDirectory) {
	g.Type = cmp.Or(g.Type, "OKTA_GROUP")
	d.groups[g.ID] = g
}

func (r OktaRule) put(d *oktaDirectory) { d.rules[r.ID] = r }

func (a OktaApp) put(d *oktaDirectory) {
	if a.Service {
		a.SignOn = "OPENID_CONNECT"
	}
	a.Status, a.SignOn = cmp.Or(a.Status, "ACTIVE"), cmp.Or(a.SignOn, "SAML_2_0")
	d.apps[a.ID] = a
}

func (r OktaCustomRole) put(d *oktaDirectory) { d.custom[r.ID] = r }

func (r OktaRole) put(d *oktaDirectory) {
	r.ID = cmp.Or(r.ID, d.newID("ra1"))
	d.roles[r.ID] = r
}

func (g OktaGrant) put(d *oktaDirectory) {
	g.ID = cmp.Or(g.ID, d.newID("oag"))
	d.grants[g.ID] = g
}

func (t OktaToken) put(d *oktaDirectory) { d.tokens[t.ID] = t }

func (h OktaHook) put(d *oktaDirectory) { d.hooks[h.ID] = h }

func (d *oktaDirectory) newID(prefix string) string {
	d.made++
	return OktaID(prefix, fmt.Sprint(prefix, d.made))
}

// Put makes the objects what they are, or replaces those of the same id: an id can come to mean somebody else.
func (o *Okta) Put(objects ...OktaObject) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for _, object := range objects {
		object.put(o.directory)
	}
}

// Delete removes the objects of these ids, and what people, groups and apps among them held.
func (o *Okta) Delete(ids ...string) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for _, id := range ids {
		o.directory.remove(id)
	}
}

func (d *oktaDirectory) remove(id string) {
	delete(d.people, id)
	delete(d.groups, id)
	delete(d.rules, id)
	delete(d.apps, id)
	delete(d.custom, id)
	delete(d.roles, id)
	delete(d.grants, id)
	delete(d.tokens, id)
	delete(d.hooks, id)
	for _, relation := range []map[string]map[string]bool{d.members, d.assigned, d.appGroups} {
		delete(relation, id)
		for _, related := range relation {
			delete(related, id)
		}
	}
	delete(d.external, id)
	for _, people := range d.external {
		delete(people, id)
	}
	maps.DeleteFunc(d.roles, func(_ string, r OktaRole) bool { return r.Holder == id || r.Role == id })
	maps.DeleteFunc(d.grants, func(_ string, g OktaGrant) bool { return g.App == id || g.User == id })
	maps.DeleteFunc(d.tokens, func(_ string, t OktaToken) bool { return t.User == id })
}

// Join makes people members of a group, whatever its type; Leave ends that.
func (o *Okta) Join(group string, people ...string) {
	o.relate(o.directory.members, group, people, true)
}

// Leave is the contrary of Join.
func (o *Okta) Leave(group string, people ...string) {
	o.relate(o.directory.members, group, people, false)
}

// Assign gives people an app in their own right; Unassign ends that.
func (o *Okta) Assign(app string, people ...string) {
	o.relate(o.directory.assigned, app, people, true)
}

// Unassign is the contrary of Assign.
func (o *Okta) Unassign(app string, people ...string) {
	o.relate(o.directory.assigned, app, people, false)
}

// AssignGroup gives an app to everybody in groups.
func (o *Okta) AssignGroup(app string, groups ...string) {
	o.relate(o.directory.appGroups, app, groups, true)
}

func (o *Okta) relate(relation map[string]map[string]bool, to string, ids []string, there bool) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for _, id := range ids {
		o.directory.relate(relation, to, id, there)
	}
}

func (d *oktaDirectory) relate(relation map[string]map[string]bool, to, id string, there bool) {
	if relation[to] == nil {
		relation[to] = map[string]bool{}
	}
	if there {
		relation[to][id] = true
	} else {
		delete(relation[to], id)
	}
}

// Name says which id a person has in an app.
func (o *Okta) Name(app, person, external string) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if o.directory.external[app] == nil {
		o.directory.external[app] = map[string]string{}
	}
	o.directory.external[app][person] = external
}

// ApplyRules lets every active rule put the people it covers into its groups, also those who were taken out.
func (o *Okta) ApplyRules() {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for _, rule := range o.directory.rules {
		for _, group := range rule.Groups {
			for _, person := range rule.Covers {
				if !rule.Inactive {
					o.directory.relate(o.directory.members, group, person, true)
				}
			}
		}
	}
}

// Forbid refuses what begins with one of these, such as "GET /api/v1/groups/rules", as it refuses a missing right.
func (o *Okta) Forbid(requests ...string) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	o.directory.forbidden = append(o.directory.forbidden, requests...)
}

func (o *Okta) isForbidden(r *http.Request) bool {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	return slices.ContainsFunc(o.directory.forbidden, func(request string) bool {
		return strings.HasPrefix(r.Method+" "+r.URL.Path, request)
	})
}

// Hide answers each of these requests, such as "GET /api/v1/groups/00g1", that there is no such thing, as Okta may of what
// the caller's role does not reach.
func (o *Okta) Hide(requests ...string) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	o.directory.hidden = append(o.directory.hidden, requests...)
}

func (o *Okta) isHidden(r *http.Request) bool {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	return slices.Contains(o.directory.hidden, r.Method+" "+r.URL.Path)
}

// Changes is how many changes the API made.
func (o *Okta) Changes() int {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	return o.directory.changes
}

// SessionsEnded is how often the API ended a person's sessions and tokens.
func (o *Okta) SessionsEnded(person string) int {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	return o.directory.ended[person]
}

// appUsers is everybody who has an app, by id.
func (d *oktaDirectory) appUsers(app string) []OktaAppUser {
	users := map[string]OktaAppUser{}
	for person := range d.people {
		byGroup := false
		for group := range d.appGroups[app] {
			byGroup = byGroup || d.members[group][person]
		}
		if own := d.assigned[app][person]; own || byGroup {
			users[person] = OktaAppUser{User: person, ByGroup: !own, External: d.external[app][person]}
		}
	}
	return ordered(users)
}

// ordered is the values of a map in the order of their keys.
func ordered[T any](values map[string]T) []T {
	list := make([]T, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, values[key])
	}
	return list
}
