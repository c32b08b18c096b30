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
	// The scopes that are asked for, each by itself: a token for several is refused where one of them is not delegated.
	// What each method wants stands on its page: https://developers.google.com/workspace/admin/directory/reference/rest.
	scopeAudit    = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
	scopeUsers    = "https://www.googleapis.com/auth/admin.directory.user.readonly"
	scopeGroups   = "https://www.googleapis.com/auth/admin.directory.group.readonly"
	scopeMembers  = "https://www.googleapis.com/auth/admin.directory.group.member"
	scopeRoles    = "https://www.googleapis.com/auth/admin.directory.rolemanagement.readonly"
	scopeAssign   = "https://www.googleapis.com/auth/admin.directory.rolemanagement"
	scopeSecurity = "https://www.googleapis.com/auth/admin.directory.user.security"
	scopeIdentity = "https://www.googleapis.com/auth/cloud-identity.groups"

	// defaultTokenURL is where service accounts get tokens:
	// https://developers.google.com/identity/protocols/oauth2/service-account.
	defaultTokenURL = "https://oauth2.googleapis.com/token"
)

// rights is what the subject's administrator role has to allow for a scope to be of use. That assigning roles takes a
// super administrator is not confirmed for every role.
var rights = map[string]string{
	scopeAudit: "see reports", scopeUsers: "read users", scopeGroups: "read groups", scopeMembers: "update groups",
	scopeRoles: "read roles (super administrators may)", scopeAssign: "assign roles (super administrators may)",
	scopeSecurity: "manage users' security", scopeIdentity: "update groups",
}

// key is what is read of a service account's JSON key.
type key struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`
}

// fetchToken gets a new access token for a scope. Its error holds no secret.
func (s *Source) fetchToken(ctx context.Context, scope string) (*oauth2.Token, error) {
	k, err := s.readKey()
	if err != nil {
		return nil, err
	}
	account := jwt.Config{
		Email: k.ClientEmail, PrivateKey: []byte(k.PrivateKey), PrivateKeyID: k.PrivateKeyID,
		Subject: s.config.Subject, Scopes: []string{scope}, TokenURL: cmp.Or(k.TokenURI, defaultTokenURL),
	}
	token, err := s.client.OAuth(ctx, account.TokenSource)
	var refused *vendorhttp.TokenRefused
	switch {
	case errors.As(err, &refused):
		return nil, tokenRefusal(refused, scope)
	case errors.Is(err, vendorhttp.ErrUnasked):
		return nil, errors.New("read credentials: the private key is none; make a new key of the service account")
	}
	return token, err
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

// tokenRefusal says why there is no token and what to do.
func tokenRefusal(refused *vendorhttp.TokenRefused, scope string) error {
	text := fmt.Sprintf("ask for a token: google answered %d", refused.Status)
	if slices.Contains(reasons, refused.Code) {
		text += " (" + refused.Code + ")"
	}
	if refused.Status == http.StatusBadRequest || refused.Status == http.StatusUnauthorized {
		text += "; check that the key still exists, that the subject is an administrator, and that the service account has domain-wide delegation for " + scope
	}
	return &tokenRefused{text}
}

// tokenRefused is the error where Google answered and gave no token: it may give one for another scope.
type tokenRefused struct{ text string }

// Error is one line without the secret.
func (r *tokenRefused) Error() string { return r.text }
