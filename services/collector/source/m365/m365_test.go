// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

const (
	tenantID = "11111111-2222-4333-8444-555555555555"
	appID    = "22222222-3333-4444-8555-666666666666"
)

// tenant is a fake tenant in which things happen in one feed, by a clock of its own.
type tenant struct {
	*fake.M365
	feed  string
	seed  uint64
	count uint64
	last  moment // when the last thing happened
}

// moment is a time that requests still being served may ask for while the next thing happens.
type moment struct{ nanoseconds atomic.Int64 }

func (m *moment) get() time.Time   { return time.Unix(0, m.nanoseconds.Load()) }
func (m *moment) set(at time.Time) { m.nanoseconds.Store(at.UnixNano()) }

func newTenant(feed string, seed uint64, token string) *tenant {
	t := &tenant{feed: feed, seed: seed}
	t.last.set(time.Now().Add(-5 * 24 * time.Hour))
	setup := fake.M365Config{Token: token, Subscribed: []string{contentTypes[feed]}, Now: func() time.Time { return t.last.get() }}
	if seed > 0 {
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 9, ServerErrorEvery: 11, DropReplyEvery: 7}
		setup.LateEvery, setup.LateBy, setup.RepeatEvery, setup.ExpireEvery = 6, 8, 5, 60
	}
	t.M365 = fake.NewM365(setup)
	return t
}

// now is a moment after the last thing. Where nothing is late it is so long after it that no query of Graph begins before
// it once it was read: repeats would be a fault of the source then.
func (t *tenant) now() time.Time {
	if t.seed == 0 {
		return t.last.get().Add(3 * time.Hour)
	}
	return t.last.get().Add(time.Second)
}

// Happen makes things happen now, one each ten seconds.
func (t *tenant) Happen(n int) []string {
	var ids []string
	for i := range n {
		if i == 0 {
			t.last.set(t.now())
		} else {
			t.last.set(t.last.get().Add(10 * time.Second))
		}
		t.count++
		if t.feed == feedSignIns {
			e := fake.M365SignIn{Seed: t.seed, Number: t.count, Time: t.last.get()}
			ids = append(ids, "m365:"+e.ID())
			t.Add(e.JSON())
			continue
		}
		a := fake.M365Activity{Seed: t.seed, Number: t.count, Time: t.last.get()}
		ids = append(ids, "m365:"+a.ID())
		t.Add(a.JSON())
	}
	return ids
}

func (t *tenant) Add(records ...json.RawMessage) {
	if t.feed == feedSignIns {
		t.AddGraph("signIns", records...)
		return
	}
	t.M365.Add(contentTypes[t.feed], records...)
}

func sound(address string) Config {
	return Config{
		TenantID: tenantID, ClientID: appID, ClientSecret: config.SecretValue("invented-secret"), Feeds: allFeeds(),
		LoginURL: address, ActivityURL: address, GraphURL: address,
	}
}

func newSource(t *testing.T, options sourcetest.Options) *Source {
	t.Helper()
	c := sound(options.URL)
	c.PageSize = options.PageSize
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if options.Token != "" {
		// The token that the kit hands out is one already; how one is got has tests of its own.
		given := func(context.Context) (*oauth2.Token, error) {
			return &oauth2.Token{AccessToken: options.Token, Expiry: time.Now().Add(time.Hour)}, nil
		}
		source.activity.tokens, source.graph.tokens = vendorhttp.NewTokens(given), vendorhttp.NewTokens(given)
	}
	source.reports = rate.NewLimiter(rate.Inf, 1)
	if vendor, ok := options.Vendor.(*tenant); ok {
		source.client.Now = vendor.now
		source.config.Since = 5 * 24 * time.Hour
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

// of is a decoder as the source uses it for a feed: which one it is, is known then, and not guessed.
func of(feed string, decode event.Decode) event.Decode {
	return func(record []byte) ([]*curfewv1.Event, error) {
		events, err := decode(record)
		for _, e := range events {
			e.Feed = feed
		}
		return events, err
	}
}

func TestSourceOfBlobs(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   feedSharePoint,
		Decode: of(feedSharePoint, Decode),
		New:    func(t *testing.T, options sourcetest.Options) sourcetest.Source { return newSource(t, options) },
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newTenant(feedSharePoint, seed, token) },
		Busy: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusForbidden)
			// The client may have gone.
			_, _ = w.Write([]byte(`{"error":{"code":"AF429","message":"Too many requests. Method=GetBlob, PublisherId=x"}}`))
		},
		NoPages: []string{"", "null", "{}", `"text"`, "42", "[{}", "[] []", "<html></html>", "[{}]", `[{"contentId":"x"}]`, "[42]"},
	})
}

