// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const exampleDir = "../../../deploy/example/policy"

var morning = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func bench(t testing.TB) Bench {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Bench{Catalog: cat, Now: morning}
}

// tidy is a policy of which nothing can be said.
var tidy = map[string]string{
	policyFile: `p, role:anyone, *, *, level:low, *, allow
p, role:support, *, *, customer, read, allow
p, role:anyone, *, *, customer, share, deny
p, role:admin, *, *, admin, *, allow
p, app:okta/0oa1, *, *, customer, export, allow
g, person:sam, role:support
g, person:ida, role:admin
`,
	identitiesFile: `people:
  - {id: sam, emails: [sam@example.com], accounts: {okta: [00u1]}}
  - {id: ida, emails: [ida@example.com]}
`,
	classesFile: `classes:
  - {id: shop.loyalty, sensitivity: 3, parents: [customer]}
resources:
  - {object: "google_workspace/file/1-customers*", class: pii.contact}
  - {name: "*loyalty*", class: shop.loyalty}
`,
}

// with is the tidy policy with lines at the end of its files, or for a model other content.
func with(file, lines string) map[string][]byte {
	files := map[string][]byte{}
	for name, content := range tidy {
		files[name] = []byte(content)
	}
	files[file] = append(files[file], lines...)
	return files
}

// replaced is the tidy policy with one text in place of another.
func replaced(t testing.TB, file, old, text string) map[string][]byte {
	t.Helper()
	if strings.Count(tidy[file], old) != 1 {
		t.Fatalf("%q is not once in %s", old, file)
	}
	files := with(file, "")
	files[file] = []byte(strings.Replace(tidy[file], old, text, 1))
	return files
}

// model is the shipped one with one text in place of another.
func model(t testing.TB, old, text string) string {
	t.Helper()
	policy, err := judge.StandardPolicy(bench(t).Catalog)
	if err != nil {
		t.Fatal(err)
	}
	content := string(policy.Files()[modelFile])
	if strings.Count(content, old) != 1 {
		t.Fatalf("%q is not once in the model", old)
	}
	return strings.Replace(content, old, text, 1)
}

// lintCase is a policy and a problem of it.
type lintCase struct {
	name string
	in   map[string][]byte
	want string // "severity file:line check"
	text string // a part of what is said
}

