// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// dice draws policies and questions to them.
type dice struct {
	*rand.Rand
	Bench
	models map[string]string // by the effect's name
}

func throw(t testing.TB, seed uint64) dice {
	t.Helper()
	d := dice{rand.New(rand.NewPCG(seed, 1)), bench(t), map[string]string{}}
	for name, effect := range effects {
		d.models[name] = model(t, effects["allow and deny"], effect)
	}
	return d
}

func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

func (d dice) object() string {
	return d.pick("okta/group", "okta/group/1", "okta/group/2", "okta/user/1", "github/repo/x", "slack/file/1", "curfew/api/policy")
}

func (d dice) pRow() string {
	return strings.Join([]string{
		"p", d.pick("person:a", "person:b", "app:okta/x", "unknown:okta/y", "group:okta/g", "role:anyone", "role:person", "role:r1", "role:r2", "role:r3"),
		d.pick("*", "*", "main", "other"), d.pick("*", "*", "okta/*", "okta/group/*", "okta/group*", "okta/group", "okta/group/1", "okta*", "github/*"),
		d.pick("*", "admin", "customer", "pii.contact", "order", "level:low", "level:high"), d.pick("*", "*", "read", "export"),
		d.pick("allow", "allow", "deny"),
	}, ", ")
}

func (d dice) gRow() string {
	row := "g, " + d.pick("person:a", "person:b", "app:okta/x", "group:okta/g", "role:r1", "role:r2", "role:r3", "role:person") + ", " + d.pick("role:r1", "role:r2", "role:r3")
	return row + d.pick("", "", "", ", _, 2026-12-01T00:00:00Z", ", 2026-12-01T00:00:00Z, 2027-01-01T00:00:00Z")
}

func (d dice) rows() []string {
	var rows []string
	for range 1 + d.IntN(14) {
		rows = append(rows, d.pRow())
	}
	for range d.IntN(7) {
		rows = append(rows, d.gRow())
	}
	return distinct(rows)
}

func distinct(rows []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(rows), func(row string) bool { again := seen[row]; seen[row] = true; return again })
}

// asked is who asks, what they hold besides, and when.
type asked struct {
	name  string
	links given
	at    time.Time
}

func (d dice) who() asked {
	a := asked{name: d.pick("person:a", "person:b", "person:c", "app:okta/x", "app:okta/z", "unknown:okta/y", "service:s"), links: given{}}
	for range d.IntN(3) {
		held := d.pick("role:r1", "role:r2", "role:r3", "group:okta/g")
		a.links[a.name] = append(a.links[a.name], temporal.Link{Held: held, From: temporal.Start, Until: temporal.End})
	}
	a.at = []time.Time{morning, time.Date(2026, 12, 15, 0, 0, 0, 0, time.UTC), later}[d.IntN(3)]
	return a
}

// effects are Casbin's.
var effects = map[string]string{
	"allow and deny": "some(where (p.eft == allow)) && !some(where (p.eft == deny))", "allow override": "some(where (p.eft == allow))",
	"deny override": "!some(where (p.eft == deny))", "priority": "priority(p.eft) || deny",
}

func (d dice) policy(t testing.TB, effect string, rows []string) *judge.Policy {
	t.Helper()
	policy, err := judge.NewPolicy(map[string][]byte{
		modelFile:  []byte(d.models[effect]),
		policyFile: []byte(strings.Join(rows, "\n") + "\n"),
	}, d.Catalog)
	if err != nil {
		t.Fatalf("%v in\n%s", err, strings.Join(rows, "\n"))
	}
	return policy
}

// shadowed is the lines of rows that lint would delete.
func (d dice) shadowed(policy *judge.Policy) map[int]bool {
	lines := map[int]bool{}
	for _, p := range d.Lint(policy.Files()) {
		if p.Check == "shadowed" {
			lines[p.Line] = true
		}
	}
	return lines
}

