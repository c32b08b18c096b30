// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/curfewhq/curfew/internal/card"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

const (
	// maxAnswer bounds what is read of an answer, maxRefusal of one that says no, maxQuote what of that is told, in runes.
	maxAnswer  = 1 << 20
	maxRefusal = 16 << 10
	maxQuote   = 300
	// telling is how much of a secret gives it away.
	telling = 6
)

// Request is what is handed over.
type Request struct {
	// Method is POST if empty.
	Method string
	// URL is where to.
	URL string
	// Header is sent as it is. No Idempotency-Key belongs into it: net/http would try again by itself.
	Header http.Header
	// Body is sent as it is; its media type is Header's, or application/json.
	Body []byte
	// Secrets are what no error may hold a part of, in every form they are sent in.
	Secrets []string
	// Refuses says of an answer that is no success that nothing arrived, where the other side promises so; nil = the status
	// says it all.
	Refuses func(status int, answer []byte) bool
	// Missets are words that an answer has that finds fault with the set-up by a status that else finds fault with the message.
	Missets []string
}

// IsUnfit is whether a status finds fault with what was handed over, and another message might be taken.
func IsUnfit(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnprocessableEntity
}

// Client is a client that follows no redirect, which could take a secret or an alert elsewhere, and lets go of connections
// before the other side does. It sets no limit of time: ctx does.
func Client() *http.Client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 20 * time.Second,
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Post hands r over once and returns the answer, its first MiB at most. Nil means a status from 200 to 299, so that it
// arrived, even where the answer broke off. The error is a *Refused where no connection came about, where the other side
// says that it took nothing (3xx, 4xx, 503 with Retry-After), or where r.Refuses says so; it is Unfit where IsUnfit and no
// word of r.Missets is in the answer. Any other, a 5xx, a connection that broke or ctx's end in between, leaves open whether
// it arrived. No error holds a secret.
func Post(ctx context.Context, client *http.Client, r Request) ([]byte, error) {
	var sent atomic.Bool
	// From here on bytes may leave; before, surely none did.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPost), r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, &Refused{Reason: "make request: the address is not one", Final: true}
	}
	for name, values := range r.Header {
		request.Header[name] = values
	}
	if request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("User-Agent", "curfew")
	response, err := client.Do(request)
	if err != nil {
		return nil, unanswered(ctx, r, request.URL.Host, err, sent.Load())
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 {
		// It arrived; what of the answer is missing is for the caller to miss.
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return answer, nil
	}
	// Without a whole body the status has to do.
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	return nil, r.refusal(request.URL.Host, response, answer)
}

// unanswered is the error of a request without an answer.
func unanswered(ctx context.Context, r Request, host string, err error, sent bool) error {
	quiet := vendorhttp.Quiet(err)
	if ended := ctx.Err(); ended != nil {
		quiet = ended
	}
	reason := "reach " + host
	if r.gives(host) {
		reason = "reach it"
	}
	text := quiet.Error()
	if r.gives(text) {
		text = "no sound answer"
	}
	switch {
	case !sent:
		return &Refused{Reason: reason + ": " + text}
	case ctx.Err() != nil:
		return fmt.Errorf("wait for an answer of %s: %w", strings.TrimPrefix(reason, "reach "), ctx.Err())
	}
	return fmt.Errorf("wait for an answer of %s: %s", strings.TrimPrefix(reason, "reach "), text)
}

// refusal is the error of an answer that is no success.
func (r Request) refusal(host string, response *http.Response, answer []byte) error {
	status := response.StatusCode
	text := fmt.Sprintf("%s answered %d %s", host, status, http.StatusText(status))
	if r.gives(host) {
		text = fmt.Sprintf("it answered %d %s", status, http.StatusText(status))
	}
	if quote := card.Plain(string(answer), maxQuote); quote != "" && !r.gives(string(answer)) {
		text += ": " + quote
	}
	after := retryAfter(response)
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && after > 0:
		return &Refused{Reason: text, After: after}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return &Refused{Reason: text, After: after}
	case IsUnfit(status) && !slices.ContainsFunc(r.Missets, func(word string) bool { return bytes.Contains(answer, []byte(word)) }):
		return &Refused{Reason: text, Unfit: true}
	case status/100 == 4:
		return &Refused{Reason: text, Final: true}
	case status/100 == 3 && status != http.StatusSeeOther:
		return &Refused{Reason: text + "; redirects are not followed, so set the address that it stands at", Final: true}
	case r.Refuses != nil && r.Refuses(status, answer):
		return &Refused{Reason: text, After: after}
	}
	return errors.New(text)
}

// retryAfter is how long the answer asks to wait; 0 where it does not say.
func retryAfter(response *http.Response) time.Duration {
	if response.Header.Get("Date") == "" {
		response.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return (&vendorhttp.Answer{Header: response.Header}).RetryAfter()
}

// gives is whether text holds so much of a secret that it gives it away.
func (r Request) gives(text string) bool {
	for _, secret := range r.Secrets {
		if secret != "" && len(secret) <= telling && strings.Contains(text, secret) {
			return true
		}
		for i := range max(0, len(secret)-telling) {
			if strings.Contains(text, secret[i:i+telling]) {
				return true
			}
		}
	}
	return false
}
