// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/clock"
	"github.com/curfewhq/curfew/internal/grant"
)

// pace is how fast and how often privileges are acted on.
type pace struct {
	workers    int           // calls at once to one source
	ahead      int           // keys that are announced before a worker has time for them
	consistent int           // reads in a row that have to agree
	spacing    time.Duration // between them
	grace      time.Duration // how long a vendor may show what was before its answer
	fresh      time.Duration // how long what was read can be acted on
	deadline   time.Duration // of one call
	claim      time.Duration // how long a claim of ours is good for
	respect    time.Duration // how long another's is respected
	watch      time.Duration // between two reads of what a person has to do
	tell       time.Duration // between two stored troubles of one privilege
	retry      bounds        // of the pause after a call that came to nothing
	probe      bounds        // of the pause between two probes of a source that is away
	failures   int           // in a row until it counts as away
}

// bounds are the shortest and the longest of pauses that double.
type bounds struct{ shortest, longest time.Duration }

func usualPace() pace {
	return pace{
		workers: 8, ahead: 1000, consistent: 3, spacing: 2 * time.Second, grace: 10 * time.Second, fresh: 10 * time.Second,
		deadline: 10 * time.Second, claim: 25 * time.Second, respect: 25 * time.Second, watch: time.Minute, tell: 10 * time.Minute,
		retry: bounds{time.Second, 45 * time.Second}, probe: bounds{5 * time.Second, 30 * time.Second}, failures: 5,
	}
}

// A Leveler is a Provisioner whose privileges have levels.
type Leveler interface {
	Provisioner
	// Rank is where a level stands among those of its kind, the higher the more; below 0 where nobody can tell. It asks
	// nobody.
	Rank(kind, level string) int
}

// An Expirer is a Provisioner whose vendor can end privileges by itself.
type Expirer interface {
	Provisioner
	// Expires is whether the vendor may end privileges of a kind at a level by itself, as configured. It asks nobody.
	Expires(kind, level string) bool
}

// provisioning carries out the grants of a tenant: one book, and an actor for each source.
type provisioning struct {
	Options
	pace
	book   *grant.Book
	seed   maphash.Seed
	actors map[string]*actor
	orphan *orphans
	large  sync.Map // ids of grants that have outgrown the bus: nothing more can be stored of them
}

func newProvisioning(o Options, p pace) *provisioning {
	if o.Clock == nil {
		o.Clock = clock.System(nil)
	}
	work := &provisioning{Options: o, pace: p, book: grant.NewBook(o.Bus, o.Tenant), seed: maphash.MakeSeed(), actors: map[string]*actor{}}
	work.book.Lost = func(sequence uint64, err error) {
		o.Log.Error("a step of a grant cannot be read; its grant stands as before it", "sequence", sequence, "error", err)
		o.Metrics.Unread("collector")
	}
	for name, configured := range o.Sources {
		if vendor, ok := configured.Source.(Provisioner); ok {
			work.actors[name] = &actor{provisioning: work, source: name, vendor: vendor, inbox: newInbox()}
		}
	}
	work.orphan = &orphans{provisioning: work}
	return work
}

// keepProvisioning does what grants ask for until ctx ends.
func (o Options) keepProvisioning(ctx context.Context) {
	p := usualPace()
	if o.Bus.Embedded() {
		p.respect = 0 // no other process can be on this bus: whoever claimed is dead
	}
	newProvisioning(o, p).run(ctx)
}

func (p *provisioning) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { p.follow(ctx) })
	for name, a := range p.actors {
		all.Go(func() { p.keep(ctx, p.Tenant+"/"+name, a.work) })
	}
	all.Go(func() { p.keep(ctx, p.Tenant, p.orphan.work) })
	all.Wait()
}

// keep does work as long as the lease is ours, from what is stored whenever it broke off.
func (p *provisioning) keep(ctx context.Context, name string, work func(context.Context) (bool, error)) {
	lease := bus.Lease{Name: "collector provision " + name, Holder: p.Holder, Length: leaseLength}
	p.Bus.Keep(ctx, lease, maxBackoff, work, func(err error, delay time.Duration) {
		if errors.Is(err, bus.ErrConflict) || errors.Is(err, context.Canceled) {
			p.Log.Info("another collector carries out grants", "of", name)
			return
		}
		p.Log.Error("grants stopped; going on from what is stored", "of", name, "delay", delay, "error", err)
		p.Metrics.Failed("collector", "provision")
	})
}

// follow keeps the book, whoever has the leases, so that who gets one can begin at once.
func (p *provisioning) follow(ctx context.Context) {
	_ = bus.Again(ctx, func(ctx context.Context) error { return p.book.Follow(ctx, p.changed) }, func(err error) {
		p.Log.Error("grants are not followed; beginning again", "error", err)
		p.Metrics.Failed("collector", "grants")
	})
}

// changed tells the actors what a step is about.
func (p *provisioning) changed(e grant.Entry) {
	over := grant.IsOver(e.Value)
	for _, held := range e.Value.GetPrivileges() {
		if a := p.actors[held.GetPrivilege().GetSource()]; a != nil {
			a.inbox.add(touch{key: p.key(held), id: e.Value.GetId(), over: over})
		}
	}
}

// current waits until the book holds all that was stored so far.
func (p *provisioning) current(ctx context.Context) error {
	last, err := p.Bus.Last(ctx, bus.All("grant", p.Tenant))
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("find the newest grant: %w", err)
	}
	return p.book.Reached(ctx, last.Sequence)
}

// touch says that a grant changed that is about a key.
type touch struct {
	key  uint64
	id   string
	over bool
}

// inbox holds touches for an actor that works; of one that does not it drops them. Safe for concurrent use.
type inbox struct {
	mu      sync.Mutex
	open    bool
	touches []touch
	wake    chan struct{}
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) add(t touch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return
	}
	b.touches = append(b.touches, t)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []touch {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.touches
	b.touches = nil
	return taken
}

func (b *inbox) use(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.touches = open, nil
}
