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
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/telemetry"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// leaseLength is how long a lane waits for a reader that has died.
const leaseLength = 10 * time.Second

// minBackoff and maxBackoff bound the pause after a source refused, which doubles each time: an outage is waited out, its
// end must not be missed by much.
const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 2 * time.Minute
)

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
	// WebhookAddress is where vendors reach ServeWebhooks, without a path, such as "https://hooks.example.com"; "" where
	// they do not, or need not be told.
	WebhookAddress string
	// Clock is the time by which privileges are given and taken; nil = the machine's.
	Clock clock.Clock
	// Log and Metrics receive what happens.
	Log     *slog.Logger
	Metrics *telemetry.Metrics
}

// Run reads every feed of every source until ctx ends, whose error it returns. Several may run at once: each feed has
// one reader at a time.
func Run(ctx context.Context, o Options) error {
	// One page more than can be decoded at once waits for its turn.
	room := vendorhttp.NewRoom(runtime.GOMAXPROCS(0) + 1)
	var lanes sync.WaitGroup
	for name, configured := range o.Sources {
		lanes.Go(func() { keepObserving(ctx, o, name, configured) })
		for _, l := range configured.lanes() {
			l.Options, l.source, l.room = o, name, room
			lanes.Go(func() { l.keepReading(ctx) })
		}
	}
	lanes.Go(func() { o.warnOfWaiting(ctx) })
	lanes.Go(func() { o.keepProvisioning(ctx) })
	lanes.Wait()
	<-ctx.Done()
	return ctx.Err()
}

// warnOfWaiting tells of webhooks that wait for a feed which nobody merges any more: its source, or its webhook secret, was
// taken out of the configuration. They stay until it is back.
func (o Options) warnOfWaiting(ctx context.Context) {
	waiting, err := o.Bus.Subjects(ctx, bus.All("inbox", o.Tenant))
	if err != nil {
		if ctx.Err() == nil {
			o.Log.Warn("waiting webhooks not counted", "error", err)
		}
		return
	}
	for name, configured := range o.Sources {
		for _, l := range configured.lanes() {
			if l.hook {
				delete(waiting, bus.InboxSubject(o.Tenant, name, l.feed))
			}
		}
	}
	for subject, n := range waiting {
		o.Log.Warn("webhooks wait for a feed that takes none now; configure its source and its webhook secret again to have them merged", "inbox", subject, "webhooks", n)
	}
}

// lanes is a lane for each feed that is polled or that webhooks bring events to.
func (c Configured) lanes() []*lane {
	feeds := map[string]*lane{}
	of := func(feed string) *lane {
		if feeds[feed] == nil {
			feeds[feed] = &lane{feed: feed, from: c.Source, decode: c.Decode, interval: c.Interval, wake: make(chan struct{}, 1)}
		}
		return feeds[feed]
	}
	for _, feed := range c.Source.Feeds() {
		of(feed).polled = true
	}
	if listener, ok := c.Source.(Listener); ok {
		for _, feed := range listener.Webhooks() {
			of(feed).hook = true
		}
	}
	return slices.Collect(maps.Values(feeds))
}

// keepReading reads one feed until ctx ends, beginning anew from what is stored whenever something goes wrong.
func (l *lane) keepReading(ctx context.Context) {
	lease := bus.Lease{Name: fmt.Sprintf("collector %s/%s/%s", l.Tenant, l.source, l.feed), Holder: l.Holder, Length: leaseLength}
	l.Bus.Keep(ctx, lease, maxBackoff, l.read, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) {
			l.Log.Info("another collector reads the feed", "source", l.source, "feed", l.feed)
			return
		}
		l.broke(err, delay)
	})
}

// broke says that reading broke off and goes on from what is stored.
func (l *lane) broke(err error, delay time.Duration) {
	l.Log.Error("feed stopped; reading again from what is stored", "source", l.source, "feed", l.feed, "delay", delay, "error", err)
	l.Metrics.Failed("collector", "feed")
}
