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
	if wait := full.Add(p.every).Sub(now) - time.Duration(p.burst)*p.every; wait > 0 {
		return wait
	}
	p.full = full.Add(p.every)
	return 0
}

// spend leaves one token.
func (p *pace) spend(now time.Time) { p.full = now.Add(time.Duration(p.burst-1) * p.every) }

// choose takes what is to be shown next in one message, once the receiver takes one more: the most severe first, then the
// oldest. Without any it returns how long to wait.
func (s *sender) choose() (ids []string, summary bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	wait = nap
	if now.Before(s.paused) {
		return nil, false, s.paused.Sub(now)
	}
	var ready []item
	for _, it := range s.items {
		switch {
		case it.need != alert.Post:
		case now.Before(it.notBefore):
			wait = min(wait, it.notBefore.Sub(now))
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

// unsettled is the items of one post of which nobody knows whether it arrived, once it is time to look.
func (s *sender) unsettled() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	var group []item
	for _, it := range s.items {
		_, landed := s.landed[it.post]
		switch {
		case it.need != alert.Settle, s.flying[it.post]:
		case len(group) > 0 && it.post != group[0].post:
		case landed || !now.Before(s.lookAt(it)):
			group = append(group, it)
		}
	}
	slices.SortFunc(group, func(a, b item) int {
		return cmp.Or(-cmp.Compare(a.severity, b.severity), a.opened.Compare(b.opened), cmp.Compare(a.id, b.id))
	})
	return group
}

// lookAt is when it is time to look what became of a delivery.
func (s *sender) lookAt(it item) time.Time {
	at := it.tried.Add(settleAfter)
	if it.notBefore.After(it.tried) {
		at = it.notBefore // its own notifier said when
	}
	if missed, once := s.missed[it.post]; once && missed.Add(lookAgain).After(at) {
		at = missed.Add(lookAgain)
	}
	if s.paused.After(at) && s.fails > 0 {
		at = s.paused
	}
	return at
}
