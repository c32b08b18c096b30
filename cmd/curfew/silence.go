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

	"github.com/curfewhq/curfew/internal/alert"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func silenceCommand() *cobra.Command {
	api := &client{}
	c := group("silence", "Keep alerts from people for a time, and end that", silenceAddCommand(api), silenceListCommand(api), silenceApproveCommand(api), silenceEndCommand(api))
	api.flags(c)
	return c
}

// silencePrinter prints silences as they stand now.
type silencePrinter func(out io.Writer, silences []*curfewv1.Silence, now time.Time) error

// silences makes one call and prints the silences that it returns, in the way that --output names.
func (api *client) silences(c *cobra.Command, printers map[string]silencePrinter, call func(curfewv1.SilenceServiceClient) ([]*curfewv1.Silence, error)) error {
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
	silences, err := call(curfewv1.NewSilenceServiceClient(conn))
	if err != nil {
		return err
	}
	return show(c.OutOrStdout(), silences, time.Now())
}

func silenceCards() map[string]silencePrinter {
	return map[string]silencePrinter{"table": printSilence, "json": printSilenceLines}
}

func silenceAddCommand(api *client) *cobra.Command {
	var span grantSpan
	var severity, kind string
	match := &curfewv1.SilenceMatch{}
	request := &curfewv1.CreateSilenceRequest{Match: match}
	c := &cobra.Command{
		Use:   "add",
		Short: "Keep the alerts that fit all that is given from people, until an end",
		Long: `Keep the alerts that fit all that is given from people, until an end, which people are told of.
They are still opened and counted, and those that are open then go out at the end. Each value is written whole, as
curfew alert list and curfew alert show write it: none is a pattern.

  silence   at most 30 days
  mute      one alert, at most 7 days; 1 day where it is critical
  expected  an alert, or an entity and a detection, at most 90 days: a second person has to say
            yes, and what it covers is resolved then`,
		Example: `  curfew silence add --source okta --severity medium --for 2h --why "migration of the directory"
  curfew silence add --alert 3f9a11c2 --kind mute --for 8h --why "known, being fixed"
  curfew silence add --alert 3f9a11c2 --kind expected --for 30d --why "the yearly audit"`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			value, known := curfewv1.SilenceKind_value["SILENCE_KIND_"+strings.ToUpper(kind)]
			if !known || value == 0 {
				return usageError{fmt.Errorf("--kind %q must be silence, mute or expected", kind)}
			}
			request.Kind = curfewv1.SilenceKind(value)
			var err error
			if match.Severity, err = parseSeverity("--severity", severity); err != nil {
				return err
			}
			if request.Reason == "" {
				return errNoWhy
			}
			if (span.length == "") == (span.until == "") {
				return usageError{errors.New("give either --for or --until: a silence has an end")}
			}
			if err := span.into(&request.From, &request.Until, &request.Duration, false); err != nil {
				return err
			}
			var made *curfewv1.CreateSilenceResponse
			if err := api.silences(c, silenceCards(), func(d curfewv1.SilenceServiceClient) (_ []*curfewv1.Silence, err error) {
				made, err = d.CreateSilence(c.Context(), request)
				return []*curfewv1.Silence{made.GetSilence()}, err
			}); err != nil {
				return err
			}
			return printFits(c, made)
		},
	}
	c.Flags().StringVar(&span.length, "for", "", "how long: 45m, 2h45m, 7d")
	c.Flags().StringVar(&span.until, "until", "", "when it ends, instead of --for: 2026-11-02, 2026-11-02T17:00:00Z; UTC where no zone is said")
	c.Flags().StringVar(&span.from, "from", "", "when it begins, in the same forms as --until; now without it")
	c.Flags().StringVar(&kind, "kind", "silence", "silence, mute or expected")
	c.Flags().StringVar(&match.AlertId, "alert", "", "one alert, by its id or the first eight characters of it")
	c.Flags().StringVar(&match.Detection, "detection", "", "the detection's id, such as unauthorized_access")
	c.Flags().StringVar(&match.Entity, "person", "", "whom it is about: a person's id, or a subject such as app:okta/0oa1")
	c.Flags().StringVar(&match.DataClass, "class", "", "data class, such as pii.contact")
	c.Flags().StringVar(&match.Source, "source", "", "source, such as okta")
	c.Flags().StringVar(&match.Object, "object", "", "one object, as rows name it: google_workspace/file/1")
	c.Flags().StringVar(&severity, "severity", "", "the highest severity that is kept back; any without it")
	c.Flags().StringVar(&request.Reason, "why", "", "why")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

