// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
)

const (
	// confirmShare is for how long confirming rests after each question, in times of what that took: at most a fiftieth of
	// one core goes to it.
	confirmShare = 49
	// confirmWaiting is how many decisions may wait to be confirmed; what comes while so many wait is counted as skipped.
	confirmWaiting = 256
	// confirmSample is how many allowed decisions there are for each that is confirmed.
	confirmSample = 1000
)

// doubted is a decision to be confirmed.
type doubted struct {
	by       *picture
	event    *curfewv1.Event
	decision *curfewv1.Decision
}

// doubt hands violations, and some of the rest, over to be confirmed. It never waits.
func (e *evaluator) doubt(by *picture, events []*curfewv1.Event, decisions []*curfewv1.Decision) {
	for i, d := range decisions {
		if d.GetVerdict() == curfewv1.Verdict_VERDICT_UNKNOWN {
			continue
		}
		if d.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED {
			if e.allowed.Add(1)%confirmSample != 0 {
				continue
			}
		}
		select {
		case e.doubted <- doubted{by, events[i], d}:
		default:
			e.Metrics.Confirmed("skipped")
		}
	}
}

// confirm asks Casbin over every row about what was decided over the rows that the index picked, until ctx ends. The two
// must never differ: a mismatch means that decisions are wrong.
func (e *evaluator) confirm(ctx context.Context) error {
	var told time.Time
	for {
		var d doubted
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d = <-e.doubted:
		}
		begun := time.Now()
		if d.by.Confirm(d.event, d.decision) {
			e.Metrics.Confirmed("same")
		} else {
			e.Metrics.Confirmed("mismatch")
			e.Log.Error("a decision is not what Casbin says over every row: please report it, and judge by no index until it is mended",
				"event", d.event.GetId(), "verdict", d.decision.GetVerdict(), "row", d.decision.GetRow().GetLine(), "policy", d.decision.GetPolicyDigest())
			told = e.tellMismatch(ctx, d, told)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(confirmShare * time.Since(begun)):
		}
	}
}

// tellMismatch publishes that decisions are wrong, unless it was told in this hour; it returns when it was told last.
func (e *evaluator) tellMismatch(ctx context.Context, d doubted, told time.Time) time.Time {
	now := time.Now()
	if now.Truncate(time.Hour).Equal(told.Truncate(time.Hour)) {
		return told
	}
	f := detection.Mismatch(detection.Input{Event: d.event, Decision: d.decision}, now)
	if _, err := e.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f); err != nil {
		e.Log.Error("that decisions are wrong could not be published; the next mismatch is", "error", err)
		return told
	}
	e.Metrics.Found(f.GetDetection())
	return now
}
