// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
)

// Of detections that hide each other in turn nobody would hear anything.
func TestInhibitionsGoRoundInNoCircle(t *testing.T) {
	for _, c := range []struct{ name, inhibit, want string }{
		{"two", "{detection: a, hides: [b], same: entity}, {detection: b, hides: [a], same: event}", "a, b hide each other"},
		{"three", "{detection: x, hides: [a], same: entity}, {detection: a, hides: [b], same: entity}, {detection: b, hides: [c], same: entity}, {detection: c, hides: [a], same: entity}", "a, b, c hide each other"},
		{"with what is built in", "{detection: unauthorized_access, hides: [used_after_end], same: event}", "unauthorized_access, used_after_end hide each other"},
		{"a diamond", "{detection: a, hides: [b, c], same: entity}, {detection: b, hides: [d], same: entity}, {detection: c, hides: [d], same: entity}", ""},
	} {
		_, err := config.Read(write(t, "alerts: {inhibit: ["+c.inhibit+"]}\n"))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
