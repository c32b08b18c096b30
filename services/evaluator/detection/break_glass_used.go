// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// breakGlassUsed finds grants that somebody took without approval in an emergency: one finding for each grant. Whether
// anybody looked at one afterwards is the clock's to ask, and not asked here.
var breakGlassUsed = Detection{
	ID:       "break_glass_used",
	Title:    "Somebody took access without approval, in an emergency",
	Controls: []string{"NIST AC-2(2)", "NIST AC-3(10)", "NIST AU-6"},
	Step: func(g *curfewv1.Grant) []*curfewv1.Finding {
		if !g.GetBreakGlass() || g.GetFrom() == nil {
			return nil
		}
		reason := g.GetReason()
		if g.GetTicket() != "" {
			reason += " (" + g.GetTicket() + ")"
		}
		f := &curfewv1.Finding{
			Time: g.GetFrom(), Severity: curfewv1.Severity_SEVERITY_HIGH,
			Title:  fmt.Sprintf("%s took %s for %s without approval, until %s", g.GetAuthor(), g.GetRole(), g.GetSubject(), clock(end(g).AsTime())),
			Reason: fmt.Sprintf("Grant %s was taken in an emergency. They say: %q.", g.GetId(), reason),
			NextSteps: []string{
				fmt.Sprintf("Ask %s whether it was them, by another way than the account that was used.", g.GetAuthor()),
				fmt.Sprintf("If it was not, end it now: curfew grant revoke %s", g.GetId()),
				fmt.Sprintf("Look afterwards at what it was used for: curfew log query --person %s", g.GetSubject()),
			},
		}
		return []*curfewv1.Finding{f}
	},
}
