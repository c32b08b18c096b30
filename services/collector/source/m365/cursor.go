// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// blobOverlap is how far back the list of content is made anew each time. Microsoft says that windows which adjoin leave
	// nothing out; should a blob be listed later than its own time all the same, it is found by this.
	blobOverlap = time.Hour
	// blobWindow is the longest window that is listed at once, of the 24 hours that may be: what is done in it stands in the
	// cursor.
	blobWindow = 2 * time.Hour
	// maxDone bounds what is kept of blobs that are done: of a tenant that has more in three hours, the overlap shrinks.
	maxDone = 2048
	// jitter is how far two readings of Microsoft's clock may differ: the Date of an answer has whole seconds.
	jitter = 5 * time.Second
	// setBack is how much is listed again where our clock turns out to have been ahead: what a lane knows repeats of.
	setBack = 20 * time.Hour
	// keyLength is the length of a blob's key in the cursor.
	keyLength = 11
)

// settled is how long after it happened a record is believed to have come. Microsoft calls 60 to 90 minutes typical for its
// core services, promises nothing, and says of eDiscovery's cmdlets that they take up to 24 hours:
// https://learn.microsoft.com/office/office-365-management-api/troubleshooting-the-office-365-management-activity-api.
// That Entra ID is as quick as the core services is not confirmed.
func settled(feed string) time.Duration {
	switch feed {
	case feedEntra, feedExchange, feedSharePoint:
		return 2 * time.Hour
	}
	return 24 * time.Hour
}

// blobCursor is where reading blobs goes on: what stands in EventBatch.cursor, as JSON. Its times are contentCreated's, but
// for Covered and Lost. However many blobs there are, it stays below some 100 KB.
type blobCursor struct {
	// From is where the window in progress begins, or the next one where none is.
	From time.Time `json:"from"`
	// Until and Asked are the end of the window in progress and when it was begun; zero where none is.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// Span is how long a window may be, in seconds, where the list of a longer one could not be read to its end; 0 for
	// blobWindow.
	Span int64 `json:"span,omitempty"`
	// Page is the page of the list that is being worked off; "" for the first.
	Page string `json:"page,omitempty"`
	// Done is the blobs from From on that have been read: a key each, and behind it when the blob was created. The last
	// OnPage of them are of the page that is being worked off.
	Done   []string `json:"done,omitempty"`
	OnPage int      `json:"on_page,omitempty"`
	// Forgot is behind the newest blob of the window whose key is kept no more; zero where all are.
	Forgot time.Time `json:"forgot,omitzero"`
	// Pending is the blobs that were gone past because they could not be read.
	Pending []pending `json:"pending,omitempty"`
	// Covered is the end of the last coverage, or where it begins; zero where that is not known yet.
	Covered time.Time `json:"covered,omitzero"`
	// Lost is since when the subscription is known to be off; zero where it is on.
	Lost time.Time `json:"lost,omitzero"`
}

func (c *blobCursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		// A year beyond 9999 alone could do it, and no such time gets in.
		panic(fmt.Sprintf("write cursor: %v", err))
	}
	return string(text)
}

// parseBlobCursor reads what String wrote; "" is the start.
func (s *Source) parseBlobCursor(text string) (blobCursor, error) {
	now := s.client.Time()
	if text == "" {
		return blobCursor{From: now.Add(-s.config.Since).UTC().Truncate(time.Second)}, nil
	}
	var c blobCursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || !c.Until.IsZero() && !c.From.Before(c.Until) ||
		c.Until.IsZero() != c.Asked.IsZero() || c.Page != "" && c.Until.IsZero() || c.OnPage < 0 || c.OnPage > len(c.Done) || c.Span < 0 {
		return blobCursor{}, errors.New("read cursor: it is not one of this source")
	}
	for _, done := range c.Done {
		if len(done) <= keyLength {
			return blobCursor{}, errors.New("read cursor: it is not one of this source")
		}
	}
	for i := range c.Pending {
		if _, err := readContent(c.Pending[i].Entry); err != nil {
			return blobCursor{}, errors.New("read cursor: it is not one of this source")
		}
	}
	c.correct(now)
	return c, nil
}

// correct takes back what was claimed while our clock was ahead of Microsoft's: where reading really was nobody can tell,
// so much is listed again. What is done is known by its key.
func (c *blobCursor) correct(now time.Time) {
	now = now.UTC().Truncate(time.Second)
	latest := now.Add(jitter)
	if c.From.After(latest) || c.Covered.After(latest) {
		back := now.Add(-setBack)
		if !c.Covered.IsZero() {
			back = earlier(c.Covered, back)
			c.Covered = back
		}
		c.From = earlier(c.From, back)
		c.restart()
	}
	if c.Asked.After(latest) || c.Until.After(latest) {
		c.restart()
	}
	if c.Lost.After(latest) {
		c.Lost = now
	}
	for i := range c.Pending {
		c.Pending[i].Next = earlier(c.Pending[i].Next, now.Add(longestPause))
	}
}

