// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// senderLease is how long a receiver waits for another notifier where the one that served it has died.
	senderLease = 5 * time.Second
	// deliverTime is how long a receiver may take.
	deliverTime = 5 * time.Second
	// settleAfter is how long after its beginning a delivery whose notifier has died is asked for: nothing of it is on its
	// way any more. A reply that was lost here is asked for after lookAfter, and not found counts only twice, lookAgain apart:
	// what a receiver has taken it may show late.
	settleAfter, lookAfter, lookAgain = deliverTime + time.Second, time.Second, 1500 * time.Millisecond
	// debounce is how long a message is left alone when only more of the same came.
	debounce = 45 * time.Second
	// gatherTime is how long what is not critical waits for others to share its message, and hideTime for another alert that
	// says it better.
	gatherTime, hideTime = 100 * time.Millisecond, 300 * time.Millisecond
	// longestPause is how long a receiver that does not take anything is left alone at most.
	longestPause = 30 * time.Second
	// maxTogether is how many alerts one message shows, and aFew how many get one each.
	maxTogether, aFew = 45, 3
)

// sender hands alerts to one receiver: one sender among all notifiers, by a lease, and each delivery stored before it is
// tried, so that whoever comes next asks the receiver what became of it.
type sender struct {
	*desk
	name     string
	receiver Receiver
	wake     chan struct{} // something is to be posted
	stir     chan struct{} // something is to be told

	mu      sync.Mutex
	items   map[string]item
	flying  map[string]bool      // posts that are being handed over
	landed  map[string]string    // posts that the receiver took, with their ref, until that is stored
	missed  map[string]time.Time // posts that were asked for and not found
	alone   map[string]bool      // alerts that the receiver did not take with others
	posts   pace
	urgent  pace
	edits   pace
	paused  time.Time // nothing is handed over before
	fails   int       // in a row
	failing time.Time // since the first of them
	trouble string
	tried   time.Time // when anything was handed over last, by whomever
}

// item is an alert for which something is to be done.
type item struct {
	id        string
	need      alert.Need
	severity  curfewv1.Severity
	opened    time.Time
	tried     time.Time
	sent      time.Time
	notBefore time.Time
	post      string
	ref       string
}

// urgentShare is which part of a receiver's pace is kept for what is critical, so that it never waits behind the rest.
const urgentShare = 10

func newSender(d *desk, name string, receiver Receiver) *sender {
	s := &sender{
		desk: d, name: name, receiver: receiver, wake: make(chan struct{}, 1), stir: make(chan struct{}, 1), items: map[string]item{},
		flying: map[string]bool{}, landed: map[string]string{}, missed: map[string]time.Time{}, alone: map[string]bool{},
	}
	posts, edits := delivery.Pace{Burst: 20, Every: 500 * time.Millisecond}, delivery.Pace{Burst: 20, Every: 500 * time.Millisecond}
	if p, paced := receiver.(Paced); paced {
		posts, edits = p.Pace()
	}
	s.edits = pace{burst: edits.Burst, every: edits.Every}
	s.posts = pace{burst: max(posts.Burst-1, 1), every: posts.Every * urgentShare / (urgentShare - 1)}
	s.urgent = pace{burst: 1, every: posts.Every * urgentShare}
	return s
}

// changed takes in an alert's newest step.
func (s *sender) changed(a *curfewv1.Alert) {
	d := alert.Delivery(a, s.name)
	it := item{
		id: a.GetId(), need: alert.Needed(a, s.name), severity: a.GetSeverity(), opened: a.GetOpened().AsTime(), post: d.GetPost(), ref: d.GetRef(),
		tried: d.GetTried().AsTime(), sent: d.GetSent().AsTime(), notBefore: d.GetNotBefore().AsTime(),
	}
	if it.need == alert.Post && d.GetTries() == 0 && it.severity < curfewv1.Severity_SEVERITY_CRITICAL {
		it.notBefore = it.opened.Add(gatherTime)
		if s.mayBeHidden(a) {
			it.notBefore = it.opened.Add(hideTime)
		}
	}
	s.mu.Lock()
	if it.tried.After(s.tried) {
		s.tried = it.tried
	}
	if it.need == alert.Nothing {
		delete(s.items, it.id)
		delete(s.alone, it.id)
	} else {
		s.items[it.id] = it
	}
	s.mu.Unlock()
	switch it.need {
	case alert.Nothing:
	case alert.Post, alert.Settle:
		poke(s.wake)
	default:
		poke(s.stir)
	}
}

// mayBeHidden is whether another alert may say better what this one says.
func (d *desk) mayBeHidden(a *curfewv1.Alert) bool {
	for _, in := range d.Inhibit {
		for _, hidden := range in.Hides {
			if hidden == a.GetFinding().GetDetection() && key(in.Same, a) != "" {
				return true
			}
		}
	}
	return false
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run hands alerts over as long as this notifier is the one that serves the receiver, until ctx ends, whose error it
// returns.
func (s *sender) run(ctx context.Context) error {
	lease := bus.Lease{Name: "receiver " + s.Tenant + "/" + s.name, Holder: s.Holder, Length: senderLease}
	s.Bus.Keep(ctx, lease, senderLease, func(ctx context.Context) (bool, error) {
		s.mu.Lock()
		now := s.Clock.Now()
		if now.Sub(s.tried) < time.Duration(s.posts.burst)*s.posts.every { // another has used up what the receiver takes at once
			s.posts.spend(now)
			s.edits.spend(now)
		}
		s.paused, s.fails, s.failing, s.trouble = time.Time{}, 0, time.Time{}, ""
		clear(s.flying)
		s.mu.Unlock()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return s.posting(ctx) })
		group.Go(func() error { return s.telling(ctx) })
		return true, group.Wait()
	}, func(err error, _ time.Duration) {
		if !errors.Is(err, context.Canceled) {
			s.Metrics.Failed("notifier", "receiver")
			s.Log.Warn("handing alerts over broke off and begins again", "receiver", s.name, "error", err)
		}
	})
	return ctx.Err()
}

