// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// follow fills a book in the background, and returns once it holds all that is stored. Heard gets what it is told.
func follow(t *testing.T, b *bus.Bus) (k *grant.Book, heard chan grant.Entry) {
	t.Helper()
	k, heard = grant.NewBook(b, "shop"), make(chan grant.Entry, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Follow(ctx, func(e grant.Entry) { heard <- e }) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-k.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return k, heard
}

func numbered(i int, state curfewv1.GrantState) *curfewv1.Grant {
	g := one(state)
	g.Id = fmt.Sprintf("g-%d", i)
	return g
}

func TestBook(t *testing.T) {
	b := bustest.New(t)
	first, _ := follow(t, b)
	for i := range 3 {
		if err := first.Create(t.Context(), noon, numbered(i, active), "person:max", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Create(t.Context(), noon, numbered(0, active), "person:max", ""); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("the same id again: got %v, want ErrConflict", err)
	}
	over, _ := first.Get("g-1")
	end := proto.CloneOf(over.Value)
	end.State = revoked
	change := grant.Change{Entry: over, Next: end, Author: "service:scheduler"}
	if errs := first.Store(t.Context(), at(60), change); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if errs := first.Store(t.Context(), at(60), change); !errors.Is(errs[0], bus.ErrConflict) {
		t.Errorf("the same step again: got %v, want ErrConflict", errs[0])
	}
	e, _ := first.Get("g-0")
	if errs := first.Store(t.Context(), noon.Add(-time.Hour), grant.Change{Entry: e, Next: e.Value, Author: "person:max"}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if again, err := first.Load(t.Context(), "g-0"); err != nil || !again.Time.Equal(noon) {
		t.Errorf("a step by a clock that lags: got time %v, %v, want that of the step before, %v", again.Time, err, noon)
	}
	second, heard := follow(t, b)
	for name, book := range map[string]*grant.Book{"that stored": first, "that read": second} {
		if _, found := book.Get("g-1"); found || book.Len() != 2 {
			t.Errorf("the book %s holds %d grants, and g-1: %v; want 2, false", name, book.Len(), found)
		}
	}
	if len(heard) != 3 {
		t.Errorf("heard %d newest steps, want 3", len(heard))
	}
	if e, err := second.Load(t.Context(), "g-1"); err != nil || e.Value.GetState() != revoked {
		t.Errorf("load what is over: got %v, %v", e.Value, err)
	}
}

// TestAConflictKeepsNobodyElseBack stores many steps at once, some of which met another writer.
func TestAConflictKeepsNobodyElseBack(t *testing.T) {
	b := bustest.New(t)
	k, _ := follow(t, b)
	const n = 300
	var create, turn []grant.Change
	for i := range n {
		create = append(create, grant.Change{Next: numbered(i, active), Author: "person:max"})
	}
	for i, err := range k.Store(t.Context(), noon, create...) {
		if err != nil {
			t.Fatalf("create %d: %v", i, err)
		}
	}
	met := map[int]bool{0: true, 150: true, 151: true, 299: true}
	k.Each(func(e grant.Entry) bool {
		next, _ := grant.Turn(e.Value, at(60))
		turn = append(turn, grant.Change{Entry: e, Next: next, Author: "service:scheduler"})
		return true
	})
	for i := range met {
		if errs := k.Store(t.Context(), noon, grant.Change{Entry: turn[i].Entry, Next: turn[i].Entry.Value, Author: "person:eve"}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	for i, err := range k.Store(t.Context(), at(60), turn...) {
		if met[i] != errors.Is(err, bus.ErrConflict) || !met[i] && err != nil {
			t.Errorf("step %d: got %v, met another writer: %v", i, err, met[i])
		}
	}
	if k.Len() != len(met) {
		t.Errorf("got %d grants left, want the %d that met another writer", k.Len(), len(met))
	}
}

func TestAStepThatCannotBeReadIsLeftOut(t *testing.T) {
	b := bustest.New(t)
	if _, err := b.Append(t.Context(), bus.GrantSubject("shop", "g-9"), 0, &curfewv1.Privilege{Source: "\x01\x02\x03", Kind: "x"}); err != nil {
		t.Fatal(err)
	}
	k := grant.NewBook(b, "shop")
	if err := k.Create(t.Context(), noon, one(active), "person:max", ""); err != nil {
		t.Fatal(err)
	}
	bad, err := b.Append(t.Context(), bus.GrantSubject("shop", "g-1"), 2, &curfewv1.Privilege{Source: "\x01\x02\x03", Kind: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var lost []uint64
	again := grant.NewBook(b, "shop")
	again.Lost = func(sequence uint64, _ error) { lost = append(lost, sequence) }
	ctx, cancel := context.WithCancel(t.Context())
	err = again.Follow(ctx, func(grant.Entry) { cancel() })
	if !errors.Is(err, context.Canceled) || fmt.Sprint(lost) != "[1 3]" || again.Len() != 1 {
		t.Errorf("got %v, lost %v, %d grants, want the first and the third step lost, and one grant", err, lost, again.Len())
	}
	if e, ok := again.Get("g-1"); !ok || e.Value.GetState() != active || e.Sequence != bad {
		t.Errorf("got %v at %d, want it as before the step that cannot be read, and the next behind that, %d", e.Value, e.Sequence, bad)
	}
}
