// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// retention is how far back the log goes, 180 days, less a day so that no clock makes a query fail; gitRetention is
	// how long Git's own events are kept:
	// https://docs.github.com/en/enterprise-cloud@latest/admin/monitoring-activity-in-your-enterprise/reviewing-audit-logs-for-your-enterprise/searching-the-audit-log-for-your-enterprise.
	retention    = 179 * 24 * time.Hour
	gitRetention = 7 * 24 * time.Hour
	// overlap is how long after it happened an event may reach the log. GitHub states no bound; up to 110 minutes were
	// seen in an incident: https://github.com/orgs/community/discussions/210897. What is later still is not read.
	overlap = 2 * time.Hour
	// sweepEvery is the pause between two queries that go back by an overlap. Those between them begin a margin before
	// the newest event: two hours of a busy organisation are many pages, and queries are counted.
	sweepEvery = 10 * time.Minute
	margin     = 5 * time.Minute
	// slack is by how much two looks at GitHub's clock may differ: it is told in whole seconds.
	slack = 5 * time.Second
	// maxBlank bounds the pages in a row that hold nothing and lead on.
	maxBlank = 1000
)

// refusesCursor are the statuses that may mean that a link to a next page is not good any more. That GitHub's end at all,
// and with which of them it says so, is not confirmed.
var refusesCursor = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity}

// cursor is where reading goes on: what stands in EventBatch.cursor, as JSON. The log's order is that of the events' own
// time and not that of their arrival, so no cursor of GitHub's finds what was late: time is read in queries, each page by
// page.
type cursor struct {
	// From is where the next sweep begins: what happened before it has been read.
	From time.Time `json:"from"`
	// Swept is when the last sweep was begun; zero before the first.
	Swept time.Time `json:"swept,omitzero"`
	// Newest is the newest time of an event read; zero before the first.
	Newest time.Time `json:"newest,omitzero"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`

	// Start and Asked are where the query in progress begins and when it was begun, Sweep is whether it is a sweep, and
	// Reached is the newest time of an event in it.
	Start   time.Time `json:"start,omitzero"`
	Asked   time.Time `json:"asked,omitzero"`
	Sweep   bool      `json:"sweep,omitempty"`
	Reached time.Time `json:"reached,omitzero"`
	// Next is path and query of its next page; empty where the query goes on from Start, or none is in progress.
	Next string `json:"next,omitempty"`
	// Blank is how many pages in a row held nothing.
	Blank int `json:"blank,omitempty"`
}

// inProgress is whether a query is.
func (c *cursor) inProgress() bool { return !c.Asked.IsZero() }

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
		from := s.client.Time().Add(-s.config.Since).UTC().Truncate(time.Second)
		return cursor{From: from, Covered: from}, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() || c.Next != "" && c.Asked.IsZero() {
		return cursor{}, errors.New("read cursor: it is not one of this source")
	}
	if next, err := url.Parse(c.Next); err != nil || next.Scheme != "" || next.Host != "" || c.Next != "" && !isLog(next) {
		return cursor{}, errors.New("read cursor: it does not lead to the log")
	}
	c.setBack(s.client.Time())
	return c, nil
}

// setBack takes back what a clock that was ahead made of the cursor. By how much it was ahead nobody knows any more: what
// was late to the newest event is read again, whose time is GitHub's own.
func (c *cursor) setBack(now time.Time) {
	now = now.UTC().Truncate(time.Millisecond)
	ahead := false
	for _, at := range []*time.Time{&c.Newest, &c.Reached, &c.Asked, &c.Swept, &c.From, &c.Covered} {
		if ahead = ahead || at.After(now.Add(slack)); at.After(now) {
			*at = now
		}
	}
	if !ahead {
		return
	}
	c.Swept = time.Time{}
	settled := now.Add(-overlap)
	if newest := c.Newest.Add(-overlap); !c.Newest.IsZero() && newest.Before(settled) {
		settled = newest
	}
	if c.From.After(settled) {
		c.From = settled
	}
	if c.Covered.After(c.From) {
		c.Covered = c.From
	}
	if !c.inProgress() {
		return
	}
	// What the query has passed over, it may have passed over too early.
	*c = cursor{From: c.From, Newest: c.Newest, Covered: c.Covered}
}

// isLog is whether an address is of an audit log. GitHub's links name organisations and enterprises by their number.
func isLog(address *url.URL) bool { return strings.HasSuffix(address.Path, "/audit-log") }

// begin begins a query, of what happened until now.
func (c *cursor) begin(now time.Time) {
	now = now.UTC().Truncate(time.Millisecond)
	if oldest := now.Add(-retention); c.From.Before(oldest) {
		// What lies before is lost; coverage that begins later shows the gap.
		c.From = oldest
	}
	if !c.From.Before(now) {
		// The clock was set back.
		c.From = now.Add(-overlap)
	}
	c.Asked, c.Start, c.Reached = now, c.From, time.Time{}
	c.Sweep = c.Swept.IsZero() || now.Before(c.Swept) || now.Sub(c.Swept) >= sweepEvery
	if newest := c.Newest.Add(-margin); !c.Sweep && newest.After(c.Start) && newest.Before(now) {
		c.Start = newest
	}
}

