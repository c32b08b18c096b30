// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// pushed is a source that takes pushes of the fake at an address, by a secret.
func pushed(t *testing.T, url, secret string) *Source {
	t.Helper()
	return newSource(t, sourcetest.Options{URL: url, Token: "invented", Impatient: true}, func(c *Config) {
		if secret != "" {
			c.ChannelSecret = config.SecretValue(secret)
		}
	})
}

func delivery(p fake.GooglePush, at time.Time) vendorhttp.Delivery {
	return vendorhttp.Delivery{Method: http.MethodPost, Query: url.Values{}, Header: p.Header(), Body: p.Activity, Received: at}
}

func TestWebhooks(t *testing.T) {
	file := fake.GoogleActivity{Application: "drive", Number: 2, Acts: []fake.GoogleAct{
		fake.GoogleFileAct("download", "1Invented", "Customers", "anna@example.com", "private"),
		fake.GoogleFileAct("view", "1Invented", "Customers", "anna@example.com", "private"),
	}}
	sourcetest.Webhooks(t, sourcetest.WebhookCase{
		New: func(t *testing.T, secret string) sourcetest.Listener { return pushed(t, "http://127.0.0.1:1", secret) },
		Deliver: func(_ *testing.T, secret string, at time.Time, n int, records ...[]byte) vendorhttp.Delivery {
			id := fmt.Sprintf("login-%d-0123456789abcdef", at.Unix())
			return delivery(fake.GooglePush{Channel: id, Token: channelToken(secret, id), Number: n, Activity: records[0]}, at)
		},
		Records:  [][]byte{fake.GoogleActivity{Number: 1}.JSON(), file.JSON(), []byte(`{"kind":"admin#reports#activity"}`)},
		Together: 1,
		Decode:   Decode,
		Proof:    "X-Goog-Channel-Token",
	})
}

func TestReceiveIsOfOurChannels(t *testing.T) {
	source := pushed(t, "http://127.0.0.1:1", "invented-secret")
	id, token := newChannel("invented-secret", "calendar", time.Now())
	_, err := source.Receive(delivery(fake.GooglePush{Channel: id, Token: token}, time.Now()))
	if err == nil || !strings.HasPrefix(err.Error(), "foreign") {
		t.Errorf("of an application that is not read: got error %v, want foreign", err)
	}
	// The token of one channel opens no other.
	id, _ = newChannel("invented-secret", "login", time.Now())
	if _, err := source.Receive(delivery(fake.GooglePush{Channel: id, Token: token}, time.Now())); err == nil || !strings.HasPrefix(err.Error(), "forged") {
		t.Errorf("the token of another channel: got error %v, want forged", err)
	}
	broken := pushed(t, "http://127.0.0.1:1", "")
	broken.config.ChannelSecret = config.Secret{Env: "CURFEW_TEST_NO_SUCH_SECRET"}
	if _, err := broken.Receive(delivery(fake.GooglePush{Channel: id, Token: token}, time.Now())); err == nil {
		t.Error("a secret that cannot be read: got no error, want one")
	}
}

// A token is of no use beyond the life of a channel, and nothing but a message of a channel is one.
func TestReceiveIsOfNow(t *testing.T) {
	source := pushed(t, "http://127.0.0.1:1", "invented-secret")
	now := time.Now()
	id, token := newChannel("invented-secret", "login", now)
	push := fake.GooglePush{Channel: id, Token: token, Number: 1, Activity: fake.GoogleActivity{}.JSON()}
	old := "login-0123456789abcdef0123456789abcdef"
	for _, test := range []struct {
		name   string
		at     time.Time
		change func(d *vendorhttp.Delivery)
		want   string
	}{
		{"sound", now, func(*vendorhttp.Delivery) {}, ""},
		{"seven days", now.Add(maxChannelLife - time.Minute), func(*vendorhttp.Delivery) {}, ""},
		{"older", now.Add(maxChannelLife + time.Minute), func(*vendorhttp.Delivery) {}, "stale"},
		{"a year", now.Add(365 * 24 * time.Hour), func(*vendorhttp.Delivery) {}, "stale"},
		{"our clock is behind that of the one who opened it", now.Add(-time.Minute), func(*vendorhttp.Delivery) {}, ""},
		{"opened in a day", now.Add(-24 * time.Hour), func(*vendorhttp.Delivery) {}, "stale"},
		{"opened nobody says when", now, func(d *vendorhttp.Delivery) {
			d.Header["X-Goog-Channel-Id"], d.Header["X-Goog-Channel-Token"] = []string{old}, []string{channelToken("invented-secret", old)}
		}, "stale"},
		{"upper case", now, func(d *vendorhttp.Delivery) {
			d.Header.Set("X-Goog-Channel-Token", strings.ToUpper(token))
		}, "forged"},
		{"a second token", now, func(d *vendorhttp.Delivery) { d.Header.Add("X-Goog-Channel-Token", token) }, "forged"},
		{"a second channel", now, func(d *vendorhttp.Delivery) { d.Header.Add("X-Goog-Channel-ID", id) }, "forged"},
		{"no token", now, func(d *vendorhttp.Delivery) { d.Header.Del("X-Goog-Channel-Token") }, "unsigned"},
		{"no channel", now, func(d *vendorhttp.Delivery) { d.Header.Del("X-Goog-Channel-ID") }, "unsigned"},
		{"another time in the id", now, func(d *vendorhttp.Delivery) {
			d.Header.Set("X-Goog-Channel-ID", strings.Replace(id, "login-1", "login-2", 1))
		}, "forged"},
		{"asked", now, func(d *vendorhttp.Delivery) { d.Method = http.MethodGet }, "foreign"},
		{"put", now, func(d *vendorhttp.Delivery) { d.Method = http.MethodPut }, "foreign"},
	} {
		d := delivery(push, test.at)
		test.change(&d)
		_, err := source.Receive(d)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want+": ") {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
		}
	}
}

