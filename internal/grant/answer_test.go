// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func yes(who string, of *curfewv1.Grant) *curfewv1.Approval {
	return &curfewv1.Approval{Author: who, Digest: grant.Digest(of)}
}

func TestApprove(t *testing.T) {
	two := func() *curfewv1.Grant {
		return with(one(requested), func(g *curfewv1.Grant) { g.ApprovalsNeeded = 2 })
	}
	said := func() *curfewv1.Grant {
		return with(two(), func(g *curfewv1.Grant) { g.Approvals = []*curfewv1.Approval{{Author: "person:bob"}} })
	}
	forBen := func() *curfewv1.Grant {
		return with(one(requested), func(g *curfewv1.Grant) { g.Subject = "person:ben" })
	}
	other := one(requested)
	other.Role = "role:admin"
	asked := func(change func(*curfewv1.Grant)) *curfewv1.Grant {
		return with(one(active, held), func(g *curfewv1.Grant) {
			g.Extension = &curfewv1.Extension{By: durationpb.New(time.Hour), Author: "person:ann", AnswerBy: minute(50)}
			change(g)
		})
	}
	for _, test := range []struct {
		name string
		g    *curfewv1.Grant
		who  string
		now  float64
		want curfewv1.GrantState
		err  error
	}{
		{"one yes", one(requested), "person:bob", 5, approved, nil},
		{"one of two", two(), "person:bob", 5, requested, nil},
		{"two of two", said(), "person:cat", 5, approved, nil},
		{"the same person twice", said(), "person:bob", 5, 0, grant.ErrPerson},
		{"one's own", one(requested), "person:ann", 5, 0, grant.ErrPerson},
		{"asked for somebody else, by the asker", forBen(), "person:ann", 5, 0, grant.ErrPerson},
		{"asked for somebody else, by them", forBen(), "person:ben", 5, 0, grant.ErrPerson},
		{"a service", one(requested), "service:admin", 5, 0, grant.ErrPerson},
		{"too late", one(requested), "person:bob", 30, 0, grant.ErrState},
		{"answered already", one(approved), "person:bob", 5, 0, grant.ErrState},
		{"denied already", one(denied), "person:bob", 5, 0, grant.ErrState},
		{"an end that has passed", with(one(requested), func(g *curfewv1.Grant) { g.ExpiresAt = minute(10) }), "person:bob", 11, 0, grant.ErrState},
		{"extension", asked(func(*curfewv1.Grant) {}), "person:bob", 5, active, nil},
		{"extension, one's own", asked(func(*curfewv1.Grant) {}), "person:ann", 5, 0, grant.ErrPerson},
		{"extension, too late", asked(func(*curfewv1.Grant) {}), "person:bob", 51, 0, grant.ErrState},
		{"extension, over", asked(func(g *curfewv1.Grant) { g.Extension.AnswerBy = minute(70) }), "person:bob", 60, 0, grant.ErrState},
		{"extension, being taken", asked(func(g *curfewv1.Grant) { g.State = revoking }), "person:bob", 5, 0, grant.ErrState},
	} {
		next, err := grant.Approve(test.g, yes(test.who, test.g), at(test.now))
		if !errors.Is(err, test.err) || next.GetState() != test.want {
			t.Errorf("%s: got %v, %v, want %v, %v", test.name, next.GetState(), err, test.want, test.err)
		}
		if _, denial := grant.Deny(test.g, test.who, grant.Digest(test.g), at(test.now)); test.name != "the same person twice" && (denial == nil) != (test.err == nil) {
			t.Errorf("%s, denied: got %v, want as approved, %v", test.name, denial, test.err)
		}
	}
	if _, err := grant.Approve(one(requested), yes("person:bob", other), at(5)); !errors.Is(err, grant.ErrSeen) {
		t.Errorf("another request than was seen: got %v, want ErrSeen", err)
	}
}

func TestApprovedHasAnEnd(t *testing.T) {
	length := grant.Approved(one(requested), at(7.5))
	if !length.GetFrom().AsTime().Equal(at(7.5)) || !grant.End(length).Equal(at(67.5)) {
		t.Errorf("an hour from its approval: got %v to %v", length.GetFrom().AsTime(), grant.End(length))
	}
	later := grant.Approved(with(one(requested), func(g *curfewv1.Grant) { g.From = minute(20) }), at(5))
	if !later.GetFrom().AsTime().Equal(at(20)) || !grant.End(later).Equal(at(80)) {
		t.Errorf("an hour from a start to come: got %v to %v", later.GetFrom().AsTime(), grant.End(later))
	}
}

func TestExtend(t *testing.T) {
	for _, test := range []struct {
		name string
		g    *curfewv1.Grant
		by   time.Duration
		now  float64
		want float64 // its end; 0 = an error
	}{
		{"counted from the end", one(active, held), time.Hour, 10, 120},
		{"up to the longest", with(one(active), func(g *curfewv1.Grant) { g.Longest = durationpb.New(2 * time.Hour) }), time.Hour, 10, 120},
		{"beyond the longest", with(one(active), func(g *curfewv1.Grant) { g.Longest = durationpb.New(2 * time.Hour) }), time.Hour + 1, 10, 0},
		{"by nothing", one(active), 0, 10, 0},
		{"backwards", one(active), -time.Hour, 10, 0},
		{"over by time", one(active), time.Hour, 60, 0},
		{"being taken", one(revoking, taking), time.Hour, 10, 0},
		{"a request", one(requested), time.Hour, 10, 0},
	} {
		next, err := grant.Extend(test.g, &curfewv1.Extension{By: durationpb.New(test.by)}, true, at(test.now))
		if (err == nil) != (test.want != 0) || err == nil && !grant.End(next).Equal(at(test.want)) {
			t.Errorf("%s: got end %v, %v, want minute %v", test.name, grant.End(next), err, test.want)
		}
	}
}
