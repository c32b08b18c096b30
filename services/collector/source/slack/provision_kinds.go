// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	// It answered about the workspace that was named, so it is one of the organisation's.
	h.ours = h.ours || s.config.Plan == enterprise && h.GetScope() != ""
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
	unlock, err := s.writing.lock(ctx, h.GetResource())
	if err != nil {
		return "", fmt.Errorf("wait for who writes the group: %w", err)
	}
	defer unlock()
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
	held, err := s.inChannel(ctx, h)
	if err != nil {
		return err
	}
	h.present(held, "")
	return nil
}

// inChannel is whether the holder is among the channel's members.
func (s *Source) inChannel(ctx context.Context, h *holding) (bool, error) {
	arguments := url.Values{"channel": {h.GetResource()}, "limit": {strconv.Itoa(min(s.config.PageSize, 200))}}
	followed := trail{}
	for {
		var answer struct {
			Members *[]string `json:"members"`
			listed
		}
		if err := s.ask(ctx, h, "conversations.members", arguments, &answer); err != nil {
			return false, err
		}
		if answer.Members == nil {
			return false, errNoList("members")
		}
		if slices.Contains(*answer.Members, h.GetHolder()) {
			return true, nil
		}
		if more, err := followed.on(answer.Metadata.NextCursor); !more {
			return false, err
		}
		arguments.Set("cursor", answer.Metadata.NextCursor)
	}
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
		// It is said of the account, and of the token's owner as well: who is in the channel tells which.
		held, err := s.inChannel(ctx, h)
		if err != nil {
			return "", err
		}
		if !held {
			h.calls = nil
			return "", nil
		}
	}
	return tasked(err, fmt.Sprintf("remove %s from channel %s", h.GetHolder(), h.GetResource()), refusesChannel())
}

// refusesChannel is what Slack refuses of channels whoever asks.
func refusesChannel() map[string]string {
	return map[string]string{
		"not_in_channel":                        "the token's owner is not in the channel, and has to be",
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
