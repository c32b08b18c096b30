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
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// admin is who shows the API's token.
const admin = "service:admin"

// CreateGrant gives a role until an end. When it returns, the grant is on disk, and whatever any replica judges from then
// on is judged with it. A call with a key may be sent again, whatever became of it: there is one grant, and the answer is
// that grant as it now stands. The policy and the clock are asked only when it is made.
func (a *api) CreateGrant(ctx context.Context, request *curfewv1.CreateGrantRequest) (*curfewv1.CreateGrantResponse, error) {
	if err := a.allow(ctx, "grants.create", "grants", request); err != nil {
		return nil, err
	}
	if err := checkGrantForm(request); err != nil {
		return nil, err
	}
	for {
		id := grantID(a.Tenant, request.GetIdempotencyKey())
		first, newest, err := a.grantLife(ctx, id)
		if err != nil {
			return nil, err
		}
		if first != nil && request.GetIdempotencyKey() != "" {
			if !sameGrant(first, request) {
				return nil, status.Errorf(codes.AlreadyExists, "the key made another grant already: %s; use a new key, or none", sayGrant(first.GetGrant()))
			}
			return &curfewv1.CreateGrantResponse{Grant: asOf(newest.GetGrant(), time.Now())}, nil
		}
		step, err := a.firstStep(ctx, id, request)
		if err != nil {
			return nil, err
		}
		_, err = a.Bus.Append(ctx, bus.GrantSubject(a.Tenant, id), 0, step)
		if errors.Is(err, bus.ErrConflict) {
			continue // the same call came first from elsewhere, or the id is taken
		}
		if err != nil {
			return nil, asStatus(fmt.Errorf("it is not known whether the grant was stored; send it again under the same key, or look for it in the list: %w", err))
		}
		return &curfewv1.CreateGrantResponse{Grant: step.GetGrant()}, nil
	}
}

// firstStep makes the grant that is asked for, beginning now where the request does not say when.
func (a *api) firstStep(ctx context.Context, id string, request *curfewv1.CreateGrantRequest) (*curfewv1.GrantStep, error) {
	by, err := a.knowledge.since(ctx, time.Now())
	if err != nil {
		return nil, asStatus(err)
	}
	now := timestamppb.Now()
	policy, _ := by.Policies(now.AsTime())
	if err := checkHolder(policy, request.GetSubject(), request.GetRole()); err != nil {
		return nil, err
	}
	from := cmp.Or(request.GetFrom(), wholeSecond(now))
	if err := checkGrantTimes(from.AsTime(), request.GetExpiresAt().AsTime(), wholeSecond(now).AsTime()); err != nil {
		return nil, err
	}
	return &curfewv1.GrantStep{
		Format: bus.Format, Time: now, Author: admin,
		Grant: asOf(&curfewv1.Grant{
			Id: id, Tenant: a.Tenant, Subject: request.GetSubject(), Role: request.GetRole(), State: curfewv1.GrantState_GRANT_STATE_APPROVED,
			From: from, ExpiresAt: request.GetExpiresAt(), Author: admin, Reason: request.GetReason(), Ticket: request.GetTicket(),
		}, now.AsTime()),
	}, nil
}

// ListGrants returns grants as asOf says, the soonest to end first.
func (a *api) ListGrants(ctx context.Context, request *curfewv1.ListGrantsRequest) (*curfewv1.ListGrantsResponse, error) {
	if err := a.allow(ctx, "grants.list", "grants", request); err != nil {
		return nil, err
	}
	if request.GetSubject() != "" && !judge.IsTyped(request.GetSubject()) {
		return nil, status.Errorf(codes.InvalidArgument, "subject %q has no type; write person:, app: or service: in front", request.GetSubject())
	}
	if request.GetRole() != "" && !strings.HasPrefix(request.GetRole(), "role:") {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no role; write role: in front", request.GetRole())
	}
	newest := map[string]*curfewv1.Grant{}
	if err := a.Bus.Read(ctx, bus.All("grant", a.Tenant), bus.From{}, func(m bus.Message) error {
		step, err := readStep(m)
		if err == nil {
			newest[step.GetGrant().GetId()] = step.GetGrant()
		}
		return err
	}); err != nil {
		return nil, asStatus(err)
	}
	now := time.Now()
	answer := &curfewv1.ListGrantsResponse{}
	for id := range maps.Keys(newest) {
		g := asOf(newest[id], now)
		if (request.GetSubject() == "" || request.GetSubject() == g.GetSubject()) &&
			(request.GetRole() == "" || request.GetRole() == g.GetRole()) && (request.GetEnded() || g.GetEndedAt() == nil) {
			answer.Grants = append(answer.Grants, g)
		}
	}
	slices.SortFunc(answer.Grants, func(a, b *curfewv1.Grant) int {
		return cmp.Or(grantEnd(a).Compare(grantEnd(b)), strings.Compare(a.GetId(), b.GetId()))
	})
	return answer, nil
}

