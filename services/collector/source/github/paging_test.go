// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

var monday = time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)

// polls asks several times, each with the cursor before.
func polls(t *testing.T, source *Source, times int) []*curfewv1.EventBatch {
	t.Helper()
	var batches []*curfewv1.EventBatch
	cursor := ""
	for range times {
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			t.Fatalf("poll %d: %v", len(batches)+1, err)
		}
		batches, cursor = append(batches, batch), batch.GetCursor()
	}
	return batches
}

// A page with nothing on it is no end while there is a next one.
func TestEmptyPage(t *testing.T) {
	source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		switch nth {
		case 1:
			page(w, r, "after=1&before=", monday.Add(-50*time.Hour))
		case 2:
			page(w, r, "after=2&before=")
		default:
			page(w, r, "", monday.Add(-40*time.Hour))
		}
	})
	source.client.Now = func() time.Time { return monday }
	batches := polls(t, source, 3)
	if got := batches[1]; !got.GetMore() || got.GetCoverage() != nil {
		t.Errorf("the empty page: got more %v, coverage %v, want more and no coverage", got.GetMore(), got.GetCoverage())
	}
	if got := batches[2]; len(got.GetEvents()) != 1 || got.GetMore() || got.GetCoverage() == nil {
		t.Errorf("behind it: got %v, want one event, and coverage", got)
	}
}

// A page that leads to itself is an error, and so are pages without end that hold nothing.
func TestEndlessLinks(t *testing.T) {
	source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		page(w, r, "after=same&before=", monday.Add(-time.Hour))
	})
	source.client.Now = func() time.Time { return monday }
	if _, err := source.Poll(t.Context(), feed, polls(t, source, 1)[0].GetCursor()); err == nil {
		t.Error("the same link again: got no error")
	}
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		page(w, r, fmt.Sprintf("after=%d&before=", nth))
	})
	source.client.Now = func() time.Time { return monday }
	cursor := ""
	for range maxBlank + 10 {
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			break
		}
		cursor = batch.GetCursor()
	}
	if len(*asked) != maxBlank+1 {
		t.Errorf("empty pages without end: %d were read, want an error after %d", len(*asked)-1, maxBlank)
	}
}

// A full page that tells nothing of a next one is no end: reading goes on from the newest event.
func TestFullPageWithoutLink(t *testing.T) {
	var times []time.Time
	for i := range 100 {
		times = append(times, monday.Add(-60*time.Hour+time.Duration(i)*time.Minute))
	}
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		if nth == 1 {
			page(w, r, "", times...)
			return
		}
		page(w, r, "", times[99], monday.Add(-time.Hour))
	})
	source.client.Now = func() time.Time { return monday }
	batches := polls(t, source, 2)
	if got := batches[0]; !got.GetMore() || got.GetCoverage() != nil {
		t.Errorf("the full page: got more %v, coverage %v, want more and no coverage", got.GetMore(), got.GetCoverage())
	}
	if got := since(t, (*asked)[1]); !got.Equal(times[99]) {
		t.Errorf("then: got since %v, want %v", got, times[99])
	}
	if got := batches[1]; got.GetMore() || got.GetCoverage() == nil {
		t.Errorf("the last page: got more %v, coverage %v, want the end", got.GetMore(), got.GetCoverage())
	}
	// Where a page holds one second alone there is no going on.
	for i := range times {
		times[i] = times[99]
	}
	source, _ = recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "", times...) })
	source.client.Now = func() time.Time { return monday }
	if _, err := source.Poll(t.Context(), feed, polls(t, source, 1)[0].GetCursor()); err == nil {
		t.Error("a page of one moment: got no error")
	}
}

