// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// watched is a source at a tenant whose requests are seen, both by one clock.
func watched(t *testing.T, setup fake.M365Config, now *time.Time) (*Source, *seen) {
	t.Helper()
	setup.Token, setup.Now = "invented", func() time.Time { return *now }
	vendor := &seen{M365: fake.NewM365(setup), now: setup.Now}
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true})
	source.client.Now = func() time.Time { return *now }
	return source, vendor
}

// follow polls a feed and keeps its cursor.
type follow struct {
	t      *testing.T
	source *Source
	feed   string
	cursor string
}

func (f *follow) poll() *curfewv1.EventBatch {
	f.t.Helper()
	batch, err := f.source.Poll(f.t.Context(), f.feed, f.cursor)
	if err != nil {
		f.t.Fatal(err)
	}
	f.cursor = batch.GetCursor()
	return batch
}

func covered(batch *curfewv1.EventBatch) string {
	c := batch.GetCoverage()
	if c == nil {
		return ""
	}
	return c.GetFrom().AsTime().Format("02 15:04") + " to " + c.GetUntil().AsTime().Format("02 15:04")
}

func TestWindowsOfBlobs(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, vendor := watched(t, fake.M365Config{Subscribed: []string{"Audit.Exchange"}}, &now)
	source.config.Since = 5 * time.Hour
	created := now
	now = now.Add(-4 * time.Hour)
	vendor.Add("Audit.Exchange", fake.M365Activity{Number: 1, Time: now.Add(-20 * time.Hour)}.JSON())
	now = created
	lane := &follow{t: t, source: source, feed: feedExchange}
	var got []string
	for i := range 6 {
		vendor.asked = nil
		batch := lane.poll()
		for _, asked := range vendor.asked {
			got = append(got, strings.TrimPrefix(asked, "GET "))
		}
		got = append(got, fmt.Sprintf("%d events, covered %q, more %v", len(batch.GetEvents()), covered(batch), batch.GetMore()))
		if i > 2 {
			now = now.Add(10 * time.Minute)
		}
	}
	window := func(from, until string) string {
		return "content endTime=2026-03-09T" + until + ":00&startTime=2026-03-09T" + from + ":00"
	}
	blob := "20260309080000000$" + tenantID + "$audit_0001$04"
	want := []string{
		// Five hours are read in windows of two; each blob once, however often it is listed.
		window("07:00", "09:00"), blob, `1 events, covered "", more true`,
		window("09:00", "11:00"), `0 events, covered "", more true`,
		// What is covered ends two hours before now, and begins with the first blob: there was a subscription then.
		window("11:00", "12:00"), `0 events, covered "09 08:00 to 09 10:00", more false`,
		// From then on each window begins an hour before the last one was asked for.
		window("11:00", "12:00"), `0 events, covered "", more false`,
		window("11:00", "12:10"), `0 events, covered "09 10:00 to 09 10:10", more false`,
		window("11:10", "12:20"), `0 events, covered "09 10:10 to 09 10:20", more false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBlobListedLateIsRead(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, vendor := watched(t, fake.M365Config{Subscribed: []string{"Audit.Exchange"}, LateEvery: 1, LateBy: 6, Faults: fake.Faults{Seed: 2}}, &now)
	lane := &follow{t: t, source: source, feed: feedExchange}
	for lane.poll().GetMore() {
	}
	records := []json.RawMessage{}
	for i := range uint64(8) {
		records = append(records, fake.M365Activity{Number: i, Time: now}.JSON())
	}
	vendor.Add("Audit.Exchange", records...)
	got := 0
	for range 12 {
		now = now.Add(time.Minute)
		got += len(lane.poll().GetEvents())
	}
	if got != len(records) {
		t.Errorf("got %d events, want each of the %d once", got, len(records))
	}
}

func TestWindowsGoNoFurtherBackThanMicrosoftKeeps(t *testing.T) {
	now := time.Date(2026, time.March, 20, 0, 0, 0, 0, time.UTC)
	source, vendor := watched(t, fake.M365Config{Subscribed: []string{"Audit.Exchange"}}, &now)
	old := now.Add(-30 * 24 * time.Hour)
	blobs := blobCursor{From: old, Until: old.Add(time.Hour), Asked: old.Add(time.Hour), Page: "3R0", Covered: old}
	logs := logCursor{From: old, Covered: old, Swept: old}
	for feed, cursor := range map[string]string{feedExchange: blobs.String(), feedSignIns: logs.String()} {
		vendor.asked = nil
		if _, err := source.Poll(t.Context(), feed, cursor); err != nil {
			t.Fatal(err)
		}
		if want := "2026-03-13T01:00:00"; !strings.Contains(vendor.asked[0], want) {
			t.Errorf("%s: got request %s, want one from %s on", feed, vendor.asked[0], want)
		}
	}
	// What is lost shows: coverage goes on where reading does.
	at, err := source.parseBlobCursor(blobs.String())
	if err != nil {
		t.Fatal(err)
	}
	if at.begin(now); !at.Covered.Equal(now.Add(-retention)) {
		t.Errorf("got coverage to go on at %v, want %v", at.Covered, now.Add(-retention))
	}
}

func TestQueriesOfGraph(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, vendor := watched(t, fake.M365Config{}, &now)
	source.config.Since = 3 * time.Hour
	lane := &follow{t: t, source: source, feed: feedDirectory}
	var got []string
	poll := func() {
		vendor.asked = nil
		batch := lane.poll()
		for _, asked := range vendor.asked {
			asked = strings.ReplaceAll(strings.ReplaceAll(asked, "GET directoryAudits $filter=", ""), "activityDateTime ", "")
			got = append(got, strings.ReplaceAll(asked, "2026-03-09T", ""))
		}
		got = append(got, fmt.Sprintf("covered %q, more %v", covered(batch), batch.GetMore()))
	}
	poll()
	poll()
	now = now.Add(10 * time.Minute)
	poll()
	// After six hours reading begins further back, once.
	now = now.Add(6 * time.Hour)
	for range 7 {
		poll()
	}
	want := []string{
		"ge 09:00:00Z and le 11:00:00Z", `covered "", more true`,
		"ge 11:00:00Z and le 12:00:00Z", `covered "", more false`,
		"ge 11:00:00Z and le 12:10:00Z", `covered "", more false`,
		"ge 06:00:00Z and le 08:00:00Z", `covered "", more true`,
		"ge 08:00:00Z and le 10:00:00Z", `covered "", more true`,
		"ge 10:00:00Z and le 12:00:00Z", `covered "", more true`,
		"ge 12:00:00Z and le 14:00:00Z", `covered "", more true`,
		"ge 14:00:00Z and le 16:00:00Z", `covered "", more true`,
		"ge 16:00:00Z and le 18:00:00Z", `covered "", more true`,
		// What is late by six hours at most was found by this, if it happened six hours before.
		"ge 17:10:00Z and le 18:10:00Z", `covered "09 09:00 to 09 12:10", more false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestForeignCursor(t *testing.T) {
	source := newSource(t, sourcetest.Options{URL: "http://127.0.0.1:1", Token: "invented"})
	const at, next = `"2026-03-02T08:00:00Z"`, `"2026-03-02T09:00:00Z"`
	for _, text := range []string{
		"no cursor", "{}", "null", "42", `{"from":"soon","covered":` + at + `}`,
		`{"from":` + next + `,"until":` + at + `,"asked":` + next + `,"covered":` + at + `}`,
		`{"from":` + at + `,"until":` + next + `,"covered":` + at + `}`,
		`{"from":` + at + `,"covered":` + at + `,"page":"of no window","next":"of no query"}`,
		`{"from":` + at + `,"done":["short"]}`,
	} {
		if c, err := source.parseBlobCursor(text); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v and error %v, want an error that does not repeat it", text, c, err)
		}
		if c, err := source.parseLogCursor(text); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v and error %v, want an error that does not repeat it", text, c, err)
		}
	}
}

