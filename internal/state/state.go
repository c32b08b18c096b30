// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package state is derived state: what can be recomputed from the bus, and may be lost at any moment without anything
// being lost. Redis holds it for many processes, memory for one; both keep the promises of statetest.
package state

import (
	"context"
	"time"
)

// Store is derived state. All methods are safe for concurrent use, by many processes where the store is shared.
type Store interface {
	// Add notes a member of a set for as long as ttl after its newest Add, and returns whether it is new. Twice and late
	// count once: it is a set of ids, never an increment.
	Add(ctx context.Context, set, member string, ttl time.Duration) (added bool, err error)
	// Count returns how many members of a window happened in [from, until). Note puts them there.
	Count(ctx context.Context, window string, from, until time.Time) (int, error)
	// Note puts a member into a window at the time it happened; the same member again counts once, at its latest time.
	// Members that happened more than keep before the newest are dropped.
	Note(ctx context.Context, window, member string, at time.Time, keep time.Duration) error
	// Take takes a token from a bucket of burst tokens that gains one each interval. It returns 0 where one was taken,
	// else how long to wait before trying again.
	Take(ctx context.Context, bucket string, burst int, interval time.Duration) (wait time.Duration, err error)
	// Schedule sets when an item of an index is due, replacing what was set.
	Schedule(ctx context.Context, index, item string, due time.Time) error
	// ScheduleAll is Schedule of many at the price of one or few; an item without a time is taken from the index. An error
	// leaves open which were.
	ScheduleAll(ctx context.Context, index string, due map[string]time.Time) error
	// Unschedule takes an item from an index; one that is not there is no error.
	Unschedule(ctx context.Context, index, item string) error
	// Claim returns up to limit items due at or before now, earliest first, and makes each due again at now + hold: a
	// claimant that dies leaves them to the next. Who is done with an item unschedules it.
	Claim(ctx context.Context, index string, now time.Time, hold time.Duration, limit int) ([]string, error)
	// Next is when the first item of an index is due; ok is false where there is none.
	Next(ctx context.Context, index string) (due time.Time, ok bool, err error)
	// Ready says whether the store answers. Nil means yes.
	Ready(ctx context.Context) error
	// Close ends the connection. The store is not used thereafter.
	Close() error
}
