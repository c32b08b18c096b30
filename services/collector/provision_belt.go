// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// belt is how long after a grant's end the vendor itself is to end it, where it can.
const belt = 15 * time.Minute

// renewals is how often the vendor is asked to move an end: for less long than a belt, in all.
const renewals = 12

// belted is a privilege with the end that the vendor is told: behind that of every grant that wants it. Whoever had it
// before keeps it without.
func (a *actor) belted(s sorted, p *curfewv1.Privilege) *curfewv1.Privilege {
	p.ExpiresAt = nil
	if isThere(s.prior()) {
		return p
	}
	for _, m := range slices.Concat(s.giving, s.wanting) {
		if end := grant.End(m.grant).Add(belt); p.GetExpiresAt() == nil || end.After(p.GetExpiresAt().AsTime()) {
			p.ExpiresAt = timestamppb.New(end)
		}
	}
	return p
}

// expires is whether the vendor can end a privilege by itself.
func (a *actor) expires(p *curfewv1.Privilege) bool {
	vendor, ok := a.vendor.(Expirer)
	return ok && p.GetExpiresAt() != nil && vendor.Expires(p.GetKind(), p.GetLevel())
}

// renew moves the end that the vendor shows, where that of the grants is later: after an extension, or where another grant
// came, be it before this process began. It goes by what the vendor shows. What somebody took meanwhile is not given again.
func (a *actor) renew(t *task, s sorted, now time.Time) step {
	if len(s.wanting) == 0 {
		return step{}
	}
	p := a.belted(s, at(s.wanting[0].held.GetPrivilege(), s.top(s.wanting)))
	if !a.expires(p) || !p.GetExpiresAt().AsTime().After(a.expiry[t.key]) {
		return step{}
	}
	// Vendors know of seconds.
	end, shown := p.GetExpiresAt().AsTime().Truncate(time.Second), t.state.GetExpiresAt()
	switch {
	case now.Before(t.renewAt):
		return step{at: t.renewAt}
	case t.state == nil:
		read := s.read()
		read.idle = true
		return read
	case !s.covers(t.state, p.GetLevel()), shown != nil && !end.After(shown.AsTime()), shown == nil && t.already && !t.accepted.IsZero():
		return a.settle(t, s, p, "")
	case !t.accepted.IsZero() && now.Before(t.accepted.Add(a.grace)):
		return a.again(t, now)
	case t.refused != "", t.already && !t.accepted.IsZero(), t.renewed >= renewals:
		return a.settle(t, s, p, a.sooner(shown))
	}
	if unclaimed := a.unclaimed(s.wanting[:1], now); len(unclaimed) > 0 {
		return step{edits: a.announce(t, unclaimed, "its end moves", a.mine(now, nil))}
	}
	return step{call: callGrant, privilege: p}
}

// sooner is how it is told that the vendor ends it before the grant does; "" where it shows no end.
func (a *actor) sooner(shown *timestamppb.Timestamp) string {
	if shown == nil {
		return ""
	}
	return fmt.Sprintf("%s ends it at %s already, and does not move that; extend it there", a.source, shown.AsTime().UTC().Format(time.RFC3339))
}

// settle notes that nothing more is to be done about an end, and stores where the vendor's is sooner.
func (a *actor) settle(t *task, s sorted, p *curfewv1.Privilege, trouble string) step {
	a.expiry[t.key] = p.GetExpiresAt().AsTime()
	t.accepted, t.already, t.refused, t.renewed, t.renewAt = time.Time{}, false, "", 0, time.Time{}
	changed := slices.DeleteFunc(slices.Clone(s.wanting), func(m member) bool { return m.held.GetTrouble() == trouble })
	return step{edits: a.edit(t, changed, trouble, func(h *curfewv1.HeldPrivilege) { h.Trouble = trouble })}
}
