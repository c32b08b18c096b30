// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// eventType is that of the metadata by which a message of ours is found again.
	eventType = "curfew_post"
	// apart is how much earlier or later than it was handed over a message is looked for: our clock is not Slack's, and a
	// message that is there and not found is shown twice.
	apart = 15 * time.Minute
	// page is how many messages Slack is asked for at once.
	page = 200
)

// Post shows alerts in the channel. Its errors are as delivery says: *delivery.Refused where surely nothing stands there.
func (r *Receiver) Post(ctx context.Context, post *curfewv1.Post) (ref string, err error) {
	alerts := make([]any, 0, len(post.GetAlerts()))
	for _, alert := range post.GetAlerts()[:min(len(post.GetAlerts()), shown)] {
		alerts = append(alerts, alert.GetId())
	}
	return r.send(ctx, "post alerts", r.config.Channel, r.sound(r.draw(post)).options(labelled(post.GetId(), alerts)))
}

// Edit makes the message at ref show what post does.
func (r *Receiver) Edit(ctx context.Context, ref string, post *curfewv1.Post) error {
	channel, ts, err := place(ref)
	if err != nil {
		return err
	}
	web, err := r.web()
	if err != nil {
		return err
	}
	_, edited, _, err := web.UpdateMessageContext(ctx, channel, ts, r.sound(r.draw(post)).options()...)
	if err != nil {
		return r.failed("edit a message", err)
	}
	return arrived("edit a message", edited)
}

// Reply writes into the thread of a message, and into the channel as well if it is loud.
func (r *Receiver) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	channel, ts, err := place(reply.GetRef())
	if err != nil {
		return err
	}
	options := words(r.now(), reply.GetLines()...).options(labelled(reply.GetId(), nil), slack.MsgOptionTS(ts))
	if reply.GetLoud() {
		options = append(options, slack.MsgOptionBroadcast())
	}
	_, err = r.send(ctx, "reply in a thread", channel, options)
	return err
}

// Find reads the channel back, or the thread of a message: all that is near the moment at which it was handed over, however
// much came since.
func (r *Receiver) Find(ctx context.Context, thread, id string, since time.Time) (ref string, found bool, err error) {
	self, err := r.who(ctx)
	if err != nil {
		return "", false, err
	}
	web, err := r.web()
	if err != nil {
		return "", false, err
	}
	channel, root := r.config.Channel, ""
	if thread != "" {
		if channel, root, err = place(thread); err != nil {
			return "", false, err
		}
	}
	oldest, latest := strconv.FormatInt(since.Add(-apart).Unix(), 10), strconv.FormatInt(since.Add(apart).Unix(), 10)
	for cursor := ""; ; {
		messages, next, err := read(ctx, web, channel, root, oldest, latest, cursor)
		if err != nil {
			return "", false, r.failed("read messages back", err)
		}
		for _, m := range messages {
			own := self.bot != "" && m.BotID == self.bot || m.User == self.user
			if own && m.Metadata.EventType == eventType && m.Metadata.EventPayload["post"] == id {
				return channel + "/" + m.Timestamp, true, nil
			}
		}
		if next == "" {
			return "", false, nil
		}
		if next == cursor {
			return "", false, errors.New("slack: read messages back: Slack gives the same page again")
		}
		cursor = next
	}
}

// read is one page of a channel, or of the thread of root, and where the next begins; "" = there is none.
func read(ctx context.Context, web *slack.Client, channel, root, oldest, latest, cursor string) (list []slack.Message, next string, err error) {
	var more bool
	if root != "" {
		list, more, next, err = web.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: root, Oldest: oldest, Latest: latest, Cursor: cursor, Limit: page, IncludeAllMetadata: true,
		})
	} else {
		var answer *slack.GetConversationHistoryResponse
		answer, err = web.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: channel, Oldest: oldest, Latest: latest, Cursor: cursor, Limit: page, IncludeAllMetadata: true,
		})
		if err == nil {
			if !answer.Ok {
				return nil, "", errors.New("the answer says neither yes nor no")
			}
			list, more, next = answer.Messages, answer.HasMore, answer.ResponseMetaData.NextCursor
		}
	}
	if err == nil && more && next == "" {
		return nil, "", errors.New("there is more, and Slack does not say where")
	}
	return list, next, err
}

// send posts to a conversation and returns where it stands.
func (r *Receiver) send(ctx context.Context, what, channel string, options []slack.MsgOption) (ref string, err error) {
	web, err := r.web()
	if err != nil {
		return "", err
	}
	in, ts, err := web.PostMessageContext(ctx, channel, options...)
	if err != nil {
		return "", r.failed(what, err)
	}
	if err := arrived(what, ts); err != nil {
		return "", err
	}
	return in + "/" + ts, nil
}

// arrived is an error unless Slack said where a message stands: slack-go takes an answer without ok and error for a yes.
func arrived(what, ts string) error {
	if ts == "" {
		return fmt.Errorf("slack: %s: the answer does not say that it was done", what)
	}
	return nil
}

// labelled attaches what a message is found again by.
func labelled(id string, alerts []any) slack.MsgOption {
	payload := map[string]any{"post": id}
	if alerts != nil {
		payload["alerts"] = alerts
	}
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: eventType, EventPayload: payload})
}

// place is the channel and the ts of a ref.
func place(ref string) (channel, ts string, err error) {
	channel, ts, found := strings.Cut(ref, "/")
	if !found || channel == "" || ts == "" {
		return "", "", &delivery.Refused{Reason: "slack: find a message: its place is none of Slack's", Final: true}
	}
	return channel, ts, nil
}

// sound is the message, or its one line where Slack would refuse it: a mistake in a drawing keeps no alert from people.
func (r *Receiver) sound(m message) message {
	if m.check() == nil {
		return m
	}
	c := newCanvas(r.now())
	c.section(plain(m.fallback), nil)
	c.context(plain(fit("Slack would not take the whole message. "+r.rest("curfew alert list"), roomStatus)))
	if m.fallback == "" {
		m.fallback = "Alerts"
	}
	return message{fallback: m.fallback, blocks: c.blocks}
}
