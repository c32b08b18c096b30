// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

func TestPutOff(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		header  string
		body    string
		want    []time.Duration // whole seconds waited
		refused bool
	}{
		{"quota", 503, "", "", []time.Duration{1, 2, 4}, false},
		{"quota with a time", 503, "7", "", []time.Duration{7, 7, 7}, false},
		{"too many requests", 429, "3", "", []time.Duration{3, 3, 3}, false},
		{"a time that is over", 503, "Mon, 02 Jan 2006 15:04:05 GMT", "", []time.Duration{1, 1, 1}, false},
		{"centuries", 503, "99999999999", "", []time.Duration{300}, true},
		{"an old form of the quota", 403, "", `{"error":{"errors":[{"reason":"userRateLimitExceeded"}]}}`, []time.Duration{1, 2, 4}, false},
		{"the quota in a newer form", 403, "", `{"error":{"status":"PERMISSION_DENIED","details":[{"@type":"x"},{"reason":"RATE_LIMIT_EXCEEDED"}]}}`, []time.Duration{1, 2, 4}, false},
		{"an API that is off", 403, "", `{"error":{"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}`, nil, true},
		{"broken", 500, "", "", []time.Duration{1, 2, 4}, false},
		{"not allowed", 403, "", `{"error":{"errors":[{"reason":"forbidden"}]}}`, nil, true},
		{"no such application", 400, "", "", nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := recorder(t, func(w http.ResponseWriter, _ url.Values, nth int) {
				if nth > 3 {
					page(w, "")
					return
				}
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			var got []time.Duration
			source.client.Pause = func(_ context.Context, wait time.Duration) error {
				got = append(got, wait.Truncate(time.Second)/time.Second)
				return nil
			}
			_, err := source.Poll(t.Context(), "login", "")
			if test.refused != (err != nil) {
				t.Fatalf("got error %v, want one: %v", err, test.refused)
			}
			for i := range got {
				// The random tenth may make a second more of long waits.
				if i < len(test.want) && got[i] > test.want[i] && got[i] <= test.want[i]+test.want[i]/10 {
					got[i] = test.want[i]
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got waits %v, want %v", got, test.want)
			}
		})
	}
}

func TestPutOffForGoodEnds(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, _ url.Values, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	source.client.Pause = func(context.Context, time.Duration) error { return nil }
	_, err := source.Poll(t.Context(), "login", "")
	if err == nil || len(*asked) != vendorhttp.MaxTries {
		t.Errorf("got %d requests and error %v, want %d and one", len(*asked), err, vendorhttp.MaxTries)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{403, `{"error":{"errors":[{"reason":"forbidden"}]}}`, "(forbidden); give the subject an administrator role that may see reports, and the service account domain-wide delegation for " + scopeAudit},
		{403, `{"error":{"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}`, "(accessNotConfigured); enable this API in the service account's Google Cloud project"},
		{401, `{"error":{"errors":[{"reason":"authError"}]}}`, "(authError); the service account's token is not accepted"},
		{400, `{"error":{"errors":[{"reason":"something of theirs"}]}}`, "google answered 400 Bad Request"},
	} {
		source, _ := recorder(t, func(w http.ResponseWriter, _ url.Values, _ int) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		})
		// A second token is no better.
		source.tokens[scopeAudit] = vendorhttp.NewTokens(func(context.Context) (*oauth2.Token, error) { return &oauth2.Token{AccessToken: "invented"}, nil })
		_, err := source.Poll(t.Context(), "login", "")
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("status %d: got error %v, want one line with %q", test.status, err, test.want)
		}
	}
}
