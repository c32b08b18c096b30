// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	approved  = curfewv1.GrantState_GRANT_STATE_APPROVED
	active    = curfewv1.GrantState_GRANT_STATE_ACTIVE
	revoked   = curfewv1.GrantState_GRANT_STATE_REVOKED
	cancelled = curfewv1.GrantState_GRANT_STATE_CANCELLED
)

// in is a moment to come.
func in(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }

// samAnalyst is a grant as it is asked for.
func samAnalyst() *curfewv1.CreateGrantRequest {
	return &curfewv1.CreateGrantRequest{Subject: "person:sam", Role: "role:analyst", ExpiresAt: in(time.Hour), Reason: "quarterly numbers", Ticket: "OPS-12"}
}

// grantSteps is every step that is stored, of any grant.
func grantSteps(t *testing.T, b *bus.Bus) []*curfewv1.GrantStep {
	t.Helper()
	var steps []*curfewv1.GrantStep
	if err := b.Read(t.Context(), bus.All("grant"), bus.From{}, func(m bus.Message) error {
		step, err := readStep(m)
		steps = append(steps, step)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return steps
}

// exports is what the policy says of sam exporting a customer's address at a time.
func exports(t *testing.T, ctx context.Context, policies curfewv1.PolicyServiceClient, at time.Time) *curfewv1.Decision {
	t.Helper()
	answer, err := policies.ExplainDecision(ctx, &curfewv1.ExplainDecisionRequest{
		Subject: "person:sam", Act: "export", Object: "google_workspace/file/1-customer-export", Time: timestamppb.New(at),
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetDecision()
}

func TestAGrantCountsFromItsCreationToItsRevocation(t *testing.T) {
	const allowed, violation = curfewv1.Verdict_VERDICT_ALLOWED, curfewv1.Verdict_VERDICT_VIOLATION
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	grants, policies := curfewv1.NewGrantServiceClient(conn), curfewv1.NewPolicyServiceClient(conn)
	before := exports(t, ctx, policies, time.Now())
	made, err := grants.CreateGrant(ctx, samAnalyst())
	if err != nil {
		t.Fatal(err)
	}
	g := made.GetGrant()
	if g.GetState() != active || g.GetAuthor() != "service:admin" || g.GetTicket() != "OPS-12" || g.GetEndedAt() != nil || len(g.GetId()) != 14 {
		t.Errorf("made: got %v", g)
	}
	during := exports(t, ctx, policies, time.Now())
	listed, err := grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{})
	if err != nil || len(listed.GetGrants()) != 1 || !proto.Equal(listed.GetGrants()[0], g) {
		t.Errorf("listed: got %v, %v, want %v", listed, err, g)
	}
	taken, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "done early"})
	if err != nil || taken.GetGrant().GetState() != revoked || taken.GetGrant().GetEndedAt() == nil {
		t.Fatalf("revoked: got %v, %v", taken, err)
	}
	after := exports(t, ctx, policies, time.Now())
	late := exports(t, ctx, policies, during.GetTime().AsTime())
	for _, c := range []struct {
		when    string
		got     *curfewv1.Decision
		verdict curfewv1.Verdict
		grant   string
	}{
		{"before", before, violation, ""},
		{"during", during, allowed, g.GetId()},
		{"after", after, violation, ""},
		{"during, asked afterwards", late, allowed, g.GetId()},
	} {
		if c.got.GetVerdict() != c.verdict || c.got.GetGrantId() != c.grant {
			t.Errorf("%s: got %v by grant %q, want %v by %q", c.when, c.got.GetVerdict(), c.got.GetGrantId(), c.verdict, c.grant)
		}
	}
	again, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: g.GetId(), Reason: "to be sure"})
	if err != nil || !proto.Equal(again, taken) {
		t.Errorf("revoked again: got %v, %v, want %v", again, err, taken)
	}
	steps := grantSteps(t, b)
	if len(steps) != 2 || steps[1].GetDetail() != "done early" || steps[1].GetAuthor() != "service:admin" {
		t.Errorf("steps: got %v, want one made and one revoked", steps)
	}
}

