// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// connect runs a real Socket Mode client, whose events on gets until the test ends.
func (r *room) connect(t *testing.T, on func(*socketmode.Client, socketmode.Event)) *socketmode.Client {
	t.Helper()
	before := r.Sockets()
	client := socketmode.New(r.Client)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	t.Cleanup(func() {
		cancel()
		r.Cut() // the client's reader looks at its connection only
		<-ended
		<-ended
	})
	go func() {
		defer func() { ended <- struct{}{} }()
		if err := client.RunContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		for {
			select {
			case e := <-client.Events:
				on(client, e)
			case <-ctx.Done():
				return
			}
		}
	}()
	r.await(t, func() bool { return r.Sockets() > before })
	return client
}

func (r *room) await(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Await(ctx, is); err != nil {
		t.Fatal(err)
	}
}

// acknowledge is an app that says yes to all, and tells of it.
func acknowledge(t *testing.T, told chan<- socketmode.Event) func(*socketmode.Client, socketmode.Event) {
	return func(client *socketmode.Client, e socketmode.Event) {
		if e.Request == nil || e.Request.EnvelopeID == "" {
			return
		}
		told <- e
		if err := client.Ack(*e.Request); err != nil {
			t.Error(err)
		}
	}
}

func TestSocketMode(t *testing.T) {
	r := open(t, workspace.Options{})
	told := make(chan socketmode.Event, 10)
	r.connect(t, acknowledge(t, told))
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	click := workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"}
	if err := r.Click(t.Context(), click); err != nil {
		t.Fatal(err)
	}
	e := <-told
	callback, ok := e.Data.(slack.InteractionCallback)
	if !ok || callback.User.ID != r.ana || callback.ActionCallback.BlockActions[0].Value != "alert-1" || !e.Request.AcceptsResponsePayload {
		t.Errorf("got %+v", e)
	}
	if _, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", "help"); err != nil {
		t.Fatal(err)
	}
	if command, ok := (<-told).Data.(slack.SlashCommand); !ok || command.Text != "help" || command.UserID != r.ana || command.TeamID != workspace.TeamID {
		t.Errorf("got %+v", command)
	}

	r.Duplicate(1)
	if err := r.Click(t.Context(), click); err != nil {
		t.Fatal(err)
	}
	one, two := <-told, <-told
	if one.Request.EnvelopeID == two.Request.EnvelopeID || one.Data.(slack.InteractionCallback).TriggerID != two.Data.(slack.InteractionCallback).TriggerID {
		t.Error("the duplicate is not the same click in another envelope")
	}

	r.Refresh()
	r.await(t, func() bool { return r.Sockets() == 1 })
	if err := r.Click(t.Context(), click); err != nil {
		t.Fatal("after a refresh:", err)
	}
	<-told
}

