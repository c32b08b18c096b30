// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
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
	// stored is when coverage was stored last; unstored, where it is set, is since when some waits to be stored.
	stored   time.Time
	unstored *timestamppb.Timestamp
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

// fetch hands over page after page from a cursor until ctx ends. What the source refuses is asked again, ever later: nothing was read,
// and webhooks go on.
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
			l.broke(err, delay)
			if err := l.rest(ctx, delay); err != nil {
				return err
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
	l.replayed = replays{horizon: l.repeated.horizon}
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
	since := bus.From{Time: l.newest.Add(-l.repeated.horizon - 10*time.Minute)}
	if l.newest.IsZero() {
		since = bus.From{}
	}
	// The newest batches may be parts of a page that is read again, however far back its events reach: nothing is
	// forgotten until a page is whole.
	l.repeated.hold = true
	return l.Bus.Read(ctx, subject, since, func(m bus.Message) error {
		stored := new(curfewv1.EventBatch)
		if err := m.Decode(stored); err != nil {
			return err
		}
		for _, delivery := range stored.GetDeliveries() {
			l.replayed.add(delivery, stored.GetReceived().AsTime())
		}
		l.repeated.restore(stored)
		return nil
	})
}

// store writes a page as one batch or, where it is large, as several: all but the last keep the old cursor, so that a
// crash between two of them reads the page again and leaves out what is there. Dead letters are on the DEAD stream
// before the batch that counts them.
func (l *lane) store(ctx context.Context, page *curfewv1.EventBatch) error {
	events := page.GetEvents()
	fresh := events[:0:0]
	l.repeated.hold = true // until the page is whole
	var echoes []*curfewv1.Echo
	for _, e := range events {
		isFresh, of := l.repeated.add(e, false)
		if isFresh {
			fresh = append(fresh, l.complete(e))
		} else if of != nil {
			echoes = append(echoes, of)
		}
	}
	repeats := len(events) - len(fresh)
	if err := l.bury(ctx, page.GetDeadLetters()); err != nil {
		return err
	}
	if len(fresh)+len(echoes)+len(page.GetDeadLetters()) == 0 && !page.GetMore() && page.GetCoverage() != nil && l.covers && time.Since(l.stored) < quiet {
		// Nothing came: where reading goes on is not stored until something does, or for a minute.
		l.repeated.hold = false
		if l.unstored == nil {
			l.unstored = page.GetCoverage().GetFrom()
		}
		return nil
	}
	if l.unstored != nil && page.GetCoverage() != nil {
		page.Coverage.From, l.unstored = l.unstored, nil
	}
	if err := l.shrink(ctx, fresh); err != nil {
		return err
	}
	parts := l.split(fresh)
	for i, part := range parts {
		batch := &curfewv1.EventBatch{
			Format: bus.Format, Tenant: l.Tenant, Source: l.source, Feed: l.feed, Received: page.GetReceived(),
			Events: part, Cursor: l.cursor, More: true,
		}
		if i == len(parts)-1 {
			batch.Cursor, batch.Coverage, batch.More = page.GetCursor(), page.GetCoverage(), page.GetMore()
			batch.Records, batch.Repeats, batch.DeadLetters = page.GetRecords(), uint32(repeats), brief(page.GetDeadLetters())
			batch.Echoes = echoes
		}
		if err := l.append(ctx, batch); err != nil {
			return err
		}
	}
	l.repeated.hold = false
	return nil
}

// bury puts what could not be decoded among the dead letters.
func (l *lane) bury(ctx context.Context, letters []*curfewv1.DeadLetter) error {
	for _, letter := range letters {
		l.Metrics.Dead("collector", letter.GetReason())
		if err := l.Bus.Bury(ctx, letter); err != nil {
			return err
		}
	}
	return nil
}

// complete adds to an event what Curfew knows and the vendor does not say.
func (l *lane) complete(e *curfewv1.Event) *curfewv1.Event {
	Complete(e, l.Tenant, l.Catalog)
	return e
}

// Complete sets the tenant of an event and its act by the catalogue; the act stays empty where the catalogue does not
// know the action.
func Complete(e *curfewv1.Event, tenant string, cat *catalog.Catalog) {
	e.Tenant = tenant
	if action, known := cat.Action(e.GetSource(), e.GetFeed(), e.GetAction()); known {
		e.Act = action.Act
	}
}

// shrink moves records too large for the bus to the object store.
func (l *lane) shrink(ctx context.Context, fresh []*curfewv1.Event) (err error) {
	for _, e := range fresh {
		if len(e.GetRaw()) > maxRaw {
			if e.RawObject, err = l.Bus.PutObject(ctx, e.GetRaw()); err != nil {
				return err
			}
			e.Raw = nil
		}
	}
	return nil
}

// brief is the dead letters as a batch names them: they are whole on the DEAD stream.
func brief(letters []*curfewv1.DeadLetter) []*curfewv1.DeadLetter {
	names := make([]*curfewv1.DeadLetter, 0, len(letters))
	for _, letter := range letters {
		names = append(names, &curfewv1.DeadLetter{Id: letter.GetId(), Reason: letter.GetReason()})
	}
	return names
}

// split makes parts that each fit a message with room to spare; at least one, which may be empty. No event alone is too
// large: event.Append bounds it and shrink its record.
func (l *lane) split(events []*curfewv1.Event) [][]*curfewv1.Event {
	limit := l.Bus.MaxMessage() / 2
	parts := [][]*curfewv1.Event{nil}
	size := 0
	for _, e := range events {
		bytes := proto.Size(e)
		if n := len(parts[len(parts)-1]); n == maxEvents || n > 0 && size+bytes > limit {
			parts, size = append(parts, nil), 0
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], e)
		size += bytes
	}
	return parts
}

// append writes one batch behind the newest.
func (l *lane) append(ctx context.Context, batch *curfewv1.EventBatch) error {
	for _, e := range batch.GetEvents() {
		if !l.repeated.moves(len(batch.GetDeliveries()) > 0) {
			break
		}
		if at := e.GetTime(); at != nil && at.AsTime().After(l.newest) && !at.AsTime().After(batch.GetReceived().AsTime()) {
			l.newest = at.AsTime()
		}
	}
	if !l.newest.IsZero() {
		batch.Newest = timestamppb.New(l.newest)
	}
	batch.PreviousSequence, batch.PreviousDigest = l.last, l.digest
	sequence, digest, err := l.Bus.AppendDigest(ctx, bus.EventSubject(l.Tenant, l.source, l.feed), l.last, batch)
	if err != nil {
		return err
	}
	l.last, l.digest, l.cursor = sequence, digest, batch.GetCursor()
	l.Metrics.Collected(l.source, l.feed, int(batch.GetRecords()), len(batch.GetEvents()), int(batch.GetRepeats()))
	if batch.GetCoverage() != nil {
		l.covers, l.stored = true, time.Now()
		l.Metrics.Covered(l.source, l.feed, batch.GetCoverage().GetUntil().AsTime())
	}
	return nil
}
