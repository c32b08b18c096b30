// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package alert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

const (
	low      = curfewv1.Severity_SEVERITY_LOW
	high     = curfewv1.Severity_SEVERITY_HIGH
	critical = curfewv1.Severity_SEVERITY_CRITICAL
	open     = curfewv1.AlertState_ALERT_STATE_OPEN
	taken    = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED
	resolved = curfewv1.AlertState_ALERT_STATE_RESOLVED
)

func finding(id string, severity curfewv1.Severity) *curfewv1.Finding {
	return &curfewv1.Finding{
		Id: id, Tenant: "main", Detection: "unauthorized_access", Severity: severity, Title: "title " + id,
		Event:    &curfewv1.Event{Id: "e" + id, Source: "okta"},
		Decision: &curfewv1.Decision{Subject: "person:ida", Object: "okta/file/1", Classes: []string{"pii.contact", "order"}},
	}
}

func opened() *curfewv1.Alert { return alert.Add(nil, finding("1", low), start) }

func TestWhatBelongsTogether(t *testing.T) {
	base := finding("1", low)
	for _, c := range []struct {
		name   string
		change func(*curfewv1.Finding)
		same   bool
	}{
		{"another of the same", func(f *curfewv1.Finding) { f.Id, f.Severity = "2", high }, true},
		{"another tenant", func(f *curfewv1.Finding) { f.Tenant = "other" }, false},
		{"another detection", func(f *curfewv1.Finding) { f.Detection = "x" }, false},
		{"another person", func(f *curfewv1.Finding) { f.Decision.Subject = "person:bob" }, false},
		{"another class", func(f *curfewv1.Finding) { f.Decision.Classes = []string{"order"} }, false},
		{"a grant", func(f *curfewv1.Finding) { f.Decision, f.GrantId = nil, "g1" }, false},
	} {
		f := proto.CloneOf(base)
		c.change(f)
		if got := alert.ID(f) == alert.ID(base); got != c.same {
			t.Errorf("%s: same alert %v, want %v", c.name, got, c.same)
		}
	}
	alone, other := &curfewv1.Finding{Id: "1"}, &curfewv1.Finding{Id: "2"}
	if alert.ID(alone) == alert.ID(other) {
		t.Error("findings about nobody and nothing are one alert")
	}
}

func TestAdd(t *testing.T) {
	first := opened()
	if first.GetCount() != 1 || first.GetEpisode() != 1 || first.GetState() != open || first.GetVersion() == 0 {
		t.Fatalf("first: got %v", first)
	}
	before := proto.CloneOf(first)
	if alert.Add(first, finding("1", low), start) != nil {
		t.Error("the same finding counts twice")
	}
	second := alert.Add(first, finding("2", low), start.Add(time.Minute))
	if !proto.Equal(first, before) {
		t.Error("the alert that was given changed")
	}
	if second.GetCount() != 2 || second.GetFinding().GetId() != "1" || second.GetRepeats()[0] != "title 2" || second.GetVersion() <= first.GetVersion() || len(second.GetNotes()) != 0 {
		t.Errorf("repeat: got %v", second)
	}
	worse := alert.Add(second, finding("3", critical), start)
	if worse.GetSeverity() != critical || worse.GetFinding().GetId() != "3" || len(worse.GetNotes()) != 1 || !worse.GetNotes()[0].GetLoud() {
		t.Errorf("worse: got %v", worse)
	}
	done := alert.Resolve(worse, "person:bob", "expected", start.Add(time.Hour))
	again := alert.Add(done, finding("4", low), start.Add(2*time.Hour))
	if again.GetEpisode() != 2 || again.GetCount() != 1 || again.GetState() != open || again.GetSeverity() != low || again.GetResolved() != nil || again.GetAssignee() != "" {
		t.Errorf("again: got %v", again)
	}
	if n := again.GetNotes(); len(n) != 3 || !strings.Contains(n[2].GetText(), "by person:bob: expected") || n[2].GetNumber() != 3 {
		t.Errorf("again: got notes %v", n)
	}
	if alert.Add(done, finding("2", low), start) != nil {
		t.Error("a finding of the episode before opens it again when it comes late")
	}
}

// However much happens, what is kept stays bounded, and the count whole.
func TestAnAlertStaysSmall(t *testing.T) {
	a := opened()
	for i := range 2000 {
		f := finding(fmt.Sprint("x", i), low)
		f.Title = strings.Repeat("ä", 5000)
		a = alert.Note(alert.Add(a, f, start), "person:bob", strings.Repeat("\xff", 9000), false, start)
		a = alert.Did(a, fmt.Sprint("c", i))
	}
	if size := proto.Size(a); a.GetCount() != 2001 || size > 32<<10 {
		t.Errorf("got %d findings and %d bytes", a.GetCount(), size)
	}
	if n := a.GetNotes(); n[len(n)-1].GetNumber() != 2000 || len(n) != alert.MaxNotes {
		t.Errorf("got %d notes, the last %d", len(n), n[len(n)-1].GetNumber())
	}
}

