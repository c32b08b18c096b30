// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"time"

	"github.com/curfewhq/curfew/internal/delivery"
)

// Check asks Slack whether the bot's token is good and the channel can be read, as what became of a post must be, and where
// clicks come in by Socket Mode whether the app's token opens it. It posts nothing and connects to nothing. Nil means all of
// it; an error names the token that is wrong.
func (r *Receiver) Check(ctx context.Context) error {
	if _, _, err := r.Find(ctx, "", "", time.Now()); err != nil || !r.config.AppToken.IsSet() {
		return err
	}
	web, err := r.web()
	if err != nil {
		return err
	}
	// The address that it gives is good for 30 s, and of use to nobody who does not connect.
	_, _, err = web.StartSocketModeContext(ctx)
	return r.unopened(err)
}

// unopened makes an error of opening Socket Mode one that says what to do about app_token, by which alone it is opened.
func (r *Receiver) unopened(err error) error {
	const what, anew = "open Socket Mode", "make one with the scope connections:write (Basic Information, App-Level Tokens) and store it"
	var text string
	switch code(err) {
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		text = "Slack does not accept app_token, so that no click comes in; " + anew
	case "not_allowed_token_type":
		text = "app_token is of another kind, so that no click comes in; it begins with xapp-: " + anew
	case "missing_scope", "no_permission", "access_denied":
		text = "app_token lacks a right, so that no click comes in; " + anew
	default:
		return r.failed(what, err)
	}
	return &delivery.Refused{Reason: "slack: " + what + ": " + code(err) + ": " + text, Final: true}
}
