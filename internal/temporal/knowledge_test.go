// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// How much events tell of one pair.
const (
	everything = iota // each change, some of them late
	nothing           // and between two looks it changes once at most
	gaps              // some changes go untold, but no two in a row
	manners
)

// life is one member's place in one group as it truly was.
type life struct {
	member, group string
	changes       []int64 // when it began and ended, in turns, from not being
	manner        int
}

// is whether it truly was so at a moment.
func (l life) is(at int64) bool {
	n, _ := slices.BinarySearch(l.changes, at+1)
	return n%2 == 1
}

// look is one reading: it looks at each life at a moment of its own.
type look struct {
	began, ended  int64
	moments       []int64
	missed        []bool
	partial       bool
	object, alone bool // how its record is stored
	lost          bool // and whether that is lost
	counts        bool // its record follows on what is known
}

const (
	lives   = 6
	horizon = 1000
)

// looks is readings one after the other.
func looks(random *rand.Rand) []look {
	var all []look
	sound := false
	losses := random.IntN(2)
	for at := random.Int64N(100); at < horizon; {
		l := look{began: at, ended: at + random.Int64N(40), partial: random.IntN(3) == 0, object: len(all) == 0 || random.IntN(4) == 0}
		l.alone, l.lost = l.object && random.IntN(2) == 0, losses > 0 && random.IntN(8) == 0
		for range lives {
			l.moments = append(l.moments, l.began+random.Int64N(l.ended-l.began+1))
			l.missed = append(l.missed, l.partial && random.IntN(2) == 0)
		}
		// What a partial reading shows behind a gap, an earlier one may have seen.
		l.counts = !l.lost && (sound || l.object && !l.partial)
		sound = !l.lost && (sound || l.object)
		all = append(all, l)
		at = l.ended + random.Int64N(120)
	}
	return all
}

// live makes a life; where nothing is told of it, one that changes at most once between two looks that count.
func live(random *rand.Rand, n int, all []look) life {
	l := life{member: fmt.Sprint("u", n), group: fmt.Sprint("g", n%2), manner: random.IntN(manners)}
	pace := 1 + random.Int64N(200)
	for at := random.Int64N(pace+1) - 20; at < horizon; at += random.Int64N(pace + 1) {
		if l.manner != nothing || l.mayChange(at, n, all) {
			l.changes = append(l.changes, at)
		}
		if l.manner != everything || random.IntN(4) > 0 {
			at++ // else it may change twice at one moment
		}
	}
	return l
}

// mayChange is whether a look since the last change will have shown it.
func (l life) mayChange(at int64, n int, all []look) bool {
	if len(l.changes) == 0 {
		return true
	}
	last := l.changes[len(l.changes)-1]
	return slices.ContainsFunc(all, func(k look) bool {
		return k.counts && last <= k.moments[n] && k.moments[n] < at && (!k.partial || !k.missed[n] && l.is(k.moments[n]))
	})
}

// truth is lives, how they were looked at and what was told of them.
type truth struct {
	lives   []life
	looks   []look
	library library
	records []proto.Message // of readings
	batches []proto.Message // of events
	facts   []*curfewv1.LinkFact
}

func newTruth(t *testing.T, random *rand.Rand) *truth {
	t.Helper()
	w := &truth{looks: looks(random), library: library{}}
	for n := range lives {
		w.lives = append(w.lives, live(random, n, w.looks))
	}
	s := &shelf{library: w.library, source: "okta", kind: "memberships"}
	for _, k := range w.looks {
		seen := whole(k.began, k.ended)
		if k.partial {
			seen = partial(k.began, k.ended)
		}
		for n, l := range w.lives {
			if l.is(k.moments[n]) && !k.missed[n] {
				seen.Entries = append(seen.Entries, membership(l.member, l.group))
			}
		}
		record := s.store(t, seen, k.object, k.alone)
		if !k.lost {
			w.records = append(w.records, record)
		}
	}
	for n, l := range w.lives {
		w.tell(random, n, l)
	}
	random.Shuffle(len(w.facts), func(i, j int) { w.facts[i], w.facts[j] = w.facts[j], w.facts[i] })
	for facts := range slices.Chunk(w.facts, 1+random.IntN(5)) {
		w.batches = append(w.batches, batch("okta", facts...))
	}
	return w
}

func (w *truth) tell(random *rand.Rand, n int, l life) {
	untold := false
	for i, at := range l.changes {
		if untold = l.manner == nothing || l.manner == gaps && !untold && random.IntN(3) == 0; untold {
			continue
		}
		sign := "+"
		if i%2 == 1 {
			sign = "-"
		}
		fact := told(fmt.Sprint("e", n, "-", i), at, at+random.Int64N(300), sign, l.member, l.group)
		w.facts = append(w.facts, fact)
		if random.IntN(5) == 0 {
			w.facts = append(w.facts, fact)
		}
	}
}

// seen is when the first whole reading ended that counts, and when the last one began.
func (w *truth) seen() (since, until int64) {
	since = horizon
	for _, k := range w.looks {
		if k.counts && !k.partial {
			since, until = min(since, k.ended), k.began
		}
	}
	return since, until
}

// What is certain is true; where nothing is said after the first whole reading, nothing was; and where everything was
// told, everything is certain.
func TestNeverCertainAndWrong(t *testing.T) {
	var certain, uncertain int
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 2))
		w := newTruth(t, random)
		fold := folded(t, w.library, interleave(random, w.records, w.batches)...)
		since, until := w.seen()
		if at, ok := fold.Since("okta", "memberships"); since < horizon && (!ok || at > since*second) {
			t.Fatalf("seed %d: known since %s, want %d", seed, seconds(at), since)
		}
		for _, l := range w.lives {
			last := until // what is told of in part is known as far as it was looked at
			if l.manner == everything {
				last = horizon + 100
			}
			last = min(last, fold.Known().Lost("okta", "memberships")/second)
			links := fold.Relation().Links(temporal.Account("okta", l.member))
			for at := int64(-30); at < last; at += 1 + random.Int64N(3) {
				said, sure := says(links, at*second)
				switch {
				case sure && !l.is(at), !said && l.is(at) && at >= since:
					t.Fatalf("seed %d: %+v: at %d got held %t (certain %t), want %t\n%s\nreadings %+v\nfacts %v",
						seed, l, at, said, sure, l.is(at), dump(fold.Relation()), w.looks, w.facts)
				case l.manner == everything && at >= since && at*second < fold.Known().Lost("okta", "memberships") && said && !sure:
					t.Fatalf("seed %d: %+v: everything was told, and at %d it is not certain\n%s\nreadings %+v", seed, l, at, dump(fold.Relation()), w.looks)
				case said && !sure:
					uncertain++
				default:
					certain++
				}
			}
		}
	}
	if uncertain == 0 || uncertain > certain {
		t.Errorf("got %d moments uncertain and %d certain: the test tries too little", uncertain, certain)
	}
}

// says is whether links say that something is held at a moment, and whether that is certain.
func says(links []temporal.Link, at int64) (held, certain bool) {
	for _, l := range links {
		if l.From <= at && at < l.Until {
			held, certain = true, certain || !l.Uncertain
		}
	}
	return held, certain
}
