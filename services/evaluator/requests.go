// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// CreateRequest asks for a role, for the caller where it does not say for whom. Where a rule of the policy says yes to the
// caller's own request, it is approved in the same step.
func (a *api) CreateRequest(ctx context.Context, request *curfewv1.CreateRequestRequest) (*curfewv1.CreateRequestResponse, error) {
	const action = "requests.create"
	about := resource(onRequests, request.GetRole())
	if err := a.allow(ctx, action, about, request); err != nil {
		return nil, err
	}
	asked := request
	if request.GetSubject() == "" {
		asked = proto.CloneOf(request)
		asked.Subject = callerOf(ctx).subject
	}
	err := checkGrantForm(asked, false)
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.create(ctx, asked, false, requested)
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.CreateRequestResponse{Grant: g}, nil
}

// requested is the first step of a grant that is asked for: a rule of the policy may answer it at once.
func requested(policy *judge.Policy, g *curfewv1.Grant, now time.Time) (*curfewv1.GrantStep, error) {
	from := now
	if g.GetFrom() != nil {
		from = later(g.GetFrom().AsTime(), now)
	}
	if g.GetSubject() == g.GetAuthor() {
		if rule := policy.Answers(g.GetSubject(), g.GetRole(), from, length(g, now)); rule != "" {
			yes := &curfewv1.Approval{Author: "rule:" + rule, Time: timestamppb.New(now), Digest: grant.Digest(g)}
			g.Approvals = append(g.Approvals, yes)
			return &curfewv1.GrantStep{Grant: grant.Approved(g, now), Detail: "approved by rule " + rule}, nil
		}
	}
	wait := now.Add(policy.Terms(g.GetRole()).AnswerWithin)
	if g.GetExpiresAt() != nil {
		wait = earlier(wait, g.GetExpiresAt().AsTime())
	}
	g.AnswerBy = timestamppb.New(wait)
	return &curfewv1.GrantStep{Grant: g}, nil
}

// ListRequests returns requests and extensions asked for, the first to expire first: to whoever may list grants all, to
// others their own and those that they may answer.
func (a *api) ListRequests(ctx context.Context, request *curfewv1.ListRequestsRequest) (*curfewv1.ListRequestsResponse, error) {
	if err := a.allow(ctx, "requests.list", onRequests, request); err != nil {
		return nil, err
	}
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, asStatus(err)
	}
	c := callerOf(ctx)
	all := a.may(by, c.subject, "grants.list", onGrants, now)
	answers := map[string]bool{} // by role
	grants, err := a.listed(ctx, func(g *curfewv1.Grant) bool {
		if !wasAsked(g) || !request.GetAnswered() && !waits(g, now) {
			return false
		}
		may, known := answers[g.GetRole()]
		if !known {
			may = c.person != "" && a.may(by, c.subject, "requests.approve", resource(onRequests, g.GetRole()), now)
			answers[g.GetRole()] = may
		}
		if request.GetToAnswer() {
			return may && waits(g, now) && !isOwn(c, g) && g.GetExtension().GetAuthor() != c.subject && !saidYes(g, c.subject, grant.Digest(g))
		}
		return all || may || isOwn(c, g)
	})
	slices.SortStableFunc(grants, func(a, b *curfewv1.Grant) int { return answerBy(a).Compare(answerBy(b)) })
	if err == nil {
		err = a.whoMay(ctx, grants...)
	}
	return &curfewv1.ListRequestsResponse{Grants: grants}, err
}

// wasAsked is whether a grant, or more time for it, was ever asked for.
func wasAsked(g *curfewv1.Grant) bool { return g.GetAnswerBy() != nil || g.GetExtension() != nil }

// waits is whether there is something to answer.
func waits(g *curfewv1.Grant, now time.Time) bool {
	return (g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED || g.GetExtension() != nil) && now.Before(answerBy(g))
}

