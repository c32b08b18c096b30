// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// criers is how many notices of silences and questions are told at once.
	criers = 16
	// cryFor is how long such a notice is tried at a receiver that does not take it.
	cryFor = 24 * time.Hour
)

// crier tells people which silences are proposed, begin and end, and asks those whom alerts are about. A notice is told once
// every receiver that can tell took it; what one took is not sent there again, but after a crash.
type crier struct {
	*desk
	tellers map[string]Noticer // receivers that tell people things
	wake    chan struct{}      // something may be to be told

	mu    sync.Mutex
	going map[string]*cry   // by notice
	ends  map[string]string // by silence that ended: what it kept back, counted before that went out
	mute  bool              // that nobody can be told was logged
}

// cry is a notice on its way.
type cry struct {
	took  map[string]bool
	since time.Time
	at    time.Time // not before
	tries int
}

func newCrier(d *desk) *crier {
	c := &crier{desk: d, tellers: map[string]Noticer{}, wake: make(chan struct{}, 1), going: map[string]*cry{}, ends: map[string]string{}}
	for _, name := range d.receivers {
		if n, can := d.Receivers[name].(Noticer); can {
			c.tellers[name] = n
		}
	}
	return c
}

// run tells until ctx ends, whose error it returns.
func (c *crier) run(ctx context.Context) error {
	for {
		alarm := c.Clock.After(nap)
		c.round(ctx, c.Clock.Now())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wake:
		case <-alarm:
		}
	}
}

// errand is a notice with what is done once it is told, or cannot be: dropped is why.
type errand struct {
	notice *curfewv1.Notice
	told   func(ctx context.Context, dropped string)
}

// round tells once all that is to be told.
func (c *crier) round(ctx context.Context, now time.Time) {
	list := append(c.silent(now), c.asking()...)
	going := map[string]*cry{}
	var group errgroup.Group
	group.SetLimit(criers)
	for _, e := range list {
		way := c.going[e.notice.GetId()]
		if way == nil {
			way = &cry{took: map[string]bool{}, since: now}
		}
		going[e.notice.GetId()] = way
		if now.Before(way.at) {
			continue
		}
		group.Go(func() error {
			c.cry(ctx, e, way, now)
			return nil
		})
	}
	_ = group.Wait() // what was not taken comes again
	c.going = going
}

// cry hands a notice to every receiver that has not taken it, and sees to it that it is told no more once all have.
func (c *crier) cry(ctx context.Context, e errand, way *cry, now time.Time) {
	kind := kindOf(e.notice)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, name := range c.missing(way) {
		group.Go(func() {
			taken := c.hand(ctx, name, e.notice)
			mu.Lock()
			defer mu.Unlock()
			way.took[name] = taken
		})
	}
	group.Wait()
	switch missing := c.missing(way); {
	case len(c.tellers) == 0:
		c.Metrics.Noticed("-", kind, "dropped")
		c.quiet()
		e.told(ctx, "no receiver tells people things")
	case len(missing) == 0:
		e.told(ctx, "")
	case now.Sub(way.since) >= cryFor:
		c.Metrics.Noticed("-", kind, "dropped")
		c.Log.Error("receivers did not take a notice for a day, so it is not told there any more: look at them", "receivers", missing, "kind", kind)
		e.told(ctx, "for a day it was not taken by "+strings.Join(missing, ", "))
	}
	way.tries++
	way.at = c.Clock.Now().Add(backOff(way.tries)) // of what is told and not noted too
}

// missing is the receivers that have not taken a notice.
func (c *crier) missing(way *cry) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.tellers)), func(name string) bool { return way.took[name] })
}

// hand gives a notice to one receiver, and returns whether nothing is to be given there any more.
func (c *crier) hand(ctx context.Context, name string, n *curfewv1.Notice) bool {
	err := c.senders[name].try(ctx, func(ctx context.Context) error { return c.tellers[name].Notice(ctx, n) })
	r := delivery.AsRefused(err)
	outcome := "failed"
	switch {
	case err == nil:
		outcome = "sent"
	case r != nil && r.Unfit:
		outcome = "dropped"
		c.Log.Error("a receiver does not take a notice as it is, so it is not told there", "receiver", name, "kind", kindOf(n), "error", err)
	default:
		c.Log.Warn("a receiver did not take a notice, which comes again", "receiver", name, "kind", kindOf(n), "error", err)
	}
	c.Metrics.Noticed(name, kindOf(n), outcome)
	return outcome != "failed"
}

