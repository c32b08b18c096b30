// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestSubscribes(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source, vendor := watched(t, fake.M365Config{}, &now)
	source.config.Since = time.Hour
	lane := &follow{t: t, source: source, feed: feedSharePoint}
	vendor.Add("Audit.SharePoint", fake.M365Activity{Number: 1}.JSON())
	if batch := lane.poll(); len(batch.GetEvents()) != 0 || batch.GetCoverage() != nil {
		t.Errorf("got %d events, covered %q, want none: before there was a subscription nothing is kept", len(batch.GetEvents()), covered(batch))
	}
	content := "GET content endTime=2026-03-09T12:00:00&startTime=2026-03-09T11:00:00"
	if want := []string{content, "POST start"}; !slices.Equal(vendor.asked, want) {
		t.Errorf("got requests %q, want %q", vendor.asked, want)
	}
	vendor.Add("Audit.SharePoint", fake.M365Activity{Number: 2}.JSON())
	now = now.Add(3 * time.Hour)
	got := 0
	last := lane.poll()
	for ; last.GetMore(); last = lane.poll() {
		got += len(last.GetEvents())
	}
	if got += len(last.GetEvents()); got != 1 || covered(last) != "09 12:00 to 09 13:00" {
		t.Errorf("got %d events, covered %q, want one, and what is covered to begin with the subscription", got, covered(last))
	}
}

// answers is a server that answers with statuses and bodies by what a request's address holds.
func answers(t *testing.T, answers map[string]string, status int) (source *Source, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for part, body := range answers {
			if strings.Contains(r.URL.String(), part) {
				if strings.HasPrefix(body, "{\"error\"") {
					w.WriteHeader(status)
				}
				// The client may have gone.
				_, _ = w.Write([]byte(strings.ReplaceAll(body, "HOST", "http://"+r.Host)))
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	return newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true}), asked
}

func TestSubscriptionIsAskedForSeldom(t *testing.T) {
	source, asked := answers(t, map[string]string{
		"/content": `{"error":{"code":"AF20022","message":"No subscription found for the specified content type."}}`,
		"/start":   `{"error":{"code":"AF20024","message":"The subscription is already enabled. No property change."}}`,
	}, http.StatusBadRequest)
	now := time.Now()
	source.client.Now = func() time.Time { return now }
	starts := func() (n int) {
		for _, a := range *asked {
			if strings.HasPrefix(a, "POST ") {
				n++
			}
		}
		return n
	}
	cursor := ""
	// That it was started, and then that it is not there yet, goes into the cursor first.
	for i, want := range []int{1, 1, 1, 1, 2} {
		if i == 4 {
			now = now.Add(16 * time.Minute)
		}
		batch, err := source.Poll(t.Context(), feedDLP, cursor)
		if (err == nil) != (i < 2 || i == 4) || starts() != want || batch.GetCoverage() != nil {
			t.Errorf("poll %d: got error %v after %d starts, want %d", i+1, err, starts(), want)
		}
		if err == nil {
			cursor = batch.GetCursor()
		}
	}
}

// Who asks is said in every request: those who do not say it share one quota.
func TestPublisherIsAlwaysSent(t *testing.T) {
	source, asked := answers(t, map[string]string{
		"/content": `[{"contentId":"a","contentUri":"HOST/api/v1.0/` + tenantID + `/activity/feed/audit/a","contentCreated":"2026-03-09T12:00:00.000Z"}]`,
		"/audit/":  `[]`,
	}, 0)
	if _, err := source.Poll(t.Context(), feedDLP, ""); err != nil {
		t.Fatal(err)
	}
	for _, a := range *asked {
		if !strings.Contains(a, "PublisherIdentifier="+tenantID) {
			t.Errorf("got request %s, want who asks in it", a)
		}
	}
}

