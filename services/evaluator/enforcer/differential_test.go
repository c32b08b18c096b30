// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/casbin/casbin/v2/util"

	"github.com/curfewhq/curfew/internal/temporal"
)

var (
	requests = flag.Int("requests", 0, "how many requests TestDifferential asks; 0 = 200,000, and with -short a quarter of it")
	seed     = flag.Uint64("seed", 1, "what TestDifferential makes its scenarios from")
)

// moment answers who holds what in a scenario, from the temporal relation.
type moment struct {
	relation *temporal.Relation
	at       int64
	patterns bool // of domains
}

func (m *moment) Hold(name, dom string) *temporal.Holding {
	if m.patterns {
		return temporal.Hold(name, dom, m.at, matching{m.relation, dom})
	}
	return temporal.Hold(name, dom, m.at, m.relation)
}

// subject is that of a request, kept for as long as its holding is valid.
func (m *moment) subject(e *Enforcer, q Request, kept map[[2]string]*Subject) *Subject {
	key := [2]string{q.Sub, ""}
	if e.Domains() {
		key[1] = q.Dom
	}
	if s := kept[key]; s != nil && s.holding.From <= m.at && m.at < s.holding.Until {
		return s
	}
	kept[key] = e.Subject(m.Hold(key[0], key[1]))
	return kept[key]
}

// matching is the links whose domain, as a pattern, is that of the question.
type matching struct {
	*temporal.Relation
	dom string
}

func (m matching) Links(holder string) []temporal.Link {
	links := append([]temporal.Link(nil), m.Relation.Links(holder)...)
	for i, l := range links {
		if util.KeyMatch(m.dom, l.Dom) {
			links[i].Dom = ""
		}
	}
	return links
}

func (s *scenario) relation() *temporal.Relation {
	byHolder := map[string][]temporal.Link{}
	for _, l := range s.links {
		link := temporal.Link{Held: l.held, Dom: l.dom, From: int64(l.from), Until: int64(l.until), Uncertain: l.uncertain}
		if l.from == -1 {
			link.From = temporal.Start
		}
		if l.until == -1 {
			link.Until = temporal.End
		}
		byHolder[l.holder] = append(byHolder[l.holder], link)
	}
	return temporal.NewRelation().With(byHolder)
}

// related is g2 of a scenario.
func (s *scenario) related() map[string]func(a, b string) bool {
	var within func(a, b string, steps int) bool
	within = func(a, b string, steps int) bool {
		if a == b {
			return true
		}
		for _, pair := range s.inside {
			if steps > 0 && pair[0] == a && within(pair[1], b, steps-1) {
				return true
			}
		}
		return false
	}
	return map[string]func(a, b string) bool{"g2": func(a, b string) bool { return within(a, b, 10) }}
}

// tally is what the scenarios came to; too little of anything would show nothing.
type tally struct {
	requests, allowed, denied, byRow, indexed, scanned, remembered, residual, failed, open, turned, turnedScan int
}

func (sum *tally) add(more tally) {
	sum.requests += more.requests
	for i, n := range sum.parts() {
		*n += *more.parts()[i]
	}
}

func (sum *tally) parts() []*int {
	return []*int{&sum.allowed, &sum.denied, &sum.byRow, &sum.indexed, &sum.scanned, &sum.remembered, &sum.residual, &sum.failed, &sum.open, &sum.turned, &sum.turnedScan}
}

// check asks about a scenario and compares each answer with plain Casbin's.
func check(t testing.TB, s *scenario, asks int, sum *tally) {
	t.Helper()
	rows := make([]Row, len(s.rows))
	for i, fields := range s.rows {
		rows[i] = Row{Fields: fields, Line: i + 1}
	}
	e, err := New(s.model, rows, s.related())
	if err != nil {
		t.Fatalf("%v\n%s", err, s)
	}
	m := &moment{relation: s.relation(), patterns: e.PatternDomains()}
	kept := map[[2]string]*Subject{}
	for range 2 {
		now := s.chance.below(moments)
		m.at = int64(now)
		uncertain := uint(0)
		for _, l := range s.links {
			if l.uncertain && l.holdsAt(now) {
				uncertain++
			}
		}
		worlds := make([]*oracle, 1<<uncertain)
		for i := range worlds {
			worlds[i] = newOracle(t, s, now, uint(i))
		}
		for range asks / 2 {
			sum.requests++
			q := s.request()
			compare(t, m, worlds, q, m.subject(e, q, kept), sum)
		}
	}
}