// quiet says once that nobody can be told anything.
func (c *crier) quiet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mute {
		c.mute = true
		c.Log.Warn("no receiver can tell people of silences, nor ask them: set one in receivers")
	}
}

// count notes how much the silences that ended keep back. It is called before that goes out.
func (c *crier) count(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := map[string]string{}
	for _, s := range c.silences.all() {
		if !hasToEnd(s, now) {
			continue
		}
		text, known := c.ends[s.GetId()]
		if !known {
			held, open := c.keptBack(s)
			text = over(s, held, open)
		}
		ends[s.GetId()] = text
	}
	c.ends = ends
}

// hasToEnd is whether people have to hear that a silence is over: one that was in force for a time.
func hasToEnd(s *curfewv1.Silence, now time.Time) bool {
	end := s.GetUntil().AsTime()
	if s.GetEnded() != nil && s.GetEnded().AsTime().Before(end) {
		end = s.GetEnded().AsTime()
	}
	return !s.GetEndTold() && alert.IsApproved(s) && alert.HasEnded(s, now) && s.GetFrom().AsTime().Before(end)
}

// silent is what has to be told of silences.
func (c *crier) silent(now time.Time) []errand {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []errand
	add := func(s *curfewv1.Silence, what, text string, told func(*curfewv1.Silence)) {
		list = append(list, errand{
			notice: &curfewv1.Notice{
				Id: "silence-" + s.GetId() + "-" + what, Tenant: c.Tenant, Kind: curfewv1.NoticeKind_NOTICE_KIND_SILENCE, Text: text, Silence: s,
			},
			told: func(ctx context.Context, _ string) {
				if err := c.noteSilence(ctx, s.GetId(), told); err != nil && ctx.Err() == nil {
					c.Log.Warn("that people were told of a silence was not stored, and is stored again", "silence", s.GetId(), "error", err)
				}
			},
		})
	}
	for _, s := range c.silences.all() {
		text, counted := c.ends[s.GetId()]
		switch {
		case hasToEnd(s, now) && counted:
			add(s, "end", text, func(s *curfewv1.Silence) { s.EndTold = true })
		case alert.InForce(s, now) && !s.GetBeginTold():
			add(s, "begin", began(s), func(s *curfewv1.Silence) { s.BeginTold = true })
		case !alert.IsApproved(s) && !alert.HasEnded(s, now) && !s.GetProposalTold():
			add(s, "proposal", began(s), func(s *curfewv1.Silence) { s.ProposalTold = true })
		}
	}
	return list
}

// asking is the questions to people whom alerts are about.
func (c *crier) asking() []errand {
	c.desk.mu.Lock()
	var ids []string
	for id := range c.questions {
		ids = append(ids, id)
	}
	c.desk.mu.Unlock()
	var list []errand
	for _, id := range ids {
		entry, known := c.book.Get(id)
		if !known || entry.Value.GetQuestion() == nil {
			c.desk.mu.Lock()
			delete(c.questions, id)
			c.desk.mu.Unlock()
			continue
		}
		a, q := entry.Value, entry.Value.GetQuestion()
		list = append(list, errand{
			notice: &curfewv1.Notice{
				Id: fmt.Sprintf("question-%s-%d", id, q.GetTime().AsTime().UnixNano()), Tenant: c.Tenant, Kind: curfewv1.NoticeKind_NOTICE_KIND_QUESTION,
				To: []string{q.GetPerson()}, Alert: a, Contacts: c.reach.of(q.GetPerson()),
				Text: fmt.Sprintf("%s asks: was this you? %s", q.GetAuthor(), orUnsaid(a.GetFinding().GetTitle())),
			},
			told: func(ctx context.Context, dropped string) { c.asked(ctx, id, q, dropped) },
		})
	}
	return list
}

// asked notes that a question was handed over, or that nobody could be asked.
func (c *crier) asked(ctx context.Context, id string, q *curfewv1.Question, dropped string) {
	c.step(ctx, id, "the question was handed over", func(a *curfewv1.Alert) *curfewv1.Alert {
		if !a.GetQuestion().GetTime().AsTime().Equal(q.GetTime().AsTime()) {
			return nil // it is another by now
		}
		next := alert.Asked(a)
		if next == nil || dropped == "" {
			return next
		}
		return alert.Note(next, notifierAuthor, q.GetPerson()+" could not be asked: "+dropped+".", true, c.Clock.Now())
	})
}
