// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const (
	// maxLine is the longest line that is read whole; what is longer is a dead letter with its beginning.
	maxLine = 64 << 20
	// chunkLines and chunkBytes bound what one worker takes at a time, so that memory does not grow with the input.
	chunkLines = 64
	chunkBytes = 1 << 20
)

func evalCommand() *cobra.Command {
	var source, policy, output, tenant string
	c := &cobra.Command{
		Use:   "eval --source NAME [--policy DIR] FILE...",
		Short: "Judge raw vendor events offline: one decision a line, findings with reasons",
		Long: `Judge raw vendor events from files, one JSON record a line ("-" is standard input), by a policy
folder as if it had always been in force. No server, no network. Without --policy the standard policy
judges: what is not sensitive is allowed, the rest is a violation.

Every line ends as an event (some records hold several) or as a dead letter with its reason; blank lines
are passed over. The last line on standard error counts them. Exit code 3: there were violations.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q must be table or json", output)}
			}
			if source == "" {
				return usageError{fmt.Errorf("--source is missing; there are %s", strings.Join(collector.Formats(), ", "))}
			}
			// Much is made and thrown away at once here, and little kept: collecting it four times as seldom costs some
			// megabytes and saves a tenth of the time.
			defer debug.SetGCPercent(debug.SetGCPercent(400))
			e, err := newEvaluation(source, policy, tenant, output == "json")
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(c.OutOrStdout(), 1<<16)
			err = e.files(c.Context(), files, c.InOrStdin(), out)
			err = errors.Join(err, out.Flush())
			fmt.Fprint(c.ErrOrStderr(), e.total.String())
			if err == nil && e.total.violations > 0 {
				return errNo
			}
			return err
		},
	}
	c.Flags().StringVarP(&source, "source", "s", "", "what the records come from: "+strings.Join(collector.Formats(), ", "))
	c.Flags().StringVarP(&policy, "policy", "p", "", "policy folder")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	c.Flags().StringVar(&tenant, "tenant", "main", "tenant, Casbin's dom")
	return c
}

// evaluation judges records one after the other.
type evaluation struct {
	source string
	tenant string
	json   bool
	decode event.Decode
	cat    *catalog.Catalog
	judge  *judge.Judge
	total  tally
	// buffers are what chunks are printed into, used again.
	buffers sync.Pool
}

func newEvaluation(source, policyDir, tenant string, asJSON bool) (*evaluation, error) {
	decode, err := collector.Decoder(source)
	if err != nil {
		return nil, usageError{err}
	}
	cat, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	policy, err := judge.StandardPolicy(cat)
	if policyDir != "" {
		policy, err = judge.ReadPolicy(policyDir, cat)
	}
	if err != nil {
		return nil, err
	}
	return &evaluation{
		source: source, tenant: tenant, json: asJSON, decode: decode, cat: cat,
		judge: &judge.Judge{
			Tenant:   tenant,
			Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} },
		},
	}, nil
}

// chunk is some lines of one file, and what became of them.
type chunk struct {
	lines   []line
	printed *bytes.Buffer
	tally   tally
	err     error
	done    chan struct{}
}

type line struct {
	number uint64
	text   []byte
	cut    int // bytes of the line beyond maxLine
}

// files judges every file in order. Reading, judging on all cores and printing overlap; what is printed keeps the order.
func (e *evaluation) files(ctx context.Context, files []string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan *chunk)
	order := make(chan *chunk, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for c := range work {
				c.printed, _ = e.buffers.Get().(*bytes.Buffer)
				if c.printed == nil {
					c.printed = new(bytes.Buffer)
				}
				e.evaluate(c)
				close(c.done)
			}
		}()
	}
	read := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(work)
		read <- readChunks(files, in, func(c *chunk) error {
			for _, queue := range []chan *chunk{order, work} {
				select {
				case queue <- c:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}()
	for {
		var c *chunk
		select {
		case <-ctx.Done():
			// What is read may come from a terminal that says nothing more: it is not waited for.
			return ctx.Err()
		case c = <-order:
		}
		if c == nil {
			return <-read
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
		}
		e.total.add(c.tally)
		if c.err != nil {
			return c.err
		}
		if _, err := out.Write(c.printed.Bytes()); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		if c.printed.Cap() <= 2*chunkBytes {
			c.printed.Reset()
			e.buffers.Put(c.printed)
		}
	}
}

// readChunks hands the lines of the files on in order.
func readChunks(files []string, in io.Reader, hand func(*chunk) error) error {
	for _, name := range files {
		if err := readFile(name, in, hand); err != nil {
			return err
		}
	}
	return nil
}

func readFile(name string, in io.Reader, hand func(*chunk) error) (err error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		defer file.Close() // opened to read: nothing can be lost
		in = file
	}
	reader := bufio.NewReaderSize(in, 1<<16)
	if mark, err := reader.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = reader.Discard(3) // a byte order mark is no part of the first record; it has just been seen, so it is there
	}
	c, size := newChunk(), 0
	for number := uint64(1); ; number++ {
		text, cut, err := readLine(reader)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", name, unwrapped(err))
		}
		if len(bytes.TrimSpace(text)) > 0 {
			c.lines = append(c.lines, line{number, text, cut})
			size += len(text)
		}
		last := err != nil
		if len(c.lines) > 0 && (last || len(c.lines) == chunkLines || size >= chunkBytes) {
			if err := hand(c); err != nil {
				return err
			}
			c, size = newChunk(), 0
		}
		if last {
			return nil
		}
	}
}

func newChunk() *chunk { return &chunk{done: make(chan struct{})} }

// readLine reads one line of its own memory without its end, at most maxLine bytes of it; cut is how many more it had.
// At the file's end the error is io.EOF, and there may be a last line with it.
func readLine(reader *bufio.Reader) (text []byte, cut int, err error) {
	for {
		part, err := reader.ReadSlice('\n')
		keep := min(len(part), maxLine-len(text))
		text = append(text, part[:keep]...)
		cut += len(part) - keep
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if cut > 0 && err == nil {
			cut-- // the line's end
		}
		return bytes.TrimRight(text, "\r\n"), cut, err
	}
}

// evaluate decodes, judges and prints a chunk.
func (e *evaluation) evaluate(c *chunk) {
	var w jsonWriter
	for _, l := range c.lines {
		batch := &curfewv1.EventBatch{Source: e.source, Feed: "file", Received: timestamppb.New(time.Now())}
		decode := e.decode
		if l.cut > 0 {
			decode = func([]byte) ([]*curfewv1.Event, error) {
				return nil, &event.Unreadable{Reason: "too long", Detail: fmt.Sprintf("the line has %d bytes; its first %d are kept", len(l.text)+l.cut, len(l.text))}
			}
		}
		event.Append(batch, l.text, l.number, decode)
		c.tally.records += uint64(batch.GetRecords())
		c.tally.dead += uint64(len(batch.GetDeadLetters()))
		c.tally.events += uint64(len(batch.GetEvents()))
		for _, letter := range batch.GetDeadLetters() {
			if c.err = e.printDead(c.printed, letter); c.err != nil {
				return
			}
		}
		for _, ev := range batch.GetEvents() {
			collector.Complete(ev, e.tenant, e.cat)
			if ev.GetAct() == "" {
				c.tally.unknown++
				c.tally.stranger(ev.GetAction(), 1)
			}
			decision, findings := e.judge.Evaluate(ev)
			if decision.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION {
				c.tally.violations++
			}
			if c.err = e.print(c.printed, &w, ev, decision, findings); c.err != nil {
				return
			}
		}
	}
}

func (e *evaluation) print(out *bytes.Buffer, w *jsonWriter, ev *curfewv1.Event, d *curfewv1.Decision, findings []*curfewv1.Finding) error {
	if !e.json {
		fmt.Fprintln(out, decisionLine(d))
		for _, f := range findings {
			fmt.Fprintf(out, "    %s: %s\n", severityWord(f.GetSeverity()), plain(f.GetTitle()))
		}
		return nil
	}
	out.WriteString(`{"event":`)
	if err := w.write(out, ev); err != nil {
		return err
	}
	out.WriteString(`,"decision":`)
	if err := w.write(out, d); err != nil {
		return err
	}
	out.WriteString(`,"findings":[`)
	for i, f := range findings {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := w.write(out, f); err != nil {
			return err
		}
	}
	out.WriteString("]}\n")
	return nil
}

func (e *evaluation) printDead(out *bytes.Buffer, letter *curfewv1.DeadLetter) error {
	if !e.json {
		fmt.Fprintf(out, "%-20s  %-9s  line %d: %s: %s\n", "-", "DEAD", letter.GetLine(), letter.GetReason(), plain(letter.GetDetail()))
		return nil
	}
	return writeDeadLetter(out, letter)
}
