// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// behind is a source at a vendor before which stands a function that answers itself where it returns true. Both go by one
// clock, ours by so much more.
func behind(t *testing.T, vendor http.Handler, now *time.Time, ahead time.Duration, answers func(w http.ResponseWriter, r *http.Request) bool) *Source {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now != nil {
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		}
		if answers == nil || !answers(w, r) {
			vendor.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	source := newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 999, Impatient: true})
	if now != nil {
		source.client.Now = func() time.Time { return now.Add(ahead) }
	}
	return source
}

// says answers with an error in Microsoft's form.
func says(w http.ResponseWriter, status int, code string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":"invented"}}`, code)
	return true
}

func exchange(now *time.Time, setup fake.M365Config) *fake.M365 {
	setup.Token, setup.Subscribed, setup.Now = "invented", []string{"Audit.Exchange"}, func() time.Time { return *now }
	return fake.NewM365(setup)
}

// A blob that never can be read holds coverage at its creation, and nothing else.
func TestOneBrokenBlobStopsNothing(t *testing.T) {
	for name, breaks := range map[string]func(w http.ResponseWriter) bool{
		"an error": func(w http.ResponseWriter) bool { return says(w, http.StatusInternalServerError, "oops") },
		"no JSON": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "[{")
			return true
		},
		"too large": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "["+strings.Repeat(" ", 1<<20)+"]")
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
			now := start
			vendor := exchange(&now, fake.M365Config{})
			source := behind(t, vendor, &now, 0, func(w http.ResponseWriter, r *http.Request) bool {
				return strings.Contains(r.URL.Path, "audit_0001$") && breaks(w)
			})
			source.client.MaxBody = 512 << 10
			lane := &follow{t: t, source: source, feed: feedExchange}
			happened, got, letters, tries := 0, 0, 0, 0
			hours := 8 * 24
			var last time.Time
			for hour := range hours {
				vendor.Add("Audit.Exchange", fake.M365Activity{Number: uint64(hour), Time: now}.JSON())
				happened++
				now = now.Add(time.Hour)
				for {
					batch := lane.poll()
					tries++
					got += len(batch.GetEvents())
					letters += len(batch.GetDeadLetters())
					if c := batch.GetCoverage(); c != nil {
						last = c.GetUntil().AsTime()
						if letters == 0 && last.After(start.Add(-2*time.Hour)) {
							t.Fatalf("covered until %v though a blob of %v is not read", last, start)
						}
						if letters > 0 && c.GetFrom().AsTime().Before(start) {
							t.Errorf("covered %s though a blob of %v is lost", covered(batch), start)
						}
					}
					if !batch.GetMore() {
						break
					}
				}
				if hour == 24 && got != happened-1 {
					t.Fatalf("a day later: got %d events of %d, want all but one", got, happened)
				}
			}
			if got != happened-1 || letters != 1 || now.Sub(last) > 3*time.Hour || tries > 3*hours {
				t.Errorf("got %d events and %d dead letters of %d, covered until %v at %v, in %d reads", got, letters, happened, last, now, tries)
			}
		})
	}
}

func TestBrokenBlobIsReadOnceItCan(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	vendor := exchange(&now, fake.M365Config{})
	broken := true
	source := behind(t, vendor, &now, 0, func(w http.ResponseWriter, r *http.Request) bool {
		return broken && strings.Contains(r.URL.Path, "/audit/") && says(w, http.StatusInternalServerError, "oops")
	})
	cursor := ""
	// More than are gone past: then the feed waits.
	for i := range uint64(3 * maxPending * 4) {
		vendor.Add("Audit.Exchange", fake.M365Activity{Number: i, Time: now}.JSON())
	}
	got := 0
	for i := range 400 {
		now = now.Add(time.Minute)
		if i == 100 {
			broken = false
		}
		batch, err := source.Poll(t.Context(), feedExchange, cursor)
		if err != nil {
			continue
		}
		cursor = batch.GetCursor()
		got += len(batch.GetEvents())
		if len(cursor) > 100<<10 {
			t.Fatalf("got a cursor of %d bytes", len(cursor))
		}
	}
	var at blobCursor
	if err := json.Unmarshal([]byte(cursor), &at); err != nil || got != 3*maxPending*4 || len(at.Pending) != 0 {
		t.Errorf("got %d events and %d pending blobs, %v, want %d and none", got, len(at.Pending), err, 3*maxPending*4)
	}
}

// However many blobs there are, each is read and the cursor stays small, even where links to further pages do not last.
func TestManyBlobs(t *testing.T) {
	for _, expires := range []bool{false, true} {
		now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
		vendor := exchange(&now, fake.M365Config{BlobRecords: 1, ListPage: 200})
		source := behind(t, vendor, &now, 0, nil)
		source.config.Since = time.Hour
		const many = 6000
		for i := range uint64(many) {
			vendor.Add("Audit.Exchange", fake.M365Activity{Number: i, Time: now}.JSON())
			now = now.Add(200 * time.Millisecond)
		}
		now = now.Add(time.Minute)
		lane, got, most := &follow{t: t, source: source, feed: feedExchange}, map[string]bool{}, 0
		more := true
		for polls := 0; more; polls++ {
			if polls == 2000 {
				t.Fatalf("not through after %d reads of %d", polls, len(got))
			}
			if expires && polls%30 == 29 {
				vendor.Expire()
			}
			batch := lane.poll()
			more, most = batch.GetMore(), max(most, len(batch.GetCursor()))
			for _, e := range batch.GetEvents() {
				got[e.GetId()] = true
			}
		}
		if len(got) != many || most > 64<<10 {
			t.Errorf("links expire %v: got %d events, and a cursor of %d bytes, want %d and a small one", expires, len(got), most, many)
		}
	}
}

// A page that has more entries than can be kept track of is asked for by a shorter window.
func TestLongPageNarrowsTheWindow(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	vendor := exchange(&now, fake.M365Config{BlobRecords: 1, ListPage: 100_000})
	source := behind(t, vendor, &now, 0, nil)
	source.config.Since = time.Hour
	for i := range uint64(3000) {
		vendor.Add("Audit.Exchange", fake.M365Activity{Number: i, Time: now}.JSON())
		now = now.Add(time.Second)
	}
	lane, got, most := &follow{t: t, source: source, feed: feedExchange}, map[string]bool{}, 0
	now = now.Add(time.Minute)
	for more, polls := true, 0; more; polls++ {
		if polls == 500 {
			t.Fatalf("not through after %d reads of %d", polls, len(got))
		}
		batch := lane.poll()
		more, most = batch.GetMore(), max(most, len(batch.GetCursor()))
		for _, e := range batch.GetEvents() {
			got[e.GetId()] = true
		}
	}
	if len(got) != 3000 || most > 100<<10 {
		t.Errorf("got %d events, and a cursor of %d bytes", len(got), most)
	}
}
