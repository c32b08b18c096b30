// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// While a subscription is off nothing is kept, and none of that time is claimed, whatever breaks on the way.
func TestTimeWithoutSubscriptionIsNotCovered(t *testing.T) {
	for _, mode := range []string{codeUnsubscribed, codeDisabled, "start refused"} {
		t.Run(mode, func(t *testing.T) {
			now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
			vendor := exchange(&now, fake.M365Config{})
			off, broken := false, 0
			source := behind(t, vendor, &now, 0, func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, "/start") && off:
					if mode != "start refused" {
						off, broken = false, 3
						w.Header().Set("Content-Type", "application/json")
						fmt.Fprint(w, `{"status":"enabled"}`)
						return true
					}
					return says(w, http.StatusInternalServerError, "oops")
				case off && mode == codeDisabled:
					return says(w, http.StatusBadRequest, codeDisabled)
				case off:
					return says(w, http.StatusBadRequest, codeUnsubscribed)
				case broken > 0:
					broken--
					return says(w, http.StatusInternalServerError, "oops")
				}
				return false
			})
			lane := &follow{t: t, source: source, feed: feedExchange}
			for lane.poll().GetMore() {
			}
			now = now.Add(3 * time.Hour)
			for lane.poll().GetMore() {
			}
			gone := now
			off = true
			errs := 0
			var on time.Time
			for range 40 {
				now = now.Add(30 * time.Minute)
				if now.Sub(gone) > 9*time.Hour && mode != codeUnsubscribed {
					off = false // another turned it on
				}
				if mode == codeUnsubscribed && now.Sub(gone) < 9*time.Hour {
					continue // we were away
				}
				if on.IsZero() {
					on = now
					if mode != codeUnsubscribed {
						on = gone.Add(9 * time.Hour)
					}
				}
				batch, err := source.Poll(t.Context(), feedExchange, lane.cursor)
				if err != nil {
					errs++
					continue
				}
				lane.cursor = batch.GetCursor()
				if c := batch.GetCoverage(); c != nil && c.GetFrom().AsTime().Before(on) && c.GetUntil().AsTime().After(gone) {
					t.Errorf("off from %v until %v: covered %s", gone, on, covered(batch))
				}
			}
			if errs == 0 {
				t.Error("got no error, want to be told")
			}
		})
	}
}

func TestStartIsNotedOnlyWhereItSucceeds(t *testing.T) {
	starts := 0
	source := behind(t, nil, nil, 0, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/start") {
			starts++
			return says(w, http.StatusInternalServerError, "oops")
		}
		return says(w, http.StatusBadRequest, codeUnsubscribed)
	})
	batch, err := source.Poll(t.Context(), feedExchange, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Poll(t.Context(), feedExchange, batch.GetCursor()); err == nil || starts != 2 {
		t.Errorf("got %v after %d starts, want an error after 2", err, starts)
	}
}

// A blob that Microsoft lists and has no more is not covered.
func TestLostBlobRestartsCoverage(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	vendor := exchange(&now, fake.M365Config{})
	source := behind(t, vendor, &now, 0, func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, "audit_0002$") && says(w, http.StatusBadRequest, codeExpired)
	})
	lane := &follow{t: t, source: source, feed: feedExchange}
	for i := range uint64(2) {
		vendor.Add("Audit.Exchange", fake.M365Activity{Number: i, Time: now}.JSON())
		now = now.Add(time.Hour)
	}
	now = now.Add(4 * time.Hour)
	for {
		batch := lane.poll()
		if c := batch.GetCoverage(); c != nil {
			if got := covered(batch); got != "09 13:00 to 09 16:00" {
				t.Errorf("covered %s, want it to begin with the lost blob", got)
			}
		}
		if !batch.GetMore() {
			break
		}
	}
}

