// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// maxRefusal bounds the body that failed looks into: Slack says what it refuses in a few words.
const maxRefusal = 16 << 10

// page asks for a page of a log. Its error holds no token.
func (s *Source) page(ctx context.Context, base *url.URL, path string, query url.Values) (*vendorhttp.Answer, error) {
	// It is read each time: a token can be replaced while Curfew runs.
	token, err := s.config.Token.Value()
	if err != nil {
		return nil, err
	}
	address := base.JoinPath(path)
	address.RawQuery = query.Encode()
	return s.client.Get(ctx, address.String(), "Bearer", token)
}

// refusal is what an answer says where it is none.
type refusal struct {
	OK    *bool  `json:"ok"`
	Error string `json:"error"`
	// The scope that is needed, where one is missing.
	Needed string `json:"needed"`
}

// failed is whether an answer with status 200 is a refusal, which is how the Web API refuses nearly everything:
// https://docs.slack.dev/apis/web-api/#evaluating-responses. Whether the Audit Logs API refuses so too or by the status is
// not confirmed; both are read.
func failed(answer *vendorhttp.Answer) bool {
	if len(answer.Body) > maxRefusal {
		return false
	}
	var told refusal
	return json.Unmarshal(answer.Body, &told) == nil && told.OK != nil && !*told.OK
}

// judge says what Slack refused and what to do: https://docs.slack.dev/reference/methods/team.integrationLogs#errors and
// the other methods' pages. Past its rate limit, which for the Audit Logs API all apps of an organisation share, Slack
// says in Retry-After when there is room again: https://docs.slack.dev/apis/web-api/rate-limits.
func judge(answer *vendorhttp.Answer) vendorhttp.Verdict {
	var told refusal
	// Without a body that can be read the status alone has to do.
	_ = json.Unmarshal(answer.Body, &told)
	verdict := vendorhttp.Verdict{Reason: answer.Quote(told.Error, 60)}
	if told.Error == "missing_scope" && told.Needed != "" {
		verdict.Reason += ": needs " + answer.Quote(told.Needed, 200)
	}
	switch {
	case answer.Status == http.StatusTooManyRequests || told.Error == "ratelimited" || told.Error == "rate_limited":
		verdict.Later, verdict.Wait = true, answer.RetryAfter()
	default:
		verdict.Advice = advice(answer.Status, told.Error)
	}
	return verdict
}

// advice is what a person can do about a refusal.
func advice(status int, reason string) string {
	switch reason {
	case "invalid_auth", "not_authed", "invalid_authentication", "token_revoked", "token_expired", "account_inactive":
		return "the token is not valid, or no longer: install the app again in Slack under Apps, OAuth & Permissions, and use the user token (xoxp-) that it shows"
	case "missing_scope":
		return "give the app the scope in Slack under OAuth & Permissions, User Token Scopes, and install it again"
	case "not_allowed_token_type":
		return "use the app's user token (xoxp-), not its bot token"
	case "feature_not_enabled", "team_not_authorized":
		return "this workspace is on no Enterprise plan, or the app is not installed on the organisation: set plan: other, or install the app on the organisation as its owner"
	case "enterprise_is_restricted", "missing_argument", "team_not_found":
		return "the token is an Enterprise organisation's: set plan: enterprise"
	case "paid_only", "team_is_not_paid", "paid_teams_only", "upgrade_required":
		return "this workspace's plan has no such log: leave it out with feeds: [integration_logs]"
	case "not_allowed", "not_an_admin", "user_not_authorized", "not_authorized", "access_denied", "no_permission", "restricted_action":
		return "the token's owner may not do this: use the token of the organisation's owner (plan enterprise) or of a workspace administrator (plan other)"
	case "accesslimited", "ip_not_allowed":
		return "Slack does not take requests from this address: add it to the allowed addresses of the app or the workspace"
	case "org_login_required", "team_added_to_org":
		return "the workspace is being moved into an Enterprise organisation; Slack answers again when that is done"
	case "ekm_access_denied":
		return "the organisation's administrators have suspended access by Enterprise Key Management"
	}
	switch status {
	case http.StatusUnauthorized:
		return advice(0, "invalid_auth")
	case http.StatusForbidden:
		return advice(0, "not_authorized")
	}
	return ""
}
