// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// pick is one of some words.
func pick(random *rand.Rand, words ...string) string { return words[random.IntN(len(words))] }

// Few names, so that they move from one to another and mean two.
var (
	people     = []string{"u1", "u2", "u3", "u4"}
	addresses  = []string{"ann@shop.example.com", "ben@shop.example.com", "cay@shop.example.com"}
	groupNames = []string{"Support", "Finance"}
	kinds      = []string{"people", "groups", "memberships", "roles", "apps"}
)

// shownEntry is something that an inventory may show.
func shownEntry(random *rand.Rand, kind string) *curfewv1.Entry {
	id, g := pick(random, people...), pick(random, "g1", "g2", "g3")
	switch kind {
	case "people":
		return account(id, pick(random, "ann", "ben", ""), pick(random, addresses...))
	case "groups":
		return group(g, pick(random, groupNames...))
	case "memberships":
		return changed(membership(id, g), func(e *curfewv1.Entry) { e.GetMembership().Pending = random.IntN(4) == 0 })
	case "roles":
		return assignment(pick(random, "as1", "as2", "as3"), id, pick(random, "admin", "reader"))
	default:
		return consent(pick(random, "c1", "c2"), pick(random, "app1", "app2"), pick(random, "active", "suspended"), pick(random, "read", "write"), "profile")
	}
}

// readings is records of inventories that change at random; some are lost, or their objects are.
func readings(t *testing.T, random *rand.Rand, from library, n int) []proto.Message {
	t.Helper()
	shelves, shown := map[string]*shelf{}, map[string]map[string]*curfewv1.Entry{}
	for _, kind := range kinds {
		shelves[kind], shown[kind] = &shelf{library: from, source: "okta", kind: kind}, map[string]*curfewv1.Entry{}
	}
	var records []proto.Message
	for at := int64(0); len(records) < n; at += 10 {
		kind := pick(random, kinds...)
		for range random.IntN(3) {
			if e := shownEntry(random, kind); random.IntN(3) == 0 {
				delete(shown[kind], e.GetKey())
			} else {
				shown[kind][e.GetKey()] = e
			}
		}
		seen := whole(at, at+random.Int64N(15), slices.Collect(maps.Values(shown[kind]))...)
		if random.IntN(4) == 0 {
			seen.Missing = []string{"a part: refused"}
			seen.Entries = seen.Entries[:random.IntN(len(seen.GetEntries())+1)]
		}
		record := shelves[kind].store(t, seen, random.IntN(4) == 0, random.IntN(8) == 0)
		if random.IntN(12) == 0 {
			delete(from, record.GetObject())
		}
		if random.IntN(15) > 0 {
			records = append(records, record)
		}
	}
	return records
}

// reports is what events told, of people and groups by whatever name.
func reports(random *rand.Rand, n int) []proto.Message {
	var batches []proto.Message
	for i := range n {
		at := random.Int64N(400)
		fact := told(fmt.Sprint("e", random.IntN(n)), at, at+random.Int64N(100), pick(random, "+", "-"),
			pick(random, append(addresses, "u1", "u2", "ann", "BEN", "ANN@shop.example.com", "nobody@shop.example.com", "")...),
			pick(random, "g1", "g2", "support", "Finance", "Unheard", ""))
		if random.IntN(4) == 0 {
			fact.Change.Kind, fact.Change.Held = "roles", pick(random, "admin", "reader")
		}
		if random.IntN(6) == 0 {
			fact.Change.HolderType, fact.Change.Holder = "group", pick(random, "g1", "Support")
		}
		facts := []*curfewv1.LinkFact{fact}
		if i%3 == 0 {
			facts = append(facts, fact)
		}
		batches = append(batches, batch("okta", facts...))
	}
	return batches
}

// steps is steps of grants, to people, apps and accounts.
func steps(random *rand.Rand, n int) []proto.Message {
	var all []proto.Message
	states := slices.Sorted(maps.Keys(curfewv1.GrantState_name))
	for at := range n {
		from := random.Int64N(400)
		id := fmt.Sprint("grant", random.IntN(n/2))
		g := &curfewv1.Grant{
			Id: id, Tenant: "main", Subject: map[byte]string{'0': "person:ann", '1': "app:okta/app1"}[id[5]], Role: pick(random, "role:support", "role:finance"),
			State: curfewv1.GrantState(states[random.IntN(len(states))]), From: stamp(from), ExpiresAt: stamp(from + random.Int64N(100)),
		}
		if g.GetSubject() == "" {
			g.Subject = temporal.Account("okta", "u1")
		}
		if random.IntN(3) == 0 {
			g.EndedAt = stamp(from + random.Int64N(150) - 20)
		}
		all = append(all, &curfewv1.GrantStep{Format: 1, Grant: g, Time: stamp(int64(at * 10)), Author: "person:ann"})
	}
	return all
}

