// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/catalog"
)

func loadCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// makePolicy makes a policy of files written one after the other: name, content, name, content ...
func makePolicy(t testing.TB, files ...string) (*Policy, error) {
	t.Helper()
	byName := map[string][]byte{}
	for i := 0; i < len(files); i += 2 {
		byName[files[i]] = []byte(files[i+1])
	}
	return newPolicy(byName, loadCatalog(t))
}

// effects are Casbin's, each with the model's other parts.
var effects = []string{
	"some(where (p.eft == allow))",
	"!some(where (p.eft == deny))",
	"some(where (p.eft == allow)) && !some(where (p.eft == deny))",
	"priority(p.eft) || deny",
}

// The candidates must not be visible: for random policies and requests, decision and row are those of Casbin over every
// row.
func TestCandidatesAreInvisible(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	subjects := []string{"person:a", "person:b", "app:okta/x", "unknown:okta/y", "role:anyone", "role:person", "role:r1", "role:r2", "role:r3"}
	verdicts := map[bool]int{}
	for round := range 120 {
		effect := effects[round%len(effects)]
		model := strings.Replace(string(mustStandardModel(t)), effects[2], effect, 1)
		var csv strings.Builder
		for range 1 + random.IntN(25) {
			fmt.Fprintf(&csv, "p, %s, %s, %s, %s, %s, %s\n", pick(subjects...), pick("*", "main", "other"),
				pick("*", "okta/*", "okta/app/1", "github/*"), pick("*", "admin", "customer", "pii.contact", "level:low", "level:high"),
				pick("*", "read", "export"), pick("allow", "allow", "deny"))
		}
		for range random.IntN(8) {
			fmt.Fprintf(&csv, "g, %s, %s\n", pick(subjects...), pick("role:r1", "role:r2", "role:r3"))
		}
		p, err := makePolicy(t, modelFile, model, policyFile, dropRepeats(csv.String()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, csv.String())
		}
		if p.enforcer.candidates == nil {
			t.Fatal("the shipped model's matcher must be one that candidates can be picked for")
		}
		for range 100 {
			q := request{
				sub: pick("person:a", "person:b", "person:c", "app:okta/x", "app:okta/z", "unknown:okta/y", "service:admin"), dom: pick("main", "third"),
				obj: pick("okta/app/1", "okta/app/2", "github/org/x"), class: pick("admin", "pii.contact", "internal", "unclassified"), act: pick("read", "export", "share"),
			}
			got, gotRow, gotErr := p.enforcer.enforce(q)
			want, wantRow, wantErr := p.enforcer.askAll(q)
			if got != want || !proto.Equal(gotRow, wantRow) || (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("effect %s, request %+v: got %v by %v (%v), want %v by %v (%v), policy:\n%s", effect, q, got, gotRow, gotErr, want, wantRow, wantErr, csv.String())
			}
			verdicts[got]++
		}
	}
	if verdicts[true] < 500 || verdicts[false] < 500 {
		t.Fatalf("the requests are too much alike to show anything: %v", verdicts)
	}
}

func dropRepeats(csv string) string {
	seen := map[string]bool{}
	var kept []string
	for _, line := range strings.Split(csv, "\n") {
		if !seen[line] {
			kept = append(kept, line)
		}
		seen[line] = line != ""
	}
	return strings.Join(kept, "\n")
}

