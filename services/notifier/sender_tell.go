// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package notifier

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// replyTime is how much longer than the edit in front of it a reply may take: less than the last look for it.
const replyTime = 4 * time.Second

// telling brings what a receiver shows up to date, until ctx ends, whose error it returns: at once what people did, and
// seldom that more of the same came, for messages are edited at a slower pace than posted.
func (s *sender) telling(ctx context.Context) error {
	for ctx.Err() == nil {
		ref, ids, urgent, wait := s.stale()
		if len(ids) == 0 {
			s.sleep(ctx, wait, s.stir)
			continue
		}
		s.tell(ctx, ref, ids, urgent)
	}
	return ctx.Err()
}

// stale takes the message that is to be brought up to date next, with those of its alerts that changed, and whether people
// did something, once the receiver takes one more edit. Without any it returns how long to wait.
func (s *sender) stale() (ref string, ids []string, urgent bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	wait = nap
	if left := s.stirred.Sub(now); left > 0 && left <= longestAsked {
		return "", nil, false, min(wait, left)
	}
	var ready []item
	for _, it := range s.items {
		at := it.notBefore
		switch it.need {
		case alert.Tell:
		case alert.Count:
			if quiet := earliest(it.sent, now).Add(debounce); quiet.After(at) {
				at = quiet
			}
		default:
			continue
		}
		if left := at.Sub(now); left > 0 && left <= longestAsked {
			wait = min(wait, left)
			continue
		}
		ready = append(ready, it)
	}
	if len(ready) == 0 {
		return "", nil, false, wait
	}
	first := slices.MinFunc(ready, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.tries, b.tries), cmp.Compare(a.need, b.need), -cmp.Compare(a.severity, b.severity), a.sent.Compare(b.sent), cmp.Compare(a.id, b.id))
	})
	if wait := s.edits.take(now); wait > 0 {
		return "", nil, false, wait
	}
	for _, it := range ready {
		if it.id == first.id || first.ref != "" && it.ref == first.ref {
			ids = append(ids, it.id)
		}
	}
	slices.Sort(ids)
	return first.ref, ids[:min(len(ids), maxTogether)], first.need == alert.Tell, 0
}

// tell brings one message up to date: it shows the alerts as they stand, and says behind it what happened.
func (s *sender) tell(ctx context.Context, ref string, ids []string, urgent bool) {
	editor, edits := s.receiver.(Editor)
	replier, replies := s.receiver.(Replier)
	before := map[string]*curfewv1.Shown{}
	var stand []*curfewv1.Alert
	for _, id := range ids {
		if entry, known := s.book.Get(id); known {
			before[id] = alert.Delivery(entry.Value, s.name).GetHas()
			stand = append(stand, entry.Value)
		}
	}
	if lines, _ := s.news(stand, before); len(lines) > 0 && (replies || !edits || ref == "") { // it takes a message of its own
		if s.await(ctx, urgent); ctx.Err() != nil { // before it is stored that it is told: what is must be told soon
			return
		}
	}
	post := rand.Text()
	s.fly(post, true)
	defer s.fly(post, false)
	alerts, by := s.begin(ctx, ids, post)
	if len(alerts) == 0 {
		s.sleep(ctx, 10*time.Millisecond, nil)
		return
	}
	ids = idsOf(alerts)
	lines, loud := s.news(alerts, before)
	var err error
	switch {
	case ref != "" && (edits || replies):
		if edits {
			err = s.edit(ctx, by, editor, ref, alerts)
		}
		if err == nil && replies && len(lines) > 0 {
			err = s.tryBy(ctx, by.Add(replyTime), func(ctx context.Context) error {
				return replier.Reply(ctx, &curfewv1.Reply{Id: post, Ref: ref, Lines: lines, Loud: loud})
			})
		}
	case len(lines) > 0: // where neither can be done what happened is a message of its own
		err = s.tryBy(ctx, by, func(ctx context.Context) error {
			_, err := s.receiver.Post(ctx, &curfewv1.Post{Id: post, Alerts: alerts, Receiver: s.name})
			return err
		})
	}
	if r := delivery.AsRefused(err); r != nil && r.Unfit {
		s.count("untold", len(ids))
		s.Log.Warn("a message cannot be brought up to date, and is left as it is: look at it there", "receiver", s.name, "ref", ref, "error", err)
		err = nil // it was deleted there, say
	}
	if err != nil {
		s.refused(ctx, post, ids, &s.stirred, err)
		return
	}
	s.land(ctx, post, ref, ids, false)
	s.count("told", len(ids))
}

