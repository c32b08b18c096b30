// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// folder is a policy folder with the tidy policy, more rows, and cases.
func folder(t *testing.T, rows, cases string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, testsFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range with(policyFile, rows) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, testsFolder, "a.yaml"), []byte(cases), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCases(t *testing.T) {
	for _, c := range []struct {
		name, rows, in string
		want           []string // failures
	}{
		{"short", "", "- {name: x, event: person:sam read google_workspace/file/1-customers, want: allowed}", nil},
		{"by e-mail", "", "- {name: x, event: Sam@example.com read google_workspace/file/1-customers, want: {verdict: allowed, subject: 'person:sam'}}", nil},
		{"by account", "", "- {name: x, event: {actor: {id: 00u1}, act: read, object: okta/-, class: order}, want: {verdict: allowed, subject: 'person:sam'}}", nil},
		{"by an account of nobody", "", "- {name: x, event: {actor: {id: 00u9}, act: read, object: okta/-, class: order}, want: {verdict: violation, subject: 'unknown:okta/00u9'}}", nil},
		{"an app's account", "", "- {name: x, event: {actor: {id: 0oa1, type: app}, act: export, object: okta/-, class: order}, want: {verdict: allowed, subject: 'app:okta/0oa1'}}", nil},
		{"an app that takes scopes", "", "- {name: x, event: {actor: 'person:sam', action: token/authorize, object: google_workspace/app/9, app: '9', scopes: [openid, 'https://mail.google.com/']}, want: {verdict: violation, subject: 'app:google_workspace/9', classes: [identity.basic, content.mail]}}", nil},
		{"nobody", "", "- {name: x, event: {act: read, object: okta/-, class: order}, want: unknown}", nil},
		{"by name", "", "- {name: x, event: {actor: 'person:sam', act: read, object: google_workspace/file/1, name: loyalty points}, want: {verdict: allowed, classes: [shop.loyalty]}}", nil},
		{"by action", "", "- {name: x, event: {actor: 'person:sam', action: drive/download, object: google_workspace/file/1-customers}, want: {verdict: violation, row: none}}", nil},
		{"row however spaced", "", "- {name: x, event: person:sam read google_workspace/file/1-customers, want: {verdict: allowed, row: 'p,role:support, *,*,customer, read,allow'}}", nil},
		{"line", "", "- {name: x, event: person:sam read google_workspace/file/1-customers, want: {verdict: allowed, line: 2}}", nil},
		{"a grant holds from its first moment", "", "- {name: x, at: 2026-11-02T13:00:00Z, given: [{holder: 'person:sam', held: 'role:admin', from: 2026-11-02T13:00:00Z}], event: person:sam administer okta/role/1, want: allowed}", nil},
		{"and not before", "", "- {name: x, at: 2026-11-02T12:59:59Z, given: [{holder: 'person:sam', held: 'role:admin', from: 2026-11-02T13:00:00Z}], event: person:sam administer okta/role/1, want: violation}", nil},
		{"nor at its end", "", "- {name: x, at: 2026-11-02T13:00:00Z, given: [{holder: 'person:sam', held: 'role:admin', until: 2026-11-02T13:00:00Z}], event: person:sam administer okta/role/1, want: violation}", nil},
		{"a group", "g, group:okta/00g1, role:admin\n", "- {name: x, given: [{holder: 'person:sam', held: 'group:okta/00g1'}], event: person:sam administer okta/role/1, want: {verdict: allowed, line: 4}}", nil},
		{"a group that nobody is in", "g, group:okta/00g1, role:admin\n", "- {name: x, event: person:sam administer okta/role/1, want: violation}", nil},
		{"now", "g, person:sam, role:admin, 2026-11-02T09:00:00Z, 2026-11-02T09:00:01Z\n", "- {name: x, event: person:sam administer okta/role/1, want: allowed}", nil},

		{"wrong verdict", "", "- {name: x, event: person:sam export google_workspace/file/1-customers, want: allowed}", []string{"got violation, want allowed: no row allows export of pii.contact (sensitivity 4) to person:sam"}},
		{"wrong row", "", "- {name: x, event: person:sam read google_workspace/file/1-customers, want: {verdict: allowed, row: none}}", []string{"decided by the row p, role:support, *, *, customer, read, allow, want none"}},
		{"wrong line", "", "- {name: x, event: person:sam read google_workspace/file/1-customers, want: {verdict: allowed, line: 3}}", []string{"decided by line 2, want 3"}},
		{"no line", "", "- {name: x, event: person:sam export google_workspace/file/1-customers, want: {verdict: violation, line: 3}}", []string{"decided by line 0, want 3"}},
		{"wrong subject and classes", "", "- {name: x, event: person:sam read okta/group/1, want: {verdict: allowed, subject: 'person:ida', classes: [order]}}", []string{`judged "person:sam", want "person:ida"`, "judged by the classes internal, want order"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bench(t)
			b.Tenant = "main"
			report, err := b.Try(folder(t, c.rows, c.in+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			o := report.Outcomes[0]
			if diff := cmp.Diff(c.want, o.Failures); diff != "" || o.Name != "x" || o.Line != 1 || o.File != "tests/a.yaml" {
				t.Fatalf("%s:%d %s: -want +got:\n%s", o.File, o.Line, o.Name, diff)
			}
			if failed := report.Failed(); (failed == 1) != (len(c.want) > 0) {
				t.Errorf("got %d failed", failed)
			}
		})
	}
}

func TestBadCases(t *testing.T) {
	const good = "- {name: x, event: person:sam read okta/group/1, want: allowed}\n"
	for _, c := range []struct{ name, in, want string }{
		{"no YAML", "- {", "read tests/a.yaml: line 2:"},
		{"no list", "name: x", "read tests/a.yaml: line 2: cannot unmarshal !!map"},
		{"no case", "- x", "read tests/a.yaml: line 2: cannot unmarshal !!str"},
		{"unknown key", "- {name: x, evnt: y}", `line 2: unknown key "evnt"; known here: at, event, given, name, want`},
		{"unknown key of an event", "- {name: x, event: {who: y}, want: allowed}", `line 2: case "x": read tests/a.yaml: line 2: unknown key "who"`},
		{"unknown key of an actor", "- {name: x, event: {actor: {mail: y}, act: read, object: okta/group/1}, want: allowed}", `unknown key "mail"; known here: email, id, name, type`},
		{"no name", "- {event: person:sam read okta/group/1, want: allowed}", "it has no name"},
		{"no event", "- {name: x, want: allowed}", `event "": write "ACTOR ACT OBJECT"`},
		{"event of two words", "- {name: x, event: sam reads, want: allowed}", `write "ACTOR ACT OBJECT"`},
		{"no source", "- {name: x, event: person:sam read group, want: allowed}", `object "group": write SOURCE/KIND/ID; the sources are curfew, github`},
		{"unknown source", "- {name: x, event: person:sam read oktaa/group/1, want: allowed}", `object "oktaa/group/1"`},
		{"unknown act", "- {name: x, event: person:sam reads okta/group/1, want: allowed}", `act "reads": an act is one of read, search`},
		{"act and action", "- {name: x, event: {act: read, action: y, object: okta/group/1}, want: allowed}", "give either act"},
		{"unknown action", "- {name: x, event: {action: frobnicate, object: google_workspace/file/1}, want: allowed}", "the catalogue knows no such action of google_workspace"},
		{"unknown class", "- {name: x, event: {act: read, object: okta/group/1, class: oder}, want: allowed}", `class "oder" is not known; did you mean "order"?`},
		{"untyped actor", "- {name: x, event: sam read okta/group/1, want: allowed}", `actor "sam": write person:ID`},
		{"unknown person", "- {name: x, event: person:sma read okta/group/1, want: allowed}", `nobody in identities.yaml has the id "sma"`},
		{"unknown type", "- {name: x, event: {actor: {id: y, type: robot}, act: read, object: okta/group/1}, want: allowed}", `actor type "robot"`},
		{"no verdict", "- {name: x, event: person:sam read okta/group/1}", `want "": a verdict is allowed, violation or unknown`},
		{"unknown verdict", "- {name: x, event: person:sam read okta/group/1, want: denied}", `want "denied"`},
		{"unknown row", "- {name: x, event: person:sam read okta/group/1, want: {verdict: allowed, row: 'p, x'}}", `want row "p, x": there is no such row in policy.csv`},
		{"no time", "- {name: x, at: yesterday, event: person:sam read okta/group/1, want: allowed}", `at: "yesterday" is no time; write 2026-11-02T09:00:00Z`},
		{"given to nobody", "- {name: x, given: [{holder: sam, held: 'role:admin'}], event: person:sam read okta/group/1, want: allowed}", `given holder "sam": write person:ID`},
		{"given to an unknown person", "- {name: x, given: [{holder: 'person:bob', held: 'role:admin'}], event: person:sam read okta/group/1, want: allowed}", `has the id "bob"`},
		{"given what gives nothing", "- {name: x, given: [{holder: 'person:sam', held: 'role:admn'}], event: person:sam read okta/group/1, want: allowed}", `no row speaks of it, so it gives nothing; did you mean "role:admin"?`},
		{"given without a time", "- {name: x, given: [{holder: 'person:sam', held: 'role:admin', until: soon}], event: person:sam read okta/group/1, want: allowed}", `given until: "soon" is no time`},
		{"given backwards", "- {name: x, given: [{holder: 'person:sam', held: 'role:admin', from: 2026-11-02T13:00:00Z, until: 2026-11-02T13:00:00Z}], event: person:sam read okta/group/1, want: allowed}", "it ends before it begins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cases := good + c.in + "\n"
			if c.name == "no list" {
				cases = "\n" + c.in + "\n"
			}
			_, err := bench(t).Try(folder(t, "", cases))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tests/a.yaml: line ") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestNoCases(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"no folder":  func(dir string) error { return os.RemoveAll(filepath.Join(dir, testsFolder)) },
		"no file":    func(dir string) error { return os.Remove(filepath.Join(dir, testsFolder, "a.yaml")) },
		"empty file": func(dir string) error { return os.Truncate(filepath.Join(dir, testsFolder, "a.yaml"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, "", "")
			if err := prepare(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := bench(t).Try(dir); err == nil || !strings.Contains(err.Error(), "read cases: there are none: write some into "+filepath.Join(dir, "tests", "NAME.yaml")) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// Which rows the cases needed: those that decided, and those on the way to them.
func TestCoverage(t *testing.T) {
	dir := folder(t, "g, role:support, role:staff\np, role:staff, *, *, code, read, allow\n", `- {name: by a role of a role, event: person:sam read github/repo/1, want: allowed}
- {name: again, event: person:sam read github/repo/1, want: allowed}
- {name: a deny, event: {actor: "person:ida", act: share, object: okta/-, class: order}, want: violation}
- {name: no row, event: person:ida read github/repo/1, want: violation}
`)
	report, err := bench(t).Try(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range report.Rows {
		got = append(got, fmt.Sprintf("%d:%d", row.Line, row.Cases))
	}
	if want := []string{"1:0", "2:0", "3:1", "4:0", "5:0", "6:2", "7:0", "8:2", "9:2"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if uncovered := report.Uncovered(); len(uncovered) != 5 || uncovered[0].Row != "p, role:anyone, *, *, level:low, *, allow" {
		t.Errorf("got %+v", uncovered)
	}
}

func TestLockedOut(t *testing.T) {
	for _, c := range []struct {
		name, tenant, rows string
		want               string // "" = somebody may
	}{
		{"nobody", "", "p, role:anyone, *, *, level:low, *, allow\n", "nobody may administer class admin on curfew/api/policy"},
		{"the API's own", "", "p, service:admin, *, curfew/api/*, admin, *, allow\n", ""},
		{"one that is not the API's", "", "p, service:deploy, *, curfew/api/policy, admin, administer, allow\n", ""},
		{"a person by a role", "", "p, role:admin, *, *, *, *, allow\ng, person:ida, role:admin\n", ""},
		{"a role that nobody holds", "", "p, role:admin, *, *, *, *, allow\n", "nobody may"},
		{"a role that an app holds", "", "p, role:admin, *, *, *, *, allow\ng, app:okta/0oa1, role:admin\n", "nobody may"},
		{"everybody", "", "p, role:anyone, *, *, *, *, allow\n", ""},
		{"another act", "", "p, service:admin, *, *, admin, read, allow\n", "nobody may"},
		{"another object", "", "p, service:admin, *, curfew/api/grants, admin, *, allow\n", "nobody may"},
		{"denied", "", "p, service:admin, *, *, admin, *, allow\np, role:service, *, curfew/*, admin, administer, deny\n", "nobody may"},
		{"ended", "", "p, role:admin, *, *, admin, *, allow\ng, person:ida, role:admin, _, 2026-11-02T09:00:00Z\n", "nobody may administer"},
		{"not begun", "", "p, role:admin, *, *, admin, *, allow\ng, person:ida, role:admin, 2027-01-01T00:00:00Z, _\n", "nobody may administer"},
		{"ends", "", "p, role:admin, *, *, admin, *, allow\ng, person:ida, role:admin, _, 2027-01-01T00:00:00Z\n", "nobody may, once the rows that end have ended, administer"},
		{"in another domain", "shop-a", "p, service:admin, shop-b, *, admin, *, allow\n", "nobody may"},
		{"in its domain", "shop-b", "p, service:admin, shop-b, *, admin, *, allow\n", ""},
		{"in any domain", "", "p, service:admin, shop-b, *, admin, *, allow\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bench(t)
			b.Tenant = c.tenant
			policy, err := judge.NewPolicy(map[string][]byte{policyFile: []byte(c.rows)}, b.Catalog)
			if err != nil {
				t.Fatal(err)
			}
			err = b.LockedOut(policy)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
		})
	}
	policy, err := judge.NewPolicy(map[string][]byte{
		policyFile:  []byte("p, service:admin, *, curfew/*, admin, *, allow\n"),
		classesFile: []byte("resources: [{object: \"curfew/*\", class: secret}]\n"),
	}, bench(t).Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if bench(t).LockedOut(policy) == nil {
		t.Error("who gives the API's objects another class is locked out too")
	}
	standard, err := judge.StandardPolicy(bench(t).Catalog)
	if err != nil || bench(t).LockedOut(standard) != nil {
		t.Errorf("the standard policy: %v, %v", err, bench(t).LockedOut(standard))
	}
}
