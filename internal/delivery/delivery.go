// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package delivery says what it means when handing something to a receiver did not go well: whether it surely did not
// arrive, and when to try again.
package delivery

import (
	"errors"
	"time"
)

// Refused is the error of a delivery that surely did not arrive: nobody saw it. Any other error leaves open whether it did.
type Refused struct {
	// Reason in words for a person, without a secret.
	Reason string
	// After is how long the other side asks to be left alone; 0 = it did not say.
	After time.Duration
	// Final says that trying again helps only once a person has changed something, such as a token that was withdrawn.
	Final bool
	// Unfit says that it is this message that is not taken, as too large for one: another might be.
	Unfit bool
}

// Error is the reason.
func (r *Refused) Error() string { return r.Reason }

// AsRefused returns the Refused that err wraps, nil where it wraps none.
func AsRefused(err error) *Refused {
	var r *Refused
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// Pace is how fast a receiver takes something: a token bucket.
type Pace struct {
	// Burst is how many at once.
	Burst int
	// Every is how long for each thereafter.
	Every time.Duration
}

// Unsent is err of something that went wrong before anything was sent, and that only a person can put right, such as a
// secret that cannot be read. Nil stays nil.
func Unsent(err error) error {
	if err == nil {
		return nil
	}
	return &Refused{Reason: err.Error(), Final: true}
}
