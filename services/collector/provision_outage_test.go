// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/telemetry"
)

// steps is how many steps a grant has.
func (s *scene) steps(id string) (n int) {
	s.Helper()
	if err := s.bus.Read(s.Context(), bus.GrantSubject(s.tenant, id), bus.From{}, func(bus.Message) error {
		n++
		return nil
	}); err != nil {
		s.Fatal(err)
	}
	return n
}

func TestAnOutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	for _, out := range []time.Duration{time.Minute, 15 * time.Minute, 16 * time.Minute, 2 * time.Hour, 72 * time.Hour} {
		for _, many := range []int{1, 7} {
			if many == 1 && out > 2*time.Hour {
				continue // its pauses are as long as they get
			}
			t.Run(out.String(), func(t *testing.T) {
				s, o := oktaScene(t, b)
				h := s.hire()
				defer h.stop()
				var ids []string
				for i := range many {
					ids = append(ids, s.grant(time.Hour, payments(i)))
				}
				s.until(time.Minute, s.in(stateActive, ids...))
				s.pass(time.Hour - time.Second)
				s.wire.always("away")
				s.pass(min(out, time.Hour) + time.Second)
				for range max(0, out-time.Hour) / time.Hour {
					// Its pauses are as long as they get: not each has to be seen.
					s.clock.Move(time.Hour)
					s.schedule(s.current())
					s.quiet()
				}
				for _, id := range ids {
					if held := s.load(id).GetPrivileges()[0]; held.GetTrouble() == "" || s.load(id).GetState() == stateRevoked {
						t.Errorf("while it is away: got %v, want why it goes not on", held)
					}
				}
				s.wire.always("")
				if took := s.until(time.Hour, s.in(stateRevoked, ids...)); took > time.Minute {
					t.Errorf("revoked %v after the vendor is back, want a minute at most", took)
				}
				for i, id := range ids {
					if isMember(o, person(i)) {
						t.Errorf("%s is there after its end", id)
					}
					if n := s.steps(id); n > 20 {
						t.Errorf("%s has %d steps; there may not be one for each try", id, n)
					}
				}
			})
		}
	}
}

// A source that answers each with an error, or hangs, is left soon and tried again.
func TestBrokenAndHangingVendors(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	for _, fault := range []string{"hang", "drop", "503"} {
		t.Run(fault, func(t *testing.T) {
			s, o := oktaScene(t, b)
			h := s.hire()
			defer h.stop()
			id := s.grant(time.Hour, payments(1))
			s.until(time.Minute, s.in(stateActive, id))
			s.pass(time.Hour - time.Second)
			if fault == "503" {
				// The plug-in waits itself when a read is put off; a change it does not repeat.
				s.wire.breaks(func(r *http.Request, _ int) string {
					return map[bool]string{true: "503"}[r.Method == http.MethodDelete]
				})
			} else {
				s.wire.always(fault)
			}
			s.pass(5 * time.Minute)
			if fault != "drop" && !isMember(o, person(1)) {
				t.Error("it was taken, while nothing reached the vendor")
			}
			s.wire.always("")
			if took := s.until(time.Hour, s.in(stateRevoked, id)); took > time.Minute {
				t.Errorf("revoked %v after the vendor is back, want a minute at most", took)
			}
		})
	}
}

func TestALostReplyIsOneEffect(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	dropChanges := func(r *http.Request, _ int) string { return map[bool]string{true: "drop"}[r.Method != http.MethodGet] }
	s.wire.breaks(dropChanges)
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	if n := s.wire.changes(http.MethodPut); n != 1 {
		t.Errorf("given %d times, want once", n)
	}
	s.until(2*time.Hour, s.in(stateRevoked, id))
	if isMember(o, person(1)) {
		t.Error("it is there after its end")
	}
	if held := s.load(id).GetPrivileges()[0]; held.GetPrior().GetPresence().String() != "PRESENCE_ABSENT" || !strings.HasPrefix(held.GetSessions(), "not ended") {
		t.Errorf("got %v, want that nothing was there before, and that sessions could not be ended", held)
	}
}

func TestALiarIsNotBelieved(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	s.wire.always("lie")
	id := s.grant(time.Hour, payments(1))
	s.pass(30 * time.Second)
	if held := s.load(id).GetPrivileges()[0]; s.load(id).GetState() == stateActive || !strings.Contains(held.GetTrouble(), "okta accepted to give it at") {
		t.Errorf("got %v, want that it is not given and why", held)
	}
	s.wire.always("")
	s.until(time.Minute, s.in(stateActive, id))
	s.wire.always("lie")
	s.pass(time.Hour)
	took := s.until(time.Minute, func() bool { return s.load(id).GetPrivileges()[0].GetTrouble() != "" })
	g := s.load(id)
	if held := g.GetPrivileges()[0]; took > time.Minute || g.GetState() != stateUnverified || !strings.HasPrefix(held.GetTrouble(), "okta accepted the revocation at") {
		t.Errorf("got %v after %v, want it unverified, and why", g, took)
	}
	s.wire.always("")
	s.until(time.Minute, s.in(stateRevoked, id))
	if held := s.load(id).GetPrivileges()[0]; isMember(o, person(1)) || held.GetAttempts() < 2 || held.GetTrouble() != "" {
		t.Errorf("got %v, want it gone after another call", held)
	}
}

// What is read may be old for a while after a change: one read that shows it gone is not enough, and one that shows it
// still there does no harm.
func TestStaleReads(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	s.hire()
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	s.pass(time.Hour - time.Second)
	s.wire.always("stale")
	s.pass(6 * time.Second)
	if s.load(id).GetState() == stateRevoked {
		t.Error("it is revoked, while the vendor shows it")
	}
	s.wire.always("")
	s.until(time.Minute, s.in(stateRevoked, id))
	if n := s.wire.changes(http.MethodDelete); isMember(o, person(1)) || n != 2 {
		t.Errorf("%d calls, it is there: %v; want one call for it, one for sessions, and it gone", n, isMember(o, person(1)))
	}
}

// A source that is not configured any more keeps its grants waiting, says so, and ends them once it is back.
func TestASourceIsRemovedAndBack(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	h := s.hire()
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	open := s.source()

	bare := newProvisioning(Options{Bus: s.bus, Tenant: s.tenant, Holder: "bare", Clock: s.clock, Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()}, usualPace())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		bare.follow(ctx)
	}()
	look := func() {
		t.Helper()
		if err := bare.current(ctx); err != nil {
			t.Fatal(err)
		}
		if err := bare.orphan.look(ctx); err != nil {
			t.Fatal(err)
		}
	}
	h.stop()
	look()
	s.crew = []*hand{{provisioning: bare, life: ctx}}
	if trouble := s.load(id).GetPrivileges()[0].GetTrouble(); trouble != "" {
		t.Errorf("in force: got trouble %q, want none, as nothing is to be done", trouble)
	}
	s.clock.Move(2 * time.Hour)
	s.schedule(s.current())
	look()
	if trouble := s.load(id).GetPrivileges()[0].GetTrouble(); trouble != "no source named okta is configured" {
		t.Errorf("got trouble %q, want that there is no source", trouble)
	}
	before := s.steps(id)
	look()
	if n := s.steps(id); n != before {
		t.Errorf("got %d steps more, want the trouble stored once", n-before)
	}
	cancel()
	<-done
	s.crew, s.source = nil, func() Source { return open }
	s.hire()
	s.until(2*time.Minute, s.in(stateRevoked, id))
	if isMember(o, person(1)) {
		t.Error("it is there after its end")
	}
}
