// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// googleTokenPath is the path of Google's token endpoint.
const googleTokenPath = "/token"

// googleScope is before the names of Google's scopes, googleAuditScope the one that Activities.list wants.
const (
	googleScope      = "https://www.googleapis.com/auth/"
	googleAuditScope = googleScope + "admin.reports.audit.readonly"
)

// googleScopes are the scopes that are known here.
var googleScopes = []string{
	googleAuditScope,
	googleScope + "admin.directory.user.readonly",
	googleScope + "admin.directory.user.security",
	googleScope + "admin.directory.group.readonly",
	googleScope + "admin.directory.group.member",
	googleScope + "admin.directory.rolemanagement.readonly",
	googleScope + "admin.directory.rolemanagement",
	googleScope + "cloud-identity.groups",
}

// GoogleTokenFor is the access token that a Google whose token for the audit log is given hands out for a scope.
func GoogleTokenFor(token, scope string) string {
	if scope == googleAuditScope {
		return token
	}
	return token + "." + strings.TrimPrefix(scope, googleScope)
}

// scopeOf is the scope that a request has a token for.
func (g *Google) scopeOf(r *http.Request) (scope string, known bool) {
	for _, scope := range googleScopes {
		if r.Header.Get("Authorization") == "Bearer "+GoogleTokenFor(g.config.Token, scope) {
			return scope, true
		}
	}
	return "", false
}

// delegated is whether the service account may ask for a scope.
func (g *Google) delegated(scope string) bool {
	if g.config.Scopes == nil {
		return slices.Contains(googleScopes, scope)
	}
	return slices.Contains(g.config.Scopes, scope)
}

// serviceAccount is a service account whose key nobody else has.
type serviceAccount struct {
	email, keyID string
	key          *rsa.PrivateKey
}

func newServiceAccount() *serviceAccount {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(fmt.Sprintf("make a key: %v", err)) // The system's randomness does not fail.
	}
	return &serviceAccount{email: "curfew@invented-project.iam.gserviceaccount.com", keyID: "invented-key-1", key: key}
}

// json is the account's key as Google hands it out.
func (a *serviceAccount) json(tokenURL string) string {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		panic(fmt.Sprintf("write a key: %v", err)) // An RSA key can be written.
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "invented-project", "private_key_id": a.keyID,
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": a.email, "client_id": "100000000000000000001", "token_uri": tokenURL,
	})
	if err != nil {
		panic(err) // Strings alone: it cannot be.
	}
	return string(text)
}

// serveToken gives a token for a signed assertion:
// https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests.
func (g *Google) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost ||
		r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		oauthError(w, "unsupported_grant_type", "Invalid grant_type")
		return
	}
	claims, err := g.account().verify(r.PostForm.Get("assertion"))
	switch now := time.Now().Unix(); {
	case err != nil:
		oauthError(w, "invalid_grant", err.Error())
	case claims.Issuer != g.account().email || claims.Audience != "http://"+r.Host+googleTokenPath:
		oauthError(w, "invalid_grant", "Invalid issuer or audience")
	case claims.Expires < now || claims.Expires > now+3600+60 || claims.Issued > now+60:
		oauthError(w, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)")
	case !g.delegated(claims.Scope) || g.config.Subject != "" && claims.Subject != g.config.Subject:
		oauthError(w, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method")
	default:
		// The client may have gone; it will ask again.
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": GoogleTokenFor(g.config.Token, claims.Scope), "expires_in": 3599, "token_type": "Bearer"})
	}
}

type googleClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Scope    string `json:"scope"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
}

// verify reads an assertion that the account signed.
func (a *serviceAccount) verify(assertion string) (googleClaims, error) {
	invalid := errors.New("invalid JWT signature")
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return googleClaims{}, invalid
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return googleClaims{}, invalid
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return googleClaims{}, invalid
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return googleClaims{}, invalid
	}
	var claims googleClaims
	if json.Unmarshal(text, &claims) != nil {
		return googleClaims{}, invalid
	}
	return claims, nil
}

// oauthError answers with an error in OAuth's form: https://www.rfc-editor.org/rfc/rfc6749#section-5.2.
func oauthError(w http.ResponseWriter, code, description string) {
	status := http.StatusBadRequest
	if code == "unauthorized_client" {
		status = http.StatusUnauthorized
	}
	w.WriteHeader(status)
	// The client may have gone; it will ask again.
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}
