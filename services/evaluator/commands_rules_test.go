// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const day = 24 * time.Hour

// expect is a proposal by somebody that the alert is expected.
func (r *responders) expect(who string, length time.Duration) *curfewv1.Command {
	return r.click(who, toExpect, func(q *curfewv1.Command) { q.Reason, q.Duration = "the yearly audit", durationpb.New(length) })
}

func (r *responders) answerSilence(who string, kind curfewv1.CommandKind, id string) *curfewv1.CommandStep {
	r.Helper()
	return r.take(r.click(who, kind, func(q *curfewv1.Command) { q.AlertId, q.SilenceId = "", id }))
}

func (r *responders) lastNote() string {
	r.Helper()
	notes := r.now().GetNotes()
	return notes[len(notes)-1].GetText()
}

// What is expected takes two persons, neither of them the one it is about; then the alert is resolved.
func TestExpectedTakesTwoPersons(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("too long", r.take(r.expect("ben", 91*day)), refused, "it would last 91d, and may last 90d at most")
	r.want("proposed", r.take(r.expect("ben", 90*day)), done, "A second person has to say yes")
	s := r.silences()[0]
	if s.GetMatch().GetEntity() != "person:eve" || s.GetMatch().GetDetection() != "unauthorized_access" || s.GetMatch().GetDataClass() != "customer" ||
		s.GetApprovalsNeeded() != 1 || s.GetRow() != "p, person:eve, *, google_workspace/*, customer, read, allow" || s.GetReceiver() != "slack" || s.GetRef() != "C1/1" {
		t.Errorf("got %v", s)
	}
	if alert.InForce(s, time.Now()) || r.now().GetState() == resolved || !strings.HasPrefix(r.lastNote(), "Proposed as expected until") {
		t.Errorf("one person's word counts: %v, %q", s, r.lastNote())
	}
	r.want("one's own", r.answerSilence("ben", toApprove, s.GetId()), refused, "you proposed it yourself")
	r.want("without the right", r.answerSilence("ann", toApprove, s.GetId()), refused, "does not let person:ann")
	r.want("one resource", r.take(r.click("ben", toExpect, func(q *curfewv1.Command) {
		q.Reason, q.Duration, q.Scope = "x", durationpb.New(time.Hour), "resource"
	})), done, "A second person has to say yes")
	if one := r.silences()[0]; one.GetMatch().GetObject() != "google_workspace/file/1" || one.GetRow() != "p, person:eve, *, google_workspace/file/1, customer, read, allow" {
		t.Errorf("one resource: got %v", one)
	}
	r.change(func(was *curfewv1.Alert) *curfewv1.Alert {
		next := proto.CloneOf(was)
		next.Object = "" // findings about another came
		return next
	})
	r.want("one of several", r.take(r.click("ben", toExpect, func(q *curfewv1.Command) {
		q.Reason, q.Duration, q.Scope = "x", durationpb.New(time.Hour), "resource"
	})), refused, "about more than one resource")
	r.want("approved", r.answerSilence("cat", toApprove, s.GetId()), done, "Approved: expected until")
	if now := r.now(); now.GetState() != resolved || now.GetResolver() != "person:cat" || !strings.HasPrefix(now.GetResolution(), "expected until ") || !strings.HasSuffix(now.GetResolution(), ": the yearly audit") {
		t.Errorf("got %v", now)
	}
	r.want("again", r.answerSilence("cat", toApprove, s.GetId()), done, "Approved")
	r.want("too late to refuse", r.answerSilence("cat", toDeny, s.GetId()), refused, "answered already")
}

