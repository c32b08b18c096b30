// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// held is how many grants live in a benchmark.
const held = 100_000

// live is a grant in force that stands for one group.
func live(id string, from, end time.Time) *curfewv1.Grant {
	return &curfewv1.Grant{
		Id: id, Tenant: "main", Subject: "person:ann", Role: "role:support", State: curfewv1.GrantState_GRANT_STATE_ACTIVE,
		From: timestamppb.New(from), ExpiresAt: timestamppb.New(end), Author: "person:ann", Reason: "orders that did not arrive", Ticket: "OPS-1234",
		ApprovalsNeeded: 1, Approvals: []*curfewv1.Approval{{Author: "person:bob", Time: timestamppb.New(from)}}, RemindBefore: durationpb.New(15 * time.Minute),
		Privileges: []*curfewv1.HeldPrivilege{{
			Stage:     curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD,
			Privilege: &curfewv1.Privilege{Source: "okta", Kind: "group", Holder: "00u" + id, Resource: "00gInvented1", HolderName: "ann@example.com", ResourceName: "Support"},
			Prior:     &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_ABSENT, Reads: []string{"GET /api/v1/groups/00gInvented1/users: 200"}, Read: timestamppb.New(from)},
			Seen:      timestamppb.New(from), Calls: []string{"PUT /api/v1/groups/00gInvented1/users/00u: 204"},
		}},
	}
}

// fill stores grants that end when end says.
func fill(tb testing.TB, b *bus.Bus, n int, end func(i int) time.Time) {
	tb.Helper()
	now := time.Now()
	changes := make([]grant.Change, n)
	for i := range changes {
		changes[i] = grant.Change{Next: live(fmt.Sprintf("g%019d", i), now.Add(-time.Hour), end(i)), Author: "person:bob"}
	}
	if err := errors.Join(grant.NewBook(b, "main").Store(tb.Context(), now, changes...)...); err != nil {
		tb.Fatal(err)
	}
}

func grantOptions(b *bus.Bus, store state.Store, c clock.Clock) Options {
	return Options{
		Bus: b, State: store, Tenant: "main", Mode: config.Config{Mode: config.Alert}.ModeOf, Clock: c,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// serveGrants turns grants until stop is called, and returns once it is ready.
func serveGrants(tb testing.TB, o Options) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	o.Ready = func() { close(ready) }
	if o.Clock == nil {
		o.Clock = clock.System(nil)
	}
	go func() { done <- runGrants(ctx, o, newContacts(o)) }()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			tb.Errorf("run: got %v, want Canceled", err)
		}
		done <- context.Canceled
	}
	tb.Cleanup(stop)
	select {
	case <-ready:
	case <-time.After(time.Minute):
		tb.Fatal("not ready")
	}
	return stop
}

// lateness is how long after their ends n grants were stored as being taken away, by the clock of the bus, sorted.
func lateness(tb testing.TB, b *bus.Bus, n int) []time.Duration {
	tb.Helper()
	late, all := make([]time.Duration, 0, n), errors.New("all")
	err := b.Follow(tb.Context(), bus.All("grant", "main"), bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.GrantStep)
		if err := m.Decode(step); err != nil {
			return err
		}
		if step.GetGrant().GetState() == curfewv1.GrantState_GRANT_STATE_REVOKING {
			late = append(late, m.Time.Sub(step.GetGrant().GetEndedAt().AsTime()))
		}
		if len(late) == n {
			return all
		}
		return nil
	})
	if !errors.Is(err, all) {
		tb.Fatal(err)
	}
	slices.Sort(late)
	return late
}

func report(b *testing.B, late []time.Duration) {
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50-ms", 0.5}, {"p99-ms", 0.99}, {"p99.9-ms", 0.999}} {
		b.ReportMetric(late[min(int(p.share*float64(len(late))), len(late)-1)].Seconds()*1e3, p.name)
	}
}

// BenchmarkStorm: 100,000 grants end within one second.
func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		conn := bustest.New(b)
		start := time.Now().Add(12 * time.Second)
		fill(b, conn, held, func(i int) time.Time { return start.Add(time.Duration(i) * time.Second / held) })
		stop := serveGrants(b, grantOptions(conn, state.NewMemory(), nil))
		if left := time.Until(start); left < time.Second {
			b.Fatalf("ready %v before the first end, which is too late to measure", left)
		}
		report(b, lateness(b, conn, held))
		stop()
	}
}

// BenchmarkSteady: 1,000 of 100,000 grants end within a minute.
func BenchmarkSteady(b *testing.B) {
	const ends = 1000
	for b.Loop() {
		conn := bustest.New(b)
		start := time.Now().Add(12 * time.Second)
		fill(b, conn, held, func(i int) time.Time {
			if i < ends {
				return start.Add(time.Duration(i) * time.Minute / ends)
			}
			return start.Add(time.Hour)
		})
		stop := serveGrants(b, grantOptions(conn, state.NewMemory(), nil))
		report(b, lateness(b, conn, ends))
		stop()
	}
}

// BenchmarkRestart: a notifier and its bus start over 100,000 grants, of which 1,000 should have ended before.
func BenchmarkRestart(b *testing.B) {
	const overdue = 1000
	for b.Loop() {
		dir := b.TempDir()
		before := openBus(b, dir)
		down := time.Now().Add(time.Minute)
		fill(b, before, held, func(i int) time.Time {
			if i%(held/overdue) == 0 {
				return down.Add(-2 * time.Minute)
			}
			return down.Add(time.Hour)
		})
		if err := before.Close(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		conn := openBus(b, dir)
		opened := time.Since(began)
		stop := serveGrants(b, grantOptions(conn, state.NewMemory(), nil))
		ready := time.Since(began)
		lateness(b, conn, overdue)
		b.ReportMetric(opened.Seconds(), "s-bus-open")
		b.ReportMetric(ready.Seconds(), "s-ready")
		b.ReportMetric(dispatched(b, conn, overdue).Sub(began).Seconds(), "s-dispatched")
		stop()
		if err := conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func openBus(b *testing.B, dir string) *bus.Bus {
	b.Helper()
	conn, err := bus.Open(b.Context(), bus.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

// dispatched is when the last of n ends was stored.
func dispatched(b *testing.B, conn *bus.Bus, n int) time.Time {
	b.Helper()
	m, err := conn.At(b.Context(), bus.All("grant", "main"), uint64(held+n))
	if err != nil {
		b.Fatal(err)
	}
	return m.Time
}

// BenchmarkGrantMemory: what one grant costs in the book and the due index together.
func BenchmarkGrantMemory(b *testing.B) {
	for b.Loop() {
		conn := bustest.New(b)
		fill(b, conn, held, func(i int) time.Time { return time.Now().Add(time.Hour + time.Duration(i)*time.Millisecond) })
		before := heap()
		o := grantOptions(conn, state.NewMemory(), clock.System(nil))
		book := grant.NewBook(conn, "main")
		s := newScheduler(o, book)
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() {
			done <- book.Follow(ctx, func(e grant.Entry) { s.wheel.set(e.Value.GetId(), due(e.Value)) })
		}()
		<-book.Ready()
		s.wheel.flush(ctx)
		cancel()
		<-done
		b.ReportMetric(float64(heap()-before)/held, "B/grant")
		runtime.KeepAlive(book)
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
