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
	// sweep is how far before the last one a query goes that looks for what was later than that, and sweepEvery how often
	// there is one: what reaches the log within sweep is read, however long nobody read meanwhile.
	sweep      = 3 * time.Hour
	sweepEvery = time.Hour
	// maxWindow is the longest query, so that a long absence is read in pieces and no repeat lies further back. A sweep
	// that is not late fits into one.
	maxWindow = sweep + sweepEvery + settle
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
	// Swept is when a query last looked for late entries: the next one looks from sweep before that on.
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
	now := s.now()
	if text == "" {
		from := s.start(now)
		return cursor{From: from, Covered: from, Swept: now}, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() || c.Next != "" && c.Until.Before(c.From) {
		return cursor{}, errForeignCursor
	}
	if c.Swept.IsZero() {
		c.Swept = c.From
	}
	c.rewind(now)
	return c, nil
}

// rewind sets back what lies ahead of now: a clock that was ahead wrote it. Since when it was is not known, so that what
// happened meanwhile is read again as far back as a query goes, within the horizon.
func (c *cursor) rewind(now time.Time) {
	if c.From.After(now) || c.Covered.After(now) {
		c.From, c.Next = now.Add(-maxWindow), ""
	}
	c.Covered, c.Swept, c.Asked = earlier(c.Covered, now), earlier(c.Swept, now), earlier(c.Asked, now)
}

// believe notes when a query was asked by Slack's clock, where ours was ahead of it.
func (c *cursor) believe(asked time.Time) {
	c.Asked, c.Swept = earlier(c.Asked, asked), earlier(c.Swept, asked)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// now is the time by Slack's clock, as far as it is known: at most ours.
func (s *Source) now() time.Time { return second(s.client.Time()) }

// second is a time as Slack's clock tells it.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// start is where the very first read begins.
func (s *Source) start(now time.Time) time.Time {
	if from := now.Add(-s.config.Since); from.After(firstEntry) {
		return from
	}
	return firstEntry
}

// begin begins a query: from where the last one left off until now, but no longer than maxWindow, and now and then from
// further back: from sweep before the last time that this was done, so that what was late while nobody read is found. What
// is too long for one query is read in the next ones.
func (c *cursor) begin(now time.Time) {
	if now.Sub(c.Swept) >= sweepEvery {
		c.From, c.Swept = earlier(c.From, c.Swept.Add(-sweep)), now
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
	// From may lie behind what this query could settle, where it was begun by a clock that was ahead.
	until := earlier(c.From, c.Asked.Add(-settle))
	c.Until, c.Asked, c.Next = time.Time{}, time.Time{}, ""
	if more {
		return nil, true
	}
	return c.cover(until), false
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
	at, page, err := s.query(ctx, text)
	if err == nil && at.Next == "" && page.asked.Before(at.Asked.Add(-settle)) {
		// The answer tells that our clock is far ahead: where the query begins was wrong too.
		at, page, err = s.query(ctx, text)
	}
	if at.Next != "" && refusedFor(err, "invalid_cursor") {
		// A cursor is good for its query alone, and for how long Slack does not say: the query is made again.
		at.Next, at.Asked = "", s.now()
		page, err = s.entries(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	at.believe(page.asked)
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

// query asks for the next page behind a cursor, of the query in progress or of a new one.
func (s *Source) query(ctx context.Context, text string) (cursor, *entriesPage, error) {
	at, err := s.parseCursor(text)
	if err != nil {
		return at, nil, err
	}
	if at.Next == "" {
		at.begin(s.now())
	}
	page, err := s.entries(ctx, at)
	return at, page, err
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
	// asked is when it was asked for, by Slack's clock where ours is ahead.
	asked time.Time
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
	page.asked = second(answer.Asked)
	return &page, nil
}
