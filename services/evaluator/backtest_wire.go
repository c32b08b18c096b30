// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Decoding is most of what a backtest does, and most of a record is not looked at in it. So it reads records itself, by
// the numbers of the contract's fields, and passes over what it has no use for.

// wire is a stored message that is read field by field.
type wire struct {
	rest []byte
	// One of these is the number of the field: of one that has a length, with its content, or of one that is a number.
	length int
	bytes  []byte
	varint int
	value  uint64
	err    error
}

// next goes to the next field; false at the end, and where the message cannot be read.
func (w *wire) next() bool {
	if len(w.rest) == 0 || w.err != nil {
		return false
	}
	number, kind, n := protowire.ConsumeTag(w.rest)
	if n >= 0 {
		w.rest, w.length, w.varint = w.rest[n:], 0, 0
		switch kind {
		case protowire.BytesType:
			w.length = int(number)
			w.bytes, n = protowire.ConsumeBytes(w.rest)
		case protowire.VarintType:
			w.varint = int(number)
			w.value, n = protowire.ConsumeVarint(w.rest)
		default:
			n = protowire.ConsumeFieldValue(number, kind, w.rest)
		}
	}
	if n < 0 {
		w.err = protowire.ParseError(n)
		return false
	}
	w.rest = w.rest[n:]
	return true
}

// text is the field as text.
func (w *wire) text() string { return string(w.bytes) }

// inner is the field as a message.
func (w *wire) inner() *wire { return &wire{rest: w.bytes} }

// verdicts is what a backtest needs of a DecisionBatch.
type verdicts struct {
	sequence uint64 // of the events
	received *timestamppb.Timestamp
	of       []verdict
}

// verdict is what it needs of a Decision.
type verdict struct {
	event     []byte // id
	time      *timestamppb.Timestamp
	verdict   curfewv1.Verdict
	corrected bool // it corrects an earlier one
}

// readVerdicts reads a stored DecisionBatch. The event ids are parts of it.
func readVerdicts(stored []byte) (v verdicts, err error) {
	w := wire{rest: stored}
	for w.next() && err == nil {
		if w.varint == 5 {
			v.sequence = w.value
		}
		switch w.length {
		case 7:
			var one verdict
			one, err = readVerdict(w.inner())
			v.of = append(v.of, one)
		case 10:
			v.received, err = readTime(w.inner())
		}
	}
	if w.err != nil {
		err = w.err
	}
	return v, err
}

func readVerdict(w *wire) (v verdict, err error) {
	for w.next() && err == nil {
		if w.varint == 13 {
			v.verdict = curfewv1.Verdict(w.value)
		}
		switch w.length {
		case 1:
			v.event = w.bytes
		case 2:
			v.time, err = readTime(w.inner())
		case 19:
			v.corrected = true
		}
	}
	if w.err != nil {
		err = w.err
	}
	return v, err
}

func readTime(w *wire) (*timestamppb.Timestamp, error) {
	t := new(timestamppb.Timestamp)
	for w.next() {
		switch w.varint {
		case 1:
			t.Seconds = int64(w.value)
		case 2:
			t.Nanos = int32(w.value)
		}
	}
	return t, w.err
}

// readEvents reads the events of a stored EventBatch, as far as judging looks at them: without context, changes, links,
// oddities and the vendor's record.
func readEvents(stored []byte) (events []*curfewv1.Event, err error) {
	w := wire{rest: stored}
	for w.next() && err == nil {
		if w.length == 6 {
			var e *curfewv1.Event
			e, err = readEvent(w.inner())
			events = append(events, e)
		}
	}
	if w.err != nil {
		err = w.err
	}
	return events, err
}

func readEvent(w *wire) (e *curfewv1.Event, err error) {
	e = new(curfewv1.Event)
	for w.next() && err == nil {
		switch w.length {
		case 1:
			e.Id = w.text()
		case 2:
			e.Tenant = w.text()
		case 3:
			e.Source = w.text()
		case 4:
			e.Feed = w.text()
		case 5:
			e.Time, err = readTime(w.inner())
		case 6:
			e.Received, err = readTime(w.inner())
		case 7:
			e.Action = w.text()
		case 8:
			e.Act = w.text()
		case 9:
			e.Actor, err = readActor(w.inner())
		case 10:
			e.App, err = readApp(w.inner())
		case 11:
			e.Resource, err = readResource(w.inner())
		case 12:
			e.Outcome, err = readOutcome(w.inner())
		}
	}
	if w.err != nil {
		err = w.err
	}
	return e, err
}

func readActor(w *wire) (*curfewv1.Actor, error) {
	a := new(curfewv1.Actor)
	for w.next() {
		if w.varint == 1 {
			a.Type = curfewv1.ActorType(w.value)
		}
		switch w.length {
		case 2:
			a.Id = w.text()
		case 3:
			a.Email = w.text()
		case 4:
			a.Name = w.text()
		}
	}
	return a, w.err
}

func readApp(w *wire) (*curfewv1.App, error) {
	a := new(curfewv1.App)
	for w.next() {
		switch w.length {
		case 1:
			a.Id = w.text()
		case 2:
			a.Name = w.text()
		case 3:
			a.Scopes = append(a.Scopes, w.text())
		}
	}
	return a, w.err
}

func readResource(w *wire) (*curfewv1.Resource, error) {
	r := new(curfewv1.Resource)
	for w.next() {
		switch w.length {
		case 1:
			r.Path = w.text()
		case 2:
			r.Kind = w.text()
		case 3:
			r.Name = w.text()
		case 4:
			r.Owner = w.text()
		case 5:
			r.Visibility = w.text()
		}
	}
	return r, w.err
}

func readOutcome(w *wire) (*curfewv1.Outcome, error) {
	o := new(curfewv1.Outcome)
	for w.next() {
		if w.varint == 1 {
			o.Status = curfewv1.OutcomeStatus(w.value)
		}
		if w.length == 2 {
			o.Reason = w.text()
		}
	}
	return o, w.err
}
