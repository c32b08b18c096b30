// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

var stormRuns = flag.Int("storms", 0, "how many bursts TestABurstIsShownOnce and BenchmarkBurst make; 0 = a tenth of -crashes, 1 to 10, and 100")

// burstSize is how many alerts come at once, and stormSide how many runs go on side by side: they mostly wait for Slack.
const burstSize, stormSide = 1000, 10

// TestABurstIsShownOnce tells a thousand alerts at once to a Slack that takes one message a second, by three notifiers in
// processes of their own, of which one is killed at a random moment, while some replies are lost.
func TestABurstIsShownOnce(t *testing.T) {
	for i, s := range storms(t, cmp.Or(*stormRuns, min(10, max(1, crashRuns()/10)))) {
		t.Logf("run %d: the last after %v", i+1, s.took.Round(10*time.Millisecond))
		if s.lost > 0 || s.twice > 0 {
			t.Errorf("run %d: %d of %d alerts are lost, %d are shown twice", i+1, s.lost, burstSize, s.twice)
		}
	}
}

// BenchmarkBurst is TestABurstIsShownOnce a hundred times, and how long it took.
func BenchmarkBurst(b *testing.B) {
	for range b.N {
		all := storms(b, cmp.Or(*stormRuns, 100))
		lost, twice := 0, 0
		var took []time.Duration
		for _, s := range all {
			lost, twice, took = lost+s.lost, twice+s.twice, append(took, s.took)
		}
		slices.Sort(took)
		b.ReportMetric(float64(lost), "lost")
		b.ReportMetric(float64(twice), "twice")
		b.ReportMetric(took[len(took)/2].Seconds(), "s-median")
		b.ReportMetric(took[len(took)-1].Seconds(), "s-max")
		b.ReportMetric(float64(len(all)), "runs")
	}
}

// stormSeen is what people saw of one burst.
type stormSeen struct {
	lost, twice int
	took        time.Duration // from the first finding to the last message
}

func storms(tb testing.TB, runs int) []stormSeen {
	tb.Helper()
	address, _ := bustest.Cluster(tb, 1)
	b, err := bus.Open(tb.Context(), bus.Config{URL: address})
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	seen := make([]stormSeen, runs)
	var group sync.WaitGroup
	turns := make(chan struct{}, stormSide)
	for i := range runs {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			seen[i] = storm(tb, b, address, uint64(i+1))
		})
	}
	group.Wait()
	return seen
}

// storm is one burst.
func storm(tb testing.TB, b *bus.Bus, address string, seed uint64) stormSeen {
	tb.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	slack := workspace.New(workspace.Options{Burst: 5, Every: time.Second})
	defer slack.Close()
	server := httptest.NewServer(slack)
	defer server.Close()
	channel, tenant := slack.AddChannel("security-alerts"), fmt.Sprintf("burst%d", seed)
	var notifiers []*process
	for range 3 {
		p := &process{dir: tb.TempDir(), services: []string{"notifier"}}
		text := fmt.Sprintf(`tenant: %s
mode: alert
telemetry: {listen: "127.0.0.1:0"}
nats: {url: %q}
receivers:
  slack: {channel: %s, bot_token: {env: TEST_SLACK_BOT}, app_token: {env: TEST_SLACK_APP}, api_url: %q}
`, tenant, address, channel, server.URL+"/api/")
		if err := os.WriteFile(filepath.Join(p.dir, "curfew.yaml"), []byte(text), 0o600); err != nil {
			tb.Error(err)
		}
		p.start(tb)
		notifiers = append(notifiers, p)
	}
	defer func() {
		for _, p := range notifiers {
			_ = p.command.Process.Kill()
			_ = p.command.Wait()
		}
	}()
	for deadline := time.Now().Add(time.Minute); slack.Sockets() < len(notifiers) && time.Now().Before(deadline); { // all are up
		<-time.After(50 * time.Millisecond)
	}
	begun := time.Now()
	var ids []string
	for i := range burstSize {
		f := &curfewv1.Finding{
			Format: 1, Id: fmt.Sprint("f", i), Tenant: tenant, Severity: curfewv1.Severity_SEVERITY_MEDIUM, Detection: "burst", Title: fmt.Sprint("finding ", i),
			Event: &curfewv1.Event{Id: fmt.Sprint("e", i), Source: "okta"}, Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:p", i)},
		}
		ids = append(ids, alert.ID(f))
		if _, err := b.Publish(tb.Context(), bus.FindingSubject(f), tenant+f.GetId(), f); err != nil {
			tb.Error(err)
		}
	}
	dies := notifiers[random.IntN(len(notifiers))]
	killAt := begun.Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
	slack.Break("chat.postMessage", workspace.Fault{DropReply: true}, 1) // one reply is lost
	last, known := time.Now(), 0
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		<-time.After(50 * time.Millisecond)
		if dies != nil && time.Now().After(killAt) {
			if err := dies.command.Process.Kill(); err != nil {
				tb.Errorf("it ended by itself: %v\n%s", err, dies.output.String())
			}
			_ = dies.command.Wait()
			dies.start(tb)
			dies = nil
		}
		if n := len(postsOf(slack, channel)); n > known {
			known, last = n, time.Now()
		}
		if known == burstSize && dies == nil && time.Since(last) > 8*time.Second { // long enough for one that is in doubt to come again
			break
		}
	}
	times, s := postsOf(slack, channel), stormSeen{took: last.Sub(begun)}
	for _, id := range ids {
		switch n := times[id]; {
		case n == 0:
			s.lost++
		case n > 1:
			s.twice++
		}
	}
	return s
}
