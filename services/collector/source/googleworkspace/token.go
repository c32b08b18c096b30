// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// scope is the least that reads activities:
	// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list#authorization-scopes.
	scope = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
	// defaultTokenURL is where service accounts get tokens:
	// https://developers.google.com/identity/protocols/oauth2/service-account.
	defaultTokenURL = "https://oauth2.googleapis.com/token"
)

// key is what is read of a service account's JSON key.
type key struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`
}

// accessToken is a token that has not ended. Its error holds no secret.
func (s *Source) accessToken(ctx context.Context) (string, error) {
	var token *oauth2.Token
	select {
	case token = <-s.tokens:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { s.tokens <- token }()
	if !token.Valid() {
		fetched, err := s.fetchToken(ctx)
		if err != nil {
			return "", err
		}
		token = fetched
	}
	return token.AccessToken, nil
}

// forget makes the next request fetch a new token, unless another feed has done so already.
func (s *Source) forget(refused string) {
	token := <-s.tokens
	if token != nil && token.AccessToken == refused {
		token = nil
	}
	s.tokens <- token
}

func (s *Source) fetchToken(ctx context.Context) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, err := s.readKey()
	if err != nil {
		return nil, err
	}
	// The error of the package under use is text alone, so the transport keeps what went wrong.
	transport := &remembering{base: http.DefaultTransport}
	client := *s.client.HTTP
	client.Transport = transport
	account := jwt.Config{
		Email: k.ClientEmail, PrivateKey: []byte(k.PrivateKey), PrivateKeyID: k.PrivateKeyID,
		Subject: s.config.Subject, Scopes: []string{scope}, TokenURL: cmp.Or(k.TokenURI, defaultTokenURL),
	}
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, &client), client.Timeout)
	defer cancel()
	token, err := account.TokenSource(bounded).Token()
	var refused *oauth2.RetrieveError
	switch {
	case err == nil && token.AccessToken != "":
		return token, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &refused):
		return nil, tokenRefusal(refused)
	case transport.err != nil:
		return nil, fmt.Errorf("ask for a token: %w", vendorhttp.Quiet(transport.err))
	case !transport.asked:
		return nil, errors.New("read credentials: the private key is none; make a new key of the service account")
	}
	return nil, errors.New("ask for a token: the answer holds none")
}

// readKey reads the service account's key. Its error holds no byte of it.
func (s *Source) readKey() (*key, error) {
	text, err := s.config.Credentials.Value()
	if err != nil {
		return nil, err
	}
	var k key
	if err := json.Unmarshal([]byte(text), &k); err != nil || k.Type != "service_account" || k.ClientEmail == "" || k.PrivateKey == "" {
		return nil, errors.New("read credentials: not the JSON key of a service account")
	}
	if k.TokenURI != "" {
		if _, err := vendorhttp.Address(k.TokenURI); err != nil {
			return nil, fmt.Errorf("read credentials: token_uri: %w", err)
		}
	}
	return &k, nil
}

// tokenRefusal says why there is no token and what to do. What Google tells is in an OAuth error's form.
func tokenRefusal(refused *oauth2.RetrieveError) error {
	var told struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(refused.Body, &told)
	text := fmt.Sprintf("ask for a token: google answered %d", refused.Response.StatusCode)
	if slices.Contains(reasons, told.Error) {
		text += " (" + told.Error + ")"
	}
	if status := refused.Response.StatusCode; status == http.StatusBadRequest || status == http.StatusUnauthorized {
		text += "; check that the key still exists, that the subject is an administrator, and that the service account has domain-wide delegation for " + scope
	}
	return errors.New(text)
}

// remembering is a transport that keeps the error of its last request.
type remembering struct {
	base  http.RoundTripper
	asked bool
	err   error
}

// RoundTrip asks once, as http.RoundTripper says.
func (r *remembering) RoundTrip(request *http.Request) (*http.Response, error) {
	r.asked = true
	response, err := r.base.RoundTrip(request)
	r.err = err
	return response, err
}
