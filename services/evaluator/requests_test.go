// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const requestedState = curfewv1.GrantState_GRANT_STATE_REQUESTED

// office is an evaluator with people who ask and people who answer.
type office struct {
	*testing.T
	bus      *bus.Bus
	admin    context.Context
	grants   curfewv1.GrantServiceClient
	requests curfewv1.RequestServiceClient
	policies curfewv1.PolicyServiceClient
	people   map[string]context.Context
	okta     *shelf
}

const officePolicy = `p, role:anyone, *, *, level:low, *, allow
p, service:admin, *, curfew/api/*, audit, *, allow
p, service:admin, *, curfew/api/*, admin, *, allow
p, role:lead, *, curfew/api/requests/*, admin, approve, allow
p, role:lead, *, curfew/api/grants/*, admin, administer, allow
p, role:staff, *, curfew/api/breakglass/*, admin, administer, allow
p, role:support, *, *, customer, read, allow
p, role:ops, *, *, code, *, allow
p, role:cards, *, *, chd, read, allow
p, role:quiet, *, *, behavioural, read, allow
g, person:ben, role:lead
g, person:cat, role:lead
g, person:ann, role:staff
`

const officeGrants = `defaults: {max: 8h, answer_within: 2h, remind_before: 10m, owner: person:cat}
roles:
  role:support: {max: 3h, ticket: required}
  role:ops:
    approvals: 2
    extend: false
    privileges:
      - {source: okta, kind: group, resource: 00g1, resource_name: Operators, sessions: keep}
classes: {chd: {max: 1h, approvals: 2, ticket: required}}
auto:
  - {name: on-call, roles: [role:ops], on_call: oncall.yaml, max: 1h}
break_glass: {roles: [role:ops], max: 30m, review_within: 4h}
`

func newOffice(t *testing.T, names ...string) *office {
	t.Helper()
	b := bustest.New(t)
	dir := t.TempDir()
	writeFile(t, dir, "policy.csv", officePolicy)
	writeFile(t, dir, "grants.yaml", officeGrants)
	writeFile(t, dir, "oncall.yaml", "shifts: [{who: person:dan, from: 2020-01-01T00:00:00Z, until: 2099-01-01T00:00:00Z}]\n")
	writeFile(t, dir, "identities.yaml", `directory: okta
people:
  - {id: ann, accounts: {okta: [00uann]}}
  - {id: ben, accounts: {okta: [00uben]}}
  - {id: cat, accounts: {okta: [00ucat]}}
  - {id: dan, accounts: {okta: [00udan]}}
  - {id: eve, accounts: {okta: [00ueve, 00ueve2]}}
  - {id: fay}
`)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	o := &office{
		T: t, bus: b, admin: admin, grants: curfewv1.NewGrantServiceClient(conn), requests: curfewv1.NewRequestServiceClient(conn), policies: curfewv1.NewPolicyServiceClient(conn),
		people: map[string]context.Context{"admin": admin}, okta: &shelf{t: t, bus: b, kind: "people"},
	}
	o.show("00uann", "00uben", "00ucat", "00udan", "00ueve", "00ueve2")
	for _, name := range names {
		_, shown := makeToken(t, admin, conn, "person:"+strings.TrimRight(name, "2"))
		o.people[name] = showing(t, shown)
	}
	return o
}

// show is an inventory that shows these accounts and no other.
func (o *office) show(accounts ...string) {
	o.Helper()
	var entries []*curfewv1.Entry
	for _, id := range accounts {
		entries = append(entries, person(id, id+"@example.com"))
	}
	o.okta.read(time.Now(), time.Now(), entries...)
}

func (o *office) ask(who string, change func(*curfewv1.CreateRequestRequest)) (*curfewv1.Grant, error) {
	q := &curfewv1.CreateRequestRequest{Role: "role:support", Duration: durationpb.New(time.Hour), Reason: "a customer waits", Ticket: "OPS-12"}
	if change != nil {
		change(q)
	}
	answer, err := o.requests.CreateRequest(o.people[who], q)
	return answer.GetGrant(), err
}

func (o *office) must(g *curfewv1.Grant, err error) *curfewv1.Grant {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
	return g
}

func (o *office) approve(who string, g *curfewv1.Grant) (*curfewv1.Grant, error) {
	answer, err := o.requests.ApproveRequest(o.people[who], &curfewv1.ApproveRequestRequest{Id: g.GetId(), Digest: g.GetDigest()})
	return answer.GetGrant(), err
}

// refusals is what the log says of refused calls, newest last.
func (o *office) refusals() (reasons []string) {
	o.Helper()
	if err := o.bus.Read(o.Context(), bus.EventSubject("main", judge.Self, apiFeed), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		err := m.Decode(batch)
		for _, e := range batch.GetEvents() {
			if e.GetOutcome().GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
				reasons = append(reasons, e.GetAction()+" by "+e.GetActor().GetId()+": "+e.GetOutcome().GetReason())
			}
		}
		return err
	}); err != nil {
		o.Fatal(err)
	}
	return reasons
}