func TestListGrants(t *testing.T) {
	conn, ctx := dialAPI(t, bustest.New(t), nil)
	grants := curfewv1.NewGrantServiceClient(conn)
	ids := map[string]string{}
	for _, name := range []string{"late", "soon", "app", "to come", "ended"} {
		q := samAnalyst()
		switch name {
		case "soon":
			q.Role, q.ExpiresAt = "role:finance", in(time.Minute)
		case "app":
			q.Subject, q.ExpiresAt = "app:okta/0oa1", in(30*time.Minute)
		case "to come":
			q.From, q.ExpiresAt = in(24*time.Hour), in(47*time.Hour)
		}
		made, err := grants.CreateGrant(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		ids[made.GetGrant().GetId()] = name
		if name == "ended" {
			if _, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: made.GetGrant().GetId(), Reason: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		in   *curfewv1.ListGrantsRequest
		want string
	}{
		{"those that have not ended", &curfewv1.ListGrantsRequest{}, "soon app late to come"},
		{"all", &curfewv1.ListGrantsRequest{Ended: true}, "ended soon app late to come"},
		{"of a person", &curfewv1.ListGrantsRequest{Subject: "person:sam"}, "soon late to come"},
		{"of nobody", &curfewv1.ListGrantsRequest{Subject: "person:kim"}, ""},
		{"of a role", &curfewv1.ListGrantsRequest{Role: "role:finance"}, "soon"},
		{"untyped subject", &curfewv1.ListGrantsRequest{Subject: "sam"}, "InvalidArgument"},
		{"untyped role", &curfewv1.ListGrantsRequest{Role: "finance"}, "InvalidArgument"},
	} {
		answer, err := grants.ListGrants(ctx, c.in)
		var got []string
		for _, g := range answer.GetGrants() {
			got = append(got, ids[g.GetId()])
		}
		if err != nil {
			got = []string{status.Code(err).String()}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAsOf(t *testing.T) {
	at := func(hour int) *timestamppb.Timestamp {
		return timestamppb.New(morning.Add(time.Duration(hour) * time.Hour))
	}
	for _, c := range []struct {
		name  string
		state curfewv1.GrantState
		ended *timestamppb.Timestamp
		now   int
		want  curfewv1.GrantState
		shown *timestamppb.Timestamp
	}{
		{"not begun", approved, nil, 0, approved, nil},
		{"begins at this moment", approved, nil, 1, active, nil},
		{"runs", active, nil, 2, active, nil},
		{"ends at this moment", active, nil, 3, active, at(3)},
		{"never touched, long over", approved, nil, 9, active, at(3)},
		{"revoked", revoked, at(2), 9, revoked, at(2)},
		{"cancelled", cancelled, at(0), 9, cancelled, at(0)},
	} {
		stored := &curfewv1.Grant{State: c.state, From: at(1), ExpiresAt: at(3), EndedAt: c.ended}
		got := asOf(stored, at(c.now).AsTime())
		if got.GetState() != c.want || !proto.Equal(got.GetEndedAt(), c.shown) {
			t.Errorf("%s: got %v, ended %v; want %v, ended %v", c.name, got.GetState(), got.GetEndedAt(), c.want, c.shown)
		}
		if stored.GetState() != c.state || stored.GetEndedAt() != c.ended {
			t.Errorf("%s: what was stored has changed", c.name)
		}
	}
}

func TestRevokeGrantAtEveryStage(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	grants := curfewv1.NewGrantServiceClient(conn)
	hour := func(n int) time.Time { return time.Now().Add(time.Duration(n) * time.Hour).Truncate(time.Second) }
	for _, c := range []struct {
		name        string
		from, until time.Time
		stored      time.Time // when, by the clock of the replica that stored it
		want        curfewv1.GrantState
		steps       int
		ended       time.Time // zero = now
	}{
		{"not begun", hour(1), hour(2), hour(-1), cancelled, 2, time.Time{}},
		{"runs", hour(-1), hour(2), hour(-1), revoked, 2, time.Time{}},
		{"over", hour(-2), hour(-1), hour(-2), active, 1, hour(-1)},
		{"stored by a clock that is ahead", hour(1), hour(3), hour(2), revoked, 2, hour(2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := strings.ReplaceAll(c.name, " ", "-")
			before := len(grantSteps(t, b))
			if _, err := b.Append(t.Context(), bus.GrantSubject("main", id), 0, &curfewv1.GrantStep{
				Format: 1, Time: timestamppb.New(c.stored),
				Grant: &curfewv1.Grant{Id: id, Tenant: "main", Subject: "person:sam", Role: "role:analyst", State: approved, From: timestamppb.New(c.from), ExpiresAt: timestamppb.New(c.until)},
			}); err != nil {
				t.Fatal(err)
			}
			answer, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: id, Reason: "no longer needed"})
			if err != nil {
				t.Fatal(err)
			}
			got := answer.GetGrant()
			if got.GetState() != c.want || got.GetEndedAt() == nil || !c.ended.IsZero() && !got.GetEndedAt().AsTime().Equal(c.ended) {
				t.Errorf("got %v, want %v, ended at %v", got, c.want, c.ended)
			}
			if n := len(grantSteps(t, b)) - before; n != c.steps {
				t.Errorf("got %d steps, want %d", n, c.steps)
			}
		})
	}
	for name, q := range map[string]*curfewv1.RevokeGrantRequest{"unknown": {Id: "g-none", Reason: "x"}, "no id": {Reason: "x"}} {
		if _, err := grants.RevokeGrant(ctx, q); status.Code(err) != codes.NotFound {
			t.Errorf("%s: got %v, want NotFound", name, err)
		}
	}
	if _, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: "runs"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no reason: got %v, want InvalidArgument", err)
	}
}

func TestGrantsThatCannotBe(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	grants := curfewv1.NewGrantServiceClient(conn)
	for _, c := range []struct {
		name   string
		change func(*curfewv1.CreateGrantRequest)
		want   string
	}{
		{"no subject", func(q *curfewv1.CreateGrantRequest) { q.Subject = "" }, `subject "" is nobody who can hold a grant`},
		{"untyped subject", func(q *curfewv1.CreateGrantRequest) { q.Subject = "sam" }, "write person:<id>"},
		{"a role as subject", func(q *curfewv1.CreateGrantRequest) { q.Subject = "role:support" }, "is nobody who can hold a grant"},
		{"an account of nobody known", func(q *curfewv1.CreateGrantRequest) { q.Subject = "unknown:okta/1" }, "is nobody who can hold a grant"},
		{"a person nobody knows", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:samm" }, `nobody in identities.yaml has the id "samm"`},
		{"an e-mail", func(q *curfewv1.CreateGrantRequest) { q.Subject = "person:sam@example.com" }, "not by an e-mail"},
		{"an app of no source", func(q *curfewv1.CreateGrantRequest) { q.Subject = "app:0oa1" }, "says no source"},
		{"a name that no decision has", func(q *curfewv1.CreateGrantRequest) { q.Subject = "app:okta/mail magic" }, "holds a character"},
		{"no role", func(q *curfewv1.CreateGrantRequest) { q.Role = "" }, `"" is no role`},
		{"a group", func(q *curfewv1.CreateGrantRequest) { q.Role = "group:okta/1" }, "is no role"},
		{"a mistyped role", func(q *curfewv1.CreateGrantRequest) { q.Role = "role:analist" }, "did you mean role:analyst?"},
		{"a role that there is not", func(q *curfewv1.CreateGrantRequest) { q.Role = "role:astronaut" }, "there are role:analyst, role:engineer, role:finance"},
		{"a role that everybody holds", func(q *curfewv1.CreateGrantRequest) { q.Role = "role:anyone" }, "could be given"},
		{"a role of another kind", func(q *curfewv1.CreateGrantRequest) { q.Role = "role:service" }, "could be given"},
		{"no end", func(q *curfewv1.CreateGrantRequest) { q.ExpiresAt = nil }, "without an end does not exist"},
		{"over already", func(q *curfewv1.CreateGrantRequest) { q.ExpiresAt = in(-time.Second) }, "which has passed"},
		{"ends as it begins", func(q *curfewv1.CreateGrantRequest) { q.From = q.ExpiresAt }, "and not after it begins"},
		{"begun already", func(q *curfewv1.CreateGrantRequest) { q.From = in(-time.Second) }, "would begin at"},
		{"for ever", func(q *curfewv1.CreateGrantRequest) { q.ExpiresAt = in(365*24*time.Hour + time.Minute) }, "more than 365 days"},
		{"no reason", func(q *curfewv1.CreateGrantRequest) { q.Reason = " \n" }, "the reason is missing"},
		{"a novel of a reason", func(q *curfewv1.CreateGrantRequest) { q.Reason = strings.Repeat("x", 513) }, "has 513 bytes"},
		{"a novel of a key", func(q *curfewv1.CreateGrantRequest) { q.IdempotencyKey = strings.Repeat("x", 513) }, "has 513 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := samAnalyst()
			c.change(q)
			_, err := grants.CreateGrant(ctx, q)
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want InvalidArgument in one line with %q", err, c.want)
			}
		})
	}
	if steps := grantSteps(t, b); len(steps) != 0 {
		t.Errorf("got %v, want nothing stored", steps)
	}
}

func TestWhoMayNotGrantGetsNothingStored(t *testing.T) {
	b := bustest.New(t)
	dir := t.TempDir()
	writeFile(t, dir, "policy.csv", "p, role:analyst, *, *, customer, *, allow\np, service:admin, *, curfew/api/*, audit, *, allow\n")
	conn, ctx := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	grants := curfewv1.NewGrantServiceClient(conn)
	if _, err := grants.CreateGrant(ctx, samAnalyst()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("create: got %v, want PermissionDenied", err)
	}
	if _, err := grants.RevokeGrant(ctx, &curfewv1.RevokeGrantRequest{Id: "x", Reason: "x"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("revoke: got %v, want PermissionDenied", err)
	}
	if _, err := grants.ListGrants(ctx, &curfewv1.ListGrantsRequest{}); err != nil {
		t.Errorf("to look takes the right to audit only: %v", err)
	}
	if steps := grantSteps(t, b); len(steps) != 0 {
		t.Errorf("got %v, want nothing stored", steps)
	}
	calls := 0
	if err := b.Read(t.Context(), bus.EventSubject("main", judge.Self, "api"), bus.From{}, func(bus.Message) error { calls++; return nil }); err != nil || calls != 3 {
		t.Errorf("got %d recorded calls, %v, want 3", calls, err)
	}
}
