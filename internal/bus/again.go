// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"time"
)

// Again does work until ctx ends, whose error it returns, and does it again a second after it broke off. Broke is told of
// each error. The second is the machine's: what broke off does not follow an injected clock.
func Again(ctx context.Context, work func(context.Context) error, broke func(error)) error {
	for {
		err := work(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		broke(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
