// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import "testing"

func TestParting(t *testing.T) {
	link := func(held string, from, until int64) Link { return Link{Held: held, From: from, Until: until} }
	maybe := func(l Link) Link { l.Uncertain = true; return l }
	for _, test := range []struct {
		name string
		a, b []Link
		want int64
	}{
		{"nothing and nothing", nil, nil, End},
		{"the same", []Link{link("x", 10, End), link("y", 1, 20)}, []Link{link("x", 10, End), link("y", 1, 20)}, End},
		{"one more", []Link{link("x", 10, End)}, []Link{link("x", 10, End), link("y", 1, 20)}, 1},
		{"another", []Link{link("x", 10, 20)}, []Link{link("y", 15, 20)}, 10},
		{"an end", []Link{link("x", 10, End)}, []Link{link("x", 10, 20)}, 20},
		{"an earlier beginning", []Link{link("x", 10, End)}, []Link{link("x", 5, End)}, 5},
		{"a hole", []Link{link("x", 10, End)}, []Link{link("x", 30, End), link("x", 10, 20)}, 20},
		{"in two parts", []Link{link("x", 10, End)}, []Link{link("x", 20, End), link("x", 10, 20)}, End},
		{"less certain", []Link{link("x", 10, 20)}, []Link{maybe(link("x", 10, 20))}, 10},
		{"another domain", []Link{link("x", 10, 20)}, []Link{{Held: "x", Dom: "eu", From: 10, Until: 20}}, 10},
		{"known by another", []Link{link("x", 10, 20)}, []Link{{Held: "x", From: 10, Until: 20, Origin: "grant g", Known: 5}}, End},
	} {
		if got := parting(test.a, test.b); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
		if got := parting(test.b, test.a); got != test.want {
			t.Errorf("%s, the other way: got %d, want %d", test.name, got, test.want)
		}
	}
}
