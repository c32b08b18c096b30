// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/curfewhq/curfew/internal/alert"
	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// shortAlert is how much of an alert's id tables show; it can be given in place of the whole.
const shortAlert = 8

func alertID(a *curfewv1.Alert) string { return a.GetId()[:min(len(a.GetId()), shortAlert)] }

// printAlerts is a table, an alert a line.
func printAlerts(out io.Writer, alerts []*curfewv1.Alert, now time.Time) error {
	if len(alerts) == 0 {
		_, err := fmt.Fprintln(out, "no alerts; --all shows resolved ones too")
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "ALERT\tSEVERITY\tSTATE\tABOUT\tCOUNT\tNEWEST\tREACHED\tWHAT")
	for _, a := range alerts {
		cells := []string{
			alertID(a), alert.Word(a.GetSeverity()), alertWord(a), cmp.Or(a.GetEntity(), "-"), fmt.Sprint(a.GetCount()),
			roughly(now.Sub(a.GetNewest().AsTime())) + " ago", reachedWord(a), card.Plain(a.GetFinding().GetTitle(), 120),
		}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	return columns.Flush()
}

// alertWord is where an alert stands with people.
func alertWord(a *curfewv1.Alert) string {
	word := strings.ToLower(strings.TrimPrefix(a.GetState().String(), "ALERT_STATE_"))
	if a.GetState() == curfewv1.AlertState_ALERT_STATE_ACKNOWLEDGED {
		return a.GetAssignee()
	}
	return word
}

// reachedWord is how many of an alert's receivers have it.
func reachedWord(a *curfewv1.Alert) string {
	has := 0
	for _, d := range a.GetDeliveries() {
		if d.GetHas() != nil && d.GetEpisode() == a.GetEpisode() {
			has++
		}
	}
	return fmt.Sprintf("%d of %d", has, len(a.GetDeliveries()))
}

// printAlert says of each alert where it stands.
func printAlert(out io.Writer, alerts []*curfewv1.Alert, _ time.Time) error {
	var text bytes.Buffer
	for _, a := range alerts {
		fmt.Fprintf(&text, "%s  %s  %s\n", plain(alertID(a)), plain(card.Of(a).Headline), plain(a.GetEntity()))
		fmt.Fprintf(&text, "  %s\n", plain(card.Of(a).Status))
	}
	_, err := text.WriteTo(out)
	return err
}

// printAlertLines is JSON, an alert a line.
func printAlertLines(out io.Writer, alerts []*curfewv1.Alert, _ time.Time) error {
	var text bytes.Buffer
	var lines jsonWriter
	for _, a := range alerts {
		if err := lines.write(&text, a); err != nil {
			return err
		}
		text.WriteByte('\n')
	}
	_, err := text.WriteTo(out)
	return err
}

// printAlertSheet is CSV.
func printAlertSheet(out io.Writer, alerts []*curfewv1.Alert, _ time.Time) error {
	s := sheet{out, csv.NewWriter(out)}
	err := s.row("alert", "severity", "state", "about", "class", "detection", "source", "episode", "count", "opened", "newest", "assignee", "acknowledged", "resolved", "resolver", "resolution", "title")
	for _, a := range alerts {
		err = errors.Join(err, s.row(a.GetId(), alert.Word(a.GetSeverity()), strings.ToLower(strings.TrimPrefix(a.GetState().String(), "ALERT_STATE_")), a.GetEntity(), a.GetDataClass(),
			a.GetFinding().GetDetection(), a.GetFinding().GetEvent().GetSource(), fmt.Sprint(a.GetEpisode()), fmt.Sprint(a.GetCount()), cell(a.GetOpened()), cell(a.GetNewest()),
			a.GetAssignee(), cell(a.GetAcknowledged()), cell(a.GetResolved()), a.GetResolver(), a.GetResolution(), a.GetFinding().GetTitle()))
	}
	return err
}

func printAlertLifeLine(out io.Writer, life *curfewv1.GetAlertResponse, _ time.Time) error {
	var text bytes.Buffer
	if err := new(jsonWriter).write(&text, life); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err := text.WriteTo(out)
	return err
}

// printAlertLife prints an alert's card, its way to each receiver, and its life.
func printAlertLife(out io.Writer, life *curfewv1.GetAlertResponse, now time.Time) error {
	a := life.GetAlert()
	post := &curfewv1.Post{Alerts: []*curfewv1.Alert{a}}
	lines := append([]string{card.Heading(post)}, card.Text(post, time.UTC)...)
	lines = append(lines, "", "whom it reached")
	if len(a.GetDeliveries()) == 0 {
		lines = append(lines, "  nobody: it was routed to no receiver yet")
	}
	for _, d := range a.GetDeliveries() {
		lines = append(lines, deliveryLines(a, d, now)...)
	}
	if len(a.GetNotes()) > 0 {
		lines = append(lines, "", "what was done")
	}
	for _, n := range a.GetNotes() {
		lines = append(lines, fmt.Sprintf("  %s  %s  %s", clock(n.GetTime()), n.GetAuthor(), n.GetText()))
	}
	lines = append(lines, "", "its life")
	for _, step := range life.GetSteps() {
		lines = append(lines, fmt.Sprintf("  %s  by %s%s", clock(step.GetTime()), cmp.Or(step.GetAuthor(), "the clock"), behind(step.GetDetail())))
	}
	for i, line := range lines {
		lines[i] = plain(line)
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// deliveryLines is why an alert went to a receiver, or why it did not, and what stood in the way.
func deliveryLines(a *curfewv1.Alert, d *curfewv1.AlertDelivery, now time.Time) []string {
	lines := []string{fmt.Sprintf("  %s: %s", d.GetReceiver(), deliveryWord(a, d))}
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, fmt.Sprintf("    %-8s %s", name, text))
		}
	}
	add("why", d.GetReason())
	if h := d.GetHold(); h != nil {
		text := h.GetText()
		if h.GetBy() != "" {
			text += " (by " + h.GetBy() + ")"
		}
		if h.GetUntil() != nil {
			text += ", until " + when(h.GetUntil(), now)
		}
		add("kept", text)
	}
	if d.GetTries() > 0 || d.GetTrouble() != "" {
		add("trouble", fmt.Sprintf("tried %d times in vain%s", d.GetTries(), behind(d.GetTrouble())))
	}
	if d.GetNotBefore() != nil && d.GetNotBefore().AsTime().After(now) {
		add("next", when(d.GetNotBefore(), now))
	}
	add("at", d.GetRef())
	if n := len(d.GetWith()); n > 0 {
		add("with", fmt.Sprintf("%d other alerts in one message", n))
	}
	return lines
}

