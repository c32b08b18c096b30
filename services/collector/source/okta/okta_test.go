// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// org is a fake Okta in which sign-ins happen, one every ten minutes by a clock of its own: some days of them, more than
// the horizon.
type org struct {
	*fake.Okta
	seed  uint64
	start time.Time
	count atomic.Uint64
}

func (o *org) now() time.Time { return o.start.Add(time.Duration(o.count.Load()) * 10 * time.Minute) }

func newOrg(seed uint64, token string) *org {
	o := &org{seed: seed, start: time.Now().Add(-6 * 24 * time.Hour)}
	setup := fake.OktaConfig{Token: token}
	if seed > 0 {
		setup = fake.OktaConfig{
			Token:     token,
			Faults:    fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 7},
			LateEvery: 6, LateBy: 8, ExpireEvery: 25,
		}
	}
	setup.Clock = o.now
	o.Okta = fake.NewOkta(setup)
	return o
}

func (o *org) Happen(n int) []string {
	var ids []string
	for range n {
		e := fake.OktaEvent{Seed: o.seed, Number: o.count.Add(1), Published: o.now()}
		ids = append(ids, "okta:"+e.ID())
		o.Add(e.JSON())
	}
	return ids
}

func newSource(t *testing.T, options sourcetest.Options) *Source {
	t.Helper()
	source, err := New(Config{URL: options.URL, Token: config.SecretValue(options.Token), PageSize: options.PageSize})
	if err != nil {
		t.Fatal(err)
	}
	if o, isOrg := options.Vendor.(*org); isOrg {
		source.client.Now = o.now
	}
	patient := source.client.Pause
	source.client.Pause = func(ctx context.Context, wait time.Duration) error {
		if options.Pausing != nil {
			options.Pausing()
		}
		if options.Impatient {
			return ctx.Err()
		}
		return patient(ctx, wait)
	}
	return source
}

func TestSource(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   "system_log",
		Decode: Decode,
		New:    func(t *testing.T, options sourcetest.Options) sourcetest.Source { return newSource(t, options) },
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newOrg(seed, token) },
		Busy: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(4*time.Minute).Unix(), 10))
			w.WriteHeader(http.StatusTooManyRequests)
		},
		NoPages: []string{"", "null", "{}", `{"records":[]}`, `"text"`, "42", "[{}", "[] []", "<html></html>", "[]"},
	})
}

func TestNewRefuses(t *testing.T) {
	token := config.SecretValue("invented")
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"no address", Config{Token: token}, "url: missing"},
		{"not an address", Config{URL: "https://exa mple.com", Token: token}, "url: not an address"},
		{"no scheme", Config{URL: "shop.example.com", Token: token}, "url: not an address"},
		{"plain http", Config{URL: "http://shop.example.com", Token: token}, "by https alone"},
		{"a password", Config{URL: "https://me:invented-pass@shop.example.com", Token: token}, "holds a user or a password"},
		{"a broken address with a password", Config{URL: "https://me:invented-pass@[shop", Token: token}, "not an address"},
		{"a path", Config{URL: "https://shop.example.com/api/v1/logs", Token: token}, "more than the host"},
		{"no token", Config{URL: "https://shop.example.com"}, "token: none is named"},
		{"a token and a service app", Config{URL: "https://shop.example.com", Token: token, ClientID: "0oa1", PrivateKey: token}, "token: there is a client_id as well"},
		{"a service app without its key", Config{URL: "https://shop.example.com", ClientID: "0oa1"}, "private_key: none is named"},
		{"a key without its service app", Config{URL: "https://shop.example.com", PrivateKey: token}, "client_id: missing"},
		{"a client id with a line break", Config{URL: "https://shop.example.com", ClientID: "0oa1\n", PrivateKey: token}, "there is white space in it"},
		{"too large a page", Config{URL: "https://shop.example.com", Token: token, PageSize: 1001}, "page_size: 1001 is not from 1 to 1000"},
		{"since before what is kept", Config{URL: "https://shop.example.com", Token: token, Since: 91 * 24 * time.Hour}, "since: 2184h0m0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "invented-pass") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	for _, sound := range []string{"https://shop.example.com", "https://shop.example.com/", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1"} {
		if _, err := New(Config{URL: sound, Token: token}); err != nil {
			t.Errorf("url %s: got error %v, want none", sound, err)
		}
	}
}

// recorder answers as answer does, and keeps what was asked. It tells no time unless answer does.
func recorder(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, nth int)) (*Source, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		w.Header()["Date"] = nil
		answer(w, r, len(asked))
	}))
	t.Cleanup(server.Close)
	return newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", PageSize: 1000}), &asked
}

func page(w http.ResponseWriter, r *http.Request, after, body string) {
	w.Header().Add("Link", "<http://"+r.Host+`/api/v1/logs?limit=1000>; rel="self"`)
	w.Header().Add("Link", "<http://"+r.Host+"/api/v1/logs?since=2026-03-01T00:00:00.000Z&limit=1000&sortOrder=ASCENDING&after="+after+`>; rel="next"`)
	_, _ = w.Write([]byte(body))
}

