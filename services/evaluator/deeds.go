// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// historyDays is how far back a finding looks.
	historyDays = 30
	// countedADay is how often an act of one subject on one class is counted on one day. What comes more often is often, and
	// would fill the memory.
	countedADay = 50
	// countedFrom is the sensitivity from which acts are counted.
	countedFrom = 3
	// maxCounted is of how many subjects, acts and classes a process knows how often they were counted today.
	maxCounted = 100_000
	// countAtOnce is how many wait for derived state together, countWithin for how long a batch waits for it, and countRest
	// for how long it is left alone after it did not answer: judging does not wait for it.
	countAtOnce = 16
	countWithin = time.Second
	countRest   = 30 * time.Second
)

// deeds is how often who did what, counted in derived state. The zero value is ready; it is safe for concurrent use.
type deeds struct {
	mu    sync.Mutex
	began time.Time // since when everything is counted; zero = not known yet
	rest  time.Time // until when derived state is left alone
	today map[string]int
}

// deed is an act of a subject on a class of data.
type deed struct{ subject, act, class string }

func deedOf(d *curfewv1.Decision) deed {
	one := deed{subject: d.GetSubject(), act: d.GetAct()}
	if len(d.GetClasses()) > 0 {
		one.class = d.GetClasses()[0]
	}
	return one
}

func (d deed) window(tenant string) string {
	return "history/" + event.ContentKey(tenant, d.subject, d.act, d.class)
}

// remember counts what a judged batch holds. What cannot be counted leaves all that was not counted so far unknown.
func (l *lane) remember(ctx context.Context, c *considered) {
	if l.State == nil || l.deeds.rests(time.Now()) {
		return
	}
	within, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	group, within := errgroup.WithContext(within)
	group.SetLimit(countAtOnce)
	group.Go(func() error { return l.deeds.begin(within, l.Options) })
	for _, d := range c.answer.GetDecisions() {
		if d.GetSubject() == "" || d.GetTime() == nil || d.GetOutcome() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE ||
			d.GetVerdict() == curfewv1.Verdict_VERDICT_UNKNOWN || c.by.Sensitivity(d) < countedFrom {
			continue
		}
		window, at := deedOf(d).window(l.Tenant), d.GetTime().AsTime()
		if l.deeds.isFull(window, at) {
			continue
		}
		group.Go(func() error { return l.State.Note(within, window, d.GetEventId(), at, (historyDays+1)*24*time.Hour) })
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		l.deeds.pause(time.Now())
		l.Metrics.Failed("evaluator", "history")
		l.Log.Warn("what people did is not counted for a while, so that findings cannot say how often they did it before", "error", err)
	}
}

// isFull is whether enough was counted on a day; else it counts one more.
func (h *deeds) isFull(window string, at time.Time) bool {
	key := window + at.UTC().Format("/2006-01-02")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.today == nil || len(h.today) >= maxCounted {
		h.today = map[string]int{}
	}
	h.today[key]++
	return h.today[key] > countedADay
}

// begin finds since when everything is counted: derived state says it, or it begins now.
func (h *deeds) begin(ctx context.Context, o Options) error {
	h.mu.Lock()
	known := !h.began.IsZero()
	h.mu.Unlock()
	if known {
		return nil
	}
	index, now := "history began/"+o.Tenant, time.Now()
	began, there, err := o.State.Next(ctx, index)
	if err == nil && !there {
		began = now
		err = o.State.Schedule(ctx, index, "began", began)
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = began
	return nil
}

// pause leaves derived state alone for a while.
func (h *deeds) pause(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rest = now.Add(countRest)
}

// rests is whether derived state is left alone. What is not counted meanwhile is not known afterwards.
func (h *deeds) rests(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rest.IsZero() {
		return false
	}
	h.began = now
	if !now.Before(h.rest) {
		h.rest = time.Time{}
		return false
	}
	return true
}

// since is since when everything is counted; zero where that is not known.
func (h *deeds) since() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.rest.IsZero() {
		return time.Time{}
	}
	return h.began
}

// recallAll says in findings how often before the same was done. Those about one event share what is known.
func (l *lane) recallAll(ctx context.Context, findings []*curfewv1.Finding) {
	within, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	group := new(errgroup.Group)
	group.SetLimit(countAtOnce)
	var last *curfewv1.FindingContext
	for _, f := range findings {
		known := f.GetContext()
		if known == nil || known == last {
			continue
		}
		last = known
		group.Go(func() error {
			known.History = []string{l.recall(within, f.GetDecision())}
			return nil
		})
	}
	_ = group.Wait() // none fails
}

// recall says how often before the subject of a decision did the same. Its own batch has been counted: what of it is earlier
// is before.
func (l *lane) recall(ctx context.Context, d *curfewv1.Decision) string {
	if l.State == nil {
		return "how often before: not known, since nothing counts it"
	}
	if l.deeds.since().IsZero() {
		return "how often before: not known, since derived state does not answer"
	}
	one, at := deedOf(d), d.GetTime().AsTime()
	from := at.AddDate(0, 0, -historyDays).UTC().Truncate(24 * time.Hour) // whole days, since a day is counted from its begin
	count, err := l.State.Count(ctx, one.window(l.Tenant), from, at)
	began := l.deeds.since()
	if err != nil || began.IsZero() {
		if err != nil {
			l.deeds.pause(time.Now())
			l.Log.Warn("how often somebody did something is not known", "error", err)
		}
		return "how often before: not known, since derived state does not answer"
	}
	return one.say(count, at, began)
}

// say is how often a deed was done before a moment.
func (d deed) say(count int, at, began time.Time) string {
	what := fmt.Sprintf("%s of %s by %s", cmp.Or(d.act, "act"), cmp.Or(d.class, "this"), d.subject)
	watched := at.Sub(began)
	span := fmt.Sprintf("in the last %d days before this", historyDays)
	switch {
	case watched <= 0 && count == 0:
		return fmt.Sprintf("%s: not known how often before, since Curfew counts since %s alone", what, began.UTC().Format(time.RFC3339))
	case watched < historyDays*24*time.Hour && count == 0:
		return fmt.Sprintf("%s: never before in the %s that Curfew has watched", what, sayWatched(watched))
	case count == 0:
		return fmt.Sprintf("%s: never %s", what, span)
	case count >= countedADay:
		return fmt.Sprintf("%s: at least %d times %s", what, count, span)
	case watched < historyDays*24*time.Hour:
		return fmt.Sprintf("%s: %s %s, of which Curfew has watched %s", what, sayTimes(count), span, sayWatched(max(watched, 0)))
	default:
		return fmt.Sprintf("%s: %s %s", what, sayTimes(count), span)
	}
}

func sayTimes(count int) string {
	if count == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", count)
}

func sayWatched(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if n := int(d / unit.length); n > 1 {
			return fmt.Sprintf("%d %s", n, unit.name)
		} else if n == 1 {
			return "1 " + strings.TrimSuffix(unit.name, "s")
		}
	}
	return "few moments"
}
