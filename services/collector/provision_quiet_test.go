// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A vendor that lies goes on to be asked; that it does, each time at another moment, is stored ever so often.
func TestTroubleIsToldNowAndThen(t *testing.T) {
	s, _ := oktaScene(t, bustest.New(t))
	s.hire()
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	s.wire.always("lie")
	s.pass(time.Hour + time.Minute)
	told := s.load(id).GetPrivileges()[0].GetTrouble()
	s.pass(7 * time.Minute)
	if held := s.load(id).GetPrivileges()[0]; told == "" || held.GetTrouble() != told {
		t.Errorf("got trouble %q behind %q, want it told once in ten minutes", held.GetTrouble(), told)
	}
	s.pass(15 * time.Minute)
	if held := s.load(id).GetPrivileges()[0]; held.GetTrouble() == told {
		t.Errorf("got trouble %q after 22 minutes, want the newest", held.GetTrouble())
	}
}

// What announces an act is void once its grant wants something else; what reports one is not.
func TestIntentsAreVoid(t *testing.T) {
	held := &curfewv1.HeldPrivilege{Stage: stageGiving}
	for _, c := range []struct {
		name           string
		wanted, intent bool
		state          curfewv1.GrantState
		want           bool
	}{
		{"to give what is wanted", true, true, curfewv1.GrantState_GRANT_STATE_GRANTING, true},
		{"to give what ends", true, true, curfewv1.GrantState_GRANT_STATE_REVOKING, false},
		{"to take what ends", false, true, curfewv1.GrantState_GRANT_STATE_REVOKING, true},
		{"a report of what ends meanwhile", true, false, curfewv1.GrantState_GRANT_STATE_REVOKING, true},
		{"a report of what is over", true, false, stateRevoked, false},
	} {
		e := edit{was: held, wanted: c.wanted, intent: c.intent}
		g := &curfewv1.Grant{State: c.state, Privileges: []*curfewv1.HeldPrivilege{held}}
		if got := e.fits(g); got != c.want {
			t.Errorf("%s: it fits: got %v, want %v", c.name, got, c.want)
		}
	}
}

// A vendor that answers that it will not is not asked for ever, as one is that does not answer.
func TestARefusalIsTheEndOfIt(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	s.wire.breaks(func(r *http.Request, _ int) string { return map[bool]string{true: "403"}[r.Method == http.MethodPut] })
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(curfewv1.GrantState_GRANT_STATE_FAILED, id))
	if held := s.load(id).GetPrivileges()[0]; held.GetStage() != stageRefused || held.GetTrouble() == "" || isMember(o, person(1)) {
		t.Errorf("got %v, want it refused, and why", held)
	}
}
