// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// BenchmarkEval is `curfew eval` on one core: read, decode, judge, print. The limit beside it in the same run is
// encoding/json alone, reading the same records into a struct of the few fields that a decision needs.
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
	b.Run("limit", func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		records := bytes.Split(bytes.TrimSpace(input.Bytes()), []byte("\n"))
		for b.Loop() {
			for _, record := range records {
				var fields struct {
					UUID, Published, EventType string
					Actor                      struct{ ID, AlternateID string }
					Target                     []struct{ ID, Type string }
				}
				if err := json.Unmarshal(record, &fields); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkIdle is what `curfew run` takes while nothing happens.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		p := &process{dir: b.TempDir(), api: freePort(b)}
		p.configure(b, "http://127.0.0.1:1")
		p.start(b)
		<-time.After(5 * time.Second)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		var kilobytes float64
		for _, line := range strings.Split(string(status), "\n") {
			if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
				if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
					b.Fatal(err)
				}
			}
		}
		p.stop(b)
		b.ReportMetric(kilobytes/1024, "MB")
	}
}
