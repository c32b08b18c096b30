// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package notifier makes findings alerts and hands them to receivers, takes what people ask for there, brings to grants and
// alerts what the clock brings, and tells people of them. It alone talks to people.
package notifier

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
)

// Options is what a notifier needs.
type Options struct {
	// Bus to read findings from and keep alerts on.
	Bus *bus.Bus
	// State for the due index of grants.
	State state.Store
	// Tenant whose findings are told.
	Tenant string
	// Mode is that of the findings of a source; "" stands for findings that are about none.
	Mode func(source string) config.Mode
	// Receivers by name.
	Receivers map[string]Receiver
	// Alerts is where alerts go, and when they do not.
	Alerts config.Alerts
	// Sources that are read, by name; empty = not known.
	Sources []string
	// Holder names this process among its replicas.
	Holder string
	// Clock by which grants begin and end; nil = the machine's.
	Clock clock.Clock
	// Ready is called once every grant is known and what was overdue at the start is being ended; nil = nobody waits.
	Ready func()
	// Log and Metrics receive what happens.
	Log     *slog.Logger
	Metrics *telemetry.Metrics
}

// Run makes findings alerts and hands them over, takes the steps that the clock brings to grants and tells people of them,
// until ctx ends, whose error it returns. Several may run at once: they share the work. Notices of grants are sent in every mode:
// they are about what people asked for and hold, and no alerts.
func Run(ctx context.Context, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.System(o.stepped)
	}
	if o.Holder == "" {
		o.Holder = rand.Text()
	}
	reach := newContacts(o)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.again(ctx, "contacts", reach.follow) })
	group.Go(func() error { return newDesk(o, reach).run(ctx) })
	group.Go(func() error { return o.listen(ctx) })
	group.Go(func() error { return runGrants(ctx, o, reach) })
	return group.Wait()
}

// stepped says that somebody set the machine's clock.
func (o Options) stepped(step time.Duration, believed bool) {
	if believed {
		o.Metrics.Stepped("believed")
		o.Log.Warn("the machine's clock has been off for ten minutes, so it is believed: grants go by it from now on", "step", step)
		return
	}
	o.Metrics.Stepped("doubted")
	o.Log.Warn("the machine's clock was set; grants go on by the time that has passed, and by the new one if it stays for ten minutes: check that the time is right", "step", step)
}
