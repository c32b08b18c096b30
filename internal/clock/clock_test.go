// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// machine is one whose clocks a test moves: true time passes, and the wall clock shows what somebody set.
type machine struct {
	passed time.Duration
	set    time.Duration
	said   []string
}

func (m *machine) clock() *system {
	return newSystem(func() time.Duration { return m.passed }, func() time.Time { return noon.Add(m.passed + m.set) }, func(step time.Duration, believed bool) {
		m.said = append(m.said, fmt.Sprint(step, " ", believed))
	})
}

// Bar: with steps of an hour and a day both ways, and a suspend of eight hours, nothing ends more than a second early or
// five late.
func TestAStepOfTheWallClockMovesNothingAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
	}{{"an hour ahead", time.Hour}, {"an hour back", -time.Hour}, {"a day ahead", 24 * time.Hour}, {"a day back", -24 * time.Hour}, {"three seconds", 3 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{}
			clock := m.clock()
			m.passed += time.Minute
			m.set = c.step
			for range 599 {
				if got, want := clock.Now(), noon.Add(m.passed); !got.Equal(want) {
					t.Fatalf("after %v: got %v, want %v", m.passed, got, want)
				}
				m.passed += time.Second
			}
			if want := []string{fmt.Sprint(c.step, " false")}; !slices.Equal(m.said, want) {
				t.Errorf("said: got %q, want %q", m.said, want)
			}
			m.passed += time.Second
			if got, want := clock.Now(), noon.Add(m.passed+c.step); !got.Equal(want) {
				t.Errorf("after ten minutes: got %v, want it believed: %v", got, want)
			}
			if want := []string{fmt.Sprint(c.step, " false"), fmt.Sprint(c.step, " true")}; !slices.Equal(m.said, want) {
				t.Errorf("said: got %q, want %q", m.said, want)
			}
		})
	}
}

func TestASuspendCounts(t *testing.T) {
	m := &machine{}
	clock := m.clock()
	m.passed += 8 * time.Hour // both clocks go on, and nobody asks meanwhile
	if got, want := clock.Now(), noon.Add(8*time.Hour); !got.Equal(want) || len(m.said) != 0 {
		t.Errorf("got %v and %q, want %v and nothing said", got, m.said, want)
	}
}

func TestSmallDifferencesAreFollowed(t *testing.T) {
	m := &machine{}
	clock := m.clock()
	for range 100 { // as a badly running clock is put right
		m.set -= 1500 * time.Millisecond
		m.passed += time.Minute
		if got, want := clock.Now(), noon.Add(m.passed+m.set); !got.Equal(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if len(m.said) != 0 {
		t.Errorf("said %q, want nothing", m.said)
	}
}

func TestAStepThatIsTakenBackIsForgotten(t *testing.T) {
	m := &machine{}
	clock := m.clock()
	for i := range 40 {
		m.set = time.Hour * time.Duration(i%2)
		m.passed += time.Minute
		if got, want := clock.Now(), noon.Add(m.passed); !got.Equal(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	m.set = time.Hour
	clock.Now()
	m.passed += 9 * time.Minute
	m.set = 2 * time.Hour // another: its ten minutes begin anew
	clock.Now()
	m.passed += 9 * time.Minute
	if got, want := clock.Now(), noon.Add(m.passed); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTwoNodesStayAsFarApartAsTheyWere(t *testing.T) {
	one, two := &machine{}, &machine{set: 5 * time.Second}
	first, second := one.clock(), two.clock()
	for _, m := range []*machine{one, two} {
		m.passed += time.Hour
	}
	two.set += time.Hour
	if got := second.Now().Sub(first.Now()); got != 5*time.Second {
		t.Errorf("got %v apart, want 5s", got)
	}
}

func TestTheMachinesOwnClock(t *testing.T) {
	clock := System(nil)
	before := time.Now().Round(0)
	woke := <-clock.After(time.Millisecond)
	if now := clock.Now(); woke.Before(before) || now.Before(woke) {
		t.Errorf("got %v, then %v, want them behind %v", woke, now, before)
	}
	if a, b := (boot{running{time.Now()}}).elapsed(), (running{time.Now()}).elapsed(); a < b {
		t.Errorf("since the machine started: got %v, want more than since now", a)
	}
}
