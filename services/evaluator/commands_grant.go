// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// commandKey is the key under which what a command makes is made once.
func commandKey(q *curfewv1.Command) string { return "command " + q.GetId() }

// commandRevoke ends a grant, or all that an alert's entity holds for a time.
func (a *api) commandRevoke(ctx context.Context, q *curfewv1.Command, of *curfewv1.Alert) (string, error) {
	if of.GetId() != "" {
		if err := checkSeen(of, q); err != nil {
			return "", a.refuse(ctx, "grants.revoke", onGrants, q, err)
		}
	}
	reason := cmp.Or(q.GetReason(), "revoked from "+cmp.Or(alertTitle(of), "a message"))
	id := q.GetGrantId()
	if of, is := strings.CutPrefix(of.GetEntity(), "grant:"); is && id == "" {
		id = of
	}
	var ended []*curfewv1.Grant
	if id != "" {
		answer, err := a.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: id, Reason: reason})
		if err != nil {
			return "", err
		}
		ended = append(ended, answer.GetGrant())
	} else {
		answer, err := a.RevokeGrants(ctx, &curfewv1.RevokeGrantsRequest{Subject: of.GetEntity(), Reason: reason})
		if err != nil {
			return "", err
		}
		before, err := a.endedBefore(ctx, of.GetEntity(), reason, answer.GetGrants())
		if err != nil {
			return "", err
		}
		ended = append(answer.GetGrants(), before...)
		if len(ended) == 0 {
			return "", a.refuse(ctx, "grants.revoke_all", onGrants, q, status.Errorf(codes.FailedPrecondition,
				"%s holds nothing for a time, so there is nothing to end here. What they hold for good stands in the policy, or at the SaaS", of.GetEntity()))
		}
	}
	var ids []string
	for _, g := range ended {
		ids = append(ids, g.GetId())
	}
	text := sayRevoked(ended)
	return text, a.noteOn(ctx, of.GetId(), text, ids...)
}

// endedBefore is the grants of somebody that the caller ended since they clicked, for that reason: by this command, of whose
// outcome nobody knows. Those that are known are left out.
func (a *api) endedBefore(ctx context.Context, subject, reason string, known []*curfewv1.Grant) ([]*curfewv1.Grant, error) {
	by := callerOf(ctx)
	ended, err := a.listed(ctx, func(g *curfewv1.Grant) bool {
		return g.GetSubject() == subject && g.GetEndedAt() != nil && !g.GetEndedAt().AsTime().Before(by.clicked) &&
			!slices.ContainsFunc(known, func(other *curfewv1.Grant) bool { return other.GetId() == g.GetId() })
	})
	if err != nil {
		return nil, err
	}
	var mine []*curfewv1.Grant
	for _, g := range ended {
		found := false
		if err := a.Bus.Read(ctx, bus.GrantSubject(a.Tenant, g.GetId()), bus.From{}, func(m bus.Message) error {
			step, err := readStep(m)
			found = found || step.GetAuthor() == by.subject && step.GetDetail() == reason
			return err
		}); err != nil {
			return nil, asStatus(err)
		}
		if found {
			mine = append(mine, g)
		}
	}
	return mine, nil
}

// alertTitle is an alert in a few words; "" where there is none.
func alertTitle(of *curfewv1.Alert) string {
	if of.GetId() == "" {
		return ""
	}
	return fmt.Sprintf("alert %.8s: %.200s", of.GetId(), strings.ToValidUTF8(of.GetFinding().GetTitle(), "\uFFFD"))
}

// sayRevoked is what was ended, and where it is being taken.
func sayRevoked(ended []*curfewv1.Grant) string {
	var said []string
	for _, g := range ended {
		var where []string
		for _, held := range g.GetPrivileges() {
			if source := held.GetPrivilege().GetSource(); !slices.Contains(where, source) {
				where = append(where, source)
			}
		}
		becomes := "it counts no longer"
		switch {
		case grant.IsEnding(g) && len(where) > 0:
			becomes = "being taken at " + strings.Join(where, ", ") + " now"
		case g.GetState() == curfewv1.GrantState_GRANT_STATE_CANCELLED:
			becomes = "it never began"
		}
		said = append(said, fmt.Sprintf("Revoked grant %s (%s of %s): %s.", g.GetId(), g.GetRole(), g.GetSubject(), becomes))
	}
	return strings.Join(said, " ")
}

