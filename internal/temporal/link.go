// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package temporal is the one relation: who held what from when until when, what of it is not certain, and since when it
// is known. It learns from inventories, from events and from grants, and answers for any moment.
package temporal

import (
	"cmp"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Times are nanoseconds since 1970 in UTC. Start and End stand for no beginning and no end.
const (
	Start int64 = math.MinInt64
	End   int64 = math.MaxInt64
)

// Nanos is a time as this package counts it; what lies beyond the years that fit is the nearest that does.
func Nanos(t time.Time) int64 {
	switch {
	case t.Year() < 1700:
		return Start + 1
	case t.Year() > 2250:
		return End - 1
	default:
		return t.UnixNano()
	}
}

// Link is something that a holder held over [From, Until).
type Link struct {
	// Held is a role, a group, an account ...
	Held string
	// Dom is the Casbin domain it holds in; "" = every one.
	Dom string
	// From is when it began, included; Start where that was always.
	From int64
	// Until is when it ended, excluded; End where it has not.
	Until int64
	// Known is when it was learnt; Start for what was never learnt but said.
	Known int64
	// Origin is where it was learnt.
	Origin string
	// Uncertain is whether it may not have held: a change lies somewhere within.
	Uncertain bool
}

// covers is whether the link stands at a time.
func (l *Link) covers(at int64) bool { return l.From <= at && at < l.Until }

// Message is the link of a holder as a record shows it.
func (l *Link) Message(holder string) *curfewv1.Link {
	return &curfewv1.Link{
		Holder: holder, Held: l.Held, From: stamp(l.From), Until: stamp(l.Until), Known: stamp(l.Known), Origin: l.Origin, Uncertain: l.Uncertain,
	}
}

func stamp(at int64) *timestamppb.Timestamp {
	if at == Start || at == End {
		return nil
	}
	return timestamppb.New(time.Unix(0, at))
}

// Source answers what a holder holds directly, at any time, in no order. It must not change while it is asked, and the
// answer must not be changed.
type Source interface {
	Links(holder string) []Link
}

// compare orders the links of a holder: those that end last first, so that whoever asks for a moment can stop at the first
// that had ended by then.
func compare(a, b Link) int {
	return cmp.Or(compareTimes(a, b), strings.Compare(a.Origin, b.Origin), cmp.Compare(a.Known, b.Known))
}

// compareTimes is compare but for what is known of the links.
func compareTimes(a, b Link) int {
	return cmp.Or(cmp.Compare(b.Until, a.Until), strings.Compare(a.Held, b.Held), strings.Compare(a.Dom, b.Dom), cmp.Compare(a.From, b.From))
}

// shards is in how many parts a relation is kept: what a change copies is one of them.
const shards = 1024

// Relation is the links of many holders. It is immutable and safe for concurrent use; the zero value is empty.
type Relation struct {
	parts [shards]map[string]kept
	seed  maphash.Seed
	count int
}

// kept is the links of one holder, in the order of compare. Those without an end stand once more by themselves, so that
// most questions, which are about the present, do not touch the memory of the past.
type kept struct {
	all, open []Link
	ended     int64 // when the last of the others ended, or will
}

func keep(links []Link) kept {
	if !slices.IsSortedFunc(links, compare) {
		links = slices.Clone(links)
		slices.SortFunc(links, compare)
	}
	k := kept{all: links, open: links, ended: Start}
	if n := slices.IndexFunc(links, func(l Link) bool { return l.Until < End }); n >= 0 {
		k.open, k.ended = slices.Clone(links[:n]), links[n].Until
	}
	return k
}

// NewRelation is an empty relation.
func NewRelation() *Relation { return new(Relation) }

// Links is what a holder holds directly, what ends last first.
func (r *Relation) Links(holder string) []Link { return r.kept(holder).all }

// linksAt is the links of a holder that had not ended by a moment, and when the last of the others did.
func (r *Relation) linksAt(holder string, at int64) (links []Link, ended int64) {
	k := r.kept(holder)
	if k.ended <= at {
		return k.open, k.ended
	}
	n := sort.Search(len(k.all), func(i int) bool { return k.all[i].Until <= at })
	if n == len(k.all) {
		return k.all, Start
	}
	return k.all[:n], k.all[n].Until
}

func (r *Relation) kept(holder string) kept {
	if r.count == 0 {
		return kept{ended: Start}
	}
	if k, known := r.parts[r.part(holder)][holder]; known {
		return k
	}
	return kept{ended: Start}
}

func (r *Relation) part(holder string) uint64 { return maphash.String(r.seed, holder) % shards }

// Len is how many links there are.
func (r *Relation) Len() int { return r.count }

// With is the relation in which each holder named in changed holds what stands there and nothing else. It shares with r
// what is not changed, and with changed its slices: they must not be changed after.
func (r *Relation) With(changed map[string][]Link) *Relation {
	next := &Relation{parts: r.parts, seed: r.seed, count: r.count}
	if next.seed == (maphash.Seed{}) {
		next.seed = maphash.MakeSeed()
	}
	copied := map[uint64]bool{}
	for holder, links := range changed {
		at := next.part(holder)
		if !copied[at] {
			copied[at] = true
			own := make(map[string]kept, len(next.parts[at])+1)
			maps.Copy(own, next.parts[at])
			next.parts[at] = own
		}
		next.count += len(links) - len(next.parts[at][holder].all)
		if len(links) == 0 {
			delete(next.parts[at], holder)
			continue
		}
		next.parts[at][holder] = keep(links)
	}
	return next
}

// Each calls visit with every holder and its links, in no order, until it returns false.
func (r *Relation) Each(visit func(holder string, links []Link) bool) {
	for _, part := range r.parts {
		for holder, k := range part {
			if !visit(holder, k.all) {
				return
			}
		}
	}
}
