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

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// grantPrinter prints grants as they stand now.
type grantPrinter func(out io.Writer, grants []*curfewv1.Grant, now time.Time) error

// printGrant says of each grant who holds what until when, and how to end it.
func printGrant(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	var text bytes.Buffer
	for _, g := range grants {
		fmt.Fprintf(&text, "%s\n", plain(grantSentence(g, now)))
		fmt.Fprintf(&text, "  why      %s\n", plain(grantReason(g)))
		fmt.Fprintf(&text, "  given    by %s\n", plain(g.GetAuthor()))
		fmt.Fprintf(&text, "  grant    %s\n", plain(g.GetId()))
		if g.GetEndedAt() == nil {
			fmt.Fprintf(&text, "  end it   curfew grant revoke %s --why \"...\"\n", plain(g.GetId()))
		}
	}
	_, err := text.WriteTo(out)
	return err
}

// grantSentence is a grant in a sentence.
func grantSentence(g *curfewv1.Grant, now time.Time) string {
	from, until := g.GetFrom().AsTime(), g.GetExpiresAt().AsTime()
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_CANCELLED:
		return fmt.Sprintf("%s was to hold %s from %s; it was cancelled at %s and never began", g.GetSubject(), g.GetRole(), clock(g.GetFrom()), clock(g.GetEndedAt()))
	case g.GetEndedAt() != nil && g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE:
		return fmt.Sprintf("%s held %s from %s until %s, when it ran out", g.GetSubject(), g.GetRole(), clock(g.GetFrom()), clock(g.GetEndedAt()))
	case g.GetEndedAt() != nil:
		return fmt.Sprintf("%s held %s from %s until %s, when it was revoked", g.GetSubject(), g.GetRole(), clock(g.GetFrom()), clock(g.GetEndedAt()))
	case now.Before(from):
		return fmt.Sprintf("%s will hold %s from %s (in %s) until %s (for %s)", g.GetSubject(), g.GetRole(), clock(g.GetFrom()), roughly(from.Sub(now)), clock(g.GetExpiresAt()), roughly(until.Sub(from)))
	default:
		return fmt.Sprintf("%s holds %s until %s (in %s)", g.GetSubject(), g.GetRole(), clock(g.GetExpiresAt()), roughly(until.Sub(now)))
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
		until, left := clock(g.GetExpiresAt()), "in "+roughly(g.GetExpiresAt().AsTime().Sub(now))
		if g.GetEndedAt() != nil {
			until, left = clock(g.GetEndedAt()), roughly(now.Sub(g.GetEndedAt().AsTime()))+" ago"
		}
		cells := []string{g.GetId(), g.GetSubject(), g.GetRole(), grantWord(g, now), until, left, grantReason(g)}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	return columns.Flush()
}

// grantWord is where a grant stands in a few words.
func grantWord(g *curfewv1.Grant, now time.Time) string {
	switch {
	case g.GetEndedAt() != nil && g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE:
		return "ran out"
	case g.GetEndedAt() == nil && now.Before(g.GetFrom().AsTime()):
		return "begins in " + roughly(g.GetFrom().AsTime().Sub(now))
	default:
		return stateWord(g.GetState())
	}
}

func stateWord(s curfewv1.GrantState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "GRANT_STATE_"))
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
		ended := ""
		if g.GetEndedAt() != nil {
			ended = clock(g.GetEndedAt())
		}
		err = errors.Join(err, s.row(g.GetId(), g.GetSubject(), g.GetRole(), stateWord(g.GetState()), clock(g.GetFrom()), clock(g.GetExpiresAt()), ended,
			g.GetAuthor(), g.GetReason(), g.GetTicket()))
	}
	return err
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
