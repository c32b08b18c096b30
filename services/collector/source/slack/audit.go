// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// settle is how long after it happened an act may reach a log and still be read by the next query. Slack states no
	// lateness, so what is right is not confirmed.
	settle = 10 * time.Minute
	// sweep is how far back a query goes that looks for what was later than that, and sweepEvery how often there is one.
	sweep      = 3 * time.Hour
	sweepEvery = time.Hour
	// maxWindow is the longest query, so that a long absence is read in pieces and no repeat lies further back.
	maxWindow = sweep + settle
)

// firstEntry is the earliest that the audit log goes back: https://docs.slack.dev/reference/audit-logs-api/.
var firstEntry = time.Date(2018, time.March, 1, 0, 0, 0, 0, time.UTC)

// cursor is where reading the audit log goes on: what stands in EventBatch.cursor, as JSON. Slack has no cursor of its own
// that outlives a query, so time is read in queries, each page by page. Slack's clock counts whole seconds, and both ends
// of a query are in it.
type cursor struct {
	// From is where the query in progress begins, or the next one where none is.
	From time.Time `json:"from"`
	// Until and Asked are the last second of the query in progress and when it was begun.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// Next leads to the next page of the query in progress; empty where none is.
	Next string `json:"next,omitempty"`
	// Swept is when a query last looked for late entries.
	Swept time.Time `json:"swept,omitzero"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
}

// written is a cursor as text.
func written(cursor any) string {
	text, err := json.Marshal(cursor)
	if err != nil {
		// A year beyond 9999 alone could do it, and no such time gets in.
		panic(fmt.Sprintf("write cursor: %v", err))
	}
	return string(text)
}

var errForeignCursor = errors.New("read cursor: it is not one of this source")

// parseCursor reads what written wrote; "" is the start.
func (s *Source) parseCursor(text string) (cursor, error) {
	if text == "" {
		now := s.now()
		from := s.start(now)
		return cursor{From: from, Covered: from, Swept: now}, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() || c.Next != "" && c.Until.Before(c.From) {
		return cursor{}, errForeignCursor
	}
	return c, nil
}

// now is the time by Slack's clock.
func (s *Source) now() time.Time { return s.client.Now().UTC().Truncate(time.Second) }

// start is where the very first read begins.
func (s *Source) start(now time.Time) time.Time {
	if from := now.Add(-s.config.Since); from.After(firstEntry) {
		return from
	}
	return firstEntry
}

// begin begins a query: from where the last one left off until now, but no longer than maxWindow, and now and then from
// further back.
func (c *cursor) begin(now time.Time) {
	if !c.From.Before(now) {
		// The clock was set back.
		c.From = now.Add(-settle)
	}
	if now.Sub(c.Swept) >= sweepEvery {
		c.Swept = now
		if back := now.Add(-sweep); back.Before(c.From) {
			c.From = back
		}
	}
	c.Asked, c.Until = now, now
	if end := c.From.Add(maxWindow); end.Before(now) {
		c.Until = end
	}
}

// end ends a query whose last page was read. What happened more than settle before the query was begun has reached the
// log, so there the next one begins and there coverage ends. More says that the query did not reach the present; there is
// no coverage then.
func (c *cursor) end() (covered *curfewv1.Coverage, more bool) {
	settled := c.Asked.Add(-settle)
	if next := c.Until.Add(time.Second); next.Before(settled) {
		settled = next
	}
	if settled.After(c.From) {
		c.From = settled
	}
	more = c.Until.Before(c.Asked)
	c.Until, c.Asked, c.Next = time.Time{}, time.Time{}, ""
	if more {
		return nil, true
	}
	return c.cover(c.From), false
}

// cover is what is covered now; nil where that is nothing.
func (c *cursor) cover(until time.Time) *curfewv1.Coverage {
	if !c.Covered.Before(until) {
		return nil
	}
	covered := &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(until)}
	c.Covered = until
	return covered
}

// pollAudit reads the next page of the audit log.
func (s *Source) pollAudit(ctx context.Context, _, text string) (*curfewv1.EventBatch, error) {
	at, err := s.parseCursor(text)
	if err != nil {
		return nil, err
	}
	if at.Next == "" {
		at.begin(s.now())
	}
	page, err := s.entries(ctx, at)
	if at.Next != "" && refusedFor(err, "invalid_cursor") {
		// A cursor is good for its query alone, and for how long Slack does not say: the query is made again.
		at.Next, at.Asked = "", s.now()
		page, err = s.entries(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	next := page.Metadata.NextCursor
	if next != "" && next == at.Next {
		return nil, errors.New("read page: the next page is the same one")
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: audit, Received: timestamppb.New(s.client.Now())}
	for _, record := range page.Entries {
		event.Append(batch, record, 0, Decode)
	}
	if next != "" {
		at.Next, batch.More = next, true
	} else {
		batch.Coverage, batch.More = at.end()
	}
	batch.Cursor = written(at)
	return batch, nil
}

// refusedFor is whether an error is Slack's refusal for a reason.
func refusedFor(err error, reason string) bool {
	var refused *vendorhttp.Refused
	return errors.As(err, &refused) && refused.Reason == reason
}

// entriesPage is one page of the audit log.
type entriesPage struct {
	refusal
	Entries  []json.RawMessage `json:"entries"`
	Metadata struct {
		NextCursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// entries asks for a page. A cursor says where in the log to go on and not where the query ends, so its bounds are sent
// with each page: https://github.com/elastic/integrations/issues/8163.
func (s *Source) entries(ctx context.Context, at cursor) (*entriesPage, error) {
	query := url.Values{
		"oldest": {strconv.FormatInt(at.From.Unix(), 10)},
		"latest": {strconv.FormatInt(at.Until.Unix(), 10)},
		"limit":  {strconv.Itoa(s.config.PageSize)},
	}
	if at.Next != "" {
		query.Set("cursor", at.Next)
	}
	answer, err := s.page(ctx, s.auditLog, "audit/v1/logs", query)
	if err != nil {
		return nil, err
	}
	var page entriesPage
	if err := json.Unmarshal(answer.Body, &page); err != nil || page.Entries == nil || page.OK != nil && !*page.OK {
		return nil, errors.New("read page: not a JSON object with a list of entries")
	}
	return &page, nil
}
