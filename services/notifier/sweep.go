// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// sweepLease is how long what the clock brings to alerts waits where the notifier that saw to it has died.
	sweepLease = 10 * time.Second
	// lookEvery is how often alerts are looked through for what is held and need not be any more.
	lookEvery = 5 * time.Second
)

// sweep brings to alerts what the clock brings, watches Curfew itself and tells people of silences: one notifier at a time,
// until ctx ends, whose error it returns.
func (d *desk) sweep(ctx context.Context) error {
	began := d.Clock.Now()
	lease := bus.Lease{Name: "alerts " + d.Tenant, Holder: d.Holder, Length: sweepLease}
	d.Bus.Keep(ctx, lease, sweepLease, func(ctx context.Context) (bool, error) {
		c := newCrier(d)
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return c.run(ctx) })
		group.Go(func() error { return d.rounds(ctx, c, newWatch(d, began)) })
		return true, group.Wait()
	}, func(err error, _ time.Duration) {
		if !errors.Is(err, context.Canceled) {
			d.Metrics.Failed("notifier", "sweep")
			d.Log.Warn("looking after alerts broke off and begins again", "error", err)
		}
	})
	return ctx.Err()
}

// rounds does what is due, round after round, until ctx ends, whose error it returns.
func (d *desk) rounds(ctx context.Context, c *crier, w *watch) error {
	looked, f := time.Time{}, &follower{desk: d, waits: map[string]retry{}}
	for {
		now, kicked := d.Clock.Now(), false
		alarm := d.Clock.After(nap)
		if now.Sub(looked) >= lookEvery || now.Before(looked) {
			looked, kicked = now, true
		}
		c.count(now) // before what a silence kept back goes out
		d.round(ctx, now, kicked)
		if kicked {
			f.look(ctx, now)
		}
		w.look(ctx, now)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.kick:
			looked = time.Time{}
		case <-alarm:
		}
		poke(c.wake)
	}
}

// round does once all that is due.
func (d *desk) round(ctx context.Context, now time.Time, held bool) {
	d.mu.Lock()
	var escalate, route []string
	for id, at := range d.escalate {
		if !now.Before(at) {
			escalate = append(escalate, id)
		}
	}
	if held {
		for id := range d.unrouted {
			route = append(route, id)
		}
	}
	d.mu.Unlock()
	for _, id := range route { // first, for what is kept back is not escalated
		d.step(ctx, id, "what keeps it back changed", func(a *curfewv1.Alert) *curfewv1.Alert {
			if next := d.route(a, now, false); next != a {
				return next
			}
			return nil
		})
	}
	for _, id := range escalate {
		d.step(ctx, id, "nobody took it on in time", func(a *curfewv1.Alert) *curfewv1.Alert { return d.escalated(a, now) })
	}
}

// step stores what f makes of an alert, unless that is nil. What could not be stored comes again.
func (d *desk) step(ctx context.Context, id, detail string, f func(*curfewv1.Alert) *curfewv1.Alert) {
	_, err := d.book.Change(ctx, id, notifierAuthor, d.Clock.Now, func(a *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
		if a == nil {
			return nil, "", false
		}
		next := f(a)
		return next, detail, next != nil
	})
	if err != nil {
		if ctx.Err() == nil {
			d.Metrics.Failed("notifier", "alert-step")
			d.Log.Warn("a step of an alert was not stored, and is tried again", "alert", id, "error", err)
		}
		return
	}
	d.changed(id)
}

// escalated is an alert that nobody took on in time, where others are called now; nil where they are not: people who are kept
// from it cannot take it on.
func (d *desk) escalated(a *curfewv1.Alert, now time.Time) *curfewv1.Alert {
	routed := d.timed(d.route(a, now, false), now)
	list, n := d.escalations(routed), int(routed.GetEscalations())
	if routed.GetEscalateAt() == nil || now.Before(routed.GetEscalateAt().AsTime()) || n >= len(list) {
		if routed != a {
			return routed
		}
		return nil
	}
	next := alert.Escalate(routed, fmt.Sprintf("Nobody took it on for %s.", list[n].After), now, time.Time{})
	if next == nil {
		return nil
	}
	return d.timed(d.route(next, now, false), now)
}

const (
	// firstFollow and longestFollow bound how long a grant is left alone that was ended from an alert and is not over, and
	// followFor for how long it is looked after.
	firstFollow, longestFollow = 5 * time.Second, 5 * time.Minute
	followFor                  = 7 * 24 * time.Hour
)

// follower says in alerts what became of grants that were ended from there.
type follower struct {
	*desk
	waits map[string]retry // by alert and grant
}

// retry is when something is tried again.
type retry struct {
	since, at time.Time
	tries     int
}

// look looks what became of them, as long as their alerts are live.
func (f *follower) look(ctx context.Context, now time.Time) {
	f.mu.Lock()
	revoked := maps.Clone(f.revoked)
	f.mu.Unlock()
	waits := map[string]retry{}
	for id, grants := range revoked {
		for _, grantID := range grants {
			w, known := f.waits[id+" "+grantID]
			if !known {
				w.since = now
			}
			if !now.Before(w.at) {
				if f.follow(ctx, id, grantID, w.since, now) {
					continue
				}
				w.at = now.Add(min(firstFollow<<min(w.tries, 10), longestFollow))
				w.tries++
			}
			waits[id+" "+grantID] = w
		}
	}
	f.waits = waits
}

// follow says in an alert what became of a grant that was ended from it, or that nobody knows after so long, and returns
// whether it did.
func (f *follower) follow(ctx context.Context, id, grantID string, since, now time.Time) (said bool) {
	entry, err := f.grants.Load(ctx, grantID)
	text := ""
	switch {
	case err == nil && grant.IsOver(entry.Value):
		text = ended(entry.Value)
	case now.Sub(since) >= followFor:
		text = fmt.Sprintf("Grant %s has not ended for a week, and is not looked after from here any more: curfew grant show %s", grantID, grantID)
	default:
		return false
	}
	f.step(ctx, id, "grant "+grantID+" was followed", func(a *curfewv1.Alert) *curfewv1.Alert { return alert.Gone(a, grantID, text, now) })
	return true
}
