// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// apply puts a policy into force whose identities.yaml lists everybody but some, with no directory, and waits for it.
func (o *office) apply(without ...string) {
	o.Helper()
	people, rows := "people:\n", officePolicy
	for _, id := range []string{"ann", "ben", "cat", "dan", "eve", "fay"} {
		if !slices.Contains(without, id) {
			people += "  - {id: " + id + ", accounts: {okta: [00u" + id + "]}}\n"
			continue
		}
		rows = strings.ReplaceAll(rows, "g, person:"+id+", role:staff\n", "")
	}
	_, err := o.policies.ApplyPolicy(o.admin, &curfewv1.ApplyPolicyRequest{Reason: "somebody left", Files: map[string][]byte{
		"policy.csv": []byte(rows), "grants.yaml": []byte(officeGrants), "identities.yaml": []byte(people),
		"oncall.yaml": []byte("shifts: []\n"),
	}})
	if err != nil {
		o.Fatal(err)
	}
	for err == nil { // it comes into force two seconds later
		_, err = o.create("admin", func(q *curfewv1.CreateGrantRequest) { q.Subject, q.DryRun = "person:"+without[0], true })
	}
	said(o.T, "the policy in force", err, codes.InvalidArgument, "nobody in identities.yaml")
}

func (o *office) revokeAll(subject string) error {
	_, err := o.grants.RevokeGrants(o.admin, &curfewv1.RevokeGrantsRequest{Subject: subject, Reason: "x"})
	return err
}

// Who has left between the request and its answer is given nothing.
func TestNobodyApprovesWhatOneWhoLeftWouldHold(t *testing.T) {
	o := newOffice(t, "ann", "dan", "ben")
	suspended, removed := o.must(o.ask("dan", nil)), o.must(o.ask("ann", nil))
	o.show("00uann", "00uben", "00ucat", "00ueve", "00ueve2")
	_, err := o.approve("ben", suspended)
	said(t, "no account any more", err, codes.FailedPrecondition, "person:dan can be given nothing: the account in the directory (okta) is gone")
	norole := o.stored(removed, func(g *curfewv1.Grant) { g.Role = "role:gone" })
	_, err = o.requests.ApproveRequest(o.people["ben"], &curfewv1.ApproveRequestRequest{Id: norole.GetId(), Digest: "x"})
	said(t, "no such role any more", err, codes.FailedPrecondition, "the policy has no row for role:gone")
	again := o.stored(norole, func(g *curfewv1.Grant) { g.Role = "role:support" })
	o.apply("ann")
	again.Digest = grant.Digest(again)
	_, err = o.approve("ben", again)
	said(t, "not listed any more", err, codes.FailedPrecondition, `nobody in identities.yaml has the id "ann"`)
}

// What begins for somebody who has left ends at once, by whichever step that is seen, and stays ended.
func TestWhatBeginsForOneWhoLeftEndsAtOnce(t *testing.T) {
	b := bustest.New(t)
	dir := callers(t, "directory: okta\n"+callersPeople)
	okta := &shelf{t: t, bus: b, kind: "people"}
	okta.read(time.Now(), time.Now(), person("00ubob", "bob@example.com"))
	from, until := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	of := func(id, subject string) *curfewv1.Grant {
		g := teamGrant(id, from, until)
		g.Subject, g.Privileges[0].Stage = subject, 0
		return g
	}
	walk(t, b, of("g-overtaken", "person:zoe"), to(granting, stageGiving), to(active, stageHeld))
	walk(t, b, of("g-over", "person:zoe"), to(active, stageHeld), over)
	stop := start(t, func() Options { o := options(t, b, "one"); o.PolicyDir = dir; return o }())
	walk(t, b, of("g-begins", "person:zoe"), to(approved, 0), to(granting, 0))
	walk(t, b, of("g-other", "service:ci"), to(granting, stageGiving), to(active, stageHeld), to(curfewv1.GrantState_GRANT_STATE_FAILED, stageHeld))
	findingsUntil(t, b, func(all []*curfewv1.Finding) bool { return slices.Contains(detections(all), "grant_failed") })
	stop()
	by := map[string]string{}
	for _, step := range grantSteps(t, b) {
		if step.GetAuthor() == "service:evaluator" {
			by[step.GetGrant().GetId()] += step.GetGrant().GetState().String() + " " + step.GetDetail()
		}
	}
	const why = " person:zoe can hold nothing any more: the account in the directory (okta) is gone"
	if len(by) != 2 || by["g-overtaken"] != "GRANT_STATE_REVOKING"+why || by["g-begins"] != "GRANT_STATE_REVOKED"+why {
		t.Errorf("got %q, want the two that run revoked, once each", by)
	}
}