func TestLostContentIsADeadLetter(t *testing.T) {
	entry := `{"contentId":"%s","contentUri":"HOST/api/v1.0/` + tenantID + `/activity/feed/audit/%s","contentCreated":"2026-03-09T12:00:00.000Z"}`
	source, _ := answers(t, map[string]string{
		"/content":     "[" + fmt.Sprintf(entry, "lost", "lost") + "," + fmt.Sprintf(entry, "there", "there") + "]",
		"/audit/lost":  `{"error":{"code":"AF20051","message":"Content requested with the key lost has already expired."}}`,
		"/audit/there": "[" + string(fake.M365Activity{}.JSON()) + "]",
	}, http.StatusBadRequest)
	batch, err := source.Poll(t.Context(), feedSharePoint, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.GetEvents()) != 1 || len(batch.GetDeadLetters()) != 1 || batch.GetDeadLetters()[0].GetReason() != "content expired" {
		t.Errorf("got %d events and dead letters %v, want one, and what is lost named", len(batch.GetEvents()), batch.GetDeadLetters())
	}
}

func TestLinksElsewhereAreNotFollowed(t *testing.T) {
	for name, body := range map[string]string{
		"another host":     `[{"contentId":"a","contentUri":"http://127.0.0.2/api/v1.0/` + tenantID + `/activity/feed/audit/a"}]`,
		"another path":     `[{"contentId":"a","contentUri":"HOST/api/v1.0/other/activity/feed/audit/a"}]`,
		"the log of Graph": `{"value":[],"@odata.nextLink":"http://127.0.0.2/v1.0/auditLogs/signIns?x=1"}`,
		"another log":      `{"value":[],"@odata.nextLink":"HOST/v1.0/users?x=1"}`,
	} {
		source, asked := answers(t, map[string]string{"": body}, 0)
		feed := feedSharePoint
		if strings.HasPrefix(body, "{") {
			feed = feedSignIns
		}
		batch, err := source.Poll(t.Context(), feed, "")
		if feed == feedSignIns && (err == nil || !strings.Contains(err.Error(), "not followed")) || len(*asked) != 1 {
			t.Errorf("%s: got error %v after %d requests, want that it is not followed, after one", name, err, len(*asked))
		}
		// One blob that leads elsewhere stops no feed.
		if feed == feedSharePoint && (err != nil || batch.GetRecords() > 0 || !strings.Contains(batch.GetCursor(), `"pending"`)) {
			t.Errorf("%s: got %v, %v, want it pending", name, batch, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	told := func(code, message string) string {
		text, err := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": message}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := []struct {
		name, feed, body string
		status           int
		want             string
	}{
		{"no permission of the activity API", feedExchange, told("AF10001", "The permission set () did not include ActivityFeed.Read."), 401,
			"the application permission ActivityFeed.Read of Office 365 Management APIs"},
		{"no permission for what matched", feedDLP, told("AF10001", "x"), 403, "ActivityFeed.ReadDlp"},
		{"another tenant", feedExchange, told("AF20010", "x"), 400, "check tenant_id"},
		{"auditing is off", feedExchange, told("StartContext", "Microsoft.Office.Compliance.Audit.DataServiceException: Tenant x does not exist."), 400, "turn on auditing"},
		{"turned off", feedExchange, told("AF20023", "The subscription was disabled by a tenant admin."), 400, "turned the subscription off"},
		{"no plan", feedSignIns, told("Authentication_RequestFromNonPremiumTenantOrB2CTenant", "x"), 403, "Entra ID P1"},
		{"no permission of Graph", feedDirectory, told("Authentication_MSGraphPermissionMissing", "x"), 403, "AuditLog.Read.All of Microsoft Graph"},
		{"no token", feedDirectory, told("InvalidAuthenticationToken", "x"), 401, "the access token is not accepted"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := answers(t, map[string]string{"": test.body}, test.status)
			batch, err := source.Poll(t.Context(), test.feed, "")
			if strings.Contains(test.body, codeDisabled) {
				// That it is off is noted first.
				_, err = source.Poll(t.Context(), test.feed, batch.GetCursor())
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestToken(t *testing.T) {
	setup := fake.M365Config{ClientID: appID, Secret: "invented-secret-1", Subscribed: []string{"Audit.SharePoint"}}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"all right", func(*Config) {}, ""},
		{"another secret", func(c *Config) { c.ClientSecret = config.SecretValue("invented-secret-2") }, "(invalid_client); client_secret is not valid"},
		{"another app", func(c *Config) { c.ClientID = "33333333-3333-4444-8555-666666666666" }, "(unauthorized_client); there is no such app"},
		{"another tenant", func(c *Config) { c.TenantID = "33333333-3333-4444-8555-666666666666" }, "(invalid_request); check tenant_id"},
		{"nobody there", func(c *Config) { c.LoginURL = "http://127.0.0.1:1" }, "ask for a token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(fake.NewM365(setup))
			defer server.Close()
			c := sound(server.URL)
			c.ClientSecret = config.SecretValue("invented-secret-1")
			test.change(&c)
			source, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, feed := range []string{feedSharePoint, feedSignIns} {
				_, err := source.Poll(t.Context(), feed, "")
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: got error %v, want one with %q", feed, err, test.want)
				}
				if err != nil && (strings.Contains(err.Error(), "invented-secret") || strings.Contains(err.Error(), "\n")) {
					t.Errorf("%s: the error tells the secret, or has several lines: %v", feed, err)
				}
			}
		})
	}
}

// A token endpoint that throws the request back: no error tells of the secret.
func TestTokenEndpointTellsNothing(t *testing.T) {
	for _, status := range []int{200, 400, 401, 500} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			text := r.PostForm.Encode()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			// The client may have gone.
			_ = json.NewEncoder(w).Encode(map[string]string{"error": text, "error_description": text, "error_uri": text})
		}))
		defer server.Close()
		c := sound(server.URL)
		c.ClientSecret = config.SecretValue("invented-s3cr3t")
		source, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Poll(t.Context(), feedSignIns, "")
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v %v", err, err, err, source), "s3cr3t") {
			t.Errorf("status %d: got error %v, want one without the secret", status, err)
		}
	}
}

