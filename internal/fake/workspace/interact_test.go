// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// app is one that gets interactions over HTTP.
type app struct {
	url string

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   func(try int, rw http.ResponseWriter)
}

func serveApp(t *testing.T) *app {
	t.Helper()
	a := &app{answer: func(int, http.ResponseWriter) {}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.mu.Lock()
		a.requests, a.bodies = append(a.requests, r), append(a.bodies, string(body))
		try := len(a.bodies)
		a.mu.Unlock()
		a.answer(try, rw)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// interaction is what the app was told in a request.
func (a *app) interaction(t *testing.T, i int) (told slack.InteractionCallback) {
	t.Helper()
	form, err := url.ParseQuery(a.bodies[i])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(form.Get("payload")), &told); err != nil {
		t.Fatal(err)
	}
	return told
}

// openHTTP is a room whose app is told by HTTP, by the machine's clock, which slack-go's verifier goes by.
func openHTTP(t *testing.T) (*room, *app) {
	t.Helper()
	a := serveApp(t)
	return open(t, workspace.Options{RequestURL: a.url, Now: time.Now}), a
}

func TestSignedClickOverHTTP(t *testing.T) {
	r, a := openHTTP(t)
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(section("alert"), button("ack")))
	if err := r.Click(t.Context(), workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"}); err != nil {
		t.Fatal(err)
	}
	verifier, err := slack.NewSecretsVerifier(a.requests[0].Header, workspace.SigningSecret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(&verifier, a.bodies[0]); err != nil {
		t.Fatal(err)
	}
	if err := verifier.Ensure(); err != nil {
		t.Error("the signature is wrong")
	}
	told := a.interaction(t, 0)
	if told.Type != slack.InteractionTypeBlockActions || told.User.ID != r.ana || told.User.TeamID != workspace.TeamID || told.Team.ID != workspace.TeamID ||
		told.Container.MessageTs != ts || told.Container.ChannelID != r.channel || told.Channel.ID != r.channel || told.Message.Timestamp != ts || told.TriggerID == "" {
		t.Errorf("got %+v", told)
	}
	if acted := told.ActionCallback.BlockActions; len(acted) != 1 || acted[0].ActionID != "ack" || acted[0].BlockID != "acts" || acted[0].Value != "alert-1" || acted[0].ActionTs == "" {
		t.Errorf("got actions %+v", acted)
	}
	if len(told.Message.Blocks.BlockSet) != 2 {
		t.Errorf("got %d blocks, want 2", len(told.Message.Blocks.BlockSet))
	}
}

func TestSign(t *testing.T) {
	// The example of https://docs.slack.dev/authentication/verifying-requests-from-slack.
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	want := "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	if got := workspace.Sign("8f742231b10e8888abcd99yyyzzz85a5", time.Unix(1531420618, 0), []byte(body)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRetriesAndDuplicatesOverHTTP(t *testing.T) {
	r, a := openHTTP(t)
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	click := workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"}
	a.answer = func(try int, rw http.ResponseWriter) {
		if try < 3 {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	if err := r.Click(t.Context(), click); err != nil {
		t.Fatal(err)
	}
	if len(a.requests) != 3 || a.requests[0].Header.Get("X-Slack-Retry-Num") != "" || a.requests[2].Header.Get("X-Slack-Retry-Num") != "2" {
		t.Errorf("got %d requests, want 3, the last of them the second retry", len(a.requests))
	}
	if first, last := a.interaction(t, 0), a.interaction(t, 2); first.TriggerID != last.TriggerID || first.ActionCallback.BlockActions[0].ActionTs != last.ActionCallback.BlockActions[0].ActionTs {
		t.Error("a retry is another click")
	}
	a.bodies, a.answer = nil, func(_ int, rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) }
	if err := r.Click(t.Context(), click); !errors.Is(err, workspace.ErrUnacknowledged) || len(a.bodies) != 3 {
		t.Errorf("got %v after %d requests, want that nobody acknowledged three", err, len(a.bodies))
	}
	a.bodies, a.answer = nil, func(int, http.ResponseWriter) {}
	r.Duplicate(1)
	for _, want := range []int{2, 3} {
		if err := r.Click(t.Context(), click); err != nil || len(a.bodies) != want {
			t.Errorf("got %v and %d requests, want %d", err, len(a.bodies), want)
		}
	}
}

func TestClickOnWhatIsNotThere(t *testing.T) {
	r, a := openHTTP(t)
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("ack")))
	click := workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "ack"}
	if _, _, _, err := r.UpdateMessageContext(t.Context(), r.channel, ts, slack.MsgOptionText("done", false)); err != nil {
		t.Fatal(err)
	}
	if err := r.Click(t.Context(), click); !errors.Is(err, workspace.ErrNothingThere) || len(a.bodies) != 0 {
		t.Errorf("got %v, want that nothing is there", err)
	}
	click.Stale = true
	if err := r.Click(t.Context(), click); err != nil || len(a.bodies) != 1 {
		t.Errorf("a stale click: got %v", err)
	}
}

func TestOverflowOverHTTP(t *testing.T) {
	r, a := openHTTP(t)
	option := slack.NewOptionBlockObject("mute-1h", slack.NewTextBlockObject("plain_text", "Mute 1 h", false, false), nil)
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(slack.NewActionBlock("acts", slack.NewOverflowBlockElement("more", option))))
	click := workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "more", Option: "mute-1h"}
	if err := r.Click(t.Context(), click); err != nil {
		t.Fatal(err)
	}
	if got := a.interaction(t, 0).ActionCallback.BlockActions[0].SelectedOption.Value; got != "mute-1h" {
		t.Errorf("got %q", got)
	}
	click.Option = "mute-9y"
	if err := r.Click(t.Context(), click); !errors.Is(err, workspace.ErrNothingThere) {
		t.Errorf("an option that is not there: got %v", err)
	}
}

