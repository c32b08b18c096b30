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
		// A call has no key of a vendor's: the process, the moment and a count tell it from every other.
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
func (a *api) approvers(ctx context.Context, by *picture, policy *judge.Policy, g *curfewv1.Grant, now time.Time) (found []string) {
	for _, person := range policy.Persons() {
		if len(found) == maxApprovers {
			break
		}
		if person != g.GetAuthor() && person != g.GetSubject() && a.mayAnswer(ctx, by, person, g.GetRole(), now) {
			found = append(found, person)
		}
	}
	return found
}

// whoMay leaves those approvers in waiting requests, as answers show them, who may still say yes: they have not yet, and the
// policy lets them at this moment. Of each person and role it is asked once.
func (a *api) whoMay(ctx context.Context, grants ...*curfewv1.Grant) error {
	now := time.Now()
	grants = slices.DeleteFunc(slices.Clone(grants), func(g *curfewv1.Grant) bool { return !waits(g, now) })
	if len(grants) == 0 {
		return nil
	}
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return asStatus(err)
	}
	asked := map[string]bool{}
	for _, g := range grants {
		digest := grant.Digest(g)
		g.Approvers = slices.DeleteFunc(g.GetApprovers(), func(who string) bool {
			if saidYes(g, who, digest) || who == g.GetExtension().GetAuthor() {
				return true
			}
			may, known := asked[who+" "+g.GetRole()]
			if !known {
				may = a.mayAnswer(ctx, by, who, g.GetRole(), now)
				asked[who+" "+g.GetRole()] = may
			}
			return !may
		})
	}
	return nil
}

// mayAnswer is whether somebody may say yes to requests for a role. Who cannot be asked about may, as far as is known.
func (a *api) mayAnswer(ctx context.Context, by *picture, who, role string, now time.Time) bool {
	why, err := a.lost(ctx, by, asCaller(who).person, now)
	if err != nil {
		a.Log.Warn("it is not known whether an approver is still there", "person", who, "error", err)
	}
	return why == "" && a.may(by, who, "requests.approve", resource(onRequests, role), now)
}

// checkAnswerable refuses a request that fewer persons can answer than it needs. It refuses none where somebody might whom
// the policy does not name.
func (a *api) checkAnswerable(by *picture, policy *judge.Policy, g *curfewv1.Grant, now time.Time) error {
	able, needed := g.GetApprovers(), int(g.GetApprovalsNeeded())
	if len(able) >= min(needed, maxApprovers) || !policy.NamesHolders() || a.may(by, "person:anybody", "requests.approve", resource(onRequests, g.GetRole()), now) {
		return nil
	}
	who := "nobody can give one"
	if len(able) > 0 {
		who = "only " + strings.Join(able, ", ") + " can give one"
	}
	persons := "persons'"
	if needed == 1 {
		persons = "person's"
	}
	return status.Errorf(codes.FailedPrecondition, "%s needs %d %s yes and %s; who is to hold it or asks for it does not count", g.GetRole(), needed, persons, who)
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
	e.Context = callContext(ctx)
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
