// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// administration is a fake org with some of each.
func administration(t *testing.T, setup fake.OktaConfig) (okta *fake.Okta, address string) {
	t.Helper()
	okta = fake.NewOkta(setup)
	okta.Put(
		fake.OktaUser{ID: "00u1", Login: "anna@example.com"}, fake.OktaUser{ID: "00u2", Login: "ben@example.com"},
		fake.OktaUser{ID: "00u3", Login: "cleo@example.com", Status: "DEPROVISIONED"},
		fake.OktaGroup{ID: "00g1", Name: "Payments"}, fake.OktaGroup{ID: "00g2", Type: "APP_GROUP"}, fake.OktaGroup{ID: "00g3", Type: "BUILT_IN"},
		fake.OktaApp{ID: "0oa1", Label: "Shop"}, fake.OktaApp{ID: "0oa2", Label: "Reports", Service: true},
	)
	server := httptest.NewServer(okta)
	t.Cleanup(server.Close)
	return okta, server.URL
}

// ask asks and returns status and body; 0 where the connection broke.
func ask(t *testing.T, method, address, body string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "SSWS invented")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", nil
	}
	return response.StatusCode, string(text), response.Header
}

func TestOktaAdministration(t *testing.T) {
	steps := []struct {
		method, path, body string
		status             int
		want               string // in the body
	}{
		{"GET", "/api/v1/users/00u1", "", 200, `"login":"anna@example.com"`},
		{"GET", "/api/v1/users/anna@example.com", "", 200, `"id":"00u1"`},
		{"GET", "/api/v1/users/me", "", 200, `"id":"00u2"`},
		{"GET", "/api/v1/users/00u9", "", 404, "E0000007"},
		{"GET", "/api/v1/users?limit=201", "", 400, "E0000001"},
		{"GET", "/api/v1/users?after=%25", "", 400, "E0000029"},
		{"GET", "/api/v1/apps/0oa1/groups?limit=2", "", 400, "E0000001"},
		{"GET", "/api/v1/nothing", "", 404, "E0000007"},
		{"POST", "/api/v1/users/00u1", "", 405, "E0000022"},

		{"PUT", "/api/v1/groups/00g1/users/00u1", "", 204, ""},
		{"PUT", "/api/v1/groups/00g1/users/00u1", "", 204, ""},
		{"GET", "/api/v1/users/00u1/groups", "", 200, `"id":"00g1"`},
		{"PUT", "/api/v1/groups/00g1/users/00u9", "", 404, "E0000007"},
		{"PUT", "/api/v1/groups/00g2/users/00u1", "", 403, "E0000006"},
		{"PUT", "/api/v1/groups/00g3/users/00u1", "", 501, "E0000060"},

		{"GET", "/api/v1/apps/0oa1/users/00u1", "", 404, "E0000007"},
		{"POST", "/api/v1/apps/0oa1/users", `{"id":"00u1","scope":"USER"}`, 200, `"scope":"USER"`},
		{"POST", "/api/v1/apps/0oa1/users", `{"id":"00u1","scope":"USER"}`, 409, "E0000062"},
		{"POST", "/api/v1/apps/0oa1/users", `{"id":"00u3","scope":"USER"}`, 403, "E0000117"},
		{"POST", "/api/v1/apps/0oa1/users", `{`, 400, "E0000003"},
		{"DELETE", "/api/v1/apps/0oa1/users/00u1", "", 204, ""},
		{"DELETE", "/api/v1/apps/0oa1/users/00u1", "", 404, "E0000007"},

		{"POST", "/api/v1/users/00u1/roles", `{"type":"READ_ONLY_ADMIN"}`, 201, `"type":"READ_ONLY_ADMIN"`},
		{"POST", "/api/v1/users/00u1/roles", `{"type":"READ_ONLY_ADMIN"}`, 409, "E0000090"},
		{"POST", "/api/v1/users/00u1/roles", `{"type":"CUSTOM","role":"cr09","resource-set":"iam1"}`, 404, "E0000007"},
		{"POST", "/api/v1/users/00u1/roles", `{}`, 400, "E0000001"},
		{"DELETE", "/api/v1/users/00u1/roles/ra9", "", 404, "E0000007"},

		{"POST", "/api/v1/apps/0oa2/grants", `{"scopeId":"okta.users.read","issuer":"https://another.example.com"}`, 400, "E0000001"},
		{"DELETE", "/api/v1/apps/0oa2/grants/oag9", "", 404, "E0000007"},
		{"DELETE", "/api/v1/users/00u1/sessions", "", 400, "E0000001"},
		{"DELETE", "/api/v1/users/00u1/sessions?oauthTokens=true", "", 204, ""},
	}
	okta, address := administration(t, fake.OktaConfig{Token: "invented", Owner: "00u2"})
	for _, step := range steps {
		status, body, _ := ask(t, step.method, address+step.path, step.body)
		if status != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s %s: got %d %s, want %d with %q", step.method, step.path, status, body, step.status, step.want)
		}
	}
	if got := okta.Changes(); got != 5 {
		t.Errorf("got %d changes, want 5", got)
	}
	okta.AssignGroup("0oa1", "00g1")
	if status, body, _ := ask(t, "DELETE", address+"/api/v1/apps/0oa1/users/00u1", ""); status != 403 || !strings.Contains(body, "E0000046") {
		t.Errorf("take an app that a group gives: got %d %s, want 403 E0000046", status, body)
	}
	okta.Forbid("GET /api/v1/groups/rules")
	if status, body, _ := ask(t, "GET", address+"/api/v1/groups/rules", ""); status != 403 || !strings.Contains(body, "E0000006") {
		t.Errorf("what is forbidden: got %d %s, want 403 E0000006", status, body)
	}
	okta.Delete("00g1")
	if status, body, _ := ask(t, "GET", address+"/api/v1/users/00u1/groups", ""); status != 200 || body != "[]" {
		t.Errorf("groups behind a group's end: got %d %s, want none", status, body)
	}
}

