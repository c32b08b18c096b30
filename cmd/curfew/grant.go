// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator"
)

func grantCommand() *cobra.Command {
	api := &client{}
	c := group("grant", "Give somebody a role for a time, and end it", grantCreateCommand(api), grantListCommand(api), grantShowCommand(api),
		grantExtendCommand(api), grantRevokeCommand(api), grantStuckCommand(api), grantReviewCommand(api))
	api.flags(c)
	return c
}

// errNoWhy refuses a step that says no reason.
var errNoWhy = usageError{errors.New("--why is missing: say why, for whoever reads the log later")}

// desk is the services that grants are kept by.
type desk struct {
	grants   curfewv1.GrantServiceClient
	requests curfewv1.RequestServiceClient
}

// answer makes one call and prints the grants that it returns, beside an error too, in the way that --output names.
func (api *client) answer(c *cobra.Command, printers map[string]grantPrinter, call func(desk) ([]*curfewv1.Grant, error)) error {
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
	grants, err := call(desk{curfewv1.NewGrantServiceClient(conn), curfewv1.NewRequestServiceClient(conn)})
	if err != nil && len(grants) == 0 {
		return err
	}
	return errors.Join(show(c.OutOrStdout(), grants, time.Now()), err)
}

// cards are the ways in which one grant is printed.
func cards() map[string]grantPrinter {
	return map[string]grantPrinter{"table": printGrant, "json": printGrantLines}
}

// tries are cards, or where the call is only a try, those that say so.
func tries(dry bool) map[string]grantPrinter {
	ways := cards()
	if dry {
		ways["table"] = printTry
	}
	return ways
}

// sheets are the ways in which a list is printed.
func sheets(table grantPrinter) map[string]grantPrinter {
	return map[string]grantPrinter{"table": table, "json": printGrantLines, "csv": printGrantSheet}
}

// one is an answer of a single grant as answer takes it.
func one(g *curfewv1.Grant, err error) ([]*curfewv1.Grant, error) {
	if g == nil {
		return nil, err
	}
	return []*curfewv1.Grant{g}, err
}

