// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// schedulerAuthor is who takes the steps that the clock brings.
const schedulerAuthor = "service:scheduler"

const (
	// turnBatch is how many grants are turned at once: what one batch on the bus holds. Turners prepare one while another
	// is stored.
	turnBatch, turners = bus.MaxBatch, 2
	// sweepEvery is how often all grants are looked through.
	sweepEvery = 10 * time.Second
	// storeTime is how long storing may take before it is tried again.
	storeTime = 15 * time.Second
	// storeAgain is how long what was not stored waits to be tried again.
	storeAgain = time.Second
)

// scheduler takes the steps that the clock brings to grants. Several share the work by the due index; where two take the
// same step the bus takes the first.
type scheduler struct {
	book    *grant.Book
	bus     *bus.Bus
	clock   clock.Clock
	wheel   *wheel
	log     *slog.Logger
	metrics *telemetry.Metrics
}

func newScheduler(o Options, book *grant.Book) *scheduler {
	s := &scheduler{book: book, bus: o.Bus, clock: o.Clock, log: o.Log, metrics: o.Metrics}
	s.wheel = newWheel(o, "grants", sweepEvery)
	s.wheel.limit, s.wheel.workers, s.wheel.work = turnBatch, turners, s.turn
	s.wheel.each = func(visit func(string, time.Time)) {
		book.Each(func(e grant.Entry) bool {
			visit(e.Value.GetId(), due(e.Value))
			return true
		})
	}
	return s
}

// newWheel is one over the index of that name in the tenant, without work.
func newWheel(o Options, name string, every time.Duration) *wheel {
	return &wheel{
		clock: o.Clock, every: every, wake: make(chan struct{}, 1),
		index: &dueIndex{
			name: name + "/" + o.Tenant, shared: o.State, clock: o.Clock, log: o.Log,
			failed: func() { o.Metrics.Failed("notifier", name+"-index") },
		},
	}
}

// runGrants turns grants, and tells people of them, until ctx ends, whose error it returns.
func runGrants(ctx context.Context, o Options, reach *contacts) error {
	book := grant.NewBook(o.Bus, o.Tenant)
	book.Lost = func(sequence uint64, err error) {
		o.Metrics.Unread("notifier")
		o.Log.Error("a step of a grant cannot be read; the grant stands as before it: look at it with `curfew grant show`, and end it by hand if need be",
			"sequence", sequence, "error", err)
	}
	s, t := newScheduler(o, book), newTeller(o, book, reach)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return o.again(ctx, "grants", func(ctx context.Context) error {
			return book.Follow(ctx, func(e grant.Entry) {
				s.wheel.set(e.Value.GetId(), due(e.Value))
				t.changed(e)
			})
		})
	})
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-book.Ready():
			return s.wheel.turn(ctx, o.Ready) // what is overdue comes first
		}
	})
	group.Go(func() error { return t.run(ctx) })
	return group.Wait()
}

// due is when a grant's next turn is due, and the zero time where none is to come.
func due(g *curfewv1.Grant) time.Time {
	at, ok := grant.Due(g)
	if ok && at.IsZero() {
		return time.Unix(0, 0) // one without an end has ended
	}
	return at
}

// turn takes the steps that are due, each grant's in one.
func (s *scheduler) turn(ctx context.Context, now time.Time, ids []string) {
	changes := make([]grant.Change, 0, len(ids))
	for _, id := range ids {
		entry, there := s.book.Get(id)
		if !there {
			s.wheel.set(id, time.Time{}) // it is over; or too new for this process, which will hear of it
			continue
		}
		if change := turned(entry, now); change.Next != nil {
			changes = append(changes, change)
		} else {
			s.wheel.set(id, due(entry.Value))
		}
	}
	if len(changes) > 0 {
		s.store(ctx, now, changes)
	}
}

// turned is all that the clock makes of a grant at a moment, as one step; without a Next where nothing is due.
func turned(entry grant.Entry, now time.Time) grant.Change {
	change := grant.Change{Entry: entry, Author: schedulerAuthor}
	var reasons []string
	for g := entry.Value; ; g = change.Next {
		next, why := grant.Turn(g, now)
		if next == nil {
			break
		}
		if change.Next = next; len(reasons) == 0 || reasons[len(reasons)-1] != why {
			reasons = append(reasons, why)
		}
	}
	change.Detail = strings.Join(reasons, "; ")
	return change
}

// store stores steps. What another came before is left: its step brings the newer due time. What was not stored is tried
// again soon, by itself, so that one that cannot be stored keeps no other from ending.
func (s *scheduler) store(ctx context.Context, now time.Time, changes []grant.Change) {
	storing, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	errs := s.book.Store(storing, now, changes...)
	var left []grant.Change
	var latest time.Duration
	conflicts, stored, after := 0, 0, s.clock.Now()
	var reason error
	for i, c := range changes {
		switch {
		case errs[i] == nil:
			stored++
			latest = max(latest, after.Sub(due(c.Entry.Value)))
			s.wheel.set(c.Next.GetId(), due(c.Next))
		case errors.Is(errs[i], bus.ErrConflict):
			conflicts++
		default:
			left, reason = append(left, c), errs[i]
		}
	}
	s.metrics.Turned("stored", stored)
	s.metrics.Turned("conflict", conflicts)
	if stored > 0 {
		s.metrics.Late(latest)
	}
	switch {
	case len(left) == 0 || ctx.Err() != nil:
	case len(left) > 1 && s.bus.Ready(ctx) == nil: // one of them is at fault, not the bus
		s.store(ctx, now, left[:len(left)/2])
		s.store(ctx, now, left[len(left)/2:])
	default:
		s.metrics.Turned("failed", len(left))
		s.log.Error("steps of grants were not stored, and are tried again", "grants", len(left), "first", left[0].Next.GetId(), "error", reason)
		for _, c := range left {
			s.wheel.set(c.Next.GetId(), after.Add(storeAgain))
		}
	}
}
