// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const testToken = "0123456789abcdef0123456789abcdef"

var morning = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func loadCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// driveEvent is somebody's act on a file with customers' addresses, now.
func driveEvent(email, action, act string) *curfewv1.Event {
	now := timestamppb.Now()
	return &curfewv1.Event{
		Id: "google_workspace:1", Tenant: "main", Source: "google_workspace", Feed: "drive", Action: action, Act: act, Time: now, Received: now,
		Actor:    &curfewv1.Actor{Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Id: "1001", Email: email},
		Resource: &curfewv1.Resource{Path: "file/1-customer-export", Kind: "file", Name: "November"},
	}
}

func options(t testing.TB, b *bus.Bus, holder string) Options {
	return Options{
		Bus: b, Catalog: loadCatalog(t), Tenant: "main", Holder: holder, PolicyDir: exampleDir,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// start runs an evaluator until stop is called or the test ends.
func start(t *testing.T, o Options) (stop func()) {
	t.Helper()
	if _, err := openPolicies(t.Context(), o); err != nil { // in force before the first event
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	stop = func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: got %v, want Canceled", err)
		}
		done <- context.Canceled
	}
	t.Cleanup(stop)
	return stop
}

// newEvaluator is an evaluator that learns of links until the test ends, and judges nothing by itself.
func newEvaluator(t testing.TB, o Options, policies *policies) *evaluator {
	t.Helper()
	e := &evaluator{Options: o, policies: policies, knowledge: openKnowledge(o.Bus, policies, o.Tenant, []byte("key"), o.Log)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.knowledge.follow(ctx) // it ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

// feed appends batches of the given sizes to one lane and returns how many events it has.
func feed(t *testing.T, b *bus.Bus, sizes ...int) (events int) {
	t.Helper()
	subject := bus.EventSubject("main", "google_workspace", "drive")
	var last uint64
	if m, err := b.Last(t.Context(), subject); err == nil {
		last = m.Sequence
	}
	now := timestamppb.Now()
	for _, size := range sizes {
		batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", Received: now, Coverage: &curfewv1.Coverage{From: timestamppb.New(now.AsTime().Add(-time.Minute)), Until: now}}
		for i := range size {
			e := driveEvent("sam@linden-lark.example.com", "view", "read")
			if i%10 == 0 {
				e.Action, e.Act = "download", "export"
			}
			e.Id = fmt.Sprintf("google_workspace:%d-%d", last, i)
			e.Time, e.Received = now, now
			batch.Events = append(batch.Events, e)
		}
		var err error
		if last, err = b.Append(t.Context(), subject, last, batch); err != nil {
			t.Fatal(err)
		}
		events += size
	}
	return events
}

// decided waits until the lane has a decision for each of n events and checks that each has exactly one.
func decided(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	seen := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := b.Follow(ctx, bus.DecisionSubject("main", "google_workspace", "drive"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			seen[d.GetEventId()]++
		}
		if len(seen) == n {
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Fatalf("got decisions on %d events, want %d: %v", len(seen), n, err)
	}
	err = b.Read(t.Context(), bus.DecisionSubject("main", "google_workspace", "drive"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			seen[d.GetEventId()]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, count := range seen {
		if count != 2 {
			t.Fatalf("%s has %d decisions, want 1", id, count-1)
		}
	}
}

func TestEveryEventHasOneDecisionThroughRestarts(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	stop := start(t, o)
	n := feed(t, b, 20, 0, 256, 1)
	decided(t, b, n)
	stop()
	n += feed(t, b, 30, 30)
	start(t, options(t, b, "two"))
	decided(t, b, n)
	findings := map[string]bool{}
	if err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		findings[f.GetEvent().GetId()] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := 2 + 26 + 1 + 3 + 3; len(findings) != want {
		t.Errorf("got findings on %d events, want %d", len(findings), want)
	}
}

func TestTwoEvaluatorsWriteOneDecisionAnEvent(t *testing.T) {
	b := bustest.New(t)
	start(t, options(t, b, "one"))
	start(t, options(t, b, "two"))
	total := 0
	for range 20 {
		total += feed(t, b, 40)
	}
	decided(t, b, total)
}

// A zombie is a judge that believes it still owns the lane: what it writes behind the new owner is refused.
func TestAZombieChangesNothing(t *testing.T) {
	b := bustest.New(t)
	n := feed(t, b, 10, 10)
	o := options(t, b, "zombie")
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	zombie := &lane{evaluator: newEvaluator(t, o, policies), source: "google_workspace", feed: "drive"}
	start(t, options(t, b, "owner"))
	decided(t, b, n)
	first, err := b.At(t.Context(), bus.All("event"), 1)
	if err != nil {
		t.Fatal(err)
	}
	considered, err := zombie.consider(t.Context(), arrival{first, time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zombie.settle(t.Context(), bus.DecisionSubject("main", "google_workspace", "drive"), 0, considered); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	decided(t, b, n)
}

func TestAnUnreadableBatchStopsNoLane(t *testing.T) {
	b := bustest.New(t)
	// A policy revision is no event batch; as bytes it decodes to something or nothing, a string field with bad UTF-8 to
	// an error.
	bad := &curfewv1.DeadLetter{Raw: []byte{0xff, 0xfe, 0xfd}, Line: 1 << 60, Id: "x", Service: "x", Reason: "x", Detail: "x", Origin: "not an event"}
	subject := bus.EventSubject("main", "google_workspace", "drive")
	if _, err := b.Append(t.Context(), subject, 0, bad); err != nil {
		t.Fatal(err)
	}
	n := feed(t, b, 5)
	start(t, options(t, b, "one"))
	decided(t, b, n)
	if _, err := b.Last(t.Context(), bus.All("dead")); err != nil {
		t.Fatalf("the batch must be among the dead letters: %v", err)
	}
}

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

// Where EVENTS lost its end and gives its sequences out again, going on would leave new events unjudged for ever.
func TestEventsThatBeganAgainAreNotTakenForJudged(t *testing.T) {
	b := bustest.New(t)
	n := feed(t, b, 5, 5)
	stop := start(t, options(t, b, "one"))
	decided(t, b, n)
	stop()
	subject := bus.DecisionSubject("main", "google_workspace", "drive")
	last, err := b.Last(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	newest := new(curfewv1.DecisionBatch)
	if err := last.Decode(newest); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*curfewv1.DecisionBatch){
		"another batch under the number": func(d *curfewv1.DecisionBatch) { d.EventDigest = []byte("other") },
		"a number to come":               func(d *curfewv1.DecisionBatch) { d.EventSequence += 100 },
	} {
		changed := &curfewv1.DecisionBatch{EventSequence: newest.GetEventSequence(), EventDigest: newest.GetEventDigest()}
		o := options(t, b, "two")
		l := &lane{evaluator: &evaluator{Options: o}, source: "google_workspace", feed: "drive"}
		if err := l.checkEvents(t.Context(), changed); err != nil {
			t.Errorf("the batch that was judged: got %v", err)
		}
		change(changed)
		if err := l.checkEvents(t.Context(), changed); err == nil {
			t.Errorf("%s: got nil", name)
		}
	}
}
