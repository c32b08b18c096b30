// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	unverified = curfewv1.GrantState_GRANT_STATE_UNVERIFIED
	stuck      = curfewv1.GrantState_GRANT_STATE_STUCK
	revoking   = curfewv1.GrantState_GRANT_STATE_REVOKING
	granting   = curfewv1.GrantState_GRANT_STATE_GRANTING

	stageGiving = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING
	stageHeld   = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD
	stageTaking = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING
	stageTaken  = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN
	stageGone   = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE
	stageLeft   = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT
)

// walk appends the next steps of a grant's life, each as change makes it of the one before, and returns the last.
func walk(t *testing.T, b *bus.Bus, g *curfewv1.Grant, changes ...func(*curfewv1.Grant)) *curfewv1.Grant {
	t.Helper()
	subject := bus.GrantSubject("main", g.GetId())
	last := uint64(0)
	if m, err := b.Last(t.Context(), subject); err == nil {
		last = m.Sequence
	}
	for _, change := range changes {
		g = proto.CloneOf(g)
		change(g)
		var err error
		step := &curfewv1.GrantStep{Format: 1, Grant: g, Time: timestamppb.Now(), Author: "service:scheduler"}
		if last, err = b.Append(t.Context(), subject, last, step); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// to lets a grant be in a state, and its first privilege at a stage.
func to(state curfewv1.GrantState, stage curfewv1.PrivilegeStage) func(*curfewv1.Grant) {
	return func(g *curfewv1.Grant) {
		g.State = state
		if len(g.GetPrivileges()) > 0 {
			g.Privileges[0].Stage = stage
		}
	}
}

// findingsUntil waits for findings until done says that they are enough, and returns all that are there then.
func findingsUntil(t *testing.T, b *bus.Bus, done func([]*curfewv1.Finding) bool) []*curfewv1.Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []*curfewv1.Finding
	_ = b.Follow(ctx, bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if all = append(all, f); done(all) {
			return io.EOF
		}
		return nil
	})
	if !done(all) {
		t.Fatalf("got %v", all)
	}
	return all
}

func detections(all []*curfewv1.Finding) (ids []string) {
	for _, f := range all {
		ids = append(ids, f.GetDetection())
	}
	return ids
}

// The life of a grant that goes wrong is told: each finding once however often a step shows it again, and however often
// the evaluator is started anew.
func TestStepsOfGrantsAreFindings(t *testing.T) {
	b := bustest.New(t)
	o := options(t, b, "one")
	stop := start(t, o)
	g := walk(t, b, teamGrant("g-bad", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)),
		func(g *curfewv1.Grant) { g.BreakGlass, g.State = true, granting },
		to(active, stageHeld), to(revoking, stageTaking), to(unverified, stageTaken),
		func(g *curfewv1.Grant) { g.Privileges[0].Trouble = "it is still there" },
		func(g *curfewv1.Grant) { g.Privileges[0].Attempts = 2 },
		func(g *curfewv1.Grant) { g.Pages = 1 }, func(g *curfewv1.Grant) { g.Privileges[0].Attempts = 3 },
		func(g *curfewv1.Grant) { g.Pages = 2 }, func(g *curfewv1.Grant) { g.Pages = 3 },
		func(g *curfewv1.Grant) { g.State, g.Privileges[0].Task = stuck, "Take sam out" },
	)
	want := []string{"break_glass_used", "revocation_overdue", "revocation_overdue", "revocation_overdue", "revocation_stuck", "revocation_unverified"}
	isAll := func(all []*curfewv1.Finding) bool { return len(all) >= len(want) }
	findingsUntil(t, b, isAll)
	stop()
	metrics := httptest.NewRecorder()
	telemetry.Handler(o.Metrics, func(context.Context) error { return nil }).ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if counted := `{detection="revocation_unverified"} 1`; !strings.Contains(metrics.Body.String(), counted) {
		t.Errorf("two steps show the same, and it was told twice: want %s", counted)
	}
	start(t, options(t, b, "two"))
	walk(t, b, g, to(revoked, stageGone))
	walk(t, b, teamGrant("g-end", time.Now(), time.Now().Add(time.Hour)), to(curfewv1.GrantState_GRANT_STATE_FAILED, stageTaking))
	got := findingsUntil(t, b, func(all []*curfewv1.Finding) bool { return slices.Contains(detections(all), "grant_failed") })
	names, ids := detections(got), map[string]bool{}
	slices.Sort(names)
	if !slices.Equal(names, append([]string{"break_glass_used", "grant_failed"}, want[1:]...)) {
		t.Errorf("got %q", names)
	}
	for _, f := range got {
		ids[f.GetId()] = true
		if f.GetGrantId() != "g-bad" && f.GetGrantId() != "g-end" {
			t.Errorf("finding without its grant: %v", f)
		}
		if f.GetDetection() == "revocation_overdue" && (f.GetSeverity() == curfewv1.Severity_SEVERITY_CRITICAL) != strings.Contains(f.GetTitle(), "page 3") {
			t.Errorf("got %v: %s", f.GetSeverity(), f.GetTitle())
		}
	}
	if len(ids) != len(want)+1 {
		t.Errorf("got %d ids", len(ids))
	}
}

