// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// history is everything known of one pair. It was absent until the first of flips, present until the second, and so on.
type history struct {
	entries int    // entries of the inventory that show it now
	flips   []int  // readings that showed it come and go, in turns
	told    []fact // changes that events told
}

// reading is the stretch within which each thing shown was looked at.
type reading struct{ from, until int64 }

// observed is what readings and events said of one kind of thing at one source.
type observed struct {
	source, kind string
	origin       string // of what readings say
	state        inventory.State
	heard        bool                       // there was a record
	sound        bool                       // no record is missing since the last with everything
	entries      map[string]*curfewv1.Entry // by key: state's, but for records that were left out
	readings     []reading                  // whole ones and those that changed something
	whole        []int                      // which of them were whole
	pairs        map[pair]*history
	holders      map[string][]pair
	ids          map[string]bool // of the accounts or groups that were ever shown
	open         map[pair]bool   // pairs of which events told what no whole reading came after yet
}

// lane is what is known of one kind of thing at one source.
func (f *Fold) lane(source, kind string) *observed {
	at := lane{source, kind}
	if f.lanes[at] == nil {
		f.lanes[at] = &observed{
			source: source, kind: kind, origin: source + " " + kind,
			entries: map[string]*curfewv1.Entry{}, pairs: map[pair]*history{}, holders: map[string][]pair{}, ids: map[string]bool{}, open: map[pair]bool{},
		}
	}
	return f.lanes[at]
}

// Inventory takes a record of a reading in. load gets the content of an object by its name; its error is returned, and
// then nothing was taken in. A record whose forerunners are missing is left out, and so are those behind it, up to the
// next that holds everything; Known.Lost tells.
func (f *Fold) Inventory(record *curfewv1.Inventory, load func(object string) ([]byte, error)) error {
	o := f.lane(record.GetSource(), record.GetKind())
	since, lost, touched := o.since(), o.lost(), newTouched()
	err := f.take(o, record, load, touched)
	f.settle(o, since, lost, touched)
	return err
}

// Lose says that a record of a reading cannot be had: what is known of that inventory is a guess from its last reading on,
// until a record with everything comes.
func (f *Fold) Lose(source, kind string) {
	o := f.lane(source, kind)
	since, lost := o.since(), o.lost()
	o.heard, o.sound = true, false
	f.settle(o, since, lost, newTouched())
}

// settle renews what was touched of an inventory that was known since and until then, and notes from when on it is
// something else.
func (f *Fold) settle(o *observed, since, lost int64, touched touched) {
	if lost != o.lost() {
		for p := range o.pairs {
			touched.pair(p)
		}
	}
	f.renew(touched.holders)
	for _, edge := range [2][2]int64{{since, o.since()}, {lost, o.lost()}} {
		if edge[0] != edge[1] {
			f.changed = min(f.changed, edge[0], edge[1])
		}
	}
}

func (f *Fold) take(o *observed, record *curfewv1.Inventory, load func(object string) ([]byte, error), touched touched) error {
	lost := o.lost() < End
	o.heard = true
	if lost && record.GetObject() == "" {
		return nil
	}
	err := o.state.Apply(record, load)
	if errors.Is(err, inventory.ErrGap) {
		o.sound = false
		return nil
	}
	if err != nil {
		return err
	}
	o.sound = true
	o.read(record, touched)
	f.replace(o.source, touched)
	return nil
}

// since is the end of the first whole reading; End where none was whole yet.
func (o *observed) since() int64 {
	if len(o.whole) == 0 {
		return End
	}
	return o.readings[o.whole[0]].until
}

// lost is since when nothing is known, for a record is missing; End where none is.
func (o *observed) lost() int64 {
	switch {
	case !o.heard || o.sound:
		return End
	case len(o.whole) == 0:
		return Start
	default:
		return o.readings[o.whole[len(o.whole)-1]].from
	}
}

// touched is what a record changed.
type touched struct {
	holders map[string]bool // whose links may be others now
	names   map[string]bool // that may mean another account or group now
}

func newTouched() touched { return touched{map[string]bool{}, map[string]bool{}} }

func (t touched) pair(p pair) {
	if name, is := strings.CutPrefix(p.holder, nameMark); is {
		t.names[name] = true
		return
	}
	t.holders[p.holder] = true
}

