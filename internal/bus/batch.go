// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"google.golang.org/protobuf/proto"
)

// MaxBatch is how many messages one AppendAll may have
// (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md).
const MaxBatch = 1000

// Pending is one message of an AppendAll: what Append takes.
type Pending struct {
	// Subject to store it under. All of one AppendAll are of one stream that takes batches: GRANTS or ALERTS.
	Subject string
	// Last is the sequence of the newest message of its subject; 0 = there is none.
	Last uint64
	// Message to store.
	Message proto.Message
}

// AppendAll is Append of many messages at the price of one wait for the disk: all of them are stored, in order and next
// to each other, or none is. It returns the sequence of the first. ErrConflict means that one of them at least met
// another writer, and that none was stored; any other error leaves open whether they were.
func (b *Bus) AppendAll(ctx context.Context, pending []Pending) (first uint64, err error) {
	if len(pending) == 0 || len(pending) > MaxBatch {
		return 0, fmt.Errorf("append batch: it has %d messages; it may have 1 to %d", len(pending), MaxBatch)
	}
	batch := nuid.Next()
	messages := make([]*nats.Msg, len(pending))
	for i, p := range pending {
		data, err := encode(p.Subject, p.Message)
		if err != nil {
			return 0, err
		}
		if len(data) > b.MaxMessage() {
			return 0, fmt.Errorf("append %d bytes to %s: %w", len(data), p.Subject, ErrTooLarge)
		}
		messages[i] = &nats.Msg{Subject: p.Subject, Data: data, Header: nats.Header{
			"Nats-Batch-Id": {batch}, "Nats-Batch-Sequence": {strconv.Itoa(i + 1)},
			jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(p.Last, 10)},
		}}
	}
	last := messages[len(messages)-1]
	last.Header.Set("Nats-Batch-Commit", "1")
	for _, m := range messages[:len(messages)-1] {
		if err := b.conn.PublishMsg(m); err != nil {
			return 0, fmt.Errorf("publish batch: %w", err)
		}
	}
	reply, err := b.conn.RequestMsgWithContext(ctx, last)
	if err != nil {
		return 0, b.refuse(fmt.Errorf("commit batch of %d: %w", len(pending), err))
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("read answer to batch: %w", err)
	}
	switch {
	case ack.Error != nil && isConflict(ack.Error):
		return 0, fmt.Errorf("append batch of %d: %w", len(pending), ErrConflict)
	case ack.Error != nil:
		return 0, b.refuse(fmt.Errorf("append batch of %d: %w", len(pending), ack.Error))
	case ack.Count != len(pending):
		return 0, fmt.Errorf("append batch: %d of %d messages were counted", ack.Count, len(pending))
	}
	b.refused.Store(nil)
	return ack.Sequence + 1 - uint64(len(pending)), nil
}

// refuse notes why a write was not taken.
func (b *Bus) refuse(err error) error {
	b.refused.Store(&err)
	return err
}
