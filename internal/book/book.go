// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package book keeps what is alive of a stream of lives: entities of which every step holds the whole, so that the newest
// tells where one stands.
package book

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
)

// Kind is what a book must know of its entities. None of its functions keeps state.
type Kind[T proto.Message] struct {
	// Root is the first token of their subjects, such as "grant".
	Root string
	// Subject is where the steps of one stand.
	Subject func(tenant, id string) string
	// ID and Tenant are those of one.
	ID, Tenant func(T) string
	// IsOver is whether nothing is to come of one: the book drops it.
	IsOver func(T) bool
	// Step makes the message of a step.
	Step func(next T, at time.Time, author, detail string) proto.Message
	// Read takes a step's message apart. It returns an error for what is no step, and an entity without an id for what an
	// earlier version stored and this one passes over.
	Read func(bus.Message) (T, time.Time, error)
}

// Entry is an entity as its newest step leaves it.
type Entry[T proto.Message] struct {
	// Value is the caller's own.
	Value T
	// Sequence of the step, behind which the next is stored.
	Sequence uint64
	// Time of the step.
	Time time.Time
}

// Change is a step to be stored.
type Change[T proto.Message] struct {
	// Entry that it follows; the zero value before the first.
	Entry Entry[T]
	// Next is the entity as the step leaves it.
	Next T
	// Author who takes it: a subject.
	Author string
	// Detail says why, where it is not plain.
	Detail string
}

// Book is every entity of a tenant that is not over, folded from its stream as steps come. Safe for concurrent use. It
// keeps them as they are stored.
type Book[T proto.Message] struct {
	// Lost is told of a step that cannot be read: the entity stands as before it. Nil = nobody is told. Set it before Follow.
	Lost func(sequence uint64, err error)

	kind   Kind[T]
	bus    *bus.Bus
	tenant string
	ready  chan struct{}

	mu    sync.RWMutex
	lives map[string]record
	put   uint64        // sequence of the newest step that Follow has put
	last  uint64        // sequence that Follow has handed on
	moved chan struct{} // closed once last moves; nil = nobody waits for that
}

// record is an entry as stored.
type record struct {
	sequence uint64
	data     []byte
}

// New makes an empty book; Follow fills it.
func New[T proto.Message](kind Kind[T], b *bus.Bus, tenant string) *Book[T] {
	return &Book[T]{kind: kind, bus: b, tenant: tenant, ready: make(chan struct{}), lives: map[string]record{}}
}

// Ready is closed once everything is in the book that was stored when Follow began.
func (k *Book[T]) Ready() <-chan struct{} { return k.ready }

// Follow fills the book until ctx ends or the bus breaks off; it may be called again, and goes on. Changed is told of each
// newest step, in stream order, ends too, and those that this process stored; nil = nobody is told. One caller at a time.
func (k *Book[T]) Follow(ctx context.Context, changed func(Entry[T])) error {
	filter := bus.All(k.kind.Root, k.tenant)
	end := uint64(0)
	last, err := k.bus.Last(ctx, filter)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	end = last.Sequence
	caughtUp := func() {
		select {
		case <-k.ready:
		default:
			close(k.ready)
		}
	}
	if k.last >= end {
		caughtUp()
	}
	return k.bus.Follow(ctx, filter, bus.From{After: k.last, Newest: true}, func(m bus.Message) error {
		entry, err := k.read(m)
		if err != nil {
			if k.Lost != nil {
				k.Lost(m.Sequence, err) // one that can never be read may keep neither the others nor its grant from ending
			}
			if entry, m, err = k.earlier(ctx, m); err != nil {
				return err
			}
		}
		if m.Data != nil && k.kind.ID(entry.Value) != "" {
			k.came(entry, m.Data)
			if changed != nil {
				changed(entry)
			}
		}
		k.move(m.Sequence)
		if m.Sequence >= end {
			caughtUp()
		}
		return nil
	})
}

