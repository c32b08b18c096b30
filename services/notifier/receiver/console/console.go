// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package console prints alerts and notices where Curfew runs: what Slack will show, in plain text.
package console

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// width is how many characters a card is wide.
const width = 100

// Config of the console receiver.
type Config struct {
	// UTC prints times in UTC instead of local time.
	UTC bool `yaml:"utc"`
}

// Receiver prints alerts. It is safe for concurrent use: a card is written in one piece.
type Receiver struct {
	config Config
	mu     sync.Mutex
	out    io.Writer
}

// New returns a receiver that writes to out.
func New(config Config, out io.Writer) (*Receiver, error) {
	return &Receiver{config: config, out: out}, nil
}

// Deliver prints the alert. Nil means that every byte was written.
func (r *Receiver) Deliver(_ context.Context, alert *curfewv1.Alert, repeated bool) error {
	card := r.card(alert, repeated)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := io.WriteString(r.out, card); err != nil {
		return fmt.Errorf("print alert: %w", err)
	}
	return nil
}

// Notice prints what people are told of a grant: what about and to whom, then what. Nil means that every byte was written.
func (r *Receiver) Notice(_ context.Context, notice *curfewv1.Notice) error {
	to := "whom it concerns"
	if len(notice.GetTo()) > 0 {
		to = strings.Join(notice.GetTo(), ", ")
	}
	kind := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(notice.GetKind().String(), "NOTICE_KIND_"), "_", " "))
	// Each in one line, whatever stands in it: nobody may write a notice of their own into another's.
	line := func(text string) string { return strings.Join(strings.Fields(plain(text)), " ") }
	text := fmt.Sprintf("● grant %s, %s, to %s:\n  %s\n", line(notice.GetGrant().GetId()), kind, line(to), line(notice.GetText()))
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := io.WriteString(r.out, text); err != nil {
		return fmt.Errorf("print notice: %w", err)
	}
	return nil
}

// card is the alert as a person reads it: who did what to which data, why it is an alert, what to do next.
func (r *Receiver) card(alert *curfewv1.Alert, repeated bool) string {
	f := alert.GetFinding()
	e, d := f.GetEvent(), f.GetDecision()
	c := &card{}
	severity := strings.TrimPrefix(f.GetSeverity().String(), "SEVERITY_")
	c.rule("┌")
	c.text(severity+"  ", f.GetTitle())
	if repeated {
		c.text("", "(sent before, but it is not known whether it arrived)")
	}
	c.rule("├")
	c.field("Grant", f.GetGrantId())
	if e != nil {
		c.field("Who", r.who(e, d))
		c.field("What", fmt.Sprintf("%s (%s in %s)%s", d.GetAct(), e.GetAction(), e.GetSource(), outcome(e)))
		c.field("On", on(e))
		c.field("Data", strings.Join(d.GetClasses(), ", "))
		c.field("When", r.when(e))
	} else if f.GetTime() != nil {
		c.field("When", r.clock(f.GetTime().AsTime()))
	}
	c.field("From", from(e))
	for _, change := range e.GetChanges() {
		c.field("Change", fmt.Sprintf("%s: %s → %s", change.GetField(), orNone(change.GetBefore()), orNone(change.GetAfter())))
	}
	if len(e.GetApp().GetScopes()) > 0 {
		c.field("Scopes", strings.Join(e.GetApp().GetScopes(), ", "))
	}
	c.field("Why", f.GetReason())
	if row := d.GetRow(); row != nil {
		c.field("Row", fmt.Sprintf("%s:%d  %s", row.GetFile(), row.GetLine(), row.GetText()))
	}
	c.field("Policy", short(d.GetPolicyDigest()))
	for i, step := range f.GetNextSteps() {
		label := "Next"
		if i > 0 {
			label = ""
		}
		c.field(label, fmt.Sprintf("%d. %s", i+1, step))
	}
	c.field("Alert", fmt.Sprintf("%s  (%s; %s)", alert.GetId(), f.GetDetection(), strings.Join(f.GetControls(), ", ")))
	c.rule("└")
	return c.String()
}

func (r *Receiver) who(e *curfewv1.Event, d *curfewv1.Decision) string {
	actor := e.GetActor()
	names := make([]string, 0, 3)
	for _, name := range []string{actor.GetName(), actor.GetEmail()} {
		if name != "" && (len(names) == 0 || names[0] != name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 && actor.GetId() != "" {
		names = append(names, actor.GetId())
	}
	person := d.GetSubject()
	if d.GetPerson() != "" {
		person = d.GetPerson() + " for " + d.GetSubject()
	}
	if person == "" {
		person = "nobody named"
	}
	return strings.TrimSpace(strings.Join(names, " ") + " (" + person + ")")
}

func (r *Receiver) when(e *curfewv1.Event) string {
	if e.GetTime() == nil {
		return "unknown; received " + r.clock(e.GetReceived().AsTime())
	}
	return r.clock(e.GetTime().AsTime())
}

func (r *Receiver) clock(t time.Time) string {
	if r.config.UTC {
		t = t.UTC()
	} else {
		t = t.Local()
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

func outcome(e *curfewv1.Event) string {
	if e.GetOutcome().GetStatus() != curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return ""
	}
	if reason := e.GetOutcome().GetReason(); reason != "" {
		return ", refused there: " + reason
	}
	return ", refused there"
}

func on(e *curfewv1.Event) string {
	r := e.GetResource()
	if r.GetName() == "" || r.GetName() == r.GetPath() {
		return r.GetPath()
	}
	return fmt.Sprintf("%s (%s)", r.GetName(), r.GetPath())
}

func from(e *curfewv1.Event) string {
	c := e.GetContext()
	parts := make([]string, 0, 3)
	for _, part := range []string{c.GetIp(), c.GetCountry(), c.GetUserAgent()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// card builds the lines of one card.
type card struct{ strings.Builder }

func (c *card) rule(corner string) {
	c.WriteString(corner + strings.Repeat("─", width-1) + "\n")
}

// field writes a named value, and nothing where there is none.
func (c *card) field(name, value string) {
	if strings.TrimSpace(value) != "" {
		c.text(fmt.Sprintf("%-8s", name), value)
	}
}

// text writes words wrapped behind a label.
func (c *card) text(label, value string) {
	line := "│ " + label
	indent := "│ " + strings.Repeat(" ", len(label))
	used := false
	for _, word := range strings.Fields(plain(value)) {
		if used && len([]rune(line))+1+len([]rune(word)) > width {
			c.WriteString(strings.TrimRight(line, " ") + "\n")
			line, used = indent, false
		}
		if used {
			line += " "
		}
		line += word
		used = true
	}
	c.WriteString(strings.TrimRight(line, " ") + "\n")
}

// plain keeps vendor text from commanding the terminal: control and direction characters become a mark, and a text is
// cut where nobody would read on.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return '\uFFFD'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 600 {
		return string(runes[:600]) + "…"
	}
	return text
}