func TestWhatPeopleDo(t *testing.T) {
	yes, no := curfewv1.QuestionAnswer_QUESTION_ANSWER_ME, curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME
	ack := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", start) }
	resolve := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "fine", start) }
	ask := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Ask(a, "person:bob", start) }
	answer := func(with curfewv1.QuestionAnswer) func(*curfewv1.Alert) *curfewv1.Alert {
		return func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Answer(a, with, start) }
	}
	type step = func(*curfewv1.Alert) *curfewv1.Alert
	for _, c := range []struct {
		name     string
		steps    []step
		state    curfewv1.AlertState
		severity curfewv1.Severity
		notes    int
		last     bool // the last step changes something
	}{
		{"taken on", []step{ack}, taken, low, 1, true},
		{"taken on twice by one", []step{ack, ack}, taken, low, 1, false},
		{"taken over", []step{ack, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:cid", start) }}, taken, low, 2, true},
		{"taken on when resolved", []step{resolve, ack}, resolved, low, 1, false},
		{"resolved twice", []step{resolve, resolve}, resolved, low, 1, false},
		{"asked", []step{ask}, open, low, 1, true},
		{"asked twice", []step{ask, ask}, open, low, 1, false},
		{"it was them", []step{ask, answer(yes)}, open, low, 2, true},
		{"it was not them", []step{ask, answer(no)}, open, critical, 2, true},
		{"answered twice", []step{ask, answer(yes), answer(no)}, open, low, 2, false},
		{"answered unasked", []step{answer(yes)}, open, low, 0, false},
		{"asked again", []step{ask, answer(yes), ask}, open, low, 3, true},
		{"escalated once taken on", []step{ack, func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Escalate(a, "late", start, start) }}, taken, low, 1, false},
	} {
		a, changed := opened(), false
		for _, step := range c.steps {
			before := proto.CloneOf(a)
			next := step(a)
			if !proto.Equal(a, before) {
				t.Errorf("%s: the alert that was given changed", c.name)
			}
			if changed = next != nil; changed {
				a = next
			}
		}
		if a.GetState() != c.state || a.GetSeverity() != c.severity || len(a.GetNotes()) != c.notes || changed != c.last {
			t.Errorf("%s: got %v %v, %d notes, changed %v; want %v %v %d %v", c.name, a.GetState(), a.GetSeverity(), len(a.GetNotes()), changed, c.state, c.severity, c.notes, c.last)
		}
	}
	app := opened()
	app.Entity = "app:okta/x"
	if alert.Ask(app, "person:bob", start) != nil {
		t.Error("an app is asked")
	}
	if done := alert.Did(opened(), "c1"); alert.Did(done, "c1") != nil {
		t.Error("a command is carried out twice")
	}
}

func routed(a *curfewv1.Alert, hold *curfewv1.Hold) *curfewv1.Alert {
	if next := alert.Route(a, []alert.Want{{Receiver: "slack", Reason: "route: all", Hold: hold}}); next != nil {
		return next
	}
	return a
}

// TestDelivery walks an alert to a receiver and back.
func TestDelivery(t *testing.T) {
	hold := &curfewv1.Hold{Kind: curfewv1.HoldKind_HOLD_KIND_SILENCE, By: "s1"}
	begin := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Begin(a, "slack", "p1", start) }
	sent := func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Sent(a, "slack", "p1", "C1/1", nil, false, start)
	}
	unsent := func(sure bool) func(*curfewv1.Alert) *curfewv1.Alert {
		return func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Unsent(a, "slack", "p1", "no", sure, start.Add(time.Second))
		}
	}
	more := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Add(a, finding("2", low), start) }
	again := func(a *curfewv1.Alert) *curfewv1.Alert { return routed(alert.Add(a, finding("3", low), start), nil) }
	ack := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Acknowledge(a, "person:bob", start) }
	resolve := func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Resolve(a, "person:bob", "fine", start) }
	held := func(a *curfewv1.Alert) *curfewv1.Alert { return routed(a, hold) }
	freed := func(a *curfewv1.Alert) *curfewv1.Alert { return routed(a, nil) }
	type step = func(*curfewv1.Alert) *curfewv1.Alert
	for _, c := range []struct {
		name  string
		steps []step
		need  alert.Need
		over  bool
	}{
		{"new", nil, alert.Post, false},
		{"held", []step{held}, alert.Nothing, false},
		{"held and freed", []step{held, freed}, alert.Post, false},
		{"held and resolved", []step{held, resolve}, alert.Nothing, true},
		{"held, resolved and freed", []step{held, resolve, freed}, alert.Nothing, true},
		{"resolved before it was shown", []step{resolve}, alert.Post, false},
		{"on its way", []step{begin}, alert.Settle, false},
		{"shown", []step{begin, sent}, alert.Nothing, false},
		{"shown and resolved", []step{begin, sent, resolve}, alert.Tell, false},
		{"shown, resolved and told", []step{begin, sent, resolve, begin, sent}, alert.Nothing, true},
		{"surely not arrived", []step{begin, unsent(true)}, alert.Post, false},
		{"nobody knows", []step{begin, unsent(false)}, alert.Settle, false},
		{"more while on its way", []step{begin, more, sent}, alert.Count, false},
		{"taken on while on its way", []step{begin, ack, sent}, alert.Tell, false},
		{"more of what is held", []step{begin, sent, held, more}, alert.Nothing, false},
		{"taken on while held", []step{begin, sent, held, ack}, alert.Tell, false},
		{"update surely not arrived", []step{begin, sent, ack, begin, unsent(true)}, alert.Tell, false},
		{"opened again", []step{begin, sent, resolve, begin, sent, again}, alert.Post, false},
		{"opened again while on its way", []step{begin, sent, resolve, begin, again}, alert.Settle, false},
		{"and arrived then", []step{begin, sent, resolve, begin, again, sent, freed}, alert.Post, false},
	} {
		a := routed(opened(), nil)
		for i, step := range c.steps {
			before := proto.CloneOf(a)
			next := step(a)
			if next == nil {
				t.Fatalf("%s: step %d changes nothing", c.name, i)
			}
			if !proto.Equal(a, before) {
				t.Errorf("%s: step %d changed the alert that it was given", c.name, i)
			}
			a = next
		}
		if got := alert.Needed(a, "slack"); got != c.need || alert.IsOver(a) != c.over {
			t.Errorf("%s: got need %d over %v, want %d %v\n%v", c.name, got, alert.IsOver(a), c.need, c.over, a.GetDeliveries())
		}
	}
	a := begin(routed(opened(), nil))
	if alert.Sent(a, "slack", "p2", "", nil, false, start) != nil || alert.Unsent(a, "slack", "p2", "", true, start) != nil {
		t.Error("another post's outcome counts")
	}
	if alert.Begin(a, "slack", "p2", start) != nil {
		t.Error("what is on its way is sent on its way twice")
	}
	if alert.Begin(sent(a), "slack", "p2", start) != nil || alert.Begin(a, "mail", "p2", start) != nil {
		t.Error("where nothing is to be done something is")
	}
}

