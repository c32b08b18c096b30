// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// recorder answers as told, by the source's own clock, and keeps what was asked.
func recorder(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, nth int)) (*Source, *[]*url.URL) {
	t.Helper()
	var asked []*url.URL
	var source *Source
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL)
		w.Header().Set("Date", source.client.Now().UTC().Format(http.TimeFormat))
		answer(w, r, len(asked))
	}))
	t.Cleanup(server.Close)
	source = newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 100, Impatient: true})
	return source, &asked
}

// page answers with records at the times, and with a link to a next page if there is to be one.
func page(w http.ResponseWriter, r *http.Request, next string, times ...time.Time) {
	if next != "" {
		w.Header().Set("Link", "<http://"+r.Host+"/organizations/2001/audit-log?"+next+`>; rel="next", <http://`+r.Host+`/organizations/2001/audit-log?after=&before=>; rel="first"`)
	}
	records := make([]string, 0, len(times))
	for i, at := range times {
		records = append(records, string(fake.GitHubEvent{Seed: uint64(at.UnixMilli()), Number: uint64(i), Time: at}.JSON()))
	}
	// The client may have gone.
	_, _ = w.Write([]byte("[" + strings.Join(records, ",") + "]"))
}

// since is where a query begins.
func since(t *testing.T, asked *url.URL) time.Time {
	t.Helper()
	text, _ := strings.CutPrefix(asked.Query().Get("phrase"), "created:>=")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("query %s: %v", asked, err)
	}
	return at
}

// A sweep goes back by an overlap before the last one, and what is between them by a margin before the newest event.
func TestQueries(t *testing.T) {
	start := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	now := start
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "", now.Add(-30*time.Second)) })
	source.client.Now = func() time.Time { return now }
	cursor := ""
	for i, want := range []struct {
		at          time.Duration
		since       time.Duration
		from, until time.Duration // of the coverage
	}{
		{0, -3 * 24 * time.Hour, -3 * 24 * time.Hour, -130 * time.Minute},
		{15 * time.Second, -30*time.Second - margin, -130 * time.Minute, -130*time.Minute + 15*time.Second},
		{9 * time.Minute, 15*time.Second - 30*time.Second - margin, -130*time.Minute + 15*time.Second, -121 * time.Minute},
		{10 * time.Minute, -overlap, -121 * time.Minute, -120 * time.Minute},
		{11 * time.Minute, 10*time.Minute - 30*time.Second - margin, -120 * time.Minute, -119 * time.Minute},
		// After a long absence reading goes on where it left off.
		{5 * 24 * time.Hour, 10*time.Minute - overlap, -119 * time.Minute, 5*24*time.Hour - 130*time.Minute},
		// Git's own events of before the last 7 days are gone.
		{50 * 24 * time.Hour, 5*24*time.Hour - overlap, 43 * 24 * time.Hour, 50*24*time.Hour - 130*time.Minute},
		// So is everything of before the last 180 days.
		{400 * 24 * time.Hour, 400*24*time.Hour - retention, 393 * 24 * time.Hour, 400*24*time.Hour - 130*time.Minute},
	} {
		now = start.Add(want.at)
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if got := since(t, (*asked)[i]); !got.Equal(start.Add(want.since)) {
			t.Errorf("query %d: got since %v, want %v", i, got, start.Add(want.since))
		}
		covered := batch.GetCoverage()
		if !covered.GetFrom().AsTime().Equal(start.Add(want.from)) || !covered.GetUntil().AsTime().Equal(start.Add(want.until)) || batch.GetMore() {
			t.Errorf("query %d: got coverage %v, more %v, want from %v until %v and no more", i, covered, batch.GetMore(), start.Add(want.from), start.Add(want.until))
		}
		cursor = batch.GetCursor()
	}
	want := url.Values{"phrase": {"created:>=2026-03-06T08:00:00+00:00"}, "include": {"all"}, "order": {"asc"}, "per_page": {"100"}}.Encode()
	if got := (*asked)[0]; got.Path != "/orgs/example/audit-log" || got.Query().Encode() != want {
		t.Errorf("first query: got %s, want /orgs/example/audit-log?%s", got, want)
	}
	// A clock that was set back makes no gap and no query of time to come.
	now = start.Add(time.Hour)
	batch, err := source.Poll(t.Context(), feed, cursor)
	if err != nil || batch.GetCoverage() != nil || !since(t, (*asked)[8]).Equal(now.Add(-overlap)) {
		t.Errorf("with a clock set back: got %v, %v, since %v, want no coverage, since an overlap ago", batch.GetCoverage(), err, since(t, (*asked)[8]))
	}
}

