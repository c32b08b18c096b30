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
		Id: "f00d", Tenant: "main",
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

func TestCard(t *testing.T) {
	repeated := alert()
	repeated.Finding.Event.Time, repeated.Finding.Time = nil, nil
	repeated.Finding.Event.Received = timestamppb.New(time.Date(2026, 11, 2, 9, 15, 0, 0, time.UTC))
	hostile := alert()
	hostile.Finding.Title = "\x1b[2J\x07bell \u202eright to left"
	hostile.Finding.Event.Resource.Name = "line\nbreak " + strings.Repeat("x", 5000)
	hostile.Finding.Event.Actor = nil
	for _, c := range []struct {
		name     string
		alert    *curfewv1.Alert
		repeated bool
	}{{"plain", alert(), false}, {"repeated", repeated, true}, {"hostile", hostile, false}} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r, err := console.New(console.Config{UTC: true}, &out)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Deliver(t.Context(), c.alert, c.repeated); err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + c.name + ".golden"
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("card (-want +got):\n%s", diff)
			}
			if strings.ContainsAny(out.String(), "\x1b\x07\u202e") {
				t.Error("vendor text commands the terminal")
			}
		})
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
			var out bytes.Buffer
			r, err := console.New(console.Config{}, &out)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Notice(t.Context(), c.in); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
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
	if err := r.Deliver(t.Context(), alert(), false); err == nil {
		t.Error("got nil")
	}
	if err := r.Notice(t.Context(), &curfewv1.Notice{}); err == nil {
		t.Error("notice: got nil")
	}
}