// A step that nobody can read is a dead letter, and those behind it are told and have their receipts.
func TestAnUnreadableStepStopsNothing(t *testing.T) {
	b := bustest.New(t)
	bad := &curfewv1.DeadLetter{Raw: []byte{0xff}, Line: 1 << 60, Id: "x", Service: "x", Reason: "x", Detail: "x", Origin: "no step"}
	if _, err := b.Append(t.Context(), bus.GrantSubject("main", "g-x"), 0, bad); err != nil {
		t.Fatal(err)
	}
	start(t, options(t, b, "one"))
	walk(t, b, teamGrant("g-1", time.Now(), time.Now().Add(time.Hour)), to(curfewv1.GrantState_GRANT_STATE_FAILED, stageTaking))
	findingsUntil(t, b, func(all []*curfewv1.Finding) bool { return slices.Contains(detections(all), "grant_failed") })
	if got := receiptsUntil(t, b, 1); got[0].GetAction() != "grants.failed" {
		t.Errorf("got %v", got)
	}
	if _, err := b.Last(t.Context(), bus.All("dead")); err != nil {
		t.Errorf("the step must be among the dead letters: %v", err)
	}
}

// receiptsUntil waits for n receipts, and returns all that are there.
func receiptsUntil(t *testing.T, b *bus.Bus, n int) (all []*curfewv1.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = b.Follow(ctx, bus.EventSubject("main", "curfew", "grants"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		if all = append(all, batch.GetEvents()...); len(all) >= n {
			return io.EOF
		}
		return nil
	})
	if len(all) < n {
		t.Fatalf("got %d receipts, want %d: %v", len(all), n, all)
	}
	return all
}

// The access log holds the receipt of what became of each grant, once each through restarts and replicas, and no policy
// needs a row for it.
func TestGrantsHaveReceipts(t *testing.T) {
	for _, dir := range []string{exampleDir, ""} {
		b := bustest.New(t)
		o := options(t, b, "one")
		o.PolicyDir = dir
		stop := start(t, o)
		g := walk(t, b, teamGrant("g-1", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)),
			to(curfewv1.GrantState_GRANT_STATE_REQUESTED, 0), to(approved, 0), to(granting, stageGiving), to(active, stageHeld),
			func(g *curfewv1.Grant) { g.Told = append(g.Told, curfewv1.NoticeKind_NOTICE_KIND_ACTIVE) },
			func(g *curfewv1.Grant) { g.ExpiresAt = timestamppb.New(time.Now().Add(-time.Minute)) },
		)
		receiptsUntil(t, b, 2)
		stop()
		g = walk(t, b, g, to(revoking, stageTaking), to(stuck, stageTaking), to(revoking, stageTaken), func(g *curfewv1.Grant) {
			g.State, g.Privileges[0].Stage, g.Privileges[0].Gone = revoked, stageGone, timestamppb.Now()
			g.Privileges[0].Reads = []string{"GET /api/v1/groups/00g1/users: 200"}
		})
		o.Holder = "two"
		stop = start(t, o)
		receiptsUntil(t, b, 4)
		stop()
		for _, o.Holder = range []string{"three", "four"} {
			start(t, o)
		}
		walk(t, b, g, func(g *curfewv1.Grant) { g.Told = append(g.Told, curfewv1.NoticeKind_NOTICE_KIND_ENDED) })
		for id, state := range map[string]curfewv1.GrantState{"g-2": curfewv1.GrantState_GRANT_STATE_DENIED, "g-3": cancelled} {
			walk(t, b, teamGrant(id, time.Now(), time.Now().Add(time.Hour)), to(curfewv1.GrantState_GRANT_STATE_REQUESTED, 0), to(state, 0))
		}
		checkReceipts(t, b, g)
	}
}

func checkReceipts(t *testing.T, b *bus.Bus, g *curfewv1.Grant) {
	t.Helper()
	var actions []string
	ids := map[string]bool{}
	for _, e := range receiptsUntil(t, b, 6) {
		actions = append(actions, e.GetAction())
		ids[e.GetId()] = true
		if e.GetActor().GetType() != curfewv1.ActorType_ACTOR_TYPE_SERVICE || e.GetActor().GetId() != "scheduler" {
			t.Errorf("got %v", e.GetActor())
		}
		if d := decisionOf(t, b, e.GetId()); d.GetVerdict() != allowed || d.GetSubject() != "service:scheduler" {
			t.Errorf("%s: got %v of %s because %q", e.GetAction(), d.GetVerdict(), d.GetSubject(), d.GetReason())
		}
		if e.GetAction() == "grants.ended" {
			receipt := new(curfewv1.Grant)
			if err := protojson.Unmarshal(e.GetRaw(), receipt); err != nil || !proto.Equal(receipt, g) {
				t.Errorf("got %v, %v, want %v", receipt, err, g)
			}
		}
	}
	first := strings.Join(actions[:4], " ")
	slices.Sort(actions)
	if first != "grants.active grants.extended grants.stuck grants.ended" || len(actions) != 6 || len(ids) != 6 ||
		!slices.Contains(actions, "grants.denied") || !slices.Contains(actions, "grants.cancelled") {
		t.Errorf("got %q with %d ids", actions, len(ids))
	}
}
