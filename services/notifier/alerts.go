// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// notifierAuthor is who takes the steps of alerts that no person takes.
const notifierAuthor = "service:notifier"

// findBatch is how many findings are taken in at once.
const findBatch = 256

// roomToGrow is what an alert needs for its deliveries, notes and commands, and the bus for its own words; a quarter of what a
// message may have where that is less.
const roomToGrow = 64 << 10

// desk makes findings alerts and says where they go. What it knows besides the book it learns from the book.
type desk struct {
	Options
	routing
	book     *alert.Book
	grants   *grant.Book // to look one up
	silences *silences
	reach    *contacts
	senders  map[string]*sender
	kick     chan struct{} // something bears on what is held

	taking sync.Mutex // of changed

	mu        sync.Mutex
	better    map[string]map[string]string // by what an inhibition compares: open alerts that hide others, with their detection
	hiding    map[string][]string          // by alert: the keys under which it stands there
	escalate  map[string]time.Time         // when nobody's alerts are escalated
	unrouted  map[string]bool              // what is held or may come to be, or was not routed anew
	questions map[string]bool              // to be asked
	revoked   map[string][]string          // grants that were ended from an alert, of which it does not say yet what became
	own       map[string]bool              // what Curfew found of itself, and is not resolved
}

func newDesk(o Options, reach *contacts) *desk {
	d := &desk{
		Options: o, routing: newRouting(o.Alerts, o.Mode, slices.Sorted(maps.Keys(o.Receivers))),
		book: alert.NewBook(o.Bus, o.Tenant), grants: grant.NewBook(o.Bus, o.Tenant), silences: newSilences(o), reach: reach, senders: map[string]*sender{}, kick: make(chan struct{}, 1),
		better: map[string]map[string]string{}, hiding: map[string][]string{}, escalate: map[string]time.Time{}, unrouted: map[string]bool{},
		questions: map[string]bool{}, own: map[string]bool{}, revoked: map[string][]string{},
	}
	d.book.Lost = func(sequence uint64, err error) {
		o.Metrics.Unread("notifier")
		o.Log.Error("a step of an alert cannot be read; the alert stands as before it: look at it with `curfew alert list`", "sequence", sequence, "error", err)
	}
	d.silences.changed = d.look
	for name, receiver := range o.Receivers {
		d.senders[name] = newSender(d, name, receiver)
		if looker, can := receiver.(Looker); can {
			looker.LookUp(d.lookUp)
		}
		if reporter, can := receiver.(Reporter); can {
			reporter.Report(func(trouble error) {
				o.Metrics.Failed("notifier", "listen")
				o.Log.Warn("clicks do not come in from a receiver", "receiver", name, "error", trouble)
			})
		}
	}
	return d
}

// run turns findings into alerts, and hands them over, until ctx ends, whose error it returns.
func (d *desk) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	again := func(loop string, work func(context.Context) error) {
		group.Go(func() error { return d.again(ctx, loop, work) })
	}
	again("alerts", func(ctx context.Context) error {
		return d.book.Follow(ctx, func(e alert.Entry) { d.changed(e.Value.GetId()) })
	})
	again("silences", d.silences.follow)
	again("findings", func(ctx context.Context) error {
		if err := d.ready(ctx); err != nil {
			return err
		}
		return d.Bus.Drain(ctx, bus.Consumer{Service: "notifier", Name: "notifier-" + d.Tenant, Filter: bus.All("finding", d.Tenant)}, findBatch, d.take)
	})
	again("urgent", d.express)
	group.Go(func() error {
		if err := d.ready(ctx); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		for _, s := range d.senders {
			group.Go(func() error { return s.run(ctx) })
		}
		group.Go(func() error { return d.sweep(ctx) })
		return group.Wait()
	})
	return group.Wait()
}

// lookUp is an alert as it stands.
func (d *desk) lookUp(ctx context.Context, id string) (*curfewv1.Alert, error) {
	if entry, known := d.book.Get(id); known {
		return entry.Value, nil
	}
	entry, err := d.book.Load(ctx, id)
	return entry.Value, err
}

// express takes in what is critical as it comes, for it must not wait behind thousands that are not. Every notifier does, and
// whatever it misses is taken in with the rest: what is in its alert already changes nothing.
func (d *desk) express(ctx context.Context) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	end, err := d.Bus.End(ctx, "finding")
	if err != nil {
		return err
	}
	urgent := bus.All("finding", d.Tenant, alert.Word(curfewv1.Severity_SEVERITY_CRITICAL))
	return d.Bus.Follow(ctx, urgent, bus.From{After: end}, func(m bus.Message) error {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			return nil // it becomes a dead letter where all are taken in
		}
		entry, open := d.book.Get(alert.ID(f))
		if open && entry.Value.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED && entry.Value.GetSeverity() == f.GetSeverity() {
			return nil // one more of what people know of
		}
		return d.take(ctx, []bus.Message{m})
	})
}