// earlier is an entity as the newest of its steps leaves it that can be read, behind one that cannot; m.Data is nil where none can.
func (k *Book[T]) earlier(ctx context.Context, bad bus.Message) (entry Entry[T], m bus.Message, err error) {
	err = k.bus.Read(ctx, bad.Subject, bus.From{}, func(step bus.Message) error {
		if e, err := k.read(step); err == nil && step.Sequence < bad.Sequence {
			entry, m = e, step
		}
		return nil
	})
	entry.Sequence, m.Sequence = bad.Sequence, bad.Sequence // the next step follows that
	return entry, m, err
}

func (k *Book[T]) move(sequence uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = sequence
	if k.moved != nil {
		close(k.moved)
		k.moved = nil
	}
}

// Reached returns nil once Follow has handed on every step of the tenant up to a sequence: what others stored before it is
// in the book. It returns ctx's error where that ends first.
func (k *Book[T]) Reached(ctx context.Context, sequence uint64) error {
	for {
		k.mu.Lock()
		if k.last >= sequence {
			k.mu.Unlock()
			return nil
		}
		if k.moved == nil {
			k.moved = make(chan struct{})
		}
		moved := k.moved
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (k *Book[T]) read(m bus.Message) (Entry[T], error) {
	value, at, err := k.kind.Read(m)
	if err != nil {
		return Entry[T]{}, err
	}
	return Entry[T]{Value: value, Sequence: m.Sequence, Time: at}, nil
}

// came takes in a step that Follow brings.
func (k *Book[T]) came(e Entry[T], data []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put = max(k.put, e.Sequence)
	k.keep(e, data)
}

// keep puts a step into the book. The caller holds the lock.
func (k *Book[T]) keep(e Entry[T], data []byte) {
	id := k.kind.ID(e.Value)
	if k.lives[id].sequence >= e.Sequence {
		return
	}
	if k.kind.IsOver(e.Value) {
		delete(k.lives, id)
		return
	}
	k.lives[id] = record{sequence: e.Sequence, data: data}
}

// Len is how many are not over.
func (k *Book[T]) Len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.lives)
}

// Get returns one that is not over.
func (k *Book[T]) Get(id string) (Entry[T], bool) {
	k.mu.RLock()
	r, ok := k.lives[id]
	k.mu.RUnlock()
	if !ok {
		return Entry[T]{}, false
	}
	entry, err := k.read(bus.Message{Sequence: r.sequence, Data: r.data})
	return entry, err == nil // it was read before
}

// Each hands every one that is not over to visit until that returns false, in no order.
func (k *Book[T]) Each(visit func(Entry[T]) bool) {
	k.mu.RLock()
	records := make([]record, 0, len(k.lives))
	for _, r := range k.lives {
		records = append(records, r)
	}
	k.mu.RUnlock()
	for _, r := range records {
		if entry, err := k.read(bus.Message{Sequence: r.sequence, Data: r.data}); err == nil && !visit(entry) {
			return
		}
	}
}

// Load reads one from the bus, over or not: what stands there now. bus.ErrNotFound where there is none. The book need not
// be followed for that, nor for Store, Create and Change.
func (k *Book[T]) Load(ctx context.Context, id string) (Entry[T], error) {
	m, err := k.bus.Last(ctx, k.kind.Subject(k.tenant, id))
	if err != nil {
		return Entry[T]{}, err
	}
	return k.read(m)
}

// few is from how many steps on they are stored in one batch: one alone is faster without.
const few = 24

// Store appends steps at a time of the caller's clock, which is no earlier than that of the step before. For each it
// returns nil once it is on disk and the book shows it; an error that is bus.ErrConflict where another step came first,
// and was not stored; any other error leaves open whether it was.
func (k *Book[T]) Store(ctx context.Context, now time.Time, changes ...Change[T]) []error {
	errs := make([]error, len(changes))
	for begin := 0; begin < len(changes); begin += bus.MaxBatch {
		end := min(begin+bus.MaxBatch, len(changes))
		k.store(ctx, now, changes[begin:end], errs[begin:end])
	}
	return errs
}

