// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const testToken = "0123456789abcdef0123456789abcdef"

var morning = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func loadCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// driveEvent is somebody's act on a file with customers' addresses, now.
func driveEvent(email, action, act string) *curfewv1.Event {
	now := timestamppb.Now()
	return &curfewv1.Event{
		Id: "google_workspace:1", Tenant: "main", Source: "google_workspace", Feed: "drive", Action: action, Act: act, Time: now, Received: now,
		Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "1001", Email: email},
		Resource: &curfewv1.Resource{Path: "file/1-customer-export", Kind: "file", Name: "November"},
	}
}

func options(t testing.TB, b *bus.Bus, holder string) Options {
	return Options{
		Bus: b, Catalog: loadCatalog(t), Tenant: "main", Holder: holder, PolicyDir: exampleDir,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// start runs an evaluator until stop is called or the test ends.
func start(t *testing.T, o Options) (stop func()) {
	t.Helper()
	if _, err := openPolicies(t.Context(), o); err != nil { // in force before the first event
		t.Fatal(err)
	}
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

// newEvaluator is an evaluator that learns of links until the test ends, and judges nothing by itself.
func newEvaluator(t testing.TB, o Options, policies *policies) *evaluator {
	t.Helper()
	e := &evaluator{Options: o, policies: policies, knowledge: openKnowledge(o.Bus, policies, o.Tenant, []byte("key"), o.Log)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.knowledge.follow(ctx) // it ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

// feed appends batches of the given sizes to one lane and returns how many events it has.
func feed(t *testing.T, b *bus.Bus, sizes ...int) (events int) {
	t.Helper()
	subject := bus.EventSubject("main", "google_workspace", "drive")
	var last uint64
	if m, err := b.Last(t.Context(), subject); err == nil {
		last = m.Sequence
	}
	now := timestamppb.Now()
	for _, size := range sizes {
		batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", Received: now, Coverage: &curfewv1.Coverage{From: timestamppb.New(now.AsTime().Add(-time.Minute)), Until: now}}
		for i := range size {
			e := driveEvent("sam@linden-lark.example.com", "view", "read")
			if i%10 == 0 {
				e.Action, e.Act = "download", "export"
			}
			e.Id = fmt.Sprintf("google_workspace:%d-%d", last, i)
			e.Time, e.Received = now, now
			batch.Events = append(batch.Events, e)
		}
		var err error
		if last, err = b.Append(t.Context(), subject, last, batch); err != nil {
			t.Fatal(err)
		}
		events += size
	}
	return events
}

// decided waits until the lane has a decision for each of n events and checks that each has exactly one.
func decided(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	seen := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := b.Follow(ctx, bus.DecisionSubject("main", "google_workspace", "drive"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			seen[d.GetEventId()]++
		}
		if len(seen) == n {
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Fatalf("got decisions on %d events, want %d: %v", len(seen), n, err)
	}
	err = b.Read(t.Context(), bus.DecisionSubject("main", "google_workspace", "drive"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			seen[d.GetEventId()]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, count := range seen {
		if count != 2 {
			t.Fatalf("%s has %d decisions, want 1", id, count-1)
		}
	}
}

func TestEveryEventHasOneDecisionThroughRestarts(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	stop := start(t, o)
	n := feed(t, b, 20, 0, 256, 1)
	decided(t, b, n)
	stop()
	n += feed(t, b, 30, 30)
	start(t, options(t, b, "two"))
	decided(t, b, n)
	findings := map[string]bool{}
	if err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		findings[f.GetEvent().GetId()] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := 2 + 26 + 1 + 3 + 3; len(findings) != want {
		t.Errorf("got findings on %d events, want %d", len(findings), want)
	}
}

func TestTwoEvaluatorsWriteOneDecisionAnEvent(t *testing.T) {
	b := bustest.New(t)
	start(t, options(t, b, "one"))
	start(t, options(t, b, "two"))
	total := 0
	for range 20 {
		total += feed(t, b, 40)
	}
	decided(t, b, total)
}

// A zombie is a judge that believes it still owns the lane: what it writes behind the new owner is refused.
func TestAZombieChangesNothing(t *testing.T) {
	b := bustest.New(t)
	n := feed(t, b, 10, 10)
	o := options(t, b, "zombie")
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	zombie := &lane{evaluator: newEvaluator(t, o, policies), source: "google_workspace", feed: "drive"}
	start(t, options(t, b, "owner"))
	decided(t, b, n)
	first, err := b.At(t.Context(), bus.All("event"), 1)
	if err != nil {
		t.Fatal(err)
	}
	considered, err := zombie.consider(t.Context(), arrival{first, time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zombie.settle(t.Context(), bus.DecisionSubject("main", "google_workspace", "drive"), 0, considered); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	decided(t, b, n)
}

func TestAnUnreadableBatchStopsNoLane(t *testing.T) {
	b := bustest.New(t)
	// A policy revision is no event batch; as bytes it decodes to something or nothing, a string field with bad UTF-8 to
	// an error.
	bad := &curfewv1.DeadLetter{Raw: []byte{0xff, 0xfe, 0xfd}, Line: 1 << 60, Id: "x", Service: "x", Reason: "x", Detail: "x", Origin: "not an event"}
	subject := bus.EventSubject("main", "google_workspace", "drive")
	if _, err := b.Append(t.Context(), subject, 0, bad); err != nil {
		t.Fatal(err)
	}
	n := feed(t, b, 5)
	start(t, options(t, b, "one"))
	decided(t, b, n)
	if _, err := b.Last(t.Context(), bus.All("dead")); err != nil {
		t.Fatalf("the batch must be among the dead letters: %v", err)
	}
}

// Where EVENTS lost its end and gives its sequences out again, going on would leave new events unjudged for ever.
func TestEventsThatBeganAgainAreNotTakenForJudged(t *testing.T) {
	b := bustest.New(t)
	n := feed(t, b, 5, 5)
	stop := start(t, options(t, b, "one"))
	decided(t, b, n)
	stop()
	subject := bus.DecisionSubject("main", "google_workspace", "drive")
	last, err := b.Last(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	newest := new(curfewv1.DecisionBatch)
	if err := last.Decode(newest); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*curfewv1.DecisionBatch){
		"another batch under the number": func(d *curfewv1.DecisionBatch) { d.EventDigest = []byte("other") },
		"a number to come":               func(d *curfewv1.DecisionBatch) { d.EventSequence += 100 },
	} {
		changed := &curfewv1.DecisionBatch{EventSequence: newest.GetEventSequence(), EventDigest: newest.GetEventDigest()}
		o := options(t, b, "two")
		l := &lane{evaluator: &evaluator{Options: o}, source: "google_workspace", feed: "drive"}
		if err := l.checkEvents(t.Context(), changed); err != nil {
			t.Errorf("the batch that was judged: got %v", err)
		}
		change(changed)
		if err := l.checkEvents(t.Context(), changed); err == nil {
			t.Errorf("%s: got nil", name)
		}
	}
}