func TestAProposalIsRefused(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("proposed", r.take(r.expect("ann", day)), done, "")
	id := r.silences()[0].GetId()
	r.want("refused", r.answerSilence("cat", toDeny, id), done, "Not expected")
	r.want("approved then", r.answerSilence("ben", toApprove, id), refused, "person:cat ended it at")
	if now := r.now(); now.GetState() == resolved || !strings.Contains(r.lastNote(), "was refused") {
		t.Errorf("got %v, %q", now.GetState(), r.lastNote())
	}
	r.want("proposed", r.take(r.expect("ann", day)), done, "")
	open := r.silences()[0]
	if open.GetEnded() != nil {
		open = r.silences()[1]
	}
	r.show("ben", "cat", "eve", "fay", "hal")
	r.want("its author has left", r.answerSilence("cat", toApprove, open.GetId()), refused, "whoever proposed it counts no longer: person:ann cannot call")
}

func TestMute(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	muted := func(length time.Duration) *curfewv1.CommandStep {
		return r.take(r.click("ann", toMute, func(q *curfewv1.Command) { q.Duration = durationpb.New(length) }))
	}
	r.want("too long", muted(8*day), refused, "may last 7d at most")
	r.want("no length", muted(0), refused, "not after it begins")
	r.want("muted", muted(7*day), done, "Muted until")
	s := r.silences()[0]
	critical := r.now()
	critical.Severity = curfewv1.Severity_SEVERITY_CRITICAL
	if !alert.InForce(s, time.Now()) || !alert.Covers(s.GetMatch(), r.now()) || alert.Covers(s.GetMatch(), critical) {
		t.Errorf("got %v, want it in force, and not once the alert is critical", s)
	}
	r.change(func(was *curfewv1.Alert) *curfewv1.Alert {
		return alert.Raise(was, curfewv1.Severity_SEVERITY_CRITICAL, "service:notifier", "worse", time.Now())
	})
	r.want("critical", muted(25*time.Hour), refused, "can be kept quiet for 1d at most")
	r.want("critical, for a day", muted(day), done, "Muted until")
}

// Only who was asked answers, once. That it was not them is heard also of an alert that somebody resolved.
func TestWasThisYou(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("nobody is asked", r.take(r.click("eve", toConfirm, nil)), refused, "nobody is asked")
	r.want("asked", r.take(r.click("ann", toAsk, nil)), done, "person:eve is being asked")
	if q := r.now().GetQuestion(); q.GetPerson() != "person:eve" || q.GetAuthor() != "person:ann" || q.GetTold() {
		t.Errorf("got %v", q)
	}
	r.want("asked again", r.take(r.click("ben", toAsk, nil)), refused, "person:eve was asked by person:ann at")
	r.want("another answers", r.take(r.click("ann", toConfirm, nil)), refused, "person:eve was asked, and nobody else")
	r.want("resolved meanwhile", r.take(r.click("ann", toResolve, func(q *curfewv1.Command) { q.Reason = "surely eve" })), done, "resolved")
	r.want("it was me, late", r.take(r.click("eve", toConfirm, nil)), refused, "it was resolved at")
	r.want("it was not me, late", r.take(r.click("eve", toDisown, nil)), done, "Thank you")
	if now := r.now(); now.GetSeverity() != curfewv1.Severity_SEVERITY_CRITICAL || !now.GetNotes()[len(now.GetNotes())-1].GetLoud() {
		t.Errorf("got %v", now)
	}
	r.want("otherwise, later", r.take(r.click("eve", toConfirm, nil)), refused, "")
}

func TestWhatHappenedSince(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	old := r.click("ben", toAcknowledge, nil)
	r.want("no reason", r.take(r.click("ann", toResolve, nil)), refused, "the reason is missing")
	r.want("resolved", r.take(r.click("ann", toResolve, func(q *curfewv1.Command) { q.Reason = "a test" })), done, "")
	r.want("of a resolved alert", r.take(r.click("ben", toAcknowledge, nil)), refused, "by person:ann: a test.")
	r.open("finding-2")
	r.want("of the episode before", r.take(old), refused, "The message is of episode 1 of this alert; it was opened again at")
	if r.now().GetState() != curfewv1.AlertState_ALERT_STATE_OPEN || r.now().GetEpisode() != 2 {
		t.Errorf("got %v", r.now())
	}
	r.want("no such alert", r.take(r.click("ann", toAcknowledge, func(q *curfewv1.Command) { q.AlertId = "none" })), refused, `There is no alert "none"`)
	r.want("taken on", r.take(r.click("ann", toAcknowledge, nil)), done, "It is yours")
	version := r.now().GetVersion()
	r.want("a second click", r.take(r.click("ann", toAcknowledge, nil)), done, "It is yours")
	if now := r.now(); now.GetVersion() != version || now.GetAssignee() != "person:ann" {
		t.Errorf("a second click showed: got %v", now)
	}
	r.want("taken over", r.take(r.click("ben", toAcknowledge, nil)), done, "It is yours")
	if r.now().GetAssignee() != "person:ben" {
		t.Errorf("got %v", r.now())
	}
}

