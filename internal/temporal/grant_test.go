// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// step is a step at a time of a grant of role:support to person:ann over [100, 200).
func step(at int64, state curfewv1.GrantState, change func(*curfewv1.Grant)) *curfewv1.GrantStep {
	g := &curfewv1.Grant{
		Id: "g1", Tenant: "main", Subject: "person:ann", Role: "role:support", State: state, From: stamp(100), ExpiresAt: stamp(200),
	}
	if change != nil {
		change(g)
	}
	return &curfewv1.GrantStep{Format: 1, Grant: g, Time: stamp(at), Author: "person:max"}
}

func TestGrants(t *testing.T) {
	const (
		requested  = curfewv1.GrantState_GRANT_STATE_REQUESTED
		approved   = curfewv1.GrantState_GRANT_STATE_APPROVED
		granting   = curfewv1.GrantState_GRANT_STATE_GRANTING
		active     = curfewv1.GrantState_GRANT_STATE_ACTIVE
		revoking   = curfewv1.GrantState_GRANT_STATE_REVOKING
		unverified = curfewv1.GrantState_GRANT_STATE_UNVERIFIED
		revoked    = curfewv1.GrantState_GRANT_STATE_REVOKED
		denied     = curfewv1.GrantState_GRANT_STATE_DENIED
		cancelled  = curfewv1.GrantState_GRANT_STATE_CANCELLED
		failed     = curfewv1.GrantState_GRANT_STATE_FAILED
		stuck      = curfewv1.GrantState_GRANT_STATE_STUCK
	)
	ended := func(at int64) func(*curfewv1.Grant) {
		return func(g *curfewv1.Grant) { g.EndedAt = stamp(at) }
	}
	longer := func(g *curfewv1.Grant) { g.ExpiresAt = stamp(300) }
	other := func(g *curfewv1.Grant) { g.Id, g.ExpiresAt = "g2", stamp(250) }
	for _, test := range []struct {
		name  string
		steps []*curfewv1.GrantStep
		want  string // with since when each link is known
	}{
		{"asked for", []*curfewv1.GrantStep{step(90, requested, nil)}, ""},
		{"never stored", []*curfewv1.GrantStep{step(90, curfewv1.GrantState_GRANT_STATE_UNSPECIFIED, nil)}, ""},
		{"denied", []*curfewv1.GrantStep{step(90, requested, nil), step(91, denied, nil)}, ""},
		{"approved", []*curfewv1.GrantStep{step(90, requested, nil), step(91, approved, nil)}, "role:support 100..200 known 91 by g1"},
		{"approved after it was to begin", []*curfewv1.GrantStep{step(150, approved, nil)}, "role:support 100..200 known 150 by g1"},
		{"withdrawn", []*curfewv1.GrantStep{step(91, approved, nil), step(92, cancelled, nil)}, ""},
		{"could not be given", []*curfewv1.GrantStep{step(91, approved, nil), step(100, granting, nil), step(101, failed, nil)}, ""},
		{"active", []*curfewv1.GrantStep{step(91, approved, nil), step(100, granting, nil), step(101, active, nil)}, "role:support 100..200 known 91 by g1"},
		{"over", []*curfewv1.GrantStep{step(91, approved, nil), step(200, revoking, nil), step(201, unverified, nil), step(210, revoked, nil)}, "role:support 100..200 known 91 by g1"},
		{"cannot be taken", []*curfewv1.GrantStep{step(91, approved, nil), step(201, stuck, nil)}, "role:support 100..200 known 91 by g1"},
		{"ended early", []*curfewv1.GrantStep{step(91, approved, nil), step(151, revoking, ended(150)), step(160, revoked, ended(150))}, "role:support 100..150 known 151 by g1"},
		{"ended late", []*curfewv1.GrantStep{step(91, approved, nil), step(260, revoked, ended(250))}, "role:support 100..200 known 91 by g1"},
		{"ended before it began", []*curfewv1.GrantStep{step(91, approved, nil), step(95, revoking, ended(95))}, ""},
		{"ended as it began", []*curfewv1.GrantStep{step(91, approved, nil), step(100, revoking, ended(100))}, ""},
		{"made longer", []*curfewv1.GrantStep{step(91, active, nil), step(150, active, longer)}, "role:support 100..300 known 150 by g1"},
		{"a step twice", []*curfewv1.GrantStep{step(91, approved, nil), step(91, approved, nil), step(101, active, nil), step(101, active, nil)}, "role:support 100..200 known 91 by g1"},
		{"two of one role", []*curfewv1.GrantStep{step(91, active, nil), step(120, active, other), step(130, active, nil)},
			"role:support 100..200 known 91 by g1, role:support 100..250 known 120 by g2"},
		{"one of two ends", []*curfewv1.GrantStep{step(91, active, nil), step(120, active, other), step(151, revoked, ended(150))},
			"role:support 100..150 known 151 by g1, role:support 100..250 known 120 by g2"},
		{"without an end", []*curfewv1.GrantStep{step(91, active, func(g *curfewv1.Grant) { g.ExpiresAt = nil })}, ""},
		{"without a beginning", []*curfewv1.GrantStep{step(91, active, func(g *curfewv1.Grant) { g.From = nil })}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			fold := temporal.NewFold()
			for _, s := range test.steps {
				fold.Grant(s)
			}
			got := ""
			for i, l := range fold.Relation().Links("person:ann") {
				word := short(l) + " known " + seconds(l.Known) + " by " + temporal.GrantID(l.Origin)
				if got = word + ", " + got; i == 0 {
					got = word
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A grant begins at its first moment and is over at its end, to the nanosecond.
func TestGrantEnds(t *testing.T) {
	fold := temporal.NewFold()
	fold.Grant(step(91, curfewv1.GrantState_GRANT_STATE_ACTIVE, nil))
	for at, want := range map[int64]bool{100*second - 1: false, 100 * second: true, 200*second - 1: true, 200 * second: false} {
		if held, _ := temporal.Hold("person:ann", "main", at, fold.Known()).Has("role:support"); held != want {
			t.Errorf("at %d: got held %t, want %t", at, held, want)
		}
	}
}

// What inventories say of a holder leaves what grants gave it, and the other way round.
func TestGrantsBesideInventories(t *testing.T) {
	from := library{}
	given := step(91, curfewv1.GrantState_GRANT_STATE_ACTIVE, func(g *curfewv1.Grant) { g.Subject = temporal.Account("okta", "u1") })
	over := proto.CloneOf(given)
	over.Grant.State = curfewv1.GrantState_GRANT_STATE_CANCELLED
	records := seen(t, from, "memberships", whole(0, 1, membership("u1", "x")), whole(10, 11))
	fold := folded(t, from, records[0], given, records[1])
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..11?, role:support 100..200"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	take(t, fold, from, over)
	if got, want := held(fold, "account:okta/u1", ""), "group:okta/x ..11?"; got != want {
		t.Errorf("without the grant: got %q, want %q", got, want)
	}
}

func TestGrantID(t *testing.T) {
	for origin, want := range map[string]string{"grant g1": "g1", "okta roles": "", "": "", "grant ": "", "policy.csv:3": ""} {
		if got := temporal.GrantID(origin); got != want {
			t.Errorf("%q: got %q, want %q", origin, got, want)
		}
	}
}
