// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"math"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/util"
)

// index picks the rows that can match. A row is left out only where one part of the matcher is false for it; then the
// whole matcher is, and in each effect such a row counts for nothing. The others keep their order, so answer and row are
// those of all rows. Rows are named by their place in Casbin's order.
type index struct {
	rows     [][]string
	holders  map[string]int32 // what the rows name as holder, numbered
	groups   []group          // their rows, by that number
	numbers  []uint32         // rows x numbered, the number of each value
	numbered []numbered
	tested   []part // the other parts, tested row by row
	held     []int  // columns that name something more to be held
}

// numbered is a column whose values are compared as numbers: under ==, or under keyMatch where each pattern is a plain
// value or matches everything.
type numbered struct {
	field  field
	column int
	values map[string]uint32 // from 1; what matches everything is 0
	any    bool              // there are rows that match everything
	place  uint64            // the number's weight in a key; 0 = it has none
}

// group is the rows of one holder.
type group struct {
	rows  []int32
	byKey map[uint64][]int32 // of those, if they are many
}

// few is how many rows are looked through one by one.
const few = 8

// inPlace is how many rows are picked without memory of their own.
const inPlace = 32

// unknown is the number of a value that no row names.
const unknown = math.MaxUint32

func newIndex(rows [][]string, parts []part) *index {
	x := &index{rows: rows, holders: map[string]int32{}}
	holder := -1
	for _, p := range parts {
		switch {
		case p.test == held && holder < 0:
			holder = p.column
		case p.test == held:
			x.held = append(x.held, p.column)
		case len(x.numbered) < maxNumbered && (p.test == equal || p.test == matches && numberable(rows, p.column)):
			x.numbered = append(x.numbered, newNumbered(rows, p))
		default:
			x.tested = append(x.tested, p)
		}
	}
	// What costs more is tested last.
	slices.SortStableFunc(x.tested, func(a, b part) int { return int(a.test) - int(b.test) })
	x.number()
	x.group(holder)
	return x
}

// numberable is whether keyMatch over the column is a comparison: everything behind a pattern's * is taken for granted,
// so * in front matches all.
func numberable(rows [][]string, column int) bool {
	for _, row := range rows {
		if strings.IndexByte(row[column], '*') > 0 {
			return false
		}
	}
	return true
}

func newNumbered(rows [][]string, p part) numbered {
	n := numbered{field: p.field, column: p.column, values: map[string]uint32{}}
	for _, row := range rows {
		value := row[p.column]
		if p.test == matches && strings.HasPrefix(value, "*") {
			n.any = true
			continue
		}
		if _, known := n.values[value]; !known {
			n.values[value] = uint32(len(n.values) + 1)
		}
	}
	return n
}

// number writes down each row's numbers, and gives the columns their weights, as far as a key has room.
func (x *index) number() {
	x.numbers = make([]uint32, 0, len(x.rows)*len(x.numbered))
	for _, row := range x.rows {
		for i := range x.numbered {
			x.numbers = append(x.numbers, x.numbered[i].values[row[x.numbered[i].column]])
		}
	}
	room := uint64(1)
	for i := range x.numbered {
		n := &x.numbered[i]
		n.place = room
		if size := uint64(len(n.values)) + 1; room <= math.MaxUint64/size {
			room *= size
		} else {
			n.place = 0
		}
	}
}

func (x *index) key(row int32) uint64 {
	key := uint64(0)
	for i := range x.numbered {
		key += x.numbered[i].place * uint64(x.numbers[int(row)*len(x.numbered)+i])
	}
	return key
}

