// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"time"
)

// githubClient asks a fake GitHub.
type githubClient struct {
	t    *testing.T
	base string
}

func newGitHubClient(t *testing.T, vendor *GitHub) githubClient {
	t.Helper()
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	return githubClient{t, server.URL}
}

func (c githubClient) ask(method, path, token string) (status int, body []byte, header http.Header) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil
	}
	return response.StatusCode, body, response.Header
}

var githubNext = regexp.MustCompile(`<http://[^/]*([^>]*)>; rel="next"`)

// read follows the links from a path on and returns the actions' numbers, page by page.
func (c githubClient) read(path string) [][]int {
	c.t.Helper()
	var pages [][]int
	for path != "" {
		status, body, header := c.ask(http.MethodGet, path, "invented")
		if status != http.StatusOK {
			c.t.Fatalf("GET %s: got %d %s", path, status, body)
		}
		var records []struct {
			Number int `json:"n"`
		}
		if err := json.Unmarshal(body, &records); err != nil {
			c.t.Fatal(err)
		}
		page := []int{}
		for _, record := range records {
			page = append(page, record.Number)
		}
		pages = append(pages, page)
		path = ""
		if next := githubNext.FindStringSubmatch(header.Get("Link")); next != nil {
			path = next[1]
		}
	}
	return pages
}

func TestGitHubLog(t *testing.T) {
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	vendor := NewGitHub(GitHubConfig{Token: "invented", Now: func() time.Time { return now }})
	c := newGitHubClient(t, vendor)
	at := func(hours int, action string, n int) json.RawMessage {
		return GitHubEvent{Time: now.Add(-time.Duration(hours) * time.Hour), Action: action, More: map[string]any{"n": n}}.JSON()
	}
	// The order is that of the events' own time.
	vendor.Add(at(1, "repo.create", 4), at(3, "git.clone", 2), at(2, "repo.access", 3), at(200, "repo.create", 1), at(201, "git.push", 0))
	phrase := "phrase=created:%3E%3D2026-02-20T08:00:00%2B00:00&order=asc"
	for query, want := range map[string][][]int{
		phrase + "&include=all&per_page=2": {{1, 2}, {3, 4}},
		phrase + "&include=all&per_page=3": {{1, 2, 3}, {4}},
		phrase + "&include=git":            {{2}},
		phrase:                             {{1, 3, 4}},
		"order=asc&include=all":            {{1, 2, 3, 4}},
		"phrase=created:%3E%3D2026-03-09T06:00:00%2B00:00&order=asc&include=all": {{3, 4}},
		"phrase=created:%3E%3D2026-03-10T06:00:00%2B00:00&order=asc&include=all": {{}},
	} {
		if got := c.read("/orgs/example/audit-log?" + query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
	for path, want := range map[string]int{
		"/orgs/other/audit-log?order=asc":          404,
		"/enterprises/example/audit-log?order=asc": 404,
		"/user":                   404,
		"/orgs/example/audit-log": 422,
		"/orgs/example/audit-log?order=asc&after=nonsense":    422,
		"/orgs/example/audit-log?order=asc&phrase=action:org": 422,
	} {
		if status, body, _ := c.ask(http.MethodGet, path, "invented"); status != want {
			t.Errorf("%s: got %d %s, want %d", path, status, body, want)
		}
	}
	if status, body, _ := c.ask(http.MethodGet, "/orgs/example/audit-log?order=asc", "another"); status != 401 {
		t.Errorf("another token: got %d %s, want 401", status, body)
	}
	// A cursor is good for its query, and until it expires.
	_, _, header := c.ask(http.MethodGet, "/orgs/example/audit-log?order=asc&include=all&per_page=2", "invented")
	next := githubNext.FindStringSubmatch(header.Get("Link"))[1]
	if status, _, _ := c.ask(http.MethodGet, next, "invented"); status != 200 {
		t.Errorf("a cursor: got %d, want 200", status)
	}
	if status, _, _ := c.ask(http.MethodGet, next+"&phrase=created:%3E%3D2026-02-20T08:00:00%2B00:00", "invented"); status != 200 {
		t.Errorf("a cursor with its own phrase before another: got %d, want 200", status)
	}
	vendor.Expire()
	if status, _, _ := c.ask(http.MethodGet, next, "invented"); status != 422 {
		t.Errorf("an expired cursor: got %d, want 422", status)
	}
	noLog := newGitHubClient(t, NewGitHub(GitHubConfig{NoAuditLog: true}))
	if status, body, _ := noLog.ask(http.MethodGet, "/orgs/example/audit-log?order=asc", "any"); status != 404 {
		t.Errorf("a plan without the log: got %d %s, want 404", status, body)
	}
}

func TestGitHubLateness(t *testing.T) {
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	vendor := NewGitHub(GitHubConfig{LateEvery: 1, Faults: Faults{Seed: 7}, Now: func() time.Time { return now }})
	c := newGitHubClient(t, vendor)
	for n := range 20 {
		vendor.Add(GitHubEvent{Number: uint64(n), Time: now, More: map[string]any{"n": n}}.JSON())
	}
	in := func() int {
		return len(slices.Concat(c.read("/orgs/example/audit-log?order=asc&include=all&per_page=100")...))
	}
	first := in()
	now = now.Add(time.Hour)
	hour := in()
	now = now.Add(50 * time.Minute)
	if last := in(); first > 2 || hour <= first || hour >= 20 || last != 20 {
		t.Errorf("got %d, %d and %d records at once, after an hour and after 110 minutes, want few, more and all 20", first, hour, last)
	}
	vendor.AddAt(time.Now().Add(time.Hour), GitHubEvent{Number: 99, Time: now}.JSON())
	if got := in(); got != 20 {
		t.Errorf("got %d records, want none that is still to come", got)
	}
	if vendor.Settle(); in() != 21 {
		t.Errorf("got %d records, want all", in())
	}
}

// The same seed has the same faults; each is in GitHub's form.
func TestGitHubFaults(t *testing.T) {
	run := func() (statuses []int) {
		vendor := NewGitHub(GitHubConfig{Faults: Faults{Seed: 3, RateLimitEvery: 4, ServerErrorEvery: 6, DropReplyEvery: 5, AwayAfter: 50, AwayFor: 3}})
		c := newGitHubClient(t, vendor)
		for range 60 {
			status, body, header := c.ask(http.MethodGet, "/orgs/example/audit-log?order=asc", "invented")
			statuses = append(statuses, status)
			if limited := status == 403 || status == 429; limited && header.Get("Retry-After") == "" && header.Get("X-RateLimit-Reset") == "" {
				t.Errorf("%d: got %v, want a time to come back", status, header)
			}
			if status >= 400 && !json.Valid(body) {
				t.Errorf("%d: got %s, want JSON", status, body)
			}
		}
		return statuses
	}
	first := run()
	for _, want := range []int{0, 200, 403, 429, 502} {
		if !slices.Contains(first, want) {
			t.Errorf("got %v, want %d among them", first, want)
		}
	}
	if again := run(); !slices.Equal(first, again) {
		t.Errorf("got %v, then %v, want the same of the same seed", first, again)
	}
}
