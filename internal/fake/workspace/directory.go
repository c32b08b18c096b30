// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/base64"
	"slices"
	"strings"
)

// conversationObject is a conversation as Slack's API has it. The caller holds the lock.
func conversationObject(c *channel) map[string]any {
	o := map[string]any{
		"id": c.id, "created": c.created.Unix(), "is_archived": c.archived, "is_im": c.with != "", "is_org_shared": false,
		"is_channel": c.with == "" && !c.private, "is_group": c.private, "is_private": c.private || c.with != "",
		"is_mpim": false, "is_shared": false, "is_ext_shared": false, "context_team_id": TeamID,
	}
	if c.with != "" {
		o["user"] = c.with
		return o
	}
	o["name"], o["name_normalized"], o["is_member"], o["creator"] = c.name, c.name, c.member, BotUser
	o["topic"], o["purpose"] = map[string]any{"value": ""}, map[string]any{"value": ""}
	return o
}

func (w *Workspace) conversationInfo(c *call) (map[string]any, *refusal) {
	in := w.channel(c.args["channel"])
	if in == nil || in.private && !in.member {
		return refuse("channel_not_found")
	}
	return map[string]any{"channel": conversationObject(in)}, nil
}

func (w *Workspace) conversationList(c *call) (map[string]any, *refusal) {
	kinds := strings.Split(c.args["types"], ",")
	if c.args["types"] == "" {
		kinds = []string{"public_channel"}
	}
	shown := []any{}
	for _, one := range w.channels {
		kind := "public_channel"
		switch {
		case one.with != "":
			kind = "im"
		case one.private:
			kind = "private_channel"
		}
		hidden := one.private && !one.member || one.archived && c.yes("exclude_archived")
		if slices.Contains(kinds, kind) && !hidden {
			shown = append(shown, conversationObject(one))
		}
	}
	return listed("channels", shown, c)
}

// listed is a part of a list under a name, and where to go on.
func listed(name string, list []any, c *call) (map[string]any, *refusal) {
	limit, from := c.whole("limit", 100), 0
	if limit < 1 || limit > 1000 {
		return refuse("invalid_limit")
	}
	if cursor := c.args["cursor"]; cursor != "" {
		raw, err := base64.StdEncoding.DecodeString(cursor)
		from = len(raw)
		if err != nil || from > len(list) {
			return refuse("invalid_cursor")
		}
	}
	next, to := "", min(len(list), from+limit)
	if to < len(list) {
		// An opaque text that is as long as the number of what was told.
		next = base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", to)))
	}
	return map[string]any{name: list[from:to], "response_metadata": map[string]any{"next_cursor": next}}, nil
}

func (w *Workspace) conversationJoin(c *call) (map[string]any, *refusal) {
	in := w.channel(c.args["channel"])
	switch {
	case in == nil, in.private && !in.member:
		return refuse("channel_not_found")
	case in.with != "" || in.private:
		return refuse("method_not_supported_for_channel_type")
	case in.archived:
		return refuse("is_archived")
	}
	in.member = true
	return map[string]any{"channel": conversationObject(in)}, nil
}

// conversationOpen opens the direct conversation with one user.
func (w *Workspace) conversationOpen(c *call) (map[string]any, *refusal) {
	if id := c.args["channel"]; id != "" {
		in := w.channel(id)
		if in == nil || in.with == "" {
			return refuse("channel_not_found")
		}
		return map[string]any{"channel": conversationObject(in), "already_open": true}, nil
	}
	user := c.args["users"]
	switch u := w.user(user); {
	case user == "":
		return refuse("users_list_not_supplied")
	case strings.Contains(user, ","):
		return refuse("method_not_supported_for_channel_type")
	case u == nil:
		return refuse("user_not_found")
	case u.Deleted:
		return refuse("user_disabled")
	}
	known := w.conversation(user) != nil
	in := w.direct(user)
	if in == nil {
		return refuse("cannot_dm_bot")
	}
	return map[string]any{"channel": conversationObject(in), "no_op": known, "already_open": known}, nil
}

// userObject is an account as Slack's API has it; its address needs a scope of its own. The caller holds the lock.
func (w *Workspace) userObject(u *User) map[string]any {
	profile := map[string]any{"real_name": u.RealName, "display_name": u.Name, "team": u.TeamID}
	if !slices.Contains(w.withheld, "users:read.email") && u.Email != "" {
		profile["email"] = u.Email
	}
	o := map[string]any{
		"id": u.ID, "team_id": u.TeamID, "name": u.Name, "real_name": u.RealName, "deleted": u.Deleted, "is_bot": u.IsBot, "profile": profile,
		"tz": u.TZ, "is_app_user": false, "updated": 0,
	}
	// Slack says nothing of what a deactivated account was.
	if !u.Deleted {
		o["is_restricted"], o["is_ultra_restricted"], o["is_stranger"] = u.IsRestricted, false, u.IsStranger
	}
	return o
}

func (w *Workspace) userInfo(c *call) (map[string]any, *refusal) {
	u := w.user(c.args["user"])
	if u == nil {
		return refuse("user_not_found")
	}
	return map[string]any{"user": w.userObject(u)}, nil
}

func (w *Workspace) userByEmail(c *call) (map[string]any, *refusal) {
	for _, u := range w.users {
		if u.Email != "" && strings.EqualFold(u.Email, c.args["email"]) && !u.Deleted {
			return map[string]any{"user": w.userObject(u)}, nil
		}
	}
	return refuse("users_not_found")
}

func (w *Workspace) userList(c *call) (map[string]any, *refusal) {
	list := []any{}
	for _, u := range w.users {
		list = append(list, w.userObject(u))
	}
	return listed("members", list, c)
}

// react adds the bot's reaction to a message.
func (w *Workspace) react(c *call) (map[string]any, *refusal) {
	in, refused := w.readable(c)
	if refused != nil {
		return nil, refused
	}
	m, name := in.at(c.args["timestamp"]), strings.Trim(c.args["name"], ":")
	switch {
	case in.archived:
		return refuse("is_archived")
	case m == nil:
		return refuse("message_not_found")
	case name == "":
		return refuse("invalid_name")
	case slices.Contains(m.Reactions[name], BotUser):
		return refuse("already_reacted")
	}
	m.Reactions = with(m.Reactions, name, BotUser)
	return map[string]any{}, nil
}

// with is reactions and one more, so that who was given the old ones keeps them.
func with(reactions map[string][]string, name, user string) map[string][]string {
	more := map[string][]string{name: nil}
	for one, users := range reactions {
		more[one] = slices.Clone(users)
	}
	more[name] = append(more[name], user)
	return more
}
