// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func TestPostEditReplyFind(t *testing.T) {
	s := set(t, workspace.Options{}, nil)
	ref, ts := s.posted(alert(nil))
	if want := s.channel + "/" + ts; ref != want {
		t.Errorf("got ref %q, want %q", ref, want)
	}
	got, found, err := s.r.Find(t.Context(), "", "p1", noon())
	if err != nil || !found || got != ref {
		t.Errorf("find: got %q, %v, %v; want %q, true, nil", got, found, err, ref)
	}
	if _, found, err := s.r.Find(t.Context(), "", "p2", noon()); err != nil || found {
		t.Errorf("find another: got %v, %v; want false, nil", found, err)
	}
	done := alert(func(a *curfewv1.Alert) { a.State, a.Resolver = curfewv1.AlertState_ALERT_STATE_RESOLVED, "person:bob" })
	if err := s.r.Edit(t.Context(), ref, post("p1", done)); err != nil {
		t.Fatal(err)
	}
	list := s.slack.Messages(s.channel)
	if len(list) != 1 || len(list[0].Edits) != 1 || !strings.Contains(string(list[0].Blocks), "resolved by person:bob") {
		t.Errorf("got %d messages, want one that was edited", len(list))
	}
	if strings.Contains(string(list[0].Blocks), idRevoke) {
		t.Error("what is resolved has a button to revoke")
	}
	// What is edited is still found.
	if _, found, err := s.r.Find(t.Context(), "", "p1", noon()); err != nil || !found {
		t.Errorf("find what was edited: got %v, %v; want true, nil", found, err)
	}
	for _, loud := range []bool{false, true} {
		id := map[bool]string{false: "r1", true: "r2"}[loud]
		if err := s.r.Reply(t.Context(), &curfewv1.Reply{Id: id, Ref: ref, Lines: []string{"person:bob took it on", hostile}, Loud: loud}); err != nil {
			t.Fatal(err)
		}
		if _, found, err := s.r.Find(t.Context(), ref, id, noon()); err != nil || !found {
			t.Errorf("find reply %s: got %v, %v; want true, nil", id, found, err)
		}
	}
	replies := s.slack.Replies(s.channel, ts)
	if len(replies) != 2 || replies[0].Broadcast || !replies[1].Broadcast {
		t.Errorf("got replies %+v, want a quiet and a loud one", replies)
	}
	// What is only in the thread is not found in the channel.
	if _, found, err := s.r.Find(t.Context(), "", "r1", noon()); err != nil || found {
		t.Errorf("find a reply in the channel: got %v, %v; want false, nil", found, err)
	}
}

