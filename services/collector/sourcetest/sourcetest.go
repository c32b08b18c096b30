// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package sourcetest holds every polling source to the same promises: whatever the vendor does and wherever it is
// interrupted, each thing that happened is read, once when repeats are taken out; what cannot be read is a dead letter;
// secrets stay in; and cancelling it ends it. Webhooks, Inventory and Provision do so for its other abilities, Links for
// what log and inventory say of the same thing, Decoder for the decoder of any source, and Catalog for what the catalogue
// knows of it.
package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Source is what the collector asks of a polling source.
type Source interface {
	Feeds() []string
	Horizon(feed string) time.Duration
	Poll(ctx context.Context, feed, cursor string) (*curfewv1.EventBatch, error)
}

// Options is how a source under test is to be made.
type Options struct {
	// URL is where the vendor's API is.
	URL string
	// Vendor is the vendor there, for a source that has to live by its clock; nil where the API is another server's.
	Vendor Vendor
	// Token is the secret the vendor wants.
	Token string
	// PageSize is how many records a full page has.
	PageSize int
	// Impatient makes the source ask again at once where the vendor tells it to wait.
	Impatient bool
	// Pausing is called, where it is set, each time the source begins to wait because the vendor told it to.
	Pausing func()
}

// Vendor is a fake vendor on its worst day. Its methods are called while requests are served.
type Vendor interface {
	http.Handler
	// Happen makes n more things happen and returns the ids of their events.
	Happen(n int) []string
	// Add puts records in the log as they are, readable or not.
	Add(records ...json.RawMessage)
	// Settle brings into the log what is late.
	Settle()
	// Expire makes the vendor refuse every cursor it has handed out; where its cursors do not end, it does nothing.
	Expire()
}

// Case is a source under test.
type Case struct {
	// Feed is the feed that is read.
	Feed string
	// Decode is the source's decoder.
	Decode event.Decode
	// New makes a source that knows nothing but its configuration.
	New func(t *testing.T, options Options) Source
	// Vendor makes a vendor that wants the token. Seed 0 has no faults and no lateness; every other seed has both, each
	// its own, the same each time.
	Vendor func(seed uint64, token string) Vendor
	// Busy answers as the vendor does to one request too many, and asks to come back in an hour.
	Busy http.HandlerFunc
	// NoPages are bodies that the vendor could send with status 200 and that are no page.
	NoPages []string
}

const (
	token = "kit-s3cr3t-0f1e2d3c4b5a"
	// patience bounds what must end at once; a machine under load is no failure.
	patience = 10 * time.Second
	// seeds is how many vendors a source is held against.
	seeds = 8
)

// Run holds the source of c to every promise.
func Run(t *testing.T, c Case) {
	t.Run("feeds", func(t *testing.T) { testFeeds(t, c) })
	t.Run("page boundaries", func(t *testing.T) { testBoundaries(t, c) })
	t.Run("complete", func(t *testing.T) { testComplete(t, c) })
	t.Run("bad records", func(t *testing.T) { testBadRecords(t, c) })
	t.Run("no page", func(t *testing.T) { testNoPage(t, c) })
	t.Run("secrets", func(t *testing.T) { testSecrets(t, c) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, c) })
}

