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
	return &evaluator{Options: o, policies: policies}
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
// durable before going on. The peer in the same run is the same path with one event a message.
func BenchmarkEvaluator(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
		n    int
	}{{"batch=256", 256, 40 * 256}, {"batch=1", 1, 2000}} {
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
				if err := l.judge(ctx); ctx.Err() == nil {
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

// BenchmarkDecide is one decision.
func BenchmarkDecide(b *testing.B) {
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	policy, err := ReadPolicy(exampleDir, cat)
	if err != nil {
		b.Fatal(err)
	}
	judge := &Judge{Catalog: cat, Tenant: "main", Policies: func(time.Time) (*Policy, time.Time) { return policy, time.Time{} }}
	events := benchEvents(1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		judge.Evaluate(events[i%len(events)])
	}
}
