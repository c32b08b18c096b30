// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxAsked is how many messages are remembered until what was clicked on them is carried out, and maxAskedSize how large
	// one of them may be.
	maxAsked, maxAskedSize = 256, 64 << 10
)

// asked are messages that were clicked on, by the command that came of it. Its user holds the lock.
type asked struct {
	known map[string][]byte
	order []string
}

func (a *asked) add(id string, message []byte) {
	if a.known == nil {
		a.known = map[string][]byte{}
	}
	if _, again := a.known[id]; !again {
		a.order = append(a.order, id)
	}
	a.known[id] = message
	if len(a.order) > maxAsked {
		delete(a.known, a.order[0])
		a.order = a.order[1:]
	}
}

// settle is what follows an answer to a notice besides what follows any click. A person's own answer takes the buttons of
// their message away at once, for nobody else is asked there. Of a yes or no to a request that waits until it counts: it may be
// refused, and is somebody else's to give then. A request at which all approvers click keeps them, since it may need two.
func (l *clicks) settle(c click, v value, o outcome) outcome {
	direct := strings.HasPrefix(c.channel, "D")
	switch {
	case len(c.said) > maxAskedSize:
	case direct && (c.id == idConfirm || c.id == idDisown):
		o.then = func(ctx context.Context) { l.r.close(ctx, c.ref(), c.said, "You answered: "+label(c.id), "") }
	case c.id == idDeny, c.id == idApprove && (direct || v.Silence != ""):
		l.r.mu.Lock()
		l.r.asked.add(c.key(), c.said)
		l.r.mu.Unlock()
	}
	return o
}

// closes takes the buttons of the message away that a command was clicked on, where this process saw the click.
func (r *Receiver) closes(ctx context.Context, q *curfewv1.Command) {
	r.mu.Lock()
	said, known := r.asked.known[q.GetId()]
	r.mu.Unlock()
	if !known {
		return
	}
	id := idApprove
	if q.GetKind() == curfewv1.CommandKind_COMMAND_KIND_DENY {
		id = idDeny
	}
	r.close(ctx, q.GetRef(), said, "Answered: "+label(id), q.GetActor().GetId())
}

// close makes a message say who answered what in place of its buttons, if it can: they are a convenience, and refused once
// they mean nothing. A user of "" is not named.
func (r *Receiver) close(ctx context.Context, ref string, said []byte, text, user string) {
	var before struct {
		Text   string       `json:"text"`
		Blocks slack.Blocks `json:"blocks"`
	}
	channel, ts, err := place(ref)
	if err != nil || json.Unmarshal(said, &before) != nil {
		return
	}
	c, blocks := newCanvas(r.now()), len(before.Blocks.BlockSet)
	c.blocks = slices.DeleteFunc(before.Blocks.BlockSet, func(b slack.Block) bool { return b.BlockType() == slack.MBTAction })
	if len(c.blocks) == blocks {
		return // somebody was quicker
	}
	by := ""
	if isID(user) {
		by = "By <@" + user + ">, "
	}
	c.context(plain(text), marked(by+date(r.now())))
	web, err := r.web()
	if err != nil {
		return
	}
	// Nobody waits for it: the answer itself is on its way.
	_, _, _, _ = web.UpdateMessageContext(ctx, channel, ts, message{fallback: before.Text, blocks: c.blocks}.options()...)
}

// isID is whether text is an id of Slack's, and nothing that it would read more into.
func isID(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}