func TestSourceOfGraph(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Feed:   feedSignIns,
		Decode: of(feedSignIns, DecodeGraph),
		New:    func(t *testing.T, options sourcetest.Options) sourcetest.Source { return newSource(t, options) },
		Vendor: func(seed uint64, token string) sourcetest.Vendor { return newTenant(feedSignIns, seed, token) },
		Busy: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		NoPages: []string{"", "null", "{}", "[]", `"text"`, "42", "<html></html>", `{"value":{}}`, `{"value":[{}`, `{"value":null}`},
	})
}

func TestNewRefuses(t *testing.T) {
	if source, err := New(Config{TenantID: tenantID, ClientID: appID, ClientSecret: config.SecretValue("invented")}); err != nil ||
		source.graph.base.Host != "graph.microsoft.com" || source.activity.base.Host != "manage.office.com" || !slices.Equal(source.Feeds(), defaultFeeds) {
		t.Fatalf("got %v, want Microsoft's own hosts and the feeds that need no more", err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no tenant", func(c *Config) { c.TenantID = "" }, "tenant_id: not a GUID"},
		{"a tenant's domain", func(c *Config) { c.TenantID = "shop.onmicrosoft.com" }, "tenant_id: not a GUID"},
		{"no client", func(c *Config) { c.ClientID = "../x" }, "client_id: not a GUID"},
		{"no publisher", func(c *Config) { c.PublisherID = "we" }, "publisher_id: not a GUID"},
		{"no secret", func(c *Config) { c.ClientSecret = config.Secret{} }, "client_secret: none is named"},
		{"plain http", func(c *Config) { c.LoginURL = "http://192.0.2.1" }, "login_url: a secret may travel by https alone"},
		{"a password", func(c *Config) { c.GraphURL = "https://me:invented-pass@example.com" }, "graph_url: holds a user or a password"},
		{"a path", func(c *Config) { c.ActivityURL = "https://example.com/api" }, "activity_url: holds more than the host"},
		{"a feed that is none", func(c *Config) { c.Feeds = []string{"../users"} }, `there is no feed "../users"`},
		{"a feed twice", func(c *Config) { c.Feeds = []string{feedDLP, feedDLP} }, "dlp_all is there twice"},
		{"too large a page", func(c *Config) { c.PageSize = 1000 }, "page_size: 1000"},
		{"since before what is kept", func(c *Config) { c.Since = 168 * time.Hour }, "since: 168h0m0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := sound("https://example.com")
			test.change(&c)
			_, err := New(c)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "invented-pass") {
				t.Errorf("got error %v, want one with %q and no password", err, test.want)
			}
		})
	}
}

// seen is the requests that a vendor got, without who asks and for what.
type seen struct {
	*fake.M365
	asked []string
	now   func() time.Time // the vendor's clock; the machine's if nil
}

// ServeHTTP notes the request.
func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.now != nil {
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	}
	query := r.URL.Query()
	for _, name := range []string{"contentType", "PublisherIdentifier", "$top"} {
		query.Del(name)
	}
	line := r.Method + " " + r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if text, err := url.QueryUnescape(query.Encode()); err == nil && text != "" {
		line += " " + text
	}
	s.asked = append(s.asked, line)
	s.M365.ServeHTTP(w, r)
}
