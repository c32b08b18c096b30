// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"io"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Rows of the policies in force before, at and after the end of sam's grant.
const (
	lowRow     = "p, role:anyone, *, *, level:low, *, allow\n"
	analystRow = "p, role:analyst, *, *, customer, export, allow\n"
	personRow  = "p, role:person, *, *, customer, export, allow\n"
	nobodyRow  = "p, role:person, *, *, customer, export, deny\n"
)

// An event stamped one second before a grant's end arrives an hour late and is allowed, one stamped a second after is a
// violation: whatever the policies before and since say, the one in force at that second judges.
func TestLateEventsAreJudgedByTheRightsOfTheirOwnTime(t *testing.T) {
	end := time.Now().Add(-time.Hour)
	began, until := timestamppb.New(end.Add(-2*time.Hour)), timestamppb.New(end)
	grant := func(change func(*curfewv1.Grant)) *curfewv1.Grant {
		g := &curfewv1.Grant{Id: "g-late", Tenant: "main", Subject: "person:sam", Role: "role:analyst", State: active, From: began, ExpiresAt: until}
		change(g)
		return g
	}
	ranOut := []*curfewv1.Grant{grant(func(*curfewv1.Grant) {})}
	revokedThen := []*curfewv1.Grant{
		grant(func(g *curfewv1.Grant) { g.ExpiresAt = in(time.Hour) }),
		grant(func(g *curfewv1.Grant) { g.ExpiresAt, g.State, g.EndedAt = in(time.Hour), revoked, until }),
	}
	for _, c := range []struct {
		name          string
		before, since string // rows of the policies before and after the one at the grant's end
		steps         []*curfewv1.Grant
	}{
		{"it ran out; since then the role lost the right", lowRow, lowRow, ranOut},
		{"it ran out; since then everybody has the right", lowRow, lowRow + personRow, ranOut},
		{"it ran out; since then everybody is denied", lowRow + personRow, lowRow + analystRow + nobodyRow, ranOut},
		{"it was revoked; since then everybody has the right", lowRow, lowRow + personRow, revokedThen},
		{"it was revoked; before it everybody was denied", lowRow + nobodyRow, lowRow, revokedThen},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bustest.New(t)
			o := options(t, b, "one")
			o.PolicyDir = ""
			digest := storePolicies(t, &o, map[time.Duration]string{-3 * time.Hour: c.before, -time.Minute: lowRow + analystRow, time.Minute: c.since}, end)
			last := uint64(0)
			for i, g := range c.steps {
				var err error
				step := &curfewv1.GrantStep{Format: 1, Grant: g, Time: []*timestamppb.Timestamp{began, until}[i]}
				if last, err = b.Append(t.Context(), bus.GrantSubject("main", "g-late"), last, step); err != nil {
					t.Fatal(err)
				}
			}
			start(t, o)
			got := arrive(t, b, end.Add(-time.Second), end.Add(time.Second))
			inTime, tooLate := got[0], got[1]
			if inTime.GetVerdict() != curfewv1.Verdict_VERDICT_ALLOWED || inTime.GetGrantId() != "g-late" {
				t.Errorf("a second before the end: got %v by grant %q because %q, want allowed by the grant", inTime.GetVerdict(), inTime.GetGrantId(), inTime.GetReason())
			}
			if tooLate.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || tooLate.GetGrantId() != "" {
				t.Errorf("a second after the end: got %v by grant %q because %q, want a violation", tooLate.GetVerdict(), tooLate.GetGrantId(), tooLate.GetReason())
			}
			if inTime.GetPolicyDigest() != digest || tooLate.GetPolicyDigest() != digest {
				t.Errorf("got policies %s and %s, want %s, in force at the end", inTime.GetPolicyDigest(), tooLate.GetPolicyDigest(), digest)
			}
		})
	}
}

// storePolicies stores three revisions by when they come into force, from the end of the grant on, lets o have the newest
// as its folder, and returns the digest of the second.
func storePolicies(t *testing.T, o *Options, rows map[time.Duration]string, end time.Time) (second string) {
	t.Helper()
	files, err := judge.ReadFiles(exampleDir)
	if err != nil {
		t.Fatal(err)
	}
	p := &policies{bus: o.Bus, catalog: o.Catalog, tenant: o.Tenant, log: o.Log}
	o.PolicyDir = t.TempDir()
	for _, after := range []time.Duration{-3 * time.Hour, -time.Minute, time.Minute} {
		files["policy.csv"] = []byte(rows[after])
		policy, err := judge.NewPolicy(maps.Clone(files), o.Catalog)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.store(t.Context(), policy, "test", "test", end.Add(after)); err != nil {
			t.Fatal(err)
		}
		if err := p.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, content := range policy.Files() {
			writeFile(t, o.PolicyDir, name, string(content))
		}
	}
	if err := checkUnchanged(t.Context(), *o); err != nil {
		t.Fatal(err)
	}
	return p.now()[1].policy.Digest()
}

// checkUnchanged makes sure that the folder is the newest revision: else the evaluator would make one more.
func checkUnchanged(ctx context.Context, o Options) error {
	p, err := openPolicies(ctx, o)
	if err == nil && p.newest().number != 3 {
		return errors.New("the folder is not the newest revision")
	}
	return err
}

// arrive lets one batch come now, with an export of sam's stamped with each time, and returns the decisions.
func arrive(t *testing.T, b *bus.Bus, times ...time.Time) []*curfewv1.Decision {
	t.Helper()
	batch := &curfewv1.EventBatch{Format: 1, Tenant: "main", Source: "google_workspace", Feed: "drive", Received: timestamppb.Now()}
	for _, at := range times {
		e := driveEvent("sam@linden-lark.example.com", "download", "export")
		e.Id, e.Time = "google_workspace:"+at.String(), timestamppb.New(at)
		batch.Events = append(batch.Events, e)
	}
	if _, err := b.Append(t.Context(), bus.EventSubject("main", "google_workspace", "drive"), 0, batch); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	decisions := new(curfewv1.DecisionBatch)
	err := b.Follow(ctx, bus.DecisionSubject("main", "google_workspace", "drive"), bus.From{}, func(m bus.Message) error {
		return errors.Join(m.Decode(decisions), io.EOF)
	})
	if !errors.Is(err, io.EOF) || len(decisions.GetDecisions()) != len(times) {
		t.Fatalf("got %v, %v, want %d decisions", decisions, err, len(times))
	}
	return decisions.GetDecisions()
}
