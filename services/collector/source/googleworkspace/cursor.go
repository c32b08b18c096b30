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

// cursor is where reading goes on: what stands in EventBatch.cursor, as JSON. Google has no cursor of its own that
// outlives a query, so time is read in queries, each page by page.
type cursor struct {
	// From is where the query in progress begins, or the next one where none is.
	From time.Time `json:"from"`
	// Until and Asked are the end of the query in progress and when it was begun.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// PageToken leads to the next page of the query in progress; empty where none is.
	PageToken string `json:"pageToken,omitempty"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
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
		from := s.client.Now().Add(-s.config.Since).UTC().Truncate(time.Millisecond)
		return cursor{From: from, Covered: from}, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || c.Covered.IsZero() ||
		c.PageToken != "" && !c.From.Before(c.Until) {
		return cursor{}, errors.New("read cursor: it is not one of this source")
	}
	return c, nil
}

// begin begins a query: from where the last one left off until now, but at most two overlaps long, so that a long
// absence is read in pieces and no repeat lies further back than the horizon.
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
	c.Asked, c.Until = now, now
	if end := c.From.Add(2 * overlap); end.Before(now) {
		c.Until = end
	}
}

// end ends a query whose last page was read. What happened more than an overlap before the query was begun has reached
// the log, so there the next one begins and there coverage ends. More says that the query did not reach the present;
// there is no coverage then.
func (c *cursor) end(overlap time.Duration) (covered *curfewv1.Coverage, more bool) {
	settled := c.Asked.Add(-overlap)
	if c.Until.Before(settled) {
		settled = c.Until
	}
	if settled.After(c.From) {
		c.From = settled
	}
	more = c.Until.Before(c.Asked)
	c.Until, c.Asked, c.PageToken = time.Time{}, time.Time{}, ""
	if more || !c.Covered.Before(c.From) {
		return nil, more
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(c.From)}
	c.Covered = c.From
	return covered, false
}
