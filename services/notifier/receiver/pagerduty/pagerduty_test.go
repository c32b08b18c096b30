// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package pagerduty_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/config"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receiver/pagerduty"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

func open(t *testing.T, address string) *pagerduty.Receiver {
	t.Helper()
	r, err := pagerduty.New(pagerduty.Config{URL: address, RoutingKey: config.SecretValue(receivertest.Secret)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type event struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	Key        string `json:"dedup_key"`
	Payload    *struct {
		Summary, Source, Severity string
		Details                   map[string]string `json:"custom_details"`
	}
}

// read is an event as the Events API v2 takes it.
func read(r *http.Request, body []byte) (event, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	switch {
	case r.URL.Path != "/v2/enqueue" || e.RoutingKey != receivertest.Secret:
		return e, fmt.Errorf("got %s with key %q", r.URL.Path, e.RoutingKey)
	case !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action):
		return e, fmt.Errorf("got action %q", e.Action)
	case e.Key == "" || utf8.RuneCountInString(e.Key) > 255:
		return e, fmt.Errorf("got dedup_key %q", e.Key)
	case e.Action != "trigger":
		return e, nil
	case e.Payload == nil || e.Payload.Summary == "" || utf8.RuneCountInString(e.Payload.Summary) > 1024 || e.Payload.Source == "":
		return e, fmt.Errorf("got payload %+v", e.Payload)
	case !slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity):
		return e, errors.New("got severity " + e.Payload.Severity)
	}
	return e, nil
}

func TestReceiver(t *testing.T) {
	receivertest.Run(t, receivertest.Case{
		Open:    func(t *testing.T, address string) receivertest.Receiver { return open(t, address) },
		Secrets: []string{receivertest.Secret},
		Far: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"status":"success"}`)
		},
		Check: func(r *http.Request, body []byte) error {
			_, err := read(r, body)
			return err
		},
		Key: func(r *http.Request, body []byte) string {
			e, err := read(r, body)
			if err != nil {
				return ""
			}
			return e.Key
		},
		Most: 512 << 10,
	})
}

// TestLife follows an alert from its trigger to the trigger of its next episode.
func TestLife(t *testing.T) {
	var got event
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			got, err = read(r, body)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer far.Close()
	r := open(t, far.URL)
	post := receivertest.Post(receivertest.Alert())
	a := post.Alerts[0]
	ref, err := r.Post(t.Context(), post)
	if err != nil || got.Action != "trigger" || got.Payload.Severity != "critical" || ref != got.Key || got.Key != "curfew-f00dfeedf00dfeedf00dfeed-2" {
		t.Errorf("got %+v at %q, %v", got, ref, err)
	}
	if got.Payload.Details["Change 1"] != "visibility: private → people_with_link" || got.Payload.Details["When"] != "2026-11-02 09:14:03 UTC" {
		t.Errorf("got details %v", got.Payload.Details)
	}
	for _, step := range []struct {
		state curfewv1.AlertState
		want  string
	}{
		{curfewv1.AlertState_ALERT_STATE_OPEN, "trigger"}, {curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED, "acknowledge"}, {curfewv1.AlertState_ALERT_STATE_RESOLVED, "resolve"},
	} {
		a.State = step.state
		if err := r.Edit(t.Context(), ref, post); err != nil || got.Action != step.want || got.Key != ref {
			t.Errorf("%v: got %+v, %v, want %s", step.state, got, err, step.want)
		}
	}
	if _, err := r.Post(t.Context(), post); err != nil || got.Action != "resolve" {
		t.Errorf("posted once resolved: got %+v, %v, want resolve", got, err)
	}
	a.Episode, a.State = a.Episode+1, curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED
	if _, err := r.Post(t.Context(), post); err != nil || got.Key == ref || got.Action != "trigger" {
		t.Errorf("next episode: got %q again, %v", got.Key, err)
	}
	several := receivertest.Post(receivertest.Alert(), receivertest.Alert())
	several.Alerts[0].State = curfewv1.AlertState_ALERT_STATE_RESOLVED
	if err := r.Edit(t.Context(), "curfew-post-1", several); err != nil || got.Action != "trigger" {
		t.Errorf("one of two is open: got %+v, %v, want trigger", got, err)
	}
}

func TestConfig(t *testing.T) {
	key := config.SecretValue(receivertest.Secret)
	for want, c := range map[string]pagerduty.Config{
		"routing_key: none is named": {},
		"https alone":                {RoutingKey: key, URL: "http://events.example.com"},
		"more than the host":         {RoutingKey: key, URL: "https://events.example.com/v2/enqueue"},
	} {
		if _, err := pagerduty.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := pagerduty.New(pagerduty.Config{RoutingKey: key}); err != nil {
		t.Error(err)
	}
}
