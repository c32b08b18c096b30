// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// The streams that links are learnt from, by the root of their subjects.
var linkStreams = [...]string{inventoryRoot: "inventory", linksRoot: "link", grantsRoot: "grant"}

const (
	inventoryRoot = iota
	linksRoot
	grantsRoot
)

// reached is how far each of linkStreams has been folded.
type reached [len(linkStreams)]uint64

// knowledge is everything that judging rests on: the policy's revisions and the links, folded from the bus as they come.
// Safe for concurrent use.
type knowledge struct {
	bus        *bus.Bus
	tenant     string
	pseudonyms []byte
	policies   *policies
	log        *slog.Logger

	mu      sync.Mutex
	fold    *temporal.Fold
	grants  *grantFold
	reached reached
	changes [len(linkStreams)]map[uint64]int64 // by sequence: the earliest moment about which that message changed anything
	moved   chan struct{}                      // closed, and replaced, whenever reached grows
	stale   bool                               // picture does not show all that is folded
	picture *picture
	asked   time.Time // when the newest question began after which all that was stored is folded
	asking  chan struct{}
}

// askEvery is how often at most the bus is asked how much there is.
const askEvery = 5 * time.Millisecond

// picture is a judge with the basis that its decisions rest on: both of one moment, or the basis would say what was not
// so.
type picture struct {
	*judge.Judge
	basis     *curfewv1.Basis
	revisions int
	grants    *grantView
}

func openKnowledge(b *bus.Bus, policies *policies, tenant string, pseudonyms []byte, log *slog.Logger) *knowledge {
	k := &knowledge{
		bus: b, tenant: tenant, pseudonyms: pseudonyms, policies: policies, log: log,
		fold: temporal.NewFold(), grants: newGrantFold(), moved: make(chan struct{}), stale: true, asking: make(chan struct{}, 1),
	}
	for i := range k.changes {
		k.changes[i] = map[uint64]int64{}
	}
	return k
}

// follow folds what is stored, and what comes, until ctx ends.
func (k *knowledge) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, root := range linkStreams {
		group.Go(func() error {
			return bus.Again(ctx, func(ctx context.Context) error {
				k.mu.Lock()
				after := k.reached[i]
				k.mu.Unlock()
				return k.bus.Follow(ctx, bus.All(root), bus.From{After: after}, func(m bus.Message) error { return k.take(ctx, i, m) })
			}, func(err error) { k.log.Warn("following links broke off; going on", "stream", root, "error", err) })
		})
	}
	return group.Wait()
}

