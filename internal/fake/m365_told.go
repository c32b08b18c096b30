// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

// tellMember writes to the directory's log that somebody came into a group, as "member" or "owner", or left it.
func (d *M365Directory) tellMember(as string, group M365Group, holder string, removed bool) {
	activity := "Add " + as + " to group"
	if removed {
		activity = "Remove " + as + " from group"
	}
	d.tell(activity, "GroupManagement", holder, removed, map[string]string{"Group.ObjectID": group.ID, "Group.DisplayName": group.Name},
		M365Target{ID: group.ID, Type: "Group"})
}

// tellRole writes that somebody was given a role or lost it. The object's own id is not the definition's.
func (d *M365Directory) tellRole(a M365RoleAssignment, removed bool) {
	scoped := ""
	if a.Scope != "" && a.Scope != "/" {
		scoped = "scoped "
	}
	activity := "Add " + scoped + "member to role"
	if removed {
		activity = "Remove " + scoped + "member from role"
	}
	object, name := M365ID("role object", a.Role), d.roles[a.Role].Name
	d.tell(activity, "RoleManagement", a.Holder, removed, map[string]string{
		"Role.ObjectID": object, "Role.DisplayName": name, "Role.TemplateId": a.Role,
	}, M365Target{ID: object, Type: "Role", Name: name})
}

// tell writes what a request changed, now: the holder comes first, and with it what it holds.
func (d *M365Directory) tell(activity, category, holder string, removed bool, modified map[string]string, held M365Target) {
	quoted := map[string]string{}
	for name, value := range modified {
		quoted[name] = string(m365JSON(value))
	}
	target := M365Target{ID: holder, Login: d.users[holder].Login, Name: d.principals[holder].Name, Modified: quoted, Removed: removed}
	target.Type = map[string]string{"user": "User", "group": "Group", "servicePrincipal": "ServicePrincipal", "device": "Device"}[d.kind(holder)]
	d.tenant.AddGraph("directoryAudits", M365Audit{
		Seed: 0x746f6c64, Number: uint64(d.changes), Activity: activity, Category: category, Time: d.tenant.config.Now(),
		User: NewM365Person("curfew", "example.com"), Targets: []M365Target{target, held},
	}.JSON())
}
