// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// exampleDir is the policy that ships as an example, from this folder.
const exampleDir = "../../deploy/example/policy"

// benchEvents is as many ordinary events as asked for: mostly allowed reads by a few people, one in a hundred an export
// without the right.
func benchEvents(n int) []*curfewv1.Event {
	now := timestamppb.New(time.Now())
	people := []string{"ann", "sam"}
	raw := []byte(fmt.Sprintf(`{"kind":"admin#reports#activity","padding":%q}`, make([]byte, 80)))
	events := make([]*curfewv1.Event, n)
	for i := range events {
		action, act := "view", "read"
		person := people[i%len(people)]
		if i%100 == 0 {
			action, act, person = "download", "export", "sam"
		}
		events[i] = &curfewv1.Event{
			Id: fmt.Sprintf("google_workspace:%d", i), Tenant: "main", Source: "google_workspace", Feed: "drive", Time: now, Received: now,
			Action: action, Act: act,
			Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: fmt.Sprint(i), Email: person + "@linden-lark.example.com"},
			Resource: &curfewv1.Resource{Path: fmt.Sprintf("file/1-customer-export-%d", i), Kind: "file", Name: "Customers of November"},
			Context:  &curfewv1.Context{Ip: "192.0.2.7", UserAgent: "Mozilla/5.0"}, Raw: raw, RawDigest: "00",
		}
	}
	return events
}

func benchEvaluator(b *testing.B, on *bus.Bus) *evaluator {
	b.Helper()
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	o := Options{
		Bus: on, Catalog: cat, Tenant: "main", Holder: "bench", PolicyDir: exampleDir,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
	policies, err := openPolicies(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	return newEvaluator(b, o, policies)
}

func fill(b *testing.B, on *bus.Bus, events []*curfewv1.Event, size int) {
	b.Helper()
	subject := bus.EventSubject("main", "google_workspace", "drive")
	var last uint64
	for from := 0; from < len(events); from += size {
		batch := &curfewv1.EventBatch{
			Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", Received: timestamppb.Now(),
			Events: events[from:min(from+size, len(events))], PreviousSequence: last,
		}
		var err error
		if last, err = on.Append(b.Context(), subject, last, batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvaluator is the evaluator's path: read a batch, decode, decide, write findings and one decision an event,
// durable before going on. Beside it in the same run: the same path with one event a message; what the bus alone takes for
// as many bytes read and written; and the other parts by themselves.
func BenchmarkEvaluator(b *testing.B) {
	for _, c := range []struct {
		name    string
		size, n int
		run     func(*lane, context.Context) error
	}{
		{"batch=256", 256, 400 * 256, func(l *lane, ctx context.Context) error {
			_, err := l.judge(ctx)
			return err
		}},
		{"batch=1", 1, 2000, func(l *lane, ctx context.Context) error {
			_, err := l.judge(ctx)
			return err
		}},
		{"bus", 256, 400 * 256, (*lane).copy},
	} {
		b.Run(c.name, func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				on := bustest.New(b)
				e := benchEvaluator(b, on)
				fill(b, on, benchEvents(c.n), c.size) // after the policy came into force
				begun := cpuTime(b)
				b.StartTimer()
				l := &lane{evaluator: e, source: "google_workspace", feed: "drive"}
				ctx, cancel := context.WithCancel(b.Context())
				go endAfter(ctx, cancel, on, c.n/c.size)
				if err := c.run(l, ctx); ctx.Err() == nil {
					b.Fatal(err)
				}
				b.StopTimer()
				used += cpuTime(b) - begun
				if err := on.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			report(b, used, b.N*c.n)
		})
	}
	on := bustest.New(b)
	l := &lane{evaluator: benchEvaluator(b, on), source: "google_workspace", feed: "drive"}
	batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: l.source, Feed: l.feed, Received: timestamppb.Now(), Events: benchEvents(256)}
	read, err := proto.Marshal(batch)
	if err != nil {
		b.Fatal(err)
	}
	by := l.knowledge.now()
	answer, _, _ := l.decide(by, batch)
	for name, part := range map[string]func() error{
		"decode": func() error { return proto.Unmarshal(read, new(curfewv1.EventBatch)) },
		"decide": func() error {
			l.decide(by, batch)
			return nil
		},
		"encode": func() error {
			_, err := proto.MarshalOptions{Deterministic: true}.Marshal(answer)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			begun := cpuTime(b)
			for b.Loop() {
				if err := part(); err != nil {
					b.Fatal(err)
				}
			}
			report(b, cpuTime(b)-begun, b.N*256)
		})
	}
}

// report adds what the events took.
func report(b *testing.B, used time.Duration, events int) {
	b.Helper()
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(events), "cpu-us/event")
}

// endAfter ends ctx once so many batches of decisions stand where everybody sees them.
func endAfter(ctx context.Context, cancel context.CancelFunc, on *bus.Bus, batches int) {
	_ = on.Follow(ctx, bus.All("decision"), bus.From{}, func(bus.Message) error {
		if batches--; batches == 0 {
			cancel()
		}
		return nil
	})
}

// cpuTime is what this process has had of all cores so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// copy is judge without judging: as many bytes read and written.
func (l *lane) copy(ctx context.Context) error {
	var answer *curfewv1.DeadLetter
	var last uint64
	return l.Bus.Follow(ctx, bus.EventSubject(l.Tenant, l.source, l.feed), bus.From{}, func(m bus.Message) error {
		if answer == nil {
			batch := new(curfewv1.EventBatch)
			if err := m.Decode(batch); err != nil {
				return err
			}
			decided, _, _ := l.decide(l.knowledge.now(), batch)
			answer = &curfewv1.DeadLetter{Raw: make([]byte, proto.Size(decided))}
		}
		var err error
		last, err = l.Bus.Append(ctx, bus.DecisionSubject(l.Tenant, l.source, l.feed), last, answer)
		return err
	})
}
