// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// settle finds out what became of a delivery that this notifier or another began: by what it remembers, by asking the
// receiver, or where that cannot be asked by handing it over again under the same id, marked as a repeat.
func (s *sender) settle(ctx context.Context, group []item) {
	post, ref, ids := group[0].post, group[0].ref, make([]string, len(group))
	for i, it := range group {
		ids[i] = it.id
	}
	s.fly(post, true)
	defer s.fly(post, false)
	s.mu.Lock()
	at, landed := s.landed[post]
	s.mu.Unlock()
	if landed {
		s.land(ctx, post, at, ids, s.isSummary(ids))
		return
	}
	finder, can := s.receiver.(Finder)
	if !can {
		s.repeat(ctx, post, ref, ids)
		return
	}
	var where string
	var found bool
	err := s.try(ctx, func(ctx context.Context) (err error) {
		where, found, err = finder.Find(ctx, ref, post, group[0].tried)
		return err
	})
	switch {
	case err != nil:
		s.mu.Lock()
		s.fails++
		s.trouble = err.Error()
		if s.failing.IsZero() {
			s.failing = s.Clock.Now()
		}
		s.paused = s.Clock.Now().Add(min(time.Second<<min(s.fails, 5), longestPause))
		s.mu.Unlock()
		s.count("unanswered", len(ids))
		s.Log.Warn("a receiver does not say whether alerts arrived; it is asked again", "receiver", s.name, "alerts", len(ids), "error", err)
	case found:
		s.count("found", len(ids))
		s.land(ctx, post, where, ids, s.isSummary(ids))
	case s.missedBefore(post):
		s.count("lost", len(ids))
		s.record(ctx, ids, func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Unsent(a, s.name, post, "it did not arrive", true, s.Clock.Now())
		})
	}
}

// isSummary is whether so many alerts can only have been summarised.
func (*sender) isSummary(ids []string) bool { return len(ids) > maxTogether }

// missedBefore is whether a post was asked for in vain before; it was now.
func (s *sender) missedBefore(post string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, before := s.missed[post]; before {
		delete(s.missed, post)
		return true
	}
	s.missed[post] = s.Clock.Now()
	return false
}

// repeat hands over again what may have arrived, at a receiver that cannot say. Behind a message that stands it is told anew.
func (s *sender) repeat(ctx context.Context, post, ref string, ids []string) {
	if ref != "" {
		s.record(ctx, ids, func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Unsent(a, s.name, post, "nobody knows whether it arrived", true, s.Clock.Now())
		})
		return
	}
	var alerts []*curfewv1.Alert
	for _, id := range ids {
		if entry, known := s.book.Get(id); known {
			alerts = append(alerts, entry.Value)
		} else {
			s.forget(id)
		}
	}
	if len(alerts) == 0 {
		return
	}
	s.mu.Lock()
	wait := s.posts.take(s.Clock.Now())
	s.mu.Unlock()
	if wait > 0 {
		s.sleep(ctx, wait, nil)
		return
	}
	s.count("repeated", len(ids))
	s.hand(ctx, &curfewv1.Post{Id: post, Alerts: alerts, Summary: len(alerts) > maxTogether, Repeated: true, Receiver: s.name})
}
