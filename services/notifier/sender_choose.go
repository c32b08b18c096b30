// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"cmp"
	"slices"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// pace is a token bucket (GCRA, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
type pace struct {
	burst int
	every time.Duration
	full  time.Time // when it is full again
}

// take takes a token and returns 0, or how long to wait for one.
func (p *pace) take(now time.Time) time.Duration {
	full := p.full
	if full.Before(now) {
		full = now
	}
	if most := now.Add(time.Duration(p.burst) * p.every); full.After(most) { // the clock was set back
		full, p.full = most, most
	}
	if wait := full.Add(p.every).Sub(now) - time.Duration(p.burst)*p.every; wait > 0 {
		return wait
	}
	p.full = full.Add(p.every)
	return 0
}

// spend leaves one token.
func (p *pace) spend(now time.Time) { p.full = now.Add(time.Duration(p.burst-1) * p.every) }

// giveBack puts a token back that was not used.
func (p *pace) giveBack() { p.full = p.full.Add(-p.every) }

// choose takes what is to be shown next in one message, once the receiver takes one more: the most severe first, then the
// oldest. Without any it returns how long to wait.
func (s *sender) choose() (ids []string, summary bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	wait = nap
	if left := s.paused.Sub(now); left > 0 && left <= longestAsked {
		return nil, false, min(left, nap)
	}
	var ready []item
	for _, it := range s.items {
		left := max(it.notBefore.Sub(now), s.rests[it.id].until.Sub(now))
		switch {
		case it.need != alert.Post:
		case left > 0 && left <= longestAsked:
			wait = min(wait, left)
		default:
			ready = append(ready, it)
		}
	}
	if len(ready) == 0 {
		return nil, false, wait
	}
	slices.SortFunc(ready, func(a, b item) int {
		return cmp.Or(-cmp.Compare(a.severity, b.severity), a.opened.Compare(b.opened), cmp.Compare(a.id, b.id))
	})
	critical := slices.IndexFunc(ready, func(it item) bool { return it.severity < curfewv1.Severity_SEVERITY_CRITICAL })
	if critical < 0 {
		critical = len(ready)
	}
	if wait := s.token(now, critical > 0); wait > 0 {
		return nil, false, min(wait, nap)
	}
	_, single := s.receiver.(Single)
	most := maxTogether
	if s.fails > 0 {
		ready = s.another(ready)
	}
	switch first := ready[0]; {
	case single, s.fails > 0, s.alone[first.id]:
		most = 1 // one is enough to see whether it takes anything, or that one
	case critical > 0 && critical <= aFew, len(ready) <= aFew:
		most = 1
	case critical > 0:
		ready = ready[:critical] // together, and nothing less severe among them
	case len(ready) >= s.Storm:
		most, summary = bus.MaxBatch, true
	}
	for _, it := range ready[:min(most, len(ready))] {
		if len(ids) == 0 || !s.alone[it.id] {
			ids = append(ids, it.id)
		}
	}
	return ids, summary, 0
}

// probes is how many alerts a receiver that takes nothing is tried with in turn: it may be that it does not take one of them.
const probes = 8

// another is what is ready with an alert in front that the receiver has not refused since it took any.
func (s *sender) another(ready []item) []item {
	if len(s.probed) >= min(probes, len(ready)) {
		clear(s.probed)
	}
	for i, it := range ready {
		if !s.probed[it.id] {
			return ready[i:]
		}
	}
	return ready
}

// token takes a token of the receiver's pace, or returns how long to wait for one. What is urgent has one of its own.
func (s *sender) token(now time.Time, urgent bool) time.Duration {
	if !urgent {
		return s.posts.take(now)
	}
	wait := s.urgent.take(now)
	if wait > 0 {
		wait = min(wait, s.posts.take(now))
	}
	return wait
}
