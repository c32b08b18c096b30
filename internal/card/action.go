// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"slices"
	"strings"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Action is something that a person can ask for. Whether they may is judged when they do.
type Action struct {
	// Kind is what.
	Kind curfewv1.CommandKind
	// Label is what stands on the button.
	Label string
	// Confirm names the effect, for a person to say yes to before; "" = it needs none.
	Confirm string
	// GrantID is the grant that is ended; "" = there is none, or all are that the subject holds for a time.
	GrantID string
	// Roles are what one is to be chosen of, the narrowest first.
	Roles []string
	// Durations are what one is to be chosen of.
	Durations []time.Duration
	// Object is the one object that it can be kept to; "" = there is none, or more than one.
	Object string
	// Dangerous is whether it takes something away at once.
	Dangerous bool
}

const day = 24 * time.Hour

// actions is what can be asked for as an alert stands: of one that is resolved nothing.
func actions(alert *curfewv1.Alert) []Action {
	if alert.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN && alert.GetState() != curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED {
		return nil
	}
	var list []Action
	if alert.GetState() == curfewv1.AlertState_ALERT_STATE_OPEN {
		list = append(list, Action{Kind: curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE, Label: "Acknowledge"})
	}
	if q := alert.GetQuestion(); isPerson(alert.GetEntity()) && (q == nil || q.GetAnswered() != nil || q.GetTime().AsTime().Before(alert.GetOpened().AsTime())) {
		list = append(list, Action{Kind: curfewv1.CommandKind_COMMAND_KIND_ASK, Label: "Ask the person"})
	}
	if a, ok := revoke(alert); ok {
		list = append(list, a)
	}
	if a, ok := temporary(alert.GetFinding()); ok {
		list = append(list, a)
	}
	return append(
		list,
		Action{
			Kind: curfewv1.CommandKind_COMMAND_KIND_EXPECT, Label: "Expected",
			Confirm:   "Proposes that every alert of " + expected(alert) + ", on any object of any source, is expected from now until the time you choose is over, 90 days at most.",
			Durations: []time.Duration{day, 7 * day, 30 * day, 90 * day}, Object: Plain(alert.GetObject(), whole),
		},
		Action{
			Kind: curfewv1.CommandKind_COMMAND_KIND_MUTE, Label: "Mute",
			Confirm:   "Keeps this alert quiet until the time you choose is over. Its findings are still counted.",
			Durations: []time.Duration{time.Hour, day},
		},
		Action{Kind: curfewv1.CommandKind_COMMAND_KIND_RESOLVE, Label: "Resolve"},
	)
}

// revoke ends the grant that a finding is about, or all that the subject holds for a time: of those that were in force when
// it was found, and that nobody ended from here.
func revoke(alert *curfewv1.Alert) (Action, bool) {
	f := alert.GetFinding()
	a := Action{Kind: curfewv1.CommandKind_COMMAND_KIND_REVOKE, Label: "Revoke now", Dangerous: true}
	const effect = ". What it stands for is taken away at the SaaS at once."
	var held []string
	for _, g := range f.GetContext().GetGrants() {
		if slices.Contains(alert.GetRevoked(), g.GetId()) {
			continue
		}
		if g.GetId() == f.GetGrantId() {
			a.GrantID, a.Confirm = Plain(g.GetId(), title), "Ends grant "+grantText(f)+effect
			return a, true
		}
		text := Plain(g.GetText(), title)
		if text == "" {
			text = "grant " + name(g.GetId())
		}
		held = append(held, text)
	}
	if len(held) == 0 {
		return Action{}, false
	}
	a.Confirm = "Ends all that " + name(f.GetDecision().GetSubject()) + " holds for a time: " + strings.Join(lines(held), "; ") + effect
	return a, true
}

// temporary gives the subject one of the roles that would have allowed it.
func temporary(f *curfewv1.Finding) (Action, bool) {
	subject := f.GetDecision().GetSubject()
	var roles []string
	for _, role := range f.GetContext().GetAllowingRoles() {
		// One that cannot be shown as it is called is none that a person can choose.
		if role == Plain(role, title) && role != "" && len(roles) < most {
			roles = append(roles, role)
		}
	}
	if !isPerson(subject) || len(roles) == 0 {
		return Action{}, false
	}
	return Action{
		Kind: curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY, Label: "Make temporary",
		Confirm: "Gives " + name(subject) + " the role you choose, as a grant that ends by itself when the time you choose is over.",
		Roles:   roles, Durations: []time.Duration{time.Hour, 8 * time.Hour, day},
	}, true
}

// expected is what an alert has in common with those that are expected with it.
func expected(alert *curfewv1.Alert) string {
	data := "any data"
	if class := Plain(alert.GetDataClass(), title); class != "" {
		data = "data " + class
	}
	return orUnknown(Plain(alert.GetFinding().GetDetection(), title)) + " about " + name(alert.GetEntity()) + " and " + data
}

func isPerson(subject string) bool { return strings.HasPrefix(subject, "person:") }