func TestFirstRequestThenLinksAlone(t *testing.T) {
	source, asked := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		page(w, r, fmt.Sprintf("opaque%%2B%d", nth), "[]")
	})
	now := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	source.client.Now = func() time.Time { return now }
	cursor := ""
	for range 3 {
		batch, err := source.Poll(t.Context(), feed, cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = batch.GetCursor()
		now = now.Add(time.Minute)
	}
	first, err := url.Parse((*asked)[0])
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"since": {"2026-03-02T08:00:00.000Z"}, "sortOrder": {"ASCENDING"}, "limit": {"1000"}}.Encode()
	if got := first.Query().Encode(); got != want {
		t.Errorf("first request: got %s, want %s", got, want)
	}
	for i, want := range []string{"opaque%2B1", "opaque%2B2"} {
		if want := "/api/v1/logs?since=2026-03-01T00:00:00.000Z&limit=1000&sortOrder=ASCENDING&after=" + want; (*asked)[i+1] != want {
			t.Errorf("request %d: got %s, want the link as it was given, %s", i+2, (*asked)[i+1], want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	date := time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)
	reset := strconv.FormatInt(date.Add(30*time.Second).Unix(), 10)
	tests := []struct {
		name   string
		header http.Header
		want   time.Duration // at least, and at most a tenth more
	}{
		{"reset", http.Header{"X-Rate-Limit-Reset": {reset}}, 30 * time.Second},
		{"reset before retry after", http.Header{"X-Rate-Limit-Reset": {reset}, "Retry-After": {"5"}}, 30 * time.Second},
		{"retry after", http.Header{"Retry-After": {"5"}}, 5 * time.Second},
		{"nothing said", http.Header{}, time.Second},
		{"nonsense", http.Header{"X-Rate-Limit-Reset": {"soon"}, "Retry-After": {"later"}}, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
				if nth > 1 {
					page(w, r, "1", "[]")
					return
				}
				maps.Copy(w.Header(), test.header)
				w.Header().Set("Date", date.Format(http.TimeFormat))
				w.WriteHeader(http.StatusTooManyRequests)
			})
			var got time.Duration
			source.client.Pause = func(_ context.Context, wait time.Duration) error {
				got += wait
				return nil
			}
			if _, err := source.Poll(t.Context(), feed, ""); err != nil || got < test.want || got > test.want+test.want/10 {
				t.Errorf("got a pause of %v and error %v, want %v and at most a tenth more", got, err, test.want)
			}
		})
	}
}

func TestPollWaitsOutTheRateLimit(t *testing.T) {
	tests := []struct {
		name    string
		refused int // how many requests are refused, each for two minutes
		pauses  int
		sound   bool
	}{
		{"once", 1, 1, true},
		{"twice", 2, 2, true},
		{"longer than five minutes", 1000, 2, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, nth int) {
				if nth <= test.refused {
					w.Header().Set("Retry-After", "120")
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				page(w, r, "1", "[]")
			})
			pauses := 0
			source.client.Pause = func(_ context.Context, wait time.Duration) error {
				if wait < 2*time.Minute {
					t.Errorf("got a pause of %v, want at least two minutes", wait)
				}
				pauses++
				return nil
			}
			_, err := source.Poll(t.Context(), feed, "")
			if (err == nil) != test.sound || pauses != test.pauses {
				t.Errorf("got error %v after %d pauses, want one: %v, after %d", err, pauses, !test.sound, test.pauses)
			}
		})
	}
}

func TestNotAPage(t *testing.T) {
	bodies := map[string]string{
		"[" + strings.Repeat(" ", 100) + "]": "larger than 100 bytes; set a smaller page_size",
	}
	for _, body := range []string{"", "null", "{}", `"text"`, "42", "[{}", "[] []", "<html></html>"} {
		bodies[body] = "JSON list"
	}
	for body, want := range bodies {
		source, _ := recorder(t, func(w http.ResponseWriter, r *http.Request, _ int) { page(w, r, "1", body) })
		source.client.MaxBody = 100
		if _, err := source.Poll(t.Context(), feed, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("page %q: got error %v, want one with %q", body, err, want)
		}
	}
}

func TestConfigYAML(t *testing.T) {
	t.Setenv("CURFEW_TEST_OKTA", "invented")
	var got Config
	file := "url: https://shop.example.com\ntoken: {env: CURFEW_TEST_OKTA}\nsince: 48h\npage_size: 500\n"
	if err := yamlfile.Decode("curfew.yaml", []byte(file), &got); err != nil {
		t.Fatal(err)
	}
	token, err := got.Token.Value()
	if err != nil || got.URL != "https://shop.example.com" || got.Since != 48*time.Hour || got.PageSize != 500 || token != "invented" {
		t.Errorf("got %+v, token %q, %v", got, token, err)
	}
}

func TestTokenIsReadAnew(t *testing.T) {
	t.Setenv("CURFEW_TEST_OKTA", "first")
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		page(w, r, "1", "[]")
	}))
	defer server.Close()
	source, err := New(Config{URL: server.URL, Token: config.Secret{Env: "CURFEW_TEST_OKTA"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"first", "second"} {
		t.Setenv("CURFEW_TEST_OKTA", token)
		if _, err := source.Poll(t.Context(), feed, ""); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(got) != "[SSWS first SSWS second]" {
		t.Errorf("got %q, want the token of the moment each time", got)
	}
}
