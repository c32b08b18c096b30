// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Difference is what one policy gives to whom that another does not.
type Difference struct {
	// Changes are in an order that stays the same: gains before losses, then by who.
	Changes []Change `json:"changes"`
	// Data is which objects hold other data, and which classes are others, a sentence each.
	Data []string `json:"data"`
	// People is who is somebody else by identities.yaml, a sentence each.
	People []string `json:"people"`
	// Notes is what was not compared, or not wholly, a sentence each.
	Notes []string `json:"notes"`
}

const (
	// maxMoments is at how many moments two policies are compared.
	maxMoments = 20
	// maxAsked and maxPatterns are up to how many questions, about how many patterns of objects, everybody is asked the
	// same, so that it can be said what everyone gets.
	maxAsked    = 2_000_000
	maxPatterns = 256
)

// contrast is two policies being compared.
type contrast struct {
	Bench
	old, new *sheet
	moments  []time.Time         // the present, and each later one at which a row begins or ends
	whole    bool                // every row can make a difference, not only those that changed
	changed  map[string]bool     // texts of rows that are in one of the two
	objects  []*curfewv1.Event   // that hold other data
	alike    bool                // everybody is asked the same
	patterns []string            // of objects, in all rows
	parents  []string            // classes and levels, the widest first
	members  map[string][]string // what belongs to each
	found    Difference
}

// Diff compares what two policies give, to everybody whom either names. Nothing is held but by the policy: who is in a
// group is shown as the group.
func (b Bench) Diff(before, after *judge.Policy) (Difference, error) {
	return b.diff(before, after, maxAsked)
}

func (b Bench) diff(before, after *judge.Policy, most int) (Difference, error) {
	c := &contrast{Bench: b, old: newSheet(before), new: newSheet(after), changed: map[string]bool{}}
	both := slices.DeleteFunc(before.Classes(), func(class string) bool { return !slices.Contains(after.Classes(), class) })
	c.old.known["class"], c.new.known["class"] = both, both
	c.takeClasses()
	c.compareRows()
	c.compareData()
	c.comparePeople()
	c.patterns = patterns(c.old.rows, c.new.rows)
	c.alike = len(c.patterns) < maxPatterns && most > 0
	parties := c.group()
	all := map[question]bool{}
	for _, p := range parties {
		if err := c.ask(p); err != nil {
			return Difference{}, err
		}
		maps.Copy(all, p.asked)
	}
	if c.alike = c.alike && len(all)*len(parties) < most; c.alike {
		for _, p := range parties {
			for q := range all {
				if err := c.put(p, q); err != nil {
					return Difference{}, err
				}
			}
		}
	}
	c.found.Changes = c.fold(parties)
	return c.found, nil
}

// compareRows finds out which rows can make a difference, and when.
func (c *contrast) compareRows() {
	for _, s := range []*sheet{c.old, c.new} {
		if s.why != "" {
			c.whole = true
			c.note("what rows cover cannot be told, as " + s.why + ": the policies are compared at the objects that their rows name")
		}
		for _, stated := range s.stated {
			c.changed[text(stated)] = !c.changed[text(stated)]
			for _, field := range stated.Fields[min(2, len(stated.Fields)):] {
				if at, err := time.Parse(time.RFC3339, field); err == nil && stated.Kind == "g" && at.After(c.Now) {
					c.moments = append(c.moments, at.UTC())
				}
			}
		}
	}
	maps.DeleteFunc(c.changed, func(_ string, differs bool) bool { return !differs })
	if string(c.old.policy.Files()[modelFile]) != string(c.new.policy.Files()[modelFile]) || !c.sameClasses() {
		c.whole = true
	}
	c.whole = c.whole || c.old.effect == priority && !slices.EqualFunc(c.old.rows, c.new.rows, func(a, b row) bool { return a.text() == b.text() })
	slices.SortFunc(c.moments, time.Time.Compare)
	c.moments = slices.CompactFunc(append([]time.Time{c.Now}, c.moments...), time.Time.Equal)
	if len(c.moments) > maxMoments {
		c.note(fmt.Sprintf("rows begin or end at %d moments; compared are the first %d, up to %s", len(c.moments), maxMoments, c.moments[maxMoments-1].Format(time.RFC3339)))
		c.moments = c.moments[:maxMoments]
	}
}

func (c *contrast) note(text string) {
	if !slices.Contains(c.found.Notes, text) {
		c.found.Notes = append(c.found.Notes, text)
	}
}

// sameClasses is whether every class belongs to the same, so that a row about one is about the same data.
func (c *contrast) sameClasses() bool {
	old, now := c.old.policy, c.new.policy
	return slices.Equal(old.Classes(), now.Classes()) && !slices.ContainsFunc(old.Classes(), func(class string) bool {
		return slices.ContainsFunc(append(old.Classes(), "level:low", "level:high"), func(other string) bool { return old.Within(class, other) != now.Within(class, other) })
	})
}

