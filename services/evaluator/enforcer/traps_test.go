// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/temporal"
)

// simple is a model with an effect and a matcher.
func simple(effect, matcher string) string {
	return "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n[role_definition]\ng = _, _\n[policy_effect]\ne = " +
		effect + "\n[matchers]\nm = " + matcher + "\n"
}

const (
	allowOverride = "some(where (p.eft == allow))"
	denyOverride  = "!some(where (p.eft == deny))"
	byPriority    = "priority(p.eft) || deny"
	usual         = "g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && r.act == p.act"
	anyShape      = "(g(r.sub, p.sub) || r.sub == \"root\") && keyMatch(r.obj, p.obj) && r.act == p.act"
)

// row is a p row, written with slashes between the fields.
func row(fields string) Row { return Row{Fields: strings.Split(fields, "|"), Line: 7} }

// always is a link without beginning and end.
func always(held string) temporal.Link {
	return temporal.Link{Held: held, From: temporal.Start, Until: temporal.End}
}

func mustNew(t testing.TB, model string, rows ...Row) *Enforcer {
	t.Helper()
	e, err := New(model, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// holdings answers from links by holder, at a moment.
func holdings(at int64, byHolder map[string][]temporal.Link) *moment {
	return &moment{relation: temporal.NewRelation().With(byHolder), at: at}
}

func decide(t testing.TB, e *Enforcer, m *moment, subject, object, act string) Answer {
	t.Helper()
	a, err := e.Decide(Request{Sub: subject, Obj: object, Act: act}, e.Subject(m.Hold(subject, "")), m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What an auditor must not inherit from Casbin (each of these it does itself, in this or another way of use).
func TestCasbinsTraps(t *testing.T) {
	allow := Answer{Allowed: true, Row: 0}
	none := Answer{Row: -1}
	check := func(t *testing.T, got, want Answer) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	}
	for name, matcher := range map[string]string{"index": usual, "scan": anyShape} {
		t.Run(name, func(t *testing.T) {
			t.Run("a link is judged at the event's moment", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:a|*|read|allow"))
				links := map[string][]temporal.Link{"person:x": {{Held: "role:a", From: 10, Until: 20}, {Held: "role:a", From: 30, Until: 40}}}
				for at, want := range map[int64]Answer{9: none, 10: allow, 19: allow, 20: none, 29: none, 30: allow, 39: allow, 40: none, 15: allow} {
					check(t, decide(t, e, holdings(at, links), "person:x", "o", "read"), want)
				}
			})
			t.Run("from the second step on too", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:admin|*|read|allow"))
				links := map[string][]temporal.Link{"person:x": {always("role:lead")}, "role:lead": {{Held: "role:admin", From: temporal.Start, Until: 20}}}
				check(t, decide(t, e, holdings(19, links), "person:x", "o", "read"), allow)
				check(t, decide(t, e, holdings(20, links), "person:x", "o", "read"), none)
			})
			t.Run("what was answered does not outlive the link", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:a|*|read|allow"))
				check(t, decide(t, e, holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}}), "person:x", "o", "read"), allow)
				check(t, decide(t, e, holdings(0, nil), "person:x", "o", "read"), none)
				check(t, decide(t, e, holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}}), "person:x", "o", "read"), allow)
			})
			t.Run("requests that look alike when joined are two", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("person:x|o$$read|read|allow"))
				check(t, decide(t, e, holdings(0, nil), "person:x", "o$$read", "read"), allow)
				check(t, decide(t, e, holdings(0, nil), "person:x", "o", "read$$read"), none)
			})
			t.Run("an unrelated row's removal turns no deny into allow", func(t *testing.T) {
				rows := []Row{row("role:a|/z|read|allow"), row("role:a|*|read|deny"), row("role:a|*|read|allow")}
				links := holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}})
				check(t, decide(t, mustNew(t, simple(byPriority, matcher), rows...), links, "person:x", "o", "read"), Answer{Row: 1})
				check(t, decide(t, mustNew(t, simple(byPriority, matcher), rows[1:]...), links, "person:x", "o", "read"), Answer{Row: 0})
			})
			t.Run("rows that look alike when joined are two", func(t *testing.T) {
				e := mustNew(t, simple(denyOverride, matcher), row("role:a|/a,read|x|deny"), row("role:a|/a|read,x|deny"))
				links := holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}})
				check(t, decide(t, e, links, "person:x", "/a,read", "x"), Answer{Row: 0})
				check(t, decide(t, e, links, "person:x", "/a", "read,x"), Answer{Row: 1})
			})
			t.Run("of equal rows the first decides, also if it is one in memory", func(t *testing.T) {
				once := row("role:a|*|read|allow")
				e := mustNew(t, simple(allowOverride, matcher), row("role:b|*|read|allow"), once, once, row("role:a|*|read|allow"))
				check(t, decide(t, e, holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}}), "person:x", "o", "read"), Answer{Allowed: true, Row: 1})
			})
			t.Run("who is named like a role does not hold it", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:a|*|read|allow"))
				for _, subject := range []string{"person:role:a", "unknown:okta/role:a", "role:a ", "Role:a", "role:a/*", "*"} {
					check(t, decide(t, e, holdings(0, nil), subject, "o", "read"), none)
				}
				check(t, decide(t, e, holdings(0, nil), "role:a", "o", "read"), allow) // it is the role itself that asks
			})
			t.Run("empty texts match no row", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:a|/x|read|allow"))
				check(t, decide(t, e, holdings(0, nil), "", "", ""), none)
			})
			t.Run("a value that looks like JSON is text", func(t *testing.T) {
				value := `{"sub": "role:a"}`
				e := mustNew(t, simple(allowOverride, matcher), row(value+"|*|read|allow"))
				check(t, decide(t, e, holdings(0, nil), value, "o", "read"), allow)
				check(t, decide(t, e, holdings(0, nil), "role:a", "o", "read"), none)
			})
			t.Run("a pattern in vendor text is no pattern", func(t *testing.T) {
				e := mustNew(t, simple(allowOverride, matcher), row("role:a|/x|read|allow"))
				check(t, decide(t, e, holdings(0, nil), "role:a", "/*", "read"), none)
			})
		})
	}
}

