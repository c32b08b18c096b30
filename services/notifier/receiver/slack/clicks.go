// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// ackFor is how long is worked on a click before Slack is answered: it waits for 3 s.
	ackFor = 2500 * time.Millisecond
	// thenFor bounds what is done once Slack is answered.
	thenFor = 10 * time.Second
)

// errOtherAnswer is Slack's answer about somebody else than was asked.
var errOtherAnswer = errors.New("slack: ask who clicked: the answer is about another account")

// clicks handles what comes in, whichever way.
type clicks struct {
	r    *Receiver
	take func(context.Context, *curfewv1.Command) error
	// then are those that still do what follows an answer.
	then sync.WaitGroup
}

// outcome is what follows a click.
type outcome struct {
	// answer is what the acknowledgement says; nil = nothing.
	answer any
	// then is done after it, whatever becomes of it; nil = nothing.
	then func(context.Context)
}

// handle hands a click on. An error says that it was not taken, and must not be acknowledged: Slack comes again.
func (l *clicks) handle(ctx context.Context, kind string, payload []byte) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, ackFor)
	defer cancel()
	c, err := decode(kind, payload)
	if err != nil {
		return outcome{}, err
	}
	if c.what != blockActions && c.what != viewSubmission && c.what != slashed {
		return outcome{}, nil
	}
	self, err := l.r.who(ctx)
	if err != nil {
		return outcome{}, err
	}
	no, err := l.r.judge(ctx, self, c)
	switch {
	case err != nil:
		return l.refuse(c, "Not taken: Slack could not be asked just now who you are. Try again in a minute."), nil
	case no != "":
		return l.refuse(c, no), nil
	}
	switch c.what {
	case slashed:
		return l.slash(ctx, c)
	case viewSubmission:
		return l.submit(ctx, c)
	default:
		return l.press(ctx, c)
	}
}

// press handles a button, or a choice of a menu.
func (l *clicks) press(ctx context.Context, c click) (outcome, error) {
	v, ok := readValue(c.value)
	menu := c.id == idMore
	if menu {
		c.id = v.Do
	}
	switch {
	case !ok || c.id == idRequest:
		return l.refuse(c, otherVersion), nil
	case c.id == idDetails:
		return l.once(c, func(ctx context.Context) { l.r.details(ctx, c, v) }), nil
	case c.id == idTemporary || c.id == idExpect || c.id == idResolve || c.id == idRevoke && menu:
		v.Ref = c.ref()
		return l.open(c, c.id, v), nil
	}
	cmd, ok := c.command(v, l.r.now())
	if !ok {
		return l.refuse(c, otherVersion), nil
	}
	o, err := l.hand(ctx, c, cmd, nil)
	if err == nil {
		o = l.settle(c, v, o)
	}
	return o, err
}

// otherVersion answers a click that means nothing here.
const otherVersion = "Refused: this button is of another version of Curfew. Use the command line: curfew alert --help"

// submit handles a modal that was filled in.
func (l *clicks) submit(ctx context.Context, c click) (outcome, error) {
	v, ok := readValue(c.value)
	cmd, known := c.command(v, l.r.now())
	if !ok || !known {
		return l.refuse(c, otherVersion), nil
	}
	if wrong := c.fill(cmd); wrong != nil {
		return outcome{answer: slack.NewErrorsViewSubmissionResponse(wrong)}, nil
	}
	return l.hand(ctx, c, cmd, nil)
}

// slash handles a command that was typed.
func (l *clicks) slash(ctx context.Context, c click) (outcome, error) {
	verb, rest := word(unescape(c.text))
	if verb != idRequest {
		return l.refuse(c, usage), nil
	}
	c.id = idRequest
	if rest == "" {
		return l.open(c, idRequest, value{}), nil
	}
	cmd, _ := c.command(value{}, l.r.now())
	if wrong := request(cmd, rest); wrong != "" {
		return l.refuse(c, wrong+"\n"+usage), nil
	}
	return l.hand(ctx, c, cmd, whisper(fmt.Sprintf("Asked for %s for %s. You will be told here what comes of it.",
		card.Plain(cmd.GetRole(), maxRole), length(cmd.GetDuration().AsDuration()))))
}

// hand gives a command away: only once it is kept, Slack is answered.
func (l *clicks) hand(ctx context.Context, c click, cmd *curfewv1.Command, answer any) (outcome, error) {
	if err := l.take(ctx, cmd); err != nil {
		return l.once(c, func(ctx context.Context) {
			l.r.whisper(ctx, c, "Not taken yet: Curfew could not write it down. If nothing follows within a minute, click again.")
		}), fmt.Errorf("take a click: %w", err)
	}
	return outcome{answer: answer}, nil
}

// refuse answers whoever clicked, and nobody else.
func (l *clicks) refuse(c click, text string) outcome {
	switch c.what {
	case slashed:
		return outcome{answer: whisper(text)}
	case viewSubmission:
		m := form{id: c.id, title: "Not done", yes: "Close"}
		m.say(text)
		view, _ := m.view()
		view.Submit = nil
		return outcome{answer: slack.NewUpdateViewSubmissionResponse(&view)}
	default:
		return l.once(c, func(ctx context.Context) { l.r.whisper(ctx, c, text) })
	}
}

// open shows a modal. Slack's repeat of the click opens no second one.
func (l *clicks) open(c click, id string, v value) outcome {
	return l.once(c, func(ctx context.Context) {
		view, ok := modal(id, v, c.beside)
		if !ok {
			l.r.whisper(ctx, c, otherVersion)
			return
		}
		web, err := l.r.web()
		if err == nil {
			_, err = web.OpenViewContext(ctx, c.trigger, view)
		}
		if err != nil && code(err) != "exchanged_trigger_id" {
			l.r.whisper(ctx, c, "Slack would not show the form just now. Click again.")
		}
	})
}

// once is what is done once of a click that is no command, in this process.
func (l *clicks) once(c click, do func(context.Context)) outcome {
	return outcome{then: func(ctx context.Context) {
		l.r.mu.Lock()
		fresh := l.r.seen.add(c.key())
		l.r.mu.Unlock()
		if fresh {
			do(ctx)
		}
	}}
}

// after does what follows, in the background of base.
func (l *clicks) after(base context.Context, o outcome) {
	if o.then == nil {
		return
	}
	l.then.Go(func() {
		ctx, cancel := context.WithTimeout(base, thenFor)
		defer cancel()
		o.then(ctx)
	})
}

// whisper is an acknowledgement of a command that its person alone is shown.
func whisper(text string) map[string]any {
	lines, _ := fitLines(splitLines(text), maxSection)
	return map[string]any{
		"response_type": "ephemeral", "text": fit(text, maxFallback),
		"blocks": []slack.Block{&slack.SectionBlock{Type: slack.MBTSection, Text: plain(joinLines(lines))}},
	}
}