// answerBy is until when an answer can be given.
func answerBy(g *curfewv1.Grant) time.Time {
	if g.GetExtension() != nil {
		return g.GetExtension().GetAnswerBy().AsTime()
	}
	return g.GetAnswerBy().AsTime()
}

// saidYes is whether somebody said yes to what a digest is of.
func saidYes(g *curfewv1.Grant, who, digest string) bool {
	given := slices.Concat(g.GetApprovals(), g.GetExtension().GetApprovals())
	return slices.ContainsFunc(given, func(yes *curfewv1.Approval) bool { return yes.GetAuthor() == who && yes.GetDigest() == digest })
}

// asRequest is what an answer to a request is about.
func asRequest(g *curfewv1.Grant) string { return resource(onRequests, g.GetRole()) }

// ApproveRequest says yes. Those who have been deactivated since they said so do not count any more.
func (a *api) ApproveRequest(ctx context.Context, request *curfewv1.ApproveRequestRequest) (*curfewv1.ApproveRequestResponse, error) {
	const action = "requests.approve"
	_, about, err := a.find(ctx, request.GetId(), action, request, asRequest)
	if err != nil {
		return nil, err
	}
	by := callerOf(ctx)
	err = checkAnswer(ctx, a, by, request.GetDigest(), request.GetComment())
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.step(ctx, request.GetId(), false, func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
			if saidYes(g, by.subject, request.GetDigest()) {
				return nil, "", nil // the same call again, or the same person: they count once
			}
			if lapsed(g) {
				return nil, "", status.Errorf(codes.FailedPrecondition, "the request expired unanswered at %s", g.GetEndedAt().AsTime().Format(time.RFC3339))
			}
			if err := a.checkStillHolder(ctx, g); err != nil {
				return nil, "", err
			}
			gone, err := a.dropGone(ctx, g)
			if err != nil {
				return nil, "", err
			}
			if err := a.tighten(ctx, g, now); err != nil {
				return nil, "", err
			}
			yes := &curfewv1.Approval{Author: by.subject, Time: timestamppb.New(now), Comment: request.GetComment(), Digest: request.GetDigest()}
			next, err := grant.Approve(g, yes, now)
			return next, gone + request.GetComment(), err
		})
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.ApproveRequestResponse{Grant: g}, nil
}

// lapsed is whether a request ended because nobody answered it in time.
func lapsed(g *curfewv1.Grant) bool {
	return g.GetState() == curfewv1.GrantState_GRANT_STATE_CANCELLED && g.GetAnswerBy() != nil && !g.GetEndedAt().AsTime().Before(g.GetAnswerBy().AsTime())
}

// checkStillHolder refuses a yes to what nobody could be given any more: the holder has left since, or the role has.
func (a *api) checkStillHolder(ctx context.Context, g *curfewv1.Grant) error {
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return asStatus(err)
	}
	policy, _ := by.Policies(now)
	if err := checkHolder(policy, g.GetSubject(), g.GetRole()); err != nil {
		return status.Error(codes.FailedPrecondition, status.Convert(err).Message())
	}
	return a.checkNotLost(ctx, by, g.GetSubject(), now)
}

// tighten asks of a request what the policy asks by now, where that is more than when it was made.
func (a *api) tighten(ctx context.Context, g *curfewv1.Grant, now time.Time) error {
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return asStatus(err)
	}
	policy, _ := by.Policies(now)
	terms := policy.Terms(g.GetRole())
	g.ApprovalsNeeded = max(g.GetApprovalsNeeded(), terms.Approvals)
	length := g.GetDuration().AsDuration()
	if g.GetDuration() == nil {
		length = g.GetExpiresAt().AsTime().Sub(later(now, g.GetFrom().AsTime()))
	}
	if more := g.GetExtension(); more != nil {
		length = g.GetExpiresAt().AsTime().Add(more.GetBy().AsDuration()).Sub(g.GetFrom().AsTime())
	}
	if length > terms.Max {
		return status.Errorf(codes.FailedPrecondition, "by now %s lets it last %s at most, and it is asked for %s: ask anew", terms.MaxBy, grant.SayLength(terms.Max), grant.SayLength(length))
	}
	return nil
}

