// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// each runs a test by Socket Mode and by HTTP.
func each(t *testing.T, o workspace.Options, run func(*testing.T, *stage, *heard)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) {
		s := set(t, o, nil)
		run(t, s, s.listen())
	})
	t.Run("http", func(t *testing.T) {
		s, h := byHTTP(t, o)
		run(t, s, h)
	})
}

func TestClicks(t *testing.T) {
	for _, c := range []struct {
		action, option string
		want           curfewv1.CommandKind
		seconds        int64
	}{
		{action: "acknowledge", want: curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE},
		{action: "ask", want: curfewv1.CommandKind_COMMAND_KIND_ASK},
		{action: "revoke", want: curfewv1.CommandKind_COMMAND_KIND_REVOKE},
		{action: "more", option: idMute, want: curfewv1.CommandKind_COMMAND_KIND_MUTE, seconds: 3600},
	} {
		t.Run(c.action, func(t *testing.T) {
			each(t, workspace.Options{}, func(t *testing.T, s *stage, h *heard) {
				a := alert(nil)
				a.Episode = 3
				ref, ts := s.posted(a)
				option := c.option
				if option != "" {
					option = value{Do: option, Alert: a.GetId(), Episode: 3, Seconds: c.seconds}.text(maxOptionValue)
				}
				// Both copies of it are the same command.
				s.slack.Duplicate(1)
				if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: c.action, Option: option}); err != nil {
					t.Fatal(err)
				}
				got := h.next(t)
				for len(h.commands) > 0 {
					if again := h.next(t); again.GetId() != got.GetId() {
						t.Errorf("the same click has two ids: %s and %s", again.GetId(), got.GetId())
					}
				}
				if got.GetKind() != c.want || got.GetAlertId() != a.GetId() || got.GetEpisode() != 3 || got.GetRef() != ref || got.GetDuration().GetSeconds() != c.seconds {
					t.Errorf("got %v", got)
				}
				if actor := got.GetActor(); actor.GetSystem() != "slack" || actor.GetWorkspace() != workspace.TeamID || actor.GetId() != s.ann {
					t.Errorf("got actor %v", actor)
				}
				if when := got.GetTime().AsTime(); when.Sub(noon()).Abs() > time.Minute {
					t.Errorf("got time %v, want that of the click", when)
				}
				// Another click is another command.
				if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: c.action, Option: option}); err != nil {
					t.Fatal(err)
				}
				if next := h.next(t); next.GetId() == got.GetId() {
					t.Error("two clicks have one id")
				}
			})
		})
	}
}

// A click that could not be kept is not acknowledged: Slack brings it again, and the person is told.
func TestWhatIsNotTakenComesAgain(t *testing.T) {
	fire := make(chan time.Time)
	o := workspace.Options{After: func(time.Duration) <-chan time.Time { return fire }}
	each(t, o, func(t *testing.T, s *stage, h *heard) {
		reports := make(chan error, 10)
		s.r.report = func(err error) { reports <- err }
		_, ts := s.posted(alert(nil))
		h.refuse <- errors.New("no disk")
		clicked := make(chan error)
		go func() {
			clicked <- s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "acknowledge"})
		}()
		if err := <-reports; !strings.Contains(err.Error(), "no disk") {
			t.Fatalf("got %v", err)
		}
		select {
		case fire <- noon(): // Slack waited for long enough
		case got := <-h.commands: // by HTTP it need not
			h.commands <- got
		}
		if err := <-clicked; err != nil {
			t.Errorf("got %v, want it acknowledged the second time", err)
		}
		if got := h.next(t); got.GetKind() != curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE {
			t.Errorf("got %v", got)
		}
		s.told("Not taken yet")
	})
}

// told waits until somebody alone was shown a text.
func (s *stage) told(text string) {
	s.t.Helper()
	s.await("tell "+text, func() bool {
		for _, e := range s.slack.Ephemerals(s.ann) {
			if strings.Contains(e.Text, text) {
				return true
			}
		}
		return false
	})
}

func (s *stage) await(what string, is func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := s.slack.Await(ctx, is); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// Slack asks to connect anew, or just hangs up: clicks go on coming in.
func TestSocketModeGoesOn(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	_, ts := s.posted(alert(nil))
	s.slack.Break("apps.connections.open", workspace.Fault{Before: 503}, 2)
	reports := make(chan error, 100)
	s.r.report = func(err error) { reports <- err }
	s.r.after = func(time.Duration) <-chan time.Time { now := make(chan time.Time, 1); now <- noon(); return now }
	h := s.listen()
	for _, disturb := range []func(){func() {}, s.slack.Refresh, s.slack.Cut, func() { s.slack.Revoke("invalid_auth"); s.slack.Cut(); s.slack.Revoke("") }} {
		disturb()
		if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "acknowledge"}); err != nil {
			t.Fatal(err)
		}
		if got := h.next(t); got.GetActor().GetId() != s.ann {
			t.Errorf("got %v", got)
		}
	}
	for range 2 {
		if err := <-reports; !strings.Contains(err.Error(), "503") {
			t.Errorf("got %v, want it reported that Socket Mode was not opened", err)
		}
	}
}

