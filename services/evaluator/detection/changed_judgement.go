// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// ChangedJudgement is the id of the findings that Changed makes.
const ChangedJudgement = "changed_judgement"

// Changed is the finding that a decision would be another by what has been learnt since: in.Decision is what would be
// decided now, was is what stands in the log and stays there. The same event and the same new verdict give the same id.
func Changed(in Input, was *curfewv1.Decision) *curfewv1.Finding {
	is := in.Decision
	f := &curfewv1.Finding{
		Format: 1, Tenant: in.Event.GetTenant(), Detection: ChangedJudgement, Time: in.Event.GetTime(),
		Id:    strings.TrimPrefix(event.ContentKey(ChangedJudgement, in.Event.GetTenant(), in.Event.GetId(), is.GetVerdict().String()), "sha256-"),
		Event: withoutRaw(in.Event), Decision: is, Controls: []string{"NIST AU-10", "NIST AC-3"}, Severity: curfewv1.Severity_SEVERITY_INFORMATIONAL,
	}
	then, now := verdict(was), verdict(is)
	f.Title = fmt.Sprintf("What has been learnt since makes it %s that %s %s %s", now, who(in.Event), did(in), what(in.Event))
	f.Reason = fmt.Sprintf("It was judged %s: %s. By what is known now it is %s: %s. The decision in the log stays as it was made.", then, was.GetReason(), now, is.GetReason())
	f.NextSteps = []string{"Nothing has to be done: it shows what was known when."}
	if is.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION {
		f.Severity = severity(in)
		f.NextSteps = []string{
			fmt.Sprintf("Ask %s what it was for.", who(in.Event)),
			fmt.Sprintf("Look what else the same account touched in that time: curfew log query --person %s", subjectFor(is)),
		}
	}
	return f
}

func verdict(d *curfewv1.Decision) string {
	switch d.GetVerdict() {
	case curfewv1.Verdict_VERDICT_ALLOWED:
		return "allowed"
	case curfewv1.Verdict_VERDICT_VIOLATION:
		return "a violation"
	default:
		return "unknown"
	}
}
