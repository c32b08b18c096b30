// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/telemetry"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// bell is a vendor of the test's own: its log and its webhooks tell of the same acts, under ids that agree or not.
type bell struct {
	mu      sync.Mutex
	log     [][]byte
	refuses error
	feeds   []string
	polls   int
}

func (b *bell) Feeds() []string              { return b.feeds }
func (b *bell) Horizon(string) time.Duration { return time.Hour }
func (b *bell) Webhooks() []string           { return []string{"log"} }
func (b *bell) MaxWebhook() int64            { return 2 << 20 }

func (b *bell) Poll(_ context.Context, feed, cursor string) (*curfewv1.EventBatch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.polls++
	if b.refuses != nil {
		return nil, b.refuses
	}
	read := 0
	_, _ = fmt.Sscan(cursor, &read) // "" is 0
	now := time.Now()
	batch := &curfewv1.EventBatch{Source: "bell", Feed: feed, Received: timestamppb.New(now), Cursor: fmt.Sprint(len(b.log))}
	for _, record := range b.log[read:] {
		event.Append(batch, record, 0, decodeBell)
	}
	batch.Coverage = &curfewv1.Coverage{From: timestamppb.New(now.Add(-time.Second)), Until: timestamppb.New(now)}
	return batch, nil
}

func (b *bell) add(records ...[]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, records...)
}

func (b *bell) refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuses = err
}

func (b *bell) Receive(d vendorhttp.Delivery) (*vendorhttp.Accepted, error) {
	if err := vendorhttp.CheckHMAC("bell-secret", d.Header.Get("Signature"), "", d.Body); err != nil {
		return nil, err
	}
	return &vendorhttp.Accepted{Feed: "log", Key: d.Header.Get("Delivery"), Seal: d.Header.Get("Signature"), Records: [][]byte{d.Body}}, nil
}

func decodeBell(record []byte) ([]*curfewv1.Event, error) {
	var read struct {
		ID, Echo, Padding string
		Time              time.Time
	}
	oddities, err := event.Unmarshal(record, &read)
	if err != nil {
		return nil, err
	}
	return []*curfewv1.Event{{
		Id: event.ID("bell", read.ID, 0), Source: "bell", Feed: "log", Time: event.Timestamp(read.Time), Action: "ring", Echo: read.Echo, Oddities: oddities,
	}}, nil
}

func ring(id, echo string, at time.Time) []byte {
	record, err := json.Marshal(map[string]any{"ID": id, "Echo": echo, "Time": at})
	if err != nil {
		panic(err)
	}
	return record
}

