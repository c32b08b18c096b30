// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// Who reads an answer has a place; who waits for a vendor, or for one that put it off, has none.
func TestRoom(t *testing.T) {
	hung := make(chan struct{})
	var asked atomic.Bool
	address := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		switch {
		case r.URL.Path == "/hung":
			<-hung
		case r.URL.Path == "/busy" && !asked.Swap(true):
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Path == "/short":
			_, _ = w.Write([]byte("short"))
		default:
			_, _ = w.Write(make([]byte, 100<<10))
		}
	})
	t.Cleanup(func() { close(hung) })
	room := vendorhttp.NewRoom(1)
	client := func(pause func(context.Context, time.Duration) error) *vendorhttp.Client {
		c := vendorhttp.New("acme", func(*vendorhttp.Answer) vendorhttp.Verdict { return vendorhttp.Verdict{Later: true} })
		c.Pause = pause
		return c
	}
	first, leave := room.Enter(t.Context())
	if _, err := client(nil).Get(first, address+"/page", "Bearer", secret); err != nil {
		t.Fatal(err)
	}
	if _, err := client(nil).Get(first, address+"/page", "Bearer", secret); err != nil {
		t.Fatalf("the same work again: %v", err)
	}
	full, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second, leaveSecond := room.Enter(full)
	if _, err := client(nil).Get(second, address+"/page", "Bearer", secret); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the room is full: got %v, want it to wait", err)
	}
	leaveSecond()
	brief, leaveBrief := room.Enter(t.Context())
	if _, err := client(nil).Get(brief, address+"/short", "Bearer", secret); err != nil {
		t.Errorf("a short answer while the room is full: %v", err)
	}
	leaveBrief()
	leave()
	leave()

	waiting, cancelWaiting := context.WithCancel(t.Context())
	defer cancelWaiting()
	hanging, leaveHanging := room.Enter(waiting)
	defer leaveHanging()
	go func() { _, _ = client(nil).Get(hanging, address+"/hung", "Bearer", secret) }() // never answered
	third, leaveThird := room.Enter(t.Context())
	if _, err := client(nil).Get(third, address+"/page", "Bearer", secret); err != nil {
		t.Fatal(err)
	}
	paused := false
	if _, err := client(func(context.Context, time.Duration) error {
		paused = true
		other, leaveOther := room.Enter(t.Context())
		defer leaveOther()
		_, err := client(nil).Get(other, address+"/page", "Bearer", secret)
		return err
	}).Get(third, address+"/busy", "Bearer", secret); err != nil || !paused {
		t.Errorf("put off by the vendor: got %v, paused: %v, want the room free meanwhile", err, paused)
	}
	leaveThird()
}
