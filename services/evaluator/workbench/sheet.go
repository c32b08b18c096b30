// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// sheet is the p rows of a policy, with what each covers.
type sheet struct {
	policy *judge.Policy
	stated []judge.Stated
	rows   []row
	bySub  map[string][]int // places in rows
	effect string           // as the model writes it, without spaces
	sub    int              // the column of who a row is for; -1 where there is none
	// Whether the matcher asks if somebody holds what stands in that column.
	asksRoles bool
	sides     []side
	// What a class or an act can be.
	known map[string][]string
	// Why it cannot be told what a row covers; "" where it can. Then sides are of no use.
	why string
}

// row is a p row.
type row struct {
	place  int // among the p rows, in the file's order
	rank   int // in the order in which Casbin tries them
	line   int
	sub    string
	object string // "*" where the matcher compares none
	deny   bool
	fields []string
}

func (r row) text() string { return "p, " + strings.Join(r.fields, ", ") }

// side is one comparison of a request's field with a row's.
type side struct {
	field  string // "dom", "obj", "class" or "act"
	column int
	how    string // "==", "keyMatch" or "g2"
}

// The effects of Casbin, as their models write them.
const (
	allowOverride = "some(where(p.eft==allow))"
	denyOverride  = "!some(where(p.eft==deny))"
	allowAndDeny  = "some(where(p.eft==allow))&&!some(where(p.eft==deny))"
	priority      = "priority(p.eft)||deny"
)

func newSheet(policy *judge.Policy) *sheet {
	s := &sheet{policy: policy, stated: policy.Stated(), bySub: map[string][]int{}, sub: -1, known: map[string][]string{"class": policy.Classes(), "act": catalog.Acts()}}
	columns := policy.Columns()
	s.effect, s.why = s.readModel(string(policy.Files()[modelFile]), columns)
	if s.sub < 0 {
		s.sub = slices.Index(columns, "sub")
	}
	eft, ranked := slices.Index(columns, "eft"), slices.Index(columns, "priority")
	for _, stated := range s.stated {
		if stated.Kind != "p" {
			continue
		}
		r := row{place: len(s.rows), line: stated.Line, object: "*", fields: stated.Fields}
		for _, side := range s.compared() {
			if side.field == "obj" {
				r.object = r.fields[side.column]
			}
		}
		r.deny = eft >= 0 && r.fields[eft] == "deny"
		if s.sub >= 0 {
			r.sub = r.fields[s.sub]
		}
		if ranked >= 0 {
			r.rank, _ = strconv.Atoi(r.fields[ranked]) // it was read, so it is a number
		}
		s.bySub[r.sub] = append(s.bySub[r.sub], r.place)
		s.rows = append(s.rows, r)
	}
	return s
}

var (
	comparison = regexp.MustCompile(`^(keyMatch|g2?)\(r\.(\w+),p\.(\w+)(,r\.dom)?\)$`)
	equality   = regexp.MustCompile(`^r\.(\w+)==p\.(\w+)$`)
	mirrored   = regexp.MustCompile(`^p\.(\w+)==r\.(\w+)$`)
)