// printFits says how many of the open alerts a silence that was made fits: none may be a slip of the pen. What reads JSON
// hears of that alone, and beside it.
func printFits(c *cobra.Command, made *curfewv1.CreateSilenceResponse) error {
	out, text := c.OutOrStdout(), fmt.Sprintf("  fits     %d of %d open alerts", made.GetFits(), made.GetOpen())
	if c.Flag("output").Value.String() == "json" {
		out = c.ErrOrStderr()
	}
	switch {
	case made.Fits == nil, made.GetFits() > 0 && out != c.OutOrStdout(): // an earlier version does not say
		return nil
	case made.GetFits() == 0:
		text = fmt.Sprintf("  fits     none of %d open alerts\n           it stands all the same, for those to come; is all spelt as in `curfew alert list --all`?", made.GetOpen())
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func silenceListCommand(api *client) *cobra.Command {
	request := &curfewv1.ListSilencesRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List silences, the first to end first",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ways := map[string]silencePrinter{"table": printSilences, "json": printSilenceLines, "csv": printSilenceSheet}
			return api.silences(c, ways, func(d curfewv1.SilenceServiceClient) ([]*curfewv1.Silence, error) {
				answer, err := d.ListSilences(c.Context(), request, grpc.MaxCallRecvMsgSize(math.MaxInt32))
				return answer.GetSilences(), err
			})
		},
	}
	c.Flags().BoolVar(&request.Ended, "all", false, "those that are over too")
	c.Flags().StringP("output", "o", "table", "table, json or csv")
	return c
}

func silenceApproveCommand(api *client) *cobra.Command {
	request := &curfewv1.ApproveSilenceRequest{}
	c := &cobra.Command{
		Use:   "approve ID",
		Short: "Say yes to what somebody else proposes as expected",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			request.Id = args[0]
			return api.silences(c, silenceCards(), func(d curfewv1.SilenceServiceClient) ([]*curfewv1.Silence, error) {
				answer, err := d.ApproveSilence(c.Context(), request)
				return []*curfewv1.Silence{answer.GetSilence()}, err
			})
		},
	}
	c.Flags().StringVar(&request.Comment, "comment", "", "what is to be said about it")
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func silenceEndCommand(api *client) *cobra.Command {
	c := &cobra.Command{
		Use:   "end ID",
		Short: "End a silence now, or refuse one that is proposed",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return api.silences(c, silenceCards(), func(d curfewv1.SilenceServiceClient) ([]*curfewv1.Silence, error) {
				answer, err := d.EndSilence(c.Context(), &curfewv1.EndSilenceRequest{Id: args[0]})
				return []*curfewv1.Silence{answer.GetSilence()}, err
			})
		},
	}
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func silenceKind(s *curfewv1.Silence) string {
	return strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SILENCE_KIND_"))
}

// silenceWord is how a silence stands.
func silenceWord(s *curfewv1.Silence, now time.Time) string {
	switch {
	case s.GetEnded() != nil && !alert.IsApproved(s):
		return "refused"
	case s.GetEnded() != nil:
		return "ended"
	case alert.HasEnded(s, now):
		return "over"
	case !alert.IsApproved(s):
		return "proposed"
	case !alert.InForce(s, now):
		return "to come"
	default:
		return "in force"
	}
}

// silenceStands is how a silence stands, since or until when.
func silenceStands(s *curfewv1.Silence, now time.Time) string {
	word, until := silenceWord(s, now), silenceEnd(s, now)
	switch word {
	case "ended", "refused":
		return fmt.Sprintf("%s by %s at %s", word, s.GetEnder(), until)
	case "over":
		return "over since " + until
	case "to come":
		return fmt.Sprintf("to come at %s, until %s", when(s.GetFrom(), now), until)
	default:
		return word + " until " + until
	}
}

