// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/telemetry"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/source/okta"
)

// history is an Okta org with a long log that costs next to nothing to serve: each page is the same bytes but for the
// numbers in the records' ids. What is measured beside it should be the reader.
type history struct {
	url    string
	events int
	page   []byte // of 1000 records
	ids    []int  // where the number of each record's id stands
}

const historyPage = 1000

// newHistory makes one whose records are of the kinds and sizes of every day.
func newHistory(events int) *history {
	h := &history{events: events}
	var page bytes.Buffer
	page.WriteByte('[')
	types := []string{"user.session.start", "user.authentication.sso", "user.authentication.auth_via_mfa", "group.user_membership.add"}
	start := time.Now().Add(-24 * time.Hour)
	for i := range historyPage {
		if i > 0 {
			page.WriteByte(',')
		}
		e := fake.OktaEvent{Seed: 7, Number: uint64(i), Type: types[i%len(types)], Actor: fake.OktaPerson("anna.berg"), Published: start.Add(time.Duration(i) * time.Millisecond)}
		record := bytes.Replace(e.JSON(), []byte(e.ID()), fmt.Appendf(nil, "uuid-%012d", i), 1)
		h.ids = append(h.ids, page.Len()+bytes.Index(record, []byte("uuid-0"))+len("uuid-"))
		page.Write(record)
	}
	page.WriteByte(']')
	h.page = page.Bytes()
	return h
}

