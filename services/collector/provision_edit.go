// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// author is who takes the steps of this package.
const author = "service:collector"

// stale is how often steps that met another writer's are made again before they are decided anew.
const stale = 3

// edit is a change of one privilege of one grant. It is made only where the privilege still stands as it did when it was
// decided.
type edit struct {
	task   *task
	id     string
	at     int // which of its privileges
	was    *curfewv1.HeldPrivilege
	wanted bool // the grant wanted it held
	intent bool // announces an act: void where the grant wants something else now
	detail string
	change func(*curfewv1.HeldPrivilege)
}

// fits is whether the edit can still be made.
func (e edit) fits(g *curfewv1.Grant) bool {
	if e.at >= len(g.GetPrivileges()) || grant.IsOver(g) {
		return false
	}
	held := g.GetPrivileges()[e.at]
	return held.GetStage() == e.was.GetStage() && held.GetActor() == e.was.GetActor() && held.GetClaimed().AsTime().Equal(e.was.GetClaimed().AsTime()) &&
		(!e.intent || grant.IsWanted(g) == e.wanted)
}

// note keeps edits to be stored. Their keys are decided again once they are.
func (a *actor) note(edits []edit) {
	for _, e := range edits {
		if e.task != nil {
			e.task.writing++
		}
	}
	a.pending = append(a.pending, edits...)
}

// written is what became of edits: they are stored, and the book shows whatever was stored before them, or it is not known.
type written struct {
	edits []edit
	err   error
}

// flush has all edits stored that wait, many in one write, while calls go on; those that come meanwhile go in the next. It
// is done when the book shows whatever was stored before them: the claims of two actors meet there.
func (a *actor) flush(ctx context.Context, workers *sync.WaitGroup) {
	if len(a.pending) == 0 || a.storing {
		return
	}
	edits := a.pending
	a.pending, a.storing = nil, true
	workers.Go(func() {
		sequence, err := a.store(ctx, edits)
		if err == nil {
			err = a.book.Reached(ctx, sequence)
		}
		a.stored <- written{edits, err} // there is room for one
	})
}

// wrote takes in what became of edits.
func (a *actor) wrote(w written) error {
	a.storing = false
	if w.err != nil {
		return w.err
	}
	for _, e := range w.edits {
		if e.task == nil {
			continue
		}
		if e.task.writing--; e.task.writing == 0 {
			a.wake(e.task)
		}
	}
	return nil
}

// store stores edits, and returns the sequence of the newest step.
func (p *provisioning) store(ctx context.Context, edits []edit) (sequence uint64, err error) {
	load := func(id string) (grant.Entry, error) {
		if entry, ok := p.book.Get(id); ok {
			return entry, nil
		}
		return grant.Entry{}, bus.ErrNotFound
	}
	for range stale {
		changes, err := p.changes(edits, load)
		if err != nil || len(changes) == 0 {
			return sequence, err
		}
		edits, err = p.write(ctx, changes, edits)
		if err != nil {
			return sequence, err
		}
		for _, c := range changes {
			if entry, ok := p.book.Get(c.Next.GetId()); ok {
				sequence = max(sequence, entry.Sequence)
			}
		}
		if len(edits) == 0 {
			return sequence, nil
		}
		// The book may not have the step that came first.
		load = func(id string) (grant.Entry, error) { return p.book.Load(ctx, id) }
	}
	return sequence, nil
}

// changes makes of edits one step for each grant.
func (p *provisioning) changes(edits []edit, load func(id string) (grant.Entry, error)) (changes []grant.Change, err error) {
	at := map[string]int{}
	for _, e := range edits {
		i, known := at[e.id]
		if !known {
			entry, err := load(e.id)
			switch {
			case errors.Is(err, bus.ErrNotFound):
				continue // it is over
			case err != nil:
				return nil, fmt.Errorf("read grant %s: %w", e.id, err)
			}
			i, at[e.id] = len(changes), len(changes)
			changes = append(changes, grant.Change{Entry: entry, Next: proto.CloneOf(entry.Value), Author: author})
		}
		if c := &changes[i]; e.fits(c.Entry.Value) {
			e.change(c.Next.GetPrivileges()[e.at])
			if c.Detail == "" {
				c.Detail = e.detail
			}
		}
	}
	now, kept := p.Clock.Now(), changes[:0]
	for _, c := range changes {
		if !proto.Equal(c.Entry.Value, c.Next) {
			c.Next = grant.Settle(c.Next, now)
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// write stores steps, and returns the edits of those that met another writer.
func (p *provisioning) write(ctx context.Context, changes []grant.Change, edits []edit) (again []edit, err error) {
	met := map[string]bool{}
	for i, err := range p.book.Store(ctx, p.Clock.Now(), changes...) {
		switch {
		case errors.Is(err, bus.ErrConflict):
			met[changes[i].Next.GetId()] = true
		case errors.Is(err, bus.ErrTooLarge):
			// One that has outgrown the bus keeps no other from ending.
			p.Log.Error("a grant cannot be moved: its record is larger than the bus takes; take by hand what it stands for", "grant", changes[i].Next.GetId(), "error", err)
			p.Metrics.Failed("collector", "grant too large")
			p.large.Store(changes[i].Next.GetId(), true)
		case err != nil:
			return nil, fmt.Errorf("store step of grant %s: %w", changes[i].Next.GetId(), err)
		}
	}
	for _, e := range edits {
		if met[e.id] {
			again = append(again, e)
		}
	}
	return again, nil
}
