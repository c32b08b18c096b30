// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"net/http"
	"strings"
)

func (d *M365Directory) listUsers(w http.ResponseWriter, r *http.Request) {
	m365Page(d, w, r, d.users, func(u M365User) map[string]any { return u.json(r) })
}

func (d *M365Directory) getUser(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	for _, user := range d.users {
		// By login as well, which is a trap for who takes an id for granted.
		if user.ID == id || user.Login == id {
			m365Shown(w, http.StatusOK, user.json(r))
			return
		}
	}
	m365Missing(w, id)
}

// getDeleted shows what was deleted within 30 days: https://learn.microsoft.com/graph/api/directory-deleteditems-get.
func (d *M365Directory) getDeleted(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if d.deleted[id] == "" {
		m365Missing(w, id)
		return
	}
	m365Shown(w, http.StatusOK, map[string]any{"@odata.type": "#microsoft.graph." + d.deleted[id], "id": id})
}

func (d *M365Directory) listGroups(w http.ResponseWriter, r *http.Request) {
	m365Page(d, w, r, d.groups, func(g M365Group) map[string]any { return g.json(r) })
}

func (d *M365Directory) getGroup(w http.ResponseWriter, r *http.Request) {
	group, there := d.groups[r.PathValue("id")]
	if !there {
		m365Missing(w, r.PathValue("id"))
		return
	}
	m365Shown(w, http.StatusOK, group.json(r))
}

func (d *M365Directory) listPrincipals(w http.ResponseWriter, r *http.Request) {
	m365Page(d, w, r, d.principals, func(p M365Principal) map[string]any { return p.json(r) })
}

func (d *M365Directory) getPrincipal(w http.ResponseWriter, r *http.Request) {
	principal, there := d.principals[r.PathValue("id")]
	if !there {
		m365Missing(w, r.PathValue("id"))
		return
	}
	m365Shown(w, http.StatusOK, principal.json(r))
}

func (d *M365Directory) listRegistrations(w http.ResponseWriter, r *http.Request) {
	m365Page(d, w, r, d.registrations, func(a M365Registration) map[string]any {
		secrets, keys := m365Credentials(a.Credentials)
		return selected(r, map[string]any{"id": a.ID, "appId": a.AppID, "displayName": a.Name, "passwordCredentials": secrets, "keyCredentials": keys})
	})
}

// object is anything in a list of objects of several kinds.
func (d *M365Directory) object(r *http.Request, id string) map[string]any {
	name := d.users[id].Name + d.groups[id].Name + d.principals[id].Name + d.devices[id].Name
	return selected(r, map[string]any{"@odata.type": "#microsoft.graph." + d.kind(id), "id": id, "displayName": name})
}

// listRelated shows the members or the owners of a group. Graph v1.0 leaves service principals out:
// https://learn.microsoft.com/graph/api/group-list-members.
func (d *M365Directory) listRelated(relation map[string]map[string]bool) m365Call {
	return func(w http.ResponseWriter, r *http.Request) {
		group := r.PathValue("id")
		if _, there := d.groups[group]; !there {
			m365Missing(w, group)
			return
		}
		shown := map[string]string{}
		for id := range relation[group] {
			if kind := d.kind(id); kind != "" && kind != "servicePrincipal" {
				shown[id] = id
			}
		}
		m365Page(d, w, r, shown, func(id string) map[string]any { return d.object(r, id) })
	}
}

// listNested shows the groups in a group: https://learn.microsoft.com/graph/aad-advanced-queries.
func (d *M365Directory) listNested(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("ConsistencyLevel") != "eventual" || r.URL.Query().Get("$count") != "true" {
		m365GraphError(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Request requires the ConsistencyLevel header and $count.")
		return
	}
	group := r.PathValue("id")
	if _, there := d.groups[group]; !there {
		m365Missing(w, group)
		return
	}
	nested := picked(d.groups, func(g M365Group) bool { return d.members[group][g.ID] })
	m365Page(d, w, r, nested, func(g M365Group) map[string]any { return d.object(r, g.ID) })
}

// listHeld shows the groups that somebody is in, or owns, in their own right.
func (d *M365Directory) listHeld(relation map[string]map[string]bool) m365Call {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !d.isHolder(r) {
			m365Missing(w, id)
			return
		}
		// What else there is of this kind is no group.
		unit := M365ID("administrative unit", id)
		shown := map[string]string{unit: unit}
		for group := range d.groups {
			if relation[group][id] {
				shown[group] = group
			}
		}
		m365Page(d, w, r, shown, func(id string) map[string]any {
			object := d.object(r, id)
			if id == unit {
				object["@odata.type"] = "#microsoft.graph.administrativeUnit"
			}
			return object
		})
	}
}

