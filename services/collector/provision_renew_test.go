// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/googleworkspace"
)

// workspace is a Google Workspace that ends memberships by itself too.
type workspace struct {
	*scene
	google      *fake.Google
	group, anna string
}

func newWorkspace(t *testing.T, b *bus.Bus) *workspace {
	t.Helper()
	w := &workspace{google: fake.NewGoogle(fake.GoogleConfig{})}
	w.group = w.google.AddGroup(fake.GoogleGroup{Email: "payments@example.com", Name: "Payments"})
	w.anna = w.google.AddUser(fake.GoogleUser{Email: "anna@example.com", Name: "Anna"})
	w.scene = newScene(t, b, "google", w.google, func(url string) (Source, error) {
		return googleworkspace.New(googleworkspace.Config{
			URL: url, Credentials: config.SecretValue(w.google.Credentials(url)), Subject: "root@example.com", NativeExpiry: true,
		})
	})
	// Google ends by its own clock, which is not moved by hand.
	w.clock.Move(time.Since(began).Truncate(time.Second))
	w.hire()
	return w
}

func (w *workspace) give(d time.Duration) string {
	return w.grant(d, &curfewv1.Privilege{Source: "google", Kind: "group", Holder: w.anna, Resource: w.group})
}

// ends is when Google ends the membership; zero where it does not.
func (w *workspace) ends() (at time.Time) {
	for _, m := range w.google.State().Members {
		if m.Member == w.anna {
			at = m.Expires
		}
	}
	return at
}

// behind wants Google to end the membership a belt behind the end of a grant.
func (w *workspace) behind(what, id string) {
	w.Helper()
	if got, want := w.ends(), grant.End(w.load(id)).Add(belt).Truncate(time.Second); !got.Equal(want) {
		w.Errorf("%s: Google ends it at %v, want %v", what, got, want)
	}
}

func (s *scene) extend(id string, by time.Duration) {
	s.Helper()
	s.change(id, func(g *curfewv1.Grant) *curfewv1.Grant {
		next, err := grant.Extend(g, &curfewv1.Extension{By: durationpb.New(by)}, true, s.clock.Now())
		if err != nil {
			s.Fatal(err)
		}
		return next
	})
	s.current()
}

// moves gives calls that move an end a fault from now on; what it returns is how many there were.
func (w *workspace) moves(fault string) (asked func() int) {
	n := 0
	w.wire.breaks(func(r *http.Request, _ int) string {
		if !strings.HasSuffix(r.URL.Path, ":modifyMembershipRoles") {
			return ""
		}
		n++
		return fault
	})
	return func() int {
		w.wire.mu.Lock()
		defer w.wire.mu.Unlock()
		return n
	}
}

// The vendor's own end moves with that of the grants, whoever is at work when they move.
func TestTheVendorsEndMoves(t *testing.T) {
	b := bustest.New(t)
	for _, restart := range []bool{false, true} {
		t.Run(map[bool]string{false: "at work", true: "across a restart"}[restart], func(t *testing.T) {
			w := newWorkspace(t, b)
			again := func() {
				if restart {
					w.dismiss()
					w.hire()
				}
			}
			id := w.give(time.Hour)
			w.until(time.Minute, w.in(stateActive, id))
			w.behind("given", id)
			w.extend(id, 2*time.Hour)
			again()
			w.pass(time.Minute)
			w.behind("extended", id)
			longer := w.give(5 * time.Hour)
			again()
			w.until(time.Minute, w.in(stateActive, longer))
			w.pass(time.Minute)
			w.behind("another grant", longer)
			asked := w.moves("")
			again()
			w.pass(10 * time.Minute)
			if n := asked(); n > 0 {
				t.Errorf("%d calls, while no end moved", n)
			}
			w.until(4*time.Hour, w.in(stateRevoked, id))
			w.behind("the shorter is over", longer)
			w.until(6*time.Hour, w.in(stateRevoked, longer))
			if len(w.google.State().Members) > 0 {
				t.Error("it is there after its end")
			}
		})
	}
}

// A vendor that does not move its end is asked for a while; then it is told, and the grant stays what it is.
func TestAnEndThatDoesNotMove(t *testing.T) {
	for name, fault := range map[string]string{"refused": "403", "accepted and not done": "lie", "broken": "503"} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t, bustest.New(t))
			id := w.give(time.Hour)
			w.until(time.Minute, w.in(stateActive, id))
			asked := w.moves(fault)
			w.extend(id, time.Hour)
			w.pass(15 * time.Minute)
			if held := w.load(id).GetPrivileges()[0]; w.load(id).GetState() != stateActive || !strings.Contains(held.GetTrouble(), "ends it at") {
				t.Errorf("got %v, want it active, and that Google ends it sooner", held)
			}
			if n := asked(); n == 0 || n > renewals {
				t.Errorf("asked %d times, want 1 to %d", n, renewals)
			}
			w.wire.always("")
			w.extend(id, time.Hour)
			w.pass(time.Minute)
			w.behind("extended again", id)
			if trouble := w.load(id).GetPrivileges()[0].GetTrouble(); trouble != "" {
				t.Errorf("got trouble %q, want none any more", trouble)
			}
		})
	}
}

// Who was in the group before gets no end, and what somebody took is not given again by an end that moves.
func TestNoEndIsAdded(t *testing.T) {
	b := bustest.New(t)
	for _, standing := range []bool{true, false} {
		t.Run(map[bool]string{true: "there before", false: "somebody took it"}[standing], func(t *testing.T) {
			w := newWorkspace(t, b)
			if standing {
				w.google.SetMember(fake.GoogleMember{Group: w.group, Member: w.anna})
			}
			id := w.give(time.Hour)
			w.until(time.Minute, w.in(stateActive, id))
			if !standing {
				w.google.RemoveMember(w.group, w.anna)
			}
			w.extend(id, time.Hour)
			w.pass(time.Minute)
			w.dismiss()
			w.hire()
			w.pass(time.Minute)
			if members := w.google.State().Members; len(members) > 0 != standing || !w.ends().IsZero() {
				t.Errorf("got members %v, want her in it without an end: %v", members, standing)
			}
		})
	}
}
