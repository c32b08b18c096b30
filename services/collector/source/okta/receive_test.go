// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func hooked(t testing.TB, secret string) *Source {
	t.Helper()
	c := Config{URL: "https://shop.example.com", Token: config.SecretValue("invented")}
	if secret != "" {
		c.HookSecret = config.SecretValue(secret)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestWebhooks(t *testing.T) {
	var records [][]byte
	for n := range uint64(7) {
		records = append(records, fake.OktaEvent{Number: n}.JSON())
	}
	// Spaces within a record are the vendor's, and stay.
	records = append(records, []byte("{ \"uuid\" :\t\"u-8\",\"eventType\":\"user.session.start\" }"))
	sourcetest.Webhooks(t, sourcetest.WebhookCase{
		New: func(t *testing.T, secret string) sourcetest.Listener { return hooked(t, secret) },
		Deliver: func(_ *testing.T, secret string, at time.Time, n int, records ...[]byte) vendorhttp.Delivery {
			return fake.OktaDelivery{EventID: fmt.Sprintf("delivery-%d", n), At: at, Secret: secret, Records: records}.Delivery()
		},
		Records: records, Together: 3, Decode: Decode, Proof: "Authorization",
	})
}

func TestReceive(t *testing.T) {
	secret := "invented-hook-secret"
	deliver := func(body string) vendorhttp.Delivery {
		return vendorhttp.Delivery{Method: http.MethodPost, Header: http.Header{"Authorization": {secret}}, Body: []byte(body)}
	}
	tests := []struct {
		name    string
		body    string
		key     string // "" for any that is not empty
		records []string
	}{
		{"two events", `{"eventId":"e1","data":{"events":[{"uuid":"1"}, {"uuid": "2"}]}}`, "e1", []string{`{"uuid":"1"}`, `{"uuid": "2"}`}},
		{"no event", `{"eventId":"e2","data":{"events":[]}}`, "e2", nil},
		{"an event that is none", `{"eventId":"e3","data":{"events":[42]}}`, "e3", []string{"42"}},
		{"no id", `{"data":{"events":[{"uuid":"1"}]}}`, "", []string{`{"uuid":"1"}`}},
		{"an id that is too long", `{"eventId":"` + strings.Repeat("e", 1000) + `","data":{"events":[{}]}}`, "", []string{`{}`}},
		{"no list", `{"eventId":"e4","data":{}}`, "", []string{`{"eventId":"e4","data":{}}`}},
		{"no JSON", `{"eventId":`, "", []string{`{"eventId":`}},
	}
	for _, test := range tests {
		accepted, err := hooked(t, secret).Receive(deliver(test.body))
		if err != nil || accepted.Feed != feed || accepted.Key == "" || len(accepted.Key) > 200 || test.key != "" && accepted.Key != test.key {
			t.Errorf("%s: got %+v, %v, want the key %q", test.name, accepted, err, test.key)
			continue
		}
		if got := string(bytes.Join(accepted.Records, []byte("|"))); got != strings.Join(test.records, "|") {
			t.Errorf("%s: got the records %s, want %s", test.name, got, strings.Join(test.records, "|"))
		}
	}
}

func TestChallenge(t *testing.T) {
	secret := "invented-hook-secret"
	ask := func(source *Source, challenge, proof string) (*vendorhttp.Accepted, error) {
		d := vendorhttp.Delivery{Method: http.MethodGet, Header: http.Header{}}
		if challenge != "" {
			d.Header.Set("x-okta-verification-challenge", challenge)
		}
		if proof != "" {
			d.Header.Set("Authorization", proof)
		}
		return source.Receive(d)
	}
	source := hooked(t, secret)
	for _, proof := range []string{"", secret} {
		got, err := ask(source, `invented"challenge`, proof)
		if err != nil || !got.Question || len(got.Records) > 0 || string(got.Answer) != `{"verification":"invented\"challenge"}` || got.AnswerType != "application/json" {
			t.Errorf("with the secret %q: got %+v, %v, want the challenge back", proof, got, err)
		}
	}
	for name, refused := range map[string]func() (*vendorhttp.Accepted, error){
		"a wrong secret":         func() (*vendorhttp.Accepted, error) { return ask(source, "invented", "another") },
		"no challenge":           func() (*vendorhttp.Accepted, error) { return ask(source, "", secret) },
		"neither":                func() (*vendorhttp.Accepted, error) { return ask(source, "", "") },
		"a challenge too long":   func() (*vendorhttp.Accepted, error) { return ask(source, strings.Repeat("x", 5000), "") },
		"no secret of our own":   func() (*vendorhttp.Accepted, error) { return ask(hooked(t, ""), "invented", "") },
		"a POST with one":        func() (*vendorhttp.Accepted, error) { return postChallenge(source) },
		"two secrets, one right": func() (*vendorhttp.Accepted, error) { return twice(source, secret) },
	} {
		got, err := refused()
		var unbelieved *vendorhttp.Unbelieved
		if !errors.As(err, &unbelieved) {
			t.Errorf("%s: got %+v, %v, want it refused", name, got, err)
		}
	}
}

// Only a POST is a delivery and only a GET a question, whatever else is right about it.
func TestForeignMethods(t *testing.T) {
	for _, method := range []string{"", "get", http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect} {
		got, err := hooked(t, "invented").Receive(vendorhttp.Delivery{
			Method: method, Header: http.Header{"Authorization": {"invented"}, challengeHeader: {"x"}}, Body: []byte(`{"eventId":"e1","data":{"events":[{}]}}`),
		})
		var unbelieved *vendorhttp.Unbelieved
		if !errors.As(err, &unbelieved) || unbelieved.Reason != "foreign" {
			t.Errorf("%q: got %+v, %v, want it refused as foreign", method, got, err)
		}
	}
}

func postChallenge(source *Source) (*vendorhttp.Accepted, error) {
	return source.Receive(vendorhttp.Delivery{Method: http.MethodPost, Header: http.Header{"X-Okta-Verification-Challenge": {"x"}}, Body: []byte(`{}`)})
}

func twice(source *Source, secret string) (*vendorhttp.Accepted, error) {
	return source.Receive(vendorhttp.Delivery{Method: http.MethodPost, Header: http.Header{"Authorization": {secret, "another"}}, Body: []byte(`{}`)})
}

func TestHookSecretThatCannotBeRead(t *testing.T) {
	source, err := New(Config{URL: "https://shop.example.com", Token: config.SecretValue("invented"), HookSecret: config.Secret{Env: "CURFEW_TEST_NO_SUCH"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Receive(vendorhttp.Delivery{Method: http.MethodPost, Header: http.Header{"Authorization": {""}}})
	var unbelieved *vendorhttp.Unbelieved
	if err == nil || errors.As(err, &unbelieved) {
		t.Errorf("got %v, want an error about our own secret", err)
	}
}

// FuzzReceive wants a genuine delivery to be accepted whatever it holds, and never to be changed.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"eventId":"e1","data":{"events":[{"uuid":"1"},null,[[]]]}}`))
	f.Add([]byte(`{"data":{"events":7}}`))
	source := hooked(f, "invented")
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		accepted, err := source.Receive(vendorhttp.Delivery{Method: http.MethodPost, Header: http.Header{"Authorization": {"invented"}}, Body: body})
		if err != nil || accepted.Key == "" || accepted.Question || !bytes.Equal(kept, body) {
			t.Fatalf("got %+v, %v", accepted, err)
		}
		for _, record := range accepted.Records {
			if !bytes.Contains(body, record) {
				t.Fatalf("the record %q is not in the body", record)
			}
		}
	})
}
