// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// recorder writes lanes of events and, judged by the policy in force, their decisions.
type recorder struct {
	*testing.T
	evaluator *evaluator
	random    *rand.Rand
	last      map[string]uint64
	count     int
}

// people are some who are known and one who is not.
var people = []string{"ann@linden-lark.example.com", "sam@linden-lark.example.com", "max@linden-lark.example.com", "kim@linden-lark.example.com", "eve@example.com"}

// acts of the drive and a time are drawn at random.
func (r *recorder) event(at time.Time) *curfewv1.Event {
	acts := [][2]string{{"view", "read"}, {"download", "export"}, {"edit", "update"}, {"delete", "delete"}, {"change_user_access", "share"}}
	act := acts[r.random.IntN(len(acts))]
	e := driveEvent(people[r.random.IntN(len(people))], act[0], act[1])
	r.count++
	e.Id = fmt.Sprintf("google_workspace:%d", r.count)
	e.Actor.Id = e.GetActor().GetEmail()
	e.Time, e.Received = timestamppb.New(at), timestamppb.New(at)
	e.Raw = []byte(`{"padding":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`)
	e.Resource.Path = []string{"file/1-customer-export", "file/2", "file/3"}[r.random.IntN(3)]
	e.Resource.Name = []string{"Orders", "Payouts of May", "Notes"}[r.random.IntN(3)]
	return e
}

// record writes one batch of a lane.
func (r *recorder) record(feed string, events ...*curfewv1.Event) {
	r.Helper()
	write := func(subject string, message proto.Message) {
		var err error
		if r.last[subject], err = r.evaluator.Bus.Append(r.Context(), subject, r.last[subject], message); err != nil {
			r.Fatal(err)
		}
	}
	batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: feed, Received: timestamppb.Now(), Events: events}
	subject := bus.EventSubject("main", "google_workspace", feed)
	write(subject, batch)
	l := &lane{evaluator: r.evaluator, source: "google_workspace", feed: feed}
	answer, _, _ := l.decide(r.evaluator.knowledge.now(), batch)
	answer.EventSequence = r.last[subject]
	write(bus.DecisionSubject("main", "google_workspace", feed), answer)
}

func newRecorder(t *testing.T, b *bus.Bus, seed uint64) *recorder {
	t.Helper()
	o := options(t, b, "recorder")
	policies, err := openPolicies(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{T: t, evaluator: newEvaluator(t, o, policies), random: rand.New(rand.NewPCG(seed, 1)), last: map[string]uint64{}}
}

// oracle is the result as somebody would find it who reads everything at leisure.
func oracle(r *recorder, candidate *judge.Policy, request *curfewv1.BacktestPolicyRequest) *curfewv1.BacktestResult {
	r.Helper()
	j := &judge.Judge{Tenant: "main", Pseudonyms: []byte("key"), Policies: func(time.Time) (*judge.Policy, time.Time) { return candidate, time.Time{} }}
	events := map[string]*curfewv1.Event{}
	read := func(filter string, visit func(bus.Message) error) {
		if err := r.evaluator.Bus.Read(r.Context(), filter, bus.From{}, visit); err != nil {
			r.Fatal(err)
		}
	}
	read(bus.All("event"), func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		err := m.Decode(batch)
		for _, e := range batch.GetEvents() {
			events[e.GetId()] = e
		}
		return err
	})
	o := outcome{}
	read(bus.All("decision"), func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		err := m.Decode(batch)
		for _, d := range batch.GetDecisions() {
			e := events[d.GetEventId()]
			if !within(d.GetTime(), request.GetFrom(), request.GetUntil()) || request.GetSource() != "" && request.GetSource() != d.GetSource() {
				continue
			}
			if e == nil {
				o.gone++
				continue
			}
			o.events++
			if is := j.Decide(e); is.GetVerdict() != d.GetVerdict() {
				o.note(is, d.GetVerdict(), uint32(candidate.Sensitivity(is)))
			} else {
				o.unchanged++
			}
		}
		return err
	})
	return o.result(candidate.Digest())
}

