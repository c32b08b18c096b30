// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// exampleFiles is the example policy with more rows behind it.
func exampleFiles(t testing.TB, rows string) map[string][]byte {
	t.Helper()
	files, err := judge.ReadFiles(exampleDir)
	if err != nil {
		t.Fatal(err)
	}
	files["policy.csv"] = append(slices.Clone(files["policy.csv"]), rows...)
	return files
}

// adminRow lets the admin change the policy.
const adminRow = "p, service:admin, *, curfew/api/*, admin, *, allow\n"

func TestWhatCannotBeAppliedIsRefused(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	only := func(rows string) map[string][]byte { return map[string][]byte{"policy.csv": []byte(rows)} }
	for _, c := range []struct {
		name    string
		request *curfewv1.ApplyPolicyRequest
		code    codes.Code
		says    string
	}{
		{"no reason", &curfewv1.ApplyPolicyRequest{Files: exampleFiles(t, "# new\n")}, codes.InvalidArgument, "reason is missing"},
		{"nothing", &curfewv1.ApplyPolicyRequest{Reason: "x"}, codes.InvalidArgument, "neither files nor a revision"},
		{"both", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: exampleFiles(t, ""), Revision: 1}, codes.InvalidArgument, "files and a revision"},
		{"no such revision", &curfewv1.ApplyPolicyRequest{Reason: "x", Revision: 7}, codes.NotFound, "no policy revision 7; the newest is 1"},
		{"does not parse", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: only("# one\np, role:anyone, *\n")}, codes.InvalidArgument, "policy.csv: line 2: a p row has 6 fields"},
		{"unknown class", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: only(adminRow + "p, role:anyone, *, *, costumer, read, allow\n")}, codes.InvalidArgument, `policy.csv: line 2: "costumer" is no class`},
		{"unknown file", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: map[string][]byte{"policy.txt": nil}}, codes.InvalidArgument, `"policy.txt"`},
		{"locks the caller out", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: only("p, person:ida, *, *, admin, *, allow\n")}, codes.FailedPrecondition, "the policy would lock you out: service:admin"},
		{"will lock the caller out", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: only("p, person:ida, *, *, admin, *, allow\np, role:boss, *, *, admin, *, allow\ng, service:admin, role:boss, _, 2100-01-01T00:00:00Z\n")}, codes.FailedPrecondition, "once the rows that end have ended"},
		{"locks everybody out", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: only("p, role:anyone, *, *, level:low, *, allow\n")}, codes.FailedPrecondition, "lock every admin"},
		{"another is newest", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: exampleFiles(t, "# new\n"), ExpectedDigest: "beef"}, codes.Aborted, "configuration applied revision 1"},
		{"another is newest, tried", &curfewv1.ApplyPolicyRequest{Reason: "x", Files: exampleFiles(t, "# new\n"), ExpectedDigest: "beef", DryRun: true}, codes.Aborted, "configuration applied revision 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.ApplyPolicy(ctx, c.request)
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.code, c.says)
			}
		})
	}
	if log, err := client.ListPolicyRevisions(ctx, &curfewv1.ListPolicyRevisionsRequest{}); err != nil || len(log.GetRevisions()) != 1 {
		t.Errorf("the revision in force must stay: got %v, %v", log, err)
	}
}

