// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// PolicyMismatch is the id of the findings that Mismatch makes.
const PolicyMismatch = "policy_mismatch"

// Mismatch is the finding that a decision is not what Casbin says over every row of the policy: decisions cannot be trusted.
// Those of one tenant in one hour have one id. It is about Curfew, and about nobody whose event it came with.
func Mismatch(in Input, at time.Time) *curfewv1.Finding {
	d := in.Decision
	hour := at.UTC().Truncate(time.Hour)
	return &curfewv1.Finding{
		Format: 1, Tenant: in.Event.GetTenant(), Detection: PolicyMismatch, Time: timestamppb.New(at), Severity: curfewv1.Severity_SEVERITY_CRITICAL,
		Id:    strings.TrimPrefix(event.ContentKey(PolicyMismatch, in.Event.GetTenant(), hour.Format(time.RFC3339)), "sha256-"),
		About: "service:evaluator", Controls: []string{"NIST SI-7", "NIST AC-3"},
		Title: "Curfew decided otherwise than its policy says",
		Reason: fmt.Sprintf("The decision on event %s (%s, row %d, policy %.12s) is not what Casbin says over every row. Others may be wrong too, in either direction, until this is mended. It is told at most once an hour.",
			d.GetEventId(), strings.ToLower(strings.TrimPrefix(d.GetVerdict().String(), "VERDICT_")), d.GetRow().GetLine(), d.GetPolicyDigest()),
		NextSteps: []string{
			"Report it to the makers of Curfew, with the policy files: curfew policy show",
			"See how often it was so: the counter curfew_evaluator_confirmed_total with the result mismatch.",
			"Until it is mended, look at violations and at what was allowed by hand: curfew log query",
		},
	}
}
