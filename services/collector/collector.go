// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package collector reads every source and stores what it gave: events with their cursor and coverage in one write, each
// act once. It alone talks to SaaS.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/telemetry"
)

// leaseLength is how long a lane waits for a reader that has died.
const leaseLength = 10 * time.Second

// maxBackoff bounds the pause after a source refused: an outage is waited out, its end must not be missed by much.
const maxBackoff = 2 * time.Minute

// Options is what a collector needs.
type Options struct {
	// Bus to write events to.
	Bus *bus.Bus
	// Catalog of actions.
	Catalog *catalog.Catalog
	// Tenant whose SaaS are read.
	Tenant string
	// Holder names this process among its replicas.
	Holder string
	// Sources to read, by name.
	Sources map[string]Configured
	// Log and Metrics receive what happens.
	Log     *slog.Logger
	Metrics *telemetry.Metrics
}

// Run reads every feed of every source until ctx ends, whose error it returns. Several may run at once: each feed has
// one reader at a time.
func Run(ctx context.Context, o Options) error {
	var lanes sync.WaitGroup
	for name, configured := range o.Sources {
		for _, feed := range configured.Source.Feeds() {
			l := &lane{Options: o, source: name, feed: feed, from: configured.Source, interval: configured.Interval}
			lanes.Go(func() { l.keepReading(ctx) })
		}
	}
	lanes.Wait()
	<-ctx.Done()
	return ctx.Err()
}

// keepReading reads one feed until ctx ends, beginning anew from what is stored whenever something goes wrong.
func (l *lane) keepReading(ctx context.Context) {
	lease := bus.Lease{Name: fmt.Sprintf("collector %s/%s/%s", l.Tenant, l.source, l.feed), Holder: l.Holder, Length: leaseLength}
	l.Bus.Keep(ctx, lease, maxBackoff, l.read, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) {
			l.Log.Info("another collector reads the feed", "source", l.source, "feed", l.feed)
			return
		}
		l.Log.Error("feed stopped; reading again from what is stored", "source", l.source, "feed", l.feed, "delay", delay, "error", err)
		l.Metrics.Failed("collector", "feed")
	})
}
