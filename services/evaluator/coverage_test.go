// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestCoverage(t *testing.T) {
	at := func(minute int) time.Time { return morning.Add(time.Duration(minute) * time.Minute) }
	stamp := func(minute int) *timestamppb.Timestamp {
		if minute < 0 {
			return nil
		}
		return timestamppb.New(at(minute))
	}
	const open = -1
	for _, c := range []struct {
		name          string
		spans         [][2]int
		from, until   int
		covered, gaps string
	}{
		{"nothing read", nil, 0, 60, "", "0-60"},
		{"nothing read, no window", nil, open, open, "", ""},
		{"whole", [][2]int{{0, 30}, {30, 60}}, 0, 60, "0-60", ""},
		{"a hole", [][2]int{{0, 20}, {40, 60}}, 0, 60, "0-20 40-60", "20-40"},
		{"out of order and overlapping", [][2]int{{40, 60}, {0, 30}, {20, 45}}, 0, 60, "0-60", ""},
		{"cut to the window", [][2]int{{0, 100}}, 10, 20, "10-20", ""},
		{"before and behind", [][2]int{{20, 30}}, 10, 40, "20-30", "10-20 30-40"},
		{"no window ends now", [][2]int{{20, 30}}, open, open, "20-30", "30-100"},
		{"a window to come ends now", [][2]int{{0, 100}}, 0, 200, "0-100", ""},
		{"an empty span", [][2]int{{5, 5}}, 0, 10, "", "0-10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lane := &coverage{}
			for _, s := range c.spans {
				lane.add(at(s[0]), at(s[1]))
			}
			got := lane.message(stamp(c.from), stamp(c.until), at(100))
			if covered, gaps := minutes(got.GetCovered()), minutes(got.GetGaps()); covered != c.covered || gaps != c.gaps {
				t.Errorf("got %q without %q, want %q without %q", covered, gaps, c.covered, c.gaps)
			}
		})
	}
}

func minutes(spans []*curfewv1.Coverage) string {
	texts := make([]string, 0, len(spans))
	for _, s := range spans {
		texts = append(texts, fmt.Sprintf("%d-%d", int(s.GetFrom().AsTime().Sub(morning).Minutes()), int(s.GetUntil().AsTime().Sub(morning).Minutes())))
	}
	return strings.Join(texts, " ")
}
