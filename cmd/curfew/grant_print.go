// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// grantPrinter prints grants as they stand now.
type grantPrinter func(out io.Writer, grants []*curfewv1.Grant, now time.Time) error

// printGrant says of each grant who holds what until when, and how to end it.
func printGrant(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	var text bytes.Buffer
	for _, g := range grants {
		for _, line := range grantCard(g, now) {
			fmt.Fprintln(&text, plain(line))
		}
	}
	_, err := text.WriteTo(out)
	return err
}

// printTry is printGrant of what was only tried.
func printTry(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	head := "nothing was stored: this is what would be:"
	if len(grants) == 1 && grants[0].GetId() != "" {
		head = "nothing was stored: the key made this grant already:"
	}
	_, err := fmt.Fprintln(out, head)
	return errors.Join(err, printGrant(out, grants, now))
}

// grantCard is a grant in a few lines, the last of which says what can be done with it.
func grantCard(g *curfewv1.Grant, now time.Time) []string {
	lines := []string{grantSentence(g, now)}
	add := func(name, format string, arguments ...any) {
		lines = append(lines, fmt.Sprintf("  %-8s %s", name, fmt.Sprintf(format, arguments...)))
	}
	if g.GetReason() != "" || g.GetTicket() != "" {
		add("why", "%s", grantReason(g))
	}
	waiting := g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED
	if waiting || g.GetAnswerBy() != nil || len(g.GetApprovals()) > 0 {
		add("asked", "by %s", g.GetAuthor())
	} else {
		add("given", "by %s", g.GetAuthor())
	}
	for _, yes := range g.GetApprovals() {
		add("approved", "by %s at %s%s", yes.GetAuthor(), clock(yes.GetTime()), behind(yes.GetComment()))
	}
	if waiting {
		add("needs", "%s", needs(g, g.GetApprovals()))
		add("answer", "until %s", when(g.GetAnswerBy(), now))
	}
	if e := g.GetExtension(); e != nil {
		add("more", "%s asks for %s more, until %s%s", e.GetAuthor(), roughly(e.GetBy().AsDuration()), clock(timestamppb.New(g.GetExpiresAt().AsTime().Add(e.GetBy().AsDuration()))), behind(e.GetReason()))
		add("needs", "%s, until %s", needs(g, e.GetApprovals()), when(e.GetAnswerBy(), now))
	}
	if g.GetBreakGlass() {
		add("glass", "%s", reviewSentence(g, now))
	}
	for _, held := range g.GetPrivileges() {
		add("at SaaS", "%s: %s", privilegeName(held.GetPrivilege()), stageWord(held))
	}
	if residual := residuals(g); residual != "" {
		add("residual", "%s", residual)
	}
	if g.GetId() == "" { // nothing can be done with what was only tried
		return lines
	}
	add("grant", "%s", g.GetId())
	switch {
	case waiting || g.GetExtension() != nil:
		add("answer", "curfew request approve %s, or deny %s --why \"...\"", g.GetId(), g.GetId())
	case g.GetEndedAt() == nil:
		add("end it", "curfew grant revoke %s --why \"...\"", g.GetId())
	}
	return lines
}

// needs is how many persons have yet to say yes, and who may.
func needs(g *curfewv1.Grant, given []*curfewv1.Approval) string {
	text := fmt.Sprintf("%d of %d approvals are there", len(given), g.GetApprovalsNeeded())
	if len(g.GetApprovers()) == 0 {
		return text + "; nobody is named in the policy who may approve it"
	}
	return text + "; it can be approved by " + strings.Join(g.GetApprovers(), ", ")
}

func reviewSentence(g *curfewv1.Grant, now time.Time) string {
	if seen := g.GetReview(); seen != nil {
		return fmt.Sprintf("taken in an emergency; %s looked at it at %s%s", seen.GetAuthor(), clock(seen.GetTime()), behind(seen.GetComment()))
	}
	text := "taken in an emergency; somebody else has to look at it until " + when(g.GetReviewBy(), now)
	if g.GetId() == "" {
		return text
	}
	return fmt.Sprintf("%s: curfew grant review %s --comment \"...\"", text, g.GetId())
}

// behind is a remark behind a sentence.
func behind(remark string) string {
	if remark == "" {
		return ""
	}
	return ": " + remark
}

// when is a moment with how far off it is.
func when(at *timestamppb.Timestamp, now time.Time) string {
	if left := at.AsTime().Sub(now); left >= 0 {
		return clock(at) + " (in " + roughly(left) + ")"
	}
	return clock(at) + " (" + roughly(now.Sub(at.AsTime())) + " ago)"
}

// grantSentence is a grant in a sentence.
func grantSentence(g *curfewv1.Grant, now time.Time) string {
	who, role, from, until := g.GetSubject(), g.GetRole(), clock(g.GetFrom()), g.GetExpiresAt()
	ended := clock(g.GetEndedAt())
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_REQUESTED:
		begin := ""
		if g.GetFrom() != nil {
			begin = " from " + from
		}
		if g.GetDuration() != nil {
			return fmt.Sprintf("%s is to hold %s%s for %s", who, role, begin, roughly(g.GetDuration().AsDuration()))
		}
		return fmt.Sprintf("%s is to hold %s%s until %s", who, role, begin, when(until, now))
	case curfewv1.GrantState_GRANT_STATE_DENIED:
		return fmt.Sprintf("%s was to hold %s; it was denied at %s", who, role, ended)
	case curfewv1.GrantState_GRANT_STATE_CANCELLED:
		if g.GetFrom() == nil {
			return fmt.Sprintf("%s was to hold %s; it was cancelled at %s and never began", who, role, ended)
		}
		return fmt.Sprintf("%s was to hold %s from %s; it was cancelled at %s and never began", who, role, from, ended)
	case curfewv1.GrantState_GRANT_STATE_FAILED:
		return fmt.Sprintf("%s was to hold %s; it could not be given, which was given up at %s", who, role, ended)
	case curfewv1.GrantState_GRANT_STATE_GRANTING:
		return fmt.Sprintf("%s is being given %s until %s", who, role, when(until, now))
	case curfewv1.GrantState_GRANT_STATE_REVOKING:
		return fmt.Sprintf("%s held %s from %s until %s; it is being taken away", who, role, from, ended)
	case curfewv1.GrantState_GRANT_STATE_UNVERIFIED:
		return fmt.Sprintf("%s held %s from %s until %s; it was taken away, and is not yet seen gone", who, role, from, ended)
	case curfewv1.GrantState_GRANT_STATE_STUCK:
		return fmt.Sprintf("%s held %s from %s until %s; a person has to take it away", who, role, from, ended)
	default:
		return grantTimes(g, now)
	}
}

