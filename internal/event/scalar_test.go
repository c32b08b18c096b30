// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/event"
)

func TestScalar(t *testing.T) {
	before := event.Scalar{Text: "before", Odd: true}
	for _, test := range []struct {
		value string
		want  event.Scalar
		over  event.Scalar // what becomes of before
	}{
		{`"text"`, event.Scalar{Text: "text"}, event.Scalar{Text: "text"}},
		{`"a \"b\" \u00e4\n"`, event.Scalar{Text: "a \"b\" ä\n"}, event.Scalar{Text: "a \"b\" ä\n"}},
		{`"ä"`, event.Scalar{Text: "ä"}, event.Scalar{Text: "ä"}},
		{`"\ud800"`, event.Scalar{Text: "\uFFFD"}, event.Scalar{Text: "\uFFFD"}},
		{"\"\xff\"", event.Scalar{Text: "\uFFFD"}, event.Scalar{Text: "\uFFFD"}},
		{`100000000000000000001`, event.Scalar{Text: "100000000000000000001"}, event.Scalar{Text: "100000000000000000001"}},
		{`-1.5e400`, event.Scalar{Text: "-1.5e400"}, event.Scalar{Text: "-1.5e400"}},
		{`0`, event.Scalar{Text: "0"}, event.Scalar{Text: "0"}},
		{`true`, event.Scalar{Text: "true"}, event.Scalar{Text: "true"}},
		{`false`, event.Scalar{Text: "false"}, event.Scalar{Text: "false"}},
		{`""`, event.Scalar{}, before},
		{`null`, event.Scalar{}, before},
		{`{"a":1}`, event.Scalar{Odd: true}, before},
		{`["a"]`, event.Scalar{Odd: true}, before},
	} {
		var got struct {
			Field event.Scalar `json:"field"`
			Next  event.Scalar `json:"next"`
		}
		record := []byte(`{"field": ` + test.value + ` ,"next":"sound"}`)
		if err := json.Unmarshal(record, &got); err != nil || got.Field != test.want || got.Next.Text != "sound" {
			t.Errorf("%s: got %+v and error %v, want %+v, and the next field sound", test.value, got, err, test.want)
		}
		got.Field = before
		if err := json.Unmarshal(record, &got); err != nil || got.Field != test.over {
			t.Errorf("%s over %+v: got %+v and error %v, want %+v", test.value, before, got.Field, err, test.over)
		}
	}
	var none event.Scalar
	if err := none.UnmarshalJSON(nil); err != nil || none != (event.Scalar{}) {
		t.Errorf("no value: got %+v and error %v, want none", none, err)
	}
}

// A Scalar is the text that encoding/json itself would read, and takes any value without an error.
func FuzzScalar(f *testing.F) {
	for _, value := range []string{`"a"`, `"\u0000\ud800"`, `1e400`, `[[]]`, `{"":null}`, `null`, `true`, "\"\xc3\x28\"", `"` + strings.Repeat("ä", 100) + `"`} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !json.Valid(value) {
			return
		}
		var got event.Scalar
		if err := json.Unmarshal(value, &got); err != nil {
			t.Fatalf("%q: got error %v, want none", value, err)
		}
		if !utf8.ValidString(got.Text) {
			t.Fatalf("%q: got text %q, want valid UTF-8", value, got.Text)
		}
		var text string
		if err := json.Unmarshal(value, &text); err == nil && got != (event.Scalar{Text: text}) {
			t.Fatalf("%q: got %+v, want %q", value, got, text)
		}
	})
}
