// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/m365"
)

// lags lets reads show what was before the first change for a while after it. First is what becomes of that change,
// further of those behind it.
func (s *scene) lags(d time.Duration, first, further string) {
	var put time.Time
	s.wire.breaks(func(r *http.Request, _ int) string {
		switch {
		case r.Method == http.MethodPut && put.IsZero():
			put = s.clock.Now()
			return first
		case r.Method == http.MethodPut:
			return further
		case r.Method == http.MethodGet && !put.IsZero() && s.clock.Now().Before(put.Add(d)):
			return "stale"
		}
		return ""
	})
}

// What was being given when its grant was ended may show late: that it does not show yet is no end.
func TestRevokedWhileBeingGiven(t *testing.T) {
	b := bustest.New(t)
	for _, first := range []string{"", "drop"} {
		for _, successor := range []bool{false, true} {
			t.Run(fmt.Sprintf("reply %q, a successor %v", first, successor), func(t *testing.T) {
				s, o := oktaScene(t, b)
				defer s.dismiss()
				h := s.hire()
				s.lags(9*time.Second, first, "")
				id := s.grant(time.Hour, payments(1))
				s.pass(time.Second)
				s.change(id, func(g *curfewv1.Grant) *curfewv1.Grant { return grant.Revoke(g, s.clock.Now()) })
				if successor {
					h.stop()
					s.hire()
				}
				s.until(2*time.Minute, s.in(stateRevoked, id))
				if held := s.load(id).GetPrivileges()[0]; isMember(o, person(1)) || held.GetAttempts() == 0 {
					t.Errorf("got %v, want it asked for and gone", held)
				}
			})
		}
	}
}

// A vendor that shows nothing for minutes is asked to take it all the same.
func TestRevokedUnseen(t *testing.T) {
	d := newDirectory(t, bustest.New(t))
	var given time.Time
	d.wire.breaks(func(r *http.Request, _ int) string {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/$ref") {
			given = d.clock.Now()
		}
		return map[bool]string{true: "stale"}[!given.IsZero() && d.clock.Now().Before(given.Add(10*time.Minute))]
	})
	id := d.grant(time.Hour, d.place(""))
	d.pass(time.Second)
	d.shows("")
	d.change(id, func(g *curfewv1.Grant) *curfewv1.Grant { return grant.Revoke(g, d.clock.Now()) })
	d.until(2*time.Minute, d.in(stateRevoked, id))
	d.shows()
}

// A refusal says nothing of the call before it, whose answer was lost.
func TestALostReplyThenARefusal(t *testing.T) {
	b := bustest.New(t)
	for _, successor := range []bool{false, true} {
		t.Run(fmt.Sprintf("a successor %v", successor), func(t *testing.T) {
			s, o := oktaScene(t, b)
			defer s.dismiss()
			h := s.hire()
			s.lags(9*time.Second, "drop", "403")
			id := s.grant(time.Hour, payments(1))
			if successor {
				s.pass(100 * time.Millisecond)
				h.stop()
				s.hire()
			}
			s.until(time.Minute, s.in(stateActive, id))
			s.until(2*time.Hour, s.in(stateRevoked, id))
			if isMember(o, person(1)) {
				t.Error("it is there after its end")
			}
		})
	}
}

func TestARefusalIsToldAtOnce(t *testing.T) {
	s, _ := oktaScene(t, bustest.New(t))
	s.hire()
	s.lags(0, "403", "403")
	id := s.grant(time.Hour, payments(1))
	if took := s.until(time.Minute, s.in(curfewv1.GrantState_GRANT_STATE_FAILED, id)); took > time.Second {
		t.Errorf("told after %v, want at once: no call was accepted", took)
	}
}

// Giving that fails keeps nothing of the same key from ending.
func TestGivingThatWaitsKeepsNothing(t *testing.T) {
	b := bustest.New(t)
	refusePuts := func(r *http.Request, _ int) string { return map[bool]string{true: "503"}[r.Method == http.MethodPut] }
	t.Run("what is being taken", func(t *testing.T) {
		s, _ := oktaScene(t, b)
		defer s.dismiss()
		s.hire()
		id := s.grant(time.Hour, payments(1))
		s.until(time.Minute, s.in(stateActive, id))
		s.wire.breaks(refusePuts)
		s.until(2*time.Hour, func() bool { return s.load(id).GetPrivileges()[0].GetStage() == stageTaken })
		s.grant(4*time.Hour, payments(1))
		if took := s.until(10*time.Minute, s.in(stateRevoked, id)); took > 30*time.Second {
			t.Errorf("ended %v after it was taken, want half a minute at most", took)
		}
	})
	t.Run("what is less", func(t *testing.T) {
		r := newRepository(t, b)
		defer r.dismiss()
		low := r.grant(time.Hour, r.privilege(1))
		r.until(time.Minute, r.in(stateActive, low))
		r.wire.breaks(refusePuts)
		high := r.grant(70*time.Minute, r.privilege(5))
		r.pass(time.Hour)
		if took := r.until(time.Hour, r.in(stateRevoked, low)); took > time.Minute {
			t.Errorf("ended %v after its end, want a minute at most", took)
		}
		r.until(5*time.Hour, r.in(stateRevoked, high))
		if level := r.shows(); level != "" {
			t.Errorf("got level %q after both ends, want none", level)
		}
	})
}