// Our clock runs ahead: everything is read, nothing is claimed before it can be known, and what was claimed is read again.
func TestOurClockIsAhead(t *testing.T) {
	for _, ahead := range []time.Duration{70 * time.Minute, 30 * time.Hour} {
		for _, feed := range []string{feedExchange, feedDirectory} {
			now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
			vendor := exchange(&now, fake.M365Config{})
			source := behind(t, vendor, &now, ahead, nil)
			cursor, got := "", map[string]bool{}
			lag := 2 * time.Hour
			if feed == feedDirectory {
				lag = lateness
			}
			for n := range uint64(900) {
				now = now.Add(time.Minute)
				if feed == feedExchange {
					vendor.Add("Audit.Exchange", fake.M365Activity{Number: n, Time: now}.JSON())
				} else {
					vendor.AddGraph("directoryAudits", json.RawMessage(fmt.Sprintf(`{"id":"x%d","activityDateTime":%q,"activityDisplayName":"a"}`, n, now.Format(time.RFC3339))))
				}
				if n > 0 && n < 800 && n%7 != 0 {
					continue
				}
				batch, err := source.Poll(t.Context(), feed, cursor)
				if err != nil {
					t.Fatal(err)
				}
				cursor = batch.GetCursor()
				for _, e := range batch.GetEvents() {
					got[e.GetId()] = true
				}
				if c := batch.GetCoverage(); c != nil && c.GetUntil().AsTime().After(now.Add(-lag)) {
					t.Fatalf("%s: covered until %v at %v", feed, c.GetUntil().AsTime(), now)
				}
			}
			if len(got) < 899 {
				t.Errorf("%s, %v ahead: got %d events of 900", feed, ahead, len(got))
			}
		}
	}
}

// A cursor that was written while our clock was ahead lies in Microsoft's future.
func TestCursorFromTheFuture(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source := behind(t, exchange(&now, fake.M365Config{}), &now, 0, nil)
	then := now.Add(48 * time.Hour)
	for name, c := range map[string]blobCursor{
		"all of it": {From: then, Covered: then}, "its window": {From: now.Add(-time.Hour), Until: then, Asked: then, Page: "3R0", Covered: now.Add(-9 * time.Hour)},
	} {
		got, err := source.parseBlobCursor(c.String())
		if err != nil || got.From.After(now.Add(-time.Hour)) || got.Covered.After(now) || !got.Until.IsZero() || got.Page != "" {
			t.Errorf("blobs, %s: got %+v, %v", name, got, err)
		}
		if c.From.After(now) && got.From.After(now.Add(-setBack)) {
			t.Errorf("blobs, %s: got %+v, want as much listed again as is known to be a repeat", name, got)
		}
	}
	for name, c := range map[string]logCursor{
		"all of it": {From: then, Covered: then, Swept: then}, "the sweep": {From: now.Add(-time.Hour), Covered: now.Add(-8 * time.Hour), Swept: then},
	} {
		got, err := source.parseLogCursor(c.String())
		if err != nil || got.From.After(now.Add(-sweepEvery-lateness)) || got.Covered.After(got.From) || got.Swept.After(now) {
			t.Errorf("log, %s: got %+v, %v, want it read again as far as a sweep goes", name, got, err)
		}
	}
}

// An entry that reaches a log of Graph as late as sweeps reach is never within time that was covered.
func TestLateEntryIsNotInCoveredTime(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	vendor := exchange(&now, fake.M365Config{})
	source := behind(t, vendor, &now, 0, nil)
	lane := &follow{t: t, source: source, feed: feedDirectory}
	var until time.Time
	got, n := map[string]bool{}, 0
	for range 24 * 6 {
		now = now.Add(10 * time.Minute)
		late := now.Add(-lateness + time.Minute)
		n++
		vendor.AddGraph("directoryAudits", json.RawMessage(fmt.Sprintf(`{"id":"x%d","activityDateTime":%q,"activityDisplayName":"a"}`, n, late.Format(time.RFC3339))))
		if late.Before(until) {
			t.Fatalf("an entry of %v comes at %v, and all was covered until %v", late, now, until)
		}
		for more := true; more; {
			batch := lane.poll()
			more = batch.GetMore()
			for _, e := range batch.GetEvents() {
				got[e.GetId()] = true
			}
			if c := batch.GetCoverage(); c != nil {
				until = c.GetUntil().AsTime()
			}
		}
	}
	// Those of the last hours are found by the next sweep.
	if len(got) < n-7*6 || until.Before(now.Add(-13*time.Hour)) {
		t.Errorf("got %d of %d, covered until %v at %v", len(got), n, until, now)
	}
}

func TestPageOfTheLogThatIsTheSame(t *testing.T) {
	source := behind(t, nil, nil, 0, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"value":[],"@odata.nextLink":"http://%s%s?$skiptoken=1"}`, r.Host, r.URL.Path)
		return true
	})
	batch, err := source.Poll(t.Context(), feedDirectory, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Poll(t.Context(), feedDirectory, batch.GetCursor()); err == nil || !strings.Contains(err.Error(), "the same one") {
		t.Errorf("got %v, want that the next page is the same one", err)
	}
}
