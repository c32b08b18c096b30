// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"slices"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAction(t *testing.T) {
	c := load(t)
	for _, a := range []struct {
		source, feed, name string
		act, class         string
		app, known         bool
	}{
		{"curfew", "api", "decisions.export", "export", "audit", false, true},
		{"google_workspace", "token", "authorize", "consent", "", true, true},
		{"google_workspace", "drive", "download", "export", "", false, true},
		{"github", "audit_log", "git.clone", "read", "code", false, true},
		{"okta", "system_log", "user.session.start", "login", "identity.basic", false, true},
		{"okta", "system_log", "", "", "", false, false},
		{"okta", "system_log", "no.such.thing", "", "", false, false},
		{"nowhere", "x", "user.session.start", "", "", false, false},
	} {
		got, known := c.Action(a.source, a.feed, a.name)
		if known != a.known || got.Act != a.act || got.Class != a.class || got.App != a.app {
			t.Errorf("%s %s/%s: got %+v, %v, want %+v", a.source, a.feed, a.name, got, known, a)
		}
	}
}

func TestScopesAndKinds(t *testing.T) {
	c := load(t)
	if class, known := c.Scope("google_workspace", "https://mail.google.com/"); !known || class != "content.mail" {
		t.Errorf("got %q, %v", class, known)
	}
	if _, known := c.Scope("google_workspace", "https://example.com/auth/made.up"); known {
		t.Error("a scope nobody knows must not be known")
	}
	if class, known := c.Kind("google_workspace", "file"); !known || class != "content.files" {
		t.Errorf("got %q, %v", class, known)
	}
	if _, known := c.Kind("nowhere", "file"); known {
		t.Error("a source nobody knows has no kinds")
	}
}

func TestClasses(t *testing.T) {
	c := load(t)
	ids := map[string]bool{}
	for _, class := range c.Classes() {
		ids[class.ID] = true
		if class.Sensitivity < 0 || class.Sensitivity > 5 {
			t.Errorf("%s has sensitivity %d", class.ID, class.Sensitivity)
		}
	}
	if !ids[catalog.Unclassified] || !ids["pii.contact"] {
		t.Errorf("got %v", ids)
	}
	if got := c.Sources(); !slices.Contains(got, "okta") || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
	catalog.Acts()[0] = "changed"
	if catalog.Acts()[0] != "read" {
		t.Error("a caller must not change the acts")
	}
}
