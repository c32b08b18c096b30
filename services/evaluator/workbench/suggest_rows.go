// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A role stands for its members where at least nearly of every nearlyOf of them did the same.
const (
	nearly   = 4
	nearlyOf = 5
)

// proposal is a row that would explain something.
type proposal struct {
	sub, source, act, class string
	people                  map[string]bool // who did it
	holders                 int             // who would have the right
}

// need is what no row allows.
type need struct{ source, act, class string }

// rows is the least rows that explain the open violations.
func (s *Suggestion) rows() []proposal {
	// Who needs what, and what each of them held each time.
	who := map[need]map[string]map[string]bool{}
	for key, l := range s.open {
		for class := range l.missing {
			if !s.has("class") {
				class = ""
			}
			n := need{key.source, key.act, class}
			if who[n] == nil {
				who[n] = map[string]map[string]bool{}
			}
			who[n][key.subject] = both(who[n][key.subject], l.held)
		}
	}
	members := s.members(who)
	type party struct{ sub, source, act string }
	byClass := map[party]map[string]proposal{}
	for n, people := range who {
		for _, p := range cover(people, members) {
			at := party{p.sub, n.source, n.act}
			if byClass[at] == nil {
				byClass[at] = map[string]proposal{}
			}
			p.source, p.act, p.class = n.source, n.act, n.class
			byClass[at][n.class] = p
		}
	}
	var rows []proposal
	for _, classes := range byClass {
		rows = append(rows, s.foldClasses(classes)...)
	}
	rows = s.withoutRepeats(rows, who)
	order := map[string]int{"role": 1, "group": 2, "person": 3, "app": 4, "service": 5}
	slices.SortFunc(rows, func(a, b proposal) int {
		aKind, _, _ := strings.Cut(a.sub, ":")
		bKind, _, _ := strings.Cut(b.sub, ":")
		return cmp.Or(order[aKind]-order[bKind], strings.Compare(a.sub, b.sub), strings.Compare(a.source, b.source), strings.Compare(a.class, b.class), strings.Compare(a.act, b.act))
	})
	return rows
}

// both is what is in two sets; in the second where the first is nil.
func both(a, b map[string]bool) map[string]bool {
	common := map[string]bool{}
	for name := range b {
		if a == nil || a[name] {
			common[name] = true
		}
	}
	return common
}

// members is everybody known who holds a role or a group that could stand for those who need something.
func (s *Suggestion) members(who map[need]map[string]map[string]bool) map[string]map[string]bool {
	members := map[string]map[string]bool{}
	for _, people := range who {
		for person, held := range people {
			for name := range held {
				if !s.canStand(name) {
					continue
				}
				if members[name] == nil {
					members[name] = map[string]bool{}
				}
				members[name][person] = true
			}
		}
	}
	for person := range s.people {
		for _, name := range s.judge.Holds(person, s.bench.Now) {
			if members[name] != nil {
				members[name][person] = true
			}
		}
	}
	return members
}

