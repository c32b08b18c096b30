// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"slices"

	"github.com/curfewhq/curfew/internal/temporal"
)

// Subject is what a holder holds, found in the rows of one Enforcer. It is immutable and safe for concurrent use.
type Subject struct {
	of       *Enforcer
	holding  *temporal.Holding
	certain  []int32 // holders of the index
	possible []int32
}

// Subject is to be made once for a holding and kept as long as that is valid.
func (e *Enforcer) Subject(h *temporal.Holding) *Subject {
	s := &Subject{of: e, holding: h}
	if e.index == nil {
		return s
	}
	for i := range h.Len() {
		name, uncertain := h.At(i)
		switch holder, named := e.index.holders[name]; {
		case !named:
		case uncertain:
			s.possible = append(s.possible, holder)
		default:
			s.certain = append(s.certain, holder)
		}
	}
	return s
}

// Decide answers a request. The subject's holding must be that of the request's sub, in its dom for models with domains,
// at the request's moment; links answers for other names and is asked only where the matcher does.
func (e *Enforcer) Decide(q Request, s *Subject, links Links) (Answer, error) {
	if s.of != e || s.holding.Name() != q.Sub {
		return Answer{}, fmt.Errorf("decide about %q: the subject is that of %q, or another policy's", q.Sub, s.holding.Name())
	}
	if e.index == nil {
		return e.explore(question{Request: q, subject: s.holding, links: links})
	}
	var room, more [inPlace]int32
	certain, possible := e.index.pick(&q, s, room[:0], more[:0])
	v, err := e.judge(&q, s, certain, false)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Allowed: v.allowed, Row: -1}
	if v.at >= 0 {
		a.Row = e.given(certain[v.at])
	}
	// In each effect, if several more rows turn the answer then one of them alone does.
	var space [inPlace]int32
	for _, place := range possible {
		if len(a.Open) == maxOpen {
			break
		}
		at, _ := slices.BinarySearch(certain, place)
		with, err := e.judge(&q, s, append(append(append(space[:0], certain[:at]...), place), certain[at:]...), true)
		if err != nil {
			return Answer{}, err
		}
		if with.allowed != a.Allowed {
			a.Open = append(a.Open, e.given(place))
		}
	}
	return a, nil
}

// maxOpen is how many rows are named that would turn an answer.
const maxOpen = 8

// judge is Casbin's answer over picked rows, remembered where it depends on nothing else.
func (e *Enforcer) judge(q *Request, s *Subject, places []int32, all bool) (verdict, error) {
	if len(places) == 0 {
		return verdict{e.none, -1}, nil
	}
	if e.memo == nil {
		return e.ask(question{Request: *q, subject: s.holding, all: all}, places)
	}
	if v, known := e.memo.get(places); known {
		return v, nil
	}
	v, err := e.ask(question{Request: *q, subject: s.holding, all: all}, places)
	if err == nil {
		e.memo.put(places, v)
	}
	return v, err
}

// Scan asks Casbin over every row and over the things certainly held: what confirms Decide. Row is the index in what New
// was given, -1 where none decided.
func (e *Enforcer) Scan(q Request, links Links) (allowed bool, row int, err error) {
	s, err := e.take()
	if err != nil {
		return false, -1, err
	}
	defer e.put(s)
	s.question = question{Request: q, links: links}
	v, err := e.enforce(s, e.rows)
	if err != nil {
		return false, -1, err
	}
	return v.allowed, e.given(v.at), nil
}

// maxWays is in how many ways uncertain links are tried before the answer is left open.
const maxWays = 32

// explore asks over every row, and once more for each other way in which the uncertain things that come up can turn out:
// the matcher may be any, so that more held can mean less allowed.
func (e *Enforcer) explore(q question) (Answer, error) {
	s, err := e.take()
	if err != nil {
		return Answer{}, err
	}
	defer e.put(s)
	var a Answer
	ways := [][]doubt{nil}
	for n := 0; len(ways) > 0; n++ {
		if n > maxWays {
			a.Open = []int{-1}
			return a, nil
		}
		way := ways[len(ways)-1]
		ways = ways[:len(ways)-1]
		q.assumed = slices.Clip(way)
		s.question = q
		v, err := e.enforce(s, e.rows)
		switch {
		case err != nil && n == 0:
			return Answer{}, err
		case n == 0:
			a = Answer{Allowed: v.allowed, Row: e.given(v.at)}
		case err != nil:
			a.Open = []int{-1}
			return a, nil
		case v.allowed != a.Allowed:
			a.Open = []int{e.given(v.at)}
			return a, nil
		}
		q.others = s.others
		for i := len(way); i < len(s.assumed); i++ {
			other := slices.Clone(s.assumed[:i+1])
			other[i].holds = true
			ways = append(ways, other)
		}
	}
	return a, nil
}
