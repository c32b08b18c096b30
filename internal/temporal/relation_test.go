// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/curfewhq/curfew/internal/temporal"
)

// listed is what a relation holds, holder by holder.
func listed(r *temporal.Relation) map[string][]temporal.Link {
	all := map[string][]temporal.Link{}
	r.Each(func(holder string, links []temporal.Link) bool {
		all[holder] = slices.Clone(links)
		return true
	})
	return all
}

// What a relation says stays, whatever is made of it.
func TestWithLeavesTheRelation(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 10))
	relation, want := temporal.NewRelation(), map[string][]temporal.Link{}
	type version struct {
		relation *temporal.Relation
		want     map[string][]temporal.Link
	}
	var versions []version
	for n := range 300 {
		versions = append(versions, version{relation, maps.Clone(want)})
		changed := map[string][]temporal.Link{}
		for range random.IntN(6) {
			holder := fmt.Sprint("n", random.IntN(40))
			changed[holder] = nil
			for i := range random.IntN(4) {
				changed[holder] = append(changed[holder], temporal.Link{Held: fmt.Sprint("role:", i), From: 1, Until: int64(100 - i), Known: int64(n)})
			}
		}
		relation = relation.With(changed)
		for holder, links := range changed {
			if want[holder] = links; len(links) == 0 {
				delete(want, holder)
			}
		}
	}
	for n, v := range versions {
		if diff := cmp.Diff(v.want, listed(v.relation)); diff != "" {
			t.Fatalf("version %d: want (-), got (+):\n%s", n, diff)
		}
		count := 0
		for holder, links := range v.want {
			count += len(links)
			if diff := cmp.Diff(links, v.relation.Links(holder)); diff != "" {
				t.Fatalf("version %d: %s: want (-), got (+):\n%s", n, holder, diff)
			}
		}
		if got := v.relation.Len(); got != count {
			t.Fatalf("version %d: got %d links, want %d", n, got, count)
		}
	}
}

func TestWithOrdersAndSpares(t *testing.T) {
	given := []temporal.Link{{Held: "role:a", From: 1, Until: 2}, {Held: "role:b", From: 1, Until: temporal.End}, {Held: "role:c", From: 3, Until: 4}}
	before := slices.Clone(given)
	relation := temporal.NewRelation().With(map[string][]temporal.Link{"person:ann": given})
	if diff := cmp.Diff([]temporal.Link{given[1], given[2], given[0]}, relation.Links("person:ann")); diff != "" {
		t.Errorf("what ends last comes first: want (-), got (+):\n%s", diff)
	}
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("what was given was changed: want (-), got (+):\n%s", diff)
	}
}

func TestEmptyRelation(t *testing.T) {
	for name, relation := range map[string]*temporal.Relation{"new": temporal.NewRelation(), "zero": {}, "emptied": temporal.NewRelation().
		With(map[string][]temporal.Link{"person:ann": {{Held: "role:a", Until: 1}}}).With(map[string][]temporal.Link{"person:ann": nil})} {
		if relation.Len() != 0 || relation.Links("person:ann") != nil || len(listed(relation)) != 0 {
			t.Errorf("%s: got %d links, want none", name, relation.Len())
		}
		if got := relation.With(map[string][]temporal.Link{"person:ann": {{Held: "role:a", Until: 1}}}).Len(); got != 1 {
			t.Errorf("%s: got %d links with one, want 1", name, got)
		}
	}
}

func TestEachStops(t *testing.T) {
	relation := temporal.NewRelation().With(map[string][]temporal.Link{"a": {{Held: "x", Until: 1}}, "b": {{Held: "x", Until: 1}}, "c": {{Held: "x", Until: 1}}})
	seen := 0
	relation.Each(func(string, []temporal.Link) bool { seen++; return seen < 2 })
	if seen != 2 {
		t.Errorf("got %d holders, want 2", seen)
	}
}

// Readers see whole versions while a writer makes new ones: each person holds as many roles as every other.
func TestReadersWhileWriting(t *testing.T) {
	const people = 50
	version := func(r *temporal.Relation, n int) *temporal.Relation {
		changed := map[string][]temporal.Link{}
		for p := range people {
			for i := range n % 5 {
				changed[fmt.Sprint("person:", p)] = append(changed[fmt.Sprint("person:", p)], temporal.Link{Held: fmt.Sprint("role:", i), From: 0, Until: temporal.End})
			}
			if n%5 == 0 {
				changed[fmt.Sprint("person:", p)] = nil
			}
		}
		return r.With(changed)
	}
	var current atomic.Pointer[temporal.Relation]
	current.Store(version(temporal.NewRelation(), 1))
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r := current.Load()
				want := temporal.Hold("person:0", "", 5, r).Len()
				for p := range people {
					if got := temporal.Hold(fmt.Sprint("person:", p), "", 5, r).Len(); got != want {
						t.Errorf("got %d names for person:%d, want %d", got, p, want)
						return
					}
				}
				if r.Len() != people*(want-1) {
					t.Errorf("got %d links, want %d", r.Len(), people*(want-1))
					return
				}
			}
		})
	}
	for n := range 500 {
		current.Store(version(current.Load(), n))
	}
	close(done)
	readers.Wait()
}
