// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxBlobs bounds the blobs of one read: a tenant may have thousands with one record each.
	maxBlobs = 100
	// maxListed bounds the entries of a page of the list where its window cannot be made shorter.
	maxListed = 8 * maxDone
	// maxPages bounds the pages of the list that one read looks at.
	maxPages = 20
	// startAgain is how long Microsoft wants to be left alone after a subscription was asked for.
	startAgain = 15 * time.Minute
	// seconds is the only form of a time that lists of content take: UTC, without a zone.
	seconds = "2006-01-02T15:04:05"
)

// content is an entry of the list of content.
type content struct {
	ID      string `json:"contentId"`
	URI     string `json:"contentUri"`
	Created string `json:"contentCreated"`
	raw     json.RawMessage
}

// created is when the blob was made available; fallback where it does not say.
func (c *content) created(fallback time.Time) time.Time {
	if at := event.ParseTime(c.Created); at != nil {
		return at.AsTime()
	}
	return fallback
}

// reading is one read of blobs.
type reading struct {
	source  *Source
	at      *blobCursor
	batch   *curfewv1.EventBatch
	blobs   int
	row     int  // blobs in a row that broke
	changed bool // whether the cursor says more than before
}

// errNoted ends a read early whose cursor says something that must not be forgotten.
var errNoted = errors.New("noted in the cursor")

// errBroken ends a read early because several blobs in a row broke.
var errBroken = errors.New("several blobs in a row could not be read")

// full is whether that is enough for one read.
func (r *reading) full() bool {
	return r.blobs >= maxBlobs || int(r.batch.GetRecords()) >= r.source.config.PageSize
}