// ready waits until everything is known that was stored before.
func (d *desk) ready(ctx context.Context) error {
	for _, known := range []<-chan struct{}{d.book.Ready(), d.silences.ready} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-known:
		}
	}
	return nil
}

// again does what breaks off over and over, until ctx ends.
func (o Options) again(ctx context.Context, loop string, work func(context.Context) error) error {
	return bus.Again(ctx, work, func(err error) {
		o.Metrics.Failed("notifier", loop)
		o.Log.Warn("a loop broke off and begins again", "loop", loop, "error", err)
	})
}

// take makes findings alerts, each alert's in one step. What was taken before changes nothing.
func (d *desk) take(ctx context.Context, messages []bus.Message) error {
	found, order := map[string][]*curfewv1.Finding{}, []string(nil)
	of := map[string][]bus.Message{}
	for _, m := range messages {
		f := new(curfewv1.Finding)
		if err := m.Decode(f); err != nil {
			if err := d.bury(ctx, m, "unreadable finding", err); err != nil {
				return err
			}
			continue
		}
		id := alert.ID(f)
		if found[id] == nil {
			order = append(order, id)
		}
		found[id], of[id] = append(found[id], f), append(of[id], m)
	}
	var changes []alert.Change
	for _, id := range order {
		entry, _ := d.book.Get(id) // one that is not there is new, or over, which storing it tells
		if next := d.found(entry.Value, found[id]); next != nil {
			if most := d.Bus.MaxMessage(); proto.Size(next) > most-min(roomToGrow, most/4) {
				if err := d.buryAll(ctx, of[id], bus.ErrTooLarge); err != nil {
					return err
				}
				continue
			}
			changes = append(changes, alert.Change{Entry: entry, Next: next, Author: notifierAuthor, Detail: cameIn(entry.Value, next)})
		}
	}
	var failed error
	for i, err := range d.book.Store(ctx, d.Clock.Now(), changes...) {
		id := changes[i].Next.GetId()
		if errors.Is(err, bus.ErrConflict) {
			_, err = d.book.Change(ctx, id, notifierAuthor, d.Clock.Now, func(a *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
				next := d.found(a, found[id])
				return next, cameIn(a, next), next != nil
			})
		}
		if errors.Is(err, bus.ErrTooLarge) {
			err = d.buryAll(ctx, of[id], err)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// buryAll makes dead letters of findings that fit no alert, so that they keep no other from people.
func (d *desk) buryAll(ctx context.Context, messages []bus.Message, why error) error {
	d.Log.Error("findings are too large for their alert and are dead letters now: look at them", "findings", len(messages), "error", why)
	for _, m := range messages {
		if err := d.bury(ctx, m, "finding too large", why); err != nil {
			return err
		}
	}
	return nil
}

// cameIn is what findings made of an alert, for its life.
func cameIn(was, is *curfewv1.Alert) string {
	switch {
	case is == nil:
		return ""
	case was == nil:
		return "opened"
	case was.GetEpisode() != is.GetEpisode():
		return fmt.Sprintf("opened again: episode %d", is.GetEpisode())
	default:
		return fmt.Sprintf("%d more of the same, %d in all", is.GetCount()-was.GetCount(), is.GetCount())
	}
}

// found is an alert with findings, and where it goes thereafter; nil where they are in it already.
func (d *desk) found(a *curfewv1.Alert, findings []*curfewv1.Finding) *curfewv1.Alert {
	now, changed := d.Clock.Now(), false
	for _, f := range findings {
		if next := alert.Add(a, f, now); next != nil {
			a, changed = next, true
		}
	}
	if !changed {
		return nil
	}
	return d.route(a, now, true)
}

// route is an alert with where it goes, and when it is escalated.
func (d *desk) route(a *curfewv1.Alert, now time.Time, found bool) *curfewv1.Alert {
	by := around{now: now, silences: d.silences.all(), better: d.saysBetter}
	if next := alert.Route(a, d.wants(a, by, found)); next != nil {
		a = next
	}
	if a.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED {
		a = alert.Routed(a)
	}
	return d.timed(a, now)
}

// saysBetter is an open alert that says what a says and more; nil where none does.
func (d *desk) saysBetter(a *curfewv1.Alert) *curfewv1.Alert {
	for _, in := range d.Inhibit {
		k := key(in.Same, a)
		if k == "" || !slices.Contains(in.Hides, a.GetFinding().GetDetection()) {
			continue
		}
		d.mu.Lock()
		var other string
		for id, detection := range d.better[k] {
			if detection == in.Detection && id != a.GetId() && (other == "" || id < other) {
				other = id
			}
		}
		d.mu.Unlock()
		if entry, known := d.book.Get(other); known && (in.Same != "event" || entry.Value.GetCount() >= a.GetCount()) && isHeard(entry.Value) {
			return entry.Value
		}
	}
	return nil
}

// isHeard is whether an alert goes to anybody, or went before somebody muted it: one that nobody hears of says nothing better.
func isHeard(a *curfewv1.Alert) bool {
	return slices.ContainsFunc(a.GetDeliveries(), func(x *curfewv1.AlertDelivery) bool {
		return x.GetHold() == nil || x.GetHas() != nil && x.GetEpisode() == a.GetEpisode()
	})
}

// bury makes a dead letter of a finding that comes to nobody.
func (d *desk) bury(ctx context.Context, m bus.Message, reason string, why error) error {
	err := d.Bus.Bury(ctx, &curfewv1.DeadLetter{
		Id: event.ContentKey("notifier", m.Subject, fmt.Sprint(m.Sequence)), Service: "notifier", Reason: reason, Detail: why.Error(),
		Origin: m.Subject, Raw: m.Data, Time: timestamppb.New(d.Clock.Now()),
	})
	if err == nil {
		d.Metrics.Dead("notifier", reason)
	}
	return err
}

// changed takes in where an alert stands now, whoever's step it was. One at a time: what comes last has seen the newest.
func (d *desk) changed(id string) {
	d.taking.Lock()
	defer d.taking.Unlock()
	entry, known := d.book.Get(id)
	if !known {
		entry.Value = &curfewv1.Alert{Id: id, State: curfewv1.AlertState_ALERT_STATE_RESOLVED} // nothing is to come of it
	}
	d.index(entry.Value)
	for _, s := range d.senders {
		s.changed(entry.Value)
	}
}

// index notes what bears on others, and what the clock brings.
func (d *desk) index(a *curfewv1.Alert) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, detection, resolved := a.GetId(), a.GetFinding().GetDetection(), a.GetState() == curfewv1.AlertState_ALERT_STATE_RESOLVED
	var keys []string
	for _, in := range d.Inhibit {
		if k := key(in.Same, a); !resolved && k != "" && in.Detection == detection && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if !slices.Equal(keys, d.hiding[id]) {
		for _, k := range d.hiding[id] {
			if delete(d.better[k], id); len(d.better[k]) == 0 {
				delete(d.better, k)
			}
		}
		delete(d.hiding, id)
		for _, k := range keys {
			if d.better[k] == nil {
				d.better[k] = map[string]string{}
			}
			d.better[k][id] = detection
			d.hiding[id] = keys
		}
		d.look()
	}
	set(d.escalate, id, a.GetEscalateAt().AsTime(), a.GetEscalateAt() != nil)
	set(d.unrouted, id, true, !resolved && d.isUnrouted(a))
	q := a.GetQuestion()
	set(d.questions, id, true, q != nil && !q.GetTold())
	unseen := alert.Unseen(a)
	set(d.revoked, id, unseen, len(unseen) > 0)
	set(d.own, id, true, !resolved && isBlind(a.GetFinding()) && detection != policyMismatch)
}

// isUnrouted is whether something may come to change where an open alert goes, besides its next finding: what is only
// observed waits for that.
func (d *desk) isUnrouted(a *curfewv1.Alert) bool {
	hidden := d.mayBeHidden(a)
	return a.GetRouted() != a.GetSeverity() || len(a.GetDeliveries()) == 0 || slices.ContainsFunc(a.GetDeliveries(), func(x *curfewv1.AlertDelivery) bool {
		waits := x.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_WAITING
		return x.GetHold() != nil && x.GetHold().GetKind() != curfewv1.HoldKind_HOLD_KIND_OBSERVE || x.GetEpisode() != a.GetEpisode() ||
			waits && (hidden || d.senders[x.GetReceiver()] == nil)
	})
}

func set[V any](m map[string]V, id string, value V, is bool) {
	if is {
		m[id] = value
		return
	}
	delete(m, id)
}

// look makes the sweep look at what is held.
func (d *desk) look() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}
