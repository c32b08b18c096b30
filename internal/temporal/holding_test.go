// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
)

// reach is how far a role reaches through roles in Casbin.
const reach = 10

// unordered is a source that keeps no order.
type unordered map[string][]temporal.Link

func (u unordered) Links(holder string) []temporal.Link { return u[holder] }

// graph is random links between few names: a chain longer than roles reach, ways across, cycles, links to oneself,
// domains, intervals with ends in common, doubts.
func graph(random *rand.Rand) map[string][]temporal.Link {
	const names = 16
	links := map[string][]temporal.Link{}
	add := func(from, to int, always bool) {
		l := temporal.Link{Held: fmt.Sprint("n", to), From: temporal.Start, Until: temporal.End, Uncertain: random.IntN(8) == 0}
		if !always || random.IntN(6) == 0 {
			l.From = random.Int64N(12)
			l.Until = l.From + random.Int64N(12)
			l.Dom = pick(random, "", "", "eu", "us")
			l.Uncertain = random.IntN(4) == 0
		}
		if random.IntN(6) == 0 {
			l.From = temporal.Start
		}
		if random.IntN(6) == 0 {
			l.Until = temporal.End
		}
		holder := fmt.Sprint("n", from)
		links[holder] = append(links[holder], l)
	}
	if random.IntN(2) == 0 {
		for n := range names - 1 {
			add(n, n+1, true)
		}
	}
	for range random.IntN(2 * names) {
		add(random.IntN(names), random.IntN(names), false)
	}
	return links
}

// reachable is the names at the end of any path of at most reach links that stand, found path by path.
func reachable(links map[string][]temporal.Link, name, dom string, at int64, doubtful bool) []string {
	hops := map[string]int{} // -> fewest links that led there
	var walk func(name string, n int)
	walk = func(name string, n int) {
		if fewest, known := hops[name]; known && fewest <= n {
			return // a path on from here was tried with as many links left
		}
		hops[name] = n
		if n == reach {
			return
		}
		for _, l := range links[name] {
			inDomain := l.Dom == "" || l.Dom == dom
			if inDomain && at >= l.From && at < l.Until && (doubtful || !l.Uncertain) {
				walk(l.Held, n+1)
			}
		}
	}
	walk(name, 0)
	return slices.Sorted(maps.Keys(hops))
}

// contents is what a holding holds, certainly and at all.
func contents(h *temporal.Holding) (certain, all []string) {
	for i := range h.Len() {
		name, uncertain := h.At(i)
		all = append(all, name)
		if !uncertain {
			certain = append(certain, name)
		}
	}
	slices.Sort(certain)
	slices.Sort(all)
	return certain, all
}

func TestHoldIsWhatLinksReach(t *testing.T) {
	uncertain, cut := 0, 0
	for seed := range uint64(700) {
		random := rand.New(rand.NewPCG(seed, 9))
		links := graph(random)
		relation := temporal.NewRelation().With(links)
		halves := [2]unordered{{}, {}}
		for holder, all := range links {
			n := random.IntN(len(all) + 1)
			halves[0][holder], halves[1][holder] = all[:n], all[n:]
		}
		for range 6 {
			name, dom, at := fmt.Sprint("n", random.IntN(3)), pick(random, "", "eu", "us"), random.Int64N(30)-3
			certain, all := reachable(links, name, dom, at, false), reachable(links, name, dom, at, true)
			uncertain += len(all) - len(certain)
			for _, h := range []*temporal.Holding{
				temporal.Hold(name, dom, at, relation), temporal.Hold(name, dom, at, unordered(links)), temporal.Hold(name, dom, at, halves[0], halves[1]),
			} {
				gotCertain, gotAll := contents(h)
				if diff := cmp.Diff(certain, gotCertain) + cmp.Diff(all, gotAll); diff != "" {
					t.Fatalf("seed %d: %s in %q at %d: want (-), got (+):\n%s%v", seed, name, dom, at, diff, links)
				}
				checkFound(t, h, all, certain)
				checkWays(t, h, links, dom, at)
				checkBounds(t, random, h, links, dom, at)
			}
			if len(reachable(links, name, dom, at, true)) < 16 && len(links) == 16 {
				cut++
			}
		}
	}
	if uncertain == 0 || cut == 0 {
		t.Errorf("got %d uncertain and %d cut off: the test tries too little", uncertain, cut)
	}
}

// checkFound asks for each name by itself.
func checkFound(t *testing.T, h *temporal.Holding, all, certain []string) {
	t.Helper()
	for n := range 18 {
		name := fmt.Sprint("n", n)
		held, sure := h.Has(name)
		if held != slices.Contains(all, name) || sure != slices.Contains(certain, name) {
			t.Fatalf("%s: got held %t (certain %t), want held %t (certain %t)", name, held, sure, slices.Contains(all, name), slices.Contains(certain, name))
		}
	}
}

