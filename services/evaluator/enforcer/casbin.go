// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"errors"
	"fmt"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/curfewhq/curfew/internal/temporal"
)

// verdict is Casbin's answer over some rows.
type verdict struct {
	allowed bool
	at      int32 // which of these rows decided; -1 for none
}

// question is what Casbin is asked, and what its g is answered from.
type question struct {
	Request
	links   Links
	subject *temporal.Holding           // of the request's sub in its dom; nil until it is needed
	others  map[doubt]*temporal.Holding // of other names; a doubt without held is the key
	all     bool                        // what is uncertain counts as held
	assumed []doubt                     // the uncertain things that came up, in this order, and what was said of them
	nobody  bool                        // nobody holds anything
}

// doubt is whether a name holds something in a domain, where that is uncertain.
type doubt struct {
	name, dom, held string
	holds           bool
}

// scratch is one Casbin enforcer of the model; one goroutine at a time asks it.
type scratch struct {
	casbin *casbin.Enforcer
	policy *model.Assertion
	picked [][]string
	values []any
	question
}

func (e *Enforcer) newScratch() (*scratch, error) {
	s := &scratch{values: make([]any, len(e.request))}
	var err error
	if s.casbin, err = casbin.NewEnforcer(e.blank.Copy()); err != nil {
		return nil, fmt.Errorf("make a Casbin enforcer: %w", firstLine(err))
	}
	s.policy = s.casbin.GetModel()["p"]["p"]
	if e.roles {
		s.casbin.AddFunction("g", func(arguments ...any) (any, error) {
			texts, err := texts("g", arguments)
			if err != nil {
				return false, err
			}
			if !e.domains {
				texts[2] = ""
			}
			return s.holds(e.domains, texts[0], texts[1], texts[2]), nil
		})
	}
	for name, related := range e.related {
		s.casbin.AddFunction(name, func(arguments ...any) (any, error) {
			texts, err := texts(name, arguments)
			if err != nil {
				return false, err
			}
			return related(texts[0], texts[1]), nil
		})
	}
	return s, nil
}

// texts are the arguments of a role definition.
func texts(name string, arguments []any) (texts [3]string, err error) {
	for i, argument := range arguments {
		text, is := argument.(string)
		if !is {
			return texts, fmt.Errorf("%s takes texts", name)
		}
		texts[i] = text
	}
	return texts, nil
}

// holds answers g.
func (q *question) holds(domains bool, name, held, in string) bool {
	if q.nobody {
		return false
	}
	has, certain := q.holding(domains, name, in).Has(held)
	if !has || certain || q.all {
		return has
	}
	for _, d := range q.assumed {
		if d.name == name && d.held == held && d.dom == in {
			return d.holds
		}
	}
	q.assumed = append(q.assumed, doubt{name: name, dom: in, held: held})
	return false
}

func (q *question) holding(domains bool, name, in string) *temporal.Holding {
	if name == q.Sub && (!domains || in == q.Dom) {
		if q.subject == nil {
			q.subject = q.links.Hold(name, in)
		}
		return q.subject
	}
	key := doubt{name: name, dom: in}
	h := q.others[key]
	if h == nil {
		if q.others == nil {
			q.others = map[doubt]*temporal.Holding{}
		}
		h = q.links.Hold(name, in)
		q.others[key] = h
	}
	return h
}

// take is a scratch enforcer that nobody else has.
func (e *Enforcer) take() (*scratch, error) {
	select {
	case s := <-e.idle:
		return s, nil
	default:
		return e.newScratch()
	}
}

func (e *Enforcer) put(s *scratch) {
	s.question = question{}
	select {
	case e.idle <- s:
	default:
	}
}

// ask asks Casbin over the rows at these places. Without a subject nobody holds anything, and no row matches.
func (e *Enforcer) ask(q question, places []int32) (verdict, error) {
	s, err := e.take()
	if err != nil {
		return verdict{}, err
	}
	defer e.put(s)
	s.picked = s.picked[:0]
	for _, place := range places {
		s.picked = append(s.picked, e.rows[place])
	}
	q.nobody = q.subject == nil
	s.question = q
	return e.enforce(s, s.picked)
}

// enforce is Casbin's own answer over rows.
func (e *Enforcer) enforce(s *scratch, rows [][]string) (verdict, error) {
	for i, f := range e.request {
		s.values[i] = s.value(f)
	}
	s.policy.Policy = rows
	allowed, row, err := s.casbin.EnforceEx(s.values...)
	if err != nil {
		return verdict{}, fmt.Errorf("ask Casbin: %w", firstLine(err))
	}
	if len(row) == 0 {
		return verdict{allowed, -1}, nil
	}
	// It is the very row that was given; a joined text could be another's.
	for i := range rows {
		if &rows[i][0] == &row[0] {
			return verdict{allowed, int32(i)}, nil
		}
	}
	return verdict{}, errors.New("ask Casbin: it was decided by a row that is not in the policy")
}
