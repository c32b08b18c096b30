// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxEvents bounds a batch so that its decisions, each of bounded size, fit one message too.
	maxEvents = 256
	// maxRaw is the size from which a vendor's record goes to the object store.
	maxRaw = 128 << 10
	// quiet is how long a feed that gives nothing new may go without a batch; its coverage is stored with the next.
	quiet = time.Minute
)

// lane reads one feed and is its only writer. What it knows comes from the lane itself: where reading goes on, and which
// events are there already.
type lane struct {
	Options
	source, feed string
	from         Source
	interval     time.Duration
	decode       event.Decode
	polled, hook bool // by which ways its events come
	wake         chan struct{}
	room         *vendorhttp.Room

	mu       sync.Mutex // polling and merging take turns
	last     uint64     // sequence of the newest batch
	digest   []byte     // of the newest batch as stored
	cursor   string     // of the newest batch as stored
	newest   time.Time
	repeated window
	replayed replays
	pending  *curfewv1.EventBatch // webhooks on their way in
	held     int                  // bytes of their records
	// stored is when a read was stored last; unstored is the coverage that waits to be.
	stored   time.Time
	unstored *curfewv1.Coverage
	covers   bool // some coverage was stored since the lane was restored
}

// read restores the lane from the bus, then polls and merges webhooks until ctx ends or something fails, and returns
// whether it stored anything. bus.ErrConflict means that another reader wrote in between.
func (l *lane) read(ctx context.Context) (progressed bool, err error) {
	if err := l.restore(ctx); err != nil {
		return false, err
	}
	if l.last == 0 {
		// A lane begins with an empty batch, so that a source that never answers is seen as a gap and not as nothing.
		begin := &curfewv1.EventBatch{Format: bus.Format, Tenant: l.Tenant, Source: l.source, Feed: l.feed, Received: timestamppb.New(time.Now()), More: true}
		if err := l.append(ctx, begin); err != nil {
			return false, err
		}
	}
	began, at := l.last, l.cursor
	ways, ctx := errgroup.WithContext(ctx)
	if l.polled {
		ways.Go(func() error { return l.poll(ctx, at) })
	}
	if l.hook {
		ways.Go(func() error { return l.merge(ctx) })
		ways.Go(func() error { return l.subscribe(ctx) })
	}
	err = ways.Wait()
	return l.last != began || l.unstored != nil, err
}

// poll reads page after page from a cursor until ctx ends or the bus fails: one page is read while the one before is
// stored.
func (l *lane) poll(ctx context.Context, at string) error {
	type read struct {
		page  *curfewv1.EventBatch
		leave func()
	}
	pages := make(chan read)
	ways, ctx := errgroup.WithContext(ctx)
	ways.Go(func() error {
		return l.fetch(ctx, at, func(page *curfewv1.EventBatch, leave func()) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case pages <- read{page, leave}:
				return nil
			}
		})
	})
	ways.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case r := <-pages:
				l.mu.Lock()
				err := l.store(ctx, r.page)
				l.mu.Unlock()
				r.leave()
				if err != nil {
					return err
				}
			}
		}
	})
	return ways.Wait()
}

// fetch hands over page after page from a cursor until ctx ends. What the source refuses is asked again, ever later:
// nothing was read, and webhooks go on.
func (l *lane) fetch(ctx context.Context, at string, deliver func(page *curfewv1.EventBatch, leave func()) error) error {
	delay := minBackoff
	for {
		entered, leave := l.room.Enter(ctx)
		page, err := l.from.Poll(entered, l.feed, at)
		if err != nil {
			leave()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			wait := delay
			var refused *vendorhttp.Refused
			if errors.As(err, &refused) {
				wait = max(wait, refused.Wait)
			}
			l.broke(err, wait)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			delay = min(2*delay, maxBackoff)
			continue
		}
		delay, at = minBackoff, page.GetCursor()
		more := page.GetMore()
		if err := deliver(page, leave); err != nil {
			leave()
			return err
		}
		if more {
			continue
		}
		if err := l.rest(ctx, l.interval); err != nil {
			return err
		}
	}
}

// rest waits, or less where a webhook says that there is something to read.
func (l *lane) rest(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.wake:
	case <-time.After(wait):
	}
	return nil
}

// restore learns where the lane stands, and the ids in the stretch that a source may read again: those of events that
// happened within the horizon before the newest. None of these can have been stored earlier than it happened, but for
// clocks that differ.
func (l *lane) restore(ctx context.Context) error {
	subject := bus.EventSubject(l.Tenant, l.source, l.feed)
	l.stored, l.unstored, l.covers, l.pending = time.Time{}, nil, false, nil
	l.last, l.digest, l.cursor, l.newest, l.repeated = 0, nil, "", time.Time{}, window{horizon: l.from.Horizon(l.feed), polled: l.polled}
	l.replayed, l.held = replays{horizon: l.repeated.horizon}, 0
	if resender, ok := l.from.(Resender); ok && l.hook {
		l.replayed.horizon = max(l.replayed.horizon, resender.Resent())
	}
	last, err := l.Bus.Last(ctx, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	batch := new(curfewv1.EventBatch)
	if err := last.Decode(batch); err != nil {
		return err
	}
	l.last, l.digest, l.cursor = last.Sequence, last.Digest(), batch.GetCursor()
	if batch.GetNewest() != nil {
		l.newest = batch.GetNewest().AsTime()
	}
	events := l.newest.Add(-l.repeated.horizon - 10*time.Minute)
	since := bus.From{Time: events}
	if seals := time.Now().Add(-l.replayed.horizon); l.hook && seals.Before(events) {
		since.Time = seals
	}
	if l.newest.IsZero() {
		since = bus.From{}
	}
	// The newest batches may be parts of a page that is read again, however far back its events reach: nothing is
	// forgotten until a page is whole.
	l.repeated.hold = l.polled
	return l.Bus.Read(ctx, subject, since, func(m bus.Message) error {
		stored := new(curfewv1.EventBatch)
		if err := m.Decode(stored); err != nil {
			return err
		}
		for _, delivery := range stored.GetDeliveries() {
			l.replayed.add(delivery, stored.GetReceived().AsTime())
		}
		if !m.Time.Before(events) {
			l.repeated.restore(stored)
		}
		return nil
	})
}
