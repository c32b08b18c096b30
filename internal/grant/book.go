// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Entry is a grant as its newest step leaves it.
type Entry struct {
	// Grant is the caller's own.
	Grant *curfewv1.Grant
	// Sequence of the step on GRANTS, behind which the next is stored.
	Sequence uint64
	// Time of the step.
	Time time.Time
}

// Change is a step to be stored.
type Change struct {
	// Entry that it follows.
	Entry Entry
	// Next is the grant as the step leaves it.
	Next *curfewv1.Grant
	// Author who takes it: a subject.
	Author string
	// Detail says why, where it is not plain.
	Detail string
}

// Book is every grant of a tenant that is not over, folded from GRANTS as steps come. Safe for concurrent use. It keeps
// them as they are stored, some 500 bytes each.
type Book struct {
	// Lost is told of a step that cannot be read: the grant stands as before it. Nil = nobody is told. Set it before Follow.
	Lost func(sequence uint64, err error)

	bus    *bus.Bus
	tenant string
	ready  chan struct{}

	mu     sync.RWMutex
	grants map[string]record
	last   uint64        // sequence that Follow has handed on
	moved  chan struct{} // closed once last moves; nil = nobody waits for that
}

// record is an entry as stored.
type record struct {
	sequence uint64
	data     []byte
}

// NewBook makes an empty book; Follow fills it.
func NewBook(b *bus.Bus, tenant string) *Book {
	return &Book{bus: b, tenant: tenant, ready: make(chan struct{}), grants: map[string]record{}}
}

// Ready is closed once everything is in the book that was stored when Follow began.
func (k *Book) Ready() <-chan struct{} { return k.ready }

// Follow fills the book until ctx ends or the bus breaks off; it may be called again, and goes on. Changed is told of each
// newest step, in stream order, ends too, and those that this process stored; nil = nobody is told. One caller at a time.
func (k *Book) Follow(ctx context.Context, changed func(Entry)) error {
	filter := bus.All("grant", k.tenant)
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
		entry, err := read(m)
		if err != nil {
			if k.Lost != nil {
				k.Lost(m.Sequence, err) // one that can never be read may keep neither the others nor its grant from ending
			}
			if entry, m, err = k.earlier(ctx, m); err != nil {
				return err
			}
		}
		if entry.Grant != nil {
			k.put(entry, m.Data)
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

// earlier is a grant as the newest of its steps leaves it that can be read, behind one that cannot; none where none can.
func (k *Book) earlier(ctx context.Context, bad bus.Message) (entry Entry, m bus.Message, err error) {
	err = k.bus.Read(ctx, bad.Subject, bus.From{}, func(step bus.Message) error {
		if e, err := read(step); err == nil && step.Sequence < bad.Sequence {
			entry, m = e, step
		}
		return nil
	})
	entry.Sequence, m.Sequence = bad.Sequence, bad.Sequence // the next step follows that
	return entry, m, err
}

func (k *Book) move(sequence uint64) {
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
func (k *Book) Reached(ctx context.Context, sequence uint64) error {
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

func read(m bus.Message) (Entry, error) {
	step := new(curfewv1.GrantStep)
	if err := m.Decode(step); err != nil {
		return Entry{}, err
	}
	if step.GetGrant().GetId() == "" {
		return Entry{}, fmt.Errorf("read message %d: it is a step of no grant", m.Sequence)
	}
	return Entry{Grant: step.GetGrant(), Sequence: m.Sequence, Time: step.GetTime().AsTime()}, nil
}

func (k *Book) put(e Entry, data []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := e.Grant.GetId()
	if k.grants[id].sequence >= e.Sequence {
		return
	}
	if IsOver(e.Grant) {
		delete(k.grants, id)
		return
	}
	k.grants[id] = record{sequence: e.Sequence, data: data}
}

// Len is how many grants are not over.
func (k *Book) Len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.grants)
}

// Get returns a grant that is not over.
func (k *Book) Get(id string) (Entry, bool) {
	k.mu.RLock()
	r, ok := k.grants[id]
	k.mu.RUnlock()
	if !ok {
		return Entry{}, false
	}
	entry, err := read(bus.Message{Sequence: r.sequence, Data: r.data})
	return entry, err == nil // it was read before
}

// Each hands every grant that is not over to visit until that returns false, in no order.
func (k *Book) Each(visit func(Entry) bool) {
	k.mu.RLock()
	records := make([]record, 0, len(k.grants))
	for _, r := range k.grants {
		records = append(records, r)
	}
	k.mu.RUnlock()
	for _, r := range records {
		if entry, err := read(bus.Message{Sequence: r.sequence, Data: r.data}); err == nil && !visit(entry) {
			return
		}
	}
}

// Load reads a grant from the bus, over or not: what stands there now. bus.ErrNotFound where there is none.
func (k *Book) Load(ctx context.Context, id string) (Entry, error) {
	m, err := k.bus.Last(ctx, bus.GrantSubject(k.tenant, id))
	if err != nil {
		return Entry{}, err
	}
	return read(m)
}

// few is from how many steps on they are stored in one batch: one alone is faster without.
const few = 24

// Store appends steps at a time of the caller's clock, which is no earlier than that of the step before. For each it
// returns nil once it is on disk and the book shows it; an error that is bus.ErrConflict where another step came first,
// and was not stored; any other error leaves open whether it was.
func (k *Book) Store(ctx context.Context, now time.Time, changes ...Change) []error {
	errs := make([]error, len(changes))
	for begin := 0; begin < len(changes); begin += bus.MaxBatch {
		end := min(begin+bus.MaxBatch, len(changes))
		k.store(ctx, now, changes[begin:end], errs[begin:end])
	}
	return errs
}

func (k *Book) store(ctx context.Context, now time.Time, changes []Change, errs []error) {
	if len(changes) < few {
		for i, c := range changes {
			step := c.step(now)
			sequence, err := k.bus.Append(ctx, bus.GrantSubject(k.tenant, c.Next.GetId()), c.Entry.Sequence, step)
			if errs[i] = err; err == nil {
				k.stored(c, step, sequence)
			}
		}
		return
	}
	batch, steps := make([]bus.Pending, len(changes)), make([]*curfewv1.GrantStep, len(changes))
	for i, c := range changes {
		steps[i] = c.step(now)
		batch[i] = bus.Pending{Subject: bus.GrantSubject(k.tenant, c.Next.GetId()), Last: c.Entry.Sequence, Message: steps[i]}
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

func (k *Book) stored(c Change, step *curfewv1.GrantStep, sequence uint64) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(step)
	if err != nil {
		return // Follow brings it
	}
	k.put(Entry{Grant: c.Next, Sequence: sequence}, data)
}

func (c Change) step(now time.Time) *curfewv1.GrantStep {
	return &curfewv1.GrantStep{
		Format: bus.Format, Grant: c.Next, Time: stamp(later(now, c.Entry.Time)), Author: c.Author, Detail: c.Detail,
	}
}

// Create stores a grant's first step. bus.ErrConflict means that the id is taken.
func (k *Book) Create(ctx context.Context, now time.Time, g *curfewv1.Grant, author, detail string) error {
	if g.GetId() == "" || g.GetTenant() != k.tenant {
		return fmt.Errorf("create grant: it has no id, or tenant %q is not %q", g.GetTenant(), k.tenant)
	}
	return k.Store(ctx, now, Change{Next: g, Author: author, Detail: detail})[0]
}