func TestBacktestIsWhatEachEventAloneSays(t *testing.T) {
	for seed := range uint64(6) {
		b := bustest.New(t)
		r := newRecorder(t, b, seed)
		begun := time.Now()
		for range 12 {
			var events []*curfewv1.Event
			for range r.random.IntN(40) {
				events = append(events, r.event(begun.Add(time.Duration(r.random.IntN(280))*time.Second)))
			}
			r.record([]string{"drive", "token"}[r.random.IntN(2)], events...)
		}
		// Of one batch the events are gone, of another some other events stand there.
		gone := &curfewv1.DecisionBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "gone", EventSequence: 1 << 30, Received: timestamppb.Now()}
		for i := range 3 {
			gone.Decisions = append(gone.Decisions, &curfewv1.Decision{
				EventId: fmt.Sprintf("google_workspace:gone-%d", i), Source: "google_workspace", Time: timestamppb.New(begun.Add(100 * time.Second)), Verdict: curfewv1.Verdict_VERDICT_ALLOWED,
			})
		}
		if _, err := b.Append(t.Context(), bus.DecisionSubject("main", "google_workspace", "gone"), 0, gone); err != nil {
			t.Fatal(err)
		}
		r.record("other", r.event(begun), r.event(begun))
		other := proto.CloneOf(gone)
		other.Feed, other.EventSequence = "other", r.last[bus.EventSubject("main", "google_workspace", "other")]
		if _, err := b.Append(t.Context(), bus.DecisionSubject("main", "google_workspace", "other"), r.last[bus.DecisionSubject("main", "google_workspace", "other")], other); err != nil {
			t.Fatal(err)
		}
		rows := []string{
			"p, person:sam, *, *, customer, read, deny\n", "p, role:support, *, *, customer, export, allow\n", "p, role:person, *, *, *, *, allow\n",
			"p, role:anyone, *, google_workspace/file/2, *, *, deny\n", "g, person:kim, role:analyst\n",
		}
		candidate, err := judge.NewPolicy(exampleFiles(t, rows[r.random.IntN(len(rows))]), r.evaluator.Catalog)
		if err != nil {
			t.Fatal(err)
		}
		a := &api{evaluator: r.evaluator}
		for _, request := range []*curfewv1.BacktestPolicyRequest{
			{}, {Source: "google_workspace"}, {Source: "okta"},
			{From: timestamppb.New(begun.Add(80 * time.Second)), Until: timestamppb.New(begun.Add(200 * time.Second))},
		} {
			want := oracle(r, candidate, request)
			var bytes [2]string
			for i, cores := range []int{1, 4} {
				before := runtime.GOMAXPROCS(cores)
				got, err := a.newBacktest(candidate, r.evaluator.knowledge.now(), request).run(t.Context(), func(*curfewv1.BacktestProgress) error { return nil })
				runtime.GOMAXPROCS(before)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Fatalf("seed %d, %v on %d cores: want, got:\n%s", seed, request, cores, diff)
				}
				whole, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				bytes[i] = string(whole)
			}
			if bytes[0] != bytes[1] {
				t.Errorf("seed %d: the result is not the same bytes on one core and on four", seed)
			}
		}
	}
}

// backtestPolicy asks the API and returns the result and how often progress was told.
func backtestPolicy(t *testing.T, stream interface {
	Recv() (*curfewv1.BacktestPolicyResponse, error)
}, err error) (*curfewv1.BacktestResult, error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			t.Fatal("the stream ended without a result")
		}
		if err != nil || part.GetResult() != nil {
			return part.GetResult(), err
		}
	}
}

func TestBacktestChangesNothing(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	n := feed(t, b, 20, 10)
	decided(t, b, n)
	candidate := exampleFiles(t, "p, role:support, *, *, customer, export, allow\n")
	stream, err := client.BacktestPolicy(ctx, &curfewv1.BacktestPolicyRequest{Files: candidate, Source: "google_workspace"})
	result, err := backtestPolicy(t, stream, err)
	if err != nil || result.GetEvents() != uint64(n) || result.GetUnchanged() != 27 || len(result.GetChanges()) != 1 {
		t.Fatalf("got %v, %v, want 30 events of which 27 keep their verdict and one kind of change", result, err)
	}
	change := result.GetChanges()[0]
	if change.GetSubject() != "person:sam" || change.GetAct() != "export" || change.GetClass() != "pii.contact" || change.GetCount() != 3 || change.GetSensitivity() != 4 ||
		change.GetWas() != curfewv1.Verdict_VERDICT_VIOLATION || change.GetBecomes() != curfewv1.Verdict_VERDICT_ALLOWED || change.GetExample().GetRow().GetText() != "p, role:support, *, *, customer, export, allow" {
		t.Errorf("got %v, want sam's three exports allowed by the new row", change)
	}
	if log, err := client.ListPolicyRevisions(ctx, &curfewv1.ListPolicyRevisionsRequest{}); err != nil || len(log.GetRevisions()) != 1 {
		t.Errorf("got %v, %v, want one revision as before", log, err)
	}
	decided(t, b, n)
	for _, c := range []struct {
		request *curfewv1.BacktestPolicyRequest
		code    codes.Code
		says    string
	}{
		{&curfewv1.BacktestPolicyRequest{}, codes.InvalidArgument, "neither files nor a revision"},
		{&curfewv1.BacktestPolicyRequest{Revision: 4}, codes.NotFound, "no policy revision 4"},
		{&curfewv1.BacktestPolicyRequest{Files: map[string][]byte{"policy.csv": []byte("p, x\n")}}, codes.InvalidArgument, "policy.csv: line 1"},
		{&curfewv1.BacktestPolicyRequest{Revision: 1, From: timestamppb.New(morning), Until: timestamppb.New(morning)}, codes.InvalidArgument, "window is empty"},
	} {
		stream, err := client.BacktestPolicy(ctx, c.request)
		if _, err := backtestPolicy(t, stream, err); status.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: got %v, want %v that says %q", c.request, err, c.code, c.says)
		}
	}
}
