// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

func TestUpdateWithoutBlocksRemovesThem(t *testing.T) {
	r := open(t, workspace.Options{})
	ts := r.post(t, slack.MsgOptionText("fallback", false), slack.MsgOptionBlocks(section("old"), button("ack")),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "curfew", EventPayload: map[string]any{"alert_ids": []string{"a1"}}}))
	if _, _, _, err := r.UpdateMessageContext(t.Context(), r.channel, ts, slack.MsgOptionText("new", false), slack.MsgOptionBlocks(section("new"))); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := r.UpdateMessageContext(t.Context(), r.channel, ts, slack.MsgOptionText("bare", false)); err != nil {
		t.Fatal(err)
	}
	m := r.Messages(r.channel)[0]
	if m.Text != "bare" || m.Blocks != nil || m.Metadata.EventType != "curfew" {
		t.Errorf("got %+v, want bare text, and the metadata as it was", m)
	}
	if len(m.Edits) != 2 || !strings.Contains(string(m.Edits[0].Blocks), "old") || !strings.Contains(string(m.Edits[1].Blocks), "new") {
		t.Errorf("got edits %+v, want what stood before each of two", m.Edits)
	}
}

func TestUpdateKeepsWhatItDoesNotName(t *testing.T) {
	for _, c := range []struct {
		name             string
		body             object
		text             string
		blocks, metadata bool
	}{
		{"text", object{"text": "new"}, "new", false, true},
		{"blocks", object{"blocks": []any{textSection(5)}}, "old", true, true},
		{"metadata", object{"metadata": object{"event_type": "e", "event_payload": object{}}}, "old", true, true},
		{"metadata of nothing", object{"text": "new", "metadata": object{}}, "new", false, false},
		{"blocks of nothing", object{"text": "new", "blocks": []any{}}, "new", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, workspace.Options{})
			ts := r.post(t, slack.MsgOptionText("old", false), slack.MsgOptionBlocks(section("old")),
				slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "curfew", EventPayload: map[string]any{}}))
			c.body["channel"], c.body["ts"] = r.channel, ts
			if got := r.call(t, "chat.update", c.body); !got.OK {
				t.Fatalf("got %+v", got)
			}
			if m := r.Messages(r.channel)[0]; m.Text != c.text || (m.Blocks != nil) != c.blocks || (m.Metadata.EventType != "") != c.metadata {
				t.Errorf("got %+v, want text %q, blocks %v, metadata %v", m, c.text, c.blocks, c.metadata)
			}
		})
	}
}

