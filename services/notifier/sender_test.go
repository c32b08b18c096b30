// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A receiver that does not take one alert takes the others.
func TestOneThatIsNotTakenKeepsNoOther(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	found(t, b, "bad", "eve", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	run(t, b, map[string]Receiver{"place": picky{p, "bad"}}, withClock(c))
	defer moving(t, c)()
	<-time.After(time.Second)
	found(t, b, "good", "ida")
	p.until(t, "the good one is shown", func() bool { return p.times()["good"] == 1 })
}

// A receiver that does not say what arrived is given what comes all the same.
func TestWhatNobodyKnowsKeepsNothingBack(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	once := true
	p.fault = func(call string) error {
		if call == "post" && once {
			once = false
			return errLost
		}
		return nil
	}
	run(t, b, map[string]Receiver{"place": blindPlace{p}}, withClock(c))
	defer moving(t, c)()
	found(t, b, "f1", "ida", severe(lowly))
	p.until(t, "the first", func() bool { return p.times()["f1"] == 1 })
	<-time.After(time.Second)
	found(t, b, "critical", "eve", severe(urgent))
	p.until(t, "what is critical", func() bool { return p.times()["critical"] == 1 })
}

// What a receiver takes long after its reply was lost is shown once.
func TestWhatIsTakenLateIsShownOnce(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	s := &slow{place: p, clock: c}
	run(t, b, map[string]Receiver{"place": s}, withClock(c))
	defer moving(t, c)()
	found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return p.times()["f1"] > 0 })
	<-time.After(2 * time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times()["f1"] != 1 {
		t.Errorf("shown %d times: %s", p.times()["f1"], p.text())
	}
}

// A clock that is set back by days keeps nothing from people.
func TestAClockSetBackKeepsNothing(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	still := moving(t, c)
	found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	still()
	c.Move(-10 * 24 * time.Hour)
	defer moving(t, c)()
	found(t, b, "f2", "bob")
	p.until(t, "the second", func() bool { return p.times()["f2"] == 1 })
}

// A message whose notifier died while it stored that it was taken keeps all its alerts.
func TestAMessageKeepsAllItsAlerts(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	book := alert.NewBook(b, "main")
	var fs []*curfewv1.Finding
	var as []*curfewv1.Alert
	var ids []string
	for i := range 3 {
		f := found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i), severe(lowly))
		a := alert.Begin(alert.Route(alert.Add(nil, f, c.Now()), []alert.Want{{Receiver: "place"}}), "place", "P", c.Now())
		fs, as, ids = append(fs, f), append(as, a), append(ids, a.GetId())
	}
	ref, _ := p.Post(t.Context(), &curfewv1.Post{Id: "P", Alerts: as})
	// killed in record, after the first of three
	as[0] = alert.Sent(as[0], "place", "P", ref, ids[1:], false, c.Now())
	for _, a := range as {
		if err := book.Create(t.Context(), c.Now(), a, "service:notifier", ""); err != nil {
			t.Fatal(err)
		}
	}
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	defer moving(t, c)()
	waits(t, b, p, fs[2], "found", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
	})
	does(t, b, fs[2], func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", c.Now()) })
	p.until(t, "told", func() bool { return strings.Contains(p.text(), "Taken on") })
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := len(p.messages[0].alerts); got != 3 {
		t.Errorf("the message of three alerts shows %d after somebody took one on: %s", got, p.text())
	}
}

