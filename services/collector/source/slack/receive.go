// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// maxWebhook bounds a delivery. Slack states no bound; a message has at most 50 blocks of 3000 characters and 100
	// attachments, so this is room enough.
	maxWebhook = 1 << 20
	// maxAge is how old a delivery may be: https://docs.slack.dev/authentication/verifying-requests-from-slack.
	maxAge = 5 * time.Minute
)

// Webhooks returns the feeds that the Events API brings events to: on an Enterprise plan the audit log's, so that what
// both tell of becomes one event; else a feed of its own, "events", and for what happens to apps that of
// team.integrationLogs where it is read. Nil where no signing secret is configured.
func (s *Source) Webhooks() []string {
	switch {
	case !s.config.SigningSecret.IsSet():
		return nil
	case s.config.Plan == enterprise:
		return []string{audit}
	case slices.Contains(s.config.Feeds, integrationLogs):
		return []string{events, integrationLogs}
	}
	return []string{events}
}

// MaxWebhook bounds the body of a delivery in bytes.
func (s *Source) MaxWebhook() int64 { return maxWebhook }

// Receive believes a delivery of the Events API whose signature is that of its raw body and its time under the app's
// signing secret, and whose time is no more than five minutes from ours:
// https://docs.slack.dev/authentication/verifying-requests-from-slack. Slack's question whether the address is ours is
// answered. The record of an event is the whole envelope, byte for byte but for the value of its token, which is a secret
// of the app's and is blanked; its key is the event_id, the same in each of Slack's repeats. Its seal is the signature in
// lower-case hex.
func (s *Source) Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error) {
	if !s.config.SigningSecret.IsSet() {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "no signing secret is configured"}
	}
	if delivery.Method != http.MethodPost {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "it was not posted, as every delivery of Slack's is"}
	}
	secret, err := s.config.SigningSecret.Value()
	if err != nil {
		return nil, err
	}
	stamp, signature := delivery.Header.Get("X-Slack-Request-Timestamp"), delivery.Header.Get("X-Slack-Signature")
	if err := vendorhttp.CheckHMAC(secret, signature, "v0=", []byte("v0:"+stamp+":"), delivery.Body); err != nil {
		return nil, err
	}
	if err := vendorhttp.CheckAge(stamp, delivery.Received, maxAge); err != nil {
		return nil, err
	}
	accepted := &vendorhttp.Accepted{
		Feed: s.Webhooks()[0], Key: "body-" + event.Digest(delivery.Body)[:32], Seal: strings.ToLower(strings.TrimPrefix(signature, "v0=")), Records: [][]byte{withoutToken(delivery.Body)},
	}
	var outer struct {
		Type      event.Scalar `json:"type"`
		EventID   event.Scalar `json:"event_id"`
		Challenge string       `json:"challenge"`
		Event     struct {
			Type event.Scalar `json:"type"`
		} `json:"event"`
	}
	// What cannot be read becomes a dead letter in the lane.
	_ = json.Unmarshal(delivery.Body, &outer)
	switch {
	case outer.Type.Text == "url_verification" && outer.Challenge != "":
		return &vendorhttp.Accepted{Question: true, Answer: []byte(outer.Challenge), AnswerType: "text/plain; charset=utf-8"}, nil
	case outer.EventID.Text != "" && len(outer.EventID.Text) <= maxID:
		accepted.Key = outer.EventID.Text
	}
	if inner := outer.Event.Type.Text; (inner == "app_installed" || inner == "app_uninstalled_team") && slices.Contains(s.Webhooks(), integrationLogs) {
		accepted.Feed = integrationLogs
	}
	return accepted, nil
}

// withoutToken is an envelope in which the value of "token" is blank: as long as it was, so that every other byte stays
// where it is. Of a body that is none, what can be read of it is looked through.
func withoutToken(body []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return body
	}
	record := body
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return record
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return record
		}
		// A reader of JSON may take another spelling for the name.
		if text, is := name.(string); !is || !strings.EqualFold(text, "token") {
			continue
		}
		if &record[0] == &body[0] {
			record = bytes.Clone(body)
		}
		blank(record[decoder.InputOffset()-int64(len(value)) : decoder.InputOffset()])
	}
	return record
}

// blank makes a JSON value one of the same length that says nothing.
func blank(value []byte) {
	switch {
	case len(value) == 1:
		value[0] = '0'
	case value[0] == '"':
		copy(value[1:], bytes.Repeat([]byte{'*'}, len(value)-2))
	default:
		copy(value, `""`)
		copy(value[2:], bytes.Repeat([]byte{' '}, len(value)-2))
	}
}
