// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// actor makes the privileges of one source what their grants want. One goroutine has it; workers ask the vendor. What is
// done follows from the grants as stored and from what the vendor shows, key by key: there is no queue that could be lost.
type actor struct {
	*provisioning
	source string
	vendor Provisioner
	inbox  *inbox
	idle   atomic.Int64 // until when nothing is to be done, in Unix nanoseconds; 0 = something is

	index    map[uint64][]string // the grants of each key
	tasks    map[uint64]*task
	expiry   map[uint64]time.Time // the end that the vendor is known to leave it until, or that nothing more is done about
	ready    queue                // to be decided, the most overdue first
	waiting  queue                // to be decided at a time
	eager    []*task              // want a worker
	shut     []*task              // want a source that is away
	pending  []edit
	running  map[*task]*job
	finished chan *job
	storing  bool
	stored   chan written
	breaker  breaker
	alarm    <-chan time.Time
	alarmAt  time.Time
	last     time.Time // when the clock was asked last
}

// key is the key of a privilege, as a number: a book of many grants has many.
func (p *provisioning) key(held *curfewv1.HeldPrivilege) uint64 {
	privilege := held.GetPrivilege()
	key := grant.Key(privilege)
	if a := p.actors[privilege.GetSource()]; a != nil && (ladder{a.vendor, privilege.GetKind()}).isApart() {
		key += "\x00" + privilege.GetLevel()
	}
	return maphash.String(p.seed, key)
}

// work acts until ctx ends or something cannot be stored.
func (a *actor) work(ctx context.Context) (progressed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	a.inbox.use(true)
	defer a.inbox.use(false)
	if err := a.current(ctx); err != nil {
		return false, err
	}
	a.restore()
	for {
		if err := a.turn(ctx, &workers); err != nil {
			return true, err
		}
		if err := a.rest(ctx); err != nil {
			return true, err
		}
	}
}

// restore begins from the book alone.
func (a *actor) restore() {
	a.index, a.tasks, a.expiry = map[uint64][]string{}, map[uint64]*task{}, map[uint64]time.Time{}
	a.ready, a.waiting, a.eager, a.shut, a.pending = queue{}, queue{}, nil, nil, nil
	a.running, a.finished, a.breaker, a.alarm = map[*task]*job{}, make(chan *job, a.workers+1), breaker{}, nil
	a.storing, a.stored = false, make(chan written, 1)
	a.Metrics.Away(a.source, false)
	a.book.Each(func(e grant.Entry) bool {
		for _, held := range e.Value.GetPrivileges() {
			if held.GetPrivilege().GetSource() == a.source {
				a.touch(touch{key: a.key(held), id: e.Value.GetId()})
			}
		}
		return true
	})
}

func (a *actor) touch(c touch) {
	ids := a.index[c.key]
	at := slices.Index(ids, c.id)
	switch {
	case c.over && at >= 0:
		ids = slices.Delete(slices.Clone(ids), at, at+1)
	case !c.over && at < 0:
		ids = append(slices.Clip(ids), c.id)
	}
	if a.index[c.key] = ids; len(ids) == 0 {
		delete(a.index, c.key)
		delete(a.expiry, c.key)
	}
	t := a.tasks[c.key]
	if t == nil {
		t = &task{key: c.key}
		a.tasks[c.key] = t
	}
	a.wake(t)
}

// wake lets a task be decided anew as soon as it can be.
func (a *actor) wake(t *task) {
	switch {
	case a.tasks[t.key] != t: // it was done with
	case t.busy, t.writing > 0: // it is decided once that is done
	case !t.waits:
		t.urgency = a.urgency(t)
		a.ready.put(t, t.urgency)
	}
}

// urgency is the earliest end of a key's grants; of one that was taken when that was: to see it gone can wait for others to
// be taken.
func (a *actor) urgency(t *task) (earliest time.Time) {
	for i, m := range a.members(t) {
		at := grant.End(m.grant)
		if m.held.GetStage() == stageTaken {
			at = m.held.GetCalled().AsTime()
		}
		if i == 0 || at.Before(earliest) {
			earliest = at
		}
	}
	return earliest
}