// take folds one message. One that can never be read would stop judging for ever: it is left out and said, and what it
// would have said is from then on not known.
func (k *knowledge) take(ctx context.Context, i int, m bus.Message) error {
	fold, err := readMessage(ctx, k.bus, k.tenant, i, m)
	if err != nil {
		return err // it will come again
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.Sequence <= k.reached[i] {
		return nil
	}
	if fold != nil {
		if err := fold(k.fold); err != nil {
			k.log.Error("links left out: the record cannot be read", "stream", linkStreams[i], "sequence", m.Sequence, "error", err)
		}
	}
	if step := new(curfewv1.GrantStep); i == grantsRoot && fold != nil && m.Decode(step) == nil {
		k.grants.take(step)
	}
	if from, changed := k.fold.Changed(); changed {
		k.changes[i][m.Sequence] = from
	}
	k.reached[i], k.stale = m.Sequence, true
	close(k.moved)
	k.moved = make(chan struct{})
	return nil
}

// readMessage reads one message of one of linkStreams, with the object that it names. What it returns folds it, and returns
// why that could not be done; nil where it is another tenant's. An error means that it may be had later.
func readMessage(ctx context.Context, b *bus.Bus, tenant string, i int, m bus.Message) (func(*temporal.Fold) error, error) {
	switch i {
	case inventoryRoot:
		return readInventory(ctx, b, tenant, m)
	case linksRoot:
		batch := new(curfewv1.LinkBatch)
		err := m.Decode(batch)
		if err == nil && batch.GetTenant() != tenant {
			return nil, nil
		}
		return func(f *temporal.Fold) error {
			f.Told(batch)
			return err
		}, nil
	default:
		step := new(curfewv1.GrantStep)
		err := m.Decode(step)
		if err == nil && step.GetGrant().GetTenant() != tenant {
			return nil, nil
		}
		return func(f *temporal.Fold) error {
			if err == nil {
				f.Grant(step)
			}
			return err
		}, nil
	}
}

func readInventory(ctx context.Context, b *bus.Bus, tenant string, m bus.Message) (func(*temporal.Fold) error, error) {
	record := new(curfewv1.Inventory)
	if err := m.Decode(record); err != nil {
		of, source, kind, ok := bus.SplitLane(m.Subject)
		if !ok || of != tenant {
			return nil, nil
		}
		return func(f *temporal.Fold) error {
			f.Lose(source, kind)
			return err
		}, nil
	}
	if record.GetTenant() != tenant {
		return nil, nil
	}
	var content []byte
	var missing error
	if record.GetObject() != "" {
		var err error
		if content, err = b.GetObject(ctx, record.GetObject()); errors.Is(err, bus.ErrNotFound) {
			missing = err
		} else if err != nil {
			return nil, err
		}
	}
	return func(f *temporal.Fold) error {
		err := missing
		if err == nil {
			err = f.Inventory(record, func(string) ([]byte, error) { return content, nil })
		}
		if err != nil {
			f.Lose(record.GetSource(), record.GetKind())
		}
		return err
	}, nil
}

// now is a judge by all that is folded and all revisions known at this moment.
func (k *knowledge) now() *picture {
	revisions := k.policies.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.stale && k.picture.revisions == len(revisions) {
		return k.picture
	}
	basis := revisions.basis()
	basis.InventorySequence, basis.LinksSequence, basis.GrantsSequence = k.reached[inventoryRoot], k.reached[linksRoot], k.reached[grantsRoot]
	k.picture = &picture{
		Judge: &judge.Judge{Tenant: k.tenant, Pseudonyms: k.pseudonyms, Policies: revisions.at, Known: k.fold.Known()},
		basis: basis, revisions: len(revisions), grants: k.grants.now(),
	}
	k.stale = false
	return k.picture
}

// since is now with everything that was stored before a moment in it, wherever it was stored: whoever judges what arrived
// at that moment judges by all that came before.
func (k *knowledge) since(ctx context.Context, arrived time.Time) (*picture, error) {
	for {
		k.mu.Lock()
		fresh := k.asked.After(arrived)
		k.mu.Unlock()
		if fresh {
			return k.now(), nil
		}
		select {
		case k.asking <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		err := k.ask(ctx, arrived)
		<-k.asking
		if err != nil {
			return nil, err
		}
	}
}

// ask finds how much there is and waits until it is folded, unless somebody did since.
func (k *knowledge) ask(ctx context.Context, arrived time.Time) error {
	k.mu.Lock()
	last := k.asked
	k.mu.Unlock()
	if last.After(arrived) {
		return nil
	}
	select {
	case <-time.After(askEvery - time.Since(last)): // one question serves all who wait meanwhile
	case <-ctx.Done():
		return ctx.Err()
	}
	begun := time.Now()
	var ends reached
	for i, root := range linkStreams {
		var err error
		if ends[i], err = k.bus.End(ctx, root); err != nil {
			return err
		}
	}
	if err := k.policies.load(ctx); err != nil {
		return err
	}
	if err := k.wait(ctx, ends); err != nil {
		return err
	}
	k.mu.Lock()
	k.asked = begun
	k.mu.Unlock()
	return nil
}

// wait returns once the streams are folded up to ends.
func (k *knowledge) wait(ctx context.Context, ends reached) error {
	for {
		k.mu.Lock()
		behind, moved := "", k.moved
		for i, end := range ends {
			if k.reached[i] < end {
				behind = linkStreams[i]
			}
		}
		k.mu.Unlock()
		if behind == "" {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for links of %s: %w", behind, ctx.Err())
		}
	}
}

// changed is the earliest moment about which one folded message changed anything; ok is false where it changed nothing.
func (k *knowledge) changed(i int, sequence uint64) (from int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	from, ok = k.changes[i][sequence]
	return from, ok
}

// changedBetween is the earliest moment about which anything was learnt from one basis to a later one; End where nothing
// was.
func (k *knowledge) changedBetween(from, to *curfewv1.Basis) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := temporal.End
	after, until := positions(from), positions(to)
	for i := range k.changes {
		for sequence := after[i] + 1; sequence <= until[i]; sequence++ {
			if at, changed := k.changes[i][sequence]; changed {
				first = min(first, at)
			}
		}
	}
	return first
}

// positions is how far a basis reaches.
func positions(b *curfewv1.Basis) reached {
	return reached{inventoryRoot: b.GetInventorySequence(), linksRoot: b.GetLinksSequence(), grantsRoot: b.GetGrantsSequence()}
}
