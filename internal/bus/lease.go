// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leaseValue is what stands in the bucket. The end is in the value: an update drops a key's own time to live
// (measured on nats-server 2.15), so a lease renewed that way would never end.
type leaseValue struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// Lease names work that one process at a time should do.
type Lease struct {
	// Name of the work.
	Name string
	// Holder is this process, unlike any other.
	Holder string
	// Length is how long the lease outlives a holder that has died.
	Length time.Duration
}

// Hold waits for the lease, then runs work with a context that ends when the lease is lost, and gives it back. It
// returns work's error, or ctx's where that ended first. A lease spares work, it does not exclude: clocks differ and
// processes stall, so whatever work writes is fenced by Append.
func (b *Bus) Hold(ctx context.Context, lease Lease, work func(context.Context) error) error {
	kv, err := b.bucket(ctx, leases)
	if errors.Is(err, jetstream.ErrBucketNotFound) { // it is in memory, and went with the server
		if err = b.makeBucket(ctx, leases); err == nil {
			kv, err = b.bucket(ctx, leases)
		}
	}
	if err != nil {
		return err
	}
	revision, err := lease.wait(ctx, kv)
	if err != nil {
		return err
	}
	held, lose := context.WithCancel(ctx)
	renewed := make(chan uint64, 1)
	go func() {
		renewed <- lease.renew(held, kv, revision)
		lose()
	}()
	err = work(held)
	lose()
	lease.giveBack(ctx, kv, <-renewed)
	return err
}

// Keep holds the lease and does the work, over and over until ctx ends. Work reports whether it got anything done before
// its error. Between two tries Keep waits, from half a second doubling up to longest, and begins from the shortest again
// after work that got something done. Broke is told of each error and the wait behind it; one that is ErrConflict means
// that another holder wrote in between.
func (b *Bus) Keep(ctx context.Context, lease Lease, longest time.Duration, work func(context.Context) (progressed bool, err error), broke func(err error, delay time.Duration)) {
	const shortest = 500 * time.Millisecond
	for delay := shortest; ; delay = min(2*delay, longest) {
		err := b.Hold(ctx, lease, func(ctx context.Context) error {
			progressed, err := work(ctx)
			if progressed {
				delay = shortest
			}
			return err
		})
		if ctx.Err() != nil {
			return
		}
		broke(err, delay)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

// wait returns once the lease is ours, with the revision it was written at.
func (l Lease) wait(ctx context.Context, kv jetstream.KeyValue) (uint64, error) {
	for {
		revision, err := l.try(ctx, kv)
		if err == nil {
			return revision, nil
		}
		if !errors.Is(err, ErrConflict) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(l.Length / 4):
		}
	}
}

// try takes the lease where it is free, over or ours.
func (l Lease) try(ctx context.Context, kv jetstream.KeyValue) (uint64, error) {
	key := encodeKey([]string{l.Name})
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		revision, err := kv.Create(ctx, key, l.value())
		return revision, l.wrap(err)
	}
	if err != nil {
		return 0, l.wrap(err)
	}
	var value leaseValue
	if err := json.Unmarshal(entry.Value(), &value); err == nil && value.Holder != l.Holder && time.Now().Before(value.Until) {
		return 0, ErrConflict
	}
	revision, err := kv.Update(ctx, key, l.value(), entry.Revision())
	return revision, l.wrap(err)
}

func (l Lease) value() []byte {
	// Neither field can fail to encode.
	value, _ := json.Marshal(leaseValue{Holder: l.Holder, Until: time.Now().Add(l.Length)})
	return value
}

func (l Lease) wrap(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
		return ErrConflict
	}
	return fmt.Errorf("take lease %s: %w", l.Name, err)
}

// renew keeps the lease until ctx ends or it is lost, and returns the last revision that was ours.
func (l Lease) renew(ctx context.Context, kv jetstream.KeyValue, revision uint64) uint64 {
	until := time.Now().Add(l.Length)
	for {
		select {
		case <-ctx.Done():
			return revision
		case <-time.After(l.Length / 4):
		}
		next, err := kv.Update(ctx, encodeKey([]string{l.Name}), l.value(), revision)
		switch {
		case err == nil:
			revision, until = next, time.Now().Add(l.Length)
		case isConflict(err) || time.Now().After(until):
			return revision
		}
	}
}

// giveBack frees the lease so that the next holder need not wait it out. It is a kindness: an error changes nothing.
func (l Lease) giveBack(ctx context.Context, kv jetstream.KeyValue, revision uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = kv.Delete(ctx, encodeKey([]string{l.Name}), jetstream.LastRevision(revision))
}

func encodeKey(parts []string) string {
	encoded := make([]string, len(parts))
	for i, part := range parts {
		encoded[i] = encodeToken(part)
	}
	return strings.Join(encoded, ".")
}

func decodeKey(key string) []string {
	parts := strings.Split(key, ".")
	for i, part := range parts {
		parts[i] = decodeToken(part)
	}
	return parts
}
