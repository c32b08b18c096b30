// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"fmt"
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
// durable before going on. Beside it in the same run: the same path with one event a message, and the limit, which is
// the same batches read and as large batches of decisions written with nothing decided.
func BenchmarkEvaluator(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		n     int
		judge bool
	}{{"batch=256", 256, 40 * 256, true}, {"batch=1", 1, 2000, true}, {"limit", 256, 40 * 256, false}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				on := bustest.New(b)
				e := benchEvaluator(b, on)
				events := benchEvents(c.n) // after the policy came into force
				fill(b, on, events, c.size)
				b.StartTimer()
				l := &lane{evaluator: e, source: "google_workspace", feed: "drive"}
				ctx, cancel := context.WithCancel(b.Context())
				go func() {
					// The end is seen where everybody sees it: in the stream of decisions.
					_ = on.Follow(ctx, bus.All("decision"), bus.From{}, func(m bus.Message) error {
						batch := new(curfewv1.DecisionBatch)
						if err := m.Decode(batch); err != nil {
							return err
						}
						if n := len(batch.GetDecisions()); n > 0 && batch.GetDecisions()[n-1].GetEventId() == events[len(events)-1].GetId() {
							cancel()
						}
						return nil
					})
				}()
				var err error
				if c.judge {
					_, err = l.judge(ctx)
				} else {
					err = l.copy(ctx)
				}
				if ctx.Err() == nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := on.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*c.n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// copy is judge without judging: what the bus alone takes.
func (l *lane) copy(ctx context.Context) error {
	answers := map[int]*curfewv1.DecisionBatch{}
	var last uint64
	return l.Bus.Follow(ctx, bus.EventSubject(l.Tenant, l.source, l.feed), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		answer := answers[len(batch.GetEvents())]
		if answer == nil {
			answer, _, _ = l.decide(l.knowledge.now(), batch)
			answers[len(batch.GetEvents())] = answer
		}
		for i, e := range batch.GetEvents() {
			answer.GetDecisions()[i].EventId = e.GetId()
		}
		var err error
		last, err = l.Bus.Append(ctx, bus.DecisionSubject(l.Tenant, l.source, l.feed), last, answer)
		return err
	})
}
