// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// correctAtOnce is how many records are looked at in one pass over what they might have changed.
const correctAtOnce = 256

// correct follows what is learnt of links and looks for decisions that it would have changed, until ctx ends. Decisions
// stay as they are: what was known when they were made is in their basis. A finding says what would be decided now.
// Replicas share the work; a record is done with once all findings about it are on disk.
func (e *evaluator) correct(ctx context.Context, i int) error {
	consumer := bus.Consumer{Service: "evaluator", Name: "corrections_" + e.Tenant, Filter: bus.All(linkStreams[i], e.Tenant)}
	return e.again(ctx, "corrections", func(ctx context.Context) error {
		return e.Bus.Drain(ctx, consumer, correctAtOnce, func(ctx context.Context, messages []bus.Message) error {
			return e.correctAfter(ctx, i, messages)
		})
	})
}

// correctAfter looks once through every decision that some records might have changed.
func (e *evaluator) correctAfter(ctx context.Context, i int, messages []bus.Message) error {
	last := messages[len(messages)-1].Sequence
	var until reached
	until[i] = last
	if err := e.knowledge.wait(ctx, until); err != nil {
		return err
	}
	from := temporal.End
	for _, m := range messages {
		if at, changed := e.knowledge.changed(i, m.Sequence); changed {
			from = min(from, at)
		}
	}
	if from == temporal.End {
		return nil
	}
	by := e.knowledge.now()
	start := bus.From{}
	if from > 0 {
		// A decision is stored after its event happened, but for clocks that differ.
		start.Time = time.Unix(0, from).Add(-judge.MaxSkew)
		if start.Time.After(time.Now()) {
			return nil
		}
	}
	return e.Bus.Read(ctx, bus.All("decision", e.Tenant), start, func(m bus.Message) error {
		decided := new(curfewv1.DecisionBatch)
		if err := m.Decode(decided); err != nil {
			e.Log.Warn("a batch of decisions cannot be read, so that nothing is corrected of it", "sequence", m.Sequence, "error", err)
			return nil
		}
		if positions(decided.GetBasis())[i] >= last {
			return nil // it was judged knowing all of this
		}
		return e.judgeAgain(ctx, by, decided, from)
	})
}

// judgeAgain tells of the decisions of a batch about events from some moment on that would be others now.
func (e *evaluator) judgeAgain(ctx context.Context, by *picture, decided *curfewv1.DecisionBatch, from int64) error {
	concerned := false
	for _, d := range decided.GetDecisions() {
		concerned = concerned || isFrom(d, decided, from)
	}
	if !concerned || decided.GetSource() == judge.Self {
		return nil // Curfew's own calls were answered by what was decided then
	}
	stored, err := e.Bus.At(ctx, bus.EventSubject(e.Tenant, decided.GetSource(), decided.GetFeed()), decided.GetEventSequence())
	if errors.Is(err, bus.ErrNotFound) {
		return nil // kept no longer
	}
	if err != nil {
		return err
	}
	batch := new(curfewv1.EventBatch)
	if err := stored.Decode(batch); err != nil || len(batch.GetEvents()) != len(decided.GetDecisions()) {
		return nil // what could not be read then was said then
	}
	for i, was := range decided.GetDecisions() {
		if !isFrom(was, decided, from) || was.GetPolicyDigest() == "" {
			continue
		}
		is := by.Decide(batch.GetEvents()[i])
		if is.GetVerdict() == was.GetVerdict() {
			continue
		}
		finding := detection.Changed(detection.Input{Event: batch.GetEvents()[i], Decision: is, Sensitivity: by.Sensitivity(is)}, was)
		finding.Context = by.context(batch.GetEvents()[i], is)
		finding.Context = by.context(batch.GetEvents()[i], is)
		if _, err := e.Bus.Publish(ctx, bus.FindingSubject(finding), finding.GetId(), finding); err != nil {
			return err
		}
		e.Metrics.Found(finding.GetDetection())
	}
	return nil
}

// isFrom is whether a decision is about an event that happened at a moment or after it.
func isFrom(d *curfewv1.Decision, batch *curfewv1.DecisionBatch, from int64) bool {
	return temporal.Nanos(judge.Placed(d.GetTime(), batch.GetReceived()).AsTime()) >= from
}

// decidedBy is a batch of decisions on disk, and what judged it.
type decidedBy struct {
	by    *picture
	batch *curfewv1.DecisionBatch
}

// reconsider looks again at what was learnt while batches were judged and written: who looks for corrections may have read
// DECISIONS before they stood there. It ends when written is closed.
func (e *evaluator) reconsider(ctx context.Context, written <-chan decidedBy) error {
	for first := range written {
		waiting := []decidedBy{first}
		for more := true; more && len(waiting) < cap(written); {
			select {
			case next, open := <-written:
				if more = open; open {
					waiting = append(waiting, next)
				}
			default:
				more = false
			}
		}
		now, err := e.knowledge.since(ctx, time.Now())
		if err != nil {
			return err
		}
		for _, d := range waiting {
			if from := e.knowledge.changedBetween(d.by.basis, now.basis); from < temporal.End {
				if err := e.judgeAgain(ctx, now, d.batch, from); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
