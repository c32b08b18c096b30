// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/telemetry"
)

func get(t *testing.T, handler http.Handler, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	m := telemetry.NewMetrics()
	m.Collected("okta", "system_log", 5, 3, 1)
	m.Covered("okta", "system_log", time.Unix(100, 0))
	m.Decided("okta", "VERDICT_ALLOWED")
	m.Found("unauthorized_access")
	m.Behind("okta", "system_log", time.Second)
	m.Alerted("console", "posted")
	m.Commanded("slack", "done")
	m.Dead("collector", "not JSON")
	m.Failed("collector", "feed")
	m.Called("/x", "OK")
	var ill error
	handler := telemetry.Handler(m, func(context.Context) error { return ill })
	_, body := get(t, handler, "/metrics")
	for _, want := range []string{
		`curfew_collector_records_total{feed="system_log",source="okta"} 5`, `curfew_collector_events_total{feed="system_log",source="okta"} 3`,
		`curfew_collector_repeats_total{feed="system_log",source="okta"} 1`, `curfew_collector_covered_until_seconds{feed="system_log",source="okta"} 100`,
		`curfew_evaluator_decisions_total{source="okta",verdict="VERDICT_ALLOWED"} 1`, `curfew_evaluator_findings_total{detection="unauthorized_access"} 1`,
		`curfew_evaluator_behind_seconds{feed="system_log",source="okta"} 1`, `curfew_notifier_alerts_total{outcome="posted",receiver="console"} 1`, `curfew_notifier_commands_total{outcome="done",receiver="slack"} 1`,
		`curfew_dead_letters_total{reason="not JSON",service="collector"} 1`, `curfew_failures_total{loop="feed",service="collector"} 1`,
		`curfew_api_calls_total{code="OK",method="/x"} 1`, "process_resident_memory_bytes",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if status, body := get(t, handler, "/readyz"); status != http.StatusOK || body != "ready\n" {
		t.Errorf("ready: got %d %q", status, body)
	}
	ill = errors.New("NATS is not connected")
	if status, body := get(t, handler, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "NATS") {
		t.Errorf("not ready: got %d %q", status, body)
	}
	if status, _ := get(t, handler, "/healthz"); status != http.StatusOK {
		t.Errorf("alive: got %d", status)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- telemetry.Serve(ctx, listener, telemetry.Handler(telemetry.NewMetrics(), func(context.Context) error { return nil }))
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "ok\n" {
		t.Errorf("got %q, %v", body, err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
