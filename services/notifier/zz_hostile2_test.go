// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"fmt"
	"log/slog"
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
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func zzDesk(b *bus.Bus, mode config.Mode) *desk {
	o := Options{
		Bus: b, Tenant: "main", Mode: config.Config{Mode: mode}.ModeOf, Receivers: map[string]Receiver{"place": newPlace()},
		Clock: clocktest.New(time.Now()), Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
	return newDesk(o, newContacts(o))
}

// 12. a batch that comes again after a crash counts twice what one alert has more than 128 of.
func TestZZBatchTwice(t *testing.T) {
	b := bustest.New(t)
	d := zzDesk(b, config.Alert)
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

// 13. what one message shows beside the alerts that were found after a crash is edited away.
func TestZZFoundWithFewer(t *testing.T) {
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
	waits(t, b, p, fs[2], "found", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT })
	does(t, b, fs[2], func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", c.Now()) })
	p.until(t, "told", func() bool { return strings.Contains(p.text(), "Taken on") })
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := len(p.messages[0].alerts); got != 3 {
		t.Errorf("the message of three alerts shows %d after somebody took one on: %s", got, p.text())
	}
}

type slowEdits struct{ *place }

func (p slowEdits) Edit(context.Context, string, *curfewv1.Post) error {
	return &delivery.Refused{Reason: "chat.update: ratelimited", After: 30 * time.Second}
}

// 14. an edit that comes too fast keeps what is critical from being posted.
func TestZZEditLimitStopsPosts(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	p.now = c.Now
	run(t, b, map[string]Receiver{"place": slowEdits{p}}, withClock(c))
	f := found(t, b, "f1", "ida")
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	waits(t, b, p, f, "sent", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", c.Now()) })
	waits(t, b, p, f, "edit was refused", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetTries() > 0 })
	begun := c.Now()
	found(t, b, "critical", "eve", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	defer moving(t, c)()
	p.until(t, "shown", func() bool { return len(p.messages) == 2 })
	if took := p.messages[1].at.Sub(begun); took > 10*time.Second {
		t.Errorf("a critical alert waits %v behind an edit that came too fast", took)
	}
}

// 15. a notice whose reply is lost is told each second.
func TestZZNoticeFlood(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	p.fault = func(call string) error {
		if call == "notice" {
			return errLost
		}
		return nil
	}
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "there", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	begun := c.Now()
	defer moving(t, c)()
	p.until(t, "a minute", func() bool { return c.Now().Sub(begun) > time.Minute })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.notices) > 8 {
		t.Errorf("in a minute the person is asked %d times", len(p.notices))
	}
}

// 16. a silence that somebody ends says that it kept nothing back.
func TestZZSilenceSaysNothingHeld(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	s := &curfewv1.Silence{Format: 1, Id: "s1", Tenant: "main", Author: "person:bob", Match: &curfewv1.SilenceMatch{Detection: "export_of_many"},
		From: timestamppb.New(time.Now()), Until: timestamppb.New(time.Now().Add(time.Hour))}
	value, _ := proto.Marshal(s)
	if _, err := b.Create(t.Context(), bus.Silences, value, "main", "s1"); err != nil {
		t.Fatal(err)
	}
	p.until(t, "begin", func() bool { return len(p.notices) == 1 })
	var f *curfewv1.Finding
	for i := range 5 {
		f = found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i))
		waits(t, b, p, f, "held", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetHold() != nil })
	}
	entry, _ := b.Get(t.Context(), bus.Silences, "main", "s1")
	_ = proto.Unmarshal(entry.Value, s)
	s.Ended, s.Ender = timestamppb.New(time.Now()), "person:bob"
	value, _ = proto.Marshal(s)
	if _, err := b.Update(t.Context(), bus.Silences, value, entry.Revision, "main", "s1"); err != nil {
		t.Fatal(err)
	}
	p.until(t, "end", func() bool { return len(p.notices) == 2 })
	if got := p.notices[1].GetText(); !strings.Contains(got, "5 alerts were kept back") {
		t.Error(got)
	}
}

// 17. what a round costs for 3,000 alerts that are only observed.
func TestZZRoundCost(t *testing.T) {
	b := bustest.New(t)
	d := zzDesk(b, config.Observe)
	var batch []bus.Message
	for i := range 3000 {
		f := &curfewv1.Finding{Format: 1, Id: fmt.Sprint("c", i), Tenant: "main", Severity: lowly, Detection: "d", Event: &curfewv1.Event{Id: "e", Source: "okta", Raw: []byte(strings.Repeat("r", 2000))}, Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:", i)}}
		data, _ := proto.Marshal(f)
		batch = append(batch, bus.Message{Sequence: uint64(i + 1), Subject: "finding.main.low.d", Data: data})
	}
	if err := d.take(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	d.book.Each(func(e alert.Entry) bool { d.changed(e.Value.GetId()); return true })
	begun := time.Now()
	d.round(t.Context(), d.Clock.Now(), true)
	t.Logf("one round over %d observed alerts takes %v; it comes each %v", len(d.unrouted), time.Since(begun), lookEvery)
}

// 18. backlog: an evaluator that stands still is not noticed while the collector goes on.
func TestZZBacklogUnseen(t *testing.T) {
	b := bustest.New(t)
	d := zzDesk(b, config.Alert)
	c := d.Clock.(*clocktest.Manual)
	subject := bus.EventSubject("main", "okta", "system")
	last := uint64(0)
	for range 2 {
		seq, err := b.Append(t.Context(), subject, last, &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "okta", Feed: "system"})
		if err != nil {
			t.Fatal(err)
		}
		last = seq
		// the first is an hour old
	}
	newest, _ := b.Last(t.Context(), subject)
	newest.Time = c.Now().Add(-50 * time.Second) // quiet feeds write each minute
	is, err := newWatch(d).waits(t.Context(), "okta", "system", newest, c.Now())
	if err != nil || !is {
		t.Errorf("no decision was ever made of it, and the watch says waits=%v, %v", is, err)
	}
}
