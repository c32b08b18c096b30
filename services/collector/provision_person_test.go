// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What no API can take is a person's task; what the vendor shows says when it is done.
func TestATaskIsWaitedFor(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	o.Put(fake.OktaApp{ID: "0oaShop", Name: "shop", Label: "Shop admin"})
	id := s.grant(time.Hour, &curfewv1.Privilege{Source: "okta", Kind: "app", Holder: person(1), Resource: "0oaShop"})
	s.until(time.Minute, s.in(stateActive, id))
	// Okta lets nobody's own assignment be taken while a group gives the app as well.
	o.Join("00gPayments", person(1))
	o.AssignGroup("0oaShop", "00gPayments")
	s.until(2*time.Hour, s.in(curfewv1.GrantState_GRANT_STATE_STUCK, id))
	if held := s.load(id).GetPrivileges()[0]; held.GetTask() == "" || held.GetLink() == "" {
		t.Errorf("got %v, want what a person has to do, and where", held)
	}
	calls := s.wire.changes(http.MethodDelete)
	s.pass(10 * time.Minute)
	if n := s.wire.changes(http.MethodDelete); n != calls {
		t.Errorf("asked %d times more, while a person has to do it", n-calls)
	}
	o.Unassign("0oaShop", person(1))
	if took := s.until(time.Hour, s.in(stateRevoked, id)); took > 2*time.Minute {
		t.Errorf("seen %v after it was done, want a minute or so", took)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	stranger, unknown, ended := payments(1), payments(2), payments(3)
	stranger.HolderName = "somebody.else@example.com"
	unknown.Kind = "no_such_kind"
	ids := []string{s.grant(time.Hour, stranger), s.grant(time.Hour, unknown)}
	s.until(time.Minute, s.in(curfewv1.GrantState_GRANT_STATE_FAILED, ids...))
	for _, id := range ids {
		if held := s.load(id).GetPrivileges()[0]; held.GetTrouble() == "" {
			t.Errorf("got %v, want why it was refused", held)
		}
	}
	// Revoked before anything could be given.
	s.wire.always("away")
	id := s.grant(time.Hour, ended)
	s.pass(time.Minute)
	s.change(id, func(g *curfewv1.Grant) *curfewv1.Grant { return grant.Revoke(g, s.clock.Now()) })
	s.until(time.Minute, s.in(stateRevoked, id))
	s.wire.always("")
	s.pass(10 * time.Minute)
	if n := s.wire.changes(http.MethodPut); n > 0 || isMember(o, person(3)) {
		t.Errorf("%d changes, want nothing given", n)
	}
}