func TestAPolicysLife(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	apply := func(request *curfewv1.ApplyPolicyRequest) *curfewv1.ApplyPolicyResponse {
		t.Helper()
		answer, err := client.ApplyPolicy(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	next := &curfewv1.ApplyPolicyRequest{Files: exampleFiles(t, "# new\n"), Reason: "a try", DryRun: true}
	if tried := apply(next); tried.GetRevision().GetNumber() != 2 || tried.GetRevision().GetFrom() != nil || tried.GetUnchanged() {
		t.Errorf("dry run: got %v, want what would be revision 2", tried)
	}
	next.DryRun = false
	begun := time.Now()
	second := apply(next)
	if r := second.GetRevision(); r.GetNumber() != 2 || r.GetAuthor() != "service:admin" || r.GetReason() != "a try" || r.GetFrom().AsTime().Before(begun.Add(notice)) || len(r.GetFiles()) > 0 {
		t.Errorf("got %v, want revision 2 of service:admin, in force no sooner than %v", r, begun.Add(notice))
	}
	if again := apply(next); !again.GetUnchanged() || again.GetRevision().GetNumber() != 2 {
		t.Errorf("the same again: got %v, want nothing new", again)
	}
	back := apply(&curfewv1.ApplyPolicyRequest{Revision: 1, Reason: "it was better", ExpectedDigest: second.GetRevision().GetDigest()})
	if r := back.GetRevision(); r.GetNumber() != 3 || !r.GetFrom().AsTime().After(second.GetRevision().GetFrom().AsTime()) {
		t.Errorf("back to 1: got %v, want revision 3 later than the second", r)
	}
	log, err := client.ListPolicyRevisions(ctx, &curfewv1.ListPolicyRevisionsRequest{})
	if err != nil || len(log.GetRevisions()) != 3 || log.GetRevisions()[0].GetDigest() != log.GetRevisions()[2].GetDigest() {
		t.Errorf("log: got %v, %v, want three revisions, the last like the first", log, err)
	}
	for number, want := range map[uint64]map[string][]byte{0: exampleFiles(t, ""), 2: exampleFiles(t, "# new\n")} {
		got, err := client.GetPolicyRevision(ctx, &curfewv1.GetPolicyRevisionRequest{Number: number})
		if err != nil || !bytes.Equal(got.GetRevision().GetFiles()["policy.csv"], want["policy.csv"]) {
			t.Errorf("revision %d: got %v, %v", number, got.GetRevision().GetNumber(), err)
		}
	}
	if _, err := client.GetPolicyRevision(ctx, &curfewv1.GetPolicyRevisionRequest{Number: 9}); status.Code(err) != codes.NotFound {
		t.Errorf("revision 9: got %v, want NOT_FOUND", err)
	}
	// The call's record names the files without holding them.
	recorded := ""
	if err := b.Read(t.Context(), bus.EventSubject("main", judge.Self, "api"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		err := m.Decode(batch)
		if batch.GetEvents()[0].GetAction() == "policy.apply" && recorded == "" {
			recorded = string(batch.GetEvents()[0].GetRaw())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(recorded, "SHA-256") || !strings.Contains(recorded, `"a try"`) || strings.Contains(recorded, "role:anyone") {
		t.Errorf("recorded: got %s, want the reason and digests", recorded)
	}
}

// Several at once: without an expected digest each comes after the other, with one a single one wins. Starts are in the
// order of the numbers.
func TestAppliersAtOnce(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	atOnce := func(name, expected string) (won []*curfewv1.PolicyRevision) {
		var group sync.WaitGroup
		var mu sync.Mutex
		for i := range 5 {
			group.Go(func() {
				answer, err := client.ApplyPolicy(ctx, &curfewv1.ApplyPolicyRequest{
					Files: exampleFiles(t, fmt.Sprintf("# %s %d\n", name, i)), Reason: name, ExpectedDigest: expected,
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, answer.GetRevision())
				case expected == "" || status.Code(err) != codes.Aborted:
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		return won
	}
	all := atOnce("whatever is newest", "")
	slices.SortFunc(all, func(a, b *curfewv1.PolicyRevision) int { return int(a.GetNumber()) - int(b.GetNumber()) })
	for i, r := range all {
		if r.GetNumber() != uint64(i+2) || i > 0 && !r.GetFrom().AsTime().After(all[i-1].GetFrom().AsTime()) {
			t.Errorf("got %d from %v, want %d, later than the one before", r.GetNumber(), r.GetFrom().AsTime(), i+2)
		}
	}
	if len(all) != 5 {
		t.Fatalf("got %d revisions, want 5", len(all))
	}
	if won := atOnce("expecting", all[4].GetDigest()); len(won) != 1 || won[0].GetNumber() != 7 {
		t.Errorf("expecting one digest: got %v, want one revision, the seventh", won)
	}
}

func TestStartsFollowEachOtherWhateverTheClocks(t *testing.T) {
	b := bustest.New(t)
	p, err := openPolicies(t.Context(), options(t, b, "one"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	feed(t, b, 1) // stored now, by the bus's clock
	for _, c := range []struct {
		name      string
		now, last time.Time // this replica's clock, and the newest start
		after     time.Time
	}{
		{"as it should be", begun.Add(time.Minute), begun, begun.Add(time.Minute + notice - 1)},
		{"our clock is behind the bus's", begun.Add(-time.Hour), begun.Add(-2 * time.Hour), begun.Add(notice - 1)},
		{"our clock is behind that of whoever applied last", begun, begun.Add(time.Hour), begun.Add(time.Hour)},
	} {
		from, err := p.start(t.Context(), revision{from: c.last}, c.now)
		if err != nil || !from.After(c.after) {
			t.Errorf("%s: got %v, %v, want later than %v", c.name, from, err, c.after)
		}
	}
}

// The files of a hundred thousand rows are larger than a message.
func TestALargePolicy(t *testing.T) {
	b := bustest.New(t)
	conn, ctx := dialAPI(t, b, nil)
	client := curfewv1.NewPolicyServiceClient(conn)
	files := manyRows(t, 100_000)
	answer, err := client.ApplyPolicy(ctx, &curfewv1.ApplyPolicyRequest{Files: files, Reason: "many"})
	if err != nil || answer.GetRevision().GetObject() == "" {
		t.Fatalf("got %v, %v, want a revision whose files are an object", answer, err)
	}
	got, err := client.GetPolicyRevision(ctx, &curfewv1.GetPolicyRevisionRequest{}, grpc.MaxCallRecvMsgSize(maxRequest))
	if err != nil || !bytes.Equal(got.GetRevision().GetFiles()["policy.csv"], files["policy.csv"]) {
		t.Fatalf("got other files, %v", err)
	}
	o := options(t, b, "two")
	other := &policies{bus: b, catalog: o.Catalog, tenant: o.Tenant, log: o.Log}
	if err := other.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	newest := other.newest()
	if policy, _ := other.now().at(newest.from); policy.Digest() != answer.GetRevision().GetDigest() {
		t.Errorf("another replica: got %s, want %s", policy.Digest(), answer.GetRevision().GetDigest())
	}
}

// manyRows is a policy in which so many people hold one of a tenth as many roles.
func manyRows(t testing.TB, people int) map[string][]byte {
	t.Helper()
	var rows bytes.Buffer
	for role := range people / 10 {
		fmt.Fprintf(&rows, "p, role:r%d, *, google_workspace/drive/%d/*, customer, read, allow\n", role, role%1000)
	}
	for person := range people {
		fmt.Fprintf(&rows, "g, person:p%d, role:r%d\n", person, person%(people/10))
	}
	files := maps.Clone(exampleFiles(t, rows.String()))
	delete(files, "identities.yaml")
	return files
}