func TestSilences(t *testing.T) {
	a := opened()
	for _, c := range []struct {
		name string
		m    *curfewv1.SilenceMatch
		want bool
	}{
		{"nothing set", &curfewv1.SilenceMatch{}, false},
		{"only a severity", &curfewv1.SilenceMatch{Severity: critical}, false},
		{"the alert", &curfewv1.SilenceMatch{AlertId: a.GetId()}, true},
		{"another", &curfewv1.SilenceMatch{AlertId: "x"}, false},
		{"all that fits", &curfewv1.SilenceMatch{Detection: "unauthorized_access", Entity: "person:ida", DataClass: "pii.contact", Source: "okta", Severity: low}, true},
		{"too severe", &curfewv1.SilenceMatch{Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_INFORMATIONAL}, false},
		{"its object", &curfewv1.SilenceMatch{Object: "okta/file/1"}, true},
		{"another object", &curfewv1.SilenceMatch{Object: "okta/file/2"}, false},
		{"one does not fit", &curfewv1.SilenceMatch{Detection: "unauthorized_access", Source: "slack"}, false},
	} {
		if got := alert.Covers(c.m, a); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	other := finding("2", low)
	other.Decision.Object = "okta/file/2"
	for _, object := range []string{"okta/file/1", "okta/file/2"} {
		if alert.Covers(&curfewv1.SilenceMatch{Object: object}, alert.Add(a, other, start)) {
			t.Errorf("an alert about two objects fits %s", object)
		}
	}
	stamp := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(start.Add(d)) }
	s := &curfewv1.Silence{From: stamp(0), Until: stamp(time.Hour)}
	for at, want := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		if got := alert.InForce(s, start.Add(at)); got != want {
			t.Errorf("in force at %v: got %v", at, got)
		}
	}
	s.ApprovalsNeeded = 1
	if alert.InForce(s, start) {
		t.Error("a proposal counts before a second person said yes")
	}
	s.Approvals = []*curfewv1.Approval{{Author: "person:bob"}}
	if !alert.InForce(s, start) {
		t.Error("an approved one does not count")
	}
	s.Ended = stamp(time.Minute)
	if alert.InForce(s, start.Add(2*time.Minute)) || !alert.HasEnded(s, start.Add(2*time.Minute)) {
		t.Error("an ended one counts")
	}
}

// What became of a grant that was ended from an alert is said once.
func TestWhatBecameOfAGrant(t *testing.T) {
	a := alert.Revoked(opened(), "person:bob", "Revoked grant g1.", []string{"g1", "g1", "g2"}, start)
	if got := fmt.Sprint(alert.Unseen(a)); got != "[g1 g2]" || len(a.GetNotes()) != 1 {
		t.Fatalf("got %s, %v", got, a.GetNotes())
	}
	a = alert.Gone(a, "g1", "It is gone.", start)
	if got := fmt.Sprint(alert.Unseen(a)); got != "[g2]" || len(a.GetNotes()) != 2 {
		t.Errorf("got %s, %v", got, a.GetNotes())
	}
	if alert.Gone(a, "g1", "It is gone.", start) != nil {
		t.Error("it is said twice")
	}
}
