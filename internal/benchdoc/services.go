// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"strings"
)

func (s *sheet) evaluator() {
	rate := func(way string) float64 { return s.median("evaluator Evaluator/"+way, "events/s") }
	used := func(way string) float64 { return s.median("evaluator Evaluator/"+way, "cpu-us/event") }
	batch, one := rate("batch=256"), rate("batch=1")
	s.say("## The evaluator's path")
	s.say("Consume, decode, decide, write findings and one decision an event, durable; and its parts by themselves.")
	rows := [][]string{
		{"way", "events/s", "CPU µs an event"},
		{"batches of 256 events, one lane", whole(batch), number(used("batch=256"))},
		{"one event a message, same durability", whole(one), number(used("batch=1"))},
	}
	sum := 0.0
	for _, part := range [][2]string{{"bus", "the bus: as many bytes read and written"}, {"decode", "decode"}, {"decide", "decide"}, {"encode", "encode"}} {
		sum += used(part[0])
		rows = append(rows, []string{"part: " + part[1], "", number(used(part[0]))})
	}
	s.table(rows...)
	s.table(
		[]string{"", "measured", "goal"},
		append([]string{"batches"}, atLeast(80_000).against(batch, " events/s")...),
		append([]string{"batches against one event a message"}, atLeast(8).against(batch/one, " times")...),
		append([]string{"CPU of the path against the sum of its parts"}, atMost(1.3).against(used("batch=256")/sum, " times")...),
		append([]string{"backtest, a core (read and decoded alone: " + whole(s.median("evaluator Backtest/limit", "events/s/core")) + ")"}, atLeast(200_000).against(s.median("evaluator Backtest/judged", "events/s/core"), " decisions/s")...),
		append([]string{"longest decision while 110,000 rows are applied (while nothing is: " + number(s.median("evaluator JudgingMeanwhile/apply=false", "max-ms")) + " ms)"}, atMost(10).against(s.median("evaluator JudgingMeanwhile/apply=true", "max-ms"), " ms")...),
	)
}

func (s *sheet) eval() {
	path := func(way string) float64 { return s.median("curfew Eval/"+way, "events/s") }
	table, asJSON, limit := path("table"), path("json"), path("limit")
	s.say("## `curfew eval`, one core")
	s.say("Read, decode, judge, print.")
	s.table(
		[]string{"way", "events/s", "of the limit"},
		[]string{"`-o table`", whole(table), share(table, limit)},
		[]string{"`-o json`, the raw record in it", whole(asJSON), share(asJSON, limit)},
		[]string{"limit: encoding/json alone, a few fields", whole(limit), "100 %"},
	)
	s.say("Goal: at least 20,000 events/s.")
}

func (s *sheet) collector() {
	path := func(way string) float64 { return s.median("collector Backfill/"+way, "events/s") }
	stored, polled, decoding := path("stored"), path("polled"), path("decoding")
	s.say("## The collector")
	s.say("The first read of 1,000,000 Okta events from a fake on loopback into EVENTS on disk.")
	s.table(
		[]string{"way", "events/s"},
		[]string{"fetched, decoded, stored, each message synced", whole(stored)},
		[]string{"fetched and decoded, nothing stored", whole(polled)},
		[]string{"limit: decoding alone, one core", whole(decoding)},
	)
	s.say("Decoding is **%s** of the CPU time of %d cores meanwhile. Goal: at least 40,000 events/s.", share(stored/float64(runtime.NumCPU()), decoding), runtime.NumCPU())
	s.say("From a webhook's arrival until its event is in EVENTS on disk, at 500 a second:")
	rows := [][]string{{"way", "p50 ms", "p99 ms"}}
	for _, way := range [][2]string{{"webhook to durable event", "durable"}, {"limit: one synced write of its size", "limit"}} {
		name := "collector Webhook/" + way[1]
		rows = append(rows, []string{way[0], number(s.median(name, "p50-ms")), number(s.median(name, "p99-ms"))})
	}
	s.table(rows...)
	s.say("Goal: p99 under 50 ms.")
	many := func(unit string) string { return whole(s.median("collector ManySources", unit)) }
	s.say(`One collector with 50 sources, its bus in another process: **%s MB** of heap and stacks while all are polled, %s MB while all catch up
with a page of 1,000 records at once. Goal: under 150 MB.`, many("MB-polled"), many("MB-catching-up"))
}

func (s *sheet) grants() {
	storm := func(unit string) float64 { return s.median("notifier Storm", unit) / 1e3 }
	called := func(hung int, unit string) float64 {
		return s.median(fmt.Sprintf("collector Storm/hung=%d", hung), unit) / 1e3
	}
	steady := func(unit string) float64 { return s.median("notifier Steady", unit) }
	restart := func(unit string) float64 { return s.median("notifier Restart", unit) }
	s.say("## Grants that end")
	s.say(`From a grant's end until the step that takes it is in GRANTS, on disk, with 100,000 grants alive; the targets take no time. The peer
is the expiration manager of OpenBao v2.6.2 over storage in memory, measured separately, once, on a like machine with two cores.`)
	s.table(
		[]string{"", "measured", "goal", "OpenBao"},
		append(append([]string{"100,000 end in one second, p99 late (p50: " + number(storm("p50-ms")) + " s)"}, under(5).against(storm("p99-ms"), " s")...), "15.5 s (p50: 7.5 s)"),
		append(append([]string{"1,000 end in a minute, p99 late (p50: " + number(steady("p50-ms")) + " ms)"}, under(250).against(steady("p99-ms"), " ms")...), ""),
		append(append([]string{"the same, p99.9"}, under(1000).against(steady("p99.9-ms"), " ms")...), ""),
		append(append([]string{"restart with 100,000, bus and all: ready"}, under(3).against(restart("s-ready"), " s")...), "2.1 to 6.2 s"),
		append(append([]string{"the same: 1,000 overdue stored as being taken"}, under(5).against(restart("s-dispatched"), " s")...), ""),
		append(append([]string{"memory a grant, book and due index"}, under(1000).against(s.median("notifier GrantMemory", "B/grant"), " bytes")...), "1,900 bytes"),
	)
	s.say(`From there until the SaaS is asked to take it, with a claim and a first read in between, each on disk before the next, of 100,000
that end at one moment at ten sources which answer at once:`)
	rows := [][]string{{"", "p50 s", "p99 s"}}
	for hung, name := range []string{"all ten answer", "one never does; the other nine"} {
		rows = append(rows, []string{name, number(called(hung, "p50-ms")), number(called(hung, "p99-ms"))})
	}
	s.table(rows...)
	s.say("Goal: p99 under 5 s, of nine under 2 s. It is bound by CPU: three steps, six calls and two decisions a grant, on two cores.")
}

func (s *sheet) decoders() {
	s.say("## Decoders")
	rows := [][]string{{"source", "µs a record", "MB/s"}}
	for _, name := range s.names("Decode") {
		pkg, bench, _ := strings.Cut(name, " ")
		rows = append(rows, []string{pkg + strings.TrimPrefix(bench, "Decode"), number(s.median(name, "ns/op") / 1e3), whole(s.median(name, "MB/s"))})
	}
	s.table(rows...)
}
