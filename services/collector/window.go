// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// echoApart is how far apart a webhook and the log may say that the same act happened: a webhook without a time of its
// own has that of its receipt.
const echoApart = 5 * time.Minute

// window is the events that happened within a horizon before the newest: what the lane holds already.
type window struct {
	horizon time.Duration
	polled  bool // what is polled alone moves the window on: a webhook may be days ahead of polling after an absence
	ids     map[[16]byte]second
	echoes  map[string][]echo
	newest  time.Time
	pruned  time.Time
	hold    bool // forget nothing
}

// second is a Unix time in whole seconds, from 1970 to 2106: there may be millions of them.
type second uint32

func toSecond(t time.Time) second { return second(min(max(t.Unix(), 0), math.MaxUint32)) }

// echo is one event of which the other way may tell under another id.
type echo struct {
	id     string
	at     time.Time
	pushed bool
	paired bool
}

// add notes an event and returns whether it is new: neither its id is there, nor the same act by the other way, which of
// then names. Pushed is whether a webhook brought it.
func (w *window) add(e *curfewv1.Event, pushed bool) (fresh bool, of *curfewv1.Echo) {
	if !w.note(e.GetId(), happened(e), pushed) {
		return false, nil
	}
	if e.GetEcho() == "" {
		return true, nil
	}
	if pair := w.nearest(e.GetEcho(), happened(e), pushed); pair != nil {
		pair.paired = true
		return false, &curfewv1.Echo{Id: e.GetId(), Of: pair.id, Text: e.GetEcho(), Time: timestamppb.New(happened(e))}
	}
	w.listen(e, pushed)
	return true, nil
}

// restore notes what a stored batch holds. Two events that are stored are no pair: when they came, each was new.
func (w *window) restore(batch *curfewv1.EventBatch) {
	pushed := len(batch.GetDeliveries()) > 0
	for _, e := range batch.GetEvents() {
		if w.note(e.GetId(), happened(e), pushed) && e.GetEcho() != "" {
			w.listen(e, pushed)
		}
	}
	for _, left := range batch.GetEchoes() {
		w.note(left.GetId(), left.GetTime().AsTime(), pushed)
		for i := range w.echoes[left.GetText()] {
			if e := &w.echoes[left.GetText()][i]; e.id == left.GetOf() {
				e.paired = true
			}
		}
	}
}

// note adds an id and returns whether it is new.
func (w *window) note(id string, at time.Time, pushed bool) bool {
	if w.ids == nil {
		w.ids, w.echoes = map[[16]byte]second{}, map[string][]echo{}
	}
	key := event.Key(id)
	if _, there := w.ids[key]; there {
		return false
	}
	w.ids[key] = toSecond(at)
	if w.moves(pushed) && at.After(w.newest) {
		w.newest = at
	}
	if !w.hold && w.newest.Sub(w.pruned) > w.horizon/4+time.Minute {
		w.prune()
	}
	return true
}

// moves is whether an event that came this way moves the window on.
func (w *window) moves(pushed bool) bool { return !pushed || !w.polled }

// listen waits for the other way to tell of the same act.
func (w *window) listen(e *curfewv1.Event, pushed bool) {
	w.echoes[e.GetEcho()] = append(w.echoes[e.GetEcho()], echo{id: e.GetId(), at: happened(e), pushed: pushed})
}

// nearest is the event nearest in time by which the other way told of the same act, nil where there is none. Each pairs
// once, so that of an act done twice two remain.
func (w *window) nearest(text string, at time.Time, pushed bool) *echo {
	var nearest *echo
	for i := range w.echoes[text] {
		if e := &w.echoes[text][i]; e.pushed != pushed && !e.paired && e.at.Sub(at).Abs() <= echoApart &&
			(nearest == nil || e.at.Sub(at).Abs() < nearest.at.Sub(at).Abs()) {
			nearest = e
		}
	}
	return nearest
}

// reaches is whether an event is within what the window remembers.
func (w *window) reaches(e *curfewv1.Event) bool {
	return w.newest.Sub(happened(e)) <= w.horizon
}

// happened is when an event did, or was received where it says no time or one to come.
func happened(e *curfewv1.Event) time.Time {
	received := e.GetReceived().AsTime()
	if e.GetTime() != nil && e.GetTime().AsTime().Before(received) {
		return e.GetTime().AsTime()
	}
	return received
}

func (w *window) prune() {
	w.pruned = w.newest
	oldest := w.newest.Add(-w.horizon - 10*time.Minute)
	for key, at := range w.ids {
		if at < toSecond(oldest) {
			delete(w.ids, key)
		}
	}
	for text, echoes := range w.echoes {
		kept := echoes[:0]
		for _, e := range echoes {
			if !e.at.Before(oldest) {
				kept = append(kept, e)
			}
		}
		if w.echoes[text] = kept; len(kept) == 0 {
			delete(w.echoes, text)
		}
	}
}

// replays is the seals of the deliveries within a horizon, each with the key it came under.
type replays struct {
	horizon time.Duration
	seals   map[[16]byte]seal
	pruned  time.Time
}

type seal struct {
	key [16]byte
	at  time.Time
}

// came is how a delivery came before.
type came int

const (
	never     came = iota
	asItself       // under its own key
	asAnother      // under another key
)

// add notes a delivery and returns how it came before, and how long before. What has no seal never came.
func (r *replays) add(delivery *curfewv1.Delivery, at time.Time) (came, time.Duration) {
	if delivery.GetSeal() == "" {
		return never, 0
	}
	if r.seals == nil {
		r.seals = map[[16]byte]seal{}
	}
	if at.Sub(r.pruned) > r.horizon/4+time.Minute {
		r.pruned = at
		for text, s := range r.seals {
			if at.Sub(s.at) > r.horizon {
				delete(r.seals, text)
			}
		}
	}
	key := event.Key(delivery.GetKey())
	known, there := r.seals[event.Key(delivery.GetSeal())]
	switch {
	case !there:
		r.seals[event.Key(delivery.GetSeal())] = seal{key: key, at: at}
		return never, 0
	case known.key == key:
		return asItself, at.Sub(known.at)
	}
	return asAnother, at.Sub(known.at)
}
