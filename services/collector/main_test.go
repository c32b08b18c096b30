// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"testing"

	"go.uber.org/goleak"
)

// What a service starts it ends: no goroutine outlives its tests.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded NATS server's own: it gives them no way to end before the process does.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*ipQueue[...]).unregister"),
		// The client's: closed before it runs, it waits at a nil channel for good (nats.go v1.55.0, publish.go:570).
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"),
	)
}
