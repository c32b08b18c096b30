// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// How many characters each part of a card has room for: with the buttons, no more than maxTotal in all.
const (
	roomField   = 250
	roomChanges = 1500
	roomWhy     = 1500
	roomHistory = 900
	roomReach   = 900
	roomSteps   = 1000
	roomRepeats = 600
	roomStatus  = 400
)

// fewReach is how many lines on what else somebody reaches stand before what to do next.
const fewReach = 3

// shown is how many alerts a message shows each for itself: two blocks and a few lines are around them.
const shown = 45

// draw is a post as Slack shows it.
func (r *Receiver) draw(post *curfewv1.Post) message {
	switch alerts := post.GetAlerts(); {
	case post.GetSummary() || len(alerts) > shown:
		return r.summary(post)
	case len(alerts) == 1:
		return r.card(alerts[0], post.GetRepeated(), true)
	default:
		return r.digest(post)
	}
}

// card is one alert: who did what to which data, why it is an alert, what to do next, and what can be asked for here.
func (r *Receiver) card(alert *curfewv1.Alert, repeated, clickable bool) message {
	says := card.Of(alert)
	c := newCanvas(r.now())
	c.header(mark(alert) + " " + says.Headline)
	c.context(marked(facts(alert, says)))
	if alert.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN || alert.GetQuestion() != nil || len(alert.GetRevoked()) > 0 {
		c.context(plain(stateMark(alert)+" "+fit(says.Status, roomStatus)), marked(since(alert)))
	}
	if repeated {
		c.context(marked("It may stand here twice: whether it arrived the first time could not be told."))
	}
	c.fields(says.Fields)
	var changes []string
	for _, change := range says.Changes {
		changes = append(changes, change.String())
	}
	c.part("Before → after", changes, roomChanges)
	c.part("Why", says.Why, roomWhy)
	c.part("History", says.History, roomHistory)
	reach := says.Reach
	if clickable && len(reach) > fewReach+1 {
		reach = append(slices.Clone(reach[:fewReach]), "and more: choose Details")
	}
	c.part("Reach", reach, roomReach)
	c.part("Next steps", numbered(says.Steps), roomSteps)
	c.part("Also in this alert", says.Repeats, roomRepeats)
	if clickable {
		c.actions(buttons(alert, says.Actions))
	}
	if c.cut {
		c.context(plain(fit("Shortened here. All of it: "+r.rest("curfew alert show "+says.ID), roomStatus)))
	}
	return message{fallback: fit(fallback(alert, says), maxFallback), blocks: c.blocks}
}

// fallback is the card in a line, for a notification.
func fallback(alert *curfewv1.Alert, says card.Card) string {
	text := says.Headline
	if alert.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		text += " (" + says.Status + ")"
	}
	if len(says.Why) > 0 {
		text += ": " + says.Why[0]
	}
	return text
}

// facts is the small line below the header: all of it is marked up, so that nothing of somebody's stands in it unescaped.
func facts(alert *curfewv1.Alert, says card.Card) string {
	parts := []string{literal(says.Footer, 300)}
	if first := moment(alert.GetOpened()); !first.IsZero() {
		parts = append(parts, "first "+date(first))
	}
	if last := moment(alert.GetNewest()); !last.IsZero() && says.Count > 1 {
		parts = append(parts, "last "+date(last))
	}
	if says.Count > 1 {
		parts = append(parts, fmt.Sprintf("*%d findings*", says.Count))
	}
	if says.Episode > 1 {
		parts = append(parts, fmt.Sprintf("opened %d times", says.Episode))
	}
	return strings.Join(parts, " · ")
}

// literal is somebody's text amid our formatting: as code, in which Slack formats nothing.
func literal(text string, most int) string {
	return "`" + strings.ReplaceAll(fit(text, most), "`", "'") + "`"
}

// mark is the square that tells an alert's severity from afar, or that it is over.
func mark(alert *curfewv1.Alert) string {
	if alert.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		return "✅"
	}
	switch severity(alert) {
	case curfewv1.Severity_SEVERITY_CRITICAL:
		return "🟥"
	case curfewv1.Severity_SEVERITY_HIGH:
		return "🟧"
	case curfewv1.Severity_SEVERITY_MEDIUM:
		return "🟨"
	case curfewv1.Severity_SEVERITY_LOW:
		return "🟦"
	case curfewv1.Severity_SEVERITY_INFORMATIONAL:
		return "⬜"
	default:
		return "⬛"
	}
}

// severity is what the card says, without the rest of it.
func severity(alert *curfewv1.Alert) curfewv1.Severity {
	if alert.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED {
		return alert.GetSeverity()
	}
	return alert.GetFinding().GetSeverity()
}

func stateMark(alert *curfewv1.Alert) string {
	switch alert.GetState() {
	case curfewv1.AlertState_ALERT_STATE_RESOLVED:
		return "✅"
	case curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED:
		return "👀"
	default:
		if alert.GetQuestion() == nil {
			return "🔒" // access was ended from it
		}
		return "❓"
	}
}

// since is when an alert came to stand as it does.
func since(alert *curfewv1.Alert) string {
	at := moment(alert.GetResolved())
	if alert.GetState() == curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED {
		at = moment(alert.GetAcknowledged())
	}
	if at.IsZero() {
		at = moment(alert.GetQuestion().GetTime())
	}
	if notes := alert.GetNotes(); at.IsZero() && len(notes) > 0 {
		at = moment(notes[len(notes)-1].GetTime())
	}
	if at.IsZero() {
		return "time unknown"
	}
	return date(at)
}

// rest is where people read on.
func (r *Receiver) rest(command string) string {
	if r.config.Link != "" {
		return command + " or " + r.config.Link
	}
	return command
}

func numbered(lines []string) []string {
	var list []string
	for i, line := range lines {
		list = append(list, fmt.Sprintf("%d. %s", i+1, line))
	}
	return list
}

// moment is a time of the contract; zero where it is absent or none.
func moment(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
