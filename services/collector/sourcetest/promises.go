// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// report takes a promise that was not kept, as t.Errorf does.
type report func(format string, args ...any)

// keep decodes a record and holds what comes of it to all that is promised of every record. It returns what the decoder
// did, and reports what was wrong about it under the name of where the record is from.
func (c DecoderCase) keep(where string, record []byte, report report) ([]*curfewv1.Event, error) {
	kept := bytes.Clone(record)
	events, err := c.Decode(record)
	if !bytes.Equal(kept, record) {
		report("%s: the record was changed", where)
	}
	again, againErr := c.Decode(bytes.Clone(kept))
	if !slices.EqualFunc(events, again, func(a, b *curfewv1.Event) bool { return proto.Equal(a, b) }) || (err == nil) != (againErr == nil) {
		report("%s: decoded twice, got %v (%v) and then %v (%v)", where, events, err, again, againErr)
	}
	if err != nil {
		var unreadable *event.Unreadable
		if !errors.As(err, &unreadable) || unreadable.Reason == "" {
			report("%s: got error %v, want an Unreadable with its reason", where, err)
		}
		if len(events) > 0 {
			report("%s: got %d events and error %v, want one or the other", where, len(events), err)
		}
		return nil, err
	}
	// What is read next into the same memory must not change an event.
	for i := range record {
		record[i] = '#'
	}
	if !slices.EqualFunc(events, again, func(a, b *curfewv1.Event) bool { return proto.Equal(a, b) }) {
		report("%s: an event holds a part of the record's memory", where)
	}
	copy(record, kept)

	if len(events) == 0 || len(events) > 1 && !c.Several {
		report("%s: got %d events, want one", where, len(events))
	}
	for i, e := range events {
		c.sound(where, e, report)
		if part := fmt.Sprintf("#%d", i+1); len(events) > 1 && !strings.HasSuffix(e.GetId(), part) {
			report("%s: act %d of %d has id %s, want one that ends in %s", where, i+1, len(events), e.GetId(), part)
		}
		if i > 0 && share(events[i-1], e) {
			report("%s: %s and %s share a message: to change one changes the other", where, events[i-1].GetId(), e.GetId())
		}
	}
	return events, nil
}

// sound wants an event to be what event.Decode says of one.
func (c DecoderCase) sound(where string, e *curfewv1.Event, report report) {
	if err := event.Validate(e); err != nil {
		report("%s: not a valid event: %v", where, err)
	}
	if e.GetSource() != c.Source {
		report("%s: got source %q, want %q", where, e.GetSource(), c.Source)
	}
	// Marshalling refuses text that is not UTF-8.
	if _, err := protojson.Marshal(e); err != nil {
		report("%s: the event cannot be written: %v", where, err)
	}
	if path, kind := e.GetResource().GetPath(), e.GetResource().GetKind(); e.GetResource() != nil && (kind == "" || !strings.HasPrefix(path+"/", kind+"/")) {
		report("%s: got path %q of kind %q, want one that begins with it", where, path, kind)
	}
	if e.GetTenant() != "" || e.GetAct() != "" || e.GetReceived() != nil || e.GetRaw() != nil || e.GetRawDigest() != "" {
		report("%s: the decoder set what is not its own to set: tenant, act, received, raw or its digest", where)
	}
	if e.GetAction() == "" && len(e.GetOddities()) == 0 {
		report("%s: no action, and no oddity says so", where)
	}
	soundLinks(where, e, report)
}

// share is whether two events have a message in common. Times are left out: nobody changes one in place.
func share(a, b *curfewv1.Event) bool {
	return a.GetActor() != nil && a.GetActor() == b.GetActor() || a.GetApp() != nil && a.GetApp() == b.GetApp() ||
		a.GetResource() != nil && a.GetResource() == b.GetResource() || a.GetOutcome() != nil && a.GetOutcome() == b.GetOutcome() ||
		a.GetContext() != nil && a.GetContext() == b.GetContext()
}

// wrongTypes puts a value of each type in the place of each value of a record: it is odd then, but an event.
func (c DecoderCase) wrongTypes(where string, record []byte, report report) {
	decoder := json.NewDecoder(bytes.NewReader(record))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		report("%s: not a JSON object: %v", where, err)
		return
	}
	odd := func(what string, as any) []string {
		// It was read as JSON, or is ours.
		text, _ := json.Marshal(as)
		events, err := c.keep(where+": "+what, text, report)
		if err != nil {
			report("%s: %s: got error %v, want an event with an oddity", where, what, err)
			return nil
		}
		var oddities []string
		for _, e := range events {
			oddities = append(oddities, e.GetOddities()...)
		}
		return oddities
	}
	for _, wrong := range []string{`null`, `-7.5e3`, `"odd"`, `[[1],{"a":[null]},"b"]`, `{"odd":[{"a":"b"}]}`} {
		replace(fields, json.RawMessage(wrong), func(at string) { odd(at+" as "+wrong, fields) })
	}
	// What is none of its own fields' may be any type; a record in which none is right has something odd to say beyond
	// what an empty one has.
	all := map[string]any{}
	for name := range fields {
		all[name] = []any{[]any{}}
	}
	if len(fields) > 0 && slices.Equal(odd("lists alone", all), odd("nothing", struct{}{})) {
		report("%s: every field is a list of lists, and no oddity says so", where)
	}
}

// replace puts wrong in the place of each value within a JSON value, one after the other, and calls try each time.
func replace(within any, wrong json.RawMessage, try func(at string)) {
	switch within := within.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(within)) {
			right := within[name]
			within[name] = wrong
			try(name)
			within[name] = right
			replace(right, wrong, func(at string) { try(name + "." + at) })
		}
	case []any:
		for i, right := range within {
			within[i] = wrong
			try(fmt.Sprint(i))
			within[i] = right
			replace(right, wrong, func(at string) { try(fmt.Sprint(i) + "." + at) })
		}
	}
}
