// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(minute int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 2, 9, minute, 3, 0, time.UTC))
}

func share() *curfewv1.Alert {
	return &curfewv1.Alert{
		Id: "f00dfeedf00dfeedf00dfeed", Tenant: "main", Episode: 2, State: curfewv1.AlertState_ALERT_STATE_OPEN,
		Entity: "person:ida", DataClass: "pii.contact", Severity: curfewv1.Severity_SEVERITY_CRITICAL,
		Count: 3, Opened: at(14), Newest: at(20), Repeats: []string{"ida@example.com exported \"Orders\""},
		Finding: &curfewv1.Finding{
			Id: "f1", Detection: "unauthorized_access", Severity: curfewv1.Severity_SEVERITY_HIGH, Time: at(14),
			Title:     `ida@example.com shared file "Customers 2026" without the right to`,
			Reason:    "This is a violation: row 23 denies share of pii.contact.",
			NextSteps: []string{"Ask ida@example.com what it was for.", "Take the access away."},
			Controls:  []string{"NIST AC-3", "ISO 27001 A.5.15"},
			Event: &curfewv1.Event{
				Source: "google_workspace", Feed: "drive", Action: "change_user_access", Time: at(14),
				Actor:    &curfewv1.Actor{Name: "Ida", Email: "ida@example.com"},
				App:      &curfewv1.App{Id: "app-7", Name: "Nice Exporter", Scopes: []string{"drive", "drive.readonly"}},
				Resource: &curfewv1.Resource{Path: "file/1A", Kind: "file", Name: "Customers 2026"},
				Context:  &curfewv1.Context{Ip: "192.0.2.7", Country: "DE", UserAgent: "curl/8", Mfa: true},
				Changes:  []*curfewv1.Change{{Field: "visibility", Before: "private", After: "people_with_link"}, {Field: "target", After: "eve@example.com"}},
				Outcome:  &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: "POLICY"},
			},
			Decision: &curfewv1.Decision{
				Subject: "person:ida", Act: "share", Classes: []string{"pii.contact", "internal"}, PolicyDigest: strings.Repeat("ab", 32),
				Row: &curfewv1.Row{File: "policy.csv", Line: 23, Text: "p, role:anyone, *, *, customer, share, deny"},
			},
			Context: &curfewv1.FindingContext{
				History:       []string{"90 days: shared 0 times before"},
				Reach:         []string{"pii.contact: 12 files"},
				AllowingRoles: []string{"role:support", "role:admin", "role:bad\u202e"},
				Grants:        []*curfewv1.HeldGrant{{Id: "g1", Text: "role:support: Okta group Support"}, {Id: "g2"}},
			},
		},
	}
}

// changed is the alert after change.
func changed(change func(*curfewv1.Alert)) *curfewv1.Alert {
	alert := share()
	change(alert)
	return alert
}

func resolved(a *curfewv1.Alert) {
	a.State, a.Resolver, a.Resolution = curfewv1.AlertState_ALERT_STATE_RESOLVED, "person:bob", "a drill"
}

func acknowledged(a *curfewv1.Alert) {
	a.State, a.Assignee = curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, "person:bob"
	a.Question = &curfewv1.Question{Person: "person:ida", Time: at(15)}
	a.Finding.GrantId, a.Finding.Event.Time, a.Finding.Time, a.Finding.Event.Received = "g1", nil, nil, at(16)
	a.Finding.Decision.Subject, a.Finding.Decision.Person = "app:google_workspace/app-7", "person:ida"
}

func silent(a *curfewv1.Alert) {
	*a = curfewv1.Alert{Id: "5", State: curfewv1.AlertState_ALERT_STATE_OPEN, Entity: "source:okta", Count: 1, Finding: &curfewv1.Finding{
		Detection: "silent_source", Severity: curfewv1.Severity_SEVERITY_HIGH, Title: "okta was silent for 2 hours", Time: at(1),
	}}
}

// hostile puts text wherever somebody else chooses it.
func hostile(text string) func(*curfewv1.Alert) {
	return func(a *curfewv1.Alert) {
		f := a.Finding
		f.Title, f.Reason, f.NextSteps = text, text, []string{text}
		f.Event = &curfewv1.Event{
			Source: "okta", Action: text, Time: at(14), Outcome: &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: text},
			Actor: &curfewv1.Actor{Name: text, Email: text, Id: text}, Resource: &curfewv1.Resource{Name: text, Path: text},
			App: &curfewv1.App{Id: text, Name: text, Scopes: many(text, 100)}, Context: &curfewv1.Context{UserAgent: text, Country: text, Ip: text},
		}
		for range 100 {
			f.Event.Changes = append(f.Event.Changes, &curfewv1.Change{Field: text, Before: text, After: text})
		}
		f.Context = &curfewv1.FindingContext{History: many(text, 100), Reach: many(text, 100), AllowingRoles: many(text, 100), Grants: []*curfewv1.HeldGrant{{Id: text, Text: text}}}
		f.Decision = &curfewv1.Decision{Subject: text, Person: text, Classes: many(text, 100), Row: &curfewv1.Row{File: text, Text: text}, PolicyDigest: text}
		a.Entity, a.Repeats, a.DataClass = "person:"+text, many(text, 100), text
		resolved(a)
		a.State, a.Resolution = curfewv1.AlertState_ALERT_STATE_OPEN, text
	}
}

