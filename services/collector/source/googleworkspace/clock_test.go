// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// clocks is a source by our clock at a Google by another, and what it has read.
type clocks struct {
	t          *testing.T
	google     *fake.Google
	source     *Source
	ours, true time.Time
	cursor     string
	seen       map[string]bool
	happened   int
}

func newClocks(t *testing.T, ahead time.Duration) *clocks {
	t.Helper()
	google := fake.NewGoogle(fake.GoogleConfig{Token: "invented"})
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	c := &clocks{t: t, google: google, true: time.Now().Add(-30 * 24 * time.Hour).UTC(), seen: map[string]bool{}}
	c.ours = c.true.Add(ahead)
	c.start(server.URL)
	return c
}

// start begins anew, as after a restart: nothing is known of Google's clock.
func (c *clocks) start(url string) {
	c.source = newSource(c.t, sourcetest.Options{URL: url, Token: "invented", PageSize: 20, Impatient: true})
	c.source.client.Now = func() time.Time { return c.ours }
	c.source.client.HTTP.Transport = dated{func() time.Time { return c.true }}
}

func (c *clocks) pass(d time.Duration) {
	c.happened++
	c.google.Add("login", fake.GoogleActivity{Number: uint64(c.happened), Time: c.true.Add(d / 2)}.JSON())
	c.ours, c.true = c.ours.Add(d), c.true.Add(d)
}

// read reads all that there is. Nothing is claimed to be read that Google's clock has not come to.
func (c *clocks) read() {
	c.t.Helper()
	for range 1000 {
		batch, err := c.source.Poll(c.t.Context(), "login", c.cursor)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range batch.GetEvents() {
			c.seen[e.GetId()] = true
		}
		if covered := batch.GetCoverage(); covered != nil && covered.GetUntil().AsTime().After(c.true.Add(-overlap("login"))) {
			c.t.Fatalf("covered until %v by Google's clock, want an overlap before it", covered.GetUntil().AsTime().Sub(c.true))
		}
		c.cursor = batch.GetCursor()
		at, err := c.source.parseCursor(c.cursor)
		if latest := c.true.Add(time.Second); err != nil || at.From.After(latest) || at.Covered.After(latest) || at.SweepFrom.After(latest) ||
			at.SweepBegan.After(latest) || at.Asked.After(latest) || strings.Contains(c.cursor, c.ours.Format("2006-01-02T15:04")) && c.ours.After(latest.Add(time.Hour)) {
			c.t.Fatalf("at %v got cursor %s, %v, want nothing in it that is to come", c.true, c.cursor, err)
		}
		if !batch.GetMore() {
			return
		}
	}
	c.t.Fatal("it came to no end")
}

func (c *clocks) whole() {
	c.t.Helper()
	if len(c.seen) != c.happened {
		c.t.Errorf("got %d of %d sign-ins", len(c.seen), c.happened)
	}
}

// Our clock may be ahead by any time, and jump: nothing is skipped, and nothing claimed that was not to be read.
func TestOurClockIsAhead(t *testing.T) {
	for _, ahead := range []time.Duration{0, 3 * time.Second, 3 * time.Hour, 5 * 24 * time.Hour, 400 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			c := newClocks(t, ahead)
			for i := range 200 {
				c.pass(time.Hour)
				switch i % 50 {
				case 20:
					c.ours = c.true
				case 40:
					c.ours = c.true.Add(ahead)
				}
				if i%30 == 0 {
					c.start(c.source.base.String())
				}
				c.read()
			}
			c.whole()
		})
	}
}

// What was claimed by a clock that was ahead, and was not seen through then, is read again.
func TestCursorOfAClockAhead(t *testing.T) {
	for name, text := range map[string]string{
		"all of it":        `{"from":%[2]q,"covered":%[2]q,"sweepFrom":%[2]q}`,
		"in a query":       `{"from":%[2]q,"covered":%[1]q,"until":%[3]q,"asked":%[3]q,"pageToken":"bm8="}`,
		"in a sweep":       `{"from":%[1]q,"covered":%[1]q,"sweepFrom":%[1]q,"sweepAt":%[2]q,"sweepBegan":%[3]q}`,
		"a sweep's begin":  `{"from":%[1]q,"covered":%[1]q,"sweepFrom":%[1]q,"sweepAt":%[1]q,"sweepBegan":%[3]q,"until":%[3]q,"asked":%[3]q,"sweeping":true,"pageToken":"bm8="}`,
		"the query's time": `{"from":%[1]q,"covered":%[1]q,"until":%[2]q,"asked":%[3]q,"pageToken":"bm8="}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocks(t, 0)
			past := c.true.Add(-3 * 24 * time.Hour)
			for range 70 {
				c.pass(time.Hour)
			}
			write := func(at time.Time) string { return at.Format(time.RFC3339) }
			c.cursor = fmt.Sprintf(text, write(past), write(c.true.Add(24*time.Hour)), write(c.true.Add(26*time.Hour)))
			c.read()
			c.whole()
			// No sweep is left out either.
			at, err := c.source.parseCursor(c.cursor)
			if err != nil || at.SweepFrom.After(c.true.Add(-lateness)) {
				t.Errorf("got the next sweep from %v, %v, want from two days ago at least", at.SweepFrom, err)
			}
		})
	}
}

// A query that begins before what Google keeps is begun anew: with its page token it would be refused for ever.
func TestQueryOlderThanGoogleKeeps(t *testing.T) {
	for _, sweeping := range []bool{false, true} {
		google := fake.NewGoogle(fake.GoogleConfig{Token: "invented"})
		server := httptest.NewServer(google)
		t.Cleanup(server.Close)
		source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 20, Impatient: true})
		from := time.Now().Add(-181 * 24 * time.Hour).UTC()
		old := cursor{
			From: from.Add(4 * time.Hour), Until: from.Add(4 * time.Hour), Asked: from.Add(24 * time.Hour), PageToken: "old", Covered: from, SweepFrom: from,
		}
		if old.Sweeping = sweeping; sweeping {
			old.SweepAt, old.SweepBegan = from, from.Add(24*time.Hour)
		} else {
			old.From = from
		}
		batch, err := source.Poll(t.Context(), "login", old.String())
		if err != nil || !batch.GetMore() {
			t.Errorf("a sweep %v: got %v, %v, want it begun anew", sweeping, batch, err)
		}
	}
}