// What is pushed and what is polled are the same events.
func TestPushedAndPolledAreOne(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{Token: "invented"})
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	source := pushed(t, server.URL, "invented-secret")
	ids := map[string]int{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		if r.ContentLength > 0 {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
		}
		accepted, err := source.Receive(vendorhttp.Delivery{Method: r.Method, Header: r.Header, Body: body, Received: time.Now()})
		if err != nil {
			t.Error(err)
			return
		}
		if accepted.Feed != "login" || accepted.Question != (len(accepted.Records) == 0) {
			t.Errorf("got feed %q, question %v and %d records", accepted.Feed, accepted.Question, len(accepted.Records))
		}
		for _, record := range accepted.Records {
			events, err := Decode(record)
			if err != nil {
				t.Error(err)
			}
			for _, e := range events {
				ids[e.GetId()]++
			}
		}
	}))
	t.Cleanup(receiver.Close)

	until, err := source.Subscribe(t.Context(), "login", receiver.URL)
	if err != nil || until.Before(time.Now().Add(5*time.Hour)) {
		t.Fatalf("got a channel until %v, %v, want Google's six hours", until, err)
	}
	for i := range 5 {
		google.Add("login", fake.GoogleActivity{Number: uint64(i), Time: time.Now().Add(-time.Minute)}.JSON())
		google.Add("token", fake.GoogleActivity{Number: uint64(i), Application: "token", Time: time.Now()}.JSON())
	}
	if err := google.SendPushes(t.Context(), receiver.Client()); err != nil {
		t.Fatal(err)
	}
	polled := map[string]bool{}
	for cursor, more := "", true; more; {
		batch, err := source.Poll(t.Context(), "login", cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.GetEvents() {
			polled[e.GetId()] = true
			if ids[e.GetId()] != 1 {
				t.Errorf("event %s was pushed %d times, want once", e.GetId(), ids[e.GetId()])
			}
		}
		cursor, more = batch.GetCursor(), batch.GetMore()
	}
	if len(polled) != 5 || len(ids) != 5 {
		t.Errorf("got %d events polled and %d pushed, want 5", len(polled), len(ids))
	}
	// A second channel beside the first has an id of its own.
	if _, err := source.Subscribe(t.Context(), "login", receiver.URL); err != nil {
		t.Errorf("the next channel: %v", err)
	}
}

func TestSubscribeRefused(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{Token: "invented"})
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	for name, test := range map[string]struct{ secret, feed, address, want string }{
		"plain http":         {"invented-secret", "login", "http://192.0.2.1/hook", "(push.webhookUrlNotHttps); the address has to be https"},
		"another feed":       {"invented-secret", "calendar", "https://example.com", "is not pushed"},
		"nothing configured": {"", "login", "https://example.com", "is not pushed"},
	} {
		_, err := pushed(t, server.URL, test.secret).Subscribe(t.Context(), test.feed, test.address)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "invented-secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one line with %q", name, err, test.want)
		}
	}
	for _, status := range []int{200, 400, 401, 403, 500} {
		back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var asked map[string]any
			_ = json.NewDecoder(r.Body).Decode(&asked)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"message":"%v %v"}}`, asked["token"], r.Header.Get("Authorization"))
		}))
		t.Cleanup(back.Close)
		_, err := pushed(t, back.URL, "invented-secret").Subscribe(t.Context(), "login", "https://example.com")
		if err == nil || strings.Contains(err.Error(), "Bearer") || len(err.Error()) > 600 {
			t.Errorf("status %d: got error %v, want a short one without the token", status, err)
		}
	}
}

func TestChannelEnd(t *testing.T) {
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	source := pushed(t, "http://127.0.0.1:1", "invented-secret")
	source.client.Now = func() time.Time { return now }
	for text, want := range map[string]time.Duration{
		fmt.Sprint(now.Add(6 * time.Hour).UnixMilli()): 6 * time.Hour, "3600": time.Hour, "": time.Hour, "soon": time.Hour, "-5": time.Hour, "0": time.Hour,
		fmt.Sprint(now.Add(-time.Hour).UnixMilli()): time.Hour, "9223372036854775807": maxChannelLife, "1e400": time.Hour,
	} {
		if got := source.channelEnd(text).Sub(now); got != want {
			t.Errorf("%q: got an end in %v, want %v", text, got, want)
		}
	}
}

func TestChannelIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id, token := newChannel("invented-secret", "gemini_in_workspace_apps", time.Now())
		if seen[id] || len(id) > 64 || len(token) > 256 {
			t.Fatalf("got id %q and token %q, want a new one that Google takes", id, token)
		}
		seen[id] = true
	}
}
