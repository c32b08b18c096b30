// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestSplit(t *testing.T) {
	for page, want := range map[string][]string{
		`[]`: {}, ` [ ] `: {}, `[1]`: {"1"}, `[1,"a",null , true]`: {"1", `"a"`, "null", "true"},
		`[{"a":"]},{"},[[],{}]]` + "\n": {`{"a":"]},{"}`, `[[],{}]`}, `["\\","\\\""]`: {`"\\"`, `"\\\""`},
		// Broken within: the next one is found all the same.
		`[{"a":]},{"b":1}]`: nil, `[{"a"::},{"b":1}]`: {`{"a"::}`, `{"b":1}`}, `[tru,2]`: {"tru", "2"},
		``: nil, `null`: nil, `{}`: nil, `42`: nil, `[`: nil, `[1`: nil, `[1,`: nil, `[1,]`: nil, `[,1]`: nil, `[1 2]`: nil, `[1]]`: nil, `[1] x`: nil,
		`["a]`: nil, `[{"a":1]`: nil, `["a\\"`: nil,
	} {
		records, err := event.Split([]byte(page))
		var got []string
		for _, record := range records {
			got = append(got, string(record))
		}
		if (err != nil) != (want == nil) || err == nil && !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", page, got, err, want)
		}
	}
}

// What encoding/json takes for a list of values is split as it does.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{`[]`, `[1,"a",{"b":[null]}]`, `[" \" ]", []]`, "[ 1\t,\n2 ]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		got, err := event.Split(page)
		var want []json.RawMessage
		if json.Unmarshal(page, &want) != nil || want == nil {
			return
		}
		if err != nil || !slices.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("%q: got %q, %v, want %q", page, got, err, want)
		}
	})
}

// Shared out or not, the records become the same batch.
func TestAppendAll(t *testing.T) {
	decode := func(record []byte) ([]*curfewv1.Event, error) {
		var number int
		if err := json.Unmarshal(record, &number); err != nil {
			return nil, &event.Unreadable{Reason: "no number", Detail: "it is none"}
		}
		return []*curfewv1.Event{{Id: fmt.Sprint("test:", number), Source: "test", Feed: "log"}}, nil
	}
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		one := &curfewv1.EventBatch{Source: "test", Feed: "log", Received: timestamppb.New(time.Unix(1, 0))}
		all := proto.CloneOf(one)
		var records []json.RawMessage
		for i := range n {
			record := json.RawMessage(fmt.Sprint(i))
			if i%7 == 3 {
				record = json.RawMessage(`"odd"`)
			}
			records = append(records, record)
			event.Append(one, record, 0, decode)
		}
		event.AppendAll(all, records, decode)
		if !proto.Equal(one, all) {
			t.Errorf("%d records: got %v, want %v", n, all, one)
		}
	}
}
