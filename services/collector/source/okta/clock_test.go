// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// clocks is a source and a fake org with a clock each.
type clocks struct {
	*Source
	org          *fake.Okta
	ours, theirs time.Time
	asked        []url.Values
}

func newClocks(t *testing.T, theirs time.Time, ahead time.Duration) *clocks {
	t.Helper()
	c := &clocks{ours: theirs.Add(ahead), theirs: theirs}
	c.org = fake.NewOkta(fake.OktaConfig{Clock: func() time.Time { return c.theirs }})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked = append(c.asked, r.URL.Query())
		c.org.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.Source = newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 1000, Impatient: true})
	c.client.Now = func() time.Time { return c.ours }
	return c
}

func (c *clocks) pass(d time.Duration) { c.ours, c.theirs = c.ours.Add(d), c.theirs.Add(d) }

func (c *clocks) poll(t *testing.T, cursor string) *curfewv1.EventBatch {
	t.Helper()
	batch, err := c.Poll(t.Context(), feed, cursor)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

var noon = time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)

// Whatever our clock says, the first read begins where it should, and nothing of the vendor's future is covered.
func TestCoverageByTwoClocks(t *testing.T) {
	for _, test := range []struct {
		name  string
		ahead time.Duration // our clock's
		// from and until bound what is covered at first, as they lie before the vendor's noon.
		from, until time.Duration
		events      int
	}{
		{"right", 0, defaultSince, 0, 1},
		{"ten minutes ahead", 10 * time.Minute, defaultSince, 0, 1},
		{"a month ahead", 30 * 24 * time.Hour, defaultSince, 0, 1},
		{"a year ahead", 365 * 24 * time.Hour, defaultSince, 0, 1},
		{"an hour behind", -time.Hour, defaultSince + time.Hour, time.Hour, 1},
	} {
		c := newClocks(t, noon, test.ahead)
		c.org.Add(fake.OktaEvent{Published: noon.Add(-6 * 24 * time.Hour)}.JSON())
		first := c.poll(t, "")
		covered := first.GetCoverage()
		if !covered.GetFrom().AsTime().Equal(noon.Add(-test.from)) || !covered.GetUntil().AsTime().Equal(noon.Add(-test.until)) || len(first.GetEvents()) != test.events {
			t.Errorf("%s: got %d events and coverage %v, want %d, from %v until %v before noon", test.name, len(first.GetEvents()), covered, test.events, test.from, test.until)
		}
		c.pass(time.Minute)
		c.org.Add(fake.OktaEvent{Number: 2, Published: noon.Add(time.Second)}.JSON())
		second := c.poll(t, first.GetCursor())
		covered = second.GetCoverage()
		if !covered.GetFrom().AsTime().Equal(noon.Add(-test.until)) || !covered.GetUntil().AsTime().Equal(noon.Add(time.Minute-test.until)) || len(second.GetEvents()) != 1 {
			t.Errorf("%s, a minute later: got %d events and coverage %v", test.name, len(second.GetEvents()), covered)
		}
		before := len(c.asked)
		if c.poll(t, ""); len(c.asked) != before+1 {
			t.Errorf("%s: a first read once the vendor's time is known: got %d requests, want 1", test.name, len(c.asked)-before)
		}
	}
}

// A clock that jumps ahead and back leaves no hole in what is covered and stops nothing.
func TestOurClockJumps(t *testing.T) {
	c := newClocks(t, noon, 0)
	batch := c.poll(t, "")
	c.pass(time.Minute)
	c.ours = c.ours.AddDate(0, 1, 0)
	batch = c.poll(t, batch.GetCursor())
	if until := batch.GetCoverage().GetUntil().AsTime(); !until.Equal(c.theirs) {
		t.Errorf("a month ahead: covered until %v, want %v", until, c.theirs)
	}
	c.theirs = c.theirs.Add(time.Minute)
	c.ours = c.theirs
	batch = c.poll(t, batch.GetCursor())
	if covered := batch.GetCoverage(); !covered.GetFrom().AsTime().Equal(noon.Add(time.Minute)) || !covered.GetUntil().AsTime().Equal(c.theirs) {
		t.Errorf("put right: got coverage %v, want it from where it ended until now", covered)
	}
}

// A cursor from a day on which nobody knew the vendor's time is set back to it.
func TestCursorOfTheFuture(t *testing.T) {
	for _, ours := range []time.Duration{0, 365 * 24 * time.Hour} {
		c := newClocks(t, noon, ours)
		first := c.poll(t, "")
		at, err := c.parseCursor(first.GetCursor())
		if err != nil {
			t.Fatal(err)
		}
		at.Covered, at.Published = noon.AddDate(0, 1, 0), noon.AddDate(0, 1, 0)
		// Another process knows nothing but the cursor.
		other := newSource(t, sourcetest.Options{URL: c.base.String(), Token: "invented", PageSize: 1000, Impatient: true})
		other.client.Now = c.client.Now
		c.Source = other
		second := c.poll(t, at.String())
		if second.GetCoverage() != nil {
			t.Errorf("%v ahead: got coverage %v, want none", ours, second.GetCoverage())
		}
		c.pass(time.Minute)
		third := c.poll(t, second.GetCursor())
		if covered := third.GetCoverage(); !covered.GetFrom().AsTime().Equal(noon) || !covered.GetUntil().AsTime().Equal(noon.Add(time.Minute)) {
			t.Errorf("%v ahead: got coverage %v, want it to begin again at noon", ours, covered)
		}

		c.org.Expire()
		at.Covered, at.Published = noon.AddDate(0, 1, 0), noon.AddDate(0, 1, 0)
		c.poll(t, at.String())
		if since := c.asked[len(c.asked)-1].Get("since"); since != "2026-03-09T11:01:00.000Z" {
			t.Errorf("%v ahead: a refused cursor: begins again at %s, want an hour before the vendor's time", ours, since)
		}
	}
}

// The event of a future that only its record believes in is no reason to begin again later than the vendor's time.
func TestPublishedByTwoClocks(t *testing.T) {
	c := newClocks(t, noon, 30*24*time.Hour)
	c.org.Add(fake.OktaEvent{Published: noon.Add(-time.Hour)}.JSON(), fake.OktaEvent{Number: 2, Published: noon.Add(24 * time.Hour)}.JSON())
	batch := c.poll(t, "")
	at, err := c.parseCursor(batch.GetCursor())
	if err != nil || !at.Published.Equal(noon) {
		t.Errorf("got the newest event at %v, %v, want %v", at.Published, err, noon)
	}
}

// A Date that is far off makes nothing covered that was not read.
func TestDateFarOff(t *testing.T) {
	c := newClocks(t, noon, 0)
	batch := c.poll(t, "")
	c.theirs = time.Date(1971, time.January, 1, 0, 0, 0, 0, time.UTC)
	batch = c.poll(t, batch.GetCursor())
	if batch.GetCoverage() != nil {
		t.Errorf("in 1971: got coverage %v, want none", batch.GetCoverage())
	}
	c.theirs = noon.Add(time.Minute)
	c.ours = c.theirs
	covered := c.poll(t, batch.GetCursor()).GetCoverage()
	if !covered.GetFrom().AsTime().Equal(noon.Add(-defaultSince)) || !covered.GetUntil().AsTime().Equal(c.theirs) {
		t.Errorf("put right: got coverage %v, want it from where the first read began until now", covered)
	}
}
