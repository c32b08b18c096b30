// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package grant is the life of a grant: what may follow what, what the clock brings and when, and the book of all that
// have not ended. What it decides is pure; what it stores is one step after another on GRANTS, each behind the one it knew.
package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// ErrState says that a grant stands where the step cannot be taken: nothing was changed.
var ErrState = errors.New("not in this state")

// ErrPerson says that this person may not answer: it is their own request, or they have answered already.
var ErrPerson = errors.New("not by this person")

// ErrSeen says that the request is not the one that was seen.
var ErrSeen = errors.New("not what was seen")

// IsOver is whether nothing can follow any more: the grant ended, and whatever it stood for is gone.
func IsOver(g *curfewv1.Grant) bool {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_REVOKED, curfewv1.GrantState_GRANT_STATE_DENIED,
		curfewv1.GrantState_GRANT_STATE_CANCELLED, curfewv1.GrantState_GRANT_STATE_FAILED:
		return true
	default:
		return false
	}
}

// IsEnding is whether a grant is being taken away.
func IsEnding(g *curfewv1.Grant) bool {
	switch g.GetState() {
	case curfewv1.GrantState_GRANT_STATE_REVOKING, curfewv1.GrantState_GRANT_STATE_UNVERIFIED, curfewv1.GrantState_GRANT_STATE_STUCK:
		return true
	default:
		return false
	}
}

// IsWanted is whether what a grant stands for is to be held now: it is being given, or in force.
func IsWanted(g *curfewv1.Grant) bool {
	return g.GetState() == curfewv1.GrantState_GRANT_STATE_GRANTING || g.GetState() == curfewv1.GrantState_GRANT_STATE_ACTIVE
}

// End is when a grant ended or is to end; zero while that is open, before its approval.
func End(g *curfewv1.Grant) time.Time {
	switch {
	case g.GetEndedAt() != nil:
		return g.GetEndedAt().AsTime()
	case g.GetExpiresAt() != nil:
		return g.GetExpiresAt().AsTime()
	}
	return time.Time{}
}

// Key names a privilege at whatever level: grants of one key overlap.
func Key(p *curfewv1.Privilege) string {
	return strings.Join([]string{p.GetSource(), p.GetKind(), p.GetHolder(), p.GetResource(), p.GetScope()}, "\x00")
}

// Digest is SHA-256, in hexadecimal, of all that an approval is about.
func Digest(g *curfewv1.Grant) string {
	asked := &curfewv1.Grant{
		Id: g.GetId(), Tenant: g.GetTenant(), Subject: g.GetSubject(), Role: g.GetRole(), From: g.GetFrom(), ExpiresAt: g.GetExpiresAt(),
		Duration: g.GetDuration(), Author: g.GetAuthor(), Reason: g.GetReason(), Ticket: g.GetTicket(),
	}
	for _, held := range g.GetPrivileges() {
		asked.Privileges = append(asked.Privileges, &curfewv1.HeldPrivilege{Privilege: held.GetPrivilege(), KeepSessions: held.GetKeepSessions()})
	}
	if e := g.GetExtension(); e != nil {
		asked.Extension = &curfewv1.Extension{By: e.GetBy(), Author: e.GetAuthor(), Reason: e.GetReason()}
	}
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(asked)
	if err != nil {
		return "" // text that is no UTF-8, which the API lets nobody send: no approval can name it
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// wrong is ErrState with the state said.
func wrong(g *curfewv1.Grant, what string) error {
	return fmt.Errorf("grant %s is %s, so %s: %w", g.GetId(), Say(g.GetState()), what, ErrState)
}

// Say is a state in a word.
func Say(s curfewv1.GrantState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "GRANT_STATE_"))
}

// SayLength is a length of time to the second, as 2d3h or 45m: without the units that are nothing.
func SayLength(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Round(time.Second)
	if d >= day {
		days := strconv.FormatInt(int64(d/day), 10) + "d"
		if d%day == 0 {
			return days
		}
		return days + SayLength(d%day)
	}
	text := d.String()
	if rest, found := strings.CutSuffix(text, "m0s"); found {
		text = rest + "m"
	}
	if rest, found := strings.CutSuffix(text, "h0m"); found {
		text = rest + "h"
	}
	return text
}

// stamp is a moment as it is stored.
func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }
