// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// waitsFor is until with a short patience, and does not end the test.
func (p *place) soon(t *testing.T, patience time.Duration, what string, is func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return true
		}
		<-time.After(20 * time.Millisecond)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Errorf("never: %s; messages %s", what, p.text())
	return false
}

// picky refuses whatever shows an alert with a title, for good, as Slack does a message that it does not like.
type picky struct {
	*place
	bad string
}

func (p picky) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	for _, a := range post.GetAlerts() {
		if a.GetFinding().GetTitle() == p.bad {
			return "", &delivery.Refused{Reason: "invalid_blocks", Final: true}
		}
	}
	return p.place.Post(ctx, post)
}

// 1. one alert that a receiver refuses for good keeps every less severe or younger one from it.
func TestZZPoisonPost(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	found(t, b, "bad", "eve", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	run(t, b, map[string]Receiver{"place": picky{p, "bad"}}, withClock(c))
	defer moving(t, c)()
	<-time.After(time.Second)
	found(t, b, "good", "ida")
	p.soon(t, 10*time.Second, "the good one is shown", func() bool { return p.times()["good"] == 1 }) // 10 s real = about 1000 s of its clock
}

// deaf refuses to edit one message: somebody deleted it (message_not_found is Final, not Unfit).
type deaf struct{ *place }

func (p deaf) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	if ref == "m1" {
		p.mu.Lock()
		p.calls = append(p.calls, "edit m1")
		p.mu.Unlock()
		return &delivery.Refused{Reason: "message_not_found", Final: true}
	}
	return p.place.Edit(ctx, ref, post)
}

// 2. a message that somebody deleted in Slack is tried for ever and pauses all of the receiver.
func TestZZDeletedMessage(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": deaf{p}}, withClock(c))
	f := found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	waits(t, b, p, f, "sent", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT })
	defer moving(t, c)()
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "x", c.Now()) })
	begun := c.Now()
	<-time.After(6 * time.Second)
	a := load(t, b, f)
	p.mu.Lock()
	n := 0
	for _, call := range p.calls {
		if call == "edit m1" {
			n++
		}
	}
	p.mu.Unlock()
	if !alert.IsOver(a) {
		t.Errorf("after %v of its clock: %d edits, never over: %v", c.Now().Sub(begun), n, deliveryOf(a))
	}
	refusing := 0
	_ = b.Read(t.Context(), bus.All("finding", "main"), bus.From{}, func(m bus.Message) error {
		if strings.Contains(m.Subject, "receiver") {
			refusing++
		}
		return nil
	})
	if refusing > 0 {
		t.Errorf("a false alarm that the receiver refuses: %d findings", refusing)
	}
}

// 3. a notifier that is asked to end while it stores what it is about to hand over loses what it did not hand over.
func TestZZEndInBegin(t *testing.T) {
	for n := range 25 {
		b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
		for i := range 20 {
			found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i), severe(curfewv1.Severity_SEVERITY_LOW))
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop := run(t, b, map[string]Receiver{"place": p}, withClock(c))
		go func() {
			seen := 0
			_ = b.Follow(ctx, bus.All("alert", "main"), bus.From{}, func(m bus.Message) error {
				step := new(curfewv1.AlertStep)
				if err := m.Decode(step); err == nil && deliveryOf(step.GetAlert()).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENDING {
					if seen++; seen == 1+n%10 {
						cancel()
						return errors.New("done")
					}
				}
				return nil
			})
		}()
		<-ctx.Done()
		stop()
		p.mu.Lock()
		first := len(p.times())
		p.mu.Unlock()
		stop2 := run(t, b, map[string]Receiver{"place": p}, withClock(c))
		still := moving(t, c)
		ok := p.soon(t, 8*time.Second, fmt.Sprintf("run %d: all are shown (%d were by the first)", n, first), func() bool { return len(p.times()) == 20 })
		still()
		stop2()
		if !ok {
			for i := range 20 {
				f := &curfewv1.Finding{Tenant: "main", Detection: "export_of_many", Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:p", i), Classes: []string{"pii.contact"}}}
				a := load(t, b, f)
				p.mu.Lock()
				if p.times()[a.GetFinding().GetTitle()] == 0 {
					t.Errorf("LOST: %s, delivery %v", a.GetFinding().GetTitle(), deliveryOf(a))
				}
				p.mu.Unlock()
			}
			return
		}
	}
}

