// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"testing"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Whoever was written into identities.yaml since a decision was made is somebody's, by id, e-mail or login.
func TestBelongs(t *testing.T) {
	before := judgeBy(t)
	after := judgeBy(t, identitiesFile, "people: [{id: ann, emails: [Ann@example.com], accounts: {okta: [00u1], github: [ann-linden]}}]\n")
	named := func(source string, actor *curfewv1.Actor) string {
		return before.Decide(&curfewv1.Event{Source: source, Actor: actor}).GetSubject()
	}
	for _, c := range []struct {
		name, subject string
		want          bool
	}{
		{"by id", named("okta", &curfewv1.Actor{Id: "00u1"}), true},
		{"another id", named("okta", &curfewv1.Actor{Id: "00u2"}), false},
		{"the id at another source", named("slack", &curfewv1.Actor{Id: "00u1"}), false},
		{"by e-mail", named("slack", &curfewv1.Actor{Email: "ann@example.com"}), true},
		{"another e-mail", named("slack", &curfewv1.Actor{Email: "eve@example.com"}), false},
		{"by login", named("github", &curfewv1.Actor{Name: "ann-linden"}), true},
		{"the login at another source", named("slack", &curfewv1.Actor{Name: "ann-linden"}), false},
	} {
		if got := after.Belongs(morning)(c.subject); got != c.want {
			t.Errorf("%s: %s: got %v, want %v", c.name, c.subject, got, c.want)
		}
		if before.Belongs(morning)(c.subject) {
			t.Errorf("%s: %s: belonged to somebody before", c.name, c.subject)
		}
	}
}
