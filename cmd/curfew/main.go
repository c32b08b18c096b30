// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Command curfew is the one binary: the services, the admin client and the offline commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Exit codes, as `curfew --help` lists them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNo     = 3
)

// errNo ends a command whose answer is "no": it ran well and what it was asked is not so.
var errNo = errors.New("the answer is no")

// usageError is an error in how a command was called.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // asked a second time, it ends at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program as a function: the command line in, the exit code out.
func run(ctx context.Context, arguments []string, in io.Reader, out, errs io.Writer) int {
	root := rootCommand()
	root.SetArgs(arguments)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	return exitCode(ctx, sayUnsent(root.ExecuteContext(ctx), arguments), errs)
}

// sayUnsent is an error in words where it is that a text of the command line cannot be sent.
func sayUnsent(err error, arguments []string) error {
	at := slices.IndexFunc(arguments, func(text string) bool { return !utf8.ValidString(text) })
	if status.Code(err) != codes.Internal || at < 0 || !strings.Contains(err.Error(), "invalid UTF-8") {
		return err
	}
	return usageError{fmt.Errorf("%q cannot be sent: it is not valid UTF-8; write it in a terminal whose encoding is UTF-8", arguments[at])}
}

// exitCode says what went wrong, where something did.
func exitCode(ctx context.Context, err error, errs io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		return exitNo
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(errs, "curfew: interrupted")
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(errs, "curfew: %s\n", plainLines(err.Error()))
		return exitUsage
	default:
		fmt.Fprintf(errs, "curfew: %s\n", plainLines(sayError(err)))
		if isDenied(err) {
			return exitNo
		}
		return exitFailed
	}
}

// isDenied is whether the API answered that the caller may not.
func isDenied(err error) bool {
	var api interface{ GRPCStatus() *status.Status }
	return errors.As(err, &api) && api.GRPCStatus().Code() == codes.PermissionDenied
}

// sayError is an error as a person should read it; one of the API's without its wrapping.
func sayError(err error) string {
	var api interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &api) {
		return err.Error()
	}
	s := api.GRPCStatus()
	if strings.Contains(s.Message(), "remote error: tls: unknown certificate authority") {
		return "the API does not know the CA of the certificate in --tls-cert; its api.tls.client_ca names those that it knows"
	}
	if m := s.Message(); s.Code() == codes.Unavailable && (strings.Contains(m, "broken pipe") || strings.Contains(m, "connection reset")) {
		// TLS 1.3 refuses a certificate after the client has begun to write: what it says of that may be lost.
		return m + "; is `curfew run` running, is --address right, and does it know the CA of the certificate in --tls-cert, if there is one?"
	}
	if s.Code() == codes.Unavailable {
		return s.Message() + "; is `curfew run` running, and is --address right?"
	}
	return s.Message()
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "curfew",
		Short: "Who touched sensitive data in which SaaS, and were they allowed to at that moment?",
		Long: `Curfew tells a company who touched its sensitive data in which SaaS, whether they were
allowed to at that moment, and makes temporary access really end.

Start with "curfew demo": an invented shop on this machine, with no account anywhere.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is "no" (violations found ...).`,
		Version:       version(),
		Args:          arguments(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(runCommand(), demoCommand(), doctorCommand(), evalCommand(), logCommand(), findingCommand(), policyCommand(), grantCommand(), requestCommand(), tokenCommand(), alertCommand(), silenceCommand())
	return root
}

// arguments makes what cobra says of a command's arguments a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
		}
		return nil
	}
}

// group is a command that only holds others: called alone it shows them, called with a word it does not know it says so.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: arguments(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
