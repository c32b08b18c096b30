// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package clock is the time by which grants begin and end: the machine's, as far as it can be trusted.
package clock

import "time"

// Clock tells the time and wakes. Safe for concurrent use.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// After gets the time once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

// System is the machine's clock.
func System() Clock { return system{} }

type system struct{}

// Now is the machine's time.
func (system) Now() time.Time { return time.Now() }

// After is time.After.
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }
