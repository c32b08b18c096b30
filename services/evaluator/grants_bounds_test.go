// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func (o *office) create(who string, change func(*curfewv1.CreateGrantRequest)) (*curfewv1.Grant, error) {
	q := &curfewv1.CreateGrantRequest{Subject: "person:ann", Role: "role:support", Duration: durationpb.New(time.Hour), Reason: "a customer waits", Ticket: "OPS-12"}
	if change != nil {
		change(q)
	}
	answer, err := o.grants.CreateGrant(o.people[who], q)
	return answer.GetGrant(), err
}

func opsGrant(q *curfewv1.CreateGrantRequest) { q.Role = "role:ops" }

func TestGrantsBeyondThePolicy(t *testing.T) {
	o := newOffice(t, "ann", "ben")
	emergency := func(q *curfewv1.CreateGrantRequest) {
		q.Role, q.BreakGlass, q.Ticket, q.Duration = "role:ops", true, "", nil
	}
	length := func(d time.Duration) func(*curfewv1.CreateGrantRequest) {
		return func(q *curfewv1.CreateGrantRequest) { q.Duration = durationpb.New(d) }
	}
	for _, c := range []struct {
		name, who string
		change    func(*curfewv1.CreateGrantRequest)
		code      codes.Code
		want      string
	}{
		{"who may only ask", "ann", nil, codes.PermissionDenied, "curfew/api/grants/support"},
		{"zero", "ben", length(0), codes.InvalidArgument, "the grant would last 0s; it must last longer than nothing"},
		{"negative", "ben", length(-time.Hour), codes.InvalidArgument, "the grant would last -1h; it must last longer than nothing"},
		{"longer than its role lets", "ben", length(3*time.Hour + time.Second), codes.InvalidArgument, "by role:support it may last 3h at most"},
		{"longer than the class lets", "ben", func(q *curfewv1.CreateGrantRequest) { length(2 * time.Hour)(q); q.Role = "role:cards" }, codes.InvalidArgument, "by class chd it may last 1h at most"},
		{"longer than the defaults let", "ben", func(q *curfewv1.CreateGrantRequest) { length(9 * time.Hour)(q); q.Role = "role:quiet" }, codes.InvalidArgument, "by the defaults of grants.yaml it may last 8h at most"},
		{"an end beyond what the role lets", "ben", func(q *curfewv1.CreateGrantRequest) { q.Duration, q.ExpiresAt = nil, in(4*time.Hour) }, codes.InvalidArgument, "by role:support it may last 3h at most"},
		{"two ends", "ben", func(q *curfewv1.CreateGrantRequest) { q.ExpiresAt = in(time.Hour) }, codes.InvalidArgument, "an end is one or the other"},
		{"no end", "ben", func(q *curfewv1.CreateGrantRequest) { q.Duration = nil }, codes.InvalidArgument, "a grant without an end does not exist"},
		{"begun already", "ben", func(q *curfewv1.CreateGrantRequest) { q.From = in(-time.Minute) }, codes.InvalidArgument, "would begin at"},
		{"no ticket", "ben", func(q *curfewv1.CreateGrantRequest) { q.Ticket = " " }, codes.InvalidArgument, "the ticket is missing; the policy wants one for role:support"},
		{"no ticket for the class", "ben", func(q *curfewv1.CreateGrantRequest) { q.Role, q.Ticket = "role:cards", "" }, codes.InvalidArgument, "the ticket is missing"},
		{"no reason", "ben", func(q *curfewv1.CreateGrantRequest) { q.Reason = "" }, codes.InvalidArgument, "the reason is missing"},
		{"no such role", "ben", func(q *curfewv1.CreateGrantRequest) { q.Role = "role:suport" }, codes.InvalidArgument, "did you mean role:support?"},
		{"nobody", "ben", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:zoe" }, codes.FailedPrecondition, "person:zoe can be given nothing: the account in the directory (okta) is gone"},
		{"no account", "ben", func(q *curfewv1.CreateGrantRequest) { opsGrant(q); q.Subject = "person:fay" }, codes.FailedPrecondition, "no account of person:fay at okta is known; state it"},
		{"two accounts", "ben", func(q *curfewv1.CreateGrantRequest) { opsGrant(q); q.Subject = "person:eve" }, codes.FailedPrecondition, "more than one account at okta (00ueve, 00ueve2)"},
		{"an app of another source", "ben", func(q *curfewv1.CreateGrantRequest) { opsGrant(q); q.Subject = "app:slack/A1" }, codes.FailedPrecondition, "it is an app of slack, and the privilege is at okta"},
		{"a service with an account", "ben", func(q *curfewv1.CreateGrantRequest) { opsGrant(q); q.Subject = "service:ci" }, codes.FailedPrecondition, "a service has no account at okta"},
		{"an emergency for somebody else", "ann", func(q *curfewv1.CreateGrantRequest) { emergency(q); q.Subject = "person:ben" }, codes.PermissionDenied, "one takes a role for oneself"},
		{"an emergency of a service", "admin", emergency, codes.PermissionDenied, "service:admin is no person"},
		{"an emergency that policy does not know", "ann", func(q *curfewv1.CreateGrantRequest) { emergency(q); q.Role = "role:support" }, codes.FailedPrecondition, "break_glass in grants.yaml names role:ops; ask for it instead"},
		{"an emergency without right", "ben", func(q *curfewv1.CreateGrantRequest) { emergency(q); q.Subject = "person:ben" }, codes.PermissionDenied, "curfew/api/breakglass/ops"},
		{"a long emergency", "ann", func(q *curfewv1.CreateGrantRequest) { emergency(q); length(time.Hour)(q) }, codes.InvalidArgument, "by break_glass it may last 30m at most"},
		{"an emergency to come", "ann", func(q *curfewv1.CreateGrantRequest) { emergency(q); q.From = in(time.Minute) }, codes.InvalidArgument, "an emergency begins now"},
	} {
		before := len(o.refusals())
		_, err := o.create(c.who, c.change)
		said(t, c.name, err, c.code, c.want)
		if n := len(o.refusals()) - before; c.code != codes.OK && n != 1 {
			t.Errorf("%s: got %d refusals recorded, want one", c.name, n)
		}
	}
	if steps := grantSteps(t, o.bus); len(steps) != 0 {
		t.Errorf("got %d steps, want none", len(steps))
	}
}

func TestAnEmergencyIsLookedAtBySomebodyElse(t *testing.T) {
	o := newOffice(t, "ann", "ben")
	g := o.must(o.create("ann", func(q *curfewv1.CreateGrantRequest) {
		q.Role, q.BreakGlass, q.Ticket, q.Duration = "role:ops", true, "", nil
	}))
	left := time.Until(g.GetExpiresAt().AsTime())
	if !g.GetBreakGlass() || g.GetState() != approved || left > 30*time.Minute || left < 29*time.Minute || g.GetReviewBy().AsTime().Sub(g.GetExpiresAt().AsTime()) != 4*time.Hour {
		t.Errorf("taken: got %v", g)
	}
	unseen := &curfewv1.ListGrantsRequest{Unreviewed: true}
	if list, err := o.grants.ListGrants(o.admin, unseen); err != nil || len(list.GetGrants()) != 1 {
		t.Errorf("unreviewed: got %v, %v, want one", list, err)
	}
	look := func(who, comment string) (*curfewv1.ReviewGrantResponse, error) {
		return o.grants.ReviewGrant(o.people[who], &curfewv1.ReviewGrantRequest{Id: g.GetId(), Comment: comment})
	}
	_, err := look("ann", "fine")
	said(t, "without right", err, codes.PermissionDenied, "does not let person:ann")
	_, err = look("admin", "fine")
	said(t, "a service", err, codes.FailedPrecondition, "is no person")
	_, err = look("ben", "")
	said(t, "without a word", err, codes.InvalidArgument, "the reason is missing")
	seen, err := look("ben", "the outage of 2 November")
	if err != nil || seen.GetGrant().GetReview().GetAuthor() != "person:ben" {
		t.Errorf("got %v, %v", seen, err)
	}
	_, err = look("ben", "the outage of 2 November")
	said(t, "sent again", err, codes.OK, "")
	if list, err := o.grants.ListGrants(o.admin, unseen); err != nil || len(list.GetGrants()) != 0 {
		t.Errorf("unreviewed: got %v, %v, want none", list, err)
	}
	mine := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:ben" }))
	_, err = o.grants.ReviewGrant(o.people["ben"], &curfewv1.ReviewGrantRequest{Id: mine.GetId(), Comment: "x"})
	said(t, "no emergency", err, codes.FailedPrecondition, "wants no look")
}

func TestMoreTime(t *testing.T) {
	o := newOffice(t, "ann", "ben", "cat", "dan")
	g := o.must(o.create("ben", nil))
	extend := func(who, id string, by time.Duration, seen *timestamppb.Timestamp) (*curfewv1.Grant, error) {
		answer, err := o.grants.ExtendGrant(o.people[who], &curfewv1.ExtendGrantRequest{Id: id, By: durationpb.New(by), Reason: "not done yet", ExpiresAt: seen})
		return answer.GetGrant(), err
	}
	_, err := extend("dan", g.GetId(), time.Hour, nil)
	said(t, "another's", err, codes.PermissionDenied, "does not let person:dan")
	asked := o.must(extend("ann", g.GetId(), 30*time.Minute, nil))
	if !proto.Equal(asked.GetExpiresAt(), g.GetExpiresAt()) || asked.GetExtension().GetAuthor() != "person:ann" {
		t.Errorf("asked: got %v", asked)
	}
	_, err = o.approve("cat", g)
	said(t, "as it was before it was asked", err, codes.Aborted, "is not as it was seen")
	more := o.must(o.approve("cat", asked))
	if want := g.GetExpiresAt().AsTime().Add(30 * time.Minute); !more.GetExpiresAt().AsTime().Equal(want) || more.GetExtension() != nil {
		t.Errorf("approved: got %v, want an end at %v", more, want)
	}
	direct := o.must(extend("ben", g.GetId(), time.Hour, more.GetExpiresAt()))
	again := o.must(extend("ben", g.GetId(), time.Hour, more.GetExpiresAt()))
	if !proto.Equal(direct, again) || !direct.GetExpiresAt().AsTime().Equal(more.GetExpiresAt().AsTime().Add(time.Hour)) {
		t.Errorf("directly: got %v, then %v, want one hour more once", direct, again)
	}
	_, err = extend("ben", g.GetId(), 20*time.Minute, more.GetExpiresAt())
	said(t, "seen before", err, codes.Aborted, "look at it again")
	_, err = extend("ben", g.GetId(), time.Hour, nil)
	said(t, "beyond its maximum", err, codes.InvalidArgument, "the policy lets the grant last 3h in all, so that ")
	_, err = extend("ann", g.GetId(), 0, nil)
	said(t, "by nothing", err, codes.InvalidArgument, "more than nothing")
	fixed := o.must(o.create("ben", opsGrant))
	_, err = extend("ann", fixed.GetId(), time.Minute, nil)
	said(t, "not to be extended", err, codes.FailedPrecondition, "the policy lets nobody extend a grant of role:ops")
	_, err = o.grants.RevokeGrant(o.people["ann"], &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "I am done"})
	said(t, "the holder ends it", err, codes.OK, "")
	_, err = extend("ben", g.GetId(), time.Minute, nil)
	said(t, "ended", err, codes.FailedPrecondition, "it has no end that could be moved")
}

