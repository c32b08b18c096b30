// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"
	"strings"
)

// oktaPrivileges are the System Log's words for standard roles.
var oktaPrivileges = map[string]string{
	"SUPER_ADMIN": "Super administrator", "ORG_ADMIN": "Organization administrator", "APP_ADMIN": "Application administrator (all)",
	"READ_ONLY_ADMIN": "Read only admin", "USER_ADMIN": "User administrator (all)", "HELP_DESK_ADMIN": "Help Desk administrator (all)",
	"MOBILE_ADMIN": "Mobile administrator", "API_ACCESS_MANAGEMENT_ADMIN": "API Access Management administrator",
	"REPORT_ADMIN": "Report administrator", "GROUP_MEMBERSHIP_ADMIN": "Group Membership administrator",
}

// tell writes what a request changed to the log.
func (o *Okta) tell(eventType string, debug map[string]string, targets ...OktaEntity) {
	o.Add(OktaEvent{
		UUID: o.directory.newID("change"), Type: eventType, Published: o.config.Clock(),
		Actor: OktaEntity{ID: "0oaCurfew", Type: "PublicClientApp", DisplayName: "Curfew"}, Targets: targets, Debug: debug,
	}.JSON())
}

// tellMember writes that somebody came into a group or left it.
func (o *Okta) tellMember(group, person string, there bool) {
	eventType := "group.user_membership.remove"
	if there {
		eventType = "group.user_membership.add"
	}
	d := o.directory
	o.tell(eventType, nil, d.people[person].Entity(), d.groups[group].Entity())
	if slices.ContainsFunc(ordered(d.roles), func(r OktaRole) bool { return r.Holder == group }) {
		o.tellPrivileges(person)
	}
}

// tellAssigned writes that somebody was given an app or lost it.
func (o *Okta) tellAssigned(app, person string, there bool) {
	eventType := "application.user_membership.remove"
	if there {
		eventType = "application.user_membership.add"
	}
	who := o.directory.people[person].Entity()
	place := OktaEntity{ID: OktaID("0ua", app+person), Type: "AppUser", AlternateID: who.AlternateID, DisplayName: who.DisplayName}
	o.tell(eventType, nil, place, o.directory.apps[app].Entity(), who)
}

// tellPrivileges writes which roles a person has now, by their groups too; of somebody who has none left, all that there
// are.
func (o *Okta) tellPrivileges(person string) {
	d := o.directory
	var now []string
	for _, role := range ordered(d.roles) {
		if role.Holder == person || d.members[role.Holder][person] {
			now = append(now, oktaPrivilege(role))
		}
	}
	if len(now) > 0 {
		o.tell("user.account.privilege.grant", map[string]string{"privilegeGranted": strings.Join(now, ", ")}, d.people[person].Entity())
		return
	}
	o.tell("user.account.privilege.revoke", map[string]string{"privilegeRevoked": strings.Join(ordered(oktaPrivileges), ", ")}, d.people[person].Entity())
}

func oktaPrivilege(r OktaRole) string {
	if word := oktaPrivileges[r.Type]; word != "" {
		return word
	}
	return r.Label
}
