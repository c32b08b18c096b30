// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// exampleDir is the policy that ships as an example, from this folder.
const exampleDir = "../../../deploy/example/policy"

var morning = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func exampleJudge(t testing.TB) *Judge {
	t.Helper()
	cat := loadCatalog(t)
	policy, err := ReadPolicy(exampleDir, cat)
	if err != nil {
		t.Fatal(err)
	}
	return &Judge{Tenant: "main", Pseudonyms: []byte("key"), Policies: func(time.Time) (*Policy, time.Time) { return policy, morning }}
}

// driveEvent is somebody's act on a file with customers' addresses, half past nine.
func driveEvent(email, action, act string) *curfewv1.Event {
	at := timestamppb.New(morning.Add(30 * time.Minute))
	return &curfewv1.Event{
		Id: "google_workspace:1", Tenant: "main", Source: "google_workspace", Feed: "drive", Action: action, Act: act, Time: at, Received: at,
		Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "1001", Email: email},
		Resource: &curfewv1.Resource{Path: "file/1-customer-export", Kind: "file", Name: "November"},
	}
}

func TestDecide(t *testing.T) {
	const unknown, allowed, violation = curfewv1.Verdict_VERDICT_UNKNOWN, curfewv1.Verdict_VERDICT_ALLOWED, curfewv1.Verdict_VERDICT_VIOLATION
	for _, c := range []struct {
		name    string
		event   *curfewv1.Event
		change  func(*curfewv1.Event)
		verdict curfewv1.Verdict
		subject string
		reason  string
		row     string
	}{
		{"analyst exports", driveEvent("Ann@linden-lark.example.com", "download", "export"), nil, allowed, "person:ann", "allows export of pii.contact", "p, role:analyst, *, *, customer, export, allow"},
		{"support reads", driveEvent("sam@linden-lark.example.com", "view", "read"), nil, allowed, "person:sam", "allows read", "p, role:support, *, *, customer, read, allow"},
		{"support exports", driveEvent("sam@linden-lark.example.com", "download", "export"), nil, violation, "person:sam", "no row allows export of pii.contact (sensitivity 4) to person:sam", ""},
		{"deny beats allow", driveEvent("ida@linden-lark.example.com", "change_user_access", "share"), nil, violation, "person:ida", "denies share", "p, role:anyone, *, *, customer, share, deny"},
		{"a stranger", driveEvent("eve@elsewhere.example.com", "view", "read"), nil, violation, "unknown:google_workspace/1001", "an account that belongs to nobody known", "p, role:unknown, *, *, level:high, *, deny"},
		{"a letter that only looks like another", driveEvent("İda@linden-lark.example.com", "view", "read"), nil, violation, "unknown:google_workspace/1001", "", "p, role:unknown, *, *, level:high, *, deny"},
		{"the Kelvin sign", driveEvent("\u212Aim@linden-lark.example.com", "view", "read"), nil, violation, "unknown:google_workspace/1001", "", "p, role:unknown, *, *, level:high, *, deny"},
		{"an app with a person's e-mail", driveEvent("ann@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Actor.Type = curfewv1.ActorType_ACTOR_TYPE_APP }, violation, "app:google_workspace/1001", "", ""},
		{"a name does not lower administration", driveEvent("max@linden-lark.example.com", "group.privilege.grant", "administer"), func(e *curfewv1.Event) {
			e.Source, e.Feed = "okta", "system_log"
			e.Resource = &curfewv1.Resource{Path: "group/00g1", Kind: "group", Name: "Orders"}
		}, violation, "person:max", "administer of admin", ""},
		{"nobody named", driveEvent("", "view", "read"), func(e *curfewv1.Event) { e.Actor = nil }, unknown, "", "names nobody", ""},
		{"nobody named, nothing sensitive", driveEvent("", "view", "read"), func(e *curfewv1.Event) {
			e.Actor, e.Feed, e.Action, e.Act, e.Resource = nil, "login", "login_success", "login", nil
		}, allowed, "", "", "p, role:anyone, *, *, level:low, *, allow"},
		{"no time", driveEvent("sam@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Time = nil }, unknown, "person:sam", "says no time", ""},
		{"before there were logs", driveEvent("sam@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Time = timestamppb.New(time.Unix(0, 0)) }, unknown, "person:sam", "1970", ""},
		{"from the future", driveEvent("sam@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Time = timestamppb.New(morning.AddDate(74, 0, 0)) }, unknown, "person:sam", "2100", ""},
		{"a little ahead", driveEvent("sam@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Time = timestamppb.New(e.GetReceived().AsTime().Add(4 * time.Minute)) }, violation, "person:sam", "", ""},
		{"before the first policy", driveEvent("sam@linden-lark.example.com", "download", "export"), func(e *curfewv1.Event) { e.Time = timestamppb.New(morning.Add(-time.Second)) }, unknown, "person:sam", "no policy was in force then", ""},
		{"an action nobody knows", driveEvent("sam@linden-lark.example.com", "frobnicate", ""), func(e *curfewv1.Event) { e.Feed = "nowhere" }, unknown, "person:sam", `does not know the action "frobnicate"`, ""},
		{"an app takes a scope", driveEvent("max@linden-lark.example.com", "authorize", "consent"), func(e *curfewv1.Event) {
			e.Feed, e.Resource = "token", &curfewv1.Resource{Path: "app/9.apps.example.com", Kind: "app"}
			e.App = &curfewv1.App{Id: "9.apps.example.com", Name: "Mail Magic", Scopes: []string{"https://www.googleapis.com/auth/drive"}}
		}, violation, "app:google_workspace/9.apps.example.com", "no row allows consent of content.files", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.event)
			}
			got := exampleJudge(t).Decide(c.event)
			if got.GetVerdict() != c.verdict || got.GetSubject() != c.subject || !strings.Contains(got.GetReason(), c.reason) || got.GetRow().GetText() != c.row {
				t.Fatalf("got %v %q because %q by %q, want %v %q because %q by %q", got.GetVerdict(), got.GetSubject(), got.GetReason(), got.GetRow().GetText(), c.verdict, c.subject, c.reason, c.row)
			}
			if again := exampleJudge(t).Decide(c.event); !proto.Equal(got, again) {
				t.Fatalf("the same event got another decision: %v and %v", got, again)
			}
			if c.row != "" && got.GetRow().GetLine() == 0 {
				t.Error("a row has a line")
			}
		})
	}
}

func TestADecisionHoldsNoEMail(t *testing.T) {
	e := driveEvent("eve@elsewhere.example.com", "view", "read")
	e.Actor.Id = ""
	e.Resource = &curfewv1.Resource{Path: "user/mia@example.com", Kind: "user"}
	judge := exampleJudge(t)
	d := judge.Decide(e)
	if text := d.String(); strings.Contains(text, "@") || strings.Contains(text, "192.0.2") {
		t.Fatalf("got %s", text)
	}
	if !strings.HasPrefix(d.GetSubject(), "unknown:google_workspace/~") || !strings.HasPrefix(d.GetObject(), "google_workspace/user/~") {
		t.Fatalf("got %s on %s", d.GetSubject(), d.GetObject())
	}
	other := exampleJudge(t)
	other.Pseudonyms = []byte("another key")
	if other.Decide(e).GetSubject() == d.GetSubject() {
		t.Error("the token must depend on the key")
	}
	e.Resource.Path = "user/ann@linden-lark.example.com"
	if got := judge.Decide(e).GetObject(); got != "google_workspace/user/person:ann" {
		t.Errorf("got %s", got)
	}
}

func TestARecordNamesNobodyByWhatTheVendorPutWhereAnIDBelongs(t *testing.T) {
	judge := exampleJudge(t)
	for _, actor := range []*curfewv1.Actor{
		{Name: "Jane Doe"}, {Id: "Jane Doe"}, {Id: "203.0.113.9"}, {Id: "2001:db8::1"}, {Id: "jane@example.net"}, {Email: "jane@example.net"},
		{Id: "jane@example.net", Type: curfewv1.ActorType_ACTOR_TYPE_APP},
	} {
		e := driveEvent("", "view of jane@example.net from 203.0.113.9", "")
		e.Actor = actor
		text := judge.Decide(e).String()
		for _, leak := range []string{"Jane", "Doe", "203.0.113.9", "2001", "jane@"} {
			if strings.Contains(text, leak) {
				t.Errorf("actor %v: the record holds %q: %s", actor, leak, text)
			}
		}
	}
	login := judge.Decide(&curfewv1.Event{Source: "github", Received: timestamppb.New(morning.Add(time.Hour)), Time: timestamppb.New(morning.Add(time.Hour)), Actor: &curfewv1.Actor{Id: "999", Name: "583231"}})
	if strings.HasPrefix(login.GetSubject(), "person:") {
		t.Errorf("got %s", login.GetSubject())
	}
}

func TestADecisionIsBounded(t *testing.T) {
	e := driveEvent("eve@elsewhere.example.com", strings.Repeat("ä", 4000), "read")
	e.Actor.Id, e.Resource.Path = strings.Repeat("x", 8000), "file/"+strings.Repeat("y", 8000)
	d := exampleJudge(t).Decide(e)
	if size := proto.Size(d); size > 4<<10 {
		t.Fatalf("got %d bytes", size)
	}
	if err := proto.Unmarshal(must(proto.Marshal(d)), new(curfewv1.Decision)); err != nil {
		t.Fatal(err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestExplain(t *testing.T) {
	judge := exampleJudge(t)
	answer, err := judge.Explain("person:sam", "google_workspace/file/1-customer-export", "export", nil, morning.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetDecision().GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION {
		t.Errorf("got %v", answer.GetDecision())
	}
	var held, would []string
	for _, link := range answer.GetHeld() {
		held = append(held, link.GetHeld())
	}
	for _, row := range answer.GetWouldAllow() {
		would = append(would, row.GetText())
	}
	if got, want := strings.Join(held, " "), "role:support role:person account:okta/00usam0000000000001 account:slack/WE96E02D8E4 role:staff role:anyone"; got != want {
		t.Errorf("held: got %q, want %q", got, want)
	}
	if got, want := strings.Join(would, "; "), "p, role:analyst, *, *, customer, export, allow; p, app:google_workspace/1076-address-book.apps.example.com, *, *, pii.contact, *, allow"; got != want {
		t.Errorf("would allow: got %q, want %q", got, want)
	}
	if _, err := judge.Explain("person:sam", "x/y", "read", nil, morning.Add(-time.Hour)); err == nil {
		t.Error("before the first policy there is nothing to explain")
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"*", "", true}, {"a*c", "abc", true}, {"a*c", "ab", false},
		{"*a*b*", "xaxbx", true}, {"*ab*ab*", "ab", false}, {"", "", true}, {"a*a", "a", false},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("matches(%q, %q): got %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}
