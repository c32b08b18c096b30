// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// The limits of Block Kit, in characters where they are of text, from https://docs.slack.dev/reference/block-kit, except
// maxTotal: Slack says nowhere how much the blocks of a message may say in all, and refuses about this much
// (https://github.com/slackapi/bolt-js/issues/2509).
const (
	maxBlocks      = 50
	maxViewBlocks  = 100
	maxTotal       = 13_200
	maxID          = 255
	maxSection     = 3000
	maxHeader      = 150
	maxFields      = 10
	maxField       = 2000
	maxContext     = 10
	maxActions     = 25
	maxButton      = 75
	maxValue       = 2000
	maxURL         = 3000
	maxOverflow    = 5
	maxSelect      = 100
	maxOption      = 75
	maxOptionValue = 150
	maxPlaceholder = 150
	maxInput       = 3000
	maxLabel       = 2000
	maxConfirm     = 300
	maxConfirmName = 100
	maxConfirmYes  = 30
)

// readBlocks checks the blocks of a message and gives each the ids that it lacks. The caller holds the lock.
func (w *Workspace) readBlocks(raw string) (json.RawMessage, *refusal) {
	if raw == "" || raw == "null" {
		return nil, nil
	}
	var blocks []map[string]any
	if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
		return nil, &refusal{code: "invalid_blocks_format"}
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	k := kit{w: w, most: maxBlocks}
	k.blocks("/blocks", blocks)
	switch {
	case k.wrong != nil:
		return nil, &refusal{code: "invalid_blocks", messages: k.wrong}
	case k.total > maxTotal:
		return nil, &refusal{code: "msg_blocks_too_long"}
	}
	return encode(blocks), nil
}

// kit checks Block Kit JSON. Its paths are JSON pointers, as in Slack's answers.
type kit struct {
	w     *Workspace
	most  int
	view  bool
	wrong []string
	total int // characters of text
}

func (k *kit) say(path, format string, args ...any) {
	k.wrong = append(k.wrong, fmt.Sprintf(format, args...)+" [json-pointer:"+path+"]")
}

func (k *kit) blocks(path string, blocks []map[string]any) {
	if len(blocks) > k.most {
		k.say(path, "no more than %d items allowed", k.most)
	}
	seen := map[string]bool{}
	for i, b := range blocks {
		at := fmt.Sprintf("%s/%d", path, i)
		if id := k.identify(at, b, "block_id"); seen[id] {
			k.say(at+"/block_id", "`block_id` %q already exists", id)
		} else {
			seen[id] = true
		}
		k.block(at, b)
	}
}

// identify is the id under a name, which is made if there is none.
func (k *kit) identify(path string, o map[string]any, name string) string {
	id, _ := o[name].(string)
	if id == "" {
		id = k.w.id("k")
		o[name] = id
	}
	if utf8.RuneCountInString(id) > maxID {
		k.say(path+"/"+name, "must be less than %d characters", maxID+1)
	}
	return id
}

func (k *kit) block(path string, b map[string]any) {
	switch kind, _ := b["type"].(string); {
	case kind == "divider":
	case kind == "header":
		k.text(path, b, "text", maxHeader, true, "plain_text")
	case kind == "section":
		k.section(path, b)
	case kind == "context":
		for i, e := range k.list(path, b, "elements", 1, maxContext) {
			at := fmt.Sprintf("%s/elements/%d", path, i)
			if e["type"] == "image" {
				k.text(at, e, "alt_text", maxField, true)
				continue
			}
			k.object(at, e, maxSection, "plain_text", "mrkdwn")
		}
	case kind == "actions":
		actions := map[string]bool{}
		for i, e := range k.list(path, b, "elements", 1, maxActions) {
			k.element(fmt.Sprintf("%s/elements/%d", path, i), e, actions, "button", "overflow", "static_select")
		}
	case kind == "input" && k.view:
		k.text(path, b, "label", maxLabel, true, "plain_text")
		k.text(path, b, "hint", maxLabel, false, "plain_text")
		if e := k.inner(path, b, "element"); e != nil {
			k.element(path+"/element", e, map[string]bool{}, "plain_text_input", "static_select")
		}
	default:
		k.say(path+"/type", "unsupported type: %s", kind)
	}
}

func (k *kit) section(path string, b map[string]any) {
	_, hasText := b["text"]
	_, hasFields := b["fields"]
	if !hasText && !hasFields {
		k.say(path, "missing required field: text or fields")
	}
	k.text(path, b, "text", maxSection, false, "plain_text", "mrkdwn")
	if hasFields {
		for i, f := range k.list(path, b, "fields", 1, maxFields) {
			k.object(fmt.Sprintf("%s/fields/%d", path, i), f, maxField, "plain_text", "mrkdwn")
		}
	}
	if _, has := b["accessory"]; has {
		if e := k.inner(path, b, "accessory"); e != nil && e["type"] != "image" {
			k.element(path+"/accessory", e, map[string]bool{}, "button", "overflow", "static_select")
		}
	}
}