func TestWhoSeesAndEndsAGrant(t *testing.T) {
	o := newOffice(t, "ann", "ben", "dan")
	g := o.must(o.create("ben", opsGrant))
	for who, code := range map[string]codes.Code{"ann": codes.OK, "ben": codes.OK, "admin": codes.OK, "dan": codes.PermissionDenied} {
		got, err := o.grants.GetGrant(o.people[who], &curfewv1.GetGrantRequest{Id: g.GetId()})
		if status.Code(err) != code || err == nil && (len(got.GetSteps()) != 1 || got.GetGrant().GetDigest() != g.GetDigest()) {
			t.Errorf("%s: got %v, %v, want %v", who, got, err, code)
		}
	}
	_, err := o.grants.GetGrant(o.admin, &curfewv1.GetGrantRequest{Id: "g-none"})
	said(t, "none", err, codes.NotFound, `there is no grant "g-none"`)
	if list, err := o.grants.ListGrants(o.people["ann"], &curfewv1.ListGrantsRequest{Subject: "person:ann"}); err != nil || len(list.GetGrants()) != 1 {
		t.Errorf("ann's own: got %v, %v", list, err)
	}
	o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:eve" }))
	var header metadata.MD
	if list, err := o.grants.ListGrants(o.people["ann"], &curfewv1.ListGrantsRequest{}, grpc.Header(&header)); err != nil || len(list.GetGrants()) != 1 || len(header.Get(OnlyOwn)) != 1 {
		t.Errorf("everybody's, by ann: got %v, %v with %v, want her own", list, err, header)
	}
	if list, err := o.grants.ListGrants(o.admin, &curfewv1.ListGrantsRequest{}, grpc.Header(&header)); err != nil || len(list.GetGrants()) != 2 || len(header.Get(OnlyOwn)) != 0 {
		t.Errorf("everybody's: got %v, %v with %v, want both", list, err, header)
	}
	_, err = o.grants.ListGrants(o.people["ann"], &curfewv1.ListGrantsRequest{Stuck: true})
	said(t, "what is stuck", err, codes.PermissionDenied, "does not let person:ann")
	_, err = o.grants.RevokeGrant(o.people["dan"], &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "x"})
	said(t, "another's", err, codes.PermissionDenied, "does not let person:dan")
	o.stored(g, func(g *curfewv1.Grant) {
		g.State, g.Privileges[0].Stage = curfewv1.GrantState_GRANT_STATE_ACTIVE, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD
	})
	taken, err := o.grants.RevokeGrant(o.people["ann"], &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "I am done"})
	if err != nil || taken.GetGrant().GetState() != curfewv1.GrantState_GRANT_STATE_REVOKING || taken.GetGrant().GetEndedAt() == nil {
		t.Errorf("ended: got %v, %v, want it being taken", taken, err)
	}
	if list, err := o.grants.ListGrants(o.admin, &curfewv1.ListGrantsRequest{Role: "role:ops"}); err != nil || len(list.GetGrants()) != 1 {
		t.Errorf("being taken: got %v, %v, want it listed still", list, err)
	}
}

