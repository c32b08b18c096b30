// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func group(key, name string) *curfewv1.Entry {
	return &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: key, Name: name}}}
}

// Whatever is observed, the records of it lead whoever reads them to the same state, and one that is left out is noticed.
func TestRecordsLeadToTheState(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var observed, read inventory.State
		objects := map[string][]byte{}
		load := func(name string) ([]byte, error) { return objects[name], nil }
		truth := map[string]*curfewv1.Entry{}
		gap := false
		for n := range 30 {
			for range random.IntN(4) {
				key := fmt.Sprint(random.IntN(12))
				if random.IntN(3) == 0 {
					delete(truth, key)
				} else {
					truth[key] = group(key, fmt.Sprint("name ", random.IntN(3)))
				}
			}
			seen, whole := &curfewv1.Inventory{}, random.IntN(3) > 0
			for _, entry := range truth {
				if whole || random.IntN(2) == 0 {
					seen.Entries = append(seen.Entries, entry)
				}
			}
			if !whole {
				seen.Missing = []string{"some: refused"}
			}
			before := observed.Len()
			changes := observed.Observe(seen)
			if !whole && observed.Len() < before {
				t.Fatalf("seed %d: something vanished by a reading that is not whole", seed)
			}
			if whole && observed.Len() != len(truth) {
				t.Fatalf("seed %d: got %d entries, want %d", seed, observed.Len(), len(truth))
			}
			record := &curfewv1.Inventory{Changes: changes, Digest: observed.Digest()}
			if n%7 == 6 {
				content, err := observed.Object()
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprint(n)
				objects[name], record.Object = content, name
			}
			if random.IntN(10) == 0 && len(changes) > 0 {
				gap = true
				continue // lost
			}
			err := read.Apply(record, load)
			gap = gap && record.GetObject() == ""
			if lost := errors.Is(err, inventory.ErrGap); err != nil && !gap || lost && record.GetObject() != "" {
				t.Fatalf("seed %d: apply: %v", seed, err)
			} else if err == nil && !same(read.Entries(), observed.Entries()) {
				t.Fatalf("seed %d: got %v, want %v", seed, read.Entries(), observed.Entries())
			} else if err == nil {
				gap = false
			}
		}
	}
}

func same(a, b []*curfewv1.Entry) bool {
	for i := range a {
		if i >= len(b) || !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestObserveSaysWhatChanged(t *testing.T) {
	var s inventory.State
	s.Observe(&curfewv1.Inventory{Entries: []*curfewv1.Entry{group("b", "B"), group("a", "A"), group("c", "C")}})
	changes := s.Observe(&curfewv1.Inventory{Entries: []*curfewv1.Entry{group("c", "C"), group("b", "renamed"), group("d", "D")}})
	var got []string
	for _, change := range changes {
		got = append(got, fmt.Sprintf("%s %q %q", inventory.Key(change), change.GetBefore().GetGroup().GetName(), change.GetAfter().GetGroup().GetName()))
	}
	if want := fmt.Sprint([]string{`a "A" ""`, `b "B" "renamed"`, `d "" "D"`}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