func mustStandardModel(t testing.TB) []byte {
	t.Helper()
	text, err := standard.ReadFile("standard/" + modelFile)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAnyMatcherIsAnswered(t *testing.T) {
	for name, matcher := range map[string]string{
		"or":         `m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && (r.act == p.act || p.act == "*") && g2(r.class, p.class)`,
		"no subject": `m = r.act == p.act && keyMatch(r.obj, p.obj)`,
		"negation":   `m = !(r.act == "export") && g(r.sub, p.sub)`,
	} {
		t.Run(name, func(t *testing.T) {
			model := string(mustStandardModel(t))
			model = model[:strings.Index(model, "m = ")] + matcher + "\n"
			p, err := makePolicy(t, modelFile, model, policyFile, "p, role:r1, *, okta/*, *, read, allow\ng, person:a, role:r1\n")
			if err != nil {
				t.Fatal(err)
			}
			if p.enforcer.candidates != nil {
				t.Fatal("no candidates may be picked for this matcher")
			}
			allowed, row, err := p.enforcer.enforce(request{sub: "person:a", dom: "main", obj: "okta/app/1", class: "internal", act: "read"})
			if err != nil || !allowed || row.GetLine() != 1 {
				t.Fatalf("got %v by %v, %v", allowed, row, err)
			}
			if allowed, _, err := p.enforcer.enforce(request{sub: "person:a", dom: "main", obj: "okta/app/1", class: "internal", act: "export"}); err != nil || allowed {
				t.Fatalf("export: got %v, %v", allowed, err)
			}
		})
	}
}

func TestWhatCasbinGetsWrong(t *testing.T) {
	ask := func(t *testing.T, csv, subject string) bool {
		t.Helper()
		p, err := makePolicy(t, policyFile, csv)
		if err != nil {
			t.Fatal(err)
		}
		allowed, _, err := p.enforcer.enforce(request{sub: subject, dom: "main", obj: "okta/app/1", class: "admin", act: "administer"})
		if err != nil {
			t.Fatal(err)
		}
		return allowed
	}
	t.Run("a subject named like a role does not hold it", func(t *testing.T) {
		if ask(t, "p, role:it-admin, *, *, admin, *, allow\n", "person:role:it-admin") || ask(t, "p, role:it-admin, *, *, admin, *, allow\n", "unknown:okta/role:it-admin") {
			t.Error("a name made a right")
		}
	})
	t.Run("a role reaches ten hops and no cycle hangs", func(t *testing.T) {
		csv := "p, role:end, *, *, admin, *, allow\ng, role:end, role:0\n"
		last := "person:a"
		for i := range 8 {
			csv += fmt.Sprintf("g, %s, role:%d\n", last, i)
			last = fmt.Sprintf("role:%d", i)
		}
		if !ask(t, csv+"g, "+last+", role:end\n", "person:a") {
			t.Error("nine hops must reach")
		}
		if ask(t, csv, "person:a") {
			t.Error("what is not linked must not reach")
		}
	})
	t.Run("a pattern in vendor text is no pattern", func(t *testing.T) {
		p, err := makePolicy(t, policyFile, "p, role:anyone, *, okta/app/1, admin, *, allow\n")
		if err != nil {
			t.Fatal(err)
		}
		if allowed, _, _ := p.enforcer.enforce(request{sub: "person:a", dom: "main", obj: "okta/app/*", class: "admin", act: "administer"}); allowed {
			t.Error("the object's star matched the row")
		}
	})
}

func TestPolicyErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"untyped subject", policyFile, "p, alice, *, *, *, *, allow\n", `policy.csv: line 1: "alice" has no type`},
		{"wrong arity", policyFile, "# x\np, role:a, *, *, allow\n", "line 2: a p row has 6 fields (sub, dom, obj, class, act, eft), this one has 4"},
		{"comma in a field", policyFile, "p, role:a, *, \"a,b\", *, *, allow\n", "holds a comma"},
		{"mistyped effect", policyFile, "p, role:a, *, *, *, *, Deny\n", `line 1: "Deny" is no effect; it is allow or deny`},
		{"mistyped act", policyFile, "p, role:a, *, *, *, adminster, deny\n", `"adminster" is no act; there are read search`},
		{"mistyped class", policyFile, "p, role:a, *, *, admn, *, deny\n", `"admn" is no class`},
		{"star in the middle", policyFile, "p, role:a, *, okta/*-secret, *, *, allow\n", `"okta/*-secret": Casbin's keyMatch`},
		{"repeated row", policyFile, "p, role:a, *, *, *, *, allow\n\np, role:a, *, *, *, *, allow\n", "line 3: the row stands on line 1 already"},
		{"unknown kind of row", policyFile, "q, role:a\n", `row begins with "q"`},
		{"no p row", policyFile, "g, person:a, role:b\n", "it has no p row"},
		{"g row to no role", policyFile, "p, role:a, *, *, *, *, allow\ng, person:a, person:b\n", `"person:b" is no role`},
		{"person nobody knows", identitiesFile, "people: [{id: ann}]\n", `nobody in identities.yaml has the id "bob"`},
		{"two people, one e-mail", identitiesFile, "people: [{id: bob, emails: [A@example.com]}, {id: ann, emails: [a@example.com]}]\n", `it can be one person's only`},
		{"e-mail as id", identitiesFile, "people: [{id: bob@example.com}]\n", "must be a short name"},
		{"unknown key", identitiesFile, "people: [{id: bob, mail: x}]\n", `line 1: unknown key "mail"; known here: accounts, emails, id`},
		{"unknown class", classesFile, "resources: [{object: x, class: nope}]\n", `class "nope" is not known`},
		{"impossible sensitivity", classesFile, "classes: [{id: x, sensitivity: 9}]\n", "it runs from 0 (public) to 5"},
		{"broken matcher", modelFile, strings.Replace(string(mustStandardModel(t)), "keyMatch(r.act", "noSuchFunction(r.act", 1), "read model.conf"},
		{"foreign request field", modelFile, strings.Replace(string(mustStandardModel(t)), "r = sub,", "r = colour,", 1), `request field "colour"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := []string{policyFile, "p, person:bob, *, *, *, *, allow\n", c.file, c.content}
			_, err := makePolicy(t, files...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestTheExamplePolicyLoads(t *testing.T) {
	p, err := ReadPolicy(exampleDir, loadCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadPolicy(exampleDir, loadCatalog(t))
	if err != nil || p.Digest() != again.Digest() {
		t.Fatalf("the digest must be that of the files: %s, %s, %v", p.Digest(), again.Digest(), err)
	}
	if _, err := StandardPolicy(loadCatalog(t)); err != nil {
		t.Fatal(err)
	}
}
