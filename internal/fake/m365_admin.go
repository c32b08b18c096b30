// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Permissions of Graph, each list from the least on: https://learn.microsoft.com/graph/permissions-reference.
var (
	m365ReadsUsers    = []string{"User.Read.All", "Directory.Read.All"}
	m365ReadsGroups   = []string{"GroupMember.Read.All", "Group.Read.All", "GroupMember.ReadWrite.All", "Directory.Read.All"}
	m365WritesMembers = []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All"}
	m365WritesOwners  = []string{"Group.ReadWrite.All"}
	m365ReadsRoles    = []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"}
	m365ReadsPIM      = []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"}
	m365WritesRoles   = []string{"RoleManagement.ReadWrite.Directory"}
	m365ReadsApps     = []string{"Application.Read.All", "Directory.Read.All"}
	m365ReadsGrants   = []string{"Directory.Read.All", "DelegatedPermissionGrant.ReadWrite.All"}
	m365WritesGrants  = []string{"DelegatedPermissionGrant.ReadWrite.All"}
	m365ReadsAppRoles = []string{"Application.Read.All", "Directory.Read.All", "AppRoleAssignment.ReadWrite.All"}
	m365UserAppRoles  = []string{"Directory.Read.All", "AppRoleAssignment.ReadWrite.All"}
	m365WritesAppRole = []string{"AppRoleAssignment.ReadWrite.All"}
	m365ReadsDeleted  = []string{"Directory.Read.All", "User.Read.All", "Group.Read.All", "Application.Read.All"}
	m365EndsSessions  = []string{"User.RevokeSessions.All", "User.ReadWrite.All"}
)

// m365Call answers a request while it holds the directory's lock.
type m365Call func(w http.ResponseWriter, r *http.Request)

// route is every endpoint of the directory: https://learn.microsoft.com/graph/api/overview.
func (d *M365Directory) route() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		m365GraphError(w, http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+r.URL.Path+"'.")
	})
	on := func(pattern string, permissions []string, call m365Call) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /v1.0"+path, func(w http.ResponseWriter, r *http.Request) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.isForbidden(r) || !d.tenant.has(permissions...) {
				if strings.HasSuffix(path, "/roleAssignmentScheduleRequests") {
					// Privileged Identity Management says which it is.
					m365GraphError(w, http.StatusForbidden, "PermissionScopeNotGranted", "Authorization failed due to missing permission scope "+strings.Join(permissions, ",")+".")
					return
				}
				m365GraphError(w, http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
				return
			}
			call(w, r)
		})
	}
	on("GET /users", m365ReadsUsers, d.listUsers)
	on("GET /users/{id}", m365ReadsUsers, d.getUser)
	on("GET /directory/deletedItems/{id}", m365ReadsDeleted, d.getDeleted)
	on("GET /groups", m365ReadsGroups, d.listGroups)
	on("GET /groups/{id}", m365ReadsGroups, d.getGroup)
	on("GET /groups/{id}/members", m365ReadsGroups, d.listRelated(d.members))
	on("GET /groups/{id}/members/microsoft.graph.group", m365ReadsGroups, d.listNested)
	on("GET /groups/{id}/owners", m365ReadsGroups, d.listRelated(d.owners))
	on("GET /servicePrincipals", m365ReadsApps, d.listPrincipals)
	on("GET /servicePrincipals/{id}", m365ReadsApps, d.getPrincipal)
	on("GET /servicePrincipals/{id}/oauth2PermissionGrants", m365ReadsGrants, d.listGrants)
	on("GET /servicePrincipals/{id}/appRoleAssignments", m365ReadsAppRoles, d.listAppRoles)
	on("GET /users/{id}/appRoleAssignments", m365UserAppRoles, d.listAppRoles)
	on("GET /applications", m365ReadsApps, d.listRegistrations)
	on("GET /oauth2PermissionGrants", m365ReadsGrants, d.listGrants)
	on("GET /roleManagement/directory/roleDefinitions", m365ReadsRoles, d.listRoles)
	on("GET /roleManagement/directory/roleDefinitions/{id}", m365ReadsRoles, d.getRole)
	on("GET /roleManagement/directory/roleAssignments", m365ReadsRoles, d.listAssignments(false, false))
	on("GET /roleManagement/directory/roleAssignmentScheduleInstances", m365ReadsPIM, d.listAssignments(true, false))
	on("GET /roleManagement/directory/roleEligibilityScheduleInstances", m365ReadsPIM, d.listAssignments(true, true))

	on("POST /groups/{id}/members/$ref", m365WritesMembers, d.relateTo("member", d.members))
	on("POST /groups/{id}/owners/$ref", m365WritesOwners, d.relateTo("owner", d.owners))
	on("DELETE /groups/{id}/members/{member}/$ref", m365WritesMembers, d.unrelate("member", d.members))
	on("DELETE /groups/{id}/owners/{member}/$ref", m365WritesOwners, d.unrelate("owner", d.owners))
	on("DELETE /groups/{id}/members/{member}", m365WritesMembers, d.deleteMember)
	on("DELETE /groups/{id}/owners/{member}", m365WritesOwners, d.deleteMember)
	on("POST /roleManagement/directory/roleAssignments", m365WritesRoles, d.assignRole)
	on("POST /roleManagement/directory/roleAssignmentScheduleRequests", m365WritesRoles, d.scheduleRole)
	on("DELETE /roleManagement/directory/roleAssignments/{id}", m365WritesRoles, d.unassignRole)
	on("POST /oauth2PermissionGrants", m365WritesGrants, d.createGrant)
	on("PATCH /oauth2PermissionGrants/{id}", m365WritesGrants, d.updateGrant)
	on("DELETE /oauth2PermissionGrants/{id}", m365WritesGrants, d.deleteGrant)
	on("POST /servicePrincipals/{id}/appRoleAssignedTo", m365WritesAppRole, d.assignAppRole)
	on("DELETE /servicePrincipals/{id}/appRoleAssignedTo/{assignment}", m365WritesAppRole, d.unassignAppRole)
	on("POST /users/{id}/revokeSignInSessions", m365EndsSessions, d.endSessions)
	for holders, permissions := range map[string][]string{"/users/{id}": m365ReadsUsers, "/servicePrincipals/{id}": m365ReadsApps} {
		on("GET "+holders+"/memberOf", permissions, d.listHeld(d.members))
		on("GET "+holders+"/ownedObjects", permissions, d.listHeld(d.owners))
		on("POST "+holders+"/checkMemberGroups", permissions, d.checkGroups)
	}
	return mux
}

