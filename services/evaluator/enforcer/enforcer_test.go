// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"testing"

	"github.com/curfewhq/curfew/internal/temporal"
)

type at struct {
	moment int64
	source temporal.Source
}

func (l at) Hold(name, dom string) *temporal.Holding {
	return temporal.Hold(name, dom, l.moment, l.source)
}

func TestSmoke(t *testing.T) {
	e, err := New(`
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && keyMatch(r.dom, p.dom) && keyMatch(r.obj, p.obj) && r.act == p.act
`, []Row{{Fields: []string{"role:a", "*", "okta/*", "read", "allow"}}, {Fields: []string{"role:b", "*", "okta/1", "read", "deny"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	links := at{5, temporal.NewRelation().With(map[string][]temporal.Link{
		"person:x": {{Held: "role:a", From: temporal.Start, Until: temporal.End}, {Held: "role:b", From: 2, Until: 7, Uncertain: true}},
	})}
	q := Request{Sub: "person:x", Dom: "d", Obj: "okta/1", Act: "read"}
	s := e.Subject(links.Hold("person:x", ""))
	t.Log(e.Indexed())
	t.Log(e.Decide(q, s, links))
	t.Log(e.Scan(q, links))
	t.Log(testing.AllocsPerRun(100, func() { q.Obj = "okta/2"; _, _ = e.Decide(q, s, links) }))
}