func many(text string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = text
	}
	return list
}

func TestCard(t *testing.T) {
	for _, c := range []struct {
		name string
		in   *curfewv1.Alert
	}{
		{"open", share()},
		{"acknowledged", changed(acknowledged)},
		{"resolved", changed(resolved)},
		{"silent", changed(silent)},
		{"empty", &curfewv1.Alert{}},
		{"hostile", changed(hostile("\x1b[2J\a\u202ealert\nHIGH  <!channel> *x* `y` \u200b\u2066z"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(card.Of(c.in)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s\n%s\n", card.Line(c.in, 100), card.Summary([]*curfewv1.Alert{c.in, c.in})[0])
			golden(t, c.name, out.Bytes())
		})
	}
	if got := card.Of(nil); len(got.Actions) > 0 || got.Count > 0 {
		t.Errorf("no alert: got %+v, want nothing to do", got)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestACardHasABound holds that nothing a vendor writes makes a card large, and that what is left out is counted.
func TestACardHasABound(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("é ", 1<<19), strings.Repeat("\u202e", 1<<18)} {
		got, err := json.Marshal(card.Of(changed(hostile(text))))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 1<<20 {
			t.Errorf("%.4q...: got %d bytes", text, len(got))
		}
		if !bytes.Contains(got, []byte("and 81 more")) || !bytes.Contains(got, []byte("82 earlier")) && !bytes.Contains(got, []byte("81 earlier")) {
			t.Errorf("%.4q...: what is left out is not counted", text)
		}
		if bytes.ContainsRune(got, '\u202e') {
			t.Errorf("%.4q...: it turns the text around it", text)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct {
		name, in string
		most     int
		want     string
	}{
		{"plain", "Ida Möller 田中 👍🏽", 100, "Ida Möller 田中 👍🏽"},
		{"exact", "abc", 3, "abc"},
		{"no room", "abc", 0, ""},
		{"one rune", "abc", 1, "…"},
		{"line breaks", " a\r\n\tb\u2028c\u0085d\u00a0e ", 100, "a b c d e"},
		{"control", "a\x00b\x1b[31m\x7f\u009b", 100, "a�b�[31m��"},
		{"direction", "\u202egpj.exe\u2066\u200f", 100, "�gpj.exe��"},
		{"not seen", "a\u200bb\u2060c\ufeffd\u00ade\U000e0041\u3164\u2800\u115f\U000e0100", 100, "a�b�c�d�e�����"},
		{"private and none", "\ue000\U0010ffff\ufffe", 100, "���"},
		{"no UTF-8", "a\xff\xfeb", 100, "a��b"},
		{"emoji", "❤\ufe0f", 100, "❤\ufe0f"},
		{"marks run over", "a" + strings.Repeat("\u0301", 6) + "b", 100, "a" + strings.Repeat("\u0301", 4) + "��b"},
		{"cut behind a word", "Customers of the north 2026", 20, "Customers of the…"},
		{"cut where no word ends", strings.Repeat("x", 50), 10, "xxxxxxxxx…"},
		{"cut where one ends too early", "a " + strings.Repeat("x", 60), 40, "a " + strings.Repeat("x", 37) + "…"},
		{"white space is not longer", strings.Repeat(" ", 1<<20) + "a", 5, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := card.Plain(c.in, c.most)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if again := card.Plain(got, c.most); again != got {
				t.Errorf("again: got %q, want %q", again, got)
			}
		})
	}
}

func TestLine(t *testing.T) {
	for most, want := range map[int]string{
		200: `CRITICAL  ida@example.com shared file "Customers 2026" without the right to  (3 findings, open)`,
		70:  `CRITICAL  ida@example.com shared file "Customers…  (3 findings, open)`,
		20:  `CRITICAL ida@exampl…`,
	} {
		if got := card.Line(share(), most); got != want || len([]rune(got)) > most {
			t.Errorf("in %d: got %q, want %q", most, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for most, want := range map[int]string{0: "", 1: "…", 16: "HIGH  alert of…", 23: "HIGH  alert of tomorrow", 100: "HIGH  alert of tomorrow"} {
		if got := card.Cut("HIGH  alert of tomorrow", most); got != want {
			t.Errorf("in %d: got %q, want %q", most, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	var alerts []*curfewv1.Alert
	for i := range 12 {
		alerts = append(alerts, changed(func(a *curfewv1.Alert) { a.Entity, a.Count = fmt.Sprintf("person:p%d", i/2), 2 }))
	}
	alerts = append(alerts, changed(silent), changed(func(a *curfewv1.Alert) { a.Entity, a.Finding.Detection = "person:zoe", "takeover" }))
	alerts[0].Entity = "person:p5"
	want := []card.Group{
		{curfewv1.Severity_SEVERITY_CRITICAL, "unauthorized_access", 12, 24, []string{"person:p5", "person:p1", "person:p2"}, 3},
		{curfewv1.Severity_SEVERITY_CRITICAL, "takeover", 1, 3, []string{"person:zoe"}, 0},
		{curfewv1.Severity_SEVERITY_HIGH, "silent_source", 1, 1, []string{"source:okta"}, 0},
	}
	if diff := cmp.Diff(want, card.Summary(alerts)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := want[0].String(), "CRITICAL  12 × unauthorized_access (24 findings): person:p5, person:p1, person:p2 and 3 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNotice(t *testing.T) {
	for _, c := range []struct {
		name string
		in   *curfewv1.Notice
		want string
	}{
		{"grant", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_BREAK_GLASS, Grant: &curfewv1.Grant{Id: "g1"}, Text: "person:ann took role:admin."}, "grant g1, break glass: person:ann took role:admin."},
		{"silence", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Silence: &curfewv1.Silence{Id: "s1"}, Text: "it ended."}, "silence s1: it ended."},
		{"question", &curfewv1.Notice{Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION, Alert: share(), Text: "Was this you?"}, "question about alert f00dfeedf00d: Was this you?"},
		{"hostile", &curfewv1.Notice{Text: "why:\n● grant g2, ended\x1b[2J \u202eback"}, "unspecified: why: ● grant g2, ended�[2J �back"},
	} {
		if got := card.Notice(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestActions holds what can be asked for to how the alert stands.
func TestActions(t *testing.T) {
	question := func(answered *timestamppb.Timestamp) func(*curfewv1.Alert) {
		return func(a *curfewv1.Alert) {
			a.Question = &curfewv1.Question{Person: "person:ida", Time: at(15), Answered: answered}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*curfewv1.Alert)
		want   string
	}{
		{"open", func(*curfewv1.Alert) {}, "ACKNOWLEDGE ASK REVOKE MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"acknowledged", acknowledged, "REVOKE EXPECT MUTE RESOLVE"},
		{"all revoked from here", func(a *curfewv1.Alert) {
			for _, g := range a.GetFinding().GetContext().GetGrants() {
				a.Revoked = append(a.Revoked, g.GetId())
			}
		}, "ACKNOWLEDGE ASK MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"a grant that was over", func(a *curfewv1.Alert) { a.Finding.GrantId, a.Finding.Context.Grants = "g-over", nil }, "ACKNOWLEDGE ASK MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"resolved", resolved, ""},
		{"of a state to come", func(a *curfewv1.Alert) { a.State = 99 }, ""},
		{"asked", question(nil), "ACKNOWLEDGE REVOKE MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"asked in an episode before", func(a *curfewv1.Alert) {
			question(nil)(a)
			a.Opened = at(16)
		}, "ACKNOWLEDGE ASK REVOKE MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"answered", question(at(9)), "ACKNOWLEDGE ASK REVOKE MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"an app", func(a *curfewv1.Alert) { a.Entity, a.Finding.Decision.Subject = "app:okta/1", "app:okta/1" }, "ACKNOWLEDGE REVOKE EXPECT MUTE RESOLVE"},
		{"holds nothing", func(a *curfewv1.Alert) { a.Finding.Context.Grants = nil }, "ACKNOWLEDGE ASK MAKE_TEMPORARY EXPECT MUTE RESOLVE"},
		{"no role would allow it", func(a *curfewv1.Alert) { a.Finding.Context.AllowingRoles = nil }, "ACKNOWLEDGE ASK REVOKE EXPECT MUTE RESOLVE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := changed(c.change)
			before := proto.Clone(in)
			var kinds []string
			for _, a := range card.Of(in).Actions {
				kinds = append(kinds, strings.TrimPrefix(a.Kind.String(), "COMMAND_KIND_"))
			}
			if got := strings.Join(kinds, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !proto.Equal(before, in) {
				t.Error("the alert was changed")
			}
		})
	}
}
