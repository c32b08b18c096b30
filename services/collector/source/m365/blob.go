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

// pollBlobs reads the blobs that are listed and not read yet, some at a time.
func (s *Source) pollBlobs(ctx context.Context, feed, text string) (*curfewv1.EventBatch, error) {
	at, err := s.parseBlobCursor(text)
	if err != nil {
		return nil, err
	}
	if now := s.client.Now(); at.Until.IsZero() || at.From.Before(now.Add(-retention)) {
		at.begin(now)
	}
	batch := &curfewv1.EventBatch{Source: source, Feed: feed, Received: timestamppb.New(s.client.Now())}
	blobs := 0
	for pages := 0; ; pages++ {
		whole, next, err := s.readPage(ctx, feed, &at, batch, &blobs)
		switch {
		case err != nil && (ctx.Err() != nil || pages+blobs == 0):
			return nil, err
		case err == nil && whole && next == "":
			batch.Coverage, batch.More = at.end(settled(feed))
			batch.Cursor = at.String()
			return batch, nil
		case err == nil && whole:
			at.Page = next
		}
		if err != nil || !whole || pages == maxPages {
			// What was read before the error counts; it will come again.
			batch.More, batch.Cursor = true, at.String()
			return batch, nil
		}
	}
}

// readPage reads the blobs of a page of the list, and returns whether it came to the page's end and where the next one is.
func (s *Source) readPage(ctx context.Context, feed string, at *blobCursor, batch *curfewv1.EventBatch, blobs *int) (whole bool, next string, err error) {
	listed, next, err := s.list(ctx, feed, at)
	if err != nil {
		return false, "", err
	}
	whole, err = s.readBlobs(ctx, feed, at, listed, batch, blobs)
	return whole, next, err
}

// readBlobs reads what is listed and not done, until that is enough for one read, and reports whether it came to the end
// of the list.
func (s *Source) readBlobs(ctx context.Context, feed string, at *blobCursor, listed []content, batch *curfewv1.EventBatch, blobs *int) (whole bool, err error) {
	for i := range listed {
		blob := &listed[i]
		if at.isDone(blob) {
			continue
		}
		if *blobs == maxBlobs || int(batch.GetRecords()) >= s.config.PageSize {
			return false, nil
		}
		records, err := s.read(ctx, feed, blob)
		switch {
		case err == nil:
			event.AppendAll(batch, records, Decode)
		case code(err) == codeExpired || code(err) == codeNoContent:
			// It is lost: the list entry says so among the dead letters, and coverage begins anew behind it.
			event.Append(batch, blob.raw, 0, func([]byte) ([]*curfewv1.Event, error) {
				return nil, &event.Unreadable{Reason: "content expired", Detail: err.Error()}
			})
			at.Covered = later(at.Covered, blob.created(at.Until))
		default:
			return false, err
		}
		at.done(blob)
		*blobs++
	}
	return true, nil
}

// list asks for a page of the list of content, and subscribes where nobody has.
func (s *Source) list(ctx context.Context, feed string, at *blobCursor) (listed []content, next string, err error) {
	query := url.Values{"startTime": {at.From.UTC().Format(seconds)}, "endTime": {at.Until.UTC().Format(seconds)}}
	if at.Page != "" {
		query.Set("nextPage", at.Page)
	}
	answer, err := s.operation(ctx, http.MethodGet, "subscriptions/content", feed, query)
	switch code(err) {
	case codeUnsubscribed:
		// What happened before is not there, and never will be.
		if err = s.subscribe(ctx, feed); err != nil {
			return nil, "", err
		}
		at.Covered = s.client.Now().UTC().Truncate(time.Second)
		answer, err = s.operation(ctx, http.MethodGet, "subscriptions/content", feed, query)
	case codeBadPage:
		// How long a link to a further page lives is not documented: the list is made again, and what is read is left out.
		at.Page = ""
		query.Del("nextPage")
		answer, err = s.operation(ctx, http.MethodGet, "subscriptions/content", feed, query)
	}
	if err != nil {
		return nil, "", err
	}
	if listed, err = readList(answer.Body); err != nil {
		return nil, "", err
	}
	if at.Covered.IsZero() && len(listed) > 0 {
		// The subscription is as old as its first blob, at least.
		at.Covered = listed[0].created(at.From)
	}
	next, err = nextPage(answer.Header, at.Page)
	return listed, next, err
}

// readList takes a list of content apart.
func readList(body []byte) ([]content, error) {
	entries, err := event.Split(body)
	if err != nil {
		return nil, fmt.Errorf("read list of content: %w", err)
	}
	listed := make([]content, len(entries))
	for i, entry := range entries {
		if err := json.Unmarshal(entry, &listed[i]); err != nil || listed[i].ID == "" || listed[i].URI == "" {
			return nil, errors.New("read list of content: an entry has no id or no address")
		}
		listed[i].raw = entry
	}
	return listed, nil
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
	if wait := s.started.ask(feed, s.client.Now()); wait > 0 {
		return fmt.Errorf("the subscription to %s has been asked for and is not there yet; it is asked for again in %v", contentTypes[feed], wait.Round(time.Minute))
	}
	_, err := s.operation(ctx, http.MethodPost, "subscriptions/start", feed, url.Values{})
	if err == nil || code(err) == codeSubscribed {
		return nil
	}
	return fmt.Errorf("start subscription: %w", err)
}

// starts is when each subscription was asked for last. It is safe for concurrent use.
type starts struct {
	mu    sync.Mutex
	asked map[string]time.Time
}

func newStarts() *starts { return &starts{asked: map[string]time.Time{}} }

// ask notes that a subscription is asked for, or says how long not to.
func (s *starts) ask(feed string, now time.Time) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, asked := s.asked[feed]; asked && now.Before(at.Add(startAgain)) && !now.Before(at) {
		return at.Add(startAgain).Sub(now)
	}
	s.asked[feed] = now
	return 0
}
