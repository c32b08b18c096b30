// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// workspace is a fake Workspace in which sign-ins happen, by a clock of its own. Where it has a seed, some reach the log
// up to 47 hours late.
type workspace struct {
	*fake.Google

	mu      sync.Mutex
	seed    uint64
	random  *rand.Rand
	count   uint64
	last    time.Time // when the last sign-in happened
	settled time.Duration
	late    []lateRecord
}

type lateRecord struct {
	at     time.Time
	record json.RawMessage
}

func newWorkspace(seed uint64, token string) *workspace {
	setup := fake.GoogleConfig{Token: token}
	if seed > 0 {
		setup = fake.GoogleConfig{
			Token:     token,
			Faults:    fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 7},
			LateEvery: 6, LateBy: 8, ExpireEvery: 100,
		}
	}
	began := time.Now().Add(-time.Hour)
	if seed > 0 {
		// So far back that no query ends in the time to come, by this machine's clock.
		began = began.Add(-60 * 24 * time.Hour)
	}
	return &workspace{Google: fake.NewGoogle(setup), seed: seed, random: rand.New(rand.NewPCG(seed, 0x6c617465)), last: began}
}

// now is a moment after the last sign-in. Where nothing is late it is so long after it that no query begins before it
// once it was read: repeats would be a fault of the source then.
func (w *workspace) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock()
}

func (w *workspace) clock() time.Time {
	if w.seed == 0 {
		return w.last.Add(3 * time.Hour)
	}
	return w.last.Add(time.Second + w.settled)
}

// ServeHTTP brings into the log what is due before it answers.
func (w *workspace) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	now := w.clock()
	w.late = slices.DeleteFunc(w.late, func(late lateRecord) bool {
		if late.at.After(now) {
			return false
		}
		w.Google.Add("login", late.record)
		return true
	})
	w.mu.Unlock()
	answer.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Google.ServeHTTP(answer, r)
}

// Happen makes sign-ins happen now, one each 15 seconds.
func (w *workspace) Happen(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for i := range n {
		switch {
		case i > 0:
			w.last = w.last.Add(15 * time.Second)
		case w.seed == 0:
			w.last = w.clock()
		default:
			w.last = w.clock().Add(time.Duration(w.random.IntN(int(3 * time.Hour))))
			w.settled = 0
		}
		w.count++
		record := fake.GoogleActivity{Seed: w.seed, Number: w.count, Time: w.last}.JSON()
		events, err := Decode(record)
		if err != nil {
			panic(err) // The builder makes sound records alone.
		}
		ids = append(ids, events[0].GetId())
		if w.seed > 0 && w.random.IntN(5) == 0 {
			w.late = append(w.late, lateRecord{w.last.Add(time.Duration(w.random.IntN(int(47 * time.Hour)))), record})
			continue
		}
		w.Google.Add("login", record)
	}
	return ids
}

func (w *workspace) Add(records ...json.RawMessage) { w.Google.Add("login", records...) }

// Settle lets so much time pass that all that is late has reached the log, and a day more, after which it is read.
func (w *workspace) Settle() {
	w.mu.Lock()
	if w.seed > 0 {
		w.settled += 47*time.Hour + sweepEvery
	}
	w.mu.Unlock()
	w.Google.Settle()
}

// setToken gives the source its first tokens, those that a fake of that token hands out; the next ones it gets itself.
func setToken(source *Source, first string) {
	for scope := range rights {
		var given atomic.Bool
		source.tokens[scope] = vendorhttp.NewTokens(func(ctx context.Context) (*oauth2.Token, error) {
			if given.CompareAndSwap(false, true) {
				return &oauth2.Token{AccessToken: fake.GoogleTokenFor(first, scope), Expiry: time.Now().Add(time.Hour)}, nil
			}
			return source.fetchToken(ctx, scope)
		})
	}
}

// newSource is a source that asks as fast as it can.
func newSource(t *testing.T, options sourcetest.Options, changes ...func(*Config)) *Source {
	t.Helper()
	c := Config{URL: options.URL, Credentials: config.SecretValue(options.Token), Subject: "root@example.com", PageSize: options.PageSize}
	for _, change := range changes {
		change(&c)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	source.pace.SetLimit(rate.Inf)
	// The token that the kit hands out is one already; how one is got has tests of its own.
	setToken(source, options.Token)
	if w, ok := options.Vendor.(*workspace); ok {
		source.client.Now = w.now
		source.config.Since = 6 * 24 * time.Hour
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
		Feed:   "login",
		Decode: Decode,
		New:    func(t *testing.T, options sourcetest.Options) sourcetest.Source { return newSource(t, options) },
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newWorkspace(seed, token) },
		Busy: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		NoPages: []string{
			"", "null", "{}", "[]", `"text"`, "42", "<html></html>", `{"kind":"admin#reports#activity"}`,
			`{"kind":"admin#reports#activities","items":{}}`, `{"kind":"admin#reports#activities","items":[{}`,
		},
	})
}

func TestNewRefuses(t *testing.T) {
	sound := Config{Credentials: config.SecretValue("invented"), Subject: "root@example.com"}
	if source, err := New(sound); err != nil || source.base.Host != "admin.googleapis.com" || source.identity.Host != "cloudidentity.googleapis.com" ||
		!slices.Equal(source.Feeds(), []string{"token", "login", "drive", "admin", "groups"}) {
		t.Fatalf("got %v, %v, want Google's own address and the five applications", source, err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no credentials", func(c *Config) { c.Credentials = config.Secret{} }, "credentials: none are named"},
		{"no subject", func(c *Config) { c.Subject = "" }, "subject: no e-mail"},
		{"plain http", func(c *Config) { c.URL = "http://192.0.2.1" }, "by https alone"},
		{"a password", func(c *Config) { c.URL = "https://me:invented-pass@example.com" }, "holds a user or a password"},
		{"plain http to Cloud Identity", func(c *Config) { c.IdentityURL = "http://192.0.2.1" }, "identity_url: a secret may travel by https alone"},
		{"a path", func(c *Config) { c.URL = "https://example.com/admin" }, "more than the host"},
		{"not an address", func(c *Config) { c.URL = "example" }, "not an address"},
		{"an application that is none", func(c *Config) { c.Applications = []string{"../users"} }, `"../users" is no application`},
		{"an application twice", func(c *Config) { c.Applications = []string{"token", "token"} }, "token is there twice"},
		{"too large a page", func(c *Config) { c.PageSize = 1001 }, "page_size: 1001"},
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
