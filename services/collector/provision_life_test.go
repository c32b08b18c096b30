// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// An invitation is not held until it is accepted, and is taken back at the end if it never was.
func TestAnInvitation(t *testing.T) {
	b := bustest.New(t)
	for _, accepted := range []bool{true, false} {
		t.Run(fmt.Sprintf("accepted %v", accepted), func(t *testing.T) {
			r := newRepository(t, b)
			guest, store := fake.GitHubID("guest"), fake.GitHubID("repo store")
			// invited is how many invitations wait; each is accepted where that is asked for.
			invited := func(accept bool) (n int) {
				r.vendor.Directory(func(d *fake.GitHubDirectory) {
					for id, i := range d.Repos[store].Invitations {
						if n++; accept {
							d.Repos[store].Collaborators[i.Invitee] = i.Role
							delete(d.Repos[store].Invitations, id)
						}
					}
				})
				return n
			}
			r.vendor.Directory(func(d *fake.GitHubDirectory) { d.Person("guest", "") })
			p := r.privilege(3)
			p.Holder, p.HolderName = strconv.FormatInt(guest, 10), "guest"
			id := r.grant(time.Hour, p)
			r.pass(30 * time.Minute)
			if held := r.load(id).GetPrivileges()[0]; held.GetStage() != stageGiving || held.GetSeen() != nil || invited(false) != 1 {
				t.Errorf("got %v and %d invitations, want one that waits", held, invited(false))
			}
			if n := r.wire.changes(http.MethodPut); n != 1 {
				t.Errorf("invited %d times, want once", n)
			}
			if accepted {
				invited(true)
				if took := r.until(10*time.Minute, r.in(stateActive, id)); took > 2*time.Minute {
					t.Errorf("seen %v after it was accepted, want a minute or so", took)
				}
			}
			r.until(2*time.Hour, r.in(stateRevoked, id))
			level := ""
			r.vendor.Directory(func(d *fake.GitHubDirectory) { level = d.Repos[store].Collaborators[guest] })
			if held := r.load(id).GetPrivileges()[0]; level != "" || invited(false) > 0 || held.GetStage() != stageGone {
				t.Errorf("got %v, level %q and %d invitations, want nothing left", held, level, invited(false))
			}
		})
	}
}

func TestSessionsAreKept(t *testing.T) {
	s, _ := oktaScene(t, bustest.New(t))
	s.hire()
	id := s.grant(time.Hour, payments(1))
	s.change(id, func(g *curfewv1.Grant) *curfewv1.Grant {
		g.Privileges[0].KeepSessions = true
		return g
	})
	s.until(time.Minute, s.in(stateActive, id))
	s.until(2*time.Hour, s.in(stateRevoked, id))
	if held, n := s.load(id).GetPrivileges()[0], s.wire.changes(http.MethodDelete); n != 1 || held.GetSessions() != "left alone, as the policy says" {
		t.Errorf("%d calls and sessions %q, want one call, and sessions left alone", n, held.GetSessions())
	}
}

func TestAnExtension(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	s.pass(59 * time.Minute)
	s.extend(id, time.Hour)
	s.pass(time.Hour)
	if n := s.wire.changes(http.MethodDelete); n > 0 || !isMember(o, person(1)) {
		t.Errorf("%d calls to take it before the end that it has now", n)
	}
	s.until(2*time.Minute, s.in(stateRevoked, id))
	if puts := s.wire.changes(http.MethodPut); isMember(o, person(1)) || puts != 1 {
		t.Errorf("it is there: %v, given %d times; want it gone, and given once", isMember(o, person(1)), puts)
	}
}

