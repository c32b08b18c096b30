// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// firstWait and lastWait are how long is waited before clicks are listened for again, after the first failure and after
	// many.
	firstWait = time.Second
	lastWait  = 30 * time.Second
	// atOnce is how many clicks are worked on at once: more wait their turn, or Slack sends them again.
	atOnce = 64
	// maxBody is how large what Slack sends may be: a message of 50 blocks has less than a tenth.
	maxBody = 1 << 20
)

// Listen hands every click to take until ctx ends. Only once take returned nil Slack is answered: otherwise it sends the
// click again, and the person is told. What keeps clicks from coming in is reported, and tried again for ever.
func (r *Receiver) Listen(ctx context.Context, take func(context.Context, *curfewv1.Command) error) error {
	l := &clicks{r: r, take: take}
	defer l.then.Wait()
	wait := firstWait
	for {
		began := r.now()
		err := r.listen(ctx, l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.complain(err)
		if r.now().Sub(began) > lastWait {
			wait = firstWait
		}
		pause := wait
		if refused := delivery.AsRefused(err); refused != nil {
			pause = max(pause, refused.After)
		}
		select {
		case <-r.after(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, lastWait)
	}
}

// listen is one try, until it cannot go on.
func (r *Receiver) listen(ctx context.Context, l *clicks) error {
	if r.config.AppToken.IsSet() {
		return r.socket(ctx, l)
	}
	return r.serve(ctx, l)
}

// socket listens by Socket Mode, whose connection slack-go makes anew as often as Slack asks for it.
func (r *Receiver) socket(ctx context.Context, l *clicks) error {
	web, err := r.web()
	if err != nil {
		return err
	}
	session, cancel := context.WithCancel(ctx)
	defer cancel()
	client := socketmode.New(web, socketmode.OptionReadLimit(maxBody), socketmode.OptionLog(log.New(io.Discard, "", 0)))
	done := make(chan error, 1)
	go func() { done <- client.RunContext(session) }()
	room := make(chan struct{}, atOnce)
	// What is worked on outlives the connection that it came by.
	for {
		select {
		case e := <-client.Events:
			if err := trouble(e); err != nil {
				// slack-go would wait for up to 5 minutes: too long for who clicks meanwhile.
				cancel()
				return errors.Join(r.unopened(err), ended(<-done))
			}
			if e.Type == socketmode.EventTypeErrorBadMessage {
				l.complain(errors.New("slack: read what Slack sent: it is no JSON of Slack's"))
			}
			if e.Type != socketmode.EventTypeInteractive && e.Type != socketmode.EventTypeSlashCommand {
				continue
			}
			select {
			case room <- struct{}{}:
			case <-session.Done():
				continue
			}
			l.then.Go(func() {
				defer func() { <-room }()
				l.envelope(ctx, client, e.Request)
			})
		case err := <-done:
			return r.unopened(err)
		}
	}
}

// ended is nil where slack-go ended because it was told to.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return errors.New("slack: end Socket Mode: it ended by itself")
}

// trouble is what kept slack-go from connecting; nil where nothing did.
func trouble(e socketmode.Event) error {
	if e.Type != socketmode.EventTypeConnectionError {
		return nil
	}
	if failed, ok := e.Data.(*slack.ConnectionErrorEvent); ok && failed.ErrorObj != nil {
		return failed.ErrorObj
	}
	return errors.New("no connection, and slack-go does not say why")
}

// envelope handles one of Socket Mode, and acknowledges it once it is taken.
func (l *clicks) envelope(ctx context.Context, client *socketmode.Client, request *socketmode.Request) {
	kind := interactive
	if request.Type == socketmode.RequestTypeSlashCommands {
		kind = slashed
	}
	o, err := l.handle(ctx, kind, request.Payload)
	if err == nil {
		// Nobody is left to be told: without it Slack sends the envelope again.
		_ = client.AckCtx(ctx, request.EnvelopeID, o.answer)
	}
	if err != nil {
		l.complain(fmt.Errorf("slack: %w", err))
	}
	l.after(ctx, o)
}

// body is an answer as HTTP carries it.
func (o outcome) body() ([]byte, error) {
	if o.answer == nil {
		return nil, nil
	}
	return json.Marshal(o.answer)
}