func (h *history) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The client may have gone; it will ask again.
	from, _ := strconv.Atoi(r.URL.Query().Get("after"))
	next := min(from+historyPage, h.events)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Link", fmt.Sprintf(`<%s/api/v1/logs?after=%d&limit=%d>; rel="next"`, h.url, next, historyPage))
	if next == from {
		_, _ = w.Write([]byte("[]"))
		return
	}
	page := h.page
	if from > 0 {
		page = slices.Clone(h.page)
		for i, at := range h.ids {
			copy(page[at:], fmt.Appendf(nil, "%012d", from+i))
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = w.Write(page)
}

// BenchmarkBackfill is the first read of an org's long log into EVENTS on disk, every message synced. Beside it in the
// same run: the same pages fetched and decoded and not stored, and the decoding alone.
func BenchmarkBackfill(b *testing.B) {
	events := 1_000_000
	if testing.Short() {
		events = 50_000
	}
	serve := func(b *testing.B) (*history, *okta.Source) {
		h := newHistory(events)
		server := httptest.NewServer(h)
		b.Cleanup(server.Close)
		h.url = server.URL
		source, err := okta.New(okta.Config{URL: h.url, Token: config.SecretValue("token")})
		if err != nil {
			b.Fatal(err)
		}
		return h, source
	}
	b.Run("stored", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			_, source := serve(b)
			o := benchOptions(b, bustest.New(b), map[string]Configured{"okta": {Source: source, Decode: okta.Decode, Interval: time.Hour}})
			b.StartTimer()
			readAll(b, o, "okta", "system_log", events)
		}
		b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("polled", func(b *testing.B) {
		for b.Loop() {
			_, source := serve(b)
			cursor, read := "", 0
			for read < events {
				batch, err := source.Poll(b.Context(), "system_log", cursor)
				if err != nil {
					b.Fatal(err)
				}
				cursor, read = batch.GetCursor(), read+len(batch.GetEvents())
			}
		}
		b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("decoding", func(b *testing.B) {
		h, _ := serve(b)
		var records [][]byte
		for record := range bytes.SplitSeq(bytes.Trim(h.page, "[]"), []byte(`},{"`)) {
			records = append(records, record)
		}
		sound := fake.OktaEvent{Seed: 7, Number: 1, Type: "user.session.start", Actor: fake.OktaPerson("anna.berg"), Published: time.Now()}.JSON()
		for b.Loop() {
			for range records {
				if _, err := okta.Decode(sound); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N)*float64(len(records))/b.Elapsed().Seconds(), "events/s")
	})
}

func benchOptions(b *testing.B, opened *bus.Bus, sources map[string]Configured) Options {
	b.Helper()
	cat, err := catalog.Load()
	if err != nil {
		b.Fatal(err)
	}
	return Options{
		Bus: opened, Catalog: cat, Tenant: "main", Holder: "bench", Sources: sources,
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(),
	}
}

// readAll runs a collector until a lane holds that many events.
func readAll(b *testing.B, o Options, source, feed string, events int) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := Run(ctx, o); !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	stored, position := 0, uint64(0)
	for stored < events {
		last, err := o.Bus.Last(ctx, bus.EventSubject(o.Tenant, source, feed))
		if err == nil && last.Sequence > position {
			// Counting is not what is measured: the cursor tells how far it is.
			batch := new(curfewv1.EventBatch)
			if err := last.Decode(batch); err != nil {
				b.Fatal(err)
			}
			position = last.Sequence
			if _, after, found := strings.Cut(batch.GetCursor(), "after="); found {
				_, _ = fmt.Sscanf(after, "%d", &stored) // the cursor of a part says where its page began
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	done.Wait()
}

// BenchmarkWebhook is from a webhook's arrival until its event is in EVENTS on disk, at 500 a second. Beside it: one
// synced write of a message of that size.
func BenchmarkWebhook(b *testing.B) {
	b.Run("durable", func(b *testing.B) {
		o := benchOptions(b, bustest.New(b), nil)
		o.Sources = map[string]Configured{"bell": {Source: &bell{}, Decode: decodeBell, Interval: time.Hour}}
		ctx, cancel := context.WithCancel(b.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = Run(ctx, o) }) // ends by cancel
		defer done.Wait()
		defer cancel()
		server := httptest.NewServer(webhooks(o))
		defer server.Close()
		var mu sync.Mutex
		sent := map[string]time.Time{}
		var took []time.Duration
		arrived := make(chan struct{}, 1<<16)
		done.Go(func() {
			_ = o.Bus.Follow(ctx, bus.EventSubject("main", "bell", "log"), bus.From{}, func(m bus.Message) error {
				batch := new(curfewv1.EventBatch)
				if err := m.Decode(batch); err != nil {
					return err
				}
				now := time.Now()
				mu.Lock()
				for _, e := range batch.GetEvents() {
					took = append(took, now.Sub(sent[e.GetId()]))
					arrived <- struct{}{}
				}
				mu.Unlock()
				return nil
			})
		})
		n := 0
		for b.Loop() {
			const burst = 1500
			tick := time.NewTicker(2 * time.Millisecond)
			for range burst {
				<-tick.C
				n++
				id := fmt.Sprint(n)
				body := ring(id, "", time.Now())
				mu.Lock()
				sent["bell:"+id] = time.Now()
				mu.Unlock()
				go func() {
					r, _ := http.NewRequest(http.MethodPost, server.URL+WebhookPath+"bell", bytes.NewReader(body)) // a sound address
					r.Header.Set("Delivery", id)
					r.Header.Set("Signature", signature(body))
					response, err := http.DefaultClient.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_ = response.Body.Close() // nothing is in it
					if response.StatusCode != http.StatusNoContent {
						b.Errorf("got status %d", response.StatusCode)
					}
				}()
			}
			tick.Stop()
			for range burst {
				<-arrived
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
	b.Run("limit", func(b *testing.B) {
		bus1 := bustest.New(b)
		var took []time.Duration
		for b.Loop() {
			for i := range 500 {
				began := time.Now()
				if _, err := bus1.Publish(b.Context(), bus.InboxSubject("main", "bell", "log"), fmt.Sprint(b.N, i), &curfewv1.Webhook{Records: [][]byte{make([]byte, 1024)}}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
}

// busOfItsOwn names the variable that makes this test binary a NATS server, for measuring a collector without its bus.
const busOfItsOwn = "CURFEW_TEST_BUS"

// TestServeBus is that server: it prints its address and lives until nobody writes to it any more. Without the variable it
// is nothing.
func TestServeBus(t *testing.T) {
	if os.Getenv(busOfItsOwn) == "" {
		return
	}
	address, _ := bustest.Cluster(t, 1)
	fmt.Printf("\nbus %s\n", address)
	_, _ = io.Copy(io.Discard, os.Stdin) // it ends with its parent
}

// otherBus is a bus whose server is in a process of its own.
func otherBus(b *testing.B) *bus.Bus {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	server := exec.Command(self, "-test.run=^TestServeBus$", "-test.count=1")
	server.Env = append(os.Environ(), busOfItsOwn+"=1")
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // that ends it
		_ = server.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, found := strings.CutPrefix(lines.Text(), "bus "); found {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			opened, err := bus.Open(b.Context(), bus.Config{URL: address})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = opened.Close() })
			return opened
		}
	}
	b.Fatal("the bus did not come up")
	return nil
}

// BenchmarkManySources is the memory of one collector with fifty sources, its bus in another process: the greatest heap and
// stacks in use while all of them have a page of a thousand records to catch up with at once, and while they are polled
// every second after that. The vendors share one page, so that they take next to nothing.
func BenchmarkManySources(b *testing.B) {
	h := newHistory(historyPage)
	for b.Loop() {
		server := httptest.NewServer(h)
		b.Cleanup(server.Close)
		h.url = server.URL
		sources := map[string]Configured{}
		for i := range 50 {
			source, err := okta.New(okta.Config{URL: server.URL, Token: config.SecretValue("token")})
			if err != nil {
				b.Fatal(err)
			}
			sources[fmt.Sprintf("okta-%02d", i)] = Configured{Source: source, Decode: okta.Decode, Interval: time.Second}
		}
		o := benchOptions(b, otherBus(b), sources)
		debug.FreeOSMemory() // of what was measured before
		ctx, cancel := context.WithCancel(b.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = Run(ctx, o) }) // ends by cancel
		peak, polled := uint64(0), uint64(0)
		for began := time.Now(); time.Since(began) < 20*time.Second; <-time.After(20 * time.Millisecond) {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse+now.StackInuse)
			if time.Since(began) > 15*time.Second {
				polled = max(polled, now.HeapInuse+now.StackInuse)
			}
		}
		cancel()
		done.Wait()
		for name := range sources {
			last, err := o.Bus.Last(b.Context(), bus.EventSubject(o.Tenant, name, "system_log"))
			if err != nil {
				b.Fatal(err)
			}
			batch := new(curfewv1.EventBatch)
			if err := last.Decode(batch); err != nil || batch.GetCoverage() == nil {
				b.Fatalf("%s was not read: %v, %v", name, batch, err)
			}
		}
		b.ReportMetric(float64(peak)/(1<<20), "MB-catching-up")
		b.ReportMetric(float64(polled)/(1<<20), "MB-polled")
	}
}
