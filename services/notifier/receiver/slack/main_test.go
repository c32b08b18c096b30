// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"flag"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is what time it is in most tests.
func noon() time.Time { return time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) }

// watch is a clock that a test sets.
type watch struct{ on atomic.Int64 }

func (w *watch) now() time.Time           { return noon().Add(time.Duration(w.on.Load())) }
func (w *watch) advance(by time.Duration) { w.on.Add(int64(by)) }

func at(minute int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 2, 9, minute, 3, 0, time.UTC))
}

func alert(change func(*curfewv1.Alert)) *curfewv1.Alert {
	a := &curfewv1.Alert{
		Id: "f00df00df00df00df00df00df00df00d", Tenant: "main", State: curfewv1.AlertState_ALERT_STATE_OPEN, Entity: "person:ida", DataClass: "pii.contact",
		Severity: curfewv1.Severity_SEVERITY_HIGH, Episode: 1, Count: 1, Opened: at(14), Newest: at(14), Version: 1,
		Finding: &curfewv1.Finding{
			Id: "beef", Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_HIGH, Time: at(14),
			Title: `ida@example.com shared file "R&D <2026>" without the right to`, Reason: "Row 23 denies share of pii.contact.",
			NextSteps: []string{"Ask ida@example.com what it was for.", "If it was not right, take the access away."},
			Controls:  []string{"NIST AC-3"},
			Event: &curfewv1.Event{
				Source: "google_workspace", Feed: "drive", Action: "change_user_access", Time: at(14), Actor: &curfewv1.Actor{Name: "Ida", Email: "ida@example.com"},
				Resource: &curfewv1.Resource{Path: "file/1A", Kind: "file", Name: "R&D <2026>"}, Context: &curfewv1.Context{Ip: "192.0.2.7", Country: "DE"},
				Changes: []*curfewv1.Change{{Field: "visibility", Before: "private", After: "people_with_link"}},
			},
			Decision: &curfewv1.Decision{
				Subject: "person:ida", Act: "share", Classes: []string{"pii.contact"}, PolicyDigest: strings.Repeat("ab", 32),
				Row: &curfewv1.Row{File: "policy.csv", Line: 23, Text: "p, role:anyone, *, *, customer, share, deny"},
			},
			Context: &curfewv1.FindingContext{
				History: []string{"shared nothing outside in 90 days"}, Reach: []string{"okta/app/payroll (pii.finance)"},
				AllowingRoles: []string{"role:support", "role:sales"}, Grants: []*curfewv1.HeldGrant{{Id: "g1", Text: "role:export until 18:00"}},
			},
		},
	}
	if change != nil {
		change(a)
	}
	return a
}

func post(id string, alerts ...*curfewv1.Alert) *curfewv1.Post {
	return &curfewv1.Post{Id: id, Alerts: alerts}
}

// stage is a workspace with a channel and a person, and a receiver for it.
type stage struct {
	t       *testing.T
	slack   *workspace.Workspace
	server  *httptest.Server
	channel string
	ann     string
	r       *Receiver
}

// set is a stage by Socket Mode, unless change says otherwise.
func set(t *testing.T, o workspace.Options, change func(*Config)) *stage {
	t.Helper()
	if o.Now == nil {
		o.Now = noon
	}
	o.Burst = -1
	s := &stage{t: t, slack: workspace.New(o)}
	s.server = httptest.NewServer(s.slack)
	t.Cleanup(func() {
		s.slack.Close()
		s.server.Close()
	})
	s.channel, s.ann = s.slack.AddChannel("alerts"), s.slack.AddUser(workspace.User{Name: "ann"})
	c := Config{
		Channel: s.channel, BotToken: config.SecretValue(workspace.BotToken), AppToken: config.SecretValue(workspace.AppToken), APIURL: s.server.URL + "/api/",
	}
	if change != nil {
		change(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.CloseIdleConnections)
	r.now = o.Now
	s.r = r
	return s
}

// posted is an alert in the channel.
func (s *stage) posted(alerts ...*curfewv1.Alert) (ref, ts string) {
	s.t.Helper()
	ref, err := s.r.Post(s.t.Context(), post("p1", alerts...))
	if err != nil {
		s.t.Fatal(err)
	}
	_, ts, _ = strings.Cut(ref, "/")
	return ref, ts
}

// harmless is an error if one holds a secret.
func (s *stage) harmless(err error) {
	s.t.Helper()
	for _, secret := range []string{workspace.BotToken, workspace.AppToken, workspace.SigningSecret, "ticket"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			s.t.Errorf("an error holds a secret: %v", err)
		}
	}
}

// heard are the commands that were taken.
type heard struct {
	commands chan *curfewv1.Command
	// refuse makes the next ones fail.
	refuse chan error
}

func (h *heard) take(_ context.Context, c *curfewv1.Command) error {
	select {
	case err := <-h.refuse:
		return err
	default:
	}
	h.commands <- c
	return nil
}

// next is the next command that is taken.
func (h *heard) next(t *testing.T) *curfewv1.Command {
	t.Helper()
	select {
	case c := <-h.commands:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no command was taken")
		return nil
	}
}

// listen makes the receiver listen until the test ends.
func (s *stage) listen() *heard {
	s.t.Helper()
	h := &heard{commands: make(chan *curfewv1.Command, 100), refuse: make(chan error, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.r.Listen(ctx, h.take) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.t.Errorf("Listen ended with %v, want %v", err, context.Canceled)
		}
	})
	return h
}