// forget gives up what Git's own events no longer tell, also while a query is in progress: what it has yet to read is gone.
func (c *cursor) forget(now time.Time) {
	if kept := now.UTC().Truncate(time.Millisecond).Add(-gitRetention); c.Covered.Before(kept) {
		c.Covered = kept
	}
}

// limit moves back the moment the query was begun to the one that GitHub's clock says.
func (c *cursor) limit(asked time.Time) {
	if asked = asked.UTC().Truncate(time.Millisecond); asked.Before(c.Asked) {
		c.Asked = asked
	}
}

// goOn goes on behind a page that was full and told nothing of a next one, from the newest event read.
func (c *cursor) goOn() error {
	if !c.Reached.Truncate(time.Second).After(c.Start) {
		return errors.New("read page: it is full of one moment and has no link to a next one; look whether a proxy takes the header Link away, or set a larger page_size")
	}
	c.Start, c.Next = c.Reached.Truncate(time.Second), ""
	return nil
}

// restart asks for the query in progress anew, from a margin before what it has reached.
func (c *cursor) restart() {
	c.Next = ""
	if reached := c.Reached.Add(-margin); reached.After(c.Start) {
		c.Start = reached
	}
}

// isBeyond is whether the newest event of batch happened after the query was begun.
func (c *cursor) isBeyond(batch *curfewv1.EventBatch) bool {
	events := batch.GetEvents()
	return len(events) > 0 && events[len(events)-1].GetTime().AsTime().After(c.Asked)
}

// see notes the newest event.
func (c *cursor) see(batch *curfewv1.EventBatch) {
	for _, e := range batch.GetEvents() {
		at := e.GetTime().AsTime().UTC()
		if e.GetTime() == nil {
			continue
		}
		if at.After(c.Reached) {
			c.Reached = at
		}
		if at.After(c.Newest) {
			c.Newest = at
		}
	}
}

// end ends a query whose last page was read. What happened more than an overlap before a sweep was begun has reached the
// log, so there the next one begins. The last sweep was begun a pause ago at most, so what is an overlap and a pause old
// is covered. More says that there is more at once, since the query took long; there is no coverage then.
func (c *cursor) end(now time.Time, beyond bool) (covered *curfewv1.Coverage, more bool) {
	asked := c.Asked
	if c.Sweep {
		c.Swept = asked
		if settled := asked.Add(-overlap); settled.After(c.From) {
			c.From = settled
		}
	}
	c.Start, c.Asked, c.Sweep, c.Reached, c.Next, c.Blank = time.Time{}, time.Time{}, false, time.Time{}, "", 0
	if more = beyond && now.Sub(asked) > margin; more {
		return nil, true
	}
	until := asked.Add(-overlap - sweepEvery)
	if !c.Covered.Before(until) {
		return nil, false
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(until)}
	c.Covered = until
	return covered, false
}

// getPage asks for the page that a cursor is at, when it is time to.
func (s *Source) getPage(ctx context.Context, at cursor) (*vendorhttp.Answer, error) {
	if err := s.pace.Wait(ctx); err != nil {
		return nil, fmt.Errorf("wait for the next query: %w", err)
	}
	return s.get(ctx, s.pageAddress(at))
}

// pageAddress is the address of the page that a cursor is at.
func (s *Source) pageAddress(at cursor) string {
	if at.Next != "" {
		return s.base.Scheme + "://" + s.base.Host + at.Next
	}
	return s.logAddress(at.Start, s.config.PageSize)
}

// logAddress is the address of the log from a time on, oldest first, Git's own events included. Whole seconds are what
// GitHub documents.
func (s *Source) logAddress(from time.Time, pageSize int) string {
	address := s.base.JoinPath("orgs", s.config.Org, "audit-log")
	if s.config.Enterprise != "" {
		address = s.base.JoinPath("enterprises", s.config.Enterprise, "audit-log")
	}
	address.RawQuery = url.Values{
		"phrase":   {"created:>=" + from.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05+00:00")},
		"include":  {"all"},
		"order":    {"asc"},
		"per_page": {fmt.Sprint(pageSize)},
	}.Encode()
	return address.String()
}

// nextPage is path and query of the next page, empty where there is none. That the last page of an ascending query has no
// link to a next one is not confirmed.
func (s *Source) nextPage(header http.Header) (string, error) {
	next, err := vendorhttp.NextLink(s.base, header)
	if err != nil || next == nil {
		return "", err
	}
	if !isLog(next) {
		return "", errors.New("read page: the link to the next one does not lead to the log; not followed")
	}
	return next.RequestURI(), nil
}
