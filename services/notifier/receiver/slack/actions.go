// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The ids of what is clicked: an action of a message, or the callback of a modal.
const (
	idAcknowledge = "acknowledge"
	idAsk         = "ask"
	idRevoke      = "revoke"
	idTemporary   = "make_temporary"
	idExpect      = "expect"
	idResolve     = "resolve"
	idMute        = "mute"
	idApprove     = "approve"
	idDeny        = "deny"
	idConfirm     = "confirm"
	idDisown      = "disown"
	idRequest     = "request"
	// idDetails shows more and asks for nothing.
	idDetails = "details"
	// idMore is an overflow menu: what is chosen of it says what it is.
	idMore = "more"
)

// kindOf is what an action asks for; unspecified where it asks for nothing.
func kindOf(id string) curfewv1.CommandKind {
	if id == idDetails || id == idMore {
		return curfewv1.CommandKind_COMMAND_KIND_UNSPECIFIED
	}
	return curfewv1.CommandKind(curfewv1.CommandKind_value["COMMAND_KIND_"+strings.ToUpper(id)])
}

// value is what a click carries: enough to make a command of it in any process.
type value struct {
	// Do is the action's id, where an overflow menu has several.
	Do      string   `json:"k,omitempty"`
	Alert   string   `json:"a,omitempty"`
	Episode uint64   `json:"e,omitempty"`
	Grant   string   `json:"g,omitempty"`
	Digest  string   `json:"d,omitempty"`
	Silence string   `json:"s,omitempty"`
	Seconds int64    `json:"t,omitempty"`
	Roles   []string `json:"r,omitempty"`
	Times   []int64  `json:"n,omitempty"`
	// Ref is where the message stands, where a modal was opened from it.
	Ref string `json:"m,omitempty"`
	// Says names the effect, and Object the one object that it can be kept to, where a modal asks.
	Says   string `json:"w,omitempty"`
	Object string `json:"o,omitempty"`
}

// label is what stands on a button by which a notice is answered.
func label(id string) string {
	switch id {
	case idConfirm:
		return "Yes, it was me"
	case idDisown:
		return "No, it was not me"
	case idDeny:
		return "Deny"
	default:
		return "Approve"
	}
}

// text is the value in at most most characters, "" where it has no room. JSON escapes what Slack would.
func (v value) text(most int) string {
	// A struct of texts and numbers always has JSON.
	raw, _ := json.Marshal(v)
	if utf8.RuneCount(raw) > most {
		return ""
	}
	return string(raw)
}

// readValue is the value of a click.
func readValue(text string) (v value, ok bool) {
	return v, json.Unmarshal([]byte(text), &v) == nil
}

// of is the value of an action on an alert.
func of(alert *curfewv1.Alert, a card.Action) value {
	v := value{Alert: alert.GetId(), Episode: alert.GetEpisode(), Grant: a.GrantID}
	if a.Kind == curfewv1.CommandKind_COMMAND_KIND_MUTE {
		return v
	}
	for _, d := range a.Durations {
		v.Times = append(v.Times, int64(d/time.Second))
	}
	for _, role := range a.Roles {
		with := v
		if with.Roles = append(slices.Clone(v.Roles), role); with.text(maxValue) != "" && utf8.RuneCountInString(role) <= maxOption {
			v = with
		}
	}
	return v
}

