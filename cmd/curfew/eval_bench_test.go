// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// BenchmarkEval is `curfew eval` on one core: read, decode, judge, print. The limit beside it in the same run is a copy
// of the same bytes line by line.
func BenchmarkEval(b *testing.B) {
	const n = 5000
	var input bytes.Buffer
	for i := range n {
		input.Write(fake.OktaEvent{Seed: 1, Number: uint64(i), Type: "user.authentication.sso", Actor: fake.OktaPerson("anna.berg"), Published: time.Now()}.JSON())
		input.WriteByte('\n')
	}
	for _, c := range []struct {
		name string
		json bool
	}{{"table", false}, {"json", true}} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			for b.Loop() {
				e, err := newEvaluation("okta", "../../deploy/example/policy", "main", c.json)
				if err != nil {
					b.Fatal(err)
				}
				if err := e.files(context.Background(), []string{"-"}, bytes.NewReader(input.Bytes()), io.Discard); err != nil {
					b.Fatal(err)
				}
				if e.total.events != n {
					b.Fatalf("got %d events, want %d", e.total.events, n)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
		})
	}
}