func ops(q *curfewv1.CreateRequestRequest) { q.Role = "role:ops" }

func TestARequestIsApprovedByAsManyPersonsAsItNeeds(t *testing.T) {
	o := newOffice(t, "ann", "ann2", "ben", "ben2", "cat")
	g := o.must(o.ask("ann", ops))
	if g.GetState() != requestedState || g.GetSubject() != "person:ann" || g.GetAuthor() != "person:ann" || g.GetExpiresAt() != nil ||
		g.GetApprovalsNeeded() != 2 || strings.Join(g.GetApprovers(), " ") != "person:ben person:cat" || g.GetOwner() != "person:cat" ||
		g.GetRemindBefore().AsDuration() != 10*time.Minute || g.GetLongest().AsDuration() != 8*time.Hour || g.GetExtensible() || g.GetDigest() == "" ||
		g.GetAnswerBy().AsTime().Before(time.Now().Add(time.Hour)) {
		t.Errorf("asked: got %v", g)
	}
	if len(g.GetPrivileges()) != 1 || g.GetPrivileges()[0].GetPrivilege().GetHolder() != "00uann" || g.GetPrivileges()[0].GetPrivilege().GetHolderName() != "00uann@example.com" ||
		g.GetPrivileges()[0].GetPrivilege().GetResource() != "00g1" || !g.GetPrivileges()[0].GetKeepSessions() {
		t.Errorf("privileges: got %v", g.GetPrivileges())
	}
	_, err := o.approve("ann", g)
	said(t, "one's own", err, codes.PermissionDenied, "does not let person:ann")
	_, err = o.approve("admin", g)
	said(t, "a service", err, codes.PermissionDenied, "service:admin is no person")
	one := o.must(o.approve("ben", g))
	if again := o.must(o.approve("ben2", g)); one.GetState() != requestedState || len(again.GetApprovals()) != 1 {
		t.Errorf("the same person by another token: got %v", again)
	}
	two := o.must(o.approve("cat", g))
	if two.GetState() != approved || len(two.GetApprovals()) != 2 || two.GetExpiresAt().AsTime().Before(time.Now().Add(50*time.Minute)) {
		t.Errorf("got %v, want it approved by two", two)
	}
	_, err = o.requests.DenyRequest(o.people["cat"], &curfewv1.DenyRequestRequest{Id: g.GetId(), Reason: "late"})
	said(t, "answered", err, codes.FailedPrecondition, "so it was answered already")
}

// Nobody answers what they asked for, through whatever account, though the policy lets them answer such requests.
func TestNobodyAnswersTheirOwnRequest(t *testing.T) {
	o := newOffice(t, "ben", "ben2", "cat", "ann")
	mine, forAnn := o.must(o.ask("ben", nil)), o.must(o.ask("ben", func(q *curfewv1.CreateRequestRequest) { q.Subject = "person:ann" }))
	forBen := o.must(o.ask("ann", func(q *curfewv1.CreateRequestRequest) { q.Subject = "person:ben" }))
	for name, g := range map[string]*curfewv1.Grant{"for oneself": mine, "for somebody": forAnn, "by somebody": forBen} {
		_, err := o.approve("ben2", g)
		said(t, name, err, codes.PermissionDenied, "nobody answers their own request")
		_, err = o.requests.DenyRequest(o.people["ben2"], &curfewv1.DenyRequestRequest{Id: g.GetId(), Reason: "x"})
		said(t, name+", denied", err, codes.PermissionDenied, "nobody answers their own request")
	}
	if got := o.refusals(); len(got) != 6 || !strings.HasSuffix(got[0], " by ben: refused: nobody answers their own request") {
		t.Errorf("got refusals %q, want six recorded", got)
	}
	to, err := o.requests.ListRequests(o.people["ben"], &curfewv1.ListRequestsRequest{ToAnswer: true})
	if err != nil || len(to.GetGrants()) != 0 {
		t.Errorf("to answer: got %v, %v, want none", to, err)
	}
	if to, err := o.requests.ListRequests(o.people["cat"], &curfewv1.ListRequestsRequest{ToAnswer: true}); err != nil || len(to.GetGrants()) != 3 {
		t.Errorf("to answer: got %v, %v, want three", to, err)
	}
	if own, err := o.requests.ListRequests(o.people["ann"], &curfewv1.ListRequestsRequest{}); err != nil || len(own.GetGrants()) != 2 {
		t.Errorf("ann's: got %v, %v, want two", own, err)
	}
}

// A yes counts no longer once whoever said it has been let go.
func TestAYesOfSomebodySinceDeactivated(t *testing.T) {
	o := newOffice(t, "ann", "ben", "cat")
	g := o.must(o.ask("ann", ops))
	o.must(o.approve("ben", g))
	o.show("00uann", "00ucat", "00udan", "00ueve", "00ueve2")
	_, err := o.approve("ben", g)
	said(t, "ben", err, codes.PermissionDenied, "person:ben cannot call")
	left := o.must(o.approve("cat", g))
	if left.GetState() != requestedState || len(left.GetApprovals()) != 1 || left.GetApprovals()[0].GetAuthor() != "person:cat" {
		t.Errorf("got %v, want only cat's yes, and another wanted", left)
	}
	steps := grantSteps(t, o.bus)
	if detail := steps[len(steps)-1].GetDetail(); !strings.Contains(detail, "no longer counted, as deactivated since: person:ben") {
		t.Errorf("detail: got %q", detail)
	}
}

