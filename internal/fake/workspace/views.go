// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// The limits of a view: https://docs.slack.dev/reference/views/modal-views.
const (
	maxView     = 250_000 // bytes
	maxTitle    = 24
	maxPrivate  = 3000
	maxCallback = 255
)

// View is a modal that a person has open.
type View struct {
	ID, User string
	// Title is its heading, JSON all of it as Slack keeps it.
	Title string
	JSON  json.RawMessage
	// Errors are what the last submission was answered, by block id.
	Errors map[string]string
}

// view is one in the making.
type view struct {
	id, user, hash string
	body           map[string]any
	// errors are what the last submission was answered, filled what it said.
	errors, filled map[string]string
}

// Views are those that a person has open, the topmost last.
func (w *Workspace) Views(user string) []View {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []View
	for _, v := range w.views {
		if v.user == user {
			title, _ := v.body["title"].(map[string]any)
			list = append(list, View{v.id, v.user, asString(title["text"]), encode(w.viewObject(v, nil)), maps.Clone(v.errors)})
		}
	}
	return list
}

// CloseView closes a view, as a person does. The app is not told.
func (w *Workspace) CloseView(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.views = slices.DeleteFunc(w.views, func(v *view) bool { return v.id == id })
	w.change()
}

// readView checks a view. The caller holds the lock.
func (w *Workspace) readView(raw string) (map[string]any, *refusal) {
	var body map[string]any
	if err := json.Unmarshal([]byte(raw), &body); err != nil || body == nil {
		return nil, &refusal{code: "invalid_arguments", messages: []string{"must provide an object [json-pointer:/view]"}}
	}
	if len(raw) > maxView {
		return nil, &refusal{code: "view_too_large"}
	}
	k := kit{w: w, most: maxViewBlocks, view: true}
	if body["type"] != "modal" {
		k.say("/view/type", "must be one of: modal")
	}
	k.text("/view", body, "title", maxTitle, true, "plain_text")
	k.text("/view", body, "submit", maxTitle, false, "plain_text")
	k.text("/view", body, "close", maxTitle, false, "plain_text")
	k.text("/view", body, "private_metadata", maxPrivate, false)
	k.text("/view", body, "callback_id", maxCallback, false)
	k.text("/view", body, "external_id", maxCallback, false)
	blocks := k.list("/view", body, "blocks", 1, maxViewBlocks)
	k.blocks("/view/blocks", blocks)
	if body["submit"] == nil && slices.ContainsFunc(blocks, func(b map[string]any) bool { return b["type"] == "input" }) {
		k.say("/view", "missing required field: submit")
	}
	if k.wrong != nil {
		return nil, &refusal{code: "invalid_arguments", messages: k.wrong}
	}
	return body, nil
}

func (w *Workspace) openView(c *call) (map[string]any, *refusal) {
	body, refused := w.readView(c.args["view"])
	if refused != nil {
		return nil, refused
	}
	if external := asString(body["external_id"]); external != "" && w.view(func(v *view) bool { return v.body["external_id"] == external }) != nil {
		return refuse("duplicate_external_id")
	}
	user, refused := w.exchange(c.args["trigger_id"])
	if refused != nil {
		return nil, refused
	}
	v := &view{id: w.id("V"), user: user, body: body, hash: w.stamp()}
	w.views = append(w.views, v)
	return map[string]any{"view": w.viewObject(v, nil)}, nil
}

func (w *Workspace) updateView(c *call) (map[string]any, *refusal) {
	v := w.view(func(v *view) bool {
		return v.id == c.args["view_id"] || c.args["external_id"] != "" && v.body["external_id"] == c.args["external_id"]
	})
	if v == nil {
		return refuse("not_found")
	}
	if hash := c.args["hash"]; hash != "" && hash != v.hash {
		return refuse("hash_conflict")
	}
	body, refused := w.readView(c.args["view"])
	if refused != nil {
		return nil, refused
	}
	v.body, v.hash, v.errors, v.filled = body, w.stamp(), nil, nil
	return map[string]any{"view": w.viewObject(v, nil)}, nil
}

// view is the first that is meant, nil if there is none. The caller holds the lock.
func (w *Workspace) view(is func(*view) bool) *view {
	if i := slices.IndexFunc(w.views, is); i >= 0 {
		return w.views[i]
	}
	return nil
}