func lintCases(t *testing.T) []lintCase {
	t.Helper()
	const matcher = "m = keyMatch(r.act, p.act) && g2(r.class, p.class) && g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && keyMatch(r.dom, p.dom)"
	priorityModel := model(t, "e = some(where (p.eft == allow)) && !some(where (p.eft == deny))", "e = priority(p.eft) || deny")
	return []lintCase{
		{"a row that cannot be read", with(policyFile, "p, role:x, *, *, nope, *, allow\n"), "error policy.csv:8 unreadable", `"nope" is no class`},
		{"a file that is no YAML", with(identitiesFile, "  - {id: x\n"), "error identities.yaml:3 unreadable", "did not find"},
		{"a field in quotes", with(policyFile, "p, \"x\n"), "error policy.csv:8 unreadable", `extraneous or missing " in quoted-field`},
		{"an unknown key", with(classesFile, "colours: []\n"), "error classes.yaml:6 unreadable", `unknown key "colours"`},
		{"nobody may administer", replaced(t, policyFile, "p, role:admin, *, *, admin, *, allow", "p, role:admin, *, okta/*, admin, *, allow"), "error policy.csv:0 locked-out", "p, service:admin, *, curfew/api/*, admin, *, allow"},
		{"nobody may any more", replaced(t, policyFile, "g, person:ida, role:admin", "g, person:ida, role:admin, _, 2027-01-01T00:00:00Z"), "error policy.csv:0 locked-out", "once the rows that end have ended"},
		{"an allow under a deny", with(policyFile, "p, role:support, *, *, order, share, allow\n"), "warning policy.csv:8 shadowed", "the row allows nothing: line 3 (p, role:anyone, *, *, customer, share, deny) denies all of it"},
		{"a deny under a deny", with(policyFile, "p, app:okta/0oa1, *, *, pii.contact, share, deny\n"), "warning policy.csv:8 shadowed", "changes nothing: line 3"},
		{"an allow within an allow", with(policyFile, "p, person:sam, *, okta/*, order, read, allow\n"), "warning policy.csv:8 shadowed", "changes nothing: line 2 (p, role:support, *, *, customer, read, allow) covers all of it"},
		{"an allow that others make up", with(policyFile, "p, role:support, *, *, level:high, read, allow\np, role:support, *, *, *, read, allow\n"), "warning policy.csv:9 shadowed", "lines 1, 2, 8 together cover all of it"},
		{"behind an earlier row", map[string][]byte{modelFile: []byte(priorityModel), policyFile: []byte("p, role:anyone, *, *, *, *, allow\np, person:a, *, *, admin, read, deny\n")}, "warning policy.csv:2 shadowed", "line 1 (p, role:anyone, *, *, *, *, allow) comes before it"},
		{"an effect that sees no deny", map[string][]byte{
			modelFile:  []byte(model(t, " && !some(where (p.eft == deny))", "")),
			policyFile: []byte("p, role:anyone, *, *, *, *, allow\np, person:a, *, *, admin, read, deny\n"),
		}, "warning policy.csv:2 shadowed", "takes no notice of such rows"},
		{"an act that is compared as it stands", map[string][]byte{
			modelFile:  []byte(model(t, "keyMatch(r.act, p.act)", "r.act == p.act")),
			policyFile: []byte("p, role:anyone, *, *, *, administer, allow\np, role:anyone, *, *, *, *, allow\n"),
		}, "warning policy.csv:2 shadowed", `the row never matches: the model compares act by ==, and there is no act "*"`},
		{"a matcher that is not indexed", map[string][]byte{
			modelFile:  []byte(model(t, matcher, "m = g(r.sub, p.sub) && regexMatch(r.obj, p.obj)")),
			policyFile: []byte("p, role:anyone, *, ^okta, *, *, allow\n"),
		}, "warning model.conf:17 every-row", "every row is tried at each request"},
		{"rows that cannot be told", map[string][]byte{
			modelFile:  []byte(model(t, matcher, "m = g(r.sub, p.sub) && (r.act == p.act || p.act == '*')")),
			policyFile: []byte("p, role:anyone, *, *, *, *, allow\n"),
		}, "hint model.conf:0 shadows-unknown", "more than plain comparisons"},
		{"a row whose time is past", with(policyFile, "g, person:sam, role:admin, _, 2026-11-02T09:00:00Z\n"), "hint policy.csv:8 past", "ended at 2026-11-02T09:00:00Z"},
		{"a role that nobody holds", with(policyFile, "p, role:auditor, *, *, audit, read, allow\n"), "hint policy.csv:8 unheld-role", "nobody holds role:auditor"},
		{"a role that holds and nobody holds", with(policyFile, "g, role:intern, role:support\n"), "hint policy.csv:8 unheld-role", "nobody holds role:intern"},
		{"a role that gives nothing", with(policyFile, "g, person:sam, role:suport\n"), "warning policy.csv:8 idle-role", `role:suport gives nothing: no p row is for it, nor for a role that it holds; did you mean "role:support"?`},
		{"a role too far away", with(policyFile, "g, person:sam, role:1\n"+chain(1, 10)+"g, role:10, role:admin\n"), "warning policy.csv:18 long-chain", "role:admin is 11 links away from person:sam"},
		{"a person without a role", with(identitiesFile, "  - {id: max}\n"), "hint identities.yaml:4 no-role", "person:max has no role"},
		{"a source that there is not", with(policyFile, "p, role:support, *, oktaa/*, admin, read, allow\n"), "warning policy.csv:8 unknown-object", `there is no source "oktaa"; did you mean "okta"?`},
		{"the beginning of a source that there is not", with(policyFile, "p, role:support, *, ockta*, admin, read, allow\n"), "warning policy.csv:8 unknown-object", `no source begins with "ockta"`},
		{"an object that is a source", with(policyFile, "p, role:support, *, okta, admin, read, allow\n"), "warning policy.csv:8 unknown-object", "write okta/*"},
		{"a kind that is mistyped", with(policyFile, "p, role:support, *, okta/gruop/*, admin, read, allow\n"), "warning policy.csv:8 unknown-object", `no kind "gruop" of okta; did you mean "group"?`},
		{"a kind that is not catalogued", with(policyFile, "p, role:support, *, okta/spaceship/*, admin, read, allow\n"), "hint policy.csv:8 unknown-object", `no kind "spaceship" of okta`},
		{"a group of a source that there is not", with(policyFile, "g, group:otka/00g1, role:support\n"), "warning policy.csv:8 unknown-subject", `no source "otka"; did you mean "okta"?`},
		{"a group without a source", with(policyFile, "p, group:support, *, *, admin, read, allow\n"), "warning policy.csv:8 unknown-subject", "write group:<source>/<id>"},
		{"a scope as the vendor writes it", with(policyFile, "p, scope:google_workspace/https://www.googleapis.com/auth/drive, *, *, content.files, *, allow\n"), "warning policy.csv:8 unknown-subject", "write scope:google_workspace/https:%2F%2Fwww.googleapis.com%2Fauth%2Fdrive"},
		{"an app of a source that there is not", with(policyFile, "p, app:slak/A1, *, *, order, read, allow\n"), "warning policy.csv:8 unknown-subject", `no source "slak"; did you mean "slack"?`},
		{"a class that no object is of", replaced(t, classesFile, "resources:", "  - {id: shop.gift, sensitivity: 2}\nresources:"), "warning classes.yaml:3 unused-class", "no object is ever of class shop.gift"},
		{"a pattern of a kind that is mistyped", with(classesFile, "  - {object: google_workspace/flie/1, class: order}\n"), "warning classes.yaml:6 unknown-object", `did you mean "file"?`},
		{"a pattern within another", with(classesFile, "  - {object: \"google_workspace/file/1-customers-*-b\", class: pii.contact}\n"), "warning classes.yaml:6 shadowed-resource", "line 4"},
		{"a pattern twice", with(classesFile, "  - {name: \"*loyalty*\", class: shop.loyalty}\n"), "warning classes.yaml:6 shadowed-resource", "line 5"},
		{"accounts of a source that there is not", with(identitiesFile, "  - {id: max, accounts: {githb: [x]}}\n"), "warning identities.yaml:4 unknown-source", `did you mean "github"?`},
		{"a directory that there is not", with(identitiesFile, "directory: oktta\n"), "warning identities.yaml:4 unknown-source", `did you mean "okta"?`},
		{"an address without @", with(identitiesFile, "  - {id: max, emails: [max.example.com]}\n"), "warning identities.yaml:4 no-address", `"max.example.com" of person:max`},
		{"a role to grant that there is not", with(grantsFile, "roles:\n  role:suport: {max: 1h}\n"), "warning grants.yaml:2 unknown-role", `did you mean "role:support"?`},
		{"more approvals than persons", with(grantsFile, "roles:\n  role:support: {approvals: 2}\n"), "warning grants.yaml:2 unapprovable", "the rows let 1"},
		{"a source of the user's own", with(catalogFile, "sources:\n  shopifi: {kinds: {order: order}}\n"), "hint catalog.yaml:2 unknown-source", `"shopifi" is no source that Curfew reads`},
		{"a source of the user's own that is near another", with(catalogFile, "sources:\n  slak: {kinds: {order: order}}\n"), "warning catalog.yaml:2 unknown-source", `did you mean "slack"?`},
	}
}