// Links are followed as they are given until there is none; what happened after the query was begun is for the next one.
func TestPages(t *testing.T) {
	start := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	now := start
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		switch nth {
		case 1:
			page(w, r, "after=MS4%2B1&before=", start.Add(-time.Hour))
		case 2:
			now = now.Add(20 * time.Minute)
			w.Header().Set("Date", now.Format(http.TimeFormat))
			page(w, r, "after=MS4%2B2&before=", start.Add(-time.Minute), start.Add(time.Minute), start.Add(2*time.Minute))
		default:
			page(w, r, "", start.Add(time.Minute), start.Add(2*time.Minute))
		}
	})
	source.client.Now = func() time.Time { return now }
	cursor := ""
	for i, want := range []struct {
		events int
		more   bool
	}{{1, true}, {1, true}, {2, false}} {
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.GetEvents()) != want.events || int(batch.GetRecords()) != want.events || batch.GetMore() != want.more || (batch.GetCoverage() == nil) != want.more {
			t.Errorf("page %d: got %d events of %d records, more %v, coverage %v, want %d and %v", i, len(batch.GetEvents()), batch.GetRecords(), batch.GetMore(), batch.GetCoverage(), want.events, want.more)
		}
		cursor = batch.GetCursor()
	}
	if got := (*asked)[1].RequestURI(); got != "/organizations/2001/audit-log?after=MS4%2B1&before=" {
		t.Errorf("second page: got %s, want the link as it was given", got)
	}
	if got := since(t, (*asked)[2]); !got.Equal(start.Add(-overlap)) {
		t.Errorf("the next query: got since %v, want an overlap before the first was begun", got)
	}
}

func TestRefusedCursor(t *testing.T) {
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	for status, restarts := range map[int]bool{400: true, 404: true, 410: true, 422: true, 401: false, 500: false} {
		source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
			if nth == 2 {
				w.WriteHeader(status)
				return
			}
			page(w, r, fmt.Sprintf("after=%d", nth), now.Add(-time.Hour))
		})
		source.client.Now = func() time.Time { return now }
		batch, err := source.Poll(t.Context(), feed, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Poll(t.Context(), feed, batch.GetCursor())
		switch {
		case !restarts && (err == nil || len(*asked) != 2):
			t.Errorf("%d: got error %v after %d requests, want one after 2", status, err, len(*asked))
		case restarts && (err != nil || !since(t, (*asked)[2]).Equal(now.Add(-time.Hour-margin))):
			t.Errorf("%d: got error %v, want the query anew from a margin before what was read", status, err)
		}
	}
	// A first page has no cursor that could be at fault: asking again the same way would be a loop.
	source, asked := recorder(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) })
	if _, err := source.Poll(t.Context(), feed, ""); err == nil || len(*asked) != 1 {
		t.Errorf("got error %v after %d requests, want one after 1", err, len(*asked))
	}
}

func TestForeignCursor(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "") })
	times := `"from":"2026-03-09T08:00:00Z","covered":"2026-03-09T08:00:00Z","asked":"2026-03-09T08:00:00Z"`
	for _, text := range []string{
		"[]", "{}", "text", `{"from":"2026-03-09T08:00:00Z"}`,
		`{` + times + `,"next":"https://elsewhere.example.com/orgs/example/audit-log"}`, `{` + times + `,"next":"//elsewhere.example.com/audit-log"}`,
		`{` + times + `,"next":"/user/keys"}`, `{"from":"2026-03-09T08:00:00Z","covered":"2026-03-09T08:00:00Z","next":"/orgs/example/audit-log"}`,
	} {
		if _, err := source.Poll(t.Context(), feed, text); err == nil || len(*asked) > 0 {
			t.Errorf("cursor %s: got error %v after %d requests, want one after none", text, err, len(*asked))
		}
	}
}

func TestEnterpriseAddress(t *testing.T) {
	source, err := New(Config{URL: "https://github.example.com/api/v3", Enterprise: "example-corp", Token: newSource(t, sourcetest.Options{URL: "http://127.0.0.1:1", Token: "x"}).config.Token})
	if err != nil {
		t.Fatal(err)
	}
	got := source.logAddress(time.Date(2026, time.March, 9, 8, 0, 0, 5e8, time.UTC), 100)
	if want := "https://github.example.com/api/v3/enterprises/example-corp/audit-log?include=all&order=asc&per_page=100&phrase=created%3A%3E%3D2026-03-09T08%3A00%3A00%2B00%3A00"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