// 4. many critical findings of one alert are counted twice, as express and Drain both take them.
func TestZZExpressCountsTwice(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	first := found(t, b, "first", "zed", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	p.until(t, "up", func() bool { return len(p.messages) == 1 })
	_ = first
	// something to keep Drain busy, as an evaluator's burst does
	for i := range 1500 {
		f := &curfewv1.Finding{Format: 1, Id: fmt.Sprint("low", i), Tenant: "main", Severity: lowly, Detection: "d", Title: "low", Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:l", i)}}
		if _, err := b.Publish(t.Context(), bus.FindingSubject(f), f.GetId(), f); err != nil {
			t.Fatal(err)
		}
	}
	const many = 400
	var f *curfewv1.Finding
	for i := range many {
		f = found(t, b, fmt.Sprint("c", i), "ida", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	}
	settled, last := time.Now(), uint64(0)
	for time.Since(settled) < 4*time.Second {
		if n := load(t, b, f).GetCount(); n != last {
			last, settled = n, time.Now()
		}
		<-time.After(50 * time.Millisecond)
	}
	if last != many {
		t.Errorf("%d findings are counted as %d", many, last)
	}
}

// 5. an alert that waits at a receiver that was renamed is shown nowhere.
func TestZZRenamedReceiver(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	f := found(t, b, "f1", "ida")
	old := newPlace()
	old.fault = func(string) error { return &delivery.Refused{Reason: "out"} }
	stop := run(t, b, map[string]Receiver{"old": old})
	waits(t, b, p, f, "it was tried", func(a *curfewv1.Alert) bool { return alert.Delivery(a, "old").GetTries() > 0 })
	stop()
	run(t, b, map[string]Receiver{"new": p})
	p.soon(t, 13*time.Second, "it is shown at the new one", func() bool { return p.times()["f1"] == 1 })
	t.Logf("%v", load(t, b, f).GetDeliveries())
}

// 6. a notice that one receiver did not take, and another did, is never told there.
func TestZZNoticeAtOneOnly(t *testing.T) {
	b, p, console := bustest.New(t), newPlace(), newPlace()
	down := true
	p.fault = func(call string) error {
		if call == "notice" && down {
			down = false
			return &delivery.Refused{Reason: "429", After: time.Second}
		}
		return nil
	}
	run(t, b, map[string]Receiver{"slack": p, "console": console})
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "there", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	p.soon(t, 6*time.Second, "the person is asked in Slack", func() bool { return len(p.notices) == 1 })
}

// 7. a muted alert calls others all the same.
func TestZZMutedEscalates(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	f := found(t, b, "f1", "ida", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	s := &curfewv1.Silence{Format: 1, Id: "s1", Tenant: "main", Author: "person:bob", Match: &curfewv1.SilenceMatch{AlertId: alert.ID(f)},
		From: timestamppb.New(c.Now()), Until: timestamppb.New(c.Now().Add(24 * time.Hour))}
	value, _ := proto.Marshal(s)
	if _, err := b.Create(t.Context(), bus.Silences, value, "main", "s1"); err != nil {
		t.Fatal(err)
	}
	defer moving(t, c)()
	waits(t, b, p, f, "held", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetHold() != nil })
	begun := c.Now()
	p.until(t, "20 minutes", func() bool { return c.Now().Sub(begun) > 20*time.Minute })
	a := load(t, b, f)
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.GetEscalations() > 0 || strings.Contains(p.text(), "loud true") {
		t.Errorf("muted, and escalated %d times: %s", a.GetEscalations(), p.text())
	}
}

// 8. a finding as large as the bus takes makes an alert that it does not, and nothing behind it is ever taken in.
func TestZZTooLargeAlert(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	// one that was resolved: it needs the slow way
	f := found(t, b, "was", "ida")
	stop := run(t, b, map[string]Receiver{"place": p})
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "x", time.Now()) })
	waits(t, b, p, f, "over", alert.IsOver)
	stop()
	for i := range 3 {
		big := &curfewv1.Finding{Format: 1, Id: fmt.Sprint("big", i), Tenant: "main", Severity: lowly, Detection: "d", Title: "big", Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:big", i)}}
		big.Reason = strings.Repeat("x", b.MaxMessage()-300)
		if _, err := b.Publish(t.Context(), bus.FindingSubject(big), big.GetId(), big); err != nil {
			t.Fatal(err)
		}
	}
	found(t, b, "again", "ida")
	found(t, b, "other", "bob")
	run(t, b, map[string]Receiver{"place": p})
	p.soon(t, 5*time.Second, "another", func() bool { return p.times()["other"] == 1 })
	p.soon(t, 10*time.Second, "the one behind that opens again", func() bool { return p.times()["again"] == 1 })
}

// 9. a clock that is set back by an hour (and believed) stops all alerts for an hour.
func TestZZClockBack(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	c.Move(-10 * 24 * time.Hour)
	defer moving(t, c)()
	begun := c.Now()
	found(t, b, "f2", "bob")
	p.soon(t, 10*time.Second, "the second", func() bool { return p.times()["f2"] == 1 })
	t.Logf("after %v", c.Now().Sub(begun))
}

// 10. two that hide each other by the configuration are never shown.
func TestZZHideEachOther(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p}, withAlerts(config.Alerts{Inhibit: []config.Inhibition{
		{Detection: "a", Hides: []string{"b"}, Same: "entity"}, {Detection: "b", Hides: []string{"a"}, Same: "entity"},
	}}))
	// one batch: both stored before either is shown
	found(t, b, "fa", "ida", detected("a"))
	found(t, b, "fb", "ida", detected("b"))
	if p.soon(t, 8*time.Second, "one of the two is shown", func() bool { return len(p.messages) > 0 }) {
		return
	}
}