func TestManyEndsAtOnce(t *testing.T) {
	const many = 60
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	end := began.Add(time.Hour)
	var ids []string
	for i := range many {
		o.Put(fake.OktaUser{ID: person(i), Login: fmt.Sprintf("p%d@example.com", i)})
		ids = append(ids, s.grant(end.Sub(s.clock.Now()), payments(i)))
	}
	s.until(time.Minute, s.in(stateActive, ids...))
	if n := len(o.Snapshot().Members["00gPayments"]); n != many {
		t.Errorf("%d have it, want %d", n, many)
	}
	s.pass(end.Sub(s.clock.Now()) - time.Second)
	if n := s.wire.changes(http.MethodDelete); n > 0 {
		t.Errorf("%d calls before the end", n)
	}
	if took := s.until(time.Minute, s.in(stateRevoked, ids...)); took > 30*time.Second {
		t.Errorf("revoked in %v, want half a minute at most", took)
	}
	if n := s.wire.changes(http.MethodDelete); n != 2*many || len(o.Snapshot().Members["00gPayments"]) > 0 {
		t.Errorf("%d calls, want %d, sessions among them, and nobody left", n, 2*many)
	}
	for _, id := range ids {
		if n := s.steps(id); n > 12 {
			t.Errorf("%s has %d steps", id, n)
		}
	}
}

// jump sets the clock. Who sleeps counts the time that passes, so it wakes nobody late.
func (s *scene) jump(d time.Duration) {
	s.clock.Move(d)
	for _, h := range s.crew {
		h.actor.idle.Store(0)
		select {
		case h.actor.inbox.wake <- struct{}{}:
		default:
		}
	}
	s.quiet()
}

// A clock that is set takes nothing before the grant's state says so, gives nothing behind its end, and delays nothing
// that is under way.
func TestClockJumps(t *testing.T) {
	b := bustest.New(t)
	for _, by := range []time.Duration{time.Hour, -time.Hour, 8 * time.Hour, -8 * time.Hour, 24 * time.Hour, -24 * time.Hour} {
		t.Run("held "+by.String(), func(t *testing.T) {
			s, o := oktaScene(t, b)
			defer s.dismiss()
			s.hire()
			id := s.grant(30*time.Minute, payments(1))
			s.until(time.Minute, s.in(stateActive, id))
			s.jump(by)
			if n := s.wire.changes(http.MethodDelete); n > 0 || !isMember(o, person(1)) {
				t.Errorf("%d calls to take it, while its grant is active", n)
			}
			s.until(25*time.Hour, s.in(stateRevoked, id))
			if end := grant.End(s.load(id)); s.clock.Now().Before(end) || isMember(o, person(1)) {
				t.Errorf("it ended at %v, before %v, or is there", s.clock.Now(), end)
			}
		})
		t.Run("giving "+by.String(), func(t *testing.T) {
			s, o := oktaScene(t, b)
			defer s.dismiss()
			s.hire()
			s.wire.always("away")
			id := s.grant(30*time.Minute, payments(1))
			s.pass(20 * time.Second)
			s.wire.always("")
			s.jump(by)
			if by > 0 {
				s.until(time.Minute, s.in(stateRevoked, id))
			} else if took := s.until(time.Hour, s.in(stateActive, id)); took > time.Minute {
				t.Errorf("given %v after the clock was set back", took)
			}
			if n := s.wire.changes(http.MethodPut); (n > 0) != (by < 0) || isMember(o, person(1)) != (by < 0) {
				t.Errorf("given by %d calls, it is there: %v", n, isMember(o, person(1)))
			}
		})
		for _, successor := range []bool{false, true} {
			t.Run(fmt.Sprintf("taking %v, a successor %v", by, successor), func(t *testing.T) {
				s, o := oktaScene(t, b)
				defer s.dismiss()
				s.hire()
				id := s.grant(30*time.Minute, payments(1))
				s.until(time.Minute, s.in(stateActive, id))
				s.wire.always("lie")
				s.pass(30*time.Minute + 5*time.Second)
				if held := s.load(id).GetPrivileges()[0]; held.GetStage() != stageTaken {
					t.Fatalf("got %v, want the revocation accepted and not believed yet", held)
				}
				s.wire.always("")
				if successor {
					s.dismiss()
					s.hire()
				}
				s.jump(by)
				if took := s.until(10*time.Minute, s.in(stateRevoked, id)); took > 90*time.Second {
					t.Errorf("revoked %v after the clock was set, want no delay by that", took)
				}
				if held := s.load(id).GetPrivileges()[0]; isMember(o, person(1)) || strings.Contains(held.GetTrouble(), "accepted") {
					t.Errorf("got %v, want it gone", held)
				}
			})
		}
	}
}