// buttons are what can be asked for of one alert: the likeliest in sight, the others in a menu.
func buttons(alert *curfewv1.Alert, actions []card.Action) []slack.BlockElement {
	var list []slack.BlockElement
	var menu []*slack.OptionBlockObject
	for _, a := range actions {
		v := of(alert, a)
		switch a.Kind {
		case curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE:
			list = push(list, idAcknowledge, a.Label, v, slack.StylePrimary, nil)
		case curfewv1.CommandKind_COMMAND_KIND_ASK:
			list = push(list, idAsk, a.Label, v, "", nil)
		case curfewv1.CommandKind_COMMAND_KIND_REVOKE:
			list = push(list, idRevoke, a.Label, v, slack.StyleDanger, sure(a.Label+"?", a.Confirm))
		case curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY:
			if len(choices(v.Roles)) > 0 {
				list = push(list, idTemporary, a.Label+"…", v, "", nil)
			}
		case curfewv1.CommandKind_COMMAND_KIND_EXPECT:
			if with := v; utf8.RuneCountInString(a.Confirm) <= maxSection {
				if with.Says, with.Object = a.Confirm, a.Object; with.text(maxValue) != "" {
					v = with
				}
			}
			list = push(list, idExpect, a.Label+"…", v, "", nil)
		case curfewv1.CommandKind_COMMAND_KIND_MUTE:
			for _, d := range a.Durations {
				v.Seconds = int64(d / time.Second)
				menu = choice(menu, idMute, a.Label+" for "+length(d), v)
			}
		case curfewv1.CommandKind_COMMAND_KIND_RESOLVE:
			menu = choice(menu, idResolve, a.Label+"…", value{Alert: v.Alert, Episode: v.Episode})
		default:
			// What is new in a card is in its commands on the command line.
		}
	}
	menu = choice(menu, idDetails, "Details", value{Alert: alert.GetId(), Episode: alert.GetEpisode()})
	if len(menu) > 0 {
		list = append(list, &slack.OverflowBlockElement{Type: slack.METOverflow, ActionID: idMore, Options: menu})
	}
	return list
}

// menu is what can be asked for of one alert among many. A menu has one question for all its choices, so that what ends
// something asks by a modal.
func menu(alert *curfewv1.Alert, actions []card.Action) *slack.Accessory {
	var list []*slack.OptionBlockObject
	short := value{Alert: alert.GetId(), Episode: alert.GetEpisode()}
	has := func(kind curfewv1.CommandKind) (card.Action, bool) {
		i := slices.IndexFunc(actions, func(a card.Action) bool { return a.Kind == kind })
		if i < 0 {
			return card.Action{}, false
		}
		return actions[i], true
	}
	if a, ok := has(curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE); ok {
		list = choice(list, idAcknowledge, a.Label, short)
	}
	list = choice(list, idDetails, "Details", short)
	if a, ok := has(curfewv1.CommandKind_COMMAND_KIND_REVOKE); ok {
		v := short
		v.Grant = a.GrantID
		list = choice(list, idRevoke, a.Label+"…", v)
	}
	if a, ok := has(curfewv1.CommandKind_COMMAND_KIND_RESOLVE); ok {
		list = choice(list, idResolve, a.Label+"…", short)
	}
	if a, ok := has(curfewv1.CommandKind_COMMAND_KIND_MUTE); ok {
		for _, d := range a.Durations {
			v := short
			v.Seconds = int64(d / time.Second)
			list = choice(list, idMute, a.Label+" for "+length(d), v)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &slack.Accessory{OverflowElement: &slack.OverflowBlockElement{Type: slack.METOverflow, ActionID: idMore, Options: list}}
}

// push adds a button, unless its value has no room: then the alert's id is none of ours.
func push(list []slack.BlockElement, id, label string, v value, style slack.Style, confirm *slack.ConfirmationBlockObject) []slack.BlockElement {
	text := v.text(maxValue)
	if text == "" {
		return list
	}
	return append(list, &slack.ButtonBlockElement{
		Type: slack.METButton, ActionID: id, Text: plain(fit(label, maxButton)), Value: text, Style: style, Confirm: confirm,
	})
}

// choice adds one to a menu, unless the menu is full or its value has no room.
func choice(list []*slack.OptionBlockObject, id, label string, v value) []*slack.OptionBlockObject {
	v.Do = id
	text := v.text(maxOptionValue)
	if text == "" || len(list) == maxOverflow {
		return list
	}
	return append(list, &slack.OptionBlockObject{Text: plain(fit(label, maxOption)), Value: text})
}

// sure asks before an action, naming its effect; nil where there is none to name.
func sure(title, effect string) *slack.ConfirmationBlockObject {
	if effect == "" {
		return nil
	}
	return &slack.ConfirmationBlockObject{
		Title: plain(fit(title, maxConfirmTitle)), Text: plain(fit(effect, maxConfirm)),
		Confirm: plain("Yes, now"), Deny: plain("No"), Style: slack.StyleDanger,
	}
}
