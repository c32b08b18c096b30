// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
)

// fold makes of what parties get another answer to as few changes as say the same.
func (c *contrast) fold(parties []*party) []Change {
	doms := c.bothDoms()
	named := map[string]bool{}
	for _, p := range parties {
		for _, who := range p.subjects {
			if !isRole(who.holds) {
				named[who.String()] = true
			}
		}
	}
	changes := map[string]Change{}            // by all but who and where
	where := map[string]map[string][]string{} // by that, who, the domains
	for _, p := range c.withoutRepeats(parties) {
		for _, change := range c.foldParty(p) {
			key := change.key()
			changes[key] = change
			if where[key] == nil {
				where[key] = map[string][]string{}
			}
			for _, who := range p.subjects {
				where[key][who.String()] = append(where[key][who.String()], strings.ReplaceAll(p.dom, fresh, "any other"))
			}
		}
	}
	var folded []Change
	for key, change := range changes {
		alike := map[string][]string{} // who, by the domains
		for who, in := range where[key] {
			slices.Sort(in)
			alike[strings.Join(in, ",")] = append(alike[strings.Join(in, ",")], who)
		}
		for _, whos := range alike {
			change.Doms = where[key][whos[0]]
			if len(change.Doms) == len(doms) {
				change.Doms = nil
			}
			slices.Sort(whos)
			strangers := slices.DeleteFunc(slices.Clone(whos), func(who string) bool { return named[who] })
			if change.Subjects = whos; len(whos)-len(strangers) == len(named) {
				change.Subjects = []string{"everyone"}
			}
			folded = append(folded, change)
		}
	}
	slices.SortFunc(folded, func(a, b Change) int {
		order := map[bool]int{true: 0, false: 1}
		return cmp.Or(order[a.Gains]-order[b.Gains], strings.Compare(a.Subjects[0], b.Subjects[0]), strings.Compare(a.String(), b.String()))
	})
	return folded
}

// withoutRepeats takes what everyone gets out of the parties into one of its own, and leaves out those who hold a role
// where what they get shows at somebody who has a name.
func (c *contrast) withoutRepeats(parties []*party) []*party {
	byDom := map[string][]*party{}
	var roles []*party
	for _, p := range parties {
		named := slices.DeleteFunc(slices.Clone(p.subjects), func(s subject) bool { return isRole(s.holds) })
		if len(named) == 0 {
			roles = append(roles, p)
			continue
		}
		p.subjects = named
		byDom[p.dom] = append(byDom[p.dom], p)
	}
	var all []*party
	for dom, named := range byDom {
		everyone := c.everyone(dom, named)
		for _, role := range roles {
			for _, p := range append(slices.Clone(named), everyone) {
				if role.dom == dom && (p == everyone || c.holds(p, role.subjects[0].holds)) {
					maps.DeleteFunc(role.entries, func(e entry, _ reason) bool { _, has := p.entries[e]; return has })
				}
			}
		}
		for _, p := range named {
			maps.DeleteFunc(p.entries, func(e entry, _ reason) bool { _, has := everyone.entries[e]; return has })
		}
		all = append(append(all, named...), everyone)
	}
	return append(all, roles...)
}

// everyone is what most get and the rest had before, or what most lose and the rest never had.
func (c *contrast) everyone(dom string, named []*party) *party {
	all := &party{dom: dom, subjects: []subject{{name: "everyone"}}, asked: map[question]bool{}, same: map[question]bool{}, entries: map[entry]reason{}}
	if !c.alike || len(named) < 2 {
		return all
	}
	all.asked = named[0].asked
	for q := range all.asked {
		if answer := named[0].same[q]; !slices.ContainsFunc(named, func(p *party) bool { return !p.had(q, answer) }) {
			all.same[q] = answer
		}
	}
	count := map[entry]int{}
	for _, p := range named {
		for e := range p.entries {
			count[e]++
		}
	}
	for e, has := range count {
		for _, p := range named {
			if _, too := p.entries[e]; !too && p.had(e.question, e.gain) {
				has++
			} else if too {
				all.entries[e] = p.entries[e]
			}
		}
		if has < len(named) || 2*count[e] <= len(named) {
			delete(all.entries, e)
		}
	}
	return all
}

// holds is whether a party holds a role by either policy at some moment.
func (c *contrast) holds(p *party, role string) bool {
	for m := range c.moments {
		old, _ := p.old[m].Holding().Has(role)
		now, _ := p.new[m].Holding().Has(role)
		if old || now {
			return true
		}
	}
	return false
}

// place is what is so on the same objects at the same times.
type place struct {
	Change
	objects []string            // as they were asked about
	classes map[string][]string // by act
	rows    map[string][]string
}