// deliveryWord is how far an alert is at a receiver.
func deliveryWord(a *curfewv1.Alert, d *curfewv1.AlertDelivery) string {
	word := "in a state that is not known"
	switch d.GetState() {
	case curfewv1.DeliveryState_DELIVERY_STATE_WAITING:
		word = "it is to go there"
	case curfewv1.DeliveryState_DELIVERY_STATE_SENDING:
		word = "being handed over since " + clock(d.GetTried())
	case curfewv1.DeliveryState_DELIVERY_STATE_SENT:
		word = "it is there since " + clock(cmp.Or(d.GetShown(), d.GetSent()))
		if d.GetShown() != nil && d.GetSent().AsTime().After(d.GetShown().AsTime()) {
			word += ", brought up to date at " + clock(d.GetSent())
		}
		if d.GetHas().GetVersion() < a.GetVersion() {
			word += ", as it stood before the newest changes"
		}
	case curfewv1.DeliveryState_DELIVERY_STATE_HELD:
		word = "kept back"
	default:
	}
	if d.GetSummarised() {
		word += ", counted in a summary"
	}
	if d.GetEpisode() != a.GetEpisode() {
		word += fmt.Sprintf(" (episode %d; this is episode %d)", d.GetEpisode(), a.GetEpisode())
	}
	return word
}
