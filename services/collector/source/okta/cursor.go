// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const logPath = "/api/v1/logs"

// cursor is where reading goes on: what stands in EventBatch.cursor, as JSON.
type cursor struct {
	// Next is path and query of the next request, as Okta's own link gave them.
	Next string `json:"next"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
	// Since is where the first read began; zero in cursors of old.
	Since time.Time `json:"since,omitzero"`
	// Published is the newest time of an event seen; zero before the first.
	Published time.Time `json:"published,omitzero"`
}

func (c cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		// A year beyond 9999 alone could do it, and no such time gets in.
		panic(fmt.Sprintf("write cursor: %v", err))
	}
	return string(text)
}

// begin is the start, by a time of now.
func (s *Source) begin(now time.Time) cursor {
	from := now.Add(-s.config.Since).UTC().Truncate(time.Millisecond)
	return cursor{Next: s.since(from), Covered: from, Since: from}
}

// parseCursor reads what String wrote; "" is the start.
func (s *Source) parseCursor(text string) (cursor, error) {
	if text == "" {
		return s.begin(s.client.Time()), nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return cursor{}, errors.New("read cursor: it is not one of this source")
	}
	next, err := url.Parse(c.Next)
	if err != nil || next.Scheme != "" || next.Host != "" || next.Path != logPath {
		return cursor{}, errors.New("read cursor: it does not lead to the log")
	}
	return c, nil
}

// bound sets back what lies in the future of now, Okta's time by its last answer: our clock was ahead once. Coverage
// begins again from now then; it would otherwise stop until that time comes. A time of before the last answer will not do:
// our clock may have been put right since, and what seems to be Okta's time would lie far in the past.
func (c *cursor) bound(now time.Time) {
	if c.Covered.After(now) {
		c.Covered = now.UTC()
		if c.Covered.Before(c.Since) {
			c.Covered = c.Since
		}
	}
	if c.Published.After(now) {
		c.Published = now.UTC()
	}
}

// since is the request that begins at a time. It is a polling request, ascending and without an end: Okta gives those,
// and those alone, every event, in the order in which they reached the log.
func (s *Source) since(from time.Time) string {
	query := url.Values{
		"since":     {from.UTC().Format("2006-01-02T15:04:05.000Z")},
		"sortOrder": {"ASCENDING"},
		"limit":     {strconv.Itoa(s.config.PageSize)},
	}
	return logPath + "?" + query.Encode()
}

// query is the query of the next request; empty where it cannot be read.
func (c cursor) query() url.Values {
	_, text, _ := strings.Cut(c.Next, "?")
	values, err := url.ParseQuery(text)
	if err != nil {
		return url.Values{}
	}
	return values
}

// limit is how many records the next page has if it is full. The configuration may have changed since Okta made the
// link; 100 is Okta's own default.
func (c cursor) limit() int {
	if limit, err := strconv.Atoi(c.query().Get("limit")); err == nil && limit > 0 {
		return limit
	}
	return 100
}

// mayRestart is whether a refusal with status is one of the cursor, as far as can be told. A request by time alone, which
// this source made itself, has no cursor that could be at fault; Okta's links carry the time along with theirs.
func (c cursor) mayRestart(status int) bool {
	query := c.query()
	return (query.Has("after") || !query.Has("since")) &&
		(status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusGone)
}

// restart is where reading goes on when Okta refuses c: an hour before the newest event seen. What has not been seen
// reached the log later than that event, and polling requests go by when an event reached the log.
func (s *Source) restart(c cursor) cursor {
	// The refusal may be the first to tell Okta's time.
	now := s.client.Time()
	c.bound(now)
	from := c.Published
	if from.IsZero() {
		from = c.Covered
	}
	from = from.Add(-overlap)
	if oldest := now.Add(-retention); from.Before(oldest) {
		from = oldest
	}
	c.Next = s.since(from)
	return c
}

// see notes the newest event. A time to come would make a restart leave events out, so asked, when the page was asked
// for by our clock or Okta's, whichever is behind, is the newest there can be.
func (c *cursor) see(batch *curfewv1.EventBatch, asked time.Time) {
	for _, e := range batch.GetEvents() {
		if e.GetTime() == nil {
			continue
		}
		published := e.GetTime().AsTime()
		if published.After(asked) {
			published = asked
		}
		if published.After(c.Published) {
			c.Published = published.UTC()
		}
	}
}

// cover is what is covered once a page was not full: from the end of the last coverage until the page was asked for by
// our clock or Okta's, whichever is behind, but never longer than Okta keeps its log. It is nil where that is nothing. What reaches the log late, which Okta says is
// rare, may still be stamped with a time within it.
func (c *cursor) cover(asked time.Time) *curfewv1.Coverage {
	from := c.Covered
	if oldest := asked.Add(-retention); from.Before(oldest) {
		from = oldest
	}
	if !from.Before(asked) {
		return nil
	}
	c.Covered = asked.UTC()
	return &curfewv1.Coverage{From: timestamppb.New(from), Until: timestamppb.New(asked)}
}

// isSame is whether next, path and query, is the very request of c.
func (c cursor) isSame(next string) bool {
	return c.query().Encode() == cursor{Next: next}.query().Encode()
}

// nextLink is path and query of the link to the next page.
func (s *Source) nextLink(header http.Header) (string, error) {
	next, err := vendorhttp.NextLink(s.base, header)
	switch {
	case err != nil:
		return "", err
	case next == nil:
		// Going on without it would mean to guess; the page is asked for again.
		return "", errors.New("read page: there is no link to the next one")
	case next.Path != logPath:
		return "", errors.New("read page: the link to the next one does not lead to the log; not followed")
	}
	return next.Path + "?" + next.RawQuery, nil
}
