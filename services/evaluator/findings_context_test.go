// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const contextPolicy = `p, role:anyone, *, *, level:low, *, allow
p, role:support, *, *, customer, read, allow
p, role:support, *, *, audit, read, allow
p, role:finance, *, okta/*, payment, export, allow
p, role:exporter, *, *, pii.contact, export, allow
p, role:boss, *, *, *, *, allow
p, role:odd, *, *, chd, *, deny
g, person:sam, role:support
g, person:sam, role:finance
`

// firstFinding is the first finding about an event.
func firstFinding(t *testing.T, b *bus.Bus, id string) (found *curfewv1.Finding) {
	t.Helper()
	end := errors.New("found")
	if err := b.Follow(t.Context(), bus.All("finding", "main"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return err
		}
		if f.GetEvent().GetId() == id {
			found = f
			return end
		}
		return nil
	}); !errors.Is(err, end) {
		t.Fatal(err)
	}
	return found
}

// A finding says what else its subject could reach, what would have allowed it, what they hold for a time, and how often they
// did it before.
func TestWhatAFindingKnows(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": contextPolicy, "identities.yaml": groupPeople, "classes.yaml": filesOfCustomers})
	o.State = state.NewMemory()
	g := teamGrant("g-1", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	g.Role = "role:odd"
	walk(t, b, g, func(g *curfewv1.Grant) { g.State = curfewv1.GrantState_GRANT_STATE_ACTIVE })
	start(t, o)
	act(t, b, "google_workspace", "google_workspace:1", time.Now().Add(-2*time.Second))
	first := firstFinding(t, b, "google_workspace:1").GetContext()
	if got, want := strings.Join(first.GetReach(), "\n"), strings.Join([]string{
		"finance (sensitivity 4) at okta: export", "payment (sensitivity 4) at okta: export", "pii.contact (sensitivity 4) at every source: read", "audit (sensitivity 3) at every source: read",
		"customer (sensitivity 3) at every source: read", "order (sensitivity 3) at every source: read",
	}, "\n"); got != want {
		t.Errorf("reach: got\n%s\nwant\n%s", got, want)
	}
	if got := strings.Join(first.GetAllowingRoles(), " "); got != "role:exporter role:boss" {
		t.Errorf("roles: got %q, want the least powerful first", got)
	}
	if len(first.GetGrants()) != 1 || first.GetGrants()[0].GetId() != "g-1" || !strings.HasPrefix(first.GetGrants()[0].GetText(), `role:odd (okta group "Payments") until 20`) {
		t.Errorf("grants: got %v", first.GetGrants())
	}
	for i := range 3 {
		act(t, b, "google_workspace", fmt.Sprint("google_workspace:more", i), time.Now())
		firstFinding(t, b, fmt.Sprint("google_workspace:more", i))
	}
	act(t, b, "google_workspace", "google_workspace:last", time.Now().Add(time.Second))
	history := firstFinding(t, b, "google_workspace:last").GetContext().GetHistory()
	if len(history) != 1 || !strings.HasPrefix(history[0], "export of pii.contact by person:sam: 4 times in the last 30 days before this, of which Curfew has watched") {
		t.Errorf("history: got %q", history)
	}
}

// BenchmarkFindingContext is what findings cost besides the decision, by a policy of 1,000 roles with 10 rows each: the first
// of a subject, and the next.
func BenchmarkFindingContext(b *testing.B) {
	rows := []string{lowRow}
	for role := range 1000 {
		for row := range 10 {
			rows = append(rows, fmt.Sprintf("p, role:%d, *, google_workspace/drive-%d/*, pii.contact, export, allow\n", role, row))
		}
	}
	policy, err := judge.NewPolicy(map[string][]byte{"policy.csv": []byte(strings.Join(rows, "")), "classes.yaml": []byte(filesOfCustomers)}, loadCatalog(b))
	if err != nil {
		b.Fatal(err)
	}
	known := temporal.NewFold().Known()
	e := driveEvent("sam@linden-lark.example.com", "download", "export")
	fresh := func() *picture {
		return &picture{Judge: &judge.Judge{Tenant: "main", Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} }, Known: known}}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			p := fresh()
			p.context(e, p.Decide(e))
		}
	})
	b.Run("next", func(b *testing.B) {
		p := fresh()
		for b.Loop() {
			p.context(e, p.Decide(e))
		}
	})
}

// BenchmarkRemember is what counting costs each judged event that is sensitive.
func BenchmarkRemember(b *testing.B) {
	o := options(b, bustest.New(b), "one")
	o.State = state.NewMemory()
	policies, err := openPolicies(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	l := &lane{evaluator: newEvaluator(b, o, policies), source: "google_workspace", feed: "drive"}
	by, err := l.knowledge.since(b.Context(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	c := &considered{by: by, answer: &curfewv1.DecisionBatch{}}
	for i := range 1000 {
		d := by.Decide(driveEvent("ann@linden-lark.example.com", "download", "export"))
		d.Subject = fmt.Sprint("person:", i)
		c.answer.Decisions = append(c.answer.Decisions, d)
	}
	for i := 0; b.Loop(); i++ {
		for n, d := range c.answer.GetDecisions() {
			d.EventId = fmt.Sprint(i, "/", n)
		}
		l.remember(b.Context(), c)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

// broken is derived state that does not answer.
type broken struct {
	state.Store
	asked atomic.Int64
}

func (b *broken) Note(context.Context, string, string, time.Time, time.Duration) error {
	b.asked.Add(1)
	return errors.New("it is away")
}

func (b *broken) Next(context.Context, string) (time.Time, bool, error) {
	b.asked.Add(1)
	return time.Time{}, false, errors.New("it is away")
}

// Without derived state findings come all the same, and say what is not known; it is not asked again and again.
func TestFindingsWithoutDerivedState(t *testing.T) {
	b := bustest.New(t)
	o := ago(t, b, map[string]string{"policy.csv": contextPolicy, "identities.yaml": groupPeople, "classes.yaml": filesOfCustomers})
	away := &broken{Store: state.NewMemory()}
	o.State = away
	start(t, o)
	for i := range 20 {
		act(t, b, "google_workspace", fmt.Sprint("google_workspace:", i), time.Now())
		history := firstFinding(t, b, fmt.Sprint("google_workspace:", i)).GetContext().GetHistory()
		if len(history) != 1 || history[0] != "how often before: not known, since derived state does not answer" {
			t.Fatalf("got %q", history)
		}
	}
	if asked := away.asked.Load(); asked > 2 {
		t.Errorf("it was asked %d times, want it left alone", asked)
	}
}

func TestHowOften(t *testing.T) {
	one, month := deed{"person:sam", "export", "pii.contact"}, 30*24*time.Hour
	for _, c := range []struct {
		count   int
		watched time.Duration
		want    string
	}{
		{0, 12*24*time.Hour + time.Hour, "never before in the 12 days that Curfew has watched"},
		{0, 30 * time.Second, "never before in the few moments that Curfew has watched"},
		{0, -time.Hour, "not known how often before, since Curfew counts since 2026-11-02T10:00:00Z alone"},
		{0, month, "never in the last 30 days before this"},
		{1, month, "once in the last 30 days before this"},
		{3, month, "3 times in the last 30 days before this"},
		{3, 25 * time.Hour, "3 times in the last 30 days before this, of which Curfew has watched 1 day"},
		{50, time.Hour, "at least 50 times in the last 30 days before this"},
	} {
		if got, want := one.say(c.count, morning, morning.Add(-c.watched)), "export of pii.contact by person:sam: "+c.want; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
