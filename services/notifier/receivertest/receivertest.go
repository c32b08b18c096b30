// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

// Package receivertest holds a receiver that speaks HTTP to what every receiver promises: what each answer means, one
// request a call, no secret in any error, an end with its context, and hostile text that breaks nothing.
package receivertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/delivery"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Receiver is what is held to its promises.
type Receiver interface {
	// Post is the notifier's.
	Post(ctx context.Context, post *curfewv1.Post) (ref string, err error)
}

// editor is a receiver that can do more.
type editor interface {
	Edit(ctx context.Context, ref string, post *curfewv1.Post) error
}

type replier interface {
	Reply(ctx context.Context, reply *curfewv1.Reply) error
}

type noticer interface {
	Notice(ctx context.Context, notice *curfewv1.Notice) error
}

// single is a receiver of one alert a post.
type single interface{ Single() }

// Case is a receiver and its far side.
type Case struct {
	// Open makes the receiver that talks to address, with all of Secrets.
	Open func(t *testing.T, address string) Receiver
	// Secrets are what the receiver knows and nobody may hear.
	Secrets []string
	// Far answers a request that is as the vendor wants it.
	Far http.HandlerFunc
	// Check is what the vendor would not like about a request; nil = it has to be JSON, and no more.
	Check func(r *http.Request, body []byte) error
	// Key is what the far side knows a repeat by; nil = it does not.
	Key func(r *http.Request, body []byte) string
	// Most bounds a body in bytes.
	Most int
	// Clear is whether the far side says of 503 that it took nothing.
	Clear bool
}

// Run holds the receiver to its promises.
func Run(t *testing.T, c Case) {
	t.Run("answers", c.answers)
	t.Run("nobody there", c.nobody)
	t.Run("context", c.context)
	t.Run("payload", c.payload)
	t.Run("repeats", c.repeats)
	t.Run("secrets", c.secrets)
}

// calls is every way in which the receiver hands something over.
func (c Case) calls(r Receiver) map[string]func(ctx context.Context) error {
	calls := map[string]func(ctx context.Context) error{
		"post": func(ctx context.Context) error {
			_, err := r.Post(ctx, Post(Alert()))
			return err
		},
	}
	if e, ok := r.(editor); ok {
		calls["edit"] = func(ctx context.Context) error { return e.Edit(ctx, "ref-1", Post(acknowledged())) }
	}
	if r, ok := r.(replier); ok {
		calls["reply"] = func(ctx context.Context) error { return r.Reply(ctx, reply()) }
	}
	if n, ok := r.(noticer); ok {
		calls["notice"] = func(ctx context.Context) error { return n.Notice(ctx, notice()) }
	}
	return calls
}

// recorder is a far side that remembers.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

