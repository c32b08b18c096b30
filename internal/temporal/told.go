// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// reports is what events told of a source's memberships and roles. Records name people and groups by id, by login, by
// address or by display name; which id is meant follows from the inventories, so it is worked out anew when they change.
type reports struct {
	facts []*curfewv1.LinkFact
	seen  map[string]bool
	// Of the source's inventories; nil = to be read anew.
	people, groups directory
}

// Told takes what events told in. A fact that was told before changes nothing.
func (f *Fold) Told(batch *curfewv1.LinkBatch) {
	r := f.told[batch.GetSource()]
	if r == nil {
		r = &reports{seen: map[string]bool{}}
		f.told[batch.GetSource()] = r
	}
	var fresh []*curfewv1.LinkFact
	for _, told := range batch.GetFacts() {
		c := told.GetChange()
		key := strings.Join([]string{told.GetEventId(), c.GetKind(), c.GetHolder(), c.GetHeld()}, "\x00")
		if !r.seen[key] {
			r.seen[key] = true
			fresh = append(fresh, told)
		}
	}
	r.facts = append(r.facts, fresh...)
	changed := map[string]bool{}
	f.place(batch.GetSource(), fresh, changed)
	f.renew(changed)
}

// replace works out anew whom and what a source's events meant.
func (f *Fold) replace(source string) {
	r := f.told[source]
	if r == nil {
		return
	}
	r.people, r.groups = nil, nil
	changed := map[string]bool{}
	for _, kind := range []string{"memberships", "roles"} {
		if o := f.lanes[lane{source, kind}]; o != nil {
			for p, h := range o.pairs {
				if len(h.told) > 0 {
					h.told, changed[p.holder] = nil, true
				}
			}
		}
	}
	f.place(source, r.facts, changed)
	f.renew(changed)
}

// place puts facts to the pairs that they are about.
func (f *Fold) place(source string, facts []*curfewv1.LinkFact, changed map[string]bool) {
	if len(facts) == 0 {
		return
	}
	r := f.told[source]
	if r.people == nil {
		r.people, r.groups = f.directory(source)
	}
	for _, told := range facts {
		c := told.GetChange()
		at := lane{source, c.GetKind()}
		o := f.lanes[at]
		if o == nil {
			o = newObserved(source, c.GetKind())
			f.lanes[at] = o
		}
		holder, held := c.GetHolder(), node("privilege", source, c.GetHeld())
		switch c.GetHolderType() {
		case "account":
			holder = r.people.id(holder)
		case "group":
			holder = r.groups.id(holder)
		}
		if c.GetKind() == "memberships" {
			held = node("group", source, r.groups.id(c.GetHeld()))
		}
		p := pair{node(c.GetHolderType(), source, holder), held}
		h := o.history(p)
		at0 := Nanos(told.GetTime().AsTime())
		h.told = append(h.told, fact{
			from: at0, until: at0, present: !c.GetRemoved(), known: Nanos(told.GetKnown().AsTime()), origin: source + " event", id: told.GetEventId(),
		})
		changed[p.holder] = true
	}
}

// directory is a source's names.
type directory map[string][]string // folded name -> ids; an id names itself

// id is the id that a name means: itself where it is one or is not known, and where it could mean two.
func (d directory) id(name string) string {
	if ids := d[name]; slices.Contains(ids, name) {
		return name
	}
	if ids := d[FoldEmail(name)]; len(ids) == 1 {
		return ids[0]
	}
	return name
}

func (d directory) add(name, id string) {
	if name != "" && !slices.Contains(d[name], id) {
		d[name] = append(d[name], id)
	}
}

// directory reads a source's inventories of people and groups.
func (f *Fold) directory(source string) (people, groups directory) {
	people, groups = directory{}, directory{}
	if o := f.lanes[lane{source, "people"}]; o != nil {
		for _, entry := range o.state.Entries() {
			a := entry.GetAccount()
			people.add(a.GetId(), a.GetId())
			for _, name := range append([]string{a.GetLogin()}, a.GetEmails()...) {
				people.add(FoldEmail(name), a.GetId())
			}
		}
	}
	if o := f.lanes[lane{source, "groups"}]; o != nil {
		for _, entry := range o.state.Entries() {
			g := entry.GetGroup()
			groups.add(g.GetId(), g.GetId())
			groups.add(FoldEmail(g.GetName()), g.GetId())
		}
	}
	return people, groups
}

// FoldEmail makes the case of ASCII letters not count, and of no others: to fold all would make a letter that only looks
// like another the same (U+212A, the Kelvin sign, folds to k).
func FoldEmail(email string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}