func TestLint(t *testing.T) {
	for _, c := range lintCases(t) {
		t.Run(c.name, func(t *testing.T) {
			var all []string
			for _, p := range bench(t).Lint(c.in) {
				got := fmt.Sprintf("%s %s:%d %s", p.Severity, p.File, p.Line, p.Check)
				if got == c.want && strings.Contains(p.Text, c.text) && !strings.Contains(p.Text, "\n") {
					return
				}
				all = append(all, got+": "+p.Text)
			}
			t.Fatalf("got\n%s\nwant %s with %q", strings.Join(all, "\n"), c.want, c.text)
		})
	}
}

// What can be said is what docs/policy.md lists.
func TestChecksAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, tried := map[string]bool{}, map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (error|warning|hint)").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = true
	}
	for _, c := range lintCases(t) {
		tried[c.want[strings.LastIndex(c.want, " ")+1:]] = true
	}
	if diff := cmp.Diff(documented, tried); diff != "" {
		t.Errorf("-documented +tried:\n%s", diff)
	}
}

// chain is rows by which each role holds the next.
func chain(from, to int) string {
	rows := ""
	for i := from; i < to; i++ {
		rows += fmt.Sprintf("g, role:%d, role:%d\n", i, i+1)
	}
	return rows
}

func TestNothingIsSaidOfATidyPolicy(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"tidy": with(policyFile, ""),
		"rows that do something": with(policyFile, `p, role:support, *, *, customer, search, allow
p, role:support, *, okta/*, order, read, deny
p, role:admin, shop, *, order, search, allow
p, role:admin, shop-b, *, order, search, allow
p, role:admin, *, okta/group/1, order, read, allow
p, role:admin, *, okta/group/12, order, read, allow
p, role:unknown, *, *, level:high, *, deny
p, group:okta/00g1, *, slack/*, content.chat, *, allow
p, scope:google_workspace/https:%2F%2Fwww.googleapis.com%2Fauth%2Fdrive, *, *, content.files, read, allow
p, service:backup, *, *, secret, read, allow
g, group:okta/00g2, role:support
g, person:sam, role:admin, 2026-12-01T00:00:00Z, 2027-01-01T00:00:00Z
g, app:okta/0oa1, role:support
`),
		"a chain that Casbin follows":     with(policyFile, "g, person:sam, role:1\n"+chain(1, 9)+"g, role:9, role:admin\n"),
		"a person of a group, perhaps":    with(policyFile, "g, group:okta/00g2, role:support\n"),
		"a class that the catalogue uses": with(catalogFile, "sources:\n  okta: {kinds: {spaceship: shop.loyalty}}\n"),
		"a kind of the user's own": {
			policyFile:  []byte("p, role:anyone, *, okta/spaceship/*, *, *, allow\np, service:admin, *, curfew/*, admin, *, allow\n"),
			catalogFile: []byte("sources:\n  okta: {kinds: {spaceship: internal}}\n"),
		},
		"a dom that is not the default": {policyFile: []byte("p, service:admin, shop-a, *, *, *, allow\n")},
		"an administrator by a group":   {policyFile: []byte("p, group:okta/00g1, *, *, admin, *, allow\n")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range bench(t).Lint(files) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// A row shadows another's only where everybody who holds the one holds the other, always.
func TestShadowsAreOverEverybody(t *testing.T) {
	const narrow, wide = "p, role:7, *, *, secret, read, allow\n", "p, role:11, *, *, secret, *, allow\n"
	for _, c := range []struct {
		name, in string
		want     bool
	}{
		{"through roles", chain(7, 11) + "g, person:sam, role:7\n", true},
		{"too far away for some", chain(3, 7) + chain(7, 11) + "g, person:sam, role:3\n", false},
		{"for a time", chain(7, 10) + "g, role:10, role:11, _, 2027-01-01T00:00:00Z\n", false},
		{"some of them", "g, person:sam, role:7\ng, person:sam, role:11\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := slices.ContainsFunc(bench(t).Lint(with(policyFile, narrow+wide+c.in)), func(p Problem) bool { return p.Line == 8 && p.Check == "shadowed" })
			if found != c.want {
				t.Errorf("got %v, want %v", found, c.want)
			}
		})
	}
}

func TestLintReadsTheFolder(t *testing.T) {
	problems := bench(t).LintFolder(t.TempDir())
	if len(problems) != 1 || problems[0].Severity != Error || !strings.Contains(problems[0].Text, "there is no policy.csv in it") {
		t.Fatalf("got %+v", problems)
	}
}

func TestProblemsAreSorted(t *testing.T) {
	files := with(policyFile, "p, role:b, *, okta, admin, read, allow\np, role:a, *, okta, admin, read, allow\n")
	maps.Copy(files, map[string][]byte{identitiesFile: append(files[identitiesFile], "  - {id: max}\n"...)})
	var places []string
	for _, p := range bench(t).Lint(files) {
		places = append(places, fmt.Sprintf("%s:%02d", p.File, p.Line))
	}
	if len(places) != 5 || !slices.IsSorted(places) {
		t.Fatalf("got %q", places)
	}
}

// The example is what people copy.
func TestTheExampleIsTidy(t *testing.T) {
	b := bench(t)
	report, err := b.Try(exampleDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range report.Outcomes {
		if len(outcome.Failures) > 0 {
			t.Errorf("%s:%d: %s: %q", outcome.File, outcome.Line, outcome.Name, outcome.Failures)
		}
	}
	for _, p := range b.LintFolder(exampleDir) {
		t.Errorf("got %+v", p)
	}
	for _, row := range report.Uncovered() {
		t.Errorf("no case needs line %d, %s", row.Line, row.Row)
	}
}
