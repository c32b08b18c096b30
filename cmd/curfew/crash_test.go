// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// kills is how often the crash test kills.
const kills = 20

// TestKilledAnywhereEveryEventHasOneDecision kills the real process with SIGKILL at 20 random points while it replays
// 100,000 events, a quarter of them with -short, and then looks at what is on disk.
func TestKilledAnywhereEveryEventHasOneDecision(t *testing.T) {
	replayed := 100_000
	if testing.Short() {
		replayed = 25_000
	}
	okta := fake.NewOkta(fake.OktaConfig{Token: "token", LateEvery: 50, LateBy: 20, Faults: fake.Faults{Seed: 1, DropReplyEvery: 40}})
	records := make([]json.RawMessage, replayed)
	// A week, as a first read finds it.
	begin := time.Now().Add(-7*24*time.Hour + time.Hour)
	const step = 6 * time.Second
	for i := range records {
		records[i] = fake.OktaEvent{Seed: 1, Number: uint64(i), Published: begin.Add(time.Duration(i) * step), Actor: fake.OktaPerson("anna.berg")}.JSON()
	}
	okta.Add(records...)
	server := httptest.NewServer(okta)
	defer server.Close()

	p := &process{dir: t.TempDir(), api: freePort(t), events: replayed}
	p.configure(t, server.URL)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for i := range kills {
		p.start(t)
		// Sometimes before it is up, mostly in the middle of its work; later ones later, so that a slow machine gets there.
		<-time.After(time.Duration(random.IntN(200+50*i)) * time.Millisecond)
		p.kill(t)
	}
	done := p.count(t)
	// A machine so slow that it got nowhere in that time gets more of it.
	for wait := 2 * time.Second; done[0] == 0 && wait < time.Minute; wait *= 2 {
		p.start(t)
		<-time.After(wait)
		p.kill(t)
		done = p.count(t)
	}
	t.Logf("%d of %d events were stored before the last kill", done[0], replayed)
	if done[0] == 0 {
		t.Error("nothing was stored before the last kill, so that the kills hit nothing")
	}
	p.start(t)
	okta.Settle()
	p.wait(t)
	p.stop(t)
	if got := p.count(t); got != [2]int{replayed, replayed} {
		t.Fatalf("got %d events and %d decisions, want %d of each, once each", got[0], got[1], replayed)
	}
}

// process is `curfew run` in a process of its own.
type process struct {
	dir, api string
	services []string
	events   int    // how many wait waits for
	redis    string // its URL
	command  *exec.Cmd
	output   bytes.Buffer
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (p *process) configure(t testing.TB, oktaURL string, more ...string) {
	t.Helper()
	text := strings.Join(more, "\n") + "\n" + fmt.Sprintf("api: {listen: %q}\ntelemetry: {listen: \"127.0.0.1:0\"}\nsources:\n  okta: {url: %q, token: {env: TEST_OKTA_TOKEN}, interval: 50ms}\n", p.api, oktaURL)
	if err := os.WriteFile(filepath.Join(p.dir, "curfew.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *process) start(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.output.Reset()
	p.command = exec.Command(self, append([]string{"run", "--config", filepath.Join(p.dir, "curfew.yaml")}, p.services...)...)
	p.command.Env = append(os.Environ(), asCurfew+"=1", "TEST_OKTA_TOKEN=token", "TEST_SLACK_BOT="+workspace.BotToken, "TEST_SLACK_APP="+workspace.AppToken, "TEST_REDIS_URL="+p.redis)
	p.command.Stderr, p.command.Stdout = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Kill(); err != nil {
		t.Fatalf("it ended by itself: %v\n%s", err, p.output.String())
	}
	_ = p.command.Wait() // killed: that is its error
	if p.command.ProcessState.Exited() {
		t.Fatalf("it ended by itself: %v\n%s", p.command.ProcessState, p.output.String())
	}
}

// stop asks it to end and waits until it has.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Fatalf("asked to end: %v\n%s", err, p.output.String())
	}
}

// wait returns once the API has shown a decision on each of the replayed events.
func (p *process) wait(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // under the race detector a slow machine needs minutes
	defer cancel()
	api := &client{address: p.api, tokenFile: filepath.Join(p.dir, "curfew-data", tokenFile)}
	seen := map[string]bool{}
	var last atomic.Value
	for len(seen) < p.events && ctx.Err() == nil {
		decided := make(chan *curfewv1.Decision, 1024)
		done := make(chan error, 1)
		following, stop := context.WithCancel(ctx)
		go func() { done <- api.watch(following, decided) }()
		for watching := true; watching && len(seen) < p.events; {
			select {
			case d := <-decided:
				if d.GetSource() == "okta" {
					seen[d.GetEventId()] = true
				}
			case err := <-done:
				last.Store(fmt.Sprint(err))
				watching = false
				<-time.After(50 * time.Millisecond) // not up yet
			}
		}
		stop()
	}
	if len(seen) < p.events {
		t.Fatalf("got decisions on %d events, want %d; last error %v\n%s", len(seen), p.events, last.Load(), p.output.String())
	}
}

// count opens the data as the next process would and returns how many different events and decisions are there; one
// that is there twice fails the test.
func (p *process) count(t *testing.T) [2]int {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: filepath.Join(p.dir, "curfew-data")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return countIn(t, b)
}

// countIn is count over an open bus.
func countIn(t *testing.T, b *bus.Bus) [2]int {
	t.Helper()
	events, decisions := map[string]bool{}, map[string]bool{}
	note := func(into map[string]bool, what, id string) {
		if into[id] {
			t.Errorf("there are two %s of %s", what, id)
		}
		into[id] = true
	}
	err := b.Read(t.Context(), bus.EventSubject("main", "okta", "system_log"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, e := range batch.GetEvents() {
			note(events, "events", e.GetId())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Read(t.Context(), bus.DecisionSubject("main", "okta", "system_log"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.DecisionBatch)
		if err := m.Decode(batch); err != nil {
			return err
		}
		for _, d := range batch.GetDecisions() {
			note(decisions, "decisions", d.GetEventId())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{len(events), len(decisions)}
}
