// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/event"
)

const (
	// issuerTimeout bounds one question to the issuer.
	issuerTimeout = 10 * time.Second
	// issuerPause is how long an issuer that did not answer is left alone.
	issuerPause = 2 * time.Second
	// maxReason bounds what is repeated of an issuer's answer, in bytes.
	maxReason = 300
)

// OIDC is whose ID and access tokens are believed.
type OIDC struct {
	// Issuer as its tokens name it, a URL; "" = nobody's are believed.
	Issuer string
	// Audience that tokens must be for.
	Audience string
}

// issuer checks tokens by its issuer's keys, which it asks for when the first token comes, and again when one is signed by
// a key it does not know: an issuer that is down keeps nobody else out. Safe for concurrent use.
type issuer struct {
	OIDC
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	failed   time.Time
	why      error
}

// newIssuer is nil where there is none.
func newIssuer(o OIDC) *issuer {
	if o.Issuer == "" {
		return nil
	}
	return &issuer{OIDC: o, client: &http.Client{Timeout: issuerTimeout}}
}

// open returns what checks tokens, having asked the issuer where its keys are.
func (i *issuer) open(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil {
		return i.verifier, nil
	}
	if i.why != nil && time.Since(i.failed) < issuerPause {
		return nil, i.why
	}
	// Not the call's own context: whoever hangs up must not make the issuer look down to all others.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), i.client), i.Issuer)
	if err != nil {
		i.failed, i.why = time.Now(), err
		return nil, err
	}
	i.verifier = provider.VerifierContext(oidc.ClientContext(context.WithoutCancel(ctx), i.client), &oidc.Config{
		ClientID: i.Audience,
		// Only what is signed by a key that we cannot have: an HMAC would be checked with one that is public.
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA},
	})
	return i.verifier, nil
}

// byOIDC is the caller whom an issuer's token names.
func (a *api) byOIDC(ctx context.Context, shown string) (caller, error) {
	verifier, err := a.issuer.open(ctx)
	if err != nil {
		return caller{}, status.Errorf(codes.Unavailable, "the issuer %s cannot be asked for its keys: %s", a.issuer.Issuer, firstLine(err))
	}
	token, err := verifier.Verify(ctx, shown)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return caller{}, status.Errorf(codes.Unauthenticated, "the OIDC token expired at %s; sign in again", expired.Expiry.UTC().Format(time.RFC3339))
	case err != nil:
		return caller{}, status.Errorf(codes.Unauthenticated, "the OIDC token is not valid: %s", firstLine(err))
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some issuers write it as text, and those are not believed
	}
	if err := token.Claims(&claims); err != nil {
		return caller{}, status.Error(codes.Unauthenticated, "the OIDC token is not valid: its claims cannot be read")
	}
	var emails []string
	if claims.Verified == true && claims.Email != "" {
		emails = append(emails, claims.Email)
	}
	c, err := a.named(ctx, "the OIDC token", "subject", token.Subject, emails)
	c.until, c.proof = token.Expiry, "OIDC token of "+a.issuer.Issuer
	return c, err
}

// firstLine is what an error of the library's says in one line: it repeats whole pages of an issuer's.
func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "oidc: "), "\n")
	return event.Clean(line[:min(len(line), maxReason)])
}
