// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// checkSeen refuses what was asked for about an alert that is not as it was seen any more.
func checkSeen(of *curfewv1.Alert, q *curfewv1.Command) error {
	switch {
	case of.GetEpisode() != q.GetEpisode():
		return status.Errorf(codes.Aborted, "the message is of episode %d of this alert; it was opened again at %s and is in episode %d. Use its newest message",
			q.GetEpisode(), alert.Moment(of.GetOpened().AsTime()), of.GetEpisode())
	case of.GetState() == resolved:
		return sayResolved(of)
	}
	return nil
}

// commandAlert changes an alert alone.
func (a *api) commandAlert(ctx context.Context, q *curfewv1.Command, of *curfewv1.Alert) (string, error) {
	by, about, done := callerOf(ctx), aboutAlert(of), ""
	action, take := "alerts.acknowledge", acknowledge(by)
	switch q.GetKind() {
	case curfewv1.CommandKind_COMMAND_KIND_RESOLVE:
		action, take, done = "alerts.resolve", resolve(by, q.GetReason()), "It is resolved."
	case curfewv1.CommandKind_COMMAND_KIND_ASK:
		action, take, done = "alerts.ask", ask(by), fmt.Sprintf("%s is being asked.", of.GetEntity())
	case curfewv1.CommandKind_COMMAND_KIND_CONFIRM, curfewv1.CommandKind_COMMAND_KIND_DISOWN:
		action, take, done = "alerts.answer", answer(by, q.GetKind()), "Thank you. Those who handle the alert are told."
		if of.GetQuestion().GetPerson() == by.subject {
			about = onOwn + "/alert" // whoever is asked needs no right to answer
		}
	default:
		done = "It is yours."
	}
	if err := a.allow(ctx, action, about, q); err != nil {
		return "", err
	}
	var err error
	switch q.GetKind() {
	case curfewv1.CommandKind_COMMAND_KIND_RESOLVE:
		err = checkWhy(q.GetReason())
	case curfewv1.CommandKind_COMMAND_KIND_ASK:
		if strings.HasPrefix(of.GetEntity(), "person:") { // so that whoever asks them can reach them
			err = asStatus(a.keepContact(ctx, of.GetEntity()))
		}
	default:
	}
	if err == nil {
		_, err = a.changeAlert(ctx, of.GetId(), func(newest *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
			// That it was not them is heard also after somebody resolved it, and after whoever it was went on.
			if err := checkSeen(newest, q); err != nil && q.GetKind() != curfewv1.CommandKind_COMMAND_KIND_DISOWN {
				return nil, "", err
			}
			return take(newest, now)
		})
	}
	if err != nil {
		return "", a.refuse(ctx, action, about, q, err)
	}
	return done, nil
}

func ask(by caller) move {
	return func(of *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		next := alert.Ask(of, by.subject, now)
		switch {
		case next != nil:
			return next, "asked " + of.GetEntity(), nil
		case of.GetQuestion() != nil:
			return nil, "", status.Errorf(codes.FailedPrecondition, "%s was asked by %s at %s and has not answered yet",
				of.GetQuestion().GetPerson(), of.GetQuestion().GetAuthor(), alert.Moment(of.GetQuestion().GetTime().AsTime()))
		default:
			return nil, "", status.Errorf(codes.FailedPrecondition, "the alert is about no person whom one could ask, but about %s", cmp.Or(of.GetEntity(), "nobody"))
		}
	}
}

// answer is what the person who was asked says, and nobody else.
func answer(by caller, kind curfewv1.CommandKind) move {
	said := curfewv1.QuestionAnswer_QUESTION_ANSWER_ME
	if kind == curfewv1.CommandKind_COMMAND_KIND_DISOWN {
		said = curfewv1.QuestionAnswer_QUESTION_ANSWER_NOT_ME
	}
	return func(of *curfewv1.Alert, now time.Time) (*curfewv1.Alert, string, error) {
		asked := of.GetQuestion()
		switch {
		case asked == nil:
			return nil, "", status.Error(codes.FailedPrecondition, "nobody is asked about this alert")
		case asked.GetPerson() != by.subject:
			return nil, "", status.Errorf(codes.PermissionDenied, "%s was asked, and nobody else can answer for them", asked.GetPerson())
		case asked.GetAnswer() == said:
			return nil, "", nil
		case asked.GetAnswered() != nil:
			return nil, "", status.Errorf(codes.FailedPrecondition, "you answered otherwise at %s; tell those who handle the alert", alert.Moment(asked.GetAnswered().AsTime()))
		}
		return alert.Answer(of, said, now), "answered", nil
	}
}

// commandSilence keeps an alert quiet, or proposes that it is expected.
func (a *api) commandSilence(ctx context.Context, q *curfewv1.Command, of *curfewv1.Alert) (string, error) {
	const action = "silences.create"
	kind, reason := mute, cmp.Or(q.GetReason(), "muted where it was shown")
	if q.GetKind() == curfewv1.CommandKind_COMMAND_KIND_EXPECT {
		kind, reason = expected, q.GetReason()
	}
	if err := a.allow(ctx, action, aboutSilence(kind), q); err != nil {
		return "", err
	}
	id := silenceID("command " + a.Tenant + "\x00" + q.GetId())
	s, _, err := a.silence(ctx, id)
	if status.Code(err) == codes.NotFound {
		object := ""
		if err = checkSeen(of, q); err == nil {
			object, err = scopeOf(q, of)
		}
		if err == nil {
			s, err = a.makeSilence(ctx, &curfewv1.CreateSilenceRequest{
				Match: &curfewv1.SilenceMatch{AlertId: of.GetId(), Object: object}, Reason: reason, Duration: q.GetDuration(), Kind: kind,
			}, &curfewv1.Silence{Id: id, Receiver: q.GetReceiver(), Ref: q.GetRef()})
		}
	}
	if err != nil {
		return "", a.refuse(ctx, action, aboutSilence(kind), q, err)
	}
	text := saySilence(s)
	return text, a.noteOn(ctx, of.GetId(), text)
}

// scopeOf is the object alone that is expected; "" where all of the alert is.
func scopeOf(q *curfewv1.Command, of *curfewv1.Alert) (object string, err error) {
	switch {
	case q.GetKind() != curfewv1.CommandKind_COMMAND_KIND_EXPECT, q.GetScope() == "", q.GetScope() == "class":
		return "", nil
	case q.GetScope() != "resource":
		return "", invalid("%q is nothing that can be expected: all of the alert, or its resource alone", q.GetScope())
	case of.GetObject() == "":
		return "", invalid("the alert is about more than one resource, or none is known: choose all of the alert, or add the row of the policy that allows it")
	}
	return of.GetObject(), nil
}