// A token that is refused is replaced once, since it may have ended early.
func TestRefusedTokenIsReplaced(t *testing.T) {
	tokens, asked := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/token") {
			tokens++
			fmt.Fprintf(w, `{"access_token":"token %d","token_type":"Bearer","expires_in":3600}`, tokens)
			return
		}
		asked++
		if r.Header.Get("Authorization") != "Bearer token 2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"value":[]}`)
	}))
	defer server.Close()
	source, err := New(sound(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Poll(t.Context(), feedSignIns, ""); err != nil || tokens != 2 || asked != 2 {
		t.Errorf("got error %v, %d tokens, %d requests, want none, 2 and 2", err, tokens, asked)
	}
}

func TestConfigYAML(t *testing.T) {
	t.Setenv("CURFEW_TEST_M365", "invented")
	var got Config
	file := "tenant_id: " + tenantID + "\nclient_id: " + appID + "\nclient_secret: {env: CURFEW_TEST_M365}\nfeeds: [sign_ins]\nsince: 48h\npage_size: 500\n" +
		"publisher_id: " + tenantID + "\nlogin_url: https://login.example.com\nactivity_url: https://manage.example.com\ngraph_url: https://graph.example.com\n"
	if err := yamlfile.Decode("curfew.yaml", []byte(file), &got); err != nil {
		t.Fatal(err)
	}
	if _, err := New(got); err != nil {
		t.Fatal(err)
	}
	secret, err := got.ClientSecret.Value()
	if err != nil || got.Since != 48*time.Hour || got.PageSize != 500 || secret != "invented" || !slices.Equal(got.Feeds, []string{"sign_ins"}) {
		t.Errorf("got %+v, secret %q, %v", got, secret, err)
	}
}
