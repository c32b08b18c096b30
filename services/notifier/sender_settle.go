// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// looksAfter is when after its beginning a delivery is asked for whose reply was lost. Not found counts only the last time:
// what a receiver has taken it may show late.
func looksAfter() []time.Duration {
	return []time.Duration{time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second}
}

// settling finds out what became of what was handed over, until ctx ends, whose error it returns. What is to be shown does not
// wait for it.
func (s *sender) settling(ctx context.Context) error {
	for ctx.Err() == nil {
		if group := s.unsettled(); len(group) > 0 {
			s.settle(ctx, group)
			continue
		}
		s.sleep(ctx, nap, s.doubt)
	}
	return ctx.Err()
}

// unsettled is the items of one post of which nobody knows whether it arrived, once it is time to look.
func (s *sender) unsettled() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	if left := s.doubted.Sub(now); left > 0 && left <= longestAsked {
		return nil
	}
	post, at := "", time.Time{}
	for _, it := range s.items {
		if it.need != alert.Settle || s.flying[it.post] {
			continue
		}
		if look := s.lookAt(it, now); !now.Before(look) && (post == "" || look.Before(at)) {
			post, at = it.post, look
		}
	}
	var group []item
	for _, it := range s.items {
		if post != "" && it.need == alert.Settle && it.post == post {
			group = append(group, it)
		}
	}
	slices.SortFunc(group, func(a, b item) int {
		return cmp.Or(-cmp.Compare(a.severity, b.severity), a.opened.Compare(b.opened), cmp.Compare(a.id, b.id))
	})
	return group
}

// lookAt is when it is time to look what became of a delivery.
func (s *sender) lookAt(it item, now time.Time) time.Time {
	if l := s.looks[it.post]; l.times > 0 {
		return earliest(l.next, now.Add(longestPause))
	}
	if _, landed := s.landed[it.post]; landed || it.tried.Sub(now) > deliverTime { // the clock may have been set back
		return time.Time{}
	}
	if it.notBefore.After(it.tried) {
		return it.notBefore // its own notifier said when
	}
	return it.tried.Add(settleAfter)
}

// lookAgain sets when a post is asked for next: after as long as it is told, or where it is not after longer each time.
func (s *sender) lookAgain(post string, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.looks[post]
	if after <= 0 {
		after = min(time.Second<<min(l.times, 5), longestPause)
	}
	s.looks[post] = look{times: l.times + 1, next: s.Clock.Now().Add(after)}
}

// settle finds out what became of a delivery that this notifier or another began: by what it remembers, by asking the
// receiver, or where that cannot be asked by handing it over again under the same id, marked as a repeat.
func (s *sender) settle(ctx context.Context, group []item) {
	post, ref, tried, ids := group[0].post, group[0].ref, group[0].tried, make([]string, len(group))
	for i, it := range group {
		ids[i] = it.id
	}
	s.fly(post, true)
	defer s.fly(post, false)
	s.mu.Lock()
	at, landed := s.landed[post]
	s.mu.Unlock()
	if landed {
		s.lookAgain(post, 0) // if that cannot be stored
		s.landAgain(ctx, post, at, ids)
		return
	}
	finder, can := s.receiver.(Finder)
	if !can {
		s.lookAgain(post, 0)
		s.repeat(ctx, post, ref, ids)
		return
	}
	var where string
	var found bool
	err := s.try(ctx, func(ctx context.Context) (err error) {
		where, found, err = finder.Find(ctx, ref, post, tried)
		return err
	})
	switch gone := delivery.AsRefused(err); {
	case err != nil && (gone == nil || !gone.Unfit): // what it stood behind may be deleted: then it is not there
		after := time.Duration(0)
		if r := delivery.AsRefused(err); r != nil {
			after = min(r.After, longestAsked)
		}
		s.mu.Lock()
		s.doubted = s.Clock.Now().Add(after)
		s.mu.Unlock()
		s.lookAgain(post, after)
		s.count("unanswered", len(ids))
		s.Log.Warn("a receiver does not say whether alerts arrived; it is asked again", "receiver", s.name, "alerts", len(ids), "error", err)
	case found:
		s.count("found", len(ids))
		s.landAgain(ctx, post, where, ids)
	case s.waitsLonger(post, tried):
	default:
		s.count("lost", len(ids))
		s.record(ctx, ids, func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Unsent(a, s.name, post, "it did not arrive", true, s.Clock.Now())
		})
	}
}

// waitsLonger is whether what was not found is looked for again, and sets when.
func (s *sender) waitsLonger(post string, tried time.Time) bool {
	passed := s.Clock.Now().Sub(tried)
	for _, after := range looksAfter() {
		if passed >= 0 && passed < after {
			s.lookAgain(post, after-passed)
			return true
		}
	}
	return false
}

// landAgain stores that a receiver has a post of which some alerts may know already: together with those it is one message.
func (s *sender) landAgain(ctx context.Context, post, where string, ids []string) {
	together, summary := slices.Clone(ids), false
	s.book.Each(func(e alert.Entry) bool {
		d := alert.Delivery(e.Value, s.name)
		if d.GetPost() != post && (where == "" || d.GetRef() != where) {
			return true
		}
		together = append(append(together, e.Value.GetId()), d.GetWith()...)
		summary = summary || d.GetSummarised()
		return true
	})
	slices.Sort(together)
	together = slices.Compact(together)
	s.landWith(ctx, post, where, ids, together, summary || len(together) > maxTogether)
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
			s.desk.changed(id)
		}
	}
	if len(alerts) == 0 {
		return
	}
	s.mu.Lock()
	wait := s.posts.take(s.Clock.Now())
	s.mu.Unlock()
	if wait > 0 {
		s.lookAgain(post, wait)
		return
	}
	s.count("repeated", len(ids))
	s.hand(ctx, &curfewv1.Post{Id: post, Alerts: alerts, Summary: len(alerts) > maxTogether, Repeated: true, Receiver: s.name}, within(deliverTime))
}
