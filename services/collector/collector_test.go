// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/okta"
)

// org is a fake Okta behind a server.
type org struct {
	*fake.Okta
	url string
	n   uint64
}

func newOrg(t *testing.T, c fake.OktaConfig) *org {
	t.Helper()
	o := &org{Okta: fake.NewOkta(c)}
	server := httptest.NewServer(o.Okta)
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// happen makes n more sign-ins happen, the last one now.
func (o *org) happen(n int) {
	now := time.Now()
	for i := range n {
		o.n++
		o.Add(fake.OktaEvent{Seed: 3, Number: o.n, Published: now.Add(-time.Duration(n-i) * time.Millisecond)}.JSON())
	}
}

func options(t *testing.T, b *bus.Bus, o *org, holder string) Options {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	source, err := okta.New(okta.Config{URL: o.url, Token: config.SecretValue("token")})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Bus: b, Catalog: cat, Tenant: "main", Holder: holder,
		Sources: map[string]Configured{"okta": {Source: source, Decode: okta.Decode, Interval: 10 * time.Millisecond}},
		Log:     slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// start runs a collector until stop is called or the test ends.
func start(t *testing.T, o Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: got %v, want Canceled", err)
		}
		done <- context.Canceled
	}
	t.Cleanup(stop)
	return stop
}

var oktaLane = bus.EventSubject("main", "okta", "system_log")

