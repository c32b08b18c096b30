// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/temporal"
)

func TestMatcherIsRead(t *testing.T) {
	const model = `
[request_definition]
r = sub, dom, obj, class, act
[policy_definition]
p = sub, dom, obj, class, act, owner
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = `
	inDomains := strings.Replace(model, "g = _, _", "g = _, _, _", 1)
	for _, c := range []struct {
		name, model, matcher string
		want                 string // the parts understood, "and more" where there is a residual; or why every row is tried
	}{
		{"shipped", model, "keyMatch(r.act, p.act) && g2(r.class, p.class) && g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && keyMatch(r.dom, p.dom)", "1:4/4 2:3/3 3:0/0 1:2/2 1:1/1"},
		{"either side", model, "p.act == r.act && r.dom == p.obj && g(r.sub, p.owner)", "0:4/4 0:1/2 3:0/5"},
		{"brackets", model, "((g(r.sub, p.sub)) && (r.act == p.act)) && (keyMatch(r.obj, p.obj) && (r.dom == p.dom))", "3:0/0 0:4/4 1:2/2 0:1/1"},
		{"two roles", model, "g(r.sub, p.sub) && g(r.sub, p.owner)", "3:0/0 3:0/5"},
		{"residual", model, `g(r.sub, p.sub) && (r.act == p.act || p.act == "*") && r.obj != p.obj && r.act in ("read", 'write') && !(r.dom < p.dom)`, "3:0/0 and more"},
		{"a list of one constant", model, `g(r.sub, p.sub) && r.act in ('read')`, "3:0/0 and more"},
		{"a time is a constant", model, `g(r.sub, p.sub) && r.act != '2020-01-01'`, "3:0/0 and more"},
		{"domain", inDomains, "g(r.sub, p.sub, r.dom) && r.dom == p.dom", "3:0/0 0:1/1"},
		{"a list of one field fails", model, "g(r.sub, p.sub) && r.act in (p.act)", "this part of the matcher: r.act in (p.act)"},
		{"text against number fails", model, "g(r.sub, p.sub) && r.act < 5", "this part of the matcher: r.act < 5"},
		{"text against time fails", model, "g(r.sub, p.sub) && r.act > '2020-01-01'", "this part of the matcher: r.act > "},
		{"not a text fails", model, `g(r.sub, p.sub) && !r.act == "read"`, "this part of the matcher: !r.act == 'read'"},
		{"or", model, "g(r.sub, p.sub) && r.act == p.act || r.sub == p.owner", "this part of the matcher: g(r.sub, p.sub) && r.act == p.act || r.sub == p.owner"},
		{"or within", model, "(g(r.sub, p.sub) || r.sub == p.owner) && r.act == p.act", "this part of the matcher: g(r.sub, p.sub) || r.sub == p.owner"},
		{"negated", model, "g(r.sub, p.sub) && !g(r.sub, p.owner)", "this part of the matcher: !g(r.sub, p.owner)"},
		{"the role's holder", model, "g(p.sub, r.sub)", "this part of the matcher: g(p.sub, r.sub)"},
		{"a role of the object", model, "g(r.obj, p.obj) && r.sub == p.sub", "this part of the matcher: g(r.obj, p.obj)"},
		{"a role by name", model, `g(r.sub, p.sub) && g(r.sub, "role:a")`, "this part of the matcher: g(r.sub, 'role:a')"},
		{"the row's domain", inDomains, "g(r.sub, p.sub, p.dom)", "this part of the matcher: g(r.sub, p.sub, p.dom)"},
		{"another's domain", inDomains, "g(r.sub, p.sub, r.obj)", "this part of the matcher: g(r.sub, p.sub, r.obj)"},
		{"no domain", inDomains, "g(r.sub, p.sub)", "this part of the matcher: g(r.sub, p.sub)"},
		{"a domain too many", model, "g(r.sub, p.sub, r.dom)", "this part of the matcher: g(r.sub, p.sub, r.dom)"},
		{"regexMatch", model, "g(r.sub, p.sub) && regexMatch(r.obj, p.obj)", "this part of the matcher: regexMatch(r.obj, p.obj)"},
		{"eval", model, "g(r.sub, p.sub) && eval(p.owner)", "this part of the matcher: eval(p.owner)"},
		{"choice", model, "g(r.sub, p.sub) && (r.act == p.act ? true : false)", "this part of the matcher: r.act == p.act ? true : false"},
		{"compared truth", model, "g(r.sub, p.sub) == true", "this part of the matcher: g(r.sub, p.sub) == true"},
		{"no g", model, "r.sub == p.sub && r.act == p.act", "the matcher does not ask g(r.sub, p.sub) of each row"},
		{"no g in a domain", inDomains, "r.sub == p.sub", "the matcher does not ask g(r.sub, p.sub, r.dom) of each row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := []Row{{Fields: []string{"role:a", "d", "o", "c", "read", "true"}}}
			e, err := New(c.model+c.matcher+"\n", rows, map[string]func(a, b string) bool{"g2": func(a, b string) bool { return a == b }})
			if err != nil {
				t.Fatal(err)
			}
			indexed, why := e.Indexed()
			if !indexed {
				if !strings.Contains(why, c.want) || !strings.HasPrefix(why, "every row is tried at each request, because ") {
					t.Errorf("got %q, want it to say %q", why, c.want)
				}
				return
			}
			tokens, err := e.tokenise(e.matcher)
			if err != nil {
				t.Fatal(err)
			}
			parts, residual, _ := e.readMatcher(tokens)
			var got []string
			for _, p := range parts {
				got = append(got, fmt.Sprintf("%d:%d/%d", p.test, p.field, p.column))
			}
			if residual {
				got = append(got, "and more")
			}
			if text := strings.Join(got, " "); text != c.want || why != "" || residual != (e.memo == nil) {
				t.Errorf("got %q (%q), want %q", text, why, c.want)
			}
		})
	}
}

