// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/clock/clocktest"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/state"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// timeline is what happens, when, and what people should see of it in the end: no message missing, none too many.
type timeline struct {
	name     string
	replicas int
	begin    []burst
	// faults is how many in a hundred posts go wrong, in turn: refused, too fast, reply lost.
	faults int
	// ends is when a replica ends, each followed by one that begins.
	ends []time.Duration
	// silent is until when the place takes nothing at all.
	silent time.Duration
}

// burst is findings that come at once.
type burst struct {
	at     time.Duration
	alerts int // each of another person
	each   int // findings of each
	of     curfewv1.Severity
}

const (
	lowly  = curfewv1.Severity_SEVERITY_LOW
	urgent = curfewv1.Severity_SEVERITY_CRITICAL
)

// TestTimelines plays each timeline and compares what people see with what they should.
func TestTimelines(t *testing.T) {
	many := 10_000
	if testing.Short() {
		many = 2000
	}
	for _, line := range []timeline{
		{name: "one alert, three notifiers", replicas: 3, begin: []burst{{alerts: 1, each: 1, of: urgent}}},
		{name: "three notifiers, trouble and ends", replicas: 3, faults: 30, begin: []burst{
			{alerts: 300, each: 2, of: lowly}, {at: 3 * time.Second, alerts: 3, each: 1, of: urgent}, {at: 10 * time.Second, alerts: 200, each: 1, of: lowly},
		}, ends: []time.Duration{2 * time.Second, 5 * time.Second, 9 * time.Second}},
		{name: "a day of silence", replicas: 1, silent: 24 * time.Hour, begin: []burst{
			{alerts: 100, each: 1, of: lowly}, {at: time.Hour, alerts: 20, each: 1, of: urgent}, {at: 20 * time.Hour, alerts: 100, each: 3, of: lowly},
		}},
		{name: "many, three notifiers", replicas: 3, faults: 5, begin: []burst{{alerts: many, each: 1, of: lowly}}, ends: []time.Duration{4 * time.Second, 30 * time.Second}},
	} {
		t.Run(line.name, func(t *testing.T) {
			t.Parallel()
			got, counts := line.play(t)
			want, wantCounts := map[string]int{}, map[string]uint64{}
			for i, burst := range line.begin {
				for j := range burst.alerts {
					want[person(i, j)], wantCounts[person(i, j)] = 1, uint64(burst.each)
				}
			}
			if diff := cmp.Diff(want, got.entities()); diff != "" {
				t.Errorf("what people see (-want +got, of each how often):\n%.2000s", diff)
			}
			if diff := cmp.Diff(wantCounts, counts); diff != "" {
				t.Errorf("findings counted (-want +got):\n%.2000s", diff)
			}
			got.checkOrder(t)
			if line.silent > 0 {
				got.checkCriticalFirst(t)
			}
		})
	}
}

// A cluster shows what one notifier shows.
func TestAClusterShowsWhatOneShows(t *testing.T) {
	line := timeline{begin: []burst{{alerts: 40, each: 3, of: lowly}, {at: time.Second, alerts: 2, each: 1, of: urgent}}}
	shown := func(replicas int) (map[string]int, map[string]uint64) {
		line.replicas = replicas
		p, counts := line.play(t)
		return p.entities(), counts
	}
	seenByOne, countsOfOne := shown(1)
	seenByThree, countsOfThree := shown(3)
	if diff := cmp.Diff(seenByOne, seenByThree); diff != "" {
		t.Errorf("what people see of one and three (-one +three):\n%s", diff)
	}
	if diff := cmp.Diff(countsOfOne, countsOfThree); diff != "" {
		t.Errorf("what one and three counted (-one +three):\n%s", diff)
	}
}

func person(burst, n int) string { return fmt.Sprintf("person:%d-%d", burst, n) }

// entities is how often the alert of each entity is shown in messages.
func (p *place) entities() map[string]int {
	times := map[string]int{}
	for _, m := range p.messages {
		for _, a := range m.alerts {
			times[a.GetEntity()]++
		}
	}
	return times
}

func title(burst, who, finding int) string { return fmt.Sprintf("%d/%05d/%d", burst, who, finding) }