// The cursor stands in every batch, so it stays small however many blobs there are.
func TestCursorIsBounded(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	c := blobCursor{From: now.Add(-blobWindow), Until: now, Asked: now, Covered: now.Add(-24 * time.Hour)}
	for i := range 10_000 {
		at := now.Add(-time.Duration(i%3000) * time.Second)
		c.done(&content{ID: fmt.Sprint(i), Created: at.Format(time.RFC3339)})
	}
	c.end(2 * time.Hour)
	if size := len(c.String()); len(c.Done) > maxDone || size > 64<<10 {
		t.Errorf("got %d blobs in a cursor of %d bytes, want %d at most", len(c.Done), size, maxDone)
	}
	// What is no longer known is not listed again either.
	for _, done := range c.Done {
		if created(done).Before(c.From) {
			t.Fatalf("a blob of %v is kept, and the next window begins at %v", created(done), c.From)
		}
	}
	if c.From.After(now) || c.From.Before(now.Add(-blobOverlap)) {
		t.Errorf("got the next window from %v, want it within the overlap", c.From)
	}
}

func TestHorizon(t *testing.T) {
	source := newSource(t, sourcetest.Options{URL: "http://127.0.0.1:1", Token: "invented"})
	for _, feed := range source.Feeds() {
		if got := source.Horizon(feed); got < 12*time.Hour {
			t.Errorf("%s: got %v, want at least what is read again", feed, got)
		}
	}
}
