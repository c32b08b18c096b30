// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxDelay bounds the delay of a nak: longer ones live in records, on our clock.
const maxDelay = 30 * time.Second

// permanent is an error that trying again cannot mend.
type permanent struct {
	reason string
	err    error
}

func (p *permanent) Error() string { return p.reason + ": " + p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Permanent marks an error that trying again cannot mend: Consume puts the message among the dead letters under
// reason, which groups like failures in a few words, and goes on.
func Permanent(reason string, err error) error { return &permanent{reason: reason, err: err} }

// Consumer names one durable position in a stream.
type Consumer struct {
	// Service is who consumes: "collector", "evaluator" or "notifier".
	Service string
	// Name of the position, unique in the stream. Processes that share it share the messages.
	Name string
	// Filter is the subjects to consume.
	Filter string
	// Dead is called after a message was put among the dead letters; nil = nobody is told.
	Dead func(reason string)
}

// Consume hands each message to handle until ctx ends, and returns ctx's error then. A nil from handle acknowledges the
// message for good. An error makes it come again, later each time, up to every 30 seconds. An error marked by Permanent
// makes it a dead letter, durable before the message is given up. A message can come twice, after a crash for one:
// handle must be harmless when repeated.
func (b *Bus) Consume(ctx context.Context, consumer Consumer, handle func(context.Context, Message) error) error {
	durable, err := b.durable(ctx, consumer, time.Minute)
	if err != nil {
		return err
	}
	messages, err := durable.Messages(jetstream.PullMaxMessages(16), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return fmt.Errorf("consume %s: %w", consumer.Name, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		raw, err := messages.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			b.log.Warn("NATS did not answer a pull; pulling again", "consumer", consumer.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("consume %s: %w", consumer.Name, err)
		}
		if err := b.settle(ctx, consumer, raw, handle); err != nil {
			return err
		}
	}
}

// durable opens a consumer's position, and makes it where there is none. A message that is not settled within wait comes
// again.
func (b *Bus) durable(ctx context.Context, consumer Consumer, wait time.Duration) (jetstream.Consumer, error) {
	stream, err := b.stream(ctx, consumer.Filter)
	if err != nil {
		return nil, err
	}
	durable, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumer.Name, FilterSubject: consumer.Filter, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: wait, MaxDeliver: -1, MaxAckPending: 1000, Replicas: b.replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer %s: %w", consumer.Name, err)
	}
	return durable, nil
}

// Drain hands messages to handle as many as there are at once, at most most of them, until ctx ends or handle returns an
// error, which Drain returns. A nil acknowledges all of them for good; after an error they come again, to whoever drains
// next. It waits for no message that is not there, so that the first of few is not late.
func (b *Bus) Drain(ctx context.Context, consumer Consumer, most int, handle func(context.Context, []Message) error) error {
	durable, err := b.durable(ctx, consumer, drainWait)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		raw, err := pull(ctx, func(ctx context.Context) (jetstream.MessageBatch, error) {
			return durable.Fetch(1, jetstream.FetchContext(ctx))
		})
		if err == nil && len(raw) > 0 && most > 1 {
			var rest []jetstream.Msg
			rest, err = pull(ctx, func(context.Context) (jetstream.MessageBatch, error) { return durable.FetchNoWait(most - 1) })
			raw = append(raw, rest...)
		}
		if err := errors.Join(drained(ctx, raw, handle), err); err != nil && ctx.Err() == nil {
			return fmt.Errorf("drain %s: %w", consumer.Name, err)
		}
	}
	return ctx.Err()
}

// drainWait is how long a message stays with a drainer that has died.
const drainWait = 15 * time.Second

// pull is what one request for messages gave. It ends with ctx, and then the server asks this side no more.
func pull(ctx context.Context, ask func(context.Context) (jetstream.MessageBatch, error)) ([]jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	batch, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	var raw []jetstream.Msg
	for message := range batch.Messages() {
		raw = append(raw, message)
	}
	err = batch.Error()
	if errors.Is(err, jetstream.ErrNoMessages) || errors.Is(err, nats.ErrTimeout) || ctx.Err() != nil {
		err = nil // there was nothing
	}
	return raw, err
}