func TestRevokeEverything(t *testing.T) {
	o := newOffice(t, "ann", "dan", "ben")
	one, two := o.must(o.create("ben", nil)), o.must(o.create("ben", opsGrant))
	asked := o.must(o.ask("ann", nil))
	other := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:dan" }))
	all := &curfewv1.RevokeGrantsRequest{Subject: "person:ann", Reason: "left the company"}
	_, err := o.grants.RevokeGrants(o.people["dan"], all)
	said(t, "without right", err, codes.PermissionDenied, "does not let person:dan")
	for name, q := range map[string]*curfewv1.RevokeGrantsRequest{"nobody": {Reason: "x"}, "no reason": {Subject: "person:ann"}} {
		_, err = o.grants.RevokeGrants(o.admin, q)
		said(t, name, err, codes.InvalidArgument, "")
	}
	done, err := o.grants.RevokeGrants(o.admin, all)
	if err != nil || len(done.GetGrants()) != 3 {
		t.Fatalf("got %v, %v, want three ended", done, err)
	}
	for _, g := range done.GetGrants() {
		if g.GetEndedAt() == nil || !strings.Contains(one.GetId()+two.GetId()+asked.GetId(), g.GetId()) {
			t.Errorf("got %v", g)
		}
	}
	if again, err := o.grants.RevokeGrants(o.admin, all); err != nil || len(again.GetGrants()) != 0 {
		t.Errorf("again: got %v, %v, want nothing left", again, err)
	}
	o.stored(two, func(g *curfewv1.Grant) {
		g.State, g.Privileges[0].Stage = curfewv1.GrantState_GRANT_STATE_REVOKING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING
	})
	if again, err := o.grants.RevokeGrants(o.admin, all); err != nil || len(again.GetGrants()) != 1 || again.GetGrants()[0].GetId() != two.GetId() {
		t.Errorf("being taken: got %v, %v, want it shown", again, err)
	}
	o.apply("ann")
	said(t, "who holds nothing", o.revokeAll("person:eve"), codes.OK, "")
	said(t, "unlisted, and still being taken", o.revokeAll("person:ann"), codes.OK, "")
	said(t, "mistyped", o.revokeAll("person:ane"), codes.NotFound, "person:ane holds nothing that could be ended, and is nobody")
	if left, err := o.grants.GetGrant(o.admin, &curfewv1.GetGrantRequest{Id: other.GetId()}); err != nil || left.GetGrant().GetEndedAt() != nil {
		t.Errorf("dan's: got %v, %v, want it left", left, err)
	}
}

