// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// coverage is what of time one lane's reads covered: spans [from, until), in any order and overlapping until asked for.
type coverage struct {
	source, feed string
	deadLetters  uint64
	spans        []span
	last         uint64   // sequence of the newest batch seen; 0 = none yet
	missing      []uint64 // sequences behind which one is missing
}

// follow notes a batch and what it says came before it. Before the first one seen others may have been kept no longer.
func (c *coverage) follow(sequence, previous uint64) {
	if c.last != 0 && previous != c.last {
		c.missing = append(c.missing, c.last)
	}
	c.last = sequence
}

type span struct{ from, until time.Time }

// add notes a span. Spans that follow on the last one, as those of a lane do, make it longer.
func (c *coverage) add(from, until time.Time) {
	if !from.Before(until) {
		return
	}
	if n := len(c.spans); n > 0 && !from.Before(c.spans[n-1].from) && !from.After(c.spans[n-1].until) {
		if until.After(c.spans[n-1].until) {
			c.spans[n-1].until = until
		}
		return
	}
	c.spans = append(c.spans, span{from, until})
}

// message says what of the window was covered and what was not. A window without a beginning begins at the lane's first
// span; one without an end ends now.
func (c *coverage) message(from, until *timestamppb.Timestamp, now time.Time) *curfewv1.LaneCoverage {
	answer := &curfewv1.LaneCoverage{Source: c.source, Feed: c.feed, DeadLetters: c.deadLetters, MissingBehind: c.missing}
	slices.SortFunc(c.spans, func(a, b span) int { return a.from.Compare(b.from) })
	merged := &coverage{}
	for _, s := range c.spans {
		merged.add(s.from, s.until)
	}
	end := now
	if until != nil && until.AsTime().Before(now) {
		end = until.AsTime()
	}
	reached := end
	if len(merged.spans) > 0 {
		reached = merged.spans[0].from
	}
	if from != nil {
		reached = from.AsTime()
	}
	for _, s := range merged.spans {
		s.from, s.until = later(s.from, reached), earlier(s.until, end)
		if !s.from.Before(s.until) {
			continue
		}
		if reached.Before(s.from) {
			answer.Gaps = append(answer.Gaps, asCoverage(reached, s.from))
		}
		answer.Covered = append(answer.Covered, asCoverage(s.from, s.until))
		reached = s.until
	}
	if reached.Before(end) {
		answer.Gaps = append(answer.Gaps, asCoverage(reached, end))
	}
	return answer
}

func asCoverage(from, until time.Time) *curfewv1.Coverage {
	return &curfewv1.Coverage{From: timestamppb.New(from), Until: timestamppb.New(until)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
