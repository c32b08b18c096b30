// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/services/evaluator/judge"
	"github.com/curfewhq/curfew/services/evaluator/workbench"
)

// policyCheckCommands look at policy folders on this machine; they need no server.
func policyCheckCommands() []*cobra.Command {
	return []*cobra.Command{policyLintCommand(), policyTestCommand(), policyDiffCommand()}
}

// benchFlags are what folders are looked at with.
type benchFlags struct{ tenant, at, output string }

func (f *benchFlags) add(c *cobra.Command, tenant, use string) {
	c.Flags().StringVar(&f.tenant, "tenant", tenant, "tenant, Casbin's dom"+use)
	c.Flags().StringVar(&f.at, "at", "", "the time to take for the present; now without it")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
}

func (f *benchFlags) bench() (workbench.Bench, error) {
	var b workbench.Bench
	if f.output != "table" && f.output != "json" {
		return b, usageError{fmt.Errorf("--output %q must be table or json", f.output)}
	}
	now := time.Now()
	at, err := parseTime("--at", f.at, now)
	if err != nil {
		return b, err
	}
	if at != nil {
		now = at.AsTime()
	}
	cat, err := catalog.Load()
	return workbench.Bench{Catalog: cat, Tenant: f.tenant, Now: now}, err
}

func policyLintCommand() *cobra.Command {
	var f benchFlags
	var strict bool
	c := &cobra.Command{
		Use:   "lint DIR",
		Short: "Say what is wrong with a policy folder",
		Long: `Say what is wrong with a policy folder, with file and line: what cannot be read, rows that never
decide, roles that nobody holds or that give nothing, names that nothing is ever called, and whether
the policy would lock every administrator out.

An error keeps the policy from being applied; a warning is something that does not do what it says; a
hint may be meant. Exit code 3: there are errors, or with --strict warnings.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := f.bench()
			if err != nil {
				return err
			}
			problems := b.LintFolder(args[0])
			if err := printProblems(c.OutOrStdout(), args[0], problems, f.output == "json"); err != nil {
				return err
			}
			for _, p := range problems {
				if p.Severity == workbench.Error || strict && p.Severity == workbench.Warning {
					return errNo
				}
			}
			return nil
		},
	}
	f.add(c, "", "; each that the rows name without it")
	c.Flags().BoolVar(&strict, "strict", false, "let warnings count as errors")
	return c
}

func printProblems(out io.Writer, dir string, problems []workbench.Problem, asJSON bool) error {
	counts := map[workbench.Severity]int{}
	for _, p := range problems {
		counts[p.Severity]++
	}
	if asJSON {
		return printJSON(out, map[string]any{
			"problems": append([]workbench.Problem{}, problems...),
			"errors":   counts[workbench.Error], "warnings": counts[workbench.Warning], "hints": counts[workbench.Hint],
		})
	}
	var text bytes.Buffer
	for _, p := range problems {
		fmt.Fprintf(&text, "%s: %s: %s\n", place(dir, p.File, p.Line), p.Severity, plain(p.Text))
	}
	fmt.Fprintf(&text, "%s: %s, %s, %s\n", dir, count(counts[workbench.Error], "error"), count(counts[workbench.Warning], "warning"), count(counts[workbench.Hint], "hint"))
	_, err := text.WriteTo(out)
	return err
}

// place is where something stands, as editors read it.
func place(dir, file string, line int) string {
	path := filepath.Join(dir, file)
	if line == 0 {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line)
}

func count(number int, of string) string {
	if number == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", number, of)
}

func policyTestCommand() *cobra.Command {
	var f benchFlags
	var cover bool
	c := &cobra.Command{
		Use:   "test DIR",
		Short: "Try a policy folder on the cases in its folder tests",
		Long: `Try a policy folder on the cases in DIR/tests/*.yaml: acts, and what the policy must say of each.
Rows of policy.csv that no case needed are listed; with --cover there may be none.

Exit code 3: a case failed, or with --cover a row was not needed.`,
		Example: `  # a case
  - name: support reads a customer's address
    event: person:sam read google_workspace/file/1-customer-export
    want: allowed`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := f.bench()
			if err != nil {
				return err
			}
			report, err := b.Try(args[0])
			if err != nil {
				return err
			}
			if err := printReport(c.OutOrStdout(), args[0], report, f.output == "json"); err != nil {
				return err
			}
			if report.Failed() > 0 || cover && len(report.Uncovered()) > 0 {
				return errNo
			}
			return nil
		},
	}
	f.add(c, "main", "")
	c.Flags().BoolVar(&cover, "cover", false, "demand that each row is needed by a case")
	return c
}

func printReport(out io.Writer, dir string, report workbench.Report, asJSON bool) error {
	if asJSON {
		return printJSON(out, report)
	}
	var text bytes.Buffer
	for _, outcome := range report.Outcomes {
		for i, failure := range outcome.Failures {
			if i == 0 {
				fmt.Fprintf(&text, "%s: FAILED: %s\n", place(dir, outcome.File, outcome.Line), plain(outcome.Name))
			}
			fmt.Fprintf(&text, "    %s\n", plain(failure))
		}
	}
	uncovered := report.Uncovered()
	for _, row := range uncovered {
		fmt.Fprintf(&text, "%s: needed by no case: %s\n", place(dir, policyRows, row.Line), plain(row.Row))
	}
	needed := len(report.Rows) - len(uncovered)
	fmt.Fprintf(&text, "%s: %s, %d failed; %d of %s needed (%.1f %%)\n", dir, count(len(report.Outcomes), "case"), report.Failed(),
		needed, count(len(report.Rows), "row"), 100*float64(needed)/float64(max(1, len(report.Rows))))
	_, err := text.WriteTo(out)
	return err
}

// policyRows is the file of a policy folder that has the rows.
const policyRows = "policy.csv"

func policyDiffCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains or loses what by a new policy folder",
		Long: `Compare two policy folders by what they give: who gains or loses which acts on which data. People, apps
and services are those whom either folder names; who is in a group that a source tells of is shown as
"whoever is in" the group. A role shows by itself only where nobody named holds it.`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := f.bench()
			if err != nil {
				return err
			}
			var policies [2]*judge.Policy
			for i, dir := range args {
				if policies[i], err = judge.ReadPolicy(dir, b.Catalog); err != nil {
					return fmt.Errorf("%s: %w", dir, err)
				}
			}
			difference, err := b.Diff(policies[0], policies[1])
			if err != nil {
				return err
			}
			return printDifference(c.OutOrStdout(), difference, f.output == "json")
		},
	}
	f.add(c, "", "; each that the rows name without it")
	return c
}

func printDifference(out io.Writer, d workbench.Difference, asJSON bool) error {
	if asJSON {
		return printJSON(out, d)
	}
	var text bytes.Buffer
	for _, change := range d.Changes {
		fmt.Fprintln(&text, map[bool]string{true: "+", false: "-"}[change.Gains], plain(change.String()))
	}
	if len(d.Changes) == 0 {
		fmt.Fprintln(&text, "nobody gains or loses anything")
	}
	for _, part := range []struct {
		title string
		texts []string
	}{{"data", d.Data}, {"people", d.People}, {"note", d.Notes}} {
		for _, line := range part.texts {
			fmt.Fprintf(&text, "%s: %s\n", part.title, plain(line))
		}
	}
	_, err := text.WriteTo(out)
	return err
}

// printJSON writes one object on a line.
func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	return nil
}
