// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func findingCommand() *cobra.Command {
	api := &client{}
	c := group("finding", "List what detections found", findingListCommand(api))
	api.flags(c)
	return c
}

func findingListCommand(api *client) *cobra.Command {
	var w window
	var severity, output string
	request := &curfewv1.ListFindingsRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List findings, oldest first",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output %q must be table or json", output)}
			}
			level, known := curfewv1.Severity_value["SEVERITY_"+strings.ToUpper(severity)]
			if severity != "" && (!known || level == 0) {
				return usageError{fmt.Errorf("--severity %q must be informational, low, medium, high or critical", severity)}
			}
			request.Severity = curfewv1.Severity(level)
			var err error
			if request.From, request.Until, err = w.times(time.Now()); err != nil {
				return err
			}
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close() // nothing is written through it
			stream, err := curfewv1.NewFindingServiceClient(conn).ListFindings(c.Context(), request)
			if err != nil {
				return err
			}
			for {
				answer, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := printFinding(c.OutOrStdout(), answer.GetFinding(), output == "json"); err != nil {
					return err
				}
			}
		},
	}
	w.flags(c)
	c.Flags().StringVar(&severity, "severity", "", "lowest severity: informational, low, medium, high or critical")
	c.Flags().StringVar(&request.Detection, "detection", "", "the detection's id, such as unauthorized_access")
	c.Flags().StringVar(&request.Person, "person", "", "person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&request.Source, "source", "", "source, such as okta")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func printFinding(out io.Writer, f *curfewv1.Finding, asJSON bool) error {
	var text bytes.Buffer
	if asJSON {
		if err := new(jsonWriter).write(&text, f); err != nil {
			return err
		}
		text.WriteByte('\n')
	} else {
		fmt.Fprintf(&text, "%-20s  %-8s  %s  (%s, %s)\n", clock(f.GetTime()), severityWord(f.GetSeverity()), plain(f.GetTitle()), f.GetDetection(), f.GetId())
	}
	_, err := text.WriteTo(out)
	return err
}
