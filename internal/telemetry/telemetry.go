// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry is how Curfew is watched: every metric it has, and metrics, health and readiness on one port.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is every metric. All methods are safe for concurrent use. Labels hold configured names and fixed words,
// never vendor text: a hostile record must not be able to make time series.
type Metrics struct {
	registry  *prometheus.Registry
	records   *prometheus.CounterVec
	events    *prometheus.CounterVec
	repeats   *prometheus.CounterVec
	covered   *prometheus.GaugeVec
	webhooks  *prometheus.CounterVec
	observed  *prometheus.GaugeVec
	entries   *prometheus.GaugeVec
	decisions *prometheus.CounterVec
	confirmed *prometheus.CounterVec
	findings  *prometheus.CounterVec
	behind    *prometheus.GaugeVec
	alerts    *prometheus.CounterVec
	commands  *prometheus.CounterVec
	dead      *prometheus.CounterVec
	failures  *prometheus.CounterVec
	calls     *prometheus.CounterVec
	turns     *prometheus.CounterVec
	late      *prometheus.GaugeVec
	notices   *prometheus.CounterVec
	unread    *prometheus.CounterVec
	steps     *prometheus.CounterVec
	asked     *prometheus.CounterVec
	away      *prometheus.GaugeVec
	taken     *prometheus.HistogramVec
}

// NewMetrics returns metrics that all stand at zero.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "curfew_" + name, Help: help}, labels)
		m.registry.MustRegister(vec)
		return vec
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "curfew_" + name, Help: help}, labels)
		m.registry.MustRegister(vec)
		return vec
	}
	m.records = counter("collector_records_total", "Vendor records read, repeats and dead letters among them.", "source", "feed")
	m.events = counter("collector_events_total", "Events stored.", "source", "feed")
	m.repeats = counter("collector_repeats_total", "Events left out because the lane holds them already.", "source", "feed")
	m.covered = gauge("collector_covered_until_seconds", "Unix time until which a feed is known to be read.", "source", "feed")
	m.webhooks = counter("collector_webhooks_total", "Webhooks by what became of them: stored, or why not.", "source", "outcome")
	m.observed = gauge("collector_inventory_whole_seconds", "Unix time of the newest inventory that was whole.", "source", "kind")
	m.entries = gauge("collector_inventory_entries", "Things known of a source.", "source", "kind")
	m.decisions = counter("evaluator_decisions_total", "Decisions written.", "source", "verdict")
	m.findings = counter("evaluator_findings_total", "Findings written.", "detection")
	m.confirmed = counter("evaluator_confirmed_total", "Decisions that Casbin was asked about again over every row; a mismatch must never be.", "result")
	m.behind = gauge("evaluator_behind_seconds", "From the receipt of the newest judged batch to its decisions.", "source", "feed")
	m.alerts = counter("notifier_alerts_total", "Alerts by what became of them at a receiver.", "receiver", "outcome")
	m.commands = counter("notifier_commands_total", "What people asked for in a receiver, by what became of it.", "receiver", "outcome")
	m.dead = counter("dead_letters_total", "Records and messages that could not be processed.", "service", "reason")
	m.failures = counter("failures_total", "Loops that broke off and began again.", "service", "loop")
	m.calls = counter("api_calls_total", "API calls by method and outcome.", "method", "code")
	m.turns = counter("notifier_turns_total", "Turns of grants that the clock brought, by what became of them.", "outcome")
	m.late = gauge("notifier_turn_late_seconds", "How late the latest turn of the newest batch was stored.")
	m.notices = counter("notifier_notices_total", "What people were told of grants, by what became of it.", "receiver", "kind", "outcome")
	m.unread = counter("unread_total", "Stored steps and records that cannot be read, so that what they are of stands as before them.", "service")
	m.steps = counter("clock_steps_total", "Times that the machine's clock was set by more than two seconds.", "outcome")
	m.asked = counter("collector_provision_calls_total", "Calls to give, take and read privileges, by what came of them.", "source", "call", "outcome")
	m.away = gauge("collector_provision_away", "Whether a source is taken to be away, so that it is only probed.", "source")
	m.taken = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "curfew_collector_provision_late_seconds", Help: "From a grant's end to the first call that takes a privilege of it.",
		Buckets: []float64{.1, .25, .5, 1, 2, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
	}, []string{"source"})
	m.registry.MustRegister(m.taken)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Collected counts one stored batch.
func (m *Metrics) Collected(source, feed string, records, events, repeats int) {
	m.records.WithLabelValues(source, feed).Add(float64(records))
	m.events.WithLabelValues(source, feed).Add(float64(events))
	m.repeats.WithLabelValues(source, feed).Add(float64(repeats))
}

