// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// admin is who shows the API's token.
const admin = "service:admin"

// CreateGrant gives a role until an end. When it returns, the grant is on disk, and whatever any replica judges from then
// on is judged with it. A call with a key may be sent again, whatever became of it: there is one grant, and the answer is
// that grant as it now stands. The policy and the clock are asked only when it is made.
func (a *api) CreateGrant(ctx context.Context, request *curfewv1.CreateGrantRequest) (*curfewv1.CreateGrantResponse, error) {
	const action = "grants.create"
	about := resource(onGrants, request.GetRole())
	begin := given
	if request.GetBreakGlass() {
		about, begin = resource(onBreakGlass, request.GetRole()), taken
	}
	if err := a.allow(ctx, action, about, request); err != nil {
		return nil, err
	}
	err := checkGrantForm(request, request.GetBreakGlass())
	if err == nil && request.GetBreakGlass() {
		err = checkEmergency(callerOf(ctx), request)
	}
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.create(ctx, request, request.GetBreakGlass(), begin)
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.CreateGrantResponse{Grant: g}, nil
}

// given is the first step of a grant that nobody has to approve.
func given(_ *judge.Policy, g *curfewv1.Grant, now time.Time) (*curfewv1.GrantStep, error) {
	return &curfewv1.GrantStep{Grant: grant.Approved(g, now)}, nil
}

// taken is the first step of a grant taken in an emergency: somebody has to look at it afterwards.
func taken(policy *judge.Policy, g *curfewv1.Grant, now time.Time) (*curfewv1.GrantStep, error) {
	_, within, _ := policy.Emergency(g.GetRole())
	g = grant.Approved(g, now)
	g.ReviewBy = timestamppb.New(g.GetExpiresAt().AsTime().Add(within))
	return &curfewv1.GrantStep{Grant: g, Detail: "taken in an emergency"}, nil
}

// checkEmergency refuses what is no emergency of the caller's own.
func checkEmergency(c caller, q *curfewv1.CreateGrantRequest) error {
	switch {
	case c.person == "":
		return status.Errorf(codes.PermissionDenied, "%s is no person, and only a person takes a role in an emergency", c.subject)
	case q.GetSubject() != c.subject:
		return status.Errorf(codes.PermissionDenied, "in an emergency one takes a role for oneself: you are %s, and it is for %s", c.subject, q.GetSubject())
	case q.GetFrom() != nil:
		return invalid("an emergency begins now; leave out when it begins")
	}
	return nil
}

// turn is what a step makes of a grant; nil where there is nothing left to do.
type turn func(g *curfewv1.Grant, now time.Time) (next *curfewv1.Grant, detail string, err error)

// step takes a step behind the one that is newest, and again behind any that came first. Dry, it stores nothing.
func (a *api) step(ctx context.Context, id string, dry bool, take turn) (*curfewv1.Grant, error) {
	for {
		stored, err := a.newest(ctx, id)
		if err != nil {
			return nil, err
		}
		// Never before the step that it follows, or a clock that lags behind another replica's would undo what has been.
		now := later(time.Now(), stored.Time)
		next, detail, err := take(proto.CloneOf(stored.Value), now)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return answered(stored.Value, now), nil
		}
		if dry {
			return tried(next, now), nil
		}
		_, err = a.Bus.Append(ctx, bus.GrantSubject(a.Tenant, id), stored.Sequence, &curfewv1.GrantStep{
			Format: bus.Format, Grant: next, Time: timestamppb.New(now), Author: callerOf(ctx).subject, Detail: detail,
		})
		if errors.Is(err, bus.ErrConflict) {
			continue // another step came first
		}
		if err != nil {
			return nil, asStatus(fmt.Errorf("it is not known whether that was stored; look at the grant, and call again: %w", err))
		}
		shown := answered(next, now)
		return shown, a.whoMay(ctx, shown)
	}
}

