// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestSuggestPolicy(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	decided(t, b, feed(t, b, 20, 10)) // sam reads customers' data, and three times exports it
	answer, err := client.SuggestPolicy(ctx, &curfewv1.SuggestPolicyRequest{Source: "google_workspace"})
	if err != nil || answer.GetDecisions() != 30 || answer.GetExplained() != 3 || len(answer.GetRows()) != 1 {
		t.Fatalf("got %v, %v, want three of thirty explained by one row", answer, err)
	}
	if row := answer.GetRows()[0]; row.GetText() != "p, role:support, *, google_workspace/*, pii.contact, export, allow" || row.GetDecisions() != 3 || row.GetHolders() != 1 {
		t.Errorf("got %v, want a row for the role that sam alone holds", row)
	}
	for _, row := range answer.GetUnused() {
		if strings.Contains(row.GetText(), "role:support, *, *, customer, read") || strings.Contains(row.GetText(), "deny") || strings.Contains(row.GetText(), "curfew/api") || row.GetText() == "g, person:sam, role:support" {
			t.Errorf("got %q among the unused", row.GetText())
		}
	}
	if len(answer.GetUnused()) < 20 {
		t.Errorf("got %d unused rows, want most of the example's", len(answer.GetUnused()))
	}
	// Another window, another source: nothing was seen.
	for _, request := range []*curfewv1.SuggestPolicyRequest{{Source: "okta"}, {Source: "google_workspace", Until: timestamppb.New(time.Now().Add(-time.Hour))}} {
		if answer, err := client.SuggestPolicy(ctx, request); err != nil || answer.GetDecisions() != 0 || len(answer.GetRows()) != 0 {
			t.Errorf("%v: got %v, %v", request, answer, err)
		}
	}
	if _, err := client.SuggestPolicy(ctx, &curfewv1.SuggestPolicyRequest{From: timestamppb.New(morning), Until: timestamppb.New(morning)}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an empty window: got %v", err)
	}
}
