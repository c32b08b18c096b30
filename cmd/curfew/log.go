// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func logCommand() *cobra.Command {
	api := &client{}
	c := group("log", "Query and export the access log", logQueryCommand(api), logExportCommand(api))
	api.flags(c)
	return c
}

// logFilter is the flags that choose decisions.
type logFilter struct {
	window
	person, source, verdict string
}

func (f *logFilter) flags(c *cobra.Command) {
	f.window.flags(c)
	c.Flags().StringVar(&f.person, "person", "", "person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&f.source, "source", "", "source, such as okta")
	c.Flags().StringVar(&f.verdict, "verdict", "", "allowed, violation or unknown")
}

func (f *logFilter) request() (*curfewv1.QueryDecisionsRequest, error) {
	from, until, err := f.times(time.Now())
	if err != nil {
		return nil, err
	}
	q := &curfewv1.QueryDecisionsRequest{From: from, Until: until, Person: f.person, Source: f.source}
	if f.verdict != "" {
		value, known := curfewv1.Verdict_value["VERDICT_"+strings.ToUpper(f.verdict)]
		if !known || value == 0 {
			return nil, usageError{fmt.Errorf("--verdict %q must be allowed, violation or unknown", f.verdict)}
		}
		q.Verdict = curfewv1.Verdict(value)
	}
	return q, nil
}

func logQueryCommand(api *client) *cobra.Command {
	var filter logFilter
	var output string
	var follow bool
	c := &cobra.Command{
		Use:   "query",
		Short: "Show decisions",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			request, err := filter.request()
			if err != nil {
				return err
			}
			request.Purpose, request.Follow = curfewv1.Purpose_PURPOSE_READ, follow
			return api.query(c.Context(), request, output, c.OutOrStdout())
		},
	}
	filter.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or csv")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on and show decisions as they are made")
	return c
}

func logExportCommand(api *client) *cobra.Command {
	var filter logFilter
	var format, file string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write decisions to take away, with a header that says what they can and cannot show",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if format == "jsonl" {
				format = "json"
			}
			if format != "json" && format != "csv" {
				return usageError{fmt.Errorf("--format %q must be jsonl or csv", format)}
			}
			request, err := filter.request()
			if err != nil {
				return err
			}
			request.Purpose = curfewv1.Purpose_PURPOSE_EXPORT
			out := c.OutOrStdout()
			if file != "" {
				// Written aside and put in place when it is whole: a broken-off export must not look like one.
				aside, err := os.OpenFile(file+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
				if err != nil {
					return fmt.Errorf("write export: %w", err)
				}
				defer func() {
					if err = errors.Join(err, aside.Close()); err == nil {
						err = os.Rename(aside.Name(), file)
					}
				}()
				out = aside
			}
			return api.query(c.Context(), request, format, out)
		},
	}
	filter.flags(c)
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl or csv")
	c.Flags().StringVar(&file, "file", "", "file to write, for its owner to read only; standard output without it")
	return c
}

// query asks for decisions and prints them as they come. An answer without its trailer is an error: it is not whole.
func (api *client) query(ctx context.Context, request *curfewv1.QueryDecisionsRequest, output string, out io.Writer) error {
	printers := map[string]func(io.Writer) decisionPrinter{"table": newTable, "json": newLines, "csv": newCSV}
	open, known := printers[output]
	if !known {
		return usageError{fmt.Errorf("--output %q must be table, json or csv", output)}
	}
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	stream, err := curfewv1.NewDecisionServiceClient(conn).QueryDecisions(ctx, request)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	printer := open(buffered)
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the answer broke off: it has no trailer, so it is not whole")
		}
		if err != nil {
			return errors.Join(buffered.Flush(), err)
		}
		switch p := part.GetPart().(type) {
		case *curfewv1.QueryDecisionsResponse_Header:
			err = printer.header(p.Header)
		case *curfewv1.QueryDecisionsResponse_Record:
			err = printer.record(p.Record)
		case *curfewv1.QueryDecisionsResponse_Trailer:
			return errors.Join(printer.trailer(p.Trailer), buffered.Flush())
		}
		if request.GetFollow() {
			err = errors.Join(err, buffered.Flush())
		}
		if err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
}

// headerLines is the header of an answer in sentences.
func headerLines(h *curfewv1.QueryHeader) []string {
	q := h.GetRequest()
	lines := []string{
		fmt.Sprintf("Access log of %s, %s", clock(h.GetTime()), h.GetIntegrity()),
		fmt.Sprintf("Window: %s to %s", orWord(q.GetFrom() != nil, clock(q.GetFrom()), "the beginning"), orWord(q.GetUntil() != nil, clock(q.GetUntil()), "now")),
	}
	var filters []string
	for _, f := range []struct{ name, value string }{
		{"person", q.GetPerson()}, {"source", q.GetSource()},
		{"verdict", orWord(q.GetVerdict() != 0, strings.ToLower(verdictWord(q.GetVerdict())), "")},
	} {
		if f.value != "" {
			filters = append(filters, fmt.Sprintf("%s=%q", f.name, f.value))
		}
	}
	lines = append(lines, "Filters: "+orWord(len(filters) > 0, strings.Join(filters, ", "), "none"))
	lines = append(lines, "Policies: "+orWord(len(h.GetPolicyDigests()) > 0, strings.Join(h.GetPolicyDigests(), ", "), "none judged in the window"))
	if len(h.GetCoverage()) == 0 {
		lines = append(lines, "Coverage: no source was read in the window")
	}
	for _, lane := range h.GetCoverage() {
		text := fmt.Sprintf("Coverage of %s/%s: %s", lane.GetSource(), lane.GetFeed(), orWord(len(lane.GetCovered()) > 0, spans(lane.GetCovered()), "none"))
		text += "; gaps: " + orWord(len(lane.GetGaps()) > 0, spans(lane.GetGaps()), "none")
		if len(lane.GetMissingBehind()) > 0 {
			text += fmt.Sprintf("; DECISIONS ARE MISSING behind %d", lane.GetMissingBehind())
		}
		if lane.GetDeadLetters() > 0 {
			text += fmt.Sprintf("; %d records could not be read", lane.GetDeadLetters())
		}
		lines = append(lines, text)
	}
	return lines
}

func spans(all []*curfewv1.Coverage) string {
	texts := make([]string, 0, len(all))
	for _, c := range all {
		texts = append(texts, clock(c.GetFrom())+" to "+clock(c.GetUntil()))
	}
	return strings.Join(slices.Compact(texts), ", ")
}

func orWord(use bool, text, otherwise string) string {
	if use {
		return text
	}
	return otherwise
}
