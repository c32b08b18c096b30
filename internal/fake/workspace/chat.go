// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxText is how long the text of a message may be.
const maxText = 40_000

// content is what a message is to say.
type content struct {
	text     string
	blocks   json.RawMessage
	metadata Metadata
}

// content reads and checks what a call says. The caller holds the lock.
func (w *Workspace) content(c *call) (content, *refusal) {
	said := content{text: c.args["text"]}
	var refused *refusal
	if said.blocks, refused = w.readBlocks(c.args["blocks"]); refused != nil {
		return content{}, refused
	}
	if said.metadata, refused = readMetadata(c.args["metadata"]); refused != nil {
		return content{}, refused
	}
	switch {
	case strings.TrimSpace(said.text) == "" && said.blocks == nil:
		return content{}, &refusal{code: "no_text"}
	case utf8.RuneCountInString(said.text) > maxText:
		return content{}, &refusal{code: "msg_too_long"}
	}
	return said, nil
}

// readMetadata checks the shape of metadata: a type, and a payload that is an object.
func readMetadata(raw string) (Metadata, *refusal) {
	if raw == "" || raw == "null" || raw == "{}" {
		return Metadata{}, nil
	}
	var m Metadata
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return Metadata{}, &refusal{code: "invalid_metadata_format"}
	}
	if m.EventType == "" || m.EventPayload == nil {
		return Metadata{}, &refusal{code: "invalid_metadata_schema"}
	}
	return m, nil
}

// target is the conversation that a call writes to. The caller holds the lock.
func (w *Workspace) target(id string) (*channel, *refusal) {
	to := w.channel(id)
	if to == nil {
		to = w.named(id)
	}
	if to == nil {
		to = w.direct(id)
	}
	switch {
	case to == nil, to.private && !to.member:
		return nil, &refusal{code: "channel_not_found"}
	case to.archived:
		return to, &refusal{code: "is_archived"}
	case !to.member:
		return to, &refusal{code: "not_in_channel"}
	}
	return to, nil
}

func (w *Workspace) post(c *call) (map[string]any, *refusal) {
	to, refused := w.target(c.args["channel"])
	if to != nil {
		if wait := w.limits.takePost(to.id, w.options.Now()); wait > 0 {
			return nil, &refusal{code: "ratelimited", wait: wait}
		}
	}
	if refused != nil {
		return nil, refused
	}
	said, refused := w.content(c)
	if refused != nil {
		return nil, refused
	}
	thread := c.args["thread_ts"]
	if thread != "" {
		parent := to.at(thread)
		if parent == nil {
			return refuse("thread_not_found")
		}
		if parent.ThreadTS != "" {
			thread = parent.ThreadTS
		}
	}
	m := w.write(to, BotUser, thread, said)
	m.Broadcast = thread != "" && c.yes("reply_broadcast")
	c.made = m.TS
	return map[string]any{"channel": to.id, "ts": m.TS, "message": w.object(to, m, true)}, nil
}

// write adds a message. The caller holds the lock.
func (w *Workspace) write(to *channel, by, thread string, said content) *message {
	m := &message{Message{
		Channel: to.id, TS: w.stamp(), ThreadTS: thread, User: by, Text: said.text, Blocks: said.blocks, Metadata: said.metadata,
	}}
	to.messages = append(to.messages, m)
	return m
}

// own is a message that the app may change. The caller holds the lock.
func (w *Workspace) own(c *call, frozen string) (*channel, *message, *refusal) {
	in := w.channel(c.args["channel"])
	if in == nil || in.private && !in.member {
		return nil, nil, &refusal{code: "channel_not_found"}
	}
	m := in.at(c.args["ts"])
	switch {
	case in.archived:
		return nil, nil, &refusal{code: frozen}
	case m == nil:
		return nil, nil, &refusal{code: "message_not_found"}
	case m.User != BotUser:
		return in, m, &refusal{code: "cant_update_message"}
	}
	return in, m, nil
}

// update edits a message. Text without blocks removes the blocks, blocks stay if neither is given, and metadata stays
// unless there is other or {}: https://docs.slack.dev/reference/methods/chat.update.
func (w *Workspace) update(c *call) (map[string]any, *refusal) {
	in, m, refused := w.own(c, "is_inactive")
	if refused != nil {
		return nil, refused
	}
	if _, given := c.args["text"]; !given {
		c.args["text"] = m.Text
		if c.args["blocks"] == "" && m.Blocks != nil {
			c.args["blocks"] = string(m.Blocks)
		}
		if c.args["blocks"] == "" && c.args["metadata"] == "" {
			return refuse("no_text")
		}
	}
	said, refused := w.content(c)
	if refused != nil {
		return nil, refused
	}
	if c.args["metadata"] == "" {
		said.metadata = m.Metadata
	}
	w.edit(m, BotUser, said)
	c.made = m.TS
	return map[string]any{"channel": in.id, "ts": m.TS, "text": m.Text, "message": w.object(in, m, true)}, nil
}

// edit makes a message say something else. The caller holds the lock.
func (w *Workspace) edit(m *message, by string, said content) {
	m.Edits = append(m.Edits, Edit{TS: w.stamp(), User: by, Text: m.Text, Blocks: m.Blocks, Metadata: m.Metadata})
	m.Text, m.Blocks, m.Metadata = said.text, said.blocks, said.metadata
}

func (w *Workspace) remove(c *call) (map[string]any, *refusal) {
	in, m, refused := w.own(c, "cant_delete_message")
	if m != nil && refused != nil {
		return refuse("cant_delete_message")
	}
	if refused != nil {
		return nil, refused
	}
	in.drop(m)
	return map[string]any{"channel": in.id, "ts": m.TS}, nil
}

func (w *Workspace) whisper(c *call) (map[string]any, *refusal) {
	to, refused := w.target(c.args["channel"])
	if refused != nil {
		return nil, refused
	}
	if w.user(c.args["user"]) == nil {
		return refuse("user_not_in_channel")
	}
	said, refused := w.content(c)
	if refused != nil {
		return nil, refused
	}
	e := w.tell(to, c.args["user"], c.args["thread_ts"], said)
	c.made = e.TS
	return map[string]any{"message_ts": e.TS}, nil
}

// tell shows a user alone a message. The caller holds the lock.
func (w *Workspace) tell(to *channel, user, thread string, said content) Ephemeral {
	e := Ephemeral{Channel: to.id, TS: w.stamp(), ThreadTS: thread, User: user, Text: said.text, Blocks: said.blocks}
	to.told = append(to.told, e)
	return e
}

func (w *Workspace) permalink(c *call) (map[string]any, *refusal) {
	in := w.channel(c.args["channel"])
	if in == nil {
		return refuse("channel_not_found")
	}
	m := in.at(c.args["message_ts"])
	if m == nil {
		return refuse("message_not_found")
	}
	link := w.url + "/archives/" + in.id + "/p" + strings.Replace(m.TS, ".", "", 1)
	if m.ThreadTS != "" {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + in.id
	}
	return map[string]any{"channel": in.id, "permalink": link}, nil
}
