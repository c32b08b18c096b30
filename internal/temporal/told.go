// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// reports is what events told of a source's memberships and roles. Records name people and groups by id, by login, by
// address or by display name; which id is meant follows from the inventories, so it is worked out anew when they change.
type reports struct {
	all  []*report
	seen map[reportKey]bool
}

// reportKey is what makes a report the same as another.
type reportKey struct {
	event, kind, holderType, holder, held string
	removed                               bool
}

// report is one change that an event told of.
type report struct {
	key reportKey
	fact
	at pair // whom and what it is taken to mean
}

// Told takes what events told in. A fact that was told before changes nothing. Facts have a time that can be believed.
func (f *Fold) Told(batch *curfewv1.LinkBatch) {
	r := f.told[batch.GetSource()]
	if r == nil {
		r = &reports{seen: map[reportKey]bool{}}
		f.told[batch.GetSource()] = r
	}
	holders := map[string]bool{}
	for _, told := range batch.GetFacts() {
		c := told.GetChange()
		key := reportKey{told.GetEventId(), c.GetKind(), c.GetHolderType(), c.GetHolder(), c.GetHeld(), c.GetRemoved()}
		if r.seen[key] {
			continue
		}
		r.seen[key] = true
		at := Nanos(told.GetTime().AsTime())
		next := &report{key: key, fact: fact{
			from: at, until: at, present: !c.GetRemoved(), known: Nanos(told.GetKnown().AsTime()), origin: batch.GetSource() + " event", id: told.GetEventId(),
		}}
		r.all = append(r.all, next)
		f.place(batch.GetSource(), next, holders)
	}
	f.renew(holders)
}

// replace works out anew whom and what those of a source's events meant that name what changed.
func (f *Fold) replace(source string, touched touched) {
	r := f.told[source]
	if r == nil || len(touched.names) == 0 {
		return
	}
	for _, told := range r.all {
		if !touched.names[FoldEmail(told.key.holder)] && !touched.names[FoldEmail(told.key.held)] {
			continue
		}
		h := f.lane(source, told.key.kind).history(told.at)
		h.told = slices.DeleteFunc(h.told, func(other fact) bool { return other == told.fact })
		touched.holders[told.at.holder] = true
		f.place(source, told, touched.holders)
	}
}

// place puts what an event told to the pair that it is about.
func (f *Fold) place(source string, told *report, holders map[string]bool) {
	holder, held := told.key.holder, privilege(source, told.key.held, "")
	switch told.key.holderType {
	case "account":
		holder = f.meant(source, "people", holder, told.from)
	case "group":
		holder = f.meant(source, "groups", holder, told.from)
	}
	if told.key.kind == "memberships" {
		held = node("group", source, f.meant(source, "groups", told.key.held, told.from))
	}
	told.at = pair{node(told.key.holderType, source, holder), held}
	o := f.lane(source, told.key.kind)
	h := o.history(told.at)
	h.told = append(h.told, told.fact)
	o.open[told.at] = true
	holders[told.at.holder] = true
}

// meant is the id that a name meant at a moment, by the inventory of that kind: itself where it is one, where it is not
// known, and where it could mean two.
func (f *Fold) meant(source, kind, name string, at int64) string {
	o := f.lanes[lane{source, kind}]
	if o == nil || o.ids[name] {
		return name
	}
	id := ""
	for _, p := range o.holders[nameMark+FoldEmail(name)] {
		if !slices.ContainsFunc(spans(p.held, o.facts(o.pairs[p])), func(l Link) bool { return l.covers(at) }) {
			continue
		}
		if id != "" {
			return name
		}
		id = p.held
	}
	if id == "" {
		return name
	}
	return id
}
