// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// dialAPI starts an evaluator with an API and returns a connection to it and a context with the token.
func dialAPI(t *testing.T, b *bus.Bus, change func(*Options)) (*grpc.ClientConn, context.Context) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, b, "api")
	o.API = &APIOptions{Listener: listener, Token: testToken}
	if change != nil {
		change(&o)
	}
	start(t, o)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn, metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+testToken)
}

func query(t *testing.T, ctx context.Context, conn *grpc.ClientConn, q *curfewv1.QueryDecisionsRequest) (header *curfewv1.QueryHeader, records []*curfewv1.DecisionRecord, err error) {
	t.Helper()
	stream, err := curfewv1.NewDecisionServiceClient(conn).QueryDecisions(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := stream.Recv()
		if err != nil {
			return header, records, err
		}
		if part.GetHeader() != nil {
			header = part.GetHeader()
		}
		if part.GetRecord() != nil {
			records = append(records, part.GetRecord())
		}
		if trailer := part.GetTrailer(); trailer != nil {
			if trailer.GetRecords() != uint64(len(records)) {
				t.Errorf("trailer: got %d, want %d", trailer.GetRecords(), len(records))
			}
			return header, records, nil
		}
	}
}

func TestQuery(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	if _, _, err := query(t, ctx, conn, &curfewv1.QueryDecisionsRequest{}); err != nil {
		t.Fatalf("an empty log is an answer: %v", err)
	}
	n := feed(t, b, 20, 30)
	decided(t, b, n)
	violations := &curfewv1.QueryDecisionsRequest{Verdict: curfewv1.Verdict_VERDICT_VIOLATION, Source: "google_workspace", Person: "sam", Purpose: curfewv1.Purpose_PURPOSE_EXPORT}
	header, records, err := query(t, ctx, conn, violations)
	if err != nil || len(records) != 5 {
		t.Fatalf("got %d records, %v, want 5", len(records), err)
	}
	if header.GetIntegrity() != "not yet tamper-evident" || len(header.GetPolicyDigests()) != 1 || len(header.GetCoverage()) != 1 || len(header.GetCoverage()[0].GetCovered()) != 1 {
		t.Errorf("header: got %v", header)
	}
	for _, nobody := range []*curfewv1.QueryDecisionsRequest{{Person: "ann"}, {Source: "okta"}, {Until: timestamppb.New(morning.AddDate(-1, 0, 0))}} {
		if _, records, err := query(t, ctx, conn, nobody); err != nil || len(records) != 0 {
			t.Errorf("%v: got %d records, %v", nobody, len(records), err)
		}
	}
	_, _, err = query(t, ctx, conn, &curfewv1.QueryDecisionsRequest{From: timestamppb.New(morning), Until: timestamppb.New(morning)})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("an empty window: got %v", err)
	}
	// Every call above is an event of source curfew, and judged.
	api := map[string]int{}
	if err := b.Read(t.Context(), bus.EventSubject("main", judge.Self, "api"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		api[batch.GetEvents()[0].GetAction()]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if api["decisions.query"] != 5 || api["decisions.export"] != 1 {
		t.Errorf("recorded calls: got %v, want 5 queries, one of them refused, and 1 export", api)
	}
}

func TestCallersAreProvenAndAllowed(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	if _, _, err := query(t, t.Context(), conn, &curfewv1.QueryDecisionsRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no token: got %v", err)
	}
	wrong := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+testToken[1:])
	if _, _, err := query(t, wrong, conn, &curfewv1.QueryDecisionsRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("wrong token: got %v", err)
	}
	explain := curfewv1.NewPolicyServiceClient(conn)
	if _, err := explain.ExplainDecision(ctx, &curfewv1.ExplainDecisionRequest{Subject: "sam", Act: "read"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("untyped subject: got %v", err)
	}
	answer, err := explain.ExplainDecision(ctx, &curfewv1.ExplainDecisionRequest{Subject: "person:kim", Act: "read", Object: "stripe/payout/1", Classes: []string{"finance"}})
	if err != nil || answer.GetDecision().GetVerdict() != curfewv1.Verdict_VERDICT_ALLOWED || answer.GetBasis().GetPolicyRevision() != 1 {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestACallThePolicyDeniesIsRecordedToo(t *testing.T) {
	b := bustest.New(t)
	dir := t.TempDir()
	writeFile(t, dir, "policy.csv", "p, role:anyone, *, *, level:low, *, allow\n")
	conn, ctx := dialAPI(t, b, func(o *Options) { o.PolicyDir = dir })
	if _, _, err := query(t, ctx, conn, &curfewv1.QueryDecisionsRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("got %v, want PermissionDenied", err)
	}
	m, err := b.Last(t.Context(), bus.EventSubject("main", judge.Self, "api"))
	if err != nil {
		t.Fatal(err)
	}
	batch := new(curfewv1.EventBatch)
	if err := m.Decode(batch); err != nil || batch.GetEvents()[0].GetOutcome().GetStatus() != curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		t.Fatalf("got %v, %v", batch, err)
	}
}

// A header must not look better than the log is: a lane that never gave anything is a gap, and a batch that is gone is
// said.
func TestTheHeaderSaysWhatIsMissing(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	n := feed(t, b, 5)
	decided(t, b, n)
	subject := bus.DecisionSubject("main", "google_workspace", "drive")
	last, err := b.Last(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	// Two batches as a damaged stream shows them: the one between is gone, and so the second points at nothing seen.
	hole := &curfewv1.DecisionBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", EventSequence: 99, PreviousSequence: last.Sequence + 7, Received: timestamppb.Now()}
	if _, err := b.Append(t.Context(), subject, last.Sequence, hole); err != nil {
		t.Fatal(err)
	}
	silent := &curfewv1.DecisionBatch{Format: 1, Tenant: "main", Source: "okta", Feed: "system_log", Received: timestamppb.Now()}
	if _, err := b.Append(t.Context(), bus.DecisionSubject("main", "okta", "system_log"), 0, silent); err != nil {
		t.Fatal(err)
	}
	header, _, err := query(t, ctx, conn, &curfewv1.QueryDecisionsRequest{From: timestamppb.New(time.Now().Add(-time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	if len(header.GetCoverage()) != 2 {
		t.Fatalf("got lanes %v, want two", header.GetCoverage())
	}
	drive, okta := header.GetCoverage()[0], header.GetCoverage()[1]
	if got := drive.GetMissingBehind(); len(got) != 1 || got[0] != last.Sequence {
		t.Errorf("missing behind: got %v, want %d", got, last.Sequence)
	}
	if len(okta.GetCovered()) != 0 || len(okta.GetGaps()) != 1 {
		t.Errorf("a silent lane: got %v, want one gap", okta)
	}
}
