// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
)

// Tokens keeps an access token until it ends. It is safe for concurrent use: who needs one while it is fetched waits for
// the same one.
type Tokens struct {
	fetch func(context.Context) (*oauth2.Token, error)
	// kept holds the token, nil at first. Whoever takes it out puts one back. Of a channel fmt prints the address,
	// whatever the verb.
	kept chan *oauth2.Token
}

// NewTokens returns a keeper of what fetch gets. The error of fetch holds no secret.
func NewTokens(fetch func(context.Context) (*oauth2.Token, error)) *Tokens {
	t := &Tokens{fetch: fetch, kept: make(chan *oauth2.Token, 1)}
	t.kept <- nil
	return t
}

// Token is an access token that has not ended.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	var token *oauth2.Token
	select {
	case token = <-t.kept:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { t.kept <- token }()
	if !token.Valid() {
		fetched, err := t.fetch(ctx)
		if err != nil {
			return "", err
		}
		token = fetched
	}
	return token.AccessToken, nil
}

// Forget makes the next Token fetch a new one, unless another has done so already. Call it when the vendor refuses one.
func (t *Tokens) Forget(refused string) {
	token := <-t.kept
	if token != nil && token.AccessToken == refused {
		token = nil
	}
	t.kept <- token
}

// ErrUnasked is the error of OAuth where nothing was asked: what was to be signed or sent could not be made.
var ErrUnasked = errors.New("ask for a token: the credentials cannot be used")

// TokenRefused is the error of OAuth where the vendor refused a token.
type TokenRefused struct {
	// Status is the HTTP status.
	Status int
	// Code is the OAuth error code as the vendor sent it, such as "invalid_client"; not to be shown unless known:
	// https://www.rfc-editor.org/rfc/rfc6749#section-5.2.
	Code string
}

// Error is the status alone.
func (r *TokenRefused) Error() string { return fmt.Sprintf("ask for a token: answered %d", r.Status) }

// OAuth asks for a token by what golang.org/x/oauth2 makes of the context, and keeps secrets out of the error: a
// *TokenRefused, ErrUnasked, the context's own, or one line about the connection.
func (c *Client) OAuth(ctx context.Context, source func(context.Context) oauth2.TokenSource) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The error of the package under use is text alone, so the transport keeps what went wrong.
	client := *c.HTTP
	base := client.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, &client), client.Timeout)
	defer cancel()
	transport := &remembering{ctx: bounded, base: base}
	client.Transport = transport
	token, err := source(bounded).Token()
	var refused *oauth2.RetrieveError
	switch {
	case err == nil && token.AccessToken != "":
		return token, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &refused):
		var told struct {
			Error string `json:"error"`
		}
		// Without a body that can be read the status alone has to do.
		_ = json.Unmarshal(refused.Body, &told)
		return nil, &TokenRefused{Status: refused.Response.StatusCode, Code: told.Error}
	case transport.err != nil:
		return nil, fmt.Errorf("ask for a token: %w", Quiet(transport.err))
	case !transport.asked:
		return nil, ErrUnasked
	}
	return nil, errors.New("ask for a token: the answer holds none")
}

// remembering is a transport that keeps the error of its last request, and ends its requests with a context: not all that
// the package under use sends has one.
type remembering struct {
	ctx   context.Context
	base  http.RoundTripper
	asked bool
	err   error
}

// RoundTrip asks once, as http.RoundTripper says.
func (r *remembering) RoundTrip(request *http.Request) (*http.Response, error) {
	r.asked = true
	response, err := r.base.RoundTrip(request.WithContext(r.ctx))
	r.err = err
	return response, err
}
