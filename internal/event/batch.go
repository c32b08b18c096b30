// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxEvent bounds an event without its record, in bytes: it must fit a message of the bus. Leaving a part of it out would
// be a comfortable default, since a scope or a change left out could be the one that matters.
const maxEvent = 256 << 10

// Decode turns one record of a vendor into its events, in the record's order. Ids, times and all that the record says
// are set; what Curfew adds (tenant, act, receipt, the raw record) is not. The error, where there is one, is an
// *Unreadable. A Decode keeps no part of record and is safe for concurrent use.
type Decode func(record []byte) ([]*curfewv1.Event, error)

// Append decodes one record and adds its events, or else a dead letter with the reason and the raw bytes, to the
// batch; it counts the record either way. Line is the record's line in its file, 0 where it came from no file. The raw
// record is kept with the first of its events, its digest with each. Append keeps record: the caller must not change it
// afterwards.
func Append(batch *curfewv1.EventBatch, record []byte, line uint64, decode Decode) {
	batch.Records++
	events, err := decodeSafely(record, decode)
	if err != nil {
		batch.DeadLetters = append(batch.DeadLetters, deadLetter(batch, record, line, err))
		return
	}
	digest := Digest(record)
	for i, e := range events {
		e.Received = batch.Received
		e.RawDigest = digest
		if i == 0 {
			e.Raw = record
		}
	}
	batch.Events = append(batch.Events, events...)
}

// decodeSafely is decode with every way to give no sound event made an error: a record ends as an event or as a dead
// letter, whatever a decoder does with it.
func decodeSafely(record []byte, decode Decode) (events []*curfewv1.Event, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			events, err = nil, &Unreadable{Reason: "decoder panicked", Detail: fmt.Sprint(panicked)}
		}
	}()
	events, err = decode(record)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, &Unreadable{Reason: "no event", Detail: "the decoder made no event of the record"}
	}
	for _, e := range events {
		if err := Validate(e); err != nil {
			return nil, &Unreadable{Reason: "not a valid event", Detail: err.Error()}
		}
		if size := proto.Size(e); size > maxEvent {
			return nil, &Unreadable{Reason: "too large", Detail: fmt.Sprintf("the event has %d bytes without its record; %d are taken", size, maxEvent)}
		}
	}
	return events, nil
}

func deadLetter(batch *curfewv1.EventBatch, record []byte, line uint64, err error) *curfewv1.DeadLetter {
	letter := &curfewv1.DeadLetter{
		Service: "collector",
		Reason:  "undecodable",
		Detail:  err.Error(),
		Origin:  batch.GetSource() + "/" + batch.GetFeed(),
		Raw:     record,
		Line:    line,
		Time:    batch.Received,
	}
	var unreadable *Unreadable
	if errors.As(err, &unreadable) {
		letter.Reason, letter.Detail = unreadable.Reason, Clean(unreadable.Detail)
	}
	if letter.Time == nil {
		letter.Time = timestamppb.New(time.Now())
	}
	letter.Id = ContentKey("collector", letter.Origin, letter.Reason, Digest(record))
	return letter
}
