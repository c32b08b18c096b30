// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
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
	// way any more. storeLate is how long storing its beginning may take for it to be tried at all.
	settleAfter, storeLate = deliverTime + time.Second, time.Second
	// debounce is how long a message is left alone when only more of the same came.
	debounce = 45 * time.Second
	// gatherTime is how long what is not critical waits for others to share its message, and hideTime for another alert that
	// says it better.
	gatherTime, hideTime = 100 * time.Millisecond, 300 * time.Millisecond
	// longestPause is how long a receiver that does not take anything is left alone at most, unless it asks for more, up to
	// longestAsked.
	longestPause, longestAsked = 30 * time.Second, time.Hour
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
	doubt    chan struct{} // something is to be asked for
	stir     chan struct{} // something is to be told

	mu      sync.Mutex
	items   map[string]item
	flying  map[string]bool   // posts that are being handed over
	landed  map[string]string // posts that the receiver took, with their ref, until that is stored
	looks   map[string]look   // posts of which nobody knows whether they arrived
	alone   map[string]bool   // alerts that the receiver did not take with others
	probed  map[string]bool   // alerts that it did not take since it took any
	rests   map[string]repose // alerts that it did not take while it took others
	posts   pace
	urgent  pace
	edits   pace
	paused  time.Time // nothing is posted before
	doubted time.Time // nothing is asked for before
	stirred time.Time // nothing is edited before
	fails   int       // in a row
	tried   time.Time // when anything was handed over last, by whomever
	took    time.Time // when the receiver took anything last, from whomever
}

// look is how often a post was asked for in vain, and when it is again.
type look struct {
	times int
	next  time.Time
}

// repose is how long one alert is left alone.
type repose struct {
	times int
	until time.Time
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
	tries     int // in vain
}

// urgentShare is which part of a receiver's pace is kept for what is critical, so that it never waits behind the rest.
const urgentShare = 10

func newSender(d *desk, name string, receiver Receiver) *sender {
	s := &sender{
		desk: d, name: name, receiver: receiver, wake: make(chan struct{}, 1), doubt: make(chan struct{}, 1), stir: make(chan struct{}, 1), items: map[string]item{},
		flying: map[string]bool{}, landed: map[string]string{}, looks: map[string]look{}, alone: map[string]bool{}, probed: map[string]bool{},
		rests: map[string]repose{},
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

// changed takes in where an alert stands now.
func (s *sender) changed(a *curfewv1.Alert) {
	d, now := alert.Delivery(a, s.name), s.Clock.Now()
	it := item{
		id: a.GetId(), need: alert.Needed(a, s.name), severity: a.GetSeverity(), opened: a.GetOpened().AsTime(), post: d.GetPost(), ref: d.GetRef(),
		tried: d.GetTried().AsTime(), sent: d.GetSent().AsTime(), notBefore: d.GetNotBefore().AsTime(), tries: int(d.GetTries()),
	}
	if it.need == alert.Post && it.tries == 0 && it.severity < curfewv1.Severity_SEVERITY_CRITICAL {
		it.notBefore = earliest(it.opened, now).Add(gatherTime)
		if s.mayBeHidden(a) {
			it.notBefore = earliest(it.opened, now).Add(hideTime)
		}
	}
	s.mu.Lock()
	if it.tried.After(s.tried) {
		s.tried = it.tried
	}
	if it.sent.After(s.took) {
		s.took = it.sent
	}
	if was := s.items[it.id]; was.need == alert.Settle && was.post != it.post {
		delete(s.looks, was.post) // whoever looked knows
		delete(s.landed, was.post)
	}
	if it.need == alert.Nothing {
		delete(s.items, it.id)
		delete(s.alone, it.id)
		delete(s.probed, it.id)
		delete(s.rests, it.id)
	} else {
		s.items[it.id] = it
	}
	s.mu.Unlock()
	switch it.need {
	case alert.Nothing:
	case alert.Post:
		poke(s.wake)
	case alert.Settle:
		poke(s.doubt)
	default:
		poke(s.stir)
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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
		s.paused, s.doubted, s.stirred, s.fails = time.Time{}, time.Time{}, time.Time{}, 0
		clear(s.flying)
		s.mu.Unlock()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return s.posting(ctx) })
		group.Go(func() error { return s.settling(ctx) })
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
	alerts, by := s.begin(ctx, ids, id)
	if len(alerts) == 0 {
		s.mu.Lock()
		s.posts.giveBack()
		s.mu.Unlock()
		s.sleep(ctx, 10*time.Millisecond, nil) // others came first, or the bus does not answer: the newest comes in a moment
		return
	}
	s.hand(ctx, &curfewv1.Post{Id: id, Alerts: alerts, Summary: summary && len(alerts) > maxTogether, Receiver: s.name}, by)
}

// hand gives a post to the receiver until a time of the machine's, and stores what came of it.
func (s *sender) hand(ctx context.Context, post *curfewv1.Post, by time.Time) {
	ids := idsOf(post.GetAlerts())
	if !s.isUnderWay(ids, post.GetId()) {
		return // another took it that this one stood still
	}
	var ref string
	err := s.tryBy(ctx, by, func(ctx context.Context) (err error) {
		ref, err = s.receiver.Post(ctx, post)
		return err
	})
	if err == nil {
		s.count("posted", len(ids))
		s.land(ctx, post.GetId(), ref, ids, post.GetSummary())
		return
	}
	s.refused(ctx, post.GetId(), ids, &s.paused, err)
}

// isUnderWay is whether alerts are being handed over in a post, as far as is known.
func (s *sender) isUnderWay(ids []string, post string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool {
		entry, known := s.book.Get(id)
		return !known || alert.Delivery(entry.Value, s.name).GetPost() != post
	})
}

