// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Types of groups: https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Group/.
const (
	typeDirectory = "APP_GROUP" // filled by a directory or an app, and changed there alone
	typeBuiltIn   = "BUILT_IN"  // filled by Okta
)

// groupPrivilege is a person's membership of a group.
type groupPrivilege struct{}

func (groupPrivilege) residual() string {
	return "sessions at apps that the group opened: until the apps end them"
}

func (groupPrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.person(ctx, p, state); err != nil {
		return err
	}
	var g group
	err := talk.send(ctx, readsGroups, http.MethodGet, at("/api/v1/groups/", p.GetResource()), nil, &g)
	switch {
	case isMissing(err):
		state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the group does not exist any more")
		if state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT {
			return nil
		}
		// Whether a group that our role does not reach is left out of a person's groups is not known.
		held, err := talk.isMember(ctx, p)
		if err == nil && held {
			err = hidden("group", readsGroups)
		}
		return err
	case err != nil:
		return err
	case g.ID != p.GetResource():
		return errors.New("read the group: the answer is about another")
	}
	state.Resource = curfewv1.Presence_PRESENCE_PRESENT
	if name := p.GetResourceName(); name != "" && name != g.Profile.Name {
		remark(state, "the group has another name now")
	}
	if isGone(state) {
		return nil
	}
	held, err := talk.isMember(ctx, p)
	if err != nil {
		return err
	}
	state.Presence = presence(held)
	talk.groupType = g.Type
	switch g.Type {
	case typeDirectory:
		remark(state, "a directory or an app fills the group: its members are changed there")
	case typeBuiltIn:
		remark(state, "Okta itself fills the group: nobody can be put in or taken out")
	default:
		talk.rules(ctx, g.ID, state)
	}
	return nil
}

// isMember is whether a person is in a group. There is no way to ask for one membership; a person's groups are fewer than a
// group's people.
func (c *conversation) isMember(ctx context.Context, p *curfewv1.Privilege) (bool, error) {
	groups, err := all[group](ctx, c, readsUsers, at("/api/v1/users/", p.GetHolder(), "/groups"))
	return slices.ContainsFunc(groups, func(g group) bool { return g.ID == p.GetResource() }), err
}

// rules notes which rules fill a group. That they put back whom they cover and somebody took out is not confirmed.
func (c *conversation) rules(ctx context.Context, group string, state *curfewv1.PrivilegeState) {
	rules, err := all[rule](ctx, c, readsGroups, "/api/v1/groups/rules?limit=200")
	if err != nil {
		// It is a warning and no part of the answer.
		remark(state, "whether a group rule fills the group could not be learnt")
		return
	}
	for _, r := range rules {
		if r.Status == "ACTIVE" && slices.Contains(r.Actions.Assign.GroupIDs, group) {
			remark(state, "the group rule "+event.Clean(r.ID)+" fills the group: whom it covers is put back")
		}
	}
}

// give and take put a person in and out. Okta answers alike where it was so before:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Group/#tag/Group/operation/assignUserToGroup.
func (g groupPrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	return g.set(ctx, talk, http.MethodPut, p)
}

func (g groupPrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	return g.set(ctx, talk, http.MethodDelete, p)
}

func (groupPrivilege) set(ctx context.Context, talk *conversation, method string, p *curfewv1.Privilege) error {
	verb := "take the person out of"
	if method == http.MethodPut {
		verb = "put the person into"
	}
	link := talk.source.console("/admin/group/" + p.GetResource())
	switch talk.groupType {
	case typeDirectory:
		// Okta's answer to this is the one for a missing right, which would tell nobody what to do.
		return &task{verb + " the group in the directory or app that fills it", link}
	case typeBuiltIn:
		return &task{"nothing can " + verb + " a group that Okta fills: give what it gives in another way", link}
	}
	err := talk.send(ctx, setsGroups, method, at("/api/v1/groups/", p.GetResource(), at("/users/", p.GetHolder())), nil, nil)
	if code(err) == codeUnsupported {
		return &task{verb + " the group where its members are managed: Okta's API does not", link}
	}
	return err
}

// appPrivilege is a person's own assignment to an app.
type appPrivilege struct{}

func (appPrivilege) residual() string { return "sessions at the app: until it ends them" }

