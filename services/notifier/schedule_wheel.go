// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/clock"
)

// nap is how long a wheel sleeps at most: so soon does it see that the clock was moved or that the index lost something.
const nap = time.Second

// hold is how long whoever claimed an item has it for themselves.
const hold = 30 * time.Second

// ahead is how many sweeps a sweep looks ahead, and patience how late something has to be for it to be taken from
// whoever claimed it.
const (
	ahead    = 6
	patience = 10 * time.Second
)

// wheel hands over what is due: soon by the due index, which it shares with other processes, and in any case by a sweep
// through all there is.
type wheel struct {
	clock clock.Clock
	index *dueIndex
	// limit is how many items work takes at once, and workers how many works there are at a time.
	limit, workers int
	// every is how often it sweeps.
	every time.Duration
	// each visits all there is, with when it is due: in no order, the zero time where nothing is.
	each func(visit func(id string, due time.Time))
	// work does what is due at a time of the clock. What it does not set anew comes again after hold.
	work func(ctx context.Context, now time.Time, ids []string)

	wake chan struct{}

	mu    sync.Mutex
	dues  map[string]time.Time // changed since they were put into the index
	begun bool                 // something was put there
	until time.Time            // when it wakes by itself
}

// set notes when an item is due; the zero time: not at all.
func (w *wheel) set(id string, due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(id, due)
}

func (w *wheel) put(id string, due time.Time) {
	if due.IsZero() && !w.begun {
		delete(w.dues, id) // nothing is there yet, or it is found out of place when it comes: most of the past is over
		return
	}
	if w.dues == nil {
		w.dues = map[string]time.Time{}
	}
	w.dues[id] = due
	if !due.IsZero() && due.Before(w.until) {
		w.until = due // once is enough
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// turn hands over what is due, as long as ctx lasts, whose error it returns. Ready is called once what was overdue at the
// beginning is being worked on.
func (w *wheel) turn(ctx context.Context, ready func()) error {
	var works errgroup.Group
	works.SetLimit(w.workers)
	sweeping := make(chan struct{}, 1)
	defer func() {
		_ = works.Wait() // none returns an error
		sweeping <- struct{}{}
	}()
	swept := w.clock.Now()
	for {
		w.flush(ctx)
		for w.index.changed {
			w.index.changed = false
			w.index.schedule(ctx, w.sweep(w.clock.Now(), w.index.late()))
		}
		now := w.clock.Now()
		if now.Sub(swept) >= w.every || now.Before(swept) {
			select {
			case sweeping <- struct{}{}: // beside the work, which would wait for it
				swept = now
				go func(late time.Duration) {
					w.found(w.sweep(now, late))
					<-sweeping
				}(w.index.late())
			default:
			}
		}
		ids := w.index.claim(ctx, now, hold, w.limit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(ids) > 0 {
			works.Go(func() error {
				w.work(ctx, now, ids)
				return nil
			})
		}
		if len(ids) == w.limit {
			continue // there may be more
		}
		if ready != nil {
			ready()
			ready = nil
		}
		d, until := w.sleep(ctx)
		alarm := w.clock.After(d)
		if !w.clock.Now().Before(until) {
			continue // it was moved meanwhile
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		case <-alarm:
		}
	}
}

// flush puts into the index what changed.
func (w *wheel) flush(ctx context.Context) {
	w.mu.Lock()
	dues := w.dues
	w.dues, w.begun = nil, true
	w.mu.Unlock()
	w.index.schedule(ctx, dues)
}

// sweep is what comes soon, and what is so late that it must have been lost.
func (w *wheel) sweep(now time.Time, late time.Duration) map[string]time.Time {
	dues := map[string]time.Time{}
	w.each(func(id string, due time.Time) {
		if !due.IsZero() && due.Before(now.Add(ahead*w.every)) && (due.After(now) || now.Sub(due) >= late) {
			dues[id] = due
		}
	})
	return dues
}

// found notes what a sweep found, where nothing newer is known.
func (w *wheel) found(dues map[string]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, due := range dues {
		if _, newer := w.dues[id]; !newer {
			w.put(id, due)
		}
	}
}

// sleep is how long, and until when, nothing is due.
func (w *wheel) sleep(ctx context.Context) (d time.Duration, until time.Time) {
	now := w.clock.Now()
	until = now.Add(nap)
	if next, ok := w.index.next(ctx); ok && next.Before(until) {
		until = next
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, due := range w.dues { // few: they came since flush
		if !due.IsZero() && due.Before(until) {
			until = due
		}
	}
	w.until = until
	return until.Sub(now), until
}
