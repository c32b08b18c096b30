// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

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
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// assertionBefore and assertionFor are how the time of an app's assertion is to lie around now: up to ten minutes,
	// begun a minute ago so that no clock makes it one to come:
	// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app.
	assertionBefore = time.Minute
	assertionFor    = 9 * time.Minute
)

// fetchToken gets a new access token of the installation.
func (s *Source) fetchToken(ctx context.Context) (*oauth2.Token, error) {
	got, err := s.askToken(ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: got.Token, Expiry: got.ExpiresAt}, nil
}

// installationToken is what is read of a token of the installation.
type installationToken struct {
	Token       string            `json:"token"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Permissions map[string]string `json:"permissions"`
	Selection   string            `json:"repository_selection"`
}

// askToken gets a token of the installation, good for an hour:
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app. Its error holds no secret.
func (s *Source) askToken(ctx context.Context) (*installationToken, error) {
	assertion, err := s.assertion(s.client.Now())
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(ctx, vendorhttp.Request{
		Method:  http.MethodPost,
		Address: s.base.JoinPath("app", "installations", s.config.InstallationID, "access_tokens").String(),
		Scheme:  "Bearer", Secret: assertion,
	})
	var refused *vendorhttp.Refused
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return nil, fmt.Errorf("ask for a token: github answered 401 (%s); check that app_id and private_key are of one GitHub App and that this machine's clock is right", refused.Reason)
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		return nil, errors.New("ask for a token: github answered 404; check installation_id, and that the app is still installed")
	case err != nil:
		return nil, fmt.Errorf("ask for a token: %w", err)
	}
	var got installationToken
	if err := json.Unmarshal(answer.Body, &got); err != nil || got.Token == "" {
		return nil, errors.New("ask for a token: the answer holds none")
	}
	return &got, nil
}

// assertion is a JSON web token by which the app proves itself. Its error holds no byte of the key.
func (s *Source) assertion(now time.Time) (string, error) {
	text, err := s.config.PrivateKey.Value()
	if err != nil {
		return "", err
	}
	key, err := readKey([]byte(text))
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-assertionBefore).Unix(), "exp": now.Add(assertionFor).Unix(), "iss": s.config.AppID,
	})
	if err != nil {
		return "", fmt.Errorf("write assertion: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", errors.New("read private_key: the key cannot sign; make a new one in the app's settings")
	}
	return signed + "." + encode(signature), nil
}

// readKey reads an RSA key in either of the forms that one comes in; GitHub's are PKCS #1.
func readKey(text []byte) (*rsa.PrivateKey, error) {
	none := errors.New("read private_key: not an RSA key in PEM form; make one in the app's settings and name the file as it was downloaded")
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, none
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, none
	}
	rsaKey, isRSA := key.(*rsa.PrivateKey)
	if !isRSA {
		return nil, none
	}
	return rsaKey, nil
}