// A first read that goes on after days does not claim what Git's events no longer tell.
func TestResumedLate(t *testing.T) {
	now := monday
	source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		if nth == 1 {
			page(w, r, "after=1&before=", monday.Add(-70*time.Hour))
			return
		}
		page(w, r, "")
	})
	source.client.Now = func() time.Time { return now }
	first := polls(t, source, 1)[0]
	now = monday.Add(8 * 24 * time.Hour)
	second, err := source.Poll(t.Context(), feed, first.GetCursor())
	if err != nil {
		t.Fatal(err)
	}
	if covered := second.GetCoverage(); covered != nil {
		t.Errorf("got coverage %v, want none: what the query was about is gone", covered)
	}
	third, err := source.Poll(t.Context(), feed, second.GetCursor())
	if err != nil || third.GetCoverage().GetFrom().AsTime().Before(now.Add(-gitRetention)) {
		t.Errorf("then: got %v, %v, want nothing of before the last 7 days", third.GetCoverage(), err)
	}
}

// A clock that is ahead, by less or more than an overlap, neither skips nor claims anything of GitHub's time to come.
func TestClockAhead(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 3 * time.Hour, 30 * 24 * time.Hour} {
		vendorNow := monday
		vendor := fake.NewGitHub(fake.GitHubConfig{Token: "invented", Now: func() time.Time { return vendorNow }})
		server := httptest.NewServer(vendor)
		t.Cleanup(server.Close)
		started := func(ahead time.Duration) *Source {
			source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 100, Impatient: true})
			source.client.Now = func() time.Time { return vendorNow.Add(ahead) }
			return source
		}
		source, cursor, seen := started(ahead), "", map[string]bool{}
		n := 0
		poll := func() {
			t.Helper()
			batch, err := source.Poll(t.Context(), feed, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range batch.GetEvents() {
				seen[e.GetId()] = true
			}
			if until := batch.GetCoverage().GetUntil(); until != nil && until.AsTime().After(vendorNow.Add(-overlap)) {
				t.Fatalf("%v ahead: got coverage until %v at %v", ahead, until.AsTime(), vendorNow)
			}
			if cursor = batch.GetCursor(); strings.Contains(cursor, vendorNow.Add(ahead).Format("2006-01-02T15")) {
				t.Fatalf("%v ahead: the cursor %s holds our time", ahead, cursor)
			}
		}
		for minute := range 300 {
			vendorNow = vendorNow.Add(time.Minute)
			if n++; minute%2 == 0 {
				vendor.Add(fake.GitHubEvent{Number: uint64(n), Time: vendorNow.Add(-time.Second)}.JSON())
			} else {
				// It reaches the log an hour late.
				vendor.Add(fake.GitHubEvent{Number: uint64(n), Time: vendorNow.Add(-time.Hour)}.JSON())
			}
			if minute == 150 {
				source = started(ahead) // It does not know yet that its clock is ahead.
			}
			poll()
		}
		vendorNow = vendorNow.Add(overlap)
		poll()
		if len(seen) != n {
			t.Errorf("%v ahead: got %d of %d events", ahead, len(seen), n)
		}
	}
}

// The first answer tells that our clock is ahead: the query is made anew, and each after it once.
func TestClockFoundAhead(t *testing.T) {
	ours := monday.Add(3 * time.Hour)
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Date", monday.Format(http.TimeFormat))
		page(w, r, "")
	})
	source.client.Now = func() time.Time { return ours }
	batch := polls(t, source, 1)[0]
	if got := since(t, (*asked)[len(*asked)-1]); len(*asked) != 2 || !got.Equal(monday.Add(-source.config.Since)) {
		t.Errorf("got since %v after %d queries, want %v after two", got, len(*asked), monday.Add(-source.config.Since))
	}
	if until := batch.GetCoverage().GetUntil().AsTime(); until.After(monday.Add(-overlap)) {
		t.Errorf("got coverage until %v", until)
	}
	if _, err := source.Poll(t.Context(), feed, batch.GetCursor()); err != nil || len(*asked) != 3 {
		t.Errorf("then: got %v after %d queries, want one more", err, len(*asked)-2)
	}
	// A query that was begun by a clock ahead ends by GitHub's.
	source.client = newSource(t, sourcetest.Options{URL: source.config.URL, Token: "invented"}).client
	source.client.Now = func() time.Time { return ours }
	c := cursor{From: monday.Add(-10 * time.Hour), Covered: monday.Add(-10 * time.Hour), Asked: ours, Sweep: true, Next: "/organizations/2001/audit-log?after=1"}
	batch, err := source.Poll(t.Context(), feed, c.String())
	if until := batch.GetCoverage().GetUntil().AsTime(); err != nil || until.After(monday.Add(-overlap)) {
		t.Errorf("a query in progress: got coverage until %v, %v", until, err)
	}
}

