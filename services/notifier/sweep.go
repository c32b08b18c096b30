// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

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

// sweep brings to alerts what the clock brings, and watches Curfew itself: one notifier at a time, until ctx ends, whose
// error it returns.
func (d *desk) sweep(ctx context.Context) error {
	lease := bus.Lease{Name: "alerts " + d.Tenant, Holder: d.Holder, Length: sweepLease}
	d.Bus.Keep(ctx, lease, sweepLease, func(ctx context.Context) (bool, error) {
		looked := time.Time{}
		w := newWatch(d)
		for {
			now, kicked := d.Clock.Now(), false
			alarm := d.Clock.After(nap)
			if now.Sub(looked) >= lookEvery || now.Before(looked) {
				looked, kicked = now, true
			}
			d.round(ctx, now, kicked)
			w.look(ctx, now)
			select {
			case <-ctx.Done():
				return true, ctx.Err()
			case <-d.kick:
				looked = time.Time{}
			case <-alarm:
			}
		}
	}, func(err error, _ time.Duration) {
		if !errors.Is(err, context.Canceled) {
			d.Metrics.Failed("notifier", "sweep")
			d.Log.Warn("looking after alerts broke off and begins again", "error", err)
		}
	})
	return ctx.Err()
}

// round does once all that is due.
func (d *desk) round(ctx context.Context, now time.Time, held bool) {
	d.mu.Lock()
	var escalate, route, ask []string
	revoked := map[string][]string{}
	for id, at := range d.escalate {
		if !now.Before(at) {
			escalate = append(escalate, id)
		}
	}
	if held {
		for id := range d.unrouted {
			route = append(route, id)
		}
		maps.Copy(revoked, d.revoked)
	}
	for id := range d.questions {
		ask = append(ask, id)
	}
	d.mu.Unlock()
	for _, id := range escalate {
		d.step(ctx, id, "nobody took it on in time", func(a *curfewv1.Alert) *curfewv1.Alert { return d.escalated(a, now) })
	}
	for _, id := range route {
		d.step(ctx, id, "what keeps it back changed", func(a *curfewv1.Alert) *curfewv1.Alert {
			if next := d.route(a, now, false); next != a {
				return next
			}
			return nil
		})
	}
	for _, id := range ask {
		d.ask(ctx, id)
	}
	for id, grants := range revoked {
		d.follow(ctx, id, grants)
	}
	d.announce(ctx, now)
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

// escalated is an alert that nobody took on in time, where others are called now.
func (d *desk) escalated(a *curfewv1.Alert, now time.Time) *curfewv1.Alert {
	list := d.escalations(a)
	n := int(a.GetEscalations())
	if a.GetEscalateAt() == nil || now.Before(a.GetEscalateAt().AsTime()) || n >= len(list) {
		return nil
	}
	var next time.Time
	if n+1 < len(list) {
		next = a.GetOpened().AsTime().Add(list[n+1].After)
	}
	a = alert.Escalate(a, fmt.Sprintf("Nobody took it on for %s.", list[n].After), now, next)
	if a == nil {
		return nil
	}
	return d.route(a, now, false)
}

// ask asks the person an alert is about whether it was them.
func (d *desk) ask(ctx context.Context, id string) {
	entry, known := d.book.Get(id)
	if !known || entry.Value.GetQuestion() == nil {
		d.mu.Lock()
		delete(d.questions, id)
		d.mu.Unlock()
		return
	}
	a := entry.Value
	q := a.GetQuestion()
	notice := &curfewv1.Notice{
		Id: fmt.Sprintf("question-%s-%d", id, q.GetTime().AsTime().UnixNano()), Tenant: d.Tenant, Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION,
		To: []string{q.GetPerson()}, Alert: a, Contacts: d.reach.of(q.GetPerson()),
		Text: fmt.Sprintf("%s asks: was this you? %s", q.GetAuthor(), a.GetFinding().GetTitle()),
	}
	if d.notify(ctx, notice) {
		d.step(ctx, id, "the question was handed over", alert.Asked)
	}
}

// follow says in an alert what became of grants that were ended from it.
func (d *desk) follow(ctx context.Context, id string, grants []string) {
	for _, grantID := range grants {
		entry, err := d.grants.Load(ctx, grantID)
		if err != nil || !grant.IsOver(entry.Value) {
			continue // it comes again
		}
		d.step(ctx, id, "grant "+grantID+" is over", func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Gone(a, grantID, ended(entry.Value), d.Clock.Now())
		})
	}
}