// checkWays holds each way to being links that are there and stand, from the name to what it holds, of which none is
// uncertain exactly where what is held is certain.
func checkWays(t *testing.T, h *temporal.Holding, links map[string][]temporal.Link, dom string, at int64) {
	t.Helper()
	for i := range h.Len() {
		name, uncertain := h.At(i)
		holder, doubt := h.Name(), false
		way := h.Way(name)
		for _, link := range way {
			if link.GetHolder() != holder {
				t.Fatalf("%s: the way goes on from %s, want from %s: %v", name, link.GetHolder(), holder, way)
			}
			there := slices.ContainsFunc(links[holder], func(l temporal.Link) bool {
				return (l.Dom == "" || l.Dom == dom) && l.From <= at && at < l.Until && proto.Equal(l.Message(holder), link)
			})
			if !there {
				t.Fatalf("%s: no link that stands at %d is %v", name, at, link)
			}
			holder, doubt = link.GetHeld(), doubt || link.GetUncertain()
		}
		if holder != name && i > 0 || len(way) > reach || doubt != uncertain {
			t.Fatalf("%s (uncertain %t): got a way of %d links to %s (uncertain %t), want at most %d to it", name, uncertain, len(way), holder, doubt, reach)
		}
	}
	if h.Way("nobody") != nil || h.Way(h.Name()) != nil {
		t.Fatal("got a way to what is not held or to the name itself, want none")
	}
	if got := len(h.All()); got != h.Len()-1 {
		t.Fatalf("got %d links in all, want %d", got, h.Len()-1)
	}
}

// checkBounds holds the bounds to their promise at random moments within, and to lie about the moment asked for.
func checkBounds(t *testing.T, random *rand.Rand, h *temporal.Holding, links map[string][]temporal.Link, dom string, at int64) {
	t.Helper()
	if at < h.From || h.Until <= at {
		t.Fatalf("got bounds [%d, %d), want them about %d", h.From, h.Until, at)
	}
	for range 3 {
		from, until := max(h.From, -10), min(h.Until, 40)
		other := from + random.Int64N(until-from)
		if random.IntN(3) == 0 {
			other = until - 1
		} else if random.IntN(2) == 0 {
			other = from
		}
		certain, all := contents(h)
		wantCertain, wantAll := reachable(links, h.Name(), dom, other, false), reachable(links, h.Name(), dom, other, true)
		if !slices.Equal(certain, wantCertain) || !slices.Equal(all, wantAll) {
			t.Fatalf("%s is said to be the same over [%d, %d), and at %d it is not", h.Name(), h.From, h.Until, other)
		}
	}
}

// The bounds are as wide as the links allow: past links of a holder bound a holding by when the last of them ended.
func TestHoldBounds(t *testing.T) {
	relation := temporal.NewRelation().With(map[string][]temporal.Link{
		"person:ann": {{Held: "role:a", From: 10, Until: 20}, {Held: "role:b", From: 15, Until: temporal.End}, {Held: "role:c", From: 30, Until: 40, Dom: "us"}},
		"role:b":     {{Held: "role:d", From: temporal.Start, Until: 26}, {Held: "role:e", From: 35, Until: 36}},
	})
	for _, test := range []struct {
		at   int64
		want string
	}{
		{5, "[start, 10) person:ann"},
		{10, "[10, 15) person:ann role:a"},
		{16, "[15, 20) person:ann role:a role:b role:d"},
		{20, "[20, 26) person:ann role:b role:d"},
		{26, "[26, 35) person:ann role:b"},
		{35, "[35, 36) person:ann role:b role:e"},
		{99, "[40, end) person:ann role:b"}, // the link of another domain bounds it too
	} {
		h := temporal.Hold("person:ann", "eu", test.at, relation)
		_, all := contents(h)
		got := fmt.Sprintf("[%d, %d) %s", h.From, h.Until, strings.Join(all, " "))
		got = strings.NewReplacer(fmt.Sprint(temporal.Start), "start", fmt.Sprint(temporal.End), "end").Replace(got)
		if got != test.want {
			t.Errorf("at %d: got %s, want %s", test.at, got, test.want)
		}
	}
}

// Casbin asks eleven names of a chain: the one it begins at and ten behind it.
func TestHoldReachesTenHops(t *testing.T) {
	links := unordered{}
	for n := range 14 {
		links[fmt.Sprint("n", n)] = []temporal.Link{{Held: fmt.Sprint("n", n+1), From: temporal.Start, Until: temporal.End}}
	}
	h := temporal.Hold("n0", "", 0, links)
	if held, certain := h.Has("n10"); !held || !certain || h.Len() != 11 {
		t.Errorf("got %d names, want 11, n10 the last", h.Len())
	}
	if name, _ := h.At(10); name != "n10" {
		t.Errorf("got %s last, want n10: the nearest come first", name)
	}
}

func TestHoldOrder(t *testing.T) {
	always := func(held string, uncertain bool) temporal.Link {
		return temporal.Link{Held: held, From: temporal.Start, Until: temporal.End, Uncertain: uncertain}
	}
	h := temporal.Hold("person:ann", "", 0, unordered{
		"person:ann": {always("role:far", true), always("role:maybe", true), always("role:near", false), always("person:ann", false)},
		"role:near":  {always("role:far", false), always("person:ann", false)},
		"role:maybe": {always("role:rest", false)},
	})
	var got []string
	for i := range h.Len() {
		name, uncertain := h.At(i)
		got = append(got, fmt.Sprint(name, " ", uncertain))
	}
	want := []string{"person:ann false", "role:near false", "role:far false", "role:maybe true", "role:rest true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}