// isHolder is whether there is somebody of that id and kind at that address.
func (d *M365Directory) isHolder(r *http.Request) bool {
	kind := d.kind(r.PathValue("id"))
	return kind == "user" && strings.HasPrefix(r.URL.Path, "/v1.0/users/") || kind == "servicePrincipal" && strings.HasPrefix(r.URL.Path, "/v1.0/servicePrincipals/")
}

// listGrants shows delegated permissions: all of them, or a client's.
func (d *M365Directory) listGrants(w http.ResponseWriter, r *http.Request) {
	client := r.PathValue("id")
	if client != "" && !d.isHolder(r) {
		m365Missing(w, client)
		return
	}
	shown := picked(d.grants, func(g M365Grant) bool { return client == "" || g.Client == client })
	m365Page(d, w, r, shown, M365Grant.json)
}

// listAppRoles shows what somebody was given, and of a person what groups were that they are in.
func (d *M365Directory) listAppRoles(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !d.isHolder(r) {
		m365Missing(w, id)
		return
	}
	person := d.kind(id) == "user"
	shown := picked(d.appRoles, func(a M365AppRole) bool { return a.Holder == id || person && d.members[a.Holder][id] })
	m365Page(d, w, r, shown, func(a M365AppRole) map[string]any { return d.appRole(a) })
}

func (d *M365Directory) appRole(a M365AppRole) map[string]any {
	kind := map[string]string{"user": "User", "group": "Group", "servicePrincipal": "ServicePrincipal"}[d.kind(a.Holder)]
	return map[string]any{
		"id": a.ID, "appRoleId": a.Role, "principalId": a.Holder, "principalType": kind, "resourceId": a.Resource,
		"resourceDisplayName": d.principals[a.Resource].Name, "createdDateTime": m365Time(a.Created),
	}
}

func (r M365Role) json() map[string]any {
	return map[string]any{"id": r.ID, "displayName": r.Name, "templateId": r.ID, "isBuiltIn": true, "isEnabled": true}
}

func (d *M365Directory) listRoles(w http.ResponseWriter, r *http.Request) {
	m365Page(d, w, r, d.roles, M365Role.json)
}

func (d *M365Directory) getRole(w http.ResponseWriter, r *http.Request) {
	role, there := d.roles[r.PathValue("id")]
	if !there {
		m365Missing(w, r.PathValue("id"))
		return
	}
	m365Shown(w, http.StatusOK, role.json())
}

// listAssignments shows who holds roles, or by the list of schedules when that ends, or who may activate them.
func (d *M365Directory) listAssignments(schedules, eligible bool) m365Call {
	return func(w http.ResponseWriter, r *http.Request) {
		if schedules && d.tenant.config.NoPremium {
			m365NoPremium(w)
			return
		}
		shown := picked(d.assignments, func(a M365RoleAssignment) bool { return a.Eligible == eligible })
		if filter := r.URL.Query().Get("$filter"); filter != "" {
			for condition := range strings.SplitSeq(filter, " and ") {
				field, value, ok := strings.Cut(condition, " eq '")
				value, closed := strings.CutSuffix(value, "'")
				if !ok || !closed || field != "principalId" && field != "roleDefinitionId" {
					m365GraphError(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Invalid filter clause.")
					return
				}
				shown = picked(shown, func(a M365RoleAssignment) bool {
					return field == "principalId" && a.Holder == value || field == "roleDefinitionId" && a.Role == value
				})
			}
		}
		m365Page(d, w, r, shown, func(a M365RoleAssignment) map[string]any {
			answer := map[string]any{"id": a.ID, "roleDefinitionId": a.Role, "principalId": a.Holder, "directoryScopeId": a.Scope, "appScopeId": nil}
			if schedules {
				answer["endDateTime"], answer["memberType"] = m365Time(a.Expires), "Direct"
			}
			if r.URL.Query().Get("$expand") == "principal" {
				answer["principal"] = d.object(r, a.Holder)
			}
			return answer
		})
	}
}

func m365NoPremium(w http.ResponseWriter) {
	m365GraphError(w, http.StatusBadRequest, "AadPremiumLicenseRequired", "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.")
}
