// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package evaluator decides: event in, one decision out, findings when something is wrong. It alone says who may do
// what, keeps the access log, and serves the gRPC API.
package evaluator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/state"
	"github.com/curfewhq/curfew/internal/telemetry"
)

// leaseLength is how long a lane waits for a judge that has died.
const leaseLength = 10 * time.Second

// maxBackoff bounds the pause after a lane broke off.
const maxBackoff = 30 * time.Second

// Options is what an evaluator needs.
type Options struct {
	// Bus to read events from and write decisions and findings to.
	Bus *bus.Bus
	// Catalog of actions and classes.
	Catalog *catalog.Catalog
	// Tenant whose events are judged.
	Tenant string
	// Holder names this process among its replicas.
	Holder string
	// PolicyDir is the policy folder; empty = the standard policy.
	PolicyDir string
	// API is how the gRPC API is served; nil = not at all.
	API *APIOptions
	// State is where what people and apps did lately is counted, for findings to say; nil = nothing is counted.
	State state.Store
	// Ready is called once the policy is in force and every event can be judged; nil = nobody waits.
	Ready func()
	// Log and Metrics receive what happens.
	Log     *slog.Logger
	Metrics *telemetry.Metrics
}

// Run judges every lane of the tenant and serves the API until ctx ends, whose error it returns. Any other error means
// that it cannot go on. Several may run at once: each lane has one judge at a time.
func Run(ctx context.Context, o Options) error {
	policies, err := openPolicies(ctx, o)
	if err != nil {
		return err
	}
	key, err := pseudonymKey(ctx, o.Bus)
	if err != nil {
		return err
	}
	e := &evaluator{
		Options: o, policies: policies, knowledge: openKnowledge(o.Bus, policies, o.Tenant, key, o.Log), doubted: make(chan doubted, confirmWaiting),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return policies.watch(ctx) })
	group.Go(func() error { return e.knowledge.follow(ctx) })
	group.Go(func() error {
		if _, err := e.knowledge.since(ctx, time.Now()); err == nil && o.Ready != nil {
			o.Ready()
		}
		return nil
	})
	group.Go(func() error { return e.judgeLanes(ctx) })
	group.Go(func() error { return e.confirm(ctx) })
	group.Go(func() error { return e.watchGrants(ctx) })
	group.Go(func() error { return e.writeReceipts(ctx) })
	for root := range linkStreams {
		group.Go(func() error { return e.correct(ctx, root) })
	}
	answers := e.newAPI()
	if o.API != nil {
		group.Go(func() error { return answers.serve(ctx) })
	}
	group.Go(func() error { return answers.takeCommands(ctx) })
	group.Go(func() error { return e.keepContacts(ctx) })
	return group.Wait()
}

type evaluator struct {
	Options
	policies  *policies
	knowledge *knowledge
	doubted   chan doubted
	allowed   atomic.Uint64 // decisions that allowed
	gaps      gaps
	accounts  accounts
	deeds     deeds
}

// again does what breaks off over and over, until ctx ends, whose error it returns.
func (e *evaluator) again(ctx context.Context, loop string, work func(context.Context) error) error {
	return bus.Again(ctx, work, func(err error) {
		e.Log.Error("a loop broke off and begins again", "loop", loop, "error", err)
		e.Metrics.Failed("evaluator", loop)
	})
}

// judgeLanes finds the tenant's lanes, and those to come, and keeps a judge at each.
func (e *evaluator) judgeLanes(ctx context.Context) error {
	var lanes sync.WaitGroup
	defer lanes.Wait()
	judged := map[string]bool{}
	for {
		subjects, err := e.Bus.Subjects(ctx, bus.All("event", e.Tenant))
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("list lanes; trying again", "error", err)
		}
		for subject := range subjects {
			_, source, feed, ok := bus.SplitLane(subject)
			if !ok || judged[subject] {
				continue
			}
			judged[subject] = true
			lanes.Go(func() { e.keepJudging(ctx, &lane{evaluator: e, source: source, feed: feed}) })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// keepJudging judges one lane until ctx ends, beginning anew from what is stored whenever something goes wrong.
func (e *evaluator) keepJudging(ctx context.Context, l *lane) {
	lease := bus.Lease{Name: fmt.Sprintf("evaluator %s/%s/%s", e.Tenant, l.source, l.feed), Holder: e.Holder, Length: leaseLength}
	e.Bus.Keep(ctx, lease, maxBackoff, l.judge, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) {
			e.Log.Info("another evaluator judges the lane", "source", l.source, "feed", l.feed)
			return
		}
		e.Log.Error("lane stopped; beginning again from what is stored", "source", l.source, "feed", l.feed, "delay", delay, "error", err)
		e.Metrics.Failed("evaluator", "lane")
	})
}
