// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// changing is a client that would ask anything again, at once.
func changing() *vendorhttp.Client {
	c := vendorhttp.New("acme", func(a *vendorhttp.Answer) vendorhttp.Verdict {
		return vendorhttp.Verdict{Later: true, Reason: a.Quote(string(a.Body), 100)}
	})
	c.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

func TestDoSendsWhatItIsTold(t *testing.T) {
	var got *http.Request
	var body string
	address := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		content, _ := io.ReadAll(r.Body)
		got, body = r, string(content)
		w.WriteHeader(http.StatusCreated)
	})
	answer, err := changing().Do(t.Context(), vendorhttp.Request{
		Method: http.MethodPut, Address: address + "/members/1", Scheme: "Bearer", Secret: secret, Body: []byte(`{"role":"member"}`),
		Header: http.Header{"If-Match": {"7"}},
	})
	if err != nil || answer.Status != http.StatusCreated {
		t.Fatalf("got %v, %v, want 201", answer, err)
	}
	if got.Method != http.MethodPut || got.URL.Path != "/members/1" || body != `{"role":"member"}` || got.Header.Get("Authorization") != "Bearer "+secret ||
		got.Header.Get("Content-Type") != "application/json" || got.Header.Get("If-Match") != "7" {
		t.Errorf("got %s %s %q with %v", got.Method, got.URL, body, got.Header)
	}
	if _, err := changing().Do(t.Context(), vendorhttp.Request{Method: http.MethodPost, Address: address}); err != nil {
		t.Fatal(err)
	}
	if _, signed := got.Header["Authorization"]; signed || got.Header.Get("Content-Type") != "" {
		t.Errorf("without a secret and a body: got %v", got.Header)
	}
}

// What may have been done is not asked again: only who asked can read whether it was.
func TestDoAsksAgainOnlyWhatWasRefused(t *testing.T) {
	for _, test := range []struct {
		method string
		status int
		again  bool
	}{
		{http.MethodGet, 429, true}, {http.MethodGet, 503, true},
		{http.MethodPost, 429, true}, {http.MethodPost, 403, true}, {http.MethodPost, 500, false}, {http.MethodDelete, 503, false}, {http.MethodPut, 502, false},
	} {
		var asked atomic.Int64
		address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			if asked.Add(1) == 1 {
				w.WriteHeader(test.status)
			}
		})
		_, err := changing().Do(t.Context(), vendorhttp.Request{Method: test.method, Address: address})
		if (err == nil) != test.again || (asked.Load() == 2) != test.again {
			t.Errorf("%s answered %d: asked %d times, %v, want again: %v", test.method, test.status, asked.Load(), err, test.again)
		}
	}
}

func TestDoBelievesNoSuccessThatIsNone(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		_, _ = w.Write([]byte(`{"ok":false,"error":"not_in_group"}`))
	})
	c := vendorhttp.New("acme", func(*vendorhttp.Answer) vendorhttp.Verdict { return vendorhttp.Verdict{Reason: "not_in_group"} })
	c.Failed = func(a *vendorhttp.Answer) bool { return strings.Contains(string(a.Body), `"ok":false`) }
	_, err := c.Get(t.Context(), address, "Bearer", secret)
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Reason != "not_in_group" || refused.Status != http.StatusOK {
		t.Errorf("got %v, want it refused for not_in_group", err)
	}
}

func TestTokens(t *testing.T) {
	fetched := 0
	tokens := vendorhttp.NewTokens(func(context.Context) (*oauth2.Token, error) {
		if fetched++; fetched == 3 {
			return nil, errors.New("refused")
		}
		return &oauth2.Token{AccessToken: "token" + string(rune('0'+fetched)), Expiry: time.Now().Add(time.Hour)}, nil
	})
	get := func(want string) {
		t.Helper()
		if got, err := tokens.Token(t.Context()); got != want || (err != nil) != (want == "") {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	get("token1")
	get("token1")
	tokens.Forget("another")
	get("token1")
	tokens.Forget("token1")
	get("token2")
	tokens.Forget("token2")
	get("")
	get("token4")
}

func TestOAuthKeepsSecretsOut(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter, r *http.Request){
		"refused": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"` + secret + `"}`))
		},
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(secret)) },
		"cut off":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, answer := range answers {
		address := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { answer(w, r) })
		config := clientcredentials.Config{ClientID: "client", ClientSecret: secret, TokenURL: address + "?" + url.QueryEscape(secret)}
		_, err := changing().OAuth(t.Context(), config.TokenSource)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line without the secret", name, err)
		}
		var refused *vendorhttp.TokenRefused
		if is := errors.As(err, &refused); is != (name == "refused") || is && (refused.Status != 401 || refused.Code != "invalid_client") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
