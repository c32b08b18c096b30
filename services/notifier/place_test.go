// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// shownMessage is a message as people see it.
type shownMessage struct {
	ref, id string
	alerts  []*curfewv1.Alert
	summary bool
	at      time.Time
	edits   int
	replies []*curfewv1.Reply
}

// place is a receiver that keeps what it is given, as a person would see it, and behaves as badly as it is told. It can be
// asked what arrived, and edited.
type place struct {
	now   func() time.Time
	fault func(call string) error // nil error = it goes well; a *delivery.Refused = nothing is taken; another = it is taken and the reply lost

	mu       sync.Mutex
	messages []*shownMessage
	notices  []*curfewv1.Notice
	calls    []string
	changed  chan struct{}
}

func newPlace() *place {
	return &place{now: time.Now, fault: func(string) error { return nil }, changed: make(chan struct{}, 1)}
}

// errLost is what one sees whose reply was lost.
var errLost = errors.New("the reply was lost")

func (p *place) call(call string, take func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.fault(call)
	p.calls = append(p.calls, call)
	if err == nil || delivery.AsRefused(err) == nil {
		take()
	}
	poke(p.changed)
	return err
}

// Post keeps a message.
func (p *place) Post(_ context.Context, post *curfewv1.Post) (ref string, err error) {
	err = p.call("post", func() {
		ref = fmt.Sprint("m", len(p.messages)+1)
		p.messages = append(p.messages, &shownMessage{ref: ref, id: post.GetId(), alerts: post.GetAlerts(), summary: post.GetSummary(), at: p.now()})
	})
	return ref, err
}

// Edit shows a message anew.
func (p *place) Edit(_ context.Context, ref string, post *curfewv1.Post) error {
	return p.call("edit", func() {
		for _, m := range p.messages {
			if m.ref == ref {
				m.alerts = post.GetAlerts()
				m.edits++
			}
		}
	})
}

// Reply keeps a reply.
func (p *place) Reply(_ context.Context, reply *curfewv1.Reply) error {
	return p.call("reply", func() {
		for _, m := range p.messages {
			if m.ref == reply.GetRef() {
				m.replies = append(m.replies, reply)
			}
		}
	})
}

// Find looks for a message or a reply.
func (p *place) Find(_ context.Context, thread, id string, _ time.Time) (ref string, found bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		if thread == "" && m.id == id {
			return m.ref, true, nil
		}
		if m.ref == thread && slices.ContainsFunc(m.replies, func(r *curfewv1.Reply) bool { return r.GetId() == id }) {
			return thread, true, nil
		}
	}
	return "", false, nil
}

// Notice keeps a notice.
func (p *place) Notice(_ context.Context, n *curfewv1.Notice) error {
	return p.call("notice", func() { p.notices = append(p.notices, n) })
}

// Pace is as fast as can be.
func (p *place) Pace() (posts, edits delivery.Pace) {
	return delivery.Pace{Burst: 1000, Every: time.Millisecond}, delivery.Pace{Burst: 1000, Every: time.Millisecond}
}

// until waits for what people see to be as wanted.
func (p *place) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-time.After(20 * time.Millisecond): // what is waited for may stand elsewhere
		case <-deadline:
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Fatalf("never: %s; messages %s", what, p.text())
		}
	}
}

// times is how often each alert is shown in messages, of its titles.
func (p *place) times() map[string]int {
	times := map[string]int{}
	for _, m := range p.messages {
		for _, a := range m.alerts {
			times[a.GetFinding().GetTitle()]++
		}
	}
	return times
}

func (p *place) text() string {
	var text strings.Builder
	for _, m := range p.messages {
		fmt.Fprintf(&text, "\n%s %d alerts, summary %v, %d edits:", m.ref, len(m.alerts), m.summary, m.edits)
		for _, a := range m.alerts[:min(3, len(m.alerts))] {
			fmt.Fprintf(&text, " %q x%d %s", a.GetFinding().GetTitle(), a.GetCount(), a.GetState())
		}
		for _, r := range m.replies {
			fmt.Fprintf(&text, "\n   reply (loud %v): %s", r.GetLoud(), strings.Join(r.GetLines(), " | "))
		}
	}
	return text.String()
}

// mute is a place that cannot be asked what arrived, nor edited.
type mute struct{ p *place }

// Post keeps a message.
func (m mute) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	_, err := m.p.Post(ctx, post)
	return "", err
}

// setting is a notifier's, for tests.
type setting func(*Options)

func withClock(c clock.Clock) setting             { return func(o *Options) { o.Clock = c } }
func withAlerts(a config.Alerts) setting          { return func(o *Options) { o.Alerts = a } }
func withState(s state.Store) setting             { return func(o *Options) { o.State = s } }
func withMode(m func(string) config.Mode) setting { return func(o *Options) { o.Mode = m } }

func run(t *testing.T, b *bus.Bus, receivers map[string]Receiver, settings ...setting) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	o := Options{
		Bus: b, State: state.NewMemory(), Tenant: "main", Mode: config.Config{Mode: config.Alert}.ModeOf, Receivers: receivers,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
	for _, set := range settings {
		set(&o)
	}
	go func() { done <- Run(ctx, o) }()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: got %v, want Canceled", err)
		}
		done <- context.Canceled
	}
	t.Cleanup(stop)
	return stop
}

// found is a finding about one person; it stores it.
func found(t *testing.T, b *bus.Bus, id, person string, changes ...func(*curfewv1.Finding)) *curfewv1.Finding {
	t.Helper()
	f := &curfewv1.Finding{
		Format: 1, Id: id, Tenant: "main", Severity: curfewv1.Severity_SEVERITY_HIGH, Detection: "export_of_many", Title: id,
		Event:    &curfewv1.Event{Id: "event of " + id, Source: "okta"},
		Decision: &curfewv1.Decision{Subject: "person:" + person, Classes: []string{"pii.contact"}},
	}
	for _, change := range changes {
		change(f)
	}
	if _, err := b.Publish(t.Context(), bus.FindingSubject(f), f.GetId()+fmt.Sprint(time.Now().UnixNano()), f); err != nil {
		t.Fatal(err)
	}
	return f
}