// slow takes a message only long after it was handed over, as Slack on a bad day; nobody hears of it.
func TestZZSlowSlack(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	s := &slow{place: p, clock: c}
	run(t, b, map[string]Receiver{"place": s}, withClock(c))
	defer moving(t, c)()
	found(t, b, "f1", "ida")
	p.soon(t, 10*time.Second, "shown", func() bool { return p.times()["f1"] > 0 })
	<-time.After(2 * time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times()["f1"] != 1 {
		t.Errorf("shown %d times: %s", p.times()["f1"], p.text())
	}
}

type slow struct {
	*place
	clock *clocktest.Manual
	n     int
}

func (s *slow) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	s.n++
	if s.n > 1 {
		return s.place.Post(ctx, post)
	}
	at := s.clock.After(4 * time.Second) // 4 s after the connection broke
	go func() { <-at; _, _ = s.place.Post(context.Background(), post) }()
	return "", errLost
}

// 11. what many held alerts cost each five seconds, and what each silence that ever was costs each alert.
func TestZZCost(t *testing.T) {
	b := bustest.New(t)
	o := Options{Bus: b, Tenant: "main", Mode: config.Config{Mode: config.Alert}.ModeOf, Receivers: map[string]Receiver{"place": newPlace()}, Clock: clocktest.New(time.Now())}
	d := newDesk(o, newContacts(o))
	for i := range 10_000 {
		d.silences.list[fmt.Sprint("s", i)] = &curfewv1.Silence{Id: fmt.Sprint("s", i), Match: &curfewv1.SilenceMatch{Detection: "x"}, Until: timestamppb.New(time.Unix(1, 0))}
	}
	a := alert.Add(nil, &curfewv1.Finding{Id: "f", Tenant: "main", Severity: lowly, Detection: "y", Decision: &curfewv1.Decision{Subject: "person:x"}}, time.Now())
	begun := time.Now()
	for range 100 {
		d.route(a, time.Now(), true)
	}
	t.Logf("one route with 10,000 ended silences: %v", time.Since(begun)/100)
	_ = slices.Contains[[]int]
}
