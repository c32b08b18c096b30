// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/fake"
)

// askM365 asks with the token and returns status, body and header; 0 where the connection broke.
func askM365(t *testing.T, method, address, body string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer invented")
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

// serveM365 is a fake tenant at an address, on a morning of its own.
func serveM365(t *testing.T, setup fake.M365Config) (tenant *fake.M365, address string) {
	t.Helper()
	setup.Token, setup.Now = "invented", func() time.Time { return morning }
	tenant = fake.NewM365(setup)
	server := httptest.NewServer(tenant)
	t.Cleanup(server.Close)
	return tenant, server.URL
}

func TestM365Refuses(t *testing.T) {
	feed := "/api/v1.0/11111111-2222-4333-8444-555555555555/activity/feed/"
	who := "contentType=Audit.SharePoint&PublisherIdentifier=x"
	window := "&startTime=2026-03-02T06:00:00&endTime=2026-03-02T08:00:00"
	filter := "$filter=" + url.PathEscape("activityDateTime ge 2026-03-02T06:00:00Z and activityDateTime le 2026-03-02T08:00:00Z")
	tests := []struct {
		name, method, path string
		setup              fake.M365Config
		status             int
		want               string // in the body
	}{
		{name: "a window", path: feed + "subscriptions/content?" + who + window, status: 200, want: "[]"},
		{name: "another tenant", path: strings.Replace(feed, "1111", "9999", 1) + "subscriptions/list?" + who, status: 400, want: "AF20010"},
		{name: "nobody's publisher", path: feed + "subscriptions/list", status: 403, want: "AF429"},
		{name: "a type that is none", path: feed + "subscriptions/content?contentType=Audit.Fax&PublisherIdentifier=x" + window, status: 400, want: "AF20020"},
		{name: "no subscription", path: feed + "subscriptions/content?contentType=Audit.General&PublisherIdentifier=x" + window, status: 400, want: "AF20022"},
		{name: "a subscription twice", method: "POST", path: feed + "subscriptions/start?" + who, status: 400, want: "AF20024"},
		{name: "a window of two days", path: feed + "subscriptions/content?" + who + "&startTime=2026-02-28T06:00:00&endTime=2026-03-02T08:00:00", status: 400, want: "AF20055"},
		{name: "a window too long ago", path: feed + "subscriptions/content?" + who + "&startTime=2026-02-22T06:00:00&endTime=2026-02-22T08:00:00", status: 400, want: "AF20055"},
		{name: "another's page", path: feed + "subscriptions/content?" + who + window + "&nextPage=0R9", status: 400, want: "AF20031"},
		{name: "a blob that is none", path: feed + "audit/x?" + who, status: 404, want: "AF20050"},
		{name: "no permission for what matched", path: feed + "subscriptions/content?contentType=DLP.All&PublisherIdentifier=x" + window, setup: fake.M365Config{Permissions: []string{"ActivityFeed.Read"}}, status: 401, want: "AF10001"},

		{name: "a log", path: "/v1.0/auditLogs/directoryAudits?$top=999&" + filter, status: 200, want: `"value":[]`},
		{name: "another version", path: "/beta/auditLogs/directoryAudits", status: 404, want: "ResourceNotFound"},
		{name: "another log", path: "/v1.0/auditLogs/faxes?" + filter, status: 400, want: "BadRequest"},
		{name: "too large a page", path: "/v1.0/auditLogs/directoryAudits?$top=1000&" + filter, status: 400, want: "$top"},
		{name: "another filter", path: "/v1.0/auditLogs/directoryAudits?$filter=id", status: 400, want: "filter"},
		{name: "another's token for a page", path: "/v1.0/auditLogs/directoryAudits?$skiptoken=x&" + filter, status: 400, want: "Skip token"},
		{name: "no permission for logs", path: "/v1.0/auditLogs/signIns", setup: fake.M365Config{Permissions: []string{}}, status: 403, want: "Authentication_MSGraphPermissionMissing"},
		{name: "no plan", path: "/v1.0/auditLogs/signIns", setup: fake.M365Config{NoPremium: true}, status: 403, want: "Authentication_RequestFromNonPremiumTenantOrB2CTenant"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.setup.Subscribed = []string{"Audit.SharePoint"}
			_, address := serveM365(t, test.setup)
			if test.method == "" {
				test.method = http.MethodGet
			}
			status, body, _ := askM365(t, test.method, address+test.path, "")
			if status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want %d with %s", status, body, test.status, test.want)
			}
		})
	}
	_, address := serveM365(t, fake.M365Config{})
	for _, path := range []string{"/v1.0/users", feed + "subscriptions/list"} {
		response, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // its status is what counts
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a token: got %d, want 401", path, response.StatusCode)
		}
	}
}

