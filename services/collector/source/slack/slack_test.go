// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// org is a fake Slack in which things happen in one log, by a clock of its own.
type org struct {
	*fake.Slack
	log   string
	plan  string
	seed  uint64
	count uint64
	last  moment // when the last thing happened
}

// moment is a time that requests still being served may ask for while the next thing happens.
type moment struct{ nanoseconds atomic.Int64 }

func (m *moment) get() time.Time   { return time.Unix(0, m.nanoseconds.Load()) }
func (m *moment) set(at time.Time) { m.nanoseconds.Store(at.UnixNano()) }

func newOrg(log string, seed uint64, token string) *org {
	setup := fake.SlackConfig{Token: token, Plan: other}
	if log == fake.SlackAuditLog {
		setup.Plan = enterprise
	}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 7}
		setup.LateEvery, setup.LateBy, setup.DuplicateEvery, setup.ShortEvery, setup.ExpireEvery = 6, 8, 10, 4, 50
	}
	o := &org{Slack: fake.NewSlack(setup), log: log, plan: setup.Plan, seed: seed}
	o.last.set(time.Now().Add(-10 * time.Minute).Truncate(time.Second))
	return o
}

// now is a moment after the last thing that happened. Where nothing is late it is so long after it that no query begins
// before it once it was read: repeats would be a fault of the source then.
func (o *org) now() time.Time {
	switch {
	case o.seed > 0:
		return o.last.get().Add(time.Second)
	case o.log == fake.SlackAuditLog:
		return o.last.get().Add(15 * time.Minute)
	}
	return o.last.get().Add(25 * time.Hour)
}

// Happen makes things happen now, some of them in the same second.
func (o *org) Happen(n int) []string {
	var ids []string
	for i := range n {
		if i == 0 {
			o.last.set(o.now())
		} else {
			o.last.set(o.last.get().Add(time.Duration(o.count%3) * time.Second))
		}
		o.count++
		var record json.RawMessage
		if o.log == fake.SlackAuditLog {
			record = fake.SlackAudit{Seed: o.seed, Number: o.count, Time: o.last.get()}.JSON()
		} else {
			record = fake.SlackIntegration{AppID: fake.SlackID("A", string(rune('a'+o.count%26))), User: fake.SlackPerson(strings.Repeat("x", int(o.count)%40)), Time: o.last.get()}.JSON()
		}
		events, err := Decode(record)
		if err != nil {
			panic(err) // The builders make sound records alone.
		}
		ids = append(ids, events[0].GetId())
		o.Slack.Add(o.log, record)
	}
	return ids
}

// ServeHTTP tells the time of that clock, as every vendor tells its own.
func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", o.now().UTC().Format(http.TimeFormat))
	o.Slack.ServeHTTP(w, r)
}

func (o *org) Add(records ...json.RawMessage) { o.Slack.Add(o.log, records...) }

func newSource(t *testing.T, plan string, options sourcetest.Options) *Source {
	t.Helper()
	source, err := New(Config{URL: options.URL, Plan: plan, Token: config.SecretValue(options.Token), PageSize: options.PageSize})
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := options.Vendor.(*org); ok {
		source.client.Now = o.now
		if o.log == fake.SlackAuditLog {
			// No further back than one query goes, so that the present is reached at once.
			source.config.Since = 3 * time.Hour
		}
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

func busy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "3600")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(`{"ok":false,"error":"ratelimited"}`))
}

func TestAuditLog(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   audit,
		Decode: Decode,
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Source {
			return newSource(t, enterprise, options)
		},
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newOrg(fake.SlackAuditLog, seed, token) },
		Busy:   busy,
		NoPages: []string{
			"", "null", "{}", "[]", `"text"`, "42", "<html></html>", `{"ok":true}`, `{"ok":false}`, `{"entries":null}`, `{"entries":{}}`,
			`{"ok":false,"entries":[]}`, `{"entries":[{}`, `{"ok":true,"logs":[]}`,
		},
	})
}

func TestIntegrationLog(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   integrationLogs,
		Decode: Decode,
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Source {
			return newSource(t, other, options)
		},
		Vendor: func(seed uint64, token string) sourcetest.Vendor {
			return newOrg(fake.SlackIntegrationLog, seed, token)
		},
		Busy: busy,
		NoPages: []string{
			"", "null", "{}", "[]", `"text"`, "42", "<html></html>", `{"ok":true}`, `{"logs":[]}`, `{"ok":false,"logs":[]}`,
			`{"ok":true,"logs":null}`, `{"ok":true,"logs":{}}`, `{"ok":true,"logins":[]}`, `{"ok":true,"entries":[]}`,
			`{"ok":true,"logs":[{"date":"1"},{"date":"2"}]}`,
		},
	})
}

func TestNewRefuses(t *testing.T) {
	sound := Config{Plan: enterprise, Token: config.SecretValue("invented")}
	source, err := New(sound)
	if err != nil || source.auditLog.Host != "api.slack.com" || source.base.Host != "slack.com" || !slices.Equal(source.Feeds(), []string{"audit"}) {
		t.Fatalf("got %v, %v, want Slack's own addresses and the audit log", source, err)
	}
	if source, err = New(Config{Plan: other, Token: sound.Token}); err != nil || !slices.Equal(source.Feeds(), []string{"integration_logs", "access_logs"}) {
		t.Fatalf("got %v, %v, want the two logs of other plans", source, err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no plan", func(c *Config) { c.Plan = "" }, `plan: "" is none; it is enterprise where`},
		{"another plan", func(c *Config) { c.Plan = "business" }, `plan: "business" is none`},
		{"no token", func(c *Config) { c.Token = config.Secret{} }, "token: none is named"},
		{"plain http", func(c *Config) { c.URL = "http://192.0.2.1" }, "by https alone"},
		{"a password", func(c *Config) { c.URL = "https://me:invented-pass@example.com" }, "holds a user or a password"},
		{"a path", func(c *Config) { c.URL = "https://example.com/api" }, "more than the host"},
		{"a feed of another plan", func(c *Config) { c.Feeds = []string{"access_logs"} }, `on plan enterprise there is no "access_logs"; there are audit`},
		{"a feed twice", func(c *Config) { c.Feeds = []string{"audit", "audit"} }, "audit is there twice"},
		{"too large a page", func(c *Config) { c.PageSize = 10_000 }, "page_size: 10000 is not from 1 to 9999"},
		{"too large a page of another plan", func(c *Config) { c.Plan, c.PageSize = other, 1001 }, "page_size: 1001 is not from 1 to 1000"},
		{"since tomorrow", func(c *Config) { c.Since = -time.Hour }, "since: -1h0m0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := sound
			test.change(&c)
			_, err := New(c)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "invented-pass") {
				t.Errorf("got error %v, want one with %q and no password", err, test.want)
			}
		})
	}
}

func TestConfigYAML(t *testing.T) {
	t.Setenv("CURFEW_TEST_SLACK", "invented")
	var got Config
	file := "plan: other\ntoken: {env: CURFEW_TEST_SLACK}\nfeeds: [integration_logs]\nsince: 48h\npage_size: 500\n"
	if err := yamlfile.Decode("curfew.yaml", []byte(file), &got); err != nil {
		t.Fatal(err)
	}
	token, err := got.Token.Value()
	if err != nil || got.Plan != other || got.Since != 48*time.Hour || got.PageSize != 500 || token != "invented" || !slices.Equal(got.Feeds, []string{"integration_logs"}) {
		t.Errorf("got %+v, token %q, %v", got, token, err)
	}
}
