// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// revocationUnverified finds privileges that the SaaS said it had taken and still shows: one finding for each privilege.
var revocationUnverified = Detection{
	ID:       "revocation_unverified",
	Title:    "A SaaS accepted a revocation and still shows the access",
	Controls: []string{"NIST AC-2(2)", "NIST AC-2(3)"},
	Step: func(g *curfewv1.Grant) (found []*curfewv1.Finding) {
		for _, held := range g.GetPrivileges() {
			if held.GetStage() != curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN || held.GetTrouble() == "" {
				continue
			}
			p := held.GetPrivilege()
			found = append(found, &curfewv1.Finding{
				Id: keyOf(p), Time: held.GetCalled(), Severity: curfewv1.Severity_SEVERITY_HIGH,
				Title: fmt.Sprintf("%s accepted that %s loses %s, and still shows it", p.GetSource(), holder(g, p), thing(p)),
				Reason: fmt.Sprintf("Grant %s ended at %s. %s accepted the revocation%s (%d attempts), and was asked again: %s.",
					g.GetId(), clock(end(g).AsTime()), p.GetSource(), at(held.GetCalled()), held.GetAttempts(), stop(held.GetTrouble())),
				NextSteps: []string{
					fmt.Sprintf("Look in %s whether %s still has it, and take it away by hand if so.", p.GetSource(), holder(g, p)),
					"Curfew goes on asking for it; see every call and read: curfew grant show " + g.GetId(),
				},
			})
		}
		return found
	},
}

// thing is what is held, as a person would say it.
func thing(p *curfewv1.Privilege) string {
	name := p.GetResource()
	if p.GetResourceName() != "" {
		name = fmt.Sprintf("%q", p.GetResourceName())
	}
	said := strings.Join([]string{p.GetSource(), p.GetKind(), name}, " ")
	if p.GetLevel() != "" {
		said += " as " + p.GetLevel()
	}
	if p.GetScope() != "" {
		said += " on " + p.GetScope()
	}
	return said
}

// Thing is what a privilege is, as findings call it.
func Thing(p *curfewv1.Privilege) string { return thing(p) }

// holder is who holds a grant, with the account that holds the privilege.
func holder(g *curfewv1.Grant, p *curfewv1.Privilege) string {
	account := p.GetHolderName()
	if account == "" {
		account = p.GetHolder()
	}
	return g.GetSubject() + " (" + account + ")"
}

// keyOf tells a privilege of a grant from its others.
func keyOf(p *curfewv1.Privilege) string {
	return strings.Join([]string{p.GetSource(), p.GetKind(), p.GetHolder(), p.GetResource(), p.GetLevel(), p.GetScope()}, "\x00")
}

// end is when a grant ended or is to end.
func end(g *curfewv1.Grant) *timestamppb.Timestamp {
	if g.GetEndedAt() != nil {
		return g.GetEndedAt()
	}
	return g.GetExpiresAt()
}

// at is a moment within a sentence; "" where it is not known.
func at(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return " at " + clock(t.AsTime())
}

// stop is text that a full stop follows.
func stop(text string) string { return strings.TrimRight(text, ". ") }