func TestAnswersThatCannotBe(t *testing.T) {
	o := newOffice(t, "ann", "ben", "cat")
	seen := o.must(o.ask("ann", nil))
	changed := o.stored(seen, func(g *curfewv1.Grant) { g.Role = "role:cards" })
	old := o.stored(o.must(o.ask("ann", nil)), func(g *curfewv1.Grant) { g.AnswerBy = in(-time.Second) })
	late := o.stored(o.must(o.ask("ann", nil)), func(g *curfewv1.Grant) { g.Duration, g.ExpiresAt = nil, in(-time.Minute) })
	for _, c := range []struct {
		name, id, digest string
		code             codes.Code
		want             string
	}{
		{"changed since", seen.GetId(), seen.GetDigest(), codes.Aborted, "is not as it was seen"},
		{"not seen at all", changed.GetId(), "", codes.InvalidArgument, "the digest is missing"},
		{"expired", old.GetId(), grant.Digest(old), codes.FailedPrecondition, "the request expired unanswered at"},
		{"its end has passed", late.GetId(), grant.Digest(late), codes.FailedPrecondition, "which has passed"},
		{"none", "g-none", "x", codes.PermissionDenied, "does not let person:ben"},
	} {
		_, err := o.requests.ApproveRequest(o.people["ben"], &curfewv1.ApproveRequestRequest{Id: c.id, Digest: c.digest})
		said(t, c.name, err, c.code, c.want)
	}
	_, err := o.requests.DenyRequest(o.people["ben"], &curfewv1.DenyRequestRequest{Id: seen.GetId()})
	said(t, "no reason", err, codes.InvalidArgument, "the reason is missing")
	_, err = o.requests.CancelRequest(o.people["cat"], &curfewv1.CancelRequestRequest{Id: seen.GetId()})
	said(t, "another's to withdraw", err, codes.PermissionDenied, "is not yours to withdraw")
	if got := o.refusals(); len(got) != 7 {
		t.Errorf("got %d refusals recorded, want 7: %q", len(got), got)
	}
	denied, err := o.requests.DenyRequest(o.people["ben"], &curfewv1.DenyRequestRequest{Id: seen.GetId(), Reason: "not now"})
	if err != nil || denied.GetGrant().GetState() != curfewv1.GrantState_GRANT_STATE_DENIED {
		t.Errorf("denied: got %v, %v", denied, err)
	}
	gone, err := o.requests.CancelRequest(o.people["ann"], &curfewv1.CancelRequestRequest{Id: old.GetId()})
	if err != nil || gone.GetGrant().GetState() != cancelled {
		t.Errorf("withdrawn: got %v, %v", gone, err)
	}
}

// stored is a grant with one more step, as another clock or another hand may leave it.
func (o *office) stored(g *curfewv1.Grant, change func(*curfewv1.Grant)) *curfewv1.Grant {
	o.Helper()
	book := grant.NewBook(o.bus, "main")
	entry, err := book.Load(o.Context(), g.GetId())
	if err != nil {
		o.Fatal(err)
	}
	change(entry.Value)
	if err := book.Store(o.Context(), time.Now(), grant.Change{Entry: entry, Next: entry.Value})[0]; err != nil {
		o.Fatal(err)
	}
	return entry.Value
}

func TestARuleAnswersAtOnce(t *testing.T) {
	o := newOffice(t, "ann", "dan", "ben")
	g := o.must(o.ask("dan", ops))
	if g.GetState() != approved || len(g.GetApprovals()) != 1 || g.GetApprovals()[0].GetAuthor() != "rule:on-call" || g.GetExpiresAt() == nil || g.GetAnswerBy() != nil {
		t.Errorf("on call: got %v, want it approved by the rule", g)
	}
	if g := o.must(o.ask("dan", func(q *curfewv1.CreateRequestRequest) { ops(q); q.Duration = durationpb.New(2 * time.Hour) })); g.GetState() != requestedState {
		t.Errorf("longer than the rule lets: got %v, want it asked", g)
	}
	forApp := func(q *curfewv1.CreateRequestRequest) { q.Role, q.Subject = "role:ops", "app:okta/0oa1" }
	if g := o.must(o.ask("dan", forApp)); g.GetState() != requestedState || g.GetPrivileges()[0].GetPrivilege().GetHolder() != "0oa1" {
		t.Errorf("for an app: got %v, want it asked", g)
	}
	if g := o.must(o.ask("ann", ops)); g.GetState() != requestedState {
		t.Errorf("not on call: got %v, want it asked", g)
	}
}