// group sorts the rows by holder.
func (x *index) group(column int) {
	for i, row := range x.rows {
		at, known := x.holders[row[column]]
		if !known {
			at = int32(len(x.groups))
			x.holders[row[column]] = at
			x.groups = append(x.groups, group{})
		}
		x.groups[at].rows = append(x.groups[at].rows, int32(i))
	}
	for i := range x.groups {
		g := &x.groups[i]
		if len(g.rows) <= few || len(x.numbered) == 0 {
			continue
		}
		g.byKey = map[uint64][]int32{}
		for _, row := range g.rows {
			key := x.key(row)
			g.byKey[key] = append(g.byKey[key], row)
		}
	}
}

// maxNumbered is how many columns are looked up by number at once; what is beyond is tested row by row.
const maxNumbered = 8

// wanted is what a request asks of the numbered columns.
type wanted [maxNumbered]uint32

func (x *index) want(q *Request) (w wanted) {
	for i := range x.numbered {
		n := &x.numbered[i]
		number, known := n.values[q.value(n.field)]
		if !known {
			number = unknown
		}
		w[i] = number
	}
	return w
}

// pick appends the places of the rows that can match the request: to certain those whose subject is certainly held, to
// possible the others. Both are in order.
func (x *index) pick(q *Request, s *Subject, certain, possible []int32) (_, _ []int32) {
	w := x.want(q)
	for _, h := range s.certain {
		certain, possible = x.pickGroup(q, s, &w, &x.groups[h], true, certain, possible)
	}
	for _, h := range s.possible {
		certain, possible = x.pickGroup(q, s, &w, &x.groups[h], false, certain, possible)
	}
	slices.Sort(certain)
	slices.Sort(possible)
	return certain, possible
}

func (x *index) pickGroup(q *Request, s *Subject, w *wanted, g *group, sure bool, certain, possible []int32) (_, _ []int32) {
	if g.byKey == nil {
		return x.pickRows(q, s, w, g.rows, sure, certain, possible)
	}
	return x.pickKeys(q, s, w, g, 0, 0, sure, certain, possible)
}

// pickKeys tries the request's value in each numbered column, and what matches everything beside it.
func (x *index) pickKeys(q *Request, s *Subject, w *wanted, g *group, i int, key uint64, sure bool, certain, possible []int32) (_, _ []int32) {
	if i == len(x.numbered) {
		return x.pickRows(q, s, w, g.byKey[key], sure, certain, possible)
	}
	n := &x.numbered[i]
	if n.place == 0 || n.any {
		certain, possible = x.pickKeys(q, s, w, g, i+1, key, sure, certain, possible)
	}
	if n.place != 0 && w[i] != unknown {
		certain, possible = x.pickKeys(q, s, w, g, i+1, key+n.place*uint64(w[i]), sure, certain, possible)
	}
	return certain, possible
}

func (x *index) pickRows(q *Request, s *Subject, w *wanted, rows []int32, sure bool, certain, possible []int32) (_, _ []int32) {
	for _, row := range rows {
		switch passes, held := x.passes(q, s, w, row); {
		case !passes:
		case sure && held:
			certain = append(certain, row)
		default:
			possible = append(possible, row)
		}
	}
	return certain, possible
}

// passes is whether a request's value passes the test against a row's.
func (p *part) passes(request, row string) bool {
	switch p.test {
	case equal:
		return request == row
	case matches:
		return util.KeyMatch(request, row)
	default:
		return p.related(request, row)
	}
}

// passes is whether a row whose holder is held can match, and whether all it names besides is certainly held.
func (x *index) passes(q *Request, s *Subject, w *wanted, place int32) (passes, sure bool) {
	for i, number := range x.numbers[int(place)*len(x.numbered) : (int(place)+1)*len(x.numbered)] {
		if number != w[i] && number != 0 {
			return false, false
		}
	}
	row := x.rows[place]
	for i := range x.tested {
		p := &x.tested[i]
		if !p.passes(q.value(p.field), row[p.column]) {
			return false, false
		}
	}
	sure = true
	for _, column := range x.held {
		has, certain := s.holding.Has(row[column])
		if !has {
			return false, false
		}
		sure = sure && certain
	}
	return true, sure
}
