// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package alert is the life of an alert: what opens it, what people and the clock make of it, and how far it is at each
// receiver. It decides nothing about who may do that and where it goes. Every function returns what an alert becomes and
// leaves the alert it was given as it is.
package alert

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// How much of its past an alert keeps, so that every step fits the bus. Count, episode and the steps themselves tell the
// whole.
const (
	// maxSeen is how many findings are known again, which is more than are taken in at once: one that comes again later than
	// so many others counts twice. maxFindings is how many are named.
	maxSeen, maxFindings = 1024, 16
	// maxRepeats is how many titles of further findings are kept, and maxTitle how long each may be, in bytes; maxNote is that
	// of a note, which says what still lives on after a revocation.
	maxRepeats, maxTitle, maxNote = 5, 300, 1200
	// MaxNotes is how many notes are kept.
	MaxNotes = 20
	// maxCommands is how many commands are known as carried out, and maxRevoked how many grants as ended from an alert.
	maxCommands, maxRevoked = 64, 20
)

// Entity is who or what a finding is about: the subject that was judged, else the grant, else the source.
func Entity(f *curfewv1.Finding) string {
	switch {
	case f.GetAbout() != "":
		return f.GetAbout()
	case f.GetDecision().GetSubject() != "":
		return f.GetDecision().GetSubject()
	case f.GetGrantId() != "":
		return "grant:" + f.GetGrantId()
	case f.GetEvent().GetSource() != "":
		return "source:" + f.GetEvent().GetSource()
	default:
		return ""
	}
}

// Class is the most sensitive data class that a finding is about; "" where none is known.
func Class(f *curfewv1.Finding) string {
	if classes := f.GetDecision().GetClasses(); len(classes) > 0 {
		return classes[0]
	}
	return ""
}

