// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// ladder compares what is held of one key: nothing, or a level.
type ladder struct {
	vendor Provisioner
	kind   string
}

// isApart is whether each level is held for itself, so that one says nothing of another: nobody ranks them.
func (l ladder) isApart() bool {
	leveler, ok := l.vendor.(Leveler)
	return !ok || leveler.Rank(l.kind, "") < 0
}

// isThere is whether a state shows something: an invitation counts, as it can be accepted at any moment.
func isThere(s *curfewv1.PrivilegeState) bool {
	return s.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT || s.GetPresence() == curfewv1.Presence_PRESENCE_PENDING
}

func isUnknown(s *curfewv1.PrivilegeState) bool {
	return s.GetPresence() == curfewv1.Presence_PRESENCE_UNSPECIFIED
}

// atLeast is whether a level is known to give as much as another.
func (l ladder) atLeast(level, other string) bool {
	if level == other {
		return true
	}
	leveler, ok := l.vendor.(Leveler)
	if !ok {
		return false
	}
	a, b := leveler.Rank(l.kind, level), leveler.Rank(l.kind, other)
	return a >= 0 && b >= 0 && a >= b
}

// covers is whether a state gives a level now.
func (l ladder) covers(s *curfewv1.PrivilegeState, level string) bool {
	return s.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT && l.atLeast(s.GetLevel(), level)
}

// within is whether a state shows no more than a limit.
func (l ladder) within(s, limit *curfewv1.PrivilegeState) bool {
	return s.GetPresence() == curfewv1.Presence_PRESENCE_ABSENT ||
		isThere(s) && isThere(limit) && l.atLeast(limit.GetLevel(), s.GetLevel())
}

// lower is whichever of two states shows less; the first where that is not known.
func (l ladder) lower(a, b *curfewv1.PrivilegeState) *curfewv1.PrivilegeState {
	if !isUnknown(b) && l.within(b, a) && !l.within(a, b) {
		return b
	}
	return a
}

// higher is whichever of two levels gives more; the first where that is not known.
func (l ladder) higher(a, b string) string {
	if l.atLeast(b, a) {
		return b
	}
	return a
}

// raised is a state, or a level that is more.
func (l ladder) raised(s *curfewv1.PrivilegeState, level string) *curfewv1.PrivilegeState {
	if isThere(s) && l.atLeast(s.GetLevel(), level) {
		return s
	}
	return &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_PRESENT, Level: level}
}

// at is a privilege at a level.
func at(p *curfewv1.Privilege, level string) *curfewv1.Privilege {
	p = proto.CloneOf(p)
	p.Level = level
	return p
}
