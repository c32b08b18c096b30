// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/curfewhq/curfew/internal/state"
)

// stores are the kinds of derived state, each with a way to lose all that it holds.
var stores = map[string]func(t *testing.T) (store state.Store, flush func()){
	"memory": func(*testing.T) (state.Store, func()) {
		m := &forgetful{Store: state.NewMemory()}
		return m, m.forget
	},
	"miniredis": func(t *testing.T) (state.Store, func()) {
		server := miniredis.RunT(t)
		return openRedis(t, server), server.FlushAll
	},
}

func openRedis(t *testing.T, server *miniredis.Miniredis) state.Store {
	t.Helper()
	store, err := state.OpenRedis(t.Context(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// forgetful is memory that can lose what it holds.
type forgetful struct {
	mu sync.Mutex
	state.Store
}

func (f *forgetful) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Store = state.NewMemory()
}

func (f *forgetful) store() state.Store {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Store
}

// ScheduleAll is the store's.
func (f *forgetful) ScheduleAll(ctx context.Context, index string, due map[string]time.Time) error {
	return f.store().ScheduleAll(ctx, index, due)
}

// Claim is the store's.
func (f *forgetful) Claim(ctx context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error) {
	return f.store().Claim(ctx, index, now, hold, limit)
}

// Next is the store's.
func (f *forgetful) Next(ctx context.Context, index string) (time.Time, bool, error) {
	return f.store().Next(ctx, index)
}

// absent is derived state that does not answer for a while.
type absent struct {
	state.Store
	away atomic.Bool
}

var errAway = errors.New("connection refused")

func (a *absent) err() error {
	if a.away.Load() {
		return errAway
	}
	return nil
}

// ScheduleAll fails while it is away, as the others do.
func (a *absent) ScheduleAll(ctx context.Context, index string, due map[string]time.Time) error {
	if err := a.err(); err != nil {
		return err
	}
	return a.Store.ScheduleAll(ctx, index, due)
}

// Claim fails.
func (a *absent) Claim(ctx context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.Store.Claim(ctx, index, now, hold, limit)
}

// Next fails.
func (a *absent) Next(ctx context.Context, index string) (time.Time, bool, error) {
	if err := a.err(); err != nil {
		return time.Time{}, false, err
	}
	return a.Store.Next(ctx, index)
}

// Ready fails.
func (a *absent) Ready(context.Context) error { return a.err() }
