// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// sayBacktest says what would newly be a violation, then what would newly be allowed, then the rest.
func sayBacktest(out io.Writer, r *curfewv1.BacktestResult) {
	fmt.Fprintf(out, "%d events judged again; %d keep their verdict, %d would change\n", r.GetEvents(), r.GetUnchanged(), r.GetEvents()-r.GetUnchanged())
	if r.GetGone() > 0 {
		fmt.Fprintf(out, "%d events of that time are kept no longer, so that nothing can be said of them\n", r.GetGone())
	}
	for _, part := range []struct {
		title   string
		verdict curfewv1.Verdict
	}{
		{"would newly be a violation", curfewv1.Verdict_VERDICT_VIOLATION},
		{"would newly be allowed", curfewv1.Verdict_VERDICT_ALLOWED},
		{"could no longer be told", curfewv1.Verdict_VERDICT_UNKNOWN},
	} {
		said := false
		for _, change := range r.GetChanges() {
			if change.GetBecomes() != part.verdict {
				continue
			}
			if !said {
				fmt.Fprintf(out, "\n%s:\n", part.title)
				said = true
			}
			fmt.Fprintf(out, "  %6d x  %s: %s of %s (sensitivity %d) in %s\n", change.GetCount(), plain(orNobody(change.GetSubject())), change.GetAct(),
				plain(change.GetClass()), change.GetSensitivity(), plain(change.GetSource()))
			d := change.GetExample()
			fmt.Fprintf(out, "            such as %s at %s: %s\n", plain(d.GetObject()), clock(d.GetTime()), plain(d.GetReason()))
			if row := d.GetRow(); row != nil {
				fmt.Fprintf(out, "            by %s:%d  %s\n", row.GetFile(), row.GetLine(), plain(row.GetText()))
			}
		}
	}
}

func orNobody(subject string) string {
	if subject == "" {
		return "nobody named"
	}
	return subject
}

func policySuggestCommand(api *client) *cobra.Command {
	var s span
	c := &cobra.Command{
		Use:   "suggest",
		Short: "Propose the rows that would allow what was seen, and name rights that nobody used",
		Long: `Propose the least rows that would allow what was recorded as a violation, by role or group where that
explains it, for a person to look through and paste into policy.csv; and name the rows that no event
needed. Nothing is changed.`,
		Example: `  curfew policy suggest --from 720h > new-rows.csv`,
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(s.output); err != nil {
				return err
			}
			from, until, err := s.times(time.Now())
			if err != nil {
				return err
			}
			return api.askPolicy(func(policy curfewv1.PolicyServiceClient) error {
				answer, err := policy.SuggestPolicy(c.Context(), &curfewv1.SuggestPolicyRequest{From: from, Until: until, Source: s.source})
				if err != nil {
					return err
				}
				return print1(c.OutOrStdout(), answer, s.output, func(out io.Writer) { saySuggested(out, answer) })
			})
		},
	}
	s.flags(c)
	return c
}

// saySuggested prints rows ready to paste: what is not a row is a comment.
func saySuggested(out io.Writer, answer *curfewv1.SuggestPolicyResponse) {
	fmt.Fprintf(out, "# %d decisions looked at. Of what was a violation these rows would allow %d; %d no row should: look at them one by one.\n",
		answer.GetDecisions(), answer.GetExplained(), answer.GetUnexplained())
	for _, row := range answer.GetRows() {
		who := strings.Join(row.GetPeople(), ", ")
		if strings.HasPrefix(row.GetText(), "#") {
			fmt.Fprintf(out, "\n%s: seen %d times, by %s\n", plain(row.GetText()), row.GetDecisions(), plain(who))
			continue
		}
		fmt.Fprintf(out, "\n# seen %d times, by %s", row.GetDecisions(), plain(who))
		if row.GetHolders() > 0 {
			fmt.Fprintf(out, "; it would give the right to %d", row.GetHolders())
		}
		fmt.Fprintf(out, "\n%s\n", plain(row.GetText()))
	}
	if len(answer.GetUnused()) == 0 {
		return
	}
	fmt.Fprint(out, "\n# No event of that time needed these. Rights for what is rare may be right all the same.\n")
	for _, row := range answer.GetUnused() {
		fmt.Fprintf(out, "# %s:%d  %s\n", row.GetFile(), row.GetLine(), plain(row.GetText()))
	}
}
