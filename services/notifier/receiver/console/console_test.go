// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/console"
)

var update = flag.Bool("update", false, "write the golden files anew")

func alert() *curfewv1.Alert {
	at := timestamppb.New(time.Date(2026, 11, 2, 9, 14, 3, 0, time.UTC))
	return &curfewv1.Alert{
		Id: "f00dfeedf00dfeed", Tenant: "main", State: curfewv1.AlertState_ALERT_STATE_OPEN, Count: 1, Entity: "person:ida",
		Finding: &curfewv1.Finding{
			Id: "f00d", Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_HIGH, Time: at,
			Title:     `ida@example.com shared file "Customers 2026" without the right to`,
			Reason:    "This is a violation: row 23 denies share of pii.contact.",
			NextSteps: []string{"Ask ida@example.com what it was for.", "If it was not right, take the access away in google_workspace, and look at everything else that was shared with the same address on that day, in case it was not the only one."},
			Controls:  []string{"NIST AC-3"},
			Event: &curfewv1.Event{
				Source: "google_workspace", Feed: "drive", Action: "change_user_access", Time: at,
				Actor:    &curfewv1.Actor{Name: "Ida", Email: "ida@example.com"},
				Resource: &curfewv1.Resource{Path: "file/1A", Kind: "file", Name: "Customers 2026"},
				Context:  &curfewv1.Context{Ip: "192.0.2.7", Country: "DE"},
				Changes:  []*curfewv1.Change{{Field: "visibility", Before: "private", After: "people_with_link"}, {Field: "target", After: "eve@example.com"}},
			},
			Decision: &curfewv1.Decision{
				Subject: "person:ida", Act: "share", Classes: []string{"pii.contact"}, PolicyDigest: strings.Repeat("ab", 32),
				Row: &curfewv1.Row{File: "policy.csv", Line: 23, Text: "p, role:anyone, *, *, customer, share, deny"},
			},
		},
	}
}

func TestPost(t *testing.T) {
	received := alert()
	received.Finding.Event.Time, received.Finding.Time = nil, nil
	received.Finding.Event.Received = timestamppb.New(time.Date(2026, 11, 2, 9, 15, 0, 0, time.UTC))
	hostile := alert()
	hostile.Finding.Title = "\x1b[2J\x07bell \u202eright to left\n└──"
	hostile.Finding.Event.Resource.Name = "line\nbreak " + strings.Repeat("x", 5000)
	hostile.Finding.Event.Actor = nil
	known := alert()
	known.State, known.Assignee, known.Count, known.Newest = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, "person:bob", 3, known.Finding.Time
	known.Repeats = []string{"ida@example.com shared another"}
	known.Finding.Context = &curfewv1.FindingContext{History: []string{"90 days: shared 0 times before"}, Reach: []string{"pii.contact: 12 files", "internal: 3 files"}}
	for _, c := range []struct {
		name string
		post *curfewv1.Post
	}{
		{"plain", &curfewv1.Post{Alerts: []*curfewv1.Alert{alert()}}},
		{"repeated", &curfewv1.Post{Alerts: []*curfewv1.Alert{received}, Repeated: true}},
		{"hostile", &curfewv1.Post{Alerts: []*curfewv1.Alert{hostile}}},
		{"known", &curfewv1.Post{Alerts: []*curfewv1.Alert{known}}},
		{"several", &curfewv1.Post{Alerts: []*curfewv1.Alert{alert(), hostile}}},
		{"summary", &curfewv1.Post{Alerts: []*curfewv1.Alert{alert(), hostile}, Summary: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			golden(t, c.name, printed(t, func(r *console.Receiver) error {
				c.post.Id = "post-1"
				ref, err := r.Post(t.Context(), c.post)
				if ref != "post-1" {
					t.Errorf("got ref %q, want the post's id", ref)
				}
				return err
			}))
		})
	}
}

func TestChanges(t *testing.T) {
	resolved := alert()
	resolved.State, resolved.Resolver, resolved.Resolution = curfewv1.AlertState_ALERT_STATE_RESOLVED, "person:bob", "a drill"
	for _, c := range []struct {
		name string
		do   func(*console.Receiver) error
		want string
	}{
		{"edit", func(r *console.Receiver) error {
			return r.Edit(t.Context(), "post-1", &curfewv1.Post{Alerts: []*curfewv1.Alert{resolved}})
		}, "● alert f00dfeedf00dfeed is now resolved by person:bob: a drill, with 1 finding\n"},
		{"reply", func(r *console.Receiver) error {
			return r.Reply(t.Context(), &curfewv1.Reply{Lines: []string{"person:bob took it on.", "why:\n● alert\x1b[2J"}})
		}, "  ↳ person:bob took it on.\n  ↳ why: ● alert\ufffd[2J\n"},
	} {
		if diff := cmp.Diff(c.want, printed(t, c.do)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// printed is what a receiver prints.
func printed(t *testing.T, do func(*console.Receiver) error) string {
	t.Helper()
	var out bytes.Buffer
	r, err := console.New(console.Config{UTC: true}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := do(r); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u202e") {
		t.Error("vendor text commands the terminal")
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotice(t *testing.T) {
	notice := func(text string) *curfewv1.Notice {
		return &curfewv1.Notice{
			Kind: curfewv1.NoticeKind_NOTICE_KIND_BREAK_GLASS, Grant: &curfewv1.Grant{Id: "g1"}, To: []string{"person:bob", "person:cid"}, Text: text,
		}
	}
	nobody := notice("it ended.")
	nobody.To = nil
	for _, c := range []struct {
		name string
		in   *curfewv1.Notice
		want string
	}{
		{"plain", notice("person:ann took role:admin."), "● grant g1, break glass, to person:bob, person:cid:\n  person:ann took role:admin.\n"},
		{"to nobody known", nobody, "● grant g1, break glass, to whom it concerns:\n  it ended.\n"},
		{"hostile", notice("why:\n● grant g2, ended\x1b[2J \u202eback"), "● grant g1, break glass, to person:bob, person:cid:\n  why: ● grant g2, ended\ufffd[2J \ufffdback\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := printed(t, func(r *console.Receiver) error { return r.Notice(t.Context(), c.in) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("notice (-want +got):\n%s", diff)
			}
		})
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestWhatIsNotPrintedIsAnError(t *testing.T) {
	r, err := console.New(console.Config{}, broken{})
	if err != nil {
		t.Fatal(err)
	}
	post := &curfewv1.Post{Alerts: []*curfewv1.Alert{alert()}}
	_, posted := r.Post(t.Context(), post)
	for name, err := range map[string]error{
		"post": posted, "edit": r.Edit(t.Context(), "", post), "reply": r.Reply(t.Context(), &curfewv1.Reply{Lines: []string{"x"}}),
		"notice": r.Notice(t.Context(), &curfewv1.Notice{}),
	} {
		if err == nil {
			t.Errorf("%s: got nil", name)
		}
	}
}
