// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"net/http"
	"strings"
	"time"
)

// change makes a change, unless the tenant lies: then it only says so.
func (d *M365Directory) change(change func()) {
	if d.tenant.faults.lies() {
		return
	}
	change()
	d.changes++
}

// m365Bad answers with a request that makes no sense here.
func m365Bad(w http.ResponseWriter, message string) {
	m365GraphError(w, http.StatusBadRequest, "Request_BadRequest", message)
}

// relateTo puts somebody into a group, as "member" or as "owner".
func (d *M365Directory) relateTo(as string, relation map[string]map[string]bool) m365Call {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := readBody[struct {
			ID string `json:"@odata.id"`
		}](r)
		group, there := d.groups[r.PathValue("id")]
		_, id, isReference := strings.Cut(body.ID, "/v1.0/directoryObjects/")
		switch {
		case !there:
			m365Missing(w, r.PathValue("id"))
		case !isReference || !strings.HasPrefix(body.ID, "http"):
			m365Bad(w, "Invalid URL format specified in payload.")
		case d.kind(id) == "":
			m365Missing(w, id)
		case relation[group.ID][id]:
			m365Bad(w, "One or more added object references already exist for the following modified properties: 'members'.")
		case d.refuses(w, group):
		default:
			d.change(func() {
				if relation[group.ID] == nil {
					relation[group.ID] = map[string]bool{}
				}
				relation[group.ID][id] = true
				d.tellMember(as, group, id, false)
			})
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// refuses answers for groups whose members Graph does not change.
func (d *M365Directory) refuses(w http.ResponseWriter, group M365Group) bool {
	switch {
	case group.Dynamic:
		m365Bad(w, "Insufficient privileges to complete the operation: the group has a dynamic membership rule.")
	case group.Synced:
		m365Bad(w, "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.")
	case group.Mail:
		m365Bad(w, "Cannot Update a mail-enabled security groups and or distribution list.")
	case group.ForRoles && !d.tenant.has(m365WritesRoles...):
		m365GraphError(w, http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	default:
		return false
	}
	return true
}

func (d *M365Directory) unrelate(as string, relation map[string]map[string]bool) m365Call {
	return func(w http.ResponseWriter, r *http.Request) {
		group, there := d.groups[r.PathValue("id")]
		member := r.PathValue("member")
		switch {
		case !there || !relation[group.ID][member]:
			m365Missing(w, member)
		case d.refuses(w, group):
		case group.Team && strings.Contains(r.URL.Path, "/owners/") && len(relation[group.ID]) == 1:
			m365Bad(w, "The group must have at least one owner, hence this owner cannot be removed.")
		default:
			d.change(func() {
				delete(relation[group.ID], member)
				d.tellMember(as, group, member, true)
			})
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// deleteMember is what becomes of a request without $ref: the member itself is deleted.
func (d *M365Directory) deleteMember(w http.ResponseWriter, r *http.Request) {
	d.change(func() { d.remove(r.PathValue("member")) })
	w.WriteHeader(http.StatusNoContent)
}

// checkGroups says in which of some groups somebody is, be it by another group.
func (d *M365Directory) checkGroups(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody[struct {
		IDs []string `json:"groupIds"`
	}](r)
	switch {
	case !d.isHolder(r):
		m365Missing(w, r.PathValue("id"))
	case !ok || len(body.IDs) == 0 || len(body.IDs) > 20:
		m365Bad(w, "The number of group ids is not from 1 to 20.")
	default:
		in, found := d.holds(r.PathValue("id")), []string{}
		for _, id := range body.IDs {
			if in[id] {
				found = append(found, id)
			}
		}
		m365Shown(w, http.StatusOK, map[string]any{"value": found})
	}
}

// roleRequest is an assignment of a role, with an end or without.
type roleRequest struct {
	Action   string `json:"action"`
	Role     string `json:"roleDefinitionId"`
	Holder   string `json:"principalId"`
	Scope    string `json:"directoryScopeId"`
	Schedule struct {
		Expiration struct {
			Type string    `json:"type"`
			End  time.Time `json:"endDateTime"`
		} `json:"expiration"`
	} `json:"scheduleInfo"`
}

func (d *M365Directory) assignRole(w http.ResponseWriter, r *http.Request) {
	d.giveRole(w, r, "Request_BadRequest", "A conflicting object with one or more of the specified property values is present in the directory.")
}

// scheduleRole gives a role with an end: https://learn.microsoft.com/graph/api/rbacapplication-post-roleassignmentschedulerequests.
func (d *M365Directory) scheduleRole(w http.ResponseWriter, r *http.Request) {
	if d.tenant.config.NoPremium {
		m365NoPremium(w)
		return
	}
	d.giveRole(w, r, "RoleAssignmentExists", "The Role assignment already exists.")
}

func (d *M365Directory) giveRole(w http.ResponseWriter, r *http.Request, code, exists string) {
	body, ok := readBody[roleRequest](r)
	scheduled := strings.HasSuffix(r.URL.Path, "Requests")
	_, known := d.roles[body.Role]
	end := body.Schedule.Expiration.End
	switch {
	case !ok || !strings.HasPrefix(body.Scope, "/") || scheduled && (body.Action != "adminAssign" || body.Schedule.Expiration.Type != "afterDateTime" || end.IsZero()):
		m365Bad(w, "The request is not one.")
		return
	case !known:
		m365Missing(w, body.Role)
		return
	case d.kind(body.Holder) == "" || d.kind(body.Holder) == "device":
		m365Missing(w, body.Holder)
		return
	}
	for _, a := range d.assignments {
		if a.Role == body.Role && a.Holder == body.Holder && a.Scope == body.Scope && !a.Eligible {
			m365GraphError(w, http.StatusBadRequest, code, exists)
			return
		}
	}
	given := M365RoleAssignment{ID: d.newID("assignment"), Role: body.Role, Holder: body.Holder, Scope: body.Scope, Expires: end}
	d.change(func() {
		given.put(d)
		d.tellRole(given, false)
	})
	answer := map[string]any{"id": given.ID, "roleDefinitionId": given.Role, "principalId": given.Holder, "directoryScopeId": given.Scope}
	if scheduled {
		answer["status"], answer["action"] = "Provisioned", body.Action
	}
	m365Shown(w, http.StatusCreated, answer)
}

func (d *M365Directory) unassignRole(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	held, there := d.assignments[id]
	if !there {
		m365Missing(w, id)
		return
	}
	d.change(func() {
		delete(d.assignments, id)
		d.tellRole(held, true)
	})
	w.WriteHeader(http.StatusNoContent)
}

func (d *M365Directory) createGrant(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody[struct {
		Client    string  `json:"clientId"`
		Kind      string  `json:"consentType"`
		Principal *string `json:"principalId"`
		Resource  string  `json:"resourceId"`
		Scope     string  `json:"scope"`
	}](r)
	given := M365Grant{ID: d.newID("grant"), Client: body.Client, Resource: body.Resource, Scope: strings.TrimSpace(body.Scope)}
	if body.Principal != nil {
		given.Principal = *body.Principal
	}
	switch {
	case !ok || (body.Kind == "Principal") != (given.Principal != "") || body.Kind != "Principal" && body.Kind != "AllPrincipals":
		m365Bad(w, "Invalid value specified for property 'consentType'.")
		return
	case d.kind(given.Client) != "servicePrincipal":
		m365Missing(w, given.Client)
		return
	case d.kind(given.Resource) != "servicePrincipal":
		m365Missing(w, given.Resource)
		return
	case given.Principal != "" && d.kind(given.Principal) != "user":
		m365Missing(w, given.Principal)
		return
	}
	for _, g := range d.grants {
		if g.Client == given.Client && g.Resource == given.Resource && g.Principal == given.Principal {
			m365GraphError(w, http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
			return
		}
	}
	d.change(func() { d.grants[given.ID] = given })
	m365Shown(w, http.StatusCreated, given.json())
}

func (d *M365Directory) updateGrant(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody[struct {
		Scope string `json:"scope"`
	}](r)
	grant, there := d.grants[r.PathValue("id")]
	switch {
	case !there:
		m365Missing(w, r.PathValue("id"))
	case !ok || strings.TrimSpace(body.Scope) == "":
		m365Bad(w, "Invalid value specified for property 'scope'.")
	default:
		grant.Scope = strings.TrimSpace(body.Scope)
		d.change(func() { d.grants[grant.ID] = grant })
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *M365Directory) deleteGrant(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if _, there := d.grants[id]; !there {
		m365Missing(w, id)
		return
	}
	d.change(func() { delete(d.grants, id) })
	w.WriteHeader(http.StatusNoContent)
}

func (d *M365Directory) assignAppRole(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody[struct {
		Holder   string `json:"principalId"`
		Resource string `json:"resourceId"`
		Role     string `json:"appRoleId"`
	}](r)
	resource, there := d.principals[r.PathValue("id")]
	_, offered := resource.Roles[body.Role]
	switch {
	case !there:
		m365Missing(w, r.PathValue("id"))
		return
	case !ok || body.Resource != resource.ID:
		m365Bad(w, "Invalid value specified for property 'resourceId'.")
		return
	case d.kind(body.Holder) == "" || d.kind(body.Holder) == "device":
		m365Missing(w, body.Holder)
		return
	case !offered && body.Role != "00000000-0000-0000-0000-000000000000":
		m365Bad(w, "Permission being assigned was not found on application '"+resource.AppID+"'.")
		return
	}
	for _, a := range d.appRoles {
		if a.Holder == body.Holder && a.Resource == body.Resource && a.Role == body.Role {
			m365Bad(w, "Permission being assigned already exists on the object.")
			return
		}
	}
	given := M365AppRole{ID: d.newID("app role"), Holder: body.Holder, Resource: body.Resource, Role: body.Role, Created: d.tenant.config.Now()}
	d.change(func() { given.put(d) })
	m365Shown(w, http.StatusCreated, d.appRole(given))
}

func (d *M365Directory) unassignAppRole(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("assignment")
	if a, there := d.appRoles[id]; !there || a.Resource != r.PathValue("id") {
		m365Missing(w, id)
		return
	}
	d.change(func() { delete(d.appRoles, id) })
	w.WriteHeader(http.StatusNoContent)
}

// endSessions ends a person's sessions. Of a guest it ends none and says nothing of it.
func (d *M365Directory) endSessions(w http.ResponseWriter, r *http.Request) {
	user, there := d.users[r.PathValue("id")]
	if !there {
		m365Missing(w, r.PathValue("id"))
		return
	}
	d.change(func() {
		if !user.Guest {
			d.ended[user.ID]++
		}
	})
	m365Shown(w, http.StatusOK, map[string]any{"value": true})
}