// pollBlobs reads the blobs that are listed and not read yet, some at a time.
func (s *Source) pollBlobs(ctx context.Context, feed, text string) (*curfewv1.EventBatch, error) {
	at, err := s.parseBlobCursor(text)
	if err != nil {
		return nil, err
	}
	if now := s.client.Time(); at.Until.IsZero() || at.From.Before(now.Add(-retention)) {
		at.begin(now)
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	r := &reading{source: s, at: &at, batch: batch}
	err = r.readPending(ctx)
	for pages := 0; ; pages++ {
		whole, next := false, ""
		if err == nil {
			whole, next, err = r.readPage(ctx)
		}
		switch {
		case err != nil && (ctx.Err() != nil || pages+r.blobs == 0 && !r.changed):
			return nil, err
		case err == nil && whole && next == "":
			batch.Coverage, batch.More = at.end(settled(feed))
			batch.Cursor = at.String()
			return batch, nil
		case err == nil && whole:
			at.turn(next)
		}
		if err != nil || !whole || pages == maxPages {
			// What was read before the error counts; it will come again.
			at.forget()
			batch.More, batch.Cursor = true, at.String()
			return batch, nil
		}
	}
}

// readPage reads the blobs of a page of the list, and returns whether it came to the page's end and where the next one is.
func (r *reading) readPage(ctx context.Context) (whole bool, next string, err error) {
	listed, next, err := r.list(ctx)
	if err != nil {
		return false, "", err
	}
	whole, err = r.readBlobs(ctx, listed)
	return whole, next, err
}

// readBlobs reads what is listed and not done, until that is enough for one read, and reports whether it came to the end
// of the list. A blob that breaks is gone past, and is pending.
func (r *reading) readBlobs(ctx context.Context, listed []content) (whole bool, err error) {
	for i := range listed {
		blob := &listed[i]
		if r.at.isDone(blob) {
			continue
		}
		if r.full() {
			return false, nil
		}
		if r.row == maxRow {
			return false, errBroken
		}
		records, err := r.source.read(ctx, r.batch.GetFeed(), blob)
		switch {
		case err == nil:
			event.AppendAll(r.batch, records, Decode)
		case code(err) == codeExpired || code(err) == codeNoContent:
			// It is lost: the list entry says so among the dead letters.
			r.lose(blob.raw, blob.created(r.at.Until), "content expired", err)
		case concernsAll(ctx, err):
			return false, err
		default:
			if err := r.goPast(blob, err); err != nil {
				return false, err
			}
			r.row++
			r.blobs++
			continue
		}
		r.row = 0
		r.at.done(blob)
		r.blobs++
	}
	return true, nil
}

// list asks for a page of the list of content, and subscribes where nobody has.
func (r *reading) list(ctx context.Context) (listed []content, next string, err error) {
	s, at, feed := r.source, r.at, r.batch.GetFeed()
	for again := false; ; again = true {
		query := url.Values{"startTime": {at.From.UTC().Format(seconds)}, "endTime": {at.Until.UTC().Format(seconds)}}
		if at.Page != "" {
			query.Set("nextPage", at.Page)
		}
		answer, err := s.operation(ctx, http.MethodGet, "subscriptions/content", feed, query)
		switch told := code(err); {
		case told == codeUnsubscribed || told == codeDisabled:
			return nil, "", r.lapsed(ctx, err)
		case told == codeBadPage && at.Page != "":
			// How long a link to a further page lives is not documented: the list is made again, and what is known to be read is
			// left out. Where not all is known any more, the list is made shorter, so that some time it is known.
			at.turn("")
			if !at.Forgot.IsZero() {
				at.narrow()
			}
			continue
		case err != nil:
			return nil, "", err
		case at.Asked.After(answer.Asked.Add(jitter)) && !again:
			// Our clock is ahead, which this answer tells first.
			at.correct(answer.Asked)
			at.begin(answer.Asked)
			continue
		}
		asked := answer.Asked.UTC().Truncate(time.Second)
		at.Asked = earlier(at.Asked, asked)
		if listed, err = readList(answer.Body); err != nil {
			return nil, "", err
		}
		if len(listed) > maxDone && at.narrow() {
			continue
		}
		if len(listed) > maxListed {
			return nil, "", fmt.Errorf("read list of content: a page has more than %d entries", maxListed)
		}
		switch {
		case !at.Lost.IsZero():
			// Nothing was kept while the subscription was off.
			at.Covered, at.Lost = later(at.Covered, asked), time.Time{}
			r.changed = true
		case at.Covered.IsZero() && len(listed) > 0:
			// The subscription is as old as its first blob, at least.
			at.Covered = listed[0].created(at.From)
		}
		next, err = nextPage(answer.Header, at.Page)
		return listed, next, err
	}
}

// lapsed subscribes where nobody has, or nobody has any more. What happens while the subscription is off is not there, and
// never will be, so that it is off goes into the cursor before anything else is asked: errNoted says that it did.
func (r *reading) lapsed(ctx context.Context, err error) error {
	at := r.at
	if code(err) == codeUnsubscribed {
		if err = r.source.subscribe(ctx, r.batch.GetFeed()); err == nil {
			at.restart()
			at.Covered, at.Lost = later(at.Covered, r.source.client.Time().UTC().Truncate(time.Second)), time.Time{}
			r.changed = true
			return errNoted
		}
	}
	if at.Lost.IsZero() && ctx.Err() == nil {
		at.Lost = r.source.client.Time().UTC().Truncate(time.Second)
		r.changed = true
		return errNoted
	}
	return err
}

// readList takes a list of content apart.
func readList(body []byte) ([]content, error) {
	entries, err := event.Split(body)
	if err != nil {
		return nil, fmt.Errorf("read list of content: %w", err)
	}
	listed := make([]content, len(entries))
	for i, entry := range entries {
		blob, err := readContent(entry)
		if err != nil {
			return nil, err
		}
		listed[i] = *blob
	}
	return listed, nil
}

// readContent reads an entry of the list of content.
func readContent(entry []byte) (*content, error) {
	blob := &content{raw: entry}
	if err := json.Unmarshal(entry, blob); err != nil || blob.ID == "" || blob.URI == "" {
		return nil, errors.New("read list of content: an entry has no id or no address")
	}
	return blob, nil
}

// nextPage is the place of the next page of the list of content; "" where there is none. Its address is of our own making:
// Microsoft's leaves out who asks.
func nextPage(header http.Header, current string) (string, error) {
	// The reference calls it NextPageUri, the page on troubleshooting NextPageUrl.
	link := cmp.Or(header.Get("NextPageUri"), header.Get("NextPageUrl"))
	if link == "" {
		return "", nil
	}
	address, err := url.Parse(link)
	if err != nil {
		return "", errors.New("read list of content: the link to its next page is not an address")
	}
	next := address.Query().Get("nextPage")
	if next == "" || next == current || len(next) > 1<<10 {
		return "", errors.New("read list of content: the link to its next page leads nowhere")
	}
	return next, nil
}

// read reads a blob.
func (s *Source) read(ctx context.Context, feed string, blob *content) ([]json.RawMessage, error) {
	address, err := vendorhttp.SameHost(s.activity.base, blob.URI)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(address.Path, s.operationPath("audit/")) {
		return nil, errors.New("read content: its address leads elsewhere; not followed")
	}
	query := address.Query()
	query.Set("PublisherIdentifier", s.config.PublisherID)
	address.RawQuery = query.Encode()
	answer, err := s.ask(ctx, &s.activity, permissionFor(feed), vendorhttp.Request{Method: http.MethodGet, Address: address.String()})
	if err != nil {
		return nil, err
	}
	records, err := event.Split(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	return records, nil
}

// permissionFor is what reading a feed takes.
func permissionFor(feed string) string {
	if feed == feedDLP {
		return "ActivityFeed.ReadDlp"
	}
	return "ActivityFeed.Read"
}

func (s *Source) operationPath(operation string) string {
	return "/api/v1.0/" + s.config.TenantID + "/activity/feed/" + operation
}

// operation asks for an operation on a feed's content type. Who asks is always said: those who do not share one quota.
func (s *Source) operation(ctx context.Context, method, operation, feed string, query url.Values) (*vendorhttp.Answer, error) {
	query.Set("contentType", contentTypes[feed])
	query.Set("PublisherIdentifier", s.config.PublisherID)
	address := s.activity.base.JoinPath(s.operationPath(operation))
	address.RawQuery = query.Encode()
	return s.ask(ctx, &s.activity, permissionFor(feed), vendorhttp.Request{Method: method, Address: address.String()})
}

// subscribe starts a feed's subscription; that it is there already is as good.
func (s *Source) subscribe(ctx context.Context, feed string) error {
	if wait := s.started.wait(feed, s.client.Now()); wait > 0 {
		return fmt.Errorf("the subscription to %s has been asked for and is not there yet; it is asked for again in %v", contentTypes[feed], wait.Round(time.Minute))
	}
	_, err := s.operation(ctx, http.MethodPost, "subscriptions/start", feed, url.Values{})
	if err == nil || code(err) == codeSubscribed {
		s.started.note(feed, s.client.Now())
		return nil
	}
	return fmt.Errorf("start subscription: %w", err)
}

// starts is when each subscription was last started. It is safe for concurrent use.
type starts struct {
	mu sync.Mutex
	at map[string]time.Time
}

func newStarts() *starts { return &starts{at: map[string]time.Time{}} }

// note notes that a subscription was started.
func (s *starts) note(feed string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[feed] = now
}

// wait is how long a subscription is not to be asked for again.
func (s *starts) wait(feed string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, started := s.at[feed]; started && now.Before(at.Add(startAgain)) && !now.Before(at) {
		return at.Add(startAgain).Sub(now)
	}
	return 0
}