// silenceEnd is when a silence ended or will.
func silenceEnd(s *curfewv1.Silence, now time.Time) string {
	end := s.GetUntil()
	if s.GetEnded() != nil {
		end = s.GetEnded()
	}
	return strings.NewReplacer("(in 0s)", "(in a moment)", "(0s ago)", "(just now)").Replace(when(end, now))
}

// silenceMatch is what a silence covers.
func silenceMatch(s *curfewv1.Silence) string {
	m := s.GetMatch()
	var all []string
	for _, part := range [][2]string{
		{"alert", m.GetAlertId()[:min(len(m.GetAlertId()), shortAlert)]}, {"detection", m.GetDetection()}, {"about", m.GetEntity()}, {"class", m.GetDataClass()}, {"source", m.GetSource()}, {"object", m.GetObject()},
	} {
		if part[1] != "" {
			all = append(all, part[0]+" "+part[1])
		}
	}
	if m.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED {
		all = append(all, "up to "+alert.Word(m.GetSeverity()))
	}
	return strings.Join(all, ", ")
}

// printSilence says of each silence what it covers until when, and what can be done with it.
func printSilence(out io.Writer, silences []*curfewv1.Silence, now time.Time) error {
	var text bytes.Buffer
	for _, s := range silences {
		lines := []string{fmt.Sprintf("%s  %s: %s; %s", s.GetId(), silenceKind(s), silenceMatch(s), silenceStands(s, now))}
		lines = append(lines, fmt.Sprintf("  why      %s, by %s", s.GetReason(), s.GetAuthor()))
		for _, yes := range s.GetApprovals() {
			lines = append(lines, fmt.Sprintf("  approved by %s at %s%s", yes.GetAuthor(), clock(yes.GetTime()), behind(yes.GetComment())))
		}
		if s.GetRow() != "" {
			lines = append(lines, "  for good "+s.GetRow())
		}
		switch silenceWord(s, now) {
		case "proposed":
			lines = append(lines, fmt.Sprintf("  answer   curfew silence approve %s, or end %s", s.GetId(), s.GetId()))
		case "in force", "to come":
			lines = append(lines, "  end it   curfew silence end "+s.GetId())
		}
		for _, line := range lines {
			fmt.Fprintln(&text, plain(line))
		}
	}
	_, err := text.WriteTo(out)
	return err
}

// printSilences is a table, a silence a line.
func printSilences(out io.Writer, silences []*curfewv1.Silence, now time.Time) error {
	if len(silences) == 0 {
		_, err := fmt.Fprintln(out, "no silences; --all shows those that are over too")
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "SILENCE\tKIND\tSTATE\tCOVERS\tUNTIL\tBY\tWHY")
	for _, s := range silences {
		cells := []string{s.GetId(), silenceKind(s), silenceWord(s, now), silenceMatch(s), silenceEnd(s, now), s.GetAuthor(), s.GetReason()}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	return columns.Flush()
}

// printSilenceLines is JSON, a silence a line.
func printSilenceLines(out io.Writer, silences []*curfewv1.Silence, _ time.Time) error {
	var text bytes.Buffer
	var lines jsonWriter
	for _, s := range silences {
		if err := lines.write(&text, s); err != nil {
			return err
		}
		text.WriteByte('\n')
	}
	_, err := text.WriteTo(out)
	return err
}

// printSilenceSheet is CSV.
func printSilenceSheet(out io.Writer, silences []*curfewv1.Silence, now time.Time) error {
	s := sheet{out, csv.NewWriter(out)}
	err := s.row("silence", "kind", "state", "alert", "detection", "about", "class", "source", "object", "severity", "from", "until", "ended", "author", "reason")
	for _, one := range silences {
		m, severity := one.GetMatch(), ""
		if m.GetSeverity() != curfewv1.Severity_SEVERITY_UNSPECIFIED {
			severity = alert.Word(m.GetSeverity())
		}
		err = errors.Join(err, s.row(one.GetId(), silenceKind(one), silenceWord(one, now), m.GetAlertId(), m.GetDetection(), m.GetEntity(), m.GetDataClass(), m.GetSource(), m.GetObject(), severity,
			cell(one.GetFrom()), cell(one.GetUntil()), cell(one.GetEnded()), one.GetAuthor(), one.GetReason()))
	}
	return err
}
