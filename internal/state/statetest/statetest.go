// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package statetest holds every state.Store to the same promises.
package statetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/state"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// Run runs the kit. Open returns an empty store; pass lets a time go by for it. Unit is what the kit counts in where a
// store's own clock runs: a second, or less where passing time takes time.
func Run(t *testing.T, unit time.Duration, open func(t *testing.T) (store state.Store, pass func(time.Duration))) {
	t.Run("a set holds each member once, until it ends", func(t *testing.T) {
		s, pass := open(t)
		add := func(set, member string) bool {
			t.Helper()
			added, err := s.Add(t.Context(), set, member, 60*unit)
			if err != nil {
				t.Fatal(err)
			}
			return added
		}
		if !add("a:b", "c") || add("a:b", "c") {
			t.Error("the first Add must be new and the second not")
		}
		if !add("a", "b:c") || !add("other", "c") {
			t.Error("another set's members must be its own, however the names are cut")
		}
		pass(40 * unit)
		if add("a:b", "c") {
			t.Error("a member must last for its ttl")
		}
		pass(40 * unit)
		if add("a:b", "c") {
			t.Error("an Add must make a member last anew")
		}
		pass(120 * unit)
		if !add("a:b", "c") {
			t.Error("a member must end")
		}
	})

	t.Run("a window counts twice and late once", func(t *testing.T) {
		s, _ := open(t)
		for _, n := range []struct {
			member string
			after  time.Duration
		}{{"1", 0}, {"3", 2 * time.Minute}, {"2", time.Minute}, {"1", 0}, {"3", time.Minute}} {
			if err := s.Note(t.Context(), "w", n.member, noon.Add(n.after), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			from, until time.Duration
			want        int
		}{{0, time.Hour, 3}, {0, 2 * time.Minute, 2}, {2 * time.Minute, time.Hour, 1}, {3 * time.Minute, time.Hour, 0}} {
			got, err := s.Count(t.Context(), "w", noon.Add(c.from), noon.Add(c.until))
			if err != nil || got != c.want {
				t.Errorf("count [%v, %v): got %d, %v, want %d", c.from, c.until, got, err, c.want)
			}
		}
		if err := s.Note(t.Context(), "w", "4", noon.Add(62*time.Minute), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Count(t.Context(), "w", noon, noon.Add(2*time.Hour)); err != nil || got != 2 {
			t.Errorf("what is older than keep must go: got %d, %v, want 2", got, err)
		}
	})

	t.Run("a bucket gives its burst, then its rate", func(t *testing.T) {
		s, _ := open(t)
		const interval = time.Hour // so long that the test's own pace does not matter
		for i := range 3 {
			if wait, err := s.Take(t.Context(), "b", 3, interval); err != nil || wait != 0 {
				t.Fatalf("token %d of the burst: got %v, %v", i, wait, err)
			}
		}
		wait, err := s.Take(t.Context(), "b", 3, interval)
		if err != nil || wait <= 59*time.Minute || wait > interval {
			t.Errorf("behind the burst: got %v, %v, want about an hour", wait, err)
		}
		if wait, err := s.Take(t.Context(), "other", 3, interval); err != nil || wait != 0 {
			t.Errorf("another bucket: got %v, %v", wait, err)
		}
	})

	t.Run("an index gives what is due, each to one claimant", func(t *testing.T) {
		s, _ := open(t)
		for i := range 40 {
			if err := s.Schedule(t.Context(), "x", fmt.Sprintf("%02d", i), noon.Add(time.Duration(i)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Unschedule(t.Context(), "x", "03"); err != nil {
			t.Fatal(err)
		}
		first, err := s.Claim(t.Context(), "x", noon.Add(5*time.Second), time.Minute, 2)
		if err != nil || !slices.Equal(first, []string{"00", "01"}) {
			t.Fatalf("claim: got %v, %v, want 00 and 01", first, err)
		}
		var claimed sync.Map
		var count atomic.Int32
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				items, err := s.Claim(t.Context(), "x", noon.Add(30*time.Second), time.Hour, 10)
				if err != nil {
					t.Error(err)
				}
				for _, item := range items {
					if _, twice := claimed.LoadOrStore(item, true); twice {
						t.Errorf("%s was claimed twice", item)
					}
					count.Add(1)
				}
			})
		}
		group.Wait()
		if count.Load() != 28 { // 02 to 30 without 03
			t.Errorf("claimed: got %d, want 28", count.Load())
		}
		again, err := s.Claim(t.Context(), "x", noon.Add(66*time.Second), time.Hour, 2)
		if err != nil || !slices.Equal(again, []string{"31", "32"}) {
			t.Errorf("those not yet due come next: got %v, %v", again, err)
		}
		left, err := s.Claim(t.Context(), "x", noon.Add(66*time.Second), time.Hour, 100)
		if err != nil || len(left) != 9 || !slices.Contains(left, "00") {
			t.Errorf("what a claimant left comes again: got %v, %v", left, err)
		}
	})

	t.Run("an index takes many at once and says what comes next", func(t *testing.T) {
		s, _ := open(t)
		next := func() time.Time {
			t.Helper()
			due, _, err := s.Next(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			return due
		}
		if _, ok, err := s.Next(t.Context(), "x"); err != nil || ok {
			t.Errorf("next of nothing: got %v, %v, want none", ok, err)
		}
		due := map[string]time.Time{}
		for i := range 2500 {
			due[fmt.Sprintf("%04d", i)] = noon.Add(time.Duration(i) * time.Second)
		}
		if err := s.ScheduleAll(t.Context(), "x", due); err != nil {
			t.Fatal(err)
		}
		if got := next(); !got.Equal(noon) {
			t.Errorf("next: got %v, want %v", got, noon)
		}
		if err := s.ScheduleAll(t.Context(), "x", map[string]time.Time{"0000": {}, "0001": noon.Add(time.Hour), "2499": noon.Add(time.Second), "none": {}}); err != nil {
			t.Fatal(err)
		}
		if got := next(); !got.Equal(noon.Add(time.Second)) {
			t.Errorf("next: got %v, want what was moved there", got)
		}
		got, err := s.Claim(t.Context(), "x", noon.Add(3*time.Second), time.Minute, 1000)
		if want := []string{"2499", "0002", "0003"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("claim: got %v, %v, want %v", got, err, want)
		}
		if got := next(); !got.Equal(noon.Add(4 * time.Second)) {
			t.Errorf("next: got %v, want what is not claimed", got)
		}
		if err := s.ScheduleAll(t.Context(), "x", nil); err != nil {
			t.Errorf("none at all: got %v", err)
		}
	})

	t.Run("it answers", func(t *testing.T) {
		s, _ := open(t)
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
