// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// pagedLog is a log of the Web API in pages that are counted from the newest record, which move down whenever a record
// reaches the log. It is read in walks: each begins at the newest and ends at records that an earlier walk has read.
type pagedLog struct {
	method string
	// list and date are where the records stand in an answer, and where in a record its time.
	list, date string
	// sorted is whether records that come oldest first are an error.
	sorted bool
	// overlap is how far before the beginning of the last walk a walk goes. These logs are small, and Slack states no
	// lateness.
	overlap time.Duration
	// every is the least time from the beginning of a walk to that of the next.
	every time.Duration
}

// logs is every paged log. That their records come newest first is seen in Slack's examples and not confirmed for
// date_last of team.accessLogs, whose documentation says only how to read "further back in time". So where the records of
// one page of it do not, nothing is left out for having stood on an earlier page, the walk goes on to the last page, and no
// coverage is claimed for it; the next walk leaves nothing out either. A record older than the walk's floor is left out
// all the same: that is told by its own date.
var logs = map[string]pagedLog{
	integrationLogs: {method: "team.integrationLogs", list: "logs", date: "date", sorted: true, overlap: 24 * time.Hour},
	// A record grows with each access, so that each walk gives an event for everybody who works: not too often.
	accessLogs: {method: "team.accessLogs", list: "logins", date: "date_last", overlap: time.Hour, every: 5 * time.Minute},
}

// maxSeen bounds the ids that a walk carries on from a page.
const maxSeen = 1000

