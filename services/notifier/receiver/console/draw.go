// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/card"
)

// width is how many characters a card is wide, and value how many a value has: nobody reads on.
const width, value = 100, 600

// draw is a card as a person reads it: who did what to which data, why it is an alert, what to do next.
func draw(c card.Card, repeated bool, zone *time.Location) string {
	b := &box{}
	b.rule("┌")
	severity, title, _ := strings.Cut(c.Headline, "  ")
	b.text(severity+"  ", title)
	if repeated {
		b.text("", card.Repeated)
	}
	b.rule("├")
	b.field("Status", c.Status)
	for _, f := range c.Fields {
		b.field(f.Name, f.In(zone))
	}
	for _, change := range c.Changes {
		b.field("Change", change.String())
	}
	b.list("Why", c.Why)
	b.list("History", c.History)
	b.list("Reach", c.Reach)
	b.list("Also", c.Repeats)
	steps := make([]string, len(c.Steps))
	for i, step := range c.Steps {
		steps[i] = fmt.Sprintf("%d. %s", i+1, step)
	}
	b.list("Next", steps)
	// Whole, for the command line.
	b.field("Alert", c.ID)
	_, rest, _ := strings.Cut(c.Footer, " · ")
	b.field("", rest)
	b.rule("└")
	return b.String()
}

// box builds the lines of one card.
type box struct{ strings.Builder }

func (b *box) rule(corner string) {
	b.WriteString(corner + strings.Repeat("─", width-1) + "\n")
}

// list writes values, the first behind their name.
func (b *box) list(name string, values []string) {
	for _, v := range values {
		b.field(name, v)
		name = ""
	}
}

// field writes a named value, and nothing where there is none.
func (b *box) field(name, text string) {
	if text != "" {
		b.text(fmt.Sprintf("%-8s", name), text)
	}
}

// text writes words wrapped behind a label.
func (b *box) text(label, text string) {
	line := "│ " + label
	indent := "│ " + strings.Repeat(" ", utf8.RuneCountInString(label))
	used := false
	for word := range strings.SplitSeq(card.Cut(text, value), " ") {
		if used && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, used = indent, false
		}
		if used {
			line += " "
		}
		line += word
		used = true
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
