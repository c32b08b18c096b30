// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"time"
)

// Check asks Slack whether the bot's token is good and the channel can be read, as what became of a post must be. It posts
// nothing. Nil means both.
func (r *Receiver) Check(ctx context.Context) error {
	_, _, err := r.Find(ctx, "", "", time.Now())
	return err
}
