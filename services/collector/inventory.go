// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// DefaultInventory is the pause between two inventories of a source where none is configured.
	DefaultInventory = time.Hour
	// wholeEvery is how long readers may have to follow changes before they find everything in one object.
	wholeEvery = 24 * time.Hour
	// wholeAfter is the same in records: the stream keeps the newest 5,000.
	wholeAfter = 200
	// maxMissing is how many missing parts are named; the others are counted.
	maxMissing = 50
)

// shelf is what is known of one kind of thing at one source, and its only writer.
type shelf struct {
	Options
	source, kind string
	from         Observer

	state  inventory.State
	lost   bool      // what is known is not: the records do not lead to it
	since  int       // records since everything was stored as an object
	last   uint64    // sequence of the newest record
	stored time.Time // when everything was last stored as an object
	next   time.Time // when it is to be observed again
	delay  time.Duration
}

// keepObserving observes every kind of thing of one source, again and again until ctx ends.
func keepObserving(ctx context.Context, o Options, source string, configured Configured) {
	observer, ok := configured.Source.(Observer)
	if !ok || configured.Inventory <= 0 {
		return
	}
	lease := bus.Lease{Name: fmt.Sprintf("inventory %s/%s", o.Tenant, source), Holder: o.Holder, Length: leaseLength}
	o.Bus.Keep(ctx, lease, maxBackoff, func(ctx context.Context) (progressed bool, err error) {
		var shelves []*shelf
		for _, kind := range observer.Kinds() {
			s := &shelf{Options: o, source: source, kind: kind, from: observer}
			if err := s.restore(ctx, configured.Inventory); err != nil {
				return false, err
			}
			shelves = append(shelves, s)
		}
		return observeAll(ctx, shelves, configured.Inventory)
	}, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) {
			o.Log.Info("another collector takes the inventory", "source", source)
			return
		}
		o.Log.Error("inventory stopped; going on from what is stored", "source", source, "delay", delay, "error", err)
		o.Metrics.Failed("collector", "inventory")
	})
}

// observeAll observes each kind when it is due, one after the other: an inventory shall not use up the vendor's rate
// limit that polling lives on.
func observeAll(ctx context.Context, shelves []*shelf, interval time.Duration) (progressed bool, err error) {
	for {
		soonest := time.Now().Add(interval)
		for _, s := range shelves {
			if !s.next.After(time.Now()) {
				stored, err := s.observe(ctx, interval)
				if progressed = progressed || stored; err != nil {
					return progressed, err
				}
			}
			if s.next.Before(soonest) {
				soonest = s.next
			}
		}
		select {
		case <-ctx.Done():
			return progressed, ctx.Err()
		case <-time.After(time.Until(soonest)):
		}
	}
}

// restore learns from the bus what is known and when it was observed.
func (s *shelf) restore(ctx context.Context, interval time.Duration) error {
	gap := false
	err := s.Bus.Read(ctx, bus.InventorySubject(s.Tenant, s.source, s.kind), bus.From{}, func(m bus.Message) error {
		record := new(curfewv1.Inventory)
		if err := m.Decode(record); err != nil {
			return err
		}
		s.last = m.Sequence
		// A clock that was ahead must not put it off.
		s.next = record.GetEnded().AsTime().Add(interval)
		if latest := time.Now().Add(interval); s.next.After(latest) {
			s.next = latest
		}
		err := s.state.Apply(record, func(object string) ([]byte, error) { return s.Bus.GetObject(ctx, object) })
		if gap = errors.Is(err, inventory.ErrGap) || errors.Is(err, bus.ErrNotFound); err != nil && !gap {
			return err
		}
		if s.since++; record.GetObject() != "" && !gap {
			s.stored, s.since = m.Time, 0
		}
		return nil
	})
	if gap {
		// The oldest records are kept no longer, or an object is lost: everything is written anew.
		s.state, s.stored, s.next, s.lost = inventory.State{}, time.Time{}, time.Time{}, true
	}
	return err
}

// observe asks the source for everything and stores how it differs from what is known. A source that refuses is asked
// again, ever later. An error is the bus's.
func (s *shelf) observe(ctx context.Context, interval time.Duration) (stored bool, err error) {
	seen, err := s.from.Observe(ctx, s.kind)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		s.delay = min(max(2*s.delay, time.Minute), max(interval, time.Minute))
		s.next = time.Now().Add(s.delay)
		s.Log.Error("nothing observed", "source", s.source, "kind", s.kind, "delay", s.delay, "error", err)
		s.Metrics.Failed("collector", "observe")
		return false, nil
	}
	if s.lost && len(seen.GetMissing()) > 0 {
		// What is missing would be taken for gone.
		s.delay = min(max(2*s.delay, time.Minute), max(interval, time.Minute))
		s.next = time.Now().Add(s.delay)
		s.Log.Warn("what was known is lost, and the inventory is not whole; not stored", "source", s.source, "kind", s.kind, "delay", s.delay, "first", seen.GetMissing()[0])
		return false, nil
	}
	s.delay, s.next = 0, time.Now().Add(interval)
	if n := len(seen.GetMissing()); n > 0 {
		s.Log.Warn("inventory is not whole", "source", s.source, "kind", s.kind, "missing", n, "first", seen.GetMissing()[0])
	}
	return true, s.store(ctx, seen)
}

// store writes one record behind the newest.
func (s *shelf) store(ctx context.Context, seen *curfewv1.Inventory) error {
	record := &curfewv1.Inventory{
		Format: bus.Format, Tenant: s.Tenant, Source: s.source, Kind: s.kind, Began: seen.GetBegan(), Ended: seen.GetEnded(),
		Missing: seen.GetMissing(),
	}
	if n := len(record.GetMissing()); n > maxMissing {
		record.Missing = append(record.GetMissing()[:maxMissing:maxMissing], fmt.Sprintf("%d parts more", n-maxMissing))
	}
	record.Changes = s.state.Observe(seen)
	record.Count, record.Digest = uint64(s.state.Len()), s.state.Digest()
	tooLarge := proto.Size(record) > s.Bus.MaxMessage()/2
	if s.since++; tooLarge || s.stored.IsZero() || time.Since(s.stored) > wholeEvery || s.since >= wholeAfter {
		content, err := s.state.Object()
		if err != nil {
			return err
		}
		if record.Object, err = s.Bus.PutObject(ctx, content); err != nil {
			return err
		}
		s.stored, s.since, s.lost = time.Now(), 0, false
	}
	if tooLarge {
		// The object says it all: who wants the changes compares.
		record.Changes = nil
	}
	sequence, err := s.Bus.Append(ctx, bus.InventorySubject(s.Tenant, s.source, s.kind), s.last, record)
	if err != nil {
		return err
	}
	s.last = sequence
	s.Metrics.Observed(s.source, s.kind, s.state.Len(), len(seen.GetMissing()) == 0)
	return nil
}