func grantCreateCommand(api *client) *cobra.Command {
	var span grantSpan
	var file string
	var wait bool
	request := &curfewv1.CreateGrantRequest{}
	c := &cobra.Command{
		Use:   "create SUBJECT ROLE",
		Short: "Give a role of the policy for a time",
		Long: `Give a role of the policy for a time. What the subject does in that time is judged with the
role, and what it does a second later without. Where the policy says what the role stands for
at SaaS, that is given there, and taken at the end. The time of --for begins once it is held.

With -f a file says what there is to be, a list of {name, subject, role, for or until, from,
why, ticket}. The name is the grant's key: run again, nothing new is made. Exit code 3: one of
them is there already and differs, or has ended.`,
		Example: `  curfew grant create ann analyst --for 2h45m --why "quarterly numbers" --ticket OPS-12
  curfew grant create app:okta/0oa1 role:support --from 2026-11-02T09:00:00Z --until 2026-11-06 --why "migration"
  curfew grant create ann it-admin --break-glass --why "nobody else is awake"
  curfew grant create -f grants.yaml -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if file != "" {
				return arguments(cobra.NoArgs)(c, args)
			}
			return arguments(cobra.ExactArgs(2))(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if file != "" {
				if err := onlyFile(c); err != nil {
					return err
				}
				return api.createAll(c, file, request.GetDryRun())
			}
			request.Subject, request.Role = typed("person", args[0]), typed("role", args[1])
			if err := span.into(&request.From, &request.ExpiresAt, &request.Duration, request.GetBreakGlass()); err != nil {
				return err
			}
			return api.answer(c, tries(request.GetDryRun()), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.grants.CreateGrant(c.Context(), request)
				return waited(c, d, wait && !request.GetDryRun(), untilHeld(), answer.GetGrant(), err)
			})
		},
	}
	span.flags(c)
	c.Flags().StringVar(&request.Reason, "why", "", "why it is given")
	c.Flags().StringVar(&request.Ticket, "ticket", "", "ticket in another system")
	c.Flags().StringVar(&request.IdempotencyKey, "key", "", "a name of your own: run again, the same key makes no second grant")
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "check everything and show what would be; store nothing")
	c.Flags().BoolVar(&request.BreakGlass, "break-glass", false, "an emergency: for yourself, now, soon over, and looked at by somebody else afterwards")
	c.Flags().BoolVar(&wait, "wait", false, "wait until it is held; exit code 3 if it cannot be")
	c.Flags().StringVarP(&file, "file", "f", "", "file with grants that there are to be; - for standard input")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func grantListCommand(api *client) *cobra.Command {
	var subject, role string
	request := &curfewv1.ListGrantsRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List grants, the soonest to end first",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			request.Subject, request.Role = typed("person", subject), typed("role", role)
			return api.answer(c, sheets(printGrants), func(d desk) ([]*curfewv1.Grant, error) {
				var header metadata.MD
				grants, err := d.list(c.Context(), request, grpc.Header(&header))
				if len(header.Get(evaluator.OnlyOwn)) > 0 {
					fmt.Fprintln(c.ErrOrStderr(), "only your own: the policy does not let you list everybody's")
				}
				return grants, err
			})
		},
	}
	c.Flags().StringVar(&subject, "person", "", "person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&role, "role", "", "the role")
	c.Flags().BoolVar(&request.Ended, "all", false, "ended ones too")
	c.Flags().BoolVar(&request.Unreviewed, "unreviewed", false, "only those taken in an emergency that nobody looked at yet")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

// list is without a bound of our own: a list that is too long to come must not be no list.
func (d desk) list(ctx context.Context, request *curfewv1.ListGrantsRequest, options ...grpc.CallOption) ([]*curfewv1.Grant, error) {
	answer, err := d.grants.ListGrants(ctx, request, append(options, grpc.MaxCallRecvMsgSize(math.MaxInt32))...)
	return answer.GetGrants(), err
}

func grantExtendCommand(api *client) *cobra.Command {
	var length string
	request := &curfewv1.ExtendGrantRequest{}
	c := &cobra.Command{
		Use:   "extend ID",
		Short: "Give a grant more time, or ask for it",
		Long: `Give a grant more time, counted from its end. Whoever holds it and may not do that themselves
asks for it, and those who approve such requests answer.`,
		Example: `  curfew grant extend g-pjogfwuskdi4 --for 1h --why "the import takes longer"`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			if request.Reason == "" {
				return errNoWhy
			}
			by, err := parseLength(length)
			if err != nil {
				return err
			}
			request.By = durationpb.New(by)
			return api.answer(c, tries(request.GetDryRun()), func(d desk) ([]*curfewv1.Grant, error) {
				seen, err := d.grants.GetGrant(c.Context(), &curfewv1.GetGrantRequest{Id: request.GetId()})
				if err != nil {
					return nil, err
				}
				request.ExpiresAt = seen.GetGrant().GetExpiresAt() // sent again by whatever is between, it counts once
				answer, err := d.grants.ExtendGrant(c.Context(), request)
				return one(answer.GetGrant(), err)
			})
		},
	}
	c.Flags().StringVar(&length, "for", "", "how much more: 45m, 2h45m, 7d")
	c.Flags().StringVar(&request.Reason, "why", "", "why it is needed")
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "check everything and show what would be; store nothing")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func grantRevokeCommand(api *client) *cobra.Command {
	var why, person string
	var all, wait bool
	c := &cobra.Command{
		Use:   "revoke ID...",
		Short: "End grants now, or everything that somebody holds",
		Long: `End grants now; one that has not begun never will. What they stand for at SaaS is taken from
then on, and asked for again until it is seen gone. One that has ended is left as it is, and
the answer says when that was.`,
		Example: `  curfew grant revoke g-pjogfwuskdi4 --why "done early"
  curfew grant revoke --all --person ann --why "left the company" --wait`,
		Args: func(_ *cobra.Command, args []string) error {
			if all != (person != "") || all == (len(args) > 0) {
				return usageError{errors.New("name the grants, or --all with --person")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if why == "" {
				return errNoWhy
			}
			return api.answer(c, cards(), func(d desk) ([]*curfewv1.Grant, error) {
				if !all {
					return d.revoke(c, args, why, wait)
				}
				subject := typed("person", person)
				answer, err := d.grants.RevokeGrants(c.Context(), &curfewv1.RevokeGrantsRequest{Subject: subject, Reason: why})
				if err == nil && len(answer.GetGrants()) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), plain(subject)+" holds nothing that could be ended")
				}
				return waitedAll(c, d, wait, answer.GetGrants(), err)
			})
		},
	}
	c.Flags().StringVar(&why, "why", "", "why it ends")
	c.Flags().BoolVar(&all, "all", false, "everything that --person holds or has asked for")
	c.Flags().StringVar(&person, "person", "", "person's id, or a subject such as app:okta/0oa1")
	c.Flags().BoolVar(&wait, "wait", false, "wait until it is seen gone; exit code 3 if that takes a person")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// revoke ends each of some grants, whatever becomes of the others.
func (d desk) revoke(c *cobra.Command, ids []string, why string, wait bool) (ended []*curfewv1.Grant, err error) {
	var failed error
	var left []string
	for _, id := range ids {
		answer, err := d.grants.RevokeGrant(c.Context(), &curfewv1.RevokeGrantRequest{Id: id, Reason: why})
		if err != nil {
			failed, left = err, append(left, id+" ("+sayError(err)+")")
			continue
		}
		ended = append(ended, answer.GetGrant())
	}
	ended, err = waitedAll(c, d, wait, ended, nil)
	switch {
	case len(ids) == 1 && failed != nil:
		return nil, failed
	case failed != nil:
		return ended, fmt.Errorf("%d of %d are not ended: %s", len(left), len(ids), strings.Join(left, ", "))
	default:
		return ended, err
	}
}

func grantStuckCommand(api *client) *cobra.Command {
	c := &cobra.Command{
		Use:   "stuck",
		Short: "List grants that should have ended, and what keeps them",
		Long: `List grants whose end is overdue or that a person has to end, the longest overdue first: what
keeps each, since when, and what to do. Exit code 3: there are any.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return api.answer(c, sheets(printStuck), func(d desk) ([]*curfewv1.Grant, error) {
				grants, err := d.list(c.Context(), &curfewv1.ListGrantsRequest{Stuck: true})
				if err == nil && len(grants) > 0 {
					err = errNo
				}
				return grants, err
			})
		},
	}
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

