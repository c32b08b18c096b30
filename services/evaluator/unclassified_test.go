// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// kindEvents is as many reads of as many objects of a kind.
func kindEvents(source, kind string, n int) []*curfewv1.Event {
	events := make([]*curfewv1.Event, n)
	for i := range events {
		now := timestamppb.Now()
		events[i] = &curfewv1.Event{
			Id: fmt.Sprintf("%s:%s-%d", source, kind, i), Tenant: "main", Source: source, Feed: "drive", Action: "view", Act: "read", Time: now, Received: now,
			Actor:    &curfewv1.Actor{Id: "1001", Email: "sam@linden-lark.example.com"},
			Resource: &curfewv1.Resource{Path: fmt.Sprintf("%s/%d", kind, i), Kind: kind},
		}
	}
	return events
}

func standardJudge(t *testing.T) *judge.Judge {
	t.Helper()
	policy, err := judge.StandardPolicy(loadCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	return &judge.Judge{Tenant: "main", Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} }}
}

// told is how often each finding was published, by title.
func told(t *testing.T, b *bus.Bus) map[string]int {
	t.Helper()
	counts := map[string]int{}
	if err := b.Read(t.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.GetDetection() == detection.UnclassifiedKind {
			counts[f.GetTitle()]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

func TestWhatNobodyClassifiedIsToldOnceAKind(t *testing.T) {
	b, by := bustest.New(t), standardJudge(t)
	o, one, two := options(t, b, "one"), new(gaps), new(gaps)
	tell := func(g *gaps, events []*curfewv1.Event) {
		t.Helper()
		decisions := make([]*curfewv1.Decision, len(events))
		for i, e := range events {
			decisions[i] = by.Decide(e)
		}
		if err := g.tell(t.Context(), o, by, events, decisions); err != nil {
			t.Fatal(err)
		}
	}
	tell(one, kindEvents("google_workspace", "basket", 500))
	tell(one, kindEvents("google_workspace", "basket", 500))
	tell(one, kindEvents("google_workspace", "shelf", 5))
	tell(one, kindEvents("own_shop", "basket", 5))
	tell(one, kindEvents("google_workspace", "file", 5))
	tell(two, kindEvents("google_workspace", "basket", 5)) // another replica: the same id, so the same message
	want := map[string]int{
		"Nobody has said what data the kind basket of google_workspace holds": 1,
		"Nobody has said what data the kind shelf of google_workspace holds":  1,
		"Nobody has said what data the kind basket of own_shop holds":         1,
	}
	if got := told(t, b); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Kinds without end, which somebody who can write to a log might make up, are neither told nor remembered without end.
func TestKindsWithoutEnd(t *testing.T) {
	b, by := bustest.New(t), standardJudge(t)
	o, g := options(t, b, "one"), new(gaps)
	for i := range maxGaps + 50 {
		events := kindEvents("google_workspace", fmt.Sprint("kind", i), 1)
		if err := g.tell(t.Context(), o, by, events, []*curfewv1.Decision{by.Decide(events[0])}); err != nil {
			t.Fatal(err)
		}
	}
	titles := told(t, b)
	rest := slices.DeleteFunc(slices.Collect(maps.Keys(titles)), func(title string) bool { return !strings.Contains(title, "very many things of google_workspace") })
	if len(titles) != maxGaps+1 || len(rest) != 1 || len(g.told) != maxGaps+1 {
		t.Errorf("got %d findings, %d of them for the rest, and %d remembered, want %d, 1 and %d", len(titles), len(rest), len(g.told), maxGaps+1, maxGaps+1)
	}
}
