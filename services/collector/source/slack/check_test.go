// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

func checks(t *testing.T, c Config, setup fake.SlackConfig) (map[string]*curfewv1.Check, *fake.Slack) {
	t.Helper()
	slack := fake.NewSlack(setup)
	server := httptest.NewServer(slack)
	t.Cleanup(server.Close)
	c.URL = server.URL
	if !c.Token.IsSet() {
		c.Token = config.SecretValue("invented-s3cr3t")
	}
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*curfewv1.Check{}
	for _, check := range source.Check(t.Context()) {
		if all[check.GetSubject()] != nil {
			t.Errorf("%s is answered twice", check.GetSubject())
		}
		all[check.GetSubject()] = check
		if text := fmt.Sprint(check); strings.Contains(text, "s3cr3t") || strings.Contains(check.GetWhy()+check.GetHow()+check.GetNeeds(), "\n") {
			t.Errorf("%s: it tells of the token or has several lines: %s", check.GetSubject(), text)
		}
		if check.GetNeeds() == "" || check.GetVerdict() == curfewv1.CheckVerdict_CHECK_VERDICT_NO && (check.GetWhy() == "" || check.GetHow() == "") {
			t.Errorf("%s: got %v, want what it needs, and where it cannot why and what to do", check.GetSubject(), check)
		}
	}
	return all, slack
}

func TestCheck(t *testing.T) {
	const (
		yes     = curfewv1.CheckVerdict_CHECK_VERDICT_YES
		no      = curfewv1.CheckVerdict_CHECK_VERDICT_NO
		off     = curfewv1.CheckVerdict_CHECK_VERDICT_OFF
		unknown = curfewv1.CheckVerdict_CHECK_VERDICT_UNSPECIFIED
	)
	want := func(t *testing.T, got map[string]*curfewv1.Check, want map[string]curfewv1.CheckVerdict) {
		t.Helper()
		for subject, verdict := range want {
			if got[subject].GetVerdict() != verdict || got[subject] == nil {
				t.Errorf("%s: got %v, want %v", subject, got[subject], verdict)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %d answers, want %d", len(got), len(want))
		}
	}
	t.Run("an organisation with much", func(t *testing.T) {
		got, slack := checks(t, Config{Plan: enterprise, SigningSecret: config.SecretValue("invented")}, fake.SlackConfig{Scopes: []string{
			"auditlogs:read", "admin.users:read", "admin.users:write", "admin.teams:read", "usergroups:read", "groups:read", "users:read", "admin.roles:read",
		}})
		want(t, got, map[string]curfewv1.CheckVerdict{
			"poll audit": yes, "receive audit": unknown, "inventory people": yes, "inventory groups": yes, "inventory memberships": yes,
			"inventory roles": yes, "inventory apps": no, "provision user_group": no, "provision channel": no, "provision workspace_role": unknown,
			"provision app": no, "provision end_sessions": unknown,
		})
		if why := got["provision user_group"].GetWhy(); why != "the token lacks usergroups:write" {
			t.Errorf("got why %q", why)
		}
		if slack.Changes() > 0 {
			t.Error("something was changed")
		}
	})
	t.Run("a workspace", func(t *testing.T) {
		got, _ := checks(t, Config{Plan: other}, fake.SlackConfig{Plan: "free", Scopes: []string{"admin", "users:read", "users:read.email", "usergroups:read", "usergroups:write", "channels:read"}})
		want(t, got, map[string]curfewv1.CheckVerdict{
			"poll integration_logs": yes, "poll access_logs": no, "receive events": off, "inventory people": yes, "inventory groups": yes,
			"inventory memberships": yes, "inventory roles": yes, "inventory apps": yes, "provision user_group": unknown, "provision channel": no,
			"provision workspace_role": no, "provision app": no, "provision end_sessions": no,
		})
		if how := got["poll access_logs"].GetHow(); !strings.Contains(how, "feeds: [integration_logs]") {
			t.Errorf("got how %q, want what to configure", how)
		}
	})
	t.Run("the wrong plan", func(t *testing.T) {
		got, _ := checks(t, Config{Plan: enterprise}, fake.SlackConfig{Plan: other})
		if check := got["poll audit"]; check.GetVerdict() != no || !strings.Contains(check.GetHow(), "set plan: other") {
			t.Errorf("got %v, want the plan to be set", check)
		}
	})
	t.Run("a wrong token", func(t *testing.T) {
		got, slack := checks(t, Config{Plan: enterprise}, fake.SlackConfig{Token: "another"})
		for subject, check := range got {
			if subject != "receive events" && (check.GetVerdict() != no || !strings.Contains(check.GetWhy(), "invalid_auth")) {
				t.Errorf("%s: got %v, want NO by invalid_auth", subject, check)
			}
		}
		if slack.Requests() > 0 {
			t.Error("a log was asked for with a token that is no good")
		}
	})
	t.Run("no secret", func(t *testing.T) {
		got, _ := checks(t, Config{Plan: other, Token: config.Secret{Env: "CURFEW_TEST_SLACK_NONE"}, SigningSecret: config.Secret{Env: "CURFEW_TEST_SLACK_NONE"}}, fake.SlackConfig{Plan: other})
		for _, subject := range []string{"poll integration_logs", "receive events", "receive integration_logs", "inventory people"} {
			if check := got[subject]; check.GetVerdict() != no || !strings.Contains(check.GetWhy(), "CURFEW_TEST_SLACK_NONE") || !strings.Contains(check.GetHow(), "name the") {
				t.Errorf("%s: got %v, want the variable named", subject, check)
			}
		}
	})
}
