// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/catalog"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// store writes a page as one batch or, where it is large, as several: all but the last keep the old cursor, so that a
// crash between two of them reads the page again and leaves out what is there. Dead letters are on the DEAD stream
// before the batch that counts them.
func (l *lane) store(ctx context.Context, page *curfewv1.EventBatch) error {
	events := page.GetEvents()
	batch := &curfewv1.EventBatch{
		Received: page.GetReceived(), Cursor: page.GetCursor(), Coverage: page.GetCoverage(), More: page.GetMore(), Records: page.GetRecords(),
	}
	l.repeated.hold = true // until the page is whole
	for _, e := range events {
		isFresh, of := l.repeated.add(e, false)
		if isFresh {
			batch.Events = append(batch.Events, l.complete(e))
		} else if of != nil {
			batch.Echoes = append(batch.Echoes, of)
		}
	}
	batch.Repeats = uint32(len(events) - len(batch.GetEvents()))
	if err := l.bury(ctx, page.GetDeadLetters()); err != nil {
		return err
	}
	batch.DeadLetters = brief(page.GetDeadLetters())
	if l.isQuiet(batch) && l.keepBack(batch.GetCoverage()) {
		// Nothing came: where reading goes on is not stored until something does, or for a minute.
		l.repeated.hold = false
		return nil
	}
	if err := l.bringForward(ctx, batch); err != nil {
		return err
	}
	if err := l.write(ctx, batch); err != nil {
		return err
	}
	l.stored, l.repeated.hold = time.Now(), false
	return nil
}

// isQuiet is whether a read need not be stored now: it gave nothing, and what is stored is no older than a minute.
func (l *lane) isQuiet(batch *curfewv1.EventBatch) bool {
	return len(batch.GetEvents())+len(batch.GetEchoes())+len(batch.GetDeadLetters()) == 0 && !batch.GetMore() &&
		(batch.GetCoverage() == nil || l.covers) && time.Since(l.stored) < quiet
}

// keepBack adds what a quiet read covered to what waits to be stored; false where the two do not meet.
func (l *lane) keepBack(more *curfewv1.Coverage) bool {
	switch {
	case more == nil:
	case l.unstored == nil:
		l.unstored = proto.CloneOf(more)
	case !meets(l.unstored, more):
		return false
	default:
		l.unstored = join(l.unstored, more)
	}
	return true
}

// bringForward makes what waits to be stored a part of a batch's coverage or, where the two do not meet, a batch of its
// own before it: a source may go on further ahead than it had come, and what lies between was not covered.
func (l *lane) bringForward(ctx context.Context, batch *curfewv1.EventBatch) error {
	waiting := l.unstored
	switch {
	case waiting == nil || batch.GetCoverage() == nil:
		return nil
	case meets(waiting, batch.GetCoverage()):
		batch.Coverage = join(waiting, batch.GetCoverage())
	default:
		if err := l.write(ctx, &curfewv1.EventBatch{Received: batch.GetReceived(), Cursor: l.cursor, Coverage: waiting}); err != nil {
			return err
		}
	}
	l.unstored = nil
	return nil
}

// meets is whether b begins no later than a ends, and the other way round.
func meets(a, b *curfewv1.Coverage) bool {
	return !b.GetFrom().AsTime().After(a.GetUntil().AsTime()) && !a.GetFrom().AsTime().After(b.GetUntil().AsTime())
}

// join is what two stretches that meet cover together.
func join(a, b *curfewv1.Coverage) *curfewv1.Coverage {
	joined := proto.CloneOf(a)
	if b.GetFrom().AsTime().Before(a.GetFrom().AsTime()) {
		joined.From = b.GetFrom()
	}
	if b.GetUntil().AsTime().After(a.GetUntil().AsTime()) {
		joined.Until = b.GetUntil()
	}
	return joined
}

