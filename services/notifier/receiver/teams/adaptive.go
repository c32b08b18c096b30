// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package teams

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxBody bounds a message in bytes, below the 28 KB that Teams takes:
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#send-adaptive-cards-using-an-incoming-webhook.
const maxBody = 25 << 10

// element is one of an Adaptive Card 1.5. What others wrote stands in a TextRun, which knows no Markdown; a TextBlock does,
// and draws times in the reader's zone: https://adaptivecards.io/explorer/TextRun.html,
// https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features.
type element map[string]any

// room is how much is shown: runes of a value, lines of a list.
type room struct{ text, lines int }

// rooms are tried until a message is small enough.
func rooms() []room { return []room{{1000, 45}, {400, 45}, {200, 45}, {120, 20}, {60, 5}} }

func show(post *curfewv1.Post) []byte {
	return fit(func(r room) []element {
		elements := []element{headline(card.Cut(card.Heading(post), r.text), worst(post))}
		if post.GetRepeated() {
			elements = append(elements, line("", card.Repeated, true))
		}
		switch alerts := post.GetAlerts(); {
		case post.GetSummary():
			for _, g := range card.Summary(alerts) {
				elements = append(elements, line("", card.Cut(g.String(), r.text), false))
			}
		case len(alerts) == 1:
			elements = append(elements, one(card.Of(alerts[0]), r)...)
		default:
			for _, a := range alerts {
				elements = append(elements, line("", card.Line(a, r.text), false))
			}
		}
		return elements
	})
}

func tell(notice *curfewv1.Notice) []byte {
	return fit(func(r room) []element {
		elements := []element{line("", card.Cut(card.Notice(notice), 4*r.text), false)}
		if to := notice.GetTo(); len(to) > 0 {
			elements = append(elements, line("To", card.Plain(strings.Join(to[:min(len(to), 20)], ", "), r.text), true))
		}
		return elements
	})
}

// one is a card in full.
func one(c card.Card, r room) []element {
	elements := []element{line("Status", card.Cut(c.Status, r.text), false)}
	for _, f := range c.Fields {
		if f.Time.IsZero() {
			elements = append(elements, line(f.Name, card.Cut(f.Value, r.text), false))
			continue
		}
		// Value is Curfew's own where there is a time.
		at := f.Time.UTC().Format(time.RFC3339)
		text := strings.TrimSpace(fmt.Sprintf("%s {{DATE(%s, SHORT)}} {{TIME(%s)}}", f.Value, at, at))
		elements = append(elements, element{"type": "TextBlock", "text": "**" + f.Name + "**  " + text, "wrap": true, "spacing": "None"})
	}
	var changes []string
	for _, change := range c.Changes {
		changes = append(changes, change.String())
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"Change", changes}, {"Why", c.Why}, {"History", c.History}, {"Reach", c.Reach}, {"Next", c.Steps}, {"Also", c.Repeats}} {
		for i, text := range part.lines {
			if i == r.lines {
				elements = append(elements, line(part.name, fmt.Sprintf("and %d more", len(part.lines)-i), true))
				break
			}
			elements = append(elements, line(part.name, card.Cut(text, r.text), false))
		}
	}
	return append(elements, line("", card.Cut(c.Footer, r.text), true))
}

func headline(text string, severity curfewv1.Severity) element {
	colour := "Default"
	switch severity {
	case curfewv1.Severity_SEVERITY_CRITICAL, curfewv1.Severity_SEVERITY_HIGH:
		colour = "Attention"
	case curfewv1.Severity_SEVERITY_MEDIUM:
		colour = "Warning"
	default:
	}
	return element{"type": "RichTextBlock", "inlines": []element{{"type": "TextRun", "text": text, "weight": "Bolder", "size": "Medium", "color": colour}}}
}

// line is a text behind its name.
func line(name, text string, subtle bool) element {
	var inlines []element
	if name != "" {
		inlines = append(inlines, element{"type": "TextRun", "text": name + "  ", "weight": "Bolder"})
	}
	inlines = append(inlines, element{"type": "TextRun", "text": text, "isSubtle": subtle})
	return element{"type": "RichTextBlock", "inlines": inlines, "spacing": "None"}
}

func worst(post *curfewv1.Post) curfewv1.Severity {
	severity := curfewv1.Severity_SEVERITY_UNSPECIFIED
	for _, a := range post.GetAlerts() {
		severity = max(severity, card.Severity(a))
	}
	return severity
}

// fit draws with as much room as a message has; what has no room in the end is left out, and said to be.
func fit(draw func(room) []element) []byte {
	var elements []element
	for _, r := range rooms() {
		elements = draw(r)
		if body := message(elements); len(body) <= maxBody {
			return body
		}
	}
	for all := len(elements); len(elements) > 1; {
		elements = elements[:len(elements)-1]
		rest := line("", fmt.Sprintf("and %d more lines: ask Curfew for them", all-len(elements)), true)
		if body := message(append(elements[:len(elements):len(elements)], rest)); len(body) <= maxBody {
			return body
		}
	}
	return message(elements)
}

// message is what a workflow takes:
// https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook.
func message(elements []element) []byte {
	body, err := json.Marshal(element{
		"type": "message",
		"attachments": []element{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"content": element{
				"type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": "1.5",
				"msteams": element{"width": "Full"}, "body": elements,
			},
		}},
	})
	if err != nil {
		// Text, numbers and lists of them are always JSON.
		return nil
	}
	return body
}
