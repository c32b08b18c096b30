// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"net/http"

	"github.com/curfewhq/curfew/internal/event"
)

// lookOrgRole reads whether somebody is an owner, or holds another role of the organisation.
func (h *holding) lookOrgRole(ctx context.Context) error {
	var membership struct {
		Role  string `json:"role"`
		State string `json:"state"`
	}
	there, err := h.get(ctx, h.orgPath("memberships", h.login), &membership)
	if err != nil {
		return err
	}
	h.member = there && membership.State == "active"
	h.state.Presence = absent
	if h.privilege.GetResource() == ownerRole {
		h.state.Resource = present
		if there && membership.Role == ownerRole {
			h.state.Presence = present
			if membership.State == "pending" {
				h.state.Presence = pending
			}
		}
		return nil
	}
	var role restRole
	address := h.orgPath("organization-roles", h.privilege.GetResource())
	if there, err = h.get(ctx, address, &role); err != nil {
		return err
	}
	if !there {
		h.state.Resource = absent
		return nil
	}
	if number(role.ID) != h.privilege.GetResource() {
		return errors.New("read role: the answer is not of that role")
	}
	h.state.Resource = present
	users := address.JoinPath("users")
	err = list(ctx, h.Source, "", users, func(user restHolder) {
		if number(user.ID) != h.privilege.GetHolder() {
			return
		}
		for _, team := range user.InheritedFrom {
			h.state.Via = append(h.state.Via, "team "+event.Clean(team.Slug))
		}
		if user.Assignment != "indirect" {
			h.state.Presence = present
		}
	})
	h.state.Reads = append(h.state.Reads, outcome(http.MethodGet, users, okAnswer(err), err))
	return err
}
