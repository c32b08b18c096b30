// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// unauthorizedAccess finds every violation but an app's consent, which unapprovedApp tells better.
var unauthorizedAccess = Detection{
	ID:       "unauthorized_access",
	Title:    "Access that the policy does not allow",
	Controls: []string{"NIST AC-3", "NIST AC-6", "PCI DSS 7.2.1"},
	Match: func(in Input, f *curfewv1.Finding) bool {
		d := in.Decision
		if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || isConsent(d) {
			return false
		}
		f.Severity = severity(in)
		f.Title = fmt.Sprintf("%s %s %s without the right to", who(in.Event), did(in), what(in.Event))
		f.Reason = "This is a violation: " + d.GetReason() + "."
		f.NextSteps = []string{
			fmt.Sprintf("Ask %s what it was for.", who(in.Event)),
			ifRight(in),
			fmt.Sprintf("If it was not, take the access away in %s and find out what else the same account touched: curfew log query --person %s", d.GetSource(), subjectFor(d)),
		}
		return true
	},
}

// ifRight is what to do where the access was right after all: a row that would not help must not be advised.
func ifRight(in Input) string {
	d := in.Decision
	switch {
	case strings.HasPrefix(d.GetSubject(), "unknown:"):
		return "If you know whose account it is, add it to that person in identities.yaml; from then on it is judged by what they may do."
	case d.GetRow() != nil:
		return fmt.Sprintf("If it was right, change %s:%d, which denies it whatever else allows it: %s", d.GetRow().GetFile(), d.GetRow().GetLine(), d.GetRow().GetText())
	default:
		return fmt.Sprintf("If it was right, give the right in policy.csv: p, %s, *, %s, %s, %s, allow", subjectFor(d), objectOf(in.Event), classFor(d), d.GetAct())
	}
}

// isConsent is whether an app was given something.
func isConsent(d *curfewv1.Decision) bool {
	return d.GetAct() == "consent" && strings.HasPrefix(d.GetSubject(), "app:")
}

func subjectFor(d *curfewv1.Decision) string {
	if d.GetSubject() == "" {
		return "person:ID"
	}
	return d.GetSubject()
}

// objectOf is the object as the policy is asked about it; in the decision an e-mail in it is a pseudonym.
func objectOf(e *curfewv1.Event) string {
	if e.GetResource().GetPath() == "" {
		return e.GetSource() + "/*"
	}
	return e.GetSource() + "/" + e.GetResource().GetPath()
}

func classFor(d *curfewv1.Decision) string {
	if len(d.GetClasses()) == 1 {
		return d.GetClasses()[0]
	}
	return "*"
}
