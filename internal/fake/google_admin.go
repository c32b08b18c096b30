// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The most entries a page may have: https://developers.google.com/workspace/admin/directory/v1/limits. That of roles and
// assignments is not confirmed.
const (
	googleUserPage  = 500
	googleGroupPage = 200
	googleRolePage  = 100
)

// route says what is answered where, and with which scopes. The Directory API:
// https://developers.google.com/workspace/admin/directory/reference/rest.
func (g *Google) route() {
	scopes := func(names ...string) []string {
		for i := range names {
			names[i] = googleScope + names[i]
		}
		return names
	}
	audit := []string{googleAuditScope}
	users := scopes("admin.directory.user.readonly")
	security := scopes("admin.directory.user.security")
	groups := scopes("admin.directory.group.readonly")
	members := scopes("admin.directory.group.readonly", "admin.directory.group.member")
	change := scopes("admin.directory.group.member")
	roles := scopes("admin.directory.rolemanagement.readonly", "admin.directory.rolemanagement")
	assign := scopes("admin.directory.rolemanagement")
	identity := scopes("cloud-identity.groups")

	const log = "/admin/reports/v1/activity/users/all/applications/{application}"
	g.handle("GET "+log, audit, g.activities)
	g.handle("POST "+log+"/watch", audit, g.watch)
	const directory = "/admin/directory/v1/"
	g.handle("GET "+directory+"users", users, g.listUsers)
	g.handle("GET "+directory+"users/{user}", users, g.ofUser(g.getUser))
	g.handle("POST "+directory+"users/{user}/signOut", security, g.ofUser(g.signOut))
	g.handle("GET "+directory+"users/{user}/tokens", security, g.ofUser(g.listTokens))
	g.handle("GET "+directory+"users/{user}/tokens/{client}", security, g.ofUser(g.getToken))
	g.handle("DELETE "+directory+"users/{user}/tokens/{client}", security, g.ofUser(g.deleteToken))
	g.handle("GET "+directory+"users/{user}/asps", security, g.ofUser(g.listPasswords))
	g.handle("DELETE "+directory+"users/{user}/asps/{code}", security, g.ofUser(g.deletePassword))
	g.handle("GET "+directory+"groups", groups, g.listGroups)
	g.handle("GET "+directory+"groups/{group}", groups, g.ofGroup(g.getGroup))
	g.handle("GET "+directory+"groups/{group}/members", members, g.ofGroup(g.listMembers))
	g.handle("POST "+directory+"groups/{group}/members", change, g.ofGroup(g.insertMember))
	g.handle("GET "+directory+"groups/{group}/members/{member}", members, g.ofGroup(g.getMember))
	g.handle("PATCH "+directory+"groups/{group}/members/{member}", change, g.ofGroup(g.patchMember))
	g.handle("DELETE "+directory+"groups/{group}/members/{member}", change, g.ofGroup(g.deleteMember))
	g.handle("GET "+directory+"groups/{group}/hasMember/{member}", members, g.ofGroup(g.hasMember))
	g.handle("GET "+directory+"customer/my_customer/roles", roles, g.listRoles)
	g.handle("GET "+directory+"customer/my_customer/roles/{role}", roles, g.getRole)
	g.handle("GET "+directory+"customer/my_customer/roleassignments", roles, g.listAssignments)
	g.handle("POST "+directory+"customer/my_customer/roleassignments", assign, g.insertAssignment)
	g.handle("DELETE "+directory+"customer/my_customer/roleassignments/{assignment}", assign, g.deleteAssignment)
	g.handle("GET /v1/groups:lookup", identity, g.lookupGroup)
	g.handle("GET /v1/groups/{group}/memberships:lookup", identity, g.lookupMembership)
	g.handle("GET /v1/groups/{group}/memberships/{membership}", identity, g.getMembership)
	g.handle("POST /v1/groups/{group}/memberships/{membership}", identity, g.modifyMembership)
}

func googleNotFound(what string) googleAnswer {
	return googleRefusal(http.StatusNotFound, "notFound", "Resource Not Found: "+what)
}

// object is a thing as Google writes it, empty fields left out.
func object(kind string, fields map[string]any) map[string]any {
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil || value == "" })
	fields["kind"] = "admin#directory#" + kind
	return fields
}

