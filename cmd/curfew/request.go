// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func requestCommand() *cobra.Command {
	api := &client{}
	c := group("request", "Ask for a role for a time, and answer", requestCreateCommand(api), requestListCommand(api),
		showCommand(api, "Show a request, with its life"), requestApproveCommand(api), requestDenyCommand(api), requestCancelCommand(api))
	api.flags(c)
	return c
}

func requestCreateCommand(api *client) *cobra.Command {
	var span grantSpan
	var subject string
	var wait bool
	request := &curfewv1.CreateRequestRequest{}
	c := &cobra.Command{
		Use:   "create ROLE",
		Short: "Ask for a role of the policy for a time",
		Long: `Ask for a role of the policy for a time, for yourself or with --subject for somebody else.
Those who may approve it are told. The time of --for begins once it is held.`,
		Example: `  curfew request create analyst --for 2h --why "quarterly numbers" --ticket OPS-12 --wait`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Subject, request.Role = typed("person", subject), typed("role", args[0])
			if err := span.into(&request.From, &request.ExpiresAt, &request.Duration, false); err != nil {
				return err
			}
			return api.answer(c, tries(request.GetDryRun()), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.requests.CreateRequest(c.Context(), request)
				return waited(c, d, wait && !request.GetDryRun(), untilHeld(), answer.GetGrant(), err)
			})
		},
	}
	span.flags(c)
	c.Flags().StringVar(&subject, "subject", "", "who is to hold it; you without it")
	c.Flags().StringVar(&request.Reason, "why", "", "why it is needed")
	c.Flags().StringVar(&request.Ticket, "ticket", "", "ticket in another system")
	c.Flags().StringVar(&request.IdempotencyKey, "key", "", "a name of your own: run again, the same key makes no second request")
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "check everything and show what would be; store nothing")
	c.Flags().BoolVar(&wait, "wait", false, "wait until it is held; exit code 3 if it is denied or cannot be")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func requestListCommand(api *client) *cobra.Command {
	request := &curfewv1.ListRequestsRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List requests that wait for an answer, the first to expire first",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return api.answer(c, sheets(printRequests), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.requests.ListRequests(c.Context(), request, grpc.MaxCallRecvMsgSize(math.MaxInt32))
				return answer.GetGrants(), err
			})
		},
	}
	c.Flags().BoolVar(&request.ToAnswer, "to-answer", false, "only those that you may answer")
	c.Flags().BoolVar(&request.Answered, "all", false, "answered ones too")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

func requestApproveCommand(api *client) *cobra.Command {
	request := &curfewv1.ApproveRequestRequest{}
	c := &cobra.Command{
		Use:   "approve ID",
		Short: "Say yes to a request, or to more time for a grant",
		Long: `Say yes to a request, or to more time for a grant, and show what that was said to. With the
digest of a request that you saw before (-o json shows it) nothing else is approved.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			return api.answer(c, cards(), func(d desk) ([]*curfewv1.Grant, error) {
				if request.GetDigest() == "" {
					seen, err := d.grants.GetGrant(c.Context(), &curfewv1.GetGrantRequest{Id: request.GetId()})
					if err != nil {
						return nil, err
					}
					request.Digest = seen.GetGrant().GetDigest()
					if g := seen.GetGrant(); g.GetState() == curfewv1.GrantState_GRANT_STATE_REQUESTED || g.GetExtension() != nil {
						if err := showBefore(c, g); err != nil {
							return nil, err
						}
					}
				}
				answer, err := d.requests.ApproveRequest(c.Context(), request)
				return one(answer.GetGrant(), err)
			})
		},
	}
	c.Flags().StringVar(&request.Digest, "digest", "", "digest of the request as you saw it; without it what is shown is approved")
	c.Flags().StringVar(&request.Comment, "comment", "", "what is to be said about it")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// showBefore shows what is about to be approved, away from the answer.
func showBefore(c *cobra.Command, g *curfewv1.Grant) error {
	text := grantSentence(g, time.Now())
	if e := g.GetExtension(); e != nil {
		text = fmt.Sprintf("%s more for %s of %s", roughly(e.GetBy().AsDuration()), g.GetRole(), g.GetSubject())
	}
	_, err := fmt.Fprintf(c.ErrOrStderr(), "approving: %s%s\n", plain(text), plain(behind(grantReason(g))))
	return err
}

func requestDenyCommand(api *client) *cobra.Command {
	request := &curfewv1.DenyRequestRequest{}
	c := &cobra.Command{
		Use:   "deny ID",
		Short: "Say no to a request, or to more time for a grant",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			if request.Reason == "" {
				return errNoWhy
			}
			return api.answer(c, cards(), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.requests.DenyRequest(c.Context(), request)
				return one(answer.GetGrant(), err)
			})
		},
	}
	c.Flags().StringVar(&request.Reason, "why", "", "why not")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func requestCancelCommand(api *client) *cobra.Command {
	request := &curfewv1.CancelRequestRequest{}
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Withdraw your own request, or the one for more time",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			return api.answer(c, cards(), func(d desk) ([]*curfewv1.Grant, error) {
				answer, err := d.requests.CancelRequest(c.Context(), request)
				return one(answer.GetGrant(), err)
			})
		},
	}
	c.Flags().StringVar(&request.Reason, "why", "", "why it is withdrawn")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// printRequests is a table, a request a line.
func printRequests(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	if len(grants) == 0 {
		_, err := fmt.Fprintln(out, "no requests; --all shows answered ones too")
		return err
	}
	var text bytes.Buffer
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "REQUEST\tBY\tFOR\tROLE\tHOW LONG\tSTATE\tANSWER\tYES\tWHY")
	for _, g := range grants {
		cells := []string{g.GetId(), g.GetAuthor(), g.GetSubject(), g.GetRole(), asked(g, now), grantWord(g, now), answerWithin(g, now), approvals(g), grantReason(g)}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	err := columns.Flush()
	_, written := text.WriteTo(out)
	return errors.Join(err, written)
}

// asked is for how long something is asked for.
func asked(g *curfewv1.Grant, now time.Time) string {
	switch {
	case g.GetExtension() != nil:
		return roughly(g.GetExtension().GetBy().AsDuration()) + " more"
	case g.GetDuration() != nil:
		return roughly(g.GetDuration().AsDuration())
	default:
		return "until " + when(g.GetExpiresAt(), now)
	}
}

// answerWithin is how long a request still waits.
func answerWithin(g *curfewv1.Grant, now time.Time) string {
	by := g.GetAnswerBy()
	if g.GetExtension() != nil {
		by = g.GetExtension().GetAnswerBy()
	}
	switch {
	case g.GetExtension() == nil && g.GetState() != curfewv1.GrantState_GRANT_STATE_REQUESTED:
		return "-"
	case !now.Before(by.AsTime()):
		return "expired"
	default:
		return "in " + roughly(by.AsTime().Sub(now))
	}
}

func approvals(g *curfewv1.Grant) string {
	given := g.GetApprovals()
	if g.GetExtension() != nil {
		given = g.GetExtension().GetApprovals()
	}
	return fmt.Sprintf("%d of %d", len(given), g.GetApprovalsNeeded())
}