// canStand is whether a row may name a role or a group for its members. A role that goes with a kind of subjects is
// everybody's, those to come included. A group must have been known all the time: of whoever acted before it would be
// uncertain whether they were in it.
func (s *Suggestion) canStand(name string) bool {
	kind, id, _ := strings.Cut(name, ":")
	switch kind {
	case "role":
		return !slices.Contains([]string{"anyone", "person", "app", "service", "unknown"}, id)
	case "group":
		source, _, _ := strings.Cut(id, "/")
		for _, inventory := range []string{"memberships", "people"} {
			if since, awaited := s.judge.Known.Since(source, inventory); awaited && since > temporal.Nanos(s.first) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// cover finds roles and groups that stand for people, and names those who are left.
func cover(people, members map[string]map[string]bool) []proposal {
	left := maps.Clone(people)
	var found []proposal
	for len(left) > 0 {
		var best proposal
		most := 0
		for _, name := range slices.Sorted(maps.Keys(members)) {
			p := proposal{sub: name, people: map[string]bool{}, holders: len(members[name])}
			fresh := 0
			for person, held := range people {
				if !held[name] {
					continue
				}
				p.people[person] = true
				if left[person] != nil {
					fresh++
				}
			}
			extra := p.holders - len(p.people)
			switch {
			case fresh == 0, len(p.people)*nearlyOf < p.holders*nearly:
			case fresh == 1 && extra > 0: // one row for one person gives less
			case fresh > most || fresh == most && isLess(p, best):
				best, most = p, fresh
			}
		}
		if most == 0 {
			break
		}
		found = append(found, best)
		for person := range best.people {
			delete(left, person)
		}
	}
	for person := range left {
		found = append(found, proposal{sub: person, people: map[string]bool{person: true}, holders: 1})
	}
	return found
}

// isLess is whether a role gives the right to fewer than another, or is a role where the other is a group.
func isLess(a, b proposal) bool {
	extra := func(p proposal) int { return p.holders - len(p.people) }
	group := map[bool]int{true: 1}
	return cmp.Or(extra(a)-extra(b), a.holders-b.holders, group[strings.HasPrefix(a.sub, "group:")]-group[strings.HasPrefix(b.sub, "group:")]) < 0
}

// foldClasses puts a parent class in place of its children where all of them are there.
func (s *Suggestion) foldClasses(classes map[string]proposal) []proposal {
	children := map[string][]string{}
	for _, class := range s.policy.Catalog().Classes() {
		for _, parent := range class.Parents {
			children[parent] = append(children[parent], class.ID)
		}
	}
	merge := func(into string, from ...string) {
		p := classes[from[0]]
		p.class, p.people = into, maps.Clone(p.people)
		if _, there := classes[into]; there {
			from = append(from, into)
		}
		for _, class := range from[1:] {
			maps.Copy(p.people, classes[class].people)
		}
		classes[into] = p
	}
	for grown := true; grown; {
		grown = false
		for _, parent := range slices.Sorted(maps.Keys(children)) {
			_, there := classes[parent]
			all := !slices.ContainsFunc(children[parent], func(class string) bool { _, has := classes[class]; return !has })
			if !there && all && len(children[parent]) > 1 {
				merge(parent, children[parent]...)
				grown = true
			}
		}
	}
	var rows []proposal
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		above := s.policy.Catalog().Above(class)
		wider := slices.IndexFunc(above, func(other string) bool { _, has := classes[other]; return has && other != class })
		if wider < 0 {
			rows = append(rows, classes[class])
			continue
		}
		merge(above[wider], above[wider], class)
	}
	return rows
}

// withoutRepeats leaves out the rows without which the others explain the same, those first that give most to people who did
// not need it.
func (s *Suggestion) withoutRepeats(rows []proposal, who map[need]map[string]map[string]bool) []proposal {
	type instance struct {
		need
		person string
	}
	explained := map[instance]int{} // by how many rows
	explains := func(p proposal, visit func(instance)) {
		for n, people := range who {
			if n.source != p.source || n.act != p.act || n.class != p.class && !s.policy.Within(n.class, p.class) {
				continue
			}
			for person, held := range people {
				if person == p.sub || held[p.sub] {
					visit(instance{n, person})
				}
			}
		}
	}
	for _, p := range rows {
		explains(p, func(c instance) { explained[c]++ })
	}
	slices.SortFunc(rows, func(a, b proposal) int {
		return cmp.Or(
			(b.holders-len(b.people))-(a.holders-len(a.people)), strings.Compare(a.sub, b.sub), strings.Compare(a.source, b.source),
			strings.Compare(a.act, b.act), strings.Compare(a.class, b.class),
		)
	})
	return slices.DeleteFunc(rows, func(p proposal) bool {
		needed := false
		explains(p, func(c instance) { needed = needed || explained[c] == 1 })
		if !needed {
			explains(p, func(c instance) { explained[c]-- })
		}
		return !needed
	})
}

// message is the row as the API shows it.
func (p proposal) message(s *Suggestion) *curfewv1.SuggestedRow {
	fields := []string{"p"}
	for _, column := range s.policy.Columns() {
		fields = append(fields, map[string]string{"sub": p.sub, "dom": "*", "obj": p.source + "/*", "class": p.class, "act": p.act, "eft": "allow"}[column])
	}
	row := &curfewv1.SuggestedRow{Text: strings.Join(fields, ", "), People: slices.Sorted(maps.Keys(p.people)), Holders: uint32(p.holders)}
	for key, l := range s.open {
		covers := slices.ContainsFunc(slices.Collect(maps.Keys(l.missing)), func(class string) bool { return p.class == "" || s.policy.Within(class, p.class) })
		if covers && p.people[key.subject] && key.source == p.source && key.act == p.act {
			row.Decisions += l.decisions
		}
	}
	return row
}
