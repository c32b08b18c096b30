// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// askSlack asks a fake Slack and returns the status and the answer's members.
func askSlack(t *testing.T, slack http.Handler, token, path string) (int, map[string]any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	slack.ServeHTTP(recorder, request)
	body, err := io.ReadAll(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: got %q: %v", path, body, err)
	}
	return recorder.Code, answer
}

func slackIDs(answer map[string]any) string {
	var ids []string
	for _, entry := range answer["entries"].([]any) {
		ids = append(ids, entry.(map[string]any)["id"].(string))
	}
	return strings.Join(ids, " ")
}

func TestSlackAuditLog(t *testing.T) {
	slack := NewSlack(SlackConfig{Token: "invented"})
	for i := range 5 {
		slack.Add(SlackAuditLog, SlackAudit{ID: fmt.Sprint("e", i), Time: slackDay.Add(time.Duration(i/2) * time.Second)}.JSON())
	}
	bounds := func(oldest, latest int, more string) string {
		return fmt.Sprintf("/audit/v1/logs?oldest=%d&latest=%d%s", slackDay.Unix()+int64(oldest), slackDay.Unix()+int64(latest), more)
	}
	// Both ends are in it, in whole seconds, newest first.
	for query, want := range map[string]string{
		bounds(0, 2, ""): "e4 e2 e3 e0 e1", bounds(1, 1, ""): "e2 e3", bounds(3, 9, ""): "", bounds(0, 0, "&limit=1"): "e0",
	} {
		if status, answer := askSlack(t, slack, "invented", query); status != http.StatusOK || slackIDs(answer) != want {
			t.Errorf("%s: got %d %v, want %q", query, status, answer, want)
		}
	}
	_, first := askSlack(t, slack, "invented", bounds(1, 2, "&limit=2"))
	cursor := "&cursor=" + url.QueryEscape(first["response_metadata"].(map[string]any)["next_cursor"].(string))
	if _, second := askSlack(t, slack, "invented", bounds(1, 2, cursor)); slackIDs(second) != "e3" {
		t.Errorf("the second page: got %q, want e3", slackIDs(second))
	}
	// Without oldest a cursor leads on to the beginning of the log.
	if _, second := askSlack(t, slack, "invented", "/audit/v1/logs?limit=10"+cursor); slackIDs(second) != "e3 e0 e1" {
		t.Errorf("the second page without oldest: got %q, want all the rest", slackIDs(second))
	}
	slack.Expire()
	for query, want := range map[string]string{
		bounds(1, 2, cursor): "invalid_cursor", bounds(1, 2, "&cursor=x"): "invalid_cursor", bounds(1, 2, "&limit=10000"): "invalid_arguments",
		bounds(1, 2, "&limit=0"): "invalid_arguments", "/audit/v1/logs?oldest=soon": "invalid_arguments",
	} {
		if status, answer := askSlack(t, slack, "invented", query); status != http.StatusBadRequest || answer["error"] != want {
			t.Errorf("%s: got %d %v, want %s", query, status, answer, want)
		}
	}
}

