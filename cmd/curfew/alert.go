// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func alertCommand() *cobra.Command {
	api := &client{}
	c := group("alert", "See what people are told, and say what it was", alertListCommand(api), alertShowCommand(api), alertAckCommand(api), alertResolveCommand(api), alertTestCommand())
	api.flags(c)
	return c
}

// alertPrinter prints alerts as they stand now.
type alertPrinter func(out io.Writer, alerts []*curfewv1.Alert, now time.Time) error

// alerts makes one call and prints the alerts that it returns, in the way that --output names.
func (api *client) alerts(c *cobra.Command, printers map[string]alertPrinter, call func(curfewv1.AlertServiceClient) ([]*curfewv1.Alert, error)) error {
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
	alerts, err := call(curfewv1.NewAlertServiceClient(conn))
	if err != nil {
		return err
	}
	return show(c.OutOrStdout(), alerts, time.Now())
}

func alertListCommand(api *client) *cobra.Command {
	var severity, state string
	request := &curfewv1.ListAlertsRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List alerts, the most severe first, and of those the newest",
		Example: `  curfew alert list --severity high
  curfew alert list --undelivered       what some receiver does not have; curfew alert show says why`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if request.Severity, err = parseSeverity("--severity", severity); err != nil {
				return err
			}
			value, known := curfewv1.AlertState_value["ALERT_STATE_"+strings.ToUpper(state)]
			if state != "" && (!known || value == 0) {
				return usageError{fmt.Errorf("--state %q must be open, acknowledged or resolved", state)}
			}
			request.State = curfewv1.AlertState(value)
			ways := map[string]alertPrinter{"table": printFitting(c), "json": printAlertLines, "csv": printAlertSheet}
			return api.alerts(c, ways, func(d curfewv1.AlertServiceClient) ([]*curfewv1.Alert, error) {
				answer, err := d.ListAlerts(c.Context(), request, grpc.MaxCallRecvMsgSize(math.MaxInt32))
				return answer.GetAlerts(), err
			})
		},
	}
	c.Flags().StringVar(&severity, "severity", "", "lowest severity: informational, low, medium, high or critical")
	c.Flags().StringVar(&state, "state", "", "only those that are open, acknowledged or resolved")
	c.Flags().StringVar(&request.Detection, "detection", "", "the detection's id, such as unauthorized_access")
	c.Flags().StringVar(&request.Entity, "person", "", "whom it is about: a person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&request.Source, "source", "", "source, such as okta")
	c.Flags().BoolVar(&request.Undelivered, "undelivered", false, "only those that some receiver does not have, or that go nowhere")
	c.Flags().BoolVar(&request.Resolved, "all", false, "resolved ones too")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

// printFitting is printAlerts for what was asked for: where nothing fits it, what was asked for may be misspelt.
func printFitting(c *cobra.Command) alertPrinter {
	return func(out io.Writer, alerts []*curfewv1.Alert, now time.Time) error {
		var asked []string
		for _, name := range []string{"detection", "person", "source"} {
			if flag := c.Flag(name); flag.Value.String() != "" {
				asked = append(asked, "--"+name+" "+plain(flag.Value.String()))
			}
		}
		if len(alerts) > 0 || len(asked) == 0 {
			return printAlerts(out, alerts, now)
		}
		_, err := fmt.Fprintf(out, "no alerts fit %s; `curfew alert list --all` shows how what there is is spelt\n", strings.Join(asked, " "))
		return err
	}
}

// parseSeverity reads a severity by its word; "" is none.
func parseSeverity(flag, word string) (curfewv1.Severity, error) {
	value, known := curfewv1.Severity_value["SEVERITY_"+strings.ToUpper(word)]
	if word != "" && (!known || value == 0) {
		return 0, usageError{fmt.Errorf("%s %q must be informational, low, medium, high or critical", flag, word)}
	}
	return curfewv1.Severity(value), nil
}

func alertAckCommand(api *client) *cobra.Command {
	c := &cobra.Command{
		Use:   "ack ID",
		Short: "Take an alert on",
		Long: `Take an alert on: it is yours, and nobody else is called. What it reached is shown as yours. The id can be cut to
its first eight characters.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return api.alerts(c, alertCards(), func(d curfewv1.AlertServiceClient) ([]*curfewv1.Alert, error) {
				answer, err := d.AcknowledgeAlert(c.Context(), &curfewv1.AcknowledgeAlertRequest{Id: args[0]})
				return []*curfewv1.Alert{answer.GetAlert()}, err
			})
		},
	}
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func alertResolveCommand(api *client) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use:   "resolve ID",
		Short: "Say what an alert was; the next finding opens it again",
		Long: `Say what an alert was; the next finding opens it again. One that is resolved keeps what was said of it. The id can be
cut to its first eight characters.`,
		Example: `  curfew alert resolve 3f9a11c2 --why "the yearly audit, announced on Monday"`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if why == "" {
				return errNoWhy
			}
			return api.alerts(c, alertCards(), func(d curfewv1.AlertServiceClient) ([]*curfewv1.Alert, error) {
				answer, err := d.ResolveAlert(c.Context(), &curfewv1.ResolveAlertRequest{Id: args[0], Reason: why})
				return []*curfewv1.Alert{answer.GetAlert()}, err
			})
		},
	}
	c.Flags().StringVar(&why, "why", "", "what it was")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func alertCards() map[string]alertPrinter {
	return map[string]alertPrinter{"table": printAlert, "json": printAlertLines}
}

func alertShowCommand(api *client) *cobra.Command {
	var wait bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show an alert: what it says, whom it reached and whom not and why, and its life",
		Long: `Show an alert: what it says, for each receiver why it went there or why it did not, and its life.
With --wait it is shown once every receiver has it from which it is not kept. Exit code 3: it goes to no receiver. The
id can be cut to its first eight characters.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			show, known := map[string]func(io.Writer, *curfewv1.GetAlertResponse, time.Time) error{"table": printAlertLife, "json": printAlertLifeLine}[c.Flag("output").Value.String()]
			if !known {
				return usageError{fmt.Errorf("--output %q must be table or json", c.Flag("output").Value)}
			}
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close() // nothing is written through it
			life, err := alertLife(c, curfewv1.NewAlertServiceClient(conn), args[0], wait)
			if life == nil {
				return err
			}
			return errors.Join(show(c.OutOrStdout(), life, time.Now()), err)
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "wait until every receiver has it from which it is not kept")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// alertLife is an alert with its life; where that is wished, once nothing is to be delivered. ErrNo beside it says that it
// goes nowhere.
func alertLife(c *cobra.Command, d curfewv1.AlertServiceClient, id string, wait bool) (*curfewv1.GetAlertResponse, error) {
	for {
		life, err := d.GetAlert(c.Context(), &curfewv1.GetAlertRequest{Id: id}, grpc.MaxCallRecvMsgSize(math.MaxInt32))
		if err != nil {
			return nil, err
		}
		deliveries := life.GetAlert().GetDeliveries()
		waiting := slices.ContainsFunc(deliveries, func(d *curfewv1.AlertDelivery) bool {
			return d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_WAITING || d.GetState() == curfewv1.DeliveryState_DELIVERY_STATE_SENDING
		})
		sent := slices.ContainsFunc(deliveries, func(d *curfewv1.AlertDelivery) bool { return d.GetHas() != nil })
		switch {
		case !wait:
			return life, nil
		case !waiting && len(deliveries) > 0 && !sent:
			return life, errNo
		case !waiting && len(deliveries) > 0:
			return life, nil
		}
		select {
		case <-c.Context().Done():
			return nil, c.Context().Err()
		case <-time.After(lookEvery):
		}
	}
}