// newest is a grant as its newest step leaves it.
func (e *evaluator) newest(ctx context.Context, id string) (grant.Entry, error) {
	last, err := e.Bus.Last(ctx, bus.GrantSubject(e.Tenant, id))
	if errors.Is(err, bus.ErrNotFound) {
		return grant.Entry{}, status.Errorf(codes.NotFound, "there is no grant %q; the list of grants, ended ones too, shows what there is", id)
	}
	if err != nil {
		return grant.Entry{}, asStatus(err)
	}
	step, err := readStep(last)
	if err != nil {
		return grant.Entry{}, err
	}
	return grant.Entry{Value: step.GetGrant(), Sequence: last.Sequence, Time: step.GetTime().AsTime()}, nil
}

// find is the grant that a call is about, once the call is recorded and allowed. Of one that there is not only those learn
// who may make such a call about any.
func (a *api) find(ctx context.Context, id, action string, request proto.Message, about func(*curfewv1.Grant) string) (*curfewv1.Grant, string, error) {
	found, err := a.newest(ctx, id)
	if status.Code(err) == codes.NotFound {
		if denied := a.allow(ctx, action, about(nil), request); denied != nil {
			return nil, "", denied
		}
		return nil, "", err
	}
	if err != nil {
		return nil, "", err
	}
	on := about(found.Value)
	return found.Value, on, a.allow(ctx, action, on, request)
}

// owned is what a call about a grant is about: the role's grants, or the caller's own.
func owned(c caller) func(*curfewv1.Grant) string {
	return func(g *curfewv1.Grant) string {
		if g != nil && isOwn(c, g) {
			return resource(onOwn, g.GetRole())
		}
		return resource(onGrants, g.GetRole())
	}
}

// RevokeGrant ends a grant now: cancelled where it had not begun, else taken away at every SaaS from then on. What has ended
// is left as it is.
func (a *api) RevokeGrant(ctx context.Context, request *curfewv1.RevokeGrantRequest) (*curfewv1.RevokeGrantResponse, error) {
	const action = "grants.revoke"
	_, about, err := a.find(ctx, request.GetId(), action, request, owned(callerOf(ctx)))
	if err != nil {
		return nil, err
	}
	if err := checkReason(request.GetReason()); err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	g, err := a.step(ctx, request.GetId(), false, revoke(request.GetReason()))
	return &curfewv1.RevokeGrantResponse{Grant: g}, err
}

func revoke(reason string) turn {
	return func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
		if asOf(g, now).GetEndedAt() != nil && len(g.GetPrivileges()) == 0 {
			return nil, "", nil // it ran out, and nothing is to be taken
		}
		return grant.Revoke(g, now), reason, nil
	}
}

// RevokeGrants ends everything that somebody holds, and withdraws what they asked for. It returns as well what is being
// taken already. What an error leaves is found by calling again.
func (a *api) RevokeGrants(ctx context.Context, request *curfewv1.RevokeGrantsRequest) (*curfewv1.RevokeGrantsResponse, error) {
	const action = "grants.revoke_all"
	about := onGrants
	if request.GetSubject() != "" && request.GetSubject() == callerOf(ctx).subject {
		about = onOwn + "/all"
	}
	if err := a.allow(ctx, action, about, request); err != nil {
		return nil, err
	}
	err := checkSubject(request.GetSubject())
	if err == nil {
		err = checkReason(request.GetReason())
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	held, err := a.listed(ctx, func(g *curfewv1.Grant) bool {
		asked := g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED && g.GetAuthor() == request.GetSubject()
		return (g.GetSubject() == request.GetSubject() || asked) && (g.GetEndedAt() == nil || isOpen(g))
	})
	if err == nil && len(held) == 0 {
		err = a.refuse(ctx, action, about, request, a.checkSomebody(ctx, request.GetSubject()))
	}
	if err != nil {
		return nil, err
	}
	ended, err := endAll(held, func(id string) (*curfewv1.Grant, error) {
		return a.step(ctx, id, false, revoke(request.GetReason()))
	})
	return &curfewv1.RevokeGrantsResponse{Grants: ended}, err
}

// checkSomebody refuses a person of whom the policy knows nothing: a name mistyped in haste must not look like success.
func (a *api) checkSomebody(ctx context.Context, subject string) error {
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return asStatus(err)
	}
	if person := asCaller(subject).person; person != "" && !by.Caller(person, now).Known {
		return status.Errorf(codes.NotFound, "%s holds nothing that could be ended, and is nobody: %s", subject, unlisted)
	}
	return nil
}

