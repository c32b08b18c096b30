// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Roles in a workspace. An account has one at a time.

func (s *Source) readRole(ctx context.Context, h *holding) error {
	err := s.readLevel(ctx, h)
	if err == nil && h.guest {
		h.detail("the account is a guest")
		if !h.held() && h.state.GetResource() == curfewv1.Presence_PRESENCE_PRESENT {
			// Taking the role away later must not make a full member of it.
			h.state.Level = guestLevel
		}
	}
	return err
}

// readLevel reads which role the holder has.
func (s *Source) readLevel(ctx context.Context, h *holding) error {
	if s.config.Plan == enterprise {
		for _, level := range []string{"owner", "admin"} {
			held := false
			err := s.eachHolder(ctx, h, level, func(user string) { held = held || user == h.GetHolder() })
			if reasonOf(err) == "team_not_found" {
				h.resource(false, "")
				return nil
			}
			if err != nil {
				return err
			}
			h.resource(true, "")
			if h.present(held, level); held {
				return nil
			}
		}
		return nil
	}
	var answer struct {
		User *member `json:"user"`
	}
	if err := s.ask(ctx, h, "users.info", url.Values{"user": {h.GetHolder()}}, &answer); err != nil {
		return err
	}
	if answer.User == nil || answer.User.TeamID != h.GetResource() {
		return fmt.Errorf("the account is not of workspace %s; the token may be another workspace's", event.Clean(h.GetResource()))
	}
	h.resource(true, "")
	level := levelOf(answer.User.Admin, answer.User.Owner, answer.User.Primary)
	h.present(level != "", level)
	return nil
}

// eachHolder gives the owners or the administrators of the workspace.
func (s *Source) eachHolder(ctx context.Context, h *holding, level string, take func(user string)) error {
	arguments := of(h.GetResource(), "limit", strconv.Itoa(min(s.config.PageSize, 1000)))
	followed := trail{}
	for {
		var answer struct {
			Admins *[]string `json:"admin_ids"`
			Owners *[]string `json:"owner_ids"`
			listed
		}
		if err := s.ask(ctx, h, "admin.teams."+level+"s.list", arguments, &answer); err != nil {
			return err
		}
		ids := answer.Admins
		if level == "owner" {
			ids = answer.Owners
		}
		if ids == nil {
			return errNoList(level + "s")
		}
		for _, id := range *ids {
			take(id)
		}
		if more, err := followed.on(answer.Metadata.NextCursor); !more {
			return err
		}
		arguments.Set("cursor", answer.Metadata.NextCursor)
	}
}

func (s *Source) giveRole(ctx context.Context, h *holding) (task string, err error) {
	if h.guest {
		return fmt.Sprintf("make %s a member of workspace %s before it is given a role: it is a guest, and Slack has no API that makes one again", h.GetHolder(), h.GetResource()), nil
	}
	return s.setRole(ctx, h, h.GetLevel())
}

func (s *Source) takeRole(ctx context.Context, h *holding, before string) (task string, err error) {
	if h.guest || before == guestLevel {
		return fmt.Sprintf("make %s a guest of workspace %s again, as it was before it was given the role: the API would make it a full member", h.GetHolder(), h.GetResource()), nil
	}
	return s.setRole(ctx, h, before)
}

// setRole makes the holder an administrator or an owner, or with "" an ordinary member.
func (s *Source) setRole(ctx context.Context, h *holding, level string) (task string, err error) {
	method, known := map[string]string{"": "admin.users.setRegular", "admin": "admin.users.setAdmin", "owner": "admin.users.setOwner"}[level]
	what := fmt.Sprintf("make %s %s of workspace %s", h.GetHolder(), map[string]string{"": "an ordinary member", "admin": "an administrator", "owner": "an owner"}[level], h.GetResource())
	switch {
	case !known || h.state.GetLevel() == "primary_owner":
		return fmt.Sprintf("transfer the primary ownership of workspace %s: only its primary owner can", h.GetResource()), nil
	case s.config.Plan != enterprise:
		return what + ": only an Enterprise plan has an API for it", nil
	}
	return tasked(s.do(ctx, h, method, of(h.GetResource(), "user_id", h.GetHolder())), what, map[string]string{
		"cannot_modify_primary_owner":                        "nobody but the primary owner can change that role",
		"cannot_set_org_admin_to_regular_at_workspace_level": "the account is an administrator of the organisation; change it there",
		"cannot_set_this_guest_to_regular_at_team_level":     "the account is a guest of several workspaces",
		"invalid_role_for_user":                              "Slack does not let this account have the role",
		"not_an_owner":                                       "only an owner of the organisation can; the token's owner is none",
		"user_must_be_in_workspace":                          "the account is in no workspace",
	})
}
