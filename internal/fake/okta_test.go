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

var morning = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)

// signIns are n records, a second apart.
func signIns(n int) (records []json.RawMessage, uuids []string) {
	for i := range n {
		e := fake.OktaEvent{Number: uint64(i), Published: morning.Add(time.Duration(i) * time.Second)}
		records, uuids = append(records, e.JSON()), append(uuids, e.ID())
	}
	return records, uuids
}

type page struct {
	status int
	uuids  []string
	times  []time.Time
	next   string
	code   string
	header http.Header
	broken error
}

func get(t *testing.T, address, token string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "SSWS "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return page{broken: err}
	}
	defer response.Body.Close()
	got := page{status: response.StatusCode, header: response.Header}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return page{broken: err}
	}
	for _, link := range response.Header.Values("Link") {
		if target, isNext := strings.CutSuffix(link, `>; rel="next"`); isNext {
			got.next = strings.TrimPrefix(target, "<")
		}
	}
	if got.status != http.StatusOK {
		var refusal struct{ ErrorCode string }
		if err := json.Unmarshal(body, &refusal); err != nil {
			t.Fatalf("read the refusal %q: %v", body, err)
		}
		got.code = refusal.ErrorCode
		return got
	}
	var records []struct {
		UUID      string
		Published time.Time
	}
	if err := json.Unmarshal(body, &records); err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		got.uuids, got.times = append(got.uuids, record.UUID), append(got.times, record.Published)
	}
	return got
}

// walk follows next links until an empty page and asks again where the vendor fails; it returns what it saw in order.
func walk(t *testing.T, address, token string) (uuids []string, times []time.Time) {
	t.Helper()
	for range 10_000 {
		got := get(t, address, token)
		if got.broken != nil || got.status != http.StatusOK {
			continue
		}
		if len(got.uuids) == 0 {
			return uuids, times
		}
		uuids, times, address = append(uuids, got.uuids...), append(times, got.times...), got.next
	}
	t.Fatal("the walk does not end")
	return nil, nil
}

func TestOktaPages(t *testing.T) {
	okta := fake.NewOkta(fake.OktaConfig{Token: "invented"})
	server := httptest.NewServer(okta)
	defer server.Close()
	records, want := signIns(25)
	okta.Add(records...)
	first := server.URL + "/api/v1/logs?sortOrder=ASCENDING&limit=10&since=2026-03-02T08:00:05Z"
	if got, _ := walk(t, first, "invented"); !slices.Equal(got, want[5:]) {
		t.Errorf("got %q, want %q", got, want[5:])
	}
	empty := get(t, server.URL+"/api/v1/logs?sortOrder=ASCENDING&since=2026-03-02T09:00:00Z", "invented")
	if empty.status != http.StatusOK || len(empty.uuids) != 0 || empty.next == "" {
		t.Errorf("empty page: got %+v, want status 200, no record and a next link", empty)
	}
	more, happened := signIns(26)
	okta.Add(more[25])
	if got := get(t, empty.next, "invented"); !slices.Equal(got.uuids, happened[25:]) {
		t.Errorf("behind the empty page: got %q, want %q", got.uuids, happened[25:])
	}
}

func TestOktaRefuses(t *testing.T) {
	okta := fake.NewOkta(fake.OktaConfig{Token: "invented"})
	server := httptest.NewServer(okta)
	defer server.Close()
	logs := server.URL + "/api/v1/logs?sortOrder=ASCENDING"
	next := get(t, logs, "invented").next
	okta.Expire()
	tests := []struct {
		name, address, token string
		status               int
		code                 string
	}{
		{"the wrong token", logs, "another", 401, "E0000011"},
		{"another path", server.URL + "/api/v1/nothing", "invented", 404, "E0000007"},
		{"an expired cursor", next, "invented", 400, "E0000001"},
		{"a cursor made up", logs + "&after=1", "invented", 400, "E0000001"},
		{"a time that is none", logs + "&since=today", "invented", 400, "E0000001"},
		{"too large a page", logs + "&limit=1001", "invented", 400, "E0000001"},
		{"a bounded request", logs + "&until=2026-03-02T08:00:00Z", "invented", 400, "E0000001"},
		{"the other order", server.URL + "/api/v1/logs", "invented", 400, "E0000001"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := get(t, test.address, test.token); got.status != test.status || got.code != test.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.code, test.status, test.code)
			}
		})
	}
}

