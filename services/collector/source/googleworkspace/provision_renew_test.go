// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// An end that Google knows of moves to a later one, never to a sooner one, and what has none gets none.
func TestAnEndMoves(t *testing.T) {
	hour := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	done, already := curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY
	for _, test := range []struct {
		name       string
		role       string
		shown      time.Time
		wanted     time.Time
		off        bool
		want       time.Time
		outcome    curfewv1.ProvisionOutcome
		unreadable bool
	}{
		{"later", "MEMBER", hour, hour.Add(2 * time.Hour), false, hour.Add(2 * time.Hour), done, false},
		{"sooner", "MEMBER", hour, hour.Add(-time.Minute), false, hour, already, false},
		{"the same but for what Google cannot know", "MEMBER", hour, hour.Add(time.Second - 1), false, hour, already, false},
		{"none asked for", "MEMBER", hour, time.Time{}, false, hour, already, false},
		{"none there", "MEMBER", time.Time{}, hour, false, time.Time{}, already, false},
		{"not configured", "MEMBER", hour, hour.Add(time.Hour), true, hour, already, false},
		{"a manager", "MANAGER", time.Time{}, hour, false, time.Time{}, already, false},
		{"unreadable", "MEMBER", hour, hour.Add(time.Hour), false, hour, already, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			s := at(t, o, func(c *Config) { c.NativeExpiry = !test.off })
			o.SetMember(fake.GoogleMember{Group: finance, Member: anna, Role: test.role, Expires: test.shown})
			if test.unreadable {
				o.Google.Forbid("/v1/groups/")
			}
			p := inGroup(anna, "anna@example.com", "")
			if !test.wanted.IsZero() {
				p.ExpiresAt = timestamppb.New(test.wanted)
			}
			granted, err := s.Grant(t.Context(), p)
			if (err != nil) != test.unreadable || err == nil && granted.GetOutcome() != test.outcome {
				t.Errorf("got %v, %v, want %v, or an error: %v", granted, err, test.outcome, test.unreadable)
			}
			if got, _ := ends(o); !got.Equal(test.want) {
				t.Errorf("got an end at %v, want %v", got, test.want)
			}
		})
	}
}
