// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
)

// The fields of a modal, by the ids of their blocks.
const (
	fieldRole   = "role"
	fieldLength = "length"
	fieldReason = "reason"
	fieldScope  = "scope"
)

// scopeResource is Command.scope for the resource of the finding alone; "" is all of the alert. Slack takes no empty value.
const (
	scopeAll      = "class"
	scopeResource = "resource"
)

// maxReason is how long a reason may be: 3,000 is what Slack takes.
const maxReason = 1000

// modal asks for what an action needs besides the click; ok is whether it needs any. About is what it is about, somebody's
// text.
func modal(id string, v value, about string) (view slack.ModalViewRequest, ok bool) {
	m := form{id: id, v: v}
	if about != "" {
		m.say(about)
	}
	switch id {
	case idTemporary:
		m.title, m.yes = "Make it temporary", "Give"
		m.say("The person gets the role as a grant that ends by itself when the time is over.")
		m.choose(fieldRole, "Role", choices(v.Roles))
		m.choose(fieldLength, "For how long", lengths(v.Times, time.Hour, 8*time.Hour, 24*time.Hour))
		m.write(fieldReason, "Why", maxReason, true)
	case idExpect:
		m.title, m.yes = "Expected", "Propose"
		m.say(cmp.Or(v.Says, "Proposes that every alert of this detection about the same person or app and data, on any object of any source, is expected from now until the time you choose is over, 90 days at most."))
		m.say("What is open of it is resolved. It counts once a second person says yes, and ends by itself.")
		m.choose(fieldScope, "What is expected", scopes(v))
		m.choose(fieldLength, "For how long", lengths(v.Times, 24*time.Hour, 7*24*time.Hour, 30*24*time.Hour))
		m.write(fieldReason, "Why", maxReason, true)
	case idResolve:
		m.title, m.yes = "Resolve", "Resolve"
		m.say("The next finding opens the alert again.")
		m.write(fieldReason, "What was it?", maxReason, true)
	case idRevoke:
		m.title, m.yes = "Revoke now", "Revoke now"
		what := "All that the subject of this alert holds for a time ends"
		if v.Grant != "" {
			what = "Grant " + v.Grant + " ends"
		}
		m.say(what + " at once, and what it stands for is taken away at the SaaS.")
	case idRequest:
		m.title, m.yes = "Ask for access", "Ask"
		m.write(fieldRole, "Role", maxRole, false)
		m.choose(fieldLength, "For how long", lengths(nil, time.Hour, 4*time.Hour, 8*time.Hour, 24*time.Hour, 7*24*time.Hour))
		m.write(fieldReason, "Why", maxReason, true)
	default:
		return slack.ModalViewRequest{}, false
	}
	return m.view()
}

// form is a modal in the making.
type form struct {
	id, title, yes string
	v              value
	blocks         []slack.Block
	// empty is whether a choice has nothing to choose from.
	empty bool
}

func (m *form) say(text string) {
	m.blocks = append(m.blocks, &slack.SectionBlock{Type: slack.MBTSection, Text: plain(fit(text, maxSection))})
}

func (m *form) choose(id, label string, options []*slack.OptionBlockObject) {
	m.empty = m.empty || len(options) == 0
	m.input(id, label, &slack.SelectBlockElement{Type: slack.OptTypeStatic, ActionID: id, Options: options})
}

func (m *form) write(id, label string, most int, long bool) {
	m.input(id, label, &slack.PlainTextInputBlockElement{Type: slack.METPlainTextInput, ActionID: id, MaxLength: most, Multiline: long})
}

func (m *form) input(id, label string, element slack.BlockElement) {
	m.blocks = append(m.blocks, &slack.InputBlock{Type: slack.MBTInput, BlockID: id, Label: plain(label), Element: element})
}

func (m *form) view() (slack.ModalViewRequest, bool) {
	kept := m.v
	kept.Do, kept.Roles, kept.Times, kept.Says, kept.Object = "", nil, nil, "", ""
	private := kept.text(maxPrivate)
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(fit(m.title, maxTitle)), Submit: plain(m.yes), Close: plain("Cancel"), CallbackID: m.id,
		PrivateMetadata: private, Blocks: slack.Blocks{BlockSet: m.blocks},
	}, private != "" && !m.empty
}

// scopes are what may be expected, the least of it first. A button of an older version does not say which object it is.
func scopes(v value) []*slack.OptionBlockObject {
	all := &slack.OptionBlockObject{Text: plain("All of that, on any object"), Value: scopeAll}
	switch {
	case v.Object != "":
		return []*slack.OptionBlockObject{{Text: plain(fit("Only on "+v.Object, maxOption)), Value: scopeResource}, all}
	case v.Says == "":
		return []*slack.OptionBlockObject{{Text: plain("Only on the object of this alert"), Value: scopeResource}, all}
	}
	return []*slack.OptionBlockObject{all}
}

// choices are names to choose from, each its own value.
func choices(names []string) []*slack.OptionBlockObject {
	var list []*slack.OptionBlockObject
	for _, name := range names {
		if len(list) < maxOptions && name != "" && escape(card.Plain(name, maxOption)) == name {
			list = append(list, &slack.OptionBlockObject{Text: plain(fit(name, maxOption)), Value: name})
		}
	}
	return list
}

// lengths are time spans to choose from: those in seconds, or otherwise others.
func lengths(seconds []int64, others ...time.Duration) []*slack.OptionBlockObject {
	if len(seconds) == 0 {
		for _, d := range others {
			seconds = append(seconds, int64(d/time.Second))
		}
	}
	var list []*slack.OptionBlockObject
	for _, s := range seconds {
		if len(list) < maxOptions && s > 0 && s <= maxSeconds {
			list = append(list, &slack.OptionBlockObject{Text: plain(length(time.Duration(s) * time.Second)), Value: strconv.FormatInt(s, 10)})
		}
	}
	return list
}
