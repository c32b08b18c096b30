// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// A test alert is posted, shown as resolved and answered, once; what keeps it from that is said with what to do, by
// `curfew alert test` and by `curfew doctor`, which posts nothing.
func TestAlertTestInSlack(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(w *workspace.Workspace, channel string)
		exit int
		says string
		// doctor is what it says of the receiver.
		doctor string
	}{
		{"all is well", func(*workspace.Workspace, string) {}, exitDone, "taken (", "yes  receiver team"},
		{"withdrawn token", func(w *workspace.Workspace, _ string) { w.Revoke("token_revoked") }, exitFailed, "install the app again", "no   receiver team"},
		{"not in the channel", func(w *workspace.Workspace, channel string) { w.Kick(channel) }, exitFailed, "/invite @curfew", "no   receiver team"},
		{"a missing right", func(w *workspace.Workspace, _ string) { w.Withhold("chat:write") }, exitFailed, "deploy/slack/manifest.yaml", "yes  receiver team"},
		{"a wrong app token", func(w *workspace.Workspace, _ string) {
			w.Break("apps.connections.open", workspace.Fault{Error: "invalid_auth"}, 2)
		}, exitFailed, "Slack does not accept app_token", "no   receiver team"},
		{"no answer", func(w *workspace.Workspace, _ string) {
			w.Break("chat.postMessage", workspace.Fault{DropReply: true}, 1)
		}, exitFailed, "nobody knows", "yes  receiver team"},
		{"no edit", func(w *workspace.Workspace, _ string) {
			w.Break("chat.update", workspace.Fault{Error: "cant_update_message"}, 1)
		}, exitFailed, "but not shown as resolved", "yes  receiver team"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := workspace.New(workspace.Options{})
			server := httptest.NewServer(w)
			defer server.Close()
			defer w.Close()
			channel, dir := w.AddChannel("alerts"), t.TempDir()
			c.make(w, channel)
			for name, content := range map[string]string{
				"bot": workspace.BotToken, "app": workspace.AppToken,
				"curfew.yaml": fmt.Sprintf("receivers:\n  team: {type: slack, channel: %s, bot_token: {file: bot}, app_token: {file: app}, api_url: %q}\n", channel, server.URL+"/api/"),
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			config := filepath.Join(dir, "curfew.yaml")

			var said, errs bytes.Buffer
			run(t.Context(), []string{"doctor", "--config", config}, nil, &said, &errs)
			if !strings.Contains(said.String(), c.doctor) || len(w.Messages(channel)) > 0 {
				t.Errorf("doctor: got %d messages and\n%s%s\nwant %q", len(w.Messages(channel)), &said, &errs, c.doctor)
			}

			said.Reset()
			if exit := run(t.Context(), []string{"alert", "test", "--config", config}, nil, &said, &errs); exit != c.exit || !strings.Contains(said.String(), c.says) {
				t.Errorf("got exit code %d and\n%s%s\nwant %d and %q", exit, &said, &errs, c.exit, c.says)
			}
			if strings.Contains(said.String()+errs.String(), "xoxb-") {
				t.Errorf("a token is shown:\n%s%s", &said, &errs)
			}
			if c.exit != exitDone {
				return
			}
			posts := w.Messages(channel)
			if len(posts) != 1 {
				t.Fatalf("got %d messages, want one", len(posts))
			}
			if blocks := string(posts[0].Blocks); !strings.Contains(blocks, "TEST") || !strings.Contains(blocks, "resolved by") || strings.Contains(blocks, `"button"`) || len(w.Replies(channel, posts[0].TS)) != 1 {
				t.Errorf("got %s with %d replies, want it marked as a test, resolved, without buttons, and one reply", blocks, len(w.Replies(channel, posts[0].TS)))
			}
		})
	}
}
