// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const secret = "s3cr3t/0f1e2d3c+4b5a"

// client is one of a vendor that puts off with 429 and says "shut" with 403, and the pauses it makes.
func client() (*vendorhttp.Client, *[]time.Duration) {
	c := vendorhttp.New("acme", func(answer *vendorhttp.Answer) vendorhttp.Verdict {
		switch answer.Status {
		case http.StatusTooManyRequests:
			return vendorhttp.Verdict{Later: true, Wait: answer.RetryAfter()}
		case http.StatusForbidden:
			return vendorhttp.Verdict{Reason: answer.Quote(string(answer.Body), 300), Advice: "knock first"}
		}
		return vendorhttp.Verdict{}
	})
	pauses := new([]time.Duration)
	c.Pause = func(_ context.Context, wait time.Duration) error {
		*pauses = append(*pauses, wait)
		return nil
	}
	return c, pauses
}

// serve runs a vendor, which gets the number of each request from 1, until the test ends.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, nth int)) (address string) {
	t.Helper()
	var nth atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, int(nth.Add(1))) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestGet(t *testing.T) {
	var got http.Header
	address := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		got = r.Header
		w.Header().Set("Link", "next")
		_, _ = w.Write([]byte("[]" + r.URL.RequestURI()))
	})
	c, _ := client()
	c.Header = http.Header{"Accept": {"application/vnd.acme+json"}, "X-Acme-Version": {"1"}}
	asked := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	c.Now = func() time.Time { return asked }
	answer, err := c.Get(t.Context(), address+"/log?a=b", "Token", secret)
	if err != nil {
		t.Fatal(err)
	}
	if string(answer.Body) != "[]/log?a=b" || answer.Status != 200 || answer.Header.Get("Link") != "next" || !answer.Asked.Equal(asked) {
		t.Errorf("got %+v, want the page, its header and when it was asked for", answer)
	}
	for name, want := range map[string]string{
		"Authorization": "Token " + secret, "User-Agent": "curfew", "Accept": "application/vnd.acme+json", "X-Acme-Version": "1",
	} {
		if got.Get(name) != want {
			t.Errorf("header %s: got %q, want %q", name, got.Get(name), want)
		}
	}
	c.Header = nil
	if _, err := c.Get(t.Context(), address, "Bearer", secret); err != nil || got.Get("Accept") != "application/json" {
		t.Errorf("got Accept %q and error %v, want JSON asked for", got.Get("Accept"), err)
	}
}

func TestGetWaits(t *testing.T) {
	seconds := func(list ...time.Duration) []time.Duration {
		for i := range list {
			list[i] *= time.Second
		}
		return list
	}
	tests := []struct {
		name    string
		refused int // how many requests are put off
		header  string
		want    []time.Duration // each at least, and at most a tenth more
		sound   bool
	}{
		{"not at all", 0, "", nil, true},
		{"as asked", 2, "30", seconds(30, 30), true},
		{"ever longer where nothing is said", 4, "", seconds(1, 2, 4, 8), true},
		{"a second at least", 1, "0", seconds(1), true},
		{"not for good", 1000, "", seconds(1, 2, 4, 8, 16), false},
		{"two minutes twice, not three times", 1000, "120", seconds(120, 120), false},
		{"an hour is five minutes", 1, "3600", seconds(300), true},
		{"five minutes once", 1000, "3600", seconds(300), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			address := serve(t, func(w http.ResponseWriter, _ *http.Request, nth int) {
				if asked = nth; nth <= test.refused {
					w.Header().Set("Retry-After", test.header)
					w.WriteHeader(http.StatusTooManyRequests)
				}
			})
			c, pauses := client()
			_, err := c.Get(t.Context(), address, "Bearer", secret)
			var refused *vendorhttp.Refused
			if test.sound != (err == nil) || !test.sound && (!errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests) {
				t.Errorf("got error %v, want none: %v, or else the refusal", err, test.sound)
			}
			if asked > vendorhttp.MaxTries || !slices.EqualFunc(*pauses, test.want, func(got, want time.Duration) bool {
				return got >= want && got <= want+want/10
			}) {
				t.Errorf("got pauses %v in %d requests, want %v", *pauses, asked, test.want)
			}
			var whole time.Duration
			for _, pause := range *pauses {
				whole += pause
			}
			if whole > vendorhttp.MaxWait {
				t.Errorf("got pauses of %v in all, want at most %v", whole, vendorhttp.MaxWait)
			}
		})
	}
}