// Rows that are said to decide nothing can be deleted, all at once, and no decision is another.
func TestShadowedRowsDecideNothing(t *testing.T) {
	found, allowed := 0, map[bool]int{}
	d := throw(t, 4)
	for _, effect := range slices.Sorted(maps.Keys(effects)) {
		for range 60 {
			rows := d.rows()
			policy := d.policy(t, effect, rows)
			dead := d.shadowed(policy)
			var rest []string
			for i, row := range rows {
				if !dead[i+1] {
					rest = append(rest, row)
				}
			}
			found += len(dead)
			if len(dead) == 0 || !slices.ContainsFunc(rest, func(row string) bool { return row[0] == 'p' }) {
				continue
			}
			without := d.policy(t, effect, rest)
			for range 150 {
				who, dom := d.who(), d.pick("main", "third")
				object, class, act := d.object(), d.pick(policy.Classes()...), d.pick("read", "export", "share")
				want, err := policy.Suppose(who.name, dom, who.at, who.links).Ask(object, class, act)
				if err != nil {
					t.Fatal(err)
				}
				got, err := without.Suppose(who.name, dom, who.at, who.links).Ask(object, class, act)
				if err != nil {
					t.Fatal(err)
				}
				if allowed[want.Allowed]++; got.Allowed != want.Allowed {
					t.Fatalf("%s: %+v %s %s of %s in %s: got %v without lines %v, want %v, of\n%s", effect, who, act, object, class, dom, got.Allowed, slices.Sorted(maps.Keys(dead)), want.Allowed, strings.Join(rows, "\n"))
				}
			}
		}
	}
	if found < 200 || allowed[true] < 1000 || allowed[false] < 1000 {
		t.Fatalf("too little to show anything: %d rows, %v", found, allowed)
	}
}

// A row that does less than another, and comes later, is found.
func TestPlantedShadowsAreFound(t *testing.T) {
	d := throw(t, 5)
	for _, effect := range slices.Sorted(maps.Keys(effects)) {
		for range 60 {
			rows := d.rows()
			wide := strings.Split(rows[d.IntN(slices.IndexFunc(append(rows, "g"), func(row string) bool { return row[0] == 'g' }))], ", ")
			narrow := slices.Clone(wide)
			for column, narrower := range map[int][]string{2: {"main", "shop"}, 3: {"okta/group/1", "github/repo/x"}, 4: {"pii.contact", "admin", "order", "public"}, 5: {"read", "share"}} {
				s := newSheet(d.policy(t, effect, rows))
				side := s.sides[slices.IndexFunc(s.sides, func(side side) bool { return side.column == column-1 })]
				if value := d.pick(narrower...); d.IntN(2) == 0 && s.matches(side, value, wide[column]) {
					narrow[column] = value
				}
			}
			planted := strings.Join(narrow, ", ")
			if slices.Contains(rows, planted) {
				continue
			}
			rows = append(rows, planted)
			if !d.shadowed(d.policy(t, effect, rows))[len(rows)] {
				t.Fatalf("%s: line %d does less than %s and is not named:\n%s", effect, len(rows), strings.Join(wide, ", "), strings.Join(rows, "\n"))
			}
		}
	}
}

