// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// right is what a request takes: the scope of an access token, and the least administrator role of who asks.
type right struct{ scope, role string }

// The rights there are: https://developer.okta.com/docs/api/oauth2/#okta-admin-management. Which role is the least for
// roles, API tokens and event hooks is not confirmed.
var (
	readsLog     = right{"okta.logs.read", "Read-only Administrator"}
	readsHooks   = right{"okta.eventHooks.read", "Super Administrator"}
	readsUsers   = right{"okta.users.read", "Read-only Administrator"}
	endsSessions = right{"okta.users.manage", "Group Administrator"}
	readsGroups  = right{"okta.groups.read", "Read-only Administrator"}
	setsGroups   = right{"okta.groups.manage", "Group Membership Administrator"}
	readsApps    = right{"okta.apps.read", "Read-only Administrator"}
	setsApps     = right{"okta.apps.manage", "Application Administrator"}
	readsGrants  = right{"okta.appGrants.read", "Read-only Administrator"}
	setsGrants   = right{"okta.appGrants.manage", "Super Administrator"}
	readsRoles   = right{"okta.roles.read", "Super Administrator"}
	setsRoles    = right{"okta.roles.manage", "Super Administrator"}
	readsTokens  = right{"okta.apiTokens.read", "Read-only Administrator"}
)

// get asks for a page. Its error holds no secret.
func (s *Source) get(ctx context.Context, right right, pathAndQuery string) (*vendorhttp.Answer, error) {
	return s.ask(ctx, right, http.MethodGet, pathAndQuery, nil)
}

// ask asks with the token, or with an access token for the right's scope. A body is sent as JSON. Its error holds no
// secret.
func (s *Source) ask(ctx context.Context, right right, method, pathAndQuery string, body any) (*vendorhttp.Answer, error) {
	request := vendorhttp.Request{Method: method, Address: s.base.String() + pathAndQuery, Scheme: "SSWS"}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
		request.Body = text
	}
	if s.config.ClientID == "" {
		// It is read each time: a token can be replaced while Curfew runs.
		token, err := s.config.Token.Value()
		if err != nil {
			return nil, err
		}
		request.Secret = token
		answer, err := s.client.Do(ctx, request)
		return answer, s.advise(err, right)
	}
	request.Scheme = "Bearer"
	tokens := s.keeper(right.scope)
	for renewed := false; ; renewed = true {
		token, err := tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		request.Secret = token
		answer, err := s.client.Do(ctx, request)
		var refused *vendorhttp.Refused
		if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !renewed {
			// The token may have ended early, or been revoked.
			tokens.Forget(token)
			continue
		}
		return answer, s.advise(err, right)
	}
}

// advise adds to a refusal what to do about it.
func (s *Source) advise(err error, right right) error {
	if advice := s.advice(err, right); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// advice is what to do about a refusal; "" where nothing is known.
func (s *Source) advice(err error, right right) string {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) {
		return ""
	}
	// Okta says 403 of much else than rights too, and names it.
	denied := refused.Status == http.StatusForbidden && (code(err) == "" || code(err) == codeDenied)
	switch service := s.config.ClientID != ""; {
	case refused.Status == http.StatusUnauthorized && service:
		return "the service app's access token is not accepted: check that url is the org's own address"
	case refused.Status == http.StatusUnauthorized:
		return "the token is not valid, or no longer: make one in Okta under Security, API, Tokens"
	case denied && service:
		return "give the service app the role " + right.role + " on its tab Admin Roles, or a custom role that may do this"
	case denied:
		return "the token's owner may not do this: give them the role " + right.role + ", or a custom role that may"
	}
	return ""
}

// Error codes of Okta's: https://developer.okta.com/docs/reference/error-codes/.
const (
	codeDenied       = "E0000006" // no permission
	codeMissing      = "E0000007" // there is no such resource
	codeStatus       = "E0000038" // not in the user's status
	codeGroupGives   = "E0000046" // an app cannot be taken while a group gives it
	codeUnsupported  = "E0000060" // no such operation for this object
	codeHasApp       = "E0000062" // the app is assigned already
	codeHasRole      = "E0000090" // the role is assigned already
	codeRolesBusy    = "E0000268" // somebody else changes role assignments
	codeHasOtherRole = "E0000263" // as codeHasRole, of a role that came later
)

// code is Okta's error code of a refusal; "" where there is none.
func code(err error) string {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) {
		return ""
	}
	code, _, _ := strings.Cut(refused.Reason, ":")
	return code
}

// isMissing is whether Okta itself says that there is no such thing. A 404 of anybody else says nothing.
func isMissing(err error) bool { return code(err) == codeMissing }

// isRefusal is whether an error says that asking again the same way leads nowhere.
func isRefusal(err error) bool {
	var refused *vendorhttp.Refused
	var untold *vendorhttp.TokenRefused
	switch {
	case errors.As(err, &refused):
		return refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests
	case errors.As(err, &untold):
		return untold.Status < http.StatusInternalServerError && untold.Status != http.StatusTooManyRequests
	}
	return false
}

// patience bounds how often a page of an inventory is asked for.
const patience = 5

// readPatiently asks for a page of a list that would be worth nothing without it: where the vendor or the way to it
// breaks, it asks again. It leaves others a tenth of the rate limit, which is the whole org's:
// https://developer.okta.com/docs/reference/rl-best-practices/.
func (s *Source) readPatiently(ctx context.Context, right right, pathAndQuery string) (*vendorhttp.Answer, error) {
	for try := 1; ; try++ {
		answer, err := s.get(ctx, right, pathAndQuery)
		if err == nil {
			return answer, s.makeRoom(ctx, answer)
		}
		if isRefusal(err) || try == patience || ctx.Err() != nil {
			return nil, err
		}
		if err := s.client.Pause(ctx, time.Second<<(try-1)); err != nil {
			return nil, fmt.Errorf("wait for okta to answer again: %w", err)
		}
	}
}

// makeRoom waits for the rate limit's next minute where little of this one is left.
func (s *Source) makeRoom(ctx context.Context, answer *vendorhttp.Answer) error {
	limit, err := strconv.Atoi(answer.Header.Get("X-Rate-Limit-Limit"))
	if err != nil {
		return nil
	}
	remaining, err := strconv.Atoi(answer.Header.Get("X-Rate-Limit-Remaining"))
	if err != nil || remaining > limit/10 {
		return nil
	}
	// A minute is what Okta counts by.
	wait := min(cmp.Or(answer.Until("X-Rate-Limit-Reset"), time.Second), time.Minute)
	if err := s.client.Pause(ctx, wait); err != nil {
		return fmt.Errorf("wait for okta's rate limit: %w", err)
	}
	return nil
}

// judge says what Okta refused: https://developer.okta.com/docs/reference/error-codes/. Past its rate limit Okta names
// the time at which there is room again: https://developer.okta.com/docs/reference/rl-best-practices/.
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told struct {
		Code    string `json:"errorCode"`
		Summary string `json:"errorSummary"`
	}
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	var verdict vendorhttp.Verdict
	if told.Code != "" {
		verdict.Reason = answer.Quote(told.Code, 20) + ": " + answer.Quote(told.Summary, 300)
	}
	if answer.Status == http.StatusTooManyRequests {
		verdict.Later, verdict.Wait = true, cmp.Or(answer.Until("X-Rate-Limit-Reset"), answer.RetryAfter())
	}
	if answer.Status == http.StatusConflict && told.Code == codeRolesBusy {
		verdict.Later = true
	}
	return verdict
}
