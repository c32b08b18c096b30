// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// roomAround is what header, counts and the last line of a digest or summary need.
	roomAround = 1000
	// roomLine is how long the line of an alert or a group is at most.
	roomLine = 600
	// maxGroups is how many groups a summary names.
	maxGroups = 40
)

// digest is several alerts, each in a line with a menu.
func (r *Receiver) digest(post *curfewv1.Post) message {
	alerts := post.GetAlerts()
	c := newCanvas(r.now())
	headline := fmt.Sprintf("%d alerts: %s", len(alerts), counts(alerts))
	c.header(worst(alerts) + " " + headline)
	if post.GetRepeated() {
		c.context(marked("They may stand here twice: whether they arrived the first time could not be told."))
	}
	room := (maxTotal - roomAround) / max(1, len(alerts))
	for _, alert := range alerts {
		choices := menu(alert, card.Of(alert).Actions)
		left := room
		if choices != nil {
			for _, o := range choices.OverflowElement.Options {
				left -= utf8.RuneCountInString(o.Text.Text)
			}
		}
		line := fit(card.Line(alert, min(left, roomLine)-2), min(left, roomLine)-2)
		c.section(plain(mark(alert)+" "+line), choices)
	}
	c.context(plain(fit("All of one: choose Details beside it, or "+r.rest("curfew alert show ID"), roomStatus)))
	return message{fallback: fit(headline+first(alerts), maxFallback), blocks: c.blocks}
}

// first is the most severe of several, for a notification.
func first(alerts []*curfewv1.Alert) string {
	if len(alerts) == 0 {
		return ""
	}
	return ". First: " + card.Line(alerts[0], maxFallback)
}

// summary is more alerts than can be shown: how many, by what and about whom. None of them is left uncounted.
func (r *Receiver) summary(post *curfewv1.Post) message {
	alerts := post.GetAlerts()
	groups := card.Summary(alerts)
	c := newCanvas(r.now())
	headline := fmt.Sprintf("%d alerts at once: %s", len(alerts), counts(alerts))
	c.header(worst(alerts) + " " + headline)
	c.context(marked("Too many to show each. Every one is kept, can be handled by itself, and is counted below."))
	if post.GetRepeated() {
		c.context(marked("They may stand here twice: whether they arrived the first time could not be told."))
	}
	shown := min(len(groups), maxGroups)
	room := min(roomLine, (maxTotal-roomAround)/max(1, shown))
	for _, g := range groups[:shown] {
		c.section(plain(fit(g.String(), room)), nil)
	}
	if more := groups[shown:]; len(more) > 0 {
		count := 0
		for _, g := range more {
			count += g.Count
		}
		c.section(plain(fmt.Sprintf("and %d alerts of %d other kinds", count, len(more))), nil)
	}
	c.context(plain(fit("To see them: "+r.rest("curfew alert list")+"; one of them: curfew alert show ID", roomStatus)))
	return message{fallback: fit(headline+first(alerts), maxFallback), blocks: c.blocks}
}

// counts is how many alerts of which severity, the most severe first.
func counts(alerts []*curfewv1.Alert) string {
	by := map[curfewv1.Severity]int{}
	for _, alert := range alerts {
		by[severity(alert)]++
	}
	order := slices.SortedFunc(maps.Keys(by), func(a, b curfewv1.Severity) int { return cmp.Compare(b, a) })
	var parts []string
	for _, s := range order {
		word := strings.ToLower(strings.TrimPrefix(s.String(), "SEVERITY_"))
		if s == curfewv1.Severity_SEVERITY_UNSPECIFIED {
			word = "of unknown severity"
		}
		parts = append(parts, fmt.Sprintf("%d %s", by[s], word))
	}
	return strings.Join(parts, ", ")
}

// worst is the mark of the most severe that is not over.
func worst(alerts []*curfewv1.Alert) string {
	found, text := curfewv1.Severity(-1), "✅"
	for _, alert := range alerts {
		if alert.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED && severity(alert) > found {
			found, text = severity(alert), mark(alert)
		}
	}
	return text
}
