// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// land stores that the receiver took a post.
func (s *sender) land(ctx context.Context, post, ref string, ids []string, summary bool) {
	s.landWith(ctx, post, ref, ids, ids, summary)
}

// landWith stores that the receiver took a post, of alerts that stand in one message with others.
func (s *sender) landWith(ctx context.Context, post, ref string, ids, together []string, summary bool) {
	now := s.Clock.Now()
	s.mu.Lock()
	s.landed[post], s.fails = ref, 0
	for _, id := range ids {
		delete(s.alone, id)
		delete(s.probed, id)
		delete(s.rests, id)
	}
	for id := range s.probed { // it takes others, so it is that one, or was away: then those come first that it did not take
		r := s.rests[id]
		if r.times > 0 {
			r.until = now.Add(min(5*time.Second<<min(r.times-1, 6), 5*time.Minute))
		}
		r.times++
		s.rests[id] = r
	}
	clear(s.probed)
	s.mu.Unlock()
	others := func(id string) []string {
		if summary {
			return nil
		}
		var list []string
		for _, other := range together {
			if other != id {
				list = append(list, other)
			}
		}
		return list
	}
	if s.record(ctx, ids, func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Sent(a, s.name, post, ref, others(a.GetId()), summary, s.Clock.Now())
	}) {
		s.mu.Lock()
		delete(s.landed, post)
		delete(s.looks, post)
		s.mu.Unlock()
	}
}

// record stores what came of a delivery, behind whatever came meanwhile, and returns whether all of it is stored. What is
// not comes again.
func (s *sender) record(ctx context.Context, ids []string, f func(*curfewv1.Alert) *curfewv1.Alert) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	var changes []alert.Change
	var again []string
	for _, id := range ids {
		entry, known := s.book.Get(id)
		if !known {
			again = append(again, id)
		} else if next := f(entry.Value); next != nil {
			changes = append(changes, alert.Change{Entry: entry, Next: s.rerouted(next), Author: notifierAuthor, Detail: s.became(next)})
		}
	}
	all := true
	for i, err := range s.book.Store(ctx, s.Clock.Now(), changes...) {
		if err == nil {
			s.desk.changed(changes[i].Next.GetId())
		} else {
			again = append(again, changes[i].Next.GetId())
		}
	}
	for _, id := range again {
		_, err := s.book.Change(ctx, id, notifierAuthor, s.Clock.Now, func(a *curfewv1.Alert) (*curfewv1.Alert, string, bool) {
			next := f(a)
			if next == nil {
				return nil, "", false
			}
			return s.rerouted(next), s.became(next), true
		})
		if err != nil {
			all = false
			s.Metrics.Failed("notifier", "alert-step")
			s.Log.Warn("what came of a delivery was not stored, and is stored again", "alert", id, "receiver", s.name, "error", err)
			continue
		}
		s.desk.changed(id)
	}
	return all
}

// became is what came of a delivery, for the alert's life.
func (s *sender) became(a *curfewv1.Alert) string {
	d := alert.Delivery(a, s.name)
	switch {
	case d.GetTrouble() == "" && d.GetSent().AsTime().After(d.GetShown().AsTime()):
		return s.name + " shows it as it stands"
	case d.GetTrouble() == "":
		return s.name + " has it"
	case d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENDING:
		return "nobody knows whether " + s.name + " has it: " + d.GetTrouble()
	default:
		return s.name + " does not have it: " + d.GetTrouble()
	}
}

// rerouted sends an alert on its way anew that was opened again while it was being handed over.
func (s *sender) rerouted(a *curfewv1.Alert) *curfewv1.Alert {
	if d := alert.Delivery(a, s.name); d.GetEpisode() != a.GetEpisode() && a.GetState() != curfewv1.AlertState_ALERT_STATE_RESOLVED {
		return s.route(a, s.Clock.Now(), true)
	}
	return a
}

// refused stores that a receiver did not take a post, or that nobody knows, and leaves it alone for a while: until is what it
// is left alone with, posts or edits.
func (s *sender) refused(ctx context.Context, post string, ids []string, until *time.Time, err error) {
	r, now := delivery.AsRefused(err), s.Clock.Now()
	s.mu.Lock()
	pause, outcome := min(time.Second<<min(s.fails, 5), longestPause), "refused"
	switch {
	case r == nil:
		outcome = "ambiguous"
	case r.After > 0:
		pause, outcome = min(r.After, longestAsked), "throttled"
	case r.Unfit:
		pause, outcome = 0, "unfit"
	}
	if outcome == "refused" || outcome == "ambiguous" {
		s.fails++
		for _, id := range ids {
			s.probed[id] = true
		}
	}
	if paused := now.Add(pause); paused.After(*until) || until.Sub(now) > longestAsked {
		*until = paused
	}
	notBefore := now.Add(pause)
	switch {
	case r == nil:
		notBefore = now.Add(looksAfter()[0])
	case r.Unfit:
		for _, id := range ids {
			if s.alone[id] {
				notBefore = now.Add(5 * time.Minute) // by itself it is too much as well
			}
			s.alone[id] = true
		}
	}
	s.mu.Unlock()
	s.count(outcome, len(ids))
	s.Log.Warn("a receiver did not take alerts, which come again", "receiver", s.name, "alerts", len(ids), "arrived", unknownOr(r), "after", pause, "error", err)
	s.record(ctx, ids, func(a *curfewv1.Alert) *curfewv1.Alert {
		return alert.Unsent(a, s.name, post, err.Error(), r != nil, notBefore)
	})
}

func unknownOr(r *delivery.Refused) string {
	if r == nil {
		return "nobody knows"
	}
	return "no"
}
