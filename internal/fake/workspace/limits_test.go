// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// call posts JSON to a method and returns the answer.
func (r *room) call(t *testing.T, method string, body map[string]any) (answer struct {
	OK     bool     `json:"ok"`
	Error  string   `json:"error"`
	Errors []string `json:"errors"`
}) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/api/"+method, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("Authorization", "Bearer "+workspace.BotToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

type object = map[string]any

func text(kind string, n int) object { return object{"type": kind, "text": strings.Repeat("é", n)} }

// many is a list of n times what makes one.
func many(n int, one func(i int) any) []any {
	var list []any
	for i := range n {
		list = append(list, one(i))
	}
	return list
}

func textSection(n int) object { return object{"type": "section", "text": text("mrkdwn", n)} }

func fields(n, length int) object {
	return object{"type": "section", "fields": many(n, func(int) any { return text("mrkdwn", length) })}
}

func actions(elements ...any) object { return object{"type": "actions", "elements": elements} }

func plainButton(change object) object {
	b := object{"type": "button", "text": text("plain_text", 10), "value": "v"}
	for name, value := range change {
		b[name] = value
	}
	return b
}

func confirmation(title, body int) object {
	return object{"confirm": object{"title": text("plain_text", title), "text": text("mrkdwn", body), "confirm": text("plain_text", 3), "deny": text("plain_text", 2)}}
}

func overflow(n int) object {
	return object{"type": "overflow", "options": many(n, func(i int) any { return object{"text": text("plain_text", 5), "value": fmt.Sprint(i)} })}
}

