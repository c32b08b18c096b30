// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// delegatedPrivilege is some delegated permissions of an app. The consent that holds them may hold others too, which are
// none of ours: what is read of it are these, in their order.
type delegatedPrivilege struct{ scopes []string }

func newDelegatedPrivilege(p *curfewv1.Privilege) (privilege, error) {
	scopes := strings.Fields(p.GetLevel())
	switch {
	case p.GetScope() != "" && !isGUID(p.GetScope()):
		return nil, errors.New("the scope is no person's object id")
	case len(scopes) == 0:
		return nil, errors.New("the level names no permission, such as User.Read")
	case strings.Join(scopes, " ") != p.GetLevel():
		return nil, errors.New("the level has more than one space between two permissions")
	}
	for i, scope := range scopes {
		// https://www.rfc-editor.org/rfc/rfc6749#section-3.3
		if strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) || contains(scopes[:i], scope) {
			return nil, errors.New("the level names what is no permission, or one twice")
		}
	}
	return delegatedPrivilege{scopes}, nil
}

func (delegatedPrivilege) residual() string { return residualTokens }

func (d delegatedPrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.app(ctx, p, state); err != nil {
		return err
	}
	if _, err := talk.api(ctx, p.GetResource(), p.GetResourceName(), "", state); err != nil || isGone(state) {
		return err
	}
	everybody, err := talk.consent(ctx, p)
	if err != nil {
		return err
	}
	state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	if talk.grant != nil {
		has := strings.Fields(talk.grant.Scope)
		held := slices.DeleteFunc(slices.Clone(d.scopes), func(scope string) bool { return !contains(has, scope) })
		if len(held) > 0 {
			state.Presence, state.Level, state.Handle = curfewv1.Presence_PRESENCE_PRESENT, strings.Join(held, " "), talk.grant.ID
		}
		if len(has) > len(held) {
			remark(state, "the same consent holds other permissions too, which stay")
		}
	}
	if everybody != nil && slices.ContainsFunc(strings.Fields(everybody.Scope), func(scope string) bool { return contains(d.scopes, scope) }) {
		state.Via = append(state.Via, "consent for everybody "+event.Clean(everybody.ID))
	}
	return nil
}

// api reads the app that offers permissions; nil where there is none.
func (c *conversation) api(ctx context.Context, id, name, fields string, state *curfewv1.PrivilegeState) (*principal, error) {
	found, err := c.principal(ctx, id, fields)
	if err != nil {
		return nil, err
	}
	state.Resource = presence(found != nil)
	switch {
	case found == nil:
		remark(state, "the app that offers it does not exist any more")
	case name != "" && !found.isNamed(name):
		remark(state, "the app that offers it has another name now")
	}
	return found, nil
}

// consent reads the app's consent of the privilege's person, or of everybody where it names none, into grant; nil where
// there is none. Of a person's it gives back that of everybody as well.
func (c *conversation) consent(ctx context.Context, p *curfewv1.Privilege) (everybody *permissionGrant, err error) {
	c.grant = nil
	grants, err := all[permissionGrant](ctx, c, readsGrants, c.source.topped(principalsPath+p.GetHolder()+"/oauth2PermissionGrants"))
	if err != nil {
		return nil, err
	}
	for i, g := range grants {
		switch {
		case !strings.EqualFold(g.Resource, p.GetResource()):
		case strings.EqualFold(g.Principal, p.GetScope()) && (g.Kind == "AllPrincipals") == (p.GetScope() == ""):
			c.grant = &grants[i]
		case g.Kind == "AllPrincipals":
			everybody = &grants[i]
		}
	}
	return everybody, nil
}

// contains is whether a permission is among some. That Graph takes them without regard to case is not confirmed; that two
// permissions differ by case alone is nowhere seen.
func contains(scopes []string, scope string) bool {
	return slices.ContainsFunc(scopes, func(other string) bool { return strings.EqualFold(other, scope) })
}

func (d delegatedPrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	return d.set(ctx, talk, p, func(has []string) []string {
		return append(has, slices.DeleteFunc(slices.Clone(d.scopes), func(scope string) bool { return contains(has, scope) })...)
	})
}

// take takes what is ours out of the consent, but for those of level, which were there before.
func (d delegatedPrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState, level string) error {
	keep := strings.Fields(level)
	return d.set(ctx, talk, p, func(has []string) []string {
		return slices.DeleteFunc(has, func(scope string) bool { return contains(d.scopes, scope) && !contains(keep, scope) })
	})
}