// commandTemporary gives an alert's entity a role that would have allowed it, for a time; or asks for that where the caller
// may only ask.
func (a *api) commandTemporary(ctx context.Context, q *curfewv1.Command, of *curfewv1.Alert) (string, error) {
	g, err := a.madeBy(ctx, q)
	if err == nil && g == nil {
		about := resource(onGrants, q.GetRole())
		if err = checkSeen(of, q); err == nil && !slices.Contains(of.GetFinding().GetContext().GetAllowingRoles(), q.GetRole()) {
			err = invalid("%q is none of the roles that would have allowed it", q.GetRole())
		}
		if err != nil {
			return "", a.refuse(ctx, "grants.create", about, q, err)
		}
		g, err = a.giveOrAsk(ctx, about, &curfewv1.CreateGrantRequest{
			Subject: of.GetEntity(), Role: q.GetRole(), Duration: q.GetDuration(), Reason: cmp.Or(q.GetReason(), alertTitle(of)), IdempotencyKey: commandKey(q),
		})
	}
	if err != nil {
		return "", err
	}
	text := sayMade(g)
	return text, a.noteOn(ctx, of.GetId(), text)
}

// madeBy is the grant that a command has made already; nil where it has made none.
func (a *api) madeBy(ctx context.Context, q *curfewv1.Command) (*curfewv1.Grant, error) {
	_, newest, err := a.grantLife(ctx, grantID(a.Tenant, callerOf(ctx).subject, commandKey(q)))
	if err != nil || newest == nil {
		return nil, err
	}
	return answered(newest.GetGrant(), time.Now()), nil
}

// giveOrAsk gives what the caller may give, and asks for it otherwise: nobody gives themselves what would have allowed what
// they did.
func (a *api) giveOrAsk(ctx context.Context, about string, q *curfewv1.CreateGrantRequest) (*curfewv1.Grant, error) {
	may, err := a.lets(ctx, "grants.create", about)
	if err != nil {
		return nil, err
	}
	if may && q.GetSubject() != callerOf(ctx).subject {
		answer, err := a.CreateGrant(ctx, q)
		return answer.GetGrant(), err
	}
	answer, err := a.CreateRequest(ctx, &curfewv1.CreateRequestRequest{
		Subject: q.GetSubject(), Role: q.GetRole(), Duration: q.GetDuration(), Reason: q.GetReason(), IdempotencyKey: q.GetIdempotencyKey(),
	})
	return answer.GetGrant(), err
}

// sayMade is what became of a grant that somebody wanted.
func sayMade(g *curfewv1.Grant) string {
	what := fmt.Sprintf("%s for %s (%s)", g.GetRole(), g.GetSubject(), g.GetId())
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED:
		needs := "a person's yes is"
		if g.GetApprovalsNeeded() > 1 {
			needs = fmt.Sprintf("the yes of %d persons is", g.GetApprovalsNeeded())
		}
		who := ""
		if len(g.GetApprovers()) > 0 {
			who = "; " + strings.Join(g.GetApprovers()[:min(5, len(g.GetApprovers()))], ", ") + " can give one"
		}
		return fmt.Sprintf("Asked for %s: %s needed before it counts%s.", what, needs, who)
	case g.GetEndedAt() != nil:
		return fmt.Sprintf("Gave %s, which has ended since.", what)
	default:
		return fmt.Sprintf("Gave %s until %s.", what, alert.Moment(g.GetExpiresAt().AsTime()))
	}
}

// commandRequest asks for a role for the caller.
func (a *api) commandRequest(ctx context.Context, q *curfewv1.Command) (string, error) {
	g, err := a.madeBy(ctx, q)
	if err == nil && g == nil {
		role := q.GetRole()
		if !strings.HasPrefix(role, "role:") {
			role = "role:" + role
		}
		var made *curfewv1.CreateRequestResponse
		made, err = a.CreateRequest(ctx, &curfewv1.CreateRequestRequest{
			Role: role, Duration: q.GetDuration(), Reason: q.GetReason(), IdempotencyKey: commandKey(q),
		})
		g = made.GetGrant()
	}
	if err != nil {
		return "", err
	}
	return sayMade(g), nil
}

