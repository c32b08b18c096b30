// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"testing"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/delivery"
)

// What Slack finds wrong with one message keeps no other from people, and what it finds wrong with the set-up does not pass
// for that.
func TestACodeIsAboutTheMessageOrTheSetUp(t *testing.T) {
	for code, unfit := range map[string]bool{
		"msg_blocks_too_long": true, "invalid_blocks": true, "invalid_blocks_format": true, "msg_too_long": true, "no_text": true,
		"metadata_too_large": true, "message_not_found": true, "thread_not_found": true, "cant_update_message": true, "edit_window_closed": true,
		"token_revoked": false, "channel_not_found": false, "is_archived": false, "missing_scope": false, "restricted_action": false,
	} {
		got := delivery.AsRefused(refusal("slack: post: ", slack.SlackErrorResponse{Err: code}))
		if got == nil || got.Unfit != unfit || got.Final == unfit {
			t.Errorf("%s: got %#v, want unfit %v", code, got, unfit)
		}
	}
}
