// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package vendorhttp asks a vendor's API: it waits out the vendor's rate limit, bounds what it takes of an answer, and
// keeps secrets out of every error. Which answer means "come back later", and what a refusal means to a person, is the
// vendor's to say.
package vendorhttp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// MaxWait bounds how long one Get or Do waits for the vendor in all.
	MaxWait = 5 * time.Minute
	// MaxTries bounds how often one Get or Do asks.
	MaxTries = 6
	// timeout bounds one request.
	timeout = 60 * time.Second
	// maxBody bounds a page in bytes, maxRefusal what is read of an answer that is none.
	maxBody    = 64 << 20
	maxRefusal = 16 << 10
)

// Client asks one vendor. It holds no secret, and is safe for concurrent use as long as its fields stay as they are.
type Client struct {
	// HTTP makes the requests. It follows no redirect, which could take a secret elsewhere.
	HTTP *http.Client
	// Header is sent with every request, besides Authorization, Accept and User-Agent.
	Header http.Header
	// MaxBody bounds a page in bytes.
	MaxBody int64
	// Failed says of an answer with a good status that it is none all the same, for vendors who put that into the body. Nil
	// where the status is enough.
	Failed func(*Answer) bool
	// Now is the time.
	Now func() time.Time
	// Pause waits, or returns the context's error when that ends first.
	Pause func(ctx context.Context, wait time.Duration) error

	vendor string
	judge  Judge
	dated  atomic.Pointer[dated]
}

// dated is the vendor's time at one of ours. Ours has a monotonic reading, so that the difference to a later one is true
// also where the clock was set in between.
type dated struct{ ours, vendors time.Time }

// tolerated is how far ahead of a Date our clock may be: it is cut to whole seconds, and answers take their time.
const tolerated = 2 * time.Second

// Time is our time, or the vendor's as of its last answer where ours is ahead of that: what is said to be read must not
// lie in the vendor's future.
func (c *Client) Time() time.Time {
	now := c.Now()
	if d := c.dated.Load(); d != nil {
		if vendors := d.vendors.Add(now.Sub(d.ours)); now.Sub(vendors) >= tolerated {
			return vendors
		}
	}
	return now
}

// measure notes an answer's Date and returns how far ahead of it our clock is; 0 where it is not, or there is none.
func (c *Client) measure(header http.Header) (ahead time.Duration) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	now := c.Now()
	c.dated.Store(&dated{ours: now, vendors: date})
	if ahead = now.Sub(date); ahead < tolerated {
		return 0
	}
	return ahead
}

// Judge says what an answer means that is no success: for Get another status than 200, for Do another than 2xx, and for
// both one that Failed says is none.
type Judge func(*Answer) Verdict

// Verdict is what an answer that is no page means.
type Verdict struct {
	// Reason is the vendor's own word for what is wrong, if it has one: a known one, or one by Answer.Quote.
	Reason string
	// Advice is what a person can do, if anything.
	Advice string
	// Later is whether the same request may be granted later.
	Later bool
	// Wait is how long the vendor asks to wait until then; 0 where it does not say. Get and Do wait MaxWait of it at most,
	// the rest stands in Refused.
	Wait time.Duration
}

// Refused is the error for an answer that is no success.
type Refused struct {
	// Wait is how long the vendor asked to be left alone, an hour at most; 0 where it did not say.
	Wait time.Duration
	// Status is the HTTP status.
	Status int
	// Reason is the verdict's.
	Reason string

	text string
}

// Error is one line without the secret: what the vendor refused, why, and what to do.
func (r *Refused) Error() string { return r.text }

// New returns a client for the vendor of that name, such as "okta".
func New(vendor string, judge Judge) *Client {
	return &Client{
		HTTP: &http.Client{
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxBody: maxBody,
		Now:     time.Now,
		Pause:   pause,
		vendor:  vendor,
		judge:   judge,
	}
}

// Request is what Do asks.
type Request struct {
	// Method is the HTTP method.
	Method string
	// Address is the whole address.
	Address string
	// Scheme and Secret make the Authorization header, such as "Bearer" and a token; there is none where Scheme is empty.
	Scheme, Secret string
	// Type is the body's media type; "application/json" if empty and there is a body.
	Type string
	// Body is sent as it is; nil for none.
	Body []byte
	// Header is sent besides the client's own.
	Header http.Header
}

// Get asks for a page with the secret behind scheme, such as "Bearer", and returns an answer with status 200. Where the
// vendor puts the request off, Get waits as long as it asks, or ever longer where it does not say, and asks again:
// MaxTries times and for MaxWait at most. The error, an *Refused where there was an answer that is no success, is one
// line and holds neither the secret nor a word of the answer but the judge's Reason. It wraps the context's where that
// ended.
func (c *Client) Get(ctx context.Context, address, scheme, secret string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Address: address, Scheme: scheme, Secret: secret})
}