// read takes what a reading showed in.
func (o *observed) read(record *curfewv1.Inventory, touched touched) {
	before := map[*history]bool{}
	var changed []pair // or not
	count := func(entry *curfewv1.Entry, by int) {
		if id := idOf(entry); id != "" && !o.ids[id] {
			o.ids[id], touched.names[FoldEmail(id)] = true, true
		}
		for _, p := range pairs(o.source, entry) {
			h := o.history(p)
			if _, known := before[h]; !known {
				before[h], changed = h.entries > 0, append(changed, p)
			}
			h.entries += by
		}
	}
	if record.GetObject() != "" {
		for p, h := range o.pairs {
			if h.entries > 0 {
				before[h], changed, h.entries = true, append(changed, p), 0
			}
		}
		clear(o.entries)
		for _, entry := range o.state.Entries() {
			count(entry, 1)
			o.entries[entry.GetKey()] = entry
		}
	} else {
		// Against what is known here: a record that is missing may be made good by the next, and leave the digest right.
		for _, change := range record.GetChanges() {
			key := inventory.Key(change)
			count(o.entries[key], -1)
			count(change.GetAfter(), 1)
			if o.entries[key] = change.GetAfter(); change.GetAfter() == nil {
				delete(o.entries, key)
			}
		}
	}
	changed = slices.DeleteFunc(changed, func(p pair) bool { h := o.pairs[p]; return before[h] == (h.entries > 0) })
	whole := len(record.GetMissing()) == 0
	if !whole && len(changed) == 0 {
		return
	}
	number := o.add(record, whole || saw(record, changed))
	for _, p := range changed {
		h := o.pairs[p]
		h.flips = append(h.flips, number)
		touched.pair(p)
	}
	if !whole {
		return
	}
	// What events told is from here on bounded, or belied.
	for p := range o.open {
		touched.pair(p)
		if latest(o.pairs[p].told) < o.readings[number].from {
			delete(o.open, p)
		}
	}
}

// saw is whether the reading itself showed that pairs changed. An object holds on to what readings showed that it
// follows on, and their records may be missing.
func saw(record *curfewv1.Inventory, changed []pair) bool {
	if record.GetObject() == "" {
		return true
	}
	own := map[pair]bool{}
	for _, change := range record.GetChanges() {
		for _, p := range slices.Concat(pairs(record.GetSource(), change.GetBefore()), pairs(record.GetSource(), change.GetAfter())) {
			own[p] = true
		}
	}
	return !slices.ContainsFunc(changed, func(p pair) bool { return !own[p] })
}

// add notes a reading and returns its number. What it did not see itself was seen since the reading before. The order of
// records is the order of readings, whatever the clocks of collectors say.
func (o *observed) add(record *curfewv1.Inventory, saw bool) (number int) {
	r := reading{Nanos(record.GetBegan().AsTime()), Nanos(record.GetEnded().AsTime())}
	last := reading{Start, Start}
	if number = len(o.readings); number > 0 {
		last = o.readings[number-1]
	}
	r.from, r.until = max(r.from, last.from), max(r.until, r.from, last.until)
	if !saw {
		r.from = last.from
	}
	if len(record.GetMissing()) == 0 {
		o.whole = append(o.whole, number)
	}
	o.readings = append(o.readings, r)
	return number
}

// latest is the newest moment of which events told.
func latest(told []fact) int64 {
	newest := Start
	for _, f := range told {
		newest = max(newest, f.from)
	}
	return newest
}

func (o *observed) history(p pair) *history {
	h := o.pairs[p]
	if h == nil {
		h = new(history)
		o.pairs[p] = h
		o.holders[p.holder] = append(o.holders[p.holder], p)
	}
	return h
}

// links is what a holder holds by this lane.
func (o *observed) links(holder string) []Link {
	var links []Link
	for _, p := range o.holders[holder] {
		links = append(links, spans(p.held, o.facts(o.pairs[p]))...)
	}
	return doubtful(links, o.lost())
}

// doubtful makes what links say of the time from lost on uncertain, but for what an event told to begin since.
func doubtful(links []Link, lost int64) []Link {
	if lost == End {
		return links
	}
	var doubted []Link
	for _, link := range links {
		if !link.Uncertain && link.Until > lost && (link.From < lost || !strings.HasSuffix(link.Origin, eventOrigin)) {
			if link.From < lost {
				certain := link
				certain.Until = lost
				doubted = append(doubted, certain)
				link.From = lost
			}
			link.Uncertain = true
		}
		doubted = append(doubted, link)
	}
	return doubted
}

// facts is what is said of a pair. Each whole reading says whether it was there; only those are taken that say more than
// their neighbours: the first, the one before a change and, since events may go untold, those around an event.
func (o *observed) facts(h *history) []fact {
	if len(h.flips) == 0 && len(h.told) == 0 {
		return nil
	}
	var numbers []int
	take := func(i int) {
		if 0 <= i && i < len(o.whole) {
			numbers = append(numbers, o.whole[i])
		}
	}
	take(0)
	for _, flip := range h.flips {
		i, _ := slices.BinarySearch(o.whole, flip)
		take(i - 1)
		numbers = append(numbers, flip)
	}
	for _, f := range h.told {
		take(sort.Search(len(o.whole), func(i int) bool { return o.readings[o.whole[i]].until >= f.from }) - 1)
		take(sort.Search(len(o.whole), func(i int) bool { return o.readings[o.whole[i]].from > f.from }))
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	facts := append(make([]fact, 0, len(h.told)+len(numbers)), h.told...)
	for _, number := range numbers {
		r := o.readings[number]
		facts = append(facts, fact{
			from: r.from, until: r.until, known: r.until, origin: o.origin, reading: number, present: h.shown(number),
		})
	}
	return facts
}

// shown is whether it was there after a reading.
func (h *history) shown(number int) bool {
	flips, flipped := slices.BinarySearch(h.flips, number)
	if flipped {
		flips++
	}
	return flips%2 == 1
}
