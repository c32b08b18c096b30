// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package teams shows alerts in a channel of Microsoft Teams by a Workflows webhook, as Adaptive Cards. A workflow can
// neither change a message nor be asked for one.
package teams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Config is the workflow.
type Config struct {
	// URL is the address that Teams shows once a workflow "Post to a channel when a webhook request is received" is made. It
	// is a secret: whoever knows it can post.
	URL config.Secret `yaml:"url"`
}

// Receiver posts to one workflow. It is safe for concurrent use.
type Receiver struct {
	config Config
	client *http.Client
}

// New returns a receiver for the workflow that c names. It reads no secret yet; an error is a mistake in c and says which.
func New(c Config) (*Receiver, error) {
	if !c.URL.IsSet() {
		return nil, errors.New("configure teams: url: none is named; name the workflow's address with {file: PATH} or {env: NAME}")
	}
	return &Receiver{config: c, client: delivery.Client()}, nil
}

// Pace is below four requests a second, from which on Teams throttles:
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors.
func (r *Receiver) Pace() (posts, edits delivery.Pace) {
	pace := delivery.Pace{Burst: 3, Every: time.Second}
	return pace, pace
}

// Post hands one card over. Nil means that the workflow took it (202): it posts to the channel by itself, and nobody can be
// asked whether it did. There is no ref.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (string, error) {
	if err := r.send(ctx, show(post)); err != nil {
		return "", fmt.Errorf("post to teams: %w", err)
	}
	return "", nil
}

// Notice hands over what people are told, and whom, as a card in the channel: a workflow knows no other place.
func (r *Receiver) Notice(ctx context.Context, notice *curfewv1.Notice) error {
	if err := r.send(ctx, tell(notice)); err != nil {
		return fmt.Errorf("post notice to teams: %w", err)
	}
	return nil
}

func (r *Receiver) send(ctx context.Context, body []byte) error {
	text, err := r.config.URL.Value()
	if err != nil {
		return delivery.Unsent(err)
	}
	u, err := vendorhttp.Address(text)
	if err != nil {
		return delivery.Unsent(fmt.Errorf("read url: %w", err))
	}
	_, err = delivery.Post(ctx, r.client, delivery.Request{URL: text, Body: body, Secrets: secrets(u), Missets: []string{"WorkflowTriggerIsNotEnabled"}})
	return err
}

// secrets is all of an address but its host.
func secrets(u *url.URL) []string {
	list := []string{u.RequestURI(), u.Path}
	for _, values := range u.Query() {
		list = append(list, values...)
	}
	return list
}
