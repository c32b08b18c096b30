// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	requested  = curfewv1.GrantState_GRANT_STATE_REQUESTED
	approved   = curfewv1.GrantState_GRANT_STATE_APPROVED
	granting   = curfewv1.GrantState_GRANT_STATE_GRANTING
	active     = curfewv1.GrantState_GRANT_STATE_ACTIVE
	revoking   = curfewv1.GrantState_GRANT_STATE_REVOKING
	unverified = curfewv1.GrantState_GRANT_STATE_UNVERIFIED
	revoked    = curfewv1.GrantState_GRANT_STATE_REVOKED
	denied     = curfewv1.GrantState_GRANT_STATE_DENIED
	cancelled  = curfewv1.GrantState_GRANT_STATE_CANCELLED
	failed     = curfewv1.GrantState_GRANT_STATE_FAILED
	stuck      = curfewv1.GrantState_GRANT_STATE_STUCK

	untouched = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED
	giving    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING
	held      = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD
	taking    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING
	taken     = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN
	gone      = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE
	left      = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT
	refused   = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED
)

// noon is when every grant of these tests begins; times are minutes from then.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

func minute(minutes float64) *timestamppb.Timestamp { return timestamppb.New(at(minutes)) }

// one is a grant from 0 to 60 in a state, with privileges at stages.
func one(state curfewv1.GrantState, stages ...curfewv1.PrivilegeStage) *curfewv1.Grant {
	g := &curfewv1.Grant{
		Id: "g-1", Tenant: "shop", Subject: "person:ann", Role: "role:support", Author: "person:ann", State: state,
		From: minute(0), ExpiresAt: minute(60), ApprovalsNeeded: 1,
	}
	if state == requested {
		g.From, g.ExpiresAt, g.Duration, g.AnswerBy = nil, nil, durationpb.New(time.Hour), minute(30)
	}
	if grant.IsEnding(g) {
		g.EndedAt = minute(60)
	}
	for _, stage := range stages {
		g.Privileges = append(g.Privileges, &curfewv1.HeldPrivilege{Stage: stage})
	}
	return g
}

func with(g *curfewv1.Grant, change func(*curfewv1.Grant)) *curfewv1.Grant {
	change(g)
	return g
}

func TestTurn(t *testing.T) {
	asks := func(g *curfewv1.Grant) {
		g.Extension = &curfewv1.Extension{By: durationpb.New(time.Hour), AnswerBy: minute(40)}
	}
	for _, test := range []struct {
		name string
		g    *curfewv1.Grant
		now  float64
		want curfewv1.GrantState // unspecified = no turn
	}{
		{"request waits", one(requested), 29.9, 0},
		{"request that nobody answered", one(requested), 30, cancelled},
		{"begins in policy alone", one(approved), 0, active},
		{"begins at SaaS", one(approved, untouched), 0, granting},
		{"not before its time", one(approved, untouched), -0.01, 0},
		{"found after it was over", one(approved, untouched), 61, revoked},
		{"found after it was over, policy alone", one(approved), 61, revoked},
		{"not early", one(active, held), 59.999, 0},
		{"its time is over", one(active, held), 60, revoking},
		{"its time is over, policy alone", one(active), 60, revoked},
		{"never given", one(granting, untouched), 60, revoked},
		{"may have been given", one(granting, giving), 60, revoking},
		{"one of two may have been given", one(granting, untouched, giving), 60, revoking},
		{"nothing more to do", one(revoked, gone), 9999, 0},
		{"failed is over", one(failed, refused), 9999, 0},
		{"overdue, not long", one(revoking, taking), 64.9, 0},
		{"overdue, page", one(revoking, taking), 65, revoking},
		{"unverified, page", one(unverified, taken), 65, unverified},
		{"stuck, page", one(stuck, taking), 65, stuck},
		{"has no end", with(one(active, held), func(g *curfewv1.Grant) { g.ExpiresAt = nil }), 1, revoking},
		{"extension waits", with(one(active, held), asks), 39, 0},
		{"extension that nobody answered", with(one(active, held), asks), 40, active},
		{"extension asked for, and over", with(one(active, held), asks), 60, revoking},
	} {
		before := proto.CloneOf(test.g)
		next, why := grant.Turn(test.g, at(test.now))
		if !proto.Equal(before, test.g) {
			t.Errorf("%s: the grant that was given was changed", test.name)
		}
		if next.GetState() != test.want || (next != nil) != (why != "") {
			t.Errorf("%s: got %v, %q, want %v", test.name, next.GetState(), why, test.want)
		}
		if next.GetExtension() != nil {
			t.Errorf("%s: the extension is still there", test.name)
		}
		if due, ok := grant.Due(test.g); next != nil && (!ok || due.After(at(test.now))) {
			t.Errorf("%s: turned at %v, but due at %v, %v", test.name, at(test.now), due, ok)
		}
	}
}

