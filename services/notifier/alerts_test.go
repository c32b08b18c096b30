// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func severe(s curfewv1.Severity) func(*curfewv1.Finding) {
	return func(f *curfewv1.Finding) { f.Severity = s }
}

func detected(by string) func(*curfewv1.Finding) {
	return func(f *curfewv1.Finding) { f.Detection = by }
}

// load is an alert as it stands.
func load(t *testing.T, b *bus.Bus, f *curfewv1.Finding) *curfewv1.Alert {
	t.Helper()
	entry, err := alert.NewBook(b, "main").Load(t.Context(), alert.ID(f))
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return entry.Value
}

// does takes a step that people take, as the evaluator does.
func does(t *testing.T, b *bus.Bus, f *curfewv1.Finding, step func(*curfewv1.Alert) *curfewv1.Alert) {
	t.Helper()
	if _, err := alert.NewBook(b, "main").Change(t.Context(), alert.ID(f), "person:bob", time.Now, func(a *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		next := step(a)
		return next, "", next != nil
	}); err != nil {
		t.Fatal(err)
	}
}

// waits until an alert is as wanted.
func waits(t *testing.T, b *bus.Bus, p *place, f *curfewv1.Finding, what string, is func(*curfewv1.Alert) bool) *curfewv1.Alert {
	t.Helper()
	var a *curfewv1.Alert
	p.until(t, what, func() bool {
		a = load(t, b, f)
		return a != nil && is(a)
	})
	return a
}

func deliveryOf(a *curfewv1.Alert) *curfewv1.AlertDelivery { return alert.Delivery(a, "place") }

func TestAFindingIsShownOnce(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	found(t, b, "f1", "ida")
	found(t, b, "f1", "ida") // the same finding, written again after an evaluator's crash
	found(t, b, "f2", "bob")
	p.until(t, "both shown", func() bool { return p.times()["f1"] == 1 && p.times()["f2"] == 1 })
	f3 := found(t, b, "f3", "cid")
	a := waits(t, b, p, f3, "the third is noted as sent", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
	})
	if d := deliveryOf(a); d.GetRef() == "" || d.GetReason() != "route: every alert" || d.GetPost() != "" || d.GetSending() != nil {
		t.Errorf("got %v", d)
	}
	if got := p.times(); got["f1"] != 1 || got["f2"] != 1 || got["f3"] != 1 || len(p.messages) != 3 {
		t.Errorf("got %v in %d messages", got, len(p.messages))
	}
	if _, err := b.Publish(t.Context(), "finding.main.high.x", "bad", wrapperspb.Bytes([]byte("\xff"))); err != nil {
		t.Fatal(err)
	}
	found(t, b, "f4", "dan")
	p.until(t, "what comes behind one that cannot be read", func() bool { return p.times()["f4"] == 1 })
	letter, err := b.Last(t.Context(), bus.All("dead"))
	if err != nil || letter.Subject != "dead.notifier.unreadable=20finding" {
		t.Errorf("what cannot be read: got %s, %v", letter.Subject, err)
	}
}

// More of the same makes no more messages: it is counted, and said behind the first seldom.
func TestMoreOfTheSame(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	stop := moving(t, c)
	defer stop()
	f := found(t, b, "f0", "ida")
	p.until(t, "it is shown", func() bool { return len(p.messages) == 1 })
	for i := range 20 {
		found(t, b, fmt.Sprint("more", i), "ida")
	}
	p.until(t, "the count is shown", func() bool { return p.messages[0].alerts[0].GetCount() == 21 })
	p.until(t, "it is said", func() bool { return len(p.messages[0].replies) > 0 && strings.Contains(p.text(), "21 in all") })
	if got := len(p.messages); got != 1 || p.messages[0].edits > 3 {
		t.Errorf("got %d messages, %d edits, of %v", got, p.messages[0].edits, load(t, b, f))
	}
}

// moving moves a clock on, a hundred times as fast as time passes.
func moving(t *testing.T, c *clocktest.Manual) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				c.Move(200 * time.Millisecond)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func TestObserveAlertsNobody(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	stop := run(t, b, map[string]Receiver{"place": p}, withMode(config.Config{Mode: config.Observe}.ModeOf))
	f1 := found(t, b, "f1", "ida")
	a := waits(t, b, p, f1, "it is recorded", func(*curfewv1.Alert) bool { return true })
	if d := deliveryOf(a); d.GetState() != curfewv1.DeliveryState_DELIVERY_STATE_HELD || !strings.Contains(d.GetHold().GetText(), "the mode of okta is observe") {
		t.Errorf("got %v", d)
	}
	found(t, b, "owed", "", func(f *curfewv1.Finding) { f.Event, f.Decision, f.GrantId = nil, nil, "g1" })
	p.until(t, "what Curfew owes is told in any mode", func() bool { return p.times()["owed"] == 1 })
	stop()
	// What was kept from people is not sent by a change of the mode, but with the next finding of it.
	run(t, b, map[string]Receiver{"place": p})
	found(t, b, "f2", "bob")
	p.until(t, "another is shown", func() bool { return p.times()["f2"] == 1 })
	if p.times()["f1"] != 0 {
		t.Error("the past came with the change of the mode")
	}
	found(t, b, "f3", "ida")
	p.until(t, "the next finding of it is shown, with what was before", func() bool { return p.times()["f1"] == 1 })
	if a := load(t, b, f1); a.GetCount() != 2 {
		t.Errorf("got %v", a)
	}
}