// checkNotLost refuses a person as a holder who is lost.
func (a *api) checkNotLost(ctx context.Context, by *picture, subject string, now time.Time) error {
	person := asCaller(subject).person
	if person == "" {
		return nil
	}
	why, err := a.lost(ctx, by, person, now)
	if err == nil && why != "" {
		err = status.Errorf(codes.FailedPrecondition, "%s can be given nothing: %s", subject, why)
	}
	return err
}

// sayNoPerson refuses the answer of a service.
func sayNoPerson(by caller) error {
	return status.Errorf(codes.PermissionDenied, "%s is no person, and an answer is a person's: show the token of a person who may; `curfew token create ida` makes one", by.subject)
}

// checkAnswer refuses an answer that is nobody's, or of nothing that was seen.
func checkAnswer(ctx context.Context, a *api, by caller, digest, text string) error {
	switch {
	case by.person == "":
		return sayNoPerson(by)
	case digest == "":
		return invalid("the digest is missing: an answer names the request as it was seen")
	}
	if err := checkText(text); err != nil {
		return err
	}
	return a.checkPerson(ctx, by.person) // deactivated perhaps since the call began
}

// dropGone takes out of a request the yes of those who have been deactivated since, and says so.
func (a *api) dropGone(ctx context.Context, g *curfewv1.Grant) (said string, err error) {
	given := &g.Approvals
	if g.GetExtension() != nil {
		given = &g.Extension.Approvals
	}
	kept, gone, err := a.active(ctx, *given)
	if err != nil || len(gone) == 0 {
		return "", err
	}
	*given = kept
	return "no longer counted, as deactivated since: " + strings.Join(gone, ", ") + ". ", nil
}

// DenyRequest says no.
func (a *api) DenyRequest(ctx context.Context, request *curfewv1.DenyRequestRequest) (*curfewv1.DenyRequestResponse, error) {
	const action = "requests.deny"
	found, about, err := a.find(ctx, request.GetId(), action, request, asRequest)
	if err != nil {
		return nil, err
	}
	by := callerOf(ctx)
	err = checkReason(request.GetReason())
	if err == nil {
		err = checkAnswer(ctx, a, by, grant.Digest(found), request.GetReason())
	}
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.step(ctx, request.GetId(), false, func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
			if lapsed(g) {
				return nil, "", status.Errorf(codes.FailedPrecondition, "the request expired unanswered at %s", g.GetEndedAt().AsTime().Format(time.RFC3339))
			}
			next, err := grant.Deny(g, by.subject, grant.Digest(found), now)
			return next, request.GetReason(), err
		})
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.DenyRequestResponse{Grant: g}, nil
}

// CancelRequest withdraws what the caller asked for, or what was asked for them.
func (a *api) CancelRequest(ctx context.Context, request *curfewv1.CancelRequestRequest) (*curfewv1.CancelRequestResponse, error) {
	const action = "requests.cancel"
	by := callerOf(ctx)
	found, about, err := a.find(ctx, request.GetId(), action, request, func(g *curfewv1.Grant) string {
		if g != nil && (isOwn(by, g) || g.GetExtension().GetAuthor() == by.subject) {
			return resource(onOwn, g.GetRole())
		}
		return asRequest(g)
	})
	if err != nil {
		return nil, err
	}
	err = checkText(request.GetReason())
	if err == nil && about != resource(onOwn, found.GetRole()) {
		err = status.Errorf(codes.PermissionDenied, "the request is not yours to withdraw; who may answer it can deny it")
	}
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.step(ctx, request.GetId(), false, func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
			next, err := grant.Cancel(g, now)
			return next, request.GetReason(), err
		})
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.CancelRequestResponse{Grant: g}, nil
}
