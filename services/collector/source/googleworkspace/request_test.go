// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

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