// edit makes a message show its alerts as they stand, those too that did not change.
func (s *sender) edit(ctx context.Context, by time.Time, editor Editor, ref string, changed []*curfewv1.Alert) error {
	d := alert.Delivery(changed[0], s.name)
	if d.GetSummarised() {
		return nil // it names counts of that moment
	}
	show := slices.Clone(changed)
	for _, id := range d.GetWith() {
		if slices.ContainsFunc(show, func(a *curfewv1.Alert) bool { return a.GetId() == id }) {
			continue
		}
		entry, known := s.book.Get(id)
		if !known {
			var err error
			if entry, err = s.book.Load(ctx, id); err != nil {
				return &delivery.Refused{Reason: "read the alerts of a message: " + err.Error()}
			}
		}
		one := entry.Value
		if alert.Delivery(one, s.name).GetRef() != ref { // opened again since
			one = proto.CloneOf(one)
			one.State, one.Resolution = curfewv1.AlertState_ALERT_STATE_RESOLVED, "it was opened again since: its newest message says how it stands"
		}
		show = append(show, one)
	}
	slices.SortFunc(show, func(a, b *curfewv1.Alert) int {
		return cmp.Or(-cmp.Compare(a.GetSeverity(), b.GetSeverity()), a.GetOpened().AsTime().Compare(b.GetOpened().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
	})
	err := s.tryBy(ctx, by, func(ctx context.Context) error {
		return editor.Edit(ctx, ref, &curfewv1.Post{Id: alert.Delivery(changed[0], s.name).GetPost(), Alerts: show, Receiver: s.name})
	})
	if err != nil && delivery.AsRefused(err) == nil {
		err = &delivery.Refused{Reason: err.Error()} // twice is as good as once, so it is as if it had not arrived
	}
	return err
}

// await waits until the receiver takes one more message.
func (s *sender) await(ctx context.Context, urgent bool) {
	for ctx.Err() == nil {
		s.mu.Lock()
		wait := s.token(s.Clock.Now(), urgent)
		s.mu.Unlock()
		if wait <= 0 {
			return
		}
		s.sleep(ctx, wait, nil)
	}
}

// news is what happened to alerts since a receiver was last told, each in a line, and whether everybody should see it.
func (s *sender) news(alerts []*curfewv1.Alert, before map[string]*curfewv1.Shown) (lines []string, loud bool) {
	for _, a := range alerts {
		has, many := before[a.GetId()], len(alerts) > 1 || len(alert.Delivery(a, s.name).GetWith()) > 0 || alert.Delivery(a, s.name).GetSummarised()
		if more := int64(a.GetCount()) - int64(has.GetCount()); more > 0 && alert.Delivery(a, s.name).GetHold() == nil {
			line := fmt.Sprintf("%d more of the same, %d in all.", more, a.GetCount())
			if repeats := a.GetRepeats(); len(repeats) > 0 {
				line += " The newest: " + repeats[len(repeats)-1]
			}
			lines = append(lines, say(a, many, "%s", line))
		}
		for _, n := range a.GetNotes() {
			if n.GetNumber() <= has.GetNote() {
				continue
			}
			author := ""
			if n.GetAuthor() != notifierAuthor && !strings.HasPrefix(n.GetText(), n.GetAuthor()) {
				author = n.GetAuthor() + ": "
			}
			lines = append(lines, say(a, many, "%s%s (%s)", author, n.GetText(), moment(n.GetTime().AsTime())))
			loud = loud || n.GetLoud()
		}
	}
	return lines, loud
}
