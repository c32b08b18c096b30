// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package enforcer

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is the package, or the temporal relation, broken in one place: TestDifferential must see each. The first is not
// broken at all.
func TestMutantsAreCaught(t *testing.T) {
	const holding, link = "../../../internal/temporal/holding.go", "../../../internal/temporal/link.go"
	for _, c := range []struct{ name, file, old, with string }{
		{"none", "index.go", "", ""},
		{"no match means deny", "enforcer.go", "e.none = none.allowed", "e.none = none.allowed && false"},
		{"rows out of order", "index.go", "slices.Sort(certain)", "slices.Reverse(certain)"},
		{"* is a value", "index.go", "number != w[i] && number != 0", "number != w[i]"},
		{"* alone matches all", "index.go", `strings.HasPrefix(value, "*")`, `value == "*"`},
		{"patterns as values", "index.go", "'*') > 0", "'*') > 1"},
		{"no * among many rows", "index.go", "if n.place == 0 || n.any {", "if n.place == 0 {"},
		{"more to be held is certain", "index.go", "sure = sure && certain", "sure = sure || certain"},
		{"a row that fails a test", "index.go", "!p.passes(q.value(p.field), row[p.column])", "p.test != matches && !p.passes(q.value(p.field), row[p.column])"},
		{"memo by length", "memo.go", "slices.Equal(a.rows, rows)", "len(a.rows) == len(rows)"},
		{"memo with a residual part", "enforcer.go", "if !residual {", "if !residual || true {"},
		{"row by its place", "enforcer.go", "return e.order[place]", "return int(place)"},
		{"row by its first field", "casbin.go", "&rows[i][0] == &row[0]", "rows[i][0] == row[0]"},
		{"|| taken for &&", "matcher.go", `t.kind == govaluate.LOGICALOP && t.text == "&&"`, "t.kind == govaluate.LOGICALOP"},
		{"any domain is the request's", "matcher.go", "known && column < 0 && f == dom", "known && (column >= 0 || f == dom)"},
		{"a role of anything", "matcher.go", "case p.field != sub, d.domains", "case d.domains"},
		{"a part half read", "matcher.go", "!r.truth() || r.at != len(conjunct)", "!r.truth()"},
		{"what is negated is a text", "expression.go", "case negated:", "case negated && false:"},
		{"numbers against texts", "expression.go", "return r.isText(left) && r.text()", "return r.isText(left) && r.operand()"},
		{"a list of one field", "expression.go", "n > 1 || r.tokens", "n > 0 || r.tokens"},
		{"uncertain is certain", "decide.go", "case uncertain:", "case uncertain && false:"},
		{"uncertain is forgotten", "decide.go", "a.Open = append(a.Open, e.given(place))", ""},
		{"one way only", "decide.go", "other[i].holds = true", ""},
		{"doubts of scans forgotten", "casbin.go", "q.assumed = append(q.assumed, doubt{name: name, dom: in, held: held})", ""},
		{"another domain's holding", "casbin.go", "(!domains || in == q.Dom)", "true"},
		{"nine steps", holding, "maxHops = 10", "maxHops = 9"},
		{"eleven steps", holding, "maxHops = 10", "maxHops = 11"},
		{"until included", link, "at < l.Until", "at <= l.Until"},
		{"from excluded", link, "l.From <= at", "l.From < at"},
		{"every domain", holding, "link.Dom != dom", "false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), c.old); n != 1 && c.old != "" {
				t.Fatalf("%s has %q %d times, want it once: the mutant must be written anew", c.file, c.old, n)
			}
			output, err := differential(t, c.file, strings.Replace(string(text), c.old, c.with, 1))
			seen := strings.Contains(output, "--- FAIL: TestDifferential")
			if c.old == "" {
				if err != nil {
					t.Fatalf("what is not broken fails: %v\n%s", err, output)
				}
				return
			}
			if err == nil || !seen {
				t.Fatalf("nobody saw it (%v):\n%s", err, output)
			}
		})
	}
}

// differential runs a short TestDifferential with another text for one file.
func differential(t *testing.T, file, text string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.go")
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{broken: []byte(text), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "test", "-overlay", filepath.Join(dir, "overlay.json"), "-vet=off", "-count=1", "-run", "^TestDifferential$", ".", "-requests", "20000")
	said, err := command.CombinedOutput()
	return string(said), err
}