// grantTimes is a grant in a sentence that was approved and of which nothing is under way.
func grantTimes(g *curfewv1.Grant, now time.Time) string {
	who, role, from, until, ended := g.GetSubject(), g.GetRole(), clock(g.GetFrom()), g.GetExpiresAt(), clock(g.GetEndedAt())
	begins, left := g.GetFrom().AsTime(), until.AsTime().Sub(now)
	switch {
	case g.GetEndedAt() != nil && g.GetState() != curfewv1.GrantState_GRANT_STATE_REVOKED, g.GetEndedAt() != nil && !g.GetEndedAt().AsTime().Before(until.AsTime()):
		return fmt.Sprintf("%s held %s from %s until %s, when it ran out", who, role, from, ended)
	case g.GetEndedAt() != nil:
		return fmt.Sprintf("%s held %s from %s until %s, when it was revoked", who, role, from, ended)
	case now.Before(begins):
		return fmt.Sprintf("%s will hold %s from %s (in %s) until %s (for %s)", who, role, from, roughly(begins.Sub(now)), clock(until), roughly(until.AsTime().Sub(begins)))
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED:
		return fmt.Sprintf("%s is about to be given %s until %s", who, role, when(until, now))
	default:
		return fmt.Sprintf("%s holds %s until %s (in %s)", who, role, clock(until), roughly(left))
	}
}

func grantReason(g *curfewv1.Grant) string {
	if g.GetTicket() == "" {
		return g.GetReason()
	}
	return g.GetReason() + " (" + g.GetTicket() + ")"
}

// printGrants is a table, a grant a line.
func printGrants(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	if len(grants) == 0 {
		_, err := fmt.Fprintln(out, "no grants; --all shows ended ones too")
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "GRANT\tWHO\tROLE\tSTATE\tUNTIL\t\tWHY")
	for _, g := range grants {
		until, left := grantUntil(g, now)
		cells := []string{g.GetId(), g.GetSubject(), g.GetRole(), grantWord(g, now), until, left, grantReason(g)}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	return columns.Flush()
}

// grantUntil is when a grant ends or ended, and how far off that is.
func grantUntil(g *curfewv1.Grant, now time.Time) (until, left string) {
	switch {
	case g.GetEndedAt() != nil:
		return clock(g.GetEndedAt()), roughly(now.Sub(g.GetEndedAt().AsTime())) + " ago"
	case g.GetExpiresAt() == nil:
		return "-", "for " + roughly(g.GetDuration().AsDuration())
	default:
		return clock(g.GetExpiresAt()), "in " + roughly(g.GetExpiresAt().AsTime().Sub(now))
	}
}

// grantWord is where a grant stands in a few words.
func grantWord(g *curfewv1.Grant, now time.Time) string {
	switch {
	case g.GetEndedAt() != nil && grant.IsWanted(g):
		return "ran out"
	case g.GetExtension() != nil:
		return "more asked for"
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED && now.Before(g.GetFrom().AsTime()):
		return "begins in " + roughly(g.GetFrom().AsTime().Sub(now))
	default:
		return stateWord(g.GetState())
	}
}

func stateWord(s curfewv1.GrantState) string {
	return grant.Say(s)
}

// printGrantLines is JSON, a grant a line.
func printGrantLines(out io.Writer, grants []*curfewv1.Grant, _ time.Time) error {
	var text bytes.Buffer
	var lines jsonWriter
	for _, g := range grants {
		if err := lines.write(&text, g); err != nil {
			return err
		}
		text.WriteByte('\n')
	}
	_, err := text.WriteTo(out)
	return err
}

// printGrantSheet is CSV.
func printGrantSheet(out io.Writer, grants []*curfewv1.Grant, _ time.Time) error {
	s := sheet{out, csv.NewWriter(out)}
	err := s.row("grant", "subject", "role", "state", "from", "expires_at", "ended_at", "author", "reason", "ticket")
	for _, g := range grants {
		err = errors.Join(err, s.row(g.GetId(), g.GetSubject(), g.GetRole(), stateWord(g.GetState()), cell(g.GetFrom()), cell(g.GetExpiresAt()), cell(g.GetEndedAt()),
			g.GetAuthor(), g.GetReason(), g.GetTicket()))
	}
	return err
}

// cell is a moment in a sheet; "" where there is none.
func cell(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return clock(at)
}

// roughly is a length of time in its two largest units.
func roughly(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	}
	const day = 24 * time.Hour
	d = d.Round(time.Minute)
	days, hours, minutes := d/day, d%day/time.Hour, d%time.Hour/time.Minute
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	default:
		return fmt.Sprintf("%dm", minutes)
	}
}
