// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// decide appends a batch of decisions to a lane that has none.
func decide(t *testing.T, b *bus.Bus, source string, decisions ...*curfewv1.Decision) {
	t.Helper()
	batch := &curfewv1.DecisionBatch{Format: 1, Tenant: "main", Source: source, Feed: "x", Received: timestamppb.Now(), Decisions: decisions}
	if _, err := b.Append(t.Context(), bus.DecisionSubject("main", source, "x"), 0, batch); err != nil {
		t.Fatal(err)
	}
}

func TestListUnplaced(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	now := time.Now()
	by := func(subject, person, act string, outcome curfewv1.OutcomeStatus, ago time.Duration) *curfewv1.Decision {
		return &curfewv1.Decision{Subject: subject, Person: person, Source: "okta", Act: act, Outcome: outcome, Time: timestamppb.New(now.Add(-ago))}
	}
	const ok, failed = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS, curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	decide(t, b, "okta",
		by("unknown:okta/1", "", "read", ok, 3*time.Hour),
		by("unknown:okta/2", "", "read", ok, 2*time.Hour),
		by("unknown:okta/2", "", "login", ok, time.Hour),
		by("unknown:okta/2", "", "export", failed, 90*time.Minute),
		by("app:okta/x", "unknown:okta/1", "consent", ok, time.Minute),
		by("unknown:okta/0", "", "read", ok, time.Minute),
		by("unknown:okta/3", "", "login", failed, time.Minute),            // nobody says that there is such an account
		by("unknown:okta/4", "", "read", ok, 8*24*time.Hour),              // too long ago
		by("unknown:okta/00uann0000000000001", "", "read", ok, time.Hour), // in identities.yaml by now
		by("person:ann", "", "read", ok, time.Hour), by("", "", "read", ok, time.Hour), by("app:okta/x", "", "read", ok, time.Hour),
	)
	list := func(request *curfewv1.ListUnplacedRequest) string {
		t.Helper()
		answer, err := curfewv1.NewPolicyServiceClient(conn).ListUnplaced(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, a := range answer.GetAccounts() {
			lines = append(lines, fmt.Sprintf("%s %s %d %s", a.GetSubject(), a.GetSource(), a.GetDecisions(), now.Sub(a.GetLast().AsTime()).Round(time.Minute)))
		}
		return strings.Join(lines, "; ")
	}
	const recent = "unknown:okta/2 okta 3 1h0m0s; unknown:okta/1 okta 2 1m0s; unknown:okta/0 okta 1 1m0s"
	if got := list(&curfewv1.ListUnplacedRequest{}); got != recent {
		t.Errorf("got %s, want %s", got, recent)
	}
	if got, want := list(&curfewv1.ListUnplacedRequest{From: timestamppb.New(now.Add(-9 * 24 * time.Hour))}), recent+"; unknown:okta/4 okta 1 192h0m0s"; got != want {
		t.Errorf("from the beginning: got %s, want %s", got, want)
	}
	if got, want := list(&curfewv1.ListUnplacedRequest{From: timestamppb.New(now.Add(-2 * time.Minute))}), "unknown:okta/0 okta 1 1m0s; unknown:okta/1 okta 1 1m0s"; got != want {
		t.Errorf("the last minutes: got %s, want %s", got, want)
	}
	last, err := b.Last(t.Context(), bus.EventSubject("main", "curfew", "api"))
	if err != nil {
		t.Fatal(err)
	}
	call := new(curfewv1.EventBatch)
	if err := last.Decode(call); err != nil || call.GetEvents()[0].GetAction() != "policy.unplaced" {
		t.Errorf("the call must be recorded: got %v, %v", call, err)
	}
}

func TestListUnplacedIsForWhoMay(t *testing.T) {
	b := bustest.New(t)
	dir := t.TempDir()
	writeFile(t, dir, "policy.csv", "p, role:anyone, *, *, level:low, *, allow\n")
	conn, ctx := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	client := curfewv1.NewPolicyServiceClient(conn)
	if _, err := client.ListUnplaced(ctx, &curfewv1.ListUnplacedRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v, want PermissionDenied", err)
	}
	if _, err := client.ListUnplaced(t.Context(), &curfewv1.ListUnplacedRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no token: got %v, want Unauthenticated", err)
	}
}

func TestAnAnswerNamesSoManyAccounts(t *testing.T) {
	u := unplaced{}
	for i := range MaxUnplaced + 5 {
		u.add(&curfewv1.Decision{Subject: fmt.Sprint("unknown:okta/", i), Act: "read"}, timestamppb.Now())
	}
	if got := u.list(func(string) bool { return false }); len(got) != MaxUnplaced {
		t.Errorf("got %d accounts, want %d", len(got), MaxUnplaced)
	}
}
