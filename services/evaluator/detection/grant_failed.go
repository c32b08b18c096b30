// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// grantFailed finds grants that could not be given: one finding for each grant.
var grantFailed = Detection{
	ID:       "grant_failed",
	Title:    "Access that was approved could not be given",
	Controls: []string{"NIST AC-2"},
	Step: func(g *curfewv1.Grant) []*curfewv1.Finding {
		var refused, why []string
		for _, held := range g.GetPrivileges() {
			if held.GetStage() == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED {
				refused = append(refused, thing(held.GetPrivilege()))
				if held.GetTrouble() != "" {
					why = append(why, held.GetPrivilege().GetSource()+": "+stop(held.GetTrouble()))
				}
			}
		}
		if len(refused) == 0 && g.GetState() != curfewv1.GrantState_GRANT_STATE_FAILED {
			return nil
		}
		said := g.GetRole()
		if len(refused) > 0 {
			said = few(refused)
		}
		f := &curfewv1.Finding{
			Time: end(g), Severity: curfewv1.Severity_SEVERITY_MEDIUM,
			Title:  fmt.Sprintf("%s could not be given %s (grant %s)", g.GetSubject(), said, g.GetId()),
			Reason: "The SaaS refused it, so the grant has ended, and whatever else of it was given is taken away again.",
			NextSteps: []string{
				"Look what was tried: curfew grant show " + g.GetId(),
				fmt.Sprintf("Tell %s, and ask for a new grant once the reason is gone.", g.GetSubject()),
			},
		}
		if len(why) > 0 {
			f.Reason += " It said: " + few(why) + "."
		}
		return []*curfewv1.Finding{f}
	},
}
