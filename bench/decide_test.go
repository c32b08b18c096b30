// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpu is how long this process has had a core so far: all threads, the system's share and the collector of garbage too.
func cpu(t testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measure reports and returns the time of cores that each call took, after what earlier benchmarks left behind is cleared
// away.
func measure(b *testing.B, call func()) time.Duration {
	runtime.GC()
	b.ReportAllocs()
	from := cpu(b)
	for b.Loop() {
		call()
	}
	each := float64(cpu(b)-from) / float64(b.N)
	b.ReportMetric(each/1e3, "cpu-us/op")
	return time.Duration(each)
}

// rounds is how often each way is measured, by turns, so that a noisy minute falls on all of them.
const rounds = 5

// A way is asked for so long before it is measured, and if it remembers something so often.
const (
	warming     = 150 * time.Millisecond
	remembering = drawn / 2
)

// way is one way to decide, with the requests it is asked and where among them it stands.
type way struct {
	name  string
	make  func() decider
	warm  int
	asked []request
	next  int
}

// ask puts the next request.
func (w *way) ask(b *testing.B, decide decider) {
	if _, err := decide(w.asked[w.next%len(w.asked)]); err != nil {
		b.Fatal(err)
	}
	w.next++
}

// measureAll measures the ways by turns. Each is made anew, and alone in memory, so that none pays for another's heap when
// garbage is collected.
func measureAll(b *testing.B, ways []way) {
	for range rounds {
		for i := range ways {
			w := &ways[i]
			b.Run(w.name, func(b *testing.B) {
				decide := w.make()
				for begun, n := time.Now(), 0; n < w.warm || time.Since(begun) < warming; n++ {
					w.ask(b, decide)
				}
				measure(b, func() { w.ask(b, decide) })
			})
		}
	}
}

// BenchmarkDecide is a decision about one of many people in each way, and by each peer, over the same policies.
func BenchmarkDecide(b *testing.B) {
	for _, s := range sizes() {
		p := newPolicy(s)
		asked := p.requests(drawn)
		var ways []way
		for _, e := range append(own(), peers()...) {
			ways = append(ways, way{name: s.name + "/" + e.name, make: func() decider { return e.make(b, p) }, warm: e.warm, asked: asked})
		}
		measureAll(b, ways)
	}
}

// BenchmarkFloor is Casbin's own Enforce over the one row that matters.
func BenchmarkFloor(b *testing.B) {
	measureAll(b, []way{{
		name: "casbin", make: func() decider { return newFloor(b) },
		asked: []request{{personName(1), shopName(1), prefix(1) + "rec-1", acts()[0]}},
	}})
}

// BenchmarkStream is a decision in a company's day: few people do most, and what they hold is remembered.
func BenchmarkStream(b *testing.B) {
	p := newPolicy(sized("huge"))
	asked := p.stream(drawn)
	measureAll(b, []way{
		{name: "memo", make: func() decider { return newCurfew(b, p, "", 0).decideKept }, warm: remembering, asked: asked},
		{name: "opa", make: func() decider { return newOPA(b, p) }, asked: asked},
	})
}

// BenchmarkPast is a decision where each link was held ten times before, beside one where none was.
func BenchmarkPast(b *testing.B) {
	p := newPolicy(sized("large"))
	asked := p.requests(drawn)
	var ways []way
	for _, matcher := range []struct {
		name, more string
		warm       int
	}{{"candidates", alwaysTrue, 0}, {"memo", "", remembering}} {
		for _, before := range []int{0, 10} {
			ways = append(ways, way{
				name: fmt.Sprintf("%s/%d", matcher.name, before), warm: matcher.warm, asked: asked,
				make: func() decider { return newCurfew(b, p, matcher.more, before).decide },
			})
		}
	}
	measureAll(b, ways)
}
