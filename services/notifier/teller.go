// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// tellerAuthor is who notes what people were told.
const tellerAuthor = "service:notifier"

const (
	// tellBatch is how many grants are told of at once, and tellers how many at the same time.
	tellBatch, tellers = 256, 16
	// tellEvery is how often all grants are looked through for what has to be told.
	tellEvery = 30 * time.Second
	// takeTime is how long a receiver may take for one notice.
	takeTime = 10 * time.Second
	// longestWait is how long a notice that a receiver did not take waits at most, and claimed how long another notifier
	// leaves it to the first that tried: longer.
	longestWait, claimed = time.Minute, 2 * time.Minute
	// rounds is how often what was told is noted behind steps of others that came first.
	rounds = 10
)

// teller tells people of grants, through the receivers that can. A notice is told once every one of them took it; what
// one took is not sent there again, but after a crash.
type teller struct {
	Options
	book      *grant.Book
	reach     *contacts
	wheel     *wheel
	receivers map[string]Noticer

	mu    sync.Mutex
	over  map[string]grant.Entry       // of which people have yet to be told: the book has them no longer
	going map[string]map[string]*going // by grant and notice
	rests map[string]rest              // receivers that do not answer
}

// rest is how long a receiver that does not answer is left alone, so that none waits for it.
type rest struct {
	until time.Time
	times int
}

// going is a notice on its way.
type going struct {
	took  map[string]bool
	tries int
}

func newTeller(o Options, book *grant.Book, reach *contacts) *teller {
	t := &teller{
		Options: o, book: book, reach: reach, wheel: newWheel(o, "notices", tellEvery), receivers: map[string]Noticer{},
		over: map[string]grant.Entry{}, going: map[string]map[string]*going{}, rests: map[string]rest{},
	}
	for name, receiver := range o.Receivers {
		if n, can := receiver.(Noticer); can {
			t.receivers[name] = n
		}
	}
	t.wheel.limit, t.wheel.workers, t.wheel.work, t.wheel.each = tellBatch, 1, t.tell, t.each
	return t
}

// run tells people until ctx ends, whose error it returns.
func (t *teller) run(ctx context.Context) error {
	if len(t.receivers) == 0 {
		t.Log.Warn("no receiver can tell people of grants: nobody hears of requests and ends; set one in receivers")
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.book.Ready():
		return t.wheel.turn(ctx, nil)
	}
}

// changed takes in a grant's newest step.
func (t *teller) changed(e grant.Entry) {
	if len(t.receivers) == 0 {
		return
	}
	id, at := e.Value.GetId(), noticeDue(e.Value, t.Clock.Now())
	t.mu.Lock()
	switch {
	case at.IsZero() || !grant.IsOver(e.Value):
		delete(t.over, id)
	default:
		t.over[id] = e
	}
	if at.IsZero() {
		delete(t.going, id)
	}
	t.mu.Unlock()
	t.wheel.set(id, at)
}

