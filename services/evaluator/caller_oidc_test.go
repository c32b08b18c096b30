// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/bus/bustest"
)

// fakeIssuer is an OIDC issuer with keys of its own.
type fakeIssuer struct {
	*httptest.Server
	key  crypto.Signer
	down atomic.Bool
}

func newFakeIssuer(t *testing.T, key crypto.Signer, algorithm string) *fakeIssuer {
	t.Helper()
	keys := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "one", Algorithm: algorithm}}, Algorithms: []string{algorithm, "HS256"}}
	f := &fakeIssuer{key: key}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		keys.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	keys.SetIssuer(f.URL)
	return f
}

// claims is a token's content: what ann's would hold, changed.
func (f *fakeIssuer) claims(t *testing.T, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": f.URL, "aud": "curfew", "sub": "sub-ann", "exp": time.Now().Add(time.Hour).Unix(), "email": "Ann@example.com", "email_verified": true,
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	content, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOIDCTokens(t *testing.T) {
	b := bustest.New(t)
	key := newRSA(t)
	f, stranger := newFakeIssuer(t, key, oidc.RS256), newFakeIssuer(t, newRSA(t), oidc.RS256)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) {
		o.PolicyDir, o.API.OIDC, o.API.Services = dir, OIDC{Issuer: f.URL, Audience: "curfew"}, map[string]string{"sub-ci": "ci"}
	})
	sign := func(change map[string]any) string {
		return oidctest.SignIDToken(key, "one", oidc.RS256, f.claims(t, change))
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	none := part(`{"alg":"none"}`) + "." + part(f.claims(t, nil)) + "."
	hmac := oidctest.SignIDToken(key.N.Bytes(), "one", "HS256", f.claims(t, nil))
	honest := sign(nil)
	parts := strings.Split(honest, ".")
	for _, c := range []struct {
		name, token string
		code        codes.Code
		want        string // the caller, or what is said
	}{
		{"ann", honest, codes.PermissionDenied, "person:ann"},
		{"one of several audiences", sign(map[string]any{"aud": []string{"other", "curfew"}}), codes.PermissionDenied, "person:ann"},
		{"a service by its subject", sign(map[string]any{"sub": "sub-ci", "email": nil}), codes.PermissionDenied, "service:ci"},
		{"another audience", sign(map[string]any{"aud": "other"}), codes.Unauthenticated, `expected audience "curfew" got ["other"]`},
		{"no audience", sign(map[string]any{"aud": nil}), codes.Unauthenticated, `expected audience "curfew"`},
		{"expired", sign(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), codes.Unauthenticated, "the OIDC token expired at "},
		{"no end", sign(map[string]any{"exp": nil}), codes.Unauthenticated, "the OIDC token expired at "},
		{"not yet", sign(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), codes.Unauthenticated, "before the nbf"},
		{"another issuer named", sign(map[string]any{"iss": stranger.URL}), codes.Unauthenticated, "issued by a different provider"},
		{"another issuer's", oidctest.SignIDToken(stranger.key, "one", oidc.RS256, f.claims(t, nil)), codes.Unauthenticated, "the OIDC token is not valid"},
		{"no algorithm", none, codes.Unauthenticated, "the OIDC token is not valid"},
		{"signed with the public key", hmac, codes.Unauthenticated, "the OIDC token is not valid"},
		{"changed claims", parts[0] + "." + part(f.claims(t, map[string]any{"email": "bob@example.com"})) + "." + parts[2], codes.Unauthenticated, "the OIDC token is not valid"},
		{"no JWT", "a.b.c", codes.Unauthenticated, "the OIDC token is not valid"},
		{"unverified e-mail", sign(map[string]any{"email_verified": false}), codes.PermissionDenied, `the OIDC token names nobody known: its subject "sub-ann" does not stand under api.services, and it holds no verified e-mail`},
		{"e-mail verified in a text", sign(map[string]any{"email_verified": "true"}), codes.PermissionDenied, "it holds no verified e-mail"},
		{"nobody says whether it is verified", sign(map[string]any{"email_verified": nil}), codes.PermissionDenied, "it holds no verified e-mail"},
		{"nobody's e-mail", sign(map[string]any{"email": "eve@example.com"}), codes.PermissionDenied, "its e-mail eve@example.com: it is nobody's address"},
		{"no subject and no e-mail", sign(map[string]any{"sub": "", "email": ""}), codes.PermissionDenied, "names nobody known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			subject, err := whoCalls(t, b, showing(t, c.token), conn)
			if strings.HasPrefix(c.want, "person:") || strings.HasPrefix(c.want, "service:") {
				said(t, c.name, err, c.code, "the policy does not let "+c.want+" do this")
				if subject != c.want {
					t.Errorf("got an event of %q, want of %q", subject, c.want)
				}
				return
			}
			said(t, c.name, err, c.code, c.want)
			if strings.Contains(status.Convert(err).Message(), c.token) || len(c.token) > 100 && strings.Contains(status.Convert(err).Message(), parts[2]) {
				t.Error("the answer repeats the token")
			}
		})
	}
	if _, err := whoCalls(t, b, admin, conn); err != nil {
		t.Errorf("the admin's token beside OIDC: %v", err)
	}
}

// An issuer that is down keeps out those whom it vouches for, and nobody else, until it is back.
func TestAnIssuerThatIsDown(t *testing.T) {
	b := bustest.New(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeIssuer(t, key, oidc.ES256)
	f.down.Store(true)
	dir := callers(t, callersPeople)
	conn, admin := dialAPI(t, b, func(o *Options) { o.PolicyDir, o.API.OIDC = dir, OIDC{Issuer: f.URL, Audience: "curfew"} })
	ann := showing(t, oidctest.SignIDToken(key, "one", oidc.ES256, f.claims(t, nil)))
	_, err = whoCalls(t, b, ann, conn)
	said(t, "while it is down", err, codes.Unavailable, "the issuer "+f.URL+" cannot be asked for its keys")
	if _, err := whoCalls(t, b, admin, conn); err != nil {
		t.Errorf("the admin meanwhile: %v", err)
	}
	f.down.Store(false)
	subject := ""
	for status.Code(err) == codes.Unavailable {
		subject, err = whoCalls(t, b, ann, conn)
	}
	if subject != "person:ann" {
		t.Errorf("once it is back: got %q, %v", subject, err)
	}
}
