// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/curfewhq/curfew/internal/event"
)

// Entry is one value of a bucket.
type Entry struct {
	// Key as it was given to Create.
	Key []string
	// Value as stored.
	Value []byte
	// Revision to hand to Update.
	Revision uint64
}

// Get returns a bucket's entry, or ErrNotFound. The key's parts may hold any text.
func (b *Bus) Get(ctx context.Context, bucket string, key ...string) (Entry, error) {
	kv, err := b.bucket(ctx, bucket)
	if err != nil {
		return Entry{}, err
	}
	entry, err := kv.Get(ctx, encodeKey(key))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Entry{}, fmt.Errorf("read %v from %s: %w", key, bucket, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read %v from %s: %w", key, bucket, err)
	}
	return Entry{Key: key, Value: entry.Value(), Revision: entry.Revision()}, nil
}

// Create stores a new entry. ErrConflict means that the key is there already, and was left alone.
func (b *Bus) Create(ctx context.Context, bucket string, value []byte, key ...string) (revision uint64, err error) {
	kv, err := b.bucket(ctx, bucket)
	if err != nil {
		return 0, err
	}
	revision, err = kv.Create(ctx, encodeKey(key), value)
	if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
		return 0, fmt.Errorf("create %v in %s: %w", key, bucket, ErrConflict)
	}
	if err != nil {
		return 0, fmt.Errorf("create %v in %s: %w", key, bucket, err)
	}
	return revision, nil
}

// Update stores a newer value of an entry. ErrConflict means that somebody changed it since the revision, and it was left
// alone.
func (b *Bus) Update(ctx context.Context, bucket string, value []byte, last uint64, key ...string) (revision uint64, err error) {
	kv, err := b.bucket(ctx, bucket)
	if err != nil {
		return 0, err
	}
	revision, err = kv.Update(ctx, encodeKey(key), value, last)
	if isConflict(err) {
		return 0, fmt.Errorf("update %v in %s: %w", key, bucket, ErrConflict)
	}
	if err != nil {
		return 0, fmt.Errorf("update %v in %s: %w", key, bucket, err)
	}
	return revision, nil
}

// Watch hands the entries of a bucket to changed: first all there are, then nil once, then each change, until ctx
// ends, whose error it returns.
func (b *Bus) Watch(ctx context.Context, bucket string, changed func(*Entry) error) error {
	kv, err := b.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	watcher, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("watch %s: %w", bucket, err)
	}
	defer func() {
		if err := watcher.Stop(); err != nil && ctx.Err() == nil {
			b.log.Warn("watch did not stop cleanly", "bucket", bucket, "error", err)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case update, open := <-watcher.Updates():
			if !open {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return fmt.Errorf("watch %s: the watch ended", bucket)
			}
			var entry *Entry
			if update != nil {
				entry = &Entry{Key: decodeKey(update.Key()), Value: update.Value(), Revision: update.Revision()}
			}
			if err := changed(entry); err != nil {
				return err
			}
		}
	}
}

func (b *Bus) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return kv, nil
}

// PutObject keeps bytes of any size and returns the name that GetObject takes: their digest, so the same bytes are kept
// once.
func (b *Bus) PutObject(ctx context.Context, content []byte) (name string, err error) {
	store, err := b.js.ObjectStore(ctx, blobs)
	if err != nil {
		return "", fmt.Errorf("open object store: %w", err)
	}
	name = event.Digest(content)
	if _, err := store.GetInfo(ctx, name); err == nil {
		return name, nil
	}
	if _, err := store.PutBytes(ctx, name, content); err != nil {
		return "", fmt.Errorf("store object of %d bytes: %w", len(content), err)
	}
	return name, nil
}

// GetObject returns what PutObject kept, or ErrNotFound.
func (b *Bus) GetObject(ctx context.Context, name string) ([]byte, error) {
	store, err := b.js.ObjectStore(ctx, blobs)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	content, err := store.GetBytes(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("read object %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", name, err)
	}
	return content, nil
}
