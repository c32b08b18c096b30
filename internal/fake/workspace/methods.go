// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is one of a method of the Web API.
type call struct {
	method, token string
	args          map[string]string // what is no string as JSON
	made          string            // the ts of what came of it
	refused       int               // the HTTP status of a refusal; 0 = 200
}

// refusal is Slack's no.
type refusal struct {
	code string
	// messages say what is wrong with blocks or a view.
	messages []string
	// wait is for 429.
	wait time.Duration
	// needed is the scope that the token lacks.
	needed string
}

func refuse(code string) (map[string]any, *refusal) { return nil, &refusal{code: code} }

// method is one of the Web API: the scope that opens it, how often it may be called in a minute (its tier, see
// https://docs.slack.dev/apis/web-api/rate-limits; 0 = it has another limit or none), and what it does with the lock held.
type method struct {
	scope string
	tier  int
	do    func(*Workspace, *call) (map[string]any, *refusal)
}

// Slack's tiers, in calls a minute. The real ones are "20+", and tolerate bursts without a promise.
const (
	tier2 = 20
	tier3 = 50
	tier4 = 100
)

func methods() map[string]method {
	return map[string]method{
		"auth.test":             {"", 0, (*Workspace).authTest},
		"chat.postMessage":      {"chat:write", 0, (*Workspace).post},
		"chat.update":           {"chat:write", tier3, (*Workspace).update},
		"chat.delete":           {"chat:write", tier3, (*Workspace).remove},
		"chat.postEphemeral":    {"chat:write", tier4, (*Workspace).whisper},
		"chat.getPermalink":     {"", 0, (*Workspace).permalink},
		"conversations.history": {"channels:history", tier3, (*Workspace).history},
		"conversations.replies": {"channels:history", tier3, (*Workspace).replies},
		"conversations.info":    {"channels:read", tier3, (*Workspace).conversationInfo},
		"conversations.list":    {"channels:read", tier2, (*Workspace).conversationList},
		"conversations.join":    {"channels:join", tier3, (*Workspace).conversationJoin},
		"conversations.open":    {"im:write", tier3, (*Workspace).conversationOpen},
		"users.info":            {"users:read", tier4, (*Workspace).userInfo},
		"users.lookupByEmail":   {"users:read.email", tier3, (*Workspace).userByEmail},
		"users.list":            {"users:read", tier2, (*Workspace).userList},
		"reactions.add":         {"reactions:write", tier3, (*Workspace).react},
		"views.open":            {"", tier4, (*Workspace).openView},
		"views.update":          {"", tier4, (*Workspace).updateView},
		"apps.connections.open": {"", 0, (*Workspace).openConnection},
	}
}

// perform does a call that no fault stopped. The caller holds the lock.
func (w *Workspace) perform(c *call) (map[string]any, *refusal) {
	m, known := methods()[c.method]
	if !known {
		return refuse("unknown_method")
	}
	if c.token == "" {
		c.token = c.args["token"]
	}
	refused, ours := w.tokens[c.token]
	wanted := BotToken
	if c.method == "apps.connections.open" {
		wanted = AppToken
	}
	switch {
	case c.token == "":
		return refuse("not_authed")
	case !ours:
		return refuse("invalid_auth")
	case refused != "":
		return refuse(refused)
	case c.token != wanted && c.method != "auth.test":
		return refuse("not_allowed_token_type")
	case slices.Contains(w.withheld, m.scope) && m.scope != "":
		return nil, &refusal{code: "missing_scope", needed: m.scope}
	}
	if wait := w.limits.take(c.method, m.tier, w.options.Now()); wait > 0 {
		return nil, &refusal{code: "ratelimited", wait: wait}
	}
	return m.do(w, c)
}

// read takes the arguments from the query, from a form or from JSON.
func (c *call) read(r *http.Request) *refusal {
	c.args = map[string]string{}
	for name, values := range r.URL.Query() {
		c.args[name] = values[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return &refusal{code: "request_timeout"}
		}
		if len(bytes.TrimSpace(body)) == 0 {
			return nil
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return &refusal{code: "invalid_json"}
		}
		for name, raw := range fields {
			c.args[name] = unquote(raw)
		}
		return nil
	}
	if err := r.ParseMultipartForm(1 << 20); err != nil && r.PostForm == nil {
		return &refusal{code: "invalid_form_data"}
	}
	for name, values := range r.PostForm {
		c.args[name] = values[0]
	}
	return nil
}

// unquote is a JSON string's text, nothing for null, and other JSON as it is.
func unquote(raw json.RawMessage) string {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return text
	}
	return string(raw)
}

// yes is whether an argument is true, as JSON and as forms say it.
func (c *call) yes(name string) bool { return c.args[name] == "true" || c.args[name] == "1" }

// whole is a number, or otherwise if it is none.
func (c *call) whole(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.args[name]); err == nil {
		return n
	}
	return otherwise
}

// answer writes what came of a call: Slack refuses with status 200 but for 429.
func (c *call) answer(rw http.ResponseWriter, answer map[string]any, refused *refusal) {
	status := http.StatusOK
	if refused != nil && c.refused != 0 {
		status = c.refused
	}
	if refused != nil {
		answer = map[string]any{"ok": false, "error": refused.code}
		if refused.messages != nil {
			var prefixed []string
			for _, m := range refused.messages {
				prefixed = append(prefixed, "[ERROR] "+m)
			}
			answer["errors"] = refused.messages
			answer["response_metadata"] = map[string]any{"messages": prefixed}
		}
		if refused.needed != "" {
			answer["needed"], answer["provided"] = refused.needed, ""
		}
		if refused.wait > 0 {
			rw.Header().Set("Retry-After", seconds(refused.wait))
			status = http.StatusTooManyRequests
		}
	} else {
		answer["ok"] = true
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(status)
	// The client may have gone; it will ask again.
	_, _ = rw.Write(encode(answer))
}

// encode is v as JSON, with text as Slack writes it. It panics on what is no JSON, which would be this package's mistake.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encode an answer of the fake Slack: %v", err))
	}
	return bytes.TrimSpace(b.Bytes())
}

func (w *Workspace) authTest(c *call) (map[string]any, *refusal) {
	answer := map[string]any{"url": w.url + "/", "team": w.options.Name, "team_id": TeamID, "user": "curfew", "user_id": BotUser, "bot_id": BotID, "is_enterprise_install": false}
	if strings.HasPrefix(c.token, "xapp-") {
		answer = map[string]any{"app_name": "Curfew", "app_id": AppID}
	}
	return answer, nil
}