// viewObject is a view as Slack's API has it. The caller holds the lock.
func (w *Workspace) viewObject(v *view, values map[string]any) map[string]any {
	o := map[string]any{
		"submit": nil, "close": nil, "private_metadata": "", "callback_id": "", "external_id": "", "clear_on_close": false, "notify_on_close": false,
		"previous_view_id": nil,
	}
	maps.Copy(o, v.body)
	if values == nil {
		values = map[string]any{}
	}
	o["id"], o["root_view_id"], o["team_id"], o["hash"] = v.id, v.id, TeamID, v.hash
	o["app_id"], o["bot_id"], o["app_installed_team_id"] = AppID, BotID, TeamID
	o["state"] = map[string]any{"values": values}
	return o
}

// Submit makes a person submit a view, with values by block id: the text of an input, or the value of an option. It returns
// what the app acknowledged it with, nil if nothing, which closes the view; errors by block keep it open. The error is
// ErrNothingThere, ErrUnacknowledged, or what Slack itself tells the person, who left a field empty or wrote too much.
func (w *Workspace) Submit(ctx context.Context, user, viewID string, values map[string]string) (json.RawMessage, error) {
	payload, err := w.submission(user, viewID, values)
	if err != nil {
		return nil, err
	}
	ack, err := w.Deliver(ctx, Interactive, payload)
	if err != nil {
		return nil, err
	}
	return ack, w.settle(viewID, ack)
}

// submission is what Slack sends of a submission.
func (w *Workspace) submission(user, viewID string, values map[string]string) (map[string]any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, v := w.user(user), w.view(func(v *view) bool { return v.id == viewID && v.user == user })
	if u == nil || v == nil {
		return nil, fmt.Errorf("submit %s as %s: %w", viewID, user, ErrNothingThere)
	}
	state, known := map[string]any{}, map[string]bool{}
	blocks, _ := v.body["blocks"].([]any)
	for _, one := range blocks {
		b, _ := one.(map[string]any)
		id := asString(b["block_id"])
		e, isInput := b["element"].(map[string]any)
		if !isInput {
			continue
		}
		known[id] = true
		filled, err := fill(b, e, values[id])
		if err != nil {
			return nil, err
		}
		state[id] = map[string]any{asString(e["action_id"]): filled}
	}
	for id := range values {
		if !known[id] {
			return nil, fmt.Errorf("fill in %s of %s: %w", id, viewID, ErrNothingThere)
		}
	}
	v.filled = maps.Clone(values)
	payload := w.envelope("view_submission", u)
	payload["view"], payload["response_urls"] = w.viewObject(v, state), []any{}
	return payload, nil
}

// fill is the state of an input.
func fill(b, e map[string]any, value string) (map[string]any, error) {
	optional, _ := b["optional"].(bool)
	if value == "" && !optional {
		return nil, fmt.Errorf("fill in %s: this field is required", b["block_id"])
	}
	if e["type"] == "static_select" {
		o := option(e, value)
		if o == nil && value != "" {
			return nil, fmt.Errorf("choose %q in %s: %w", value, b["block_id"], ErrNothingThere)
		}
		if o == nil {
			return map[string]any{"type": "static_select", "selected_option": nil}, nil
		}
		return map[string]any{"type": "static_select", "selected_option": o}, nil
	}
	most, limited := e["max_length"].(float64)
	if n := utf8.RuneCountInString(value); limited && n > int(most) || n > maxInput {
		return nil, fmt.Errorf("fill in %s: %d characters are too many", b["block_id"], n)
	}
	filled := map[string]any{"type": e["type"], "value": value}
	if value == "" {
		filled["value"] = nil
	}
	return filled, nil
}

// settle does to a view what an acknowledgement says.
func (w *Workspace) settle(id string, ack json.RawMessage) error {
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	// By HTTP an acknowledgement may be empty or mere text.
	_ = json.Unmarshal(ack, &answer)
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.change()
	v := w.view(func(v *view) bool { return v.id == id })
	if v == nil {
		return nil
	}
	switch answer.Action {
	case "errors":
		v.errors = answer.Errors
	case "update", "push":
		body, refused := w.readView(string(answer.View))
		if refused != nil {
			return fmt.Errorf("show the view of an acknowledgement: %s %v", refused.code, refused.messages)
		}
		if answer.Action == "push" {
			w.views = append(w.views, &view{id: w.id("V"), user: v.user, body: body, hash: w.stamp()})
			return nil
		}
		v.body, v.hash, v.errors, v.filled = body, w.stamp(), nil, nil
	case "clear":
		w.views = slices.DeleteFunc(w.views, func(one *view) bool { return one.user == v.user })
	default:
		w.views = slices.DeleteFunc(w.views, func(one *view) bool { return one == v })
	}
	return nil
}