// element checks what a person acts on, whose action_id no other of its block has.
func (k *kit) element(path string, e map[string]any, actions map[string]bool, allowed ...string) {
	kind, _ := e["type"].(string)
	if !slices.Contains(allowed, kind) {
		k.say(path+"/type", "unsupported type: %s", kind)
		return
	}
	if id := k.identify(path, e, "action_id"); actions[id] {
		k.say(path+"/action_id", "`action_id` %q already exists", id)
	} else {
		actions[id] = true
	}
	switch kind {
	case "button":
		k.text(path, e, "text", maxButton, true, "plain_text")
		k.text(path, e, "value", maxValue, false)
		k.text(path, e, "url", maxURL, false)
		if style, has := e["style"]; has && style != "primary" && style != "danger" {
			k.say(path+"/style", "must be one of: primary, danger")
		}
	case "overflow":
		k.options(path, e, maxOverflow)
	case "static_select":
		k.text(path, e, "placeholder", maxPlaceholder, false, "plain_text")
		k.options(path, e, maxSelect)
	case "plain_text_input":
		k.text(path, e, "placeholder", maxPlaceholder, false, "plain_text")
		if most, ok := e["max_length"].(float64); ok && (most < 1 || most > maxInput) {
			k.say(path+"/max_length", "must be between 1 and %d", maxInput)
		}
	}
	k.confirm(path, e)
}

func (k *kit) options(path string, e map[string]any, most int) {
	for i, o := range k.list(path, e, "options", 1, most) {
		at := fmt.Sprintf("%s/options/%d", path, i)
		k.text(at, o, "text", maxOption, true, "plain_text", "mrkdwn")
		k.text(at, o, "value", maxOptionValue, true)
		k.text(at, o, "description", maxOption, false, "plain_text", "mrkdwn")
	}
}

func (k *kit) confirm(path string, e map[string]any) {
	if _, has := e["confirm"]; !has {
		return
	}
	path += "/confirm"
	if c := k.inner(path[:len(path)-len("/confirm")], e, "confirm"); c != nil {
		k.text(path, c, "title", maxConfirmName, true, "plain_text")
		k.text(path, c, "text", maxConfirm, true, "plain_text", "mrkdwn")
		k.text(path, c, "confirm", maxConfirmYes, true, "plain_text")
		k.text(path, c, "deny", maxConfirmYes, true, "plain_text")
	}
}

// list is the objects under a name.
func (k *kit) list(path string, o map[string]any, name string, least, most int) []map[string]any {
	raw, ok := o[name].([]any)
	if !ok {
		k.say(path, "missing required field: %s", name)
		return nil
	}
	switch path += "/" + name; {
	case len(raw) > most:
		k.say(path, "no more than %d items allowed", most)
	case len(raw) < least:
		k.say(path, "no fewer than %d items allowed", least)
	}
	var list []map[string]any
	for i, one := range raw {
		object, ok := one.(map[string]any)
		if !ok {
			k.say(fmt.Sprintf("%s/%d", path, i), "must provide an object")
			object = map[string]any{}
		}
		list = append(list, object)
	}
	return list
}

// inner is the object under a name, nil if there is none.
func (k *kit) inner(path string, o map[string]any, name string) map[string]any {
	object, ok := o[name].(map[string]any)
	if !ok {
		k.say(path, "missing required field: %s", name)
		return nil
	}
	return object
}

// text checks what is under a name: a text object of one of the kinds, or a mere string if there are none.
func (k *kit) text(path string, o map[string]any, name string, most int, required bool, kinds ...string) {
	found, has := o[name]
	if !has {
		if required {
			k.say(path, "missing required field: %s", name)
		}
		return
	}
	path += "/" + name
	if kinds == nil {
		text, ok := found.(string)
		if !ok {
			k.say(path, "must provide a string")
		}
		k.length(path, text, 0, most)
		return
	}
	object, ok := found.(map[string]any)
	if !ok {
		k.say(path, "must provide an object")
		return
	}
	k.object(path, object, most, kinds...)
}

// object checks a text object, and counts what it says.
func (k *kit) object(path string, o map[string]any, most int, kinds ...string) {
	if kind, _ := o["type"].(string); !slices.Contains(kinds, kind) {
		k.say(path+"/type", "unsupported type: %s", kind)
		return
	}
	text, ok := o["text"].(string)
	if !ok {
		k.say(path, "missing required field: text")
		return
	}
	k.total += utf8.RuneCountInString(text)
	k.length(path+"/text", text, 1, most)
}

func (k *kit) length(path, text string, least, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n > most:
		k.say(path, "must be less than %d characters", most+1)
	case n < least:
		k.say(path, "must be more than %d characters", least-1)
	}
}
