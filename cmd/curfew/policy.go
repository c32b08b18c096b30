// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
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
		Example: `  curfew policy explain person:sam export google_workspace/file/1A
  curfew policy explain app:google_workspace/1.apps.example.com read google_workspace/file/1A --class pii.contact`,
		Args: arguments(cobra.ExactArgs(3)),
		RunE: func(c *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q must be table or json", output)}
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
			if err := printExplanation(c.OutOrStdout(), answer, output == "json"); err != nil {
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

func printExplanation(out io.Writer, answer *curfewv1.ExplainDecisionResponse, asJSON bool) error {
	var text bytes.Buffer
	d := answer.GetDecision()
	if asJSON {
		if err := new(jsonWriter).write(&text, answer); err != nil {
			return err
		}
		text.WriteByte('\n')
		_, err := text.WriteTo(out)
		return err
	}
	fmt.Fprintf(&text, "%s: %s\n", verdictWord(d.GetVerdict()), plain(d.GetReason()))
	fmt.Fprintf(&text, "  judged by the classes %s; an event's action can add one, name it with --class\n", strings.Join(d.GetClasses(), ", "))
	if row := d.GetRow(); row != nil {
		fmt.Fprintf(&text, "  decided by %s:%d  %s\n", row.GetFile(), row.GetLine(), row.GetText())
	}
	for _, link := range d.GetLinks() {
		fmt.Fprintf(&text, "  since %s holds %s (%s)\n", link.GetHolder(), link.GetHeld(), link.GetOrigin())
	}
	for _, link := range answer.GetHeld() {
		fmt.Fprintf(&text, "  holds %s through %s (%s)\n", link.GetHeld(), link.GetHolder(), link.GetOrigin())
	}
	for _, row := range answer.GetWouldAllow() {
		fmt.Fprintf(&text, "  would allow it: %s:%d  %s\n", row.GetFile(), row.GetLine(), row.GetText())
	}
	fmt.Fprintf(&text, "  policy revision %d, %s\n", answer.GetBasis().GetPolicyRevision(), answer.GetBasis().GetPolicyDigest())
	_, err := text.WriteTo(out)
	return err
}