// readModel understands matchers that are one conjunction of plain comparisons, each field compared once; else it says why
// not.
func (s *sheet) readModel(model string, columns []string) (effect, why string) {
	matcher := ""
	for _, line := range strings.Split(model, "\n") {
		line, _, _ = strings.Cut(line, "#")
		name, value, _ := strings.Cut(strings.Join(strings.Fields(line), ""), "=")
		switch name {
		case "e":
			effect = value
		case "m":
			matcher = value
		}
	}
	s.asksRoles = strings.Contains(matcher, "g(r.sub,p.")
	if !slices.Contains([]string{allowOverride, denyOverride, allowAndDeny, priority}, effect) {
		return effect, "the model's effect is written in a way that is not known here"
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(matcher, "&&") {
		how, field, column := "", "", -1
		if m := comparison.FindStringSubmatch(part); m != nil {
			how, field, column = m[1], m[2], slices.Index(columns, m[3])
		} else if m := equality.FindStringSubmatch(part); m != nil {
			how, field, column = "==", m[1], slices.Index(columns, m[2])
		} else if m := mirrored.FindStringSubmatch(part); m != nil {
			how, field, column = "==", m[2], slices.Index(columns, m[1])
		}
		plain := map[string]string{"g": "sub", "g2": "class"}[how]
		if column < 0 || seen[field] || plain != "" && plain != field || plain == "" && field == "sub" {
			return effect, "the matcher is more than plain comparisons joined by &&"
		}
		seen[field] = true
		if field == "sub" {
			s.sub = column
		} else {
			s.sides = append(s.sides, side{field, column, how})
		}
	}
	if !s.asksRoles {
		return effect, "the matcher does not ask g(r.sub, p.sub)"
	}
	return effect, ""
}

// compared is the sides, or where the matcher is not understood the objects alone.
func (s *sheet) compared() []side {
	column := slices.Index(s.policy.Columns(), "obj")
	switch {
	case s.why == "":
		return s.sides
	case column < 0:
		return nil
	default:
		return []side{{"obj", column, "keyMatch"}}
	}
}

// matches is whether a request's value fits a row's.
func (s *sheet) matches(side side, value, pattern string) bool {
	switch side.how {
	case "g2":
		return s.policy.Within(value, pattern)
	case "keyMatch":
		return keyMatch(value, pattern)
	default:
		return value == pattern
	}
}

// keyMatch is Casbin's: everything behind a pattern's * is taken for granted.
func keyMatch(value, pattern string) bool {
	prefix, _, wild := strings.Cut(pattern, "*")
	return value == pattern || wild && strings.HasPrefix(value, prefix)
}

// fresh ends a value that nobody has written.
const fresh = "\x00"

// values are what stands for all that a row's value covers on a side: each value there is, where they can be counted; else
// one that only this pattern covers, and one for each of the other patterns within it.
func (s *sheet) values(side side, pattern string, others []string) []string {
	var values []string
	if all, countable := s.known[side.field]; countable {
		for _, value := range all {
			if s.matches(side, value, pattern) {
				values = append(values, value)
			}
		}
		return values
	}
	seen := map[string]bool{}
	for _, text := range append([]string{pattern}, others...) {
		value := text
		if prefix, _, wild := strings.Cut(text, "*"); wild && side.how == "keyMatch" {
			value = prefix + fresh
		}
		if s.matches(side, value, pattern) && !seen[value] {
			seen[value] = true
			values = append(values, value)
		}
	}
	return values
}

// covers is whether one row's value covers all that another's does, on one side.
func (s *sheet) covers(side side, wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	for _, value := range s.values(side, narrow, nil) {
		if !s.matches(side, value, wide) {
			return false
		}
	}
	return true
}

// maxHops is how many links Casbin follows from a name to a role; spare of them are kept for those that inventories give:
// from a person to an account, to a group, to a group that it is in.
const (
	maxHops = 10
	spare   = 3
)

// always is what everybody holds who holds a name, at all times and whatever inventories and grants give.
func (s *sheet) always(name string, depth int) map[string]bool {
	held := map[string]bool{name: true}
	for _, start := range []struct {
		name string
		hops int
	}{{name, depth + spare}, {"role:anyone", 2}} {
		hops := map[string]int{start.name: start.hops}
		for queue := []string{start.name}; len(queue) > 0; queue = queue[1:] {
			held[queue[0]] = true
			if hops[queue[0]] >= maxHops {
				continue
			}
			for _, link := range s.policy.Links(queue[0]) {
				if _, known := hops[link.Held]; !known && link.Dom == "" && link.From == temporal.Start && link.Until == temporal.End {
					hops[link.Held] = hops[queue[0]] + 1
					queue = append(queue, link.Held)
				}
			}
		}
	}
	return held
}

// depths is how many links each name is from whoever is furthest from it, by the g rows.
func (s *sheet) depths() map[string]int {
	above := map[string][]string{}
	holders := map[string]bool{}
	for _, stated := range s.stated {
		if stated.Kind == "g" {
			above[stated.Fields[0]] = append(above[stated.Fields[0]], stated.Fields[1])
			holders[stated.Fields[0]] = true
		}
	}
	depths := map[string]int{}
	for holder := range holders {
		hops := map[string]int{holder: 0}
		for queue := []string{holder}; len(queue) > 0; queue = queue[1:] {
			depths[queue[0]] = max(depths[queue[0]], hops[queue[0]])
			for _, role := range above[queue[0]] {
				if _, known := hops[role]; !known {
					hops[role] = hops[queue[0]] + 1
					queue = append(queue, role)
				}
			}
		}
	}
	return depths
}
