// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The kinds of what Slack delivers, as Socket Mode calls them.
const (
	interactive = "interactive"
	slashed     = "slash_commands"
)

// click is what a person did in Slack, whichever way it came in.
type click struct {
	// what is blockActions, viewSubmission, slashed, or a kind that asks for nothing here.
	what string
	// team is the workspace it was done in, user the account, and home the workspace of that account, "" where Slack does
	// not say.
	team, user, home string
	// id is the action's, the modal's callback or the command; once names this one time it was done.
	id, once string
	// value is what the action carries, text what follows a command.
	value, text string
	// channel and message are where it was done; message is "" where on none.
	channel, message string
	// trigger opens a modal.
	trigger string
	// at is when, as Slack says; zero where it does not.
	at time.Time
	// said is the message that was clicked on, as Slack has it; nil where on none.
	said []byte
	// beside is the text that stands beside what was clicked, escaped.
	beside string
	// fields are what a modal was filled in with.
	fields map[string]string
}

// The kinds of interactions that ask for something.
const (
	blockActions   = "block_actions"
	viewSubmission = "view_submission"
)

// interaction is what Slack says of one: https://docs.slack.dev/reference/interaction-payloads.
type interaction struct {
	Type string `json:"type"`
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	TriggerID string `json:"trigger_id"`
	Channel   struct {
		ID string `json:"id"`
	} `json:"channel"`
	Container struct {
		MessageTS string `json:"message_ts"`
		ChannelID string `json:"channel_id"`
	} `json:"container"`
	Message json.RawMessage `json:"message"`
	Actions []struct {
		ActionID       string `json:"action_id"`
		BlockID        string `json:"block_id"`
		Value          string `json:"value"`
		ActionTS       string `json:"action_ts"`
		SelectedOption struct {
			Value string `json:"value"`
		} `json:"selected_option"`
	} `json:"actions"`
	View struct {
		ID              string `json:"id"`
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values map[string]map[string]struct {
				Value          string `json:"value"`
				SelectedOption struct {
					Value string `json:"value"`
				} `json:"selected_option"`
			} `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

// command is what Slack says of a slash command.
type command struct {
	Command   string `json:"command"`
	Text      string `json:"text"`
	TeamID    string `json:"team_id"`
	UserID    string `json:"user_id"`
	ChannelID string `json:"channel_id"`
	TriggerID string `json:"trigger_id"`
}

// decode reads what Slack delivered. An error says that it is none of Slack's, and holds nothing of it.
func decode(kind string, payload []byte) (click, error) {
	if kind == slashed {
		var said command
		if json.Unmarshal(payload, &said) != nil {
			return click{}, errors.New("the payload of a command is no JSON of Slack's")
		}
		return complete(said.click())
	}
	var said interaction
	if json.Unmarshal(payload, &said) != nil {
		return click{}, errors.New("the payload of an interaction is no JSON of Slack's")
	}
	return complete(said.click())
}

// complete is an error unless a click says who did it and where.
func complete(c click) (click, error) {
	if c.team == "" || c.user == "" {
		return click{}, errors.New("the payload names no workspace or no account")
	}
	return c, nil
}

func (s *interaction) click() click {
	c := click{what: s.Type, team: s.Team.ID, user: s.User.ID, home: s.User.TeamID, trigger: s.TriggerID}
	switch {
	case s.Type == blockActions && len(s.Actions) > 0:
		a := s.Actions[0]
		c.id, c.value, c.at, c.once = a.ActionID, a.Value, instant(a.ActionTS), a.ActionTS
		if c.value == "" {
			c.value = a.SelectedOption.Value
		}
		if c.once == "" {
			c.once = s.TriggerID
		}
		c.channel, c.message = s.Container.ChannelID, s.Container.MessageTS
		if c.channel == "" {
			c.channel = s.Channel.ID
		}
		c.said, c.beside = s.Message, beside(s.Message, a.BlockID)
	case s.Type == viewSubmission:
		c.id, c.value, c.once, c.fields = s.View.CallbackID, s.View.PrivateMetadata, s.View.ID, map[string]string{}
		for block, inputs := range s.View.State.Values {
			for _, input := range inputs {
				c.fields[block] = input.Value + input.SelectedOption.Value
			}
		}
	}
	return c
}

func (s *command) click() click {
	return click{
		what: slashed, team: s.TeamID, user: s.UserID, id: s.Command, once: s.TriggerID, text: s.Text, channel: s.ChannelID, trigger: s.TriggerID,
	}
}

// beside is the text of a block of the message that was clicked on, or where that has none what stands first.
func beside(message []byte, block string) string {
	var said struct {
		Blocks []struct {
			BlockID string          `json:"block_id"`
			Text    json.RawMessage `json:"text"`
		} `json:"blocks"`
	}
	// It helps a person and decides nothing.
	_ = json.Unmarshal(message, &said)
	first := ""
	for _, b := range said.Blocks {
		var text struct {
			Text string `json:"text"`
		}
		if json.Unmarshal(b.Text, &text) != nil {
			continue
		}
		if b.BlockID == block {
			return unescape(text.Text)
		}
		if first == "" {
			first = unescape(text.Text)
		}
	}
	return first
}

// unescape is text as it was before escape.
func unescape(text string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// instant is a time such as 1548426417.840180; zero where it is none.
func instant(ts string) time.Time {
	seconds, fraction, _ := strings.Cut(ts, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s <= 0 || s > 1<<35 {
		return time.Time{}
	}
	micros, err := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	if err != nil || micros < 0 {
		micros = 0
	}
	return time.Unix(s, micros*1000).UTC()
}

// ref is where the message stands that was clicked on; "" where on none.
func (c click) ref() string {
	if c.channel == "" || c.message == "" {
		return ""
	}
	return c.channel + "/" + c.message
}

// key names the click: Slack's own repeat of it has the same, and no other has.
func (c click) key() string {
	sum := sha256.New()
	for _, part := range []string{c.team, c.user, c.what, c.once, c.id} {
		sum.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// unform is the payload of a delivery by HTTP as Socket Mode would have it.
func unform(kind string, body []byte) ([]byte, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the body is no form")
	}
	if kind == interactive {
		return []byte(form.Get("payload")), nil
	}
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	return json.Marshal(fields)
}
