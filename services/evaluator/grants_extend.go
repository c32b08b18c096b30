// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// ExtendGrant moves a grant's end where the policy lets the caller create such a grant, and asks for it where the caller
// is its holder. With its end as the caller knows it, a call that is sent twice counts once.
func (a *api) ExtendGrant(ctx context.Context, request *curfewv1.ExtendGrantRequest) (*curfewv1.ExtendGrantResponse, error) {
	const action = "grants.extend"
	by := callerOf(ctx)
	now := time.Now()
	known, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, asStatus(err)
	}
	_, about, err := a.find(ctx, request.GetId(), action, request, func(g *curfewv1.Grant) string {
		on := resource(onGrants, g.GetRole())
		if g != nil && isOwn(by, g) && !a.may(known, by.subject, action, on, now) {
			return resource(onOwn, g.GetRole())
		}
		return on
	})
	if err != nil {
		return nil, err
	}
	policy, _ := known.Policies(now)
	err = checkReason(request.GetReason())
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.step(ctx, request.GetId(), request.GetDryRun(), func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
			more := &curfewv1.Extension{By: request.GetBy(), Author: by.subject, Reason: request.GetReason()}
			more.AnswerBy = timestamppb.New(earlier(now.Add(policy.Terms(g.GetRole()).AnswerWithin), grant.End(g)))
			return extend(g, more, request.GetExpiresAt(), about == resource(onGrants, g.GetRole()), now)
		})
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.ExtendGrantResponse{Grant: g}, nil
}

// extend is a grant with more time, or with more time asked for; nil where it is so already.
func extend(g *curfewv1.Grant, more *curfewv1.Extension, seen *timestamppb.Timestamp, direct bool, now time.Time) (*curfewv1.Grant, string, error) {
	waiting := g.GetExtension()
	switch {
	case seen != nil && !proto.Equal(seen, g.GetExpiresAt()):
		if g.GetExpiresAt().AsTime().Equal(seen.AsTime().Add(more.GetBy().AsDuration())) {
			return nil, "", nil // this call came before
		}
		return nil, "", status.Errorf(codes.Aborted, "the grant ends at %s, and not at %s as you saw it; look at it again",
			g.GetExpiresAt().AsTime().Format(time.RFC3339), seen.AsTime().Format(time.RFC3339))
	case !direct && waiting != nil && waiting.GetAuthor() == more.GetAuthor() && proto.Equal(waiting.GetBy(), more.GetBy()):
		return nil, "", nil
	case !direct && waiting != nil:
		return nil, "", status.Errorf(codes.FailedPrecondition, "%s asked for %s more already; withdraw that, or wait for its answer", waiting.GetAuthor(), grant.SayLength(waiting.GetBy().AsDuration()))
	case !direct && !g.GetExtensible():
		return nil, "", status.Errorf(codes.FailedPrecondition, "the policy lets nobody extend a grant of %s; ask for another", g.GetRole())
	case more.GetBy().CheckValid() != nil || more.GetBy().AsDuration() <= 0:
		return nil, "", invalid("the grant would be extended by %s; it must be more than nothing", grant.SayLength(more.GetBy().AsDuration()))
	}
	left := g.GetFrom().AsTime().Add(g.GetLongest().AsDuration()).Sub(g.GetExpiresAt().AsTime())
	if movable := now.Before(grant.End(g)) && (grant.IsWanted(g) || g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED); movable && g.GetLongest() != nil && more.GetBy().AsDuration() > left {
		return nil, "", invalid("the policy lets the grant last %s in all, so that %s more can be had, and not %s",
			grant.SayLength(g.GetLongest().AsDuration()), grant.SayLength(max(left, 0).Truncate(time.Second)), grant.SayLength(more.GetBy().AsDuration()))
	}
	next, err := grant.Extend(g, more, direct, now)
	return next, more.GetReason(), err
}
