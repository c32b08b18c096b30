// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// BenchmarkCriticalBehind is how long a critical alert takes from its finding to Slack while 5,000 low ones wait at a Slack
// that takes one message a second: five notifiers side by side, eight critical alerts each.
func BenchmarkCriticalBehind(b *testing.B) {
	const waiting, sides, urgent = 5000, 5, 8
	for range b.N {
		address, _ := bustest.Cluster(b, 1)
		client, err := bus.Open(b.Context(), bus.Config{URL: address})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		var mu sync.Mutex
		var took []time.Duration
		var group sync.WaitGroup
		for side := range sides {
			group.Go(func() {
				times := overtakes(b, client, address, fmt.Sprint("behind", side), waiting, urgent)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, times...)
			})
		}
		group.Wait()
		report(b, took)
	}
}

// report reports quantiles.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	if len(took) == 0 {
		b.Fatal("nothing was measured")
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "ms-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "ms-p99")
	b.ReportMetric(took[len(took)-1].Seconds()*1000, "ms-max")
	b.ReportMetric(float64(len(took)), "alerts")
}

// overtakes is how long each critical alert took.
func overtakes(b *testing.B, client *bus.Bus, address, tenant string, waiting, urgent int) (took []time.Duration) {
	b.Helper()
	slack := workspace.New(workspace.Options{Burst: 5, Every: time.Second})
	defer slack.Close()
	server := httptest.NewServer(slack)
	defer server.Close()
	channel := slack.AddChannel("security-alerts")
	p := &process{dir: b.TempDir(), services: []string{"notifier"}}
	text := fmt.Sprintf(`tenant: %s
mode: alert
telemetry: {listen: "127.0.0.1:0"}
nats: {url: %q}
alerts: {storm: 10000}
receivers:
  slack: {channel: %s, bot_token: {env: TEST_SLACK_BOT}, app_token: {env: TEST_SLACK_APP}, api_url: %q}
`, tenant, address, channel, server.URL+"/api/")
	if err := os.WriteFile(filepath.Join(p.dir, "curfew.yaml"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	publish := func(i int, severity curfewv1.Severity) string {
		f := &curfewv1.Finding{
			Format: 1, Id: fmt.Sprint("f", i), Tenant: tenant, Severity: severity, Detection: "burst", Title: fmt.Sprint("finding ", i),
			Event: &curfewv1.Event{Id: fmt.Sprint("e", i), Source: "okta"}, Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:p", i)},
		}
		if _, err := client.Publish(b.Context(), bus.FindingSubject(f), tenant+f.GetId(), f); err != nil {
			b.Error(err)
		}
		return alert.ID(f)
	}
	for i := range waiting {
		publish(i, curfewv1.Severity_SEVERITY_LOW)
	}
	p.start(b)
	defer func() { p.stop(b) }()
	for len(slack.Messages(channel)) < 20 && b.Context().Err() == nil { // all of them wait, and the burst is used up
		<-time.After(50 * time.Millisecond)
	}
	for i := range urgent {
		begun := time.Now()
		id := publish(waiting+i, curfewv1.Severity_SEVERITY_CRITICAL)
		for b.Context().Err() == nil {
			if at, shown := shownAt(slack, channel)[id]; shown {
				took = append(took, at.Sub(begun))
				break
			}
			<-time.After(100 * time.Millisecond)
		}
		<-time.After(11*time.Second - time.Since(begun))
	}
	return took
}

// shownAt is when each alert came to stand in a channel, by the time stamps of its messages.
func shownAt(w *workspace.Workspace, channel string) map[string]time.Time {
	at := map[string]time.Time{}
	for _, m := range w.Messages(channel) {
		seconds, micros, _ := strings.Cut(m.TS, ".")
		s, _ := strconv.ParseInt(seconds, 10, 64)
		us, _ := strconv.ParseInt(micros, 10, 64)
		alerts, _ := m.Metadata.EventPayload["alerts"].([]any)
		for _, id := range alerts {
			at[fmt.Sprint(id)] = time.Unix(s, us*1000)
		}
	}
	return at
}

// BenchmarkEventToSlack is how long it takes from an event in EVENTS to the message in Slack, at a thousand events a second
// for a minute, of which one in two seconds is a violation by another person: collector, evaluator and notifier in one
// process.
func BenchmarkEventToSlack(b *testing.B) {
	const rate, seconds = 1000, 60
	for range b.N {
		slack := workspace.New(workspace.Options{Burst: 5, Every: time.Second})
		defer slack.Close()
		server := httptest.NewServer(slack)
		defer server.Close()
		channel := slack.AddChannel("security-alerts")
		okta := fake.NewOkta(fake.OktaConfig{Token: "token"})
		vendor := httptest.NewServer(okta)
		defer vendor.Close()
		p := &process{dir: b.TempDir(), api: freePort(b)}
		p.configure(b, vendor.URL, "mode: alert", fmt.Sprintf(
			"receivers:\n  slack: {channel: %s, bot_token: {env: TEST_SLACK_BOT}, app_token: {env: TEST_SLACK_APP}, api_url: %q}", channel, server.URL+"/api/"))
		p.start(b)
		<-time.After(8 * time.Second) // the policy is in force and the people are read
		begun := time.Now()
		for i := range rate * seconds / 10 {
			<-time.After(time.Until(begun.Add(time.Duration(i) * 10 * time.Second / rate)))
			for j := range 10 {
				n := i*10 + j
				e := fake.OktaEvent{Seed: 3, Number: uint64(n), Published: time.Now(), Actor: fake.OktaPerson(fmt.Sprint("p", n%200))}
				if n%(2*rate) == 0 {
					e.Type, e.Actor = "user.account.privilege.grant", fake.OktaPerson(fmt.Sprint("violator", n))
				}
				okta.Add(e.JSON())
			}
		}
		<-time.After(5 * time.Second)
		p.stop(b)
		report(b, eventToSlack(b, filepath.Join(p.dir, "curfew-data"), shownAt(slack, channel)))
	}
}

// eventToSlack is how long each alert took from its event's batch.
func eventToSlack(b *testing.B, dir string, shown map[string]time.Time) (took []time.Duration) {
	b.Helper()
	stored, err := bus.Open(b.Context(), bus.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer stored.Close()
	at := map[string]time.Time{}
	if err := stored.Read(b.Context(), bus.All("event"), bus.From{}, func(m bus.Message) error {
		batch := new(curfewv1.EventBatch)
		err := m.Decode(batch)
		for _, e := range batch.GetEvents() {
			at[e.GetId()] = m.Time
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	if err := stored.Read(b.Context(), bus.All("finding"), bus.From{}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		err := m.Decode(f)
		if came, known := shown[alert.ID(f)]; known && f.GetEvent() != nil {
			took = append(took, came.Sub(at[f.GetEvent().GetId()]))
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return took
}