// serve runs a handler until the test ends.
func serve(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func testFeeds(t *testing.T, c Case) {
	vendor := c.Vendor(0, token)
	source := c.New(t, Options{URL: serve(t, vendor), Vendor: vendor, Token: token, PageSize: 5})
	found := false
	for _, feed := range source.Feeds() {
		found = found || feed == c.Feed
		if source.Horizon(feed) <= 0 {
			t.Errorf("horizon of %s: got %v, want more than 0", feed, source.Horizon(feed))
		}
	}
	if !found {
		t.Errorf("feeds: got %v, want %q among them", source.Feeds(), c.Feed)
	}
	vendor.Happen(3)
	if batch, err := source.Poll(t.Context(), "no_such_feed", ""); err == nil {
		t.Errorf("poll of a feed that is none: got %d records, want an error", batch.GetRecords())
	}
	if batch, err := source.Poll(t.Context(), c.Feed, "no cursor of this source"); err == nil {
		t.Errorf("poll with a foreign cursor: got %d records, want an error", batch.GetRecords())
	}
}

// testBoundaries reads amounts around a page's size, with a new source for each read.
func testBoundaries(t *testing.T, c Case) {
	const page = 5
	for _, count := range []int{0, 1, page - 1, page, page + 1, 2 * page, 2*page + 1} {
		vendor := c.Vendor(0, token)
		lane := newLane(t, c, vendor, page)
		lane.happen(count)
		lane.restart()
		lane.drain()
		// The first read behind everything finds nothing, and goes on from there.
		lane.happen(1)
		lane.drain()
		lane.compare()
		if lane.repeats > 0 {
			t.Errorf("%d things, a vendor without faults: got %d repeats, want 0", count, lane.repeats)
		}
	}
}

// testNoPage wants an error for an answer that is no page, never an empty page.
func testNoPage(t *testing.T, c Case) {
	for _, body := range c.NoPages {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			// The client may have gone.
			_, _ = w.Write([]byte(body))
		}))
		source := c.New(t, Options{URL: url, Token: token, PageSize: 5, Impatient: true})
		if batch, err := source.Poll(t.Context(), c.Feed, ""); err == nil {
			t.Errorf("answer %q: got a batch of %d records, want an error", body, batch.GetRecords())
		}
	}
}

// testBadRecords puts records that are none among sound ones.
func testBadRecords(t *testing.T, c Case) {
	bad := []string{`42`, `"text"`, `null`, `[]`, `true`, `[{}]`}
	vendor := c.Vendor(0, token)
	lane := newLane(t, c, vendor, 4)
	for _, record := range bad {
		lane.happen(2)
		vendor.Add(json.RawMessage(record))
	}
	// No word of it can be read, and it is an object: odd, but an event.
	vendor.Add(json.RawMessage(`{"an object": "of no vendor"}`))
	lane.strangers = 1
	lane.drain()
	lane.compare()
	var got []string
	for _, letter := range lane.deadLetters {
		got = append(got, string(letter.GetRaw()))
		if letter.GetReason() == "" || letter.GetOrigin() == "" || letter.GetId() == "" {
			t.Errorf("dead letter %q: got reason %q, origin %q, id %q, want none empty", letter.GetRaw(), letter.GetReason(), letter.GetOrigin(), letter.GetId())
		}
	}
	if len(got) != len(bad) {
		t.Fatalf("dead letters: got %q, want %q", got, bad)
	}
	for i := range bad {
		if got[i] != bad[i] {
			t.Errorf("dead letter %d: got %q, want %q", i, got[i], bad[i])
		}
	}
}

// testCancel cancels a source that waits for a vendor: one that never answers, and one that asks to wait an hour.
func testCancel(t *testing.T, c Case) {
	tests := []struct {
		name    string
		handler func(waiting func()) http.HandlerFunc
		pausing bool
	}{
		{"a vendor that never answers", func(waiting func()) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				waiting()
				<-r.Context().Done()
			}
		}, false},
		{"a vendor that asks to wait", func(func()) http.HandlerFunc { return c.Busy }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var once sync.Once
			waits := make(chan struct{})
			waiting := func() { once.Do(func() { close(waits) }) }
			options := Options{URL: serve(t, test.handler(waiting)), Token: token, PageSize: 5}
			if test.pausing {
				options.Pausing = waiting
			}
			source := c.New(t, options)
			ended := make(chan error, 1)
			go func() {
				_, err := source.Poll(ctx, c.Feed, "")
				ended <- err
			}()
			select {
			case <-waits:
			case err := <-ended:
				t.Fatalf("poll ended before it waited: %v", err)
			case <-time.After(patience):
				t.Fatal("poll did not come to wait")
			}
			cancel()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got error %v, want context.Canceled in it", err)
				}
			case <-time.After(patience):
				t.Error("poll went on after it was cancelled")
			}
		})
	}
}
