// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// org is a fake organisation in which repositories are cloned, by a clock of its own.
type org struct {
	*fake.GitHub
	seed  uint64
	count uint64
	last  time.Time // when the last clone was
	clock atomic.Int64
}

func newOrg(seed uint64, token string) *org {
	o := &org{seed: seed, last: time.Now().Add(-20 * time.Hour).Truncate(time.Millisecond)}
	setup := fake.GitHubConfig{Token: token, Now: o.now}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 7, AwayAfter: 40, AwayFor: 5}
		setup.LateEvery, setup.DuplicateEvery, setup.ExpireEvery = 5, 12, 40
	}
	o.GitHub = fake.NewGitHub(setup)
	o.tell()
	return o
}

func (o *org) now() time.Time { return time.UnixMilli(o.clock.Load()) }

// tell sets the clock to a moment after the last clone. Where nothing is late it is so long after it that no query begins
// before it once it was read: repeats would be a fault of the source then.
func (o *org) tell() {
	after := time.Second
	if o.seed == 0 {
		after = 3 * time.Hour
	}
	o.clock.Store(o.last.Add(after).UnixMilli())
}

// Happen makes clones happen from now on, one each 40 seconds. Some have no id of their own.
func (o *org) Happen(n int) []string {
	var ids []string
	for i := range n {
		if o.last = o.last.Add(40 * time.Second); i == 0 {
			o.last = o.now()
		}
		o.count++
		record := fake.GitHubEvent{Seed: o.seed, Number: o.count, Time: o.last, NoDocumentID: o.count%5 == 0}.JSON()
		events, err := Decode(record)
		if err != nil {
			panic(err) // The builder makes sound records alone.
		}
		ids = append(ids, events[0].GetId())
		o.Add(record)
	}
	o.tell()
	return ids
}

// Settle lets the time pass that the next look for what was late takes.
func (o *org) Settle() {
	o.clock.Add((sweepEvery + time.Minute).Milliseconds())
	o.GitHub.Settle()
}

func newSource(t *testing.T, options sourcetest.Options) *Source {
	t.Helper()
	source, err := New(Config{
		URL: options.URL, Org: "example", Token: config.SecretValue(options.Token), PageSize: options.PageSize, Since: 3 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, isOrg := options.Vendor.(*org); isOrg {
		source.client.Now = o.now
	}
	hasten(source, options)
	return source
}

// hasten makes a source wait as the kit wants it to.
func hasten(source *Source, options sourcetest.Options) {
	source.pace.SetLimit(rate.Inf)
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
}

func TestSource(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   "audit_log",
		Decode: Decode,
		New:    func(t *testing.T, options sourcetest.Options) sourcetest.Source { return newSource(t, options) },
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newOrg(seed, token) },
		Busy: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(4*time.Minute).Unix(), 10))
			w.WriteHeader(http.StatusForbidden)
		},
		NoPages: []string{"", "null", "{}", `{"message":"Not Found"}`, `"text"`, "42", "[{}", "[] []", "<html></html>"},
	})
}

func TestNewRefuses(t *testing.T) {
	no, secret := false, config.SecretValue("invented")
	sound := Config{Org: "example", Token: secret}
	if source, err := New(sound); err != nil || source.base.Host != "api.github.com" || len(source.Feeds()) != 1 {
		t.Fatalf("got %v, %v, want GitHub's own address and one feed", source, err)
	}
	for name, good := range map[string]Config{
		"a server":         {URL: "https://github.example.com/api/v3/", Org: "example", Token: secret},
		"an app":           {Org: "example", AppID: "Iv1.a", InstallationID: "7", PrivateKey: secret},
		"an enterprise":    {Enterprise: "example-corp", Token: secret},
		"both":             {Org: "example", Enterprise: "example-corp", Token: secret},
		"no audit log":     {Org: "example", Token: secret, AuditLog: &no},
		"a managed user's": {Org: "example_corp", Token: secret},
	} {
		if source, err := New(good); err != nil || (len(source.Feeds()) == 0) != (good.AuditLog != nil) {
			t.Errorf("%s: got %v, %v, want a source", name, source, err)
		}
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no organisation", func(c *Config) { c.Org = "" }, "org: missing"},
		{"an organisation that is none", func(c *Config) { c.Org = "../users" }, "letters, digits and hyphens"},
		{"an enterprise that is none", func(c *Config) { c.Enterprise = "a/b" }, "letters, digits and hyphens"},
		{"no token", func(c *Config) { c.Token = config.Secret{} }, "token: none is named"},
		{"token and app", func(c *Config) { c.AppID = "7" }, "name one of the two"},
		{"half an app", func(c *Config) { c.Token, c.AppID = config.Secret{}, "7" }, "needs all of"},
		{"an installation that is none", func(c *Config) { *c = Config{Org: "a", AppID: "7", InstallationID: "x", PrivateKey: secret} }, "installation_id: not a number"},
		{"plain http", func(c *Config) { c.URL = "http://192.0.2.1" }, "by https alone"},
		{"a password", func(c *Config) { c.URL = "https://me:invented-pass@example.com" }, "holds a user or a password"},
		{"a query", func(c *Config) { c.URL = "https://example.com/?a=b" }, "more than the API's address"},
		{"not an address", func(c *Config) { c.URL = "example" }, "not an address"},
		{"too large a page", func(c *Config) { c.PageSize = 101 }, "page_size: 101"},
		{"since before what is kept", func(c *Config) { c.Since = 200 * 24 * time.Hour }, "since: 4800h0m0s"},
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

// No more queries than GitHub allows are made in an hour, however much there is to read.
func TestPace(t *testing.T) {
	source, err := New(Config{Org: "example", Token: config.SecretValue("invented")})
	if err != nil {
		t.Fatal(err)
	}
	now, made := time.Now(), 0
	for at := now; at.Before(now.Add(time.Hour)); at = at.Add(time.Second) {
		for source.pace.AllowN(at, 1) {
			made++
		}
	}
	if made > queriesPerHour || made < queriesPerHour-10 {
		t.Errorf("got %d queries in an hour, want as many as are allowed, %d", made, queriesPerHour)
	}
}

func TestConfig(t *testing.T) {
	var c Config
	err := yamlfile.Decode("curfew.yaml", []byte("org: example\ntoken: {env: GITHUB_TOKEN}\naudit_log: false\napp_id: 7\nsince: 48h\npage_size: 50\n"), &c)
	if err != nil || c.Org != "example" || c.Token.Env != "GITHUB_TOKEN" || c.AuditLog == nil || *c.AuditLog || c.AppID != "7" || c.Since != 48*time.Hour || c.PageSize != 50 {
		t.Errorf("got %+v, %v, want what the file says", c, err)
	}
}
