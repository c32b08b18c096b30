// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// BenchmarkBacktest judges recorded events by a candidate: read, decode, judge, compare. Beside it the limit, which is the
// same read and decoded alone. The CPU time is that of the whole process, the bus in it included.
func BenchmarkBacktest(b *testing.B) {
	const n, size = 400 * 256, 256
	on := bustest.New(b)
	e := benchEvaluator(b, on)
	events := benchEvents(n)
	for _, event := range events {
		event.Raw = bytes.Repeat([]byte("x"), 1400)
	}
	fill(b, on, events, size)
	l := &lane{evaluator: e, source: "google_workspace", feed: "drive"}
	var last uint64
	if err := on.Read(b.Context(), bus.All("event"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		answer, _, _ := l.decide(e.knowledge.now(), batch)
		answer.EventSequence = m.Sequence
		var err error
		last, err = on.Append(b.Context(), bus.DecisionSubject("main", "google_workspace", "drive"), last, answer)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	a := &api{evaluator: e}
	candidate, err := e.policies.newest().policy.get(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, judged := range []bool{true, false} {
		name := map[bool]string{true: "judged", false: "limit"}[judged]
		b.Run(name, func(b *testing.B) {
			begun := processCPU(b)
			for b.Loop() {
				t := a.newBacktest(candidate, e.knowledge.now(), &curfewv1.BacktestPolicyRequest{})
				if !judged {
					if err := t.read(b.Context(), func(pair) outcome { return outcome{} }, func(outcome) {}); err != nil {
						b.Fatal(err)
					}
					continue
				}
				result, err := t.run(context.WithoutCancel(b.Context()), func(*curfewv1.BacktestProgress) error { return nil })
				if err != nil || result.GetUnchanged() != n {
					b.Fatalf("got %v, %v, want %d unchanged", result, err, n)
				}
			}
			used := (processCPU(b) - begun) / float64(b.N*n)
			b.ReportMetric(used*1e6, "cpu-us/event")
			b.ReportMetric(1/used, "events/s/core")
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// processCPU is the CPU time that the process has used, in seconds.
func processCPU(b *testing.B) float64 {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(fmt.Errorf("read CPU time: %w", err))
	}
	return float64(use.Utime.Sec+use.Stime.Sec) + float64(use.Utime.Usec+use.Stime.Usec)/1e6
}
