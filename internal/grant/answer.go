// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Approve adds a yes to a request, or to the extension that is asked for. With the last that it needs, the grant is
// approved and its end is set; or the end moves. Of one who asked, who is to hold it, or who said yes already it is
// ErrPerson; of what is answered or has expired ErrState; of anything but what stands there ErrSeen.
func Approve(g *curfewv1.Grant, yes *curfewv1.Approval, now time.Time) (*curfewv1.Grant, error) {
	if err := mayAnswer(g, yes.GetAuthor(), yes.GetDigest(), now); err != nil {
		return nil, err
	}
	next := proto.CloneOf(g)
	given := &next.Approvals
	if next.GetExtension() != nil {
		given = &next.Extension.Approvals
	}
	for _, earlier := range *given {
		if earlier.GetAuthor() == yes.GetAuthor() {
			return nil, fmt.Errorf("%s said yes already: %w", yes.GetAuthor(), ErrPerson)
		}
	}
	*given = append(*given, yes)
	if len(*given) < int(g.GetApprovalsNeeded()) {
		return next, nil
	}
	if next.GetExtension() != nil {
		return extended(next), nil
	}
	return Approved(next, now), nil
}

// Deny says no to a request, or to the extension that is asked for; errors are as those of Approve.
func Deny(g *curfewv1.Grant, author, digest string, now time.Time) (*curfewv1.Grant, error) {
	if err := mayAnswer(g, author, digest, now); err != nil {
		return nil, err
	}
	next := proto.CloneOf(g)
	if next.GetExtension() != nil {
		next.Extension = nil
		return next, nil
	}
	next.State, next.EndedAt = curfewv1.GrantState_GRANT_STATE_DENIED, stamp(now)
	return next, nil
}

// Cancel withdraws a request, or the extension that is asked for.
func Cancel(g *curfewv1.Grant, now time.Time) (*curfewv1.Grant, error) {
	next := proto.CloneOf(g)
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED:
		next.State, next.EndedAt = curfewv1.GrantState_GRANT_STATE_CANCELLED, stamp(now)
	case g.GetExtension() != nil:
		next.Extension = nil
	default:
		return nil, wrong(g, "there is no request to withdraw")
	}
	return next, nil
}

// mayAnswer is whether somebody may say yes or no.
func mayAnswer(g *curfewv1.Grant, author, digest string, now time.Time) error {
	asker, by := g.GetAuthor(), g.GetAnswerBy()
	switch {
	case g.GetExtension() != nil && IsOver(g) || IsEnding(g):
		return wrong(g, "there is nothing to answer any more")
	case g.GetExtension() != nil:
		asker, by = g.GetExtension().GetAuthor(), g.GetExtension().GetAnswerBy()
		if !now.Before(End(g)) {
			return fmt.Errorf("grant %s ended at %s, before this answer: %w", g.GetId(), End(g).Format(time.RFC3339), ErrState)
		}
	case g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED:
		return wrong(g, "it was answered already")
	}
	switch {
	case by != nil && !now.Before(by.AsTime()):
		return fmt.Errorf("the request expired unanswered at %s: %w", by.AsTime().Format(time.RFC3339), ErrState)
	case g.GetExtension() == nil && g.GetExpiresAt() != nil && !now.Before(g.GetExpiresAt().AsTime()):
		return fmt.Errorf("it asks for an end at %s, which has passed: %w", g.GetExpiresAt().AsTime().Format(time.RFC3339), ErrState)
	case !strings.HasPrefix(author, "person:"):
		return fmt.Errorf("%s is no person, and an answer is a person's: %w", author, ErrPerson)
	case author == asker || author == g.GetSubject() || author == g.GetAuthor():
		return fmt.Errorf("nobody answers their own request: %w", ErrPerson)
	case digest != Digest(g):
		return fmt.Errorf("request %s is not as it was seen; look at it again: %w", g.GetId(), ErrSeen)
	}
	return nil
}

// Approved is a grant as it is once nothing more has to be said: it begins when it was to begin, or now, and has its end.
func Approved(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	next := proto.CloneOf(g)
	next.State = curfewv1.GrantState_GRANT_STATE_APPROVED
	if next.GetFrom() == nil || next.GetFrom().AsTime().Before(now) {
		// Vendors stamp in seconds: who is given a right within one has it for what they do in the rest of it.
		next.From = stamp(now.Truncate(time.Second))
	}
	if next.GetDuration() != nil {
		next.ExpiresAt = stamp(later(next.GetFrom().AsTime(), now).Add(next.GetDuration().AsDuration()))
	}
	return next
}

// Extend asks for more time, counted from the end, which must not have come. Approved says that nobody has to be asked.
// Beyond the longest that it may last it is an error that says how much is left.
func Extend(g *curfewv1.Grant, more *curfewv1.Extension, approved bool, now time.Time) (*curfewv1.Grant, error) {
	by := more.GetBy().AsDuration()
	switch {
	case !IsWanted(g) && g.GetState() != curfewv1.GrantState_GRANT_STATE_APPROVED, !now.Before(End(g)):
		return nil, wrong(g, "it has no end that could be moved")
	case by <= 0:
		return nil, fmt.Errorf("extend by %v: it must be more than nothing", by)
	}
	left := g.GetFrom().AsTime().Add(g.GetLongest().AsDuration()).Sub(g.GetExpiresAt().AsTime())
	if g.GetLongest() != nil && by > left {
		return nil, fmt.Errorf("extend by %v: the policy lets it last %s in all, so that %s more can be had", by, SayLength(g.GetLongest().AsDuration()), SayLength(max(left, 0)))
	}
	next := proto.CloneOf(g)
	next.Extension = more
	next.Told = without(next.GetTold(), curfewv1.NoticeKind_NOTICE_KIND_EXTENSION) // of an earlier one
	if approved {
		return extended(next), nil
	}
	return next, nil
}

// extended moves the end as the extension asks, and lets people be told of the new one.
func extended(g *curfewv1.Grant) *curfewv1.Grant {
	g.ExpiresAt = stamp(g.GetExpiresAt().AsTime().Add(g.GetExtension().GetBy().AsDuration()))
	g.Extension, g.Duration = nil, nil // what was counted from the activation is counted from the end now
	g.Told = without(g.GetTold(), curfewv1.NoticeKind_NOTICE_KIND_ENDING, curfewv1.NoticeKind_NOTICE_KIND_EXTENSION)
	return g
}

func without(kinds []curfewv1.NoticeKind, drop ...curfewv1.NoticeKind) (kept []curfewv1.NoticeKind) {
next:
	for _, kind := range kinds {
		for _, d := range drop {
			if kind == d {
				continue next
			}
		}
		kept = append(kept, kind)
	}
	return kept
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
