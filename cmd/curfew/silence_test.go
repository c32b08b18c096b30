// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A silence that is over says when it ended, and not when it would have.
func TestHowASilenceStands(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	at := func(from time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(from)) }
	for _, c := range []struct {
		name  string
		in    *curfewv1.Silence
		want  string
		until string // in the table
	}{
		{"in force", &curfewv1.Silence{From: at(-time.Hour), Until: at(time.Hour)}, "in force until 2026-11-02T10:00:00Z (in 1h)", "2026-11-02T10:00:00Z (in 1h)"},
		{"almost over", &curfewv1.Silence{From: at(-time.Hour), Until: at(time.Millisecond)}, "in force until 2026-11-02T09:00:00Z (in a moment)", "2026-11-02T09:00:00Z (in a moment)"},
		{"to come", &curfewv1.Silence{From: at(time.Hour), Until: at(2 * time.Hour)}, "to come at 2026-11-02T10:00:00Z (in 1h), until 2026-11-02T11:00:00Z (in 2h)", "2026-11-02T11:00:00Z (in 2h)"},
		{"ended", &curfewv1.Silence{From: at(-time.Hour), Until: at(2 * time.Hour), Ended: at(-time.Minute), Ender: "person:ben"}, "ended by person:ben at 2026-11-02T08:59:00Z (1m ago)", "2026-11-02T08:59:00Z (1m ago)"},
		{"just ended", &curfewv1.Silence{From: at(-time.Hour), Until: at(2 * time.Hour), Ended: at(-1), Ender: "person:ben"}, "ended by person:ben at 2026-11-02T08:59:59Z (just now)", "(just now)"},
		{"over", &curfewv1.Silence{From: at(-2 * time.Hour), Until: at(-time.Hour)}, "over since 2026-11-02T08:00:00Z (1h ago)", "2026-11-02T08:00:00Z (1h ago)"},
		{"proposed", &curfewv1.Silence{From: at(0), Until: at(time.Hour), ApprovalsNeeded: 1}, "proposed until 2026-11-02T10:00:00Z (in 1h)", "2026-11-02T10:00:00Z (in 1h)"},
		{"refused", &curfewv1.Silence{From: at(-time.Hour), Until: at(time.Hour), ApprovalsNeeded: 1, Ended: at(-time.Minute), Ender: "person:cat"}, "refused by person:cat at 2026-11-02T08:59:00Z (1m ago)", "2026-11-02T08:59:00Z (1m ago)"},
	} {
		c.in.Id, c.in.Kind, c.in.Match, c.in.Author, c.in.Reason = "s-a", curfewv1.SilenceKind_SILENCE_KIND_SILENCE, &curfewv1.SilenceMatch{Entity: "person:ann"}, "person:ida", "x"
		var card, table bytes.Buffer
		if err := printSilence(&card, []*curfewv1.Silence{c.in}, now); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(card.String(), "\n"); got != "s-a  silence: about person:ann; "+c.want {
			t.Errorf("%s: got %q, want it to end in %q", c.name, got, c.want)
		}
		if err := printSilences(&table, []*curfewv1.Silence{c.in}, now); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(table.String(), c.until+"  person:ida") {
			t.Errorf("%s: got table\n%swant %q in it", c.name, table.String(), c.until)
		}
	}
}
