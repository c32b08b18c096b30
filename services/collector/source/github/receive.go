// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// signatureHeader proves a delivery: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
	signatureHeader = "X-Hub-Signature-256"
	// maxWebhook is as much as GitHub sends: https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap.
	maxWebhook = 25 << 20
)

// Webhooks is the feed that webhooks belong to: the audit log's where that is read, one of their own otherwise, none where
// there is no secret.
func (s *Source) Webhooks() []string {
	switch {
	case !s.config.WebhookSecret.IsSet():
		return nil
	case s.readsAuditLog():
		return []string{feed}
	}
	return []string{webhookFeed}
}

// Resent is longer than GitHub lets a delivery be sent again by hand, three days:
// https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks.
func (s *Source) Resent() time.Duration { return 4 * 24 * time.Hour }

// MaxWebhook is 25 MiB; GitHub delivers nothing larger.
func (s *Source) MaxWebhook() int64 { return maxWebhook }

// Receive believes a delivery whose signature is that of its raw body under the webhook's secret. GitHub signs neither the
// delivery's id nor a time: that it is a replay is seen by the same signature under another id, and so is not told from
// two acts of which GitHub says the very same. The error is a *vendorhttp.Unbelieved, or says that the secret cannot be
// read.
func (s *Source) Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error) {
	if len(s.Webhooks()) == 0 {
		return nil, &vendorhttp.Unbelieved{Reason: "unsigned", Detail: "webhooks are not taken: no webhook_secret is configured"}
	}
	if delivery.Method != http.MethodPost {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "not a POST, which GitHub's deliveries are"}
	}
	secret, err := s.config.WebhookSecret.Value()
	if err != nil {
		return nil, err
	}
	signature := delivery.Header.Get(signatureHeader)
	if err := vendorhttp.CheckHMAC(secret, signature, "sha256=", delivery.Body); err != nil {
		return nil, err
	}
	id := delivery.Header.Get("X-GitHub-Delivery")
	return &vendorhttp.Accepted{
		Feed:    s.Webhooks()[0],
		Key:     cmp.Or(id, signature),
		Seal:    signature,
		Records: [][]byte{store(id, delivery.Header.Get("X-GitHub-Event"), payloadOf(delivery))},
	}, nil
}

// payloadOf is the JSON in a body: all of it, or the field of a form, as webhooks are sent whose content type was left as
// it was: https://docs.github.com/en/webhooks/using-webhooks/creating-webhooks.
func payloadOf(delivery vendorhttp.Delivery) []byte {
	if !strings.HasPrefix(delivery.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return delivery.Body
	}
	form, err := url.ParseQuery(string(delivery.Body))
	if err != nil || form.Get("payload") == "" {
		return delivery.Body
	}
	return []byte(form.Get("payload"))
}