func TestStuckGrants(t *testing.T) {
	o := newOffice(t, "ben")
	held := func(name string, state curfewv1.GrantState, ended time.Duration, trouble string) {
		g := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { opsGrant(q); q.Reason = name }))
		o.stored(g, func(g *curfewv1.Grant) {
			g.State, g.ExpiresAt, g.Privileges[0].Trouble = state, in(-ended), trouble
		})
	}
	held("just over", curfewv1.GrantState_GRANT_STATE_REVOKING, time.Minute, "")
	held("in trouble", curfewv1.GrantState_GRANT_STATE_REVOKING, time.Minute, "503")
	held("by hand", curfewv1.GrantState_GRANT_STATE_STUCK, 2*time.Minute, "")
	held("long over", curfewv1.GrantState_GRANT_STATE_UNVERIFIED, time.Hour, "")
	held("forgotten", curfewv1.GrantState_GRANT_STATE_ACTIVE, 30*time.Minute, "")
	held("in force", curfewv1.GrantState_GRANT_STATE_ACTIVE, -time.Minute, "")
	held("done", curfewv1.GrantState_GRANT_STATE_REVOKED, time.Hour, "")
	list, err := o.grants.ListGrants(o.admin, &curfewv1.ListGrantsRequest{Stuck: true})
	var got []string
	for _, g := range list.GetGrants() {
		got = append(got, g.GetReason())
	}
	if want := "long over, forgotten, by hand, in trouble"; err != nil || strings.Join(got, ", ") != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestATryStoresNothingAndAKeyMakesOneRequest(t *testing.T) {
	o := newOffice(t, "ann", "ben")
	dry := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.DryRun = true }))
	wish := o.must(o.ask("ann", func(q *curfewv1.CreateRequestRequest) { q.DryRun = true }))
	if steps := grantSteps(t, o.bus); dry.GetExpiresAt() == nil || dry.GetId()+wish.GetId()+wish.GetDigest() != "" || wish.GetState() != requestedState || len(steps) != 0 {
		t.Errorf("got %v, %v, %d steps, want what would be and nothing stored", dry, wish, len(steps))
	}
	keyed := func(q *curfewv1.CreateRequestRequest) { q.IdempotencyKey = "OPS-12" }
	one, two := o.must(o.ask("ann", keyed)), o.must(o.ask("ann", keyed))
	if !proto.Equal(one, two) || len(grantSteps(t, o.bus)) != 1 {
		t.Errorf("got %v and %v, want one", one, two)
	}
	_, err := o.ask("ann", func(q *curfewv1.CreateRequestRequest) { keyed(q); q.Reason = "another" })
	said(t, "another reason", err, codes.AlreadyExists, "the key made another grant already, "+one.GetId()+", and differs: why: a customer waits → another; use")
	_, err = o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.IdempotencyKey = "OPS-12" })
	said(t, "another caller's", err, codes.OK, "")
	_, err = o.ask("ben", func(q *curfewv1.CreateRequestRequest) { keyed(q); q.Subject = "person:ann" })
	said(t, "asked for, and given before", err, codes.AlreadyExists, "how: given → asked for")
	made := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.IdempotencyKey = "made" }))
	tried, err := o.grants.ExtendGrant(o.people["ben"], &curfewv1.ExtendGrantRequest{Id: made.GetId(), By: durationpb.New(time.Minute), Reason: "x", DryRun: true})
	late := tried.GetGrant()
	said(t, "an extension tried", err, codes.OK, "")
	if kept := o.must(o.create("ben", func(q *curfewv1.CreateGrantRequest) { q.IdempotencyKey = "made" })); proto.Equal(kept.GetExpiresAt(), late.GetExpiresAt()) || kept.GetId() != made.GetId() {
		t.Errorf("an extension tried: got %v stored", kept)
	}
}
