// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// sign signs a delivery as Slack does: https://docs.slack.dev/authentication/verifying-requests-from-slack.
func sign(delivery *vendorhttp.Delivery, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", delivery.Header.Get("X-Slack-Request-Timestamp"), delivery.Body)
	delivery.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

func deliver(_ *testing.T, secret string, at time.Time, _ int, records ...[]byte) vendorhttp.Delivery {
	delivery := vendorhttp.Delivery{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: records[0], Received: at,
	}
	delivery.Header.Set("X-Slack-Request-Timestamp", fmt.Sprint(at.Unix()))
	sign(&delivery, secret)
	return delivery
}

func listener(t *testing.T, plan, secret string) *Source {
	t.Helper()
	c := Config{Plan: plan, Token: config.SecretValue("invented")}
	if secret != "" {
		c.SigningSecret = config.SecretValue(secret)
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestWebhooks(t *testing.T) {
	for _, plan := range []string{enterprise, other} {
		t.Run(plan, func(t *testing.T) {
			sourcetest.Webhooks(t, sourcetest.WebhookCase{
				New:     func(t *testing.T, secret string) sourcetest.Listener { return listener(t, plan, secret) },
				Deliver: deliver,
				Resign:  sign,
				Records: [][]byte{
					fake.SlackEvent{Number: 1, Type: "member_joined_channel", Fields: map[string]any{"user": "W1", "channel": "C1"}}.JSON(),
					fake.SlackEvent{Number: 2, Type: "app_installed", Fields: map[string]any{"user_id": "W1", "app_id": "A1"}}.JSON(),
					fake.SlackEvent{Number: 3}.JSON(),
					[]byte(`{"token":"x","type":"app_rate_limited","team_id":"T1","minute_rate_limited":1772438400,"api_app_id":"A1"}`),
				},
				Together:  1,
				Decode:    Decode,
				Proof:     "X-Slack-Signature",
				Seals:     true,
				Tolerance: 5 * time.Minute,
			})
		})
	}
}

func TestWebhookFeeds(t *testing.T) {
	joined := fake.SlackEvent{Type: "member_joined_channel"}.JSON()
	installed := fake.SlackEvent{Type: "app_installed"}.JSON()
	tests := []struct {
		plan   string
		feeds  []string // as configured
		record []byte
		want   string
		among  []string
	}{
		{enterprise, nil, joined, audit, []string{audit}},
		{enterprise, nil, installed, audit, []string{audit}},
		{other, nil, joined, events, []string{events, integrationLogs}},
		{other, nil, installed, integrationLogs, []string{events, integrationLogs}},
		{other, []string{accessLogs}, installed, events, []string{events}},
	}
	for _, test := range tests {
		source := listener(t, test.plan, "invented")
		if test.feeds != nil {
			source.config.Feeds = test.feeds
		}
		accepted, err := source.Receive(deliver(t, "invented", morning, 1, test.record))
		if err != nil || accepted.Feed != test.want || !slices.Equal(source.Webhooks(), test.among) {
			t.Errorf("plan %s, feeds %v: got %+v, %v, among %v, want feed %s among %v", test.plan, test.feeds, accepted, err, source.Webhooks(), test.want, test.among)
		}
	}
}

func TestURLVerification(t *testing.T) {
	source := listener(t, other, "invented")
	body := []byte(`{"token":"invented-verification-token","challenge":"invented-challenge","type":"url_verification"}`)
	accepted, err := source.Receive(deliver(t, "invented", morning, 1, body))
	if err != nil || !accepted.Question || string(accepted.Answer) != "invented-challenge" || len(accepted.Records) != 0 || accepted.AnswerType == "" {
		t.Errorf("got %+v, %v, want the challenge back and nothing to store", accepted, err)
	}
	if accepted, err := source.Receive(deliver(t, "another", morning, 1, body)); err == nil {
		t.Errorf("unproven: got %+v, want it refused", accepted)
	}
}

// Slack's repeat of an event is signed anew and has the same event_id.
func TestRepeatedDelivery(t *testing.T) {
	source := listener(t, other, "invented")
	record := fake.SlackEvent{Number: 7}.JSON()
	first, err := source.Receive(deliver(t, "invented", morning, 1, record))
	if err != nil {
		t.Fatal(err)
	}
	delivery := deliver(t, "invented", morning.Add(time.Minute), 2, record)
	delivery.Header.Set("X-Slack-Retry-Num", "1")
	again, err := source.Receive(delivery)
	if err != nil || again.Key != first.Key || again.Seal == first.Seal || first.Key != (fake.SlackEvent{Number: 7}).RecordID() {
		t.Errorf("got %+v, %v, want the key %s and a seal of its own", again, err, first.Key)
	}
}
