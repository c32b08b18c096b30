// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"cmp"
	"slices"
	"strings"
)

// fact is that something was held, or not, at some moment.
type fact struct {
	from, until int64 // an event's moment (both the same), or the stretch of a reading: seen at some moment within
	present     bool
	known       int64
	origin      string
	id          string // of the event; "" for a reading
	reading     int    // which reading of its inventory, in their order; 0 for an event
}

// told is whether an event said so: then it began, or ended, at that very moment.
func (f *fact) told() bool { return f.id != "" }

// before is whether it was held just before, if the fact is right and nothing is missing.
func (f *fact) before() state { return stateOf(f.present != f.told()) }

// state is whether something was held.
type state int

const (
	no state = iota
	maybe
	yes
)

func stateOf(present bool) state {
	if present {
		return yes
	}
	return no
}

// spans is when it was held as far as the facts say, as links to held. Between two facts that do not follow from each
// other it is uncertain: seen and then not, or told to begin twice, so that an end went untold. Before the first it is too,
// unless that says when it began. Facts in any order and repeated ones give the same.
func spans(held string, facts []fact) []Link {
	if facts = settled(facts); len(facts) == 0 {
		return nil
	}
	var links []Link
	since, now, by := Start, maybe, 0 // what it is from since on, and the fact that says so
	if facts[0].before() == no && facts[0].told() {
		// What began then may have been held and lost before; that the source's first reading says.
		now = no
	}
	end := func(until int64) {
		if now != no && since < until {
			links = append(links, Link{
				Held: held, From: since, Until: until, Known: facts[by].known, Origin: facts[by].origin, Uncertain: now == maybe,
			})
		}
	}
	for i, f := range facts {
		next, teller := stateOf(f.present), i
		if i+1 < len(facts) && facts[i+1].before() != next {
			next, teller = maybe, i+1
		}
		if next == now {
			continue
		}
		until := f.until
		if next == maybe {
			until = f.from
		}
		end(until)
		since, now, by = max(since, until), next, teller
	}
	end(End)
	return links
}

// settled is facts in their order, each once, and only those that say something.
func settled(facts []fact) []fact {
	slices.SortFunc(facts, func(a, b fact) int {
		return cmp.Or(
			cmp.Compare(a.from, b.from), cmp.Compare(a.until, b.until), cmp.Compare(a.reading, b.reading), strings.Compare(a.id, b.id),
			cmp.Compare(stateOf(a.present), stateOf(b.present)), cmp.Compare(a.known, b.known),
		)
	})
	facts = slices.CompactFunc(facts, func(a, b fact) bool {
		return a.from == b.from && a.until == b.until && a.reading == b.reading && a.id == b.id && a.present == b.present
	})
	facts = atOnce(facts)
	var moments []int64
	for _, f := range facts {
		if f.told() {
			moments = append(moments, f.from)
		}
	}
	// A reading during which an event told of a change saw what was before or after that, so it says nothing more.
	return slices.DeleteFunc(facts, func(f fact) bool {
		i, _ := slices.BinarySearch(moments, f.from)
		return !f.told() && i < len(moments) && moments[i] <= f.until
	})
}

// atOnce makes of changes at one moment what they come to: a log that counts in seconds does not say in which order it
// ended and began again.
func atOnce(facts []fact) []fact {
	kept := facts[:0]
	for len(facts) > 0 {
		n, balance := 0, 0
		for n < len(facts) && facts[n].from == facts[0].from && facts[n].told() {
			balance += int(stateOf(facts[n].present)) - int(maybe)
			n++
		}
		if n == 0 {
			kept, facts = append(kept, facts[0]), facts[1:]
			continue
		}
		last := slices.IndexFunc(facts[:n], func(f fact) bool { return f.present == (balance > 0) })
		if balance != 0 {
			kept = append(kept, facts[last])
		}
		facts = facts[n:]
	}
	return kept
}
