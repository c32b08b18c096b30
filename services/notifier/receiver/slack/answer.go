// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Answer tells whoever clicked what came of it: them alone where they clicked, or by a direct message where that was not
// on a message of a channel.
func (r *Receiver) Answer(ctx context.Context, step *curfewv1.CommandStep) error {
	err := r.outcome(ctx, step)
	if err == nil && step.GetState() == curfewv1.CommandState_COMMAND_STATE_DONE {
		r.closes(ctx, step.GetCommand())
	}
	return err
}

// outcome tells whoever clicked what came of it; nothing where nothing came of it yet.
func (r *Receiver) outcome(ctx context.Context, step *curfewv1.CommandStep) error {
	var text string
	switch step.GetState() {
	case curfewv1.CommandState_COMMAND_STATE_DONE:
		text = "✅ Done"
	case curfewv1.CommandState_COMMAND_STATE_REFUSED:
		text = "⛔ Refused"
	default:
		return nil
	}
	if step.GetText() != "" {
		text += ": " + step.GetText()
	}
	user, ref := step.GetCommand().GetActor().GetId(), step.GetCommand().GetRef()
	said := words(r.now(), splitLines(text)...)
	channel, ts, err := place(ref)
	if err != nil || strings.HasPrefix(channel, "D") {
		return r.direct(ctx, user, ts, said)
	}
	web, err := r.web()
	if err != nil {
		return err
	}
	seen, err := web.PostEphemeralContext(ctx, channel, user, said.options()...)
	switch {
	case code(err) == "user_not_in_channel" || code(err) == "channel_not_found" || code(err) == "not_in_channel" || code(err) == "is_archived":
		return r.direct(ctx, user, "", said)
	case err != nil:
		return r.failed("answer a click", err)
	}
	return arrived("answer a click", seen)
}

// direct writes to one account, behind a message of that conversation unless thread is "".
func (r *Receiver) direct(ctx context.Context, user, thread string, said message) error {
	web, err := r.web()
	if err != nil {
		return err
	}
	open, _, _, err := web.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return r.failed("open a conversation", err)
	}
	options := said.options()
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	_, err = r.send(ctx, "answer a click", open.ID, options)
	return err
}

// whisper shows whoever clicked a text, if it can: they wait for no answer, and can click again.
func (r *Receiver) whisper(ctx context.Context, c click, text string) {
	web, err := r.web()
	if err != nil || c.channel == "" {
		return
	}
	_, _ = web.PostEphemeralContext(ctx, c.channel, c.user, words(r.now(), splitLines(text)...).options()...)
}

// details shows whoever clicked the whole card of an alert, and nobody else: all can see it who see the message, and a thread
// is for what was done.
func (r *Receiver) details(ctx context.Context, c click, v value) {
	otherwise := "All of this alert: " + r.rest("curfew alert show "+card.Plain(v.Alert, roomStatus))
	if r.lookup == nil || c.message == "" {
		r.whisper(ctx, c, otherwise)
		return
	}
	alert, err := r.lookup(ctx, v.Alert)
	if err != nil || alert == nil {
		r.whisper(ctx, c, otherwise)
		return
	}
	web, err := r.web()
	if err != nil {
		return
	}
	said := r.sound(r.card(alert, false, false))
	if _, err := web.PostEphemeralContext(ctx, c.channel, c.user, append(said.options(), slack.MsgOptionTS(c.message))...); err != nil {
		r.whisper(ctx, c, otherwise)
	}
}
