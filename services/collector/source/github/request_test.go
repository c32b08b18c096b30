// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
)

func TestRateLimit(t *testing.T) {
	date := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	reset := strconv.FormatInt(date.Add(30*time.Second).Unix(), 10)
	spent := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {reset}}
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   time.Duration // at least, and at most a tenth more; 0 for no waiting
	}{
		{"primary, 403", 403, spent, `{"message":"API rate limit exceeded"}`, 30 * time.Second},
		{"primary, 429", 429, spent, ``, 30 * time.Second},
		{"secondary with a time", 403, http.Header{"Retry-After": {"7"}}, `{"message":"You have exceeded a secondary rate limit."}`, 7 * time.Second},
		{"secondary in words", 403, http.Header{}, `{"message":"You have exceeded a secondary rate limit."}`, time.Minute},
		{"429 alone", 429, http.Header{}, ``, time.Second},
		{"a time before the reset", 429, http.Header{"Retry-After": {"5"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {reset}}, ``, 5 * time.Second},
		{"a missing right", 403, http.Header{"X-Ratelimit-Remaining": {"1749"}}, `{"message":"Must have admin rights"}`, 0},
		{"nothing said", 403, http.Header{}, ``, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
				w.Header().Set("Date", date.Format(http.TimeFormat))
				if nth > 1 {
					page(w, r, "")
					return
				}
				for name, values := range test.header {
					w.Header()[name] = values
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body)) // The client may have gone.
			})
			var waited time.Duration
			source.client.Pause = func(_ context.Context, wait time.Duration) error {
				waited += wait
				return nil
			}
			_, err := source.Poll(t.Context(), feed, "")
			if waited < test.want || waited > test.want+test.want/10 || (err == nil) != (test.want > 0) {
				t.Errorf("waited %v in %d requests, error %v, want %v", waited, len(*asked), err, test.want)
			}
		})
	}
}

// What is refused is one line with what to do.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header string
		body   string
		want   []string
	}{
		{"no such token", 401, "", `{"message":"Bad credentials"}`, []string{"401", "(Bad credentials)", "Personal access tokens"}},
		{"hidden", 404, "", `{"message":"Not Found"}`, []string{"404", "org example is right", "read:audit_log", "Enterprise Cloud", "audit_log: false"}},
		{"a missing right", 403, "", `{"message":"Must have admin rights"}`, []string{"403", "owner's"}},
		{"single sign-on", 403, "required; url=https://github.example.com/sso", `{"message":"Resource protected"}`, []string{"Configure SSO"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := recorder(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				if test.header != "" {
					w.Header().Set("X-GitHub-SSO", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body)) // The client may have gone.
			})
			_, err := source.Poll(t.Context(), feed, "")
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want one line with %q", err, want)
				}
			}
		})
	}
}

// newApp is a source that reads as a GitHub App, and the vendor that it reads.
func newApp(t *testing.T, change func(*Config)) (*Source, *fake.GitHub) {
	t.Helper()
	vendor := fake.NewGitHub(fake.GitHubConfig{Token: "a personal token that is not used"})
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	c := Config{
		URL: server.URL, Org: "example", AppID: fake.GitHubAppID, InstallationID: fake.GitHubInstallationID,
		PrivateKey: config.SecretValue(vendor.PrivateKey()),
	}
	change(&c)
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source, vendor
}

func TestApp(t *testing.T) {
	source, vendor := newApp(t, func(*Config) {})
	vendor.Add(fake.GitHubEvent{Time: time.Now().Add(-time.Hour)}.JSON())
	batch, err := source.Poll(t.Context(), feed, "")
	if err != nil || len(batch.GetEvents()) != 1 {
		t.Fatalf("got %d events, %v, want one", len(batch.GetEvents()), err)
	}
	// A token that ended early is asked for anew, once.
	vendor.RevokeTokens()
	if _, err := source.Poll(t.Context(), feed, batch.GetCursor()); err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
}

func TestAppRefused(t *testing.T) {
	other := fake.NewGitHub(fake.GitHubConfig{}).PrivateKey()
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"another app's key":    {func(c *Config) { c.PrivateKey = config.SecretValue(other) }, "check that app_id and private_key"},
		"another app":          {func(c *Config) { c.AppID = "9" }, "check that app_id and private_key"},
		"another installation": {func(c *Config) { c.InstallationID = "9" }, "check installation_id"},
		"no key":               {func(c *Config) { c.PrivateKey = config.SecretValue("invented-secret-text") }, "not an RSA key in PEM form"},
		"half a key":           {func(c *Config) { c.PrivateKey = config.SecretValue(other[:200] + "\n-----END RSA PRIVATE KEY-----\n") }, "not an RSA key in PEM form"},
	} {
		source, _ := newApp(t, test.change)
		_, err := source.Poll(t.Context(), feed, "")
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "invented-secret-text") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one line with %q", name, err, test.want)
		}
	}
}
