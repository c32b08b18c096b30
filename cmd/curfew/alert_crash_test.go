// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/bus/bustest"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// TestKilledAtEveryStepNoAlertIsLost kills the real notifier with SIGKILL right before or right after one of the writes to
// ALERTS or calls to Slack that its alerts need, each seed at another, and lets a second one go on. Whatever was killed:
// each alert stands in Slack once, and what people did stands behind it once.
func TestKilledAtEveryStepNoAlertIsLost(t *testing.T) {
	t.Parallel()
	address, _ := bustest.Cluster(t, 1)
	b, err := bus.Open(t.Context(), bus.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	runs := max(crashRuns()/4, 8)
	places := make(chan string, runs)
	var group sync.WaitGroup
	turns := make(chan struct{}, side/2)
	for i := range runs {
		seed := *crashSeed + uint64(i)
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			t.Run(fmt.Sprint(seed), func(t *testing.T) { places <- newAlertCrash(t, b, address, seed).run(t) })
		})
	}
	group.Wait()
	close(places)
	count, hit := map[string]int{}, 0
	for place := range places {
		if place != "" {
			count[place]++
			hit++
		}
	}
	t.Logf("%d of %d runs were killed, at %d different places: %v", hit, runs, len(count), count)
	if hit < runs/2 {
		t.Errorf("only %d of %d runs were killed: the others were over before their point came", hit, runs)
	}
}

// alertCrash is one run: a Slack, a notifier that is killed at one point, and what people should see.
type alertCrash struct {
	tenant   string
	bus      *bus.Bus
	slack    *workspace.Workspace
	channel  string
	findings []*curfewv1.Finding
	*checkpoint
	process *process
}

func newAlertCrash(t *testing.T, b *bus.Bus, address string, seed uint64) *alertCrash {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 6))
	c := &alertCrash{tenant: fmt.Sprintf("a%d", seed), bus: b, slack: workspace.New(workspace.Options{Burst: -1, UpdatesPerMinute: -1})}
	t.Cleanup(c.slack.Close)
	c.channel = c.slack.AddChannel("security-alerts")
	c.checkpoint = newCheckpoint(random.IntN(48) + 1)
	url := c.watchHTTP(t, c.slack, func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/chat.postMessage") || strings.HasSuffix(r.URL.Path, "/chat.update")
	})
	c.process = &process{dir: t.TempDir(), services: []string{"notifier"}}
	text := fmt.Sprintf(`tenant: %s
mode: alert
telemetry: {listen: "127.0.0.1:0"}
nats: {url: %q}
receivers:
  slack: {channel: %s, bot_token: {env: TEST_SLACK_BOT}, app_token: {env: TEST_SLACK_APP}, api_url: %q}
`, c.tenant, c.watchNATS(t, address, "alert."+c.tenant+".", "ALERTS"), c.channel, url+"/api/")
	if err := os.WriteFile(filepath.Join(c.process.dir, "curfew.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// run returns where it was killed, "" where it was over before.
func (c *alertCrash) run(t *testing.T) (place string) {
	for i := range 6 {
		c.find(t, i, curfewv1.Severity_SEVERITY_LOW+curfewv1.Severity(i%4))
	}
	c.process.start(t)
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.await(t, 40*time.Second, c.isShown)
		c.resolve(t, c.findings[0])
		c.resolve(t, c.findings[5])
		c.await(t, 60*time.Second, c.isTold)
	}()
	select {
	case place = <-c.reached:
		c.process.kill(t)
		c.release()
		c.process.start(t)
		<-over
	case <-over:
		c.release()
	}
	if !c.isTold() {
		t.Errorf("killed %s: not all was told in time:\n%s\n%s", place, c.say(), c.process.output.String())
	}
	c.process.kill(t)
	for _, f := range c.findings {
		if got := c.posts(alert.ID(f)); got != 1 {
			t.Errorf("killed %s: alert %s stands in Slack %d times:\n%s", place, f.GetId(), got, c.say())
		}
	}
	for _, f := range []*curfewv1.Finding{c.findings[0], c.findings[5]} {
		if got := c.told(f); got != 1 {
			t.Errorf("killed %s: what %s was is said %d times:\n%s", place, f.GetId(), got, c.say())
		}
	}
	return place
}

// find stores a finding, as the evaluator does.
func (c *alertCrash) find(t *testing.T, i int, severity curfewv1.Severity) {
	t.Helper()
	f := &curfewv1.Finding{
		Format: 1, Id: fmt.Sprint("f", i), Tenant: c.tenant, Severity: severity, Detection: "crash", Title: fmt.Sprint("finding ", i),
		Event: &curfewv1.Event{Id: fmt.Sprint("e", i), Source: "okta"}, Decision: &curfewv1.Decision{Subject: fmt.Sprint("person:p", i)},
	}
	if _, err := c.bus.Publish(t.Context(), bus.FindingSubject(f), c.tenant+f.GetId(), f); err != nil {
		t.Fatal(err)
	}
	c.findings = append(c.findings, f)
}

// resolve is what somebody does, as the evaluator stores it.
func (c *alertCrash) resolve(t *testing.T, f *curfewv1.Finding) {
	t.Helper()
	if _, err := alert.NewBook(c.bus, c.tenant).Change(t.Context(), alert.ID(f), "person:bob", time.Now, func(a *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		if a == nil {
			return nil, "", false
		}
		next := alert.Resolve(a, "person:bob", "what "+f.GetId()+" was", time.Now())
		return next, "", next != nil
	}); err != nil {
		t.Error(err)
	}
}

func (c *alertCrash) await(t *testing.T, patience time.Duration, is func() bool) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && t.Context().Err() == nil && !is(); {
		<-time.After(50 * time.Millisecond)
	}
}

func (c *alertCrash) isShown() bool {
	for _, f := range c.findings {
		if c.posts(alert.ID(f)) == 0 {
			return false
		}
	}
	return true
}

// isTold is whether the log says that all of it was told.
func (c *alertCrash) isTold() bool {
	book := alert.NewBook(c.bus, c.tenant)
	for i, f := range c.findings {
		entry, err := book.Load(context.Background(), alert.ID(f))
		if err != nil || alert.Needed(entry.Value, "slack") != alert.Nothing || (i == 0 || i == 5) && !alert.IsOver(entry.Value) {
			return false
		}
	}
	return true
}

// posts is in how many messages of the channel an alert stands.
func (c *alertCrash) posts(id string) int { return postsOf(c.slack, c.channel)[id] }

// postsOf is in how many messages of a channel each alert stands, by their metadata.
func postsOf(w *workspace.Workspace, channel string) map[string]int {
	times := map[string]int{}
	for _, m := range w.Messages(channel) {
		alerts, _ := m.Metadata.EventPayload["alerts"].([]any)
		for _, id := range alerts {
			times[fmt.Sprint(id)]++
		}
	}
	return times
}

// told is how often it is said in threads what an alert was.
func (c *alertCrash) told(f *curfewv1.Finding) (times int) {
	for _, m := range c.slack.Messages(c.channel) {
		for _, r := range c.slack.Replies(c.channel, m.TS) {
			times += strings.Count(r.Text, "what "+f.GetId()+" was")
		}
	}
	return times
}

func (c *alertCrash) say() (text string) {
	for _, m := range c.slack.Messages(c.channel) {
		text += fmt.Sprintf("%s %s %v\n", m.TS, m.Text, m.Metadata.EventPayload)
		for _, r := range c.slack.Replies(c.channel, m.TS) {
			text += "    " + r.Text + "\n"
		}
	}
	return text
}