// stored waits until the lane holds n events, and returns its batches. An event that is there twice fails the test, as
// does a batch that does not point back at the one before.
func stored(t *testing.T, b *bus.Bus, n int) []*curfewv1.EventBatch {
	t.Helper()
	seen := map[string]bool{}
	var batches []*curfewv1.EventBatch
	var last bus.Message
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := errors.New("done")
	err := b.Follow(ctx, oktaLane, bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		if batch.GetPreviousSequence() != last.Sequence || len(batches) > 0 && string(batch.GetPreviousDigest()) != string(last.Digest()) {
			return fmt.Errorf("batch %d does not point back at %d", m.Sequence, last.Sequence)
		}
		last = m
		batches = append(batches, batch)
		for _, e := range batch.GetEvents() {
			if seen[e.GetId()] {
				return fmt.Errorf("%s is there twice", e.GetId())
			}
			seen[e.GetId()] = true
			if e.GetTenant() != "main" || e.GetAct() != "login" {
				return fmt.Errorf("event is not complete: %v", e)
			}
		}
		if len(seen) >= n && batch.GetCoverage() != nil {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) || len(seen) != n {
		t.Fatalf("got %d events, want %d: %v", len(seen), n, err)
	}
	return batches
}

func TestALargePageBecomesSeveralBatches(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	o.happen(700)
	start(t, options(t, b, o, "one"))
	batches := stored(t, b, 700)
	if begin := batches[0]; len(begin.GetEvents()) != 0 || begin.GetCoverage() != nil {
		t.Errorf("a lane begins with an empty batch that claims nothing: got %v", begin)
	}
	if first := batches[1]; len(first.GetEvents()) != maxEvents || first.GetCursor() != "" || first.GetCoverage() != nil || first.GetRecords() != 0 {
		t.Errorf("but for the last, parts of a page keep the old cursor and claim nothing: got %d events, cursor %q, %v", len(first.GetEvents()), first.GetCursor(), first.GetCoverage())
	}
	if last := batches[3]; last.GetCursor() == "" || last.GetCoverage() == nil || last.GetRecords() != 700 {
		t.Errorf("the last part has cursor, coverage and counts: got %q, %v, %d", last.GetCursor(), last.GetCoverage(), last.GetRecords())
	}
}

func TestAPartOfAPageIsNotReadTwice(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	// A first read goes back a week: one page is far wider than the horizon, and its parts come back as they were.
	for i := range 700 {
		o.Add(fake.OktaEvent{Seed: 4, Number: uint64(i), Published: time.Now().Add(time.Duration(i-700) * 14 * time.Minute)}.JSON())
	}
	opts := options(t, b, o, "one")
	// A crash behind the first part of a page: what a lane has written until then.
	l := &lane{Options: opts, source: "okta", feed: "system_log", from: opts.Sources["okta"].Source}
	if err := l.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := l.from.Poll(t.Context(), l.feed, "")
	if err != nil {
		t.Fatal(err)
	}
	for from := range 2 {
		part := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "okta", Feed: "system_log", Received: page.GetReceived(), More: true}
		for _, e := range page.GetEvents()[from*maxEvents : (from+1)*maxEvents] {
			part.Events = append(part.Events, l.complete(e))
		}
		if err := l.append(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	start(t, opts)
	batches := stored(t, b, 700)
	if last := batches[len(batches)-1]; last.GetRepeats() != 2*maxEvents {
		t.Errorf("repeats: got %d, want %d", last.GetRepeats(), 2*maxEvents)
	}
}

func TestRestartsAndARefusedCursorRepeatNothing(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{LateEvery: 10, LateBy: 5, Faults: fake.Faults{Seed: 5, DropReplyEvery: 7}})
	total := 0
	for round := range 5 {
		o.happen(120)
		total += 120
		o.Settle()
		stop := start(t, options(t, b, o, fmt.Sprint(round)))
		stored(t, b, total)
		stop()
		o.Expire() // the next one is refused its cursor and reads an hour again
	}
}

func TestTwoCollectorsStoreEachEventOnce(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	start(t, options(t, b, o, "one"))
	start(t, options(t, b, o, "two"))
	total := 0
	for range 10 {
		o.happen(30)
		total += 30
		stored(t, b, total)
	}
}

func TestAZombieChangesNothing(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	opts := options(t, b, o, "zombie")
	zombie := &lane{Options: opts, source: "okta", feed: "system_log", from: opts.Sources["okta"].Source}
	if err := zombie.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.happen(10)
	stop := start(t, options(t, b, o, "owner"))
	stored(t, b, 10)
	stop()
	page, err := zombie.from.Poll(t.Context(), "system_log", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := zombie.store(t.Context(), page); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	stored(t, b, 10)
}

func TestNothingIsLostForBeingBadOrLarge(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	large := fmt.Sprintf(`{"uuid":"large","published":%q,"eventType":"user.session.start","padding":%q}`, time.Now().UTC().Format(time.RFC3339), strings.Repeat("x", 2<<20))
	o.happen(1) // before it nothing has a time
	o.Add(json.RawMessage(`["no", "object"]`), json.RawMessage(`17`), json.RawMessage(large))
	start(t, options(t, b, o, "one"))
	batches := stored(t, b, 2)
	batch := batches[1]
	if batch.GetRecords() != 4 || len(batch.GetDeadLetters()) != 2 || len(batch.GetEvents()) != 2 {
		t.Fatalf("got %d records, %d dead letters, %d events, want 4 = 2 + 2", batch.GetRecords(), len(batch.GetDeadLetters()), len(batch.GetEvents()))
	}
	kept, err := b.GetObject(t.Context(), batch.GetEvents()[1].GetRawObject())
	if err != nil || string(kept) != large {
		t.Errorf("the large record: got %d bytes, %v, want %d", len(kept), err, len(large))
	}
	dead := map[string]bool{}
	if err := b.Read(t.Context(), bus.All("dead"), bus.From{}, func(m bus.Message) error {
		letter := new(curfewv1.DeadLetter)
		if err := m.Decode(letter); err != nil {
			return err
		}
		dead[string(letter.GetRaw())] = letter.GetReason() == "not an object"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !dead[`["no", "object"]`] || !dead[`17`] || len(dead) != 2 {
		t.Errorf("dead letters: got %v", dead)
	}
}

func TestWindow(t *testing.T) {
	begin := time.Now().Add(-24 * time.Hour)
	at := func(minute int) *curfewv1.Event {
		stamp := timestamppb.New(begin.Add(time.Duration(minute) * time.Minute))
		return &curfewv1.Event{Id: fmt.Sprint(minute), Time: stamp, Received: timestamppb.New(stamp.AsTime().Add(time.Second))}
	}
	w := window{horizon: time.Hour}
	for minute := range 600 {
		if fresh, _ := w.add(at(minute), false); !fresh {
			t.Fatalf("minute %d is new", minute)
		}
	}
	for minute := 600 - 60; minute < 600; minute++ {
		if fresh, _ := w.add(at(minute), false); fresh {
			t.Fatalf("minute %d is within the horizon and there", minute)
		}
	}
	if len(w.ids) > 100 {
		t.Errorf("got %d ids for an hour of one a minute", len(w.ids))
	}
	// Polling that was away for a day reads its overlap again, though a webhook has told of today.
	for _, w := range []*window{{horizon: time.Hour, polled: true}, {horizon: time.Hour}} {
		for minute := range 60 {
			w.add(at(minute), false)
		}
		w.add(at(60*24), true)
		w.add(at(60*24+1), true)
		if fresh, _ := w.add(at(59), false); fresh == w.polled {
			t.Errorf("polled: %v: the overlap is new: %v", w.polled, fresh)
		}
	}
	future := at(9999)
	future.Time, future.Received = timestamppb.New(begin.AddDate(74, 0, 0)), at(600).GetReceived()
	w.add(future, false)
	if fresh, _ := w.add(at(590), false); fresh {
		t.Error("one record stamped in the future must not make the window forget")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Decoder("nope"); err == nil || !strings.Contains(err.Error(), "github, github_webhook, google_workspace, m365") {
		t.Errorf("got %v", err)
	}
	for _, name := range Formats() {
		if _, err := Decoder(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAQuietFeedWritesLittleAndCoversAll(t *testing.T) {
	b, o := bustest.New(t), newOrg(t, fake.OktaConfig{})
	start(t, options(t, b, o, "one"))
	for o.Requests() < 20 {
		<-time.After(10 * time.Millisecond)
	}
	o.happen(1)
	batches := stored(t, b, 1)
	if len(batches) != 3 {
		t.Fatalf("got %d batches, want the lane's beginning, one read and one with the event", len(batches))
	}
	if until, from := batches[1].GetCoverage().GetUntil().AsTime(), batches[2].GetCoverage().GetFrom().AsTime(); !until.Equal(from) {
		t.Errorf("coverage: got a gap from %v to %v", until, from)
	}
}
