// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// roleResidual is how long the Admin console may stay open; not confirmed.
const roleResidual = "an open session of the Admin console: minutes"

// readRole reads the holder, the role, and all assignments by which the holder has it: their own on the whole Workspace or
// on that organisational unit, and others. That userKey and includeIndirectRoleAssignments give those of groups too is
// documented; whether with the group as the assignee is not confirmed.
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/roleAssignments/list
func readRole(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	if err := w.holder(ctx, p); err != nil {
		return err
	}
	var r role
	err := w.certain(ctx, scopeAssign, w.at("customer", "my_customer", "roles", p.GetResource()), &r)
	switch {
	case notThere(err):
		w.state.Resource = curfewv1.Presence_PRESENCE_ABSENT
	case err != nil:
		return err
	case r.ID != p.GetResource():
		return errors.New("read role: the answer is of another one")
	default:
		w.state.Resource = curfewv1.Presence_PRESENCE_PRESENT
		if p.GetResourceName() != "" && !named(p.GetResourceName(), r.Name) {
			// Ids of roles are given once.
			w.tell("the role has another name now")
		}
	}
	w.state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	if gone(w.state) {
		return nil
	}
	own, err := w.assignments(ctx, p)
	if err != nil {
		return err
	}
	if len(own) > 0 {
		w.state.Presence, w.state.Handle = curfewv1.Presence_PRESENCE_PRESENT, event.Clean(own[0])
	}
	return nil
}

// assignments returns the ids of the holder's own assignments of the role in the privilege's scope, and notes the others.
func (w *work) assignments(ctx context.Context, p *curfewv1.Privilege) (own []string, err error) {
	list := w.at("customer", "my_customer", "roleassignments")
	query := url.Values{"userKey": {p.GetHolder()}, "includeIndirectRoleAssignments": {"true"}}
	w.state.Via = nil
	_, err = readPages(ctx, w.Source, scopeAssign, list, query, rolePage, func(page []assignment) {
		for _, a := range page {
			switch {
			case a.RoleID != p.GetResource():
			case a.AssignedTo != p.GetHolder():
				w.state.Via = append(w.state.Via, event.Clean(memberType(strings.ToUpper(a.AssigneeType))+" "+a.AssignedTo))
			case a.Condition != "":
				w.state.Via = append(w.state.Via, event.Clean("assignment "+a.ID+" under a condition"))
			case a.OrgUnitID != orgUnit(p.GetScope()):
				w.state.Via = append(w.state.Via, event.Clean("assignment "+a.ID+" in another scope"))
			default:
				own = append(own, a.ID)
			}
		}
	}, nil)
	w.note(http.MethodGet, list, err)
	return own, err
}

// orgUnit is the id of an organisational unit as assignments have it: without the prefix that other APIs give it.
func orgUnit(scope string) string { return strings.TrimPrefix(scope, "id:") }

// giveRole assigns the role.
func giveRole(ctx context.Context, w *work, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	wanted := assignment{RoleID: p.GetResource(), AssignedTo: p.GetHolder(), ScopeType: "CUSTOMER"}
	if unit := orgUnit(p.GetScope()); unit != "" {
		wanted.ScopeType, wanted.OrgUnitID = "ORG_UNIT", unit
	}
	err := w.change(ctx, scopeAssign, http.MethodPost, w.at("customer", "my_customer", "roleassignments"), wanted)
	if wasThere(err) {
		// The refusal names no assignment: the list does, if it is true.
		own, readErr := w.assignments(ctx, p)
		switch {
		case readErr != nil:
			return nil, readErr
		case len(own) > 0:
			return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
		}
	}
	if err != nil {
		return nil, err
	}
	return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
}

// takeRole ends the holder's own assignments of the role in this scope, as the list has them now. The error is the first;
// the others were ended all the same.
func takeRole(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	own, err := w.assignments(ctx, p)
	for _, id := range own {
		err = cmp.Or(err, w.change(ctx, scopeAssign, http.MethodDelete, w.at("customer", "my_customer", "roleassignments", id), nil))
	}
	return err
}
