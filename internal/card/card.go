// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package card is what an alert says, before anybody draws it: the same words in the same order wherever people read it,
// harmless whatever a vendor wrote, and of bounded size.
package card

import (
	"fmt"
	"slices"
	"strings"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// whole is how many runes of a value are shown: more than any name has, and less than hides the rest.
	whole = 2000
	// title is how many runes a headline's title has.
	title = 300
	// most is how many lines a list has; the last says how many more there are.
	most = 20
)

// Card is what one alert says. All text in it is harmless, and each a line; what is not known is "" or not there. A
// place with less room cuts it by Cut.
type Card struct {
	// ID is the alert's, whole.
	ID string
	// Episode is how often it was opened: a click names it.
	Episode uint64
	// Severity is how urgent it is.
	Severity curfewv1.Severity
	// Headline is the severity's word, two spaces and the title.
	Headline string
	// Status is where it stands with people, such as "acknowledged by person:bob".
	Status string
	// Fields are who did what, on what, when and from where, in this order.
	Fields []Field
	// Changes are the values before and after.
	Changes []Change
	// Why is the reason, then the row of the policy that decided, then the policy's revision.
	Why []string
	// History is what the subject did before, Reach what else they could reach, Steps what to do next.
	History, Reach, Steps []string
	// Count is how many findings it has, Repeats the newest titles besides the one shown.
	Count   uint64
	Repeats []string
	// Footer is the alert's short id, its detection and its controls.
	Footer string
	// Actions are what a person can ask for as it stands, the most likely first.
	Actions []Action
}

// Field is one thing that is known.
type Field struct {
	// Name is one word.
	Name string
	// Value stands before Time, and is this package's own words then, in which nothing needs to be escaped; "" = Time says it
	// all. Without a time it may be somebody's.
	Value string
	// Time is to be shown in the reader's own zone; zero = it is no time.
	Time time.Time
}

// In is the field's value with its time in a zone.
func (f Field) In(zone *time.Location) string {
	if f.Time.IsZero() {
		return f.Value
	}
	return strings.TrimSpace(f.Value + " " + f.Time.In(zone).Format("2006-01-02 15:04:05 MST"))
}

// Change is a value before and after.
type Change struct {
	// Field is the vendor's name of what changed.
	Field string
	// Before is "" where there was none or nobody says.
	Before string
	// After is "" where it was taken away.
	After string
}

// String is the change in a line; where neither value is known, the name alone.
func (c Change) String() string {
	if c.Before == "" && c.After == "" {
		return c.Field
	}
	return fmt.Sprintf("%s: %s → %s", c.Field, orNone(c.Before), orNone(c.After))
}

// Of is what an alert says as it stands. A nil alert says nothing, and does no harm.
func Of(alert *curfewv1.Alert) Card {
	f := alert.GetFinding()
	return Card{
		ID:       Plain(alert.GetId(), whole),
		Episode:  alert.GetEpisode(),
		Severity: Severity(alert),
		Headline: word(Severity(alert)) + "  " + titleOf(alert, title),
		Status:   status(alert),
		Fields:   fields(alert),
		Changes:  changes(f.GetEvent().GetChanges()),
		Why:      why(f),
		History:  lines(f.GetContext().GetHistory()),
		Reach:    lines(f.GetContext().GetReach()),
		Steps:    lines(f.GetNextSteps()),
		Count:    alert.GetCount(),
		Repeats:  newest(alert.GetRepeats()),
		Footer:   footer(alert),
		Actions:  actions(alert),
	}
}

// Severity is the alert's, or where it has none the finding's.
func Severity(alert *curfewv1.Alert) curfewv1.Severity {
	if alert.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED {
		return alert.GetSeverity()
	}
	return alert.GetFinding().GetSeverity()
}

// word is a severity as people are told of it.
func word(s curfewv1.Severity) string {
	if s == curfewv1.Severity_SEVERITY_UNSPECIFIED {
		return "UNKNOWN"
	}
	return strings.TrimPrefix(s.String(), "SEVERITY_")
}