// set changes which permissions the consent holds. Graph knows no other way than to write all of them, and no condition on
// a write. So the consent is read right before, the change is made to what it holds then, and it is deleted only if nothing
// is left of that; and it is read again and compared. What somebody else writes between that read and our write is lost
// unseen; what they write behind it is seen, and the error has it all asked again.
func (d delegatedPrivilege) set(ctx context.Context, talk *conversation, p *curfewv1.Privilege, change func(has []string) []string) error {
	if _, err := talk.consent(ctx, p); err != nil {
		return err
	}
	var scopes []string
	if talk.grant != nil {
		scopes = strings.Fields(talk.grant.Scope)
	}
	scopes = tidy(change(scopes))
	body := map[string]any{"scope": strings.Join(scopes, " ")}
	var err error
	switch {
	case talk.grant == nil && len(scopes) == 0:
		// Somebody else took it meanwhile.
		return nil
	case talk.grant == nil:
		body["clientId"], body["resourceId"], body["consentType"], body["principalId"] = p.GetHolder(), p.GetResource(), "AllPrincipals", nil
		if p.GetScope() != "" {
			body["consentType"], body["principalId"] = "Principal", p.GetScope()
		}
		err = talk.send(ctx, setsGrants, http.MethodPost, "/v1.0/oauth2PermissionGrants", body, nil)
	case talk.grant.ID == "":
		err = errors.New("change the consent: it has no id")
	case len(scopes) == 0:
		err = talk.send(ctx, setsGrants, http.MethodDelete, at("/v1.0/oauth2PermissionGrants/", talk.grant.ID, ""), nil, nil)
	default:
		err = talk.send(ctx, setsGrants, http.MethodPatch, at("/v1.0/oauth2PermissionGrants/", talk.grant.ID, ""), body, nil)
	}
	if err != nil {
		return err
	}
	if _, err := talk.consent(ctx, p); err != nil {
		return err
	}
	var now []string
	if talk.grant != nil {
		now = tidy(strings.Fields(talk.grant.Scope))
	}
	if !slices.EqualFunc(now, scopes, strings.EqualFold) {
		return errors.New("change the consent: it holds something else than what was written; somebody else changed it, or graph does not show it yet")
	}
	return nil
}

// appRolePrivilege is an application permission, or a place in an app.
type appRolePrivilege struct{ resource, role string }

func newAppRolePrivilege(p *curfewv1.Privilege) (privilege, error) {
	resource, role, ok := strings.Cut(p.GetResource(), "/")
	if !ok || !isGUID(resource) || !isGUID(role) {
		return nil, errors.New("the resource is no app role: a service principal's object id, a slash, and the role's id")
	}
	return appRolePrivilege{resource, role}, nil
}

func (appRolePrivilege) residual() string { return residualTokens }

func (a appRolePrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.holds(ctx, p, state); err != nil {
		return err
	}
	offers, err := talk.api(ctx, a.resource, "", ",appRoles", state)
	if err != nil || offers == nil {
		return err
	}
	place := slices.IndexFunc(offers.Roles, func(r appRole) bool { return strings.EqualFold(r.ID, a.role) })
	switch {
	case place < 0 && a.role != zeroGUID:
		state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the app does not offer the role any more")
	case place >= 0 && p.GetResourceName() != "" && p.GetResourceName() != offers.Roles[place].Value && !offers.isNamed(p.GetResourceName()):
		remark(state, "app and role have another name now")
	}
	if isGone(state) {
		return nil
	}
	right := readsApps
	if talk.path == usersPath {
		right = readsAppRoles
	}
	given, err := all[roleGiven](ctx, talk, right, talk.path+p.GetHolder()+"/appRoleAssignments")
	if err != nil {
		return err
	}
	state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	for _, g := range given {
		switch {
		case !strings.EqualFold(g.Resource, a.resource) || !strings.EqualFold(g.Role, a.role):
		case strings.EqualFold(g.Holder, p.GetHolder()):
			state.Presence, state.Handle = curfewv1.Presence_PRESENCE_PRESENT, g.ID
		case g.HolderType == "Group":
			// Of a person Graph shows those of their groups too: https://learn.microsoft.com/graph/api/user-list-approleassignments.
			state.Via = append(state.Via, "group "+event.Clean(g.Holder))
		}
	}
	return nil
}

func (a appRolePrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	body := map[string]string{"principalId": p.GetHolder(), "resourceId": a.resource, "appRoleId": a.role}
	return talk.send(ctx, setsAppRoles, http.MethodPost, principalsPath+a.resource+"/appRoleAssignedTo", body, nil)
}

func (a appRolePrivilege) take(ctx context.Context, talk *conversation, _ *curfewv1.Privilege, state *curfewv1.PrivilegeState, _ string) error {
	if state.GetHandle() == "" {
		return errors.New("revoke the app role: its assignment has no id")
	}
	return talk.send(ctx, setsAppRoles, http.MethodDelete, at(principalsPath+a.resource+"/appRoleAssignedTo/", state.GetHandle(), ""), nil, nil)
}
