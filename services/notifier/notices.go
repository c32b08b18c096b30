// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// tellUntil is how long after a grant's end people are still told of it.
const tellUntil = 24 * time.Hour

// notices is what has to be told of a grant at a moment and was not.
func notices(g *curfewv1.Grant, now time.Time) []*curfewv1.Notice {
	kinds := untold(g, now)
	if len(kinds) == 0 {
		return nil
	}
	seen := proto.CloneOf(g)
	seen.Digest = grant.Digest(g) // who answers where they are told names what they saw
	var list []*curfewv1.Notice
	for _, kind := range kinds {
		n := &curfewv1.Notice{Id: noticeID(g, kind), Tenant: g.GetTenant(), Kind: kind, Grant: seen}
		n.To, n.Text = told(g, kind)
		list = append(list, n)
	}
	return list
}

// untold is the kinds of what has to be told, in the order in which it happened.
func untold(g *curfewv1.Grant, now time.Time) []curfewv1.NoticeKind {
	if grant.IsOver(g) && now.Sub(grant.End(g)) >= tellUntil {
		return nil
	}
	var kinds []curfewv1.NoticeKind
	for _, c := range []struct {
		kind curfewv1.NoticeKind
		is   bool
	}{
		{curfewv1.NoticeKind_NOTICE_KIND_REQUESTED, g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED},
		{curfewv1.NoticeKind_NOTICE_KIND_ANSWERED, isAnswered(g)},
		{curfewv1.NoticeKind_NOTICE_KIND_BREAK_GLASS, g.GetBreakGlass() && isApproved(g)},
		{curfewv1.NoticeKind_NOTICE_KIND_ACTIVE, g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE},
		{curfewv1.NoticeKind_NOTICE_KIND_EXTENSION, g.GetExtension() != nil},
		{curfewv1.NoticeKind_NOTICE_KIND_ENDING, isEndingSoon(g, now)},
		{curfewv1.NoticeKind_NOTICE_KIND_TASK, len(tasks(g)) > 0},
		{curfewv1.NoticeKind_NOTICE_KIND_ENDED, grant.IsOver(g) && isApproved(g)},
	} {
		if c.is && !slices.Contains(g.GetTold(), c.kind) {
			kinds = append(kinds, c.kind)
		}
	}
	return kinds
}

// noticeDue is when something has to be told of a grant next, and the zero time where nothing is to come by itself.
func noticeDue(g *curfewv1.Grant, now time.Time) time.Time {
	if len(untold(g, now)) > 0 {
		return now
	}
	if remind := remindAt(g); now.Before(remind) && !slices.Contains(g.GetTold(), curfewv1.NoticeKind_NOTICE_KIND_ENDING) {
		return remind
	}
	return time.Time{}
}

// remindAt is when the holder is reminded of the end; the zero time where they are not.
func remindAt(g *curfewv1.Grant) time.Time {
	if g.GetRemindBefore() == nil || !grant.IsWanted(g) || g.GetExpiresAt() == nil {
		return time.Time{}
	}
	return g.GetExpiresAt().AsTime().Add(-g.GetRemindBefore().AsDuration())
}

func isEndingSoon(g *curfewv1.Grant, now time.Time) bool {
	remind := remindAt(g)
	return !remind.IsZero() && !now.Before(remind) && now.Before(grant.End(g))
}

// isRequest is whether somebody was asked. What was given without asking has approvals that an extension would need.
func isRequest(g *curfewv1.Grant) bool { return g.GetAnswerBy() != nil }

// isApproved is whether the answer was yes, or none was needed.
func isApproved(g *curfewv1.Grant) bool {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_REQUESTED, curfewv1.GrantState_GRANT_STATE_DENIED:
		return false
	case curfewv1.GrantState_GRANT_STATE_CANCELLED:
		return !isRequest(g) || g.GetApprovalsNeeded() > 0 && len(g.GetApprovals()) >= int(g.GetApprovalsNeeded())
	default:
		return true
	}
}

// isAnswered is whether there is an answer to be told: the end of what was approved tells it all.
func isAnswered(g *curfewv1.Grant) bool {
	return isRequest(g) && g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED && (!grant.IsOver(g) || !isApproved(g))
}

