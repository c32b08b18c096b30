// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// tries is how often a page of a listing is asked for: what only reads may be asked again whatever happened.
const tries = 3

// web asks a method of the Web API, https://docs.slack.dev/reference/methods, and reads its answer into what into points
// to. Note says in one line what was asked and what came of it, for people; it holds no secret. An error that is Slack's
// refusal is a *vendorhttp.Refused, whose reason is reasonOf.
func (s *Source) web(ctx context.Context, verb, method string, arguments url.Values, into any) (note string, err error) {
	token, err := s.config.Token.Value()
	if err != nil {
		return "", err
	}
	request := vendorhttp.Request{Method: verb, Address: s.base.JoinPath("api", method).String(), Scheme: "Bearer", Secret: token}
	note = verb + " /api/" + method
	if verb == http.MethodGet {
		if query := arguments.Encode(); query != "" {
			request.Address += "?" + query
			note += "?" + query
		}
	} else {
		request.Body, request.Type = []byte(arguments.Encode()), "application/x-www-form-urlencoded"
		// A whole list of members is not worth its room.
		text := arguments.Encode()
		note += " " + text[:min(len(text), 300)]
	}
	answer, err := s.client.Do(ctx, request)
	var refused *vendorhttp.Refused
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusOK:
		return note + ": " + refused.Reason, err
	case errors.As(err, &refused):
		return fmt.Sprintf("%s: %d", note, refused.Status), err
	case err != nil:
		return note + ": no answer", err
	}
	if err := readAnswer(answer.Body, into); err != nil {
		return note + ": no answer of Slack's", err
	}
	return note + ": ok", nil
}

// readAnswer reads an answer of the Web API into what into points to; a nil into reads nothing but that it is one.
func readAnswer(body []byte, into any) error {
	var head refusal
	if err := json.Unmarshal(body, &head); err != nil || head.OK == nil || !*head.OK {
		return errors.New("read answer: not a JSON object with ok")
	}
	if into != nil {
		// A field of another type stays empty; what an answer cannot do without its reader looks for.
		_ = json.Unmarshal(body, into)
	}
	return nil
}

// get is web for a method that only reads.
func (s *Source) get(ctx context.Context, method string, arguments url.Values, into any) (note string, err error) {
	return s.web(ctx, http.MethodGet, method, arguments, into)
}

// post is web for a method that changes something. After an error that is no refusal it may have been done.
func (s *Source) post(ctx context.Context, method string, arguments url.Values, into any) (note string, err error) {
	return s.web(ctx, http.MethodPost, method, arguments, into)
}

// reasonOf is Slack's word for why it refused; "" where an error is no refusal.
func reasonOf(err error) string {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) {
		return ""
	}
	reason, _, _ := strings.Cut(refused.Reason, ":")
	return reason
}

// listed is what every listing by cursor says besides its list.
type listed struct {
	Metadata struct {
		NextCursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// each asks for every page of a listing, in the order of the vendor's cursors, and gives take a fresh answer each time. It
// tries a page again that broke, and ends with the first error that stays.
func each[page any](ctx context.Context, s *Source, method string, arguments url.Values, most int, cursor func(*page) string, take func(*page) error) error {
	query := url.Values{"limit": {fmt.Sprint(min(s.config.PageSize, most))}}
	for name, values := range arguments {
		query[name] = values
	}
	followed := trail{}
	for {
		answer := new(page)
		if err := s.patiently(ctx, method, query, answer); err != nil {
			return err
		}
		if err := take(answer); err != nil {
			return err
		}
		next := cursor(answer)
		if more, err := followed.on(next); !more {
			return err
		}
		query.Set("cursor", next)
	}
}

// trail is the cursors of a listing that were followed.
type trail map[string]bool

// on is whether a cursor leads on; "" is the end, and one that was followed before leads in a circle.
func (t trail) on(cursor string) (more bool, err error) {
	switch {
	case cursor == "":
		return false, nil
	case t[cursor] || len(t) >= maxPages:
		return false, errors.New("read pages: they do not come to an end")
	}
	t[cursor] = true
	return true, nil
}

// maxPages bounds a listing: what is longer runs in a circle.
const maxPages = 100_000

// patiently is get, at the pace of the method's limit, tried again where it broke.
func (s *Source) patiently(ctx context.Context, method string, query url.Values, into any) error {
	for try := 1; ; try++ {
		if err := s.pace(ctx, method); err != nil {
			return err
		}
		_, err := s.get(ctx, method, query, into)
		if err == nil || ctx.Err() != nil || try == tries || isFinal(err) {
			return err
		}
		if err := s.client.Pause(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}

// isFinal is whether an error is Slack's refusal, rather than that something broke: with a status of 500 and above, or by
// a word with status 200.
func isFinal(err error) bool {
	var refused *vendorhttp.Refused
	if !errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError {
		return false
	}
	switch reasonOf(err) {
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return false
	}
	return true
}
