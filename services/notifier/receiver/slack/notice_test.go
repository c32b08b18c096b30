// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
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
		{"with a command", &curfewv1.Notice{Text: "See `curfew grant show g1`."}, 0, 1, "See curfew grant show g1."},
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

// Who is asked whether it was them reads when, where and what, once.
func TestAQuestionSaysWhenAndWhere(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*curfewv1.Alert)
		want   []string
	}{
		{"all is known", nil, []string{"*When*", "<!date^", "*From*", "192.0.2.7, DE", "*On*", "*What*"}},
		{"nobody says from where", func(a *curfewv1.Alert) { a.Finding.Event.Context = nil }, []string{"*When*", "*From*", "not recorded"}},
		{"nor when", func(a *curfewv1.Alert) { a.Finding.Event.Time, a.Finding.Time = nil, nil }, []string{"*When*", "unknown"}},
	} {
		a := alert(c.change)
		m := (&Receiver{now: noon}).note(t.Context(), nil, &curfewv1.Notice{
			Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION, Alert: a, Text: "person:bob asks: was this you? " + a.GetFinding().GetTitle(),
		})
		if err := m.check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		shown := ""
		for _, one := range texts(t, message{blocks: m.blocks}) {
			unharmed(t, one)
			shown += one.Text + "\n"
		}
		for _, want := range c.want {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: got %s\nwant %q", c.name, shown, want)
			}
		}
		if n := strings.Count(shown, "without the right to"); n != 1 {
			t.Errorf("%s: the title stands there %d times, want once", c.name, n)
		}
	}
}

// Who is to say that something is expected reads how severe it is, and that its person says it was not them.
func TestAProposalSaysHowSevereItIs(t *testing.T) {
	grave := alert(func(a *curfewv1.Alert) {
		a.Severity = curfewv1.Severity_SEVERITY_CRITICAL
		a.Question = &curfewv1.Question{Person: "person:ida", Time: at(15), Answered: at(16), Answer: curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME}
	})
	open := &curfewv1.Silence{Id: "s1", ApprovalsNeeded: 1, AlertId: grave.GetId()}
	known := func(_ context.Context, id string) (*curfewv1.Alert, error) {
		if id != grave.GetId() {
			return nil, errors.New("another")
		}
		return grave, nil
	}
	for _, c := range []struct {
		name   string
		in     *curfewv1.Notice
		lookup func(context.Context, string) (*curfewv1.Alert, error)
		want   string
	}{
		{"looked up", &curfewv1.Notice{Silence: open}, known, "🟥 CRITICAL"},
		{"told", &curfewv1.Notice{Silence: open, Alert: grave}, nil, "says that it was not them"},
		{"not known", &curfewv1.Notice{Silence: open}, nil, "is not known here. Before you answer: curfew alert show " + grave.GetId()},
		{"cannot be read", &curfewv1.Notice{Silence: &curfewv1.Silence{Id: "s1", ApprovalsNeeded: 1, AlertId: "a2"}}, known, "curfew alert show a2"},
		{"in force", &curfewv1.Notice{Silence: &curfewv1.Silence{Id: "s1", AlertId: grave.GetId()}}, known, ""},
	} {
		c.in.Kind, c.in.Text = curfewv1.NoticeKind_NOTICE_KIND_SILENCE, "well?"
		m := (&Receiver{now: noon, lookup: c.lookup}).note(t.Context(), nil, c.in)
		if err := m.check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		shown := ""
		for _, one := range texts(t, message{blocks: m.blocks}) {
			shown += one.Text + "\n"
		}
		if !strings.Contains(shown, c.want) || c.want == "" && strings.Contains(shown, "CRITICAL") {
			t.Errorf("%s: got %s\nwant %q", c.name, shown, c.want)
		}
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
