// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// secondaryWait is how long GitHub asks to wait where it refuses for its secondary limit and names no time:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit.
const secondaryWait = time.Minute

// get asks for a page. Its error holds no secret.
func (s *Source) get(ctx context.Context, address string) (*vendorhttp.Answer, error) {
	return s.do(ctx, http.MethodGet, address, nil)
}

// do makes a request. Its error holds no secret.
func (s *Source) do(ctx context.Context, method, address string, body []byte) (*vendorhttp.Answer, error) {
	for renewed := false; ; renewed = true {
		token, err := s.token(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := s.client.Do(ctx, vendorhttp.Request{Method: method, Address: address, Scheme: "Bearer", Secret: token, Body: body})
		var refused *vendorhttp.Refused
		if s.tokens == nil || renewed || !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			return answer, err
		}
		// The installation's token may have ended early, or been revoked.
		s.tokens.Forget(token)
	}
}

// token is what requests are signed with. It is read each time: a personal token can be replaced while Curfew runs.
func (s *Source) token(ctx context.Context) (string, error) {
	if s.tokens != nil {
		return s.tokens.Token(ctx)
	}
	return s.config.Token.Value()
}

// judge says what GitHub refused and what to do. Limits are refused with 403 or 429; the primary one with no requests
// remaining and the time at which there are some again, the secondary one with Retry-After or in words alone:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit.
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told struct {
		Message string `json:"message"`
	}
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	verdict := vendorhttp.Verdict{Reason: answer.Quote(told.Message, 300)}
	words := strings.ToLower(told.Message)
	spent := answer.Header.Get("X-RateLimit-Remaining") == "0"
	limited := answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusOK && isGraphLimited(answer) || answer.Status == http.StatusForbidden &&
		(spent || answer.Header.Get("Retry-After") != "" || strings.Contains(words, "rate limit") || strings.Contains(words, "abuse detection"))
	switch {
	case limited:
		verdict.Later, verdict.Wait = true, answer.RetryAfter()
		switch {
		case verdict.Wait > 0:
		case spent:
			verdict.Wait = answer.Until("X-RateLimit-Reset")
		case strings.Contains(words, "secondary") || strings.Contains(words, "abuse"):
			verdict.Wait = secondaryWait
		}
	case answer.Status == http.StatusUnauthorized:
		verdict.Advice = "the token is not valid, or no longer: make one in GitHub under Settings, Developer settings, Personal access tokens"
	case answer.Header.Get("X-GitHub-SSO") != "":
		verdict.Advice = "the token is not authorised for the organisation's single sign-on: in GitHub under Settings, Developer settings, Personal access tokens, choose Configure SSO beside it"
	}
	return verdict
}

// adviseLog adds to a refusal of the audit log what a person can do. GitHub hides what a token may not see, so a missing
// right, a name that is not right and a plan without the log look alike.
func (s *Source) adviseLog(err error) error {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden && refused.Status != http.StatusNotFound {
		return err
	}
	name, right := "org "+s.config.Org, "an organisation owner's, with the scope read:audit_log (an app or fine-grained token: the organisation permission Administration, read)"
	if s.config.Enterprise != "" {
		name, right = "enterprise "+s.config.Enterprise, "an enterprise owner's, with the scope read:audit_log"
	}
	return fmt.Errorf("%w; check that %s is right, that the token is %s, and that the plan is GitHub Enterprise Cloud; on other plans set audit_log: false and use webhooks", err, name, right)
}