// foldParty is a party's changes, without who and where.
func (c *contrast) foldParty(p *party) []Change {
	type aim struct {
		span
		class, act string
	}
	objects, rows := map[aim][]string{}, map[aim][]string{}
	for e, why := range p.entries {
		at := aim{e.span, e.class, e.act}
		objects[at] = append(objects[at], e.object)
		if text := why.String(); text != "" {
			rows[at] = append(rows[at], text)
		}
	}
	places := map[string]*place{}
	for at, in := range objects {
		change := Change{Gains: at.gain}
		change.Objects, change.Except = p.foldObjects(at.gain, at.class, at.act, in)
		if at.first > 0 {
			change.From = &c.moments[at.first]
		}
		if at.last < len(c.moments)-1 {
			change.Until = &c.moments[at.last+1]
		}
		key := fmt.Sprint(change.key(), at.class == "")
		g := places[key]
		if g == nil {
			g = &place{Change: change, classes: map[string][]string{}, rows: map[string][]string{}}
			places[key] = g
		}
		g.objects = append(g.objects, in...)
		g.classes[at.act] = append(g.classes[at.act], at.class)
		g.rows[at.act] = append(g.rows[at.act], rows[at]...)
	}
	var changes []Change
	for _, g := range places {
		changes = append(changes, c.foldActs(p, g)...)
	}
	return changes
}

// foldActs puts the acts together that are gained or lost of the same classes by the same rows.
func (c *contrast) foldActs(p *party, g *place) []Change {
	alike := map[string]Change{}
	for _, act := range catalog.Acts() {
		if g.classes[act] == nil {
			continue
		}
		change := g.Change
		change.Classes = c.foldClasses(p, g.Gains, act, g.objects, g.classes[act])
		change.Rows = slices.Compact(slices.Sorted(slices.Values(g.rows[act])))
		key := change.key()
		change.Acts = append(alike[key].Acts, act)
		alike[key] = change
	}
	var changes []Change
	for _, change := range alike {
		if len(change.Acts) == len(catalog.Acts()) {
			change.Acts = []string{"*"}
		}
		changes = append(changes, change)
	}
	return changes
}

// foldObjects is patterns for objects, and for those within them that were asked about as well and are not among them, nor
// had before.
func (p *party) foldObjects(gain bool, class, act string, among []string) (objects, except []string) {
	var asked []string
	for q := range p.asked {
		if q.class == class && q.act == act {
			asked = append(asked, q.object)
		}
	}
	slices.SortFunc(asked, func(a, b string) int {
		return cmp.Or(len(strings.TrimSuffix(a, fresh))-len(strings.TrimSuffix(b, fresh)), len(b)-len(a), strings.Compare(a, b))
	})
	within := map[string]bool{} // whether what is said of a pattern around it is so of it
	for i, object := range asked {
		around := false
		for _, other := range asked[:i] { // the last that fits is the nearest
			if start, wild := strings.CutSuffix(other, fresh); wild && strings.HasPrefix(object, start) {
				around = within[other]
			}
		}
		is := slices.Contains(among, object)
		had := !is && p.had(question{object, class, act}, gain)
		within[object] = is || had && around
		switch pattern := strings.ReplaceAll(object, fresh, "*"); {
		case is && !around:
			objects = append(objects, pattern)
		case !is && !had && around:
			except = append(except, pattern)
		}
	}
	slices.Sort(objects)
	slices.Sort(except)
	return objects, except
}

// foldClasses is the classes of which an act is gained or lost on some objects, with parents and levels in place of what
// belongs to them.
func (c *contrast) foldClasses(p *party, gain bool, act string, objects, classes []string) []string {
	if slices.Equal(classes, []string{""}) {
		return nil
	}
	had := func(class string) bool {
		return !slices.ContainsFunc(objects, func(object string) bool { return !p.had(question{object, class, act}, gain) })
	}
	var folded []string
	done := map[string]bool{}
	for _, parent := range c.parents {
		var in, out []string
		for _, class := range c.members[parent] {
			switch {
			case slices.Contains(classes, class):
				in = append(in, class)
			case !had(class):
				out = append(out, class)
			}
		}
		more := slices.ContainsFunc(in, func(class string) bool { return !done[class] })
		whole := len(in) == len(c.members[parent]) || len(out) == 0 && 2*len(in) > len(c.members[parent])
		switch {
		case !more || !whole && (len(out) == 0 || len(out) > 2 || len(in) < 2*len(out)):
			continue
		case whole:
			folded = append(folded, parent)
		default:
			folded = append(folded, parent+" but not "+strings.Join(out, " and "))
		}
		for _, class := range in {
			done[class] = true
		}
	}
	for _, class := range classes {
		if !done[class] {
			folded = append(folded, class+" itself") // what belongs to it is not among them
		}
	}
	slices.Sort(folded)
	return folded
}

// takeClasses notes what belongs to what, the widest first.
func (c *contrast) takeClasses() {
	c.members = map[string][]string{}
	c.parents = append([]string{"*", "level:high", "level:low"}, c.new.known["class"]...)
	for _, parent := range c.parents {
		c.members[parent] = slices.DeleteFunc(slices.Clone(c.new.known["class"]), func(class string) bool { return !c.new.policy.Within(class, parent) })
	}
	slices.SortStableFunc(c.parents, func(a, b string) int { return len(c.members[b]) - len(c.members[a]) })
}

// had is whether an answer is the same by both policies, and the one that a gain, or a loss, leads to.
func (p *party) had(q question, gain bool) bool {
	allowed, same := p.same[q]
	return same && allowed == gain
}
