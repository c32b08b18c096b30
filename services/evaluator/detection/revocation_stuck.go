// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// revocationStuck finds what no API can take away: one finding for each task of a person.
var revocationStuck = Detection{
	ID:       "revocation_stuck",
	Title:    "Access that only a person can take away",
	Controls: []string{"NIST AC-2(2)", "NIST AC-2(3)"},
	Step: func(g *curfewv1.Grant) (found []*curfewv1.Finding) {
		if g.GetState() != curfewv1.GrantState_GRANT_STATE_STUCK {
			return nil
		}
		for _, held := range g.GetPrivileges() {
			if held.GetTask() == "" || !mayHold(held.GetStage()) {
				continue
			}
			p, owner := held.GetPrivilege(), g.GetOwner()
			if owner == "" {
				owner = "Somebody (no owner was named)"
			}
			found = append(found, &curfewv1.Finding{
				Id: keyOf(p) + "\x00" + held.GetTask(), Time: end(g), Severity: curfewv1.Severity_SEVERITY_HIGH,
				Title: fmt.Sprintf("%s has to take %s from %s by hand", owner, thing(p), holder(g, p)),
				Reason: fmt.Sprintf("Grant %s ended at %s, and no API of %s can take this away. It counts as there until %s shows that it is gone.",
					g.GetId(), clock(end(g).AsTime()), p.GetSource(), p.GetSource()),
				NextSteps: []string{
					strings.TrimSpace(stop(held.GetTask()) + ": " + held.GetLink()),
					"Nothing has to be ticked off: Curfew looks whether it is gone. All that wait for a person: curfew grant stuck",
				},
			})
		}
		return found
	},
}
