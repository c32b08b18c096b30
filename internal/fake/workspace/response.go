// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// How long what an interaction brought may be used: https://docs.slack.dev/interactivity/handling-user-interaction.
const (
	triggerFor   = 3 * time.Second
	responseFor  = 30 * time.Minute
	responseUses = 5
)

// trigger is a trigger_id's.
type trigger struct {
	user string
	at   time.Time
	used bool
}

// response is a response_url's.
type response struct {
	user, channel, ts, thread string
	at                        time.Time
	uses                      int
}

// trigger is a new trigger_id. The caller holds the lock.
func (w *Workspace) trigger(user string) string {
	id := w.id("1337.") + "." + strings.ToLower(w.id("t"))
	w.triggers[id] = &trigger{user: user, at: w.options.Now()}
	return id
}

// exchange is who has to do with a trigger_id, once and in time. The caller holds the lock.
func (w *Workspace) exchange(id string) (user string, refused *refusal) {
	t := w.triggers[id]
	switch {
	case t == nil:
		return "", &refusal{code: "invalid_trigger_id"}
	case t.used:
		return "", &refusal{code: "exchanged_trigger_id"}
	case w.options.Now().Sub(t.at) > triggerFor:
		return "", &refusal{code: "expired_trigger_id"}
	}
	t.used = true
	return t.user, nil
}

// respond is a new response_url. The caller holds the lock.
func (w *Workspace) respond(r *response) string {
	path := "/actions/" + TeamID + "/" + w.id("r")
	r.at = w.options.Now()
	w.responses[path] = r
	return w.url + path
}

// serveResponse takes what is posted to a response_url, the "response_url" of faults and calls.
func (w *Workspace) serveResponse(rw http.ResponseWriter, r *http.Request) {
	c := &call{method: "response_url", refused: http.StatusNotFound}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || !json.Valid(body) {
		c.refused = http.StatusBadRequest
		w.record(c, "invalid_payload")
		c.answer(rw, nil, &refusal{code: "invalid_payload"})
		return
	}
	w.suffer(rw, c, func() (map[string]any, *refusal) {
		o := w.responses[r.URL.Path]
		switch {
		case o == nil, w.options.Now().Sub(o.at) > responseFor:
			return refuse("expired_url")
		case o.uses >= responseUses:
			return refuse("used_url")
		}
		o.uses++
		c.args = map[string]string{"channel": o.channel}
		return map[string]any{}, w.reply(o, body)
	})
}

// reply shows a message that answers an interaction: to who acted alone, unless it says otherwise. The caller holds the lock.
func (w *Workspace) reply(r *response, body json.RawMessage) *refusal {
	c := &call{args: map[string]string{}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		// An acknowledgement by HTTP may be mere text.
		fields = map[string]json.RawMessage{"text": encode(string(body))}
	}
	for name, raw := range fields {
		c.args[name] = unquote(raw)
	}
	in := w.conversation(r.channel)
	if c.yes("delete_original") {
		if m := in.at(r.ts); m != nil {
			in.drop(m)
		}
		in.forget(r.ts)
		return nil
	}
	said, refused := w.content(c)
	if refused != nil {
		return refused
	}
	if m := in.at(r.ts); c.yes("replace_original") && m != nil {
		said.metadata = m.Metadata
		w.edit(m, BotUser, said)
		return nil
	}
	thread := c.args["thread_ts"]
	switch {
	case c.yes("replace_original"):
		in.forget(r.ts)
		w.tell(in, r.user, r.thread, said)
	case c.args["response_type"] == "in_channel":
		w.write(in, BotUser, thread, said)
	default:
		w.tell(in, r.user, thread, said)
	}
	return nil
}

// forget removes an ephemeral message.
func (c *channel) forget(ts string) {
	var kept []Ephemeral
	for _, e := range c.told {
		if e.TS != ts {
			kept = append(kept, e)
		}
	}
	c.told = kept
}