// What is revoked is revoked once, said on the alert, and by the same right as through the API.
func TestRevokeFromAnAlert(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	r.want("nothing to end", r.take(r.click("ann", toRevoke, nil)), refused, "person:eve holds nothing for a time")
	r.give("eve")
	// It dies behind the act, before the alert says so.
	q := r.click("ann", toRevoke, nil)
	by := asCaller("person:ann")
	by.command, by.clicked = q.GetId(), time.Now()
	if _, err := r.api.commandRevoke(context.WithValue(r.Context(), callerKey{}, by), q, &curfewv1.Alert{Entity: "person:eve"}); err != nil {
		t.Fatal(err)
	}
	r.want("revoked", r.take(q), done, "Revoked grant g-eve (role:support of person:eve): being taken at okta now.")
	if steps := grantSteps(t, r.bus); len(steps) != 2 || steps[1].GetAuthor() != "person:ann" || r.lastNote() != "Revoked grant g-eve (role:support of person:eve): being taken at okta now." {
		t.Errorf("got %v, %q", steps, r.lastNote())
	}
	// One that stands for nothing at any SaaS is over at once: it is found again by who ended it, and why.
	r.want("revoked", r.take(r.click("ann", toGive, func(q *curfewv1.Command) { q.Role, q.Duration = "role:lead", durationpb.New(time.Hour) })), done, "Gave role:lead")
	q = r.click("ann", toRevoke, nil)
	by.command, by.clicked = q.GetId(), time.Now()
	if _, err := r.api.RevokeGrants(context.WithValue(r.Context(), callerKey{}, by), &curfewv1.RevokeGrantsRequest{Subject: "person:eve", Reason: "revoked from " + alertTitle(r.alert)}); err != nil {
		t.Fatal(err)
	}
	r.want("of role:lead", r.take(q), done, "(role:lead of person:eve)")
	r.give("fay")
	one := func(q *curfewv1.Command) { q.GrantId = "g-fay" }
	r.want("without the right", r.take(r.click("hal", toRevoke, one)), refused, "does not let person:hal")
	r.want("that one", r.take(r.click("ann", toRevoke, one)), done, "Revoked grant g-fay")
	r.give("hal")
	r.want("one's own, without a row", r.take(r.click("hal", toRevoke, func(q *curfewv1.Command) { q.AlertId, q.GrantId = "", "g-hal" })), done, "Revoked grant g-hal")
}

