// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// rolePrivilege is somebody's directory role.
type rolePrivilege struct{ scope string }

// newRolePrivilege takes a scope in Graph's form: "/" before an object's id, with "administrativeUnits/" before that of a
// unit.
func newRolePrivilege(p *curfewv1.Privilege) (privilege, error) {
	scope := cmp.Or(p.GetScope(), "/")
	if id := strings.TrimPrefix(strings.TrimPrefix(scope, "/"), "administrativeUnits/"); scope != "/" && (scope[0] != '/' || !isGUID(id)) {
		return nil, errors.New("the scope is none of a directory role: such as /administrativeUnits/ and an id")
	}
	return rolePrivilege{scope}, nil
}

func (rolePrivilege) residual() string { return residualTokens }

// about is a list of assignments of the privilege's role.
func about(path string, p *curfewv1.Privilege, filter, expand string) string {
	return path + "?$filter=" + url.PathEscape("roleDefinitionId eq '"+p.GetResource()+"'"+filter) + expand
}

func (r rolePrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.holds(ctx, p, state); err != nil {
		return err
	}
	var role struct {
		ID   string `json:"id"`
		Name string `json:"displayName"`
	}
	// That Graph names a missing role as it names other missing objects is not confirmed.
	err := talk.send(ctx, readsRoles, http.MethodGet, at(rolesPath+"/", p.GetResource(), "?$select=id,displayName"), nil, &role)
	switch {
	case isMissing(err):
		state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the role does not exist any more")
		return nil
	case err != nil:
		return err
	case !strings.EqualFold(role.ID, p.GetResource()):
		return errors.New("read the role: the answer is about another")
	}
	state.Resource = curfewv1.Presence_PRESENCE_PRESENT
	if name := p.GetResourceName(); name != "" && name != role.Name {
		remark(state, "the role has another name now")
	}
	if isGone(state) {
		return nil
	}
	assignments, err := all[assignment](ctx, talk, readsRoles, about(assignmentsPath, p, "", "&$expand=principal"))
	if err != nil {
		return err
	}
	state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	var groups []string
	for _, a := range assignments {
		covers := a.Scope == "/" || strings.EqualFold(a.Scope, r.scope)
		switch own := strings.EqualFold(a.Holder, p.GetHolder()); {
		case own && strings.EqualFold(a.Scope, r.scope):
			state.Presence, state.Handle = curfewv1.Presence_PRESENCE_PRESENT, a.ID
		case own && covers:
			state.Via = append(state.Via, "the role on everything")
		case covers && a.Object.Type == typeGroup:
			groups = append(groups, a.Holder)
		}
	}
	through, err := talk.within(ctx, p.GetHolder(), groups)
	if err != nil {
		return err
	}
	for _, id := range through {
		state.Via = append(state.Via, "group "+event.Clean(id))
	}
	return r.schedules(ctx, talk, p, state)
}

// schedules reads when the role ends and whether the holder may activate it. Without the plan or the right nothing of it
// is known, and nothing more is said.
func (r rolePrivilege) schedules(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	mine := " and principalId eq '" + p.GetHolder() + "'"
	if state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
		instances, err := all[assignment](ctx, talk, readsSchedule, about(instancesPath, p, mine, ""))
		if err != nil && !isRefusal(err) {
			return err
		}
		for _, a := range instances {
			if strings.EqualFold(a.Scope, r.scope) && a.Through != "Group" {
				state.ExpiresAt = event.ParseTime(a.Ends)
			}
		}
	}
	eligible, err := all[assignment](ctx, talk, readsSchedule, about(eligiblePath, p, mine, ""))
	if err != nil && !isRefusal(err) {
		return err
	}
	for _, a := range eligible {
		if a.Scope == "/" || strings.EqualFold(a.Scope, r.scope) {
			state.Via = append(state.Via, "eligible: the holder may activate it")
			break
		}
	}
	return nil
}

// give gives the role, with an end where the privilege has one and the tenant can: without the plan for that, or where
// Graph says that the app lacks the permission, without one. What the role's own settings refuse, such as so late an end, is
// refused and not given without an end.
func (r rolePrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	now := talk.source.client.Time()
	// Less than five minutes cannot be asked for; that this is the least is not confirmed.
	if end := p.GetExpiresAt(); end != nil && end.AsTime().After(now.Add(5*time.Minute)) {
		body := map[string]any{
			"action": "adminAssign", "roleDefinitionId": p.GetResource(), "principalId": p.GetHolder(), "directoryScopeId": r.scope,
			"justification": "given for a limited time by Curfew",
			"scheduleInfo": map[string]any{
				"startDateTime": now.UTC().Format(time.RFC3339),
				"expiration":    map[string]any{"type": "afterDateTime", "endDateTime": end.AsTime().UTC().Format(time.RFC3339)},
			},
		}
		err := talk.send(ctx, setsRoles, http.MethodPost, "/v1.0/roleManagement/directory/roleAssignmentScheduleRequests", body, nil)
		// Any other refusal may be the role's own settings.
		if told := code(err); told != codeNoPIM && told != codeNotGranted {
			return err
		}
	}
	body := map[string]string{
		"@odata.type": "#microsoft.graph.unifiedRoleAssignment", "roleDefinitionId": p.GetResource(), "principalId": p.GetHolder(), "directoryScopeId": r.scope,
	}
	return talk.send(ctx, setsRoles, http.MethodPost, assignmentsPath, body, nil)
}

// take ends the assignment that was read. That this holds for one with an end too is not confirmed.
func (rolePrivilege) take(ctx context.Context, talk *conversation, _ *curfewv1.Privilege, state *curfewv1.PrivilegeState, _ string) error {
	if state.GetHandle() == "" {
		return errors.New("revoke the role: its assignment has no id")
	}
	return talk.send(ctx, setsRoles, http.MethodDelete, at(assignmentsPath+"/", state.GetHandle(), ""), nil, nil)
}
