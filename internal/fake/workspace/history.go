// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/base64"
	"slices"
	"strings"
)

// object is a message as Slack's API has it. The caller holds the lock.
func (w *Workspace) object(in *channel, m *message, metadata bool) map[string]any {
	o := map[string]any{"type": "message", "user": m.User, "team": TeamID, "ts": m.TS, "text": m.Text}
	if m.User == BotUser {
		o["bot_id"], o["app_id"] = BotID, AppID
	}
	if m.Blocks != nil {
		o["blocks"] = m.Blocks
	}
	if metadata && m.Metadata.EventType != "" {
		o["metadata"] = m.Metadata
	}
	if n := len(m.Edits); n > 0 {
		o["edited"] = map[string]any{"user": m.Edits[n-1].User, "ts": m.Edits[n-1].TS}
	}
	if m.ThreadTS != "" {
		o["thread_ts"] = m.ThreadTS
		if parent := in.at(m.ThreadTS); parent != nil {
			o["parent_user_id"] = parent.User
		}
	}
	if m.Broadcast {
		o["subtype"] = "thread_broadcast"
	}
	in.thread(m, o)
	if len(m.Reactions) > 0 {
		var reactions []any
		for name, users := range m.Reactions {
			reactions = append(reactions, map[string]any{"name": name, "users": users, "count": len(users)})
		}
		o["reactions"] = reactions
	}
	return o
}

// thread adds what a parent says of its replies.
func (c *channel) thread(parent *message, o map[string]any) {
	var users []string
	var count int
	for _, m := range c.messages {
		if m.ThreadTS != parent.TS {
			continue
		}
		count++
		o["latest_reply"] = m.TS
		if !slices.Contains(users, m.User) {
			users = append(users, m.User)
		}
	}
	if count > 0 {
		o["thread_ts"], o["reply_count"], o["reply_users_count"], o["reply_users"] = parent.TS, count, len(users), users
	}
}

// drop removes a message.
func (c *channel) drop(m *message) {
	c.messages = slices.DeleteFunc(c.messages, func(one *message) bool { return one == m })
}

// readable is the conversation that a call reads. The caller holds the lock.
func (w *Workspace) readable(c *call) (*channel, *refusal) {
	in := w.channel(c.args["channel"])
	switch {
	case in == nil, in.private && !in.member:
		return nil, &refusal{code: "channel_not_found"}
	case !in.member:
		return nil, &refusal{code: "not_in_channel"}
	}
	return in, nil
}

func (w *Workspace) history(c *call) (map[string]any, *refusal) {
	in, refused := w.readable(c)
	if refused != nil {
		return nil, refused
	}
	shown := slices.DeleteFunc(slices.Clone(in.messages), func(m *message) bool {
		return m.ThreadTS != "" && !m.Broadcast || !c.within(m.TS)
	})
	slices.Reverse(shown)
	return w.page(in, shown, c, 100, func(m *message, ts string) bool { return m.TS <= ts })
}

// replies are a thread, its parent first whatever the times asked for.
func (w *Workspace) replies(c *call) (map[string]any, *refusal) {
	in, refused := w.readable(c)
	if refused != nil {
		return nil, refused
	}
	parent := in.at(c.args["ts"])
	if parent == nil {
		return refuse("thread_not_found")
	}
	root := parent.ThreadTS
	if root == "" {
		root = parent.TS
	}
	thread := slices.DeleteFunc(slices.Clone(in.messages), func(m *message) bool {
		return m.TS != root && (m.ThreadTS != root || !c.within(m.TS))
	})
	return w.page(in, thread, c, 1000, func(m *message, ts string) bool { return m.TS >= ts })
}

// within is whether a ts is between oldest and latest, which all three sort as text as long as seconds have ten digits.
func (c *call) within(ts string) bool {
	oldest, latest := c.args["oldest"], c.args["latest"]
	if c.yes("inclusive") && (ts == oldest || ts == latest) {
		return true
	}
	return (oldest == "" || oldest == "0" || later(ts, oldest)) && (latest == "" || later(latest, ts))
}

// later compares two ts, of which each may lack its fraction.
func later(a, b string) bool {
	pad := func(ts string) string {
		seconds, fraction, _ := strings.Cut(ts, ".")
		return strings.Repeat("0", max(0, 12-len(seconds))) + seconds + "." + (fraction + "000000")[:6]
	}
	return pad(a) > pad(b)
}

// page is a part of a list, of the usual length if the call names none, and where to go on: at the first message for which from says yes to the cursor's ts.
func (w *Workspace) page(in *channel, list []*message, c *call, usual int, from func(m *message, ts string) bool) (map[string]any, *refusal) {
	limit := c.whole("limit", usual)
	if limit < 1 || limit > 1000 {
		return refuse("invalid_limit")
	}
	if cursor := c.args["cursor"]; cursor != "" {
		raw, err := base64.StdEncoding.DecodeString(cursor)
		ts, ok := strings.CutPrefix(string(raw), "next_ts:")
		if err != nil || !ok {
			return refuse("invalid_cursor")
		}
		at := slices.IndexFunc(list, func(m *message) bool { return from(m, ts) })
		if at < 0 {
			at = len(list)
		}
		list = list[at:]
	}
	answer := map[string]any{"has_more": len(list) > limit, "pin_count": 0}
	if len(list) > limit {
		answer["response_metadata"] = map[string]any{"next_cursor": base64.StdEncoding.EncodeToString([]byte("next_ts:" + list[limit].TS))}
		list = list[:limit]
	}
	messages := []any{}
	for _, m := range list {
		messages = append(messages, w.object(in, m, c.yes("include_all_metadata")))
	}
	answer["messages"] = messages
	return answer, nil
}