// What was posted though nobody heard of it is found, on whichever page it is; and somebody else's message with the same
// words in its metadata is not ours.
func TestWhatArrivedUnheardIsFound(t *testing.T) {
	clock := &watch{}
	s := set(t, workspace.Options{Now: clock.now}, nil)
	s.slack.Break("chat.postMessage", workspace.Fault{DropReply: true}, 1)
	_, err := s.r.Post(t.Context(), post("lost", alert(nil)))
	s.harmless(err)
	if err == nil || delivery.AsRefused(err) != nil {
		t.Fatalf("got %v, want an error that leaves open whether it arrived", err)
	}
	clock.advance(30 * time.Second)
	for range page + 10 {
		s.slack.Say(s.ann, s.channel, "", "hello")
	}
	if _, found, err := s.r.Find(t.Context(), "", "lost", noon()); err != nil || !found {
		t.Errorf("got %v, %v; want true, nil", found, err)
	}
	// It is not looked for without end.
	if _, found, err := s.r.Find(t.Context(), "", "lost", noon().Add(apart+5*time.Minute)); err != nil || found {
		t.Errorf("before its time: got %v, %v; want false, nil", found, err)
	}
	s.slack.Break("conversations.history", workspace.Fault{Before: 503}, 1)
	if _, _, err := s.r.Find(t.Context(), "", "lost", noon()); err == nil {
		t.Error("not known: got nil")
	}
	if len(s.slack.Messages(s.channel)) != page+11 {
		t.Error("the message is not there once")
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault workspace.Fault
		do    func(*stage)
		// refused and final are those of the error, after its After.
		refused, final bool
		after          time.Duration
		says           string
	}{
		{"asked to wait", workspace.Fault{RetryAfter: 17 * time.Second}, nil, true, false, 17 * time.Second, "less often"},
		{"503 before", workspace.Fault{Before: 503}, nil, false, false, 0, "503"},
		{"500 after", workspace.Fault{After: 500}, nil, false, false, 0, "500"},
		{"no reply", workspace.Fault{DropReply: true}, nil, false, false, 0, ""},
		{"cut before", workspace.Fault{DropRequest: true}, nil, false, false, 0, ""},
		{"internal error", workspace.Fault{Error: "internal_error"}, nil, false, false, 0, "internal_error"},
		{"fatal error", workspace.Fault{Error: "fatal_error"}, nil, false, false, 0, "fatal_error"},
		{"an error nobody knows", workspace.Fault{Error: "brand_new"}, nil, false, false, 0, "brand_new"},
		{"a token in an error", workspace.Fault{Error: workspace.BotToken}, nil, false, false, 0, "not shown"},
		{"blocks", workspace.Fault{Error: "invalid_blocks"}, nil, true, false, 0, "mistake in Curfew"},
		{"too long", workspace.Fault{Error: "msg_blocks_too_long"}, nil, true, false, 0, "mistake in Curfew"},
		{"a redirect", workspace.Fault{Before: 307}, nil, true, true, 0, "api_url"},
		{"archived", workspace.Fault{}, func(s *stage) { s.slack.Archive(s.channel) }, true, true, 0, "archived"},
		{"not in the channel", workspace.Fault{}, func(s *stage) { s.slack.Kick(s.channel) }, true, true, 0, "/invite"},
		{"private", workspace.Fault{}, func(s *stage) { s.slack.Kick(s.channel); s.slack.MakePrivate(s.channel) }, true, true, 0, "no such channel"},
		{"token revoked", workspace.Fault{}, func(s *stage) { s.slack.Revoke("token_revoked") }, true, true, 0, "token"},
		{"deactivated", workspace.Fault{}, func(s *stage) { s.slack.Revoke("account_inactive") }, true, true, 0, "token"},
		{"no scope", workspace.Fault{}, func(s *stage) { s.slack.Withhold("chat:write") }, true, true, 0, "chat:write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, nil)
			if c.fault != (workspace.Fault{}) {
				s.slack.Break("chat.postMessage", c.fault, 1)
			}
			if c.do != nil {
				c.do(s)
			}
			_, err := s.r.Post(t.Context(), post("p1", alert(nil)))
			s.harmless(err)
			if err == nil {
				t.Fatal("got nil")
			}
			got := delivery.AsRefused(err)
			if (got != nil) != c.refused || got != nil && (got.Final != c.final || got.After != c.after) {
				t.Errorf("got %#v, want refused %v, final %v, after %v", err, c.refused, c.final, c.after)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %q, want %q in it", err, c.says)
			}
		})
	}
}

