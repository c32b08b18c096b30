// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// ErrNothingThere is what a person gets who clicks where nothing is, or submits a view that is not open.
var ErrNothingThere = errors.New("nothing there")

// Click is a person who clicks, and confirms if asked.
type Click struct {
	// User clicks on the message TS of Channel, an id or a user's for the direct conversation.
	User, Channel, TS string
	// BlockID may be empty where ActionID is in one block only.
	ActionID, BlockID string
	// Option is the value of what is chosen of an overflow menu or a select.
	Option string
	// Stale clicks on what stood there before an edit, as a person does whose screen lags; the newest that has the action.
	Stale bool
}

// Click returns nil when the app acknowledged the click, ErrNothingThere if there is nothing to click on, and
// ErrUnacknowledged if nobody did.
func (w *Workspace) Click(ctx context.Context, c Click) error {
	payload, err := w.Payload(c)
	if err != nil {
		return err
	}
	_, err = w.Deliver(ctx, Interactive, payload)
	return err
}

// Payload is what Slack sends of a click, which Click sends and a test may change before Deliver does. Each has a trigger_id
// and a response_url of its own. The error is ErrNothingThere.
func (w *Workspace) Payload(c Click) (map[string]any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, in := w.user(c.User), w.conversation(c.Channel)
	if u == nil || in == nil {
		return nil, fmt.Errorf("click as %s in %s: %w", c.User, c.Channel, ErrNothingThere)
	}
	container := map[string]any{"type": "message", "message_ts": c.TS, "channel_id": in.id, "is_ephemeral": false}
	payload := w.envelope("block_actions", u)
	payload["container"], payload["channel"] = container, channelName(in)
	var versions []json.RawMessage
	if m := in.at(c.TS); m != nil {
		versions = append(versions, m.Blocks)
		for _, e := range slices.Backward(m.Edits) {
			versions = append(versions, e.Blocks)
		}
		if !c.Stale {
			versions = versions[:1]
		}
		if m.ThreadTS != "" {
			container["thread_ts"] = m.ThreadTS
		}
		payload["message"] = w.object(in, m, true)
	}
	for _, e := range in.told {
		if e.TS == c.TS && e.User == c.User {
			versions, container["is_ephemeral"] = append(versions, e.Blocks), true
		}
	}
	action := w.find(c, versions)
	if action == nil {
		return nil, fmt.Errorf("click on %s of %s: %w", c.ActionID, c.TS, ErrNothingThere)
	}
	payload["actions"], payload["state"] = []any{action}, map[string]any{"values": map[string]any{}}
	payload["response_url"] = w.respond(&response{user: c.User, channel: in.id, ts: c.TS, thread: asString(container["thread_ts"])})
	return payload, nil
}

// envelope is what every interaction says. The caller holds the lock.
func (w *Workspace) envelope(kind string, u *User) map[string]any {
	return map[string]any{
		"type": kind, "api_app_id": AppID, "token": "fake-verification-token", "trigger_id": w.trigger(u.ID),
		"user": map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"team": map[string]any{"id": TeamID, "domain": "example"}, "enterprise": nil, "is_enterprise_install": false,
	}
}

func channelName(c *channel) map[string]any {
	if c.with != "" {
		return map[string]any{"id": c.id, "name": "directmessage"}
	}
	return map[string]any{"id": c.id, "name": c.name}
}

// find is the first action that a click can mean, as Slack tells of it, nil if there is none. The caller holds the lock.
func (w *Workspace) find(c Click, versions []json.RawMessage) map[string]any {
	for _, raw := range versions {
		for _, b := range decode(raw) {
			if c.BlockID != "" && b["block_id"] != c.BlockID {
				continue
			}
			for _, e := range acted(b) {
				if e["action_id"] == c.ActionID {
					return w.action(c, b, e)
				}
			}
		}
	}
	return nil
}

// decode is blocks that were checked before.
func decode(raw json.RawMessage) []map[string]any {
	var blocks []map[string]any
	if raw != nil {
		// What was checked is JSON.
		_ = json.Unmarshal(raw, &blocks)
	}
	return blocks
}

// acted are the elements of a block on which a person can act.
func acted(b map[string]any) []map[string]any {
	var list []map[string]any
	elements, _ := b["elements"].([]any)
	for _, one := range append(slices.Clone(elements), b["accessory"], b["element"]) {
		if e, ok := one.(map[string]any); ok && e["action_id"] != nil {
			list = append(list, e)
		}
	}
	return list
}

func (w *Workspace) action(c Click, b, e map[string]any) map[string]any {
	a := map[string]any{"action_id": e["action_id"], "block_id": b["block_id"], "type": e["type"], "action_ts": w.stamp()}
	for _, name := range []string{"text", "value", "style", "placeholder", "confirm"} {
		if e[name] != nil {
			a[name] = e[name]
		}
	}
	if e["type"] == "button" {
		return a
	}
	o := option(e, c.Option)
	if o == nil {
		return nil
	}
	a["selected_option"] = o
	return a
}

// option is the one of a value, nil if there is none.
func option(e map[string]any, value string) map[string]any {
	options, _ := e["options"].([]any)
	for _, one := range options {
		if o, ok := one.(map[string]any); ok && o["value"] == value {
			return o
		}
	}
	return nil
}

func asString(v any) string {
	s, _ := v.(string)
	return s
}

// Say makes a person write a message, in a thread if thread is not empty, and returns its ts, "" if there is no such
// conversation. The app is not told.
func (w *Workspace) Say(user, channel, thread, text string) (ts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := w.conversation(channel)
	if to == nil || w.user(user) == nil {
		return ""
	}
	defer w.change()
	return w.write(to, user, thread, content{text: text}).TS
}

// Slash makes a person type a command, such as "/curfew" with its text behind it, and returns what the app acknowledged it
// with: nil, or a message, which is shown as Slack shows it.
func (w *Workspace) Slash(ctx context.Context, user, channel, command, text string) (json.RawMessage, error) {
	w.mu.Lock()
	u, in := w.user(user), w.conversation(channel)
	if u == nil || in == nil {
		w.mu.Unlock()
		return nil, fmt.Errorf("type a command as %s in %s: %w", user, channel, ErrNothingThere)
	}
	name := channelName(in)
	payload := map[string]any{
		"token": "fake-verification-token", "team_id": TeamID, "team_domain": "example", "channel_id": in.id, "channel_name": name["name"],
		"user_id": u.ID, "user_name": u.Name, "command": command, "text": text, "api_app_id": AppID, "is_enterprise_install": strconv.FormatBool(false),
		"response_url": w.respond(&response{user: user, channel: in.id}), "trigger_id": w.trigger(user),
	}
	w.mu.Unlock()
	ack, err := w.Deliver(ctx, SlashCommands, payload)
	if err != nil || len(ack) == 0 {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.change()
	r := &response{user: user, channel: in.id}
	if refused := w.reply(r, ack); refused != nil {
		return ack, fmt.Errorf("show what a command was answered: %s %v", refused.code, refused.messages)
	}
	return ack, nil
}
