// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// pullExpiry is how long one pull waits at the server. Short, so that a pull lost on the way is made again soon.
const pullExpiry = 5 * time.Second

// forgotten is after what time the server drops the place of a reader that is gone: it has room for a thousand of them in a
// stream (measured on nats-server 2.15), which a process that dies every second would fill within the client's default of
// five minutes.
const forgotten = 30 * time.Second

// From says where reading begins. The zero value is the beginning of the stream.
type From struct {
	// After is the sequence behind which to begin; 0 = the beginning.
	After uint64
	// Time, where it is set and After is 0, is the earliest time of storing.
	Time time.Time
	// Newest, where After is 0, leaves out all but the newest message of each subject that is there when reading begins.
	Newest bool
}

// Follow hands every message that matches filter to handle, in stream order, each once, those there are and those to
// come, until ctx ends or handle returns an error, which Follow returns. It acknowledges nothing: where reading goes on
// after a restart is the caller's to know.
func (b *Bus) Follow(ctx context.Context, filter string, from From, handle func(Message) error) error {
	stream, err := b.stream(ctx, filter)
	if err != nil {
		return err
	}
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: forgotten}
	switch {
	case from.After > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from.After+1
	case from.Newest:
		config.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case !from.Time.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &from.Time
	}
	consumer, err := stream.OrderedConsumer(ctx, config)
	if err != nil {
		return fmt.Errorf("follow %s: %w", filter, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(64), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return fmt.Errorf("follow %s: %w", filter, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		raw, err := messages.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", filter, err)
		}
		metadata, err := raw.Metadata()
		if err != nil {
			return fmt.Errorf("follow %s: %w", filter, err)
		}
		message := Message{Subject: raw.Subject(), Sequence: metadata.Sequence.Stream, Time: metadata.Timestamp, Data: raw.Data()}
		if err := handle(message); err != nil {
			return err
		}
	}
}

// errDone ends a Follow that has read enough.
var errDone = errors.New("done")

// Read is Follow over what is there when it is called: it returns nil once the last of it was handled. Of Newest a subject
// that is written to meanwhile may be handled twice, the later last.
func (b *Bus) Read(ctx context.Context, filter string, from From, handle func(Message) error) error {
	last, err := b.read(ctx, filter, from, handle)
	if err == nil && from.Newest && from.After == 0 && last > 0 {
		// What was newest at first and is not any more when reading begins is not handed over: its successor is.
		_, err = b.read(ctx, filter, From{After: last}, handle)
	}
	return err
}

func (b *Bus) read(ctx context.Context, filter string, from From, handle func(Message) error) (end uint64, err error) {
	last, err := b.Last(ctx, filter)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if last.Sequence <= from.After || !from.Time.IsZero() && last.Time.Before(from.Time) {
		return last.Sequence, nil
	}
	err = b.Follow(ctx, filter, from, func(message Message) error {
		if message.Sequence <= last.Sequence {
			if err := handle(message); err != nil {
				return err
			}
		}
		if message.Sequence >= last.Sequence {
			return errDone
		}
		return nil
	})
	if errors.Is(err, errDone) {
		err = nil
	}
	return last.Sequence, err
}

// End is the sequence of the newest message of a whole stream, by the root of its subjects ("grant"), of whatever tenant;
// 0 = it holds none.
func (b *Bus) End(ctx context.Context, root string) (uint64, error) {
	stream, err := b.stream(ctx, root+".>")
	if err != nil {
		return 0, err
	}
	state := stream.CachedInfo().State // opening the handle has just asked for it
	if state.Msgs == 0 {
		return 0, nil // all that was there is kept no longer
	}
	return state.LastSeq, nil
}
