// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Who has no business here is refused at once, and told so; their click is never handed on.
func TestWhoMayNotClick(t *testing.T) {
	for _, c := range []struct {
		name   string
		user   workspace.User
		change func(*workspace.Workspace, map[string]any)
		says   string
	}{
		{"deactivated", workspace.User{Name: "gone", Deleted: true}, nil, "deactivated"},
		{"a guest", workspace.User{Name: "guest", IsRestricted: true}, nil, "guest"},
		{"a stranger", workspace.User{Name: "far", IsStranger: true}, nil, "another workspace"},
		{"of another workspace", workspace.User{Name: "far", TeamID: "T0OTHER"}, nil, "another workspace"},
		{"of another, unsaid by the click", workspace.User{Name: "far", TeamID: "T0OTHER"}, func(_ *workspace.Workspace, p map[string]any) {
			delete(p["user"].(map[string]any), "team_id")
		}, "another workspace"},
		{"in another workspace", workspace.User{Name: "eve"}, func(_ *workspace.Workspace, p map[string]any) {
			p["team"] = map[string]any{"id": "T0OTHER"}
		}, "another workspace"},
		{"by an account of another, says the click alone", workspace.User{Name: "eve"}, func(_ *workspace.Workspace, p map[string]any) {
			p["user"].(map[string]any)["team_id"] = "T0OTHER"
		}, "another workspace"},
		{"a bot", workspace.User{Name: "robot", IsBot: true}, nil, "bot"},
		{"Slack cannot say", workspace.User{Name: "eve"}, func(w *workspace.Workspace, _ map[string]any) {
			w.Break("users.info", workspace.Fault{Before: 503}, 1)
		}, "Try again"},
		{"Slack says no", workspace.User{Name: "eve"}, func(w *workspace.Workspace, _ map[string]any) { w.Withhold("users:read") }, "Try again"},
		{"nobody", workspace.User{Name: "eve"}, func(_ *workspace.Workspace, p map[string]any) {
			p["user"] = map[string]any{"id": "U0NOBODY"}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, workspace.Options{}, func(t *testing.T, s *stage, h *heard) {
				_, ts := s.posted(alert(nil))
				s.ann = s.slack.AddUser(c.user)
				payload, err := s.slack.Payload(workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "acknowledge"})
				if err != nil {
					t.Fatal(err)
				}
				if c.change != nil {
					c.change(s.slack, payload)
				}
				if _, err := s.slack.Deliver(t.Context(), workspace.Interactive, payload); err != nil {
					t.Fatal(err)
				}
				if c.says != "" {
					s.told(c.says)
				}
				if len(h.commands) > 0 {
					t.Errorf("it was handed on: %v", h.next(t))
				}
			})
		})
	}
}

// Who is deactivated clicks for no longer than a minute.
func TestAnAccountIsAskedForAgain(t *testing.T) {
	clock := &watch{}
	s := set(t, workspace.Options{Now: clock.now}, nil)
	c := click{team: workspace.TeamID, user: s.ann}
	self := identity{team: workspace.TeamID, user: workspace.BotUser}
	judge := func() string {
		t.Helper()
		no, err := s.r.judge(t.Context(), self, c)
		if err != nil {
			t.Fatal(err)
		}
		return no
	}
	if no := judge(); no != "" {
		t.Fatalf("got %q", no)
	}
	s.slack.AddUser(workspace.User{ID: s.ann, Name: "ann", Deleted: true})
	clock.advance(believed - time.Second)
	if no := judge(); no != "" {
		t.Errorf("within the minute: got %q", no)
	}
	clock.advance(time.Second)
	if no := judge(); no == "" {
		t.Error("after the minute: got a yes")
	}
	// A clock that was set back makes nothing last longer.
	s.slack.AddUser(workspace.User{ID: s.ann, Name: "ann"})
	clock.advance(-time.Hour)
	if no := judge(); no != "" {
		t.Errorf("after the clock was set back: got %q", no)
	}
}

func TestClicksThatMeanNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		action map[string]any
		told   bool
	}{
		{"an action nobody knows", map[string]any{"action_id": "reboot", "value": "{}"}, true},
		{"no alert", map[string]any{"action_id": "acknowledge", "value": `{"e":1}`}, true},
		{"no JSON", map[string]any{"action_id": "acknowledge", "value": "x"}, true},
		{"a mute without an end", map[string]any{"action_id": "mute", "value": `{"a":"f00d"}`}, true},
		{"a mute for longer than all", map[string]any{"action_id": "mute", "value": `{"a":"f00d","t":99999999999}`}, true},
		{"an approval of nothing", map[string]any{"action_id": "approve", "value": `{"a":"f00d"}`}, true},
		{"a menu's choice that nobody knows", map[string]any{"action_id": "more", "selected_option": map[string]any{"value": `{"k":"x"}`}}, true},
		{"a request by a button", map[string]any{"action_id": "request", "value": `{"a":"f00d"}`}, true},
		{"a kind that is none", map[string]any{"action_id": "unspecified", "value": `{"a":"f00d"}`}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			h := s.listen()
			_, ts := s.posted(alert(nil))
			payload, err := s.slack.Payload(workspace.Click{User: s.ann, Channel: s.channel, TS: ts, ActionID: "acknowledge"})
			if err != nil {
				t.Fatal(err)
			}
			c.action["block_id"], c.action["action_ts"] = "b", "1.2"
			payload["actions"] = []any{c.action}
			if _, err := s.slack.Deliver(t.Context(), workspace.Interactive, payload); err != nil {
				t.Fatal(err)
			}
			s.told("another version")
			if len(h.commands) > 0 {
				t.Errorf("it was handed on: %v", h.next(t))
			}
		})
	}
}

