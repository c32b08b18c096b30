// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"errors"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"go.uber.org/goleak"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeClock stands still until it is told.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// room is a workspace that is served, with a client and a channel.
type room struct {
	*workspace.Workspace
	*slack.Client
	url, channel, ana string
	clock             *fakeClock
}

func open(t *testing.T, o workspace.Options) *room {
	t.Helper()
	clock := newClock()
	if o.Now == nil {
		o.Now = clock.Now
	}
	w := workspace.New(o)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	t.Cleanup(w.Close)
	return &room{
		Workspace: w, url: server.URL, channel: w.AddChannel("sec-alerts"), clock: clock,
		Client: slack.New(workspace.BotToken, slack.OptionAPIURL(server.URL+"/api/"), slack.OptionAppLevelToken(workspace.AppToken)),
		ana:    w.AddUser(workspace.User{ID: "U0ANA", Name: "ana", RealName: "Ana Ruiz", Email: "ana@example.com", TZ: "Europe/Madrid"}),
	}
}

func (r *room) post(t *testing.T, options ...slack.MsgOption) string {
	t.Helper()
	_, ts, err := r.PostMessageContext(t.Context(), r.channel, options...)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	return ts
}

func button(id string) slack.Block {
	return slack.NewActionBlock("acts", slack.NewButtonBlockElement(id, "alert-1", slack.NewTextBlockObject("plain_text", "Acknowledge", false, false)))
}

func section(text string) slack.Block {
	return slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", text, false, false), nil, nil)
}

// code is Slack's of an error.
func code(err error) string {
	if refused := (slack.SlackErrorResponse{}); errors.As(err, &refused) {
		return refused.Err
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPostsAreLimitedPerChannel(t *testing.T) {
	r := open(t, workspace.Options{})
	other := r.AddChannel("elsewhere")
	for range 5 {
		r.post(t, slack.MsgOptionText("one", false))
	}
	_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("six", false))
	limited := &slack.RateLimitedError{}
	if !errors.As(err, &limited) || limited.RetryAfter != time.Second {
		t.Fatalf("the sixth post at once: got %v, want a rate limit with Retry-After 1 s", err)
	}
	if _, _, err := r.PostMessageContext(t.Context(), other, slack.MsgOptionText("here", false)); err != nil {
		t.Errorf("a post to another channel: %v", err)
	}
	r.clock.advance(900 * time.Millisecond)
	if _, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("early", false)); !errors.As(err, &limited) {
		t.Errorf("a post before its time: got %v, want a rate limit", err)
	}
	r.clock.advance(100 * time.Millisecond)
	r.post(t, slack.MsgOptionText("six", false))
	want := map[string]map[string]int{"chat.postMessage": {"ok": 7, "ratelimited": 2}}
	if diff := cmp.Diff(want, r.Posted()); diff != "" {
		t.Error("calls differ, want -, got +\n" + diff)
	}
	if got := len(r.Messages(r.channel)); got != 6 {
		t.Errorf("got %d messages, want 6: what was refused is not there", got)
	}
}

func TestUpdatesAreLimitedPerApp(t *testing.T) {
	r := open(t, workspace.Options{UpdatesPerMinute: 2})
	ts := r.post(t, slack.MsgOptionText("one", false))
	update := func() error {
		_, _, _, err := r.UpdateMessageContext(t.Context(), r.channel, ts, slack.MsgOptionText("more", false))
		return err
	}
	for range 2 {
		if err := update(); err != nil {
			t.Fatal(err)
		}
		r.clock.advance(10500 * time.Millisecond)
	}
	limited := &slack.RateLimitedError{}
	if err := update(); !errors.As(err, &limited) || limited.RetryAfter != 39*time.Second {
		t.Fatalf("got %v, want a rate limit with Retry-After 39 s: whole seconds, rounded up", err)
	}
	r.clock.advance(39 * time.Second)
	if err := update(); err != nil {
		t.Errorf("a minute after the first: %v", err)
	}
}

