// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
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

// archived refuses every edit of one message, as Slack does where its channel is archived.
type archived struct {
	*place
	ref   string
	tried atomic.Int64
}

func (a *archived) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	if ref == a.ref {
		a.tried.Add(1)
		return &delivery.Refused{Reason: "is_archived", Final: true}
	}
	return a.place.Edit(ctx, ref, post)
}

// One message that cannot be edited keeps no other from being edited.
func TestARefusedEditStarvesNoOther(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	a := &archived{place: p, ref: "m1"}
	run(t, b, map[string]Receiver{"place": a}, withClock(c))
	defer moving(t, c)()
	old := found(t, b, "old", "ida")
	p.until(t, "the first", func() bool { return p.times()["old"] == 1 })
	fresh := found(t, b, "new", "bob")
	waits(t, b, p, fresh, "the second is noted", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
	})
	does(t, b, old, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:eve", c.Now()) })
	p.until(t, "its edit is refused", func() bool { return a.tried.Load() > 0 })
	does(t, b, fresh, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:eve", c.Now()) })
	p.until(t, "the other is edited, or the first was tried 12 times", func() bool { return p.messages[1].edits > 0 || a.tried.Load() > 12 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.messages[1].edits == 0 {
		t.Errorf("the message in the other channel was never edited while that of the archived one was tried %d times: %s", a.tried.Load(), p.text())
	}
}

// hanging is a receiver whose history does not answer, and that takes posts.
type hanging struct {
	*place
	looks atomic.Int64
	err   error
}

func (h *hanging) Find(ctx context.Context, _, _ string, _ time.Time) (string, bool, error) {
	h.looks.Add(1)
	if h.err != nil {
		return "", false, h.err
	}
	<-ctx.Done()
	return "", false, ctx.Err()
}

// underWay stores alerts of which nobody knows whether they arrived, each in a message of its own.
func underWay(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	at := time.Now().Add(-time.Minute)
	for i := range n {
		f := &curfewv1.Finding{Format: 1, Id: fmt.Sprint("u", i), Tenant: "main", Severity: lowly, Detection: "d", Title: fmt.Sprint("u", i), Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:u", i)}}
		a := alert.Begin(alert.Route(alert.Add(nil, f, at), []alert.Want{{Receiver: "place"}}), "place", fmt.Sprint("post", i), at)
		if err := alert.NewBook(b, "main").Create(t.Context(), at, a, "service:notifier", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// What is critical waits behind no look for a lost post.
func TestCriticalWaitsBehindNoHistory(t *testing.T) {
	b, h := bustest.New(t), &hanging{place: newPlace()}
	underWay(t, b, 8)
	run(t, b, map[string]Receiver{"place": h})
	h.until(t, "the first look", func() bool { return h.looks.Load() > 0 })
	found(t, b, "critical", "eve", severe(urgent))
	h.until(t, "shown, or five looks, each of five seconds", func() bool { return h.times()["critical"] > 0 || h.looks.Load() > 5 })
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.times()["critical"] == 0 {
		t.Errorf("the receiver takes posts, and a critical alert waits behind %d looks for others", h.looks.Load())
	}
}

// A Retry-After of the history is waited out.
func TestRetryAfterOfHistoryIsWaitedOut(t *testing.T) {
	b, h := bustest.New(t), &hanging{place: newPlace(), err: &delivery.Refused{Reason: "ratelimited", After: time.Minute}}
	underWay(t, b, 8)
	run(t, b, map[string]Receiver{"place": h})
	h.until(t, "the first look", func() bool { return h.looks.Load() > 0 })
	<-time.After(2 * time.Second)
	if got := h.looks.Load(); got > 1 {
		t.Errorf("asked %d times within two seconds, after it said: in a minute", got)
	}
}

// sized is a finding whose alert, as it is opened, has room on the bus but for so many bytes.
func sized(t *testing.T, b *bus.Bus, left int) *curfewv1.Finding {
	t.Helper()
	d := bareDesk(b, config.Alert)
	big := &curfewv1.Finding{
		Format: 1, Id: "big", Tenant: "main", Severity: lowly, Detection: "d", Title: "big", Event: &curfewv1.Event{Id: "e", Source: "okta"},
		Decision: &curfewv1.Decision{Subject: "person:big"},
	}
	size := func(n int) int {
		big.Reason = strings.Repeat("x", n)
		return proto.Size(&curfewv1.AlertStep{Format: 1, Alert: d.found(nil, []*curfewv1.Finding{big}), Author: notifierAuthor, Detail: "opened", Time: timestamppb.Now()})
	}
	n := b.MaxMessage() - 2000
	n += b.MaxMessage() - left - size(n)
	size(n)
	return big
}

// A finding that has no room with the bus's own words stops no other.
func TestAFindingLargeByAHairStopsNoOther(t *testing.T) {
	for _, left := range []int{20, 100, 10_000} { // with the bus's own words; for the first delivery; for what people do
		largeByAHair(t, left)
	}
}

func largeByAHair(t *testing.T, left int) {
	t.Helper()
	b, p := bustest.New(t), newPlace()
	big := sized(t, b, left)
	if _, err := b.Publish(t.Context(), bus.FindingSubject(big), big.GetId(), big); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		found(t, b, fmt.Sprint("low", i), fmt.Sprint("l", i), severe(lowly))
	}
	run(t, b, map[string]Receiver{"place": p})
	p.until(t, fmt.Sprintf("all others are shown beside one that leaves %d bytes", left), func() bool { return len(p.times()) >= 100 })
}

// Behind a summary a line says which alert it is about.
func TestALineBehindASummaryNamesItsAlert(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	for i := range 120 {
		found(t, b, fmt.Sprint("s", i), fmt.Sprint("p", i), severe(lowly))
	}
	run(t, b, map[string]Receiver{"place": p}, withClock(c), withAlerts(config.Alerts{Storm: 50}))
	defer moving(t, c)()
	var of *curfewv1.Alert
	p.until(t, "a summary", func() bool {
		for _, m := range p.messages {
			if m.summary {
				of = m.alerts[0]
			}
		}
		return of != nil
	})
	waits(t, b, p, of.GetFinding(), "noted", func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT
	})
	does(t, b, of.GetFinding(), func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:eve", c.Now()) })
	p.until(t, "said", func() bool { return strings.Contains(p.text(), "Taken on") })
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.Contains(p.text(), short(of.GetId())) {
		t.Errorf("nobody can tell which of the summary was taken on: %s", p.text())
	}
}