func TestBlockLimits(t *testing.T) {
	divider := func(int) any { return object{"type": "divider"} }
	for _, c := range []struct {
		name   string
		blocks []any
		want   string // code
		says   string
	}{
		{"50 blocks", many(50, divider), "", ""},
		{"51 blocks", many(51, divider), "invalid_blocks", "no more than 50 items allowed [json-pointer:/blocks]"},
		{"section of 3000", []any{textSection(3000)}, "", ""},
		{"section of 3001", []any{textSection(3001)}, "invalid_blocks", "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"empty section", []any{textSection(0)}, "invalid_blocks", "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		{"section of nothing", []any{object{"type": "section"}}, "invalid_blocks", "missing required field"},
		{"header of 150", []any{object{"type": "header", "text": text("plain_text", 150)}}, "", ""},
		{"header of 151", []any{object{"type": "header", "text": text("plain_text", 151)}}, "invalid_blocks", "must be less than 151"},
		{"header in mrkdwn", []any{object{"type": "header", "text": text("mrkdwn", 5)}}, "invalid_blocks", "unsupported type: mrkdwn"},
		{"10 fields", []any{fields(10, 10)}, "", ""},
		{"11 fields", []any{fields(11, 10)}, "invalid_blocks", "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		{"field of 2000", []any{fields(1, 2000)}, "", ""},
		{"field of 2001", []any{fields(1, 2001)}, "invalid_blocks", "/blocks/0/fields/0/text"},
		{"10 in context", []any{object{"type": "context", "elements": many(10, func(int) any { return text("mrkdwn", 5) })}}, "", ""},
		{"11 in context", []any{object{"type": "context", "elements": many(11, func(int) any { return text("mrkdwn", 5) })}}, "invalid_blocks", "no more than 10"},
		{"25 actions", []any{actions(many(25, func(int) any { return plainButton(nil) })...)}, "", ""},
		{"26 actions", []any{actions(many(26, func(int) any { return plainButton(nil) })...)}, "invalid_blocks", "no more than 25"},
		{"button of 75", []any{actions(plainButton(object{"text": text("plain_text", 75)}))}, "", ""},
		{"button of 76", []any{actions(plainButton(object{"text": text("plain_text", 76)}))}, "invalid_blocks", "must be less than 76"},
		{"value of 2000", []any{actions(plainButton(object{"value": strings.Repeat("v", 2000)}))}, "", ""},
		{"value of 2001", []any{actions(plainButton(object{"value": strings.Repeat("v", 2001)}))}, "invalid_blocks", "/value"},
		{"style", []any{actions(plainButton(object{"style": "loud"}))}, "invalid_blocks", "must be one of: primary, danger"},
		{"confirm of 300", []any{actions(plainButton(confirmation(100, 300)))}, "", ""},
		{"confirm of 301", []any{actions(plainButton(confirmation(100, 301)))}, "invalid_blocks", "/confirm/text/text"},
		{"confirm title of 101", []any{actions(plainButton(confirmation(101, 300)))}, "invalid_blocks", "/confirm/title/text"},
		{"overflow of 5", []any{actions(overflow(5))}, "", ""},
		{"overflow of 6", []any{actions(overflow(6))}, "invalid_blocks", "no more than 5"},
		{"action_id of 255", []any{actions(plainButton(object{"action_id": strings.Repeat("i", 255)}))}, "", ""},
		{"action_id of 256", []any{actions(plainButton(object{"action_id": strings.Repeat("i", 256)}))}, "invalid_blocks", "/action_id"},
		{"same action_id", []any{actions(plainButton(object{"action_id": "a"}), plainButton(object{"action_id": "a"}))}, "invalid_blocks", "already exists"},
		{"block_id of 256", []any{object{"type": "divider", "block_id": strings.Repeat("i", 256)}}, "invalid_blocks", "/block_id"},
		{"same block_id", []any{object{"type": "divider", "block_id": "a"}, object{"type": "divider", "block_id": "a"}}, "invalid_blocks", "already exists"},
		{"input in a message", []any{object{"type": "input"}}, "invalid_blocks", "unsupported type: input"},
		{"unknown block", []any{object{"type": "hologram"}}, "invalid_blocks", "unsupported type: hologram"},
		{"13,200 in all", many(5, func(int) any { return textSection(2640) }), "", ""},
		{"13,205 in all", many(5, func(int) any { return textSection(2641) }), "msg_blocks_too_long", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			got := r.call(t, "chat.postMessage", object{"channel": r.channel, "text": "x", "blocks": c.blocks})
			if got.Error != c.want || got.OK != (c.want == "") {
				t.Fatalf("got %+v, want %q", got, c.want)
			}
			if c.says != "" && !slices.ContainsFunc(got.Errors, func(s string) bool { return strings.Contains(s, c.says) }) {
				t.Errorf("got %q, want one with %q", got.Errors, c.says)
			}
			if sent := len(r.Messages(r.channel)) == 1; sent != (c.want == "") {
				t.Errorf("message there: got %v", sent)
			}
		})
	}
}

func TestMessageLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		body object
		want string
	}{
		{"text of 40,000", object{"text": strings.Repeat("é", 40_000)}, ""},
		{"text of 40,001", object{"text": strings.Repeat("é", 40_001)}, "msg_too_long"},
		{"nothing", object{"text": " "}, "no_text"},
		{"no blocks and no text", object{"blocks": []any{}}, "no_text"},
		{"blocks that are none", object{"text": "x", "blocks": "{"}, "invalid_blocks_format"},
		{"metadata", object{"text": "x", "metadata": object{"event_type": "e", "event_payload": object{"a": 1}}}, ""},
		{"metadata without type", object{"text": "x", "metadata": object{"event_payload": object{}}}, "invalid_metadata_schema"},
		{"metadata without payload", object{"text": "x", "metadata": object{"event_type": "e"}}, "invalid_metadata_schema"},
		{"metadata that is none", object{"text": "x", "metadata": []any{}}, "invalid_metadata_format"},
		{"thread of nothing", object{"text": "x", "thread_ts": "1.000001"}, "thread_not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			c.body["channel"] = r.channel
			if got := r.call(t, "chat.postMessage", c.body); got.Error != c.want {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
}