// Each way in which a delivery can go wrong, at a place that can be asked and at one that cannot.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		times    int
		asked    bool // the place can be asked what arrived
		messages int
	}{
		{"refused three times", &delivery.Refused{Reason: "not now"}, 3, true, 1},
		{"refused for good until mended", &delivery.Refused{Reason: "token withdrawn", Final: true}, 2, true, 1},
		{"too fast", &delivery.Refused{Reason: "rate", After: 3 * time.Second}, 2, true, 1},
		{"unfit", &delivery.Refused{Reason: "too large", Unfit: true}, 1, true, 1},
		{"taken, and the reply lost", errLost, 1, true, 1},
		{"taken, and the reply lost, where nobody can be asked", errLost, 1, false, 2},
		{"refused where nobody can be asked", &delivery.Refused{Reason: "not now"}, 2, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, p, clock := bustest.New(t), newPlace(), clocktest.New(time.Now())
			left := c.times
			p.fault = func(call string) error {
				if call == "post" && left > 0 {
					left--
					return c.err
				}
				return nil
			}
			var r Receiver = p
			if !c.asked {
				r = mute{p}
			}
			run(t, b, map[string]Receiver{"place": r}, withClock(clock))
			defer moving(t, clock)()
			f := found(t, b, "f1", "ida")
			a := waits(t, b, p, f, "it is sent", func(a *curfewv1.Alert) bool {
				return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
			})
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.messages) != c.messages || deliveryOf(a).GetTries() != 0 || deliveryOf(a).GetTrouble() != "" {
				t.Errorf("got %d messages, want %d; %v", len(p.messages), c.messages, deliveryOf(a))
			}
			if c.messages == 2 && p.messages[0].id != p.messages[1].id {
				t.Error("the repeat has another id, so that nobody can tell it is one")
			}
		})
	}
}

// A notifier that dies while it hands an alert over is followed by one that asks what became of it.
func TestTheNextAsksWhatBecameOfIt(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprint("arrived ", arrived), func(t *testing.T) {
			b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
			f := found(t, b, "f1", "ida")
			book := alert.NewBook(b, "main")
			a := alert.Add(nil, f, c.Now())
			a = alert.Begin(alert.Route(a, []alert.Want{{Receiver: "place", Reason: "route: every alert"}}), "place", "p1", c.Now())
			if err := book.Create(t.Context(), c.Now(), a, "service:notifier", ""); err != nil {
				t.Fatal(err)
			}
			if arrived {
				if _, err := p.Post(t.Context(), &curfewv1.Post{Id: "p1", Alerts: []*curfewv1.Alert{a}}); err != nil {
					t.Fatal(err)
				}
			}
			run(t, b, map[string]Receiver{"place": p}, withClock(c))
			defer moving(t, c)()
			waits(t, b, p, f, "it is sent", func(a *curfewv1.Alert) bool {
				return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
			})
			if got := p.times()["f1"]; got != 1 {
				t.Errorf("it is shown %d times", got)
			}
		})
	}
}

// What people do is seen where it is shown, at once.
func TestWhatPeopleDoIsSeen(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	f := found(t, b, "f1", "ida")
	p.until(t, "it is shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", time.Now()) })
	p.until(t, "who took it on is shown", func() bool {
		return p.messages[0].alerts[0].GetAssignee() == "person:bob" && strings.Contains(p.text(), "person:bob: Taken on.")
	})
	p.mu.Lock()
	lost := true
	p.fault = func(call string) error {
		if call == "reply" && lost {
			lost = false
			return errLost // it stands there, and nobody knows
		}
		return nil
	}
	p.mu.Unlock()
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "a test", time.Now()) })
	p.until(t, "what it was is shown", func() bool { return p.messages[0].alerts[0].GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED })
	waits(t, b, p, f, "all is told", alert.IsOver)
	if got := strings.Count(p.text(), "Resolved: a test"); got != 1 || len(p.messages) != 1 {
		t.Errorf("it is said %d times: %s", got, p.text())
	}
	found(t, b, "f2", "ida")
	p.until(t, "the next is a message of its own", func() bool { return len(p.messages) == 2 })
	if a := load(t, b, f); a.GetEpisode() != 2 || a.GetCount() != 1 {
		t.Errorf("got %v", a)
	}
}

