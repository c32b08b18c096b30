// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/inventory"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// choir is a vendor of the test's own that shows its members.
type choir struct {
	bell
	mu      sync.Mutex
	members map[string]string
	missing []string
	refuses error
}

func (c *choir) Kinds() []string { return []string{"people"} }

func (c *choir) Observe(_ context.Context, kind string) (*curfewv1.Inventory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses != nil {
		return nil, c.refuses
	}
	seen := &curfewv1.Inventory{Source: "bell", Kind: kind, Began: timestamppb.Now(), Ended: timestamppb.Now(), Missing: c.missing}
	for id, name := range c.members {
		seen.Entries = append(seen.Entries, &curfewv1.Entry{Key: id, Thing: &curfewv1.Entry_Account{Account: &curfewv1.Account{Id: id, Name: name}}})
	}
	return seen, nil
}

func (c *choir) change(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// known follows the records of the choir until they lead to the members wanted, and returns them.
func known(t *testing.T, b *bus.Bus, want string) []*curfewv1.Inventory {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var state inventory.State
	var records []*curfewv1.Inventory
	done := errors.New("done")
	err := b.Follow(ctx, bus.InventorySubject("main", "bell", "people"), bus.From{}, func(m bus.Message) error {
		record := new(curfewv1.Inventory)
		if err := m.Decode(record); err != nil {
			return err
		}
		records = append(records, record)
		if err := state.Apply(record, func(object string) ([]byte, error) { return b.GetObject(ctx, object) }); err != nil {
			return fmt.Errorf("record %d: %w", len(records), err)
		}
		var names []string
		for _, entry := range state.Entries() {
			names = append(names, entry.GetAccount().GetName())
		}
		if len(names) > 10 {
			names = append(names[:10], fmt.Sprint(len(names)))
		}
		if strings.Join(names, " ") == want {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("after %d records: %v", len(records), err)
	}
	return records
}

func TestInventoryIsKnownAsItChanges(t *testing.T) {
	b := bustest.New(t)
	source := &choir{members: map[string]string{"1": "ann", "2": "bob"}}
	o := bellOptions(t, b, &source.bell)
	o.Sources["bell"] = Configured{Source: source, Decode: decodeBell, Interval: time.Hour, Inventory: 5 * time.Millisecond}
	stop := start(t, o)
	if first := known(t, b, "ann bob")[0]; first.GetObject() == "" || len(first.GetChanges()) != 2 || first.GetCount() != 2 {
		t.Errorf("the first record: got %v, want everything, as an object too", first)
	}
	source.change(func() { source.members["2"] = "bert"; source.members["3"] = "cleo" })
	known(t, b, "ann bert cleo")
	// What is not whole takes nothing away.
	source.change(func() {
		source.members = map[string]string{"4": "dan"}
		source.missing = []string{"members of a group: refused"}
	})
	if all := known(t, b, "ann bert cleo dan"); len(all[len(all)-1].GetMissing()) != 1 {
		t.Errorf("got %v, want it to say what is missing", all[len(all)-1])
	}
	stop()
	source.change(func() { source.missing = nil; delete(source.members, "1") })
	stop = start(t, o)
	all := known(t, b, "dan")
	if last := all[len(all)-1]; len(last.GetChanges()) != 3 || last.GetObject() != "" {
		t.Errorf("after a restart: got %v, want three to be gone and no object so soon", last)
	}
	source.change(func() { source.refuses = errors.New("the token is not valid") })
	stop()

	// More changes than a message holds become an object.
	source.change(func() {
		source.refuses = nil
		for n := range 3000 {
			source.members[fmt.Sprintf("%04d", n)] = strings.Repeat("x", 300)
		}
	})
	start(t, o)
	x := strings.Repeat("x", 300)
	all = known(t, b, strings.Repeat(x+" ", 10)+"3001")
	if last := all[len(all)-1]; last.GetObject() == "" || len(last.GetChanges()) > 0 {
		t.Errorf("a large change: got %d changes and object %q, want an object alone", len(last.GetChanges()), last.GetObject())
	}
}

// A collector that takes over goes on where the other was: it does not ask again before it is due.
func TestInventoryIsTakenWhenItIsDue(t *testing.T) {
	b := bustest.New(t)
	source := &choir{members: map[string]string{"1": "ann"}}
	o := bellOptions(t, b, &source.bell)
	o.Sources["bell"] = Configured{Source: source, Decode: decodeBell, Interval: time.Hour, Inventory: time.Hour}
	stop := start(t, o)
	known(t, b, "ann")
	stop()
	s := &shelf{Options: o, source: "bell", kind: "people", from: source}
	if err := s.restore(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(s.next); left < 50*time.Minute || s.state.Len() != 1 || s.stored.IsZero() {
		t.Errorf("restored: due in %v, %d entries, stored at %v, want an hour, 1 and a time", left, s.state.Len(), s.stored)
	}
}

// However often it is taken, the records that are kept lead to what is known, and after a gap nothing partial passes for
// the whole.
func TestInventoryAfterAGap(t *testing.T) {
	b := bustest.New(t)
	source := &choir{members: map[string]string{"1": "ann"}}
	s := &shelf{Options: bellOptions(t, b, &source.bell), source: "bell", kind: "people", from: source}
	objects := 0
	for n := range 450 {
		source.members["2"] = fmt.Sprint("bob", n)
		if _, err := s.observe(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if s.since == 0 {
			objects++
		}
	}
	if objects != 3 {
		t.Errorf("got %d objects in 450 records, want one each 200", objects)
	}
	// The newest record alone is left, and it is none with an object.
	last := s.last
	s = &shelf{Options: s.Options, source: "bell", kind: "people", from: source}
	record := &curfewv1.Inventory{Ended: timestamppb.New(time.Now().AddDate(1, 0, 0)), Digest: []byte("of something else")}
	if _, err := b.Append(t.Context(), bus.InventorySubject("main", "bell", "people"), last, record); err != nil {
		t.Fatal(err)
	}
	if err := s.restore(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !s.lost || s.next.After(time.Now().Add(time.Hour)) {
		t.Errorf("after a gap: lost: %v, next at %v", s.lost, s.next)
	}
	source.missing = []string{"a part: refused"}
	if stored, err := s.observe(t.Context(), time.Hour); stored || err != nil {
		t.Errorf("a partial reading after a gap: stored: %v, %v", stored, err)
	}
	source.missing = nil
	if stored, err := s.observe(t.Context(), time.Hour); !stored || err != nil || s.lost || s.since != 0 {
		t.Errorf("a whole one: stored: %v, %v, lost: %v", stored, err, s.lost)
	}
}