// What a difference says is what the two policies answer.
func TestDiffSaysWhatDiffers(t *testing.T) {
	changes, differing := 0, 0
	d := throw(t, 6)
	for _, effect := range slices.Sorted(maps.Keys(effects)) {
		for range 25 {
			rows := d.rows()
			other := distinct(append(slices.Clone(rows), d.pRow(), d.gRow()))
			other = slices.Delete(other, 1, 1+min(1, len(other)-3))
			if i, j := d.IntN(len(other)), d.IntN(len(other)); other[i][0] == other[j][0] {
				other[i], other[j] = other[j], other[i]
			}
			old, now := d.policy(t, effect, rows), d.policy(t, effect, other)
			difference, err := d.Diff(old, now)
			if err != nil {
				t.Fatal(err)
			}
			shorter, err := d.diff(old, now, 0)
			if err != nil {
				t.Fatal(err)
			}
			changes += len(difference.Changes)
			reader := newReader(now, old)
			for range 400 {
				who, dom := d.who(), d.pick("main", "third", "other")
				clear(who.links)
				object, class, act := d.object(), d.pick(old.Classes()...), d.pick("read", "export", "share")
				before, err := old.Suppose(who.name, dom, who.at).Ask(object, class, act)
				if err != nil {
					t.Fatal(err)
				}
				after, err := now.Suppose(who.name, dom, who.at).Ask(object, class, act)
				if err != nil {
					t.Fatal(err)
				}
				said := map[bool]int{}
				for i, change := range append(slices.Clone(difference.Changes), shorter.Changes...) {
					if !reader.tells(change, who, dom, object, class, act) {
						continue
					}
					said[i < len(difference.Changes)]++
					if after.Allowed != change.Gains {
						t.Fatalf("%s: %s %s %s of %s in %s at %s: got %v, said is\n%s\n%s", effect, who.name, act, object, class, dom, who.at, after.Allowed, change, show(rows, other))
					}
				}
				if before.Allowed != after.Allowed {
					differing++
				}
				if before.Allowed != after.Allowed && len(said) < 2 {
					t.Fatalf("%s: %s %s %s of %s in %s at %s: got %v and then %v, and nothing is said of it:\n%v\n%s", effect, who.name, act, object, class, dom, who.at, before.Allowed, after.Allowed, difference.Changes, show(rows, other))
				}
			}
		}
	}
	if changes < 100 || differing < 300 {
		t.Fatalf("too little to show anything: %d changes, %d answers differ", changes, differing)
	}
}

func show(old, now []string) string {
	return fmt.Sprintf("OLD\n%s\nNEW\n%s", strings.Join(old, "\n"), strings.Join(now, "\n"))
}

// reader reads changes as a person does.
type reader struct {
	policy *judge.Policy
	named  map[string]bool // who stands in either policy
	doms   map[string]bool
}

func newReader(policies ...*judge.Policy) reader {
	r := reader{policies[0], map[string]bool{}, map[string]bool{}}
	for _, policy := range policies {
		for _, s := range subjects(policy) {
			r.named[s.name] = true
		}
		for _, stated := range policy.Stated() {
			r.doms[stated.Fields[1]] = true
		}
	}
	return r
}

// tells is whether a change is about an act.
func (r reader) tells(c Change, who asked, dom, object, class, act string) bool {
	kind, _, _ := strings.Cut(who.name, ":")
	other := subject{name: kind + ":" + fresh}.String()
	subjects := slices.ContainsFunc(c.Subjects, func(s string) bool { return s == "everyone" || s == who.name || s == other && !r.named[who.name] })
	// An exception within what another pattern of the list says again is none.
	objects := longest(object, c.Objects) > longest(object, c.Except)
	classes := slices.ContainsFunc(c.Classes, func(text string) bool {
		if itself, is := strings.CutSuffix(text, " itself"); is {
			return class == itself
		}
		of, but, _ := strings.Cut(text, " but not ")
		return r.policy.Within(class, of) && !slices.Contains(strings.Split(but, " and "), class)
	})
	in := len(c.Doms) == 0 || slices.Contains(c.Doms, dom) || slices.Contains(c.Doms, "any other") && !r.doms[dom]
	during := (c.From == nil || !who.at.Before(*c.From)) && (c.Until == nil || who.at.Before(*c.Until))
	return subjects && objects && classes && in && during && (slices.Contains(c.Acts, act) || slices.Contains(c.Acts, "*"))
}

// longest is how near to an object the nearest of some patterns is; -1 where none fits.
func longest(object string, patterns []string) int {
	nearest := -1
	for _, pattern := range patterns {
		start, _, wild := strings.Cut(pattern, "*")
		if near := 2 * len(start); keyMatch(object, pattern) && !wild {
			nearest = max(nearest, near+1)
		} else if wild && strings.HasPrefix(object, start) {
			nearest = max(nearest, near)
		}
	}
	return nearest
}
