// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// kindSession is what EndSessions and the inventory of tokens look at: what was let in by single sign-on.
const kindSession = "session"

// errUnseen is why an answer that something is not there is not believed.
var errUnseen = errors.New("github answered 404, as it does too where a token may not see what is asked for")

// seesAll asks what the token may see and is nil if nothing of the kind is hidden from it: GitHub answers 404 where a right
// is missing, and what is hidden is not gone. Of a classic token that is the scopes and that its owner owns the
// organisation; of an app its permissions, and that it is on every repository. Of a fine-grained token GitHub tells
// nothing: its owner is an owner if the organisation's settings are shown, which is not confirmed, and it sees teams and
// roles if it may list them; nothing tells which repositories it was made for.
func (s *Source) seesAll(ctx context.Context, kind string) error {
	answer, err := s.get(ctx, s.orgPath().String())
	if err != nil {
		return fmt.Errorf("%w; what the token may see cannot be learnt: %w", errUnseen, err)
	}
	want := sights[kind]
	_, classic := answer.Header[http.CanonicalHeaderKey("X-OAuth-Scopes")]
	switch {
	case classic:
		if lacks := lacking(scopesOf(answer.Header), want.scopes); lacks != "" {
			return fmt.Errorf("%w; the token does not have the scope %s", errUnseen, lacks)
		}
		owner, err := s.owns(ctx)
		if err != nil {
			return fmt.Errorf("%w; whether its owner owns the organisation cannot be learnt: %w", errUnseen, err)
		}
		if !owner {
			return fmt.Errorf("%w; the token's owner does not own the organisation", errUnseen)
		}
		return nil
	case s.tokens != nil:
		token, err := s.askToken(ctx)
		if err != nil {
			return fmt.Errorf("%w; what the app may do cannot be learnt: %w", errUnseen, err)
		}
		for _, permission := range want.permissions {
			if token.Permissions[permission] == "" {
				return fmt.Errorf("%w; the app does not have the permission %s", errUnseen, permission)
			}
		}
		if kind == kindCollaborator && token.Selection != "all" {
			return fmt.Errorf("%w; the app is not installed on all repositories", errUnseen)
		}
		return nil
	}
	var settings struct {
		Billing json.RawMessage `json:"billing_email"`
		Default json.RawMessage `json:"default_repository_permission"`
	}
	if err := json.Unmarshal(answer.Body, &settings); err != nil || settings.Billing == nil && settings.Default == nil || want.list == "" {
		return fmt.Errorf("%w; GitHub does not tell what a fine-grained token may see: use a classic one of an owner, or a GitHub App", errUnseen)
	}
	if _, err := s.get(ctx, s.orgPath(want.list).String()+"?per_page=1"); err != nil {
		return fmt.Errorf("%w; the fine-grained token may not list %s: %w", errUnseen, want.list, err)
	}
	return nil
}

// sights is what shows everything of a kind: scopes, one of each list, an app's permissions, and the list that a
// fine-grained token has to be shown.
var sights = map[string]struct {
	scopes      [][]string
	permissions []string
	list        string
}{
	kindTeam:         {[][]string{{"admin:org", "write:org", "read:org"}}, []string{"members"}, "teams"},
	kindOrgRole:      {[][]string{{"admin:org", "write:org", "read:org"}}, []string{"members", "organization_custom_org_roles"}, "organization-roles"},
	kindCollaborator: {[][]string{{"admin:org", "write:org", "read:org"}, {"repo"}}, []string{"administration", "metadata"}, ""},
	kindInstallation: {[][]string{{"admin:org", "write:org", "read:org"}}, []string{"organization_administration"}, "installations"},
	kindSession:      {[][]string{{"admin:org"}}, []string{"organization_administration"}, ""},
}

// owns is whether the token's owner is an owner of the organisation:
// https://docs.github.com/en/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user.
func (s *Source) owns(ctx context.Context) (bool, error) {
	answer, err := s.get(ctx, s.base.JoinPath("user", "memberships", "orgs", s.config.Org).String())
	if err != nil {
		return false, err
	}
	var membership struct {
		State string `json:"state"`
		Role  string `json:"role"`
	}
	if err := json.Unmarshal(answer.Body, &membership); err != nil {
		return false, errors.New("read answer: not a membership")
	}
	return membership.Role == ownerRole && membership.State == "active", nil
}

// scopesOf are the scopes of a classic token, as GitHub tells them with every answer.
func scopesOf(header http.Header) []string {
	return strings.FieldsFunc(header.Get("X-OAuth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
}

// lacking is the first of the scopes that are wanted and not there, one of each list being enough; "" for none.
func lacking(scopes []string, want [][]string) string {
	for _, choice := range want {
		if !slices.ContainsFunc(choice, func(scope string) bool { return slices.Contains(scopes, scope) }) {
			return choice[0]
		}
	}
	return ""
}
