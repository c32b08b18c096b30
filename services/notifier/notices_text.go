// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// shown is how many of several things a text names, and said how much of what somebody wrote it repeats.
const shown, said = 3, 160

func answered(g *curfewv1.Grant) string {
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_DENIED:
		return fmt.Sprintf("Your request for %s was denied. See why with `curfew grant show %s`; ask anew with `curfew request create`.", what(g), g.GetId())
	case g.GetState() != curfewv1.GrantState_GRANT_STATE_CANCELLED:
		return fmt.Sprintf("Your request for %s was approved by %s. It begins at %s and lasts %s.",
			what(g), some(approvers(g)), moment(g.GetFrom().AsTime()), length(g))
	case g.GetAnswerBy() != nil && !grant.End(g).Before(g.GetAnswerBy().AsTime()):
		return fmt.Sprintf("Nobody answered your request for %s by %s, so that it expired. Ask anew with `curfew request create`, and tell those who may approve.",
			what(g), moment(g.GetAnswerBy().AsTime()))
	}
	return fmt.Sprintf("The request for %s was withdrawn at %s. Ask anew with `curfew request create`.", what(g), moment(grant.End(g)))
}

func ended(g *curfewv1.Grant) string {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_CANCELLED:
		return fmt.Sprintf("%s was withdrawn at %s, before it began: nothing was given. See why with `curfew grant show %s`.", what(g), moment(grant.End(g)), g.GetId())
	case curfewv1.GrantState_GRANT_STATE_FAILED:
		return fmt.Sprintf("%s could not be given to %s: %s. Nothing of it is held. See `curfew grant show %s`, put that right and ask anew.",
			what(g), g.GetSubject(), some(troubles(g)), g.GetId())
	default:
	}
	return fmt.Sprintf("%s of %s ended at %s. %s %sReceipt: `curfew grant show %s`.",
		what(g), g.GetSubject(), moment(grant.End(g)), readBack(g), outlives(g, "This can live on: "), g.GetId())
}

// readBack is what the vendors showed at the end.
func readBack(g *curfewv1.Grant) string {
	if len(g.GetPrivileges()) == 0 {
		return "It stood for nothing at any SaaS."
	}
	var seen []string
	for _, held := range g.GetPrivileges() {
		switch held.GetStage() {
		case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE:
			as := "gone"
			if held.GetPrior().GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
				as = "as it was before, still held,"
			}
			seen = append(seen, fmt.Sprintf("%s seen %s at %s", privilege(held.GetPrivilege()), as, moment(held.GetGone().AsTime())))
		case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT:
			seen = append(seen, privilege(held.GetPrivilege())+" left, as another grant wants it")
		default:
			seen = append(seen, privilege(held.GetPrivilege())+" never given")
		}
	}
	return "Read back: " + some(seen) + "."
}

func task(g *curfewv1.Grant) string {
	verb := "taken away"
	if !grant.IsEnding(g) {
		verb = "given"
	}
	var todo []string
	for _, held := range tasks(g) {
		line := orUnsaid(held.GetTask())
		if held.GetLink() != "" {
			line += " (" + held.GetLink() + ")"
		}
		todo = append(todo, line)
	}
	return fmt.Sprintf("To do by hand: %s of %s has to be %s, and no API can do it. %s. Curfew looks by itself whether it is done: `curfew grant show %s`.",
		what(g), g.GetSubject(), verb, strings.TrimRight(some(todo), "."), g.GetId())
}

// holder is who is told as the one who holds it: a person, or for an app or a service the person who made it.
func holder(g *curfewv1.Grant) []string {
	for _, who := range []string{g.GetSubject(), g.GetAuthor()} {
		if strings.HasPrefix(who, "person:") {
			return []string{who}
		}
	}
	return nil
}

// doer is who does by hand what no API can.
func doer(g *curfewv1.Grant) []string {
	if g.GetOwner() != "" {
		return []string{g.GetOwner()}
	}
	return g.GetApprovers()
}

// approvers is who said yes, persons and rules.
func approvers(g *curfewv1.Grant) []string {
	var who []string
	for _, yes := range g.GetApprovals() {
		who = append(who, yes.GetAuthor())
	}
	return who
}

// approving is the persons who said yes and do not hold it.
func approving(g *curfewv1.Grant) []string {
	return slices.DeleteFunc(approvers(g), func(who string) bool {
		return !strings.HasPrefix(who, "person:") || slices.Contains(holder(g), who)
	})
}

func asker(g *curfewv1.Grant) string {
	if g.GetAuthor() == g.GetSubject() || g.GetAuthor() == "" {
		return g.GetSubject()
	}
	return g.GetAuthor() + ", for " + g.GetSubject() + ","
}

// what is the role, and what it stands for at SaaS.
func what(g *curfewv1.Grant) string {
	if len(g.GetPrivileges()) == 0 {
		return g.GetRole()
	}
	var names []string
	for _, held := range g.GetPrivileges() {
		names = append(names, privilege(held.GetPrivilege()))
	}
	return g.GetRole() + " (" + some(names) + ")"
}

func privilege(p *curfewv1.Privilege) string {
	name := p.GetResourceName()
	if name == "" {
		name = p.GetResource()
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", p.GetSource(), p.GetKind(), name))
}

func troubles(g *curfewv1.Grant) []string {
	var list []string
	for _, held := range g.GetPrivileges() {
		if held.GetTrouble() != "" {
			list = append(list, privilege(held.GetPrivilege())+": "+orUnsaid(held.GetTrouble()))
		}
	}
	return list
}

// outlives is what outlives the end, behind a word on it, or "" where nothing does.
func outlives(g *curfewv1.Grant, before string) string {
	var list []string
	for _, held := range g.GetPrivileges() {
		if held.GetResidual() != "" {
			list = append(list, privilege(held.GetPrivilege())+": "+held.GetResidual())
		}
	}
	if len(list) == 0 {
		return ""
	}
	return before + some(list) + ". "
}

func why(g *curfewv1.Grant) string {
	reason := orUnsaid(g.GetReason())
	if g.GetTicket() != "" {
		reason += " (" + orUnsaid(g.GetTicket()) + ")"
	}
	return reason
}

// orUnsaid is what somebody wrote, as far as it fits: the whole stands in the grant, and what to do comes behind it.
func orUnsaid(text string) string {
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ".")
	if text == "" {
		return "not said"
	}
	if runes := []rune(text); len(runes) > said {
		return string(runes[:said]) + "…"
	}
	return text
}

// length is how long a grant lasts.
func length(g *curfewv1.Grant) string {
	switch {
	case g.GetDuration() != nil:
		return "for " + grant.SayLength(g.GetDuration().AsDuration())
	case g.GetExpiresAt() != nil:
		return "until " + moment(g.GetExpiresAt().AsTime())
	}
	return "for a time that is not set"
}

// by is a time limit, or "" where there is none.
func by(t time.Time, is bool) string {
	if !is {
		return ""
	}
	return " by " + moment(t)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// some is the first few of several things.
func some(list []string) string {
	switch {
	case len(list) == 0:
		return "not said"
	case len(list) > shown:
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], "; "), len(list)-shown)
	}
	return strings.Join(list, "; ")
}
