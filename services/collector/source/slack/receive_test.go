// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

const verification = "invented-verification-token"

// deliver delivers a record with the app's verification token in it.
func deliver(_ *testing.T, secret string, at time.Time, _ int, records ...[]byte) vendorhttp.Delivery {
	body := bytes.Replace(records[0], []byte(strings.Repeat("*", len(verification))), []byte(verification), 1)
	delivery := vendorhttp.Delivery{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Received: at,
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
				// They are wanted byte for byte, but for the token, which is delivered and not kept.
				Records: [][]byte{
					withoutToken(fake.SlackEvent{Number: 1, Type: "member_joined_channel", Fields: map[string]any{"user": "W1", "channel": "C1"}}.JSON()),
					withoutToken(fake.SlackEvent{Number: 2, Type: "app_installed", Fields: map[string]any{"user_id": "W1", "app_id": "A1"}}.JSON()),
					withoutToken(fake.SlackEvent{Number: 3}.JSON()),
					[]byte(`{"token":"***************************","type":"app_rate_limited","team_id":"T1","minute_rate_limited":1772438400,"api_app_id":"A1"}`),
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

// The app's verification token is a secret: it is not kept, and every other byte is.
func TestTokenIsNotKept(t *testing.T) {
	const token = "s3cr3t"
	tests := []struct{ body, want string }{
		{`{"token":"s3cr3t","type":"event_callback","event":{"type":"x","token":"theirs"}}`, `{"token":"******","type":"event_callback","event":{"type":"x","token":"theirs"}}`},
		{`{ "type" : "y", "token" : "s3cr3t" , "n": 1 }`, `{ "type" : "y", "token" : "******" , "n": 1 }`},
		{`{"Token":"s3cr3t","token":"s3cr3t"}`, `{"Token":"******","token":"******"}`},
		{`{"t\u006fken":"s3cr3t"}`, `{"t\u006fken":"******"}`},
		{`{"token":["s3cr3t"],"a":1}`, `{"token":""        ,"a":1}`},
		{`{"token": 7}`, `{"token": 0}`},
		{`{"token":"s3cr3t","broken`, `{"token":"******","broken`},
		{`{"event":"no token"}`, `{"event":"no token"}`},
	}
	for _, test := range tests {
		source := listener(t, other, "invented")
		delivery := deliver(t, "invented", morning, 1, []byte(test.body))
		accepted, err := source.Receive(delivery)
		if err != nil || len(accepted.Records) != 1 || string(accepted.Records[0]) != test.want || string(delivery.Body) != test.body {
			t.Errorf("%s: got %s, %v, and left the delivery as %s, want %s", test.body, accepted.Records, err, delivery.Body, test.want)
		}
		if strings.Contains(fmt.Sprintf("%s %+v", accepted.Records, accepted), token) {
			t.Errorf("%s: the token is kept: %s", test.body, accepted.Records)
		}
	}
}

// A delivery has one seal, however its signature is spelt, and is posted.
func TestSealAndMethod(t *testing.T) {
	source := listener(t, other, "invented")
	delivery := deliver(t, "invented", morning, 1, fake.SlackEvent{Number: 7}.JSON())
	accepted, err := source.Receive(delivery)
	signature := delivery.Header.Get("X-Slack-Signature")
	if err != nil || "v0="+accepted.Seal != signature {
		t.Fatalf("got %+v, %v, want the seal of %s", accepted, err, signature)
	}
	delivery.Header.Set("X-Slack-Signature", "v0="+strings.ToUpper(accepted.Seal))
	if again, err := source.Receive(delivery); err == nil && again.Seal != accepted.Seal {
		t.Errorf("a signature in capitals: got seal %s, want it refused or %s", again.Seal, accepted.Seal)
	}
	delivery.Header.Set("X-Slack-Signature", signature)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, ""} {
		delivery.Method = method
		got, err := source.Receive(delivery)
		var unbelieved *vendorhttp.Unbelieved
		if !errors.As(err, &unbelieved) || unbelieved.Reason != "foreign" {
			t.Errorf("method %q: got %+v, %v, want it foreign", method, got, err)
		}
	}
}