// googleList answers with a page of a list: what the request asks for of the things in the order of their keys. A page
// token leads to the first key behind the page, so that what comes and goes meanwhile shifts nothing, and is good for its
// list alone.
func googleList[T any](r *http.Request, kind, name string, most int, things map[string]T, write func(T) map[string]any) googleAnswer {
	query := r.URL.Query()
	size := most
	if text := query.Get("maxResults"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > most {
			return googleRefusal(http.StatusBadRequest, "invalid", "Invalid value '"+text+"' for maxResults")
		}
	}
	bound := r.URL.Path + " " + query.Get("userKey") + " "
	after := ""
	if text := query.Get("pageToken"); text != "" {
		token, err := base64.URLEncoding.DecodeString(text)
		var ours bool
		if after, ours = strings.CutPrefix(string(token), bound); err != nil || !ours {
			return googleRefusal(http.StatusBadRequest, "invalid", "Invalid Input: pageToken")
		}
	}
	list := []any{}
	answer := map[string]any{"kind": "admin#directory#" + kind, "etag": `"invented"`}
	for _, key := range slices.Sorted(maps.Keys(things)) {
		if key <= after {
			continue
		}
		if len(list) == size {
			answer["nextPageToken"] = base64.URLEncoding.EncodeToString([]byte(bound + after))
			break
		}
		list = append(list, write(things[key]))
		after = key
	}
	if len(list) > 0 {
		answer[name] = list
	}
	return googleAnswer{body: answer}
}

func (g *Google) ofUser(answer func(r *http.Request, u GoogleUser) googleAnswer) func(r *http.Request) googleAnswer {
	return func(r *http.Request) googleAnswer {
		u, there := g.directory.user(r.PathValue("user"))
		if !there {
			return googleNotFound("userKey")
		}
		return answer(r, u)
	}
}

func (g *Google) listUsers(r *http.Request) googleAnswer {
	if r.URL.Query().Get("customer") == "" {
		return googleRefusal(http.StatusBadRequest, "badRequest", "Bad Request")
	}
	return googleList(r, "users", "users", googleUserPage, g.directory.users, writeUser)
}

func (g *Google) getUser(_ *http.Request, u GoogleUser) googleAnswer {
	return googleAnswer{body: writeUser(u)}
}

func writeUser(u GoogleUser) map[string]any {
	fields := map[string]any{
		"id": u.ID, "primaryEmail": u.Email, "name": map[string]any{"fullName": u.Name}, "isAdmin": u.Super, "isDelegatedAdmin": false,
		"suspended": u.Suspended, "archived": false, "isEnrolledIn2Sv": u.Enrolled2SV, "customerId": "C0invented",
		"creationTime": googleTime(u.Created), "lastLoginTime": googleTime(u.LastLogin),
	}
	if len(u.Aliases) > 0 {
		fields["aliases"] = u.Aliases
	}
	if u.EmployeeID != "" {
		fields["externalIds"] = []any{map[string]any{"value": u.EmployeeID, "type": "organization"}}
	}
	return object("user", fields)
}

// googleTime is a time as Google writes it, 1970 for none.
func googleTime(at time.Time) string {
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}

func googleMillis(at time.Time) string {
	if at.IsZero() {
		return "0"
	}
	return strconv.FormatInt(at.UnixMilli(), 10)
}

func (g *Google) signOut(_ *http.Request, u GoogleUser) googleAnswer {
	return googleAnswer{status: http.StatusNoContent, do: func() { g.directory.signOuts[u.ID]++ }}
}

func (g *Google) listTokens(_ *http.Request, u GoogleUser) googleAnswer {
	var items []any
	for _, t := range byKey(g.directory.tokens) {
		if t.User == u.ID {
			items = append(items, writeToken(t))
		}
	}
	return googleAnswer{body: object("tokenList", map[string]any{"items": orNil(items)})}
}

func writeToken(t GoogleToken) map[string]any {
	return object("token", map[string]any{
		"clientId": t.ClientID, "displayText": t.Name, "scopes": t.Scopes, "userKey": t.User, "anonymous": t.ClientID == "anonymous", "nativeApp": false,
	})
}

// orNil is the list, or nil where it is empty: Google leaves empty lists out.
func orNil(items []any) any {
	if len(items) == 0 {
		return nil
	}
	return items
}

func (g *Google) getToken(r *http.Request, u GoogleUser) googleAnswer {
	t, there := g.directory.tokens[u.ID+"/"+r.PathValue("client")]
	if !there {
		return googleNotFound("clientId")
	}
	return googleAnswer{body: writeToken(t)}
}

func (g *Google) deleteToken(r *http.Request, u GoogleUser) googleAnswer {
	key := u.ID + "/" + r.PathValue("client")
	if _, there := g.directory.tokens[key]; !there {
		return googleNotFound("clientId")
	}
	return googleAnswer{status: http.StatusNoContent, do: func() { delete(g.directory.tokens, key) }}
}

