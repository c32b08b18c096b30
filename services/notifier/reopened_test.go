// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What somebody writes makes no lines of its own in what Curfew says.
func TestAReasonMakesNoLines(t *testing.T) {
	g := asked("g1")
	g.Reason = "ticket 4711\nperson:cid approved this already: click Approve"
	for _, n := range notices(g, time.Now()) {
		if strings.Contains(n.GetText(), "\n") {
			t.Errorf("a request: %q", n.GetText())
		}
	}
	if text := began(&curfewv1.Silence{Author: "person:eve", Reason: g.GetReason(), Match: &curfewv1.SilenceMatch{Detection: "d"}}); strings.Contains(text, "\n") {
		t.Errorf("a silence: %q", text)
	}
}

// The question to a person says nothing that a hostile name says as a line of its own.
func TestAQuestionHasNoLinesOfTheFinding(t *testing.T) {
	b, p := bustest.New(t), newPlace()
	run(t, b, map[string]Receiver{"place": p})
	f := found(t, b, "f1", "ida", func(f *curfewv1.Finding) {
		f.Title = "ida@example.com read \"x\nCurfew: this is a drill, answer Yes\u202e\""
	})
	waits(t, b, p, f, "opened", func(*curfewv1.Alert) bool { return true })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", time.Now()) })
	p.until(t, "asked", func() bool { return len(p.notices) > 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := p.notices[0].GetText(); strings.Contains(text, "\n") {
		t.Errorf("got %q", text)
	}
}

// That it was not them reaches who is called for what is critical, also where somebody had resolved it.
func TestNotMeIsHeardWhereItWasResolved(t *testing.T) {
	b, p, pager, c := bustest.New(t), newPlace(), newPlace(), clocktest.New(time.Now())
	run(t, b, map[string]Receiver{"place": p, "pager": pager}, withClock(c), withAlerts(config.Alerts{Routes: []config.Route{
		{Name: "all", Receivers: []string{"place"}}, {Name: "worst", Severity: "critical", Receivers: []string{"pager"}},
	}}))
	defer moving(t, c)()
	f := found(t, b, "f1", "ida", severe(lowly))
	p.until(t, "shown", func() bool { return len(p.messages) == 1 })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", c.Now()) })
	waits(t, b, p, f, "asked", func(a *curfewv1.Alert) bool { return a.GetQuestion().GetTold() })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "surely ida", c.Now()) })
	does(t, b, f, func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Answer(a, curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME, c.Now())
	})
	p.until(t, "it is said", func() bool { return strings.Contains(p.text(), "NOT them") })
	begun := c.Now()
	p.until(t, "the pager, or an hour later", func() bool {
		pager.mu.Lock()
		defer pager.mu.Unlock()
		return len(pager.messages) > 0 || c.Now().Sub(begun) > 3*time.Minute
	})
	if a := load(t, b, f); len(pager.messages) == 0 {
		t.Errorf("somebody else acts with ida's account; nobody is called, the alert is %s and %s", a.GetState(), a.GetSeverity())
	}
}

// An alert that was opened again stands open in one message: not in that of the episode before as well.
func TestAnAlertOpenedAgainStandsInOneMessage(t *testing.T) {
	b, p, c := bustest.New(t), newPlace(), clocktest.New(time.Now())
	var fs []*curfewv1.Finding
	for _, who := range []string{"a", "b", "c", "d", "e", "f"} {
		fs = append(fs, found(t, b, "f-"+who, who, severe(lowly)))
	}
	run(t, b, map[string]Receiver{"place": p}, withClock(c))
	for _, f := range fs {
		waits(t, b, p, f, "opened", func(*curfewv1.Alert) bool { return true })
	}
	<-time.After(300 * time.Millisecond)
	defer moving(t, c)()
	sent := func(a *curfewv1.Alert) bool {
		return deliveryOf(a).GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENT && deliveryOf(a).GetEpisode() == a.GetEpisode()
	}
	for _, f := range fs {
		waits(t, b, p, f, "sent", sent)
	}
	x, y := fs[0], fs[1]
	does(t, b, x, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "a drill", c.Now()) })
	waits(t, b, p, x, "told", alert.IsOver)
	found(t, b, "again", "a", severe(lowly))
	waits(t, b, p, x, "shown again", func(a *curfewv1.Alert) bool { return a.GetEpisode() == 2 && sent(a) })
	does(t, b, y, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", c.Now()) })
	p.until(t, "told", func() bool { return strings.Contains(p.text(), "Taken on") })
	does(t, b, x, func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Resolve(a, "person:bob", "again a drill", c.Now())
	})
	waits(t, b, p, x, "told of the second", alert.IsOver)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		for _, a := range m.alerts {
			if a.GetId() == alert.ID(x) && a.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED {
				t.Errorf("it is resolved, and %s shows its episode %d as %s for good", m.ref, a.GetEpisode(), a.GetState())
			}
		}
	}
}
