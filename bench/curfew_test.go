// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"sync"
	"testing"

	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// own are Curfew's ways: each works out who holds what at the moment, as for an event.
func own() []engine {
	return []engine{
		{"candidates", func(t testing.TB, p *policy) decider { return newCurfew(t, p, alwaysTrue, 0).decide }, 0, false},
		{"memo", func(t testing.TB, p *policy) decider { return newCurfew(t, p, "", 0).decide }, remembering, false},
	}
}

// alwaysTrue is a part of a matcher that keeps the enforcer from remembering Casbin's answers.
const alwaysTrue = " && true"

const (
	now  = int64(1_700_000_000_000_000_000)
	hour = int64(3_600_000_000_000)
)

// curfew is the product's enforcer over links with intervals.
type curfew struct {
	enforcer *enforcer.Enforcer
	links    *temporal.Relation
	kept     sync.Map // holder -> *standing
}

// standing is what somebody holds, ready for the enforcer.
type standing struct {
	holding *temporal.Holding
	subject *enforcer.Subject
}

// newCurfew takes the policy in; each link was held so many times before.
func newCurfew(t testing.TB, p *policy, more string, before int) *curfew {
	e, err := enforcer.New(modelText(more), p.curfewRows(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if indexed, why := e.Indexed(); !indexed {
		t.Fatal(why)
	}
	return &curfew{enforcer: e, links: p.relation(before)}
}

func (p *policy) curfewRows() []enforcer.Row {
	rows := make([]enforcer.Row, len(p.rows))
	for i, r := range p.rows {
		rows[i] = enforcer.Row{Fields: []string{r.role, r.dom, r.prefix + "*", r.act}, Line: i + 1}
	}
	return rows
}

// relation is the links, each since an hour ago; before that each was held so many times, for an hour every two.
func (p *policy) relation(before int) *temporal.Relation {
	links := map[string][]temporal.Link{}
	for _, l := range p.links {
		given := temporal.Link{Held: l.held, Dom: l.dom, From: now - hour, Until: temporal.End, Known: now - hour, Origin: "policy.csv"}
		links[l.holder] = append(links[l.holder], given)
		for i := range int64(before) {
			given.From = now - (2*i+3)*hour
			given.Until = given.From + hour
			links[l.holder] = append(links[l.holder], given)
		}
	}
	return temporal.NewRelation().With(links)
}

// Hold is what a name holds now.
func (c *curfew) Hold(name, dom string) *temporal.Holding {
	return temporal.Hold(name, dom, now, c.links)
}

// decide remembers nothing about who asks.
func (c *curfew) decide(q request) (bool, error) {
	return c.ask(q, c.enforcer.Subject(c.Hold(q.sub, q.dom)))
}

// decideKept remembers what who asks holds for as long as it is the same, as the product does.
func (c *curfew) decideKept(q request) (bool, error) {
	key := q.sub + "\x00" + q.dom
	if kept, known := c.kept.Load(key); known {
		if s, is := kept.(*standing); is && s.holding.From <= now && now < s.holding.Until {
			return c.ask(q, s.subject)
		}
	}
	h := c.Hold(q.sub, q.dom)
	s := &standing{h, c.enforcer.Subject(h)}
	c.kept.Store(key, s)
	return c.ask(q, s.subject)
}

func (c *curfew) ask(q request, s *enforcer.Subject) (bool, error) {
	answer, err := c.enforcer.Decide(enforcer.Request{Sub: q.sub, Dom: q.dom, Obj: q.obj, Act: q.act}, s, c)
	return answer.Allowed, err
}
