// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// takeCommands carries out what people ask for where alerts are shown, until ctx ends. Replicas share the commands.
func (a *api) takeCommands(ctx context.Context) error {
	consumer := bus.Consumer{
		Service: "evaluator", Name: "evaluator-commands-" + a.Tenant, Filter: bus.All("command", a.Tenant),
		Dead: func(reason string) { a.Metrics.Dead("evaluator", reason) },
	}
	return a.again(ctx, "commands", func(ctx context.Context) error { return a.Bus.Consume(ctx, consumer, a.takeCommand) })
}

// takeCommand carries a command out that is asked for, and stores what came of it behind that step, so that both are done
// once: what it does is harmless when it is done again, and a second outcome is refused by the expected sequence.
func (a *api) takeCommand(ctx context.Context, m bus.Message) error {
	asked := new(curfewv1.CommandStep)
	if err := m.Decode(asked); err != nil {
		return bus.Permanent("unreadable command", err)
	}
	if asked.GetState() != curfewv1.CommandState_COMMAND_STATE_ASKED {
		return nil
	}
	q := asked.GetCommand()
	if q.GetId() == "" || q.GetTenant() != a.Tenant || m.Subject != bus.CommandSubject(a.Tenant, q.GetId()) {
		return bus.Permanent("misplaced command", fmt.Errorf("command %q of tenant %q stands under %s", q.GetId(), q.GetTenant(), m.Subject))
	}
	last, err := a.Bus.Last(ctx, m.Subject)
	if err != nil || last.Sequence != m.Sequence {
		return err // it was answered
	}
	outcome, err := a.answerCommand(ctx, q, m.Time)
	if err != nil {
		return err
	}
	outcome.Format, outcome.Command, outcome.Time = bus.Format, q, timestamppb.New(later(time.Now(), asked.GetTime().AsTime()))
	if _, err = a.Bus.Append(ctx, m.Subject, m.Sequence, outcome); errors.Is(err, bus.ErrConflict) {
		return nil // another replica answered it
	}
	return err
}

// answerCommand does what a command asks for, as the person whose account asked, and says what came of it. An error means
// that it could not be done yet.
func (a *api) answerCommand(ctx context.Context, q *curfewv1.Command, stored time.Time) (*curfewv1.CommandStep, error) {
	by, why, err := a.commander(ctx, q.GetActor())
	if err != nil {
		return nil, err
	}
	clicked := stored
	if q.GetTime() != nil {
		clicked = earlier(q.GetTime().AsTime(), stored)
	}
	by.command, by.clicked = q.GetId(), clicked
	by.proof = fmt.Sprintf("command %s of %s account %s", q.GetId(), q.GetActor().GetSystem(), q.GetActor().GetId())
	ctx = context.WithValue(ctx, callerKey{}, by)
	if why != "" {
		refused := &curfewv1.CommandStep{State: curfewv1.CommandState_COMMAND_STATE_REFUSED, Person: by.subject, Text: sentence(why)}
		return refused, a.recordRefusal(ctx, q, why)
	}
	text, err := a.carryOut(ctx, q)
	switch status.Code(err) {
	case codes.OK:
		return &curfewv1.CommandStep{State: curfewv1.CommandState_COMMAND_STATE_DONE, Person: by.subject, Text: sentence(text)}, nil
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition, codes.Aborted, codes.DataLoss:
		return &curfewv1.CommandStep{State: curfewv1.CommandState_COMMAND_STATE_REFUSED, Person: by.subject, Text: sentence(status.Convert(err).Message())}, nil
	default:
		return nil, err
	}
}

// sentence is a text as a person is answered: it begins with a capital and ends with a point.
func sentence(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "Done."
	}
	if c := text[0]; c >= 'a' && c <= 'z' && !strings.HasPrefix(text, "person:") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// commander is the person whose account it is where they clicked, at this moment. Why says, in a sentence for them, why they
