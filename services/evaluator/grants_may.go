// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// maxApprovers bounds how many approvers a grant names.
const maxApprovers = 20

// What calls are about, each with the role's bare name behind it.
const (
	onGrants     = "grants"
	onRequests   = "requests"
	onBreakGlass = "breakglass"
	onOwn        = "own"
)

// resource is what a call about a role is about.
func resource(kind, role string) string {
	name := strings.TrimPrefix(role, "role:")
	if name == "" {
		return kind
	}
	return kind + "/" + strings.ReplaceAll(name, "/", "%2F")
}

// call is a call as the log has it.
func (a *api) call(by caller, action, resource string, now time.Time) *curfewv1.Event {
	known, _ := a.Catalog.Action(judge.Self, apiFeed, action)
	return &curfewv1.Event{
		Id:     event.ID(judge.Self, fmt.Sprintf("%s-%d-%d", a.Holder, now.UnixNano(), a.calls.Add(1)), 0),
		Tenant: a.Tenant, Source: judge.Self, Feed: apiFeed, Time: timestamppb.New(now), Received: timestamppb.New(now),
		Action: action, Act: known.Act, Actor: by.actor(),
		Resource: &curfewv1.Resource{Path: event.Path("api", strings.Split(resource, "/")...), Kind: "api", Name: resource},
	}
}

// may is whether the policy would let somebody make a call. Nothing is recorded.
func (a *api) may(by *picture, subject, action, resource string, now time.Time) bool {
	return by.Decide(a.call(asCaller(subject), action, resource, now)).GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED
}

// approvers are the people of the policy who may say yes to a grant, as far as they are named in it, the asker and the
// holder not among them.
func (a *api) approvers(by *picture, policy *judge.Policy, g *curfewv1.Grant, now time.Time) (found []string) {
	for _, person := range policy.Persons() {
		if len(found) == maxApprovers {
			break
		}
		if person != g.GetAuthor() && person != g.GetSubject() && a.may(by, person, "requests.approve", resource(onRequests, g.GetRole()), now) {
			found = append(found, person)
		}
	}
	return found
}

// isOwn is whether a grant is the caller's: they hold it or asked for it.
func isOwn(c caller, g *curfewv1.Grant) bool {
	return c.subject != "" && (g.GetSubject() == c.subject || g.GetAuthor() == c.subject)
}

// refuse records a call that the policy allows and that is refused all the same, with the reason, and returns that as the
// caller is to hear it.
func (a *api) refuse(ctx context.Context, action, resource string, request proto.Message, why error) error {
	why = asRefusal(why)
	switch status.Code(why) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.FailedPrecondition, codes.Aborted, codes.AlreadyExists:
	default:
		return why // nobody was refused: it could not be done
	}
	detail, err := protojson.Marshal(request)
	if err != nil {
		return why // then allow has refused it already
	}
	e := a.call(callerOf(ctx), action, resource, time.Now())
	e.Raw, e.RawDigest = detail, event.Digest(detail)
	e.Outcome = &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: "refused: " + status.Convert(why).Message()}
	if err := a.record(ctx, e); err != nil {
		return status.Errorf(codes.Unavailable, "the refusal could not be recorded, so it is not answered: %v", err)
	}
	return why
}

// asRefusal is an error of a grant's life as a status.
func asRefusal(err error) error {
	if _, already := status.FromError(err); already {
		return err
	}
	code := codes.InvalidArgument
	switch {
	case errors.Is(err, grant.ErrState):
		code = codes.FailedPrecondition
	case errors.Is(err, grant.ErrPerson):
		code = codes.PermissionDenied
	case errors.Is(err, grant.ErrSeen):
		code = codes.Aborted
	}
	text := err.Error()
	for _, kind := range []error{grant.ErrState, grant.ErrPerson, grant.ErrSeen} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return status.Error(code, text)
}

// active leaves out the approvals of people who have been deactivated since, or whom nobody knows any more: their yes
// counts no longer.
func (a *api) active(ctx context.Context, given []*curfewv1.Approval) (kept []*curfewv1.Approval, gone []string, err error) {
	for _, yes := range given {
		person := asCaller(yes.GetAuthor()).person
		if person == "" { // a rule
			kept = append(kept, yes)
			continue
		}
		switch err := a.checkPerson(ctx, person); {
		case status.Code(err) == codes.PermissionDenied:
			gone = append(gone, yes.GetAuthor())
		case err != nil:
			return nil, nil, err
		default:
			kept = append(kept, yes)
		}
	}
	slices.Sort(gone)
	return kept, gone, nil
}