func TestM365Token(t *testing.T) {
	sound := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"invented-secret"}, "scope": {"https://graph.example.com/.default"}}
	tests := []struct {
		name, key, value, tenant string
		status                   int
		want                     string
	}{
		{name: "all right", status: 200, want: `"access_token":"invented"`},
		{name: "another grant", key: "grant_type", value: "password", status: 400, want: "unsupported_grant_type"},
		{name: "another app", key: "client_id", value: "other", status: 400, want: "unauthorized_client"},
		{name: "another secret", key: "client_secret", value: "other", status: 401, want: "invalid_client"},
		{name: "a scope of its own", key: "scope", value: "User.Read.All", status: 400, want: "invalid_scope"},
		{name: "another tenant", tenant: "shop.example.com", status: 400, want: "AADSTS90002"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tenant, address := serveM365(t, fake.M365Config{ClientID: "app", Secret: "invented-secret"})
			form := url.Values{}
			for key, values := range sound {
				form[key] = values
			}
			if test.key != "" {
				form.Set(test.key, test.value)
			}
			if test.tenant == "" {
				test.tenant = tenant.Tenant()
			}
			response, err := http.PostForm(address+"/"+test.tenant+"/oauth2/v2.0/token", form)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.want) {
				t.Errorf("got %d %s, %v, want %d with %s", response.StatusCode, body, err, test.status, test.want)
			}
		})
	}
}

// On the worst day everything is there in the end, some of it twice, and each time the same way.
func TestM365WorstDay(t *testing.T) {
	walk := func(seed uint64) (seen map[string]int, statuses []int) {
		tenant, address := serveM365(t, fake.M365Config{
			Subscribed: []string{"Audit.SharePoint"}, LateEvery: 5, LateBy: 6, RepeatEvery: 5,
			Faults: fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 9, DropReplyEvery: 9},
		})
		var records []json.RawMessage
		for n := range 40 {
			records = append(records, fake.M365Activity{Number: uint64(n)}.JSON())
		}
		tenant.Add("Audit.SharePoint", records...)
		tenant.Settle()
		until := func(address string) (string, http.Header) {
			for range 100 {
				status, body, header := askM365(t, http.MethodGet, address, "")
				statuses = append(statuses, status)
				if status == http.StatusOK {
					return body, header
				}
			}
			t.Fatal("it does not answer")
			return "", nil
		}
		seen = map[string]int{}
		next := address + "/api/v1.0/" + tenant.Tenant() + "/activity/feed/subscriptions/content?contentType=Audit.SharePoint" +
			"&startTime=2026-03-02T07:00:00&endTime=2026-03-02T09:00:00"
		for next != "" {
			body, header := until(next + "&PublisherIdentifier=x")
			next = header.Get("NextPageUri")
			var blobs []struct {
				URI string `json:"contentUri"`
			}
			if err := json.Unmarshal([]byte(body), &blobs); err != nil {
				t.Fatal(err)
			}
			for _, blob := range blobs {
				body, _ := until(blob.URI + "?PublisherIdentifier=x")
				var records []struct{ ID string }
				if err := json.Unmarshal([]byte(body), &records); err != nil {
					t.Fatal(err)
				}
				for _, record := range records {
					seen[record.ID]++
				}
			}
		}
		return seen, statuses
	}
	seen, statuses := walk(1)
	repeats := 0
	for _, times := range seen {
		if times > 1 {
			repeats++
		}
	}
	if len(seen) != 40 || repeats == 0 {
		t.Errorf("got %d records, %d of them twice, want 40 and some", len(seen), repeats)
	}
	for _, status := range []int{0, http.StatusForbidden, http.StatusInternalServerError} {
		if !slices.Contains(statuses, status) {
			t.Errorf("got statuses %v, want %d among them", statuses, status)
		}
	}
	again, statusesAgain := walk(1)
	if fmt.Sprint(seen) != fmt.Sprint(again) || !slices.Equal(statuses, statusesAgain) {
		t.Error("the same seed made another day")
	}
	if _, other := walk(2); slices.Equal(statuses, other) {
		t.Error("another seed made the same day")
	}
}