// However the streams' records come between each other, and whenever it is asked in between, the same comes of them.
func TestStreamsInAnyOrder(t *testing.T) {
	links := 0
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 3))
		from := library{}
		streams := [][]proto.Message{readings(t, random, from, 40), reports(random, 30), steps(random, 20)}
		for part := range 3 { // each prefix that two orders have in common
			prefixes := slices.Clone(streams)
			for i := range prefixes {
				if part < 2 {
					prefixes[i] = prefixes[i][:random.IntN(len(prefixes[i])+1)]
				}
			}
			want := folded(t, from, slices.Concat(prefixes...)...)
			for range 3 {
				got := temporal.NewFold()
				for _, record := range interleave(random, prefixes...) {
					take(t, got, from, record)
					if random.IntN(4) == 0 {
						got.Relation()
					}
				}
				if diff := cmp.Diff(dump(want.Relation()), dump(got.Relation())); diff != "" {
					t.Fatalf("seed %d: one order gives (-) and another (+):\n%s", seed, diff)
				}
				if diff := cmp.Diff(bounds(want.Known()), bounds(got.Known())); diff != "" {
					t.Fatalf("seed %d: one order knows (-) and another (+):\n%s", seed, diff)
				}
			}
			links += want.Relation().Len()
		}
	}
	if links < 10_000 {
		t.Errorf("got %d links, want many more: the test tries too little", links)
	}
}

// bounds is from when until when each inventory is known.
func bounds(k *temporal.Known) []string {
	var lines []string
	for _, kind := range kinds {
		since, awaited := k.Since("okta", kind)
		lines = append(lines, fmt.Sprintf("%s %s..%s %t", kind, seconds(since), seconds(k.Lost("okta", kind)), awaited))
	}
	return lines
}

// The links come in one order, whoever came to hold them last: which of two is named as the reason hangs on it.
func TestLinksAreInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 4))
	from := library{}
	fold := folded(t, from, interleave(random, readings(t, random, from, 60), reports(random, 60), steps(random, 60))...)
	fold.Relation().Each(func(holder string, links []temporal.Link) bool {
		var ends []int64
		for _, l := range slices.Backward(links) {
			ends = append(ends, l.Until)
		}
		if !slices.IsSorted(ends) {
			t.Errorf("%s: what ends last does not come first: %v", holder, links)
		}
		return true
	})
}

// What a record changes is never earlier than Changed says, and what it says is where it begins.
func TestChanged(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 5))
		from := library{}
		fold := temporal.NewFold()
		before := fold.Known()
		var names []string
		for _, record := range interleave(random, readings(t, random, from, 30), reports(random, 20), steps(random, 20)) {
			old := fold.Relation()
			take(t, fold, from, record)
			after := fold.Known()
			fold.Relation().Each(func(holder string, _ []temporal.Link) bool { names = append(names, holder); return true })
			slices.Sort(names)
			names = slices.Compact(names)
			want := temporal.End
			for _, name := range names {
				want = min(want, firstDifference(old.Links(name), fold.Relation().Links(name)))
			}
			for _, kind := range kinds {
				a, _ := before.Since("okta", kind)
				if b, _ := after.Since("okta", kind); a != b {
					want = min(want, a, b)
				}
				if a, b := before.Lost("okta", kind), after.Lost("okta", kind); a != b {
					want = min(want, a, b)
				}
			}
			got, ok := fold.Changed()
			if got != want || ok != (want < temporal.End) {
				t.Fatalf("seed %d: got changed from %s (%t), want %s", seed, seconds(got), ok, seconds(want))
			}
			before = after
		}
	}
}

// firstDifference is the first moment at which two lists of links give something else; it is an edge of one of them.
func firstDifference(a, b []temporal.Link) int64 {
	first := temporal.End
	for _, l := range slices.Concat(a, b) {
		for _, edge := range []int64{l.From, l.Until} {
			if edge < first && given(a, edge) != given(b, edge) {
				first = edge
			}
		}
	}
	return first
}

// given is what links give at a moment, in a line.
func given(links []temporal.Link, at int64) string {
	var words []string
	for _, l := range links {
		if l.From <= at && at < l.Until {
			words = append(words, fmt.Sprint(l.Held, l.Uncertain))
		}
	}
	slices.Sort(words)
	return fmt.Sprint(slices.Compact(words))
}
