// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package clocktest is a clock that tests move by hand.
package clocktest

import (
	"sync"
	"time"
)

// Manual is a clock that stands still until it is moved. Safe for concurrent use.
type Manual struct {
	mu      sync.Mutex
	now     time.Time
	waiting []waiter
}

type waiter struct {
	at   time.Time
	wake chan time.Time
}

// New is a clock that stands at a time.
func New(now time.Time) *Manual { return &Manual{now: now} }

// Now is where it stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// After gets the time once it was moved by d or more.
func (m *Manual) After(d time.Duration) <-chan time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	wake := make(chan time.Time, 1)
	if d <= 0 {
		wake <- m.now
		return wake
	}
	m.waiting = append(m.waiting, waiter{m.now.Add(d), wake})
	return wake
}

// Move moves it, back where d is negative, and wakes whom that concerns.
func (m *Manual) Move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	still := m.waiting[:0]
	for _, w := range m.waiting {
		if w.at.After(m.now) {
			still = append(still, w)
			continue
		}
		w.wake <- m.now
	}
	m.waiting = still
}

// Next is how long until somebody is woken; ok is false where nobody waits.
func (m *Manual) Next() (d time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, w := range m.waiting {
		if left := w.at.Sub(m.now); i == 0 || left < d {
			d, ok = left, true
		}
	}
	return d, ok
}