// answering is a receiver whose Slack answers whatever is asked with one text.
func answering(t *testing.T, answer string) *Receiver {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
	t.Cleanup(server.Close)
	r, err := New(Config{Channel: "C1", BotToken: config.SecretValue("xoxb-1"), AppToken: config.SecretValue("xapp-1"), APIURL: server.URL + "/api/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// An answer that is no yes is none: a proxy has answers of its own.
func TestOnlyAYesIsAYes(t *testing.T) {
	for _, answer := range []string{`{}`, `{"ok":false}`, `{"ok":true}`, `null`, `<html>xoxb-1</html>`, ``} {
		r := answering(t, answer)
		if _, err := r.Post(t.Context(), post("p1", alert(nil))); err == nil || delivery.AsRefused(err) != nil || strings.Contains(err.Error(), "xoxb") {
			t.Errorf("post, answered %q: got %v, want an error that leaves it open", answer, err)
		}
		if err := r.Edit(t.Context(), "C1/1.2", post("p1", alert(nil))); err == nil {
			t.Errorf("edit, answered %q: got nil", answer)
		}
		if _, _, err := r.Find(t.Context(), "", "p1", noon()); err == nil {
			t.Errorf("find, answered %q: got nil", answer)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s := set(t, workspace.Options{}, func(c *Config) { c.APIURL = "http://" + address })
	_, err = s.r.Post(t.Context(), post("p1", alert(nil)))
	s.harmless(err)
	if refused := delivery.AsRefused(err); refused == nil || refused.Final {
		t.Errorf("got %v, want a refusal that may end by itself", err)
	}
}

// A call ends when its context does, whatever Slack does, and says that it may have arrived.
func TestCancel(t *testing.T) {
	never := make(chan time.Time)
	s := set(t, workspace.Options{After: func(time.Duration) <-chan time.Time { return never }}, nil)
	s.slack.Break("chat.postMessage", workspace.Fault{Lag: time.Hour}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.r.Post(ctx, post("p1", alert(nil)))
		done <- err
	}()
	s.await("post", func() bool { return len(s.slack.Messages(s.channel)) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || delivery.AsRefused(err) != nil {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// Anybody may write what looks like our metadata; only what our own bot wrote is ours.
func TestFindBelievesOnlyItsOwn(t *testing.T) {
	history := `{"ok":true,"team_id":"T1","user_id":"U1","bot_id":"B1","messages":[` +
		`{"ts":"1.1","user":"U2","bot_id":"B2","metadata":{"event_type":"curfew_post","event_payload":{"post":"p1"}}}%s]}`
	own := `,{"ts":"1.0","user":"U1","bot_id":"B1","metadata":{"event_type":"curfew_post","event_payload":{"post":"p1"}}}`
	for _, c := range []struct {
		name, own, want string
	}{{"another bot's", "", ""}, {"another bot's and ours", own, "C1/1.0"}} {
		t.Run(c.name, func(t *testing.T) {
			r := answering(t, fmt.Sprintf(history, c.own))
			got, found, err := r.Find(t.Context(), "", "p1", noon())
			if err != nil || got != c.want || found != (c.want != "") {
				t.Errorf("got %q, %v, %v; want %q", got, found, err, c.want)
			}
		})
	}
}

func TestAnotherWorkspacesToken(t *testing.T) {
	s := set(t, workspace.Options{}, func(c *Config) { c.Team = "T0OTHER" })
	_, _, err := s.r.Find(t.Context(), "", "p1", noon())
	if refused := delivery.AsRefused(err); refused == nil || !refused.Final {
		t.Errorf("got %v, want a final refusal", err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Channel: "C1", BotToken: config.SecretValue("xoxb-1"), AppToken: config.SecretValue("xapp-1")}
	for _, c := range []struct {
		name string
		in   func(*Config)
		want string
	}{
		{"whole", func(*Config) {}, ""},
		{"by HTTP", func(c *Config) {
			c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue("s"), ":8090"
		}, ""},
		{"a name for a channel", func(c *Config) { c.Channel = "#alerts" }, "channel"},
		{"no bot token", func(c *Config) { c.BotToken = config.Secret{} }, "bot_token"},
		{"no way in", func(c *Config) { c.AppToken = config.Secret{} }, "app_token"},
		{"two ways in", func(c *Config) { c.SigningSecret = config.SecretValue("s") }, "app_token"},
		{"nowhere to listen", func(c *Config) { c.AppToken, c.SigningSecret = config.Secret{}, config.SecretValue("s") }, "listen"},
		{"no address to listen", func(c *Config) {
			c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue("s"), "8090"
		}, "listen"},
		{"in the clear", func(c *Config) { c.APIURL = "http://slack.example.com/api/" }, "api_url"},
		{"a link that is none", func(c *Config) { c.Link = "javascript:alert(1)" }, "link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := good
			c.in(&in)
			_, err := New(in)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
