// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// lane judges one feed. Where it stands is not kept apart: it is the event sequence in the newest decision batch, so a
// crash at any point neither skips nor repeats (docs/decisions/0002).
type lane struct {
	*evaluator
	source, feed string
}

// judge writes one decision batch for each event batch of the lane, in order, until ctx ends, and returns whether it
// wrote any. bus.ErrConflict means that another judge wrote in between.
func (l *lane) judge(ctx context.Context) (progressed bool, err error) {
	decisions := bus.DecisionSubject(l.Tenant, l.source, l.feed)
	var last, judged uint64
	newest, err := l.Bus.Last(ctx, decisions)
	switch {
	case errors.Is(err, bus.ErrNotFound):
	case err != nil:
		return false, err
	default:
		batch := new(curfewv1.DecisionBatch)
		if err := newest.Decode(batch); err != nil {
			return false, err
		}
		last, judged = newest.Sequence, batch.GetEventSequence()
		if err := l.checkEvents(ctx, batch); err != nil {
			return false, err
		}
	}
	// Judging takes the cores and writing waits for the disk, so the next batches are judged while one is written, and
	// their findings are written meanwhile.
	arrivals := make(chan arrival, 16)
	judgedBatches, told := make(chan *considered, 1), make(chan *considered, 4)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(arrivals)
		return l.Bus.Follow(ctx, bus.EventSubject(l.Tenant, l.source, l.feed), bus.From{After: judged}, func(message bus.Message) error {
			select {
			case arrivals <- arrival{message, time.Now()}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error {
		defer close(judgedBatches)
		for message := range arrivals {
			c, err := l.consider(ctx, message)
			if err != nil {
				return err
			}
			select {
			case judgedBatches <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(told)
		for c := range judgedBatches {
			if err := l.report(ctx, c); err != nil {
				return err
			}
			select {
			case told <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	written := make(chan decidedBy, 64)
	group.Go(func() error {
		defer close(written)
		for c := range told {
			var err error
			if last, err = l.settle(ctx, decisions, last, c); err != nil {
				return err
			}
			progressed = true
			select {
			case written <- decidedBy{c.by, c.answer}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error { return l.reconsider(ctx, written) })
	err = group.Wait()
	return progressed, err
}

// checkEvents refuses to go on behind decisions whose events are not what EVENTS holds under their sequence: a stream
// that lost its end gives the same sequences again, and what is new under them would never be judged.
func (l *lane) checkEvents(ctx context.Context, newest *curfewv1.DecisionBatch) error {
	subject := bus.EventSubject(l.Tenant, l.source, l.feed)
	stored, err := l.Bus.At(ctx, subject, newest.GetEventSequence())
	if errors.Is(err, bus.ErrNotFound) {
		last, err := l.Bus.Last(ctx, bus.All("event"))
		if err == nil && last.Sequence > newest.GetEventSequence() {
			return nil // kept no longer
		}
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
	} else if err != nil {
		return err
	}
	if err == nil && stored.Subject == subject && bytes.Equal(stored.Digest(), newest.GetEventDigest()) {
		return nil
	}
	return fmt.Errorf("go on behind event batch %d: EVENTS does not hold the batch that was judged under this number; the stream has lost its end or was replaced: restore it from a backup, or start with a new data directory", newest.GetEventSequence())
}

// considered is an event batch that has been judged, and not yet written.
type considered struct {
	by         *picture
	batch      *curfewv1.EventBatch
	answer     *curfewv1.DecisionBatch
	findings   []*curfewv1.Finding
	failures   []failure
	unreadable error // the batch itself could not be read; raw is what it was
	raw        []byte
}

// consider judges one event batch by all that was stored before it came, what it tells itself included.
func (l *lane) consider(ctx context.Context, message arrival) (*considered, error) {
	c := &considered{batch: new(curfewv1.EventBatch)}
	if c.unreadable = message.Decode(c.batch); c.unreadable != nil {
		// The lane must go on behind a batch that cannot be read; it will be whole among the dead letters.
		c.batch, c.raw = &curfewv1.EventBatch{Received: timestamppb.New(message.Time)}, message.Data
	}
	if err := l.tell(ctx, message.Sequence, c.batch); err != nil {
		return nil, err
	}
	by, err := l.knowledge.since(ctx, message.at)
	if err != nil {
		return nil, err
	}
	c.by = by
	c.answer, c.findings, c.failures = l.decide(by, c.batch)
	l.doubt(by, c.batch.GetEvents(), c.answer.GetDecisions())
	c.answer.EventSequence, c.answer.EventDigest = message.Sequence, message.Digest()
	return c, nil
}

// report writes the dead letters and findings of what was judged. They are on disk before the decisions, which end the
// matter: what is done twice has the same ids.
func (l *lane) report(ctx context.Context, c *considered) error {
	if c.unreadable != nil {
		if err := l.bury(ctx, "unreadable batch", c.unreadable, c.raw, ""); err != nil {
			return err
		}
	}
	for _, failure := range c.failures {
		if err := l.bury(ctx, "judge panicked", failure.err, failure.event.GetRaw(), failure.event.GetId()); err != nil {
			return err
		}
	}
	if err := l.gaps.tell(ctx, l.Options, c.by.Judge, c.batch.GetEvents(), c.answer.GetDecisions()); err != nil {
		return err
	}
	l.remember(ctx, c)
	l.recallAll(ctx, c.findings)
	l.remember(ctx, c)
	l.recallAll(ctx, c.findings)
	return l.publish(ctx, c.findings)
}

// settle writes the decisions. A second batch of them for the same events is refused by the expected sequence.
func (l *lane) settle(ctx context.Context, subject string, last uint64, c *considered) (uint64, error) {
	c.answer.PreviousSequence = last
	sequence, err := l.Bus.Append(ctx, subject, last, c.answer)
	if err != nil {
		return 0, err
	}
	l.count(c.batch, c.answer, c.findings)
	return sequence, nil
}

// findingsAtOnce is how many findings wait for the disk together.
const findingsAtOnce = 32

// publish returns nil once all findings are on disk, in whatever order.
func (l *lane) publish(ctx context.Context, findings []*curfewv1.Finding) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(findingsAtOnce)
	for _, f := range findings {
		group.Go(func() error {
			_, err := l.Bus.Publish(ctx, bus.FindingSubject(f), f.GetId(), f)
			return err
		})
	}
	return group.Wait()
}

func (l *lane) bury(ctx context.Context, reason string, why error, raw []byte, eventID string) error {
	l.Metrics.Dead("evaluator", reason)
	return l.Bus.Bury(ctx, &curfewv1.DeadLetter{
		Id:      event.ContentKey("evaluator", reason, event.Digest(raw), eventID),
		Service: "evaluator", Reason: reason, Detail: event.Clean(why.Error()), Origin: l.source + "/" + l.feed,
		Raw: raw, EventId: eventID, Time: timestamppb.New(time.Now()),
	})
}

// failure is an event that the judge could not cope with.
type failure struct {
	event *curfewv1.Event
	err   error
}

// decide judges a batch on all cores. The order of decisions and findings is that of the events.
func (l *lane) decide(by *picture, batch *curfewv1.EventBatch) (*curfewv1.DecisionBatch, []*curfewv1.Finding, []failure) {
	events := batch.GetEvents()
	answer := &curfewv1.DecisionBatch{
		Format: bus.Format, Tenant: l.Tenant, Source: l.source, Feed: l.feed, Basis: by.basis,
		Decisions: make([]*curfewv1.Decision, len(events)), Coverage: batch.GetCoverage(),
		DeadLetters: uint32(len(batch.GetDeadLetters())), Received: batch.GetReceived(),
	}
	found := make([][]*curfewv1.Finding, len(events))
	failed := make([]error, len(events))
	var workers sync.WaitGroup
	share := max(16, (len(events)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	for from := 0; from < len(events); from += share {
		workers.Go(func() {
			for i := from; i < min(from+share, len(events)); i++ {
				answer.Decisions[i], found[i], failed[i] = l.judge1(by, events[i])
			}
		})
	}
	workers.Wait()
	var findings []*curfewv1.Finding
	var failures []failure
	for i := range events {
		findings = append(findings, found[i]...)
		if failed[i] != nil {
			failures = append(failures, failure{events[i], failed[i]})
		}
	}
	return answer, findings, failures
}

// judge1 is Evaluate that survives a panic: one hostile event must not stop a lane for ever.
func (l *lane) judge1(by *picture, e *curfewv1.Event) (d *curfewv1.Decision, findings []*curfewv1.Finding, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("judge event: %v", panicked)
			findings = nil
			d = &curfewv1.Decision{
				EventId: e.GetId(), Time: e.GetTime(), Source: e.GetSource(), Feed: e.GetFeed(), Dom: l.Tenant,
				Verdict: curfewv1.Verdict_VERDICT_UNKNOWN, Reason: "the judge broke off at this event; it is among the dead letters",
			}
		}
	}()
	d, findings = by.evaluate(e)
	return d, findings, nil
}

func (l *lane) count(batch *curfewv1.EventBatch, answer *curfewv1.DecisionBatch, findings []*curfewv1.Finding) {
	for _, d := range answer.GetDecisions() {
		l.Metrics.Decided(l.source, d.GetVerdict().String())
	}
	for _, f := range findings {
		l.Metrics.Found(f.GetDetection())
	}
	l.Metrics.Behind(l.source, l.feed, time.Since(batch.GetReceived().AsTime()))
}