func TestUnacknowledgedIsSentOnAnotherSocket(t *testing.T) {
	// Nobody's three seconds end until the test says so.
	timeouts := make(chan chan time.Time, 10)
	r := open(t, workspace.Options{After: func(time.Duration) <-chan time.Time {
		timeout := make(chan time.Time)
		timeouts <- timeout
		return timeout
	}})
	type heard struct {
		who int
		e   socketmode.Event
	}
	told := make(chan heard, 10)
	clients := map[int]*socketmode.Client{}
	for i := range 2 {
		clients[i] = r.connect(t, func(_ *socketmode.Client, e socketmode.Event) {
			if e.Request != nil && e.Request.EnvelopeID != "" {
				told <- heard{i, e}
			}
		})
	}
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	done := make(chan error, 1)
	go func() {
		done <- r.Click(t.Context(), workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"})
	}()
	first := <-told
	// The turn of the other socket goes to something else, so that only the rule is left.
	go func() {
		_, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", "")
		done <- err
	}()
	other := <-told
	if err := clients[other.who].Ack(*other.e.Request); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(<-timeouts)
	second := <-told
	if first.who == second.who || second.e.Request.RetryAttempt != 1 || second.e.Request.RetryReason != "timeout" {
		t.Errorf("got %d and then %d, attempt %d; want another socket and the first retry", first.who, second.who, second.e.Request.RetryAttempt)
	}
	if err := clients[second.who].Ack(*second.e.Request); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// dial opens a socket without a library in between, behind its first message.
func (r *room) dial(t *testing.T) (conn *websocket.Conn, greeting string) {
	t.Helper()
	_, address, err := r.StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	var hello struct{ Type, Reason string }
	if err := conn.ReadJSON(&hello); err != nil {
		t.Fatal(err)
	}
	return conn, hello.Type + hello.Reason
}

// hear is the id of the next envelope.
func hear(t *testing.T, conn *websocket.Conn) (envelope map[string]any) {
	t.Helper()
	if err := conn.ReadJSON(&envelope); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"envelope_id": envelope["envelope_id"]}
}

func TestLateAcknowledgementDoesNotCount(t *testing.T) {
	timeouts := make(chan chan time.Time, 10)
	r := open(t, workspace.Options{Tries: 2, After: func(time.Duration) <-chan time.Time {
		timeout := make(chan time.Time)
		timeouts <- timeout
		return timeout
	}})
	conn, _ := r.dial(t)
	done, other := make(chan error, 1), make(chan error, 1)
	slash := func(to chan<- error) {
		_, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", "")
		to <- err
	}
	go slash(done)
	late := hear(t, conn)
	close(<-timeouts)
	hear(t, conn)
	again := <-timeouts
	go slash(other)
	// What is behind the late one on the same socket says when that was read.
	for _, ack := range []any{late, map[string]any{"envelope_id": "nobody's"}, "no acknowledgement", hear(t, conn)} {
		if err := conn.WriteJSON(ack); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
	close(again)
	if err := <-done; !errors.Is(err, workspace.ErrUnacknowledged) {
		t.Errorf("got %v, want that nobody acknowledged", err)
	}
}

func TestCloseEndsAll(t *testing.T) {
	r := open(t, workspace.Options{After: func(time.Duration) <-chan time.Time { return nil }})
	conn, _ := r.dial(t)
	done := make(chan error, 1)
	go func() {
		_, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", "")
		done <- err
	}()
	hear(t, conn)
	r.Close()
	if got := r.Sockets(); got != 0 {
		t.Errorf("got %d sockets, want 0", got)
	}
	if err := <-done; !errors.Is(err, workspace.ErrUnacknowledged) {
		t.Errorf("got %v, want that nobody acknowledged", err)
	}
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("the socket goes on")
	}
	r.Close()
}

func TestSocketThatBreaksIsRetriedAtOnce(t *testing.T) {
	r := open(t, workspace.Options{After: func(time.Duration) <-chan time.Time { return nil }})
	told := make(chan socketmode.Event, 10)
	broken := false
	r.connect(t, func(client *socketmode.Client, e socketmode.Event) {
		if e.Request == nil || e.Request.EnvelopeID == "" {
			return
		}
		if !broken {
			broken = true
			r.Cut()
			return
		}
		acknowledge(t, told)(client, e)
	})
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	if err := r.Click(t.Context(), workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"}); err != nil {
		t.Fatal(err)
	}
	if e := <-told; e.Request.RetryAttempt != 1 {
		t.Errorf("got attempt %d, want the first retry", e.Request.RetryAttempt)
	}
}

func TestTickets(t *testing.T) {
	r := open(t, workspace.Options{})
	_, address, err := r.StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.clock.advance(31 * time.Second)
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err == nil || response == nil {
		t.Fatalf("a ticket too late: got %v", err)
	}
	if _ = response.Body.Close(); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a ticket too late: got %v", err)
	}
	for range 10 {
		if _, got := r.dial(t); got != "hello" {
			t.Errorf("got %q, want hello", got)
		}
	}
	if _, got := r.dial(t); got != "disconnecttoo_many_websockets" {
		t.Errorf("an eleventh socket: got %q", got)
	}
}
