// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/delivery"
)

const token = "s3cr3t-invented-token-of-some-length"

// TestPost holds what each answer means.
func TestPost(t *testing.T) {
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, "a reason\u202e")
		}
	}
	for _, c := range []struct {
		name string
		far  http.HandlerFunc
		want string
	}{
		{"200", answer(200), "arrived"},
		{"202", answer(202), "arrived"},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "arrived"},
		{"200 that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "arrived"},
		{"429", answer(429, "Retry-After", "7"), "refused, again after 7s"},
		{"429 without a time", answer(429), "refused, again after 0s"},
		{"429 until a date", answer(429, "Retry-After", "Mon, 02 Nov 2026 09:00:30 GMT", "Date", "Mon, 02 Nov 2026 09:00:00 GMT"), "refused, again after 30s"},
		{"503 that asks to wait", answer(503, "Retry-After", "9"), "refused, again after 9s"},
		{"503", answer(503), "unclear"},
		{"408", answer(408), "refused, again after 0s"},
		{"400", answer(400), "refused as it is"},
		{"422", answer(422), "refused as it is"},
		{"400 that finds fault with the set-up", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprint(w, "your key is no key")
		}, "refused for good"},
		{"401", answer(401), "refused for good"},
		{"404", answer(404), "refused for good"},
		{"410", answer(410), "refused for good"},
		{"413", answer(413), "refused as it is"},
		{"302", answer(302, "Location", "/elsewhere"), "refused for good"},
		{"303, which can mean done", answer(303, "Location", "/elsewhere"), "unclear"},
		{"500", answer(500), "unclear"},
		{"502", answer(502), "unclear"},
		{"504", answer(504), "unclear"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unclear"},
		{"507 of a vendor who promises", answer(507), "refused, again after 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int32
			far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				c.far(w, r)
			}))
			defer far.Close()
			_, err := delivery.Post(t.Context(), delivery.Client(), delivery.Request{
				URL: far.URL, Body: []byte("{}"), Refuses: func(status int, _ []byte) bool { return status == 507 }, Missets: []string{"no key"},
			})
			if got := meaning(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			if asked.Load() != 1 {
				t.Errorf("got %d requests, want 1", asked.Load())
			}
			if err != nil && strings.ContainsRune(err.Error(), '\u202e') {
				t.Errorf("%q commands the terminal", err)
			}
		})
	}
}

// TestWhatWasNeverSentIsRefused holds that a connection that did not come about leaves nothing open, whatever ended it.
func TestWhatWasNeverSentIsRefused(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	defer strange.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, url string
		ctx       context.Context
		want      string
	}{
		{"nobody there", gone.URL, t.Context(), "refused, again after 0s"},
		{"a certificate that is not trusted", strange.URL, t.Context(), "refused, again after 0s"},
		{"no time", gone.URL, ended, "refused, again after 0s"},
		{"no address", "http://[", t.Context(), "refused for good"},
	} {
		_, err := delivery.Post(c.ctx, delivery.Client(), delivery.Request{URL: c.url})
		if got := meaning(err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func TestNoAnswerInTimeIsUnclear(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer far.Close()
	_, err := delivery.Post(ctx, delivery.Client(), delivery.Request{URL: far.URL})
	if meaning(err) != "unclear" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's", err)
	}
}

// TestAnErrorQuotesNoSecret throws the secret back, so that the cut of an error lies anywhere in it.
func TestAnErrorQuotesNoSecret(t *testing.T) {
	var padding int
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprint(w, strings.Repeat("x", padding), r.Header.Get("Authorization"))
	}))
	defer far.Close()
	for ; padding < 400; padding++ {
		_, err := delivery.Post(t.Context(), delivery.Client(), delivery.Request{
			URL: far.URL, Header: http.Header{"Authorization": {"Bearer " + token}}, Secrets: []string{token},
		})
		if err == nil || strings.Contains(err.Error(), token[:6]) {
			t.Fatalf("padding %d: got %v", padding, err)
		}
	}
}

// meaning is what an error says of a delivery.
func meaning(err error) string {
	refused := delivery.AsRefused(err)
	switch {
	case err == nil:
		return "arrived"
	case refused == nil:
		return "unclear"
	case refused.Unfit:
		return "refused as it is"
	case refused.Final:
		return "refused for good"
	}
	return "refused, again after " + refused.After.Round(time.Second).String()
}