func grantReviewCommand(api *client) *cobra.Command {
	request := &curfewv1.ReviewGrantRequest{}
	c := &cobra.Command{
		Use:   "review ID",
		Short: "Record that you looked at a grant that somebody took in an emergency",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			if request.Comment == "" {
				return usageError{errors.New("--comment is missing: say what you found")}
			}
			return api.answer(c, cards(), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.grants.ReviewGrant(c.Context(), request)
				return one(answer.GetGrant(), err)
			})
		},
	}
	c.Flags().StringVar(&request.Comment, "comment", "", "what you found")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// typed is a name with its kind in front, which may be left out; "" stays.
func typed(kind, name string) string {
	if name == "" || strings.Contains(name, ":") {
		return name
	}
	return kind + ":" + name
}

// grantSpan is the flags that say from when until when.
type grantSpan struct{ from, until, length string }

func (s *grantSpan) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.length, "for", "", "how long, once it is held: 45m, 2h45m, 7d")
	c.Flags().StringVar(&s.until, "until", "", "when it ends, instead of --for: 2026-11-02, 2026-11-02T17:00:00Z; UTC where no zone is said")
	c.Flags().StringVar(&s.from, "from", "", "when it begins, in the same forms as --until; now without it")
}

// into writes when a grant begins, nil where that is now, and when it ends or how long it lasts. Short of both only where
// the policy says how long.
func (s *grantSpan) into(from, until **timestamppb.Timestamp, length **durationpb.Duration, short bool) (err error) {
	switch {
	case s.length != "" && s.until != "", s.length == "" && s.until == "" && !short:
		return usageError{errors.New("give either --for or --until: a grant has an end")}
	case s.length != "":
		d, err := parseLength(s.length)
		if err != nil {
			return err
		}
		*length = durationpb.New(d)
	}
	if *from, err = parseMoment("--from", s.from); err != nil {
		return err
	}
	*until, err = parseMoment("--until", s.until)
	return err
}

// parseMoment is parseTime without "so long ago", which a grant has no use for.
func parseMoment(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if _, err := parseLength(text); err == nil {
		return nil, usageError{fmt.Errorf("%s %q is a length of time; write a time such as 2026-11-02T17:00:00Z, and --for with how long", flag, text)}
	}
	at, ok := parseDate(text)
	if !ok {
		return nil, usageError{fmt.Errorf("%s %q is no time; write 2026-11-02 or 2026-11-02T17:00:00Z", flag, text)}
	}
	return timestamppb.New(at), nil
}

// parseLength reads a length of time as Go writes it, or in whole days.
func parseLength(text string) (time.Duration, error) {
	length, err := yamlfile.Length(text)
	if err == nil && length > 0 && length < time.Second {
		return 0, usageError{fmt.Errorf("--for %q is less than a second", text)}
	}
	if err != nil || length <= 0 {
		return 0, usageError{fmt.Errorf("--for %q is no length of time; write 45m, 2h45m or 7d", text)}
	}
	return length, nil
}
