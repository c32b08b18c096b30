// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

type googlePage struct {
	Next  string `json:"nextPageToken"`
	Items []struct {
		ID struct {
			Time string `json:"time"`
		} `json:"id"`
	} `json:"items"`
}

func askGoogle(t *testing.T, google *Google, application string, query url.Values) (status int, page googlePage) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/admin/reports/v1/activity/users/all/applications/"+application+"?"+query.Encode(), nil)
	r.Header.Set("Authorization", "Bearer fake-access-token")
	w := httptest.NewRecorder()
	google.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return w.Code, page
}

func TestGooglePagesAreNewestFirst(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	for _, minute := range []int{3, 1, 4, 1, 5} {
		google.Add("login", GoogleActivity{Time: time.Now().Truncate(time.Hour).Add(time.Duration(minute-10) * time.Minute)}.JSON())
	}
	google.Add("drive", GoogleActivity{}.JSON())
	var times []string
	query := url.Values{"maxResults": {"2"}}
	for pages := 1; ; pages++ {
		status, page := askGoogle(t, google, "login", query)
		if status != http.StatusOK {
			t.Fatalf("page %d: got status %d", pages, status)
		}
		for _, item := range page.Items {
			times = append(times, item.ID.Time)
		}
		if pages == 1 {
			// It is newer than the page, so the query does not show it any more.
			google.Add("login", GoogleActivity{Time: time.Now().Truncate(time.Hour).Add(-4 * time.Minute)}.JSON())
		}
		if page.Next == "" {
			break
		}
		query.Set("pageToken", page.Next)
	}
	if len(times) != 5 || !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("got times %q, want the five, newest first", times)
	}
	query.Set("startTime", times[2])
	if status, _ := askGoogle(t, google, "login", query); status != http.StatusBadRequest {
		t.Errorf("a page token with another query: got status %d, want 400", status)
	}
	query.Del("pageToken")
	query.Set("maxResults", "1000")
	if _, page := askGoogle(t, google, "login", query); len(page.Items) != 4 {
		t.Errorf("from %s: got %d records, want 4", times[2], len(page.Items))
	}
	google.Expire()
	query.Set("maxResults", "1")
	_, page := askGoogle(t, google, "login", query)
	google.Expire()
	query.Set("pageToken", page.Next)
	if status, _ := askGoogle(t, google, "login", query); status != http.StatusBadRequest {
		t.Errorf("a page token that has ended: got status %d, want 400", status)
	}
}

func TestGoogleShowsRecordsWhenTheyAreDue(t *testing.T) {
	google := NewGoogle(GoogleConfig{Faults: Faults{Seed: 7}, LateEvery: 2, LateBy: 3})
	for i := range 40 {
		google.Add("login", GoogleActivity{Number: uint64(i), Time: time.Now().Add(-time.Minute)}.JSON())
	}
	google.AddAt(time.Now().Add(time.Hour), "login", GoogleActivity{Number: 41}.JSON())
	var counts []int
	for range 4 {
		_, page := askGoogle(t, google, "login", nil)
		counts = append(counts, len(page.Items))
	}
	if counts[0] >= 40 || counts[0] == 0 || counts[3] != 40 || !slices.IsSorted(counts) {
		t.Errorf("got %v records from request to request, want some at first, 40 at last, and none that is due in an hour", counts)
	}
}

func TestGoogleRefuses(t *testing.T) {
	google := NewGoogle(GoogleConfig{})
	r := httptest.NewRequest(http.MethodGet, "/admin/reports/v1/activity/users/all/applications/login", nil)
	w := httptest.NewRecorder()
	google.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: got status %d, want 401", w.Code)
	}
	quota := NewGoogle(GoogleConfig{Faults: Faults{RateLimitEvery: 1}})
	if status, _ := askGoogle(t, quota, "login", nil); status != http.StatusServiceUnavailable {
		t.Errorf("over the quota: got status %d, want 503", status)
	}
	for name, form := range map[string]url.Values{
		"no assertion":       {"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		"a forged assertion": {"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"e30.e30.AAAA"}},
		"another grant":      {"grant_type": {"password"}},
	} {
		r := httptest.NewRequest(http.MethodPost, googleTokenPath, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		google.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "access_token") {
			t.Errorf("%s: got status %d and %s, want 400 and no token", name, w.Code, w.Body)
		}
	}
}
