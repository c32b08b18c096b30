// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package detection asks of each event and its decision, and of each step of a grant, whether people should hear of it. A
// detection is one file, one file of cases beside it, and one line in All.
package detection

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Input is what a detection sees.
type Input struct {
	// Event is what happened. A detection must not change it.
	Event *curfewv1.Event
	// Decision is its decision. A detection must not change it.
	Decision *curfewv1.Decision
	// Sensitivity is that of the most sensitive data class touched, 0 to 5.
	Sensitivity int
}

// Detection is a question to each event or, where it has Step, to each step of a grant.
type Detection struct {
	// ID is its name: that of its file and of its cases.
	ID string
	// Title says in a few words what it finds.
	Title string
	// Controls are the ids of the controls it bears on.
	Controls []string
	// Match fills in title, severity, reason and next steps of the finding and returns true where there is one. It keeps
	// no state.
	Match func(in Input, f *curfewv1.Finding) bool
	// Step returns what a grant shows as a step leaves it: findings with title, severity, reason, next steps and time, and as
	// id what tells each from the grant's others. It keeps no state and must not change the grant.
	Step func(g *curfewv1.Grant) []*curfewv1.Finding
}

// All is every detection, in the order in which they are asked.
func All() []Detection {
	return []Detection{
		unauthorizedAccess,
		unapprovedApp,
		revocationUnverified,
		revocationOverdue,
		revocationStuck,
		grantFailed,
		breakGlassUsed,
	}
}

// Names is the name of every detection, of those in All and of those that are asked for by themselves.
func Names() []string {
	names := []string{UsedAfterEnd, GrantedAgain, ChangedJudgement, UnclassifiedKind, PolicyMismatch}
	for _, d := range All() {
		names = append(names, d.ID)
	}
	slices.Sort(names)
	return names
}

// Ask returns the findings of every detection about one event. The same input gives the same findings with the same ids.
func Ask(in Input) []*curfewv1.Finding {
	var findings []*curfewv1.Finding
	for _, d := range All() {
		f := &curfewv1.Finding{Format: 1}
		if d.Match == nil || !d.Match(in, f) {
			continue
		}
		f.Id = strings.TrimPrefix(event.ContentKey(d.ID, in.Event.GetTenant(), in.Event.GetId()), "sha256-")
		f.Tenant, f.Detection, f.Controls, f.Time = in.Event.GetTenant(), d.ID, d.Controls, in.Event.GetTime()
		f.Event, f.Decision = withoutRaw(in.Event), in.Decision
		findings = append(findings, f)
	}
	return findings
}

// AskGrant returns the findings of every detection about a grant as a step leaves it. What one step shows and the next
// shows still has the same id.
func AskGrant(g *curfewv1.Grant) []*curfewv1.Finding {
	var findings []*curfewv1.Finding
	for _, d := range All() {
		if d.Step == nil {
			continue
		}
		for _, f := range d.Step(g) {
			f.Id = strings.TrimPrefix(event.ContentKey(d.ID, g.GetTenant(), g.GetId(), f.GetId()), "sha256-")
			f.Format, f.Tenant, f.Detection, f.Controls, f.GrantId = 1, g.GetTenant(), d.ID, d.Controls, g.GetId()
			findings = append(findings, f)
		}
	}
	return findings
}

// withoutRaw is the event without the vendor's record, which stays in EVENTS.
func withoutRaw(e *curfewv1.Event) *curfewv1.Event {
	lean := proto.CloneOf(e)
	lean.Raw = nil
	return lean
}

// who is the actor as a person would say it.
func who(e *curfewv1.Event) string {
	for _, name := range []string{e.GetActor().GetEmail(), e.GetActor().GetName(), e.GetActor().GetId()} {
		if name != "" {
			return name
		}
	}
	return "somebody the record does not name"
}

// what is the resource as a person would say it.
func what(e *curfewv1.Event) string {
	r := e.GetResource()
	switch {
	case r.GetName() != "":
		return fmt.Sprintf("%s %q", r.GetKind(), r.GetName())
	case r.GetPath() != "":
		return r.GetPath()
	default:
		return "something in " + e.GetSource()
	}
}

// did is the act as something done, or tried in vain. What administration is differs from one action to the next, so
// there the vendor's own name says it.
func did(in Input) string {
	verbs := map[string][2]string{
		"read": {"read", "read"}, "search": {"searched", "search"}, "export": {"exported", "export"},
		"create": {"created", "create"}, "update": {"changed", "change"}, "delete": {"deleted", "delete"},
		"share": {"shared", "share"}, "login": {"signed in to", "sign in to"}, "consent": {"gave consent for", "give consent for"},
		"approve": {"approved", "approve"},
	}
	verb, known := verbs[in.Decision.GetAct()]
	if !known {
		verb = [2]string{"did " + in.Event.GetAction() + " on", "do " + in.Event.GetAction() + " on"}
	}
	if in.Decision.GetOutcome() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return "tried to " + verb[1]
	}
	return verb[0]
}

// severity grows with what is at stake; an attempt that came to nothing weighs one less.
func severity(in Input) curfewv1.Severity {
	level := curfewv1.Severity_SEVERITY_LOW
	switch {
	case in.Sensitivity >= 5:
		level = curfewv1.Severity_SEVERITY_CRITICAL
	case in.Sensitivity == 4:
		level = curfewv1.Severity_SEVERITY_HIGH
	case in.Sensitivity == 3:
		level = curfewv1.Severity_SEVERITY_MEDIUM
	}
	if in.Decision.GetOutcome() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		level--
	}
	return level
}
