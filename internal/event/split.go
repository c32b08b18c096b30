// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"sync"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Split takes a JSON list apart into its values, byte for byte, which share page's memory. What stands in a value is not
// looked at, so that one that is broken is one dead letter and not the end of the page; but a page that is no list, or ends
// before its list does, is an error.
func Split(page []byte) ([]json.RawMessage, error) {
	rest := bytes.TrimLeft(page, space)
	if len(rest) == 0 || rest[0] != '[' {
		return nil, errors.New("not a JSON list")
	}
	rest = bytes.TrimLeft(rest[1:], space)
	records := []json.RawMessage{}
	if len(rest) > 0 && rest[0] == ']' {
		return records, ended(rest[1:])
	}
	for {
		end := valueEnd(rest)
		if end <= 0 || end == len(rest) {
			return nil, errors.New("the JSON list breaks off")
		}
		records = append(records, json.RawMessage(rest[:end:end]))
		rest = bytes.TrimLeft(rest[end:], space)
		switch {
		case len(rest) == 0:
			return nil, errors.New("the JSON list breaks off")
		case rest[0] == ']':
			return records, ended(rest[1:])
		case rest[0] != ',':
			return nil, errors.New("no comma between two values of the JSON list")
		}
		rest = bytes.TrimLeft(rest[1:], space)
	}
}

const space = " \t\r\n"

func ended(rest []byte) error {
	if len(bytes.TrimLeft(rest, space)) > 0 {
		return errors.New("something stands behind the JSON list")
	}
	return nil
}

// valueEnd is how long the value is that text begins with; not above 0, or all of text, where it does not end.
func valueEnd(text []byte) int {
	depth := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			if at = stringEnd(text, at); at < 0 {
				return -1
			}
			if depth == 0 {
				return at + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at
			}
			if depth--; depth == 0 {
				return at + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return at
			}
		}
	}
	return -1
}

// stringEnd is where the string that begins at a place ends, its closing quote; -1 where it does not.
func stringEnd(text []byte, at int) int {
	for at++; at < len(text); at++ {
		quote := bytes.IndexByte(text[at:], '"')
		if quote < 0 {
			return -1
		}
		at += quote
		escapes := 0
		for text[at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
	return -1
}

// AppendAll is Append for each of many records, in their order; the decoding is shared out among the machine's cores.
func AppendAll(batch *curfewv1.EventBatch, records []json.RawMessage, decode Decode) {
	// Below some records the sharing out costs more than it spares.
	const share = 64
	workers := min(runtime.GOMAXPROCS(0), len(records)/share+1)
	parts := make([]*curfewv1.EventBatch, workers)
	var all sync.WaitGroup
	for i := range parts {
		parts[i] = &curfewv1.EventBatch{Source: batch.GetSource(), Feed: batch.GetFeed(), Received: batch.GetReceived()}
		all.Go(func() {
			for _, record := range records[i*len(records)/workers : (i+1)*len(records)/workers] {
				Append(parts[i], record, 0, decode)
			}
		})
	}
	all.Wait()
	for _, part := range parts {
		batch.Records += part.GetRecords()
		batch.Events = append(batch.Events, part.GetEvents()...)
		batch.DeadLetters = append(batch.DeadLetters, part.GetDeadLetters()...)
	}
}
