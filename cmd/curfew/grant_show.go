// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func grantShowCommand(api *client) *cobra.Command {
	return showCommand(api, "Show a grant: how long it still lasts, what became of it, and the receipt of its end")
}

// showCommand shows one grant, or the request for it, with its life.
func showCommand(api *client, short string) *cobra.Command {
	c := &cobra.Command{
		Use:   "show ID",
		Short: short,
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			show, known := map[string]func(io.Writer, *curfewv1.GetGrantResponse, time.Time) error{"table": printLife, "json": printLifeLine}[c.Flag("output").Value.String()]
			if !known {
				return usageError{fmt.Errorf("--output %q must be table or json", c.Flag("output").Value)}
			}
			conn, err := api.dial()
			if err != nil {
				return err
			}
			defer conn.Close() // nothing is written through it
			life, err := curfewv1.NewGrantServiceClient(conn).GetGrant(c.Context(), &curfewv1.GetGrantRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), life, time.Now())
		},
	}
	c.Flags().StringP("output", "o", "table", "table or json")
	return c
}

func printLifeLine(out io.Writer, life *curfewv1.GetGrantResponse, _ time.Time) error {
	var text bytes.Buffer
	if err := new(jsonWriter).write(&text, life); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err := text.WriteTo(out)
	return err
}

// printLife prints a grant, its life step by step, and the receipt.
func printLife(out io.Writer, life *curfewv1.GetGrantResponse, now time.Time) error {
	g := life.GetGrant()
	lines := append(grantCard(g, now), "", "its life")
	for _, step := range life.GetSteps() {
		lines = append(lines, fmt.Sprintf("  %s  %-10s by %s%s", clock(step.GetTime()), stateWord(step.GetGrant().GetState()), cmp.Or(step.GetAuthor(), "the clock"), behind(step.GetDetail())))
	}
	lines = append(lines, receipt(g)...)
	for i, line := range lines {
		lines[i] = plain(line)
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// receipt is what was done about each privilege: when its end was due, when the vendor was called, and by which reads it
// was seen gone. Empty where nothing was to be done.
func receipt(g *curfewv1.Grant) []string {
	if len(g.GetPrivileges()) == 0 {
		return nil
	}
	lines := []string{"", "receipt"}
	for _, held := range g.GetPrivileges() {
		lines = append(lines, fmt.Sprintf("  %s, held by %s", privilegeName(held.GetPrivilege()), privilegeHolder(held.GetPrivilege())))
		add := func(name, text string) {
			if text != "" {
				lines = append(lines, fmt.Sprintf("    %-9s %s", name, text))
			}
		}
		add("before", priorWord(held.GetPrior()))
		add("given", cell(held.GetSeen()))
		add("due", cell(due(g)))
		add("called", cell(held.GetCalled()))
		seen := "seen gone"
		if held.GetPrior().GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
			seen = "seen as before"
		}
		add(seen, cell(held.GetGone()))
		for _, call := range held.GetCalls() {
			add("call", call)
		}
		for _, read := range held.GetReads() {
			add("read", read)
		}
		add("sessions", held.GetSessions())
		add("residual", held.GetResidual())
		add("trouble", held.GetTrouble())
		add("to do", task(held))
	}
	return lines
}

// due is when a grant's end was or is due.
func due(g *curfewv1.Grant) *timestamppb.Timestamp {
	if end := grant.End(g); !end.IsZero() {
		return timestamppb.New(end)
	}
	return nil
}

// privilegeName is what is held, where.
func privilegeName(p *curfewv1.Privilege) string {
	name := p.GetResource()
	if p.GetResourceName() != "" {
		name = p.GetResourceName() + " (" + name + ")"
	}
	text := p.GetSource() + " " + p.GetKind() + " " + name
	if p.GetLevel() != "" {
		text += " as " + p.GetLevel()
	}
	if p.GetScope() != "" {
		text += " on " + p.GetScope()
	}
	return text
}

func privilegeHolder(p *curfewv1.Privilege) string {
	if p.GetHolderName() == "" {
		return p.GetHolder()
	}
	return p.GetHolderName() + " (" + p.GetHolder() + ")"
}

// stageWord is how far giving or taking one privilege is, in a few words.
func stageWord(held *curfewv1.HeldPrivilege) string {
	word := ""
	switch held.GetStage() {
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED:
		word = "not given yet"
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING:
		word = "being given"
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD:
		word = "held, seen at " + clock(held.GetSeen())
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING:
		word = fmt.Sprintf("being taken away, asked for %d times", held.GetAttempts())
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN:
		word = "taken away, not yet seen gone"
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE:
		word = "gone, seen at " + clock(held.GetGone())
		if held.GetPrior().GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
			word = "as it was before, still held, seen at " + clock(held.GetGone())
		}
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT:
		word = "left, as another grant wants it"
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED:
		word = "the vendor refused to give it"
	}
	return word + behind(held.GetTrouble())
}

