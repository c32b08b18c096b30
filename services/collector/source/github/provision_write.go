// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// put gives the privilege at a level, or says by whom it has to be given.
func (h *holding) put(ctx context.Context, level string) error {
	switch h.privilege.GetKind() {
	case kindTeam:
		return h.putTeam(ctx, h.level(level))
	case kindCollaborator:
		return h.putCollaborator(ctx, h.level(level))
	case kindOrgRole:
		return h.putOrgRole(ctx)
	}
	h.task = "install the app on the organisation " + h.config.Org + ", with the repositories it is to have"
	h.link = h.site().JoinPath("organizations", h.config.Org, "settings", "installations").String()
	if name := h.privilege.GetHolderName(); isSlug(name) {
		h.link = h.site().JoinPath("apps", name, "installations", "new").String()
	}
	return nil
}

// remove takes the privilege away, or says by whom it has to be taken.
func (h *holding) remove(ctx context.Context) error {
	switch h.privilege.GetKind() {
	case kindTeam:
		return h.managed(h.call(ctx, http.MethodDelete, h.place, nil))
	case kindCollaborator:
		address := h.base.JoinPath("repos", h.config.Org, h.repo, "collaborators", h.login)
		if h.invitation != "" {
			address = h.base.JoinPath("repos", h.config.Org, h.repo, "invitations", h.invitation)
		}
		return h.call(ctx, http.MethodDelete, address, nil)
	case kindOrgRole:
		if h.privilege.GetResource() == ownerRole {
			// Without the role they would be out of the organisation, and lose their forks and places for good.
			return h.call(ctx, http.MethodPut, h.orgPath("memberships", h.login), map[string]string{"role": "member"})
		}
		return h.call(ctx, http.MethodDelete, h.orgPath("organization-roles", "users", h.login, h.privilege.GetResource()), nil)
	}
	h.residual = appResidual
	if h.config.Enterprise != "" {
		return h.call(ctx, http.MethodDelete, h.base.JoinPath("enterprises", h.config.Enterprise, "apps", "organizations", h.config.Org, "installations", h.privilege.GetResource()), nil)
	}
	h.task = "uninstall the app " + cmp.Or(h.slug, h.privilege.GetHolder()) + " from the organisation " + h.config.Org
	h.link = h.site().JoinPath("organizations", h.config.Org, "settings", "installations", h.privilege.GetResource()).String()
	return nil
}

// putTeam gives a place in a team: https://docs.github.com/en/rest/teams/members#add-or-update-team-membership-for-a-user.
func (h *holding) putTeam(ctx context.Context, level string) error {
	var membership struct {
		State string `json:"state"`
	}
	there, err := h.get(ctx, h.orgPath("memberships", h.login), &membership)
	if err != nil {
		return err
	}
	if !there || membership.State != "active" {
		h.task = h.login + " is no member of the organisation " + h.config.Org + ": invite them, or choose a repository instead of a team"
		h.link = h.site().JoinPath("orgs", h.config.Org, "people").String()
		return nil
	}
	return h.managed(h.call(ctx, http.MethodPut, h.place, map[string]string{"role": level}))
}

// managed makes a task of a refusal because an identity provider fills the team. The words by which GitHub says so are not
// confirmed.
func (h *holding) managed(err error) error {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		return err
	}
	for _, word := range []string{"synchroni", "externally managed", "identity provider"} {
		if strings.Contains(strings.ToLower(refused.Reason), word) {
			h.task = "change the group at the identity provider that fills the team " + h.slug
			h.link = h.site().JoinPath("orgs", h.config.Org, "teams", h.slug).String()
			return nil
		}
	}
	return err
}

// putCollaborator gives a role of a repository, by REST's names:
// https://docs.github.com/en/rest/collaborators/collaborators#add-a-repository-collaborator. An invitation at another
// level goes first.
func (h *holding) putCollaborator(ctx context.Context, level string) error {
	if h.invitation != "" {
		err := h.call(ctx, http.MethodDelete, h.base.JoinPath("repos", h.config.Org, h.repo, "invitations", h.invitation), nil)
		if err != nil {
			// One that is not there any more may have been accepted, and what came of it must not be lowered unseen.
			return err
		}
	}
	permission := level
	switch level {
	case "read":
		permission = "pull"
	case "write":
		permission = "push"
	}
	return h.call(ctx, http.MethodPut, h.base.JoinPath("repos", h.config.Org, h.repo, "collaborators", h.login), map[string]string{"permission": permission})
}

// putOrgRole makes a member an owner, or gives them another role of the organisation.
func (h *holding) putOrgRole(ctx context.Context) error {
	switch {
	case !h.member:
		h.task = h.login + " is no member of the organisation " + h.config.Org + ": invite them first"
		h.link = h.site().JoinPath("orgs", h.config.Org, "people").String()
		return nil
	case h.privilege.GetResource() == ownerRole:
		return h.call(ctx, http.MethodPut, h.orgPath("memberships", h.login), map[string]string{"role": ownerRole})
	}
	return h.call(ctx, http.MethodPut, h.orgPath("organization-roles", "users", h.login, h.privilege.GetResource()), nil)
}