func TestSlackRefuses(t *testing.T) {
	tests := []struct {
		config SlackConfig
		path   string
		status int
		want   string
	}{
		{SlackConfig{Token: "another"}, "/audit/v1/logs", 401, "invalid_auth"},
		{SlackConfig{Plan: "other"}, "/audit/v1/logs", 403, "feature_not_enabled"},
		{SlackConfig{Scopes: []string{"admin"}}, "/audit/v1/logs", 403, "missing_scope"},
		{SlackConfig{Token: "another"}, "/api/team.integrationLogs", 200, "invalid_auth"},
		{SlackConfig{}, "/api/team.integrationLogs", 200, "missing_argument"},
		{SlackConfig{Plan: "free"}, "/api/team.accessLogs", 200, "paid_only"},
		{SlackConfig{Plan: "other", Scopes: []string{}}, "/api/team.accessLogs", 200, "missing_scope"},
		{SlackConfig{Plan: "other"}, "/api/team.accessLogs?count=1001", 200, "over_pagination_limit"},
		{SlackConfig{Plan: "other"}, "/api/team.accessLogs?page=101", 200, "over_pagination_limit"},
		{SlackConfig{Plan: "other"}, "/api/users.list?cursor=foreign", 200, "invalid_cursor"},
		{SlackConfig{Plan: "other"}, "/api/users.list?limit=1001", 200, "invalid_limit"},
		{SlackConfig{Plan: "other"}, "/api/admin.teams.list", 200, "feature_not_enabled"},
		{SlackConfig{Plan: "other"}, "/api/no.such.method", 200, "unknown_method"},
		{SlackConfig{Plan: "other"}, "/elsewhere", 200, "unknown_method"},
		{SlackConfig{Faults: Faults{RateLimitEvery: 1}}, "/audit/v1/logs", 429, "ratelimited"},
		{SlackConfig{Faults: Faults{ServerErrorEvery: 1}}, "/api/users.list", 500, "internal_error"},
	}
	for _, test := range tests {
		if status, answer := askSlack(t, NewSlack(test.config), "invented", test.path); status != test.status || answer["error"] != test.want || answer["ok"] != false {
			t.Errorf("%s of %+v: got %d %v, want %d %s", test.path, test.config, status, answer, test.status, test.want)
		}
	}
}

// Pages are counted from the newest record, so that what arrives moves the others down.
func TestSlackPagesMove(t *testing.T) {
	slack := NewSlack(SlackConfig{Plan: "other"})
	add := func(app string, minute int) {
		slack.Add(SlackIntegrationLog, SlackIntegration{AppID: app, Time: slackDay.Add(time.Duration(minute) * time.Minute)}.JSON())
	}
	page := func(n int) string {
		_, answer := askSlack(t, slack, "", fmt.Sprintf("/api/team.integrationLogs?count=2&page=%d", n))
		var apps []string
		for _, record := range answer["logs"].([]any) {
			apps = append(apps, record.(map[string]any)["app_id"].(string))
		}
		return strings.Join(apps, " ")
	}
	for i, app := range []string{"A0", "A1", "A2", "A3"} {
		add(app, i)
	}
	if got := page(1) + ", " + page(2) + ", " + page(3); got != "A3 A2, A1 A0, " {
		t.Errorf("got %q, want newest first", got)
	}
	add("A4", 4)
	if got := page(2); got != "A2 A1" {
		t.Errorf("the second page later: got %q, want it moved", got)
	}
}

func TestSlackVisitsGrow(t *testing.T) {
	slack := NewSlack(SlackConfig{Plan: "other"})
	anna, max := SlackPerson("anna.berg"), SlackPerson("max.moor")
	slack.Visit(SlackLogin{User: anna, First: slackDay})
	slack.Visit(SlackLogin{User: max, First: slackDay.Add(time.Minute)})
	slack.Visit(SlackLogin{User: anna, First: slackDay.Add(time.Hour)})
	_, answer := askSlack(t, slack, "", "/api/team.accessLogs")
	var got []string
	for _, login := range answer["logins"].([]any) {
		l := login.(map[string]any)
		got = append(got, fmt.Sprint(l["username"], " ", l["count"], " ", l["date_last"].(float64)-l["date_first"].(float64)))
	}
	if want := "anna.berg 2 3600, max.moor 1 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ", "), want)
	}
}

// The same seed has the same faults, lateness and duplicates.
func TestSlackIsRepeatable(t *testing.T) {
	run := func(seed uint64) string {
		slack := NewSlack(SlackConfig{
			Faults: Faults{Seed: seed, RateLimitEvery: 4, ServerErrorEvery: 4}, LateEvery: 3, LateBy: 3, DuplicateEvery: 4, ShortEvery: 2,
		})
		var told strings.Builder
		for i := range 40 {
			slack.Add(SlackAuditLog, SlackAudit{Number: uint64(i), Time: slackDay.Add(time.Duration(i) * time.Second)}.JSON())
			status, answer := askSlack(t, slack, "", "/audit/v1/logs?limit=5")
			text, err := json.Marshal(answer)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&told, status, string(text))
		}
		return told.String()
	}
	first := run(1)
	if again := run(1); again != first {
		t.Error("one seed: got two runs, want one")
	}
	if first == run(2) {
		t.Error("two seeds: got one run, want two")
	}
}