// Covered sets until when a feed is known to be read.
func (m *Metrics) Covered(source, feed string, until time.Time) {
	m.covered.WithLabelValues(source, feed).Set(float64(until.Unix()))
}

// Webhook counts one delivery. Source is a configured one, or "" where none was meant.
func (m *Metrics) Webhook(source, outcome string) { m.webhooks.WithLabelValues(source, outcome).Inc() }

// Observed sets how many things of a kind are known of a source, and where the inventory was whole, that it was so now.
func (m *Metrics) Observed(source, kind string, entries int, whole bool) {
	m.entries.WithLabelValues(source, kind).Set(float64(entries))
	if whole {
		m.observed.WithLabelValues(source, kind).SetToCurrentTime()
	}
}

// Decided counts one decision.
func (m *Metrics) Decided(source, verdict string) { m.decisions.WithLabelValues(source, verdict).Inc() }

// Confirmed counts one decision that Casbin was asked about again over every row: "same", "mismatch", which must never be,
// or "skipped", since too many waited.
func (m *Metrics) Confirmed(result string) { m.confirmed.WithLabelValues(result).Inc() }

// Found counts one finding.
func (m *Metrics) Found(detection string) { m.findings.WithLabelValues(detection).Inc() }

// Behind sets how long the newest batch of a lane waited for its decisions.
func (m *Metrics) Behind(source, feed string, lag time.Duration) {
	m.behind.WithLabelValues(source, feed).Set(lag.Seconds())
}

// Alerted counts one alert by what became of it at a receiver: "posted", "told" what happened to it, "throttled", "refused",
// "unfit" in that form, "ambiguous", and then "found", "lost" or "repeated", "unanswered" or "untold".
func (m *Metrics) Alerted(receiver, outcome string) {
	m.alerts.WithLabelValues(receiver, outcome).Inc()
}

// Commanded counts one thing that a person asked for in a receiver: "asked", "done" or "refused", the last two with
// "-untold" where nobody could be told.
func (m *Metrics) Commanded(receiver, outcome string) {
	m.commands.WithLabelValues(receiver, outcome).Inc()
}

// Dead counts one dead letter.
func (m *Metrics) Dead(service, reason string) { m.dead.WithLabelValues(service, reason).Inc() }

// Failed counts one loop of a service that broke off.
func (m *Metrics) Failed(service, loop string) { m.failures.WithLabelValues(service, loop).Inc() }

// Called counts one API call.
func (m *Metrics) Called(method, code string) { m.calls.WithLabelValues(method, code).Inc() }

// Turned counts turns of grants: "stored", "conflict" where another step came first, or "failed".
func (m *Metrics) Turned(outcome string, turns int) {
	m.turns.WithLabelValues(outcome).Add(float64(turns))
}

// Late sets how late the latest turn of a batch was stored.
func (m *Metrics) Late(late time.Duration) { m.late.WithLabelValues().Set(late.Seconds()) }

// Noticed counts one notice: "sent" or "failed" by a receiver, or "dropped", with "-" for the receiver.
func (m *Metrics) Noticed(receiver, kind, outcome string) {
	m.notices.WithLabelValues(receiver, kind, outcome).Inc()
}

// Unread counts one stored step or record that a service cannot read.
func (m *Metrics) Unread(service string) { m.unread.WithLabelValues(service).Inc() }

// Stepped counts one step of the machine's clock: "doubted", or "believed" later.
func (m *Metrics) Stepped(outcome string) { m.steps.WithLabelValues(outcome).Inc() }

// Handler serves /metrics (Prometheus), /healthz (this process lives) and /readyz (ready returned nil; 503 and its
// error otherwise).
func Handler(m *Metrics, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// Serve serves Handler on an open listener until ctx ends, and closes it. Nil means that ctx ended.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(stopping) // what does not end in time is cut off by the process's end
	})
	defer stop()
	if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// Provisioned counts one call about a privilege: "read", "grant", "revoke" or "sessions", and "done", "already", "gone",
// "task", "refused" or "failed".
func (m *Metrics) Provisioned(source, call, outcome string) {
	m.asked.WithLabelValues(source, call, outcome).Inc()
}

// Away sets whether a source is taken to be away.
func (m *Metrics) Away(source string, away bool) {
	value := 0.0
	if away {
		value = 1
	}
	m.away.WithLabelValues(source).Set(value)
}

// Taking notes how long after a grant's end a privilege of it was first asked to be taken.
func (m *Metrics) Taking(source string, late time.Duration) {
	m.taken.WithLabelValues(source).Observe(late.Seconds())
}