// ask puts every question to which a party may get another answer.
func (c *contrast) ask(p *party) error {
	put := func(object, class, act string) error { return c.put(p, question{object, class, act}) }
	for m := range c.moments {
		old, now := c.old.rowsOf(p.old[m]), c.new.rowsOf(p.new[m])
		objects := c.patterns
		if !c.alike {
			objects = patterns(old, now)
		}
		for _, s := range []struct {
			*sheet
			rows  []row
			other *judge.Supposed
		}{{c.old, old, p.new[m]}, {c.new, now, p.old[m]}} {
			for _, r := range s.rows {
				if held, _ := s.other.Holding().Has(r.sub); !c.whole && held && !c.changed[r.text()] {
					continue
				}
				if err := s.each(r, p.dom, objects, put); err != nil {
					return err
				}
			}
		}
	}
	for _, e := range c.objects {
		for _, act := range catalog.Acts() {
			if err := put(judge.Object(e), "", act); err != nil {
				return err
			}
		}
	}
	return nil
}

// patterns is the objects that rows name.
func patterns(old, now []row) []string {
	seen := map[string]bool{}
	for _, r := range slices.Concat(old, now) {
		seen[r.object] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// rowsOf is the rows that are for somebody.
func (s *sheet) rowsOf(who *judge.Supposed) []row {
	if !s.asksRoles {
		return s.rows
	}
	var rows []row
	for _, name := range s.heldOf(who) {
		for _, place := range s.bySub[name] {
			rows = append(rows, s.rows[place])
		}
	}
	return rows
}

// each calls visit with every question that stands for all that a row covers in a domain, objects being patterns that may
// part it.
func (s *sheet) each(r row, dom string, objects []string, visit func(object, class, act string) error) error {
	values := map[string][]string{"obj": {fresh}, "class": s.known["class"], "act": s.known["act"]}
	for _, side := range s.compared() {
		if side.field == "dom" && !s.matches(side, dom, r.fields[side.column]) {
			return nil
		}
		values[side.field] = s.values(side, r.fields[side.column], objects)
	}
	for _, object := range values["obj"] {
		for _, class := range values["class"] {
			for _, act := range values["act"] {
				if err := visit(object, class, act); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// put asks both policies at each moment.
func (c *contrast) put(p *party, q question) error {
	if p.asked[q] {
		return nil
	}
	p.asked[q] = true
	var run *entry
	for m := range c.moments {
		old, err := c.answer(c.old, p.old[m], q)
		if err != nil {
			return err
		}
		now, err := c.answer(c.new, p.new[m], q)
		if err != nil {
			return err
		}
		if run != nil && (old.Allowed == now.Allowed || now.Allowed != run.gain) {
			run = nil
		}
		if old.Allowed == now.Allowed {
			if m == 0 {
				p.same[q] = old.Allowed
			} else if same, all := p.same[q]; all && same != old.Allowed {
				delete(p.same, q)
			}
			continue
		}
		delete(p.same, q)
		why := c.reason(old, now)
		if run == nil {
			run = &entry{q, span{now.Allowed, m, m}}
		} else {
			delete(p.entries, *run)
			run.last = m
		}
		p.entries[*run] = why
	}
	return nil
}

// answer is a policy's; where no class is named, over all that the object holds by that policy.
func (c *contrast) answer(s *sheet, who *judge.Supposed, q question) (enforcer.Answer, error) {
	classes := []string{q.class}
	if q.class == "" {
		at := slices.IndexFunc(c.objects, func(e *curfewv1.Event) bool { return judge.Object(e) == q.object })
		classes = s.policy.ClassesOf(c.objects[at], catalog.Action{})
	}
	var first enforcer.Answer
	for i, class := range classes {
		answer, err := who.Ask(q.object, class, q.act)
		if err != nil || !answer.Allowed {
			return answer, err
		}
		if i == 0 {
			first = answer
		}
	}
	return first, nil
}

// reason is the row that gives or denies it now, or else the one that did.
func (c *contrast) reason(old, now enforcer.Answer) reason {
	if now.Row >= 0 {
		r := c.new.rows[now.Row]
		return reason{line: r.line, denies: r.deny}
	}
	if old.Row >= 0 {
		r := c.old.rows[old.Row]
		return reason{line: r.line, before: true, denies: r.deny}
	}
	return reason{}
}

func (r reason) String() string {
	verb := map[bool]string{true: "denies", false: "allows"}[r.denies]
	switch {
	case r.line == 0:
		return ""
	case r.before:
		return fmt.Sprintf("%s:%d no longer %s it", policyFile, r.line, verb)
	default:
		return fmt.Sprintf("%s:%d %s it", policyFile, r.line, verb)
	}
}
