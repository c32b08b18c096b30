// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// maxHook bounds a delivery of an event hook in bytes. Okta states no bound of its own.
	maxHook = 1 << 20
	// challengeHeader is where Okta puts what it wants back when a hook is verified:
	// https://developer.okta.com/docs/concepts/event-hooks/#one-time-verification-request.
	challengeHeader = "X-Okta-Verification-Challenge"
	// maxChallenge bounds what is sent back.
	maxChallenge = 1 << 10
)

// Webhooks returns the log's feed where there is a hook_secret: what event hooks bring and what is polled are the same
// events under the same ids. Hooks come within seconds as a rule, more than an hour late at times, out of order, some of
// them twice, and not at all past 400,000 events a day or for types that are not eligible; so the log is polled as well.
func (s *Source) Webhooks() []string {
	if !s.config.HookSecret.IsSet() {
		return nil
	}
	return []string{feed}
}

// MaxWebhook bounds a delivery: 1 MiB.
func (s *Source) MaxWebhook() int64 { return maxHook }

// Receive takes a delivery of an event hook. Okta signs nothing: a static secret in the Authorization header proves who
// sends, and whoever has it can send anything: https://developer.okta.com/docs/concepts/event-hooks/#security. Each
// LogEvent becomes a record of its own; Key is Okta's eventId.
func (s *Source) Receive(delivery vendorhttp.Delivery) (*vendorhttp.Accepted, error) {
	if !s.config.HookSecret.IsSet() {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "no hook_secret is configured"}
	}
	secret, err := s.config.HookSecret.Value()
	if err != nil {
		return nil, fmt.Errorf("receive okta event hook: %w", err)
	}
	if delivery.Method != http.MethodPost && delivery.Method != http.MethodGet {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "it is neither a POST nor a GET"}
	}
	sent := delivery.Header.Values("Authorization")
	challenge := delivery.Header.Get(challengeHeader)
	if delivery.Method == http.MethodGet && challenge != "" && len(sent) == 0 {
		// That Okta sends the secret along with the challenge is not confirmed, so a challenge without one is answered: it
		// gives away nothing that its sender does not have. With a wrong one it is not, and the mistake is seen at once.
		return answerChallenge(challenge)
	}
	if len(sent) > 1 {
		return nil, &vendorhttp.Unbelieved{Reason: "forged", Detail: "there is more than one secret"}
	}
	if err := vendorhttp.CheckStatic(secret, delivery.Header.Get("Authorization")); err != nil {
		return nil, err
	}
	if delivery.Method == http.MethodGet {
		return answerChallenge(challenge)
	}
	var hook struct {
		EventID string `json:"eventId"`
		Data    struct {
			Events []json.RawMessage `json:"events"`
		} `json:"data"`
	}
	if err := json.Unmarshal(delivery.Body, &hook); err != nil || hook.Data.Events == nil {
		// It is Okta's, and not as it is documented: kept whole, it becomes a dead letter that says so.
		key := event.ContentKey(source, string(delivery.Body))
		return &vendorhttp.Accepted{Feed: feed, Key: key, Records: [][]byte{delivery.Body}}, nil
	}
	accepted := &vendorhttp.Accepted{Feed: feed, Key: hook.EventID, Logged: true}
	if hook.EventID == "" || len(hook.EventID) > maxUUID || event.Clean(hook.EventID) != hook.EventID {
		accepted.Key = event.ContentKey(source, string(delivery.Body))
	}
	for _, record := range hook.Data.Events {
		accepted.Records = append(accepted.Records, record)
	}
	return accepted, nil
}

// answerChallenge gives Okta back what it wants to see when a hook is verified.
func answerChallenge(challenge string) (*vendorhttp.Accepted, error) {
	if challenge == "" || len(challenge) > maxChallenge {
		return nil, &vendorhttp.Unbelieved{Reason: "foreign", Detail: "it is neither events nor a challenge"}
	}
	answer, err := json.Marshal(map[string]string{"verification": challenge})
	if err != nil {
		return nil, fmt.Errorf("answer okta's challenge: %w", err)
	}
	return &vendorhttp.Accepted{Question: true, Answer: answer, AnswerType: "application/json"}, nil
}
