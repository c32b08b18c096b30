// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

func TestCatalogActions(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		action, act, class string
		app                bool
	}{
		{"user.session.start", "login", "identity.basic", false},
		{"user.session.impersonation.initiate", "administer", "admin", false},
		{"user.authentication.sso", "login", "identity.basic", false},
		{"user.authentication.auth_via_mfa", "login", "identity.basic", false},
		{"user.authentication.something_new", "login", "identity.basic", false},
		{"policy.evaluate_sign_on", "login", "identity.basic", false},
		{"user.account.privilege.grant", "administer", "admin", false},
		{"user.account.update_password", "update", "identity.basic", false},
		{"group.user_membership.add", "administer", "admin", false},
		{"group.privilege.grant", "administer", "admin", false},
		{"application.user_membership.add", "administer", "admin", false},
		{"application.user_membership.show_password", "read", "secret", false},
		{"iam.resourceset.bindings.add", "administer", "admin", false},
		{"policy.rule.update", "administer", "admin", false},
		{"zone.update", "administer", "admin", false},
		{"app.oauth2.admin.consent.grant", "consent", "", true},
		{"app.oauth2.as.consent.grant", "consent", "", true},
		{"app.oauth2.consent.grant", "consent", "", true},
		{"app.oauth2.as.consent.revoke.implicit.user", "delete", "identity.basic", false},
		{"app.oauth2.admin.consent.revoke", "administer", "admin", false},
		{"integration.api_service.lifecycle.authorize", "consent", "", true},
		{"app.oauth2.token.grant.access_token", "login", "", true},
		{"app.oauth2.as.token.grant", "login", "", true},
		{"app.oauth2.token.grant.id_token", "login", "identity.basic", false},
		{"app.oauth2.token.grant.vaulted_secret", "read", "secret", true},
		{"app.oauth2.client.read_client_secret", "read", "secret", false},
		{"analytics.reports.export.download", "export", "audit", false},
		{"system.api_token.create", "create", "secret", false},
		{"system.api_token.revoke", "delete", "secret", false},
		{"system.org.rate_limit.warning", "read", "internal", false},
		{"system.import.user.create", "read", "internal", false},
		{"pam.secret.reveal", "read", "secret", false},
	}
	for _, test := range tests {
		got, known := c.Action(source, feed, test.action)
		if !known || got.Act != test.act || got.Class != test.class || got.App != test.app {
			t.Errorf("%s: got act %q, class %q, app %v, want %q, %q, %v", test.action, got.Act, got.Class, got.App, test.act, test.class, test.app)
		}
	}
	if got, known := c.Action(source, feed, "nothing.of.okta"); known {
		t.Errorf("an action of no known family: got act %q, want none", got.Act)
	}
}

func TestCatalogScopes(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]string{
		"openid": "identity.basic", "okta.users.read.self": "identity.basic", "okta.users.read": "pii.hr",
		"okta.users.manage": "admin", "okta.groups.read": "internal", "okta.apiTokens.manage": "secret",
		"okta.logs.read": "audit", "okta.something.manage": "admin",
	} {
		if got, _ := c.Scope(source, scope); got != want {
			t.Errorf("%s: got class %q, want %q", scope, got, want)
		}
	}
	// A scope of the org's own API says nothing to Curfew.
	if got, known := c.Scope(source, "orders:read"); known {
		t.Errorf("orders:read: got class %q, want none", got)
	}
}

// Every event type that Okta documents has an act, where the list of them is at hand.
func TestCatalogKnowsEveryEventType(t *testing.T) {
	file, err := os.Open(corpus + "/reference_event_types.csv")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if action, known := c.Action(source, feed, row[0]); !known || action.Act == "" {
			t.Errorf("%s has no act", row[0])
		}
	}
	if len(rows) < 1000 {
		t.Errorf("got %d event types, want the whole list", len(rows))
	}
}
