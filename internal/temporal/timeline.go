// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"cmp"
	"slices"
)

// fact is that something was held, or not, at some moment.
type fact struct {
	from, until int64 // an event's moment (both the same), or the stretch of a reading: seen at some moment within
	present     bool
	known       int64
	origin      string
	id          string // of the event; "" for a reading
}

// told is whether an event said so: then it began, or ended, at that very moment.
func (f fact) told() bool { return f.id != "" }

// spans is when it was held as far as the facts say, as links to held. Between two facts of which one says yes and the
// other no, without an event that says when it changed, it is uncertain; before the first fact it is too, unless that
// says when it began. Facts in any order and repeated ones give the same.
func spans(held string, facts []fact) []Link {
	slices.SortFunc(facts, func(a, b fact) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.until, b.until), cmp.Compare(a.id, b.id), cmp.Compare(a.known, b.known))
	})
	facts = slices.CompactFunc(facts, func(a, b fact) bool { return a.from == b.from && a.id == b.id && a.present == b.present })
	facts = withoutStraddling(facts)
	var links []Link
	add := func(from, until int64, f fact, uncertain bool) {
		if from >= until {
			return
		}
		if n := len(links) - 1; n >= 0 && links[n].Until == from && links[n].Uncertain == uncertain {
			links[n].Until = until
			return
		}
		links = append(links, Link{Held: held, From: from, Until: until, Known: f.known, Origin: f.origin, Uncertain: uncertain})
	}
	present, since, certain := false, Start, Start // held or not from since on; certain is the last moment this was seen
	for i, f := range facts {
		switch {
		case i == 0 && f.told():
			if !f.present {
				add(Start, f.from, f, true)
			}
			// What began then may have been held and lost before; that the source's first reading says.
			since = f.from
		case i == 0:
			add(Start, f.until, f, true)
			since = f.until
		case f.present == present && (f.present || !f.told()):
			// Nothing new, but that it was still so.
		case f.present == present:
			// It ended without having been seen to begin.
			add(certain, f.from, f, true)
			since = f.from
		case f.told():
			if present {
				add(since, f.from, before(facts, i), false)
			}
			since = f.from
		default:
			if present {
				add(since, max(since, certain), before(facts, i), false)
			}
			add(max(since, certain), f.until, f, true)
			since = f.until
		}
		present, certain = f.present, f.from
	}
	if present {
		add(since, End, before(facts, len(facts)), false)
	}
	return links
}

// withoutStraddling leaves out each reading during which an event told of a change: whatever it saw was so before or after
// that, so it says nothing more.
func withoutStraddling(facts []fact) []fact {
	events := slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return !f.told() })
	if len(events) == 0 {
		return facts
	}
	return slices.DeleteFunc(facts, func(f fact) bool {
		return !f.told() && slices.ContainsFunc(events, func(e fact) bool { return f.from <= e.from && e.from <= f.until })
	})
}

// before is the fact by which the state that ends with fact i was first known.
func before(facts []fact, i int) fact {
	for j := i - 1; j > 0; j-- {
		if facts[j-1].present != facts[j].present {
			return facts[j]
		}
	}
	return facts[0]
}
