// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// report is one change that an event of a source told of. Records name people and groups by id, by login, by address or by
// display name; which id is meant follows from the inventories, so it is worked out anew when they change.
type report struct {
	change *curfewv1.LinkChange
	fact
	at pair // whom and what it is taken to mean
}

// Told takes what events told in. A fact that was told before changes nothing. Facts have a time that can be believed.
func (f *Fold) Told(batch *curfewv1.LinkBatch) {
	holders := map[string]bool{}
	for _, told := range batch.GetFacts() {
		at := Nanos(told.GetTime().AsTime())
		next := &report{change: told.GetChange(), fact: fact{
			from: at, until: at, present: !told.GetChange().GetRemoved(), known: Nanos(told.GetKnown().AsTime()),
			origin: batch.GetSource() + eventOrigin, id: told.GetEventId(),
		}}
		f.told[batch.GetSource()] = append(f.told[batch.GetSource()], next)
		f.place(batch.GetSource(), next, holders)
	}
	f.renew(holders)
}

// replace works out anew whom and what those of a source's events meant that name what changed.
func (f *Fold) replace(source string, touched touched) {
	if len(touched.names) == 0 {
		return
	}
	for _, told := range f.told[source] {
		if !touched.names[FoldEmail(told.change.GetHolder())] && !touched.names[FoldEmail(told.change.GetHeld())] {
			continue
		}
		h := f.lane(source, told.change.GetKind()).history(told.at)
		h.told = slices.DeleteFunc(h.told, func(other fact) bool { return other == told.fact })
		touched.holders[told.at.holder] = true
		f.place(source, told, touched.holders)
	}
}

// place puts what an event told to the pair that it is about.
func (f *Fold) place(source string, told *report, holders map[string]bool) {
	c := told.change
	holder, held := c.GetHolder(), privilege(source, c.GetHeld(), "")
	switch c.GetHolderType() {
	case "account":
		holder = f.meant(source, "people", holder, told.from)
	case "group":
		holder = f.meant(source, "groups", holder, told.from)
	}
	if c.GetKind() == "memberships" {
		held = node("group", source, f.meant(source, "groups", c.GetHeld(), told.from))
	}
	told.at = pair{node(c.GetHolderType(), source, holder), held}
	o := f.lane(source, c.GetKind())
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
