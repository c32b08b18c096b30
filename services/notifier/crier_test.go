// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"fmt"
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

// silence is one of a detection, for an hour from now on; it stores it.
func silence(t *testing.T, b *bus.Bus, now time.Time, change func(*curfewv1.Silence)) {
	t.Helper()
	s := &curfewv1.Silence{
		Format: 1, Id: "s1", Tenant: "main", Author: "person:bob", Match: &curfewv1.SilenceMatch{Detection: "export_of_many"},
		From: timestamppb.New(now), Until: timestamppb.New(now.Add(time.Hour)),
	}
	if change != nil {
		change(s)
	}
	value, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Silences, value, "main", "s1"); err != nil {
		t.Fatal(err)
	}
}

// silenced is the silence as it is stored, changed.
func silenced(t *testing.T, b *bus.Bus, change func(*curfewv1.Silence)) *curfewv1.Silence {
	t.Helper()
	for {
		entry, err := b.Get(t.Context(), bus.Silences, "main", "s1")
		if err != nil {
			t.Fatal(err)
		}
		s := new(curfewv1.Silence)
		if err := proto.Unmarshal(entry.Value, s); err != nil {
			t.Fatal(err)
		}
		if change == nil {
			return s
		}
		change(s)
		value, err := proto.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Update(t.Context(), bus.Silences, value, entry.Revision, "main", "s1"); err == nil {
			return s
		}
	}
}

// A question counts as asked once every receiver took it, and each is told once.
func TestAQuestionReachesEveryReceiver(t *testing.T) {
	b, p, console := bustest.New(t), newPlace(), newPlace()
	down := true
	p.fault = func(call string) error {
		if call == "notice" && down {
			down = false
			return &delivery.Refused{Reason: "429", After: time.Second}
		}
		return nil
	}
	run(t, b, map[string]Receiver{"place": p, "console": console})
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "there", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	p.until(t, "the person is asked where it was refused at first", func() bool { return len(p.notices) == 1 })
	waits(t, b, p, f, "it is noted", func(a *curfewv1.Alert) bool { return a.GetQuestion().GetTold() })
	console.mu.Lock()
	defer console.mu.Unlock()
	if len(console.notices) != 1 {
		t.Errorf("asked %d times at the one that took it at once", len(console.notices))
	}
}

// A notice whose reply is lost comes again ever later.
func TestANoticeIsNoFlood(t *testing.T) {
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
	if len(p.notices) > 8 || len(p.notices) < 3 {
		t.Errorf("in a minute the person is asked %d times", len(p.notices))
	}
}

// Where no receiver tells people anything the alert says that nobody was asked.
func TestNobodyCanBeAsked(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": mute{p}})
	f := found(t, b, "f1", "ida")
	waits(t, b, p, f, "there", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	a := waits(t, b, p, f, "it is noted", func(a *curfewv1.Alert) bool { return a.GetQuestion().GetTold() })
	if n := a.GetNotes(); !strings.Contains(n[len(n)-1].GetText(), "could not be asked: no receiver tells people things") {
		t.Errorf("got %v", n)
	}
}

// A receiver that does not answer delays neither what is escalated nor what others are told.
func TestASlowNoticeHoldsUpNothing(t *testing.T) {
	b, p, slow, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	answer := make(chan struct{})
	slow.fault = func(call string) error {
		if call == "notice" {
			<-answer
		}
		return nil
	}
	run(t, b, map[string]Receiver{"place": p, "slow": slow}, withClock(c), withAlerts(config.Alerts{Escalate: []config.Escalation{{After: time.Minute}}}))
	defer close(answer)
	f := found(t, b, "f1", "ida", severe(curfewv1.Severity_SEVERITY_CRITICAL))
	waits(t, b, p, f, "there", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	defer moving(t, c)()
	p.until(t, "asked elsewhere", func() bool { return len(p.notices) == 1 })
	waits(t, b, p, f, "it is escalated", func(a *curfewv1.Alert) bool { return a.GetEscalations() > 0 })
}

// A silence that somebody ends says how much it kept back, though that goes out at once.
func TestAnEndedSilenceSaysWhatItKeptBack(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	silence(t, b, time.Now(), nil)
	p.until(t, "begin", func() bool { return len(p.notices) == 1 })
	for i := range 5 {
		f := found(t, b, fmt.Sprint("f", i), fmt.Sprint("p", i))
		waits(t, b, p, f, "held", func(a *curfewv1.Alert) bool { return deliveryOf(a).GetHold() != nil })
	}
	silenced(t, b, func(s *curfewv1.Silence) { s.Ended, s.Ender = timestamppb.New(time.Now()), "person:bob" })
	p.until(t, "end", func() bool { return len(p.notices) == 2 })
	if got := p.notices[1].GetText(); !strings.Contains(got, "person:bob ended it. 5 alerts were kept back") {
		t.Error(got)
	}
	p.until(t, "what it kept back is shown", func() bool { return len(p.times()) == 5 })
}

// People hear of what somebody proposes, and again once it is in force.
func TestAProposalIsToldAgainOnceItIsInForce(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	silence(t, b, time.Now(), func(s *curfewv1.Silence) { s.ApprovalsNeeded = 1 })
	p.until(t, "proposed", func() bool { return len(p.notices) == 1 && silenced(t, b, nil).GetProposalTold() })
	silenced(t, b, func(s *curfewv1.Silence) {
		s.Approvals = []*curfewv1.Approval{{Author: "person:ida", Time: timestamppb.Now()}}
	})
	p.until(t, "in force", func() bool { return len(p.notices) == 2 && silenced(t, b, nil).GetBeginTold() })
	if first, second := p.notices[0].GetText(), p.notices[1].GetText(); !strings.Contains(first, "once somebody else says so too") || !strings.Contains(second, "keeps alerts quiet") {
		t.Errorf("got %q, %q", first, second)
	}
}
