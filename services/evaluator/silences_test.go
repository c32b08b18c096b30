// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// quiet is what asks for a silence of an hour.
func quiet(change func(*curfewv1.CreateSilenceRequest)) *curfewv1.CreateSilenceRequest {
	q := &curfewv1.CreateSilenceRequest{Match: &curfewv1.SilenceMatch{}, Reason: "a migration", Duration: durationpb.New(time.Hour)}
	change(q)
	return q
}

// Whoever makes a silence hears how many of the open alerts it fits, and what can fit none is refused with why.
func TestASilenceSaysWhatItFits(t *testing.T) {
	r := newResponders(t)
	r.another("unapproved_app", "0oa1", curfewv1.Severity_SEVERITY_CRITICAL)
	r.another("unclassified_kind", "0oa2", curfewv1.Severity_SEVERITY_LOW)
	over := r.another("unclassified_kind", "0oa3", curfewv1.Severity_SEVERITY_LOW)
	conn, as := r.serving("ann", "ben")
	if _, err := curfewv1.NewAlertServiceClient(conn).ResolveAlert(as["ann"], &curfewv1.ResolveAlertRequest{Id: over.GetId(), Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	silences := curfewv1.NewSilenceServiceClient(conn)
	ofEve := r.alert.GetId()
	for _, c := range []struct {
		name string
		in   *curfewv1.SilenceMatch
		want uint64
	}{
		{"two of a source", &curfewv1.SilenceMatch{Source: "okta"}, 2},
		{"up to a severity", &curfewv1.SilenceMatch{Source: "okta", Severity: curfewv1.Severity_SEVERITY_MEDIUM}, 1},
		{"a slip of the pen", &curfewv1.SilenceMatch{Source: "okat"}, 0},
		{"a person there is not", &curfewv1.SilenceMatch{Entity: "nobody"}, 0},
		{"one alert", &curfewv1.SilenceMatch{AlertId: ofEve[:8], Source: "google_workspace", Entity: "eve", Object: "google_workspace/file/1"}, 1},
	} {
		answer, err := silences.CreateSilence(as["ann"], quiet(func(q *curfewv1.CreateSilenceRequest) { q.Match = c.in }))
		if err != nil || answer.Fits == nil || answer.GetFits() != c.want || answer.GetOpen() != 3 || !alert.InForce(answer.GetSilence(), time.Now()) {
			t.Errorf("%s: got %v, %v, want one in force that fits %d of 3", c.name, answer, err, c.want)
		}
	}
	for _, c := range []struct {
		name string
		in   *curfewv1.SilenceMatch
		want string
	}{
		{"a pattern", &curfewv1.SilenceMatch{Source: "*"}, `"*" is no pattern here`},
		{"a pattern of persons", &curfewv1.SilenceMatch{Entity: "*"}, `"person:*" would fit nothing`},
		{"a pattern of objects", &curfewv1.SilenceMatch{Object: "m365/*"}, `"m365/*" would fit nothing`},
		{"no such severity", &curfewv1.SilenceMatch{Source: "okta", Severity: 42}, "a severity 42 is not known"},
		{"another source", &curfewv1.SilenceMatch{AlertId: ofEve, Source: "okta"}, `the source of the alert is google_workspace, and not "okta"`},
		{"another person", &curfewv1.SilenceMatch{AlertId: ofEve, Entity: "cat"}, `the entity of the alert is person:eve, and not "person:cat"`},
		{"another detection", &curfewv1.SilenceMatch{AlertId: ofEve, Detection: "unapproved_app"}, "the detection of the alert is unauthorized_access"},
		{"another class", &curfewv1.SilenceMatch{AlertId: ofEve, DataClass: "finance"}, "the data class of the alert is customer"},
		{"another object", &curfewv1.SilenceMatch{AlertId: ofEve, Object: "google_workspace/file/2"}, "the object of the alert is google_workspace/file/1"},
		{"less severe", &curfewv1.SilenceMatch{AlertId: ofEve, Severity: curfewv1.Severity_SEVERITY_LOW}, "the alert is high, and what is above low would not be kept back"},
	} {
		_, err := silences.CreateSilence(as["ann"], quiet(func(q *curfewv1.CreateSilenceRequest) { q.Match = c.in }))
		said(t, c.name, err, codes.InvalidArgument, c.want)
	}
	_, err := silences.CreateSilence(as["ann"], quiet(func(q *curfewv1.CreateSilenceRequest) {
		q.Match.Source, q.Reason = "okta", strings.Repeat("x", 513)
	}))
	said(t, "a long reason", err, codes.InvalidArgument, "the reason has 513 bytes, and may have 512 at most")
	narrow, err := silences.CreateSilence(as["ann"], quiet(func(q *curfewv1.CreateSilenceRequest) {
		q.Kind, q.Match = expected, &curfewv1.SilenceMatch{AlertId: ofEve, Source: "google_workspace"}
	}))
	if err != nil || narrow.GetSilence().GetMatch().GetSource() != "google_workspace" {
		t.Errorf("got %v, %v, want what is expected no wider than was said", narrow, err)
	}
}

// A mute that the API is asked for stands in the alert's life as one by a click does, and once.
func TestAMuteOverTheAPI(t *testing.T) {
	r := newResponders(t)
	conn, as := r.serving("ann", "ben")
	silences := curfewv1.NewSilenceServiceClient(conn)
	asked := func(who string, change func(*curfewv1.CreateSilenceRequest)) (*curfewv1.Silence, error) {
		answer, err := silences.CreateSilence(as[who], quiet(func(q *curfewv1.CreateSilenceRequest) {
			q.Kind, q.Match.AlertId = mute, r.alert.GetId()[:8]
			change(q)
		}))
		return answer.GetSilence(), err
	}
	asIs := func(*curfewv1.CreateSilenceRequest) {}
	first, err := asked("ann", asIs)
	if err != nil {
		t.Fatal(err)
	}
	if want := saySilence(first); len(r.now().GetNotes()) != 1 || r.lastNote() != want || !strings.HasPrefix(want, "Muted until ") || r.alert.GetNotes()[0].GetAuthor() != "person:ann" {
		t.Fatalf("got notes %v, want %q", r.alert.GetNotes(), want)
	}
	again, err := asked("ann", asIs)
	if err != nil || again.GetId() != first.GetId() || len(r.silences()) != 1 || len(r.now().GetNotes()) != 1 {
		t.Errorf("the same again: got %v, %v, %d silences, notes %v", again, err, len(r.silences()), r.alert.GetNotes())
	}
	_, err = asked("ann", func(q *curfewv1.CreateSilenceRequest) { q.Reason = "another" })
	said(t, "another reason", err, codes.AlreadyExists, "you made the same just now, "+first.GetId())
	for name, change := range map[string]func(*curfewv1.CreateSilenceRequest){
		"ann": func(q *curfewv1.CreateSilenceRequest) { q.Duration = durationpb.New(2 * time.Hour) }, "ben": asIs,
	} {
		if other, err := asked(name, change); err != nil || other.GetId() == first.GetId() {
			t.Errorf("%s: got %v, %v, want another", name, other, err)
		}
	}
	if got := len(r.now().GetNotes()); got != 3 {
		t.Errorf("got %d notes, want one for each mute", got)
	}
	if _, err := silences.EndSilence(as["ann"], &curfewv1.EndSilenceRequest{Id: first.GetId()}); err != nil {
		t.Fatal(err)
	}
	if anew, err := asked("ann", asIs); err != nil || anew.GetId() == first.GetId() {
		t.Errorf("after its end: got %v, %v, want another", anew, err)
	}
	r.change(func(was *curfewv1.Alert) *curfewv1.Alert {
		return alert.Resolve(was, "person:ben", "a drill", time.Now())
	})
	_, err = asked("ben", func(q *curfewv1.CreateSilenceRequest) { q.Duration = durationpb.New(3 * time.Hour) })
	said(t, "resolved", err, codes.FailedPrecondition, "by person:ben: a drill")
}

// A process that died between the silence and its alert's note leaves that to whoever asks again.
func TestAMuteIsNotedLate(t *testing.T) {
	r := newResponders(t)
	ctx := r.as("person:ann")
	q := quiet(func(q *curfewv1.CreateSilenceRequest) { q.Kind, q.Match.AlertId = mute, r.alert.GetId() })
	lost, err := r.api.makeSilence(ctx, q, &curfewv1.Silence{Id: silenceID("")})
	if err != nil || len(r.now().GetNotes()) != 0 {
		t.Fatalf("got %v, notes %v", err, r.alert.GetNotes())
	}
	answer, err := r.api.CreateSilence(ctx, q)
	if err != nil || answer.GetSilence().GetId() != lost.GetId() || r.lastNote() != saySilence(lost) {
		t.Errorf("got %v, %v, notes %v", answer, err, r.alert.GetNotes())
	}
}

// That what somebody proposed was withdrawn stands on its alert, once.
func TestAWithdrawnProposalIsNoted(t *testing.T) {
	r := newResponders(t)
	ctx := r.as("person:ann")
	answer, err := r.api.CreateSilence(ctx, quiet(func(q *curfewv1.CreateSilenceRequest) { q.Kind, q.Match.AlertId = expected, r.alert.GetId() }))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.api.EndSilence(ctx, &curfewv1.EndSilenceRequest{Id: answer.GetSilence().GetId()}); err != nil {
			t.Fatal(err)
		}
		if got, want := len(r.now().GetNotes()), 2; got != want || !strings.Contains(r.lastNote(), "was withdrawn") {
			t.Errorf("got %d notes, the last %q, want %d", got, r.lastNote(), want)
		}
	}
}