func TestPagesComeAgain(t *testing.T) {
	g := one(revoking, taking)
	var pages []time.Duration
	for now := at(60); now.Before(at(60).Add(73 * time.Hour)); now = now.Add(time.Minute) {
		if next, _ := grant.Turn(g, now); next != nil {
			g = next
			pages = append(pages, now.Sub(at(60)))
		}
	}
	if next, _ := grant.Turn(one(revoking, taking), at(60).Add(50*time.Hour)); next.GetPages() != 6 {
		t.Errorf("nobody was there for 50 hours: got %d pages, want 6 as one", next.GetPages())
	}
	want := []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 48 * time.Hour, 72 * time.Hour}
	if len(pages) != len(want) {
		t.Fatalf("got pages after %v, want %v", pages, want)
	}
	for i := range want {
		if pages[i] != want[i] {
			t.Errorf("page %d: got after %v, want %v", i, pages[i], want[i])
		}
	}
}

func TestSettle(t *testing.T) {
	byHand := func(g *curfewv1.Grant) { g.Privileges[0].Task = "take the key back" }
	for _, test := range []struct {
		name string
		g    *curfewv1.Grant
		want curfewv1.GrantState
	}{
		{"one of two held", one(granting, held, giving), granting},
		{"all held", one(granting, held, held), active},
		{"one refused, the other may be there", one(granting, refused, giving), revoking},
		{"the only one refused", one(granting, refused), failed},
		{"one refused, the other untouched", one(granting, refused, untouched), failed},
		{"being taken", one(revoking, taking), revoking},
		{"one taken, one not", one(revoking, taken, taking), revoking},
		{"all taken, not seen gone", one(revoking, taken, gone), unverified},
		{"taken again", one(unverified, taking), revoking},
		{"all gone", one(unverified, gone, gone), revoked},
		{"left to another grant", one(unverified, gone, left), revoked},
		{"refused and taken back", one(revoking, refused, gone), revoked},
		{"by hand", with(one(revoking, taking), byHand), stuck},
		{"by hand, done", with(one(stuck, gone), byHand), revoked},
		{"over stays over", one(revoked, gone), revoked},
		{"active stays active", one(active, held), active},
	} {
		if got := grant.Settle(test.g, at(50)).GetState(); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTheClockStartsAtActivation(t *testing.T) {
	g := with(one(granting, held), func(g *curfewv1.Grant) { g.Duration = durationpb.New(time.Hour) })
	if got := grant.End(grant.Settle(g, at(20))); !got.Equal(at(80)) {
		t.Errorf("an hour, given after 20 minutes: got end %v, want %v", got, at(80))
	}
	two := with(one(granting, held, held), func(g *curfewv1.Grant) {
		g.Duration, g.Longest, g.Privileges[0].Seen = durationpb.New(time.Hour), durationpb.New(time.Hour), minute(5)
	})
	if got := grant.End(grant.Settle(two, at(50))); !got.Equal(at(65)) {
		t.Errorf("an hour at most, the first part given after 5 minutes: got end %v, want %v", got, at(65))
	}
	if got := grant.Settle(with(two, func(g *curfewv1.Grant) { g.Duration = durationpb.New(time.Hour) }), at(61)).GetState(); got != revoking {
		t.Errorf("given after its end: got %v, want revoking", got)
	}
	if got := grant.End(grant.Settle(one(granting, held), at(20))); !got.Equal(at(60)) {
		t.Errorf("a named end: got %v, want %v", got, at(60))
	}
}

func TestRevoke(t *testing.T) {
	for _, test := range []struct {
		name  string
		g     *curfewv1.Grant
		now   float64
		want  curfewv1.GrantState // unspecified = nothing to do
		ended float64
	}{
		{"asked for", one(requested), 5, cancelled, 5},
		{"not begun", one(approved, untouched), -5, cancelled, -5},
		{"begun by time, policy alone", one(approved), 5, revoked, 5},
		{"being given", one(granting, giving), 5, revoking, 5},
		{"in force", one(active, held), 5, revoking, 5},
		{"in force, policy alone", one(active), 5, revoked, 5},
		{"over by time already", one(active, held), 70, revoking, 60},
		{"being taken", one(revoking, taking), 70, 0, 0},
		{"over", one(revoked, gone), 70, 0, 0},
	} {
		next := grant.Revoke(test.g, at(test.now))
		if next.GetState() != test.want || next != nil && !next.GetEndedAt().AsTime().Equal(at(test.ended)) {
			t.Errorf("%s: got %v at %v, want %v at %v", test.name, next.GetState(), next.GetEndedAt().AsTime(), test.want, at(test.ended))
		}
	}
}

// TestNothingIsForgotten walks grants at random, by the clock, by people and by collectors: none is ever without a next
// turn and an end, and none that ended comes back.
func TestNothingIsForgotten(t *testing.T) {
	stages := []curfewv1.PrivilegeStage{untouched, giving, held, taking, taken, gone, left, refused}
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		g, now := one(requested, make([]curfewv1.PrivilegeStage, random.IntN(3))...), at(0)
		if random.IntN(2) == 0 {
			g.Duration, g.From, g.ExpiresAt = nil, minute(10), minute(60)
		}
		for range 60 {
			now = now.Add(time.Duration(random.IntN(20)) * time.Minute)
			next := move(random, g, now, stages)
			if next == nil {
				continue
			}
			if grant.IsOver(g) || grant.IsEnding(g) && !grant.IsEnding(next) && !grant.IsOver(next) {
				t.Fatalf("seed %d: %v came back as %v", seed, g, next)
			}
			g = next
			if _, due := grant.Due(g); !due && !grant.IsOver(g) {
				t.Fatalf("seed %d: nothing is ever due of %v", seed, g)
			}
			if grant.End(g).IsZero() && g.GetState() != requested {
				t.Fatalf("seed %d: there is no end to %v", seed, g)
			}
			if grant.IsOver(g) && g.GetEndedAt() == nil {
				t.Fatalf("seed %d: nobody knows when this ended: %v", seed, g)
			}
		}
	}
}

// move is one random thing that can happen to a grant; nil where it changes nothing.
func move(random *rand.Rand, g *curfewv1.Grant, now time.Time, stages []curfewv1.PrivilegeStage) *curfewv1.Grant {
	answer := &curfewv1.Approval{Author: "person:bob", Digest: grant.Digest(g)}
	var next *curfewv1.Grant
	var err error
	switch random.IntN(9) {
	case 0:
		next, err = grant.Approve(g, answer, now)
	case 1:
		if random.IntN(8) == 0 {
			next, err = grant.Deny(g, "person:bob", grant.Digest(g), now)
		}
	case 2:
		more := &curfewv1.Extension{By: durationpb.New(time.Hour), Author: "person:ann", AnswerBy: timestamppb.New(now.Add(time.Hour))}
		next, err = grant.Extend(g, more, random.IntN(2) == 0, now)
	case 3:
		if random.IntN(8) == 0 {
			next = grant.Revoke(g, now)
		}
	case 4, 5:
		next, _ = grant.Turn(g, now)
	default:
		if grant.IsOver(g) || len(g.GetPrivileges()) == 0 {
			return nil
		}
		next = proto.CloneOf(g)
		next.GetPrivileges()[random.IntN(len(next.GetPrivileges()))].Stage = stages[random.IntN(len(stages))]
		next = grant.Settle(next, now)
	}
	if err != nil {
		return nil
	}
	return next
}