func TestGetRefused(t *testing.T) {
	tests := []struct {
		status int
		body   string
		want   string
	}{
		{http.StatusForbidden, "shut", "acme answered 403 Forbidden (shut); knock first"},
		{http.StatusForbidden, "", "acme answered 403 Forbidden; knock first"},
		{http.StatusForbidden, "two\nlines", "acme answered 403 Forbidden (two lines); knock first"},
		{http.StatusForbidden, "with " + secret, "acme answered 403 Forbidden (with REDACTED); knock first"},
		{http.StatusForbidden, "with s3cr3t%2F0f1e2d3c%2B4b5a", "acme answered 403 Forbidden (with REDACTED); knock first"},
		// The cut goes through where the secret was.
		{http.StatusForbidden, strings.Repeat("x", 295) + secret, "acme answered 403 Forbidden (" + strings.Repeat("x", 295) + "REDAC); knock first"},
		{http.StatusForbidden, strings.Repeat("ä", 200), "acme answered 403 Forbidden (" + strings.Repeat("ä", 150) + "); knock first"},
		{http.StatusInternalServerError, "a word of the answer", "acme answered 500 Internal Server Error"},
		{http.StatusNoContent, "", "acme answered 204 No Content"},
		{http.StatusFound, "", "acme answered 302 Found"},
	}
	for _, test := range tests {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request, nth int) {
			if nth > 1 {
				t.Error("asked twice, or followed a redirect")
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		})
		c, _ := client()
		_, err := c.Get(t.Context(), address, "Bearer", secret)
		var refused *vendorhttp.Refused
		if !errors.As(err, &refused) || refused.Status != test.status || err.Error() != test.want {
			t.Errorf("status %d: got error %v, want %s", test.status, err, test.want)
		}
	}
}

func TestGetIsBounded(t *testing.T) {
	c, _ := client()
	c.MaxBody = 100
	for size, sound := range map[int]bool{100: true, 101: false} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write(make([]byte, size)) })
		answer, err := c.Get(t.Context(), address, "Bearer", secret)
		if sound != (err == nil) || sound && len(answer.Body) != size || !sound && !strings.Contains(err.Error(), "larger than 100 bytes") {
			t.Errorf("%d bytes: got error %v, want none: %v", size, err, sound)
		}
	}
	// Of an answer that is no page a part is enough.
	got := 0
	c = vendorhttp.New("acme", func(answer *vendorhttp.Answer) vendorhttp.Verdict {
		got = len(answer.Body)
		return vendorhttp.Verdict{}
	})
	address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(make([]byte, 1<<20))
	})
	if _, err := c.Get(t.Context(), address, "Bearer", secret); err == nil || got != 16<<10 {
		t.Errorf("got error %v and %d bytes of the answer, want one and %d", err, got, 16<<10)
	}
}

func TestGetEndsWithTheContext(t *testing.T) {
	c, _ := client()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusTooManyRequests) })
	ctx, cancel := context.WithCancel(t.Context())
	patient := vendorhttp.New("acme", nil).Pause
	c.Pause = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return patient(ctx, time.Hour)
	}
	if _, err := c.Get(ctx, address, "Bearer", secret); !errors.Is(err, context.Canceled) {
		t.Errorf("while waiting: got error %v, want context.Canceled in it", err)
	}
	if err := patient(t.Context(), time.Nanosecond); err != nil {
		t.Errorf("a pause that ends: got error %v, want none", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	address = serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	if _, err := c.Get(late, address, "Bearer", secret); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while asking: got error %v, want context.DeadlineExceeded in it", err)
	}
}

// Nothing that stands between throws the secret into an error.
func TestGetTellsNoSecret(t *testing.T) {
	hijack := func(w http.ResponseWriter, answer string) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		_, _ = connection.Write([]byte(answer))
	}
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tests := []struct{ name, address, want string }{
		{"no HTTP", serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			hijack(w, r.Header.Get("Authorization")+"\r\n\r\n")
		}), "no sound answer"},
		{"no header", serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			hijack(w, "HTTP/1.1 200 OK\r\n"+r.Header.Get("Authorization")+"\r\n\r\n")
		}), "no sound answer"},
		{"cut short", serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			hijack(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+r.Header.Get("Authorization"))
		}), "read page: unexpected EOF"},
		{"nobody there", gone.URL, "connection refused"},
		{"an unknown certificate", untrusted.URL, "certificate signed by unknown authority"},
		{"not an address", "http://" + secret + "\x00", "make request: the address is not one"},
	}
	for _, test := range tests {
		c, _ := client()
		_, err := c.Get(t.Context(), test.address, "Bearer", secret)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", test.name, err, test.want)
			continue
		}
		for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
			if text := fmt.Sprintf("%v %+v %#v", wrapped, wrapped, wrapped); strings.Contains(text, "s3cr3t") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %s, want one line without the secret", test.name, text)
			}
		}
	}
}
