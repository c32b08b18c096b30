// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// clocked is a fake Slack with a clock of its own and a source whose clock is ahead of it.
type clocked struct {
	*fake.Slack
	t      *testing.T
	feed   string
	source *Source
	url    string
	// now is Slack's time, ahead by how much ours is ahead of it; silent is whether Slack does not tell its time.
	now    time.Time
	ahead  time.Duration
	silent bool

	cursor   string
	happened map[string]time.Time
	read     map[string]bool
	covered  time.Time
}

func newClocked(t *testing.T, feed string) *clocked {
	plan := map[bool]string{true: enterprise, false: other}[feed == audit]
	c := &clocked{
		Slack: fake.NewSlack(fake.SlackConfig{Token: "invented", Plan: plan}), t: t, feed: feed, now: morning,
		happened: map[string]time.Time{}, read: map[string]bool{},
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	c.restart()
	return c
}

func (c *clocked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.silent {
		w.Header()["Date"] = nil
	} else {
		w.Header().Set("Date", c.now.UTC().Format(http.TimeFormat))
	}
	c.Slack.ServeHTTP(w, r)
}

// restart makes a source that has heard no answer yet.
func (c *clocked) restart() {
	plan := map[bool]string{true: enterprise, false: other}[c.feed == audit]
	c.source = newSource(c.t, plan, sourcetest.Options{URL: c.url, Token: "invented", PageSize: 100, Impatient: true})
	c.source.config.Since = time.Hour
	c.source.client.Now = func() time.Time { return c.now.Add(c.ahead) }
}

// happen makes something reach the log now that happened at a time.
func (c *clocked) happen(at time.Time) string {
	c.t.Helper()
	n := uint64(len(c.happened) + 1)
	record := fake.SlackIntegration{Time: at, AppID: fmt.Sprintf("A%d", n)}.JSON()
	if c.feed == audit {
		record = fake.SlackAudit{Number: n, Time: at}.JSON()
	}
	c.Add(map[string]string{audit: fake.SlackAuditLog, integrationLogs: fake.SlackIntegrationLog}[c.feed], record)
	id := decodeOne(c.t, record).GetId()
	c.happened[id] = at
	return id
}

// drain reads until there is no more.
func (c *clocked) drain() {
	c.t.Helper()
	for range 1000 {
		batch := poll(c.t, c.source, c.feed, &c.cursor)
		for _, e := range batch.GetEvents() {
			c.read[e.GetId()] = true
		}
		if covered := batch.GetCoverage(); covered != nil {
			c.covered = covered.GetUntil().AsTime()
		}
		if !batch.GetMore() {
			return
		}
	}
	c.t.Fatal("it does not come to an end")
}

// pass lets time go by, in which something happens and the log is read once a minute.
func (c *clocked) pass(d time.Duration) {
	c.t.Helper()
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(time.Minute) {
		c.happen(c.now)
		c.drain()
		if !c.silent && c.covered.After(c.now.Add(-settle)) {
			c.t.Fatalf("ours is %v ahead: it covers until %v before Slack's time, want %v", c.ahead, c.now.Sub(c.covered), settle)
		}
	}
}

func (c *clocked) wantAll() {
	c.t.Helper()
	missing := 0
	for id := range c.happened {
		if !c.read[id] {
			missing++
		}
	}
	if missing > 0 || len(c.happened) == 0 {
		c.t.Errorf("%d of %d were not read", missing, len(c.happened))
	}
}

// What reaches the audit log late is read, however long nobody read meanwhile.
func TestLateAfterAnAbsence(t *testing.T) {
	for _, absence := range []time.Duration{30 * time.Second, time.Hour, 6 * time.Hour, 3 * 24 * time.Hour} {
		c := newClocked(t, audit)
		for _, late := range []time.Duration{11 * time.Minute, 20 * time.Minute, sweep - time.Minute} {
			c.pass(2 * time.Minute)
			c.happen(c.now.Add(15 * time.Second).Add(-late))
		}
		c.now = c.now.Add(absence)
		c.drain()
		c.now = c.now.Add(sweepEvery)
		c.drain()
		c.wantAll()
	}
}

// Where our clock is ahead, nothing of Slack's future is covered, and nothing is left out once it is right again.
func TestClockAhead(t *testing.T) {
	for _, feed := range []string{audit, integrationLogs} {
		c := newClocked(t, feed)
		for _, ahead := range []time.Duration{24 * time.Hour, 20 * time.Minute, 8 * time.Minute, 0, 24 * time.Hour, 0} {
			c.ahead = ahead
			c.restart()
			c.pass(5 * time.Minute)
			for _, jump := range []time.Duration{time.Hour, 8 * time.Minute} { // while it runs
				c.ahead += jump
				c.pass(5 * time.Minute)
			}
		}
		c.ahead = 0
		c.pass(time.Hour)
		c.wantAll()
		if c.covered.Before(c.now.Add(-settle - 2*time.Minute)) {
			t.Errorf("%s: it covers until %v before now, want it to go on", feed, c.now.Sub(c.covered))
		}
	}
}

// The very first read begins where it would with a clock that is right.
func TestFirstReadWithAClockAhead(t *testing.T) {
	for _, feed := range []string{audit, integrationLogs} {
		c := newClocked(t, feed)
		c.happen(c.now.Add(-50 * time.Minute))
		c.ahead = 48 * time.Hour
		c.drain()
		c.wantAll()
	}
}

// Where Slack does not tell its time, what was claimed ahead is claimed and read again once our clock is right.
func TestClockAheadUnseen(t *testing.T) {
	for _, feed := range []string{audit, integrationLogs} {
		c := newClocked(t, feed)
		c.silent = true
		c.pass(10 * time.Minute)
		c.ahead = 72 * time.Hour
		c.pass(time.Hour)
		c.ahead = 0
		c.pass(2 * time.Hour)
		c.wantAll()
		if c.covered.After(c.now) || c.covered.Before(c.now.Add(-settle-2*time.Minute)) {
			t.Errorf("%s: it covers until %v before now, want some ten minutes", feed, c.now.Sub(c.covered))
		}
	}
}

// Where a page's records do not come by their dates, no page is left out, and nothing is claimed to be covered.
func TestDisorderedAccessLog(t *testing.T) {
	now := morning
	minutes := []int{0, 180, 60, 120, 240, 90, 300, 150, 360, 420} // before now; by date_first they are in order
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil {
			t.Error(err)
		}
		logins := []json.RawMessage{}
		for i := (page - 1) * 5; i < page*5 && i < len(minutes); i++ {
			logins = append(logins, json.RawMessage(fmt.Sprintf(`{"user_id":"U%d","date_first":%d,"date_last":%d,"count":1,"ip":"192.0.2.1"}`,
				i, now.Add(-time.Duration(i)*time.Hour).Unix(), now.Add(-time.Duration(minutes[i])*time.Minute).Unix())))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "logins": logins, "paging": map[string]any{"pages": 2}})
	}))
	defer server.Close()
	source := newSource(t, other, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 5, Impatient: true})
	source.client.Now = func() time.Time { return now }
	cursor, read := "", map[string]bool{}
	walk := func() (covers bool) {
		for {
			batch := poll(t, source, accessLogs, &cursor)
			for _, e := range batch.GetEvents() {
				read[e.GetActor().GetId()] = true
			}
			covers = covers || batch.GetCoverage() != nil
			if !batch.GetMore() {
				return covers
			}
		}
	}
	if covers := walk(); covers || len(read) != len(minutes) {
		t.Errorf("got %d of %d, covered: %v, want all and nothing covered", len(read), len(minutes), covers)
	}
	// On the next walk the first page is older than its floor, but for one that is new on the last page.
	now = now.Add(2 * time.Hour)
	minutes = []int{300, 310, 320, 330, 340, 350, 360, 1, 370, 380}
	clear(read)
	if covers := walk(); covers || !read["U7"] {
		t.Errorf("got %v, covered: %v, want U7 and nothing covered", read, covers)
	}
	minutes = []int{200, 210, 220, 230, 240, 250, 300, 350, 360, 420}
	now = now.Add(time.Hour)
	if covers := walk(); !covers {
		t.Error("in order again: got nothing covered")
	}
}
