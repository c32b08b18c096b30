// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"sync"
)

// keyed is a lock for each of many keys. The zero value is ready.
type keyed struct {
	mu    sync.Mutex
	locks map[string]chan struct{}
}

// lock locks a key and returns what unlocks it, or the context's error when that ends first.
func (k *keyed) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]chan struct{}{}
	}
	one := k.locks[key]
	if one == nil {
		one = make(chan struct{}, 1)
		k.locks[key] = one
	}
	k.mu.Unlock()
	select {
	case one <- struct{}{}:
		return func() { <-one }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