func TestRefused(t *testing.T) {
	usual := simple(allowOverride, usual)
	one := []Row{row("role:a|*|read|allow")}
	for _, c := range []struct {
		name, old, with string
		rows            []Row
		want            string
	}{
		{"no p row", "", "", []Row{}, "there is no p row"},
		{"fields missing", "", "", []Row{row("role:a|*|read")}, "line 7: a p row has 4 fields (sub, obj, act, eft), this one has 3"},
		{"priority in words", "p = sub, obj, act, eft", "p = sub, obj, act, priority", []Row{row("role:a|*|read|high")}, `line 7: priority "high" is no number`},
		{"timed roles of Casbin", "g = _, _", "g = _, _, (_, _)", nil, "g is a conditional role definition"},
		{"g of four", "g = _, _", "g = _, _, _, _", nil, "g takes two or three arguments"},
		{"unknown relation", "g = _, _", "g = _, _\ng2 = _, _", nil, `role definition "g2" is not supported`},
		{"subjectPriority", allowOverride, "subjectPriority(p.eft) || deny", nil, "subjectPriority would order the rows anew"},
		{"unknown effect", allowOverride, "some(where (p.eft == deny))", nil, "is not an effect of Casbin"},
		{"a second policy", "eft\n", "eft\np2 = sub\n", nil, "it has 2 p definitions"},
		{"no matcher", "m = " + usual[strings.Index(usual, "m = ")+4:], "", nil, "missing required sections: matchers"},
		{"unknown request field", "r = sub", "r = colour", nil, `request field "colour"`},
		{"a column twice", "act, eft", "act, act, eft", nil, `has "act" twice`},
		{"unknown function", "keyMatch", "keyMash", nil, "read the matcher: Undefined function keyMash"},
		{"unknown column", "p.act", "p.deed", nil, "p.deed is not defined"},
		{"field of a text", "r.sub,", "r.sub.Name,", nil, "values are texts and have no fields"},
		{"operator missing", "p.obj) &&", "p.obj)", nil, `there is no operator between ")" and "r.act"`},
		{"too many arguments", "g(r.sub, p.sub)", "g(r.sub, p.sub, r.act, r.act)", nil, "g takes two or three arguments"},
		{"bad pattern", "keyMatch", "regexMatch", nil, `line 7: "*" is nothing that regexMatch can take: error parsing regexp`},
		{"bad address", "keyMatch(r.obj", "ipMatch(r.obj", nil, `line 7: "*" is nothing that ipMatch can take`},
		{"bad condition", "r.act == p.act", "eval(p.act)", []Row{row("role:a|*|r.sub ==|allow")}, `line 7: "r.sub ==" is nothing that eval can take: read the matcher: Unexpected end`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.rows == nil {
				c.rows = one
			}
			text := strings.Replace(usual, c.old, c.with, 1)
			if text == usual && c.old != "" {
				t.Fatal("the case changes nothing")
			}
			_, err := New(text, c.rows, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
			var of *RowError
			if errors.As(err, &of) != strings.HasPrefix(c.want, "line 7") {
				t.Errorf("got the row %v of the error %v", of, err)
			}
		})
	}
}

