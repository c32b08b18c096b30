// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var inbox = bus.Consumer{Service: "collector", Name: "drain", Filter: bus.InboxSubject("main", "okta", "system_log")}

func putWebhooks(t *testing.T, b *bus.Bus, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if _, err := b.Publish(t.Context(), inbox.Filter, fmt.Sprint("id", i), &curfewv1.Webhook{Key: fmt.Sprintf("%03d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// drain drains until stop says so of the keys handled so far, and returns them.
func drain(t *testing.T, b *bus.Bus, handle func(keys []string) error, stop func(done []string) bool) (done []string, batches int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = b.Drain(ctx, inbox, 10, func(_ context.Context, messages []bus.Message) error {
		var keys []string
		for _, m := range messages {
			webhook := new(curfewv1.Webhook)
			if err := m.Decode(webhook); err != nil {
				return err
			}
			keys = append(keys, webhook.GetKey())
		}
		if err := handle(keys); err != nil {
			return err
		}
		batches++
		if done = append(done, keys...); stop(done) {
			cancel()
		}
		return nil
	})
	slices.Sort(done)
	return done, batches, err
}

func TestDrain(t *testing.T) {
	b := bustest.New(t)
	putWebhooks(t, b, 0, 35)
	nothing := func([]string) error { return nil }
	refused := errors.New("refused")
	failed := 0
	if _, _, err := drain(t, b, func(keys []string) error {
		failed = len(keys)
		return refused
	}, nil); !errors.Is(err, refused) || failed == 0 {
		t.Fatalf("got %v with %d messages, want the handler's error", err, failed)
	}
	// What was not settled comes to the next drainer at once.
	done, batches, err := drain(t, b, nothing, func(done []string) bool { return len(done) == 35 })
	if !errors.Is(err, context.Canceled) || len(slices.Compact(done)) != 35 {
		t.Fatalf("got %d messages, %v, want each of 35 once", len(done), err)
	}
	if batches > 20 {
		t.Errorf("got %d batches of 35 messages, want them together", batches)
	}
	// A drainer that was stopped while it waited takes nothing with it.
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- b.Drain(ctx, inbox, 10, func(context.Context, []bus.Message) error { return nil })
	}()
	<-time.After(50 * time.Millisecond)
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	putWebhooks(t, b, 35, 3)
	began := time.Now()
	done, _, _ = drain(t, b, nothing, func(done []string) bool { return len(done) == 3 })
	if want := []string{"035", "036", "037"}; !slices.Equal(done, want) {
		t.Errorf("got %v after %v, want %v", done, time.Since(began), want)
	}
}