// What an earlier clock wrote that was ahead is set back, and read again from before the newest event.
func TestCursorAhead(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "") })
	source.client.Now = func() time.Time { return monday }
	newest := monday.Add(-30 * time.Minute)
	c := cursor{From: monday.Add(time.Hour), Covered: monday.Add(50 * time.Minute), Swept: monday.Add(3 * time.Hour), Newest: newest}
	batch, err := source.Poll(t.Context(), feed, c.String())
	if err != nil || !since(t, (*asked)[0]).Equal(newest.Add(-overlap)) {
		t.Errorf("got %v, since %v, want since an overlap before the newest event", err, since(t, (*asked)[0]))
	}
	if covered := batch.GetCoverage(); covered.GetFrom().AsTime().After(newest.Add(-overlap)) || covered.GetUntil().AsTime().After(monday) {
		t.Errorf("got coverage %v", covered)
	}
	// A query in progress, too.
	c.Asked, c.Next, c.Reached = monday.Add(3*time.Hour), "/organizations/2001/audit-log?after=1", newest
	if _, err = source.Poll(t.Context(), feed, c.String()); err != nil || !since(t, (*asked)[1]).Equal(newest.Add(-overlap)) {
		t.Errorf("in progress: got %v, asked %v, want the query anew", err, (*asked)[1])
	}
}

// The repeats that a sweep brings lie within the horizon.
func TestHorizon(t *testing.T) {
	source, _ := recorder(t, nil)
	if got := source.Horizon(feed); got < overlap+sweepEvery+margin {
		t.Errorf("got %v, want at least an overlap, the pause between two sweeps and a margin", got)
	}
}

// Lists that lead round in a circle, or hold no list, are errors and no end.
func TestLists(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(page string) (body, next string)
		most   int
	}{
		"the same page":   {func(string) (string, string) { return `[{"id":1}]`, "1" }, 3},
		"a circle of two": {func(page string) (string, string) { return `[{"id":1}]`, map[string]string{"1": "2"}[page] + "" }, 3},
		"a longer circle": {func(page string) (string, string) {
			return `[]`, map[string]string{"": "1", "1": "2", "2": "3", "3": "1"}[page]
		}, 5},
		"null":   {func(string) (string, string) { return `null`, "" }, 1},
		"object": {func(string) (string, string) { return `{}`, "" }, 1},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			body, next := test.answer(r.URL.Query().Get("page"))
			if name == "a circle of two" && next == "" {
				next = "1"
			}
			if next != "" {
				w.Header().Set("Link", "<http://"+r.Host+r.URL.Path+"?page="+next+`>; rel="next"`)
			}
			_, _ = w.Write([]byte(body)) // The client may have gone.
		}))
		source := newManager(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2, Impatient: true})
		err := list(t.Context(), source, "", source.base.JoinPath("list"), func(restUser) {})
		server.Close()
		if err == nil || asked > test.most {
			t.Errorf("%s: got error %v after %d requests, want one after %d at most", name, err, asked, test.most)
		}
	}
	seen := map[string]bool{}
	for n := range maxPages {
		if err := turn(seen, fmt.Sprint(n)); err != nil {
			t.Fatalf("page %d: %v", n, err)
		}
	}
	if err := turn(seen, "one more"); err == nil {
		t.Errorf("after %d pages: got no error", maxPages)
	}
}

// GraphQL's cursors that lead round in a circle are an error as well.
func TestGraphCircle(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = fmt.Fprintf(w, `{"data":{"organization":{"teams":{"pageInfo":{"hasNextPage":true,"endCursor":"c%d"},"nodes":[]}}}}`, asked%3)
	}))
	t.Cleanup(server.Close)
	source := newManager(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 2, Impatient: true})
	if got, err := source.Observe(t.Context(), "groups"); err == nil || asked > 5 {
		t.Errorf("got %v, %v after %d requests, want an error", got, err, asked)
	}
}
