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
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// GitHubAppID is the app that reads.
	GitHubAppID = "7001"
	// GitHubInstallationID is where it is installed.
	GitHubInstallationID = "6001"
)

// githubApp is the GitHub App that reads: it proves itself by its key and gets tokens for its installation.
type githubApp struct {
	mu     sync.Mutex
	key    *rsa.PrivateKey // made when it is asked for
	tokens map[string]bool
	given  int
}

// PrivateKey is the app's key as GitHub hands it out. It is thrown away with g.
func (g *GitHub) PrivateKey() string {
	g.app.mu.Lock()
	defer g.app.mu.Unlock()
	if g.app.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(fmt.Sprintf("make a key: %v", err)) // The system's randomness does not fail.
		}
		g.app.key = key
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.app.key)}))
}

// RevokeTokens makes every token that the app was given one that is refused.
func (g *GitHub) RevokeTokens() {
	g.app.mu.Lock()
	defer g.app.mu.Unlock()
	clear(g.app.tokens)
}

func (a *githubApp) gave(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens[token]
}

// serve answers a request of the app itself, if r is one:
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app.
func (a *githubApp) serve(w http.ResponseWriter, r *http.Request) bool {
	installation, found := strings.CutPrefix(r.URL.Path, "/app/installations/")
	installation, isToken := strings.CutSuffix(installation, "/access_tokens")
	if !found || !isToken || r.Method != http.MethodPost {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	assertion, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if problem := a.check(assertion); problem != "" {
		githubError(w, http.StatusUnauthorized, problem)
		return true
	}
	if installation != GitHubInstallationID {
		githubError(w, http.StatusNotFound, "Not Found")
		return true
	}
	if a.tokens == nil {
		a.tokens = map[string]bool{}
	}
	a.given++
	token := fmt.Sprintf("ghs_invented%d", a.given)
	a.tokens[token] = true
	answer := githubJSON(http.StatusCreated, map[string]any{
		"token": token, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "repository_selection": "all",
		"permissions": map[string]string{
			"members": "write", "organization_administration": "write", "administration": "write", "metadata": "read",
			"organization_personal_access_tokens": "write", "organization_custom_org_roles": "write",
		},
	})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(answer.status)
	// The client may have gone; it will ask again.
	_, _ = w.Write(answer.body)
	return true
}

// check says what is wrong with an app's assertion, "" where nothing is.
func (a *githubApp) check(assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || a.key == nil {
		return "A JSON web token could not be decoded"
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
		Issuer  string `json:"iss"`
	}
	for part, into := range map[string]any{parts[0]: &head, parts[1]: &claims} {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || json.Unmarshal(text, into) != nil {
			return "A JSON web token could not be decoded"
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	switch {
	case err != nil || head.Algorithm != "RS256" || rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, digest[:], signature) != nil:
		return "A JSON web token could not be decoded"
	case claims.Issued > now:
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.Expires > now+600 || claims.Expires < now:
		return "'Expiration time' claim ('exp') is too far in the future"
	case claims.Issuer != GitHubAppID:
		return "Integration not found"
	}
	return ""
}
