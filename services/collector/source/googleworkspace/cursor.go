// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// sweepEvery is how long after one sweep began the next one is due.
	sweepEvery = 24 * time.Hour
	// lateness is how long after it happened an activity may reach the log and still be read, by a sweep: sweepEvery and
	// lateness are what one sweep looks back.
	lateness = 48 * time.Hour
	// sweepTime is how long ordinary queries go on beside a sweep. A sweep that is not through by then goes first, so
	// that no repeat lies further back than the horizon.
	sweepTime = 6 * time.Hour
	// jitter is how far two readings of Google's clock may differ: the Date of an answer has whole seconds.
	jitter = 5 * time.Second
)

// overlap is how long after it happened an activity reaches the log of an application as a rule, and so how far back each
// query begins anew. Google's own times are two to six hours and "can be longer":
// https://support.google.com/a/answer/7061566. That drive is as quick as login and admin is not confirmed.
func overlap(application string) time.Duration {
	switch application {
	case "login", "admin", "drive", "saml", "user_accounts", "chat", "rules", "mobile":
		return 2 * time.Hour
	}
	return 6 * time.Hour
}

// Horizon is how far behind the newest event of the lane a repeat can lie: a sweep begins sweepEvery and lateness before
// it is due, and the newest event was read sweepTime later at most. Ordinary queries are two overlaps long at most.
func (s *Source) Horizon(string) time.Duration {
	return lateness + sweepEvery + sweepTime + time.Minute
}

