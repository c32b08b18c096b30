// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/delivery"
	"github.com/curfewhq/curfew/internal/fake/workspace"
)

// Whoever is told that Slack answers can rely on it that clicks come in, too.
func TestCheckNamesTheTokenThatIsWrong(t *testing.T) {
	byHTTP := func(c *Config) {
		c.AppToken, c.SigningSecret, c.Listen = config.Secret{}, config.SecretValue("s"), "127.0.0.1:0"
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		code   string // what Slack says of the app's token
		want   string
	}{
		{"both good", nil, "", ""},
		{"no app token", byHTTP, "invalid_auth", ""},
		{"bot's", func(c *Config) { c.BotToken = config.SecretValue("xoxb-1-wrong") }, "", "accept bot_token"},
		{"app's", func(c *Config) { c.AppToken = config.SecretValue("xapp-1-wrong") }, "", "invalid_auth: Slack does not accept app_token"},
		{"the other kind", nil, "not_allowed_token_type", "it begins with xapp-"},
		{"without the scope", nil, "missing_scope", "connections:write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, workspace.Options{}, c.change)
			if c.code != "" {
				s.slack.Break("apps.connections.open", workspace.Fault{Error: c.code}, 1)
			}
			err := s.r.Check(t.Context())
			s.harmless(err)
			if refused := delivery.AsRefused(err); (refused == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if c.want != "" && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wrong")) {
				t.Errorf("got %v, want %q in it, and no token", err, c.want)
			}
			if n := s.slack.Sockets(); n > 0 {
				t.Errorf("%d sockets were opened, want none", n)
			}
		})
	}
}