// Who may give gives; who may only ask asks; only what would have allowed it.
func TestMakeTemporary(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	give := func(who, role string, length time.Duration) *curfewv1.Command {
		return r.click(who, toGive, func(q *curfewv1.Command) { q.Role, q.Duration = role, durationpb.New(length) })
	}
	r.want("another role", r.take(give("ann", "role:responder", time.Hour)), refused, "none of the roles that would have allowed it")
	r.want("too long", r.take(give("ann", "role:support", 9*time.Hour)), refused, "by role:support it may last 8h at most")
	q := give("ann", "role:support", time.Hour)
	q.Reason = "until the row is there"
	by, unsaid := asCaller("person:ann"), proto.CloneOf(r.alert)
	by.command, by.clicked, unsaid.Id = q.GetId(), time.Now(), ""
	if _, err := r.api.commandTemporary(context.WithValue(r.Context(), callerKey{}, by), q, unsaid); err != nil { // it dies before the alert says so
		t.Fatal(err)
	}
	r.want("given", r.take(q), done, "Gave role:support for person:eve")
	steps := grantSteps(t, r.bus)
	if len(steps) != 1 || steps[0].GetGrant().GetSubject() != "person:eve" || steps[0].GetAuthor() != "person:ann" || steps[0].GetGrant().GetState() != approved ||
		!strings.HasPrefix(r.lastNote(), "Gave role:support for person:eve") {
		t.Errorf("got %v, %q", steps, r.lastNote())
	}
	r.want("asked", r.take(give("hal", "role:support", time.Hour)), done, "Asked for role:support for person:eve")
	if steps := grantSteps(t, r.bus); len(steps) != 2 || steps[1].GetGrant().GetState() != requestedState || steps[1].GetAuthor() != "person:hal" {
		t.Errorf("got %v", steps)
	}
}

// A click counts where its person had the right when they clicked, and has it still: not one before it was given, nor one from
// before it was taken, however late either is carried out.
func TestTheRightOfTheClickAndOfNow(t *testing.T) {
	t.Parallel()
	r := newResponders(t)
	at := func(when time.Time) *curfewv1.CommandStep {
		return r.take(r.click("fay", toAcknowledge, func(q *curfewv1.Command) { q.Time = timestamppb.New(when) }))
	}
	before := time.Now()
	r.want("without it", at(before), refused, "no row allows update of audit (sensitivity 3) to person:fay")
	begin := before.Truncate(time.Second).Add(-time.Second)
	g := grant.Approved(&curfewv1.Grant{Id: "g-fay", Tenant: "main", Subject: "person:fay", Role: "role:responder", From: timestamppb.New(begin), ExpiresAt: in(time.Hour)}, begin)
	g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
	book := grant.NewBook(r.bus, "main")
	if err := book.Create(t.Context(), time.Now(), g, "person:cat", ""); err != nil {
		t.Fatal(err)
	}
	r.want("before it was given", at(begin.Add(-time.Second)), refused, "no row allows update of audit (sensitivity 3) to person:fay")
	r.want("with it", at(time.Now()), done, "It is yours")
	clicked := time.Now()
	r.want("to another", r.take(r.click("ann", toAcknowledge, nil)), done, "")
	if _, err := book.Change(t.Context(), "g-fay", "person:cat", time.Now, func(g *curfewv1.Grant) (*curfewv1.Grant, string, bool) { return grant.Revoke(g, time.Now()), "", true }); err != nil {
		t.Fatal(err)
	}
	r.want("taken since", at(clicked), refused, "no row allows update of audit (sensitivity 3) to person:fay")
	r.want("in a year to come", at(time.Now().Add(1000*time.Hour)), refused, "no row allows update of audit (sensitivity 3) to person:fay")
	if r.now().GetAssignee() != "person:ann" {
		t.Errorf("got %v", r.now())
	}
}

// A running evaluator answers commands by itself, and those only that are asked.
func TestCommandsAreTaken(t *testing.T) {
	r := newResponders(t)
	o := r.api.Options
	start(t, o)
	q := r.click("ann", toAcknowledge, nil)
	subject := bus.CommandSubject("main", q.GetId())
	if _, err := r.bus.Append(t.Context(), subject, 0, &curfewv1.CommandStep{Format: bus.Format, Command: q, State: curfewv1.CommandState_COMMAND_STATE_ASKED}); err != nil {
		t.Fatal(err)
	}
	ended := errors.New("ended")
	if err := r.bus.Follow(t.Context(), subject, bus.From{}, func(m bus.Message) error {
		step := new(curfewv1.CommandStep)
		if err := m.Decode(step); err != nil {
			return err
		}
		if step.GetState() == done {
			return ended
		}
		return nil
	}); !errors.Is(err, ended) {
		t.Fatal(err)
	}
	if r.now().GetAssignee() != "person:ann" {
		t.Errorf("got %v", r.now())
	}
}