// cursor is where reading goes on: what stands in EventBatch.cursor, as JSON. Google has no cursor of its own that
// outlives a query, so time is read in queries, each page by page. Once a day a sweep reads again, query by query, what
// has been read already: what reached the log later than an overlap after it happened is found then.
type cursor struct {
	// From is where the next ordinary query begins, or the one in progress.
	From time.Time `json:"from"`
	// Until and Asked are the end of the query in progress and when it was begun.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// PageToken leads to the next page of the query in progress; empty where none is.
	PageToken string `json:"pageToken,omitempty"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
	// SweepFrom is where the next sweep begins, or where the one in progress began: lateness before the one before it was
	// begun.
	SweepFrom time.Time `json:"sweepFrom,omitzero"`
	// SweepAt and SweepBegan are how far the sweep in progress has come and when it was begun; zero where none is.
	SweepAt    time.Time `json:"sweepAt,omitzero"`
	SweepBegan time.Time `json:"sweepBegan,omitzero"`
	// Sweeping is whether the query in progress, or else the last one, is the sweep's.
	Sweeping bool `json:"sweeping,omitempty"`
}

func (c cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		// A year beyond 9999 alone could do it, and no such time gets in.
		panic(fmt.Sprintf("write cursor: %v", err))
	}
	return string(text)
}

// parseCursor reads what String wrote; "" is the start.
func (s *Source) parseCursor(text string) (cursor, error) {
	if text == "" {
		from := s.client.Time().Add(-s.config.Since).UTC().Truncate(time.Millisecond)
		return cursor{From: from, Covered: from, SweepFrom: from}, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() ||
		c.PageToken != "" && (c.start().IsZero() || !c.start().Before(c.Until)) {
		return cursor{}, errors.New("read cursor: it is not one of this source")
	}
	if c.SweepFrom.IsZero() {
		// It was written before there were sweeps.
		c.SweepFrom = c.Covered
	}
	c.correct(s.client.Time())
	return c, nil
}

// correct takes back what was claimed while our clock was ahead of Google's: for how long nobody can tell, so as much is
// read again as a sweep would. A query that Google would refuse, or that was not begun yet, is begun anew.
func (c *cursor) correct(now time.Time) {
	latest := now.Add(jitter)
	if c.From.After(latest) || c.Covered.After(latest) || c.SweepFrom.After(latest) || c.SweepAt.After(latest) {
		from := now.Add(-lateness - sweepEvery).UTC().Truncate(time.Millisecond)
		if c.Covered.Before(from) {
			from = c.Covered
		}
		*c = cursor{From: from, Covered: from, SweepFrom: from}
	}
	if c.SweepBegan.After(latest) {
		c.SweepAt, c.SweepBegan = time.Time{}, time.Time{}
		c.PageToken, c.Sweeping = "", false
	}
	if c.Asked.After(latest) || c.PageToken != "" && c.start().Before(now.Add(-retention)) {
		c.PageToken = ""
	}
}

// asked caps when the query in progress, and the sweep, were begun by when Google was asked by its own clock.
func (c *cursor) asked(at time.Time) {
	at = at.UTC().Truncate(time.Millisecond)
	if at.Before(c.Asked) {
		c.Asked = at
	}
	if at.Before(c.SweepBegan) {
		c.SweepBegan = at
	}
}

// start is where the query in progress begins.
func (c *cursor) start() time.Time {
	if c.Sweeping {
		return c.SweepAt
	}
	return c.From
}

// begin begins a query at a time of Google's: an ordinary one, from where the last one left off until now, but at most two overlaps long, so
// that a long absence is read in pieces; or the next piece of a sweep. The two take turns.
func (c *cursor) begin(now time.Time, overlap time.Duration) {
	now = now.UTC().Truncate(time.Millisecond)
	if oldest := now.Add(-retention); c.From.Before(oldest) {
		// What lies before is lost; coverage that begins here shows the gap.
		c.From, c.Covered = oldest, oldest
	}
	if !c.From.Before(now) {
		// The clock was set back.
		c.From = now.Add(-overlap)
	}
	c.beginSweep(now)
	c.Asked, c.Until = now, now
	c.Sweeping = !c.SweepAt.IsZero() && (!c.Sweeping || !now.Before(c.SweepFrom.Add(lateness+sweepEvery+sweepTime)))
	if c.Sweeping {
		// What lies behind is for ordinary queries, which are asked after the sweep was begun.
		c.Until = c.From
	}
	if end := c.start().Add(2 * overlap); end.Before(c.Until) {
		c.Until = end
	}
}

// beginSweep begins a sweep where one is due. An activity that is late by lateness at most reaches the log behind the
// beginning of one sweep and before that of the next, so it happened behind the next one's SweepFrom and is found.
func (c *cursor) beginSweep(now time.Time) {
	switch {
	case c.SweepFrom.After(now):
		// The clock was set back.
		c.SweepFrom, c.SweepAt, c.SweepBegan = now.Add(-lateness), time.Time{}, time.Time{}
	case !c.SweepAt.IsZero():
		// A sweep that an absence broke off may reach back further than Google keeps.
		if oldest := now.Add(-retention); c.SweepAt.Before(oldest) {
			c.SweepAt = oldest
		}
	case !now.Before(c.SweepFrom.Add(lateness + sweepEvery)):
		if oldest := now.Add(-retention); c.SweepFrom.Before(oldest) {
			c.SweepFrom = oldest
		}
		c.SweepAt, c.SweepBegan = c.SweepFrom, now
	}
	if !c.SweepAt.IsZero() && !c.SweepAt.Before(c.From) {
		c.endSweep()
	}
}

func (c *cursor) endSweep() {
	c.SweepFrom, c.SweepAt, c.SweepBegan = c.SweepBegan.Add(-lateness), time.Time{}, time.Time{}
}

// end ends a query whose last page was read. What happened more than an overlap before an ordinary query was begun has
// reached the log as a rule, so there the next one begins and there coverage ends. More says that there is more to read
// at once, up to the present or of a sweep; there is no coverage then.
func (c *cursor) end(overlap time.Duration) (covered *curfewv1.Coverage, more bool) {
	until, asked := c.Until, c.Asked
	c.Until, c.Asked, c.PageToken = time.Time{}, time.Time{}, ""
	if c.Sweeping {
		if c.SweepAt = until; !c.SweepAt.Before(c.From) {
			c.endSweep()
		}
		return nil, true
	}
	settled := asked.Add(-overlap)
	if until.Before(settled) {
		settled = until
	}
	if settled.After(c.From) {
		c.From = settled
	}
	more = until.Before(asked) || !c.SweepAt.IsZero()
	if more || !c.Covered.Before(c.From) {
		return nil, more
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(c.From)}
	c.Covered = c.From
	return covered, false
}
