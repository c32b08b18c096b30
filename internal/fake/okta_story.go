// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import "strings"

// OktaStaff is somebody who works at Linden & Lark, an invented shop: anna.berg becomes Anna Berg with an id made of the
// login. Records of the same person have the same id.
func OktaStaff(login string) OktaUser {
	person := OktaPerson(login)
	first, last, _ := strings.Cut(person.DisplayName, " ")
	return OktaUser{ID: person.ID, Login: login + "@linden-lark.example.com", First: first, Last: last}
}

// Entity is the person as an actor or a target.
func (u OktaUser) Entity() OktaEntity {
	return OktaEntity{ID: u.ID, Type: "User", AlternateID: u.Login, DisplayName: strings.TrimSpace(u.First + " " + u.Last)}
}

// Entity is the group as a target.
func (g OktaGroup) Entity() OktaEntity {
	return OktaEntity{ID: g.ID, Type: "UserGroup", DisplayName: g.Name}
}

// Entity is the app as a target.
func (a OktaApp) Entity() OktaEntity {
	return OktaEntity{ID: a.ID, Type: "AppInstance", AlternateID: a.Label, DisplayName: a.Label}
}

// OktaSignsIn is the event of a person signing in with a second factor, such as "OKTA_VERIFY_PUSH"; without one if empty.
func OktaSignsIn(who OktaUser, factor string) OktaEvent {
	return OktaEvent{Type: "user.session.start", Actor: who.Entity(), Factor: factor}
}

// OktaOpens is the event of a person opening an app.
func OktaOpens(who OktaUser, app OktaApp) OktaEvent {
	return OktaEvent{Type: "user.authentication.sso", Actor: who.Entity(), Targets: []OktaEntity{app.Entity(), who.Entity()}}
}

// OktaPutsInto is the event of an administrator putting somebody into a group.
func OktaPutsInto(admin, who OktaUser, group OktaGroup) OktaEvent {
	return OktaEvent{Type: "group.user_membership.add", Actor: admin.Entity(), Targets: []OktaEntity{who.Entity(), group.Entity()}}
}

// OktaMakesAdmin is the event of an administrator giving somebody a role, such as "Super administrator".
func OktaMakesAdmin(admin, who OktaUser, role string) OktaEvent {
	return OktaEvent{
		Type: "user.account.privilege.grant", Actor: admin.Entity(), Targets: []OktaEntity{who.Entity()},
		Debug: map[string]string{"privilegeGranted": role},
	}
}

// OktaConsents is the event of a person letting an app have scopes in their name.
func OktaConsents(who OktaUser, app OktaApp, scopes ...string) OktaEvent {
	return OktaEvent{
		Type: "app.oauth2.as.consent.grant", Actor: who.Entity(), Targets: []OktaEntity{app.Entity(), who.Entity()},
		Debug: map[string]string{"grantedScopes": strings.Join(scopes, " ")},
	}
}

// OktaMakesToken is the event of an administrator making an API token.
func OktaMakesToken(admin OktaUser, token OktaToken) OktaEvent {
	return OktaEvent{
		Type: "system.api_token.create", Actor: admin.Entity(),
		Targets: []OktaEntity{{ID: token.ID, Type: "Token", DisplayName: token.Name}},
	}
}
