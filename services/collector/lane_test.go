// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// bellLane is a lane that reads nothing by itself, restored from the bus.
func bellLane(t *testing.T, b *bus.Bus, source Source) *lane {
	t.Helper()
	l := Configured{Source: source, Decode: decodeBell, Interval: time.Hour}.lanes()[0]
	l.Options, l.source, l.room = bellOptions(t, b, &bell{}), "bell", vendorhttp.NewRoom(1)
	if err := l.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// batches is everything the lane holds, and how often each event is in it.
func batches(t *testing.T, b *bus.Bus) (all []*curfewv1.EventBatch, events map[string]int) {
	t.Helper()
	events = map[string]int{}
	if err := b.Read(t.Context(), bus.EventSubject("main", "bell", "log"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		all = append(all, batch)
		err := m.Decode(batch)
		for _, e := range batch.GetEvents() {
			events[e.GetId()]++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all, events
}

func span(from, until int) *curfewv1.Coverage {
	day := time.Date(2026, time.March, 9, 0, 0, 0, 0, time.UTC)
	return &curfewv1.Coverage{
		From: timestamppb.New(day.Add(time.Duration(from) * time.Hour)), Until: timestamppb.New(day.Add(time.Duration(until) * time.Hour)),
	}
}

// What lies between two reads that do not meet is not claimed, also where the first waited to be stored.
func TestCoverageIsJoinedOnlyWhereItMeets(t *testing.T) {
	b := bustest.New(t)
	l := bellLane(t, b, &bell{feeds: []string{"log"}})
	for i, covered := range []*curfewv1.Coverage{span(1, 2), span(2, 3), span(3, 4), nil, span(7, 8), span(8, 9)} {
		page := &curfewv1.EventBatch{Received: timestamppb.Now(), Cursor: fmt.Sprint(i), Coverage: covered}
		if i == 5 {
			event.Append(page, ring("1", "", time.Now()), 0, decodeBell)
		}
		if err := l.store(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
	all, _ := batches(t, b)
	var got []*curfewv1.Coverage
	for _, batch := range all {
		if batch.GetCoverage() != nil {
			got = append(got, batch.GetCoverage())
		}
	}
	want := []*curfewv1.Coverage{span(1, 2), span(2, 4), span(7, 8), span(8, 9)}
	if !slices.EqualFunc(got, want, func(a, b *curfewv1.Coverage) bool { return proto.Equal(a, b) }) {
		t.Errorf("got %v, want %v", got, want)
	}
	if last := all[len(all)-1]; last.GetCursor() != "5" {
		t.Errorf("got cursor %q, want the last", last.GetCursor())
	}
}

// Echoes and dead letters fill messages as events do: a page of either is stored however long it is.
func TestAPageOfEchoesIsStored(t *testing.T) {
	const acts = 9_000
	b := bustest.New(t)
	l := bellLane(t, b, &bell{feeds: []string{"log"}})
	now := time.Now()
	hooks, log := &curfewv1.EventBatch{Received: timestamppb.New(now), Deliveries: []*curfewv1.Delivery{{Key: "d"}}}, &curfewv1.EventBatch{Received: timestamppb.New(now), Cursor: "1"}
	for i := range acts {
		event.Append(hooks, ring(fmt.Sprint("hook", i), fmt.Sprint("act", i), now), 0, decodeBell)
		event.Append(log, ring(fmt.Sprint("log", i), fmt.Sprint("act", i), now), 0, decodeBell)
	}
	for range 8_000 {
		event.Append(log, []byte(`1`), 0, decodeBell)
	}
	for _, e := range hooks.GetEvents() {
		l.repeated.add(e, true)
	}
	if err := l.write(t.Context(), hooks); err != nil {
		t.Fatal(err)
	}
	if err := l.store(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	all, events := batches(t, b)
	echoes, dead, deliveries := 0, 0, 0
	for _, batch := range all {
		echoes, dead, deliveries = echoes+len(batch.GetEchoes()), dead+len(batch.GetDeadLetters()), deliveries+min(1, len(batch.GetDeliveries()))
	}
	if len(events) != acts || echoes != acts || dead != 8_000 || deliveries < acts/maxEvents {
		t.Errorf("got %d events, %d echoes, %d dead letters, %d batches by webhooks, want %d, %d, 8000 and each of its own", len(events), echoes, dead, deliveries, acts, acts)
	}
	// And after a restart they are known.
	l, log.DeadLetters = bellLane(t, b, &bell{feeds: []string{"log"}}), nil
	if err := l.store(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	if _, again := batches(t, b); !maps.Equal(events, again) {
		t.Errorf("read again: got %d events, want %d", len(again), len(events))
	}
}

// A webhook of days ago is kept where its act may come by it alone, and left to polling where the log has it under its id.
func TestAnOldWebhook(t *testing.T) {
	for _, logged := range []bool{true, false} {
		b, now := bustest.New(t), time.Now()
		l := bellLane(t, b, &bell{feeds: []string{"log"}})
		page := &curfewv1.EventBatch{Received: timestamppb.New(now), Cursor: "1"}
		event.Append(page, ring("new", "", now), 0, decodeBell)
		if err := l.store(t.Context(), page); err != nil {
			t.Fatal(err)
		}
		webhook := &curfewv1.Webhook{Key: "d", Received: timestamppb.New(now), Logged: logged, Records: [][]byte{ring("old", "", now.Add(-72*time.Hour))}}
		data, err := proto.Marshal(webhook)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.take(t.Context(), bus.Message{Data: data}); err != nil {
			t.Fatal(err)
		}
		if err := l.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, events := batches(t, b); (events["bell:old"] == 1) == logged {
			t.Errorf("logged: %v: got %v", logged, events)
		}
	}
}

// chapel is a bell whose deliveries can be sent again for days.
type chapel struct{ bell }

func (*chapel) Resent() time.Duration { return 96 * time.Hour }

// Behind the horizon, too, a delivery that comes again is the same one, and its body under another id is a replay.
func TestADeliveryIsKnownForDays(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	deliver := func(key, seal, id string, at time.Time) {
		t.Helper()
		l := bellLane(t, b, &chapel{})
		data, err := proto.Marshal(&curfewv1.Webhook{Key: key, Seal: seal, Received: timestamppb.New(at), Records: [][]byte{ring(id, "", time.Time{})}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.take(t.Context(), bus.Message{Data: data}); err != nil {
			t.Fatal(err)
		}
		if err := l.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	deliver("d1", "s1", "1", now.Add(-50*time.Hour))
	for i := range 100 {
		deliver(fmt.Sprint("e", i), fmt.Sprint("t", i), fmt.Sprint("later", i), now.Add(-time.Duration(i)*time.Minute))
	}
	deliver("d1", "s1", "1", now)
	deliver("d1 again", "s1", "1", now)
	_, events := batches(t, b)
	if events["bell:1"] != 1 || len(events) != 101 {
		t.Errorf("got %d times the first of %d events, want once of 101", events["bell:1"], len(events))
	}
	if dead, err := b.Subjects(t.Context(), bus.All("dead")); err != nil || len(dead) != 1 {
		t.Errorf("dead letters: got %v, %v, want the replay", dead, err)
	}
}

// A lane that webhooks alone fill forgets what is behind its horizon, after a restart as before.
func TestALaneOfWebhooksForgets(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	l := bellLane(t, b, &bell{})
	for i := range 600 {
		batch := &curfewv1.EventBatch{Received: timestamppb.New(now), Deliveries: []*curfewv1.Delivery{{Key: fmt.Sprint(i)}}}
		event.Append(batch, ring(fmt.Sprint(i), "", now.Add(-time.Duration(600-i)*time.Minute)), 0, decodeBell)
		if i == 300 {
			l = bellLane(t, b, &bell{})
		}
		l.repeated.add(batch.GetEvents()[0], true)
		if err := l.write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(l.repeated.ids); got > 120 {
		t.Errorf("got %d ids for an hour of one a minute", got)
	}
}

// Reads that cover nothing and give nothing are stored once a minute, like those that do.
func TestNothingIsSeldomStored(t *testing.T) {
	b := bustest.New(t)
	l := bellLane(t, b, &bell{feeds: []string{"log"}})
	for i := range 50 {
		if err := l.store(t.Context(), &curfewv1.EventBatch{Received: timestamppb.Now(), Cursor: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := batches(t, b); len(all) != 1 {
		t.Errorf("got %d batches, want the first alone", len(all))
	}
}

// Who has proven nothing cannot make the door hold more than it has room for.
func TestBodiesWithoutProof(t *testing.T) {
	b := bustest.New(t)
	o := bellOptions(t, b, &bell{})
	door := webhooks(o)
	read := &counting{}
	got := deliver(t, door, "d", []byte("x"), func(r *http.Request) {
		r.Header.Del("Signature")
		r.Body = read
	})
	if got != http.StatusUnauthorized || read.bytes > 0 {
		t.Errorf("unsigned: got status %d after %d bytes, want 401 unread", got, read.bytes)
	}
	if got := deliver(t, door, "d", ring("1", "", time.Now()), func(r *http.Request) { r.Method = http.MethodPut }); got != http.StatusMethodNotAllowed {
		t.Errorf("by PUT: got status %d, want 405", got)
	}
	if !strings.Contains(exposed(t, o.Metrics), `{outcome="no delivery",source="bell"} 1`) {
		t.Errorf("metrics: %s", exposed(t, o.Metrics))
	}
}

// counting is a body that counts what is read of it.
type counting struct{ bytes int }

func (c *counting) Read(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

func (*counting) Close() error { return nil }
