// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
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
	return NewPolicy(byName, loadCatalog(t))
}

func mustStandardModel(t testing.TB) []byte {
	t.Helper()
	text, err := standard.ReadFile("standard/" + modelFile)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// asks is whether a policy lets a subject act at a moment, with nothing known but the policy.
func asks(t *testing.T, p *Policy, at time.Time, q enforcer.Request) bool {
	t.Helper()
	j := &Judge{Tenant: "main", Policies: func(time.Time) (*Policy, time.Time) { return p, time.Time{} }}
	m := j.moment(p, at)
	answer, err := p.enforcer.Decide(q, m.of(q.Sub, q.Dom).subject, m)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Allowed
}

func TestWhatCasbinGetsWrong(t *testing.T) {
	ask := func(t *testing.T, csv, subject string) bool {
		t.Helper()
		p, err := makePolicy(t, policyFile, csv)
		if err != nil {
			t.Fatal(err)
		}
		return asks(t, p, morning, enforcer.Request{Sub: subject, Dom: "main", Obj: "okta/app/1", Class: "admin", Act: "administer"})
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
		if asks(t, p, morning, enforcer.Request{Sub: "person:a", Dom: "main", Obj: "okta/app/*", Class: "admin", Act: "administer"}) {
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