// compare asks one question of the enforcer and of plain Casbin in every world; in the first nothing uncertain held.
func compare(t testing.TB, m *moment, worlds []*oracle, q Request, subject *Subject, sum *tally) {
	t.Helper()
	s, e := worlds[0].scenario, subject.of
	want, wantRow, wantErr := worlds[0].ask(q)
	got, err := e.Decide(q, subject, m)
	scanned, scannedRow, scanErr := e.Scan(q, m)
	if wantErr != nil {
		sum.failed++
		if err == nil || scanErr == nil {
			t.Fatalf("%+v at %d: Casbin fails with %v, Decide with %v, Scan with %v\n%s", q, m.at, wantErr, err, scanErr, s)
		}
		return
	}
	if err != nil || got.Allowed != want || got.Row != wantRow {
		t.Fatalf("%+v at %d: Decide got %v by %d (%v), want %v by %d\n%s", q, m.at, got.Allowed, got.Row, err, want, wantRow, s)
	}
	if scanErr != nil || scanned != want || scannedRow != wantRow {
		t.Fatalf("%+v at %d: Scan got %v by %d (%v), want %v by %d\n%s", q, m.at, scanned, scannedRow, scanErr, want, wantRow, s)
	}
	turned := false
	for i, world := range worlds[1:] {
		other, _, err := world.ask(q)
		if err == nil && other == want {
			continue
		}
		if turned = true; len(got.Open) == 0 {
			t.Fatalf("%+v at %d: got %v for certain, and %v (%v) with the uncertain links %b\n%s", q, m.at, want, other, err, i+1, s)
		}
	}
	sum.count(e, got, turned)
}

func (sum *tally) count(e *Enforcer, got Answer, turned bool) {
	for i, is := range []bool{
		got.Allowed, !got.Allowed, got.Row >= 0, e.index != nil, e.index == nil, e.memo != nil, e.index != nil && e.memo == nil, false, len(got.Open) > 0, turned, turned && e.index == nil,
	} {
		if is {
			*sum.parts()[i]++
		}
	}
}

// The index, the memo and our own g may not be seen: each answer and each deciding row is that of plain Casbin over every
// row and exactly the links that hold at the moment.
func TestDifferential(t *testing.T) {
	const streams, asks = 4, 32
	want := *requests
	if want == 0 {
		if want = 200_000; testing.Short() {
			want /= 4
		}
	}
	sums := make([]tally, streams)
	var failed atomic.Bool
	t.Run("streams", func(t *testing.T) {
		for i := range streams {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(*seed, uint64(i)))
				defer func() { failed.Store(failed.Load() || t.Failed()) }()
				for sums[i].requests < want/streams && !failed.Load() {
					check(t, newScenario(seeded{random}), asks, &sums[i])
				}
			})
		}
	})
	var all tally
	for _, sum := range sums {
		all.add(sum)
	}
	if failed.Load() {
		return
	}
	t.Logf("%+v", all)
	for name, share := range map[string][2]int{
		"allowed": {all.allowed, 20}, "denied": {all.denied, 20}, "decided by a row": {all.byRow, 20}, "by index": {all.indexed, 40},
		"by scan": {all.scanned, 20}, "with memo": {all.remembered, 20}, "with a residual part": {all.residual, 5}, "turned by a link": {all.turned * 2, 1},
		"turned by a link, by scan": {all.turnedScan * 10, 1},
	} {
		if share[0]*100 < share[1]*all.requests {
			t.Errorf("%s: %d of %d requests, want %d in a hundred: the scenarios show too little", name, share[0], all.requests, share[1])
		}
	}
	if all.open > all.turned*5/4+20 {
		t.Errorf("%d answers are open and the links turn %d: what is certain is not told", all.open, all.turned)
	}
}

// FuzzDecide is the same, with scenarios made of a fuzzer's bytes.
func FuzzDecide(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		data := make([]byte, 1200)
		for i := range data {
			data[i] = byte(random.UintN(256))
		}
		f.Add(data)
	}
	f.Add([]byte(strings.Repeat("\x00", 10)))
	f.Fuzz(func(t *testing.T, data []byte) {
		check(t, newScenario(&fromBytes{data}), 8, &tally{})
	})
}
