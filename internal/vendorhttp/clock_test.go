// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// What is said to have been asked lies never in the vendor's future, whatever our own clock says.
func TestOurClockIsAhead(t *testing.T) {
	vendor := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		ahead time.Duration
		date  bool
		want  time.Duration
	}{
		{"right", 0, true, 0}, {"a moment ahead", time.Second, true, time.Second}, {"an hour ahead", time.Hour, true, 0},
		{"a year ahead", 365 * 24 * time.Hour, true, 0}, {"behind", -time.Hour, true, -time.Hour}, {"ahead, and nobody says", time.Hour, false, time.Hour},
	} {
		c := vendorhttp.New("acme", func(*vendorhttp.Answer) vendorhttp.Verdict { return vendorhttp.Verdict{} })
		c.Now = func() time.Time { return vendor.Add(test.ahead) }
		address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header()["Date"] = nil
			if test.date {
				w.Header().Set("Date", vendor.Format(http.TimeFormat))
			}
		})
		answer, err := c.Get(t.Context(), address, "Bearer", secret)
		if err != nil {
			t.Fatal(err)
		}
		if test.ahead >= time.Hour && test.date {
			// Somebody puts our clock right.
			c.Now = func() time.Time { return vendor.Add(time.Minute) }
			if got := c.Time(); got.After(vendor.Add(time.Minute)) {
				t.Errorf("%s, and put right: it is %v", test.name, got)
			}
			c.Now = func() time.Time { return vendor.Add(test.ahead) }
		}
		if want := vendor.Add(test.want); !answer.Asked.Equal(want) || !c.Time().Equal(want) {
			t.Errorf("%s: asked at %v, and it is %v, want %v", test.name, answer.Asked, c.Time(), want)
		}
	}
}

// What a vendor asks beyond what one Get waits is the caller's to wait.
func TestTheRestOfAWaitIsTold(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	c := changing()
	_, err := c.Get(t.Context(), address, "Bearer", secret)
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Wait != 0 {
		t.Errorf("a judge that reads no header: got %v, want no wait", err)
	}
	c = vendorhttp.New("acme", func(a *vendorhttp.Answer) vendorhttp.Verdict {
		return vendorhttp.Verdict{Later: true, Wait: a.RetryAfter()}
	})
	c.Pause = changing().Pause
	if _, err = c.Get(t.Context(), address, "Bearer", secret); !errors.As(err, &refused) || refused.Wait != 30*time.Minute {
		t.Errorf("got %v, want half an hour left to wait", err)
	}
}