func TestOktaOnItsWorstDay(t *testing.T) {
	records, want := signIns(300)
	run := func(seed uint64) (got []string, faults map[string]int, backwards int) {
		okta := fake.NewOkta(fake.OktaConfig{
			Faults: fake.Faults{Seed: seed, RateLimitEvery: 5, ServerErrorEvery: 6, DropReplyEvery: 4}, LateEvery: 5, LateBy: 6,
		})
		server := httptest.NewServer(okta)
		defer server.Close()
		okta.Add(records...)
		faults = map[string]int{}
		address := server.URL + "/api/v1/logs?sortOrder=ASCENDING&limit=7"
		var times []time.Time
		for range 400 {
			page := get(t, address, "")
			switch {
			case page.broken != nil:
				faults["dropped"]++
			case page.status == http.StatusTooManyRequests:
				faults["limited"]++
				if page.header.Get("X-Rate-Limit-Reset") == "" {
					t.Error("a refusal for too many requests says no time to come back")
				}
			case page.status == http.StatusInternalServerError:
				faults["broken"]++
			default:
				got, times, address = append(got, page.uuids...), append(times, page.times...), page.next
			}
		}
		for i := 1; i < len(times); i++ {
			if times[i].Before(times[i-1]) {
				backwards++
			}
		}
		return got, faults, backwards
	}
	first, faults, backwards := run(1)
	again, _, _ := run(1)
	other, _, _ := run(2)
	if faults["dropped"] == 0 || faults["limited"] == 0 || faults["broken"] == 0 || backwards == 0 {
		t.Errorf("got faults %v and %d records out of order, want some of each", faults, backwards)
	}
	if !slices.Equal(first, again) {
		t.Error("one seed gave two orders")
	}
	if slices.Equal(first, other) {
		t.Error("two seeds gave one order")
	}
	slices.Sort(first)
	slices.Sort(want)
	if !slices.Equal(first, want) {
		t.Errorf("got %d records, want each of the %d once", len(first), len(want))
	}
}

func TestOktaAddAt(t *testing.T) {
	okta := fake.NewOkta(fake.OktaConfig{})
	server := httptest.NewServer(okta)
	defer server.Close()
	records, uuids := signIns(3)
	okta.AddAt(time.Now().Add(-time.Second), records[1])
	okta.AddAt(time.Now().Add(time.Hour), records[2])
	okta.AddAt(time.Now().Add(-time.Minute), records[0])
	if got := get(t, server.URL+"/api/v1/logs?sortOrder=ASCENDING", ""); !slices.Equal(got.uuids, uuids[:2]) {
		t.Errorf("got %q, want what is due, %q", got.uuids, uuids[:2])
	}
}

func TestOktaEvent(t *testing.T) {
	var record map[string]any
	if err := json.Unmarshal(fake.OktaEvent{Seed: 3, Number: 4}.JSON(), &record); err != nil {
		t.Fatal(err)
	}
	// What a LogEvent of Okta has: https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/.
	for _, key := range []string{"actor", "authenticationContext", "client", "debugContext", "displayMessage", "eventType", "outcome",
		"published", "request", "securityContext", "severity", "target", "transaction", "uuid", "version"} {
		if _, there := record[key]; !there {
			t.Errorf("the record has no %s", key)
		}
	}
	ids := map[string]bool{}
	for seed := range uint64(3) {
		for number := range uint64(100) {
			ids[fake.OktaEvent{Seed: seed, Number: number}.ID()] = true
		}
	}
	if len(ids) != 300 {
		t.Errorf("got %d ids for 300 events, want one each", len(ids))
	}
	if got, want := fmt.Sprint(fake.OktaPerson("anna.berg").DisplayName), "Anna Berg"; got != want {
		t.Errorf("got name %q, want %q", got, want)
	}
}
