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
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake/workspace"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/notifier/receivertest"
)

// pointed is a receiver that is told the places of Slack instead of those of the tests of all receivers.
type pointed struct {
	*Receiver
	ref string
}

func (p pointed) Edit(ctx context.Context, _ string, post *curfewv1.Post) error {
	return p.Receiver.Edit(ctx, p.ref, post)
}

func (p pointed) Reply(ctx context.Context, reply *curfewv1.Reply) error {
	return p.Receiver.Reply(ctx, &curfewv1.Reply{Id: reply.GetId(), Ref: p.ref, Lines: reply.GetLines(), Loud: reply.GetLoud()})
}

func TestPromisesOfEveryReceiver(t *testing.T) {
	s := set(t, workspace.Options{UpdatesPerMinute: -1}, nil)
	ref, _ := s.posted(alert(nil))
	bot, app := receivertest.Secret, "app-"+receivertest.Secret
	receivertest.Run(t, receivertest.Case{
		Open: func(t *testing.T, address string) receivertest.Receiver {
			r, err := New(Config{Channel: s.channel, BotToken: config.SecretValue(bot), AppToken: config.SecretValue(app), APIURL: address + "/api/"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.client.CloseIdleConnections)
			return pointed{r, ref}
		},
		Secrets: []string{bot, app},
		Far: func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			r.PostForm.Set("token", workspace.BotToken)
			r.Header.Set("Authorization", "Bearer "+workspace.BotToken)
			s.slack.ServeHTTP(w, r)
		},
		Check: sendable,
		Key: func(_ *http.Request, body []byte) string {
			form, _ := url.ParseQuery(string(body))
			return form.Get("metadata")
		},
		Most: 200_000,
	})
}

// sendable is an error unless Slack would take a message, and nothing in it commands.
func sendable(_ *http.Request, body []byte) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	var blocks any
	if err := json.Unmarshal([]byte(form.Get("blocks")), &blocks); err != nil {
		return fmt.Errorf("the blocks are no JSON: %w", err)
	}
	total := 0
	for _, shown := range walk(blocks) {
		total += len([]rune(shown.Text))
		if strings.ContainsAny(shown.Text, "\x1b\u202e\u2066\u200b\x00") {
			return fmt.Errorf("a character that commands: %q", shown.Text)
		}
	}
	if total > maxTotal {
		return errors.New("the message is too long")
	}
	return nil
}
