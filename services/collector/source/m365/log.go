// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// graphOverlap is how long after it happened an entry is in Graph's logs as a rule, and so how far back each read begins
	// anew. Microsoft once said five minutes for 99 of 100; it promises nothing now, and no order.
	graphOverlap = time.Hour
	// sweepEvery is how often reading begins further back, and lateness how late an entry may be and still be found by it.
	sweepEvery = 6 * time.Hour
	lateness   = 6 * time.Hour
)

// graphLog is where a log of Graph is, and the field that says when its entries happened.
type graphLog struct{ path, time string }

// logCursor is where reading a log goes on: what stands in EventBatch.cursor, as JSON. Graph has no cursor of its own that
// outlives a query, so time is read in queries, each page by page.
type logCursor struct {
	// From is where the query in progress begins, or the next one where none is.
	From time.Time `json:"from"`
	// Until and Asked are the end of the query in progress and when it was begun; zero where none is.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// Next is the query of the next page, as Graph's own link gave it.
	Next string `json:"next,omitempty"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
	// Swept is when reading last began further back, or the first read: what happened lateness before it, and was late by no
	// more, is read once reading reached the present behind it.
	Swept time.Time `json:"swept"`
}

func (c *logCursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		// A year beyond 9999 alone could do it, and no such time gets in.
		panic(fmt.Sprintf("write cursor: %v", err))
	}
	return string(text)
}

// parseLogCursor reads what String wrote; "" is the start.
func (s *Source) parseLogCursor(text string) (logCursor, error) {
	if text == "" {
		now := s.client.Time().UTC().Truncate(time.Second)
		from := now.Add(-s.config.Since)
		return logCursor{From: from, Covered: from, Swept: now}, nil
	}
	var c logCursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() ||
		!c.Until.IsZero() && !c.From.Before(c.Until) || c.Until.IsZero() != c.Asked.IsZero() || c.Next != "" && c.Until.IsZero() {
		return logCursor{}, errors.New("read cursor: it is not one of this source")
	}
	c.correct(s.client.Time())
	return c, nil
}

// correct takes back what was claimed while our clock was ahead of Microsoft's: where reading really was nobody can tell,
// so as much is read again as a sweep would.
func (c *logCursor) correct(now time.Time) {
	now = now.UTC().Truncate(time.Second)
	latest := now.Add(jitter)
	switch {
	case c.From.After(latest) || c.Covered.After(latest) || c.Swept.After(latest):
		from := earlier(earlier(c.From, c.Covered), now.Add(-sweepEvery-lateness))
		*c = logCursor{From: from, Covered: earlier(c.Covered, from), Swept: now}
	case c.Asked.After(latest) || c.Until.After(latest):
		c.Until, c.Asked, c.Next = time.Time{}, time.Time{}, ""
	}
}

// begin begins a query: from where the last one left off until now, by Microsoft's clock, but at most two overlaps long, so that a long absence
// is read in pieces. Now and then it begins further back, and what has been read is read again.
func (c *logCursor) begin(now time.Time) {
	now = now.UTC().Truncate(time.Second)
	oldest := now.Add(-retention)
	if c.From.Before(oldest) {
		// What lies before is lost, to a tenant without Entra ID P1 at least; coverage that begins here shows the gap.
		c.From, c.Covered = oldest, later(c.Covered, oldest)
	}
	if !c.From.Before(now) {
		// The clock was set back a little.
		c.From = now.Add(-graphOverlap)
	}
	if !now.Before(c.Swept.Add(sweepEvery)) {
		// What is late by lateness at most reached the log behind the last sweep's beginning, so it happened behind this.
		c.From = later(oldest, earlier(c.From, c.Swept.Add(-lateness)))
		c.Swept = now
	}
	c.Asked, c.Until = now, now
	if end := c.From.Add(2 * graphOverlap); end.Before(now) {
		c.Until = end
	}
}

// end ends a query whose last page was read. What happened more than an overlap before the query was begun is there as a
// rule, so there the next one begins. Coverage ends where the last sweep found all that is late by lateness at most. More
// says that the query did not reach the present; there is no coverage then.
func (c *logCursor) end() (covered *curfewv1.Coverage, more bool) {
	if from := earlier(c.Asked.Add(-graphOverlap), c.Until); from.After(c.From) {
		c.From = from
	}
	more = c.Until.Before(c.Asked)
	c.Until, c.Asked, c.Next = time.Time{}, time.Time{}, ""
	until := c.Swept.Add(-lateness)
	if more || !c.Covered.Before(until) {
		return nil, more
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(until)}
	c.Covered = until
	return covered, false
}

// graphPage is a page of a list of Graph: https://learn.microsoft.com/graph/paging.
type graphPage struct {
	Value []json.RawMessage `json:"value"`
	Next  string            `json:"@odata.nextLink"`
}

// pollGraph reads the next page of a log.
func (s *Source) pollGraph(ctx context.Context, feed, text string) (*curfewv1.EventBatch, error) {
	at, err := s.parseLogCursor(text)
	if err != nil {
		return nil, err
	}
	if at.Until.IsZero() {
		at.begin(s.client.Time())
	}
	page, asked, err := s.page(ctx, feed, &at)
	var refused *vendorhttp.Refused
	switch {
	case errors.As(err, &refused) && at.Next != "" && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusGone):
		// How long a link to a next page lives is not documented: the query is made again.
		at.Next = ""
		page, asked, err = s.page(ctx, feed, &at)
	case err == nil && at.Asked.After(asked.Add(jitter)):
		// Our clock is ahead, which this answer tells first.
		if at.correct(asked); text == "" {
			at, _ = s.parseLogCursor("") // the start is always one
		}
		at.begin(asked)
		page, asked, err = s.page(ctx, feed, &at)
	}
	if err != nil {
		return nil, err
	}
	at.Asked = earlier(at.Asked, asked.UTC().Truncate(time.Second))
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	event.AppendAll(batch, page.Value, DecodeGraph)
	next, err := s.nextQuery(feed, page.Next)
	switch {
	case err != nil:
		return nil, err
	case next != "" && next == at.Next:
		return nil, errors.New("read page: the next page is the same one")
	case next != "":
		at.Next, batch.More = next, true
	default:
		batch.Coverage, batch.More = at.end()
	}
	batch.Cursor = at.String()
	return batch, nil
}

// page asks for a page of a log, and says when it was asked for.
func (s *Source) page(ctx context.Context, feed string, at *logCursor) (*graphPage, time.Time, error) {
	log := graphLogs[feed]
	address := s.graph.base.JoinPath(log.path)
	address.RawQuery = encode(log.between(at.From, at.Until, s.config.PageSize))
	if at.Next != "" {
		address.RawQuery = at.Next
	}
	if err := s.waitForReports(ctx); err != nil {
		return nil, time.Time{}, err
	}
	answer, err := s.ask(ctx, &s.graph, "AuditLog.Read.All", vendorhttp.Request{Method: http.MethodGet, Address: address.String()})
	if err != nil {
		return nil, time.Time{}, err
	}
	var page graphPage
	if err := json.Unmarshal(answer.Body, &page); err != nil || page.Value == nil {
		return nil, time.Time{}, errors.New("read page: not a JSON object with a list of entries")
	}
	return &page, answer.Asked, nil
}

// between is the query for what happened from one time to another.
func (l graphLog) between(from, until time.Time, top int) url.Values {
	return url.Values{
		"$filter": {fmt.Sprintf("%s ge %s and %s le %s", l.time, from.UTC().Format(time.RFC3339), l.time, until.UTC().Format(time.RFC3339))},
		"$top":    {strconv.Itoa(top)},
	}
}

// waitForReports waits until there is room for one more request to Graph's logs.
func (s *Source) waitForReports(ctx context.Context) error {
	err := s.reports.Wait(ctx)
	if ended := ctx.Err(); err != nil && ended != nil {
		return ended
	}
	if err != nil {
		return fmt.Errorf("wait for graph's rate limit: %w", err)
	}
	return nil
}

// nextQuery is the query of the link to a next page of a log; "" where there is none. A link that leads elsewhere is an
// error.
func (s *Source) nextQuery(feed, link string) (string, error) {
	if link == "" {
		return "", nil
	}
	next, err := vendorhttp.SameHost(s.graph.base, link)
	if err != nil {
		return "", err
	}
	if next.Path != graphLogs[feed].path {
		return "", errors.New("read page: the link to the next one does not lead to the log; not followed")
	}
	return next.RawQuery, nil
}