func (k *Book[T]) store(ctx context.Context, now time.Time, changes []Change[T], errs []error) {
	if len(changes) < few {
		for i, c := range changes {
			_, errs[i] = k.append(ctx, now, c)
		}
		return
	}
	batch, steps := make([]bus.Pending, len(changes)), make([]proto.Message, len(changes))
	for i, c := range changes {
		steps[i] = k.step(c, now)
		batch[i] = bus.Pending{Subject: k.kind.Subject(k.tenant, k.kind.ID(c.Next)), Last: c.Entry.Sequence, Message: steps[i]}
	}
	first, err := k.bus.AppendAll(ctx, batch)
	switch {
	case err == nil:
		for i, c := range changes {
			k.stored(c, steps[i], first+uint64(i))
		}
	case errors.Is(err, bus.ErrConflict), errors.Is(err, bus.ErrTooLarge):
		// One at least met another writer, or is too large: the halves without it go through.
		half := len(changes) / 2
		k.store(ctx, now, changes[:half], errs[:half])
		k.store(ctx, now, changes[half:], errs[half:])
	default:
		for i := range errs {
			errs[i] = err
		}
	}
}

func (k *Book[T]) stored(c Change[T], step proto.Message, sequence uint64) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(step)
	if err != nil {
		return // Follow brings it
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if sequence > k.put { // else Follow has brought it, and perhaps what came behind it: an end leaves nothing to compare with
		k.keep(Entry[T]{Value: c.Next, Sequence: sequence}, data)
	}
}

func (k *Book[T]) step(c Change[T], now time.Time) proto.Message {
	return k.kind.Step(c.Next, later(now, c.Entry.Time), c.Author, c.Detail)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Create stores an entity's first step. bus.ErrConflict means that the id is taken.
func (k *Book[T]) Create(ctx context.Context, now time.Time, value T, author, detail string) error {
	if k.kind.ID(value) == "" || k.kind.Tenant(value) != k.tenant {
		return fmt.Errorf("create %s: it has no id, or tenant %q is not %q", k.kind.Root, k.kind.Tenant(value), k.tenant)
	}
	return k.Store(ctx, now, Change[T]{Next: value, Author: author, Detail: detail})[0]
}

// tries is how often Change applies itself behind steps of others that come first.
const tries = 16

// Change stores the step that f makes of an entity as it stands now, again where another step comes first, and returns the
// entity thereafter. F gets the zero value where there is none, and returns ok = false where nothing is to change. An error
// that is bus.ErrConflict means that others came first too often; any but that leaves open whether the step was stored.
func (k *Book[T]) Change(ctx context.Context, id, author string, clock func() time.Time, f func(T) (next T, detail string, ok bool)) (Entry[T], error) {
	entry, known := k.Get(id)
	for try := 0; ; try++ {
		if !known {
			var err error
			if entry, err = k.Load(ctx, id); errors.Is(err, bus.ErrNotFound) {
				entry = Entry[T]{}
			} else if err != nil {
				return Entry[T]{}, err
			}
		}
		known = false
		next, detail, ok := f(entry.Value)
		if !ok {
			return entry, nil
		}
		now := clock()
		change := Change[T]{Entry: entry, Next: next, Author: author, Detail: detail}
		sequence, err := k.append(ctx, now, change)
		if err == nil {
			return Entry[T]{Value: next, Sequence: sequence, Time: later(now, entry.Time)}, nil
		}
		if !errors.Is(err, bus.ErrConflict) || try == tries {
			return Entry[T]{}, err
		}
	}
}

func (k *Book[T]) append(ctx context.Context, now time.Time, c Change[T]) (uint64, error) {
	step := k.step(c, now)
	sequence, err := k.bus.Append(ctx, k.kind.Subject(k.tenant, k.kind.ID(c.Next)), c.Entry.Sequence, step)
	if err == nil {
		k.stored(c, step, sequence)
	}
	return sequence, err
}
