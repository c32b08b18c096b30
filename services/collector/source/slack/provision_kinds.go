// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

// do is a change that is noted.
func (s *Source) do(ctx context.Context, h *holding, method string, arguments url.Values) error {
	note, err := s.post(ctx, method, arguments, nil)
	h.calls = append(h.calls, note)
	return err
}

// tasked is the task for a person where Slack refuses a change for one of the reasons; the error itself otherwise.
func tasked(err error, what string, reasons map[string]string) (task string, _ error) {
	if why, known := reasons[reasonOf(err)]; known {
		return what + ": " + why, nil
	}
	return "", err
}

// User groups. Slack replaces the whole list of a group's members at once, so two writers can undo one another: here one
// writes at a time, and compares what it reads with what it wrote. What somebody else writes between the read and the
// write is lost, and no API can help that.

// readGroup reads who is in the group. Its name and whether it is there comes from the list of groups.
func (s *Source) readGroup(ctx context.Context, h *holding) error {
	var answer struct {
		Groups *[]userGroup `json:"usergroups"`
	}
	err := s.ask(ctx, h, "usergroups.list", of(h.GetScope(), "include_disabled", "true"), &answer)
	switch {
	case err != nil:
		return err
	case answer.Groups == nil:
		return errNoList("usergroups")
	}
	at := slices.IndexFunc(*answer.Groups, func(g userGroup) bool { return g.ID == h.GetResource() })
	if at < 0 {
		h.resource(false, "")
		return nil
	}
	group := &(*answer.Groups)[at]
	h.resource(true, group.Name)
	if group.managed() != "" {
		h.detail("an identity provider fills the group: what is changed here is put back")
	}
	if group.Deleted != 0 {
		h.detail("the group is disabled")
	}
	users, err := s.groupMembers(ctx, h)
	if err != nil {
		return err
	}
	h.present(slices.Contains(users, h.GetHolder()), "")
	return nil
}