// within is a time limit that begins now. It is the machine's: a notifier that stood still may not hand over what another has
// handed over since.
func within(d time.Duration) time.Time { return time.Now().Add(d) }

// try calls the receiver, within its time.
func (s *sender) try(ctx context.Context, call func(context.Context) error) error {
	return s.tryBy(ctx, within(deliverTime), call)
}

// tryBy calls the receiver, until a time of the machine's. It is kept from a lease that ends: a delivery once begun is seen
// through.
func (s *sender) tryBy(ctx context.Context, by time.Time, call func(context.Context) error) error {
	if !time.Now().Before(by) {
		return &delivery.Refused{Reason: "this notifier stood still, so it did not try"}
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), by)
	defer cancel()
	return call(ctx)
}

// begin stores that alerts are about to be handed over, and returns those of which it is stored, and until when they may be.
// Where it is not known of one it returns none: that one may be stored as part of a message that it would not be in.
func (s *sender) begin(ctx context.Context, ids []string, post string) (begun []*curfewv1.Alert, by time.Time) {
	now, by := s.Clock.Now(), within(deliverTime)
	late := within(storeLate)
	var changes []alert.Change
	for _, id := range ids {
		entry, known := s.book.Get(id)
		next := (*curfewv1.Alert)(nil)
		if known {
			next = s.begins(entry.Value, post, now)
		}
		if next == nil {
			s.desk.changed(id)
			continue
		}
		detail := "kept from " + s.name
		if alert.Needed(next, s.name) == alert.Settle {
			if detail = "handing it to " + s.name; alert.Delivery(next, s.name).GetHas() != nil {
				detail = "bringing it up to date at " + s.name
			}
		}
		changes = append(changes, alert.Change{Entry: entry, Next: next, Author: notifierAuthor, Detail: detail})
	}
	open := false
	for i, err := range s.book.Store(ctx, now, changes...) {
		next := changes[i].Next
		switch {
		case err == nil && alert.Needed(next, s.name) == alert.Settle:
			begun = append(begun, next)
		case err != nil && !errors.Is(err, bus.ErrConflict):
			open = true
			s.Metrics.Failed("notifier", "alert-step")
			s.Log.Warn("a delivery was not stored, so it is not tried yet", "alert", next.GetId(), "error", err)
		}
		s.desk.changed(next.GetId())
	}
	if open || ctx.Err() != nil || time.Now().After(late) {
		s.record(ctx, idsOf(begun), func(a *curfewv1.Alert) *curfewv1.Alert {
			return alert.Unsent(a, s.name, post, "it was not stored in time that it is handed over", true, now)
		})
		return nil, by
	}
	return begun, by
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
