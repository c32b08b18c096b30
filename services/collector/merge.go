// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/bus"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxMerge is how many webhooks become one batch at most, and maxHeld how many bytes of records wait for that.
	maxMerge = 64
	maxHeld  = 4 << 20
	// renewBefore is how long before its end a subscription is asked for anew; one that is shorter, at half its time.
	renewBefore = 30 * time.Minute
)

// merge writes the webhooks that wait in INBOX into the lane until ctx ends or something fails. They are taken from INBOX
// once they are in the lane: killed in between, they come again and are repeats.
func (l *lane) merge(ctx context.Context) error {
	consumer := bus.Consumer{
		Service: "collector", Name: fmt.Sprintf("inbox-%s-%s-%s", l.Tenant, l.source, l.feed),
		Filter: bus.InboxSubject(l.Tenant, l.source, l.feed),
	}
	return l.Bus.Drain(ctx, consumer, maxMerge, func(ctx context.Context, messages []bus.Message) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, m := range messages {
			if err := l.take(ctx, m); err != nil {
				return err
			}
			if l.pending != nil && l.held > maxHeld {
				if err := l.flush(ctx); err != nil {
					return err
				}
			}
		}
		return l.flush(ctx)
	})
}

// take makes a webhook a part of the pending batch.
func (l *lane) take(ctx context.Context, m bus.Message) error {
	webhook := new(curfewv1.Webhook)
	err := m.Decode(webhook)
	if err == nil && webhook.GetObject() != "" {
		var content []byte
		if content, err = l.Bus.GetObject(ctx, webhook.GetObject()); err == nil {
			err = proto.Unmarshal(content, webhook)
		} else if !errors.Is(err, bus.ErrNotFound) {
			return err
		}
	}
	if err != nil {
		return l.discard(ctx, m.Data, "unreadable webhook", err.Error())
	}
	delivery := &curfewv1.Delivery{Key: webhook.GetKey(), Seal: webhook.GetSeal()}
	switch came, age := l.replayed.add(delivery, webhook.GetReceived().AsTime()); {
	case came == asAnother:
		l.Metrics.Webhook(l.source, "replayed")
		return l.discard(ctx, m.Data, "replayed webhook", "the same signed body came before as another delivery")
	case came == asItself && age > l.repeated.horizon:
		// It is in the lane, further back than ids are kept.
		l.Metrics.Webhook(l.source, "repeated")
		return nil
	}
	if len(webhook.GetRecords()) == 0 {
		select {
		case l.wake <- struct{}{}:
		default: // it is on its way
		}
	}
	page := &curfewv1.EventBatch{Source: l.source, Feed: l.feed, Received: webhook.GetReceived()}
	for _, record := range webhook.GetRecords() {
		event.Append(page, record, 0, l.decode)
	}
	if err := l.bury(ctx, page.GetDeadLetters()); err != nil {
		return err
	}
	if l.pending == nil {
		l.pending = &curfewv1.EventBatch{Received: webhook.GetReceived()}
	}
	p := l.pending
	if webhook.GetReceived().AsTime().After(p.GetReceived().AsTime()) {
		p.Received = webhook.GetReceived()
	}
	p.Records += page.GetRecords()
	p.Deliveries = append(p.Deliveries, delivery)
	p.DeadLetters = append(p.DeadLetters, page.GetDeadLetters()...)
	for _, record := range webhook.GetRecords() {
		l.held += len(record)
	}
	for _, e := range page.GetEvents() {
		e.Feed = l.feed
		if e.GetTime() == nil {
			// The vendor's webhook says not when it was; sent for the first time, it is sent at once.
			e.Time = webhook.GetReceived()
		}
		if l.polled && webhook.GetLogged() && !l.repeated.reaches(e) {
			// Too old to tell whether the lane holds it. What polling has not brought yet it will, under the same id.
			l.Metrics.Webhook(l.source, "left to polling")
			p.Repeats++
			continue
		}
		fresh, of := l.repeated.add(e, true)
		if fresh {
			p.Events = append(p.Events, l.complete(e))
			continue
		}
		p.Repeats++
		if of != nil {
			p.Echoes = append(p.Echoes, of)
		}
	}
	return nil
}

// discard puts an INBOX message among the dead letters.
func (l *lane) discard(ctx context.Context, raw []byte, reason, detail string) error {
	l.Metrics.Dead("collector", reason)
	origin := l.source + "/" + l.feed
	return l.Bus.Bury(ctx, &curfewv1.DeadLetter{
		Id: event.ContentKey("collector", origin, reason, event.Digest(raw)), Service: "collector", Reason: reason, Detail: event.Clean(detail),
		Origin: origin, Raw: raw, Time: event.Timestamp(time.Now()),
	})
}

// flush writes what is pending behind the newest batch. A batch of repeats alone is written too, so that their seals are
// known after a restart.
func (l *lane) flush(ctx context.Context) error {
	pending := l.pending
	l.pending, l.held = nil, 0
	if pending == nil {
		return nil
	}
	pending.Cursor, pending.DeadLetters = l.cursor, brief(pending.GetDeadLetters())
	return l.write(ctx, pending)
}

// subscribe keeps the vendor sending webhooks, where it has to be asked and there is an address to send them to, until ctx
// ends. That the vendor refuses stops nothing: what webhooks leave out is polled.
func (l *lane) subscribe(ctx context.Context) error {
	subscriber, ok := l.from.(Subscriber)
	if !ok || l.WebhookAddress == "" {
		return nil
	}
	failed := time.Minute
	for {
		wait := failed
		until, err := subscriber.Subscribe(ctx, l.feed, l.WebhookAddress+WebhookPath+l.source)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			l.Log.Error("subscription refused; polling goes on", "source", l.source, "feed", l.feed, "delay", wait, "error", err)
			l.Metrics.Failed("collector", "subscribe")
			failed = min(2*failed, time.Hour)
		default:
			failed = time.Minute
			left := time.Until(until)
			wait = max(time.Minute, left/2, left-renewBefore)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
