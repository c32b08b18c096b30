// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shadowed is rows whose removal would change no verdict, for anybody, at any time.
func (l *linter) shadowed() {
	s := l.sheet
	if s.why != "" {
		l.add(modelFile, 0, Hint, "shadows-unknown", "rows that never decide are not looked for: "+s.why)
		return
	}
	gone := map[int]bool{}
	for _, r := range s.rows {
		switch {
		case s.effect == allowOverride && r.deny || s.effect == denyOverride && !r.deny:
			l.add(policyFile, r.line, Warning, "shadowed", fmt.Sprintf("the row never decides: the model's effect, %s, takes no notice of such rows; delete it, or change the effect in %s", s.effect, modelFile))
		case s.coversNothing(r):
			l.add(policyFile, r.line, Warning, "shadowed", s.mismatch(r))
		default:
			continue
		}
		gone[r.place] = true
	}
	depths := s.depths()
	// From the end, so that of two rows that do the same the later one is named; and what is named counts for nothing
	// more, so that all of them together can be deleted.
	for _, r := range slices.Backward(s.rows) {
		if gone[r.place] {
			continue
		}
		var rivals []row
		held := s.always(r.sub, depths[r.sub])
		for _, sub := range slices.Sorted(maps.Keys(held)) {
			for _, place := range s.bySub[sub] {
				if w := s.rows[place]; place != r.place && !gone[place] && s.wins(w, r) && overlap(w.object, r.object) {
					rivals = append(rivals, w)
				}
			}
		}
		by := map[int]bool{}
		if !s.voided(r, rivals, 0, by) {
			continue
		}
		gone[r.place] = true
		l.add(policyFile, r.line, Warning, "shadowed", s.because(r, by))
	}
}

// wins is whether a row leaves nothing to another where both match.
func (s *sheet) wins(w, r row) bool {
	if s.effect == priority {
		return w.rank < r.rank || w.rank == r.rank && w.place < r.place
	}
	return w.deny || !r.deny
}

// overlap is whether two patterns of objects can match the same; where they are compared as they stand it may say so of
// more.
func overlap(a, b string) bool {
	a, _, aWild := strings.Cut(a, "*")
	b, _, bWild := strings.Cut(b, "*")
	return a == b || aWild && strings.HasPrefix(b, a) || bWild && strings.HasPrefix(a, b)
}

// voided is whether rivals leave nothing of what a row covers, given that they match it on all sides before side i. It puts
// those that are needed into by.
func (s *sheet) voided(r row, rivals []row, i int, by map[int]bool) bool {
	for _, w := range rivals {
		if s.coversFrom(i, w, r) {
			by[w.place] = true
			return true
		}
	}
	if len(rivals) == 0 || i == len(s.sides) {
		return false
	}
	side := s.sides[i]
	patterns := make([]string, 0, len(rivals))
	for _, w := range rivals {
		patterns = append(patterns, w.fields[side.column])
	}
	for _, value := range s.values(side, r.fields[side.column], patterns) {
		var left []row
		for _, w := range rivals {
			if s.matches(side, value, w.fields[side.column]) {
				left = append(left, w)
			}
		}
		if !s.voided(r, left, i+1, by) {
			return false
		}
	}
	return true
}

func (s *sheet) coversFrom(i int, wide, narrow row) bool {
	return !slices.ContainsFunc(s.sides[i:], func(side side) bool {
		return !s.covers(side, wide.fields[side.column], narrow.fields[side.column])
	})
}

// coversNothing is whether there is no request that a row matches.
func (s *sheet) coversNothing(r row) bool { return s.mismatched(r) >= 0 }

// mismatched is the side on which a row matches nothing; -1 where there is none.
func (s *sheet) mismatched(r row) int {
	return slices.IndexFunc(s.sides, func(side side) bool { return len(s.values(side, r.fields[side.column], nil)) == 0 })
}

// mismatch says why a row matches nothing.
func (s *sheet) mismatch(r row) string {
	side := s.sides[s.mismatched(r)]
	return fmt.Sprintf("the row never matches: the model compares %s by %s, and there is no %s %q; write the one that is meant", side.field, side.how, side.field, r.fields[side.column])
}

// because says what voids a row.
func (s *sheet) because(r row, by map[int]bool) string {
	var named []string
	denied := true
	for _, place := range slices.Sorted(maps.Keys(by)) {
		named = append(named, fmt.Sprint(s.rows[place].line))
		denied = denied && s.rows[place].deny
	}
	rows, verb := "lines "+strings.Join(named, ", ")+" together", ""
	if len(named) == 1 {
		rows, verb = fmt.Sprintf("line %s (%s)", named[0], s.rows[slices.Sorted(maps.Keys(by))[0]].text()), "s"
	}
	switch {
	case s.effect == priority:
		return fmt.Sprintf("the row never decides: %s come%s before it and cover%s all of it, for everybody whom it is for; delete it, or move it up", rows, verb, verb)
	case denied && !r.deny:
		return fmt.Sprintf("the row allows nothing: %s den%s all of it, for everybody whom it is for, and a deny beats every allow; delete it, or narrow the deny", rows, map[string]string{"s": "ies", "": "y"}[verb])
	default:
		return fmt.Sprintf("the row changes nothing: %s cover%s all of it, for everybody whom it is for; delete it", rows, verb)
	}
}