// endAll ends each of some grants, whatever becomes of the others. An error says which are not ended, why, and which are.
func endAll(held []*curfewv1.Grant, end func(id string) (*curfewv1.Grant, error)) (ended []*curfewv1.Grant, err error) {
	var done, left []string
	code := codes.OK
	for _, one := range held {
		g, err := end(one.GetId())
		if err != nil {
			code = status.Code(err)
			left = append(left, one.GetId()+" ("+status.Convert(err).Message()+")")
			continue
		}
		ended, done = append(ended, g), append(done, one.GetId())
	}
	if len(left) > 0 {
		return ended, status.Errorf(code, "not ended: %s; ended: %s", strings.Join(left, ", "), cmp.Or(strings.Join(done, ", "), "none"))
	}
	return ended, nil
}

// ReviewGrant records that a person looked at a grant that somebody else took in an emergency.
func (a *api) ReviewGrant(ctx context.Context, request *curfewv1.ReviewGrantRequest) (*curfewv1.ReviewGrantResponse, error) {
	const action = "grants.review"
	_, about, err := a.find(ctx, request.GetId(), action, request, func(g *curfewv1.Grant) string { return resource(onGrants, g.GetRole()) })
	if err != nil {
		return nil, err
	}
	err = checkReason(request.GetComment())
	var g *curfewv1.Grant
	if err == nil {
		g, err = a.step(ctx, request.GetId(), false, review(callerOf(ctx), request.GetComment()))
	}
	if err != nil {
		return nil, a.refuse(ctx, action, about, request, err)
	}
	return &curfewv1.ReviewGrantResponse{Grant: g}, nil
}

func review(by caller, comment string) turn {
	return func(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, string, error) {
		seen := g.GetReview()
		switch {
		case g.GetReviewBy() == nil:
			return nil, "", status.Errorf(codes.FailedPrecondition, "grant %s was not taken in an emergency and wants no look", g.GetId())
		case by.person == "":
			return nil, "", status.Errorf(codes.FailedPrecondition, "%s is no person, and a person has to look at it", by.subject)
		case isOwn(by, g):
			return nil, "", status.Errorf(codes.FailedPrecondition, "you took it yourself: somebody else has to look at it")
		case seen.GetAuthor() == by.subject && seen.GetComment() == comment:
			return nil, "", nil // the same call again
		case seen != nil:
			return nil, "", status.Errorf(codes.FailedPrecondition, "%s looked at it at %s", seen.GetAuthor(), seen.GetTime().AsTime().Format(time.RFC3339))
		}
		g.Review = &curfewv1.Approval{Author: by.subject, Time: timestamppb.New(now), Comment: comment, Digest: grant.Digest(g)}
		return g, "looked at", nil
	}
}

// grantID is the id that a caller's key stands for in a tenant, or a new one where there is no key: 60 bits in lower case, to be
// read out and typed in.
func grantID(tenant, subject, key string) string {
	sum := [sha256.Size]byte{}
	switch {
	case key == "":
		_, _ = rand.Read(sum[:]) // it never returns an error
	case subject == admin: // as before a key was its caller's own
		sum = sha256.Sum256(fmt.Appendf(nil, "%d:%s,%s", len(tenant), tenant, key))
	default:
		sum = sha256.Sum256(fmt.Appendf(nil, "by %d:%s,%d:%s,%s", len(tenant), tenant, len(subject), subject, key))
	}
	return "g-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
}

// wholeSecond is the second that a moment is in: vendors stamp in seconds, and who was given a right within one has it for
// what they do in the rest of it.
func wholeSecond(at *timestamppb.Timestamp) *timestamppb.Timestamp {
	return timestamppb.New(at.AsTime().Truncate(time.Second))
}
