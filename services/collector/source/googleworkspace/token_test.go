// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
)

// withAccount is a source whose token comes from a fake's token endpoint.
func withAccount(t *testing.T, google *fake.Google, change func(credentials string) string) *Source {
	t.Helper()
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	credentials := google.Credentials(server.URL)
	if change != nil {
		credentials = change(credentials)
	}
	source, err := New(Config{URL: server.URL, Credentials: config.SecretValue(credentials), Subject: "root@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestToken(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{Subject: "root@example.com", Token: "ya29-invented"})
	google.Add("drive", fake.GoogleActivity{
		Application: "drive", Time: time.Now().Add(-23 * time.Hour),
		Acts: []fake.GoogleAct{fake.GoogleFileAct("download", "1Invented", "Customers", "anna@example.com", "private")},
	}.JSON())
	source := withAccount(t, google, nil)
	batch, err := source.Poll(t.Context(), "drive", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.GetEvents()) != 1 || batch.GetEvents()[0].GetResource().GetPath() != "file/1Invented" {
		t.Errorf("got events %v, want the one download", batch.GetEvents())
	}
	// A token that is refused is replaced once.
	setToken(source, "revoked")
	if _, err := source.Poll(t.Context(), "drive", ""); err != nil {
		t.Errorf("with a revoked token: got error %v, want a new one fetched", err)
	}
}

func TestTokenRefused(t *testing.T) {
	tests := []struct {
		name, subject string
		change        func(string) string
		want          string
	}{
		{"another subject", "someone@example.com", nil, "(unauthorized_client); check that the key"},
		{"another key", "", func(string) string {
			return fake.NewGoogle(fake.GoogleConfig{}).Credentials("http://127.0.0.1:1")
		}, "ask for a token: dial tcp 127.0.0.1:1"},
		{"no key", "", func(c string) string { return strings.Replace(c, "KEY-----\\n", "KEY-----\\ns3cr3t", 1) }, "the private key is none"},
		{"no JSON", "", func(string) string { return "s3cr3t-s3cr3t" }, "not the JSON key of a service account"},
		{"a person's credentials", "", func(c string) string { return strings.Replace(c, "service_account", "authorized_user", 1) }, "not the JSON key of a service account"},
		{"a token address that is not safe", "", func(c string) string { return strings.Replace(c, "http://127.0.0.1", "http://192.0.2.1", 1) }, "token_uri: a secret may travel by https alone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			google := fake.NewGoogle(fake.GoogleConfig{Subject: test.subject})
			source := withAccount(t, google, test.change)
			_, err := source.Poll(t.Context(), "token", "")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v, want one with %q", err, test.want)
			}
			for _, secret := range []string{"BEGIN", "s3cr3t", "assertion", "eyJ"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells of the credentials: %v", err)
				}
			}
		})
	}
}

func TestTokenEndpointTellsNothing(t *testing.T) {
	// It throws the assertion back, in every form.
	for _, status := range []int{200, 302, 400, 401, 403, 500} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.Header().Set("Location", "/?"+r.PostForm.Encode())
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": r.PostForm.Get("assertion"), "error_description": r.PostForm.Encode()})
		}))
		t.Cleanup(server.Close)
		google := fake.NewGoogle(fake.GoogleConfig{})
		source, err := New(Config{URL: server.URL, Credentials: config.SecretValue(google.Credentials(server.URL)), Subject: "root@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Poll(t.Context(), "token", "")
		if err == nil || strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("status %d: got error %v, want one without the assertion, on one line", status, err)
		}
		for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
			if strings.Contains(wrapped.Error(), "eyJ") {
				t.Errorf("status %d: the error wraps one that tells of the assertion: %v", status, wrapped)
			}
		}
	}
}

func TestCredentialsFile(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{})
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	path := t.TempDir() + "/key.json"
	if err := os.WriteFile(path, []byte(google.Credentials(server.URL)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := New(Config{URL: server.URL, Credentials: config.Secret{File: path}, Subject: "root@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Poll(t.Context(), "login", ""); err != nil {
		t.Errorf("got error %v, want none", err)
	}
}
