// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// A mute ends where its alert becomes critical, however short it is.
func TestAShortMuteEndsWhereItBecomesCritical(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("muted", r.take(r.click("ann", toMute, func(q *curfewv1.Command) { q.Duration = durationpb.New(time.Hour) })), done, "Muted until")
	r.change(func(was *curfewv1.Alert) *curfewv1.Alert {
		return alert.Raise(was, curfewv1.Severity_SEVERITY_CRITICAL, "service:notifier", "worse", time.Now())
	})
	if s := r.silences()[0]; alert.Covers(s.GetMatch(), r.now()) {
		t.Errorf("muted while it was high, it is critical now and still quiet: %v", s)
	}
}

// A silence of an alert covers no more than was asked for.
func TestASilenceCoversNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	ctx := context.WithValue(t.Context(), callerKey{}, asCaller("person:ann"))
	for kind, length := range map[curfewv1.SilenceKind]time.Duration{plainSilence: time.Hour, expected: 2 * day} {
		answer, err := r.api.CreateSilence(ctx, &curfewv1.CreateSilenceRequest{
			Match: &curfewv1.SilenceMatch{AlertId: r.alert.GetId(), Severity: curfewv1.Severity_SEVERITY_HIGH}, Kind: kind, Reason: "x", Duration: durationpb.New(length),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.GetSilence().GetMatch().GetSeverity(); got != curfewv1.Severity_SEVERITY_HIGH {
			t.Errorf("%s up to high was asked for, and it covers up to %s", kind, got)
		}
	}
}

// That it was not them is heard of an alert that was opened again meanwhile.
func TestNotMeIsHeardWhereItWasOpenedAgain(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("asked", r.take(r.click("ann", toAsk, nil)), done, "person:eve is being asked")
	button := r.click("eve", toDisown, nil) // in her direct messages
	r.want("resolved", r.take(r.click("ann", toResolve, func(q *curfewv1.Command) { q.Reason = "surely eve" })), done, "")
	r.open("finding-2") // whoever has her account goes on
	r.want("it was not me", r.take(button), done, "")
	if got := r.now().GetSeverity(); got != curfewv1.Severity_SEVERITY_CRITICAL {
		t.Errorf("somebody else acts with eve's account, she says so, and the alert is %s", got)
	}
}

// Nobody gives themselves what would have made right what they did.
func TestNobodyMakesTheirOwnTemporary(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	f := eveFinding("finding-ann")
	f.Decision.Subject = "person:ann"
	entry, err := alert.NewBook(r.bus, "main").Change(t.Context(), alert.ID(f), "service:notifier", time.Now, func(was *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		return alert.Add(was, f, time.Now()), "", true
	})
	if err != nil {
		t.Fatal(err)
	}
	step := r.take(r.click("ann", toGive, func(q *curfewv1.Command) {
		q.AlertId, q.Episode, q.Role, q.Duration, q.Reason = entry.Value.GetId(), 1, "role:lead", durationpb.New(time.Hour), "me"
	}))
	if !strings.HasPrefix(step.GetText(), "Asked for role:lead") {
		t.Errorf("about herself, by herself: %s", step.GetText())
	}
	step = r.take(r.click("ann", toMute, func(q *curfewv1.Command) {
		q.AlertId, q.Episode, q.Duration, q.Reason = entry.Value.GetId(), 1, durationpb.New(time.Hour), "me"
	}))
	if step.GetState() == done {
		t.Errorf("about herself, by herself: %s", step.GetText())
	}
	step = r.take(r.click("ann", toResolve, func(q *curfewv1.Command) {
		q.AlertId, q.Episode, q.Reason = entry.Value.GetId(), 1, "me"
	}))
	if step.GetState() == done {
		t.Errorf("about herself, by herself: %s", step.GetText())
	}
}
