// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestCatalog(t *testing.T) {
	sourcetest.Catalog(t, sourcetest.CatalogCase{
		Source: source,
		Feed:   feed,
		Actions: map[string]string{
			"user.session.start":                          "login identity.basic",
			"user.session.impersonation.initiate":         "administer admin",
			"user.authentication.sso":                     "login identity.basic",
			"user.authentication.auth_via_mfa":            "login identity.basic",
			"user.authentication.something_new":           "login identity.basic",
			"policy.evaluate_sign_on":                     "login identity.basic",
			"user.account.privilege.grant":                "administer admin",
			"user.account.update_password":                "update identity.basic",
			"group.user_membership.add":                   "administer admin",
			"group.privilege.grant":                       "administer admin",
			"application.user_membership.add":             "administer admin",
			"application.user_membership.show_password":   "read secret",
			"iam.resourceset.bindings.add":                "administer admin",
			"policy.rule.update":                          "administer admin",
			"zone.update":                                 "administer admin",
			"app.oauth2.admin.consent.grant":              "consent app",
			"app.oauth2.as.consent.grant":                 "consent app",
			"app.oauth2.consent.grant":                    "consent app",
			"app.oauth2.as.consent.revoke.implicit.user":  "delete identity.basic",
			"app.oauth2.admin.consent.revoke":             "administer admin",
			"integration.api_service.lifecycle.authorize": "consent app",
			"app.oauth2.token.grant.access_token":         "login app",
			"app.oauth2.as.token.grant":                   "login app",
			"app.oauth2.token.grant.id_token":             "login identity.basic",
			"app.oauth2.token.grant.vaulted_secret":       "read secret app",
			"app.oauth2.client.read_client_secret":        "read secret",
			"analytics.reports.export.download":           "export audit",
			"system.api_token.create":                     "create secret",
			"system.api_token.revoke":                     "delete secret",
			"system.org.rate_limit.warning":               "read internal",
			"system.import.user.create":                   "read internal",
			"pam.secret.reveal":                           "read secret",
			"nothing.of.okta":                             "",
		},
		Named: eventTypes(t),
		Scopes: map[string]string{
			"openid": "identity.basic", "okta.users.read.self": "identity.basic", "okta.users.read": "pii.hr",
			"okta.users.manage": "admin", "okta.groups.read": "internal", "okta.apiTokens.manage": "secret",
			"okta.logs.read": "audit", "okta.something.manage": "admin",
			// A scope of the org's own API says nothing to Curfew.
			"orders:read": "",
		},
	})
}

// eventTypes is every event type that Okta documents, where the list of them is at hand.
func eventTypes(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(corpus + "/reference_event_types.csv")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 1000 {
		t.Errorf("got %d event types, want the whole list", len(rows))
	}
	names := make([]string, 0, len(rows))
	for _, row := range rows[1:] {
		names = append(names, row[0])
	}
	return names
}