func (f *recorder) record(t *testing.T, next http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = nil // the client went away
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.requests, f.bodies = append(f.requests, r), append(f.bodies, body)
		f.mu.Unlock()
		next(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (f *recorder) taken() ([]*http.Request, [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, f.bodies
}

// Meaning is what err says of a delivery: "arrived", "unclear", "refused as it is", "refused for good" or "refused, again after 7s".
func Meaning(err error) string {
	refused := delivery.AsRefused(err)
	switch {
	case err == nil:
		return "arrived"
	case refused == nil:
		return "unclear"
	case refused.Unfit:
		return "refused as it is"
	case refused.Final:
		return "refused for good"
	}
	return "refused, again after " + refused.After.Round(time.Second).String()
}

// answers holds what each answer means, for each call, and that it is asked once.
func (c Case) answers(t *testing.T) {
	busy := "unclear"
	if c.Clear {
		busy = "refused, again after 0s"
	}
	type answer struct {
		name   string
		status int
		after  string
		want   string
	}
	list := []answer{
		{"429", 429, "7", "refused, again after 7s"}, {"429 without a time", 429, "", "refused, again after 0s"},
		{"503 that asks to wait", 503, "9", "refused, again after 9s"}, {"503", 503, "", busy},
		{"302", 302, "", "refused for good"},
		{"dropped", 0, "", "unclear"},
	}
	for _, status := range []int{400, 413, 422} {
		list = append(list, answer{fmt.Sprint(status), status, "", "refused as it is"})
	}
	for _, status := range []int{401, 403, 404, 410} {
		list = append(list, answer{fmt.Sprint(status), status, "", "refused for good"})
	}
	for _, status := range []int{500, 502, 504} {
		list = append(list, answer{fmt.Sprint(status), status, "", "unclear"})
	}
	for _, a := range list {
		f := &recorder{}
		address := f.record(t, func(w http.ResponseWriter, _ *http.Request) {
			if a.status == 0 {
				panic(http.ErrAbortHandler)
			}
			if a.after != "" {
				w.Header().Set("Retry-After", a.after)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(a.status)
			fmt.Fprint(w, `{"code":9,"text":"Server is busy"}`)
		})
		receiver := c.Open(t, address)
		for name, call := range c.calls(receiver) {
			before, _ := f.taken()
			err := call(t.Context())
			after, _ := f.taken()
			if len(after) == len(before) && err == nil {
				continue // there is nothing that the far side could be told by it
			}
			if got := Meaning(err); got != a.want {
				t.Errorf("%s, %s: got %s (%v), want %s", a.name, name, got, err, a.want)
			}
			if n := len(after) - len(before); n != 1 {
				t.Errorf("%s, %s: got %d requests, want 1", a.name, name, n)
			}
		}
	}
	receiver := c.Open(t, (&recorder{}).record(t, c.Far))
	for name, call := range c.calls(receiver) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
}

// nobody holds that where nobody listens, nothing is left open.
func (c Case) nobody(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := c.Open(t, gone.URL).Post(t.Context(), Post(Alert())); Meaning(err) != "refused, again after 0s" {
		t.Errorf("got %s (%v), want refused, again after 0s", Meaning(err), err)
	}
}

// context holds that a call ends with its context, and that what was sent by then is unclear.
func (c Case) context(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f := &recorder{}
	if _, err := c.Open(t, f.record(t, c.Far)).Post(ended, Post(Alert())); err == nil {
		t.Error("ended before: got nil")
	}
	if taken, _ := f.taken(); len(taken) > 0 {
		t.Errorf("ended before: got %d requests, want none", len(taken))
	}
	for name := range c.calls(c.Open(t, "http://127.0.0.1:1")) {
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Bool
		address := f.record(t, func(_ http.ResponseWriter, r *http.Request) {
			asked.Store(true)
			cancel()
			<-r.Context().Done()
		})
		if err := c.calls(c.Open(t, address))[name](ctx); asked.Load() && Meaning(err) != "unclear" {
			t.Errorf("ended in between, %s: got %s (%v), want unclear", name, Meaning(err), err)
		}
		cancel()
	}
}

// payload holds that whatever an alert says, what is sent is sound and bounded, and that nothing is too many.
func (c Case) payload(t *testing.T) {
	many, summary := Post(), Post()
	for i := range 45 {
		many.Alerts = append(many.Alerts, numbered(Hostile("name <b>&\"'`*_|\\ {{DATE()}} @{x} "), i))
	}
	for i := range 2000 {
		summary.Alerts = append(summary.Alerts, numbered(Alert(), i))
	}
	summary.Summary = true
	repeated := Post(Alert())
	repeated.Repeated = true
	posts := map[string]*curfewv1.Post{
		"plain": Post(Alert()), "resolved": Post(resolved()), "empty": Post(&curfewv1.Alert{}), "summary": summary, "repeated": repeated,
		"1 MB names": Post(Hostile(strings.Repeat("x", 1<<20))), "control": Post(Hostile("\x00\x1b[2J\r\n.\r\nQUIT\r\n\u202e\u2066\u200b")),
		"no UTF-8": Post(Hostile("\xff\xfe\xc3(")), "wide": Post(Hostile(strings.Repeat("\u202e漢", 1<<18))),
		"injection": Post(Hostile(`"}],"x":{"y":"<!channel> <at>all</at> [link](http://example.com) h1. {code} ${jndi:x}`)),
	}
	f := &recorder{}
	receiver := c.Open(t, f.record(t, c.Far))
	if _, ok := receiver.(single); !ok {
		posts["several"] = many
	}
	for name, post := range posts {
		before, _ := f.taken()
		if _, err := receiver.Post(t.Context(), post); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		taken, bodies := f.taken()
		for i := len(before); i < len(taken); i++ {
			if len(bodies[i]) > c.Most {
				t.Errorf("%s: got %d bytes, want at most %d", name, len(bodies[i]), c.Most)
			}
			if err := c.check(taken[i], bodies[i]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, hostile := range []string{"\u202e", "\u2066", "\\u202e", "\x1b", "\\u001b"} {
				if bytes.Contains(bodies[i], []byte(hostile)) {
					t.Errorf("%s: %q is sent", name, hostile)
				}
			}
		}
		if len(taken) == len(before) {
			t.Errorf("%s: nothing was sent", name)
		}
	}
}

func (c Case) check(r *http.Request, body []byte) error {
	if c.Check != nil {
		return c.Check(r, body)
	}
	if !json.Valid(body) {
		return fmt.Errorf("the body is no JSON: %.200q", body)
	}
	return nil
}

// repeats holds that the far side can tell a repeat, where it can at all, and that two posts are not taken for one.
func (c Case) repeats(t *testing.T) {
	if c.Key == nil {
		return
	}
	f := &recorder{}
	receiver := c.Open(t, f.record(t, c.Far))
	other := Post(numbered(Alert(), 7))
	other.Id = "post-2"
	again := Post(Alert())
	again.Repeated = true
	for _, post := range []*curfewv1.Post{Post(Alert()), again, other} {
		if _, err := receiver.Post(t.Context(), post); err != nil {
			t.Fatal(err)
		}
	}
	taken, bodies := f.taken()
	key := func(i int) string { return c.Key(taken[i], bodies[i]) }
	if key(0) == "" || key(0) != key(1) || key(1) == key(2) {
		t.Errorf("got keys %q, %q, and of another post %q", key(0), key(1), key(2))
	}
}