func modal() slack.ModalViewRequest {
	plain := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject("plain_text", s, false, false)
	}
	scope := slack.NewInputBlock("scope", plain("Scope"), nil, slack.NewOptionsSelectBlockElement("static_select", plain("Choose"), "pick",
		slack.NewOptionBlockObject("one", plain("This one"), nil), slack.NewOptionBlockObject("all", plain("All"), nil)))
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain("Expected"), Submit: plain("Propose"), CallbackID: "expected", PrivateMetadata: "alert-1",
		Blocks: slack.Blocks{BlockSet: []slack.Block{scope, slack.NewInputBlock("reason", plain("Reason"), nil, slack.NewPlainTextInputBlockElement(plain("Why"), "text"))}},
	}
}

func TestModal(t *testing.T) {
	a := serveApp(t)
	r := open(t, workspace.Options{RequestURL: a.url})
	ts := r.post(t, slack.MsgOptionText("alert", false), slack.MsgOptionBlocks(button("expected")))
	click := workspace.Click{User: r.ana, Channel: r.channel, TS: ts, ActionID: "expected"}
	for range 2 {
		if err := r.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
	}
	trigger, late := a.interaction(t, 0).TriggerID, a.interaction(t, 1).TriggerID
	opened, err := r.OpenViewContext(t.Context(), trigger, modal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenViewContext(t.Context(), trigger, modal()); code(err) != "exchanged_trigger_id" {
		t.Errorf("a trigger twice: got %v", err)
	}
	r.clock.advance(3001 * time.Millisecond)
	if _, err := r.OpenViewContext(t.Context(), late, modal()); code(err) != "expired_trigger_id" {
		t.Errorf("a trigger too late: got %v", err)
	}
	if _, err := r.UpdateViewContext(t.Context(), modal(), "", "stale", opened.ID); code(err) != "hash_conflict" {
		t.Errorf("an update of another version: got %v", err)
	}
	if _, err := r.Submit(t.Context(), r.ana, opened.ID, map[string]string{"scope": "one"}); err == nil {
		t.Error("a view without what it requires was submitted")
	}
	a.answer = func(_ int, rw http.ResponseWriter) {
		if _, err := io.WriteString(rw, `{"response_action":"errors","errors":{"reason":"say more"}}`); err != nil {
			t.Error(err)
		}
	}
	filled := map[string]string{"scope": "one", "reason": "because"}
	ack, err := r.Submit(t.Context(), r.ana, opened.ID, filled)
	if views := r.Views(r.ana); err != nil || !strings.Contains(string(ack), "say more") || len(views) != 1 || views[0].Errors["reason"] != "say more" {
		t.Errorf("got %s, %v, and %v open; want the view with its errors", ack, err, views)
	}
	a.answer = func(int, http.ResponseWriter) {}
	if ack, err := r.Submit(t.Context(), r.ana, opened.ID, filled); err != nil || len(ack) != 0 || len(r.Views(r.ana)) != 0 {
		t.Errorf("got %s, %v, want that the view closed", ack, err)
	}
	told := a.interaction(t, 3)
	values := told.View.State.Values
	if told.Type != slack.InteractionTypeViewSubmission || told.View.CallbackID != "expected" || told.View.PrivateMetadata != "alert-1" ||
		values["scope"]["pick"].SelectedOption.Value != "one" || values["reason"]["text"].Value != "because" {
		t.Errorf("got %+v", told.View)
	}
}

func TestSlashAndResponseURL(t *testing.T) {
	a := serveApp(t)
	r := open(t, workspace.Options{RequestURL: a.url})
	r.post(t, slack.MsgOptionText("so that the workspace knows where it is", false))
	a.answer = func(_ int, rw http.ResponseWriter) {
		if _, err := io.WriteString(rw, `{"text":"on it"}`); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", "request repo:billing 1h"); err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(a.bodies[0])
	if err != nil || form.Get("command") != "/curfew" || form.Get("text") != "request repo:billing 1h" || form.Get("user_id") != r.ana || form.Get("trigger_id") == "" {
		t.Errorf("got %v, %v", form, err)
	}
	if got := r.Ephemerals(r.ana); len(got) != 1 || got[0].Text != "on it" {
		t.Errorf("got %v, want the acknowledgement for her alone", got)
	}
	answer := func() error {
		return slack.PostWebhookContext(t.Context(), form.Get("response_url"), &slack.WebhookMessage{Text: "done", ResponseType: slack.ResponseTypeInChannel})
	}
	for range 5 {
		if err := answer(); err != nil {
			t.Fatal(err)
		}
	}
	if err := answer(); err == nil || r.Posted()["response_url"]["used_url"] != 1 {
		t.Errorf("a sixth use: got %v", err)
	}
	if got := len(r.Messages(r.channel)); got != 6 {
		t.Errorf("got %d messages, want 6", got)
	}
	if _, err := r.Slash(t.Context(), r.ana, r.channel, "/curfew", ""); err != nil {
		t.Fatal(err)
	}
	if form, err = url.ParseQuery(a.bodies[1]); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(30*time.Minute + time.Second)
	if err := answer(); err == nil || r.Posted()["response_url"]["expired_url"] != 1 {
		t.Errorf("after half an hour: got %v", err)
	}
}