// priorWord is what was there before any grant.
func priorWord(prior *curfewv1.PrivilegeState) string {
	switch {
	case prior == nil:
		return ""
	case prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT && prior.GetLevel() != "":
		return "it was held already, as " + prior.GetLevel() + ", which is put back"
	case prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT:
		return "it was held already, and is left"
	case prior.GetPresence() == curfewv1.Presence_PRESENCE_PENDING:
		return "it was offered already"
	case prior.GetPresence() == curfewv1.Presence_PRESENCE_ABSENT:
		return "it was not held"
	default:
		return "it is not known whether it was held" + behind(prior.GetDetail())
	}
}

// residuals is what outlives the end of a grant, in a line.
func residuals(g *curfewv1.Grant) string {
	var all []string
	for _, held := range g.GetPrivileges() {
		if text := held.GetResidual(); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "outlives the end: " + strings.Join(all, "; ")
}

func task(held *curfewv1.HeldPrivilege) string {
	if held.GetTask() == "" || held.GetLink() == "" {
		return held.GetTask()
	}
	return held.GetTask() + " at " + held.GetLink()
}

// printStuck says of each grant that should have ended what keeps it, since when, and what to do.
func printStuck(out io.Writer, grants []*curfewv1.Grant, now time.Time) error {
	if len(grants) == 0 {
		_, err := fmt.Fprintln(out, "nothing is stuck")
		return err
	}
	var text bytes.Buffer
	for _, g := range grants {
		fmt.Fprintf(&text, "%s  %s  %s  should have ended at %s\n", plain(g.GetId()), plain(g.GetSubject()), plain(g.GetRole()), when(due(g), now))
		for _, held := range g.GetPrivileges() {
			if !isLeft(held) {
				continue
			}
			fmt.Fprintf(&text, "  %s: %s\n", plain(privilegeName(held.GetPrivilege())), plain(stageWord(held)))
			fmt.Fprintf(&text, "    do: %s\n", plain(advice(g, held)))
		}
	}
	_, err := text.WriteTo(out)
	return err
}

// isLeft is whether the vendor may still show a privilege.
func isLeft(held *curfewv1.HeldPrivilege) bool {
	switch held.GetStage() {
	case curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD,
		curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING, curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN:
		return true
	default:
		return false
	}
}

// advice is what to do about a privilege that should be gone.
func advice(g *curfewv1.Grant, held *curfewv1.HeldPrivilege) string {
	source := held.GetPrivilege().GetSource()
	owner := ""
	if g.GetOwner() != "" {
		owner = " (" + g.GetOwner() + ")"
	}
	switch {
	case held.GetTask() != "":
		return task(held) + owner + "; Curfew sees by itself when it is done"
	case held.GetTrouble() != "":
		return "curfew doctor says whether " + source + " can be reached and what right is missing; it is tried again by itself. In haste take it away at " + source + " by hand" + owner
	case held.GetStage() == curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN:
		return source + " accepted it and still shows it: look there for a rule, a directory sync or a person that gives it again" + owner
	case !grant.IsEnding(g):
		return "nobody has begun to take it away: is `curfew run notifier` running?"
	default:
		return "nothing has been heard of it: is `curfew run collector` running, with " + source + " configured?"
	}
}