func (t *teller) each(visit func(string, time.Time)) {
	now := t.Clock.Now()
	t.book.Each(func(e grant.Entry) bool {
		visit(e.Value.GetId(), noticeDue(e.Value, now))
		return true
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.over {
		visit(id, now)
	}
}

// entry is a grant of which people may have to be told.
func (t *teller) entry(id string) (grant.Entry, bool) {
	t.mu.Lock()
	e, there := t.over[id]
	t.mu.Unlock()
	if there {
		return e, true
	}
	return t.book.Get(id)
}

// tell tells what is due of each grant, and notes it.
func (t *teller) tell(ctx context.Context, now time.Time, ids []string) {
	var mu sync.Mutex
	var done []grant.Change
	var group errgroup.Group
	group.SetLimit(tellers)
	for _, id := range ids {
		e, there := t.entry(id)
		if !there {
			t.wheel.set(id, time.Time{})
			continue
		}
		group.Go(func() error {
			if kinds := t.send(ctx, now, e.Value); len(kinds) > 0 {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, noted(e, kinds))
			}
			return nil
		})
	}
	_ = group.Wait() // what was not taken comes again
	for round := 0; len(done) > 0 && ctx.Err() == nil; round++ {
		done = t.note(ctx, done, round == rounds)
	}
}

// send hands over all that is untold of a grant, and returns what every receiver took.
func (t *teller) send(ctx context.Context, now time.Time, g *curfewv1.Grant) (taken []curfewv1.NoticeKind) {
	list, tries := notices(g, now), 0
	for _, n := range list {
		way, mine := t.claim(ctx, n)
		if !mine {
			t.wheel.set(g.GetId(), now.Add(claimed+time.Second)) // another notifier has it, or died of it
			return taken
		}
		if t.deliver(ctx, n, way); len(way.took) == len(t.receivers) {
			taken = append(taken, n.GetKind())
			continue
		}
		way.tries++
		tries = max(tries, way.tries)
	}
	switch {
	case len(list) == 0:
		t.drop(g, now)
	case tries > 0:
		t.wheel.set(g.GetId(), t.Clock.Now().Add(backOff(tries)))
	}
	return taken
}

// drop leaves a grant of which nothing has to be told now.
func (t *teller) drop(g *curfewv1.Grant, now time.Time) {
	t.mu.Lock()
	_, waited := t.over[g.GetId()]
	delete(t.over, g.GetId())
	delete(t.going, g.GetId())
	t.mu.Unlock()
	t.wheel.set(g.GetId(), noticeDue(g, now))
	if waited {
		t.Metrics.Noticed("-", "-", "dropped")
		t.Log.Error("nobody took the news of a grant's end for a day, so it is not told any more: look at the receivers", "grant", g.GetId())
	}
}

func backOff(tries int) time.Duration { return min(time.Second<<min(tries-1, 10), longestWait) }

// claim is whether this notifier tells it. Where derived state does not answer it does: twice is better than not at all.
func (t *teller) claim(ctx context.Context, n *curfewv1.Notice) (way *going, mine bool) {
	t.mu.Lock()
	way = t.going[n.GetGrant().GetId()][n.GetId()]
	t.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	added, err := t.State.Add(asking, "notice/"+t.Tenant, n.GetId(), claimed)
	if way != nil || err == nil && !added {
		return way, way != nil
	}
	way = &going{took: map[string]bool{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.going[n.GetGrant().GetId()] == nil {
		t.going[n.GetGrant().GetId()] = map[string]*going{}
	}
	t.going[n.GetGrant().GetId()][n.GetId()] = way
	return way, true
}

// deliver hands a notice to every receiver that has not taken it: none waits for another.
func (t *teller) deliver(ctx context.Context, n *curfewv1.Notice, way *going) {
	var mu sync.Mutex
	var group sync.WaitGroup
	kind := kindOf(n)
	n.Contacts = t.reach.of(n.GetTo()...)
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(t.receivers)), func(name string) bool { return way.took[name] })
	for _, name := range left {
		group.Go(func() {
			if err := t.hand(ctx, name, n); err != nil {
				t.Metrics.Noticed(name, kind, "failed")
				t.Log.Warn("a receiver did not take a notice, which comes again", "receiver", name, "kind", kind, "grant", n.GetGrant().GetId(), "error", err)
				return
			}
			t.Metrics.Noticed(name, kind, "sent")
			mu.Lock()
			defer mu.Unlock()
			way.took[name] = true
		})
	}
	group.Wait()
}

// errResting says that a receiver did not answer lately.
var errResting = errors.New("it did not answer lately, and is left alone for a while")

// hand gives a notice to one receiver.
func (t *teller) hand(ctx context.Context, name string, n *curfewv1.Notice) error {
	t.mu.Lock()
	resting := t.Clock.Now().Before(t.rests[name].until)
	t.mu.Unlock()
	if resting {
		return errResting
	}
	taking, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	err := t.receivers[name].Notice(taking, n)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch now, r := t.Clock.Now(), t.rests[name]; {
	case err == nil:
		delete(t.rests, name)
	case taking.Err() != nil && !now.Before(r.until):
		t.rests[name] = rest{now.Add(backOff(r.times + 1)), r.times + 1}
	}
	return err
}

// noted is a step that says what people were told. What is to be done by hand at the end is told anew.
func noted(e grant.Entry, kinds []curfewv1.NoticeKind) grant.Change {
	next, said := proto.CloneOf(e.Value), make([]string, len(kinds))
	for i, kind := range kinds {
		said[i] = strings.ToLower(strings.TrimPrefix(kind.String(), "NOTICE_KIND_"))
		if kind == curfewv1.NoticeKind_NOTICE_KIND_ACTIVE {
			next.Told = slices.DeleteFunc(next.Told, func(k curfewv1.NoticeKind) bool { return k == curfewv1.NoticeKind_NOTICE_KIND_TASK })
		}
		if !slices.Contains(next.Told, kind) {
			next.Told = append(next.Told, kind)
		}
	}
	return grant.Change{Entry: e, Next: next, Author: tellerAuthor, Detail: "people were told: " + strings.Join(said, ", ")}
}

// note stores what was told, and returns what has to be noted behind another step that came first. What is not stored
// comes again, and is noted without being sent.
func (t *teller) note(ctx context.Context, changes []grant.Change, last bool) (again []grant.Change) {
	storing, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	now := t.Clock.Now()
	for i, err := range t.book.Store(storing, now, changes...) {
		c := changes[i]
		id := c.Next.GetId()
		if errors.Is(err, bus.ErrConflict) && !last {
			var e grant.Entry
			if e, err = t.book.Load(storing, id); err == nil {
				if kinds := stillUntold(e.Value, c); len(kinds) > 0 {
					again = append(again, noted(e, kinds))
				}
				continue
			}
		}
		if err != nil {
			t.Log.Warn("what people were told of a grant was not stored, and is tried again", "grant", id, "error", err)
			t.wheel.set(id, now.Add(storeAgain))
			continue
		}
		t.mu.Lock()
		delete(t.over, id)
		t.mu.Unlock()
		t.wheel.set(id, noticeDue(c.Next, now))
	}
	return again
}

// stillUntold is what a step says was told and a newer one does not: of what is still the same.
func stillUntold(newer *curfewv1.Grant, c grant.Change) []curfewv1.NoticeKind {
	return slices.DeleteFunc(slices.Clone(c.Next.GetTold()), func(k curfewv1.NoticeKind) bool {
		return slices.Contains(c.Entry.Value.GetTold(), k) || slices.Contains(newer.GetTold(), k) || noticeID(newer, k) != noticeID(c.Entry.Value, k)
	})
}

// kindOf is what a notice is about, in a word.
func kindOf(n *curfewv1.Notice) string {
	return strings.ToLower(strings.TrimPrefix(n.GetKind().String(), "NOTICE_KIND_"))
}