func TestUpdateRefusals(t *testing.T) {
	r := open(t, workspace.Options{})
	mine, hers := r.post(t, slack.MsgOptionText("mine", false)), r.Say(r.ana, r.channel, "", "hers")
	for _, c := range []struct {
		name, channel, ts, want string
		prepare                 func()
	}{
		{"unknown", r.channel, "1.000001", "message_not_found", nil},
		{"another's", r.channel, hers, "cant_update_message", nil},
		{"by name", "sec-alerts", mine, "channel_not_found", nil},
		{"archived", r.channel, mine, "is_inactive", func() { r.Archive(r.channel) }},
	} {
		if c.prepare != nil {
			c.prepare()
		}
		_, _, _, err := r.UpdateMessageContext(t.Context(), c.channel, c.ts, slack.MsgOptionText("new", false))
		if got := code(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHistoryPages(t *testing.T) {
	r := open(t, workspace.Options{Burst: -1})
	var posted []string
	for range 7 {
		posted = append(posted, r.post(t, slack.MsgOptionText("m", false)))
	}
	reply := r.post(t, slack.MsgOptionText("reply", false), slack.MsgOptionTS(posted[0]))
	shouted := r.post(t, slack.MsgOptionText("shout", false), slack.MsgOptionTS(posted[0]), slack.MsgOptionBroadcast())
	want := append(slices.Clone(posted), shouted)
	slices.Reverse(want)

	var got []string
	for cursor := ""; ; {
		page, err := r.GetConversationHistoryContext(t.Context(), &slack.GetConversationHistoryParameters{ChannelID: r.channel, Limit: 3, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			got = append(got, m.Timestamp)
		}
		if cursor = page.ResponseMetaData.NextCursor; !page.HasMore {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: the newest first, no replies but what was broadcast", got, want)
	}
	for _, c := range []struct {
		name           string
		oldest, latest string
		inclusive      bool
		want           int
	}{
		{"behind", posted[3], "", false, 4},
		{"from", posted[3], "", true, 5},
		{"between", posted[1], posted[4], false, 2},
		{"up to", "", posted[1], true, 2},
	} {
		page, err := r.GetConversationHistoryContext(t.Context(), &slack.GetConversationHistoryParameters{
			ChannelID: r.channel, Oldest: c.oldest, Latest: c.latest, Inclusive: c.inclusive,
		})
		if err != nil || len(page.Messages) != c.want {
			t.Errorf("%s: got %d messages, %v, want %d", c.name, len(page.Messages), err, c.want)
		}
	}
	thread, more, _, err := r.GetConversationRepliesContext(t.Context(), &slack.GetConversationRepliesParameters{ChannelID: r.channel, Timestamp: posted[0]})
	if err != nil || more || len(thread) != 3 || thread[1].Timestamp != reply || thread[0].ReplyCount != 2 {
		t.Errorf("got thread %+v, %v, want the parent and two replies", thread, err)
	}
	if got := len(r.Replies(r.channel, posted[0])); got != 2 {
		t.Errorf("got %d replies, want 2", got)
	}
}

func TestConversationsAndUsers(t *testing.T) {
	r := open(t, workspace.Options{})
	dm, _, _, err := r.OpenConversationContext(t.Context(), &slack.OpenConversationParameters{Users: []string{r.ana}})
	if err != nil {
		t.Fatal(err)
	}
	posted, _, err := r.PostMessageContext(t.Context(), r.ana, slack.MsgOptionText("was this you?", false))
	if err != nil || posted != dm.ID || len(r.Messages(r.ana)) != 1 {
		t.Errorf("got a post to %s, %v, and %v; want one in %s", posted, err, r.Messages(r.ana), dm.ID)
	}
	u, err := r.GetUserInfoContext(t.Context(), r.ana)
	if err != nil || u.TeamID != workspace.TeamID || u.Profile.Email != "ana@example.com" || u.TZ != "Europe/Madrid" {
		t.Errorf("got %+v, %v", u, err)
	}
	stranger := r.AddUser(workspace.User{Name: "eve", TeamID: "T0OTHER", IsStranger: true})
	if u, err := r.GetUserInfoContext(t.Context(), stranger); err != nil || u.TeamID != "T0OTHER" || !u.IsStranger {
		t.Errorf("got %+v, %v, want somebody of another workspace", u, err)
	}
	if u, err := r.GetUserByEmailContext(t.Context(), "ANA@example.com"); err != nil || u.ID != r.ana {
		t.Errorf("got %+v, %v", u, err)
	}
	r.Withhold("users:read.email")
	if u, err := r.GetUserInfoContext(t.Context(), r.ana); err != nil || u.Profile.Email != "" {
		t.Errorf("got the address %q, %v, want none without its scope", u.Profile.Email, err)
	}
	if _, err := r.GetUserInfoContext(t.Context(), "U0NOBODY"); code(err) != "user_not_found" {
		t.Errorf("got %v", err)
	}
	if users, err := r.GetUsersContext(t.Context(), slack.GetUsersOptionLimit(2)); err != nil || len(users) != 3 {
		t.Errorf("got %d users, %v, want 3 over two pages", len(users), err)
	}
	r.Kick(r.channel)
	if _, _, _, err := r.JoinConversationContext(t.Context(), r.channel); err != nil {
		t.Error(err)
	}
	channels, _, err := r.GetConversationsContext(t.Context(), &slack.GetConversationsParameters{Types: []string{"public_channel", "im"}})
	if err != nil || len(channels) != 2 {
		t.Errorf("got %d conversations, %v, want 2", len(channels), err)
	}
	if c, err := r.GetConversationInfoContext(t.Context(), &slack.GetConversationInfoInput{ChannelID: r.channel}); err != nil || c.Name != "sec-alerts" || !c.IsMember {
		t.Errorf("got %+v, %v", c, err)
	}
	ts := r.post(t, slack.MsgOptionText("x", false))
	if err := r.AddReactionContext(t.Context(), "eyes", slack.NewRefToMessage(r.channel, ts)); err != nil {
		t.Error(err)
	}
	if link, err := r.GetPermalinkContext(t.Context(), &slack.PermalinkParameters{Channel: r.channel, Ts: ts}); err != nil || !strings.Contains(link, strings.Replace(ts, ".", "", 1)) {
		t.Errorf("got %q, %v", link, err)
	}
	if _, err := r.PostEphemeralContext(t.Context(), r.channel, r.ana, slack.MsgOptionText("psst", false)); err != nil || len(r.Ephemerals(r.ana)) != 1 {
		t.Errorf("got %v, %v", r.Ephemerals(r.ana), err)
	}
	if _, _, err := r.DeleteMessageContext(t.Context(), r.channel, ts); err != nil || len(r.Messages(r.channel)) != 0 {
		t.Errorf("got %v, %v", r.Messages(r.channel), err)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	r := open(t, workspace.Options{Burst: -1, UpdatesPerMinute: -1})
	first := r.post(t, slack.MsgOptionText("first", false))
	const posters = 20
	errs := make(chan error, 3*posters)
	for range posters {
		go func() {
			_, _, err := r.PostMessageContext(t.Context(), r.channel, slack.MsgOptionText("one", false))
			errs <- err
		}()
		go func() {
			_, _, _, err := r.UpdateMessageContext(t.Context(), r.channel, first, slack.MsgOptionText("more", false))
			errs <- err
		}()
		go func() {
			r.Messages(r.channel)
			r.AddUser(workspace.User{Name: "somebody"})
			errs <- nil
		}()
	}
	r.await(t, func() bool { return len(r.Messages(r.channel)) == posters+1 })
	for range 3 * posters {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, m := range r.Messages(r.channel) {
		seen[m.TS] = true
	}
	if len(seen) != posters+1 || len(r.Messages(r.channel)[0].Edits) != posters {
		t.Errorf("got %d different ts and %d edits, want %d and %d", len(seen), len(r.Messages(r.channel)[0].Edits), posters+1, posters)
	}
	if got := len(r.Calls()); got != 2*posters+1 {
		t.Errorf("got %d calls, want %d", got, 2*posters+1)
	}
}
