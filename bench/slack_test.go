// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	amconfig "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/slack"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	httpconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// flushFor is how long Alertmanager may try one flush of a group.
const flushFor = time.Minute

// BenchmarkAlertmanager is how many of so many alerts at once, a group each, Alertmanager's own notifier and retrying bring to
// the Slack of BenchmarkBurst while nothing fails. One flush is all that an event gets there: by default the next is five minutes
// later, when an alert that was sent once is over.
func BenchmarkAlertmanager(b *testing.B) {
	for range rounds {
		for _, alerts := range []int{200, 1000} {
			b.Run(fmt.Sprint(alerts), func(b *testing.B) {
				var s seen
				for b.Loop() {
					s = burst(b, alerts, 5)
				}
				b.ReportMetric(float64(s.delivered), "delivered")
				b.ReportMetric(float64(alerts-s.delivered), "lost")
			})
		}
	}
}

// What loses alerts must be the limit, not how the peer is set up here.
func TestAlertmanagerDeliversWithoutLimit(t *testing.T) {
	if s := burst(t, 50, -1); s.delivered != 50 || s.err != nil {
		t.Errorf("got %d delivered and %v, want 50 and no error", s.delivered, s.err)
	}
}

// seen is how many alerts stand in Slack after a burst, and one group's error.
type seen struct {
	delivered int
	err       error
}

// burst flushes groups of one alert each at once, to a Slack that takes so many at once and one a second more; all if -1.
func burst(t testing.TB, alerts, limit int) seen {
	t.Helper()
	w := workspace.New(workspace.Options{Burst: limit, Every: time.Second})
	defer w.Close()
	server := httptest.NewServer(w)
	defer server.Close()
	channel := w.AddChannel("security-alerts")
	stage := retrying(t, server.URL, channel)
	ctx, cancel := context.WithTimeout(t.Context(), flushFor)
	defer cancel()
	var (
		mu    sync.Mutex
		s     seen
		group sync.WaitGroup
	)
	for i := range alerts {
		group.Go(func() {
			if err := flush(ctx, stage, fmt.Sprint("finding ", i)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				s.err = err
			}
		})
	}
	group.Wait()
	stand := map[string]bool{}
	for _, m := range w.Messages(channel) {
		stand[m.Text] = true
	}
	s.delivered = len(stand)
	return s
}

// retrying is the stage of Alertmanager that notifies, with its receiver for Slack as a configuration with app_token makes it.
func retrying(t testing.TB, address, channel string) *notify.RetryStage {
	t.Helper()
	templates, err := template.FromGlobs(nil)
	if err != nil {
		t.Fatal(err)
	}
	external, err := url.Parse("https://alertmanager.example.com")
	if err != nil {
		t.Fatal(err)
	}
	templates.ExternalURL = external
	api, err := url.Parse(address + "/api/chat.postMessage")
	if err != nil {
		t.Fatal(err)
	}
	settings := config.DefaultSlackConfig
	settings.Channel, settings.APIURL, settings.MessageText = channel, &amconfig.SecretURL{URL: api}, "{{ .CommonLabels.alertname }}"
	settings.HTTPConfig = &httpconfig.HTTPClientConfig{
		Authorization:   &httpconfig.Authorization{Type: "Bearer", Credentials: workspace.BotToken},
		FollowRedirects: true, EnableHTTP2: true,
	}
	notifier, err := slack.New(&settings, templates, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return notify.NewRetryStage(
		notify.NewIntegration(notifier, &settings, "slack", 0, "slack"), "slack",
		notify.NewMetrics(prometheus.NewRegistry(), featurecontrol.NoopFlags{}), eventrecorder.NopRecorder(),
	)
}

// flush tells of one alert as Alertmanager's dispatcher does.
func flush(ctx context.Context, stage *notify.RetryStage, name string) error {
	labels, now := model.LabelSet{"alertname": model.LabelValue(name)}, time.Now()
	a := &alert.Alert{Alert: model.Alert{Labels: labels, StartsAt: now, EndsAt: now.Add(5 * time.Minute)}, UpdatedAt: now}
	ctx = notify.WithGroupKey(ctx, "{}:"+labels.String())
	ctx = notify.WithGroupLabels(ctx, labels)
	ctx = notify.WithReceiverName(ctx, "slack")
	ctx = notify.WithNow(ctx, now)
	ctx = notify.WithFiringAlerts(ctx, []uint64{uint64(labels.Fingerprint())})
	_, _, err := stage.Exec(ctx, slog.New(slog.DiscardHandler), a)
	return err
}