func TestEndAllGoesOn(t *testing.T) {
	held := []*curfewv1.Grant{{Id: "g-1"}, {Id: "g-2"}, {Id: "g-3"}}
	ended, err := endAll(held, func(id string) (*curfewv1.Grant, error) {
		if id == "g-2" {
			return nil, errors.New("no quorum")
		}
		return &curfewv1.Grant{Id: id}, nil
	})
	said(t, "one fails", err, codes.Unknown, "not ended: g-2 (no quorum); ended: g-1, g-3")
	if len(ended) != 2 || ended[1].GetId() != "g-3" {
		t.Errorf("got %v, want those before and behind it", ended)
	}
}

// Who is named as able to answer still is.
func TestWhoCanStillAnswer(t *testing.T) {
	o := newOffice(t, "ann", "ben", "cat")
	g := o.must(o.ask("ann", ops))
	left := o.must(o.approve("ben", g))
	if got := strings.Join(left.GetApprovers(), " "); got != "person:cat" {
		t.Errorf("after ben's yes: got %q, want cat", got)
	}
	o.show("00uann", "00uben", "00udan", "00ueve", "00ueve2")
	if got, err := o.grants.GetGrant(o.people["ann"], &curfewv1.GetGrantRequest{Id: g.GetId()}); err != nil || len(got.GetGrant().GetApprovers()) != 0 {
		t.Errorf("without cat: got %v, %v, want nobody", got, err)
	}
	_, err := o.ask("ann", ops)
	said(t, "too few", err, codes.FailedPrecondition, "role:ops needs 2 persons' yes and only person:ben can give one")
	_, err = o.ask("ben", nil)
	said(t, "none", err, codes.FailedPrecondition, "role:support needs 1 person's yes and nobody can give one")
}

func TestALapsedRequestIsSaidToBe(t *testing.T) {
	o := newOffice(t, "ann", "ben")
	g := o.must(o.ask("ann", nil))
	o.stored(g, func(g *curfewv1.Grant) {
		g.AnswerBy = timestamppb.New(time.Now().Add(-time.Minute))
		g.State, g.EndedAt = cancelled, g.GetAnswerBy()
	})
	_, err := o.approve("ben", g)
	said(t, "approved", err, codes.FailedPrecondition, "the request expired unanswered at")
	_, err = o.requests.DenyRequest(o.people["ben"], &curfewv1.DenyRequestRequest{Id: g.GetId(), Reason: "x"})
	said(t, "denied", err, codes.FailedPrecondition, "the request expired unanswered at")
	_, err = o.ask("ann", func(q *curfewv1.CreateRequestRequest) { q.Duration = durationpb.New(367*24*time.Hour + time.Hour) })
	said(t, "long", err, codes.InvalidArgument, "365 days")
}

// A request is answered by what the policy asks when it is answered, where that is more than when it was made.
func TestAYesIsWorthWhatThePolicyAsksByNow(t *testing.T) {
	o := newOffice(t, "ann", "ben")
	loose := func(change func(*curfewv1.Grant)) *curfewv1.Grant {
		g := o.stored(o.must(o.ask("ann", nil)), change)
		g.Digest = grant.Digest(g)
		return g
	}
	_, err := o.approve("ben", loose(func(g *curfewv1.Grant) { g.Duration = durationpb.New(9 * time.Hour) }))
	said(t, "longer than it may last by now", err, codes.FailedPrecondition, "by now role:support lets it last 3h at most, and it is asked for 9h")
	g, err := o.approve("ben", loose(func(g *curfewv1.Grant) { g.ApprovalsNeeded = 0 }))
	if err != nil || g.GetApprovalsNeeded() == 0 {
		t.Errorf("fewer were asked when it was made: got %d, %v, want as many as the policy asks", g.GetApprovalsNeeded(), err)
	}
}

// Whoever asks to end what ran out, while nobody turned it, ends it: its privileges are taken.
func TestWhatRanOutIsRevokedWhereItIsHeld(t *testing.T) {
	now := time.Now()
	g := &curfewv1.Grant{
		Id: "g-1", State: active, ExpiresAt: timestamppb.New(now.Add(-time.Minute)), Privileges: []*curfewv1.HeldPrivilege{{Stage: stageHeld}},
	}
	if next, _, err := revoke("x")(g, now); err != nil || !grant.IsEnding(next) {
		t.Errorf("got %v, %v, want it to be taken", next, err)
	}
	g.Privileges = nil
	if next, _, err := revoke("x")(g, now); err != nil || next != nil {
		t.Errorf("it stands for nothing: got %v, %v, want no step", next, err)
	}
}
