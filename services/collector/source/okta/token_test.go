// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/yamlfile"
)

const client = "0oaCurfew"

// serviceApp is a source that asks with the key of a service app.
func serviceApp(t *testing.T, handler http.Handler, key string) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	source, err := New(Config{URL: server.URL, ClientID: client, PrivateKey: config.SecretValue(key)})
	if err != nil {
		t.Fatal(err)
	}
	source.client.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return source
}

// pkcs1 is a PEM key in the older form.
func pkcs1(t *testing.T, source *Source) string {
	t.Helper()
	key, _, err := source.readKey()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func TestServiceApp(t *testing.T) {
	org := fake.NewOkta(fake.OktaConfig{Client: client, Token: "not-this-one"})
	org.Permit("okta.logs.read")
	org.Add(fake.OktaEvent{Published: time.Now().Add(-time.Hour)}.JSON())
	org.Put(fake.OktaUser{ID: "00uAnna", Login: "anna.berg@example.com"})
	for _, key := range []string{org.PEM(), "\n" + org.JWK() + "\n", pkcs1(t, serviceApp(t, org, org.PEM()))} {
		source := serviceApp(t, org, key)
		for range 2 {
			batch, err := source.Poll(t.Context(), feed, "")
			if err != nil || len(batch.GetEvents()) != 1 {
				t.Errorf("got %d events, %v, want 1", len(batch.GetEvents()), err)
			}
			// A token that Okta does not take any more is replaced at once.
			org.Withdraw()
		}
		if _, err := source.Observe(t.Context(), "tokens"); err == nil || !strings.Contains(err.Error(), "(invalid_scope); grant the service app okta.apiTokens.read on its tab Okta API Scopes") {
			t.Errorf("a scope that is not granted: got error %v, want what to grant", err)
		}
	}
	org.Permit("okta.users.read", "okta.apps.read")
	if got, err := serviceApp(t, org, org.JWK()).Observe(t.Context(), "people"); err != nil || len(got.GetEntries()) != 1 || len(got.GetMissing()) > 0 {
		t.Errorf("people: got %v, %v, want one", got, err)
	}
	stranger := serviceApp(t, org, fake.NewOkta(fake.OktaConfig{Client: client}).PEM())
	if _, err := stranger.Poll(t.Context(), feed, ""); err == nil || !strings.Contains(err.Error(), "(invalid_client); check client_id") {
		t.Errorf("another key: got error %v, want what to check", err)
	}
	unknown, err := New(Config{URL: stranger.base.String(), ClientID: client, PrivateKey: config.SecretValue(org.PEM()), KeyID: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unknown.Poll(t.Context(), feed, ""); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("another key's id: got error %v, want that it is refused", err)
	}
}

func TestServiceAppAtOnce(t *testing.T) {
	org := fake.NewOkta(fake.OktaConfig{Client: client})
	org.Permit("okta.logs.read", "okta.users.read", "okta.groups.read", "okta.apps.read", "okta.roles.read", "okta.appGrants.read", "okta.apiTokens.read")
	org.Churn(1)
	source := serviceApp(t, org, org.PEM())
	var group sync.WaitGroup
	for _, kind := range append(source.Kinds(), source.Kinds()...) {
		group.Go(func() {
			if got, err := source.Observe(t.Context(), kind); err != nil || len(got.GetMissing()) > 0 {
				t.Errorf("%s: got %q missing, %v", kind, got.GetMissing(), err)
			}
		})
	}
	group.Wait()
}

func TestKeysThatAreNone(t *testing.T) {
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(elliptic)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	server := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })
	good := fake.NewOkta(fake.OktaConfig{Client: client}).JWK()
	for name, key := range map[string]string{
		"text": "invented-s3cr3t", "an elliptic key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"an empty block": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "an empty JWK": "{}", "a broken JWK": `{"kty":"RSA","n":`,
		"a public JWK": `{"kty":"RSA","n":"invented-s3cr3t","e":"AQAB"}`, "a JWK of other numbers": strings.Replace(good, `"e":"AQAB"`, `"e":"AAAAAAAAAAAAAAAAAAAB"`, 1),
		"a JWK that does not fit": strings.Replace(good, `"n":"`, `"n":"AQ`, 1), "another kind of JWK": `{"kty":"EC","d":"invented-s3cr3t"}`,
	} {
		_, err := serviceApp(t, server, key).Poll(t.Context(), feed, "")
		if err == nil || !strings.Contains(err.Error(), "not a private RSA key") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got error %v, want that it is no key", name, err)
		}
	}
	if asked {
		t.Error("okta was asked without a key")
	}
}

// TestServiceAppSecrets lets the other side throw back all that it was sent: neither the assertion nor the access token
// gets into an error.
func TestServiceAppSecrets(t *testing.T) {
	key := fake.NewOkta(fake.OktaConfig{Client: client}).PEM()
	for _, status := range []int{200, 204, 302, 400, 401, 403, 404, 429, 500} {
		for _, tokenWorks := range []bool{false, true} {
			var sent []string
			source := serviceApp(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				if r.URL.Path == tokenPath && tokenWorks {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"access_token":"invented-access-s3cr3t","token_type":"Bearer","expires_in":3600}`))
					return
				}
				_, assertion, _ := strings.Cut(string(body), "client_assertion=")
				assertion, _, _ = strings.Cut(assertion, "&")
				sent = append(sent, assertion)
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Location", "https://192.0.2.1/?"+string(body))
				w.WriteHeader(status)
				text := r.Header.Get("Authorization") + " " + assertion
				_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q,"errorCode":%q,"errorSummary":%q}`, text, text, text, text)
			}), key)
			_, err := source.Poll(t.Context(), feed, "")
			if err == nil {
				t.Errorf("status %d: got no error", status)
				continue
			}
			texts := fmt.Sprintf("%v %+v %#v %v %#v", err, err, err, source, source)
			for _, secret := range append(sent, "invented-access-s3cr3t", "access-s3cr3t") {
				if len(secret) >= 8 && (strings.Contains(texts, secret) || strings.Contains(texts, secret[len(secret)-12:])) {
					t.Errorf("status %d, token works %v: it tells of a secret: %s", status, tokenWorks, texts)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("status %d: got several lines: %v", status, err)
			}
		}
	}
}

func TestServiceAppYAML(t *testing.T) {
	t.Setenv("CURFEW_TEST_OKTA", "invented")
	var got Config
	file := "url: https://shop.example.com\nclient_id: 0oa1\nprivate_key: {env: CURFEW_TEST_OKTA}\nkey_id: k1\nhook_secret: {env: CURFEW_TEST_OKTA}\n"
	if err := yamlfile.Decode("curfew.yaml", []byte(file), &got); err != nil {
		t.Fatal(err)
	}
	source, err := New(got)
	if err != nil || source.config.ClientID != "0oa1" || source.config.KeyID != "k1" || len(source.Webhooks()) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}
