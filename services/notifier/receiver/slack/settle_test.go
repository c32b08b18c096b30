// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The buttons of what was answered go away where it was answered, once it counts, and nowhere else.
func TestAnAnswerTakesItsButtonsAway(t *testing.T) {
	question := func() *curfewv1.Notice {
		return &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION, Alert: alert(nil)}
	}
	request := func() *curfewv1.Notice {
		return &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_REQUESTED, Grant: &curfewv1.Grant{Id: "g1", Digest: "d1"}}
	}
	proposal := func() *curfewv1.Notice {
		return &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Silence: &curfewv1.Silence{Id: "s1", ApprovalsNeeded: 1}}
	}
	const done, refused, asked = curfewv1.CommandState_COMMAND_STATE_DONE, curfewv1.CommandState_COMMAND_STATE_REFUSED, curfewv1.CommandState_COMMAND_STATE_ASKED
	for _, c := range []struct {
		name   string
		notice func() *curfewv1.Notice
		direct bool
		click  string
		state  curfewv1.CommandState
		want   string // "" = the buttons stay
	}{
		{"a question", question, true, idConfirm, asked, "You answered: Yes, it was me"},
		{"a question denied", question, true, idDisown, asked, "You answered: No, it was not me"},
		{"a question in the channel", question, false, idConfirm, refused, ""},
		{"a proposal", proposal, false, idApprove, done, "Answered: Approve"},
		{"a proposal denied", proposal, false, idDeny, done, "Answered: Deny"},
		{"a proposal by who may not", proposal, false, idApprove, refused, ""},
		{"a request", request, true, idApprove, done, "Answered: Approve"},
		{"a request by who may not", request, true, idApprove, refused, ""},
		{"a request of all approvers", request, false, idApprove, done, ""},
		{"a request of all approvers denied", request, false, idDeny, done, "Answered: Deny"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			h := s.listen()
			n, in := c.notice(), s.channel
			n.Id, n.Text = "n1", "well <!channel>?"
			if c.direct {
				n.Contacts, in = []*curfewv1.Contact{contact("person:ann", s.ann)}, s.ann
			}
			if err := s.r.Notice(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			before := s.slack.Messages(in)[0]
			if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: in, TS: before.TS, ActionID: c.click}); err != nil {
				t.Fatal(err)
			}
			q := h.next(t)
			if c.state != asked {
				if err := s.r.Answer(t.Context(), &curfewv1.CommandStep{Command: q, State: c.state, Text: "x"}); err != nil {
					t.Fatal(err)
				}
			} else {
				s.await("close", func() bool { return len(s.slack.Messages(in)[0].Edits) > 0 })
			}
			got := s.slack.Messages(in)[0]
			blocks := string(got.Blocks)
			if open := strings.Contains(blocks, `"actions"`); open != (c.want == "") || !strings.Contains(blocks, c.want) {
				t.Errorf("got %s, want %q and no buttons, or the buttons alone", blocks, c.want)
			}
			if c.want == "" {
				return
			}
			if got.Text != before.Text || !strings.Contains(blocks, "well &lt;!channel&gt;?") || got.Metadata.EventPayload["post"] != "n1" {
				t.Errorf("got %q, %s, %v; want what stood there before", got.Text, blocks, got.Metadata)
			}
			if named := strings.Contains(blocks, "By <@"+s.ann+">"); named == strings.HasPrefix(c.want, "You") {
				t.Errorf("got %s, want it to say who where that is not whoever reads it", blocks)
			}
		})
	}
}

// Slack's no to a message that is to change is nobody's trouble.
func TestAMessageThatCannotChangeFailsNoClick(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	h := s.listen()
	n := &curfewv1.Notice{Id: "n1", Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Text: "well?", Silence: &curfewv1.Silence{Id: "s1", ApprovalsNeeded: 1}}
	if err := s.r.Notice(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	s.slack.Break("chat.update", workspace.Fault{Error: "cant_update_message"}, 1)
	if err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.channel, TS: s.slack.Messages(s.channel)[0].TS, ActionID: idApprove}); err != nil {
		t.Fatal(err)
	}
	if err := s.r.Answer(t.Context(), &curfewv1.CommandStep{Command: h.next(t), State: curfewv1.CommandState_COMMAND_STATE_DONE}); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if len(s.slack.Ephemerals(s.ann)) != 1 {
		t.Error("who clicked was not told")
	}
}

// What is remembered of clicks has an end.
func TestAskedHasAnEnd(t *testing.T) {
	a := asked{}
	for i := range 10 * maxAsked {
		a.add(string(rune(i)), nil)
		a.add(string(rune(i)), []byte{1})
	}
	if len(a.known) != maxAsked || len(a.order) != maxAsked {
		t.Errorf("got %d and %d, want %d", len(a.known), len(a.order), maxAsked)
	}
}

func TestUntick(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "See `curfew grant show g1`; or `curfew x`.": "See curfew grant show g1; or curfew x.", "`code` of `curfew": "`code` of `curfew",
		"`rm -rf` and `curfew a` `b`": "`rm -rf` and curfew a `b`", "``curfew a``": "`curfew a`",
	} {
		if got := untick(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
