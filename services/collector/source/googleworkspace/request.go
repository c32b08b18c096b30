// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// margin is how much earlier than needed a query begins: whether startTime and endTime themselves are in a query is not
// confirmed.
const margin = time.Second

// activities is one page of Activities.list:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
type activities struct {
	Kind          string            `json:"kind"`
	Items         []json.RawMessage `json:"items"`
	NextPageToken string            `json:"nextPageToken"`
}

// list asks for a page. Its error holds no secret.
func (s *Source) list(ctx context.Context, application string, at cursor) (*activities, error) {
	query := url.Values{
		"startTime":  {at.From.Add(-margin).UTC().Format("2006-01-02T15:04:05.000Z")},
		"endTime":    {at.Until.UTC().Format("2006-01-02T15:04:05.000Z")},
		"maxResults": {strconv.Itoa(s.config.PageSize)},
	}
	if at.PageToken != "" {
		query.Set("pageToken", at.PageToken)
	}
	address := s.base.JoinPath("admin/reports/v1/activity/users/all/applications", application)
	address.RawQuery = query.Encode()
	for renewed := false; ; renewed = true {
		token, err := s.tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := s.client.Get(ctx, address.String(), "Bearer", token)
		var refused *vendorhttp.Refused
		switch {
		case err == nil:
			return readPage(answer.Body)
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !renewed:
			// The token may have ended early, or been revoked.
			s.tokens.Forget(token)
		default:
			return nil, err
		}
	}
}

// readPage takes a page apart. What is none is an error: it will be asked for again.
func readPage(body []byte) (*activities, error) {
	var page activities
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, errors.New("read page: not a JSON object with a list of records")
	}
	if !strings.HasSuffix(page.Kind, "reports#activities") {
		return nil, errors.New("read page: not a list of activities")
	}
	return &page, nil
}

// reasons are the words of Google's that an error may repeat:
// https://developers.google.com/workspace/admin/reports/v1/limits, https://www.rfc-editor.org/rfc/rfc6749#section-5.2 and
// https://developers.google.com/identity/protocols/oauth2/service-account#error-codes.
var reasons = []string{
	"accessNotConfigured", "access_denied", "admin_policy_enforced", "authError", "backendError", "dailyLimitExceeded",
	"disabled_client", "forbidden", "insufficientPermissions", "invalid", "invalidParameter", "invalid_client",
	"invalid_grant", "invalid_request", "invalid_scope", "notFound", "quotaExceeded", "rateLimitExceeded", "required",
	"unauthorized_client", "userRateLimitExceeded",
}

// judge says what Google refused and what to do, and whether the same request may be granted later: 503 is how this API
// says that the quota is used up. That other quotas are refused with 403 is not confirmed for it.
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told struct {
		Error struct {
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	verdict := vendorhttp.Verdict{Wait: answer.RetryAfter()}
	if len(told.Error.Errors) > 0 && slices.Contains(reasons, told.Error.Errors[0].Reason) {
		verdict.Reason = told.Error.Errors[0].Reason
	}
	switch status := answer.Status; {
	case status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented:
		verdict.Later = true
	case strings.HasSuffix(verdict.Reason, "LimitExceeded") || verdict.Reason == "quotaExceeded":
		verdict.Later = true
	case status == http.StatusUnauthorized:
		verdict.Advice = "the service account's token is not accepted: check its key and its domain-wide delegation for " + scope
	case status == http.StatusForbidden:
		verdict.Advice = "the subject may not see this log: give them an administrator role with the right to see reports"
	}
	return verdict
}