func TestSilencesAreAnnounced(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	defer moving(t, c)()
	s := &curfewv1.Silence{
		Format: 1, Id: "s1", Tenant: "main", Author: "person:bob", Reason: "migration", Match: &curfewv1.SilenceMatch{Detection: "export_of_many"},
		From: timestamppb.New(c.Now()), Until: timestamppb.New(c.Now().Add(3 * time.Minute)),
	}
	value, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Silences, value, "main", "s1"); err != nil {
		t.Fatal(err)
	}
	p.until(t, "its beginning is told", func() bool {
		return len(p.notices) == 1 && strings.Contains(p.notices[0].GetText(), "person:bob keeps alerts quiet")
	})
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "it is kept back", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetHold().GetKind() == curfewv1.HoldKind_HOLD_KIND_SILENCE && strings.Contains(deliveryOf(a).GetHold().GetText(), "migration")
	})
	found(t, b, "other", "ida", detected("something_else"))
	p.until(t, "another is shown", func() bool { return p.times()["other"] == 1 })
	p.until(t, "its end is told", func() bool {
		return len(p.notices) == 2 && strings.Contains(p.notices[1].GetText(), "no longer kept quiet")
	})
	p.until(t, "what was kept back comes", func() bool { return p.times()["f1"] == 1 })
}

// What another alert says better is kept back, and comes once that is resolved.
func TestInhibition(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	defer moving(t, c)()
	same := func(f *curfewv1.Finding) { f.Event.Id = "e1" }
	worse := found(t, b, "worse", "ida", detected("used_after_end"), same)
	hidden := found(t, b, "hidden", "ida", detected("unauthorized_access"), same)
	waits(t, b, p, hidden, "it is kept back", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetHold().GetKind() == curfewv1.HoldKind_HOLD_KIND_INHIBITED && deliveryOf(a).GetHold().GetBy() == alert.ID(worse)
	})
	found(t, b, "another", "bob", detected("unauthorized_access"))
	p.until(t, "the others are shown", func() bool { return p.times()["worse"] == 1 && p.times()["another"] == 1 })
	silence(t, b, c.Now(), func(s *curfewv1.Silence) {
		s.Kind, s.Match = curfewv1.SilenceKind_SILENCE_KIND_MUTE, &curfewv1.SilenceMatch{AlertId: alert.ID(worse)}
	})
	found(t, b, "more", "ida", detected("used_after_end"), same)
	waits(t, b, p, worse, "it is muted", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetHold() != nil })
	later := c.Now().Add(time.Minute)
	p.until(t, "a minute passes", func() bool { return c.Now().After(later) })
	p.mu.Lock()
	if p.times()["hidden"] > 0 {
		t.Error("that people muted what says it better brought it out")
	}
	p.mu.Unlock()
	does(t, b, worse, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "done", time.Now()) })
	p.until(t, "it comes then", func() bool { return p.times()["hidden"] == 1 })
}

func TestEscalation(t *testing.T) {
	b, p, other, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	conf := config.Alerts{
		Routes:   []config.Route{{Name: "all", Receivers: []string{"place"}}},
		Escalate: []config.Escalation{{Severity: "high", After: 5 * time.Minute}, {Severity: "high", After: 10 * time.Minute, Receivers: []string{"pager"}}},
	}
	run(t, b, map[string]Receiver{"place": p, "pager": other}, withClock(c), withAlerts(conf))
	f := found(t, b, "f1", "ida")
	calm := found(t, b, "calm", "bob", severe(curfewv1.Severity_SEVERITY_LOW))
	taken := found(t, b, "taken", "cid")
	pause := moving(t, c)
	p.until(t, "all are shown", func() bool { return len(p.times()) == 3 })
	pause()
	does(t, b, taken, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", c.Now()) })
	waits(t, b, p, taken, "nobody is to be called for what somebody took on", func(a *curfewv1.Alert) bool { return a.GetEscalateAt() == nil })
	defer moving(t, c)()
	other.until(t, "others are called", func() bool { return other.times()["f1"] == 1 })
	p.until(t, "it is said once more, so that all hear it", func() bool {
		return strings.Contains(p.text(), "(loud true): Nobody took it on for 5m0s")
	})
	if a := load(t, b, f); a.GetEscalations() != 2 || a.GetEscalateAt() != nil {
		t.Errorf("got %v", a)
	}
	if len(other.times()) != 1 || load(t, b, calm).GetEscalations() != 0 {
		t.Errorf("got %v", other.times())
	}
}
