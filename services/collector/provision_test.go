// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/grant"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/okta"
)

var (
	stateActive     = curfewv1.GrantState_GRANT_STATE_ACTIVE
	stateUnverified = curfewv1.GrantState_GRANT_STATE_UNVERIFIED
	stateRevoked    = curfewv1.GrantState_GRANT_STATE_REVOKED
)

// scene is grants of a tenant, a vendor, and collectors that come and go, by a clock that is moved by hand.
type scene struct {
	*testing.T
	bus    *bus.Bus
	clock  *clocktest.Manual
	wire   *wire
	source func() Source
	name   string
	tenant string
	crew   []*hand
	n      int
}

// hand is a collector at work, with or without the lease.
type hand struct {
	*provisioning
	actor *actor
	life  context.Context // ends with it
	stop  func()
	kill  func() // ends it, and waits for nothing
	dead  atomic.Bool
}

var began = time.Date(2026, time.March, 9, 9, 0, 0, 0, time.UTC)

func newScene(t *testing.T, b *bus.Bus, name string, vendor http.Handler, open func(url string) (Source, error)) *scene {
	t.Helper()
	s := &scene{T: t, bus: b, clock: clocktest.New(began), name: name, tenant: strings.NewReplacer("/", "-", "#", "-").Replace(t.Name()), wire: &wire{vendor: vendor, seen: map[string]*httptest.ResponseRecorder{}, asked: map[string]int{}}}
	server := httptest.NewUnstartedServer(s.wire)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	s.source = func() Source {
		source, err := open(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	return s
}

const people = 12

func oktaScene(t *testing.T, b *bus.Bus) (*scene, *fake.Okta) {
	t.Helper()
	o := fake.NewOkta(fake.OktaConfig{Token: "token"})
	o.Put(fake.OktaGroup{ID: "00gPayments", Name: "Payments"})
	for i := range people {
		o.Put(fake.OktaUser{ID: person(i), Login: fmt.Sprintf("p%d@example.com", i)})
	}
	return newScene(t, b, "okta", o, func(url string) (Source, error) {
		return okta.New(okta.Config{URL: url, Token: config.SecretValue("token")})
	}), o
}

func person(i int) string { return fmt.Sprintf("00uPerson%d", i) }

func isMember(o *fake.Okta, holder string) bool {
	for _, member := range o.Snapshot().Members["00gPayments"] {
		if member == holder {
			return true
		}
	}
	return false
}

// hire begins another collector, which asks nobody for the lease.
func (s *scene) hire() *hand {
	s.Helper()
	s.n++
	p := newProvisioning(Options{
		Bus: s.bus, Tenant: s.tenant, Holder: fmt.Sprintf("collector-%d", s.n), Clock: s.clock, Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
		Sources: map[string]Configured{s.name: {Source: s.source()}},
	}, usualPace())
	ctx, cancel := context.WithCancel(s.Context())
	h := &hand{provisioning: p, actor: p.actors[s.name], life: ctx}
	h.kill = func() {
		h.dead.Store(true)
		cancel()
	}
	var work sync.WaitGroup
	work.Go(func() { p.follow(ctx) })
	work.Go(func() {
		if _, err := h.actor.work(ctx); !errors.Is(err, context.Canceled) && ctx.Err() == nil {
			s.Errorf("work: %v", err)
		}
	})
	once := sync.OnceFunc(func() {
		cancel()
		work.Wait()
	})
	h.stop = func() {
		once()
		for i, other := range s.crew {
			if other == h {
				s.crew = append(s.crew[:i:i], s.crew[i+1:]...)
				return
			}
		}
	}
	s.Cleanup(once)
	s.crew = append(s.crew, h)
	if err := p.current(ctx); err != nil && !h.dead.Load() {
		s.Fatal(err)
	}
	return h
}

// grant stores a grant that begins now and ends after d.
func (s *scene) grant(d time.Duration, privileges ...*curfewv1.Privilege) string {
	s.Helper()
	s.n++
	now := s.clock.Now()
	g := &curfewv1.Grant{
		Id: fmt.Sprintf("g%d", s.n), Tenant: s.tenant, Subject: "person:ada", Role: "payments", State: curfewv1.GrantState_GRANT_STATE_APPROVED,
		From: timestamppb.New(now), ExpiresAt: timestamppb.New(now.Add(d)), Author: "person:max",
	}
	for _, p := range privileges {
		g.Privileges = append(g.Privileges, &curfewv1.HeldPrivilege{Privilege: p})
	}
	step := &curfewv1.GrantStep{Format: bus.Format, Grant: g, Time: timestamppb.New(now), Author: "person:max"}
	if _, err := s.bus.Append(s.Context(), bus.GrantSubject(s.tenant, g.GetId()), 0, step); err != nil {
		s.Fatal(err)
	}
	s.schedule(s.current())
	return g.GetId()
}

func payments(i int) *curfewv1.Privilege {
	return &curfewv1.Privilege{Source: "okta", Kind: "group", Holder: person(i), Resource: "00gPayments"}
}

// current is a book that holds all that is stored.
func (s *scene) current() *grant.Book {
	s.Helper()
	s.replace()
	for _, h := range s.crew {
		switch err := h.current(h.life); {
		case err != nil && h.dead.Load():
			return s.current() // it was killed while we waited
		case err != nil:
			s.Fatal(err)
		}
	}
	if len(s.crew) == 0 {
		s.Fatal("nobody keeps a book")
	}
	return s.crew[0].book
}

// schedule does what the scheduler does, and returns how long until it is due again.
func (s *scene) schedule(book *grant.Book) (next time.Duration) {
	next = time.Hour
	again := false
	book.Each(func(e grant.Entry) bool {
		if turned, _ := grant.Turn(e.Value, s.clock.Now()); turned != nil {
			s.change(e.Value.GetId(), func(g *curfewv1.Grant) *curfewv1.Grant {
				turned, _ := grant.Turn(g, s.clock.Now())
				return turned
			})
			again = true
		} else if at, ok := grant.Due(e.Value); ok {
			next = min(next, at.Sub(s.clock.Now()))
		}
		return true
	})
	if again {
		return s.schedule(s.current())
	}
	return max(next, 0)
}

// change stores a step of a grant.
func (s *scene) change(id string, change func(*curfewv1.Grant) *curfewv1.Grant) {
	s.Helper()
	for {
		e, err := s.crew[0].book.Load(s.Context(), id)
		if err != nil {
			s.Fatal(err)
		}
		next := change(proto.CloneOf(e.Value))
		if next == nil {
			return
		}
		err = s.crew[0].book.Store(s.Context(), s.clock.Now(), grant.Change{Entry: e, Next: next, Author: "service:scheduler"})[0]
		if errors.Is(err, bus.ErrConflict) {
			continue
		}
		if err != nil {
			s.Fatal(err)
		}
		return
	}
}

// load is a grant as it stands.
func (s *scene) load(id string) *curfewv1.Grant {
	s.Helper()
	e, err := s.crew[0].book.Load(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return e.Value
}

func (s *scene) in(state curfewv1.GrantState, ids ...string) func() bool {
	return func() bool {
		for _, id := range ids {
			if s.load(id).GetState() != state {
				return false
			}
		}
		return true
	}
}

// replace hires a successor for whoever was killed.
func (s *scene) replace() {
	s.Helper()
	for _, h := range slices.Clone(s.crew) {
		if h.dead.Load() {
			h.stop()
			s.hire()
		}
	}
}

// dismiss ends every collector.
func (s *scene) dismiss() {
	for len(s.crew) > 0 {
		s.crew[0].stop()
	}
}

// quiet waits until all that can be done now is done. It says false where that cannot be: a call hangs. Who was killed has
// a successor.
func (s *scene) quiet() bool {
	s.Helper()
	start := time.Now()
	for calm := 0; calm < 2; {
		s.replace()
		if len(s.crew) > 1 {
			s.current()
		}
		busy := false
		for _, h := range s.crew {
			h.actor.inbox.mu.Lock()
			busy = busy || len(h.actor.inbox.touches) > 0 || h.actor.idle.Load() <= s.clock.Now().UnixNano()
			h.actor.inbox.mu.Unlock()
		}
		switch {
		case !busy:
			calm++
			continue
		case s.wire.hanging() > 0 && time.Since(start) > 5*time.Millisecond:
			return false
		case time.Since(start) > 20*time.Second:
			s.Fatal("it never comes to rest")
		}
		if calm = 0; time.Since(start) < time.Millisecond {
			runtime.Gosched()
			continue
		}
		<-time.After(50 * time.Microsecond) // whoever it waits for wants the processor too
	}
	return true
}

// until moves the clock from one thing that is due to the next until done, and returns how long that took by the clock.
func (s *scene) until(most time.Duration, done func() bool) (took time.Duration) {
	s.Helper()
	start := s.clock.Now()
	for {
		due := s.schedule(s.current())
		rested := s.quiet()
		if took = s.clock.Now().Sub(start); rested && done() {
			return took
		}
		if took >= most {
			s.Fatalf("not done after %v", took)
		}
		s.move(min(due, most-took))
	}
}

// pass moves the clock by d.
func (s *scene) pass(d time.Duration) {
	s.Helper()
	end := s.clock.Now().Add(d)
	for {
		due := s.schedule(s.crew[0].book)
		s.quiet()
		left := end.Sub(s.clock.Now())
		if left <= 0 {
			return
		}
		s.move(min(due, left))
	}
}

// move moves the clock to what is due next, by most at most.
func (s *scene) move(most time.Duration) {
	if next, ok := s.clock.Next(); ok && next < most {
		most = max(next, time.Millisecond)
	}
	s.clock.Move(max(most, time.Millisecond))
}

func TestAGrantIsGivenAndTaken(t *testing.T) {
	s, o := oktaScene(t, bustest.New(t))
	h := s.hire()
	id := s.grant(time.Hour, payments(1))
	if took := s.until(time.Minute, s.in(stateActive, id)); took > time.Second {
		t.Errorf("given after %v, want at once", took)
	}
	if !isMember(o, person(1)) {
		t.Error("it is active and not there")
	}
	s.pass(59 * time.Minute)
	if !isMember(o, person(1)) {
		t.Error("it was taken early")
	}
	if took := s.until(2*time.Minute, s.in(stateRevoked, id)); took < time.Minute+4*time.Second {
		t.Errorf("revoked %v after its end, want three reads in a row that are 2s apart", took-time.Minute)
	}
	held := s.load(id).GetPrivileges()[0]
	s.current() // the book may be behind what load read
	s.quiet()
	h.stop()
	if isMember(o, person(1)) || held.GetGone() == nil || held.GetCalled() == nil || len(held.GetReads()) < 3 || held.GetSessions() == "" || held.GetAttempts() != 1 || held.GetTrouble() != "" {
		t.Errorf("got %v, want it gone, with a receipt", held)
	}
	if len(h.actor.tasks) > 0 || len(h.actor.index) > 0 {
		t.Errorf("%d tasks and %d keys are kept of what is over", len(h.actor.tasks), len(h.actor.index))
	}
}