// walk is where reading a paged log goes on: what stands in EventBatch.cursor, as JSON.
type walk struct {
	// Floor is where the walk in progress ends, or the next one where none is.
	Floor time.Time `json:"floor"`
	// Asked is when the walk in progress was begun, Last when the one before it was.
	Asked time.Time `json:"asked,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Page is the next page of the walk in progress, 0 where none is, and Count how many records it has: the configuration
	// may change meanwhile.
	Page  int `json:"page,omitempty"`
	Count int `json:"count,omitempty"`
	// Reached is the time of the last record read, and Seen which records of that time were: what moved down since stands
	// above it and is left out.
	Reached time.Time `json:"reached,omitzero"`
	Seen    []string  `json:"seen,omitempty"`
	// Undated is which records that say no time were read: whether they were cannot be told otherwise.
	Undated []string `json:"undated,omitempty"`
	// Disordered is whether the walk in progress met a page whose records do not come newest first, Wary whether the one
	// before it did.
	Disordered bool `json:"disordered,omitempty"`
	Wary       bool `json:"wary,omitempty"`
	// Covered is the end of the last coverage, or where the first read began.
	Covered time.Time `json:"covered"`
}

// parseWalk reads what written wrote; "" is the start.
func (s *Source) parseWalk(log pagedLog, text string) (walk, error) {
	now := s.now()
	if text == "" {
		from := s.start(now)
		return walk{Floor: from, Covered: from}, nil
	}
	var w walk
	if err := json.Unmarshal([]byte(text), &w); err != nil || w.Floor.IsZero() || w.Covered.IsZero() || w.Page < 0 || w.Page > 0 && w.Count <= 0 {
		return walk{}, errForeignCursor
	}
	w.rewind(log, now)
	return w, nil
}

// rewind sets back what lies ahead of now: a clock that was ahead wrote it. The walk is begun anew then, and goes back as
// far as any does.
func (w *walk) rewind(log pagedLog, now time.Time) {
	if w.Floor.After(now) || w.Covered.After(now) {
		w.Floor, w.Page, w.Count, w.Reached, w.Seen = earlier(w.Floor, now.Add(-log.overlap)), 0, 0, time.Time{}, nil
	}
	w.Covered, w.Asked, w.Last = earlier(w.Covered, now), earlier(w.Asked, now), earlier(w.Last, now)
}

// pollLog reads the next page of a paged log.
func (s *Source) pollLog(ctx context.Context, feed, text string) (*curfewv1.EventBatch, error) {
	log := logs[feed]
	w, page, err := s.stride(ctx, log, text)
	if err == nil && w.Page == 1 && page.asked.Before(w.Asked.Add(-settle)) {
		// The answer tells that our clock is far ahead: where the walk ends was wrong too.
		w, page, err = s.stride(ctx, log, text)
	}
	// A hundred pages are the most that Slack shows: https://docs.slack.dev/reference/methods/team.accessLogs.
	cut := w.Page > 1 && refusedFor(err, "over_pagination_limit")
	if err != nil && !cut {
		return nil, err
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	ended := cut
	if !cut {
		w.Asked = earlier(w.Asked, page.asked)
		ended = step(batch, log, &w, page)
	} else if w.Covered.Before(w.Reached) && !w.Disordered && !w.Wary {
		w.Covered = w.Reached // What lies before cannot be read; coverage that begins here shows the gap.
	}
	if !ended {
		w.Page++
		batch.More = true
	} else {
		batch.Coverage = w.end(log)
	}
	batch.Cursor = written(w)
	return batch, nil
}

// stride asks for the next page behind a cursor, of the walk in progress or of a new one.
func (s *Source) stride(ctx context.Context, log pagedLog, text string) (walk, *recordsPage, error) {
	w, err := s.parseWalk(log, text)
	if err != nil {
		return w, nil, err
	}
	if w.Page == 0 {
		if wait := w.Last.Add(log.every).Sub(s.now()); wait > 0 && wait <= log.every && !w.Last.IsZero() {
			if err := s.client.Pause(ctx, wait); err != nil {
				return w, nil, err
			}
		}
		w.Asked, w.Page, w.Count = s.now(), 1, s.config.PageSize
	}
	page, err := s.records(ctx, log, w)
	return w, page, err
}

// step takes a page's records into a batch and returns whether the walk ends with it: with a page of which the last walk
// has read everything, or the last page.
func step(batch *curfewv1.EventBatch, log pagedLog, w *walk, page *recordsPage) (ended bool) {
	reached, below := w.Reached, 0
	var seen []string
	w.Disordered = w.Disordered || page.disordered(log.date)
	wary := w.Disordered || w.Wary
	if !reached.IsZero() {
		seen = w.Seen
	}
	for _, record := range page.records {
		key := event.Digest(record)[:16]
		at, known := dateOf(record, log.date)
		switch {
		case !known && slices.Contains(w.Undated, key):
			below++
			continue
		case !known:
			event.Append(batch, record, 0, Decode)
			w.Undated = append(w.Undated[max(0, len(w.Undated)-maxSeen+1):], key)
			continue
		case at.Before(w.Floor):
			below++
			continue
		}
		if !wary && !w.Reached.IsZero() && (at.After(w.Reached) || at.Equal(w.Reached) && slices.Contains(w.Seen, key)) {
			continue // It was on a page before, and moved down; or it is new, and the next walk's.
		}
		event.Append(batch, record, 0, Decode)
		switch {
		case reached.IsZero() || at.Before(reached):
			reached, seen = at, []string{key}
		case at.Equal(reached) && len(seen) < maxSeen:
			seen = append(slices.Clip(seen), key)
		}
	}
	w.Reached, w.Seen = reached, seen
	return len(page.records) == 0 || below == len(page.records) && !wary || page.last(w)
}

// end ends a walk: the next one goes back to before this one began.
func (w *walk) end(log pagedLog) *curfewv1.Coverage {
	if floor := w.Asked.Add(-log.overlap); floor.After(w.Floor) {
		w.Floor = floor
	}
	until := w.Asked.Add(-settle)
	disordered := w.Disordered
	w.Last, w.Asked, w.Page, w.Count, w.Reached, w.Seen = w.Asked, time.Time{}, 0, 0, time.Time{}, nil
	w.Wary, w.Disordered = disordered, false
	if disordered || !w.Covered.Before(until) {
		return nil
	}
	covered := &curfewv1.Coverage{From: timestamppb.New(w.Covered), Until: timestamppb.New(until)}
	w.Covered = until
	return covered
}

// dateOf is the time of a record.
func dateOf(record json.RawMessage, name string) (at time.Time, known bool) {
	var values map[string]json.RawMessage
	if json.Unmarshal(record, &values) != nil {
		return time.Time{}, false
	}
	var date event.Scalar
	_ = date.UnmarshalJSON(values[name])
	stamp := parseTime(date.Text)
	if stamp == nil {
		return time.Time{}, false
	}
	return stamp.AsTime(), true
}

// recordsPage is one page of a paged log.
type recordsPage struct {
	records []json.RawMessage
	pages   int
	// asked is when it was asked for, by Slack's clock where ours is ahead.
	asked time.Time
}

// disordered is whether the records do not come newest first, but for those that say no time.
func (p *recordsPage) disordered(date string) bool {
	var above time.Time
	for _, record := range p.records {
		at, known := dateOf(record, date)
		if known && !above.IsZero() && at.After(above) {
			return true
		}
		if known {
			above = at
		}
	}
	return false
}

// last is whether no page follows the one just read. Slack's count of them is of that moment.
func (p *recordsPage) last(w *walk) bool { return w.Page >= p.pages }

// records asks for a page.
func (s *Source) records(ctx context.Context, log pagedLog, w walk) (*recordsPage, error) {
	query := url.Values{"count": {strconv.Itoa(w.Count)}, "page": {strconv.Itoa(w.Page)}}
	answer, err := s.page(ctx, s.base, "api/"+log.method, query)
	if err != nil {
		return nil, err
	}
	var page struct {
		refusal
		Logs   []json.RawMessage `json:"logs"`
		Logins []json.RawMessage `json:"logins"`
		Paging struct {
			Pages int `json:"pages"`
		} `json:"paging"`
	}
	err = json.Unmarshal(answer.Body, &page)
	records := page.Logs
	if log.list == "logins" {
		records = page.Logins
	}
	if err != nil || page.OK == nil || !*page.OK || records == nil {
		return nil, errors.New("read page: not a JSON object with ok and a list of " + log.list)
	}
	if n := len(records); n > 1 && log.sorted {
		newest, known := dateOf(records[0], log.date)
		oldest, both := dateOf(records[n-1], log.date)
		if known && both && newest.Before(oldest) {
			// Every walk would end before it came to what is new.
			return nil, errors.New("read page: its records come oldest first, which no page did so far; tell the makers of Curfew")
		}
	}
	return &recordsPage{records: records, pages: page.Paging.Pages, asked: second(answer.Asked)}, nil
}
