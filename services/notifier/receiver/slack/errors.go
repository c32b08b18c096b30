// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// maxAnswer is how large an answer may be: a page of history has a few megabytes.
const maxAnswer = 64 << 20

// polite is an HTTP client that hears when it is asked to wait, however the answer says so.
type polite struct{ client *http.Client }

// Do sends a request once. Its error is a *delivery.Refused where the answer asks to wait.
func (p polite) Do(req *http.Request) (*http.Response, error) {
	answer, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	wait := (&vendorhttp.Answer{Header: answer.Header}).RetryAfter()
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable && wait > 0 {
		_ = answer.Body.Close() // it says no more
		return nil, &delivery.Refused{Reason: "slack: it asks to be asked less often", After: wait}
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	return answer, nil
}

// advice is what a person does about a code of Slack's that no retry helps against: https://docs.slack.dev/reference/methods
// has the codes of each method.
func advice(code string) string {
	switch code {
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "team_access_not_granted":
		return "Slack does not accept bot_token any more; install the app again and store its new one"
	case "not_allowed_token_type":
		return "bot_token is of another kind; it begins with xoxb-"
	case "missing_scope", "no_permission", "access_denied", "ekm_access_denied", "org_login_required":
		return "the app lacks a right; compare its scopes with deploy/slack/manifest.yaml and install it again"
	case "not_in_channel":
		return "the app is not in the channel; invite it there with /invite @curfew"
	case "channel_not_found":
		return "the app sees no such channel; correct channel, or invite the app if it is a private one"
	case "is_archived", "is_inactive":
		return "the channel is archived; bring it back, or name another"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return "an administrator lets nobody post there; let the app post, or name another channel"
	case "invalid_arguments", "invalid_form_data", "invalid_json", "invalid_cursor":
		return mistake
	case "user_not_found", "user_disabled", "cannot_dm_bot", "user_not_visible", "users_not_found":
		return "the account cannot be written to; correct the person's slack id"
	}
	return ""
}

// mistake is what to do about what Curfew should not have sent.
const mistake = "this is a mistake in Curfew, not in your set-up; please report it with this line"

// unfit is what a person does about a code of Slack's that finds fault with one message: others may be taken.
func unfit(code string) string {
	switch code {
	case "message_not_found", "thread_not_found", "cant_update_message", "cant_delete_message", "edit_window_closed", "block_mismatch",
		"restricted_action_thread_locked", "cannot_reply_to_message":
		return "somebody deleted the message, or it cannot be edited any more; the alert itself is safe: curfew alert list"
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments",
		"invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "metadata_must_be_sent_from_app":
		return mistake
	}
	return ""
}

// failed makes an error of slack-go one of a delivery: *delivery.Refused where surely nothing was done. It holds no secret
// and nothing that an unexpected answer quotes.
func (r *Receiver) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	what = "slack: " + what + ": "
	if refused := delivery.AsRefused(err); refused != nil {
		return refused
	}
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return refusal(what, said)
	}
	var status slack.StatusCodeError
	if errors.As(err, &status) {
		if status.Code >= http.StatusInternalServerError {
			return fmt.Errorf("%sstatus %d", what, status.Code)
		}
		// A redirect, or a proxy's no: Slack itself answers 200 whatever it refuses.
		isUnfit := delivery.IsUnfit(status.Code)
		return &delivery.Refused{
			Reason: fmt.Sprintf("%sstatus %d; check api_url, and the proxy if there is one", what, status.Code), Final: !isUnfit, Unfit: isUnfit,
		}
	}
	if unreached(err) {
		return &delivery.Refused{Reason: what + vendorhttp.Quiet(err).Error()}
	}
	for _, known := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s%w", what, known)
		}
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return errors.New(what + "the answer is no JSON")
	}
	return errors.New(what + vendorhttp.Quiet(err).Error())
}

// refusal is what a code of Slack's means.
func refusal(what string, said slack.SlackErrorResponse) error {
	code := card.Plain(said.Err, 80)
	if said.Needed != "" {
		code += " (needed: " + card.Plain(said.Needed, 80) + ")"
	}
	if strings.Contains(code, "xox") || strings.Contains(code, "xapp-") {
		code = "an error that is not shown" // it would be a token
	}
	what += code
	if text := unfit(said.Err); text != "" {
		return &delivery.Refused{Reason: what + ": " + text, Unfit: true}
	}
	if text := advice(said.Err); text != "" {
		return &delivery.Refused{Reason: what + ": " + text, Final: true}
	}
	if said.Err == "ratelimited" || said.Err == "rate_limited" || said.Err == "message_limit_exceeded" {
		return &delivery.Refused{Reason: what + ": Slack asks to be asked less often"}
	}
	// internal_error and fatal_error may come after the deed, and nobody knows of a code that is new.
	return errors.New(what)
}

// code is Slack's of an error, "" where there is none.
func code(err error) string {
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return said.Err
	}
	return ""
}

// unreached is whether nobody was reached at all.
func unreached(err error) bool {
	var name *net.DNSError
	var dial *net.OpError
	return errors.As(err, &name) || errors.As(err, &dial) && dial.Op == "dial"
}
