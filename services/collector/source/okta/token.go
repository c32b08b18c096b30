// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
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
	"math/big"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	tokenPath = "/oauth2/v1/token"
	// assertionType is RFC 7523's, the one way in that Okta has for service apps:
	// https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/.
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is how long an assertion is good. Okta takes an hour at most.
	assertionLife = 5 * time.Minute
)

// keeper keeps the access token for one scope. Each scope has a token of its own: one scope that is not granted then
// spoils nothing but what needs it, and no request carries more than its own right.
func (s *Source) keeper(scope string) *vendorhttp.Tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[scope] == nil {
		s.tokens[scope] = vendorhttp.NewTokens(func(ctx context.Context) (*oauth2.Token, error) { return s.fetchToken(ctx, scope) })
	}
	return s.tokens[scope]
}

// fetchToken gets a new access token for a scope. Its error holds no secret.
func (s *Source) fetchToken(ctx context.Context, scope string) (*oauth2.Token, error) {
	address := s.base.String() + tokenPath
	assertion, err := s.assertion(address)
	if err != nil {
		return nil, err
	}
	app := clientcredentials.Config{
		ClientID: s.config.ClientID, TokenURL: address, Scopes: []string{scope}, AuthStyle: oauth2.AuthStyleInParams,
		EndpointParams: url.Values{"client_assertion_type": {assertionType}, "client_assertion": {assertion}},
	}
	token, err := s.client.OAuth(ctx, app.TokenSource)
	var refused *vendorhttp.TokenRefused
	if errors.As(err, &refused) {
		return nil, tokenRefusal(refused, scope)
	}
	return token, err
}

// assertion is what proves to Okta that it is the service app who asks.
func (s *Source) assertion(audience string) (string, error) {
	key, id, err := s.readKey()
	if err != nil {
		return "", err
	}
	now := s.client.Now()
	header := map[string]any{"alg": "RS256", "typ": "JWT"}
	if id != "" {
		header["kid"] = id
	}
	claims := map[string]any{
		"aud": audience, "iss": s.config.ClientID, "sub": s.config.ClientID,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": rand.Text(),
	}
	var parts []string
	for _, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("write assertion: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", errNoKey
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// errNoKey is the error for a private key that cannot be used. It holds no byte of it.
var errNoKey = errors.New("read private_key: not a private RSA key as PEM or JWK; make one on the service app's General tab, under Public Keys")

// readKey reads the private key and its id at Okta. It is read each time: a key can be replaced while Curfew runs.
func (s *Source) readKey() (*rsa.PrivateKey, string, error) {
	text, err := s.config.PrivateKey.Value()
	if err != nil {
		return nil, "", err
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return s.readJWK(text)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", errNoKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, s.config.KeyID, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, "", errNoKey
	}
	key, isRSA := parsed.(*rsa.PrivateKey)
	if !isRSA {
		return nil, "", errNoKey
	}
	return key, s.config.KeyID, nil
}

// readJWK reads a key as Okta's console shows it: https://www.rfc-editor.org/rfc/rfc7518#section-6.3.
func (s *Source) readJWK(text string) (*rsa.PrivateKey, string, error) {
	var jwk struct {
		Type string `json:"kty"`
		ID   string `json:"kid"`
		N    string `json:"n"`
		E    string `json:"e"`
		D    string `json:"d"`
		P    string `json:"p"`
		Q    string `json:"q"`
	}
	if err := json.Unmarshal([]byte(text), &jwk); err != nil || jwk.Type != "RSA" {
		return nil, "", errNoKey
	}
	var numbers []*big.Int
	for _, part := range []string{jwk.N, jwk.E, jwk.D, jwk.P, jwk.Q} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
		if err != nil || len(raw) == 0 || len(raw) > 2048 {
			return nil, "", errNoKey
		}
		numbers = append(numbers, new(big.Int).SetBytes(raw))
	}
	if !numbers[1].IsInt64() || numbers[1].Int64() > 1<<31-1 {
		return nil, "", errNoKey
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: numbers[0], E: int(numbers[1].Int64())}, D: numbers[2], Primes: []*big.Int{numbers[3], numbers[4]},
	}
	if key.Validate() != nil {
		return nil, "", errNoKey
	}
	key.Precompute()
	if s.config.KeyID != "" {
		return key, s.config.KeyID, nil
	}
	return key, jwk.ID, nil
}

// noToken is the error for an access token that was refused.
type noToken struct {
	refused *vendorhttp.TokenRefused
	// code is the OAuth error code, if it is a known one: any other is the other side's text.
	code, advice string
}

// Error is why there is no token and what to do.
func (n *noToken) Error() string {
	if n.code == "" {
		return n.refused.Error()
	}
	return n.reason() + "; " + n.advice
}

func (n *noToken) reason() string { return n.refused.Error() + " (" + n.code + ")" }

// Unwrap is the refusal.
func (n *noToken) Unwrap() error { return n.refused }

// tokenRefusal says why there is no access token and what to do:
// https://developer.okta.com/docs/reference/error-codes/#okta-oauth-2-0-and-openid-connect-error-codes.
func tokenRefusal(refused *vendorhttp.TokenRefused, scope string) error {
	advice := map[string]string{
		"invalid_client":      "check client_id, that the service app is active, that this key is among its public keys, and this machine's clock",
		"unauthorized_client": "check that client_id is that of a service app (API Services)",
		"invalid_scope":       "grant the service app " + scope + " on its tab Okta API Scopes",
		// That Okta answers so where the app wants proof of possession is told by its list of errors alone.
		"invalid_dpop_proof": "turn off on the service app's General tab that token requests need proof of possession (DPoP)",
		"access_denied":      "give the service app an administrator role on its tab Admin Roles",
		"invalid_request":    "check url and client_id",
	}[refused.Code]
	if advice == "" {
		return &noToken{refused: refused}
	}
	return &noToken{refused: refused, code: refused.Code, advice: advice}
}
