// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"fmt"
	"slices"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// lineRoom is how many runes an alert has as one of many, maxGroups how many groups are shown of a summary.
	lineRoom, maxGroups = 240, 100
	// Repeated is what a message says that may have arrived before.
	Repeated = "(sent before, but it is not known whether it arrived)"
)

// Heading is what a message shows, in one line: the alert's headline, or how many alerts of which severity at most.
func Heading(post *curfewv1.Post) string {
	alerts := post.GetAlerts()
	if len(alerts) == 1 && !post.GetSummary() {
		return Of(alerts[0]).Headline
	}
	if len(alerts) == 0 {
		return "no alerts"
	}
	worst := slices.MaxFunc(alerts, func(a, b *curfewv1.Alert) int { return int(Severity(a)) - int(Severity(b)) })
	return fmt.Sprintf("%s  %d alerts", word(Severity(worst)), len(alerts))
}

// Text is what a message shows below its heading, in plain text, each a line: of one alert all of its card, of several a
// line each, of a summary its groups. Times are in zone.
func Text(post *curfewv1.Post, zone *time.Location) []string {
	var text []string
	if post.GetRepeated() {
		text = append(text, Repeated)
	}
	switch alerts := post.GetAlerts(); {
	case post.GetSummary():
		groups := Summary(alerts)
		text = append(text, "Too many to show each; counted by what and whom:")
		for _, g := range groups[:min(len(groups), maxGroups)] {
			text = append(text, g.String())
		}
		if more := len(groups) - maxGroups; more > 0 {
			text = append(text, fmt.Sprintf("and %d more kinds", more))
		}
	case len(alerts) == 1:
		text = append(text, Of(alerts[0]).text(zone)...)
	default:
		for _, a := range alerts {
			text = append(text, Line(a, lineRoom)+"  "+short(a.GetId()))
		}
	}
	return text
}

// text is the card below its headline.
func (c Card) text(zone *time.Location) []string {
	text := []string{"Status: " + c.Status}
	for _, f := range c.Fields {
		text = append(text, f.Name+": "+f.In(zone))
	}
	for _, change := range c.Changes {
		text = append(text, "Change: "+change.String())
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"Why", c.Why}, {"History", c.History}, {"Reach", c.Reach}, {"Also", c.Repeats}} {
		for _, line := range part.lines {
			text = append(text, part.name+": "+line)
		}
	}
	for i, step := range c.Steps {
		text = append(text, fmt.Sprintf("Next: %d. %s", i+1, step))
	}
	return append(text, c.Footer)
}
