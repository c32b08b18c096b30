// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func policyCommand() *cobra.Command {
	api := &client{}
	c := group("policy", "Write, check and change the policy", append(append(policyCheckCommands(), policyExplainCommand(api)), policyLifeCommands(api)...)...)
	api.flags(c)
	return c
}

func policyExplainCommand(api *client) *cobra.Command {
	var at, output string
	var classes []string
	c := &cobra.Command{
		Use:   "explain SUBJECT ACT OBJECT",
		Short: "Say whether a subject may do an act to an object, and why",
		Long: `Say whether a subject may do an act to an object, and why: what the subject holds and where that was
learnt, the row of policy.csv that decides, and where nothing allows it, what would.

Exit code 3: it is not allowed, or cannot be said.`,
		Example: `  curfew policy explain person:sam export google_workspace/file/1A
  curfew policy explain app:google_workspace/1.apps.example.com read google_workspace/file/1A --class pii.contact`,
		Args: arguments(cobra.ExactArgs(3)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			when, err := parseTime("--at", at, time.Now())
			if err != nil {
				return err
			}
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close() // nothing is written through it
			answer, err := curfewv1.NewPolicyServiceClient(conn).ExplainDecision(c.Context(), &curfewv1.ExplainDecisionRequest{
				Subject: args[0], Act: args[1], Object: args[2], Time: when, Classes: classes,
			})
			if err != nil {
				return err
			}
			asked := time.Now()
			if err := print1(c.OutOrStdout(), answer, output, func(out io.Writer) { sayExplanation(out, answer, asked) }); err != nil {
				return err
			}
			if answer.GetDecision().GetVerdict() != curfewv1.Verdict_VERDICT_ALLOWED {
				return errNo
			}
			return nil
		},
	}
	c.Flags().StringVar(&at, "at", "", "the time to judge at; now without it")
	c.Flags().StringSliceVar(&classes, "class", nil, "judge by these data classes instead of the object's own")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}
