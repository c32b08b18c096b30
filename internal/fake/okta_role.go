// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"net/http"
	"strings"
)

// holder is whether there is somebody of that id who can hold a role at that address.
func (o *Okta) holder(r *http.Request) bool {
	d, id := o.directory, r.PathValue("holder")
	_, person := d.people[id]
	_, group := d.groups[id]
	app, client := d.apps[id]
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v1/users/"):
		return person
	case strings.HasPrefix(r.URL.Path, "/api/v1/groups/"):
		return group
	}
	return client && app.SignOn == "OPENID_CONNECT"
}

func (r OktaRole) json(by string) map[string]any {
	shown := map[string]any{"id": r.ID, "type": r.Type, "label": r.Label, "status": "ACTIVE", "assignmentType": by, "created": nil}
	if r.Type == "CUSTOM" {
		shown["role"], shown["resource-set"] = r.Role, r.Set
	}
	return shown
}

// listRoles shows the roles of a holder, those of a person's groups among theirs.
func (o *Okta) listRoles(r *http.Request) oktaAnswer {
	if !o.holder(r) {
		return oktaMissing("Holder", r.PathValue("holder"))
	}
	d, id := o.directory, r.PathValue("holder")
	shown := map[string]map[string]any{}
	for key, role := range d.roles {
		_, person := d.people[id]
		switch {
		case role.Holder == id:
			by := map[bool]string{true: "USER", false: "GROUP"}[person]
			if _, client := d.apps[id]; client {
				by = "CLIENT"
			}
			shown[key] = role.json(by)
		case d.members[role.Holder][id]:
			shown[key] = role.json("GROUP")
			shown[key]["_links"] = map[string]any{"assignee": map[string]any{"href": "http://" + r.Host + "/api/v1/groups/" + role.Holder}}
		}
	}
	return paged(r, 10_000, 1, 10_000, shown, func(role map[string]any) any { return role })
}

// getRole shows a role that a holder has in their own right.
func (o *Okta) getRole(r *http.Request) oktaAnswer {
	role, there := o.directory.roles[r.PathValue("assignment")]
	if !there || role.Holder != r.PathValue("holder") {
		return oktaMissing("RoleAssignment", r.PathValue("assignment"))
	}
	return oktaJSON(http.StatusOK, role.json("USER"))
}

func (o *Okta) listTargets(r *http.Request) oktaAnswer {
	d := o.directory
	role, there := d.roles[r.PathValue("assignment")]
	if !there || role.Holder != r.PathValue("holder") {
		return oktaMissing("RoleAssignment", r.PathValue("assignment"))
	}
	groups := strings.HasSuffix(r.URL.Path, "/groups")
	targets := keyed(role.Targets, func(target string) string { return target })
	return paged(r, 20, 1, 200, targets, func(target string) any {
		app, known := d.apps[target]
		switch {
		case groups:
			return d.groups[target].json()
		case known:
			return map[string]any{"id": target, "name": app.Name}
		}
		return map[string]any{"name": target}
	})
}

// listAssignees shows who holds a role, be it by a group, with the next page's address in the body.
func (o *Okta) listAssignees(r *http.Request) oktaAnswer {
	d := o.directory
	admins := picked(d.people, func(u OktaUser) bool {
		for _, role := range d.roles {
			if role.Holder == u.ID || d.members[role.Holder][u.ID] {
				return true
			}
		}
		return false
	})
	page := paged(r, 100, 1, 100, admins, func(u OktaUser) any {
		return map[string]any{"id": u.ID, "orn": "orn:okta:directory:invented:users:" + u.ID}
	})
	if page.status != http.StatusOK {
		return page
	}
	links := map[string]any{}
	if page.next != "" {
		links["next"] = map[string]any{"href": "http://" + r.Host + r.URL.Path + "?" + page.next}
	}
	return oktaJSON(http.StatusOK, map[string]any{"value": json.RawMessage(page.body), "_links": links})
}

func (o *Okta) getCustomRole(r *http.Request) oktaAnswer {
	role, there := o.directory.custom[r.PathValue("role")]
	if !there {
		return oktaMissing("CustomRole", r.PathValue("role"))
	}
	return oktaJSON(http.StatusOK, map[string]any{"id": role.ID, "label": role.Label})
}

func (o *Okta) giveRole(r *http.Request) oktaAnswer {
	d, id := o.directory, r.PathValue("holder")
	body, ok := readBody[struct {
		Type, Role string
		Set        string `json:"resource-set"`
	}](r)
	if !o.holder(r) {
		return oktaMissing("User", id)
	}
	given := OktaRole{ID: d.newID("ra1"), Holder: id, Type: body.Type, Role: body.Role, Set: body.Set, Label: "Invented: " + body.Type}
	custom, known := d.custom[body.Role]
	switch {
	case !ok || body.Type == "" || body.Type == "CUSTOM" && body.Set == "":
		return oktaInvalid("type: not a role.")
	case body.Type == "CUSTOM" && !known:
		return oktaMissing("CustomRole", body.Role)
	case body.Type == "CUSTOM":
		given.Label = custom.Label
	}
	for _, role := range d.roles {
		if role.Holder == id && role.Type == body.Type && role.Role == body.Role && role.Set == body.Set {
			return oktaRefusal(http.StatusConflict, "E0000090", "The role specified is already assigned to the user.")
		}
	}
	o.change(func(d *oktaDirectory) {
		d.roles[given.ID] = given
		o.tellPrivileges(id)
	})
	return oktaJSON(http.StatusCreated, given.json("USER"))
}

func (o *Okta) takeRole(r *http.Request) oktaAnswer {
	id := r.PathValue("assignment")
	if role, there := o.directory.roles[id]; !there || role.Holder != r.PathValue("holder") {
		return oktaMissing("RoleAssignment", id)
	}
	o.change(func(d *oktaDirectory) {
		delete(d.roles, id)
		o.tellPrivileges(r.PathValue("holder"))
	})
	return oktaAnswer{status: http.StatusNoContent}
}