// restart ends a window without its end: the next one begins where it began.
func (c *blobCursor) restart() {
	c.Until, c.Asked, c.Page, c.OnPage, c.Forgot = time.Time{}, time.Time{}, "", 0, time.Time{}
}

// begin begins a window: from where the last one left off until now, by Microsoft's clock, but at most blobWindow long.
func (c *blobCursor) begin(now time.Time) {
	now = now.UTC().Truncate(time.Second)
	c.restart()
	if oldest := now.Add(-retention); c.From.Before(oldest) {
		// What was listed before is lost; coverage that begins here shows the gap.
		c.From, c.Covered = oldest, later(c.Covered, oldest)
	}
	if !c.From.Before(now) {
		// The clock was set back a little.
		c.From = now.Add(-blobOverlap)
	}
	c.Asked, c.Until = now, now
	span := blobWindow
	if c.Span > 0 {
		span = min(span, time.Duration(c.Span)*time.Second)
	}
	if end := c.From.Add(span); end.Before(now) {
		c.Until = end
	}
}

// narrow makes the window in progress half as long, and begins its list anew. It reports whether that can be done.
func (c *blobCursor) narrow() bool {
	c.Page, c.OnPage = "", 0
	half := c.Until.Sub(c.From) / 2
	if half < time.Second {
		return false
	}
	c.Span = int64(half / time.Second)
	c.Until = c.From.Add(time.Duration(c.Span) * time.Second)
	return true
}

// turn goes on to a further page.
func (c *blobCursor) turn(page string) { c.Page, c.OnPage = page, 0 }

// end ends a window whose last page was worked off. The next one begins an overlap before this one was asked for, and what
// is done before that is forgotten. More says that there is more to read at once; there is no coverage then. It ends as
// long before the present, or before what is pending was created, as records are believed to take.
func (c *blobCursor) end(settled time.Duration) (covered *curfewv1.Coverage, more bool) {
	from := earlier(c.Asked.Add(-blobOverlap), c.Until)
	if c.Span > 0 && c.Until.Before(c.Asked) {
		// A window that was made shorter than the overlap would be the same again.
		from = c.Until
	}
	c.From = later(c.From, from)
	c.OnPage = 0
	c.prune()
	c.forget()
	if c.Forgot.After(c.From) {
		// What is no longer known is not listed again either: the overlap shrinks.
		c.From = earlier(c.Forgot, c.Until)
		c.prune()
	}
	if c.Span *= 2; time.Duration(c.Span)*time.Second >= blobWindow {
		c.Span = 0
	}
	more = c.Until.Before(c.Asked)
	if c.Covered.IsZero() && !more {
		// Nothing was ever listed, so nothing tells since when the subscription is there but this.
		c.Covered = c.Asked
	}
	more = more || slices.ContainsFunc(c.Pending, func(p pending) bool { return p.Tries < quickTries })
	until := c.Asked
	for _, p := range c.Pending {
		until = earlier(until, p.Created)
	}
	until = until.Add(-settled)
	c.restart()
	if more || c.Covered.IsZero() || !c.Covered.Before(until) {
		return nil, more
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(until)}
	c.Covered = until
	return covered, false
}

// done notes that a blob was read.
func (c *blobCursor) done(blob *content) {
	c.Done = append(c.Done, keep(key(blob), blob.created(c.Until)))
	c.OnPage++
}

// settle notes that a blob that was pending is so no more.
func (c *blobCursor) settle(p *pending) {
	c.Done = slices.Insert(c.Done, 0, keep(p.Key, p.Created))
}

// keep is what is kept of a blob that is done.
func keep(key string, created time.Time) string { return key + strconv.FormatInt(created.Unix(), 10) }

// isDone is whether a blob was read, or gone past.
func (c *blobCursor) isDone(blob *content) bool {
	of := key(blob)
	return slices.ContainsFunc(c.Done, func(done string) bool { return done[:keyLength] == of }) ||
		slices.ContainsFunc(c.Pending, func(p pending) bool { return p.Key == of })
}

// prune forgets what will not be listed again.
func (c *blobCursor) prune() {
	c.Done = slices.DeleteFunc(c.Done, func(done string) bool { return created(done).Before(c.From) })
}

// forget forgets the oldest blobs of pages that are worked off where there are more than the cursor has room for. Of the
// page in progress all are kept: without them it would be read for ever.
func (c *blobCursor) forget() {
	finished := len(c.Done) - c.OnPage
	excess := min(len(c.Done)-maxDone, finished)
	if excess <= 0 {
		return
	}
	slices.SortStableFunc(c.Done[:finished], func(a, b string) int { return created(a).Compare(created(b)) })
	c.Forgot = later(c.Forgot, created(c.Done[excess-1]).Add(time.Second))
	c.Done = slices.Clone(c.Done[excess:])
}

// key stands for a blob's id, which is long.
func key(blob *content) string {
	sum := sha256.Sum256([]byte(blob.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}

// created is when a blob that is done was created, to the second.
func created(done string) time.Time {
	unix, err := strconv.ParseInt(done[keyLength:], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