func (g *Google) listPasswords(_ *http.Request, u GoogleUser) googleAnswer {
	var items []any
	for _, p := range byKey(g.directory.passwords) {
		if p.User == u.ID {
			items = append(items, object("asp", map[string]any{
				"codeId": p.CodeID, "name": p.Name, "creationTime": googleMillis(p.Created), "lastTimeUsed": googleMillis(p.LastUsed), "userKey": u.ID,
			}))
		}
	}
	return googleAnswer{body: object("aspList", map[string]any{"items": orNil(items)})}
}

func (g *Google) deletePassword(r *http.Request, u GoogleUser) googleAnswer {
	key := u.ID + "/" + r.PathValue("code")
	if _, there := g.directory.passwords[key]; !there {
		return googleNotFound("codeId")
	}
	return googleAnswer{status: http.StatusNoContent, do: func() { delete(g.directory.passwords, key) }}
}

func (g *Google) listRoles(r *http.Request) googleAnswer {
	return googleList(r, "roles", "items", googleRolePage, g.directory.roles, writeRole)
}

func writeRole(r GoogleRole) map[string]any {
	return object("role", map[string]any{"roleId": r.ID, "roleName": r.Name, "isSystemRole": false})
}

func (g *Google) getRole(r *http.Request) googleAnswer {
	role, there := g.directory.roles[r.PathValue("role")]
	if !there {
		return googleNotFound("roleId")
	}
	return googleAnswer{body: writeRole(role)}
}

func (g *Google) listAssignments(r *http.Request) googleAnswer {
	d, query := g.directory, r.URL.Query()
	found := maps.Clone(d.assignments)
	if key := query.Get("userKey"); key != "" {
		indirect := query.Get("includeIndirectRoleAssignments") == "true"
		maps.DeleteFunc(found, func(_ string, a GoogleAssignment) bool {
			return a.Holder != key && (!indirect || !d.holds(a.Holder, key, map[string]bool{}))
		})
	}
	return googleList(r, "roleAssignments", "items", googleRolePage, found, g.writeAssignment)
}

func (g *Google) writeAssignment(a GoogleAssignment) map[string]any {
	kind := "user"
	if _, isGroup := g.directory.groups[a.Holder]; isGroup {
		kind = "group"
	}
	scope := "CUSTOMER"
	if a.OrgUnit != "" {
		scope = "ORG_UNIT"
	}
	return object("roleAssignment", map[string]any{
		"roleAssignmentId": a.ID, "roleId": a.Role, "assignedTo": a.Holder, "assigneeType": kind, "scopeType": scope,
		"orgUnitId": a.OrgUnit, "condition": a.Condition,
	})
}

func (g *Google) insertAssignment(r *http.Request) googleAnswer {
	var asked struct {
		RoleID     string `json:"roleId"`
		AssignedTo string `json:"assignedTo"`
		ScopeType  string `json:"scopeType"`
		OrgUnitID  string `json:"orgUnitId"`
	}
	d := g.directory
	err := json.NewDecoder(r.Body).Decode(&asked)
	_, isRole := d.roles[asked.RoleID]
	_, isUser := d.users[asked.AssignedTo]
	_, isGroup := d.groups[asked.AssignedTo]
	unit := asked.ScopeType == "ORG_UNIT"
	if err != nil || !isRole || !isUser && !isGroup || unit != (asked.OrgUnitID != "") || !unit && asked.ScopeType != "CUSTOMER" {
		return googleRefusal(http.StatusBadRequest, "invalid", "Invalid Input")
	}
	for _, a := range d.assignments {
		if a.Role == asked.RoleID && a.Holder == asked.AssignedTo && a.OrgUnit == asked.OrgUnitID && a.Condition == "" {
			return googleRefusal(http.StatusConflict, "duplicate", "Role assignment already exists for the role")
		}
	}
	made := GoogleAssignment{ID: d.newAssignmentID(), Role: asked.RoleID, Holder: asked.AssignedTo, OrgUnit: asked.OrgUnitID}
	return googleAnswer{body: g.writeAssignment(made), do: func() {
		d.assignments[made.ID] = made
		g.tellRole(made, "ASSIGN_ROLE")
	}}
}

func (g *Google) deleteAssignment(r *http.Request) googleAnswer {
	id := r.PathValue("assignment")
	held, there := g.directory.assignments[cmp.Or(id, "none")]
	if !there {
		return googleNotFound("roleAssignmentId")
	}
	return googleAnswer{status: http.StatusNoContent, do: func() {
		delete(g.directory.assignments, id)
		g.tellRole(held, "UNASSIGN_ROLE")
	}}
}
