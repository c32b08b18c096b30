// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded server's own: it gives them no way to end before the process does.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*ipQueue[...]).unregister"),
		// The client's: closed before it runs, it waits at a nil channel for good (nats.go v1.55.0, publish.go:570).
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"),
	)
}

var lane = bus.EventSubject("shop", "okta", "system_log")

func batch(cursor string) *curfewv1.EventBatch {
	return &curfewv1.EventBatch{Format: 1, Cursor: cursor}
}

func TestAppendIsFenced(t *testing.T) {
	b := bustest.New(t)
	first, err := b.Append(t.Context(), lane, 0, batch("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), lane, 0, batch("zombie")); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("append behind an old sequence: got %v, want ErrConflict", err)
	}
	if _, err := b.Append(t.Context(), bus.EventSubject("shop", "okta", "other"), 0, batch("x")); err != nil {
		t.Fatalf("another lane is not fenced by this one: %v", err)
	}
	if _, err := b.Append(t.Context(), lane, first, batch("b")); err != nil {
		t.Fatal(err)
	}
	last, err := b.Last(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	got := new(curfewv1.EventBatch)
	if err := last.Decode(got); err != nil || got.GetCursor() != "b" {
		t.Fatalf("last cursor: got %q, %v, want b", got.GetCursor(), err)
	}
}

func TestLastOfNothing(t *testing.T) {
	b := bustest.New(t)
	if _, err := b.Last(t.Context(), lane); !errors.Is(err, bus.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	if err := b.Read(t.Context(), lane, bus.From{}, func(bus.Message) error { return errors.New("a message of nothing") }); err != nil {
		t.Fatal(err)
	}
}

func TestReadGoesOnBehindASequence(t *testing.T) {
	b := bustest.New(t)
	var last uint64
	for i := range 10 {
		var err error
		if last, err = b.Append(t.Context(), lane, last, batch(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	var cursors []string
	err := b.Read(t.Context(), bus.All("event"), bus.From{After: 7}, func(m bus.Message) error {
		got := new(curfewv1.EventBatch)
		cursors = append(cursors, got.GetCursor())
		if err := m.Decode(got); err != nil {
			return err
		}
		cursors[len(cursors)-1] = got.GetCursor()
		return nil
	})
	if got, want := strings.Join(cursors, " "), "7 8 9"; err != nil || got != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestWhatIsAcknowledgedIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), lane, 0, batch("kept")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), bus.Vault, []byte("sealed"), "person", "anna@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatalf("close twice: %v", err)
	}
	again := bustest.Open(t, dir)
	if _, err := again.Last(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
	entry, err := again.Get(t.Context(), bus.Vault, "person", "anna@example.com")
	if err != nil || string(entry.Value) != "sealed" {
		t.Fatalf("got %q, %v", entry.Value, err)
	}
	if _, err := again.Create(t.Context(), bus.Vault, nil, "person", "anna@example.com"); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("create what is there: got %v, want ErrConflict", err)
	}
}

func TestOneProcessOneDirectory(t *testing.T) {
	dir := t.TempDir()
	bustest.Open(t, dir)
	_, err := bus.Open(t.Context(), bus.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "another curfew process uses it") {
		t.Fatalf("second server over one directory: got %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Open(t.Context(), bus.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "format is 99") {
		t.Fatalf("got %v", err)
	}
}

func TestAnUnreachableServerIsOneLine(t *testing.T) {
	_, err := bus.Open(t.Context(), bus.Config{URL: "nats://curfew:hunter2@127.0.0.1:1"})
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
}

func TestConsumeSettles(t *testing.T) {
	b := bustest.New(t)
	for _, id := range []string{"fine", "stumbles", "hopeless"} {
		finding := &curfewv1.Finding{Id: id, Tenant: "shop", Severity: curfewv1.Severity_SEVERITY_HIGH, Detection: "d"}
		if _, err := b.Publish(t.Context(), bus.FindingSubject(finding), id, finding); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var order, buried []string
	consumer := bus.Consumer{Service: "notifier", Name: "test", Filter: bus.All("finding"), Dead: func(reason string) { buried = append(buried, reason) }}
	err := b.Consume(ctx, consumer, func(_ context.Context, m bus.Message) error {
		finding := new(curfewv1.Finding)
		if err := m.Decode(finding); err != nil {
			return err
		}
		order = append(order, finding.GetId())
		switch {
		case finding.GetId() == "hopeless":
			return bus.Permanent("no hope", errors.New("broken beyond repair"))
		case len(order) == 2:
			return errors.New("once")
		case len(order) == 4:
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("consume: got %v, want Canceled", err)
	}
	if got, want := strings.Join(order, " "), "fine stumbles hopeless stumbles"; got != want {
		t.Errorf("order: got %q, want %q", got, want)
	}
	if got := strings.Join(buried, " "); got != "no hope" {
		t.Errorf("buried: got %q", got)
	}
	dead, err := b.Last(t.Context(), bus.All("dead"))
	if err != nil {
		t.Fatal(err)
	}
	letter := new(curfewv1.DeadLetter)
	if err := dead.Decode(letter); err != nil || letter.GetReason() != "no hope" || len(letter.GetRaw()) == 0 || letter.GetDetail() != "broken beyond repair" {
		t.Errorf("dead letter: got %v, %v", letter, err)
	}
}

func TestLargeDeadLettersAreKeptWhole(t *testing.T) {
	b := bustest.New(t)
	raw := []byte(strings.Repeat("x", 3<<20))
	if err := b.Bury(t.Context(), &curfewv1.DeadLetter{Id: "1", Service: "collector", Reason: "not JSON", Raw: raw}); err != nil {
		t.Fatal(err)
	}
	dead, err := b.Last(t.Context(), bus.All("dead"))
	if err != nil {
		t.Fatal(err)
	}
	letter := new(curfewv1.DeadLetter)
	if err := dead.Decode(letter); err != nil {
		t.Fatal(err)
	}
	got, err := b.GetObject(t.Context(), letter.GetRawObject())
	if err != nil || string(got) != string(raw) {
		t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(raw))
	}
	if _, err := b.GetObject(t.Context(), "nothing"); !errors.Is(err, bus.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
}

func TestTooLargeIsSaid(t *testing.T) {
	b := bustest.New(t)
	_, err := b.Append(t.Context(), lane, 0, batch(strings.Repeat("x", b.MaxMessage())))
	if !errors.Is(err, bus.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
}

func TestOneHolderAtATime(t *testing.T) {
	b := bustest.New(t)
	var holders, most, turns atomic.Int32
	var group sync.WaitGroup
	for i := range 4 {
		lease := bus.Lease{Name: "lane okta/system_log", Holder: fmt.Sprint(i), Length: 200 * time.Millisecond}
		group.Go(func() {
			err := b.Hold(t.Context(), lease, func(ctx context.Context) error {
				now := holders.Add(1)
				for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
				}
				// Longer than the lease: it must be renewed.
				<-time.After(300 * time.Millisecond)
				turns.Add(1)
				holders.Add(-1)
				return ctx.Err()
			})
			if err != nil {
				t.Errorf("holder %d: %v", i, err)
			}
		})
	}
	group.Wait()
	if most.Load() != 1 || turns.Load() != 4 {
		t.Fatalf("got %d at once and %d turns, want 1 and 4", most.Load(), turns.Load())
	}
}

func TestADeadHoldersLeaseEnds(t *testing.T) {
	b := bustest.New(t)
	dead, cancel := context.WithCancel(t.Context())
	stalled := make(chan struct{})
	go func() {
		// A holder whose process is stopped: it neither renews nor gives back, so its context ends with the test.
		_ = b.Hold(dead, bus.Lease{Name: "lane", Holder: "stalled", Length: time.Hour}, func(ctx context.Context) error {
			close(stalled)
			<-ctx.Done()
			return nil
		})
	}()
	<-stalled
	waiting, giveUp := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer giveUp()
	lease := bus.Lease{Name: "lane", Holder: "next", Length: 100 * time.Millisecond}
	if err := b.Hold(waiting, lease, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while another holds: got %v, want DeadlineExceeded", err)
	}
	cancel()
	if err := b.Hold(t.Context(), lease, func(context.Context) error { return nil }); err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
}

func TestWatch(t *testing.T) {
	b := bustest.New(t)
	if _, err := b.Create(t.Context(), bus.Policies, []byte("one"), "shop", "1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	err := b.Watch(ctx, bus.Policies, func(e *bus.Entry) error {
		if e == nil {
			seen = append(seen, "current")
			_, err := b.Create(t.Context(), bus.Policies, []byte("two"), "shop", "2")
			return err
		}
		seen = append(seen, strings.Join(e.Key, "/")+"="+string(e.Value))
		if len(seen) == 3 {
			cancel()
		}
		return nil
	})
	if got, want := strings.Join(seen, " "), "shop/1=one current shop/2=two"; got != want || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func FuzzSubject(f *testing.F) {
	for _, text := range []string{"", "=", "a.b", "*", ">", "ä", "system_log", "=41", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		subject := bus.EventSubject(text, "okta", text)
		tenant, source, feed, ok := bus.SplitLane(subject)
		if !ok || tenant != text || source != "okta" || feed != text {
			t.Fatalf("%q -> %q -> %q %q %q %v", text, subject, tenant, source, feed, ok)
		}
	})
}
