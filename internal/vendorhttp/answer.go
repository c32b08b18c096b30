// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package vendorhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfewhq/curfew/internal/event"
)

// Answer is what a vendor answered.
type Answer struct {
	// Asked is when the request began that was answered; by the vendor's clock, if it tells it and ours is ahead of it.
	Asked time.Time
	// Status is the HTTP status.
	Status int
	// Header is the answer's header.
	Header http.Header
	// Body is the whole page, or where the status is no success its first 16 KiB.
	Body []byte

	succeeded bool
	now       time.Time
	redact    func(text string) string
}

// Quote is text of the answer fit for an error: one line, without the secret, at most most bytes. A secret is taken out
// before the cut, which could leave a part of it that nobody finds.
func (a *Answer) Quote(text string, most int) string {
	text = event.Clean(a.redact(text))
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// RetryAfter is how long the Retry-After header asks to wait, from one second to an hour, or 0 where there is none that
// can be read: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
func (a *Answer) RetryAfter() time.Duration {
	text := strings.TrimSpace(a.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		// Bounded first: beyond some centuries a duration runs over.
		return bounded(time.Duration(min(max(seconds, 0), int64(longest/time.Second))) * time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return bounded(at.Sub(a.clock()))
	}
	return 0
}

// Until is how long it is until the Unix time in seconds that a header holds, as RetryAfter.
func (a *Answer) Until(header string) time.Duration {
	reset, err := strconv.ParseInt(a.Header.Get(header), 10, 64)
	if err != nil {
		return 0
	}
	now := a.clock()
	// Bounded first: beyond some centuries a time runs over.
	reset = min(max(reset, 0), now.Add(longest).Unix())
	return bounded(time.Unix(reset, 0).Sub(now))
}

// longest is the most that is believed of what a vendor asks to wait.
const longest = time.Hour

func bounded(wait time.Duration) time.Duration { return min(max(wait, time.Second), longest) }

// clock is the vendor's own time, if it tells it: ours may be wrong.
func (a *Answer) clock() time.Time {
	if date, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		return date
	}
	return a.now
}