func TestDroppedReplyIsFoundByItsMetadata(t *testing.T) {
	r := open(t, workspace.Options{})
	r.Break("chat.postMessage", workspace.Fault{DropReply: true}, 1)
	_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("one", false), slack.MsgOptionMetadata(slack.SlackMetadata{
		EventType: "curfew_alerts", EventPayload: map[string]any{"alert_ids": []string{"a1", "a2"}},
	}))
	if err == nil {
		t.Fatal("the dropped reply arrived")
	}
	r.post(t, slack.MsgOptionText("two", false))
	read := func(all bool) []slack.Message {
		answer, err := r.GetConversationHistoryContext(t.Context(), &slack.GetConversationHistoryParameters{ChannelID: r.channel, Limit: 10, IncludeAllMetadata: all})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Messages
	}
	found := read(true)
	if len(found) != 2 || found[0].Text != "two" || found[1].Metadata.EventType != "curfew_alerts" {
		t.Fatalf("got %+v, want two messages, the newest first, and the metadata of the older", found)
	}
	if diff := cmp.Diff([]any{"a1", "a2"}, found[1].Metadata.EventPayload["alert_ids"]); diff != "" {
		t.Error(diff)
	}
	if plain := read(false); plain[1].Metadata.EventType != "" {
		t.Error("history has metadata that nobody asked for")
	}
	if got := r.Posted()["chat.postMessage"]; got["dropped"] != 1 || got["ok"] != 1 {
		t.Errorf("got %v, want one dropped and one ok", got)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault workspace.Fault
		want  string // outcome
		there int
	}{
		{"cut before", workspace.Fault{DropRequest: true}, "cut", 0},
		{"cut after", workspace.Fault{DropReply: true}, "dropped", 1},
		{"5xx before", workspace.Fault{Before: 503}, "503", 0},
		{"5xx after", workspace.Fault{After: 502}, "502 done", 1},
		{"429", workspace.Fault{RetryAfter: 2500 * time.Millisecond}, "ratelimited", 0},
		{"refused", workspace.Fault{Error: "fatal_error"}, "fatal_error", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			r.Break("chat.postMessage", c.fault, 1)
			_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("one", false))
			if err == nil {
				t.Error("the call went well")
			}
			if limited := (&slack.RateLimitedError{}); errors.As(err, &limited) && limited.RetryAfter != 3*time.Second {
				t.Errorf("got Retry-After %v, want 3 s", limited.RetryAfter)
			}
			if got := r.Posted()["chat.postMessage"]; got[c.want] != 1 || len(got) != 1 {
				t.Errorf("got outcomes %v, want one %q", got, c.want)
			}
			if got := len(r.Messages(r.channel)); got != c.there {
				t.Errorf("got %d messages, want %d", got, c.there)
			}
			r.post(t, slack.MsgOptionText("two", false))
		})
	}
}

func TestFaultsUntilMended(t *testing.T) {
	r := open(t, workspace.Options{})
	r.Break("*", workspace.Fault{Before: 500}, -1)
	for range 3 {
		if _, err := r.AuthTestContext(t.Context()); err == nil {
			t.Fatal("the call went well")
		}
	}
	r.Mend("*")
	if who, err := r.AuthTestContext(t.Context()); err != nil || who.TeamID != workspace.TeamID || who.UserID != workspace.BotUser {
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestLatencyIsInjected(t *testing.T) {
	woken := make(chan time.Time)
	asked := make(chan time.Duration, 1)
	r := open(t, workspace.Options{After: func(d time.Duration) <-chan time.Time { asked <- d; return woken }})
	r.Break("chat.postMessage", workspace.Fault{Latency: time.Hour}, 1)
	done := make(chan error, 1)
	go func() {
		_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("one", false))
		done <- err
	}()
	if got := <-asked; got != time.Hour {
		t.Errorf("got %v, want an hour", got)
	}
	if got := len(r.Messages(r.channel)); got != 0 {
		t.Errorf("got %d messages before the hour, want 0", got)
	}
	close(woken)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*room)
		want    string
	}{
		{"archived", func(r *room) { r.Archive(r.channel) }, "is_archived"},
		{"kicked", func(r *room) { r.Kick(r.channel) }, "not_in_channel"},
		{"hidden", func(r *room) { r.MakePrivate(r.channel); r.Kick(r.channel) }, "channel_not_found"},
		{"revoked", func(r *room) { r.Revoke("token_revoked") }, "token_revoked"},
		{"scope", func(r *room) { r.Withhold("chat:write") }, "missing_scope"},
		{"unknown channel", func(r *room) { r.channel = "C0NOBODY" }, "channel_not_found"},
		{"other token", func(r *room) { r.Client = slack.New("xoxb-other", slack.OptionAPIURL(r.url+"/api/")) }, "invalid_auth"},
		{"app token", func(r *room) { r.Client = slack.New(workspace.AppToken, slack.OptionAPIURL(r.url+"/api/")) }, "not_allowed_token_type"},
		{"no token", func(r *room) { r.Client = slack.New("", slack.OptionAPIURL(r.url+"/api/")) }, "not_authed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			c.prepare(r)
			_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("one", false))
			if got := code(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