func bellOptions(t *testing.T, b *bus.Bus, source *bell) Options {
	t.Helper()
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Bus: b, Catalog: cat, Tenant: "main", Holder: t.Name(),
		Sources: map[string]Configured{"bell": {Source: source, Decode: decodeBell, Interval: 5 * time.Millisecond}},
		Log:     slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// deliver sends a webhook and returns the status.
func deliver(t *testing.T, handler http.Handler, delivery string, body []byte, change func(*http.Request)) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, WebhookPath+"bell", bytes.NewReader(body))
	r.Header.Set("Delivery", delivery)
	r.Header.Set("Signature", signature(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

// rung waits until the lane holds n events and returns their ids, sorted. An event that is there twice fails the test.
func rung(t *testing.T, b *bus.Bus, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var ids []string
	done := errors.New("done")
	if n == 0 {
		return nil
	}
	err := b.Follow(ctx, bus.EventSubject("main", "bell", "log"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, e := range batch.GetEvents() {
			if slices.Contains(ids, e.GetId()) {
				return fmt.Errorf("%s is there twice", e.GetId())
			}
			ids = append(ids, e.GetId())
		}
		if len(ids) >= n {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("after %v: %v", ids, err)
	}
	slices.Sort(ids)
	return ids
}

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte("bell-secret"))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestWebhookIsOneEventHoweverOftenItComes(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	source := &bell{feeds: []string{"log"}}
	o := bellOptions(t, b, source)
	door := webhooks(o)
	// Nobody merges yet: what is answered with success waits in INBOX.
	first := ring("1", "", now)
	for range 3 {
		if got := deliver(t, door, "d1", first, nil); got != http.StatusNoContent {
			t.Fatalf("got status %d, want 204", got)
		}
	}
	// Another door, as of another process, knows nothing of what came to this one.
	if got := deliver(t, webhooks(o), "d1", first, nil); got != http.StatusNoContent {
		t.Fatalf("the vendor's repeat at another process: got status %d, want 204", got)
	}
	stop := start(t, o)
	rung(t, b, 1)
	source.add(first, ring("2", "", now))
	rung(t, b, 2)
	deliver(t, door, "d2", ring("2", "", now), nil)
	deliver(t, door, "d3", ring("3", "", now), nil)
	rung(t, b, 3)
	stop()
	start(t, o)
	deliver(t, door, "d3", ring("3", "", now), nil)
	deliver(t, door, "d4", ring("4", "", now), nil)
	if got := rung(t, b, 4); !slices.Equal(got, []string{"bell:1", "bell:2", "bell:3", "bell:4"}) {
		t.Errorf("got %v", got)
	}
}

func TestWebhookRefused(t *testing.T) {
	b := bustest.New(t)
	o := bellOptions(t, b, &bell{feeds: []string{"log"}})
	door, body := webhooks(o), ring("1", "", time.Now())
	deliver(t, door, "d1", body, nil)
	tests := []struct {
		name, delivery string
		change         func(*http.Request)
		want           int
	}{
		{"unsigned", "d2", func(r *http.Request) { r.Header.Del("Signature") }, http.StatusUnauthorized},
		{"forged", "d3", func(r *http.Request) { r.Header.Set("Signature", strings.Repeat("0", 64)) }, http.StatusUnauthorized},
		{"replayed", "d4", nil, http.StatusUnauthorized},
		{"oversized by what it says", "d5", func(r *http.Request) { r.ContentLength = 3 << 20 }, http.StatusRequestEntityTooLarge},
		{"oversized by what it sends", "d6", func(r *http.Request) {
			r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(strings.Repeat("x", 3<<20)))
		}, http.StatusRequestEntityTooLarge},
		{"to a source that takes none", "d7", func(r *http.Request) { r.URL.Path = WebhookPath + "nobody" }, http.StatusNotFound},
	}
	for _, test := range tests {
		if got := deliver(t, door, test.delivery, body, test.change); got != test.want {
			t.Errorf("%s: got status %d, want %d", test.name, got, test.want)
		}
	}
	counted := exposed(t, o.Metrics)
	for _, want := range []string{
		`{outcome="forged",source="bell"} 1`, `{outcome="oversized",source="bell"} 2`, `{outcome="replayed",source="bell"} 1`,
		`{outcome="stored",source="bell"} 1`, `{outcome="unknown source",source=""} 1`, `{outcome="unsigned",source="bell"} 1`,
	} {
		if !strings.Contains(counted, "curfew_collector_webhooks_total"+want) {
			t.Errorf("metrics lack %s:\n%s", want, counted)
		}
	}
}

func exposed(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	telemetry.Handler(m, func(context.Context) error { return nil }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var lines []string
	for line := range strings.SplitSeq(w.Body.String(), "\n") {
		if strings.HasPrefix(line, "curfew_collector_webhooks") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// A signed body that comes again as another delivery is a replay, also where the process that took it is another or was
// started anew: the lane knows.
func TestReplayIsKnownByTheLane(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	source := &bell{}
	o := bellOptions(t, b, source)
	stop := start(t, o)
	deliver(t, webhooks(o), "d1", ring("1", "", now), nil)
	rung(t, b, 1)
	stop()
	start(t, o)
	// The bell's id stands in the body; a vendor whose id is the delivery's would make a second event of it.
	deliver(t, webhooks(o), "d1 again", ring("1", "", now), nil)
	deliver(t, webhooks(o), "d2", ring("2", "", now), nil)
	rung(t, b, 2)
	var reasons []string
	if err := b.Read(t.Context(), bus.All("dead"), bus.From{}, func(m bus.Message) error {
		letter := new(curfewv1.DeadLetter)
		reasons = append(reasons, letter.GetReason())
		err := m.Decode(letter)
		reasons[len(reasons)-1] = letter.GetReason()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(reasons, []string{"replayed webhook"}) {
		t.Errorf("dead letters: got %q, want the replay", reasons)
	}
}

// Where log and webhook give an act different ids, each act is one event, whichever tells first, over restarts.
func TestEchoesMeet(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	source := &bell{feeds: []string{"log"}}
	o := bellOptions(t, b, source)
	door, stop := webhooks(o), start(t, o)
	deliver(t, door, "d1", ring("hook1", "ann joins", now), nil)
	rung(t, b, 1)
	source.add(ring("log1", "ann joins", now.Add(time.Second)), ring("log2", "bob joins", now))
	rung(t, b, 2)
	deliver(t, door, "d2", ring("hook2", "bob joins", now), nil)
	// The same act twice is two events, and so is what is too far apart.
	deliver(t, door, "d3", ring("hook3", "ann joins", now.Add(time.Minute)), nil)
	rung(t, b, 3)
	source.add(ring("log3", "ann joins", now.Add(time.Minute)), ring("log4", "ann joins", now.Add(-30*time.Minute)))
	rung(t, b, 4)
	stop()
	// A new reader reads the whole log again.
	source.add(ring("log5", "cleo joins", now))
	o.Sources["bell"] = Configured{Source: rereading{source}, Decode: decodeBell, Interval: 5 * time.Millisecond}
	start(t, o)
	if got := rung(t, b, 5); !slices.Equal(got, []string{"bell:hook1", "bell:hook3", "bell:log2", "bell:log4", "bell:log5"}) {
		t.Errorf("got %v", got)
	}
}

// rereading begins at the beginning each time, as a source does whose cursor the vendor refuses.
type rereading struct{ *bell }

func (r rereading) Poll(ctx context.Context, feed, _ string) (*curfewv1.EventBatch, error) {
	return r.bell.Poll(ctx, feed, "")
}

func TestWebhooksGoOnWhileTheLogCannotBeRead(t *testing.T) {
	b, now := bustest.New(t), time.Now()
	source := &bell{feeds: []string{"log"}}
	source.refuse(errors.New("the token is not valid"))
	o := bellOptions(t, b, source)
	start(t, o)
	deliver(t, webhooks(o), "d1", ring("1", "", now), nil)
	rung(t, b, 1)
	source.add(ring("1", "", now), ring("2", "", now))
	source.refuse(nil)
	rung(t, b, 2)
}

func TestWebhookThatIsOdd(t *testing.T) {
	b := bustest.New(t)
	o := bellOptions(t, b, &bell{})
	start(t, o)
	door := webhooks(o)
	deliver(t, door, "d1", []byte(`not JSON`), nil)
	large, err := json.Marshal(map[string]any{"ID": "large", "Padding": strings.Repeat("x", 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if got := deliver(t, door, "d2", large, nil); got != http.StatusNoContent {
		t.Fatalf("a large one: got status %d, want 204", got)
	}
	rung(t, b, 1)
	m, err := b.Last(t.Context(), bus.EventSubject("main", "bell", "log"))
	if err != nil {
		t.Fatal(err)
	}
	batch := new(curfewv1.EventBatch)
	if err := m.Decode(batch); err != nil {
		t.Fatal(err)
	}
	e := batch.GetEvents()[0]
	if at := e.GetTime().AsTime(); at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("a webhook without a time: got %v, want that of its receipt", at)
	}
	raw, err := b.GetObject(t.Context(), e.GetRawObject())
	if err != nil || !bytes.Equal(raw, large) {
		t.Errorf("got %d bytes, %v, want the record whole", len(raw), err)
	}
	if dead, err := b.Subjects(t.Context(), bus.All("dead")); err != nil || len(dead) != 1 {
		t.Errorf("dead letters: got %v, %v, want one", dead, err)
	}
}
