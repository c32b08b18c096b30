// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// googleChannelLife is how long a channel lives for which nobody asks for less; not confirmed.
const googleChannelLife = 6 * time.Hour

// googleChannel is a push channel.
type googleChannel struct {
	id, token, application, address string
	ends                            time.Time
	messages                        int
}

// GooglePush is one message of a push channel:
// https://developers.google.com/workspace/admin/reports/v1/guides/push#understanding-the-notification-message-format.
type GooglePush struct {
	// Address is where it goes.
	Address string
	// Channel and Token are the channel's id and token as it was opened.
	Channel, Token string
	// Number counts the messages of the channel.
	Number int
	// Activity is the activity; none in the first message, which says that the channel is open.
	Activity json.RawMessage
}

// Header is the header that the message has.
func (p GooglePush) Header() http.Header {
	state := "sync"
	if p.Activity != nil {
		var read struct {
			Events []struct {
				Name string `json:"name"`
			} `json:"events"`
		}
		// A record that cannot be read is pushed all the same.
		_ = json.Unmarshal(p.Activity, &read)
		state = "unknown"
		if len(read.Events) > 0 {
			state = read.Events[0].Name
		}
	}
	return http.Header{
		"Content-Type":          {"application/json; utf-8"},
		"X-Goog-Channel-Id":     {p.Channel},
		"X-Goog-Channel-Token":  {p.Token},
		"X-Goog-Message-Number": {strconv.Itoa(p.Number)},
		"X-Goog-Resource-Id":    {"invented-resource"},
		"X-Goog-Resource-State": {state},
	}
}

// channelID is what a channel's id may be, its address and token aside.
var channelID = regexp.MustCompile(`^[A-Za-z0-9\-_+/=]{1,64}$`)

// watch answers Activities.watch: it opens a channel. Address may be http on this machine, where Google wants https.
func (g *Google) watch(r *http.Request) googleAnswer {
	var asked struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Address string `json:"address"`
		Token   string `json:"token"`
	}
	err := json.NewDecoder(r.Body).Decode(&asked)
	address, addressErr := url.Parse(asked.Address)
	switch {
	case err != nil || asked.Type != "web_hook" || !channelID.MatchString(asked.ID) || len(asked.Token) > 256:
		return googleRefusal(http.StatusBadRequest, "invalid", "Invalid channel")
	case addressErr != nil || address.Scheme != "https" && address.Hostname() != "127.0.0.1":
		return googleRefusal(http.StatusBadRequest, "push.webhookUrlNotHttps", "WebHook callback must be HTTPS: "+asked.Address)
	case slices.ContainsFunc(g.channels, func(c *googleChannel) bool { return c.id == asked.ID }):
		return googleRefusal(http.StatusBadRequest, "channelIdNotUnique", "Channel id "+asked.ID+" not unique")
	}
	c := &googleChannel{
		id: asked.ID, token: asked.Token, application: r.PathValue("application"), address: asked.Address, ends: time.Now().Add(googleChannelLife),
	}
	g.channels = append(g.channels, c)
	g.pushes = append(g.pushes, c.message(nil))
	return googleAnswer{body: map[string]any{
		"kind": "api#channel", "id": c.id, "resourceId": "invented-resource", "token": c.token,
		"resourceUri": "https://admin.googleapis.com" + r.URL.Path, "expiration": strconv.FormatInt(c.ends.UnixMilli(), 10),
	}}
}

func (c *googleChannel) message(activity json.RawMessage) GooglePush {
	c.messages++
	return GooglePush{Address: c.address, Channel: c.id, Token: c.token, Number: c.messages, Activity: activity}
}

// push tells the open channels of an application of a record, however late the log has it.
func (g *Google) push(record googleRecord) {
	now := time.Now()
	for _, c := range g.channels {
		if c.application == record.application && c.ends.After(now) {
			g.pushes = append(g.pushes, c.message(record.raw))
		}
	}
}

// EndChannels ends every channel that is open.
func (g *Google) EndChannels() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.channels = nil
}

// Pushes takes the messages that wait to be sent, in their order.
func (g *Google) Pushes() []GooglePush {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := g.pushes
	g.pushes = nil
	return waiting
}

// SendPushes sends the messages that wait. An error says which was not taken; it and those behind it wait on.
func (g *Google) SendPushes(ctx context.Context, client *http.Client) error {
	waiting := g.Pushes()
	for i, p := range waiting {
		if err := p.send(ctx, client); err != nil {
			g.mu.Lock()
			g.pushes = append(waiting[i:], g.pushes...)
			g.mu.Unlock()
			return fmt.Errorf("push message %d of channel %s: %w", p.Number, p.Channel, err)
		}
	}
	return nil
}

func (p GooglePush) send(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Address, bytes.NewReader(p.Activity))
	if err != nil {
		return err
	}
	request.Header = p.Header()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}
