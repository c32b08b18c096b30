// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// lane reads a feed as the collector does: it stores what each read gave together with its cursor, takes repeats out,
// and goes on from what is stored.
type lane struct {
	t       *testing.T
	c       Case
	vendor  Vendor
	options Options
	source  Source

	stored []place
	at     place
	// wentBack is whether reading was set back behind what had been read, which makes repeats of any age.
	wentBack bool

	happened    map[string]bool
	seen        map[string]bool
	newest      time.Time
	strangers   int // events of records that Happen did not make
	repeats     int
	deadLetters []*curfewv1.DeadLetter
}

// place is where reading can go on.
type place struct {
	cursor  string
	covered time.Time
}

func newLane(t *testing.T, c Case, vendor Vendor, pageSize int) *lane {
	l := &lane{
		t: t, c: c, vendor: vendor,
		options:  Options{URL: serve(t, vendor), Vendor: vendor, Token: token, PageSize: pageSize, Impatient: true},
		stored:   []place{{}},
		happened: map[string]bool{}, seen: map[string]bool{},
	}
	l.restart()
	return l
}

func (l *lane) happen(n int) {
	l.t.Helper()
	for _, id := range l.vendor.Happen(n) {
		if l.happened[id] {
			l.t.Fatalf("the vendor made two things with the id %s", id)
		}
		l.happened[id] = true
	}
}

// restart throws the source away: a new one goes on from the last stored cursor.
func (l *lane) restart() { l.source = l.c.New(l.t, l.options) }

// back goes on from a cursor that was stored earlier, as after a backup.
func (l *lane) back(random *rand.Rand) {
	l.restart()
	l.at = l.stored[random.IntN(len(l.stored))]
	l.wentBack = true
}

// poll makes one read and stores it; it reports whether the feed had no more. An error stores nothing.
func (l *lane) poll() (caughtUp bool) {
	l.t.Helper()
	batch, err := l.source.Poll(l.t.Context(), l.c.Feed, l.at.cursor)
	if err != nil {
		return false
	}
	l.check(batch)
	var newest time.Time
	for _, e := range batch.GetEvents() {
		if at := e.GetTime().AsTime(); e.GetTime() != nil && at.After(newest) {
			newest = at
		}
		if !l.seen[e.GetId()] {
			l.seen[e.GetId()] = true
			continue
		}
		l.repeats++
		if oldest := l.newest.Add(-l.source.Horizon(l.c.Feed)); !l.wentBack && e.GetTime().AsTime().Before(oldest) {
			l.t.Errorf("event %s of %v came again beyond the horizon, which is %v", e.GetId(), e.GetTime().AsTime(), oldest)
		}
	}
	if newest.After(l.newest) {
		l.newest = newest
	}
	l.deadLetters = append(l.deadLetters, batch.GetDeadLetters()...)
	l.at.cursor = batch.GetCursor()
	if batch.GetCoverage() != nil {
		l.at.covered = batch.GetCoverage().GetUntil().AsTime()
	}
	l.stored = append(l.stored, l.at)
	return !batch.GetMore()
}

// check holds a batch to what every batch must be.
func (l *lane) check(batch *curfewv1.EventBatch) {
	l.t.Helper()
	if batch.GetFeed() != l.c.Feed || batch.GetSource() == "" || batch.GetCursor() == "" || batch.GetReceived() == nil {
		l.t.Errorf("got source %q, feed %q, cursor %q, received %v, want none empty and feed %q",
			batch.GetSource(), batch.GetFeed(), batch.GetCursor(), batch.GetReceived(), l.c.Feed)
	}
	if batch.GetMore() && batch.GetCoverage() != nil {
		l.t.Errorf("got coverage %v while the feed has more, want none", batch.GetCoverage())
	}
	if covered := batch.GetCoverage(); covered != nil {
		from, until := covered.GetFrom().AsTime(), covered.GetUntil().AsTime()
		if !from.Before(until) || until.After(batch.GetReceived().AsTime()) {
			l.t.Errorf("got coverage from %v until %v, read at %v, want them in that order", from, until, batch.GetReceived().AsTime())
		}
		if !l.at.covered.IsZero() && !from.Equal(l.at.covered) {
			l.t.Errorf("got coverage from %v, want it to go on at %v", from, l.at.covered)
		}
	}
	records := 0
	for _, e := range batch.GetEvents() {
		if err := event.Validate(e); err != nil {
			l.t.Errorf("got an event that is not valid: %v", err)
		}
		if len(e.GetRaw()) == 0 {
			continue
		}
		records++
		l.decodesAlike(e)
	}
	if got := records + len(batch.GetDeadLetters()); got != int(batch.GetRecords()) {
		l.t.Errorf("got %d records as events or dead letters, want the %d that were read", got, batch.GetRecords())
	}
}

// decodesAlike wants a record to become the same event each time.
func (l *lane) decodesAlike(e *curfewv1.Event) {
	l.t.Helper()
	first, err := l.c.Decode(slices.Clone(e.GetRaw()))
	if err != nil {
		l.t.Errorf("decode %s again: %v", e.GetId(), err)
		return
	}
	second, err := l.c.Decode(slices.Clone(e.GetRaw()))
	if err != nil || len(first) != len(second) {
		l.t.Errorf("decode %s again: got %d events, then %d, %v", e.GetId(), len(first), len(second), err)
		return
	}
	for i := range first {
		if !proto.Equal(first[i], second[i]) {
			l.t.Errorf("decode %s: got %v, then %v", e.GetId(), first[i], second[i])
		}
	}
	bare := proto.CloneOf(e)
	bare.Received, bare.Raw, bare.RawDigest = nil, nil, ""
	if !proto.Equal(first[0], bare) {
		l.t.Errorf("decode %s: got %v from the raw record, want %v as read", e.GetId(), first[0], bare)
	}
}

// drain reads until the feed has no more, twice over, whatever goes wrong on the way.
func (l *lane) drain() {
	l.t.Helper()
	l.vendor.Settle()
	const enough = 10_000
	for caughtUp, polls := 0, 0; caughtUp < 2; polls++ {
		if polls == enough {
			l.t.Fatalf("the source is not through after %d reads", enough)
		}
		if l.poll() {
			caughtUp++
		}
	}
}

// compare wants the events read to be the things that happened, no more and no less.
func (l *lane) compare() {
	l.t.Helper()
	missing, strangers := 0, 0
	for _, id := range slices.Sorted(maps.Keys(l.happened)) {
		if !l.seen[id] {
			if missing++; missing <= 5 {
				l.t.Errorf("event %s happened and was not read", id)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.seen)) {
		if !l.happened[id] {
			strangers++
		}
	}
	if missing > 0 || strangers != l.strangers {
		l.t.Errorf("of %d things that happened %d were not read, and %d events never happened; want 0 and %d",
			len(l.happened), missing, strangers, l.strangers)
	}
}

// testComplete reads vendors with every fault, with restarts, expired cursors and set-backs in between.
func testComplete(t *testing.T, c Case) {
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 0x6b6974))
		vendor := c.Vendor(seed, token)
		l := newLane(t, c, vendor, 1+random.IntN(12))
		for range 150 {
			switch random.IntN(12) {
			case 0, 1, 2:
				l.happen(random.IntN(2*l.options.PageSize + 2))
			case 3:
				l.restart()
			case 4:
				vendor.Expire()
			case 5:
				// Half of the vendors are never set back, so that their repeats tell whether the horizon is true.
				if seed%2 == 0 {
					l.back(random)
				}
			default:
				l.poll()
			}
		}
		l.drain()
		l.compare()
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}
