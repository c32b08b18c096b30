// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Decoding is most of what a backtest does, and most of a record is not looked at in it: it is passed over.

// The numbers of EventBatch.events and DecisionBatch.decisions.
const (
	eventsNumber    protowire.Number = 6
	decisionsNumber protowire.Number = 7
)

// isJudged is whether judging looks at a field of an Event: not at context, changes, raw and oddities.
func isJudged(number protowire.Number) bool {
	return number != 12 && number != 14 && number != 15 && number != 18
}

// isCompared is whether a field of a Decision says which event it is about, when that was, or the verdict.
func isCompared(number protowire.Number) bool {
	return number == 1 || number == 2 || number == 13 || number == 19
}

// readEvents decodes the events of a stored EventBatch, as far as they are judged.
func readEvents(stored []byte) (events []*curfewv1.Event, err error) {
	var short []byte
	err = eachField(stored, func(number protowire.Number, field, content []byte) error {
		if number != eventsNumber {
			return nil
		}
		e := new(curfewv1.Event)
		if short, err = shorten(short[:0], content, isJudged); err != nil {
			return err
		}
		events = append(events, e)
		return proto.Unmarshal(short, e)
	})
	return events, err
}

// readVerdicts decodes a stored DecisionBatch, its decisions as far as they are compared.
func readVerdicts(stored []byte) (*curfewv1.DecisionBatch, error) {
	var short []byte
	err := eachField(stored, func(number protowire.Number, field, content []byte) (err error) {
		if number != decisionsNumber {
			short = append(short, field...)
			return nil
		}
		part, err := shorten(nil, content, isCompared)
		short = protowire.AppendBytes(protowire.AppendTag(short, number, protowire.BytesType), part)
		return err
	})
	batch := new(curfewv1.DecisionBatch)
	if err == nil {
		err = proto.Unmarshal(short, batch)
	}
	if err != nil {
		return nil, fmt.Errorf("decode decisions: %w", err)
	}
	return batch, nil
}

// shorten appends those fields of a message to into that are to be kept.
func shorten(into, message []byte, keep func(protowire.Number) bool) ([]byte, error) {
	err := eachField(message, func(number protowire.Number, field, _ []byte) error {
		if keep(number) {
			into = append(into, field...)
		}
		return nil
	})
	return into, err
}

// eachField calls visit with each field of a message, and with its content where it has a length.
func eachField(message []byte, visit func(number protowire.Number, field, content []byte) error) error {
	for len(message) > 0 {
		number, kind, start := protowire.ConsumeTag(message)
		if start < 0 {
			return protowire.ParseError(start)
		}
		length := protowire.ConsumeFieldValue(number, kind, message[start:])
		if length < 0 {
			return protowire.ParseError(length)
		}
		var content []byte
		if kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(message[start:])
		}
		if err := visit(number, message[:start+length], content); err != nil {
			return err
		}
		message = message[start+length:]
	}
	return nil
}