func TestSlash(t *testing.T) {
	for _, c := range []struct {
		text, role, reason, says string
		seconds                  int64
	}{
		{text: "request role:support 4h ticket 4711", role: "role:support", seconds: 4 * 3600, reason: "ticket 4711", says: "Asked for role:support for 4 h"},
		{text: " request  support  2d  a &amp; b ", role: "role:support", seconds: 2 * 86400, reason: "a & b", says: "Asked for"},
		{text: "help", says: "/curfew request"},
		{text: "", says: "/curfew request"},
		{text: "reboot", says: "/curfew request"},
		{text: "request role:support", says: "for how long"},
		{text: "request role:support long because", says: "for how long"},
		{text: "request role:support -4h because", says: "for how long"},
		{text: "request role:support 99999999d because", says: "for how long"},
		{text: "request role:support 4h", says: "say why"},
		{text: "request " + strings.Repeat("x", 300) + " 4h because", says: "role"},
	} {
		t.Run(c.text[:min(len(c.text), 40)], func(t *testing.T) {
			each(t, workspace.Options{}, func(t *testing.T, s *stage, h *heard) {
				if _, err := s.slack.Slash(t.Context(), s.ann, s.channel, "/curfew", c.text); err != nil {
					t.Fatal(err)
				}
				s.await(c.says, func() bool {
					told := s.slack.Ephemerals(s.ann)
					return len(told) == 1 && strings.Contains(string(told[0].Blocks), c.says)
				})
				if c.role == "" {
					if len(h.commands) > 0 {
						t.Errorf("it was handed on: %v", h.next(t))
					}
					return
				}
				got := h.next(t)
				if got.GetKind() != curfewv1.CommandKind_COMMAND_KIND_REQUEST || got.GetRole() != c.role || got.GetReason() != c.reason || got.GetDuration().GetSeconds() != c.seconds {
					t.Errorf("got %v", got)
				}
				if got.GetRef() != "" || got.GetActor().GetId() != s.ann {
					t.Errorf("got %v, want no place, by ann", got)
				}
			})
		})
	}
}

func TestRequestByForm(t *testing.T) {
	each(t, workspace.Options{}, func(t *testing.T, s *stage, h *heard) {
		if _, err := s.slack.Slash(t.Context(), s.ann, s.channel, "/curfew", "request"); err != nil {
			t.Fatal(err)
		}
		s.await("open", func() bool { return len(s.slack.Views(s.ann)) > 0 })
		view := s.slack.Views(s.ann)[0].ID
		if _, err := s.slack.Submit(t.Context(), s.ann, view, map[string]string{"role": "no role", "length": "3600", "reason": "x"}); err != nil {
			t.Fatal(err)
		}
		if open := s.slack.Views(s.ann); len(open) != 1 || open[0].Errors["role"] == "" || len(h.commands) > 0 {
			t.Fatalf("got %+v, want the form with what is wrong", open)
		}
		if _, err := s.slack.Submit(t.Context(), s.ann, view, map[string]string{"role": "support", "length": "3600", "reason": "x"}); err != nil {
			t.Fatal(err)
		}
		if got := h.next(t); got.GetRole() != "role:support" || got.GetKind() != curfewv1.CommandKind_COMMAND_KIND_REQUEST {
			t.Errorf("got %v", got)
		}
	})
}

// A guest's form is refused where they filled it in.
func TestAFormOfSomebodyWhoMayNot(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	h := s.listen()
	payload := map[string]any{
		"type": "view_submission", "team": map[string]any{"id": workspace.TeamID},
		"user": map[string]any{"id": s.slack.AddUser(workspace.User{Name: "guest", IsRestricted: true})},
		"view": map[string]any{"id": "V1", "callback_id": "request", "private_metadata": "{}", "state": map[string]any{"values": map[string]any{}}},
	}
	answer, err := s.slack.Deliver(t.Context(), workspace.Interactive, payload)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Action string         `json:"response_action"`
		View   map[string]any `json:"view"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || said.Action != "update" || !strings.Contains(string(answer), "guest") || len(h.commands) > 0 {
		t.Errorf("got %s, %v; want a view that says why", answer, err)
	}
}