func TestOktaListsPage(t *testing.T) {
	okta, address := administration(t, fake.OktaConfig{})
	for n := range 9 {
		okta.Put(fake.OktaUser{ID: fmt.Sprintf("00u1%d", n), Login: fmt.Sprintf("p%d@example.com", n)})
	}
	var got []string
	next := address + "/api/v1/users?limit=4"
	for next != "" {
		status, body, header := ask(t, "GET", next, "")
		var page []struct{ ID string }
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 || len(page) > 4 {
			t.Fatalf("got %d %s, %v", status, body, err)
		}
		for _, person := range page {
			got = append(got, person.ID)
		}
		next = ""
		for _, link := range header.Values("Link") {
			if target, isNext := strings.CutSuffix(link, `>; rel="next"`); isNext {
				next = strings.TrimPrefix(target, "<")
			}
		}
	}
	want := []string{"00u1", "00u10", "00u11", "00u12", "00u13", "00u14", "00u15", "00u16", "00u17", "00u18", "00u2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: everybody once, in order, and nobody who is deactivated", got, want)
	}
}

func TestOktaLiesAndGoesAway(t *testing.T) {
	okta, address := administration(t, fake.OktaConfig{Faults: fake.Faults{LieEvery: 1, AwayAfter: 2, AwayFor: 2}})
	if status, _, _ := ask(t, "PUT", address+"/api/v1/groups/00g1/users/00u1", ""); status != 204 || okta.Changes() != 0 {
		t.Errorf("a lie: got %d and %d changes, want 204 and none", status, okta.Changes())
	}
	if status, body, _ := ask(t, "POST", address+"/api/v1/users/00u1/roles", `{"type":"READ_ONLY_ADMIN"}`); status != 201 || okta.Changes() != 0 {
		t.Errorf("a lie: got %d %s and %d changes, want 201 and none", status, body, okta.Changes())
	}
	for range 2 {
		// A changing request: Go's client asks by itself once more for any other.
		if status, body, _ := ask(t, "POST", address+"/api/v1/users/00u1/roles", `{}`); status != 0 {
			t.Errorf("away: got %d %s, want nobody", status, body)
		}
	}
	if status, _, _ := ask(t, "GET", address+"/api/v1/users/00u1", ""); status != 200 {
		t.Errorf("back: got %d, want 200", status)
	}
}

func TestOktaHidesAndTellsItsTime(t *testing.T) {
	clock := morning
	okta, address := administration(t, fake.OktaConfig{Clock: func() time.Time { return clock }})
	okta.Join("00g1", "00u1")
	okta.AssignGroup("0oa1", "00g1")
	okta.Put(fake.OktaRole{ID: "ra1", Holder: "00u1", Type: "USER_ADMIN"})
	okta.Hide("GET /api/v1/groups/00g1")
	for path, want := range map[string]string{
		"/api/v1/groups/00g1":          "E0000007",
		"/api/v1/groups/00g1/users":    `"00u1"`,
		"/api/v1/users/00u1/appLinks":  `"appInstanceId":"0oa1"`,
		"/api/v1/users/00u9/appLinks":  "E0000007",
		"/api/v1/users/00u1/roles/ra1": `"USER_ADMIN"`,
		"/api/v1/users/00u2/roles/ra1": "E0000007",
	} {
		_, body, header := ask(t, http.MethodGet, address+path, "")
		if !strings.Contains(body, want) || header.Get("Date") != morning.Format(http.TimeFormat) {
			t.Errorf("%s: got %s at %s, want %s at %v", path, body, header.Get("Date"), want, morning)
		}
	}
	okta.AddAt(morning.Add(time.Hour), fake.OktaEvent{Published: morning.Add(time.Hour)}.JSON())
	for _, want := range []int{0, 1} {
		if got := get(t, address+"/api/v1/logs?sortOrder=ASCENDING&since=2026-03-02T08:00:00Z", ""); len(got.uuids) != want {
			t.Errorf("at %v: got %d records, want %d", clock, len(got.uuids), want)
		}
		clock = clock.Add(time.Hour)
	}
}
