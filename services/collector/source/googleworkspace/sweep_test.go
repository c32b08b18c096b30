// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// month is a source that reads a month of sign-ins, by a clock of its own, and what it has read of them.
type month struct {
	t        *testing.T
	random   *rand.Rand
	google   *fake.Google
	source   *Source
	clock    time.Time
	late     []lateRecord
	cursor   string
	happened map[string]time.Time
	seen     map[string]bool
	newest   time.Time
	swept    int // events that a sweep alone could bring
}

func newMonth(t *testing.T, seed uint64) *month {
	google := fake.NewGoogle(fake.GoogleConfig{Token: "invented"})
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	m := &month{
		t: t, random: rand.New(rand.NewPCG(seed, 0x6d6f6e7468)), google: google, clock: time.Now().Add(-60 * 24 * time.Hour).UTC(),
		source:   newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 20, Impatient: true}),
		happened: map[string]time.Time{}, seen: map[string]bool{},
	}
	m.source.client.Now = func() time.Time { return m.clock }
	return m
}

// pass lets time pass in which sign-ins happen, a third of them late by up to most.
func (m *month) pass(d, most time.Duration) {
	for range m.random.IntN(4) {
		at := m.clock.Add(time.Duration(m.random.Int64N(int64(d)))).Truncate(time.Millisecond)
		record := fake.GoogleActivity{Number: uint64(len(m.happened)), Time: at}.JSON()
		events, err := Decode(record)
		if err != nil {
			m.t.Fatal(err)
		}
		m.happened[events[0].GetId()] = at
		arrives := at
		if m.random.IntN(3) == 0 {
			arrives = at.Add(time.Duration(m.random.Int64N(int64(most))))
		}
		m.late = append(m.late, lateRecord{arrives, record})
	}
	m.clock = m.clock.Add(d)
	m.late = slices.DeleteFunc(m.late, func(late lateRecord) bool {
		if late.at.After(m.clock) {
			return false
		}
		m.google.Add("login", late.record)
		return true
	})
}

// read reads until there is no more, or as often as most says.
func (m *month) read(most int) {
	m.t.Helper()
	for range most {
		batch, err := m.source.Poll(m.t.Context(), "login", m.cursor)
		if err != nil {
			m.t.Fatal(err)
		}
		m.take(batch)
		if m.cursor = batch.GetCursor(); !batch.GetMore() {
			return
		}
	}
}

func (m *month) take(batch *curfewv1.EventBatch) {
	m.t.Helper()
	before := m.newest
	for _, e := range batch.GetEvents() {
		at := e.GetTime().AsTime()
		if m.seen[e.GetId()] {
			if oldest := before.Add(-m.source.Horizon("login")); at.Before(oldest) {
				m.t.Fatalf("at %v event of %v came again, %v before the newest: beyond the horizon", m.clock, at, before.Sub(at))
			}
			continue
		}
		m.seen[e.GetId()] = true
		if m.clock.Sub(at) > 2*overlap("login") {
			m.swept++
		}
		if at.After(m.newest) {
			m.newest = at
		}
	}
}

// Whatever the pauses between reads, what is late by less than two days is read, and no repeat lies beyond the horizon.
func TestLateActivitiesAreSweptUp(t *testing.T) {
	for seed := range uint64(6) {
		m := newMonth(t, seed)
		m.read(1000)
		for m.clock.Before(time.Now().Add(-30 * 24 * time.Hour)) {
			pause := time.Duration(1 + m.random.Int64N(int64(3*time.Hour)))
			switch m.random.IntN(60) {
			case 0:
				pause += time.Duration(m.random.Int64N(int64(6 * 24 * time.Hour)))
			case 1:
				// It is stopped in the middle of whatever it is at.
				m.pass(pause, 47*time.Hour)
				m.read(1 + m.random.IntN(12))
				pause = time.Duration(m.random.Int64N(int64(4 * 24 * time.Hour)))
			}
			m.pass(pause, 47*time.Hour)
			m.read(1000)
		}
		m.pass(47*time.Hour, time.Nanosecond)
		m.pass(24*time.Hour, time.Nanosecond)
		m.read(1000)
		missing := 0
		for id := range m.happened {
			if !m.seen[id] {
				missing++
			}
		}
		if missing > 0 || len(m.seen) != len(m.happened) || m.swept == 0 {
			t.Fatalf("seed %d: of %d sign-ins %d were not read, %d by sweeps", seed, len(m.happened), missing, m.swept)
		}
	}
}

// A sweep reads what has been read already, by turns with what is new, and covers nothing.
func TestSweep(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, asked := recorder(t, func(w http.ResponseWriter, _ url.Values, _ int) { page(w, "") })
	source.client.Now = func() time.Time { return now }
	source.config.Since = 30 * time.Minute
	cursor := ""
	poll := func() *curfewv1.EventBatch {
		t.Helper()
		batch, err := source.Poll(t.Context(), "login", cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = batch.GetCursor()
		return batch
	}
	for range 3 * 24 {
		poll()
		now = now.Add(time.Hour)
	}
	*asked = nil
	for range 3 {
		if batch := poll(); !batch.GetMore() || batch.GetCoverage() != nil {
			t.Errorf("in the middle of a sweep: got more %v and coverage %v, want more and none", batch.GetMore(), batch.GetCoverage())
		}
	}
	at := func(day, hour string) string { return "2026-03-" + day + "T" + hour + "%3A" }
	want := []string{
		"endTime=" + at("09", "15") + "30%3A00.000Z&startTime=" + at("09", "11") + "29%3A59.000Z",
		"endTime=" + at("12", "12") + "00%3A00.000Z&startTime=" + at("12", "08") + "59%3A59.000Z",
		"endTime=" + at("09", "19") + "30%3A00.000Z&startTime=" + at("09", "15") + "29%3A59.000Z",
	}
	if !slices.Equal(*asked, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(*asked, "\n"), strings.Join(want, "\n"))
	}
	pieces := 3
	for ; pieces < 100; pieces++ {
		if batch := poll(); !batch.GetMore() {
			if until := batch.GetCoverage().GetUntil().AsTime(); !until.Equal(now.Add(-2 * time.Hour)) {
				t.Errorf("got coverage until %v behind the sweep, want %v", until, now.Add(-2*time.Hour))
			}
			break
		}
	}
	next, err := source.parseCursor(cursor)
	if err != nil || !next.SweepFrom.Equal(now.Add(-48*time.Hour)) || pieces > 40 {
		t.Errorf("after %d queries got the next sweep from %v (%v), want %v", pieces, next.SweepFrom, err, now.Add(-48*time.Hour))
	}
	if poll().GetMore() {
		t.Error("right behind a sweep: got more, want a day without one")
	}
}
