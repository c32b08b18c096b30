// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// paged is how long after a grant's end people are called because it is not taken away yet, and again. Thereafter once a
// day.
var paged = [...]time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour}

// pageAt is how long after the end the nth page is due, from 0.
func pageAt(n uint32) time.Duration {
	if int(n) < len(paged) {
		return paged[n]
	}
	return time.Duration(int(n)-len(paged)+1) * 24 * time.Hour
}

// pagesBy is how many pages are due by so long after the end.
func pagesBy(late time.Duration) uint32 {
	n := int(late / (24 * time.Hour))
	for _, at := range paged {
		if late >= at {
			n++
		}
	}
	return uint32(n) //nolint:gosec // 292 years have 106,751 days
}

// Due is when the clock brings a grant's next turn; ok is false where no turn is to come.
func Due(g *curfewv1.Grant) (at time.Time, ok bool) {
	switch {
	case IsOver(g):
		return time.Time{}, false
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED:
		return g.GetAnswerBy().AsTime(), true
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED:
		return g.GetFrom().AsTime(), true
	case IsEnding(g):
		return End(g).Add(pageAt(g.GetPages())), !End(g).IsZero()
	}
	at = End(g)
	if e := g.GetExtension(); e != nil && e.GetAnswerBy().AsTime().Before(at) {
		at = e.GetAnswerBy().AsTime()
	}
	return at, true
}

// Turn is what the clock makes of a grant at a moment, and why; nil where nothing is due. It may be asked again at once:
// one turn can bring the next.
func Turn(g *curfewv1.Grant, now time.Time) (next *curfewv1.Grant, why string) {
	at, ok := Due(g)
	if !ok || now.Before(at) {
		return nil, ""
	}
	next = proto.CloneOf(g)
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED:
		next.State, next.EndedAt = curfewv1.GrantState_GRANT_STATE_CANCELLED, g.GetAnswerBy()
		return next, "nobody answered in time"
	case IsEnding(g):
		next.Pages = pagesBy(now.Sub(End(g))) // those that nobody was there to send are one
		return next, fmt.Sprintf("it should have ended at %s", End(g).Format(time.RFC3339))
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_APPROVED && now.Before(End(g)):
		return begin(next), "it begins"
	case End(g).IsZero():
		return ended(next, now), "it has no end"
	case !now.Before(End(g)):
		return ended(next, End(g)), "its time is over"
	}
	next.Extension = nil
	return next, "nobody answered the extension in time"
}

// begin is a grant whose time has come. One that stands for nothing at any SaaS is in force by that alone.
func begin(g *curfewv1.Grant) *curfewv1.Grant {
	g.State = curfewv1.GrantState_GRANT_STATE_GRANTING
	if len(g.GetPrivileges()) == 0 {
		g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
	}
	return g
}

// ended is a grant that counts no longer from a moment on: what may have been given is to be taken.
func ended(g *curfewv1.Grant, at time.Time) *curfewv1.Grant {
	g.EndedAt, g.Extension, g.State = stamp(at), nil, curfewv1.GrantState_GRANT_STATE_REVOKING
	return settled(g, at)
}

// Revoke ends a grant now: cancelled where it had not begun, else taken away. One that has ended stays as it is, nil.
func Revoke(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	if IsOver(g) || IsEnding(g) {
		return nil
	}
	next := proto.CloneOf(g)
	if g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED || !IsWanted(g) && now.Before(g.GetFrom().AsTime()) {
		next.State, next.EndedAt, next.Extension = curfewv1.GrantState_GRANT_STATE_CANCELLED, stamp(now), nil
		return next
	}
	if end := End(g); end.Before(now) {
		now = end // its time was over: it ended then
	}
	return ended(next, now)
}

// Settle is a grant's state as the stages of its privileges make it: in force once all are held, revoked once all are gone.
// Whoever moved a stage stores what Settle returns.
func Settle(g *curfewv1.Grant, now time.Time) *curfewv1.Grant { return settled(proto.CloneOf(g), now) }

func settled(g *curfewv1.Grant, now time.Time) *curfewv1.Grant {
	stages := map[curfewv1.PrivilegeStage]int{}
	task := false
	for _, held := range g.GetPrivileges() {
		stages[held.GetStage()]++
		task = task || held.GetTask() != "" && isOpen(held.GetStage())
	}
	refused := stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED]
	switch {
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_GRANTING && refused > 0:
		return ended(g, now)
	case g.GetState() == curfewv1.GrantState_GRANT_STATE_GRANTING && stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD] == len(g.GetPrivileges()):
		if !now.Before(End(g)) {
			return ended(g, End(g)) // too late: nobody counts on it any more
		}
		g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE
		if g.GetDuration() != nil {
			g.ExpiresAt = stamp(counted(g, now))
		}
	case !IsEnding(g):
	case !slices.ContainsFunc(g.GetPrivileges(), func(h *curfewv1.HeldPrivilege) bool { return isOpen(h.GetStage()) }):
		g.State = curfewv1.GrantState_GRANT_STATE_REVOKED
		if refused > 0 && refused+stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED] == len(g.GetPrivileges()) {
			g.State = curfewv1.GrantState_GRANT_STATE_FAILED
		}
	case task:
		g.State = curfewv1.GrantState_GRANT_STATE_STUCK
	case stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN] > 0 && stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING]+
		stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD]+stages[curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING] == 0:
		g.State = curfewv1.GrantState_GRANT_STATE_UNVERIFIED
	default:
		g.State = curfewv1.GrantState_GRANT_STATE_REVOKING
	}
	return g
}

// counted is when a grant ends whose time is counted from its activation: no part of it is held for longer than it may last.
func counted(g *curfewv1.Grant, now time.Time) time.Time {
	end := now.Add(g.GetDuration().AsDuration())
	for _, held := range g.GetPrivileges() {
		if held.GetSeen() == nil || g.GetLongest() == nil {
			continue
		}
		if last := held.GetSeen().AsTime().Add(g.GetLongest().AsDuration()); last.Before(end) {
			end = last
		}
	}
	return end
}

// isOpen is whether the vendor may still show a privilege because of its grant.
func isOpen(stage curfewv1.PrivilegeStage) bool {
	switch stage {
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD,
		curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN:
		return true
	default:
		return false
	}
}
