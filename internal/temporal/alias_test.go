// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// An event means a group by each of its aliases as by its name, and none by one that two groups have.
func TestGroupAliases(t *testing.T) {
	aliased := func(id, name string, aliases ...string) *curfewv1.Entry {
		return changed(group(id, name), func(e *curfewv1.Entry) { e.GetGroup().Aliases = aliases })
	}
	for _, test := range []struct{ name, in, want string }{
		{"the name", "support", "group:github/g1 20.."},
		{"an alias that is the name too", "SUPPORT", "group:github/g1 20.."},
		{"an alias", "example/desk", "group:github/g1 20.."},
		{"an alias in other letters", "Example/Desk", "group:github/g1 20.."},
		{"an alias without a name", "example/nameless", "group:github/g3 20.."},
		{"an alias that two have", "shared@example.com", "group:github/shared@example.com 20.."},
		{"no alias", "", "group:github/ 20.."},
	} {
		from := library{}
		s := &shelf{library: from, source: "github", kind: "groups"}
		groups := s.store(t, whole(5, 6, aliased("g1", "Support", "example/desk", "support", "shared@example.com"),
			aliased("g2", "Help", "shared@example.com", ""), aliased("g3", "", "example/nameless")), false, false)
		events := batch("github", told("e", 20, 20, "+", "u1", test.in))
		for _, order := range [][]proto.Message{{groups, events}, {events, groups}} {
			if got := held(folded(t, from, order...), temporal.Account("github", "u1"), "group:"); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
	}
}
