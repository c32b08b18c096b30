// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// GrantedAgain is the id of the findings that Again makes.
const GrantedAgain = "granted_again"

// Again is the finding that what a grant stood for was given anew after its end, by no grant: thing says what, as the grant
// called it. The same event and grant give the same id.
func Again(in Input, g Ended, thing string) *curfewv1.Finding {
	f := &curfewv1.Finding{
		Format: 1, Tenant: in.Event.GetTenant(), Detection: GrantedAgain, Time: in.Event.GetTime(), GrantId: g.ID,
		Id:    strings.TrimPrefix(event.ContentKey(GrantedAgain, in.Event.GetTenant(), in.Event.GetId(), g.ID, thing), "sha256-"),
		Event: withoutRaw(in.Event), Decision: in.Decision, Controls: []string{"NIST AC-2(2)", "NIST AC-2(4)", "NIST AC-6(7)"}, Severity: curfewv1.Severity_SEVERITY_HIGH,
	}
	f.Title = fmt.Sprintf("%s got %s again %s after grant %s ended; %s gave it", g.Subject, thing, since(in, g), g.ID, giver(in.Event))
	f.Reason = fmt.Sprintf("Grant %s gave it until %s. %s (%s) gave it once more, and no grant wants it now, so nothing will end it.",
		g.ID, clock(g.End), giver(in.Event), in.Event.GetAction())
	f.NextSteps = []string{
		fmt.Sprintf("Ask %s why. If a directory or a rule gives it, take the person out there, or it comes back.", giver(in.Event)),
		fmt.Sprintf("If it is not needed, take it away in %s.", in.Event.GetSource()),
		fmt.Sprintf("If it is needed for a time, make a grant of it, which ends: curfew grant create; the earlier one: curfew grant show %s", g.ID),
	}
	return f
}

// giver is who acted, and what kind of actor that is where it is no person.
func giver(e *curfewv1.Event) string {
	switch e.GetActor().GetType() {
	case curfewv1.ActorType_ACTOR_TYPE_APP:
		return "the app " + who(e)
	case curfewv1.ActorType_ACTOR_TYPE_SERVICE:
		return "the service " + who(e) // a directory's sync among them
	default:
		return who(e)
	}
}