// drained hands messages over and settles them by the answer.
func drained(ctx context.Context, raw []jetstream.Msg, handle func(context.Context, []Message) error) error {
	if len(raw) == 0 {
		return nil
	}
	messages := make([]Message, 0, len(raw))
	for _, m := range raw {
		metadata, err := m.Metadata()
		if err != nil {
			return err
		}
		messages = append(messages, Message{Subject: m.Subject(), Sequence: metadata.Sequence.Stream, Time: metadata.Timestamp, Data: m.Data()})
	}
	handled := ctx.Err()
	if handled == nil {
		stop := keep(raw)
		handled = handle(ctx, messages)
		stop()
	}
	for _, m := range raw {
		err := error(nil)
		if handled == nil {
			err = m.Ack()
		} else {
			err = m.Nak()
		}
		if err != nil {
			return errors.Join(handled, fmt.Errorf("settle messages: %w", err))
		}
	}
	return handled
}

// keep says now and then that messages are still being handled, so that nobody else is given them, until stop is called.
func keep(raw []jetstream.Msg) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(drainWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, m := range raw {
					_ = m.InProgress() // if it is not heard they come again, which is harmless
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// settle hands one message over and settles it by the answer.
func (b *Bus) settle(ctx context.Context, consumer Consumer, raw jetstream.Msg, handle func(context.Context, Message) error) error {
	metadata, err := raw.Metadata()
	if err != nil {
		return fmt.Errorf("consume %s: %w", consumer.Name, err)
	}
	message := Message{Subject: raw.Subject(), Sequence: metadata.Sequence.Stream, Time: metadata.Timestamp, Data: raw.Data()}
	err = handle(ctx, message)
	if ctx.Err() != nil {
		return ctx.Err() // neither done nor given up: it comes again
	}
	var final *permanent
	if errors.As(err, &final) {
		if err = b.bury(ctx, consumer.Service, message, final); err == nil && consumer.Dead != nil {
			consumer.Dead(final.reason)
		}
	}
	if err != nil {
		delay := min(maxDelay, 100*time.Millisecond<<min(metadata.NumDelivered-1, 16))
		b.log.Warn("message comes again", "consumer", consumer.Name, "subject", message.Subject, "sequence", message.Sequence, "delay", delay, "error", err)
		if err := raw.NakWithDelay(delay); err != nil {
			return fmt.Errorf("nak message %d of %s: %w", message.Sequence, message.Subject, err)
		}
		return nil
	}
	if err := raw.Ack(); err != nil {
		return fmt.Errorf("acknowledge message %d of %s: %w", message.Sequence, message.Subject, err)
	}
	return nil
}

// bury makes a dead letter of a message.
func (b *Bus) bury(ctx context.Context, service string, message Message, why *permanent) error {
	letter := &curfewv1.DeadLetter{
		Id:      event.ContentKey(service, message.Subject, fmt.Sprint(message.Sequence)),
		Service: service, Reason: why.reason, Detail: why.err.Error(), Origin: message.Subject,
		Raw: message.Data, Time: timestamppb.New(time.Now()),
	}
	return b.Bury(ctx, letter)
}

// Bury stores a dead letter and returns once it is on disk. Raw bytes too large for a message go to the object store.
// The same letter twice is stored once, if within two minutes.
func (b *Bus) Bury(ctx context.Context, letter *curfewv1.DeadLetter) error {
	if len(letter.GetRaw()) > b.MaxMessage()/2 {
		name, err := b.PutObject(ctx, letter.GetRaw())
		if err != nil {
			return err
		}
		letter = &curfewv1.DeadLetter{
			Id: letter.GetId(), Service: letter.GetService(), Reason: letter.GetReason(), Detail: letter.GetDetail(),
			Origin: letter.GetOrigin(), RawObject: name, Line: letter.GetLine(), EventId: letter.GetEventId(), Time: letter.GetTime(),
		}
	}
	_, err := b.Publish(ctx, DeadSubject(letter), letter.GetId(), letter)
	return err
}