// commandAnswer says yes or no to a request, to more time for a grant, or to a silence.
func (a *api) commandAnswer(ctx context.Context, q *curfewv1.Command) (string, error) {
	yes := q.GetKind() == curfewv1.CommandKind_COMMAND_KIND_APPROVE
	switch {
	case (q.GetGrantId() == "") == (q.GetSilenceId() == ""):
		return "", invalid("the command does not say what is answered")
	case q.GetSilenceId() != "" && yes:
		answer, err := a.ApproveSilence(ctx, &curfewv1.ApproveSilenceRequest{Id: q.GetSilenceId(), Comment: q.GetReason()})
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("Approved: expected until %s.", alert.Moment(answer.GetSilence().GetUntil().AsTime())), nil
	case q.GetSilenceId() != "":
		return a.denySilence(ctx, q)
	case yes:
		answer, err := a.ApproveRequest(ctx, &curfewv1.ApproveRequestRequest{Id: q.GetGrantId(), Digest: q.GetDigest(), Comment: q.GetReason()})
		if err != nil {
			return "", err
		}
		return sayApproved(answer.GetGrant()), nil
	default:
		return a.denyGrant(ctx, q)
	}
}

// sayApproved is where a request stands after a yes.
func sayApproved(g *curfewv1.Grant) string {
	given := len(g.GetApprovals())
	if g.GetExtension() != nil {
		given = len(g.GetExtension().GetApprovals())
	}
	if missing := int(g.GetApprovalsNeeded()) - given; (g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED || g.GetExtension() != nil) && missing > 0 {
		return fmt.Sprintf("You said yes to %s for %s; %d more needed.", g.GetRole(), g.GetSubject(), missing)
	}
	return fmt.Sprintf("Approved: %s for %s until %s.", g.GetRole(), g.GetSubject(), alert.Moment(g.GetExpiresAt().AsTime()))
}

// denySilence refuses what is proposed. What is in force is ended elsewhere, and not by a no.
func (a *api) denySilence(ctx context.Context, q *curfewv1.Command) (string, error) {
	const action = "silences.approve"
	by := callerOf(ctx)
	_, about, err := a.findSilence(ctx, q.GetSilenceId(), action, q)
	if err != nil {
		return "", err
	}
	s, err := a.changeSilence(ctx, q.GetSilenceId(), func(s *curfewv1.Silence, now time.Time) (bool, error) {
		if s.GetEnder() != by.subject && (alert.HasEnded(s, now) || alert.IsApproved(s)) {
			return false, status.Error(codes.FailedPrecondition, "it was answered already, or its time is over")
		}
		return endedBy(by)(s, now)
	})
	if err != nil {
		return "", a.refuse(ctx, action, about, q, err)
	}
	text := fmt.Sprintf("Not expected: the proposal %s was refused.", s.GetId())
	return text, a.noteOn(ctx, s.GetAlertId(), text)
}

// denyGrant says no to a request as it was seen.
func (a *api) denyGrant(ctx context.Context, q *curfewv1.Command) (string, error) {
	by := callerOf(ctx)
	const done = "You said no; whoever asked is told."
	stored, err := a.newest(ctx, q.GetGrantId())
	if err != nil {
		return "", err
	}
	if said, err := a.deniedBy(ctx, q.GetGrantId(), by); said || err != nil {
		return done, err
	}
	if digest := grant.Digest(stored.Value); digest != q.GetDigest() && waits(stored.Value, time.Now()) {
		return "", a.refuse(ctx, "requests.deny", asRequest(stored.Value), q, status.Errorf(codes.Aborted, "request %s is not as it was seen; look at it again", q.GetGrantId()))
	}
	_, err = a.DenyRequest(ctx, &curfewv1.DenyRequestRequest{Id: q.GetGrantId(), Reason: cmp.Or(q.GetReason(), "no reason given")})
	return done, err
}

// deniedBy is whether the newest step of a grant is the no of a caller.
func (a *api) deniedBy(ctx context.Context, id string, by caller) (bool, error) {
	_, newest, err := a.grantLife(ctx, id)
	return newest.GetAuthor() == by.subject && newest.GetGrant().GetState() == curfewv1.GrantState_GRANT_STATE_DENIED, err
}
