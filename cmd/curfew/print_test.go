// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func FuzzCompact(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { "a" : [ 1 , true , null ] , "b" : "x y" } `, `"\\"`, `"\""`, `{"a":"\\\" ", "b": "\\\\"}`, `[ "", " ", "\u0020" ]`, `1`, "\t[\r\n]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want, got bytes.Buffer
		if json.Compact(&want, text) != nil {
			return // not JSON
		}
		compact(&got, text)
		if got.String() != want.String() {
			t.Fatalf("compact(%q): got %q, want %q", text, got.String(), want.String())
		}
	})
}
