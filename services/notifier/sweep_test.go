// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What people are kept from does not call others, and once they are not kept from it any more they have all of their time.
func TestWhatIsMutedDoesNotEscalate(t *testing.T) {
	b, p, pager, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	p.now, pager.now = c.Now, c.Now
	run(t, b, map[string]Receiver{"place": p, "pager": pager}, withClock(c), withAlerts(config.Alerts{
		Routes:   []config.Route{{Name: "all", Receivers: []string{"place"}}},
		Escalate: []config.Escalation{{Severity: "high", After: time.Minute, Receivers: []string{"pager"}}},
	}))
	pause := moving(t, c)
	f := found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	pause()
	begun := c.Now()
	silence(t, b, begun, func(s *curfewv1.Silence) {
		s.Match, s.Until = &curfewv1.SilenceMatch{AlertId: alert.ID(f)}, timestamppb.New(begun.Add(3*time.Minute))
	})
	p.until(t, "it is told", func() bool { return len(p.notices) == 1 })
	defer moving(t, c)()
	pager.until(t, "the pager goes", func() bool { return len(pager.messages) == 1 })
	if d := pager.messages[0].at.Sub(begun); d < 3*time.Minute+50*time.Second {
		t.Errorf("the pager goes %v after an alert was muted for three minutes", d)
	}
}

// What was kept back calls others once people have had their time since they could see it.
func TestEscalationCountsFromWhenItIsShown(t *testing.T) {
	b, p, pager, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	p.now, pager.now = c.Now, c.Now
	silence(t, b, c.Now(), func(s *curfewv1.Silence) { s.Until = timestamppb.New(c.Now().Add(2 * time.Minute)) })
	run(t, b, map[string]Receiver{"place": p, "pager": pager}, withClock(c), withAlerts(config.Alerts{
		Routes:   []config.Route{{Name: "all", Receivers: []string{"place"}}},
		Escalate: []config.Escalation{{Severity: "high", After: time.Minute, Receivers: []string{"pager"}}},
	}))
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "held", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetHold() != nil })
	defer moving(t, c)()
	pager.until(t, "the pager goes", func() bool { return len(pager.messages) == 1 })
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := pager.messages[0].at.Sub(p.messages[0].at); d < 50*time.Second {
		t.Errorf("people had %v, not a minute, before the pager went", d)
	}
}

func TestWhenOthersAreCalled(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	r := newRouting(config.Alerts{Escalate: []config.Escalation{
		{Severity: "critical", After: 15 * time.Minute}, {Severity: "high", After: time.Hour},
	}}, nil, nil)
	for _, c := range []struct {
		name   string
		change func(*curfewv1.Alert)
		want   time.Duration // from now; negative = never
	}{
		{"first seen now", func(*curfewv1.Alert) {}, time.Hour},
		{"seen for a while", func(a *curfewv1.Alert) { a.EscalateAt = timestamppb.New(now.Add(40 * time.Minute)) }, 40 * time.Minute},
		{"more severe now", func(a *curfewv1.Alert) {
			a.EscalateAt = timestamppb.New(now.Add(40 * time.Minute))
			a.Severity = curfewv1.Severity_SEVERITY_CRITICAL
		}, 15 * time.Minute},
		{"muted now", func(a *curfewv1.Alert) {
			a.EscalateAt = timestamppb.New(now.Add(40 * time.Minute))
			a.Deliveries[0].Hold = &curfewv1.Hold{}
		}, -1},
		{"the second time", func(a *curfewv1.Alert) { a.Severity, a.Escalations = curfewv1.Severity_SEVERITY_CRITICAL, 1 }, 45 * time.Minute},
		{"all were called", func(a *curfewv1.Alert) { a.Escalations = 1 }, -1},
		{"goes to nobody", func(a *curfewv1.Alert) { a.Deliveries = nil }, -1},
	} {
		a := &curfewv1.Alert{State: curfewv1.AlertState_ALERT_STATE_OPEN, Severity: curfewv1.Severity_SEVERITY_HIGH, Deliveries: []*curfewv1.AlertDelivery{{Receiver: "place"}}}
		c.change(a)
		before := proto.CloneOf(a)
		got := r.timed(a, now)
		if is := got.GetEscalateAt() != nil; is != (c.want >= 0) || is && got.GetEscalateAt().AsTime().Sub(now) != c.want {
			t.Errorf("%s: got %v, want %v from now", c.name, got.GetEscalateAt().AsTime().Sub(now), c.want)
		}
		if !proto.Equal(a, before) {
			t.Errorf("%s: the alert that was given changed", c.name)
		}
	}
}

// A grant that was ended from an alert and never is over is looked at ever more seldom, and given up with a word on it.
func TestAGrantIsFollowedForAWeek(t *testing.T) {
	b, c := bustest.New(t), clocktest.New(time.Now())
	f := found(t, b, "f1", "ida")
	a := alert.Revoked(alert.Add(nil, f, c.Now()), "person:bob", "ended g1", []string{"g1"}, c.Now())
	book := alert.NewBook(b, "main")
	if err := book.Create(t.Context(), c.Now(), a, "person:bob", ""); err != nil {
		t.Fatal(err)
	}
	d := &desk{Options: Options{Bus: b, Tenant: "main", Clock: c}, book: book, grants: grant.NewBook(b, "main"), revoked: map[string][]string{a.GetId(): {"g1"}}}
	d.better, d.hiding, d.escalate, d.unrouted, d.questions, d.own = map[string]map[string]string{}, map[string][]string{}, map[string]time.Time{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	w, looks := &follower{desk: d, waits: map[string]retry{}}, 0
	for until := c.Now().Add(6 * 24 * time.Hour); c.Now().Before(until); c.Move(time.Minute) {
		before := w.waits[a.GetId()+" g1"].tries
		w.look(t.Context(), c.Now())
		looks += w.waits[a.GetId()+" g1"].tries - before
	}
	if looks < 1000 || looks > 2000 {
		t.Errorf("looked %d times in six days, want once each five minutes", looks)
	}
	c.Move(2 * 24 * time.Hour)
	w.look(t.Context(), c.Now())
	if n := load(t, b, f).GetNotes(); !strings.Contains(n[len(n)-1].GetText(), "g1 has not ended for a week") || len(w.waits) > 0 {
		t.Errorf("got %v, %v", n, w.waits)
	}
}
