// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// recorder is a source whose vendor answers as told and keeps the query of each request, its page size left out.
func recorder(t *testing.T, answer func(w http.ResponseWriter, query url.Values, nth int)) (source *Source, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		query.Del("maxResults")
		*asked = append(*asked, query.Encode())
		w.Header().Set("Date", source.client.Now().UTC().Format(http.TimeFormat))
		answer(w, query, len(*asked))
	}))
	t.Cleanup(server.Close)
	source = newSource(t, sourcetest.Options{URL: server.URL, Token: "invented"})
	return source, asked
}

func page(w http.ResponseWriter, next string) {
	fmt.Fprintf(w, `{"kind":"admin#reports#activities","nextPageToken":%q}`, next)
}

func TestQueries(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, asked := recorder(t, func(w http.ResponseWriter, _ url.Values, nth int) {
		if nth == 1 {
			page(w, "more")
			return
		}
		page(w, "")
	})
	source.client.Now = func() time.Time { return now }
	type read struct {
		query, covered string
		more           bool
	}
	clock := func(day, at string) string {
		return "2026-03-" + day + "T" + strings.ReplaceAll(at, ":", "%3A") + ".000Z"
	}
	query := func(fromDay, from, untilDay, until string) string {
		return "endTime=" + clock(untilDay, until) + "&startTime=" + clock(fromDay, from)
	}
	var got []read
	cursor := ""
	poll := func() {
		t.Helper()
		batch, err := source.Poll(t.Context(), "login", cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = batch.GetCursor()
		covered := ""
		if c := batch.GetCoverage(); c != nil {
			covered = c.GetFrom().AsTime().Format("02 15:04") + " to " + c.GetUntil().AsTime().Format("02 15:04")
		}
		got = append(got, read{(*asked)[len(*asked)-1], covered, batch.GetMore()})
	}
	for range 7 {
		poll()
	}
	now = now.Add(10 * time.Minute)
	poll()
	// An absence of a day is read in pieces, each two overlaps long.
	now = now.Add(24 * time.Hour)
	poll()
	poll()
	want := []read{
		// The first query has two pages; 24 hours are six queries of four hours, the last of which goes to now.
		{query("08", "11:59:59", "08", "16:00:00"), "", true},
		{query("08", "11:59:59", "08", "16:00:00"), "", true},
		{query("08", "15:59:59", "08", "20:00:00"), "", true},
		{query("08", "19:59:59", "09", "00:00:00"), "", true},
		{query("08", "23:59:59", "09", "04:00:00"), "", true},
		{query("09", "03:59:59", "09", "08:00:00"), "", true},
		{query("09", "07:59:59", "09", "12:00:00"), "08 12:00 to 09 10:00", false},
		// From then on each query begins an overlap before the last one was made.
		{query("09", "09:59:59", "09", "12:10:00"), "09 10:00 to 09 10:10", false},
		{query("09", "10:09:59", "09", "14:10:00"), "", true},
		{query("09", "14:09:59", "09", "18:10:00"), "", true},
	}
	// The second read is the second page of the first query.
	want[1].query = strings.Replace(want[1].query, "&startTime", "&pageToken=more&startTime", 1)
	if !slices.Equal(got, want) {
		for i := range want {
			t.Errorf("read %d: got %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

func TestRefusedPageTokenMakesTheQueryAgain(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, query url.Values, nth int) {
		switch {
		case query.Get("pageToken") != "":
			w.WriteHeader(http.StatusBadRequest)
		case nth == 1:
			page(w, "ends soon")
		default:
			page(w, "")
		}
	})
	first, err := source.Poll(t.Context(), "login", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = source.Poll(t.Context(), "login", first.GetCursor()); err != nil {
		t.Fatalf("got error %v, want the query again", err)
	}
	if len(*asked) != 3 || (*asked)[2] != (*asked)[0] {
		t.Errorf("got requests %q, want the first again after the refusal", *asked)
	}
}

func TestQueryGoesNoFurtherBackThanGoogleKeeps(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, _ url.Values, _ int) { page(w, "") })
	now := time.Date(2026, time.September, 1, 0, 0, 0, 0, time.UTC)
	source.client.Now = func() time.Time { return now }
	old := cursor{From: now.Add(-400 * 24 * time.Hour), Covered: now.Add(-400 * 24 * time.Hour)}
	batch, err := source.Poll(t.Context(), "login", old.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := "startTime=2026-03-05T23%3A59%3A59.000Z"; !strings.Contains((*asked)[0], want) {
		t.Errorf("got request %s, want %s in it", (*asked)[0], want)
	}
	next, err := source.parseCursor(batch.GetCursor())
	if err != nil || !next.Covered.Equal(now.Add(-retention)) {
		t.Errorf("got coverage to begin at %v, %v, want it to show what is lost: %v", next.Covered, err, now.Add(-retention))
	}
}

func TestForeignCursor(t *testing.T) {
	source := newSource(t, sourcetest.Options{URL: "http://127.0.0.1:1", Token: "invented"})
	for _, text := range []string{
		"no cursor", "{}", "null", "42", `{"from":"2026-03-02T08:00:00Z"}`, `{"from":"soon","covered":"2026-03-02T08:00:00Z"}`,
		`{"from":"2026-03-02T08:00:00Z","covered":"2026-03-02T08:00:00Z","pageToken":"of no query"}`,
	} {
		if c, err := source.parseCursor(text); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v and error %v, want an error that does not repeat it", text, c, err)
		}
	}
}

// Repeats never lie further back than the horizon says, or the collector would have forgotten them.
func TestRepeatsLieWithinHorizon(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{Token: "invented", ExpireEvery: 20})
	now := time.Now()
	for i := range 600 {
		at := now.Add(-time.Duration(i) * 3 * time.Minute)
		google.Add("login", fake.GoogleActivity{Number: uint64(i), Time: at}.JSON())
	}
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 5, Impatient: true})
	source.config.Since = 48 * time.Hour

	seen, newest, cursor, repeats := map[string]bool{}, time.Time{}, "", 0
	for ends := 0; ends < 3; {
		batch, err := source.Poll(t.Context(), "login", cursor)
		if err != nil {
			t.Fatal(err)
		}
		before := newest
		for _, e := range batch.GetEvents() {
			at := e.GetTime().AsTime()
			if seen[e.GetId()] {
				repeats++
				if oldest := before.Add(-source.Horizon("login")); at.Before(oldest) {
					t.Fatalf("event of %v came again beyond the horizon, which is %v", at, oldest)
				}
			}
			seen[e.GetId()] = true
			if at.After(newest) {
				newest = at
			}
		}
		if !batch.GetMore() {
			ends++
		}
		cursor = batch.GetCursor()
	}
	if len(seen) != 600 || repeats == 0 {
		t.Errorf("got %d events and %d repeats, want 600 and some", len(seen), repeats)
	}
}

func TestHorizon(t *testing.T) {
	source := newSource(t, sourcetest.Options{URL: "http://127.0.0.1:1", Token: "invented"})
	for application, want := range map[string]time.Duration{"login": 2 * time.Hour, "token": 6 * time.Hour, "groups": 6 * time.Hour} {
		if got := source.Horizon(application); got < 2*want {
			t.Errorf("%s: got %v, want at least twice the overlap of %v", application, got, want)
		}
	}
}
