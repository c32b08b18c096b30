// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// User is a person or a bot.
type User struct {
	// ID is made if empty.
	ID, Name, RealName, Email string
	// TeamID is the workspace of the account; TeamID if empty.
	TeamID string
	// IsStranger is somebody of another workspace, by Slack Connect; IsRestricted is a guest.
	IsBot, IsRestricted, IsStranger, Deleted bool
	// TZ is an IANA time zone; "Etc/UTC" if empty.
	TZ string
}

// channel is one, or a conversation of a person with the bot.
type channel struct {
	id, name string
	with     string // the user of a direct message
	created  time.Time
	member   bool // whether the bot is in it
	archived bool
	private  bool
	messages []*message // in the order of their ts, replies too
	told     []Ephemeral
}

// AddChannel adds a public channel that the bot is in, and returns its id.
func (w *Workspace) AddChannel(name string) (id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &channel{id: w.id("C"), name: name, created: w.options.Now(), member: true}
	w.channels = append(w.channels, c)
	w.change()
	return c.id
}

// AddUser adds an account, or replaces the one of its id, and returns its id.
func (w *Workspace) AddUser(u User) (id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.ID == "" {
		u.ID = w.id("U")
	}
	u.TeamID, u.TZ, u.RealName = cmp.Or(u.TeamID, TeamID), cmp.Or(u.TZ, "Etc/UTC"), cmp.Or(u.RealName, u.Name)
	if known := w.user(u.ID); known != nil {
		*known = u
	} else {
		w.users = append(w.users, &u)
	}
	w.change()
	return u.ID
}

// Archive makes a channel one that nobody writes to; Unarchive brings it back.
func (w *Workspace) Archive(channel string) {
	w.set(channel, func(c *channelState) { c.archived = true })
}

// Unarchive undoes Archive.
func (w *Workspace) Unarchive(channel string) {
	w.set(channel, func(c *channelState) { c.archived = false })
}

// Kick puts the bot out of a channel; Invite brings it back.
func (w *Workspace) Kick(channel string) { w.set(channel, func(c *channelState) { c.member = false }) }

// Invite undoes Kick.
func (w *Workspace) Invite(channel string) { w.set(channel, func(c *channelState) { c.member = true }) }

// MakePrivate makes a channel private: without the bot in it, the app cannot tell that it exists.
func (w *Workspace) MakePrivate(channel string) {
	w.set(channel, func(c *channelState) { c.private = true })
}

// channelState is a channel, where a parameter has its name.
type channelState = channel

// set changes a channel. It panics if there is none, since that is a mistake of a test.
func (w *Workspace) set(id string, change func(*channelState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conversation(id)
	if c == nil {
		panic("the fake Slack has no channel " + id)
	}
	change(c)
	w.change()
}

// channel returns the one of an id, nil if there is none. The caller holds the lock.
func (w *Workspace) channel(id string) *channel {
	for _, c := range w.channels {
		if c.id == id {
			return c
		}
	}
	return nil
}

// named returns the channel of a name with or without #, nil if there is none. The caller holds the lock.
func (w *Workspace) named(name string) *channel {
	for _, c := range w.channels {
		if c.with == "" && c.name == strings.TrimPrefix(name, "#") {
			return c
		}
	}
	return nil
}

// user returns the one of an id, nil if there is none. The caller holds the lock.
func (w *Workspace) user(id string) *User {
	for _, u := range w.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// direct is the bot's conversation with a user, nil if there is no such user. The caller holds the lock.
func (w *Workspace) direct(user string) *channel {
	for _, c := range w.channels {
		if user != "" && c.with == user {
			return c
		}
	}
	if u := w.user(user); u == nil || u.IsBot {
		return nil
	}
	c := &channel{id: w.id("D"), with: user, created: w.options.Now(), member: true}
	w.channels = append(w.channels, c)
	return c
}

// Message is one as it stands.
type Message struct {
	Channel, TS, ThreadTS, Text string
	// User wrote it.
	User string
	// Blocks is a JSON array, each block with its block_id; nil = it has none.
	Blocks   json.RawMessage
	Metadata Metadata
	// Edits are what stood before each edit, in their order.
	Edits []Edit
	// Broadcast is whether a reply is shown in the channel too.
	Broadcast bool
	// Reactions are the names of emoji, each with who reacted.
	Reactions map[string][]string
}

// Metadata is what an app attached to a message; empty = nothing.
type Metadata struct {
	EventType    string         `json:"event_type"`
	EventPayload map[string]any `json:"event_payload"`
}

// Edit is what a message was until it was edited.
type Edit struct {
	// TS is that of the edit, User made it.
	TS, User, Text string
	Blocks         json.RawMessage
	Metadata       Metadata
}

// Ephemeral is a message that only User was shown.
type Ephemeral struct {
	Channel, TS, ThreadTS, User, Text string
	Blocks                            json.RawMessage
}

// message is a Message in the making.
type message struct{ Message }

// Messages are those of a channel, or of a direct conversation by its id or its user's, in their order: no replies, except
// those that were broadcast. Nobody may change what is in them.
func (w *Workspace) Messages(channel string) []Message {
	return w.messages(channel, func(m *message) bool { return m.ThreadTS == "" || m.Broadcast })
}

// Replies are those to a message, in their order.
func (w *Workspace) Replies(channel, ts string) []Message {
	return w.messages(channel, func(m *message) bool { return m.ThreadTS == ts })
}

func (w *Workspace) messages(id string, which func(*message) bool) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conversation(id)
	if c == nil {
		return nil
	}
	var list []Message
	for _, m := range c.messages {
		if which(m) {
			seen := m.Message
			seen.Edits = slices.Clone(seen.Edits)
			list = append(list, seen)
		}
	}
	return list
}

// conversation is a channel by its id or name, or the direct conversation with a user if there is one already. The caller
// holds the lock.
func (w *Workspace) conversation(id string) *channel {
	if c := w.channel(id); c != nil {
		return c
	}
	for _, c := range w.channels {
		if id != "" && c.with == id {
			return c
		}
	}
	return w.named(id)
}

// Ephemerals are what only a user was shown, wherever, in their order.
func (w *Workspace) Ephemerals(user string) []Ephemeral {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Ephemeral
	for _, c := range w.channels {
		for _, e := range c.told {
			if e.User == user {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b Ephemeral) int { return cmp.Compare(a.TS, b.TS) })
	return list
}

// at is the message of a ts, nil if there is none.
func (c *channel) at(ts string) *message {
	for _, m := range c.messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}
