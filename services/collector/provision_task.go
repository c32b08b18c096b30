// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// task is what is known of one key that something is to be done about, beyond what is stored: a process that has died
// loses nothing with it but time.
type task struct {
	key     uint64
	urgency time.Time // the earliest end of its grants
	version int       // of its place in a queue
	busy    bool      // a worker has it
	waits   bool      // for a worker
	shut    bool      // until the source is back
	writing int       // edits that are not stored yet

	state  *curfewv1.PrivilegeState // what was read behind the last call; nil = read again
	first  *curfewv1.PrivilegeState // the first of the reads in a row that agree with it
	inRow  int
	reads  []string
	readAt time.Time

	accepted time.Time // when the vendor last accepted a call to give it whose effect was not seen yet
	took     time.Time // the same of one to take it
	shows    time.Time // when the last call to give it shows at the latest
	settles  time.Time // the same of all that may have given what ends; zero = not reckoned yet
	spotless bool      // it is known that no call to give it was accepted or left unanswered
	calls    []string
	residual string
	refused  string // why the vendor will not give it
	attempts uint32 // revocations asked for and not stored yet
	ending   int    // tries to end sessions
	already  bool   // what was accepted was so already
	renewed  int    // tries to move the vendor's own end
	renewAt  time.Time

	fails  int
	spoilt int       // failures of its own in a row, whatever became of the source meanwhile
	away   bool      // the last failure was of the source, not of this key
	next   time.Time // before which nothing is asked
	giving bool      // next is giving's alone
	quiet  time.Time // before which another trouble is not stored
}

// forget drops what was read.
func (t *task) forget() { t.state, t.first, t.inRow, t.reads = nil, nil, 0, nil }

// saw notes what a read showed.
func (t *task) saw(s *curfewv1.PrivilegeState, now time.Time) {
	if t.first == nil || t.first.GetPresence() != s.GetPresence() || t.first.GetLevel() != s.GetLevel() {
		t.first, t.inRow, t.reads = s, 0, nil
	}
	t.state, t.readAt = s, now
	t.inRow++
	t.reads = append(t.reads, s.GetReads()...)
	t.reads = append(t.reads, "so it showed at "+cmp.Or(s.GetRead(), timestamppb.New(now)).AsTime().UTC().Format(time.RFC3339)+": "+shown(s))
}

// shown is what a read showed, in words.
func shown(s *curfewv1.PrivilegeState) string {
	switch {
	case s.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT:
		return "no such holder"
	case s.GetResource() == curfewv1.Presence_PRESENCE_ABSENT:
		return "nothing of that id"
	case s.GetPresence() == curfewv1.Presence_PRESENCE_ABSENT:
		return "not held"
	case s.GetPresence() == curfewv1.Presence_PRESENCE_PENDING:
		return "offered, not accepted"
	case s.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT:
		return strings.TrimSpace("held " + s.GetLevel())
	}
	return "neither held nor not"
}

// asked begins anew after a call: what was read before it is old.
func (t *task) asked() { t.forget() }

// fail puts off the next call.
func (t *task) fail(now time.Time, b bounds) {
	t.next, t.giving = now.Add(b.pause(t.fails)), false
	t.fails++
}

// pause is the nth pause, from 0, a little shortened at random so that many do not come back as one.
func (b bounds) pause(n int) time.Duration {
	d := b.longest
	if n < 16 {
		d = min(b.shortest<<n, b.longest)
	}
	return d - rand.N(d/8+1)
}

// queue is tasks in an order, each with the version that it went in with: one whose version has moved on is not in it.
type queue struct {
	items []queued
}

type queued struct {
	at      time.Time
	task    *task
	version int
}

var _ heap.Interface = (*queue)(nil)

// Len is how many there are.
func (q *queue) Len() int { return len(q.items) }

// Less is whether one comes before another.
func (q *queue) Less(i, j int) bool { return q.items[i].at.Before(q.items[j].at) }

// Swap exchanges two.
func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }

// Push adds one.
func (q *queue) Push(x any) {
	item, ok := x.(queued)
	if !ok {
		panic(fmt.Sprintf("queue: pushed %T", x))
	}
	q.items = append(q.items, item)
}

// Pop takes the last.
func (q *queue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items[len(q.items)-1] = queued{}
	q.items = q.items[:len(q.items)-1]
	return last
}

// put takes a task out of whatever queue it is in and into this one.
func (q *queue) put(t *task, at time.Time) {
	t.version++
	heap.Push(q, queued{at, t, t.version})
}

// head is the first task and its time; ok is false where there is none.
func (q *queue) head() (t *task, at time.Time, ok bool) {
	for len(q.items) > 0 {
		if first := q.items[0]; first.version == first.task.version {
			return first.task, first.at, true
		}
		heap.Pop(q)
	}
	return nil, time.Time{}, false
}

// pop takes out the first task, which head returned.
func (q *queue) pop() {
	if first, ok := heap.Pop(q).(queued); ok {
		first.task.version++
	}
}
