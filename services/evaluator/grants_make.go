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
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// asking is what is said of a grant that is to be, whether it is created or asked for.
type asking interface {
	GetSubject() string
	GetRole() string
	GetFrom() *timestamppb.Timestamp
	GetExpiresAt() *timestamppb.Timestamp
	GetDuration() *durationpb.Duration
	GetReason() string
	GetTicket() string
	GetIdempotencyKey() string
	GetDryRun() bool
}

// first makes the first step of a grant's life: what is decided of it beyond what was asked.
type first func(policy *judge.Policy, g *curfewv1.Grant, now time.Time) (*curfewv1.GrantStep, error)

// create stores the first step of a grant and returns it as it stands. With a key there is one grant, however often the
// call comes, and the answer is that grant as it now stands.
func (a *api) create(ctx context.Context, q asking, emergency bool, begin first) (*curfewv1.Grant, error) {
	for {
		id := grantID(a.Tenant, callerOf(ctx).subject, q.GetIdempotencyKey())
		stored, newest, err := a.grantLife(ctx, id)
		if err != nil {
			return nil, err
		}
		if stored != nil && q.GetIdempotencyKey() != "" {
			if differ := differences(stored, q, emergency); len(differ) > 0 {
				return nil, status.Errorf(codes.AlreadyExists, "the key made another grant already, %s, and differs: %s; use a new key, or none", id, strings.Join(differ, ", "))
			}
			return answered(newest.GetGrant(), time.Now()), nil
		}
		step, err := a.firstStep(ctx, id, q, emergency, begin)
		if err != nil {
			return nil, err
		}
		if q.GetDryRun() {
			return tried(step.GetGrant(), step.GetTime().AsTime()), nil
		}
		_, err = a.Bus.Append(ctx, bus.GrantSubject(a.Tenant, id), 0, step)
		if errors.Is(err, bus.ErrConflict) {
			continue // the same call came first from elsewhere, or the id is taken
		}
		if err != nil {
			return nil, asStatus(fmt.Errorf("it is not known whether the grant was stored; send it again under the same key, or look for it in the list: %w", err))
		}
		return answered(step.GetGrant(), step.GetTime().AsTime()), nil
	}
}

// firstStep makes the grant that is asked for, with everything in it that its end will need.
func (a *api) firstStep(ctx context.Context, id string, q asking, emergency bool, begin first) (*curfewv1.GrantStep, error) {
	by, err := a.knowledge.since(ctx, time.Now())
	if err != nil {
		return nil, asStatus(err)
	}
	now := time.Now()
	policy, _ := by.Policies(now)
	if err := checkHolder(policy, q.GetSubject(), q.GetRole()); err != nil {
		return nil, err
	}
	if err := a.checkNotLost(ctx, by, q.GetSubject(), now); err != nil {
		return nil, err
	}
	terms := policy.Terms(q.GetRole())
	if emergency {
		longest, _, ok := policy.Emergency(q.GetRole())
		if !ok {
			return nil, status.Error(codes.FailedPrecondition, sayNoEmergency(policy, q.GetRole()))
		}
		if longest <= terms.Max {
			terms.Max, terms.MaxBy = longest, "break_glass"
		}
		terms.Ticket, terms.Why = false, true
	}
	g := &curfewv1.Grant{
		Id: id, Tenant: a.Tenant, Subject: q.GetSubject(), Role: q.GetRole(), State: curfewv1.GrantState_GRANT_STATE_REQUESTED,
		From: q.GetFrom(), ExpiresAt: q.GetExpiresAt(), Duration: q.GetDuration(), Author: callerOf(ctx).subject,
		Reason: q.GetReason(), Ticket: q.GetTicket(), BreakGlass: emergency,
		ApprovalsNeeded: terms.Approvals, Longest: durationpb.New(terms.Max),
		Extensible: terms.Extend, Owner: terms.Owner,
	}
	if emergency && g.GetExpiresAt() == nil && g.GetDuration() == nil {
		g.Duration = g.GetLongest()
	}
	if err := checkTerms(terms, g); err != nil {
		return nil, err
	}
	if err := checkGrantTimes(g, terms, now); err != nil {
		return nil, err
	}
	g.RemindBefore = durationpb.New(min(terms.RemindBefore, length(g, now)/2)) // what is short is not reminded of as it begins
	if g.Privileges, err = terms.Hold(holderOf(by, g.GetSubject(), now)); err != nil {
		return nil, status.Error(codes.FailedPrecondition, fmt.Sprintf("%s stands for privileges that %s cannot be given: %v", g.GetRole(), g.GetSubject(), err))
	}
	g.Approvers = a.approvers(ctx, by, policy, g, now)
	step, err := begin(policy, g, now)
	if err == nil && step.GetGrant().GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED {
		err = a.checkAnswerable(by, policy, g, now)
	}
	if err != nil {
		return nil, err
	}
	step.Format, step.Time, step.Author = bus.Format, timestamppb.New(now), g.GetAuthor()
	return step, nil
}