func (d *M365Directory) serve(w *m365Answer, r *http.Request) { d.mux.ServeHTTP(w, r) }

func m365Missing(w http.ResponseWriter, id string) {
	m365GraphError(w, http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

// m365Shown answers with JSON.
func m365Shown(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(m365JSON(value))
}

// selected is what a request wants to see of an object: what $select names, and without it the defaults, or all where
// there are none.
func selected(r *http.Request, object map[string]any, defaults ...string) map[string]any {
	names := defaults
	if text := r.URL.Query().Get("$select"); text != "" {
		names = strings.Split(text, ",")
	}
	if len(names) == 0 {
		return object
	}
	shown := map[string]any{}
	for _, name := range append(names, "@odata.type") {
		if value, there := object[name]; there {
			shown[name] = value
		}
	}
	return shown
}

// m365Page answers with the page of a list in the order of keys that a request asks for. The token for the next page is
// the last key of this one.
func m365Page[T any](d *M365Directory, w http.ResponseWriter, r *http.Request, list map[string]T, show func(T) map[string]any) {
	query := r.URL.Query()
	top := 3
	if text := query.Get("$top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 1 || top > 999 {
			m365GraphError(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Invalid page size specified: '"+text+"'. Must be between 1 and 999 inclusive.")
			return
		}
	}
	d.tenant.mu.Lock()
	generation := fmt.Sprint(d.tenant.generation, " ")
	d.tenant.mu.Unlock()
	after := ""
	if token := query.Get("$skiptoken"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		var ours bool
		if after, ours = strings.CutPrefix(string(text), generation); err != nil || !ours {
			m365GraphError(w, http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
			return
		}
	}
	page := []any{}
	answer := map[string]any{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#invented"}
	last := ""
	for _, key := range slices.Sorted(maps.Keys(list)) {
		if key <= after {
			continue
		}
		if len(page) == top {
			query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(generation+last)))
			answer["@odata.nextLink"] = "http://" + r.Host + r.URL.Path + "?" + query.Encode()
			break
		}
		page, last = append(page, show(list[key])), key
	}
	answer["value"] = page
	m365Shown(w, http.StatusOK, answer)
}

// m365Time is a time as Graph writes it, null where there is none.
func m365Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

func (u M365User) json(r *http.Request) map[string]any {
	proxies := []string{"SMTP:" + u.Mail}
	for _, alias := range u.Aliases {
		proxies = append(proxies, "smtp:"+alias)
	}
	user := map[string]any{
		"id": u.ID, "userPrincipalName": u.Login, "displayName": u.Name, "mail": m365Null(u.Mail), "proxyAddresses": append(proxies, "x500:/o=Invented"),
		"employeeId": m365Null(u.Number), "onPremisesImmutableId": m365Null(u.Synced), "accountEnabled": !u.Disabled,
		"createdDateTime": m365Time(u.Created), "userType": "Member", "externalUserState": nil,
	}
	if u.Guest {
		user["userType"], user["externalUserState"] = "Guest", map[bool]string{true: "PendingAcceptance", false: "Accepted"}[u.Invited]
	}
	return selected(r, user, "id", "userPrincipalName", "displayName", "mail")
}

func (g M365Group) json(r *http.Request) map[string]any {
	types, provisioning := []string{}, []string{}
	if g.Team {
		types, provisioning = append(types, "Unified"), append(provisioning, "Team")
	}
	if g.Dynamic {
		types = append(types, "DynamicMembership")
	}
	group := map[string]any{
		"id": g.ID, "displayName": g.Name, "groupTypes": types, "resourceProvisioningOptions": provisioning,
		"mailEnabled": g.Team || g.Mail, "securityEnabled": !g.Team, "onPremisesSyncEnabled": nil, "isAssignableToRole": m365Yes(g.ForRoles),
	}
	if g.Synced {
		group["onPremisesSyncEnabled"] = true
	}
	return selected(r, group)
}

// m365Yes is true, or null where it is not.
func m365Yes(is bool) any {
	if is {
		return true
	}
	return nil
}

func (p M365Principal) json(r *http.Request) map[string]any {
	roles := []any{}
	for _, id := range slices.Sorted(maps.Keys(p.Roles)) {
		roles = append(roles, map[string]any{"id": id, "value": m365Null(p.Roles[id]), "displayName": "Invented", "isEnabled": true, "allowedMemberTypes": []string{"Application"}})
	}
	secrets, keys := m365Credentials(p.Credentials)
	principal := map[string]any{
		"id": p.ID, "appId": p.AppID, "displayName": p.Name, "accountEnabled": !p.Disabled, "appOwnerOrganizationId": p.Owner,
		"servicePrincipalType": "Application", "servicePrincipalNames": []string{p.AppID}, "appRoles": roles,
		"verifiedPublisher":   map[string]any{"displayName": m365Null(p.Publisher), "verifiedPublisherId": nil},
		"passwordCredentials": secrets, "keyCredentials": keys,
	}
	return selected(r, principal)
}

// m365Credentials are secrets and certificates as Graph shows them. The hint is the beginning of a secret.
func m365Credentials(credentials []M365Credential) (secrets, keys []any) {
	secrets, keys = []any{}, []any{}
	for _, c := range credentials {
		shown := map[string]any{"keyId": c.ID, "displayName": m365Null(c.Name), "startDateTime": m365Time(c.Begins), "endDateTime": m365Time(c.Ends)}
		if c.Certificate {
			shown["type"], shown["usage"], shown["key"] = "AsymmetricX509Cert", "Verify", nil
			keys = append(keys, shown)
			continue
		}
		shown["hint"], shown["secretText"] = "s3c", nil
		secrets = append(secrets, shown)
	}
	return secrets, keys
}

func (g M365Grant) json() map[string]any {
	kind := "AllPrincipals"
	if g.Principal != "" {
		kind = "Principal"
	}
	// That Graph keeps a space before the first permission is seen in the wild.
	return map[string]any{
		"id": g.ID, "clientId": g.Client, "consentType": kind, "principalId": m365Null(g.Principal), "resourceId": g.Resource, "scope": " " + g.Scope,
	}
}
