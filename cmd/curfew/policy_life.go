// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// maxPolicy is how large a policy may be that the API sends, in bytes.
const maxPolicy = 64 << 20

// policyLifeCommands ask a running Curfew about its policy, or give it another.
func policyLifeCommands(api *client) []*cobra.Command {
	return []*cobra.Command{policyApplyCommand(api), policyLogCommand(api), policyShowCommand(api), policyBacktestCommand(api), policySuggestCommand(api)}
}

// ask calls the policy service.
func (api *client) askPolicy(ask func(curfewv1.PolicyServiceClient) error) error {
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	return ask(curfewv1.NewPolicyServiceClient(conn))
}

// candidate is a policy named on the command line: a folder, or the number of an earlier revision.
func candidate(args []string, revision uint64) (files map[string][]byte, err error) {
	switch {
	case len(args) == 1 && revision > 0:
		return nil, usageError{errors.New("give a folder or --revision, not both")}
	case len(args) == 0 && revision == 0:
		return nil, usageError{errors.New("give a policy folder, or --revision for one that was in force before")}
	case revision > 0:
		return nil, nil
	}
	return judge.ReadFiles(args[0])
}

func policyApplyCommand(api *client) *cobra.Command {
	var reason, expect, output string
	var revision uint64
	var dry bool
	c := &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Make a policy folder the next revision, or go back to an earlier one",
		Long: `Make a policy folder the next revision of the policy. It is in force on every replica from the same
moment on, two seconds from now; what happened before that is judged by what was in force then.

To go back is a revision too: --revision N takes the files of revision N again. A policy that cannot
be read, or would let nobody change it any more, is refused, and the revision in force stays.`,
		Example: `  curfew policy apply policy --reason "support may search orders (OPS-17)"
  curfew policy apply --revision 4 --reason "undo: too much was denied"`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if reason == "" {
				return usageError{errors.New("say why with --reason; it stands in the log")}
			}
			files, err := candidate(args, revision)
			if err != nil {
				return err
			}
			return api.askPolicy(func(policy curfewv1.PolicyServiceClient) error {
				answer, err := policy.ApplyPolicy(c.Context(), &curfewv1.ApplyPolicyRequest{
					Files: files, Revision: revision, Reason: reason, ExpectedDigest: expect, DryRun: dry,
				})
				if err != nil {
					return err
				}
				return print1(c.OutOrStdout(), answer, output, func(out io.Writer) { sayApplied(out, answer, dry) })
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it stands in the log")
	c.Flags().StringVar(&expect, "expect", "", "digest of the newest revision as you know it: refuse if another came first")
	c.Flags().Uint64Var(&revision, "revision", 0, "take the files of this revision again")
	c.Flags().BoolVar(&dry, "dry-run", false, "check everything, change nothing")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func sayApplied(out io.Writer, answer *curfewv1.ApplyPolicyResponse, dry bool) {
	r := answer.GetRevision()
	switch {
	case answer.GetUnchanged():
		fmt.Fprintf(out, "unchanged: revision %d is this policy already, in force from %s\n", r.GetNumber(), clock(r.GetFrom()))
	case dry:
		fmt.Fprintf(out, "would be revision %d; nothing was changed\n", r.GetNumber())
	default:
		fmt.Fprintf(out, "revision %d is in force from %s\n", r.GetNumber(), clock(r.GetFrom()))
	}
	fmt.Fprintf(out, "  digest %s\n", r.GetDigest())
}

func policyLogCommand(api *client) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "log",
		Short: "List the revisions of the policy, the newest first",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return api.askPolicy(func(policy curfewv1.PolicyServiceClient) error {
				answer, err := policy.ListPolicyRevisions(c.Context(), &curfewv1.ListPolicyRevisionsRequest{})
				if err != nil {
					return err
				}
				return print1(c.OutOrStdout(), answer, output, func(out io.Writer) {
					for _, r := range slices.Backward(answer.GetRevisions()) {
						fmt.Fprintf(out, "%4d  from %s  %-14s %.12s  %s\n", r.GetNumber(), clock(r.GetFrom()), plain(r.GetAuthor()), r.GetDigest(), plain(r.GetReason()))
					}
				})
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func policyShowCommand(api *client) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "show [N]",
		Short: "Show the files of a revision, the newest without a number",
		Args:  arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			number := uint64(0)
			if len(args) == 1 {
				var err error
				if number, err = strconv.ParseUint(args[0], 10, 64); err != nil || number == 0 {
					return usageError{fmt.Errorf("%q is no number of a revision; `curfew policy log` lists them", args[0])}
				}
			}
			return api.askPolicy(func(policy curfewv1.PolicyServiceClient) error {
				answer, err := policy.GetPolicyRevision(c.Context(), &curfewv1.GetPolicyRevisionRequest{Number: number}, grpc.MaxCallRecvMsgSize(maxPolicy))
				if err != nil {
					return err
				}
				return writeFiles(c.OutOrStdout(), answer.GetRevision(), dir)
			})
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write the files into this folder, which must not hold any of them")
	return c
}

// writeFiles writes a revision's files into a folder, or one after the other to out.
func writeFiles(out io.Writer, r *curfewv1.PolicyRevision, dir string) error {
	names := slices.Sorted(maps.Keys(r.GetFiles()))
	if dir == "" {
		for _, name := range names {
			if _, err := fmt.Fprintf(out, "-- %s --\n%s", name, r.GetFiles()[name]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for _, name := range names {
		if !slices.Contains(judge.Files(), name) {
			return fmt.Errorf("write revision %d: it has a file %q, which is none of a policy's", r.GetNumber(), name)
		}
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("write revision %d: %w", r.GetNumber(), err)
		}
		_, err = file.Write(r.GetFiles()[name])
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write revision %d: %w", r.GetNumber(), err)
		}
	}
	_, err := fmt.Fprintf(out, "revision %d written to %s\n", r.GetNumber(), dir)
	return err
}

// span is the stretch of history that a command looks at.
type span struct {
	window
	source, output string
}

func (s *span) flags(c *cobra.Command) {
	s.window.flags(c)
	c.Flags().StringVar(&s.source, "source", "", "only this source")
	c.Flags().StringVarP(&s.output, "output", "o", "table", "table or json")
}

func policyBacktestCommand(api *client) *cobra.Command {
	var s span
	var revision uint64
	c := &cobra.Command{
		Use:   "backtest [DIR]",
		Short: "Judge recorded events by another policy, and say what would change",
		Long: `Judge what was recorded by another policy, and say what would newly be a violation and what would
newly be allowed, by whom. Nothing is changed, and nobody is alerted.

Exit code 3: there would be new violations.`,
		Example: `  curfew policy backtest policy --from 2026-11-01 --source okta`,
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(s.output); err != nil {
				return err
			}
			from, until, err := s.times(time.Now())
			if err != nil {
				return err
			}
			files, err := candidate(args, revision)
			if err != nil {
				return err
			}
			return api.askPolicy(func(policy curfewv1.PolicyServiceClient) error {
				stream, err := policy.BacktestPolicy(c.Context(), &curfewv1.BacktestPolicyRequest{
					Files: files, Revision: revision, From: from, Until: until, Source: s.source,
				}, grpc.MaxCallRecvMsgSize(maxPolicy))
				if err != nil {
					return err
				}
				result, err := follow(c.ErrOrStderr(), stream)
				if err != nil {
					return err
				}
				if err := print1(c.OutOrStdout(), result, s.output, func(out io.Writer) { sayBacktest(out, result) }); err != nil {
					return err
				}
				for _, change := range result.GetChanges() {
					if change.GetBecomes() == curfewv1.Verdict_VERDICT_VIOLATION {
						return errNo
					}
				}
				return nil
			})
		},
	}
	s.flags(c)
	c.Flags().Uint64Var(&revision, "revision", 0, "judge by this revision instead of a folder")
	return c
}

// follow shows progress to a terminal and returns the result.
func follow(errs io.Writer, stream grpc.ServerStreamingClient[curfewv1.BacktestPolicyResponse]) (*curfewv1.BacktestResult, error) {
	watched := isTerminal(errs)
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the backtest broke off before its result; try it again")
		}
		if err != nil {
			return nil, err
		}
		if result := answer.GetResult(); result != nil {
			if watched {
				fmt.Fprint(errs, "\r\x1b[K")
			}
			return result, nil
		}
		if p := answer.GetProgress(); watched && p.GetBatchesTotal() > 0 {
			fmt.Fprintf(errs, "\r%s %3d %%  %d events", bar(p.GetBatches(), p.GetBatchesTotal()), 100*p.GetBatches()/p.GetBatchesTotal(), p.GetEvents())
		}
	}
}

// bar is how much of a whole is done, in 30 columns.
func bar(done, whole uint64) string {
	const width = 30
	full := int(min(width, width*done/whole))
	return "[" + string(bytes.Repeat([]byte("#"), full)) + string(bytes.Repeat([]byte("."), width-full)) + "]"
}

// isTerminal is whether somebody watches what is written: it goes to a device, and not to the one that forgets.
func isTerminal(out io.Writer) bool {
	file, is := out.(*os.File)
	if !is {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	nowhere, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, nowhere)
}

func checkOutput(output string) error {
	if output != "table" && output != "json" {
		return usageError{fmt.Errorf("--output %q must be table or json", output)}
	}
	return nil
}

// print1 prints an answer as JSON or as say does.
func print1(out io.Writer, answer proto.Message, output string, say func(io.Writer)) error {
	var text bytes.Buffer
	if output == "json" {
		if err := new(jsonWriter).write(&text, answer); err != nil {
			return err
		}
		text.WriteByte('\n')
	} else {
		say(&text)
	}
	_, err := text.WriteTo(out)
	return err
}
