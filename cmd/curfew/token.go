// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func tokenCommand() *cobra.Command {
	api := &client{}
	c := group("token", "Hand out and end what callers of the API prove themselves with", tokenCreateCommand(api), tokenListCommand(api), tokenEndCommand(api))
	api.flags(c)
	return c
}

// tokenPrinter prints tokens as they stand now.
type tokenPrinter func(out io.Writer, tokens []*curfewv1.Token, now time.Time) error

func tokenCreateCommand(api *client) *cobra.Command {
	var length string
	request := &curfewv1.CreateTokenRequest{}
	c := &cobra.Command{
		Use:   "create SUBJECT",
		Short: "Make a token for a person or a service",
		Long: `Make a token for a person or a service, and print it: this once, for it is stored nowhere. Who
shows it acts as SUBJECT, and may do what the policy lets SUBJECT.`,
		Example: `  curfew token create ann --for 30d --note laptop
  curfew token create service:terraform --for 90d --note "CI" -o json`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Subject = typed("person", args[0])
			if length == "" {
				return usageError{errors.New("--for is missing: a token has an end; write 12h or 30d, at most 366d")}
			}
			span, err := parseLength(length)
			if err != nil {
				return err
			}
			request.Duration = durationpb.New(span)
			show, known := map[string]func(io.Writer, *curfewv1.CreateTokenResponse, time.Time) error{"table": printNewToken, "json": printNewTokenLine}[c.Flag("output").Value.String()]
			if !known {
				return usageError{fmt.Errorf("--output %q must be table or json", c.Flag("output").Value)}
			}
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close() // nothing is written through it
			answer, err := curfewv1.NewTokenServiceClient(conn).CreateToken(c.Context(), request)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), answer, time.Now())
		},
	}
	c.Flags().StringVar(&length, "for", "", "how long it is worth something: 12h, 30d; at most 366d")
	c.Flags().StringVar(&request.Note, "note", "", "what it is for")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func tokenListCommand(api *client) *cobra.Command {
	request := &curfewv1.ListTokensRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List tokens, the newest first: all where the policy lets you, else your own",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			printers := map[string]tokenPrinter{"table": printTokens, "json": printTokenLines, "csv": printTokenSheet}
			return api.tokens(c, printers, func(tokens curfewv1.TokenServiceClient) ([]*curfewv1.Token, error) {
				answer, err := tokens.ListTokens(c.Context(), request, grpc.MaxCallRecvMsgSize(math.MaxInt32))
				return answer.GetTokens(), err
			})
		},
	}
	c.Flags().BoolVar(&request.Ended, "all", false, "ended ones too")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

func tokenEndCommand(api *client) *cobra.Command {
	c := &cobra.Command{
		Use:   "end ID",
		Short: "Make a token worth nothing, at once and everywhere",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return api.tokens(c, map[string]tokenPrinter{"table": printTokens, "json": printTokenLines}, func(tokens curfewv1.TokenServiceClient) ([]*curfewv1.Token, error) {
				answer, err := tokens.EndToken(c.Context(), &curfewv1.EndTokenRequest{Id: args[0]})
				return []*curfewv1.Token{answer.GetToken()}, err
			})
		},
	}
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// tokens makes one call and prints the tokens that it returns in the way that --output names.
func (api *client) tokens(c *cobra.Command, printers map[string]tokenPrinter, call func(curfewv1.TokenServiceClient) ([]*curfewv1.Token, error)) error {
	output := c.Flag("output")
	show, known := printers[output.Value.String()]
	if !known {
		return usageError{fmt.Errorf("--output %q must be %s", output.Value, output.Usage)}
	}
	conn, err := api.dial()
	if err != nil {
		return err
	}
	defer conn.Close() // nothing is written through it
	tokens, err := call(curfewv1.NewTokenServiceClient(conn))
	if err != nil {
		return err
	}
	return show(c.OutOrStdout(), tokens, time.Now())
}

// printNewToken shows a token with its secret, and says that this is the only time.
func printNewToken(out io.Writer, answer *curfewv1.CreateTokenResponse, now time.Time) error {
	var text bytes.Buffer
	t := answer.GetToken()
	fmt.Fprintf(&text, "%s can call until %s (in %s) with\n\n", plain(t.GetSubject()), clock(t.GetExpiresAt()), roughly(t.GetExpiresAt().AsTime().Sub(now)))
	fmt.Fprintf(&text, "  %s\n\n", plain(answer.GetSecret()))
	fmt.Fprintf(&text, "This is shown once and cannot be had again. Keep it in a file that only its owner can read, and\n")
	fmt.Fprintf(&text, "name that file with --token-file or CURFEW_TOKEN_FILE.\n")
	fmt.Fprintf(&text, "  end it   curfew token end %s\n", plain(t.GetId()))
	_, err := text.WriteTo(out)
	return err
}

func printNewTokenLine(out io.Writer, answer *curfewv1.CreateTokenResponse, _ time.Time) error {
	var text bytes.Buffer
	if err := new(jsonWriter).write(&text, answer); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err := text.WriteTo(out)
	return err
}

// printTokens is a table, a token a line.
func printTokens(out io.Writer, tokens []*curfewv1.Token, now time.Time) error {
	if len(tokens) == 0 {
		_, err := fmt.Fprintln(out, "no tokens; --all shows ended ones too")
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "TOKEN\tWHO\tUNTIL\t\tMADE BY\tNOTE")
	for _, t := range tokens {
		until, word := t.GetExpiresAt(), "in "+roughly(t.GetExpiresAt().AsTime().Sub(now))
		switch {
		case t.GetEndedAt() != nil:
			until, word = t.GetEndedAt(), "ended"
		case !now.Before(until.AsTime()):
			word = "expired"
		}
		cells := []string{t.GetId(), t.GetSubject(), clock(until), word, t.GetAuthor(), t.GetNote()}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return columns.Flush()
}

// printTokenLines is JSON, a token a line.
func printTokenLines(out io.Writer, tokens []*curfewv1.Token, _ time.Time) error {
	var text bytes.Buffer
	var lines jsonWriter
	for _, t := range tokens {
		if err := lines.write(&text, t); err != nil {
			return err
		}
		text.WriteByte('\n')
	}
	_, err := text.WriteTo(out)
	return err
}

// printTokenSheet is CSV.
func printTokenSheet(out io.Writer, tokens []*curfewv1.Token, _ time.Time) error {
	s := sheet{out, csv.NewWriter(out)}
	err := s.row("token", "subject", "created", "expires_at", "ended_at", "author", "note")
	for _, t := range tokens {
		ended := ""
		if t.GetEndedAt() != nil {
			ended = clock(t.GetEndedAt())
		}
		err = errors.Join(err, s.row(t.GetId(), t.GetSubject(), clock(t.GetCreated()), clock(t.GetExpiresAt()), ended, t.GetAuthor(), t.GetNote()))
	}
	return err
}
