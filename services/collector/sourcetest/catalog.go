// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

// CatalogCase is what the catalogue has to know of a source.
type CatalogCase struct {
	// Source is whose actions they are.
	Source string
	// Feed is the feed of all actions; "" where there are several.
	Feed string
	// Actions are actions of every family and what each means: "export", "export audit" where the action says itself which
	// class of data it touches, "consent app" or "consent code app" where the right judged is the app's; "" where the
	// catalogue must not know it. Where there is no Feed, an action is "<feed>/<name>".
	Actions map[string]string
	// Named are actions that have to have an act, whichever: those that the vendor lists, and one of no known name in
	// each family, since the vendor will add to it.
	Named []string
	// Scopes are scopes and the class each opens; "" where the catalogue must not know it.
	Scopes map[string]string
	// Kinds are kinds of resources and their classes.
	Kinds map[string]string
}

// Catalog holds the catalogue to what c wants of it.
func Catalog(t *testing.T, c CatalogCase) {
	known, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	c.check(known, t.Errorf)
}

func (c CatalogCase) check(known *catalog.Catalog, report report) {
	meaning := func(name string) string {
		feed, action := c.Feed, name
		if feed == "" {
			feed, action, _ = strings.Cut(name, "/")
		}
		found, _ := known.Action(c.Source, feed, action)
		meaning := found.Act
		if found.Class != "" {
			meaning += " " + found.Class
		}
		if found.App {
			meaning += " app"
		}
		return meaning
	}
	for _, name := range slices.Sorted(maps.Keys(c.Actions)) {
		if got, want := meaning(name), c.Actions[name]; got != want {
			report("action %s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range c.Named {
		if meaning(name) == "" {
			report("action %s has no act", name)
		}
	}
	for scope, want := range c.Scopes {
		if got, found := known.Scope(c.Source, scope); got != want || found != (want != "") {
			report("scope %s: got class %q, want %q", scope, got, want)
		}
	}
	for kind, want := range c.Kinds {
		if got, _ := known.Kind(c.Source, kind); got != want {
			report("kind %s: got class %q, want %q", kind, got, want)
		}
	}
}
