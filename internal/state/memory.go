// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"sync"
	"time"
)

// Memory is derived state of one process. The zero value is not usable; see NewMemory.
type Memory struct {
	mu      sync.Mutex
	now     func() time.Time
	sets    map[string]map[string]time.Time // member -> end
	windows map[string]map[string]time.Time
	buckets map[string]time.Time // when the bucket is full again
	indexes map[string]*dues
	swept   time.Time
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		now: time.Now, sets: map[string]map[string]time.Time{}, windows: map[string]map[string]time.Time{},
		buckets: map[string]time.Time{}, indexes: map[string]*dues{},
	}
}

// Add notes a member of a set.
func (m *Memory) Add(_ context.Context, set, member string, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	end, there := m.sets[set][member]
	put(m.sets, set, member, m.now().Add(ttl))
	return !there || !m.now().Before(end), nil
}

// sweep drops what has ended, about once a minute, so that memory follows what is in use.
func (m *Memory) sweep() {
	now := m.now()
	if now.Sub(m.swept) < time.Minute {
		return
	}
	m.swept = now
	for name, set := range m.sets {
		for member, end := range set {
			if !now.Before(end) {
				delete(set, member)
			}
		}
		if len(set) == 0 {
			delete(m.sets, name)
		}
	}
	for name, full := range m.buckets {
		if !now.Before(full) {
			delete(m.buckets, name)
		}
	}
}

// Note puts a member into a window.
func (m *Memory) Note(_ context.Context, window, member string, at time.Time, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was, there := m.windows[window][member]; there && was.After(at) {
		at = was
	}
	put(m.windows, window, member, at)
	newest := at
	for _, t := range m.windows[window] {
		if t.After(newest) {
			newest = t
		}
	}
	for other, t := range m.windows[window] {
		if newest.Sub(t) > keep {
			delete(m.windows[window], other)
		}
	}
	return nil
}

// Count returns how many members of a window happened in [from, until).
func (m *Memory) Count(_ context.Context, window string, from, until time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, at := range m.windows[window] {
		if !at.Before(from) && at.Before(until) {
			count++
		}
	}
	return count, nil
}

// Take takes a token from a bucket. Kept is only when the bucket will be full again (GCRA,
// https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
func (m *Memory) Take(_ context.Context, bucket string, burst int, interval time.Duration) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	now := m.now()
	full := m.buckets[bucket]
	if full.Before(now) {
		full = now
	}
	if wait := full.Add(interval).Sub(now) - time.Duration(burst)*interval; wait > 0 {
		return wait, nil
	}
	m.buckets[bucket] = full.Add(interval)
	return 0, nil
}

// Ready is always so.
func (m *Memory) Ready(context.Context) error { return nil }

// Close has nothing to end.
func (m *Memory) Close() error { return nil }

func put(all map[string]map[string]time.Time, name, member string, at time.Time) {
	if all[name] == nil {
		all[name] = map[string]time.Time{}
	}
	all[name][member] = at
}
