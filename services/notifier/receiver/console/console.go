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

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxReply bounds a line of a reply, maxText the text of a notice, in runes.
const maxReply, maxText = 600, 2000

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

// Pace is as fast as anybody can read along, and faster.
func (r *Receiver) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 1000, Every: time.Millisecond}
	return pace, pace
}

// Post prints one alert as a card, several a line each, and a summary as its groups. Nil means that every byte was written.
// The ref is the post's id.
func (r *Receiver) Post(_ context.Context, post *curfewv1.Post) (string, error) {
	text := r.listed(post)
	if alerts := post.GetAlerts(); len(alerts) == 1 && !post.GetSummary() {
		text = draw(card.Of(alerts[0]), post.GetRepeated(), r.zone())
	}
	if err := r.print(text); err != nil {
		return "", fmt.Errorf("print alert: %w", err)
	}
	return post.GetId(), nil
}

// Edit prints where each alert stands now, a line each: what is printed stays. Nil means that every byte was written.
func (r *Receiver) Edit(_ context.Context, _ string, post *curfewv1.Post) error {
	var text strings.Builder
	for _, a := range post.GetAlerts() {
		c := card.Of(a)
		fmt.Fprintf(&text, "● alert %s is now %s, with %s\n", c.ID, c.Status, findings(c.Count))
	}
	if err := r.print(text.String()); err != nil {
		return fmt.Errorf("print change: %w", err)
	}
	return nil
}

// Reply prints what is said. Nil means that every byte was written.
func (r *Receiver) Reply(_ context.Context, reply *curfewv1.Reply) error {
	var text strings.Builder
	for _, line := range reply.GetLines() {
		fmt.Fprintf(&text, "  ↳ %s\n", card.Plain(line, maxReply))
	}
	if err := r.print(text.String()); err != nil {
		return fmt.Errorf("print reply: %w", err)
	}
	return nil
}

// Notice prints what people are told: what about and to whom, then what, in one line, so that nobody can write a notice of
// their own into another's. Nil means that every byte was written.
func (r *Receiver) Notice(_ context.Context, notice *curfewv1.Notice) error {
	to := "whom it concerns"
	if len(notice.GetTo()) > 0 {
		to = card.Plain(strings.Join(notice.GetTo(), ", "), maxReply)
	}
	text := fmt.Sprintf("● %s, to %s:\n  %s\n", card.About(notice), to, card.Plain(notice.GetText(), maxText))
	if err := r.print(text); err != nil {
		return fmt.Errorf("print notice: %w", err)
	}
	return nil
}

// listed is a post of several alerts.
func (r *Receiver) listed(post *curfewv1.Post) string {
	var text strings.Builder
	fmt.Fprintf(&text, "● %s\n", card.Heading(post))
	for _, line := range card.Text(post, r.zone()) {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	return text.String()
}

func (r *Receiver) zone() *time.Location {
	if r.config.UTC {
		return time.UTC
	}
	return time.Local
}

// print writes text in one piece.
func (r *Receiver) print(text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := io.WriteString(r.out, text)
	return err
}

func findings(count uint64) string {
	if count == 1 {
		return "1 finding"
	}
	return fmt.Sprintf("%d findings", count)
}
