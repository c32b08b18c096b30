// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strconv"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// escalates is from which page on somebody is to be woken.
const escalates = 3

// revocationOverdue finds grants that are not taken away though their time is over: one finding for each page.
var revocationOverdue = Detection{
	ID:       "revocation_overdue",
	Title:    "Access that should have ended is still there",
	Controls: []string{"NIST AC-2(2)", "NIST AC-2(3)", "NIST IR-6"},
	Step: func(g *curfewv1.Grant) []*curfewv1.Finding {
		var left, why, steps []string
		for _, held := range g.GetPrivileges() {
			if !mayHold(held.GetStage()) {
				continue
			}
			left = append(left, thing(held.GetPrivilege()))
			why = append(why, overdue(g, held))
			steps = append(steps, byHand(g, held))
		}
		if g.GetPages() == 0 || !isEnding(g) || len(left) == 0 {
			return nil
		}
		f := &curfewv1.Finding{
			Id: strconv.FormatUint(uint64(g.GetPages()), 10), Time: end(g), Severity: curfewv1.Severity_SEVERITY_HIGH,
			Title:     fmt.Sprintf("%s still has %s: grant %s ended at %s (page %d)", g.GetSubject(), few(left), g.GetId(), clock(end(g).AsTime()), g.GetPages()),
			Reason:    fmt.Sprintf("Grant %s should have been taken away at %s. %s.", g.GetId(), clock(end(g).AsTime()), few(why)),
			NextSteps: append(steps[:min(len(steps), maxSaid)], "Curfew goes on trying; see every call and read: curfew grant show "+g.GetId()),
		}
		if g.GetPages() >= escalates {
			f.Severity = curfewv1.Severity_SEVERITY_CRITICAL
		}
		return []*curfewv1.Finding{f}
	},
}

// overdue says since when a privilege is held and what keeps it.
func overdue(g *curfewv1.Grant, held *curfewv1.HeldPrivilege) string {
	p, since := held.GetPrivilege(), held.GetSeen()
	if since == nil {
		since = g.GetFrom()
	}
	said := fmt.Sprintf("%s has %s since %s", holder(g, p), thing(p), clock(since.AsTime()))
	switch {
	case held.GetTrouble() != "":
		return said + ", and " + stop(held.GetTrouble())
	case held.GetAttempts() == 0:
		return said + ", and nobody has asked " + p.GetSource() + " to take it: no collector that can may be running"
	default:
		return fmt.Sprintf("%s, and %s was asked %d times to take it", said, p.GetSource(), held.GetAttempts())
	}
}

// byHand is what a person does to take a privilege away.
func byHand(g *curfewv1.Grant, held *curfewv1.HeldPrivilege) string {
	if held.GetTask() != "" {
		return strings.TrimSpace(stop(held.GetTask()) + ": " + held.GetLink())
	}
	p := held.GetPrivilege()
	return fmt.Sprintf("Take it away by hand in %s if it cannot wait: %s of %s.", p.GetSource(), thing(p), holder(g, p))
}

// maxSaid is how many things one sentence names.
const maxSaid = 5

// few is things in a sentence, the first of them where they are many.
func few(things []string) string {
	if len(things) > maxSaid {
		return fmt.Sprintf("%s; and %d more", strings.Join(things[:maxSaid], "; "), len(things)-maxSaid)
	}
	return strings.Join(things, "; ")
}

// mayHold is whether the SaaS may still show a privilege because of its grant.
func mayHold(stage curfewv1.PrivilegeStage) bool {
	switch stage {
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD,
		curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN:
		return true
	default:
		return false
	}
}

// isEnding is whether a grant is being taken away.
func isEnding(g *curfewv1.Grant) bool {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_REVOKING, curfewv1.GrantState_GRANT_STATE_UNVERIFIED, curfewv1.GrantState_GRANT_STATE_STUCK:
		return true
	default:
		return false
	}
}