// play plays the timeline until every alert was shown, and a while longer, in which nothing more may come.
func (l timeline) play(t *testing.T) (p *place, counts map[string]uint64) {
	t.Helper()
	b, store, c := bustest.New(t), state.NewMemory(), clocktest.New(time.Now())
	begun := c.Now()
	p = newPlace()
	p.now = c.Now
	faulty := rand.New(rand.NewPCG(1, 2))
	p.fault = func(call string) error { // under the place's lock
		switch {
		case c.Now().Sub(begun) < l.silent:
			return &delivery.Refused{Reason: "nobody is there"}
		case call != "post" || faulty.IntN(100) >= l.faults:
			return nil
		}
		return []error{&delivery.Refused{Reason: "no"}, &delivery.Refused{Reason: "too fast", After: 2 * time.Second}, errLost}[faulty.IntN(3)]
	}
	stops := make([]func(), l.replicas)
	start := func(i int) {
		stops[i] = run(t, b, map[string]Receiver{"place": p}, withClock(c), withState(store), func(o *Options) { o.Holder = fmt.Sprint("replica", i, time.Now().UnixNano()) })
	}
	for i := range stops {
		start(i)
	}
	reached := func(at time.Duration) {
		for left := at - c.Now().Sub(begun); left > 0; left = at - c.Now().Sub(begun) {
			c.Move(min(left, max(time.Second, l.silent/2000)))
			<-time.After(2 * time.Millisecond)
		}
	}
	ends := l.ends
	total := 0
	for i, burst := range l.begin {
		for len(ends) > 0 && ends[0] <= burst.at {
			reached(ends[0])
			stops[len(ends)%l.replicas]()
			start(len(ends) % l.replicas)
			ends = ends[1:]
		}
		reached(burst.at)
		storm(t, b, i, burst)
		total += burst.alerts
	}
	reached(l.silent)
	done := moving(t, c)
	for _, at := range ends {
		p.until(t, "the next end", func() bool { return c.Now().Sub(begun) >= at })
		stops[len(ends)%l.replicas]()
		start(len(ends) % l.replicas)
	}
	p.until(t, "every alert is shown", func() bool { return len(p.entities()) == total })
	findings := 0
	for _, burst := range l.begin {
		findings += burst.alerts * burst.each
	}
	p.until(t, "every finding is counted", func() bool { // one that a notifier took with it comes again after a while
		counts = counted(t, b)
		all := 0
		for _, n := range counts {
			all += int(n)
		}
		return all == findings
	})
	until := c.Now().Add(2 * time.Minute)
	p.until(t, "nothing more comes for a while", func() bool { return c.Now().After(until) })
	done()
	for _, stop := range stops {
		stop()
	}
	return p, counted(t, b)
}

// counted is how many findings each alert counts.
func counted(t *testing.T, b *bus.Bus) map[string]uint64 {
	t.Helper()
	counts := map[string]uint64{}
	if err := b.Read(t.Context(), bus.All("alert"), bus.From{Newest: true}, func(m bus.Message) error {
		step := new(curfewv1.AlertStep)
		err := m.Decode(step)
		if a := step.GetAlert(); !isBlind(a.GetFinding()) { // that the place took nothing is found as well
			counts[a.GetEntity()] = a.GetCount()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

// storm stores findings.
func storm(t *testing.T, b *bus.Bus, n int, of burst) {
	t.Helper()
	for finding := range of.each {
		for who := range of.alerts {
			f := &curfewv1.Finding{
				Format: 1, Id: title(n, who, finding), Tenant: "main", Severity: of.of, Detection: "export_of_many", Title: title(n, who, finding),
				Event:    &curfewv1.Event{Id: title(n, who, finding), Source: "okta"},
				Decision: &curfewv1.Decision{Subject: person(n, who), Classes: []string{"order"}},
			}
			if _, err := b.Publish(t.Context(), bus.FindingSubject(f), f.GetId(), f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkOrder says where something less severe stands before something critical that waited at the same time.
func (p *place) checkOrder(t *testing.T) {
	t.Helper()
	for _, m := range p.messages {
		for i, a := range m.alerts {
			if i > 0 && a.GetSeverity() > m.alerts[i-1].GetSeverity() {
				t.Errorf("in %s %s stands behind what is less severe", m.ref, a.GetFinding().GetTitle())
			}
		}
	}
}

// checkCriticalFirst says where something less severe came back before something critical.
func (p *place) checkCriticalFirst(t *testing.T) {
	t.Helper()
	before := ""
	for _, m := range p.messages {
		for _, a := range m.alerts {
			switch {
			case a.GetSeverity() < urgent:
				before = a.GetFinding().GetTitle()
			case before != "":
				t.Errorf("%s is critical, and came behind %s", a.GetFinding().GetTitle(), before)
			}
		}
	}
}