func TestSubjectOfAnother(t *testing.T) {
	e, other := mustNew(t, simple(allowOverride, usual), row("role:a|*|read|allow")), mustNew(t, simple(allowOverride, usual), row("role:a|*|read|allow"))
	m := holdings(0, nil)
	for name, s := range map[string]*Subject{"name": e.Subject(m.Hold("person:y", "")), "enforcer": other.Subject(m.Hold("person:x", ""))} {
		if a, err := e.Decide(Request{Sub: "person:x"}, s, m); err == nil {
			t.Errorf("with the subject of another %s: got %+v, want an error", name, a)
		}
	}
}

func TestOpen(t *testing.T) {
	uncertain := func(held string) temporal.Link {
		l := always(held)
		l.Uncertain = true
		return l
	}
	for _, c := range []struct {
		name, effect, matcher string
		rows                  []string
		want                  Answer
	}{
		{"a right", allowOverride, usual, []string{"role:b|*|read|allow", "role:a|/other|read|allow", "role:a|*|read|allow"}, Answer{Row: -1, Open: []int{2}}},
		{"a right that is there anyway", allowOverride, usual, []string{"role:a|*|read|allow", "role:c|*|read|allow"}, Answer{Allowed: true, Row: 1}},
		{"a prohibition", denyOverride, usual, []string{"role:a|*|read|deny", "role:b|*|read|allow"}, Answer{Allowed: true, Row: -1, Open: []int{0}}},
		{"one of lower priority", byPriority, usual, []string{"role:c|*|read|allow", "role:a|*|read|deny"}, Answer{Allowed: true, Row: 0}},
		{"a right, by scan", allowOverride, anyShape, []string{"role:b|*|read|allow", "role:a|*|read|allow"}, Answer{Row: -1, Open: []int{1}}},
		{"less held is more allowed", allowOverride, `!g(r.sub, "role:a") && r.act == p.act`, []string{"role:b|*|read|allow"}, Answer{Allowed: true, Row: 0, Open: []int{-1}}},
		{
			"only two at once", allowOverride, `g(r.sub, "role:a") && g(r.sub, "role:a2") && r.act == p.act`, []string{"x|*|write|allow", "role:b|*|read|allow"},
			Answer{Row: -1, Open: []int{1}},
		},
		{"a way in which Casbin fails", allowOverride, `g(r.sub, p.sub) && r.act < 5`, []string{"role:a|*|read|allow"}, Answer{Row: -1, Open: []int{-1}}},
		{
			"too many ways", allowOverride, `g(r.sub, "role:a") != g(r.sub, p.sub) && g(r.sub, "nobody")`,
			strings.Fields("role:a|*|read|allow" + manyRoles(8)), Answer{Row: -1, Open: []int{-1}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rows []Row
			for _, fields := range c.rows {
				rows = append(rows, row(fields))
			}
			links := []temporal.Link{always("role:c"), uncertain("role:a"), uncertain("role:a2")}
			for i := range 8 {
				links = append(links, uncertain(fmt.Sprintf("role:u%d", i)))
			}
			e := mustNew(t, simple(c.effect, c.matcher), rows...)
			if diff := cmp.Diff(c.want, decide(t, e, holdings(0, map[string][]temporal.Link{"person:x": links}), "person:x", "o", "read")); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func manyRoles(n int) string {
	text := ""
	for i := range n {
		text += fmt.Sprintf(" role:u%d|*|read|allow", i)
	}
	return text
}

// One Enforcer answers many at once as it answers one after the other.
func TestConcurrent(t *testing.T) {
	p := newBenchPolicy(benchSizes()[1])
	for _, matcher := range []string{"r.act == p.act", `(r.act == p.act || p.act == "*")`, "regexMatch(r.act, p.act)"} {
		e, err := New(strings.Replace(benchModel, "r.act == p.act", matcher, 1), p.rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := &moment{relation: p.relation(1), at: 1000}
		const asks = 200
		ask := func() []Answer {
			answers := make([]Answer, asks)
			for i, q := range p.requests[:asks] {
				a, err := e.Decide(q, e.Subject(m.Hold(q.Sub, q.Dom)), m)
				if err != nil {
					t.Error(err)
				}
				answers[i] = a
			}
			return answers
		}
		want := ask()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if diff := cmp.Diff(want, ask()); diff != "" {
					t.Errorf("want -, got +:\n%s", diff)
				}
			})
		}
		all.Wait()
	}
}
