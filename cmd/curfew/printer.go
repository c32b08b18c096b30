// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// decisionPrinter prints one answer: header, records, trailer.
type decisionPrinter interface {
	header(*curfewv1.QueryHeader) error
	record(*curfewv1.DecisionRecord) error
	trailer(*curfewv1.QueryTrailer) error
}

// table is for people.
type table struct{ out io.Writer }

func newTable(out io.Writer) decisionPrinter { return table{out} }

func (t table) header(h *curfewv1.QueryHeader) error {
	_, err := fmt.Fprintf(t.out, "%s\n\n", strings.Join(headerLines(h), "\n"))
	return err
}

func (t table) record(r *curfewv1.DecisionRecord) error {
	_, err := fmt.Fprintln(t.out, decisionLine(r.GetDecision()))
	return err
}

func (t table) trailer(end *curfewv1.QueryTrailer) error {
	_, err := fmt.Fprintf(t.out, "\n%d decisions\n", end.GetRecords())
	return err
}

// lines is JSON, an object a line: {"header":...}, {"record":...} for each, {"trailer":...}.
type lines struct{ out io.Writer }

func newLines(out io.Writer) decisionPrinter { return lines{out} }

func (l lines) header(h *curfewv1.QueryHeader) error    { return l.print("header", h) }
func (l lines) record(r *curfewv1.DecisionRecord) error { return l.print("record", r) }
func (l lines) trailer(t *curfewv1.QueryTrailer) error  { return l.print("trailer", t) }

func (l lines) print(name string, message proto.Message) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "{%q:", name)
	if err := new(jsonWriter).write(&text, message); err != nil {
		return err
	}
	text.WriteString("}\n")
	_, err := text.WriteTo(l.out)
	return err
}

// sheet is CSV with the header and the trailer as comment lines.
type sheet struct {
	out io.Writer
	csv *csv.Writer
}

func newCSV(out io.Writer) decisionPrinter { return sheet{out, csv.NewWriter(out)} }

func (s sheet) header(h *curfewv1.QueryHeader) error {
	for _, line := range headerLines(h) {
		if _, err := fmt.Fprintf(s.out, "# %s\n", line); err != nil {
			return err
		}
	}
	return s.row("sequence", "index", "time", "verdict", "subject", "person", "act", "object", "classes", "action", "outcome",
		"source", "feed", "reason", "row", "row_line", "grant", "policy", "event")
}

func (s sheet) record(r *curfewv1.DecisionRecord) error {
	d := r.GetDecision()
	at := ""
	if d.GetTime() != nil {
		at = clock(d.GetTime())
	}
	rowLine := ""
	if d.GetRow() != nil {
		rowLine = fmt.Sprint(d.GetRow().GetLine())
	}
	return s.row(fmt.Sprint(r.GetSequence()), fmt.Sprint(r.GetIndex()), at, strings.ToLower(verdictWord(d.GetVerdict())),
		d.GetSubject(), d.GetPerson(), d.GetAct(), d.GetObject(), strings.Join(d.GetClasses(), " "), d.GetAction(),
		strings.ToLower(strings.TrimPrefix(d.GetOutcome().String(), "OUTCOME_STATUS_")), d.GetSource(), d.GetFeed(),
		d.GetReason(), d.GetRow().GetText(), rowLine, d.GetGrantId(), d.GetPolicyDigest(), d.GetEventId())
}

func (s sheet) trailer(t *curfewv1.QueryTrailer) error {
	_, err := fmt.Fprintf(s.out, "# %d decisions\n", t.GetRecords())
	return err
}

// row writes cells that a spreadsheet takes for text: one that begins like a formula gets an apostrophe in front
// (https://owasp.org/www-community/attacks/CSV_Injection).
func (s sheet) row(cells ...string) error {
	for i, cell := range cells {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			cells[i] = "'" + cell
		}
	}
	err := s.csv.Write(cells)
	s.csv.Flush()
	return errors.Join(err, s.csv.Error())
}
