// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"testing"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// levels wants a grant to lower nobody, and a revocation to raise nobody: who holds more keeps it, and what somebody else
// took away in between stays away.
func (p provision) levels(t *testing.T) {
	if p.Lower == "" || p.GrantTask || p.RevokeTask || p.Invites {
		return
	}
	higher := p.Privileges[0]
	lower := proto.CloneOf(higher)
	lower.Level = p.Lower

	source, registry := p.open(t, 0)
	registry.Hold(higher, higher.GetLevel(), true)
	prior := p.reads(t, source, lower, curfewv1.Presence_PRESENCE_PRESENT)
	p.outcome(t, "grant less than is held", curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY)(source.Grant(t.Context(), lower))
	p.stays(t, "grant less than is held", registry, higher, higher.GetLevel())
	if _, err := source.Revoke(t.Context(), lower, prior); err != nil {
		t.Errorf("revoke less than was held before: %v", err)
	}
	p.stays(t, "revoke less than was held before", registry, higher, higher.GetLevel())

	// Somebody took it down, or away, while the grant was there.
	for _, now := range []string{p.Lower, ""} {
		source, registry = p.open(t, 0)
		registry.Hold(higher, higher.GetLevel(), true)
		prior = p.reads(t, source, lower, curfewv1.Presence_PRESENCE_PRESENT)
		if _, err := source.Grant(t.Context(), lower); err != nil {
			t.Errorf("grant: %v", err)
		}
		registry.Hold(higher, now, now != "")
		if _, err := source.Revoke(t.Context(), lower, prior); err != nil {
			t.Errorf("revoke: %v", err)
		}
		if level, held := registry.Holds(higher); held && level == higher.GetLevel() {
			t.Errorf("revoke made it %q again, though somebody else had changed it to %q", level, now)
		}
	}
}

func (p provision) stays(t *testing.T, what string, registry Registry, privilege *curfewv1.Privilege, want string) {
	t.Helper()
	if level, held := registry.Holds(privilege); !held || level != want {
		t.Errorf("%s: it is held: %v, at %q, want it as it was at %q", what, held, level, want)
	}
}