// posting shows what is to be shown, until ctx ends, whose error it returns.
func (s *sender) posting(ctx context.Context) error {
	for ctx.Err() == nil {
		if group := s.unsettled(); len(group) > 0 {
			s.settle(ctx, group)
			continue
		}
		ids, summary, wait := s.choose()
		if len(ids) > 0 {
			s.post(ctx, ids, summary)
			continue
		}
		s.sleep(ctx, wait, s.wake)
	}
	return ctx.Err()
}

func (s *sender) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	alarm := s.Clock.After(max(d, time.Millisecond))
	select {
	case <-ctx.Done():
	case <-wake:
	case <-alarm:
	}
}

// post shows alerts in one message.
func (s *sender) post(ctx context.Context, ids []string, summary bool) {
	id := rand.Text()
	s.fly(id, true)
	defer s.fly(id, false)
	alerts := s.begin(ctx, ids, id)
	if len(alerts) == 0 {
		s.sleep(ctx, 50*time.Millisecond, nil) // others came first, or the bus does not answer: the newest comes in a moment
		return
	}
	s.hand(ctx, &curfewv1.Post{Id: id, Alerts: alerts, Summary: summary && len(alerts) > maxTogether, Receiver: s.name})
}

// hand gives a post to the receiver, and stores what came of it.
func (s *sender) hand(ctx context.Context, post *curfewv1.Post) {
	var ref string
	err := s.try(ctx, func(ctx context.Context) (err error) {
		ref, err = s.receiver.Post(ctx, post)
		return err
	})
	ids := idsOf(post.GetAlerts())
	if err == nil {
		s.land(ctx, post.GetId(), ref, ids, post.GetSummary())
		s.count("posted", len(ids))
		return
	}
	s.refused(ctx, post.GetId(), ids, err)
}

// try calls the receiver, within its time. What it tells is kept from a lease that ends: a delivery once begun is seen
// through.
func (s *sender) try(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverTime)
	defer cancel()
	return call(ctx)
}

// begin stores that alerts are about to be handed over, and returns those of which it is stored.
func (s *sender) begin(ctx context.Context, ids []string, post string) []*curfewv1.Alert {
	now := s.Clock.Now()
	var changes []alert.Change
	for _, id := range ids {
		if entry, known := s.book.Get(id); known {
			if next := s.begins(entry.Value, post, now); next != nil {
				detail := "kept from " + s.name
				if alert.Needed(next, s.name) == alert.Settle {
					detail = "handing it to " + s.name
				}
				changes = append(changes, alert.Change{Entry: entry, Next: next, Author: notifierAuthor, Detail: detail})
				continue
			}
		}
		s.forget(id)
	}
	var begun []*curfewv1.Alert
	for i, err := range s.book.Store(ctx, now, changes...) {
		switch next := changes[i].Next; {
		case err == nil && alert.Needed(next, s.name) != alert.Settle:
			s.desk.changed(next.GetId())
		case err == nil:
			begun = append(begun, next)
		case !errors.Is(err, bus.ErrConflict) && ctx.Err() == nil:
			s.Metrics.Failed("notifier", "alert-step")
			s.Log.Warn("a delivery was not stored, so it is not tried yet", "alert", changes[i].Next.GetId(), "error", err)
		}
	}
	for _, a := range begun {
		s.desk.changed(a.GetId())
	}
	return begun
}

// begins is an alert that is about to be handed over, or kept back after all, for what came meanwhile; nil = neither.
func (s *sender) begins(a *curfewv1.Alert, post string, now time.Time) *curfewv1.Alert {
	if alert.Needed(a, s.name) == alert.Post {
		if held := s.route(a, now, false); alert.Needed(held, s.name) == alert.Nothing {
			return held
		}
	}
	return alert.Begin(a, s.name, post, now)
}

// forget drops an item that the book does not have: its newest step brings it again, if it is to come.
func (s *sender) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, id)
}

func (s *sender) fly(post string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(s.flying, post, true, is)
}

func (s *sender) count(outcome string, alerts int) {
	for range alerts {
		s.Metrics.Alerted(s.name, outcome)
	}
}

func idsOf(alerts []*curfewv1.Alert) []string {
	ids := make([]string, len(alerts))
	for i, a := range alerts {
		ids[i] = a.GetId()
	}
	return ids
}

// say is a reply's line on one alert.
func say(a *curfewv1.Alert, many bool, format string, args ...any) string {
	line := fmt.Sprintf(format, args...)
	if many {
		return "[" + short(a.GetId()) + "] " + line
	}
	return line
}
