// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// get asks for a page. Its error holds no token.
func (s *Source) get(ctx context.Context, pathAndQuery string) (*vendorhttp.Answer, error) {
	// It is read each time: a token can be replaced while Curfew runs.
	token, err := s.config.Token.Value()
	if err != nil {
		return nil, err
	}
	return s.client.Get(ctx, s.base.String()+pathAndQuery, "SSWS", token)
}

// judge says what Okta refused and what to do: https://developer.okta.com/docs/reference/error-codes/. Past its rate
// limit Okta names the time at which there is room again: https://developer.okta.com/docs/reference/rl-best-practices/.
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
	switch answer.Status {
	case http.StatusTooManyRequests:
		verdict.Later, verdict.Wait = true, cmp.Or(answer.Until("X-Rate-Limit-Reset"), answer.RetryAfter())
	case http.StatusUnauthorized:
		verdict.Advice = "the token is not valid, or no longer: make one in Okta under Security, API, Tokens"
	case http.StatusForbidden:
		verdict.Advice = "the token's owner may not read the System Log: give them the Read-only administrator role"
	}
	return verdict
}
