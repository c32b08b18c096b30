// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The services in processes of their own, two of each, over one NATS server and one Redis: each event once, one decision
// each, and neither the death of a collector and an evaluator nor NATS that goes and comes back changes anything.
func TestServicesInProcessesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const events = 3000
	okta := fake.NewOkta(fake.OktaConfig{Token: "token"})
	server := httptest.NewServer(okta)
	defer server.Close()
	address, stopNATS, startNATS := bustest.Restartable(t)
	redis := miniredis.RunT(t)

	var processes []*process
	for _, service := range []string{"evaluator", "evaluator", "collector", "collector", "notifier", "notifier"} {
		p := &process{dir: t.TempDir(), api: freePort(t), services: []string{service}, events: events, redis: "redis://" + redis.Addr()}
		p.configure(t, server.URL, fmt.Sprintf("nats: {url: %q}", address), "redis: {url: {env: TEST_REDIS_URL}}", "mode: alert")
		p.start(t)
		t.Cleanup(func() {
			if p.command.ProcessState == nil {
				p.stop(t)
			}
		})
		processes = append(processes, p)
	}
	awaitPolicy(t, address)
	happen := func(from, to int) {
		for i := from; i < to; i++ {
			e := fake.OktaEvent{Seed: 2, Number: uint64(i), Published: time.Now(), Actor: fake.OktaPerson("anna.berg")}
			if i%500 == 0 {
				e.Type = "user.account.privilege.grant"
			}
			okta.Add(e.JSON())
		}
	}
	happen(0, events/2)
	<-time.After(500 * time.Millisecond)
	processes[0].kill(t)
	processes[2].kill(t)
	stopNATS()
	happen(events/2, events*3/4)
	<-time.After(2 * time.Second)
	startNATS()
	happen(events*3/4, events)
	processes[1].wait(t)

	b, err := bus.Open(t.Context(), bus.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := countIn(t, b); got != [2]int{events, events} {
		t.Errorf("got %d events and %d decisions, want %d of each", got[0], got[1], events)
	}
	// All findings are of one person and class, so of one alert: a card once, and then how many more. Nothing that delivers
	// died; one whose first hand-over was lost comes again after a minute.
	var told uint64
	for range 900 {
		if err := b.Read(t.Context(), bus.All("alert"), bus.From{Newest: true}, func(m bus.Message) error {
			step := new(curfewv1.AlertStep)
			err := m.Decode(step)
			if d := step.GetAlert().GetDeliveries(); len(d) > 0 && step.GetAlert().GetFinding().GetDetection() == "unauthorized_access" {
				told = d[0].GetHas().GetCount()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if told == events/500 {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	processes[4].stop(t)
	processes[5].stop(t)
	cards := strings.Count(processes[4].output.String()+processes[5].output.String(), "│ Who ")
	if cards != 1 || told != events/500 {
		t.Errorf("got %d cards that tell of %d findings, want 1 and %d:\n%s", cards, told, events/500, processes[4].output.String())
	}
}

// awaitPolicy returns once a policy is in force and the people of okta were read: what happened before is judged by none, or
// is unknown, and found by nothing. The processes may need long for it on a busy machine.
func awaitPolicy(t *testing.T, address string) {
	t.Helper()
	for range 600 {
		<-time.After(100 * time.Millisecond)
		b, err := bus.Open(t.Context(), bus.Config{URL: address})
		if err != nil {
			continue // its streams are being made
		}
		_, unread := b.Last(t.Context(), bus.InventorySubject("main", "okta", "people"))
		entry, err := b.Get(t.Context(), bus.Policies, "main", "1")
		_ = b.Close() // nothing was written through it
		revision := new(curfewv1.PolicyRevision)
		if err == nil && unread == nil && proto.Unmarshal(entry.Value, revision) == nil && revision.GetFrom().AsTime().Before(time.Now()) {
			return
		}
	}
	t.Fatal("no policy came into force")
}
