// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A collector that dies at any call, before or behind its effect, or behind any write, leaves nothing that its successor
// does not finish: what was there before stays, what was given goes, and nothing goes early.
func TestCrashes(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	for _, where := range []string{"before the effect", "behind the effect", "behind the write"} {
		for _, standing := range []bool{false, true} {
			for n := 1; ; n++ {
				crashed := false
				name := fmt.Sprintf("%s %d, there before %v", where, n, standing)
				t.Run(name, func(t *testing.T) { crashed = crash(t, b, where, n, standing) })
				if t.Failed() {
					return
				}
				if !crashed {
					if n < 4 {
						t.Errorf("%s: there are only %d such moments", where, n-1)
					}
					break
				}
			}
		}
	}
}

// crash lets a collector die at the nth moment of a grant's life, and says whether there was one.
func crash(t *testing.T, b *bus.Bus, where string, n int, standing bool) bool {
	s, o := oktaScene(t, b)
	defer s.dismiss()
	if standing {
		o.Join("00gPayments", person(1))
	}
	h := s.hire()
	var crashed atomic.Bool
	die := func() {
		crashed.Store(true)
		h.kill()
	}
	if where != "behind the write" {
		s.wire.breaks(func(_ *http.Request, count int) string {
			if count != n {
				return ""
			}
			die()
			return map[bool]string{true: "away", false: "drop"}[where == "before the effect"]
		})
	}
	id := s.grant(time.Hour, payments(1))
	if where == "behind the write" {
		watchWrites(s, id, n, die)
	}
	s.until(10*time.Minute, s.in(stateActive, id))
	end := s.load(id).GetExpiresAt().AsTime()
	early := false
	s.until(2*time.Hour, func() bool {
		early = early || s.clock.Now().Before(end) && !isMember(o, person(1))
		return s.in(stateRevoked, id)()
	})
	if early {
		t.Error("it was not there before its end")
	}
	if isMember(o, person(1)) != standing {
		t.Errorf("it is there in the end: %v, want %v", !standing, standing)
	}
	if held := s.load(id).GetPrivileges()[0]; (held.GetPrior().GetPresence() == curfewv1.Presence_PRESENCE_PRESENT) != standing {
		t.Errorf("got %v recorded as there before, want %v", held.GetPrior(), standing)
	}
	if puts := s.wire.changes(http.MethodPut); puts > 1 {
		t.Errorf("it was given %d times", puts)
	}
	return crashed.Load()
}

// watchWrites lets the collector die once it has stored n steps.
func watchWrites(s *scene, id string, n int, die func()) {
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.bus.Follow(ctx, bus.GrantSubject(s.tenant, id), bus.From{}, func(m bus.Message) error {
			step := new(curfewv1.GrantStep)
			if err := m.Decode(step); err != nil {
				return err
			}
			if step.GetAuthor() == author {
				if n--; n == 0 {
					die()
				}
			}
			return nil
		})
	}()
	s.Cleanup(func() {
		cancel()
		<-done
	})
}

// Two collectors that both work, as if there was no lease, have one effect.
func TestTwoAtOnce(t *testing.T) {
	b := bustest.New(t)
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			s, o := oktaScene(t, b)
			defer s.dismiss()
			s.hire()
			s.hire()
			var ids []string
			for i := range 6 {
				ids = append(ids, s.grant(time.Hour, payments(i)))
			}
			s.until(10*time.Minute, s.in(stateActive, ids...))
			s.pass(time.Hour - s.clock.Now().Sub(began) - time.Second)
			if n := s.wire.changes(http.MethodDelete); n > 0 {
				t.Errorf("%d changes before the end, want none", n)
			}
			s.until(time.Hour, s.in(stateRevoked, ids...))
			for i := range ids {
				if isMember(o, person(i)) {
					t.Errorf("person %d has it after its end", i)
				}
			}
			given, taken := s.wire.changes(http.MethodPut), s.wire.changes(http.MethodDelete)
			if given != len(ids) || taken != 2*len(ids) {
				t.Errorf("given by %d calls, taken by %d, want %d, and %d with sessions", given, taken, len(ids), 2*len(ids))
			}
		})
	}
}
