// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package ticket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Generic posts JSON to an address, for any system that makes tickets of it.
type Generic struct {
	config  Config
	address string
	client  *http.Client
}

func newGeneric(c Config) (*Generic, error) {
	u, err := vendorhttp.Address(c.URL)
	if err != nil {
		return nil, fmt.Errorf("configure ticket: url: %w", err)
	}
	return &Generic{config: c, address: u.String(), client: delivery.Client()}, nil
}

// ticket is what is posted.
type ticket struct {
	// ID is one for each post or reply, and the same where it comes twice.
	ID string `json:"id"`
	// Kind is "alert", "change" or "comment".
	Kind     string `json:"kind"`
	Title    string `json:"title,omitempty"`
	Text     string `json:"text"`
	Severity string `json:"severity,omitempty"`
	// AlertID is the alert; of several the first.
	AlertID string `json:"alert_id,omitempty"`
	// Ref is what the system answered for the ticket that is changed or commented.
	Ref string `json:"ref,omitempty"`
}

// Single says that a post is one alert.
func (g *Generic) Single() {}

// Pace is one a second.
func (g *Generic) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 5, Every: time.Second}
	return pace, pace
}

// Post posts a ticket of kind "alert". The ref is the "key", "id" or "number" of the answer, or where it has none the post's
// id.
func (g *Generic) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	t := describe(post)
	t.ID, t.Kind = card.Plain(post.GetId(), maxTitle), "alert"
	answer, err := g.send(ctx, t)
	if err != nil {
		return "", fmt.Errorf("post ticket: %w", err)
	}
	return refOf(answer, t.ID), nil
}

// Edit posts where the alerts stand now, with kind "change".
func (g *Generic) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	t := describe(post)
	t.ID, t.Kind, t.Ref, t.Text = card.Plain(post.GetId(), maxTitle), "change", card.Plain(ref, maxTitle), strings.Join(standing(post), "\n")
	if _, err := g.send(ctx, t); err != nil {
		return fmt.Errorf("post change of ticket: %w", err)
	}
	return nil
}

// Reply posts what is said, with kind "comment".
func (g *Generic) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	t := ticket{ID: card.Plain(reply.GetId(), maxTitle), Kind: "comment", Ref: card.Plain(reply.GetRef(), maxTitle), Text: strings.Join(said(reply), "\n")}
	if _, err := g.send(ctx, t); err != nil {
		return fmt.Errorf("post comment of ticket: %w", err)
	}
	return nil
}

func describe(post *curfewv1.Post) ticket {
	t := ticket{Title: card.Cut(card.Heading(post), maxTitle), Text: strings.Join(text(post), "\n")}
	if alerts := post.GetAlerts(); len(alerts) > 0 {
		first := card.Of(alerts[0])
		t.AlertID, t.Severity = first.ID, strings.ToLower(strings.TrimPrefix(first.Severity.String(), "SEVERITY_"))
	}
	return t
}

func (g *Generic) send(ctx context.Context, t ticket) ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, delivery.Unsent(fmt.Errorf("encode ticket: %w", err))
	}
	r := delivery.Request{URL: g.address, Body: body}
	if g.config.Token.IsSet() {
		token, err := g.config.Token.Value()
		if err != nil {
			return nil, delivery.Unsent(err)
		}
		r.Header, r.Secrets = http.Header{"Authorization": {"Bearer " + token}}, []string{token}
	}
	return delivery.Post(ctx, g.client, r)
}

// refOf is how the other side calls the ticket.
func refOf(answer []byte, otherwise string) string {
	var said struct {
		Key    any `json:"key"`
		ID     any `json:"id"`
		Number any `json:"number"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return otherwise
	}
	for _, name := range []any{said.Key, said.ID, said.Number} {
		switch v := name.(type) {
		case string:
			if v != "" && v == card.Plain(v, 100) {
				return v
			}
		case float64:
			return fmt.Sprintf("%.0f", v)
		}
	}
	return otherwise
}
