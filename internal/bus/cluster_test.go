// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func join(t *testing.T, address string) *bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := bus.Open(ctx, bus.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Two processes on one server, and on a cluster of three of which one dies: fencing holds and nothing stored is lost.
func TestServers(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			address, stop := bustest.Cluster(t, n)
			one, two := join(t, address), join(t, address)
			var last uint64
			for i := range 20 {
				var err error
				if last, err = one.Append(t.Context(), lane, last, batch(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
				if _, err := two.Append(t.Context(), lane, last-1, batch("zombie")); !errors.Is(err, bus.ErrConflict) {
					t.Fatalf("the other process behind the times: got %v, want ErrConflict", err)
				}
			}
			if n > 1 {
				stop(0)
				// A new leader takes a moment; what is tried meanwhile may fail, but must not be half done.
				retry(t, func() error {
					m, err := two.Last(t.Context(), lane)
					if err != nil {
						return err
					}
					if newest := new(curfewv1.EventBatch); m.Decode(newest) == nil && newest.GetCursor() == "20" {
						return nil // stored by a try whose answer was lost
					}
					last, err = two.Append(t.Context(), lane, m.Sequence, batch("20"))
					return err
				})
			}
			seen := 0
			retry(t, func() error {
				seen = 0
				return two.Read(t.Context(), lane, bus.From{}, func(m bus.Message) error {
					got := new(curfewv1.EventBatch)
					if err := m.Decode(got); err != nil {
						return err
					}
					if got.GetCursor() != fmt.Sprint(seen) {
						return fmt.Errorf("got %q at place %d", got.GetCursor(), seen)
					}
					seen++
					return nil
				})
			})
			if want := map[int]int{1: 20, 3: 21}[n]; seen != want {
				t.Errorf("got %d batches, want %d", seen, want)
			}
			held := false
			retry(t, func() error {
				return two.Hold(t.Context(), bus.Lease{Name: "l", Holder: "two", Length: time.Second}, func(context.Context) error {
					held = true
					return nil
				})
			})
			if !held {
				t.Error("the lease was never held")
			}
		})
	}
}

func retry(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 60 {
		if err = try(); err == nil {
			return
		}
		<-time.After(500 * time.Millisecond)
	}
	t.Fatal(err)
}

// Leases are in memory: with the server they go, and whoever works goes on once it is back, and those who wait after it.
func TestLeasesOutliveTheServer(t *testing.T) {
	address, stop, start := bustest.Restartable(t)
	one, two := join(t, address), join(t, address)
	turns, ctx := make(chan string, 100), t.Context()
	for name, b := range map[string]*bus.Bus{"one": one, "two": two} {
		lease := bus.Lease{Name: "lane", Holder: name, Length: 500 * time.Millisecond}
		go b.Keep(ctx, lease, time.Second, func(ctx context.Context) (bool, error) {
			turns <- name
			<-ctx.Done()
			return true, ctx.Err()
		}, func(error, time.Duration) {})
	}
	first := <-turns
	stop()
	start()
	again := <-turns // hangs for ever where nobody makes the bucket anew
	t.Logf("%s held it, and after the restart %s", first, again)
}
