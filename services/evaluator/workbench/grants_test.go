// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"strings"
	"testing"
)

func TestLintGrants(t *testing.T) {
	for _, c := range []struct {
		name, content string
		line          int
		severity      Severity
		check, want   string // of the only problem; check "" = none
	}{
		{"nothing to say", "roles: {role:support: {max: 1h}}\n", 0, "", "", ""},
		{"what cannot be read", "roles:\n  role:support: {max: soon}\n", 2, Error, "unreadable", `max "soon" is no length of time`},
		{"a mistyped role of a rule", "auto:\n  - {name: a, roles: [role:suport], sensitivity: 1}\n", 2, Warning, "unknown-role", "role:suport"},
		{"a mistyped role to break glass for", "break_glass: {roles: [role:suport]}\n", 1, Warning, "unknown-role", "role:suport"},
		{"a mistyped source", "roles:\n  role:support: {privileges: [{source: octa, kind: group, resource: 00g1}]}\n", 2, Warning, "unknown-source", `there is no source "octa"; did you mean "okta"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := bench(t).Lint(with(grantsFile, c.content))
			if c.check == "" && len(found) == 0 {
				return
			}
			if len(found) != 1 || found[0].File != grantsFile || found[0].Line != c.line || found[0].Severity != c.severity || found[0].Check != c.check || !strings.Contains(found[0].Text, c.want) {
				t.Errorf("got %+v, want %s %s on line %d: %q", found, c.severity, c.check, c.line, c.want)
			}
		})
	}
}