// A batch that comes again counts once.
func TestABatchThatComesAgainCountsOnce(t *testing.T) {
	b := bustest.New(t)
	d := bareDesk(b, config.Alert)
	var batch []bus.Message
	var f *curfewv1.Finding
	for i := range 256 {
		f = &curfewv1.Finding{Format: 1, Id: fmt.Sprint("c", i), Tenant: "main", Severity: lowly, Detection: "d", Decision: &curfewv1.Decision{Subject: "person:x"}}
		data, _ := proto.Marshal(f)
		batch = append(batch, bus.Message{Sequence: uint64(i + 1), Subject: "finding.main.low.d", Data: data})
	}
	for range 2 {
		if err := d.take(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if got := load(t, b, f).GetCount(); got != 256 {
		t.Errorf("256 findings, their batch twice (killed before the ack): counted as %d", got)
	}
}

// What waits at a receiver that is gone goes where the routes send it now.
func TestWhatWaitsAtAReceiverThatIsGoneGoesElsewhere(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	f := found(t, b, "f1", "ida")
	old := newPlace()
	old.fault = func(string) error { return &delivery.Refused{Reason: "out"} }
	stop := run(t, b, map[string]Receiver{"old": old})
	waits(t, b, p, f, "it was tried", func(a *curfewv1.Alert) bool { return alert.Delivery(a, "old").GetTries() > 0 })
	stop()
	run(t, b, map[string]Receiver{"new": p})
	p.until(t, "it is shown at the new one", func() bool { return p.times()["f1"] == 1 })
}

// What becomes critical by an answer goes where what is critical goes.
func TestWhatBecomesCriticalIsRoutedAnew(t *testing.T) {
	b, p, pager, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p, "pager": pager}, withClock(c), withAlerts(config.Alerts{Routes: []config.Route{
		{Name: "all", Receivers: []string{"place"}}, {Name: "worst", Severity: "critical", Receivers: []string{"pager"}},
	}}))
	defer moving(t, c)()
	f := found(t, b, "f1", "ida", severe(lowly))
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", c.Now()) })
	waits(t, b, p, f, "asked", func(a *curfewv1.Alert) bool { return a.GetQuestion().GetTold() })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Answer(a, curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME, c.Now())
	})
	pager.until(t, "the pager goes", func() bool { return len(pager.messages) == 1 })
}

// A finding that fits no alert stops no other.
func TestAFindingTooLargeStopsNoOther(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	f := found(t, b, "was", "ida")
	stop := run(t, b, map[string]Receiver{"place": p})
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "x", time.Now()) })
	waits(t, b, p, f, "over", alert.IsOver)
	stop()
	big := &curfewv1.Finding{Format: 1, Id: "big", Tenant: "main", Severity: lowly, Detection: "d", Title: "big", Decision: &curfewv1.Decision{Subject: "person:big"}}
	big.Reason = strings.Repeat("x", b.MaxMessage()-proto.Size(big)-40)
	if _, err := b.Publish(t.Context(), bus.FindingSubject(big), big.GetId(), big); err != nil {
		t.Fatal(err)
	}
	found(t, b, "again", "ida")
	for i := range 300 {
		found(t, b, fmt.Sprint("low", i), fmt.Sprint("l", i), severe(lowly))
	}
	found(t, b, "late", "eve")
	run(t, b, map[string]Receiver{"place": p})
	p.until(t, "the one behind that opens again", func() bool { return p.times()["again"] == 1 })
	p.until(t, "the last", func() bool { return p.times()["late"] == 1 })
}

// A notifier that ends while it stores that it hands alerts over loses none of them.
func TestANotifierThatEndsLosesNothing(t *testing.T) {
	for n := range 6 {
		b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
		for i := range 20 {
			found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i), severe(curfewv1.Severity_SEVERITY_LOW))
		}
		ctx, cancel := context.WithCancel(t.Context())
		still := moving(t, c)
		stop := run(t, b, map[string]Receiver{"place": p}, withClock(c))
		go func() {
			seen := 0
			_ = b.Follow(ctx, bus.All("alert", "main"), bus.From{}, func(m bus.Message) error {
				step := new(curfewv1.AlertStep)
				if err := m.Decode(step); err == nil && deliveryOf(step.GetAlert()).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENDING {
					if seen++; seen == 1+3*n {
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
		p.until(t, fmt.Sprintf("run %d: all are shown (%d were by the first)", n, first), func() bool { return len(p.times()) == 20 })
		still()
		stop2()
	}
}

// picky does not take one alert.
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

// blindPlace does not say what arrived.
type blindPlace struct{ *place }

func (blindPlace) Find(context.Context, string, string, time.Time) (string, bool, error) {
	return "", false, &delivery.Refused{Reason: "missing_scope (needed: channels:history)", Final: true}
}

// slow takes what it is given long after it broke off.
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

// bareDesk is a desk that runs nothing.
func bareDesk(b *bus.Bus, mode config.Mode) *desk {
	o := Options{
		Bus: b, Tenant: "main", Mode: config.Config{Mode: mode}.ModeOf, Receivers: map[string]Receiver{"place": newPlace()},
		Clock: clocktest.New(time.Now()), Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
	return newDesk(o, newContacts(o))
}
