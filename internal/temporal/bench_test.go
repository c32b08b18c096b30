// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// heap is how many bytes are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkGrants folds 100,000 live grants, decoded as from the bus, and says what each costs in memory from then on.
func BenchmarkGrants(b *testing.B) {
	const grants = 100_000
	for b.Loop() {
		b.StopTimer()
		var steps [][]byte
		for n := range grants {
			s := step(90, curfewv1.GrantState_GRANT_STATE_APPROVED, func(g *curfewv1.Grant) {
				g.Id, g.Subject = fmt.Sprintf("01HZX5K%019d", n), fmt.Sprintf("person:00u%08dinvented", n*7)
				g.Role, g.Author, g.Reason = fmt.Sprint("role:support-", n%100), "person:max", "to look into an order"
			})
			content, err := proto.Marshal(s)
			if err != nil {
				b.Fatal(err)
			}
			steps = append(steps, content)
		}
		before := heap()
		b.StartTimer()
		fold := temporal.NewFold()
		for _, content := range steps {
			s := new(curfewv1.GrantStep)
			if err := proto.Unmarshal(content, s); err != nil {
				b.Fatal(err)
			}
			fold.Grant(s)
		}
		known := fold.Known()
		b.StopTimer()
		b.ReportMetric((heap()-before)/grants, "B/grant")
		if got := fold.Relation().Len(); got != grants {
			b.Fatalf("got %d links, want %d", got, grants)
		}
		runtime.KeepAlive(fold)
		runtime.KeepAlive(known)
		runtime.KeepAlive(steps)
		b.StartTimer()
	}
}

// crowd is many people with a few groups and roles each, one in ten with a grant. Each link had so many intervals before
// the one that stands.
func crowd(people, past int) *temporal.Relation {
	links := map[string][]temporal.Link{}
	hold := func(holder, held string, until int64) {
		links[holder] = append(links[holder], temporal.Link{Held: held, From: 1_000, Until: until, Origin: "okta memberships"})
		for n := range int64(past) {
			links[holder] = append(links[holder], temporal.Link{Held: held, From: n * 20, Until: n*20 + 10, Origin: "okta memberships"})
		}
	}
	for p := range people {
		person := fmt.Sprint("person:", p)
		account := temporal.Account("okta", fmt.Sprint("00u", p))
		hold(person, account, temporal.End)
		if p%10 == 0 {
			hold(person, fmt.Sprint("role:granted-", p%3), 10_000)
		}
		for g := range 3 {
			hold(account, fmt.Sprint("group:okta/", (p+g*7)%200), temporal.End)
		}
	}
	for g := range 200 {
		hold(fmt.Sprint("group:okta/", g), fmt.Sprint("role:", g%50), temporal.End)
	}
	return temporal.NewRelation().With(links)
}

// BenchmarkHold asks what somebody holds now, with and without past intervals of each link: one after the other, and both
// by turns, so that the median of their ratio does not hang on what else the machine does.
func BenchmarkHold(b *testing.B) {
	const people = 10_000
	names := make([]string, people)
	for p := range names {
		names[p] = fmt.Sprint("person:", p*7919%people)
	}
	relations := [2]*temporal.Relation{crowd(people, 0), crowd(people, 10)}
	ask := func(b *testing.B, relation *temporal.Relation, n int) {
		if temporal.Hold(names[n%people], "main", 5_000, relation).Len() < 5 {
			b.Fatal("too little is held")
		}
	}
	for i, past := range []int{0, 10} {
		b.Run(fmt.Sprint("past=", past), func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				ask(b, relations[i], n)
			}
		})
	}
	b.Run("both", func(b *testing.B) {
		const turn = 200
		var ratios []float64
		for n := 0; b.Loop(); n++ {
			var spent [2]time.Duration
			for i := range relations {
				i = (i + n) % 2
				begun := time.Now()
				for j := range turn {
					ask(b, relations[i], n*turn+j)
				}
				spent[i] = time.Since(begun)
			}
			ratios = append(ratios, float64(spent[1])/float64(spent[0]))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "past10/past0")
	})
}

// BenchmarkInventory folds 50,000 memberships, then a change of one that a reading shows, and one that an event tells. The
// digest over all of them, by which a record that is missing is found, is most of the former: it stands beside them.
func BenchmarkInventory(b *testing.B) {
	const members = 50_000
	from := library{}
	s := &shelf{library: from, source: "okta", kind: "memberships"}
	all := make([]*curfewv1.Entry, members)
	for n := range all {
		all[n] = membership(fmt.Sprintf("00u%08dinvented", n%10_000), fmt.Sprint("00g", n/10_000*37+n%100))
	}
	first := s.store(b, whole(0, 1, all...), true, true)
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			before := heap()
			b.StartTimer()
			fold := temporal.NewFold()
			take(b, fold, from, first)
			fold.Known()
			b.StopTimer()
			b.ReportMetric((heap()-before)/members, "B/membership")
			runtime.KeepAlive(fold)
			b.StartTimer()
		}
	})
	records := []*curfewv1.Inventory{s.store(b, whole(10, 11, all[1:]...), false, false), s.store(b, whole(20, 21, all...), false, false)}
	b.Run("change", func(b *testing.B) {
		fold := temporal.NewFold()
		take(b, fold, from, first)
		fold.Known()
		n := 0
		for b.Loop() {
			take(b, fold, from, records[n%2])
			fold.Known()
			n++
		}
	})
	b.Run("event", func(b *testing.B) {
		fold := temporal.NewFold()
		take(b, fold, from, first)
		fold.Known()
		for n := 0; b.Loop(); n++ {
			m := all[n%members].GetMembership()
			take(b, fold, from, batch("okta", told(fmt.Sprint("e", n), int64(20+n), int64(20+n), "-", m.GetMember(), m.GetGroup())))
			fold.Known()
		}
	})
	b.Run("digest", func(b *testing.B) {
		var state inventory.State
		n := 0
		if err := state.Apply(first, from.load); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := state.Apply(records[n%2], from.load); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
}
