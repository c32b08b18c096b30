// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The kinds of what is delivered to the app, as Socket Mode calls them.
const (
	Interactive   = "interactive"
	SlashCommands = "slash_commands"
)

// ErrUnacknowledged is what a person gets as a warning sign: the app did not acknowledge in time, as often as it was tried.
var ErrUnacknowledged = errors.New("not acknowledged")

// Sign is the X-Slack-Signature of a body sent at a time, see
// https://docs.slack.dev/authentication/verifying-requests-from-slack.
func Sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%d:%s", at.Unix(), body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// Form is the body by which HTTP delivers a payload.
func Form(kind string, payload map[string]any) []byte {
	form := url.Values{}
	if kind == SlashCommands {
		for name, value := range payload {
			form.Set(name, asString(value))
		}
		return []byte(form.Encode())
	}
	form.Set("payload", string(encode(payload)))
	return []byte(form.Encode())
}

// Duplicate makes each of the next deliveries arrive twice at once.
func (w *Workspace) Duplicate(deliveries int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.duplicates += deliveries
}

// Deliver sends a payload, of whatever content, as Slack sends one of its kind: over a connected socket, otherwise to
// Options.RequestURL, and where there is neither it waits for a socket. What is not acknowledged within Options.AckWithin is
// sent again at once, over another socket if there is one, Options.Tries times in all; Slack itself promises no such thing
// for interactions. It returns the payload of the acknowledgement, nil if it has none, or ErrUnacknowledged or ctx's error.
func (w *Workspace) Deliver(ctx context.Context, kind string, payload map[string]any) (json.RawMessage, error) {
	copies := 1
	w.mu.Lock()
	if w.duplicates > 0 {
		w.duplicates--
		copies = 2
	}
	w.mu.Unlock()
	tried := map[*socket]bool{}
	e := envelope{kind: kind, payload: payload}
	for ; e.try < w.options.Tries; e.try++ {
		ack, ok := w.try(ctx, e, copies, tried)
		if ok {
			return ack, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("deliver to the app: %w", err)
		}
	}
	return nil, fmt.Errorf("deliver to the app, %d times: %w", w.options.Tries, ErrUnacknowledged)
}

// envelope is one try of a delivery, the first of number 0.
type envelope struct {
	kind    string
	payload map[string]any
	try     int
}

type acknowledgement struct {
	payload json.RawMessage
	ok      bool
}

// try sends the copies of an envelope and returns the first acknowledgement, once all of them came to an end.
func (w *Workspace) try(ctx context.Context, e envelope, copies int, tried map[*socket]bool) (json.RawMessage, bool) {
	acks := make(chan acknowledgement, copies)
	for range copies {
		if !w.run(func() {
			ack, ok := w.attempt(ctx, e, tried)
			acks <- acknowledgement{ack, ok}
		}) {
			acks <- acknowledgement{}
		}
	}
	var first acknowledgement
	for range copies {
		if ack := <-acks; ack.ok && !first.ok {
			first = ack
		}
	}
	return first.payload, first.ok
}

// attempt sends one copy and waits for its acknowledgement.
func (w *Workspace) attempt(ctx context.Context, e envelope, tried map[*socket]bool) (json.RawMessage, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timeout := w.options.After(w.options.AckWithin)
	for {
		changed := w.Changed()
		if s, p := w.choose(tried); s != nil {
			defer w.unlist(p)
			if !s.write(p.wrap(e)) {
				w.leave(s)
			}
			return w.hear(ctx, p.acked, timeout)
		}
		if w.options.RequestURL != "" {
			acked := make(chan json.RawMessage, 1)
			w.running.Go(func() { w.request(ctx, e, acked) })
			return w.hear(ctx, acked, timeout)
		}
		select {
		case <-changed:
			continue
		case <-timeout:
		case <-ctx.Done():
		case <-w.done:
		}
		return nil, false
	}
}

// hear waits for an acknowledgement; a closed channel says that none will come.
func (w *Workspace) hear(ctx context.Context, acked <-chan json.RawMessage, timeout <-chan time.Time) (json.RawMessage, bool) {
	select {
	case ack, ok := <-acked:
		return ack, ok
	case <-timeout:
	case <-ctx.Done():
	case <-w.done:
	}
	return nil, false
}

// request posts a copy to RequestURL. Any status but 200 is no acknowledgement.
func (w *Workspace) request(ctx context.Context, e envelope, acked chan<- json.RawMessage) {
	defer close(acked)
	body, now := Form(e.kind, e.payload), w.options.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.options.RequestURL, bytes.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	r.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("X-Slack-Signature", Sign(SigningSecret, now, body))
	if e.try > 0 {
		r.Header.Set("X-Slack-Retry-Num", strconv.Itoa(e.try))
		r.Header.Set("X-Slack-Retry-Reason", "http_timeout")
	}
	answer, err := w.options.Client.Do(r)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	ack, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode == http.StatusOK {
		acked <- bytes.TrimSpace(ack)
	}
}
