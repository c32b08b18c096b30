// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
)

// redacted stands where a vendor's text held the token.
const redacted = "REDACTED"

// answer is a page as it came.
type answer struct {
	// asked is when the request that was answered began.
	asked  time.Time
	header http.Header
	body   []byte
}

// refusedError is an answer that is no page.
type refusedError struct {
	status int
	text   string
}

func (r *refusedError) Error() string { return r.text }

// get asks for a page, waiting out Okta's rate limit. Its error holds no token.
func (s *Source) get(ctx context.Context, pathAndQuery string) (*answer, error) {
	token, err := s.config.Token.Value()
	if err != nil {
		return nil, err
	}
	var waited time.Duration
	for {
		answer, wait, err := s.getOnce(ctx, pathAndQuery, token)
		if err == nil {
			return answer, nil
		}
		if wait == 0 || waited+wait > maxWait {
			return nil, withoutToken(err, token)
		}
		waited += wait
		if err := s.pause(ctx, wait); err != nil {
			return nil, fmt.Errorf("wait for the rate limit: %w", err)
		}
	}
}

// getOnce makes one request. Wait is not zero where Okta asks to come back after it.
func (s *Source) getOnce(ctx context.Context, pathAndQuery, token string) (page *answer, wait time.Duration, err error) {
	asked := s.now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.String()+pathAndQuery, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("make request: %w", bare(err))
	}
	request.Header.Set("Authorization", "SSWS "+token)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "curfew")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s: %w", s.base.Host, bare(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		refused := refusal(response, token)
		if response.StatusCode == http.StatusTooManyRequests {
			wait = untilReset(response.Header, s.now())
		}
		return nil, wait, refused
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, s.maxBody+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read page: %w", bare(err))
	}
	if int64(len(body)) > s.maxBody {
		return nil, 0, fmt.Errorf("read page: it is larger than %d bytes; set a smaller page_size", s.maxBody)
	}
	return &answer{asked: asked, header: response.Header, body: body}, 0, nil
}

// refusal says what Okta refused and what to do. https://developer.okta.com/docs/reference/error-codes/
func refusal(response *http.Response, token string) *refusedError {
	var told struct {
		Code    string `json:"errorCode"`
		Summary string `json:"errorSummary"`
	}
	// Without a body that can be read the status alone has to do.
	if body, err := io.ReadAll(io.LimitReader(response.Body, 16<<10)); err == nil {
		_ = json.Unmarshal(body, &told)
	}
	text := fmt.Sprintf("okta answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	if told.Code != "" {
		// The token goes before the cut, which could leave a part of it that nobody finds.
		summary := strings.ReplaceAll(event.Clean(told.Summary), token, redacted)
		text += fmt.Sprintf(" (%.20s: %.300s)", event.Clean(told.Code), summary)
	}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		text += "; the token is not valid, or no longer: make one in Okta under Security, API, Tokens"
	case http.StatusForbidden:
		text += "; the token's owner may not read the System Log: give them the Read-only administrator role"
	}
	return &refusedError{status: response.StatusCode, text: text}
}

// untilReset is how long Okta asks to wait: https://developer.okta.com/docs/reference/rl-best-practices/. It is at
// least a second, so that no answer can make this a busy loop, and a tenth more at random, so that several who wait do
// not come back as one.
func untilReset(header http.Header, now time.Time) time.Duration {
	wait := time.Second
	// Okta's own clock, if it tells it: ours may be wrong.
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	if reset, err := strconv.ParseInt(header.Get("X-Rate-Limit-Reset"), 10, 64); err == nil {
		// Bounded first: beyond some centuries a duration runs over.
		reset = min(reset, now.Add(maxWait).Unix())
		wait = max(wait, time.Unix(max(reset, 0), 0).Sub(now))
	} else if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds < 1<<20 {
		wait = max(wait, time.Duration(seconds)*time.Second)
	} else if at, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		wait = max(wait, at.Sub(now))
	}
	wait = min(wait, maxWait)
	return min(wait+rand.N(wait/10), maxWait)
}

// pause waits, or returns the context's error when that ends first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// bare is err without the address around it, whose query is of no use to a person.
func bare(err error) error {
	var address *url.Error
	if errors.As(err, &address) {
		return address.Err
	}
	return err
}

// withoutToken is err, or where its text holds the token, because Okta or something between sent it back, that text
// with the token taken out.
func withoutToken(err error, token string) error {
	if token == "" || !strings.Contains(err.Error(), token) {
		return err
	}
	text := strings.ReplaceAll(err.Error(), token, redacted)
	var refused *refusedError
	if errors.As(err, &refused) {
		return &refusedError{status: refused.status, text: text}
	}
	return errors.New(text)
}
