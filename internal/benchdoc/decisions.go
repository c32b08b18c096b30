// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// policies is the sizes that bench measures, with what is asked of the ratio to Casbin at each.
func policies() []struct {
	name, rows string
	beside     float64 // 0 = nothing
} {
	return []struct {
		name, rows string
		beside     float64
	}{
		{"small", "110", 0}, {"medium", "1,100", 8}, {"large", "11,000", 50}, {"huge", "110,000", 400}, {"wide", "41,000, dense", 700},
	}
}

// decisions is what one decision costs, beside the peers.
func (s *sheet) decisions(peers string) {
	decide := func(policy, way string) float64 {
		return s.median("bench Decide/"+policy+"/"+way, "cpu-us/op")
	}
	s.say("## One decision")
	s.say(`CPU time of the whole process a decision, all threads and garbage collection included, in µs. The policies are those of
Casbin's own benchmark (a p row a role, a g row a person), and a dense one: people with two roles, twenty rows a role, roles
within roles. People are drawn at random, seven requests in ten are allowed, every object is new. All engines give the same
decisions, which a test before the measurement holds them to, and each is set up for speed: Casbin %s with the cheap
comparisons first, OPA %s as a prepared query over indexed objects, cedar-go %s with one permit a row. Curfew works out
what the person held at the event's time anew for each decision. *Candidates*: its index picks the rows that can matter, and
Casbin's own %s decides on them each time. *Kept*: Casbin's answers are kept by the rows they were given over.`,
		s.version(peers, "github.com/casbin/casbin/v2"), s.version(peers, "github.com/open-policy-agent/opa"), s.version(peers, "github.com/cedar-policy/cedar-go"), "`Enforce`")
	rows := [][]string{{"rows", "candidates", "kept", "Casbin", "OPA", "cedar-go"}}
	for _, p := range policies() {
		rows = append(rows, []string{
			p.rows, number(decide(p.name, "candidates")), number(decide(p.name, "memo")),
			number(decide(p.name, "casbin")), number(decide(p.name, "opa")), number(decide(p.name, "cedar")),
		})
	}
	s.table(rows...)
	rows = [][]string{{"times as dear as candidates", "Casbin", "goal", "OPA", "goal", "cedar-go"}}
	for _, p := range policies() {
		ours := decide(p.name, "candidates")
		casbin := []string{number(decide(p.name, "casbin") / ours), ""}
		if p.beside > 0 {
			casbin = atLeast(p.beside).against(decide(p.name, "casbin")/ours, "")
		}
		rows = append(rows, append(append([]string{p.rows}, append(casbin, atLeast(4).against(decide(p.name, "opa")/ours, "")...)...), number(decide(p.name, "cedar")/ours)))
	}
	s.table(rows...)
	floor := s.median("bench Floor/casbin", "cpu-us/op")
	s.say("The limit: Casbin's own `Enforce` over one row that allows takes **%s µs**, which is its set-up. As seven requests in ten need it, *candidates*\ncannot cost less than %s.", number(floor), number(0.7*floor))
	past := func(way string) float64 {
		return 100 * (s.median("bench Past/"+way+"/10", "cpu-us/op")/s.median("bench Past/"+way+"/0", "cpu-us/op") - 1)
	}
	stream := s.median("bench Stream/memo", "cpu-us/op")
	apply := func(what string) float64 { return s.median("bench Apply/"+what, "cpu-us/op") / 1e3 }
	s.table(
		[]string{"", "measured", "goal"},
		append([]string{"kept, 110,000 rows"}, atMost(3).against(decide("huge", "memo"), " µs")...),
		append([]string{fmt.Sprintf("kept, the same, few people do most and what they hold is remembered (OPA: %s µs)", number(s.median("bench Stream/opa", "cpu-us/op")))}, atMost(1).against(stream, " µs")...),
		append([]string{"candidates, 110,000 rows against 110"}, atMost(2).against(decide("huge", "candidates")/decide("small", "candidates"), " times")...),
		append([]string{"candidates, ten past intervals a link against none"}, atMost(15).against(past("candidates"), " % more")...),
		append([]string{"kept, the same"}, atMost(15).against(past("memo"), " % more")...),
		append([]string{fmt.Sprintf("applying 110,000 rows, CPU (Casbin's loading of the same file: %s ms)", number(apply("casbin")))}, under(300).against(apply("curfew"), " ms")...),
		append([]string{"a live grant, of 100,000"}, under(500).against(s.median("bench Grants", "B/grant"), " bytes")...),
	)
	s.say("A whole decision by the example policy, with all that goes into its record: **%s µs**.", number(s.median("judge Judge", "ns/op")/1e3))
}