func TestSessionsAreTriedAgain(t *testing.T) {
	s, _ := oktaScene(t, bustest.New(t))
	s.hire()
	id := s.grant(time.Hour, payments(1))
	s.until(time.Minute, s.in(stateActive, id))
	tries := 0
	s.wire.breaks(func(r *http.Request, _ int) string {
		if r.Method != http.MethodDelete || !strings.HasSuffix(r.URL.Path, "/sessions") {
			return ""
		}
		if tries++; tries < 6 {
			return "503"
		}
		return ""
	})
	s.until(2*time.Hour, s.in(stateRevoked, id))
	if held := s.load(id).GetPrivileges()[0]; tries != 6 || !strings.HasPrefix(held.GetSessions(), "ended: ") || held.GetTrouble() != "" {
		t.Errorf("tried %d times, got %v, want them ended by the sixth try", tries, held)
	}
}

// A group's members and its owners are two lists: a place in one says nothing of the other.
func TestLevelsThatAreApart(t *testing.T) {
	b := bustest.New(t)
	for _, levels := range [][]string{{"", "owner"}, {"owner", ""}} {
		t.Run(fmt.Sprintf("%q", levels), func(t *testing.T) {
			d := newDirectory(t, b)
			defer d.dismiss()
			one := d.grant(time.Hour, d.place(levels[0]))
			d.until(time.Minute, d.in(stateActive, one))
			two := d.grant(4*time.Hour, d.place(levels[1]))
			d.until(time.Minute, d.in(stateActive, two))
			both := d.grant(2*time.Hour, d.place(levels[0]), d.place(levels[1]))
			d.until(time.Minute, d.in(stateActive, both))
			d.shows(levels...)
			d.until(70*time.Minute, d.in(stateRevoked, one))
			d.shows(levels...)
			d.until(70*time.Minute, d.in(stateRevoked, both))
			d.shows(levels[1])
			d.until(3*time.Hour, d.in(stateRevoked, two))
			d.shows()
		})
	}
}

// Who is deleted and can be restored gets it back then: the receipt says so.
func TestTheHolderCanBeRestored(t *testing.T) {
	d := newDirectory(t, bustest.New(t))
	id := d.grant(time.Hour, d.place(""))
	d.until(time.Minute, d.in(stateActive, id))
	d.tenant.Directory.Delete(d.anna.ID)
	d.until(2*time.Hour, d.in(stateRevoked, id))
	if residual := d.load(id).GetPrivileges()[0].GetResidual(); !strings.Contains(residual, "can be restored") {
		t.Errorf("got residual %q, want that it can come back", residual)
	}
}

// directory is a Microsoft 365 tenant with a group.
type directory struct {
	*scene
	tenant   *fake.M365
	anna     fake.M365Person
	payments string
}

func newDirectory(t *testing.T, b *bus.Bus) *directory {
	t.Helper()
	const client = "00000000-0000-4000-8000-00000000c11e"
	d := &directory{anna: fake.NewM365Person("anna.berg", "example.com"), payments: fake.M365ID("group", "Payments")}
	d.tenant = fake.NewM365(fake.M365Config{ClientID: client, Secret: "secret"})
	d.tenant.Directory.Put(fake.M365User{M365Person: d.anna}, fake.M365Group{ID: d.payments, Name: "Payments"})
	d.scene = newScene(t, b, "m365", d.tenant, func(url string) (Source, error) {
		return m365.New(m365.Config{
			TenantID: d.tenant.Tenant(), ClientID: client, ClientSecret: config.SecretValue("secret"), LoginURL: url, ActivityURL: url, GraphURL: url,
		})
	})
	d.hire()
	return d
}

func (d *directory) place(level string) *curfewv1.Privilege {
	return &curfewv1.Privilege{Source: "m365", Kind: "group", Holder: d.anna.ID, Resource: d.payments, Level: level}
}

// shows wants the places of some levels, and no more.
func (d *directory) shows(levels ...string) {
	d.Helper()
	snapshot, want := d.tenant.Directory.Snapshot(), map[string]int{}
	for _, level := range levels {
		want[level] = 1
	}
	if members, owners := len(snapshot.Members[d.payments]), len(snapshot.Owners[d.payments]); members != want[""] || owners != want["owner"] {
		d.Errorf("got %d members and %d owners, want the levels %q", members, owners, levels)
	}
}
