// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func (s *stage) step(ref string, state curfewv1.CommandState) *curfewv1.CommandStep {
	return &curfewv1.CommandStep{
		Command: &curfewv1.Command{Id: "c1", Ref: ref, Actor: &curfewv1.CommandActor{System: "slack", Workspace: workspace.TeamID, Id: s.ann}},
		State:   state, Text: "role:support <!channel>",
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		place func(*stage) string
		state curfewv1.CommandState
		says  string
		// alone and direct are how many messages only the person sees, in the channel and in their own conversation.
		alone, direct int
	}{
		{"done on a message", func(s *stage) string { ref, _ := s.posted(alert(nil)); return ref }, curfewv1.CommandState_COMMAND_STATE_DONE, "✅ Done: role:support &lt;!channel&gt;", 1, 0},
		{"refused on a message", func(s *stage) string { ref, _ := s.posted(alert(nil)); return ref }, curfewv1.CommandState_COMMAND_STATE_REFUSED, "⛔ Refused", 1, 0},
		{"by a command", func(*stage) string { return "" }, curfewv1.CommandState_COMMAND_STATE_DONE, "✅ Done", 0, 1},
		{"where the bot is no more", func(s *stage) string {
			ref, _ := s.posted(alert(nil))
			s.slack.Kick(s.channel)
			return ref
		}, curfewv1.CommandState_COMMAND_STATE_DONE, "✅ Done", 0, 1},
		{"not done yet", func(*stage) string { return "" }, curfewv1.CommandState_COMMAND_STATE_ASKED, "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			if err := s.r.Answer(t.Context(), s.step(c.place(s), c.state)); err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, e := range s.slack.Ephemerals(s.ann) {
				said += e.Text
			}
			for _, m := range s.slack.Messages(s.ann) {
				said += m.Text
			}
			if a, d := len(s.slack.Ephemerals(s.ann)), len(s.slack.Messages(s.ann)); a != c.alone || d != c.direct || !strings.Contains(said, c.says) {
				t.Errorf("got %d and %d: %q; want %d and %d, with %q", a, d, said, c.alone, c.direct, c.says)
			}
		})
	}
}

func TestAnswerBehindANotice(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	if err := s.r.Notice(t.Context(), &curfewv1.Notice{Id: "n1", Contacts: []*curfewv1.Contact{contact("person:ann", s.ann)}, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	m := s.slack.Messages(s.ann)[0]
	if err := s.r.Answer(t.Context(), s.step(m.Channel+"/"+m.TS, curfewv1.CommandState_COMMAND_STATE_DONE)); err != nil {
		t.Fatal(err)
	}
	if got := len(s.slack.Replies(s.ann, m.TS)); got != 1 {
		t.Errorf("%d replies, want 1", got)
	}
}

func TestAnswerFails(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	ref, _ := s.posted(alert(nil))
	s.slack.Revoke("token_revoked")
	err := s.r.Answer(t.Context(), s.step(ref, curfewv1.CommandState_COMMAND_STATE_DONE))
	s.harmless(err)
	if refused := delivery.AsRefused(err); refused == nil || !refused.Final {
		t.Errorf("got %v, want a final refusal", err)
	}
}

func TestDetails(t *testing.T) {
	for _, c := range []struct {
		name   string
		lookup func(context.Context, string) (*curfewv1.Alert, error)
		told   string
	}{
		{"known", func(_ context.Context, id string) (*curfewv1.Alert, error) {
			return alert(func(a *curfewv1.Alert) { a.Id = id }), nil
		}, ""},
		{"not known", func(context.Context, string) (*curfewv1.Alert, error) { return nil, errors.New("none") }, "curfew alert show"},
		{"nobody to ask", nil, "curfew alert show"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			if c.lookup != nil {
				s.r.LookUp(c.lookup)
			}
			h := s.listen()
			a := alert(nil)
			_, ts := s.posted(a)
			s.slack.Duplicate(1)
			click := workspace.Click{
				User: s.ann, Channel: s.channel, TS: ts, ActionID: "more", Option: value{Do: idDetails, Alert: a.GetId(), Episode: 1}.text(maxOptionValue),
			}
			if err := s.slack.Click(t.Context(), click); err != nil {
				t.Fatal(err)
			}
			if c.told != "" {
				s.told(c.told)
				return
			}
			s.await("show", func() bool { return len(s.slack.Ephemerals(s.ann)) > 0 })
			if len(s.slack.Replies(s.channel, ts)) > 0 {
				t.Error("it stands in the thread, for all")
			}
			if got := s.slack.Ephemerals(s.ann); len(got) != 1 || !strings.Contains(string(got[0].Blocks), "Row 23") || strings.Contains(string(got[0].Blocks), idMore) {
				t.Errorf("got %+v, want one card without buttons", got)
			}
			if len(h.commands) > 0 {
				t.Error("to look is no command")
			}
		})
	}
}