// tasks is the privileges that a person has to give or take by hand.
func tasks(g *curfewv1.Grant) []*curfewv1.HeldPrivilege {
	var open []*curfewv1.HeldPrivilege
	for _, held := range g.GetPrivileges() {
		switch stage := held.GetStage(); {
		case held.GetTask() == "":
		case stage == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE, stage == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT,
			stage == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED:
		case grant.IsEnding(g) && stage != curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED,
			g.GetState() == curfewv1.GrantState_GRANT_STATE_GRANTING && stage != curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD:
			open = append(open, held)
		}
	}
	return open
}

// noticeID names what is told, so that the same is the same however often and by whomever it is sent.
func noticeID(g *curfewv1.Grant, kind curfewv1.NoticeKind) string {
	about := ""
	switch kind {
	case curfewv1.NoticeKind_NOTICE_KIND_ENDING:
		about = moment(g.GetExpiresAt().AsTime())
	case curfewv1.NoticeKind_NOTICE_KIND_EXTENSION:
		about = grant.Digest(g)
	case curfewv1.NoticeKind_NOTICE_KIND_TASK:
		about = fmt.Sprint(grant.IsEnding(g)) // to give it is another thing than to take it
	default: // it happens once
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{g.GetTenant(), g.GetId(), kind.String(), about}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// told is whom a notice is for, and its text: what happened, why, what to do next.
func told(g *curfewv1.Grant, kind curfewv1.NoticeKind) (to []string, text string) {
	switch kind {
	case curfewv1.NoticeKind_NOTICE_KIND_REQUESTED:
		return g.GetApprovers(), fmt.Sprintf("%s asks for %s %s. Why: %s. Answer%s: `curfew request approve %s` or `curfew request deny %[6]s`.",
			asker(g), what(g), length(g), why(g), by(g.GetAnswerBy().AsTime(), g.GetAnswerBy() != nil), g.GetId())
	case curfewv1.NoticeKind_NOTICE_KIND_ANSWERED:
		return holder(g), answered(g)
	case curfewv1.NoticeKind_NOTICE_KIND_ACTIVE:
		return holder(g), fmt.Sprintf("You have %s until %s. %sDone earlier? `curfew grant revoke %s`.",
			what(g), moment(grant.End(g)), outlives(g, "After the end, this can live on: "), g.GetId())
	case curfewv1.NoticeKind_NOTICE_KIND_ENDING:
		next := "It cannot be extended: ask anew with `curfew request create` if you need it longer."
		if g.GetExtensible() {
			next = fmt.Sprintf("Need it longer? `curfew grant extend %s --for 1h --why \"...\"`, before it ends.", g.GetId())
		}
		return holder(g), fmt.Sprintf("%s ends at %s. %s", what(g), moment(grant.End(g)), next)
	case curfewv1.NoticeKind_NOTICE_KIND_ENDED:
		return append(holder(g), approving(g)...), ended(g)
	case curfewv1.NoticeKind_NOTICE_KIND_TASK:
		return doer(g), task(g)
	case curfewv1.NoticeKind_NOTICE_KIND_BREAK_GLASS:
		return g.GetApprovers(), fmt.Sprintf("BREAK-GLASS: %s took %s %s without approval. Why: %s. If that is wrong, end it now: `curfew grant revoke %s`. Look at what was done%s: `curfew grant show %[5]s`.",
			g.GetAuthor(), what(g), length(g), why(g), g.GetId(), by(g.GetReviewBy().AsTime(), g.GetReviewBy() != nil))
	case curfewv1.NoticeKind_NOTICE_KIND_EXTENSION:
		e := g.GetExtension()
		return g.GetApprovers(), fmt.Sprintf("%s asks for %s more of %s, which ends at %s. Why: %s. Answer%s: `curfew request approve %s` or `curfew request deny %[7]s`.",
			e.GetAuthor(), grant.SayLength(e.GetBy().AsDuration()), what(g), moment(grant.End(g)), orUnsaid(e.GetReason()), by(e.GetAnswerBy().AsTime(), e.GetAnswerBy() != nil), g.GetId())
	default:
		return nil, ""
	}
}
