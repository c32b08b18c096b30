// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// wantedGrant is one grant that a file says there is to be.
type wantedGrant struct {
	Name    string `yaml:"name"`
	Subject string `yaml:"subject"`
	Role    string `yaml:"role"`
	For     string `yaml:"for"`
	Until   string `yaml:"until"`
	From    string `yaml:"from"`
	Why     string `yaml:"why"`
	Ticket  string `yaml:"ticket"`
}

// readWanted reads a file of grants, each with its name as its key; "-" is in. Every error names the line.
func readWanted(name string, in io.Reader) ([]*curfewv1.CreateGrantRequest, error) {
	read := func() ([]byte, error) { return os.ReadFile(name) }
	if name == "-" {
		name, read = "standard input", func() ([]byte, error) { return io.ReadAll(in) }
	}
	content, err := read()
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	var sections []*yamlfile.Section // nil = null, which would else be left out
	if err := yamlfile.Decode(name, content, &sections); err != nil {
		return nil, usageError{err}
	}
	var wanted []*curfewv1.CreateGrantRequest
	seen := map[string]bool{}
	if len(sections) == 0 {
		return nil, usageError{fmt.Errorf("read %s: it names no grant; write a list of {name, subject, role, for or until, why}", name)}
	}
	for i, section := range sections {
		if section == nil {
			return nil, usageError{fmt.Errorf("read %s: entry %d says nothing", name, i+1)}
		}
		var w wantedGrant
		if err := section.Named(name).Decode(&w); err != nil {
			return nil, usageError{err}
		}
		q, err := w.request()
		if err == nil && seen[w.Name] {
			err = fmt.Errorf("a grant called %q is there twice", w.Name)
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("read %s: line %d: %w", name, section.Line(), err)}
		}
		seen[w.Name] = true
		wanted = append(wanted, q)
	}
	return wanted, nil
}

func (w wantedGrant) request() (*curfewv1.CreateGrantRequest, error) {
	for _, required := range []struct{ key, value string }{{"name", w.Name}, {"subject", w.Subject}, {"role", w.Role}} {
		if required.value == "" {
			return nil, fmt.Errorf("%s is missing", required.key)
		}
	}
	if (w.For == "") == (w.Until == "") {
		return nil, errors.New("give either for or until: a grant has an end")
	}
	q := &curfewv1.CreateGrantRequest{Subject: typed("person", w.Subject), Role: typed("role", w.Role), Reason: w.Why, Ticket: w.Ticket, IdempotencyKey: w.Name}
	span := grantSpan{from: w.From, until: w.Until, length: w.For}
	return q, span.into(&q.From, &q.ExpiresAt, &q.Duration, false)
}

// What became of one grant of a file.
const (
	wasCreated = "created"
	wouldBe    = "would be created"
	wasThere   = "exists"
	wasEnded   = "ended"
	differs    = "differs"
	wasRefused = "refused"
)

// outcome is what became of one grant of a file.
type outcome struct {
	name, result string
	grant        *curfewv1.Grant
	why          string
}

// onlyFile refuses a flag beside -f that would say nothing there: the file says it.
func onlyFile(c *cobra.Command) error {
	for _, flag := range []string{"for", "until", "from", "why", "ticket", "key", "break-glass", "wait"} {
		if c.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s goes with SUBJECT and ROLE, and not with -f, where it would say nothing", flag)}
		}
	}
	return nil
}

// createAll makes what a file says there is to be and is not there yet, a line for each.
func (api *client) createAll(c *cobra.Command, file string, dry bool) error {
	show, known := map[string]func(io.Writer, outcome) error{"table": printOutcome, "json": printOutcomeLine}[c.Flag("output").Value.String()]
	if !known {
		return usageError{fmt.Errorf("--output %q must be table or json", c.Flag("output").Value)}
	}
	wanted, err := readWanted(file, c.InOrStdin())
	if err != nil {
		return err
	}
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	grants := curfewv1.NewGrantServiceClient(conn)
	refused, other := 0, 0
	for _, q := range wanted {
		o, err := ensure(c.Context(), grants, q, dry)
		if err != nil {
			return err
		}
		switch o.result {
		case wasRefused:
			refused++
		case differs, wasEnded:
			other++
		}
		if err := show(c.OutOrStdout(), o); err != nil {
			return err
		}
	}
	switch {
	case refused > 0:
		return fmt.Errorf("%d of %d grants were refused", refused, len(wanted))
	case other > 0:
		return errNo
	}
	return nil
}

// ensure makes a grant that is not there yet. An error means that the API did not answer.
func ensure(ctx context.Context, grants curfewv1.GrantServiceClient, q *curfewv1.CreateGrantRequest, dry bool) (outcome, error) {
	o := outcome{name: q.GetIdempotencyKey(), result: wouldBe}
	q.DryRun = true // it tells what is in the way, and the id of what is there
	tried, err := grants.CreateGrant(ctx, q)
	if err == nil {
		o.grant = tried.GetGrant()
		switch {
		case o.grant.GetId() != "" && o.grant.GetEndedAt() != nil:
			o.result, o.why = wasEnded, "grant "+o.grant.GetId()+" of that name ended at "+clock(o.grant.GetEndedAt())+"; to give it again, use another name"
		case o.grant.GetId() != "":
			o.result = wasThere
		case !dry:
			q.DryRun = false
			var made *curfewv1.CreateGrantResponse
			made, err = grants.CreateGrant(ctx, q)
			o.grant, o.result = made.GetGrant(), wasCreated
		}
	}
	switch status.Code(err) {
	case codes.OK:
	case codes.AlreadyExists:
		o.result, o.why = differs, status.Convert(err).Message()
	case codes.InvalidArgument, codes.PermissionDenied, codes.FailedPrecondition:
		o.result, o.why = wasRefused, status.Convert(err).Message()
	default:
		return o, err
	}
	return o, nil
}

func printOutcome(out io.Writer, o outcome) error {
	_, err := fmt.Fprintf(out, "%-9s %s  %s\n", o.result, plain(o.name), plain(cmp.Or(o.why, strings.TrimRight(grantSentence(o.grant, time.Now())+"  "+o.grant.GetId(), " "))))
	return err
}

func printOutcomeLine(out io.Writer, o outcome) error {
	head, err := json.Marshal(map[string]string{"name": o.name, "result": o.result, "why": o.why})
	if err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	text := bytes.NewBuffer(head[:len(head)-1])
	if o.grant != nil {
		text.WriteString(`,"grant":`)
		if err := new(jsonWriter).write(text, o.grant); err != nil {
			return err
		}
	}
	text.WriteString("}\n")
	_, err = text.WriteTo(out)
	return err
}
