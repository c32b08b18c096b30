// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// OnlyOwn is the header of an answer that holds the caller's own grants alone.
const OnlyOwn = "curfew-only-own"

// overdue is how long after its end a grant that is not taken away counts as stuck.
const overdue = 5 * time.Minute

// ListGrants returns grants as asOf says, the soonest to end first; of those that are stuck that is the longest overdue. A
// caller who may not list and names nobody is shown their own, and told so by the header OnlyOwn.
func (a *api) ListGrants(ctx context.Context, request *curfewv1.ListGrantsRequest) (*curfewv1.ListGrantsResponse, error) {
	const action = "grants.list"
	about, c := onGrants, callerOf(ctx)
	plain := request.GetSubject() == "" && !request.GetStuck() && !request.GetUnreviewed() // "nothing is stuck" must be said of all
	own := false
	if plain {
		all, err := a.lets(ctx, action, onGrants)
		if err != nil {
			return nil, err
		}
		own = !all
	}
	if own || request.GetSubject() != "" && request.GetSubject() == c.subject {
		about = onOwn + "/all"
	}
	if err := a.allow(ctx, action, about, request); err != nil {
		return nil, err
	}
	switch {
	case request.GetSubject() != "" && !judge.IsTyped(request.GetSubject()):
		return nil, a.refuse(ctx, action, about, request, invalid("subject %q has no type; write person:, app: or service: in front", request.GetSubject()))
	case request.GetRole() != "" && !strings.HasPrefix(request.GetRole(), "role:"):
		return nil, a.refuse(ctx, action, about, request, invalid("%q is no role; write role: in front", request.GetRole()))
	}
	if own {
		if err := grpc.SetHeader(ctx, metadata.Pairs(OnlyOwn, "true")); err != nil {
			return nil, asStatus(err)
		}
	}
	now := time.Now()
	grants, err := a.listed(ctx, func(g *curfewv1.Grant) bool {
		switch {
		case own && !isOwn(c, g), request.GetSubject() != "" && request.GetSubject() != g.GetSubject(), request.GetRole() != "" && request.GetRole() != g.GetRole():
			return false
		case request.GetStuck():
			return isStuck(g, now)
		case request.GetUnreviewed():
			return g.GetReviewBy() != nil && g.GetReview() == nil
		}
		return request.GetEnded() || g.GetEndedAt() == nil || isOpen(g)
	})
	return &curfewv1.ListGrantsResponse{Grants: grants}, err
}

// isOpen is whether something that a grant stands for may still be held.
func isOpen(g *curfewv1.Grant) bool {
	return grant.IsEnding(g) || grant.IsWanted(g) && len(g.GetPrivileges()) > 0
}

// isStuck is whether a grant should have been taken away by now, or wants a person for that.
func isStuck(g *curfewv1.Grant, now time.Time) bool {
	troubled := slices.ContainsFunc(g.GetPrivileges(), func(h *curfewv1.HeldPrivilege) bool { return h.GetTrouble() != "" })
	late := now.After(grant.End(g).Add(overdue))
	return isOpen(g) && late || grant.IsEnding(g) && (troubled || g.GetState() == curfewv1.GrantState_GRANT_STATE_STUCK)
}

// listed is the grants, as answers show them, that a caller wants, the soonest to end first.
func (a *api) listed(ctx context.Context, wanted func(*curfewv1.Grant) bool) ([]*curfewv1.Grant, error) {
	newest := map[string]*curfewv1.Grant{}
	if err := a.Bus.Read(ctx, bus.All("grant", a.Tenant), bus.From{Newest: true}, func(m bus.Message) error {
		step, err := readStep(m)
		if err != nil { // one that cannot be read may not hide the others
			a.Log.Error("a grant is left out of a list: its newest step cannot be read", "sequence", m.Sequence, "error", err)
			a.Metrics.Unread("evaluator")
			return nil
		}
		newest[step.GetGrant().GetId()] = step.GetGrant()
		return nil
	}); err != nil {
		return nil, asStatus(err)
	}
	now := time.Now()
	var grants []*curfewv1.Grant
	for _, stored := range newest {
		if g := asOf(stored, now); wanted(g) {
			g.Digest = grant.Digest(stored)
			grants = append(grants, g)
		}
	}
	slices.SortFunc(grants, func(a, b *curfewv1.Grant) int {
		return cmp.Or(grant.End(a).Compare(grant.End(b)), strings.Compare(a.GetId(), b.GetId()))
	})
	return grants, nil
}

// GetGrant returns one grant with its life. Whoever holds it, asked for it, may answer it or may end it sees it as well.
func (a *api) GetGrant(ctx context.Context, request *curfewv1.GetGrantRequest) (*curfewv1.GetGrantResponse, error) {
	now := time.Now()
	by, err := a.knowledge.since(ctx, now)
	if err != nil {
		return nil, asStatus(err)
	}
	c := callerOf(ctx)
	if _, _, err := a.find(ctx, request.GetId(), "grants.get", request, func(g *curfewv1.Grant) string {
		if g != nil && (wasAsked(g) && a.may(by, c.subject, "requests.approve", resource(onRequests, g.GetRole()), now) ||
			a.may(by, c.subject, "grants.revoke", resource(onGrants, g.GetRole()), now)) {
			return resource(onOwn, g.GetRole()) // it is theirs to answer, or to end
		}
		return owned(c)(g)
	}); err != nil {
		return nil, err
	}
	answer := &curfewv1.GetGrantResponse{}
	if err := a.Bus.Read(ctx, bus.GrantSubject(a.Tenant, request.GetId()), bus.From{}, func(m bus.Message) error {
		step, err := readStep(m)
		answer.Steps = append(answer.Steps, step)
		return err
	}); err != nil {
		return nil, asStatus(err)
	}
	if len(answer.GetSteps()) == 0 {
		return nil, status.Errorf(codes.NotFound, "grant %q is kept no longer", request.GetId())
	}
	answer.Grant = answered(answer.GetSteps()[len(answer.GetSteps())-1].GetGrant(), time.Now())
	return answer, a.whoMay(ctx, answer.GetGrant())
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
