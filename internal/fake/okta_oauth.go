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
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// oktaTokenPath is the path of the token endpoint of an org's own authorization server.
const oktaTokenPath = "/oauth2/v1/token"

// oktaAccess is a service app's way in. It is safe for concurrent use.
type oktaAccess struct {
	client string
	key    *rsa.PrivateKey

	mu      sync.Mutex
	granted []string            // the scopes that may be asked for
	given   map[string][]string // scopes by access token
	used    map[string]bool     // assertions by jti
}

func newOktaAccess(client string) *oktaAccess {
	a := &oktaAccess{client: client, given: map[string][]string{}, used: map[string]bool{}}
	if client != "" {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(fmt.Sprintf("make a key: %v", err)) // The system's randomness does not fail.
		}
		a.key = key
	}
	return a
}

// Permit lets the service app ask for scopes, and none but these and those of earlier calls.
func (o *Okta) Permit(scopes ...string) {
	o.access.mu.Lock()
	defer o.access.mu.Unlock()
	o.access.granted = append(o.access.granted, scopes...)
}

// Withdraw ends every access token given out so far.
func (o *Okta) Withdraw() {
	o.access.mu.Lock()
	defer o.access.mu.Unlock()
	clear(o.access.given)
}

// PEM is the service app's private key. It is thrown away with o.
func (o *Okta) PEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(o.access.key)
	if err != nil {
		panic(fmt.Sprintf("write a key: %v", err)) // An RSA key can be written.
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// JWK is the same key as Okta's console hands it out: https://www.rfc-editor.org/rfc/rfc7517.
func (o *Okta) JWK() string {
	key := o.access.key
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	text, err := json.Marshal(map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "invented-key-1", "n": number(key.N), "e": number(big.NewInt(int64(key.E))),
		"d": number(key.D), "p": number(key.Primes[0]), "q": number(key.Primes[1]),
	})
	if err != nil {
		panic(err) // Strings alone: it cannot be.
	}
	return string(text)
}

// unauthorized is the refusal of a request by its Authorization header, if it is refused.
func (o *Okta) unauthorized(r *http.Request, scope string) (oktaAnswer, bool) {
	header := r.Header.Get("Authorization")
	invalid := oktaRefusal(http.StatusUnauthorized, "E0000011", "Invalid token provided")
	token, bears := strings.CutPrefix(header, "Bearer ")
	if !bears {
		return invalid, o.config.Token != "" && header != "SSWS "+o.config.Token
	}
	o.access.mu.Lock()
	defer o.access.mu.Unlock()
	scopes, known := o.access.given[token]
	if !known {
		return invalid, true
	}
	manage := strings.TrimSuffix(scope, ".read") + ".manage"
	refused := !slices.Contains(scopes, scope) && !slices.Contains(scopes, manage)
	return oktaRefusal(http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action"), refused
}

// serveToken gives an access token for an assertion that the service app signed:
// https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/#get-an-access-token.
func (o *Okta) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	refuse := func(code, description string) {
		oktaJSON(http.StatusBadRequest, map[string]string{"error": code, "error_description": description}).write(w, r)
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" ||
		r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		refuse("unsupported_grant_type", "The authorization grant type is not supported by the authorization server.")
		return
	}
	a := o.access
	a.mu.Lock()
	defer a.mu.Unlock()
	if why := a.disbelieve(r.PostForm.Get("client_assertion"), "http://"+r.Host+oktaTokenPath, o.config.Clock().Unix()); why != "" {
		refuse("invalid_client", why)
		return
	}
	scopes := strings.Fields(r.PostForm.Get("scope"))
	for _, scope := range scopes {
		if !slices.Contains(a.granted, scope) {
			refuse("invalid_scope", "One or more scopes are not configured for the authorization server resource.")
			return
		}
	}
	token := fmt.Sprintf("fake-access-token-%d", len(a.used))
	a.given[token] = scopes
	given := map[string]any{"access_token": token, "expires_in": 3600, "token_type": "Bearer", "scope": strings.Join(scopes, " ")}
	oktaJSON(http.StatusOK, given).write(w, r)
}

// disbelieve is what is wrong with an assertion at a time; "" where nothing is.
func (a *oktaAccess) disbelieve(assertion, audience string, now int64) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || a.key == nil {
		return "The client_assertion is not a JWT."
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return "The client_assertion is not a JWT."
		}
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Aud, Iss, Sub, Jti string
		Iat, Exp           int64
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case json.Unmarshal(decoded[0], &header) != nil || json.Unmarshal(decoded[1], &claims) != nil || header.Alg != "RS256":
		return "The client_assertion JWT cannot be read."
	case header.Kid != "" && header.Kid != "invented-key-1":
		return "The client_assertion JWT kid is invalid."
	case rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], decoded[2]) != nil:
		return "The client_assertion signature is invalid."
	case claims.Iss != a.client || claims.Sub != a.client || claims.Aud != audience:
		return "The issuer, subject or audience of the client_assertion is invalid."
	case claims.Exp <= now || claims.Exp > now+3600 || claims.Iat > now+60:
		return "The client_assertion token has an expiration that is not within an hour."
	case claims.Jti == "" || a.used[claims.Jti]:
		return "The client_assertion JWT was used before."
	}
	a.used[claims.Jti] = true
	return ""
}
