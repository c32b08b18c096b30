// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// UsedAfterEnd is the id of the findings that Used makes.
const UsedAfterEnd = "used_after_end"

// Ended is a grant that was over when something happened.
type Ended struct {
	// ID of the grant.
	ID string
	// Subject that held it.
	Subject string
	// Role that it gave.
	Role string
	// End is when it stopped counting.
	End time.Time
}

// Used is the finding that somebody did what an ended grant would have let them do: in.Decision is the violation. The same
// event gives the same id.
func Used(in Input, g Ended) *curfewv1.Finding {
	after := since(in, g)
	f := &curfewv1.Finding{
		Format: 1, Tenant: in.Event.GetTenant(), Detection: UsedAfterEnd, Time: in.Event.GetTime(), GrantId: g.ID,
		Id:    strings.TrimPrefix(event.ContentKey(UsedAfterEnd, in.Event.GetTenant(), in.Event.GetId()), "sha256-"),
		Event: withoutRaw(in.Event), Decision: in.Decision, Controls: []string{"NIST AC-2(2)", "NIST AC-3"}, Severity: curfewv1.Severity_SEVERITY_HIGH,
	}
	f.Title = fmt.Sprintf("%s %s %s %s after the end of grant %s", who(in.Event), did(in), what(in.Event), after, g.ID)
	f.Reason = fmt.Sprintf("Grant %s gave %s %s until %s, and a moment before that this would have been allowed by it. It is a violation now: %s.",
		g.ID, g.Subject, g.Role, clock(g.End), in.Decision.GetReason())
	f.NextSteps = []string{
		fmt.Sprintf("Look whether %s shows the access as gone, and what outlives it, such as tokens: curfew grant show %s", in.Event.GetSource(), g.ID),
		fmt.Sprintf("End the sessions and tokens of %s in %s.", who(in.Event), in.Event.GetSource()),
		fmt.Sprintf("Ask %s what it was for; if it is still needed, they can ask for a new grant.", who(in.Event)),
	}
	if in.Decision.GetOutcome() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		f.Severity = curfewv1.Severity_SEVERITY_MEDIUM
		f.NextSteps = f.NextSteps[2:] // the SaaS refused it: the end holds
	}
	return f
}

// since is how long after a grant's end an event happened, for a person.
func since(in Input, g Ended) string {
	after := in.Event.GetTime().AsTime().Sub(g.End)
	switch {
	case after < time.Second:
		return "less than a second"
	case after >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(after.Hours()/24))
	default:
		return after.Truncate(time.Second).String()
	}
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