func (s *Source) groupMembers(ctx context.Context, h *holding) ([]string, error) {
	var answer struct {
		Users *[]string `json:"users"`
	}
	err := s.ask(ctx, h, "usergroups.users.list", of(h.GetScope(), "usergroup", h.GetResource(), "include_disabled", "true"), &answer)
	if err == nil && answer.Users == nil {
		err = errNoList("users")
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(*answer.Users, func(id string) bool { return id == "" }), nil
}

func (s *Source) joinGroup(ctx context.Context, h *holding) (task string, err error) {
	return s.writeGroup(ctx, h, func(users []string) []string {
		if slices.Contains(users, h.GetHolder()) {
			return users
		}
		return append(slices.Clone(users), h.GetHolder())
	})
}

func (s *Source) leaveGroup(ctx context.Context, h *holding, _ string) (task string, err error) {
	return s.writeGroup(ctx, h, func(users []string) []string {
		return slices.DeleteFunc(slices.Clone(users), func(id string) bool { return id == h.GetHolder() })
	})
}

// writeGroup changes the list of a group's members, one writer at a time.
func (s *Source) writeGroup(ctx context.Context, h *holding, change func([]string) []string) (task string, err error) {
	defer s.writing.lock(h.GetResource())()
	before, err := s.groupMembers(ctx, h)
	if err != nil {
		return "", err
	}
	want := change(before)
	switch {
	case sameMembers(before, want):
		return "", nil // Another writer of this process was quicker.
	case len(want) == 0:
		return fmt.Sprintf("take %s out of user group %s: it is the last member, whom no API takes out; disable the group, or add a member that stays", h.GetHolder(), h.GetResource()), nil
	}
	arguments := of(h.GetScope(), "usergroup", h.GetResource(), "users", strings.Join(want, ","))
	if err := s.do(ctx, h, "usergroups.users.update", arguments); err != nil {
		return tasked(err, fmt.Sprintf("change the members of user group %s for %s", h.GetResource(), h.GetHolder()), map[string]string{
			"permission_denied":                     "the workspace lets only some people change user groups, under Settings, Permissions, User Groups",
			"invalid_users":                         "guests and bots cannot be in user groups",
			"single_channel_guests_cannot_be_added": "guests cannot be in user groups",
		})
	}
	after, err := s.groupMembers(ctx, h)
	switch {
	case err != nil:
		return "", err
	case sameMembers(after, before):
		return "", errors.New("slack says that it changed the group, and shows it as it was")
	case !sameMembers(after, want):
		return "", errors.New("the group was changed by somebody else meanwhile")
	}
	return "", nil
}

func sameMembers(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Channels.

func (s *Source) readChannel(ctx context.Context, h *holding) error {
	var answer struct {
		Channel *conversation `json:"channel"`
	}
	err := s.ask(ctx, h, "conversations.info", url.Values{"channel": {h.GetResource()}}, &answer)
	switch {
	case reasonOf(err) == "channel_not_found":
		// A private channel that the token's owner is not in is not shown either, so that it is gone cannot be said.
		return fmt.Errorf("the channel is gone, or it is private and the token's owner is not in it: %w", err)
	case err != nil:
		return err
	case answer.Channel == nil || answer.Channel.ID != h.GetResource():
		return errors.New("read answer: it is not about the channel")
	}
	h.resource(true, answer.Channel.Name)
	if answer.Channel.Archived {
		h.detail("the channel is archived")
	}
	type page struct {
		Members *[]string `json:"members"`
		listed
	}
	held, cursor := false, ""
	for range maxPages {
		var members page
		arguments := url.Values{"channel": {h.GetResource()}, "limit": {"200"}}
		if cursor != "" {
			arguments.Set("cursor", cursor)
		}
		if err := s.ask(ctx, h, "conversations.members", arguments, &members); err != nil {
			return err
		}
		if members.Members == nil {
			return errNoList("members")
		}
		held = held || slices.Contains(*members.Members, h.GetHolder())
		if members.Metadata.NextCursor == "" || held || members.Metadata.NextCursor == cursor {
			h.present(held, "")
			return nil
		}
		cursor = members.Metadata.NextCursor
	}
	return errors.New("read members: they do not come to an end")
}

// joinChannel invites the holder. On an Enterprise plan the organisation's owner need not be in the channel.
func (s *Source) joinChannel(ctx context.Context, h *holding) (task string, err error) {
	if s.config.Plan == enterprise {
		err = s.do(ctx, h, "admin.conversations.invite", url.Values{"channel_id": {h.GetResource()}, "user_ids": {h.GetHolder()}})
	} else {
		err = s.do(ctx, h, "conversations.invite", url.Values{"channel": {h.GetResource()}, "users": {h.GetHolder()}})
	}
	if reasonOf(err) == "already_in_channel" {
		h.calls = nil
		return "", nil
	}
	return tasked(err, fmt.Sprintf("invite %s to channel %s", h.GetHolder(), h.GetResource()), refusesChannel())
}

func (s *Source) leaveChannel(ctx context.Context, h *holding, _ string) (task string, err error) {
	err = s.do(ctx, h, "conversations.kick", url.Values{"channel": {h.GetResource()}, "user": {h.GetHolder()}})
	if reasonOf(err) == "not_in_channel" {
		// "User was not in the channel": it was so when this was asked, as the ids have been looked at.
		h.calls = nil
		return "", nil
	}
	return tasked(err, fmt.Sprintf("remove %s from channel %s", h.GetHolder(), h.GetResource()), refusesChannel())
}

// refusesChannel is what Slack refuses of channels whoever asks.
func refusesChannel() map[string]string {
	return map[string]string{
		"not_in_channel":                        "the token's owner is not in the channel",
		"channel_not_found":                     "the channel is private and the token's owner is not in it",
		"restricted_action":                     "a setting of the workspace keeps the token's owner from it",
		"cant_invite":                           "Slack does not let this account be invited",
		"cant_invite_self":                      "it is the token's owner",
		"cant_kick_self":                        "it is the token's owner",
		"cant_kick_from_general":                "everybody is in this channel",
		"cant_kick_from_last_channel":           "it is the last channel that the account is in",
		"default_org_wide_channel":              "everybody is in this channel",
		"channel_type_not_supported":            "it is no channel that people are invited to",
		"method_not_supported_for_channel_type": "it is no channel that people are invited to",
		"not_supported":                         "Slack does not support it for this channel and account",
		"is_archived":                           "the channel is archived",
		"invitee_cant_see_channel":              "the account is in none of the channel's workspaces",
		"no_external_invite_permission":         "the account is of another organisation",
		"user_must_be_admin":                    "the token's owner is no administrator of the organisation",
	}
}

// Roles in a workspace. An account has one at a time.

func (s *Source) readRole(ctx context.Context, h *holding) error {
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
	arguments := of(h.GetResource(), "limit", "1000")
	for range maxPages {
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
		next := answer.Metadata.NextCursor
		if next == "" || next == arguments.Get("cursor") {
			return nil
		}
		arguments.Set("cursor", next)
	}
	return errors.New("read administrators: they do not come to an end")
}

func (s *Source) giveRole(ctx context.Context, h *holding) (task string, err error) {
	return s.setRole(ctx, h, h.GetLevel())
}

func (s *Source) takeRole(ctx context.Context, h *holding, before string) (task string, err error) {
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

// Applications. That an app is in a workspace is told by the newest record of the workspace's log about it, since Slack
// has no list of what is installed; how late the log is, is not confirmed. What never stood there is not known to Slack's
// workspace.

func (s *Source) readApp(ctx context.Context, h *holding) error {
	var answer struct {
		Logs *[]integration `json:"logs"`
	}
	arguments := url.Values{"app_id": {h.GetHolder()}, "count": {"100"}}
	if s.config.Plan == enterprise {
		arguments.Set("team_id", h.GetResource())
	}
	err := s.ask(ctx, h, "team.integrationLogs", arguments, &answer)
	switch {
	case reasonOf(err) == "team_not_found":
		h.resource(false, "")
		return nil
	case err != nil:
		return err
	case answer.Logs == nil:
		return errNoList("logs")
	}
	h.resource(true, "")
	known := slices.DeleteFunc(*answer.Logs, func(record integration) bool { return record.AppID.Text != h.GetHolder() })
	if len(known) == 0 {
		h.holder(false)
		return nil
	}
	h.holder(true)
	newest := slices.IndexFunc(known, func(record integration) bool {
		return slices.Contains([]string{"added", "enabled", "expanded", "updated", "removed", "disabled"}, record.ChangeType.Text)
	})
	h.present(newest >= 0 && !slices.Contains([]string{"removed", "disabled"}, known[max(newest, 0)].ChangeType.Text), "")
	if want := h.GetHolderName(); want != "" && !strings.EqualFold(want, known[0].AppType.Text) {
		h.detail("the app is called " + event.Clean(known[0].AppType.Text) + " now") // Its maker may call it anything.
	}
	return nil
}

func (s *Source) installApp(_ context.Context, h *holding) (task string, err error) {
	return fmt.Sprintf("install app %s in workspace %s: a person has to consent to what it may do", h.GetHolder(), h.GetResource()), nil
}

func (s *Source) uninstallApp(ctx context.Context, h *holding, _ string) (task string, err error) {
	what := fmt.Sprintf("remove app %s from workspace %s, and restrict it if nobody is to install it again", h.GetHolder(), h.GetResource())
	if s.config.Plan != enterprise {
		return what + ": only an Enterprise plan has an API for it", nil
	}
	return tasked(s.do(ctx, h, "admin.apps.uninstall", url.Values{"app_id": {h.GetHolder()}, "team_ids": {h.GetResource()}}), what, map[string]string{
		"can_not_uninstall":  "this app cannot be removed by the API",
		"must_revoke_access": "the app is deployed by the organisation; take the workspace's access away there",
		"permission_denied":  "the token's owner may not manage this app",
	})
}
