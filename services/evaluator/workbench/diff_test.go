// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// lines is a difference as it is printed.
func lines(d Difference) []string {
	var all []string
	for _, change := range d.Changes {
		all = append(all, change.String())
	}
	all = append(all, d.Data...)
	all = append(all, d.People...)
	return append(all, d.Notes...)
}

func TestDiff(t *testing.T) {
	const hadAndNot = "p, role:support, *, okta/*, secret, read, allow\np, role:support, *, okta/group/1, secret, read, deny\n"
	b := bench(t)
	for _, c := range []struct {
		name     string
		old, now map[string][]byte
		want     []string
	}{
		{"nothing", with(policyFile, ""), with(policyFile, "# a comment\n"), nil},
		{"a row that changes nothing", with(policyFile, ""), with(policyFile, "p, role:support, *, *, order, read, allow\n"), nil},
		{"a role more", with(policyFile, ""), with(policyFile, "g, person:sam, role:admin\n"), []string{
			"person:sam gains every act of admin (policy.csv:4 allows it)",
		}},
		{"a role for a time", with(policyFile, ""), with(policyFile, "g, person:sam, role:admin, 2026-12-01T00:00:00Z, 2026-12-02T00:00:00Z\n"), []string{
			"person:sam gains every act of admin, from 2026-12-01T00:00:00Z, until 2026-12-02T00:00:00Z (policy.csv:4 allows it)",
		}},
		{"a role at another time", with(policyFile, "g, person:sam, role:admin, 2026-12-02T00:00:00Z, _\n"), with(policyFile, "g, person:sam, role:admin, _, 2026-12-02T00:00:00Z\n"), []string{
			"person:sam gains every act of admin, until 2026-12-02T00:00:00Z (policy.csv:4 allows it)",
			"person:sam loses every act of admin, from 2026-12-02T00:00:00Z (policy.csv:4 no longer allows it)",
		}},
		{"within what others name", with(policyFile, "p, role:support, *, okta/*, order, search, allow\n"), with(policyFile, "p, role:support, *, okta/*, order, search, allow\np, role:support, *, *, customer, export, allow\n"), []string{
			"person:sam gains export of customer (policy.csv:9 allows it)",
		}},
		{"around what is had already", with(policyFile, hadAndNot), with(policyFile, hadAndNot+"p, role:support, *, *, secret, read, allow\n"), []string{
			"person:sam gains read of secret, but not in okta/group/1 (policy.csv:10 allows it)",
		}},
		{"a role that ends", with(policyFile, "g, person:sam, role:admin\n"), with(policyFile, "g, person:sam, role:admin, _, 2026-12-02T00:00:00Z\n"), []string{
			"person:sam loses every act of admin, from 2026-12-02T00:00:00Z (policy.csv:4 no longer allows it)",
		}},
		{"an act more for a role", with(policyFile, ""), with(policyFile, "p, role:support, *, *, customer, export, allow\n"), []string{
			"person:sam gains export of customer (policy.csv:8 allows it)",
		}},
		{"a row less", with(policyFile, ""), replaced(t, policyFile, "p, role:support, *, *, customer, read, allow\n", ""), []string{
			"person:sam loses read of customer but not behavioural (policy.csv:2 no longer allows it)",
		}},
		{"narrower", with(policyFile, ""), replaced(t, policyFile, "role:admin, *, *, admin", "role:admin, *, okta/*, admin"), []string{
			"person:ida loses every act of admin, but not in okta/* (policy.csv:4 no longer allows it)",
		}},
		{"a deny for everyone", with(policyFile, ""), with(policyFile, "p, role:anyone, *, slack/*, level:low, export, deny\n"), []string{
			"everyone loses export of level:low in slack/* (policy.csv:8 denies it)",
		}},
		{"a deny less", with(policyFile, ""), replaced(t, policyFile, "p, role:anyone, *, *, customer, share, deny\n", ""), []string{
			"everyone gains share of behavioural (policy.csv:1 allows it)",
		}},
		{"an app", with(policyFile, ""), with(policyFile, "p, app:okta/0oa2, *, *, order, read, allow\n"), []string{
			"app:okta/0oa2 gains read of order (policy.csv:8 allows it)",
		}},
		{"a group", with(policyFile, ""), with(policyFile, "g, group:okta/00g1, role:support\n"), []string{
			"whoever is in group:okta/00g1 gains read of customer (policy.csv:2 allows it)",
		}},
		{"a role that nobody holds", with(policyFile, ""), with(policyFile, "p, role:auditor, *, *, audit, read, allow\n"), []string{
			"whoever holds role:auditor gains read of audit (policy.csv:8 allows it)",
		}},
		{"in one domain", with(policyFile, "p, role:support, shop-a, *, order, search, allow\n"), with(policyFile, ""), []string{
			"person:sam loses search of order, in the domain shop-a (policy.csv:8 no longer allows it)",
		}},
		{"a new person", with(policyFile, ""), with(identitiesFile, "  - {id: max, accounts: {okta: [00u2]}}\n"), []string{
			"okta/00u2 is person:max's, and was nobody's", "person:max is new",
		}},
		{"a person who is gone", with(identitiesFile, "  - {id: max}\n"), with(policyFile, ""), []string{"person:max is gone"}},
		{"an account that moves", with(policyFile, ""), replaced(t, identitiesFile, "ida@example.com", "ida@example.org"), []string{
			"ida@example.com is nobody's, and was person:ida's", "ida@example.org is person:ida's, and was nobody's",
		}},
		{"an object of other data", with(policyFile, ""), with(classesFile, "  - {object: google_workspace/file/1-loyal*, class: order}\n"), []string{
			"person:sam gains read on google_workspace/file/1-loyal* (policy.csv:2 allows it)", "app:okta/0oa1 gains export on google_workspace/file/1-loyal* (policy.csv:5 allows it)",
			"google_workspace/file/1-loyal* holds order, and held content.files",
		}},
		{"a name of other data", with(policyFile, ""), with(classesFile, "  - {name: \"*gift*\", class: order}\n"), []string{
			`objects named "*gift*" hold order by their name, and held no other`,
		}},
		{"a class that is more", with(policyFile, ""), replaced(t, classesFile, "sensitivity: 3, parents", "sensitivity: 5, parents"), []string{"class shop.loyalty has sensitivity 5, and had 3"}},
		{"a class that is another's no more", with(policyFile, ""), replaced(t, classesFile, ", parents: [customer]", ""), []string{
			"person:sam loses read of shop.loyalty (policy.csv:2 no longer allows it)", "app:okta/0oa1 loses export of shop.loyalty (policy.csv:5 no longer allows it)",
			"class shop.loyalty is within no other, and was within customer, personal",
		}},
		{"a catalogue", with(policyFile, ""), with(catalogFile, "sources: {okta: {kinds: {spaceship: order}}}\n"), []string{
			"catalog.yaml differs: what it makes of vendors' actions, kinds and scopes is not compared",
		}},
		{"a model that is not understood", with(policyFile, ""), with(modelFile, model(t, "keyMatch(r.act, p.act)", "keyMatch2(r.act, p.act)")), []string{
			"what rows cover cannot be told, as the matcher is more than plain comparisons joined by &&: the policies are compared at the objects that their rows name",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var policies [2]*judge.Policy
			for i, files := range []map[string][]byte{c.old, c.now} {
				var err error
				if policies[i], err = judge.NewPolicy(files, b.Catalog); err != nil {
					t.Fatal(err)
				}
			}
			d, err := b.Diff(policies[0], policies[1])
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for _, line := range c.want {
				want[line] = true
			}
			got := map[string]bool{}
			for _, line := range lines(d) {
				got[line] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			again, err := b.Diff(policies[0], policies[1])
			if err != nil || !cmp.Equal(lines(d), lines(again)) {
				t.Fatalf("the same policies differ otherwise: %v, %q and %q", err, lines(d), lines(again))
			}
		})
	}
}

// Who is not listed any more is judged as somebody whom nobody knows.
func TestDiffOfAPersonWhoIsGone(t *testing.T) {
	b := bench(t)
	files := with(policyFile, "p, role:unknown, *, *, level:low, *, deny\n")
	old, err := judge.NewPolicy(with(policyFile, "p, role:unknown, *, *, level:low, *, deny\n"), b.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(files, map[string][]byte{
		identitiesFile: []byte(strings.Replace(tidy[identitiesFile], "  - {id: ida, emails: [ida@example.com]}\n", "", 1)),
		policyFile:     []byte(strings.Replace(string(files[policyFile]), "g, person:ida, role:admin\n", "", 1)),
	})
	now, err := judge.NewPolicy(files, b.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Diff(old, now)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines(d), "\n")
	for _, want := range []string{"person:ida loses every act of admin, level:low (policy.csv:4 no longer allows it; policy.csv:7 denies it)\n", "person:ida is gone"} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %s", text, want)
		}
	}
}

// Where there is too much to ask everybody the same, what is said of everyone is still so of each.
func TestDiffOfManyQuestions(t *testing.T) {
	b := bench(t)
	const rest = "p, person:b, *, okta/*, order, export, deny\np, app:okta/x, *, *, public, read, allow\n"
	old, err := judge.NewPolicy(map[string][]byte{policyFile: []byte("p, role:anyone, *, *, order, export, allow\n" + rest)}, b.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	now, err := judge.NewPolicy(map[string][]byte{policyFile: []byte(rest)}, b.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{maxAsked, 0} {
		d, err := b.diff(old, now, most)
		if diff := cmp.Diff([]string{"everyone loses export of order (policy.csv:1 no longer allows it)"}, lines(d)); diff != "" || err != nil {
			t.Errorf("%d: %v, -want +got:\n%s", most, err, diff)
		}
	}
}