// can ask for nothing.
func (a *api) commander(ctx context.Context, actor *curfewv1.CommandActor) (by caller, why string, err error) {
	now := time.Now()
	known, err := a.knowledge.since(ctx, now)
	if err != nil {
		return caller{}, "", err
	}
	system, id := actor.GetSystem(), actor.GetId()
	person, no := known.CallerByAccount(system, id, now)
	if person == "" {
		return caller{}, fmt.Sprintf("Curfew does not know whose account %s at %s is: %s. Ask whoever keeps Curfew's policy to write it in identities.yaml, under your name: accounts: {%s: [%s]}",
			event.Clean(id), event.Clean(system), no, event.Clean(system), event.Clean(id)), nil
	}
	by = asCaller("person:" + person)
	if err := a.checkPerson(ctx, person); status.Code(err) == codes.PermissionDenied {
		return by, status.Convert(err).Message() + ". Ask whoever keeps Curfew's policy", nil
	} else if err != nil {
		return caller{}, "", err
	}
	state, err := a.accounts.state(ctx, a.evaluator, system, event.Escape(id))
	if err != nil {
		return caller{}, "", err
	}
	if state != "" {
		return by, fmt.Sprintf("the inventory of %s shows account %s as %s. Ask whoever keeps Curfew's policy", system, id, state), nil
	}
	return by, "", nil
}

// recordRefusal records that somebody asked who can ask for nothing.
func (a *api) recordRefusal(ctx context.Context, q *curfewv1.Command, why string) error {
	detail, err := protojson.Marshal(q)
	if err != nil {
		detail = nil // a time beyond the years there are: it is refused all the same
	}
	by := callerOf(ctx)
	e := a.call(by, "commands.take", "commands/"+commandWord(q), time.Now())
	if by.person == "" {
		e.Actor = &curfewv1.Actor{Id: q.GetActor().GetSystem() + "/" + q.GetActor().GetId()}
	}
	e.Context, e.Raw, e.RawDigest = callContext(ctx), detail, event.Digest(detail)
	e.Outcome = &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: "refused: " + event.Clean(why)}
	return a.record(ctx, e)
}

// commandWord is what a command is for, in a word.
func commandWord(q *curfewv1.Command) string {
	return strings.ToLower(strings.TrimPrefix(q.GetKind().String(), "COMMAND_KIND_"))
}

// carryOut does what the caller asks for, and says what was done.
func (a *api) carryOut(ctx context.Context, q *curfewv1.Command) (text string, err error) {
	switch q.GetKind() {
	case curfewv1.CommandKind_COMMAND_KIND_REQUEST:
		return a.commandRequest(ctx, q)
	case curfewv1.CommandKind_COMMAND_KIND_APPROVE, curfewv1.CommandKind_COMMAND_KIND_DENY:
		return a.commandAnswer(ctx, q)
	case curfewv1.CommandKind_COMMAND_KIND_UNSPECIFIED:
		return "", invalid("the command says nothing to do")
	case curfewv1.CommandKind_COMMAND_KIND_REVOKE:
		if q.GetAlertId() == "" { // of a grant that people were told about
			return a.commandRevoke(ctx, q, &curfewv1.Alert{Entity: "grant:" + q.GetGrantId()})
		}
	default:
	}
	of, err := a.alert(ctx, q.GetAlertId())
	if err != nil {
		return "", err
	}
	if did, is := carriedOut(of, q, callerOf(ctx)); is {
		return did, nil
	}
	switch q.GetKind() {
	case curfewv1.CommandKind_COMMAND_KIND_ACKNOWLEDGE, curfewv1.CommandKind_COMMAND_KIND_RESOLVE, curfewv1.CommandKind_COMMAND_KIND_ASK,
		curfewv1.CommandKind_COMMAND_KIND_CONFIRM, curfewv1.CommandKind_COMMAND_KIND_DISOWN:
		return a.commandAlert(ctx, q, of)
	case curfewv1.CommandKind_COMMAND_KIND_REVOKE:
		return a.commandRevoke(ctx, q, of)
	case curfewv1.CommandKind_COMMAND_KIND_MAKE_TEMPORARY:
		return a.commandTemporary(ctx, q, of)
	case curfewv1.CommandKind_COMMAND_KIND_EXPECT, curfewv1.CommandKind_COMMAND_KIND_MUTE:
		return a.commandSilence(ctx, q, of)
	default:
		return "", invalid("this version does not know how to do that (%d); run a newer evaluator", q.GetKind())
	}
}

// carriedOut is what a command did that was carried out before, of whose outcome nobody knows.
func carriedOut(of *curfewv1.Alert, q *curfewv1.Command, by caller) (did string, is bool) {
	for _, id := range of.GetCommands() {
		is = is || id == q.GetId()
	}
	for _, n := range of.GetNotes() {
		if is && n.GetAuthor() == by.subject {
			did = n.GetText()
		}
	}
	return cmp.Or(did, "done"), is
}
