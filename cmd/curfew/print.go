// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// jsonWriter appends messages as JSON, each compact and on no line of its own. Protojson spaces its output differently
// from build to build on purpose (https://protobuf.dev/reference/go/faq/#unstable-json); compacted it is always the
// same. The zero value is ready; it is for one goroutine at a time.
type jsonWriter struct{ scratch []byte }

func (w *jsonWriter) write(out *bytes.Buffer, message proto.Message) error {
	text, err := protojson.MarshalOptions{}.MarshalAppend(w.scratch[:0], message)
	if err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	if cap(text) <= chunkBytes {
		w.scratch = text
	}
	compact(out, text)
	return nil
}

// compact appends valid JSON without the spaces between its parts, as json.Compact does, which looks at every byte in
// turn: most of an event is one long string, its raw record, and is skipped here at once.
func compact(out *bytes.Buffer, text []byte) {
	for len(text) > 0 {
		quote := bytes.IndexByte(text, '"')
		if quote < 0 {
			quote = len(text)
		}
		for _, c := range text[:quote] {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				out.WriteByte(c)
			}
		}
		text = text[quote:]
		end := stringEnd(text)
		out.Write(text[:end])
		text = text[end:]
	}
}

// stringEnd is how long the string is that text begins with; 0 where text is empty.
func stringEnd(text []byte) int {
	for at := 1; at < len(text); {
		quote := bytes.IndexByte(text[at:], '"')
		if quote < 0 {
			return len(text)
		}
		at += quote
		escapes := 0
		for text[at-1-escapes] == '\\' {
			escapes++
		}
		at++
		if escapes%2 == 0 {
			return at
		}
	}
	return len(text)
}

// writeDeadLetter appends {"dead_letter":{...}} with the line's number and its bytes in base64.
func writeDeadLetter(out *bytes.Buffer, letter *curfewv1.DeadLetter) error {
	text, err := json.Marshal(map[string]any{"dead_letter": map[string]any{
		"reason": letter.GetReason(), "detail": letter.GetDetail(), "line": letter.GetLine(), "raw": letter.GetRaw(),
	}})
	if err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	out.Write(text)
	out.WriteByte('\n')
	return nil
}

// decisionLine is a decision as one line of a table.
func decisionLine(d *curfewv1.Decision) string {
	why := d.GetReason()
	if row := d.GetRow(); row != nil {
		why = fmt.Sprintf("%s:%d  %s", row.GetFile(), row.GetLine(), row.GetText())
	}
	subject := d.GetSubject()
	if subject == "" {
		subject = "-"
	}
	act := d.GetAct()
	if act == "" {
		act = "?"
	}
	return plain(fmt.Sprintf("%-20s  %-9s  %-28s  %-10s  %-14s  %s  |  %s",
		clock(d.GetTime()), verdictWord(d.GetVerdict()), subject, act, strings.Join(d.GetClasses(), ","), d.GetObject(), why))
}

func clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return "time unknown"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func verdictWord(v curfewv1.Verdict) string {
	return strings.TrimPrefix(v.String(), "VERDICT_")
}

func severityWord(s curfewv1.Severity) string {
	return strings.TrimPrefix(s.String(), "SEVERITY_")
}

// plainLines is plain of each line; those behind the first are set in, so that none passes for a line of curfew's own.
func plainLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n  ")
}

// plain keeps vendor text from commanding the terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, text)
}