// Do is Get for any method; another than GET succeeds with any status from 200 to 299. What changes something is asked
// again only where the vendor refused it with a status below 500, so did not do it. After any other error but an
// *Refused of such a status it may have been done or not: read back.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	var waited time.Duration
	for try := 1; ; try++ {
		answer, err := c.ask(ctx, r)
		if err != nil {
			return nil, err
		}
		if answer.succeeded && (c.Failed == nil || !c.Failed(answer)) {
			return answer, nil
		}
		verdict := c.judge(answer)
		wait := verdict.Wait
		if wait == 0 {
			wait = time.Second << (try - 1)
		}
		// At least a second, so that no answer can make this a busy loop, and a tenth more at random, so that several who
		// wait do not come back as one.
		wait = min(max(wait, time.Second), MaxWait)
		wait = min(wait+rand.N(wait/10), MaxWait)
		again := verdict.Later && (r.Method == http.MethodGet || answer.Status < http.StatusInternalServerError)
		if !again || try >= MaxTries || waited+wait > MaxWait {
			return nil, c.refused(answer, verdict)
		}
		waited += wait
		visiting(ctx).leave()
		if err := c.Pause(ctx, wait); err != nil {
			return nil, fmt.Errorf("wait for %s to answer again: %w", c.vendor, err)
		}
	}
}

// ask makes one request.
func (c *Client) ask(ctx context.Context, r Request) (*Answer, error) {
	asked := c.Now()
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, r.Address, body)
	if err != nil {
		return nil, errors.New("make request: the address is not one")
	}
	for _, header := range []http.Header{c.Header, r.Header} {
		for name, values := range header {
			request.Header[name] = values
		}
	}
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json")
	}
	if r.Body != nil {
		request.Header.Set("Content-Type", cmp.Or(r.Type, "application/json"))
	}
	if r.Scheme != "" {
		request.Header.Set("Authorization", r.Scheme+" "+r.Secret)
	}
	request.Header.Set("User-Agent", "curfew")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", request.URL.Host, reason(ctx, err))
	}
	defer response.Body.Close()
	answer := &Answer{Asked: asked.Add(-c.measure(response.Header)), Status: response.StatusCode, Header: response.Header, now: c.Now(), redact: redactor(r.Secret)}
	answer.succeeded = answer.Status == http.StatusOK || r.Method != http.MethodGet && answer.Status/100 == 2
	limit := c.MaxBody
	if !answer.succeeded {
		limit = maxRefusal
	}
	page, err := readBody(ctx, response, limit)
	switch {
	case !answer.succeeded:
		// Without a whole body the status alone has to do.
		answer.Body = page[:min(int64(len(page)), limit)]
	case err != nil:
		return nil, fmt.Errorf("read page: %w", reason(ctx, err))
	case int64(len(page)) > limit:
		return nil, fmt.Errorf("read page: it is larger than %d bytes; set a smaller page_size", limit)
	default:
		answer.Body = page
	}
	return answer, nil
}

// small is how much of a body is read before there has to be room for it: who sends less, or begins slowly, keeps nobody
// out.
const small = 64 << 10

// readBody reads a body, at most a byte more than limit. Where the vendor says how long it is, it is read into a buffer of
// that length at once: growing one for each page makes more garbage than all that is done with the page.
func readBody(ctx context.Context, response *http.Response, limit int64) ([]byte, error) {
	begin, err := io.ReadAll(io.LimitReader(response.Body, min(small, limit+1)))
	if err != nil || len(begin) < small || limit < small {
		return begin, err
	}
	if err := visiting(ctx).take(ctx); err != nil {
		return nil, fmt.Errorf("wait for room to read: %w", err)
	}
	if length := response.ContentLength; length >= small && length <= min(limit, 8<<20) {
		body := make([]byte, length)
		n, err := io.ReadFull(response.Body, body[copy(body, begin):])
		return body[:len(begin)+n], err
	}
	rest, err := io.ReadAll(io.LimitReader(response.Body, limit+1-small))
	return append(begin, rest...), err
}

// reason is why a request came to nothing.
func reason(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return Quiet(err)
}

func (c *Client) refused(answer *Answer, verdict Verdict) *Refused {
	text := fmt.Sprintf("%s answered %d %s", c.vendor, answer.Status, http.StatusText(answer.Status))
	if verdict.Reason != "" {
		text += " (" + verdict.Reason + ")"
	}
	if verdict.Advice != "" {
		text += "; " + verdict.Advice
	}
	return &Refused{Wait: verdict.Wait, Status: answer.Status, Reason: verdict.Reason, text: answer.Quote(text, 2<<10)}
}

// redactor returns text with the secret taken out, as it is and as an address or JSON would hold it.
func redactor(secret string) func(text string) string {
	if secret == "" {
		return func(text string) string { return text }
	}
	const redacted = "REDACTED"
	replacer := strings.NewReplacer(secret, redacted, url.QueryEscape(secret), redacted, url.PathEscape(secret), redacted)
	return replacer.Replace
}

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
