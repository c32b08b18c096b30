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

// activityPath is before an application's name:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities.
const activityPath = "admin/reports/v1/activity/users/all/applications"

// activities is one page of Activities.list:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
type activities struct {
	Kind          string            `json:"kind"`
	Items         []json.RawMessage `json:"items"`
	NextPageToken string            `json:"nextPageToken"`
}

// list asks for a page, and says when it was asked for. Its error holds no secret.
func (s *Source) list(ctx context.Context, application string, at cursor) (*activities, time.Time, error) {
	query := url.Values{
		"startTime":  {at.start().Add(-margin).UTC().Format("2006-01-02T15:04:05.000Z")},
		"endTime":    {at.Until.UTC().Format("2006-01-02T15:04:05.000Z")},
		"maxResults": {strconv.Itoa(s.config.PageSize)},
	}
	if at.PageToken != "" {
		query.Set("pageToken", at.PageToken)
	}
	address := s.base.JoinPath(activityPath, application)
	address.RawQuery = query.Encode()
	answer, err := s.ask(ctx, scopeAudit, vendorhttp.Request{Method: http.MethodGet, Address: address.String()})
	if err != nil {
		return nil, time.Time{}, err
	}
	page, err := readPage(answer.Body)
	return page, answer.Asked, err
}

// ask asks with a token for the scope, once more where Google does not take the one at hand: it may have ended early, or
// been revoked. Its error holds no secret and says what a refusal wants.
func (s *Source) ask(ctx context.Context, scope string, r vendorhttp.Request) (*vendorhttp.Answer, error) {
	for renewed := false; ; renewed = true {
		token, err := s.tokens[scope].Token(ctx)
		if err != nil {
			return nil, err
		}
		r.Scheme, r.Secret = "Bearer", token
		answer, err := s.client.Do(ctx, r)
		var refused *vendorhttp.Refused
		switch isRefused := errors.As(err, &refused); {
		case isRefused && refused.Status == http.StatusUnauthorized && !renewed:
			s.tokens[scope].Forget(token)
			continue
		case isRefused && refused.Status == http.StatusUnauthorized:
			return nil, fmt.Errorf("%w; the service account's token is not accepted: check its key and its domain-wide delegation for %s", err, scope)
		case isRefused && refused.Status == http.StatusForbidden && refused.Reason == "accessNotConfigured":
			return nil, fmt.Errorf("%w; enable this API in the service account's Google Cloud project", err)
		case isRefused && refused.Status == http.StatusForbidden:
			return nil, fmt.Errorf("%w; give the subject an administrator role that may %s, and the service account domain-wide delegation for %s", err, rights[scope], scope)
		}
		return answer, err
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
// https://developers.google.com/workspace/admin/reports/v1/limits, https://www.rfc-editor.org/rfc/rfc6749#section-5.2,
// https://developers.google.com/workspace/admin/directory/v1/limits and
// https://developers.google.com/identity/protocols/oauth2/service-account#error-codes. That push channels are refused with
// the last three is not confirmed.
var reasons = []string{
	"accessNotConfigured", "access_denied", "admin_policy_enforced", "authError", "backendError", "conditionNotMet", "conflict",
	"dailyLimitExceeded", "disabled_client", "duplicate", "forbidden", "insufficientPermissions", "invalid", "invalidParameter",
	"invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "notFound", "quotaExceeded", "rateLimitExceeded",
	"required", "unauthorized_client", "userRateLimitExceeded",
	"channelIdNotUnique", "push.webhookUrlNotHttps", "push.webhookUrlUnauthorized",
}

// statuses are the words of Google's newer APIs for some of the reasons:
// https://cloud.google.com/apis/design/errors#handling_errors.
var statuses = map[string]string{
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": "insufficientPermissions", "RATE_LIMIT_EXCEEDED": "rateLimitExceeded", "SERVICE_DISABLED": "accessNotConfigured",
	"ALREADY_EXISTS": "duplicate", "INVALID_ARGUMENT": "invalid", "NOT_FOUND": "notFound", "PERMISSION_DENIED": "forbidden",
	"RESOURCE_EXHAUSTED": "quotaExceeded", "UNAUTHENTICATED": "authError",
}

// judge says what Google refused, and whether the same request may be granted later: 503 is how the Reports API says that
// the quota is used up, 403 with its own reason how the Directory API does.
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told struct {
		Error struct {
			Status string `json:"status"`
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	verdict := vendorhttp.Verdict{Wait: answer.RetryAfter(), Reason: statuses[told.Error.Status]}
	for _, detail := range told.Error.Details {
		verdict.Reason = cmp.Or(statuses[detail.Reason], verdict.Reason)
	}
	if len(told.Error.Errors) > 0 && slices.Contains(reasons, told.Error.Errors[0].Reason) {
		verdict.Reason = told.Error.Errors[0].Reason
	}
	switch status := answer.Status; {
	case status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented:
		verdict.Later = true
	case strings.HasSuffix(verdict.Reason, "LimitExceeded") || verdict.Reason == "quotaExceeded":
		verdict.Later = true
	}
	return verdict
}