// RevokeGrant ends a grant now: revoked where it had begun, cancelled where it had not. What has ended is left as it is.
// The answer is as asOf says.
func (a *api) RevokeGrant(ctx context.Context, request *curfewv1.RevokeGrantRequest) (*curfewv1.RevokeGrantResponse, error) {
	if err := a.allow(ctx, "grants.revoke", "grants", request); err != nil {
		return nil, err
	}
	if err := checkReason(request.GetReason()); err != nil {
		return nil, err
	}
	subject := bus.GrantSubject(a.Tenant, request.GetId())
	for {
		last, err := a.Bus.Last(ctx, subject)
		if errors.Is(err, bus.ErrNotFound) {
			return nil, status.Errorf(codes.NotFound, "there is no grant %q; the list of grants, ended ones too, shows what there is", request.GetId())
		}
		if err != nil {
			return nil, asStatus(err)
		}
		step, err := readStep(last)
		if err != nil {
			return nil, err
		}
		// Never before the step that it follows, or a clock that lags behind another replica's would undo what has been.
		now := later(time.Now(), step.GetTime().AsTime())
		g := asOf(step.GetGrant(), now)
		if g.GetEndedAt() != nil {
			return &curfewv1.RevokeGrantResponse{Grant: g}, nil
		}
		g.State, g.EndedAt = curfewv1.GrantState_GRANT_STATE_REVOKED, timestamppb.New(now)
		if now.Before(g.GetFrom().AsTime()) {
			g.State = curfewv1.GrantState_GRANT_STATE_CANCELLED
		}
		_, err = a.Bus.Append(ctx, subject, last.Sequence, &curfewv1.GrantStep{
			Format: bus.Format, Grant: g, Time: timestamppb.New(now), Author: admin, Detail: request.GetReason(),
		})
		if errors.Is(err, bus.ErrConflict) {
			continue // another step came first: it may have ended already
		}
		if err != nil {
			return nil, asStatus(fmt.Errorf("it is not known whether the grant was revoked; revoke it again: %w", err))
		}
		return &curfewv1.RevokeGrantResponse{Grant: g}, nil
	}
}

// asOf is a grant as it stands at a moment, a copy. Steps say what somebody did, and the times alone what counts: a grant
// that was approved and has begun is active, and one that counts no longer has an ended_at. Where nobody ended it early
// that is its expires_at, and the state stays active: it ran to its end, and nobody revoked it.
func asOf(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	g = proto.CloneOf(g)
	if g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED && !now.Before(g.GetFrom().AsTime()) {
		g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
	}
	if g.GetEndedAt() == nil && !now.Before(g.GetExpiresAt().AsTime()) {
		g.EndedAt = g.GetExpiresAt()
	}
	return g
}

// grantEnd is when a grant ends or ended.
func grantEnd(g *curfewv1.Grant) time.Time {
	if g.GetEndedAt() != nil {
		return g.GetEndedAt().AsTime()
	}
	return g.GetExpiresAt().AsTime()
}

// grantLife is the first and the newest step of a grant, nil where there is none.
func (a *api) grantLife(ctx context.Context, id string) (first, newest *curfewv1.GrantStep, err error) {
	err = a.Bus.Read(ctx, bus.GrantSubject(a.Tenant, id), bus.From{}, func(m bus.Message) (err error) {
		newest, err = readStep(m)
		first = cmp.Or(first, newest)
		return err
	})
	return first, newest, asStatus(err)
}

func readStep(m bus.Message) (*curfewv1.GrantStep, error) {
	step := new(curfewv1.GrantStep)
	if err := m.Decode(step); err != nil {
		return nil, status.Error(codes.DataLoss, err.Error())
	}
	return step, nil
}

// grantID is the id that a key stands for in a tenant, or a new one where there is no key: 60 bits in lower case, to be
// read out and typed in.
func grantID(tenant, key string) string {
	sum := [sha256.Size]byte{}
	if key == "" {
		_, _ = rand.Read(sum[:]) // it never returns an error
	} else {
		sum = sha256.Sum256(fmt.Appendf(nil, "%d:%s,%s", len(tenant), tenant, key))
	}
	return "g-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
}

// wholeSecond is the second that a moment is in: vendors stamp in seconds, and who was given a right within one has it for
// what they do in the rest of it.
func wholeSecond(at *timestamppb.Timestamp) *timestamppb.Timestamp {
	return timestamppb.New(at.AsTime().Truncate(time.Second))
}

// sameGrant is whether a request asks for the grant that a first step made. One that does not say when to begin began
// when it was made.
func sameGrant(first *curfewv1.GrantStep, request *curfewv1.CreateGrantRequest) bool {
	g := first.GetGrant()
	return g.GetSubject() == request.GetSubject() && g.GetRole() == request.GetRole() &&
		g.GetReason() == request.GetReason() && g.GetTicket() == request.GetTicket() &&
		proto.Equal(g.GetExpiresAt(), request.GetExpiresAt()) && proto.Equal(g.GetFrom(), cmp.Or(request.GetFrom(), wholeSecond(first.GetTime())))
}

func sayGrant(g *curfewv1.Grant) string {
	return fmt.Sprintf("%s, %s for %s from %s until %s", g.GetId(), g.GetRole(), g.GetSubject(),
		g.GetFrom().AsTime().Format(time.RFC3339), g.GetExpiresAt().AsTime().Format(time.RFC3339))
}