func (appPrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.person(ctx, p, state); err != nil {
		return err
	}
	exists, err := talk.application(ctx, p.GetResource(), p.GetResourceName(), state)
	state.Resource = presence(exists)
	switch {
	case err != nil:
		return err
	case !exists:
		remark(state, "the app does not exist any more")
		if state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT {
			return nil
		}
		return talk.appLinks(ctx, p)
	case isGone(state):
		return nil
	}
	var has appUser
	err = talk.send(ctx, readsApps, http.MethodGet, at("/api/v1/apps/", p.GetResource(), at("/users/", p.GetHolder())), nil, &has)
	switch {
	case isMissing(err):
		state.Presence = curfewv1.Presence_PRESENCE_ABSENT
		return nil
	case err != nil:
		return err
	case has.ID != p.GetHolder():
		return errors.New("read the assignment: the answer is about somebody else")
	}
	state.Presence = presence(has.Scope != "GROUP")
	if !isActive(has.Status) {
		remark(state, "the assignment is "+event.Clean(has.Status))
	}
	// A person's own assignment hides those by groups, and it can be taken only where there are none.
	giving, err := all[appUser](ctx, talk, readsApps, at("/api/v1/apps/", p.GetResource(), "/groups?limit=200"))
	if err != nil {
		return err
	}
	groups, err := all[group](ctx, talk, readsUsers, at("/api/v1/users/", p.GetHolder(), "/groups"))
	if err != nil {
		return err
	}
	for _, g := range groups {
		if slices.ContainsFunc(giving, func(gives appUser) bool { return gives.ID == g.ID }) {
			state.Via = append(state.Via, "group "+event.Clean(g.ID))
		}
	}
	if has.Scope == "GROUP" && len(state.Via) == 0 {
		state.Via = []string{"a group"}
	}
	return nil
}

// appLinks is an error where an app that Okta says does not exist is among those that a person has, by a group as well.
// Whether Okta leaves out there what our role does not reach, or what a person does not see on their dashboard, is not
// known: https://developer.okta.com/docs/api/openapi/okta-management/management/tag/UserResources/.
func (c *conversation) appLinks(ctx context.Context, p *curfewv1.Privilege) error {
	links, err := all[appLink](ctx, c, readsUsers, at("/api/v1/users/", p.GetHolder(), "/appLinks"))
	if err == nil && slices.ContainsFunc(links, func(l appLink) bool { return l.App == p.GetResource() }) {
		err = hidden("app", readsApps)
	}
	return err
}

func (appPrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if len(state.GetVia()) > 0 {
		return errAlready
	}
	// The user name at the app follows from Okta's own mapping.
	body := map[string]string{"id": p.GetHolder(), "scope": "USER"}
	err := talk.send(ctx, setsApps, http.MethodPost, at("/api/v1/apps/", p.GetResource(), "/users"), body, nil)
	if code(err) == codeHasApp {
		return errAlready
	}
	return err
}

// take ends the assignment. Where the app is provisioned that can deactivate the account there, and what the assignment
// itself held, such as the profile, is lost:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/ApplicationUsers/#tag/ApplicationUsers/operation/unassignUserFromApplication.
func (appPrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	err := talk.send(ctx, setsApps, http.MethodDelete, at("/api/v1/apps/", p.GetResource(), at("/users/", p.GetHolder())), nil, nil)
	if code(err) == codeGroupGives {
		giving := strings.Join(state.GetVia(), ", ")
		if giving == "" {
			giving = "a group"
		}
		// That the console can convert it and the API cannot is Okta's support's word, not its documentation's.
		return &task{
			"Okta does not let the person's own assignment be taken while " + giving + " gives the app as well: " +
				"convert it to the group's (Assignments, Convert assignments), or take the person out of the group",
			talk.source.console("/admin/apps/active"),
		}
	}
	return err
}

// console is a page of the Admin Console. That Okta leads from the org's own address to the console's is not confirmed.
func (s *Source) console(path string) string { return s.base.String() + path }

// scopePrivilege is an app's scope of Okta's own API.
type scopePrivilege struct{}

// An access token lives an hour: https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/.
func (scopePrivilege) residual() string { return "access tokens: up to 1 h" }

func (scopePrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	exists, err := talk.application(ctx, p.GetHolder(), p.GetHolderName(), state)
	if err != nil {
		return err
	}
	state.Holder = presence(exists)
	consents, err := all[consent](ctx, talk, readsGrants, at("/api/v1/apps/", p.GetHolder(), "/grants"))
	switch {
	case !exists && isMissing(err):
		// Whether Okta says both of an app that our role does not reach is not known.
		remark(state, "the app does not exist any more")
		return nil
	case err != nil:
		return err
	case !exists:
		return hidden("app", readsApps)
	}
	state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	for _, c := range consents {
		if c.ScopeID == p.GetResource() && isActive(c.Status) && isID(c.ID) {
			state.Presence, state.Handle = curfewv1.Presence_PRESENCE_PRESENT, c.ID
		}
	}
	return nil
}

func (scopePrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	// The issuer is the org's own server; that an address of the org's making (a custom domain) is taken for it is not
	// confirmed.
	body := map[string]string{"scopeId": p.GetResource(), "issuer": talk.source.base.String()}
	return talk.send(ctx, setsGrants, http.MethodPost, at("/api/v1/apps/", p.GetHolder(), "/grants"), body, nil)
}

func (scopePrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if state.GetHandle() == "" {
		return fmt.Errorf("revoke the scope %s: its grant has no id", p.GetResource())
	}
	return talk.send(ctx, setsGrants, http.MethodDelete, at("/api/v1/apps/", p.GetHolder(), at("/grants/", state.GetHandle())), nil, nil)
}
