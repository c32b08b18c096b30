// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func contact(person, id string) *curfewv1.Contact {
	return &curfewv1.Contact{Person: person, System: "slack", Id: id}
}

func TestNotice(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	gone := s.slack.AddUser(workspace.User{Name: "gone", Deleted: true})
	for _, c := range []struct {
		name string
		in   *curfewv1.Notice
		// direct and channel are how many messages come of it there.
		direct, channel int
		says            string
	}{
		{"to a person", &curfewv1.Notice{To: []string{"person:ann"}, Contacts: []*curfewv1.Contact{contact("person:ann", s.ann)}, Text: "it ends"}, 1, 0, "it ends"},
		{"to somebody without an account", &curfewv1.Notice{To: []string{"person:bob"}, Text: "it ends"}, 0, 1, "For person:bob"},
		{"to both", &curfewv1.Notice{
			To: []string{"person:ann", "person:bob"}, Contacts: []*curfewv1.Contact{contact("person:ann", s.ann)}, Text: "x",
		}, 1, 1, "For person:bob"},
		{"by another system", &curfewv1.Notice{
			To: []string{"person:ann"}, Contacts: []*curfewv1.Contact{{Person: "person:ann", System: "email", Id: "ann@example.com"}}, Text: "x",
		}, 0, 1, "For person:ann"},
		{"to an account that is gone", &curfewv1.Notice{
			To: []string{"person:cid"}, Contacts: []*curfewv1.Contact{contact("person:cid", gone)}, Text: "x",
		}, 0, 1, "For person:cid"},
		{"to everybody", &curfewv1.Notice{Text: hostile}, 0, 1, "&lt;!channel&gt;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			direct, channel := len(s.slack.Messages(s.ann)), len(s.slack.Messages(s.channel))
			c.in.Id = c.name
			// The second time nobody is told again.
			for range 2 {
				if err := s.r.Notice(t.Context(), c.in); err != nil {
					t.Fatal(err)
				}
			}
			all := append(s.slack.Messages(s.ann)[direct:], s.slack.Messages(s.channel)[channel:]...)
			if d, ch := len(s.slack.Messages(s.ann))-direct, len(s.slack.Messages(s.channel))-channel; d != c.direct || ch != c.channel {
				t.Errorf("got %d direct and %d in the channel, want %d and %d", d, ch, c.direct, c.channel)
			}
			said := ""
			for _, m := range all {
				said += string(m.Blocks)
			}
			if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(said, `\u0026`, "&"), `\u003c`, "<"), c.says) {
				t.Errorf("got %s, want %q in it", said, c.says)
			}
		})
	}
}

// Who was told before something went wrong is not told again, and who was not is.
func TestANoticeGoesOnWhereItStopped(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	bob := s.slack.AddUser(workspace.User{Name: "bob"})
	n := &curfewv1.Notice{
		Id: "n1", To: []string{"person:ann", "person:bob"}, Contacts: []*curfewv1.Contact{contact("person:ann", s.ann), contact("person:bob", bob)}, Text: "x",
	}
	if err := s.r.Notice(t.Context(), &curfewv1.Notice{Id: "n0", Contacts: n.GetContacts()[:1], Text: "x"}); err != nil {
		t.Fatal(err)
	}
	s.slack.Break("conversations.open", workspace.Fault{Before: 503}, 1)
	err := s.r.Notice(t.Context(), n)
	s.harmless(err)
	if err == nil {
		t.Fatal("got nil")
	}
	if err := s.r.Notice(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if a, b, c := len(s.slack.Messages(s.ann)), len(s.slack.Messages(bob)), len(s.slack.Messages(s.channel)); a != 2 || b != 1 || c != 0 {
		t.Errorf("got %d, %d and %d in the channel; want 2, 1 and 0", a, b, c)
	}
}

func TestButtonsOfANotice(t *testing.T) {
	grant := &curfewv1.Grant{Id: "g1", Digest: "d1"}
	open := &curfewv1.Silence{Id: "s1", ApprovalsNeeded: 1}
	for _, c := range []struct {
		name string
		in   *curfewv1.Notice
		want curfewv1.CommandKind
	}{
		{"a request", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_REQUESTED, Grant: grant}, curfewv1.CommandKind_COMMAND_KIND_APPROVE},
		{"an extension", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_EXTENSION, Grant: grant}, curfewv1.CommandKind_COMMAND_KIND_APPROVE},
		{"an end", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_ENDING, Grant: grant}, 0},
		{"a silence to approve", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Silence: open}, curfewv1.CommandKind_COMMAND_KIND_APPROVE},
		{"a silence that is", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Silence: &curfewv1.Silence{Id: "s1"}}, 0},
		{"a question", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION, Alert: alert(nil)}, curfewv1.CommandKind_COMMAND_KIND_CONFIRM},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			h := s.listen()
			c.in.Id, c.in.Text, c.in.Contacts = "n1", "well?", []*curfewv1.Contact{contact("person:ann", s.ann)}
			if err := s.r.Notice(t.Context(), c.in); err != nil {
				t.Fatal(err)
			}
			m := s.slack.Messages(s.ann)[0]
			id := strings.ToLower(strings.TrimPrefix(c.want.String(), "COMMAND_KIND_"))
			err := s.slack.Click(t.Context(), workspace.Click{User: s.ann, Channel: s.ann, TS: m.TS, ActionID: id})
			if c.want == 0 {
				if err == nil {
					t.Error("there is a button")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := h.next(t)
			if got.GetKind() != c.want || got.GetActor().GetId() != s.ann {
				t.Errorf("got %v", got)
			}
			if c.in.GetGrant() != nil && (got.GetGrantId() != "g1" || got.GetDigest() != "d1") {
				t.Errorf("got %v, want grant g1 as d1", got)
			}
			if c.in.GetSilence() != nil && got.GetSilenceId() != "s1" {
				t.Errorf("got %v, want silence s1", got)
			}
			if c.in.GetAlert() != nil && (got.GetAlertId() != c.in.GetAlert().GetId() || got.GetEpisode() != 1) {
				t.Errorf("got %v, want the alert", got)
			}
		})
	}
}