// turn does all that can be done now.
func (a *actor) turn(ctx context.Context, workers *sync.WaitGroup) error {
	for {
		a.idle.Store(0)
		if err := a.receive(); err != nil {
			return err
		}
		for len(a.eager) < a.ahead && len(a.pending) < bus.MaxBatch {
			t, _, ok := a.ready.head()
			if !ok {
				break
			}
			a.ready.pop()
			if t.writing == 0 {
				a.consider(t)
			}
		}
		a.flush(ctx, workers)
		a.dispatch(ctx, workers)
		if _, _, more := a.ready.head(); !more || len(a.eager) >= a.ahead || a.storing && len(a.pending) >= bus.MaxBatch {
			a.flush(ctx, workers)
			return nil
		}
	}
}

// receive takes in what happened meanwhile.
func (a *actor) receive() error {
	for _, c := range a.inbox.take() {
		a.touch(c)
	}
	for more := true; more; {
		select {
		case j := <-a.finished:
			a.finish(j)
		case w := <-a.stored:
			if err := a.wrote(w); err != nil {
				return err
			}
		default:
			more = false
		}
	}
	now := a.Clock.Now()
	if now.Before(a.last) {
		a.rewind(now)
	}
	a.last = now
	for t, at, ok := a.waiting.head(); ok && !at.After(now); t, at, ok = a.waiting.head() {
		a.waiting.pop()
		a.wake(t)
	}
	for _, j := range a.running {
		if !now.Before(j.until) {
			j.cancel()
		}
	}
	return nil
}

// consider decides what is next of a key, and notes it where that is not a call.
func (a *actor) consider(t *task) (next step) {
	now := a.Clock.Now()
	next = a.decide(t, now)
	switch {
	case len(next.edits) > 0:
		a.note(next.edits)
	case next.idle && !t.waits && len(a.eager) >= a.workers:
		a.waiting.put(t, now.Add(a.spacing+rand.N(a.watch/2)))
		next.call = callNone
	case next.call != callNone && now.Before(t.next) && (!t.giving || !next.taking):
		a.waiting.put(t, t.next)
		next.call = callNone
	case next.call != callNone && a.breaker.isOpen():
		if t.version++; !t.shut {
			t.shut = true
			a.shut = append(a.shut, t)
		}
		if t.spoilt == 0 {
			a.breaker.hurry(a.pace)
		}
		a.note(a.tell(t, a.away(a.breaker.why), now))
		next.call = callNone
	case next.call != callNone && !t.waits:
		t.waits = true
		a.eager = append(a.eager, t)
	case next.call != callNone:
	case !next.at.IsZero():
		a.waiting.put(t, next.at)
	default:
		delete(a.tasks, t.key)
	}
	return next
}

// dispatch lets workers make the calls that are wanted. What is wanted is decided again right before: a claim may have
// aged, or a grant may have come, while it waited.
func (a *actor) dispatch(ctx context.Context, workers *sync.WaitGroup) {
	a.probe(ctx, workers)
	for len(a.eager) > 0 && len(a.running) < a.workers && !a.breaker.isOpen() && ctx.Err() == nil {
		t := a.eager[0]
		a.eager[0], a.eager = nil, a.eager[1:]
		next := a.consider(t)
		t.waits = false
		if len(next.edits) == 0 && next.call != callNone {
			a.start(ctx, workers, t, next)
		}
	}
	if a.breaker.isOpen() {
		for _, t := range a.eager {
			t.waits = false
			a.ready.put(t, t.urgency)
		}
		a.eager = nil
	}
}

// rest waits until there is something to do.
func (a *actor) rest(ctx context.Context) error {
	var next time.Time
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if _, at, ok := a.waiting.head(); ok {
		sooner(at)
	}
	for _, j := range a.running {
		sooner(j.until)
	}
	if a.breaker.isOpen() && len(a.shut) > 0 && !a.breaker.probing {
		sooner(a.breaker.next)
	}
	// One alarm is kept as long as it is early enough: a clock's alarms cannot be taken back.
	if now := a.Clock.Now(); !next.IsZero() && (a.alarm == nil || next.Before(a.alarmAt)) {
		a.alarm, a.alarmAt = a.Clock.After(max(0, next.Sub(now))), next
	}
	if len(a.running) == 0 && !a.storing {
		a.idle.Store(math.MaxInt64)
		if a.alarm != nil {
			a.idle.Store(a.alarmAt.UnixNano())
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-a.alarm:
		a.alarm = nil
	case <-a.inbox.wake:
	case j := <-a.finished:
		a.idle.Store(0)
		a.finish(j)
	case w := <-a.stored:
		a.idle.Store(0)
		return a.wrote(w)
	}
	return nil
}
