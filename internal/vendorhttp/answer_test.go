// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

func TestWhenToComeBack(t *testing.T) {
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	unix := func(wait time.Duration) string { return strconv.FormatInt(now.Add(wait).Unix(), 10) }
	date := func(wait time.Duration) string { return now.Add(wait).Format(http.TimeFormat) }
	for _, test := range []struct {
		name, header, date string
		after, until       time.Duration
	}{
		{"nothing", "", "", 0, 0},
		{"nonsense", "soon", "", 0, 0},
		{"seconds", "5", "", 5 * time.Second, time.Second},
		{"none", "0", "", time.Second, time.Second},
		{"less than none", "-5", "", time.Second, time.Second},
		{"a date", date(7 * time.Second), "", 7 * time.Second, 0},
		{"a date by the vendor's clock", date(37 * time.Second), date(30 * time.Second), 7 * time.Second, 0},
		{"a date that is past", date(-time.Hour), "", time.Second, 0},
		{"a Unix time", unix(30 * time.Second), "", time.Hour, 30 * time.Second},
		{"a Unix time by the vendor's clock", unix(30 * time.Second), date(10 * time.Second), time.Hour, 20 * time.Second},
		{"a Unix time that is past", unix(-time.Hour), "", time.Hour, time.Second},
		{"an age", "9223372036854775807", "", time.Hour, time.Hour},
		{"less than an age", "-9223372036854775808", "", time.Second, time.Second},
		{"more than a number", "9223372036854775808", "", 0, 0},
	} {
		var after, until time.Duration
		c := vendorhttp.New("acme", func(answer *vendorhttp.Answer) vendorhttp.Verdict {
			after, until = answer.RetryAfter(), answer.Until("X-Reset")
			return vendorhttp.Verdict{}
		})
		c.Now = func() time.Time { return now }
		address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", test.header)
			w.Header().Set("X-Reset", test.header)
			w.Header()["Date"] = nil
			if test.date != "" {
				w.Header().Set("Date", test.date)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		})
		if _, err := c.Get(t.Context(), address, "Bearer", secret); err == nil {
			t.Errorf("%s: got no error, want one", test.name)
		}
		if after != test.after || until != test.until {
			t.Errorf("%s: got %v and until %v, want %v and %v", test.name, after, until, test.after, test.until)
		}
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.example.com": "", "https://api.example.com/": "", "http://127.0.0.1:8080": "", "http://localhost:1": "", "http://[::1]:1": "",
		"": "not an address", "api.example.com": "not an address", "https://exa mple.com": "not an address", "https://": "not an address",
		"https://me:invented-pass@[shop":            "not an address",
		"https://me:invented-pass@shop.example.com": "holds a user or a password",
		"http://api.example.com":                    "by https alone", "ftp://127.0.0.1": "by https alone", "http://localhost.example.com": "by https alone",
		"https://api.example.com/v1": "more than the host", "https://api.example.com?a": "more than the host", "https://api.example.com#a": "more than the host",
	} {
		got, err := vendorhttp.Host(text)
		switch {
		case want == "" && (err != nil || strings.TrimSuffix(text, "/") != got.String()):
			t.Errorf("host %q: got %v and error %v, want it as it is", text, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "invented-pass")):
			t.Errorf("host %q: got error %v, want one with %q and no password", text, err, want)
		}
		if _, err := vendorhttp.Address(text); (err == nil) != (want == "" || want == "more than the host") {
			t.Errorf("address %q: got error %v", text, err)
		}
	}
}