// holderOf finds the account, or the app, by which a subject has privileges at a source.
func holderOf(by *picture, subject string, now time.Time) func(source string) (id, name string, err error) {
	return func(source string) (string, string, error) {
		kind, id, _ := strings.Cut(subject, ":")
		switch kind {
		case "person":
			account, err := by.Account(subject, source, now)
			return account.ID, account.Name, err
		case "app":
			at, id, _ := strings.Cut(id, "/")
			if at != source {
				return "", "", fmt.Errorf("it is an app of %s, and the privilege is at %s", at, source)
			}
			return id, "", nil
		default:
			return "", "", fmt.Errorf("a %s has no account at %s", kind, source)
		}
	}
}

// sayNoEmergency says why a role cannot be taken in an emergency.
func sayNoEmergency(policy *judge.Policy, role string) string {
	roles := policy.EmergencyRoles()
	if len(roles) == 0 {
		return "no role can be taken in an emergency: grants.yaml has no break_glass; ask for it instead"
	}
	return fmt.Sprintf("%s cannot be taken in an emergency: break_glass in grants.yaml names %s; ask for it instead", role, strings.Join(roles, ", "))
}

// differences are where a call asks for something else than the grant that a first step made, each as "field: stored →
// wanted". One that does not say when to begin began when it was made.
func differences(first *curfewv1.GrantStep, q asking, emergency bool) (all []string) {
	g := first.GetGrant()
	add := func(field, stored, wanted string) {
		if stored != wanted {
			all = append(all, fmt.Sprintf("%s: %s → %s", field, cmp.Or(stored, "none"), cmp.Or(wanted, "none")))
		}
	}
	_, request := q.(*curfewv1.CreateRequestRequest)
	asked := g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED || len(g.GetApprovals()) > 0
	add("how", sayHow(asked, g.GetBreakGlass()), sayHow(request, emergency))
	add("subject", g.GetSubject(), q.GetSubject())
	add("role", g.GetRole(), q.GetRole())
	from := q.GetFrom()
	if !asked {
		from = cmp.Or(from, wholeSecond(first.GetTime()))
	}
	if !request || from != nil {
		add("from", sayMoment(g.GetFrom()), sayMoment(from))
	}
	if q.GetExpiresAt() != nil {
		add("until", sayMoment(g.GetExpiresAt()), sayMoment(q.GetExpiresAt()))
	}
	if q.GetDuration() != nil || !emergency {
		add("for", sayFor(g.GetDuration()), sayFor(q.GetDuration()))
	}
	add("why", g.GetReason(), q.GetReason())
	add("ticket", g.GetTicket(), q.GetTicket())
	return all
}

// sayHow is how a grant is made.
func sayHow(asked, emergency bool) string {
	switch {
	case asked:
		return "asked for"
	case emergency:
		return "taken in an emergency"
	default:
		return "given"
	}
}

// sayMoment is a moment, to the last digit; "" where there is none.
func sayMoment(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().Format(time.RFC3339Nano)
}

// sayFor is a length of time, to the last digit; "" where there is none.
func sayFor(d *durationpb.Duration) string {
	switch length := d.AsDuration(); {
	case d == nil:
		return ""
	case length%time.Second == 0:
		return grant.SayLength(length)
	default:
		return length.String()
	}
}

// asOf is a grant as it stands at a moment, a copy. From its approval on a grant counts by its times alone, whatever step
// is stored: one that stands for nothing at any SaaS is active once it has begun, and one that counts no longer has an
// ended_at. Where nobody ended it early that is its expires_at, and the state stays active.
func asOf(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	g = proto.CloneOf(g)
	if g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED && !now.Before(g.GetFrom().AsTime()) && len(g.GetPrivileges()) == 0 {
		g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
	}
	if g.GetEndedAt() == nil && g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED && !now.Before(g.GetExpiresAt().AsTime()) {
		g.EndedAt = g.GetExpiresAt()
	}
	return g
}

// tried is a grant as it would be: it has no id, for there is none of that id.
func tried(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	shown := asOf(g, now)
	shown.Id = ""
	return shown
}

// answered is a stored grant as an answer shows it.
func answered(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	shown := asOf(g, now)
	shown.Digest = grant.Digest(g)
	return shown
}
