// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// workspace is a fake Slack on a plan without an audit log and a source that reads it by a clock of its own.
func workspace(t *testing.T, size int) (*fake.Slack, *Source, *time.Time) {
	t.Helper()
	slack := fake.NewSlack(fake.SlackConfig{Token: "invented", Plan: other})
	server := httptest.NewServer(slack)
	t.Cleanup(server.Close)
	source := newSource(t, other, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: size})
	now := morning
	source.client.Now = func() time.Time { return now }
	return slack, source, &now
}

// What moves down while a log is read is not read twice, and what comes meanwhile is read by the next walk.
func TestRowsMoveWhileTheyAreRead(t *testing.T) {
	slack, source, now := workspace(t, 3)
	nth := 0
	happen := func(at time.Time) string {
		nth++
		record := fake.SlackIntegration{Time: at, AppID: fmt.Sprintf("A%d", nth)}.JSON()
		slack.Add(fake.SlackIntegrationLog, record)
		return decodeOne(t, record).GetId()
	}
	want := map[string]int{}
	for i := range 10 {
		want[happen(morning.Add(time.Duration(i/2-100)*time.Second))] = 1
	}
	got := map[string]int{}
	cursor, pages := "", 0
	walk := func() {
		for {
			pages++
			batch := poll(t, source, integrationLogs, &cursor)
			for _, e := range batch.GetEvents() {
				got[e.GetId()]++
			}
			if !batch.GetMore() {
				return
			}
			if pages < 6 { // New ones push every page down, the first of them within the second that was just read.
				*now = now.Add(time.Second)
				want[happen(*now)] = 1
				want[happen(*now)] = 1
			}
		}
	}
	walk()
	for id, n := range got {
		if n > 1 {
			t.Errorf("event %s was read %d times in one walk", id, n)
		}
	}
	*now = now.Add(time.Minute)
	walk()
	for id := range want {
		if got[id] == 0 {
			t.Errorf("event %s was not read", id)
		}
	}
	if len(got) != len(want) || pages < 6 {
		t.Errorf("got %d events in %d pages, want %d in some", len(got), pages, len(want))
	}
}

// The page size of a walk is the one it began with.
func TestPageSizeChangesMidWalk(t *testing.T) {
	slack, source, _ := workspace(t, 2)
	for i := range 9 {
		slack.Add(fake.SlackIntegrationLog, fake.SlackIntegration{Time: morning.Add(-time.Duration(i) * time.Minute)}.JSON())
	}
	cursor, read := "", len(poll(t, source, integrationLogs, new(string)).GetEvents())
	poll(t, source, integrationLogs, &cursor)
	source.config.PageSize = 100
	for more := true; more; {
		batch := poll(t, source, integrationLogs, &cursor)
		read += len(batch.GetEvents())
		more = batch.GetMore()
	}
	if read != 9 {
		t.Errorf("got %d records, want 9", read)
	}
}

func TestIntegrationCoverage(t *testing.T) {
	_, source, now := workspace(t, 10)
	source.config.Since = time.Hour
	cursor := ""
	first := poll(t, source, integrationLogs, &cursor)
	if from, until := first.GetCoverage().GetFrom().AsTime(), first.GetCoverage().GetUntil().AsTime(); !from.Equal(morning.Add(-time.Hour)) || !until.Equal(morning.Add(-settle)) {
		t.Errorf("got coverage %v until %v, want an hour but for the last ten minutes", from, until)
	}
	*now = now.Add(time.Minute)
	second := poll(t, source, integrationLogs, &cursor)
	if from, until := second.GetCoverage().GetFrom().AsTime(), second.GetCoverage().GetUntil().AsTime(); !from.Equal(morning.Add(-settle)) || !until.Equal(morning.Add(time.Minute-settle)) {
		t.Errorf("got coverage %v until %v, want the next minute", from, until)
	}
}

// Slack shows a hundred pages: what lies behind them is a gap, and not an error for ever.
func TestOverPaginationLimit(t *testing.T) {
	source, _ := recorder(t, other, func(w http.ResponseWriter, _ *http.Request, nth int) {
		if nth > 2 {
			_, _ = w.Write([]byte(`{"ok":false,"error":"over_pagination_limit"}`))
			return
		}
		_, _ = fmt.Fprintf(w, `{"ok":true,"logs":[{"app_id":"A%d","date":"%d","change_type":"added"}],"paging":{"pages":500}}`, nth, morning.Unix()-int64(nth)*3600)
	})
	source.client.Now = func() time.Time { return morning }
	cursor := ""
	poll(t, source, integrationLogs, &cursor)
	poll(t, source, integrationLogs, &cursor)
	last := poll(t, source, integrationLogs, &cursor)
	if from := last.GetCoverage().GetFrom().AsTime(); last.GetMore() || !from.Equal(morning.Add(-2*time.Hour)) {
		t.Errorf("got more %v, coverage from %v, want it to begin at the oldest record read", last.GetMore(), from)
	}
}

func TestOldestFirst(t *testing.T) {
	source, _ := recorder(t, other, func(w http.ResponseWriter, _ *http.Request, _ int) {
		_, _ = w.Write([]byte(`{"ok":true,"logs":[{"date":"1772438400","change_type":"added"},{"date":"1772438401","change_type":"added"}],"paging":{"pages":1}}`))
	})
	if _, err := source.Poll(t.Context(), integrationLogs, ""); err == nil || !strings.Contains(err.Error(), "oldest first") {
		t.Errorf("got error %v, want one that says so", err)
	}
}

// A sum that grows is an event each time a walk finds it grown, and not otherwise; walks begin five minutes apart.
func TestAccessLog(t *testing.T) {
	slack, source, now := workspace(t, 2)
	var pauses []time.Duration
	source.client.Pause = func(_ context.Context, wait time.Duration) error {
		pauses = append(pauses, wait)
		*now = now.Add(wait)
		return nil
	}
	seen := map[string]bool{}
	cursor := ""
	walk := func() (fresh int) {
		for {
			batch := poll(t, source, accessLogs, &cursor)
			for _, e := range batch.GetEvents() {
				if !seen[e.GetId()] {
					fresh++
				}
				seen[e.GetId()] = true
			}
			if !batch.GetMore() {
				return fresh
			}
		}
	}
	for i := range 5 {
		slack.Visit(fake.SlackLogin{User: fake.SlackPerson(fmt.Sprintf("p%d.x", i)), First: morning.Add(-time.Duration(i) * time.Hour)})
	}
	if fresh := walk(); fresh != 5 || len(pauses) != 0 {
		t.Errorf("the first walk: got %d new events after the pauses %v, want 5 after none", fresh, pauses)
	}
	*now = now.Add(15 * time.Second)
	if fresh := walk(); fresh != 0 || len(pauses) != 1 || pauses[0] != 5*time.Minute-15*time.Second {
		t.Errorf("nothing new: got %d new events after the pauses %v, want 0 after the rest of five minutes", fresh, pauses)
	}
	*now = now.Add(10 * time.Minute)
	// The oldest comes again, twice, and so stands first.
	for range 2 {
		slack.Visit(fake.SlackLogin{User: fake.SlackPerson("p4.x"), First: now.Add(-time.Second)})
	}
	if fresh := walk(); fresh != 1 || len(pauses) != 1 {
		t.Errorf("one has grown: got %d new events, want 1", fresh)
	}
	if len(seen) != 6 {
		t.Errorf("got %d events, want 6", len(seen))
	}
	source.client.Pause = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := source.Poll(t.Context(), accessLogs, cursor); err == nil {
		t.Error("a walk before its time: got no error where the pause was cancelled")
	}
}
