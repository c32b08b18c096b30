// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// sayExplanation says an answer to somebody who has never seen a policy: the verdict first, then how it comes about.
func sayExplanation(out io.Writer, answer *curfewv1.ExplainDecisionResponse, asked time.Time) {
	d := answer.GetDecision()
	// What comes nearest to being allowed stands behind semicolons.
	for i, reason := range strings.Split(plain(d.GetReason()), "; ") {
		lead := "  but "
		if i == 0 {
			lead = verdictWord(d.GetVerdict()) + ": "
		}
		fmt.Fprintf(out, "%s%s\n", lead, reason)
	}
	fmt.Fprintf(out, "\nThe question: may %s %s %s?\n", plain(d.GetSubject()), plain(d.GetAct()), plain(d.GetObject()))
	fmt.Fprintf(out, "  at    %s\n", clock(d.GetTime()))
	fmt.Fprintf(out, "  data  %s (what an event does can add a class: name it with --class)\n", plain(strings.Join(d.GetClasses(), ", ")))
	if row := d.GetRow(); row != nil {
		fmt.Fprint(out, "\nThe way to the answer:\n")
		for _, link := range d.GetLinks() {
			fmt.Fprintf(out, "  %s\n", linkWords(link))
		}
		sayRow(out, row)
	}
	sayHeld(out, answer)
	if len(answer.GetWouldAllow()) > 0 {
		fmt.Fprint(out, "\nWhat allows it to others:\n")
		for _, row := range answer.GetWouldAllow() {
			sayRow(out, row)
		}
	}
	b := answer.GetBasis()
	fmt.Fprintf(out, "\nAs known at %s, by policy revision %d (digest %.12s), inventories up to %d, what events told up to %d, grants up to %d.\n",
		asked.UTC().Format(time.RFC3339), b.GetPolicyRevision(), b.GetPolicyDigest(), b.GetInventorySequence(), b.GetLinksSequence(), b.GetGrantsSequence())
}

// sayHeld lists what the subject held that the way has not said.
func sayHeld(out io.Writer, answer *curfewv1.ExplainDecisionResponse) {
	said := map[string]bool{}
	for _, link := range answer.GetDecision().GetLinks() {
		said[linkWords(link)] = true
	}
	held := slices.DeleteFunc(slices.Clone(answer.GetHeld()), func(link *curfewv1.Link) bool { return said[linkWords(link)] })
	if len(held) == 0 {
		return
	}
	fmt.Fprintf(out, "\nWhat %s held then besides:\n", plain(answer.GetDecision().GetSubject()))
	for _, link := range held {
		fmt.Fprintf(out, "  %s\n", linkWords(link))
	}
}

// linkWords is a link in a sentence.
func linkWords(link *curfewv1.Link) string {
	holds := "holds"
	if link.GetUncertain() {
		holds = "may have held, which is not certain,"
	}
	origin := link.GetOrigin()
	if origin == "implied" {
		origin = "all of its kind do"
	}
	text := fmt.Sprintf("%s %s %s (%s)", link.GetHolder(), holds, link.GetHeld(), origin)
	if link.GetFrom() != nil {
		text += " since " + clock(link.GetFrom())
	}
	if link.GetUntil() != nil {
		text += " until " + clock(link.GetUntil())
	}
	if link.GetKnown() != nil {
		text += ", known since " + clock(link.GetKnown())
	}
	return plain(text)
}

// sayRow says a row in words where it has the shape of the shipped model's, and as it is written.
func sayRow(out io.Writer, row *curfewv1.Row) {
	fields := strings.Split(row.GetText(), ", ")
	if len(fields) == 7 && fields[0] == "p" {
		fmt.Fprintf(out, "  %s\n    ", plain(rowWords(fields[1], fields[3], fields[4], fields[5], fields[6])))
	} else {
		fmt.Fprint(out, "  ")
	}
	fmt.Fprintf(out, "%s:%d  %s\n", row.GetFile(), row.GetLine(), plain(row.GetText()))
}

func rowWords(who, object, class, act, effect string) string {
	may := map[string]string{"allow": "may", "deny": "must not"}[effect]
	switch act {
	case "*":
		act = "do anything with"
	case "login", "consent":
		act += " to"
	}
	switch class {
	case "*":
		class = "any data"
	case "level:low":
		class = "data that is not sensitive"
	case "level:high":
		class = "sensitive data"
	}
	text := fmt.Sprintf("%s %s %s %s", who, may, act, class)
	if object != "*" {
		text += " in " + object
	}
	return text
}
