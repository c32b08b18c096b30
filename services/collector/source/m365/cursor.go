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
// for Covered.
type blobCursor struct {
	// From is where the window in progress begins, or the next one where none is.
	From time.Time `json:"from"`
	// Until and Asked are the end of the window in progress and when it was begun; zero where none is.
	Until time.Time `json:"until,omitzero"`
	Asked time.Time `json:"asked,omitzero"`
	// Page is the page of the list that is being worked off; "" for the first.
	Page string `json:"page,omitempty"`
	// Done is the blobs from From on that have been read: a key each, and behind it when the blob was created.
	Done []string `json:"done,omitempty"`
	// Covered is the end of the last coverage, or where it begins; zero where that is not known yet.
	Covered time.Time `json:"covered,omitzero"`
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
	if text == "" {
		return blobCursor{From: s.client.Now().Add(-s.config.Since).UTC().Truncate(time.Second)}, nil
	}
	var c blobCursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.From.IsZero() || !c.Until.IsZero() && !c.From.Before(c.Until) ||
		c.Until.IsZero() != c.Asked.IsZero() || c.Page != "" && c.Until.IsZero() {
		return blobCursor{}, errors.New("read cursor: it is not one of this source")
	}
	for _, done := range c.Done {
		if len(done) <= keyLength {
			return blobCursor{}, errors.New("read cursor: it is not one of this source")
		}
	}
	return c, nil
}

// begin begins a window: from where the last one left off until now, but at most blobWindow long.
func (c *blobCursor) begin(now time.Time) {
	now = now.UTC().Truncate(time.Second)
	if oldest := now.Add(-retention); c.From.Before(oldest) {
		// What was listed before is lost; coverage that begins here shows the gap.
		c.From, c.Covered = oldest, later(c.Covered, oldest)
	}
	if !c.From.Before(now) {
		// The clock was set back.
		c.From = now.Add(-blobOverlap)
	}
	c.Asked, c.Until, c.Page = now, now, ""
	if end := c.From.Add(blobWindow); end.Before(now) {
		c.Until = end
	}
}

// end ends a window whose last page was worked off. The next one begins an overlap before this one was asked for, and what
// is done before that is forgotten. More says that the window did not reach the present; there is no coverage then. It ends
// as long before the present as records are believed to take.
func (c *blobCursor) end(settled time.Duration) (covered *curfewv1.Coverage, more bool) {
	if from := earlier(c.Asked.Add(-blobOverlap), c.Until); from.After(c.From) {
		c.From = from
	}
	more = c.Until.Before(c.Asked)
	until := c.Asked.Add(-settled)
	if c.Covered.IsZero() && !more {
		// Nothing was ever listed, so nothing tells since when the subscription is there but this.
		c.Covered = c.Asked
	}
	c.Until, c.Asked, c.Page = time.Time{}, time.Time{}, ""
	c.prune()
	if more || c.Covered.IsZero() || !c.Covered.Before(until) {
		return nil, more
	}
	covered = &curfewv1.Coverage{From: timestamppb.New(c.Covered), Until: timestamppb.New(until)}
	c.Covered = until
	return covered, false
}

// done notes that a blob was read.
func (c *blobCursor) done(blob *content) {
	c.Done = append(c.Done, key(blob)+strconv.FormatInt(blob.created(c.Until).Unix(), 10))
}

// isDone is whether a blob was read.
func (c *blobCursor) isDone(blob *content) bool {
	of := key(blob)
	return slices.ContainsFunc(c.Done, func(done string) bool { return done[:keyLength] == of })
}

// prune forgets what will not be listed again, and where that is not enough, what is oldest: then the next window begins
// behind it.
func (c *blobCursor) prune() {
	c.Done = slices.DeleteFunc(c.Done, func(done string) bool { return created(done).Before(c.From) })
	if len(c.Done) <= maxDone {
		return
	}
	slices.SortStableFunc(c.Done, func(a, b string) int { return created(a).Compare(created(b)) })
	excess := len(c.Done) - maxDone
	c.From = created(c.Done[excess-1]).Add(time.Second)
	c.Done = slices.DeleteFunc(c.Done, func(done string) bool { return created(done).Before(c.From) })
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
