// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// maxWebhook bounds a pushed activity. Google states no limit; a record of the log is rarely larger than some KiB.
	maxWebhook = 4 << 20
	// channelLife is how long a channel is taken to live whose end Google does not say, maxChannelLife the most that is
	// believed. That Google ends the channels of this API after six hours is not confirmed.
	channelLife    = time.Hour
	maxChannelLife = 7 * 24 * time.Hour
	// aheadOf is how far the clock of the one who opened a channel may be ahead of that of the one who is pushed to.
	aheadOf = time.Hour
)

// Webhooks returns the applications whose activities are pushed: all that are read, where there is a secret for it.
func (s *Source) Webhooks() []string {
	if !s.config.ChannelSecret.IsSet() {
		return nil
	}
	return s.Feeds()
}

// MaxWebhook bounds the body of a push message in bytes.
func (s *Source) MaxWebhook() int64 { return maxWebhook }

// Receive believes a push message whose channel has the token that only we can make for it, for as long as a channel
// lives at most, and gives its activity as it came; the first message of a channel has none. Google signs nothing and says not when a message was sent:
// https://developers.google.com/workspace/admin/reports/v1/guides/push. The error is a *vendorhttp.Unbelieved, or says
// that the secret cannot be read.
func (s *Source) Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error) {
	if !s.config.ChannelSecret.IsSet() {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "no channel was opened: there is no channel_secret"}
	}
	if delivery.Method != http.MethodPost {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "push messages are POSTed"}
	}
	secret, err := s.config.ChannelSecret.Value()
	if err != nil {
		return nil, fmt.Errorf("receive google_workspace: channel_secret: %w", err)
	}
	channels, tokens := delivery.Header.Values("X-Goog-Channel-ID"), delivery.Header.Values("X-Goog-Channel-Token")
	switch {
	case len(channels) > 1 || len(tokens) > 1:
		return nil, &vendorhttp.Unbelieved{Reason: "forged", Detail: "it has several channels or tokens"}
	case len(channels) == 0 || channels[0] == "":
		return nil, &vendorhttp.Unbelieved{Reason: "unsigned", Detail: "it names no channel"}
	case len(tokens) == 0:
		return nil, &vendorhttp.Unbelieved{Reason: "unsigned", Detail: "it has no token"}
	case tokens[0] != strings.ToLower(tokens[0]):
		return nil, &vendorhttp.Unbelieved{Reason: "forged", Detail: "the token is not in lower case, as ours are"}
	}
	channel := channels[0]
	if err := vendorhttp.CheckHMAC(secret, tokens[0], "", []byte(channel)); err != nil {
		return nil, err
	}
	application, opened, _ := strings.Cut(channel, "-")
	if !slices.Contains(s.config.Applications, application) {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "its channel is of an application that is not read"}
	}
	if err := checkOpened(opened, delivery.Received); err != nil {
		return nil, err
	}
	accepted := &vendorhttp.Accepted{
		Logged: true,
		Feed:   application,
		// That a message which Google repeats has the same number is not confirmed; the ids of its events are the same.
		Key: event.ContentKey(channel, delivery.Header.Get("X-Goog-Message-Number"), event.Digest(delivery.Body)),
	}
	if delivery.Header.Get("X-Goog-Resource-State") == "sync" {
		accepted.Question = true
		return accepted, nil
	}
	accepted.Records = [][]byte{delivery.Body}
	return accepted, nil
}

// checkOpened wants what stands behind the application in a channel's id to be a time since which a channel may have
// lived: a token that leaked is of no use for ever. The error is an *vendorhttp.Unbelieved.
func checkOpened(text string, now time.Time) error {
	text, _, _ = strings.Cut(text, "-")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return &vendorhttp.Unbelieved{Reason: "stale", Detail: "its channel says not when it was opened"}
	}
	// Compared as seconds: beyond some centuries a duration runs over.
	if seconds < now.Add(-maxChannelLife).Unix() || seconds > now.Add(aheadOf).Unix() {
		return &vendorhttp.Unbelieved{Reason: "stale", Detail: fmt.Sprintf("its channel was opened more than %v ago, or is to be opened yet", maxChannelLife)}
	}
	return nil
}

// newChannel is the id and the token of a new channel for an application: the id has when it was opened, and is 64
// characters long at most.
func newChannel(secret, application string, opened time.Time) (id, token string) {
	random := make([]byte, 12)
	// It does not fail: https://pkg.go.dev/crypto/rand#Read.
	_, _ = rand.Read(random)
	id = fmt.Sprintf("%s-%d-%s", application, opened.Unix(), hex.EncodeToString(random))
	return id, channelToken(secret, id)
}

// channelToken proves a channel's id, so that whoever knows the secret can tell our channels without a list of them.
func channelToken(secret, id string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}

// channel is what is read of a Channel:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/SubscriptionChannel.
type channel struct {
	ID         string       `json:"id"`
	Expiration event.Scalar `json:"expiration"`
}

// Subscribe opens a push channel that brings an application's activities to an address, which has to be https with a
// certificate that Google trusts, and returns when Google ends it. Google's channels cannot be prolonged, and the one
// before goes on to its own end. The right is that of polling. The error holds no secret.
func (s *Source) Subscribe(ctx context.Context, feed, address string) (until time.Time, err error) {
	if !slices.Contains(s.Webhooks(), feed) {
		return time.Time{}, fmt.Errorf("subscribe google_workspace: %q is not pushed", event.Clean(feed))
	}
	opened, err := s.openChannel(ctx, feed, address)
	if err != nil {
		return time.Time{}, fmt.Errorf("subscribe google_workspace %s: %w", feed, err)
	}
	return s.channelEnd(opened.Expiration.Text), nil
}

func (s *Source) openChannel(ctx context.Context, feed, address string) (*channel, error) {
	secret, err := s.config.ChannelSecret.Value()
	if err != nil {
		return nil, fmt.Errorf("channel_secret: %w", err)
	}
	id, token := newChannel(secret, feed, s.client.Time())
	body, err := json.Marshal(map[string]any{"id": id, "type": "web_hook", "address": address, "token": token, "payload": true})
	if err != nil {
		return nil, errors.New("write request: the address is no text")
	}
	answer, err := s.ask(ctx, scopeAudit, vendorhttp.Request{
		Method: http.MethodPost, Address: s.base.JoinPath(activityPath, feed, "watch").String(), Body: body,
	})
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusUnauthorized) {
		return nil, fmt.Errorf("%w; the address has to be https, with a certificate that everybody trusts", err)
	}
	if err != nil {
		return nil, err
	}
	var opened channel
	if json.Unmarshal(answer.Body, &opened) != nil || opened.ID != id {
		return nil, errors.New("read answer: not the channel that was asked for")
	}
	return &opened, nil
}

// channelEnd is when a channel ends: a Unix time in milliseconds, or where it is too small for one the seconds from now.
// The documentation's own examples have the latter; which of the two is sent is not confirmed.
func (s *Source) channelEnd(text string) time.Time {
	now := s.client.Now()
	value, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || value <= 0:
		return now.Add(channelLife)
	case value <= int64(maxChannelLife/time.Second):
		return now.Add(time.Duration(value) * time.Second)
	}
	end := time.UnixMilli(value)
	if latest := now.Add(maxChannelLife); end.After(latest) {
		return latest
	}
	if !end.After(now) {
		return now.Add(channelLife)
	}
	return end
}