func TestDescribed(t *testing.T) {
	e := mustNew(t, simple(allowOverride, usual), row("role:a|*|read|allow"))
	if got, want := e.Columns(), []string{"sub", "obj", "act", "eft"}; !slices.Equal(got, want) {
		t.Errorf("columns: got %q, want %q", got, want)
	}
	if e.Classed() || e.Domains() || e.PatternDomains() {
		t.Errorf("classed %v, domains %v, pattern domains %v: want none", e.Classed(), e.Domains(), e.PatternDomains())
	}
	model := strings.Replace(benchModel, "r = sub", "r = class, sub", 1)
	e = mustNew(t, strings.Replace(model, "r.dom == p.dom", "keyMatch(r.dom, p.dom)", 1), row("role:a|d|o|read"))
	if !e.Classed() || !e.Domains() || !e.PatternDomains() {
		t.Errorf("classed %v, domains %v, pattern domains %v: want all", e.Classed(), e.Domains(), e.PatternDomains())
	}
}

// However few slots there are, an answer is for exactly the rows that it was kept for.
func TestMemoMixesNothingUp(t *testing.T) {
	m := newMemo(1)
	random := rand.New(rand.NewPCG(5, 6))
	verdicts := map[string]verdict{}
	hits := 0
	for range 20_000 {
		rows := make([]int32, 1+random.IntN(3))
		for i := range rows {
			rows[i] = random.Int32N(4)
		}
		key := fmt.Sprint(rows)
		if got, known := m.get(rows); known {
			if hits++; got != verdicts[key] {
				t.Fatalf("%s: got %v, want %v", key, got, verdicts[key])
			}
			continue
		}
		v, known := verdicts[key]
		if !known {
			v = verdict{random.IntN(2) == 0, int32(len(verdicts))}
			verdicts[key] = v
		}
		m.put(rows, v)
	}
	if hits < 1000 || hits > 19_000 {
		t.Errorf("got %d hits of 20000: it shows little", hits)
	}
}

// What is remembered costs no memory for each decision.
func TestMemoAllocatesNothing(t *testing.T) {
	p := newBenchPolicy(benchSizes()[1])
	e, err := New(benchModel, p.rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	links := &moment{relation: p.relation(0), at: 1}
	q := p.requests[0]
	s := e.Subject(links.Hold(q.Sub, q.Dom))
	if got := testing.AllocsPerRun(1000, func() {
		if _, err := e.Decide(q, s, links); err != nil {
			t.Error(err)
		}
	}); got > 0 {
		t.Errorf("got %v allocations a decision, want none", got)
	}
}

// More columns than a key has room for are compared all the same.
func TestManyColumns(t *testing.T) {
	const columns = 10
	var definition, matcher strings.Builder
	for i := range columns {
		fmt.Fprintf(&definition, ", c%d", i)
		fmt.Fprintf(&matcher, " && r.obj == p.c%d", i)
	}
	random := rand.New(rand.NewPCG(8, 9))
	rows := make([]Row, 2000)
	for i := range rows {
		fields := slices.Repeat([]string{fmt.Sprint(random.IntN(1000))}, columns+1)
		if fields[0] = "role:a"; random.IntN(2) == 0 {
			fields[1+random.IntN(columns)] = fmt.Sprint(random.IntN(1000))
		}
		rows[i] = Row{Fields: fields}
	}
	model := strings.NewReplacer("p = sub, obj, act, eft", "p = sub"+definition.String(), usual, "g(r.sub, p.sub)"+matcher.String()).Replace(simple(allowOverride, usual))
	e := mustNew(t, model, rows...)
	m := holdings(0, map[string][]temporal.Link{"person:x": {always("role:a")}})
	allowed := 0
	for object := range 300 {
		q := Request{Sub: "person:x", Obj: fmt.Sprint(object)}
		got := decide(t, e, m, q.Sub, q.Obj, "")
		want, row, err := e.Scan(q, m)
		if err != nil || got.Allowed != want || got.Row != row {
			t.Fatalf("%s: got %+v, want %v by %d (%v)", q.Obj, got, want, row, err)
		}
		if want {
			allowed++
		}
	}
	if places := e.index.numbered; len(places) != maxNumbered || places[maxNumbered-1].place != 0 || allowed < 50 || allowed > 250 {
		t.Errorf("%d numbered columns, the last of weight %d, and %d allowed: it shows little", len(places), places[len(places)-1].place, allowed)
	}
}