func titleOf(alert *curfewv1.Alert, most int) string {
	if text := Plain(alert.GetFinding().GetTitle(), most); text != "" {
		return text
	}
	return Plain(orUnknown(alert.GetFinding().GetDetection())+" by "+orUnknown(alert.GetEntity()), most)
}

func status(alert *curfewv1.Alert) string {
	var text string
	switch alert.GetState() {
	case curfewv1.AlertState_ALERT_STATE_OPEN:
		text = "open"
	case curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED:
		text = "acknowledged by " + name(alert.GetAssignee())
	case curfewv1.AlertState_ALERT_STATE_RESOLVED:
		text = "resolved by " + name(alert.GetResolver())
		if resolution := Plain(alert.GetResolution(), title); resolution != "" {
			text += ": " + resolution
		}
	default:
		text = "in an unknown state"
	}
	if q := alert.GetQuestion(); q != nil {
		text += "; " + name(q.GetPerson()) + " " + said(q)
	}
	if n := len(alert.GetRevoked()); n == 1 {
		text += "; a grant was ended from here"
	} else if n > 1 {
		text += fmt.Sprintf("; %d grants were ended from here", n)
	}
	return text
}

func said(q *curfewv1.Question) string {
	switch q.GetAnswer() {
	case curfewv1.QuestionAnswer_QUESTION_ANSWER_ME:
		return "says that it was them"
	case curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME:
		return "says that it was not them"
	default:
		return "was asked whether it was them"
	}
}

func why(f *curfewv1.Finding) []string {
	d := f.GetDecision()
	var text []string
	if reason := Plain(f.GetReason(), whole); reason != "" {
		text = append(text, reason)
	}
	if row := d.GetRow(); row != nil {
		text = append(text, fmt.Sprintf("%s:%d  %s", Plain(row.GetFile(), title), row.GetLine(), Plain(row.GetText(), whole)))
	}
	if digest := short(d.GetPolicyDigest()); digest != "" {
		text = append(text, "policy "+digest)
	}
	return text
}

func changes(all []*curfewv1.Change) []Change {
	var list []Change
	for i, c := range all {
		if i == most-1 && len(all) > most {
			return append(list, Change{Field: fmt.Sprintf("and %d more", len(all)-i)})
		}
		list = append(list, Change{Field: Plain(c.GetField(), title), Before: Plain(c.GetBefore(), whole), After: Plain(c.GetAfter(), whole)})
	}
	return list
}

func footer(alert *curfewv1.Alert) string {
	parts := []string{"alert " + orUnknown(short(alert.GetId())), Plain(alert.GetFinding().GetDetection(), title), some(alert.GetFinding().GetControls(), most)}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

// lines is each text in a line, at most most of them.
func lines(all []string) []string {
	var list []string
	for i, text := range all {
		if i == most-1 && len(all) > most {
			return append(list, fmt.Sprintf("and %d more", len(all)-i))
		}
		if text = Plain(text, whole); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// newest is lines of the end of all.
func newest(all []string) []string {
	if len(all) <= most {
		return lines(all)
	}
	return append([]string{fmt.Sprintf("%d earlier", len(all)-most+1)}, lines(all[len(all)-most+1:])...)
}

// some is the first of all in a line.
func some(all []string, most int) string {
	list := make([]string, 0, most)
	for i, text := range all {
		if i == most-1 && len(all) > most {
			list = append(list, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		if text = Plain(text, title); text != "" {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// name is a subject, or that nobody is named.
func name(subject string) string {
	if subject = Plain(subject, title); subject != "" {
		return subject
	}
	return "nobody named"
}

// short is as much of an id or a digest as people tell it by.
func short(id string) string {
	id = Plain(id, title)
	return string([]rune(id)[:min(12, len([]rune(id)))])
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
