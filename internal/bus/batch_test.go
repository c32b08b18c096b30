// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func step(id string, last uint64) bus.Pending {
	return bus.Pending{
		Subject: bus.GrantSubject("shop", id), Last: last,
		Message: &curfewv1.GrantStep{Format: 1, Grant: &curfewv1.Grant{Id: id}, Detail: fmt.Sprint("after ", last)},
	}
}

func TestABatchIsAppendedWholeOrNotAtAll(t *testing.T) {
	b := bustest.New(t)
	first, err := b.AppendAll(t.Context(), []bus.Pending{step("a", 0), step("b", 0), step("c", 0)})
	if err != nil || first != 1 {
		t.Fatalf("got first %d, %v, want 1", first, err)
	}
	for _, test := range []struct {
		name  string
		batch []bus.Pending
	}{
		{"first of it met another writer", []bus.Pending{step("a", 0), step("b", 2)}},
		{"last of it met another writer", []bus.Pending{step("a", 1), step("d", 0), step("b", 1)}},
		{"the only one met another writer", []bus.Pending{step("c", 2)}},
		{"twice the same subject behind the same", []bus.Pending{step("a", 1), step("a", 1)}},
	} {
		if _, err := b.AppendAll(t.Context(), test.batch); !errors.Is(err, bus.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", test.name, err)
		}
	}
	if end, err := b.End(t.Context(), "grant"); err != nil || end != 3 {
		t.Errorf("refused batches: got end %d, %v, want 3: nothing of them is stored", end, err)
	}
	if first, err := b.AppendAll(t.Context(), []bus.Pending{step("a", 1), step("d", 0), step("b", 2)}); err != nil || first != 4 {
		t.Errorf("got first %d, %v, want 4", first, err)
	}
	newest := map[string]uint64{}
	if err := b.Read(t.Context(), bus.All("grant", "shop"), bus.From{Newest: true}, func(m bus.Message) error {
		newest[m.Subject] = m.Sequence
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"grant.shop.a": 4, "grant.shop.d": 5, "grant.shop.b": 6, "grant.shop.c": 3}
	if fmt.Sprint(newest) != fmt.Sprint(want) {
		t.Errorf("newest of each: got %v, want %v", newest, want)
	}
}

func TestABatchHasBounds(t *testing.T) {
	b := bustest.New(t)
	full := make([]bus.Pending, bus.MaxBatch)
	for i := range full {
		full[i] = step(fmt.Sprint(i), 0)
	}
	if _, err := b.AppendAll(t.Context(), full); err != nil {
		t.Errorf("%d messages: %v", len(full), err)
	}
	if _, err := b.AppendAll(t.Context(), append(full, step("one more", 0))); err == nil {
		t.Error("one more: got nil, want an error")
	}
	if _, err := b.AppendAll(t.Context(), nil); err == nil {
		t.Error("none: got nil, want an error")
	}
}

// BenchmarkAppend compares many messages in one batch with one each, waiting for the disk as always.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 100, bus.MaxBatch} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			bus, n := bustest.New(b), 0
			for b.Loop() {
				batch := appendable(n, size)
				if _, err := bus.AppendAll(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func appendable(from, size int) (batch []bus.Pending) {
	for i := range size {
		batch = append(batch, step(fmt.Sprint(from+i), 0))
	}
	return batch
}

// TestTheNewestIsNotMissed reads the newest of each subject while they are written to: each is there.
func TestTheNewestIsNotMissed(t *testing.T) {
	b := bustest.New(t)
	const subjects = 50
	last := map[int]uint64{}
	write := func(i int) {
		sequence, err := b.Append(t.Context(), bus.GrantSubject("shop", fmt.Sprint(i)), last[i], step(fmt.Sprint(i), 0).Message)
		if err != nil {
			t.Error(err)
		}
		last[i] = sequence
	}
	for i := range subjects {
		write(i)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				write(n % subjects)
			}
		}
	}()
	for range 40 {
		seen := map[string]bool{}
		if err := b.Read(t.Context(), bus.All("grant"), bus.From{Newest: true}, func(m bus.Message) error {
			seen[m.Subject] = true
			return nil
		}); err != nil {
			t.Error(err)
		}
		if len(seen) != subjects {
			t.Errorf("got %d subjects, want %d", len(seen), subjects)
		}
	}
	close(stop)
	<-stopped
}