// write appends a batch in as many parts as it needs. The first have the cursor of what is stored and neither coverage nor
// counts; the deliveries that webhooks came by stand in each.
func (l *lane) write(ctx context.Context, whole *curfewv1.EventBatch) error {
	if err := l.shrink(ctx, whole.GetEvents()); err != nil {
		return err
	}
	parts := l.split(whole)
	for i, part := range parts {
		part.Format, part.Tenant, part.Source, part.Feed = bus.Format, l.Tenant, l.source, l.feed
		part.Received, part.Deliveries = whole.GetReceived(), whole.GetDeliveries()
		part.Cursor, part.More = l.cursor, len(whole.GetDeliveries()) == 0
		if i == len(parts)-1 {
			part.Cursor, part.Coverage, part.More = whole.GetCursor(), whole.GetCoverage(), whole.GetMore()
			part.Records, part.Repeats = whole.GetRecords(), whole.GetRepeats()
		}
		if err := l.append(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// bury puts what could not be decoded among the dead letters.
func (l *lane) bury(ctx context.Context, letters []*curfewv1.DeadLetter) error {
	for _, letter := range letters {
		l.Metrics.Dead("collector", letter.GetReason())
		if err := l.Bus.Bury(ctx, letter); err != nil {
			return err
		}
	}
	return nil
}

// complete adds to an event what Curfew knows and the vendor does not say.
func (l *lane) complete(e *curfewv1.Event) *curfewv1.Event {
	Complete(e, l.Tenant, l.Catalog)
	return e
}

// Complete sets the tenant of an event and its act by the catalogue; the act stays empty where the catalogue does not
// know the action.
func Complete(e *curfewv1.Event, tenant string, cat *catalog.Catalog) {
	e.Tenant = tenant
	if action, known := cat.Action(e.GetSource(), e.GetFeed(), e.GetAction()); known {
		e.Act = action.Act
	}
}

// shrink moves records too large for the bus to the object store.
func (l *lane) shrink(ctx context.Context, fresh []*curfewv1.Event) (err error) {
	for _, e := range fresh {
		if len(e.GetRaw()) > maxRaw {
			if e.RawObject, err = l.Bus.PutObject(ctx, e.GetRaw()); err != nil {
				return err
			}
			e.Raw = nil
		}
	}
	return nil
}

// brief is the dead letters as a batch names them: they are whole on the DEAD stream.
func brief(letters []*curfewv1.DeadLetter) []*curfewv1.DeadLetter {
	names := make([]*curfewv1.DeadLetter, 0, len(letters))
	for _, letter := range letters {
		names = append(names, &curfewv1.DeadLetter{Id: letter.GetId(), Reason: letter.GetReason()})
	}
	return names
}

// split shares events, echoes and dead letters of a batch out among parts that each fit a message with room to spare; at
// least one, which may be empty. No event alone is too large: event.Append bounds it and shrink its record.
func (l *lane) split(whole *curfewv1.EventBatch) []*curfewv1.EventBatch {
	limit := l.Bus.MaxMessage() / 2
	part := &curfewv1.EventBatch{}
	parts, size := []*curfewv1.EventBatch{part}, 0
	room := func(message proto.Message) {
		bytes := proto.Size(message) + 8
		if len(part.GetEvents()) == maxEvents || size > 0 && size+bytes > limit {
			part, size = &curfewv1.EventBatch{}, 0
			parts = append(parts, part)
		}
		size += bytes
	}
	for _, e := range whole.GetEvents() {
		room(e)
		part.Events = append(part.Events, e)
	}
	for _, echo := range whole.GetEchoes() {
		room(echo)
		part.Echoes = append(part.Echoes, echo)
	}
	for _, letter := range whole.GetDeadLetters() {
		room(letter)
		part.DeadLetters = append(part.DeadLetters, letter)
	}
	return parts
}

// append writes one batch behind the newest.
func (l *lane) append(ctx context.Context, batch *curfewv1.EventBatch) error {
	for _, e := range batch.GetEvents() {
		if !l.repeated.moves(len(batch.GetDeliveries()) > 0) {
			break
		}
		if at := e.GetTime(); at != nil && at.AsTime().After(l.newest) && !at.AsTime().After(batch.GetReceived().AsTime()) {
			l.newest = at.AsTime()
		}
	}
	if !l.newest.IsZero() {
		batch.Newest = timestamppb.New(l.newest)
	}
	batch.PreviousSequence, batch.PreviousDigest = l.last, l.digest
	sequence, digest, err := l.Bus.AppendDigest(ctx, bus.EventSubject(l.Tenant, l.source, l.feed), l.last, batch)
	if err != nil {
		return err
	}
	l.last, l.digest, l.cursor = sequence, digest, batch.GetCursor()
	l.Metrics.Collected(l.source, l.feed, int(batch.GetRecords()), len(batch.GetEvents()), int(batch.GetRepeats()))
	if batch.GetCoverage() != nil {
		l.covers = true
		l.Metrics.Covered(l.source, l.feed, batch.GetCoverage().GetUntil().AsTime())
	}
	return nil
}
