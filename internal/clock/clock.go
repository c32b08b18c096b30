// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package clock is the time by which grants begin and end: the machine's, as far as it can be trusted.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and wakes. Safe for concurrent use.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// After gets the time once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

// What is made of a wall clock that differs from the time that has passed.
const (
	// doubted is from how much on it is doubted; less is followed at once.
	doubted = 2 * time.Second
	// believed is how long it has to stay so before it is believed.
	believed = 10 * time.Minute
	// look is how often a sleeper looks whether the machine slept too.
	look = time.Second
)

// System is the machine's clock, which goes on by the time that passes since the machine started, suspended or not: to
// set the wall clock changes nothing at once. Stepped is told once of a wall clock that went ahead (or back, negative) by
// more than two seconds, and again when it is believed, since it has stayed so for ten minutes; nil = nobody is told. It
// is called by whoever asks for the time, and may not ask for it. Where the system does not count suspended time, which
// Linux does, waking up is such a step. The wall clock that it finds when it is made it believes.
func System(stepped func(step time.Duration, believed bool)) Clock {
	return newSystem(boot{running{time.Now()}}.elapsed, func() time.Time { return time.Now().Round(0) }, stepped)
}

func newSystem(elapsed func() time.Duration, wall func() time.Time, stepped func(time.Duration, bool)) *system {
	if stepped == nil {
		stepped = func(time.Duration, bool) {}
	}
	return &system{elapsed: elapsed, wall: wall, stepped: stepped, from: wall(), at: elapsed()}
}

// system is a wall clock kept in check by one that nobody sets.
type system struct {
	elapsed func() time.Duration
	wall    func() time.Time
	stepped func(time.Duration, bool)

	mu    sync.Mutex
	from  time.Time     // the time
	at    time.Duration // when elapsed stood here
	step  time.Duration // by how much the wall clock differs; 0 = not enough to say so
	since time.Duration // from when on, as elapsed
}

// Now is the time.
func (s *system) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, wall := s.elapsed(), s.wall()
	now := s.from.Add(at - s.at)
	step := wall.Sub(now)
	switch {
	case step.Abs() <= doubted:
		s.follow(wall, at)
		return wall
	case s.step == 0 || (step-s.step).Abs() > doubted:
		s.step, s.since = step, at
		s.stepped(step, false)
	case at-s.since >= believed:
		s.follow(wall, at)
		s.stepped(step, true)
		return wall
	}
	return now
}

func (s *system) follow(wall time.Time, at time.Duration) { s.from, s.at, s.step = wall, at, 0 }

// After gets the time once d has passed, and within a second of waking where the machine was suspended meanwhile.
func (s *system) After(d time.Duration) <-chan time.Time {
	wake := make(chan time.Time, 1)
	until := s.elapsed() + d
	var again func()
	again = func() {
		if left := until - s.elapsed(); left > 0 {
			time.AfterFunc(min(left, look), again)
			return
		}
		wake <- s.Now()
	}
	again()
	return wake
}

// boot is the time since the machine started. Where the system has a clock for it, its own method stands in front of that
// of running.
type boot struct{ running }

// running is the time as Go counts it, which on some systems stands still while the machine is suspended.
type running struct{ start time.Time }

func (r running) elapsed() time.Duration { return time.Since(r.start) }
