// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Privileges that can never be read count as failures of the source; an end that could be made is made all the same.
func TestBadNeighboursKeepNobodyFromEnding(t *testing.T) {
	for _, bad := range []int{2, 10, 40} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			s, o := oktaScene(t, bustest.New(t))
			s.hire()
			good := s.grant(10*time.Minute, payments(1))
			s.until(time.Minute, s.in(stateActive, good))
			var never []*curfewv1.Privilege
			for i := range bad {
				never = append(never, &curfewv1.Privilege{Source: "okta", Kind: "group", Holder: person(2), Resource: fmt.Sprintf("Payments %d!", i)})
			}
			s.grant(8*time.Hour, never...)
			s.pass(10 * time.Minute)
			if took := s.until(3*time.Hour, func() bool { return !isMember(o, person(1)) }); took > time.Minute {
				t.Errorf("taken %v after its end, want within a minute", took)
			}
			if took := s.until(3*time.Hour, s.in(stateRevoked, good)); took > 3*time.Minute {
				t.Errorf("revoked %v later, want within three minutes", took)
			}
		})
	}
}

// A grant whose record has outgrown the bus cannot be moved any more; the others of its source can.
func TestAGrantThatIsTooLargeStandsAlone(t *testing.T) {
	b := bustest.New(t)
	s, o := oktaScene(t, b)
	s.hire()
	good := s.grant(10*time.Minute, payments(1))
	big := proto.CloneOf(s.load(good))
	big.Id, big.Privileges = "g-big", nil
	for i := range 300 {
		big.Privileges = append(big.Privileges, &curfewv1.HeldPrivilege{Privilege: &curfewv1.Privilege{
			Source: "okta", Kind: "group", Holder: person(2), Resource: fmt.Sprintf("00g%d", i), ResourceName: strings.Repeat("n", b.MaxMessage()/300-110),
		}})
	}
	// As the API stores it: it fits, and what the collector adds does not.
	if err := grant.NewBook(b, s.tenant).Create(t.Context(), s.clock.Now(), big, "person:max", ""); err != nil {
		t.Fatal(err)
	}
	s.until(time.Minute, s.in(stateActive, good))
	s.pass(10 * time.Minute)
	if took := s.until(time.Hour, s.in(stateRevoked, good)); took > 3*time.Minute || isMember(o, person(1)) {
		t.Errorf("revoked %v after its end, and still a member: %v", took, isMember(o, person(1)))
	}
}
