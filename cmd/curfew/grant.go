// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func grantCommand() *cobra.Command {
	api := &client{}
	c := group("grant", "Give somebody a role for a time, and end it", grantCreateCommand(api), grantListCommand(api), grantRevokeCommand(api))
	api.flags(c)
	return c
}

func grantCreateCommand(api *client) *cobra.Command {
	var span grantSpan
	request := &curfewv1.CreateGrantRequest{}
	c := &cobra.Command{
		Use:   "create SUBJECT ROLE",
		Short: "Give a role of the policy for a time",
		Long: `Give a role of the policy for a time. What the subject does in that time is judged with the
role, and what it does a second later without. Nothing is changed at any SaaS.`,
		Example: `  curfew grant create ann analyst --for 2h45m --why "quarterly numbers" --ticket OPS-12
  curfew grant create app:okta/0oa1 role:support --from 2026-11-02T09:00:00Z --until 2026-11-06 --why "migration"`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Subject, request.Role = typed("person", args[0]), typed("role", args[1])
			if request.Reason == "" {
				return usageError{errors.New("--why is missing: say why, for whoever reads the log later")}
			}
			var err error
			if request.From, request.ExpiresAt, err = span.times(time.Now()); err != nil {
				return err
			}
			return api.grants(c, map[string]grantPrinter{"table": printGrant, "json": printGrantLines}, func(grants curfewv1.GrantServiceClient) ([]*curfewv1.Grant, error) {
				answer, err := grants.CreateGrant(c.Context(), request)
				return []*curfewv1.Grant{answer.GetGrant()}, err
			})
		},
	}
	c.Flags().StringVar(&span.length, "for", "", "how long: 45m, 2h45m, 7d")
	c.Flags().StringVar(&span.until, "until", "", "when it ends, instead of --for: 2026-11-02, 2026-11-02T17:00:00Z; UTC where no zone is said")
	c.Flags().StringVar(&span.from, "from", "", "when it begins, in the same forms as --until; now without it")
	c.Flags().StringVar(&request.Reason, "why", "", "why it is given")
	c.Flags().StringVar(&request.Ticket, "ticket", "", "ticket in another system")
	c.Flags().StringVar(&request.IdempotencyKey, "key", "", "a name of your own: run again with the same --until, the same key makes no second grant")
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
			printers := map[string]grantPrinter{"table": printGrants, "json": printGrantLines, "csv": printGrantSheet}
			return api.grants(c, printers, func(grants curfewv1.GrantServiceClient) ([]*curfewv1.Grant, error) {
				// Without a bound of our own: a list that is too long to come must not be no list.
				answer, err := grants.ListGrants(c.Context(), request, grpc.MaxCallRecvMsgSize(math.MaxInt32))
				return answer.GetGrants(), err
			})
		},
	}
	c.Flags().StringVar(&subject, "person", "", "person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&role, "role", "", "the role")
	c.Flags().BoolVar(&request.Ended, "all", false, "ended ones too")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

func grantRevokeCommand(api *client) *cobra.Command {
	request := &curfewv1.RevokeGrantRequest{}
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a grant now",
		Long: `End a grant now; one that has not begun never will. One that has ended is left as it is, and
the answer says when that was. Nothing is changed at any SaaS.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			if request.Reason == "" {
				return usageError{errors.New("--why is missing: say why, for whoever reads the log later")}
			}
			return api.grants(c, map[string]grantPrinter{"table": printGrant, "json": printGrantLines}, func(grants curfewv1.GrantServiceClient) ([]*curfewv1.Grant, error) {
				answer, err := grants.RevokeGrant(c.Context(), request)
				return []*curfewv1.Grant{answer.GetGrant()}, err
			})
		},
	}
	c.Flags().StringVar(&request.Reason, "why", "", "why it ends")
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

// times returns when a grant begins, nil where that is now, and when it ends.
func (s grantSpan) times(now time.Time) (from, until *timestamppb.Timestamp, err error) {
	if (s.length == "") == (s.until == "") {
		return nil, nil, usageError{errors.New("give either --for or --until: a grant has an end")}
	}
	if from, err = parseMoment("--from", s.from, now); err != nil {
		return nil, nil, err
	}
	if s.until != "" {
		until, err = parseMoment("--until", s.until, now)
		return from, until, err
	}
	length, err := parseLength(s.length)
	if err != nil {
		return nil, nil, err
	}
	if from != nil {
		now = from.AsTime()
	}
	return from, timestamppb.New(now.Add(length)), nil
}

// parseMoment is parseTime without "so long ago", which a grant has no use for.
func parseMoment(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if _, err := parseLength(text); err == nil {
		return nil, usageError{fmt.Errorf("%s %q is a length of time; write a time such as 2026-11-02T17:00:00Z, and --for with how long", flag, text)}
	}
	return parseTime(flag, text, now)
}

// parseLength reads a length of time as Go writes it, or in whole days.
func parseLength(text string) (time.Duration, error) {
	length, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); err != nil && found {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n <= 10_000 {
			length = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || length <= 0 {
		return 0, usageError{fmt.Errorf("--for %q is no length of time; write 45m, 2h45m or 7d", text)}
	}
	return length, nil
}

// grants makes one call and prints the grants that it returns in the way that --output names.
func (api *client) grants(c *cobra.Command, printers map[string]grantPrinter, call func(curfewv1.GrantServiceClient) ([]*curfewv1.Grant, error)) error {
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
	grants, err := call(curfewv1.NewGrantServiceClient(conn))
	if err != nil {
		return err
	}
	return show(c.OutOrStdout(), grants, time.Now())
}
