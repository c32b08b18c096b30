// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"log/slog"
	"time"

	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/state"
)

// answerTime is how long derived state may take for one answer.
const answerTime = 2 * time.Second

// retryTime is how long derived state that does not answer is left alone.
const retryTime = 10 * time.Second

// dueIndex is a due index in derived state, and while that does not answer one of this process alone: then several may
// do the same work, of which the bus takes the first. For one caller at a time.
type dueIndex struct {
	name   string
	shared state.Store
	clock  clock.Clock
	log    *slog.Logger
	failed func()

	own   *state.Memory // nil while the shared one answers
	since time.Time     // when it was asked and did not, last
	// changed says that it is another index now, and that what is due soon is to be put in anew.
	changed bool
}

// schedule sets when items are due.
func (x *dueIndex) schedule(ctx context.Context, dues map[string]time.Time) {
	x.retry(ctx)
	if len(dues) == 0 {
		return
	}
	exact := make(map[string]time.Time, len(dues))
	for id, due := range dues {
		if !due.IsZero() {
			due = due.Add(time.Microsecond - 1) // an index counts whole ones: never too early
		}
		exact[id] = due
	}
	on(ctx, x, func(ctx context.Context, s state.Store) (struct{}, error) {
		return struct{}{}, s.ScheduleAll(ctx, x.name, exact)
	})
}

// retry goes back to the shared index once that answers again.
func (x *dueIndex) retry(ctx context.Context) {
	now := x.clock.Now()
	if x.own == nil || now.Sub(x.since) < retryTime && !now.Before(x.since) {
		return
	}
	x.since = now
	if x.ask(ctx, x.shared.Ready) == nil {
		x.own, x.changed = nil, true
		x.log.Info("derived state answers again", "index", x.name)
	}
}

// claim takes items that are due.
func (x *dueIndex) claim(ctx context.Context, now time.Time, hold time.Duration, limit int) []string {
	return on(ctx, x, func(ctx context.Context, s state.Store) ([]string, error) {
		return s.Claim(ctx, x.name, now, hold, limit)
	})
}

// next is when the first item is due.
func (x *dueIndex) next(ctx context.Context) (due time.Time, ok bool) {
	due = on(ctx, x, func(ctx context.Context, s state.Store) (time.Time, error) {
		next, there, err := s.Next(ctx, x.name)
		ok = there
		return next, err
	})
	return due, ok
}

// late is how late an item must be for a sweep to put it in again: who claimed it has not done it.
func (x *dueIndex) late() time.Duration {
	if x.own != nil {
		return 0
	}
	return patience
}

// on asks the index. Where derived state does not answer, one of its own does.
func on[T any](ctx context.Context, x *dueIndex, ask func(context.Context, state.Store) (T, error)) (answer T) {
	if x.own == nil {
		err := x.ask(ctx, func(ctx context.Context) (err error) {
			answer, err = ask(ctx, x.shared)
			return err
		})
		if err == nil || ctx.Err() != nil {
			return answer
		}
		x.log.Warn("derived state does not answer; grants end by this process's own clock until it does", "index", x.name, "error", err)
		x.failed()
		x.own, x.since, x.changed = state.NewMemory(), x.clock.Now(), true
	}
	answer, _ = ask(ctx, x.own) // memory always answers
	return answer
}

func (x *dueIndex) ask(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return ask(ctx)
}