// ID is the alert that a finding belongs to: one for the tenant, detection, entity and data class. What is about nobody and
// nothing is alone.
func ID(f *curfewv1.Finding) string {
	parts := []string{f.GetTenant(), f.GetDetection(), Entity(f), Class(f)}
	if Entity(f) == "" {
		parts = append(parts, f.GetId())
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Add is an alert with one more finding: a new one where a is nil, the next episode where a is resolved. It returns nil
// where the finding is one of it already.
func Add(a *curfewv1.Alert, f *curfewv1.Finding, now time.Time) *curfewv1.Alert {
	switch {
	case a == nil:
		return open(&curfewv1.Alert{Id: ID(f), Tenant: f.GetTenant(), Entity: Entity(f), DataClass: Class(f)}, f, now)
	case slices.Contains(a.GetSeen(), seen(f)):
		return nil
	case a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED:
		return reopen(proto.CloneOf(a), f, now)
	}
	a = proto.CloneOf(a)
	a.Count++
	a.Newest = timestamppb.New(now)
	a.Findings, a.Seen = newest(append(a.Findings, f.GetId()), maxFindings), newest(append(a.Seen, seen(f)), maxSeen)
	a.Version++
	if f.GetDecision().GetObject() != a.GetObject() {
		a.Object = ""
	}
	if f.GetSeverity() <= a.GetSeverity() {
		a.Repeats = newest(append(a.Repeats, cut(f.GetTitle(), maxTitle)), maxRepeats)
		return a
	}
	a.Repeats = newest(append(a.Repeats, cut(a.GetFinding().GetTitle(), maxTitle)), maxRepeats)
	a.Finding, a.Severity = f, f.GetSeverity()
	return note(a, "service:notifier", fmt.Sprintf("It is %s now: %s", Word(f.GetSeverity()), cut(f.GetTitle(), maxTitle)), true, now)
}

func open(a *curfewv1.Alert, f *curfewv1.Finding, now time.Time) *curfewv1.Alert {
	a.Finding, a.State, a.Severity = f, curfewv1.AlertState_ALERT_STATE_OPEN, f.GetSeverity()
	a.Episode++
	a.Version++
	a.Object = f.GetDecision().GetObject()
	a.Count, a.Opened, a.Newest = 1, timestamppb.New(now), timestamppb.New(now)
	a.Findings, a.Seen = newest(append(a.Findings, f.GetId()), maxFindings), newest(append(a.Seen, seen(f)), maxSeen)
	return a
}

// seen is what a finding is known again by.
func seen(f *curfewv1.Finding) uint64 {
	sum := sha256.Sum256([]byte(f.GetId()))
	return binary.BigEndian.Uint64(sum[:8])
}

// reopen begins the next episode. What receivers have of the one before stays as it is: the new one is a message of its own.
func reopen(a *curfewv1.Alert, f *curfewv1.Finding, now time.Time) *curfewv1.Alert {
	before := fmt.Sprintf("It was resolved before, at %s by %s: %s", Moment(a.GetResolved().AsTime()), a.GetResolver(), a.GetResolution())
	a.Assignee, a.Acknowledged, a.Resolved, a.Resolution, a.Resolver = "", nil, nil, "", ""
	a.Repeats, a.Escalations, a.EscalateAt, a.Revoked = nil, 0, nil, nil
	if a.GetQuestion().GetAnswered() != nil {
		a.Question = nil // who was asked and has not answered can still say that it was not them
	}
	return note(open(a, f, now), "service:notifier", before, false, now)
}

// Raise is an alert with a higher severity than its findings give it; as it is where it has that already.
func Raise(a *curfewv1.Alert, to curfewv1.Severity, author, why string, now time.Time) *curfewv1.Alert {
	if a.GetSeverity() >= to {
		return a
	}
	a = proto.CloneOf(a)
	a.Severity = to
	return note(a, author, why, true, now)
}

// Acknowledge is an alert that somebody took on. It returns nil where that changes nothing: it is theirs already, or
// resolved.
func Acknowledge(a *curfewv1.Alert, who string, now time.Time) *curfewv1.Alert {
	if a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED || a.GetState() == curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED && a.GetAssignee() == who {
		return nil
	}
	a = proto.CloneOf(a)
	text := "Taken on."
	if a.GetAssignee() != "" {
		text = "Taken over from " + a.GetAssignee() + "."
	}
	a.State, a.Assignee, a.Acknowledged, a.EscalateAt = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, who, timestamppb.New(now), nil
	return note(a, who, text, false, now)
}

// Resolve is an alert of which somebody said what it was. It returns nil for one that is resolved.
func Resolve(a *curfewv1.Alert, who, what string, now time.Time) *curfewv1.Alert {
	if a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		return nil
	}
	a = proto.CloneOf(a)
	a.State, a.Resolved, a.Resolver, a.Resolution, a.EscalateAt = curfewv1.AlertState_ALERT_STATE_RESOLVED, timestamppb.New(now), who, cut(what, maxTitle), nil
	return note(a, who, "Resolved: "+cut(what, maxTitle), false, now)
}

// Escalate is an alert for which others are called, as nobody took it on; next is when the next are, the zero time = nobody
// is. It returns nil for one that somebody took on.
func Escalate(a *curfewv1.Alert, why string, now, next time.Time) *curfewv1.Alert {
	if a.GetState() != curfewv1.AlertState_ALERT_STATE_OPEN {
		return nil
	}
	a = proto.CloneOf(a)
	a.Escalations++
	a.EscalateAt = nil
	if !next.IsZero() {
		a.EscalateAt = timestamppb.New(next)
	}
	return note(a, "service:notifier", why, true, now)
}

// Ask is an alert whose person is asked whether it was them. It returns nil where it is about no person, or they were asked
// in this episode and have not answered.
func Ask(a *curfewv1.Alert, who string, now time.Time) *curfewv1.Alert {
	asked := a.GetQuestion()
	waits := asked != nil && asked.GetAnswer() == curfewv1.QuestionAnswer_QUESTION_ANSWER_UNSPECIFIED && !asked.GetTime().AsTime().Before(a.GetOpened().AsTime())
	if !strings.HasPrefix(a.GetEntity(), "person:") || waits {
		return nil
	}
	a = proto.CloneOf(a)
	a.Question = &curfewv1.Question{Person: a.GetEntity(), Author: who, Time: timestamppb.New(now)}
	return note(a, who, fmt.Sprintf("Asked %s whether it was them.", a.GetEntity()), false, now)
}

// Answer is an alert whose person answered. One that it was not them makes it critical. It returns nil where nobody asked, or
// they have answered.
func Answer(a *curfewv1.Alert, answer curfewv1.QuestionAnswer, now time.Time) *curfewv1.Alert {
	if q := a.GetQuestion(); q == nil || q.GetAnswer() != curfewv1.QuestionAnswer_QUESTION_ANSWER_UNSPECIFIED {
		return nil
	}
	a = proto.CloneOf(a)
	a.Question.Answer, a.Question.Answered = answer, timestamppb.New(now)
	who := a.GetQuestion().GetPerson()
	if answer == curfewv1.QuestionAnswer_QUESTION_ANSWER_ME {
		return note(a, who, who+" says that it was them.", false, now)
	}
	a.Severity = curfewv1.Severity_SEVERITY_CRITICAL
	if a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED {
		a.State, a.Resolved, a.Resolver, a.Resolution = curfewv1.AlertState_ALERT_STATE_OPEN, nil, "", ""
		a.Assignee, a.Acknowledged = "", nil
	}
	return note(a, who, who+" says that it was NOT them: somebody else acts with their account.", true, now)
}

// Note is an alert with a word on what was done about it.
func Note(a *curfewv1.Alert, author, text string, loud bool, now time.Time) *curfewv1.Alert {
	return note(proto.CloneOf(a), author, text, loud, now)
}

// note changes a.
func note(a *curfewv1.Alert, author, text string, loud bool, now time.Time) *curfewv1.Alert {
	number := uint64(1)
	if len(a.GetNotes()) > 0 {
		number = a.GetNotes()[len(a.GetNotes())-1].GetNumber() + 1
	}
	a.Notes = newest(append(a.Notes, &curfewv1.AlertNote{
		Number: number, Time: timestamppb.New(now), Author: author, Text: cut(text, maxNote), Loud: loud,
	}), MaxNotes)
	a.Version++
	return a
}

// Did is an alert on which a command was carried out; nil where it was before.
func Did(a *curfewv1.Alert, command string) *curfewv1.Alert {
	if slices.Contains(a.GetCommands(), command) {
		return nil
	}
	a = proto.CloneOf(a)
	a.Commands = newest(append(a.Commands, command), maxCommands)
	return a
}

// Revoked is an alert from which somebody ended grants.
func Revoked(a *curfewv1.Alert, who, text string, grants []string, now time.Time) *curfewv1.Alert {
	a = Note(a, who, text, false, now)
	for _, id := range grants {
		if !slices.Contains(a.GetRevoked(), id) {
			a.Revoked = append(a.Revoked, id)
		}
	}
	a.Revoked = newest(a.Revoked, maxRevoked)
	return a
}

// Unseen is the grants that were ended from an alert and of which it does not say yet what became.
func Unseen(a *curfewv1.Alert) []string {
	return slices.DeleteFunc(slices.Clone(a.GetRevoked()), func(id string) bool { return slices.Contains(a.GetCommands(), gone+id) })
}

// Gone is an alert that says what became of a grant that was ended from it; nil where it says so.
func Gone(a *curfewv1.Alert, grant, text string, now time.Time) *curfewv1.Alert {
	next := Did(a, gone+grant)
	if next == nil {
		return nil
	}
	return note(next, "service:notifier", text, false, now)
}

// gone marks among the commands of an alert a grant of which it says what became.
const gone = "gone "

// newest is the last few of a list.
func newest[T any](list []T, most int) []T {
	return slices.Clone(list[max(0, len(list)-most):])
}

// cut is what somebody else wrote as far as an alert keeps it.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// Word is a severity as a person says it.
func Word(s curfewv1.Severity) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "SEVERITY_"))
}

// Moment is a time as a person reads it.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// EscalateAt is an alert for which others are called at a time, unless somebody takes it on.
func EscalateAt(a *curfewv1.Alert, at time.Time) *curfewv1.Alert {
	a = proto.CloneOf(a)
	a.EscalateAt = timestamppb.New(at)
	return a
}

// Routed is an alert that was routed by its severity as it is.
func Routed(a *curfewv1.Alert) *curfewv1.Alert {
	if a.GetRouted() == a.GetSeverity() {
		return a
	}
	a = proto.CloneOf(a)
	a.Routed = a.Severity
	return a
}

// Asked is an alert whose question was handed over; nil where nothing is to be handed over.
func Asked(a *curfewv1.Alert) *curfewv1.Alert {
	if a.GetQuestion() == nil || a.GetQuestion().GetTold() {
		return nil
	}
	a = proto.CloneOf(a)
	a.Question.Told = true
	return a
}