func TestTroubleIsReportedWithoutSecrets(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	reports := make(chan error, 1)
	s.r.Report(func(err error) {
		select {
		case reports <- err:
		default:
		}
	})
	s.slack.Revoke("token_revoked")
	s.listen()
	err := <-reports
	s.harmless(err)
	if !strings.Contains(err.Error(), "token") {
		t.Errorf("got %v", err)
	}
}

func TestModals(t *testing.T) {
	for _, c := range []struct {
		name, action, option string
		fill                 map[string]string
		want                 *curfewv1.Command
	}{
		{
			"make temporary", "make_temporary", "", map[string]string{"role": "role:support", "length": "28800", "reason": " ticket 1 "},
			&curfewv1.Command{Kind: curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY, Role: "role:support", Reason: "ticket 1"},
		},
		{
			"expected", "expect", "", map[string]string{"scope": "resource", "length": "86400", "reason": "a sale"},
			&curfewv1.Command{Kind: curfewv1.CommandKind_COMMAND_KIND_EXPECT, Scope: "resource", Reason: "a sale"},
		},
		{
			"resolve", "more", idResolve, map[string]string{"reason": "agreed <here> & there"},
			&curfewv1.Command{Kind: curfewv1.CommandKind_COMMAND_KIND_RESOLVE, Reason: "agreed <here> & there"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			h := s.listen()
			a := alert(func(a *curfewv1.Alert) { a.Object = "google_workspace/file/1A" })
			ref, ts := s.posted(a)
			option := c.option
			if option != "" {
				option = value{Do: option, Alert: a.GetId(), Episode: 1}.text(maxOptionValue)
			}
			s.slack.Duplicate(1)
			if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: c.action, Option: option}); err != nil {
				t.Fatal(err)
			}
			s.await("open", func() bool { return len(s.slack.Views(s.ann)) > 0 })
			view := s.slack.Views(s.ann)[0]
			if !strings.Contains(string(view.JSON), "ida@example.com") {
				t.Errorf("the form does not say of what: %s", view.JSON)
			}
			if _, err := s.slack.Submit(t.Context(), s.ann, view.ID, c.fill); err != nil {
				t.Fatal(err)
			}
			got := h.next(t)
			if got.GetKind() != c.want.GetKind() || got.GetRole() != c.want.GetRole() || got.GetReason() != c.want.GetReason() || got.GetScope() != c.want.GetScope() {
				t.Errorf("got %v", got)
			}
			if got.GetAlertId() != a.GetId() || got.GetEpisode() != 1 || got.GetRef() != ref {
				t.Errorf("got %v, want the alert at %s", got, ref)
			}
			if want := c.fill["length"]; want != "" && got.GetDuration() == nil {
				t.Errorf("got no duration, want %s s", want)
			}
			if left := s.slack.Views(s.ann); len(left) != 0 {
				t.Errorf("%d modals are open, want none", len(left))
			}
		})
	}
}

func TestRevokeOfManyAsksFirst(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	h := s.listen()
	list := many(3, nil)
	_, ts := s.posted(list...)
	option := value{Do: idRevoke, Alert: list[1].GetId(), Episode: 1}.text(maxOptionValue)
	var blocks []struct {
		ID string `json:"block_id"`
	}
	if err := json.Unmarshal(s.slack.Messages(s.channel)[0].Blocks, &blocks); err != nil {
		t.Fatal(err)
	}
	id := blocks[2].ID // behind the header and the first
	click := workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "more", Option: option, BlockID: id}
	if err := s.slack.Click(t.Context(), click); err != nil {
		t.Fatalf("click in block %q: %v", id, err)
	}
	s.await("open", func() bool { return len(s.slack.Views(s.ann)) > 0 })
	if len(h.commands) > 0 {
		t.Fatal("it was revoked without a question")
	}
	view := s.slack.Views(s.ann)[0]
	if !strings.Contains(string(view.JSON), "ida@example.com") {
		t.Errorf("the question does not say of what: %s", view.JSON)
	}
	if _, err := s.slack.Submit(t.Context(), s.ann, view.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := h.next(t); got.GetKind() != curfewv1.CommandKind_COMMAND_KIND_REVOKE || got.GetAlertId() != list[1].GetId() {
		t.Errorf("got %v", got)
	}
}
