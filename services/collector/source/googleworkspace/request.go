// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxTries bounds how often one Poll makes a request that Google puts off.
	maxTries = 6
	// maxWait bounds one pause between two tries.
	maxWait = 5 * time.Minute
	// margin is how much earlier than needed a query begins: whether startTime and endTime themselves are in a query is
	// not confirmed.
	margin = time.Second
)

// activities is one page of Activities.list:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list.
type activities struct {
	Kind          string            `json:"kind"`
	Items         []json.RawMessage `json:"items"`
	NextPageToken string            `json:"nextPageToken"`
}

// refusedError is an answer that is no page. Its text holds no word of the answer but one of Google's own reasons.
type refusedError struct {
	status int
	text   string
}

func (r *refusedError) Error() string { return r.text }

// list asks for a page, waiting where Google puts the request off. Its error holds no secret.
func (s *Source) list(ctx context.Context, application string, at cursor) (*activities, error) {
	query := url.Values{
		"startTime":  {at.From.Add(-margin).UTC().Format("2006-01-02T15:04:05.000Z")},
		"endTime":    {at.Until.UTC().Format("2006-01-02T15:04:05.000Z")},
		"maxResults": {strconv.Itoa(s.config.PageSize)},
	}
	if at.PageToken != "" {
		query.Set("pageToken", at.PageToken)
	}
	address := s.base.JoinPath("admin/reports/v1/activity/users/all/applications", application)
	address.RawQuery = query.Encode()
	renewed := false
	for try := 1; ; try++ {
		token, err := s.accessToken(ctx)
		if err != nil {
			return nil, err
		}
		body, wait, err := s.get(ctx, address, token)
		var refused *refusedError
		switch {
		case err == nil:
			return readPage(body)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &refused) && refused.status == http.StatusUnauthorized && !renewed:
			// The token may have ended early, or been revoked.
			s.forget(token)
			renewed = true
			continue
		case wait == 0 || try >= maxTries:
			return nil, err
		}
		if wait < 0 {
			wait = time.Second << (try - 1)
		}
		if err := s.pause(ctx, wait+rand.N(wait/10+1)); err != nil {
			return nil, fmt.Errorf("wait for the quota: %w", err)
		}
	}
}

// get makes one request. Wait is not 0 where Google puts it off: for how long, or -1 where it does not say.
func (s *Source) get(ctx context.Context, address *url.URL, token string) (body []byte, wait time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, 0, errors.New("make request: the address is not one")
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "curfew")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s: %w", address.Host, quiet(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		refused, putOff := refusal(response)
		if putOff {
			wait = retryAfter(response.Header, s.now())
		}
		return nil, wait, refused
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read page: %w", quiet(err))
	}
	if len(body) > maxBody {
		return nil, 0, fmt.Errorf("read page: it is larger than %d MiB; set a smaller page_size", maxBody>>20)
	}
	return body, 0, nil
}

// readPage takes a page apart. What is none is an error: it will be asked for again.
func readPage(body []byte) (*activities, error) {
	var page activities
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, errors.New("read page: not a JSON object with a list of records")
	}
	if !strings.HasSuffix(page.Kind, "reports#activities") {
		return nil, errors.New("read page: not a list of activities")
	}
	return &page, nil
}

// reasons are the words of Google's that an error may repeat:
// https://developers.google.com/workspace/admin/reports/v1/limits, https://www.rfc-editor.org/rfc/rfc6749#section-5.2 and
// https://developers.google.com/identity/protocols/oauth2/service-account#error-codes.
var reasons = []string{
	"accessNotConfigured", "access_denied", "admin_policy_enforced", "authError", "backendError", "dailyLimitExceeded",
	"disabled_client", "forbidden", "insufficientPermissions", "invalid", "invalidParameter", "invalid_client",
	"invalid_grant", "invalid_request", "invalid_scope", "notFound", "quotaExceeded", "rateLimitExceeded", "required",
	"unauthorized_client", "userRateLimitExceeded",
}

// refusal says what Google refused and what to do, and whether the same request may be granted later: 503 is how this
// API says that the quota is used up. That other quotas are refused with 403 is not confirmed for it.
func refusal(response *http.Response) (refused *refusedError, putOff bool) {
	var told struct {
		Error struct {
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	// Without a body that can be read the status alone has to do.
	if body, err := io.ReadAll(io.LimitReader(response.Body, 16<<10)); err == nil {
		_ = json.Unmarshal(body, &told)
	}
	text := fmt.Sprintf("google answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	reason := ""
	if len(told.Error.Errors) > 0 && slices.Contains(reasons, told.Error.Errors[0].Reason) {
		reason = told.Error.Errors[0].Reason
		text += " (" + reason + ")"
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented:
		putOff = true
	case strings.HasSuffix(reason, "LimitExceeded") || reason == "quotaExceeded":
		putOff = true
	case status == http.StatusUnauthorized:
		text += "; the service account's token is not accepted: check its key and its domain-wide delegation for " + scope
	case status == http.StatusForbidden:
		text += "; the subject may not see this log: give them an administrator role with the right to see reports"
	}
	return &refusedError{status: response.StatusCode, text: text}, putOff
}

// retryAfter is how long an answer asks to wait, at least a second and at most maxWait; -1 where it does not ask.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if text == "" {
		return -1
	}
	wait := time.Second
	if seconds, err := strconv.Atoi(text); err == nil {
		// Bounded first: beyond some centuries a duration runs over.
		wait = time.Duration(min(max(seconds, 0), 1<<20)) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, time.Second), maxWait)
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

// quiet is err without what the other side sent: net/http quotes an answer that is none, and that may hold what the
// request held.
func quiet(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	for _, known := range []error{context.Canceled, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network
	}
	return errors.New("no sound answer; check the address, and the proxy and its certificate if there is one")
}
