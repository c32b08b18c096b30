// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Fold makes a relation of records. Records of one stream come in their order; how records of different streams come
// between each other changes nothing. It is not safe for concurrent use; the relations it hands out are.
type Fold struct {
	relation *Relation
	dirty    map[string][]Link // holders whose links the relation does not show yet
	lanes    map[lane]*observed
	told     map[string][]*report // by source
	changed  int64                // see Changed
}

// lane is one kind of inventory of one source.
type lane struct{ source, kind string }

// NewFold is a fold of nothing.
func NewFold() *Fold {
	return &Fold{relation: NewRelation(), dirty: map[string][]Link{}, lanes: map[lane]*observed{}, told: map[string][]*report{}, changed: End}
}

// Relation is everything folded so far.
func (f *Fold) Relation() *Relation {
	if len(f.dirty) > 0 {
		f.relation = f.relation.With(f.dirty)
		f.dirty = map[string][]Link{}
	}
	return f.relation
}

// Since is from when an inventory is known: the end of its first whole reading; ok is false where there was none.
func (f *Fold) Since(source, kind string) (at int64, ok bool) {
	o := f.lanes[lane{source, kind}]
	if o == nil || o.since() == End {
		return 0, false
	}
	return o.since(), true
}

// eventOrigin ends the origin of every link that an event told of.
const eventOrigin = " event"

// grantOrigin begins the origin of every link that a grant gave.
const grantOrigin = "grant "

// GrantID is the grant that gave a link, from the link's origin; "" where none did.
func GrantID(origin string) string {
	id, _ := strings.CutPrefix(origin, grantOrigin)
	if id == origin {
		return ""
	}
	return id
}

// Grant takes a step of a grant's life in.
func (f *Fold) Grant(step *curfewv1.GrantStep) {
	g := step.GetGrant()
	origin := grantOrigin + g.GetId()
	link, counts := grantLink(g, origin)
	link.Known = Nanos(step.GetTime().AsTime())
	links := f.links(g.GetSubject())
	next := make([]Link, 0, len(links)+1)
	for _, old := range links {
		switch {
		case old.Origin != origin:
			next = append(next, old)
		case old.Held == link.Held && old.From == link.From && old.Until == link.Until:
			link.Known = old.Known // the step says nothing new of it
		}
	}
	if counts {
		at, _ := slices.BinarySearchFunc(next, link, compare)
		next = slices.Insert(next, at, link)
	}
	f.set(g.GetSubject(), next)
}

// grantLink is what a grant gives, if it ever does.
func grantLink(g *curfewv1.Grant, origin string) (link Link, counts bool) {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_UNSPECIFIED, curfewv1.GrantState_GRANT_STATE_REQUESTED, curfewv1.GrantState_GRANT_STATE_DENIED,
		curfewv1.GrantState_GRANT_STATE_CANCELLED, curfewv1.GrantState_GRANT_STATE_FAILED:
		return Link{}, false
	default:
		// From its approval on a grant counts by its times alone: the state says how far giving and taking it are.
	}
	if g.GetFrom() == nil || g.GetExpiresAt() == nil {
		return Link{}, false
	}
	link = Link{Held: g.GetRole(), From: Nanos(g.GetFrom().AsTime()), Until: Nanos(g.GetExpiresAt().AsTime()), Origin: origin}
	if g.GetEndedAt() != nil {
		link.Until = min(link.Until, Nanos(g.GetEndedAt().AsTime()))
	}
	return link, link.From < link.Until
}

// links is what a holder holds, with what the relation does not show yet.
func (f *Fold) links(holder string) []Link {
	if links, dirty := f.dirty[holder]; dirty {
		return links
	}
	return f.relation.Links(holder)
}

// renew makes what holders hold by inventories and events anew; what grants gave them stays.
func (f *Fold) renew(holders map[string]bool) {
	for holder := range holders {
		var next []Link
		for _, link := range f.links(holder) {
			if strings.HasPrefix(link.Origin, grantOrigin) {
				next = append(next, link)
			}
		}
		for _, o := range f.lanes {
			next = append(next, o.links(holder)...)
		}
		slices.SortFunc(next, compare)
		f.set(holder, next)
	}
}
