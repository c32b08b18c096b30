// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
)

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogActions(t *testing.T) {
	c := load(t)
	tests := []struct {
		name, act, class string
		app              bool
	}{
		{"token/authorize", "consent", "", true},
		{"token/activity", "read", "", true},
		{"token/revoke", "administer", "internal", false},
		{"drive/view", "read", "", false},
		{"drive/preview", "read", "", false},
		{"drive/download", "export", "", false},
		{"drive/copy", "export", "", false},
		{"drive/source_copy", "export", "", false},
		{"drive/print", "export", "", false},
		{"drive/email_as_attachment", "export", "", false},
		{"drive/download_something_new", "export", "", false},
		{"drive/create", "create", "", false},
		{"drive/upload", "create", "", false},
		{"drive/edit", "update", "", false},
		{"drive/rename", "update", "", false},
		{"drive/create_comment", "update", "", false},
		{"drive/delete", "delete", "", false},
		{"drive/trash", "delete", "", false},
		{"drive/untrash", "update", "", false},
		{"drive/change_user_access", "share", "", false},
		{"drive/change_document_visibility", "share", "", false},
		{"drive/change_acl_editors", "share", "", false},
		{"drive/change_owner", "share", "", false},
		{"drive/shared_drive_membership_change", "share", "", false},
		{"drive/shared_drive_settings_change", "administer", "", false},
		{"drive/storage_usage_update", "read", "internal", false},
		{"login/login_success", "login", "identity.basic", false},
		{"saml/login_failure", "login", "identity.basic", false},
		{"login_audit_copy/login_success", "login", "identity.basic", false},
		{"login/2sv_disable", "update", "identity.basic", false},
		{"user_accounts/2sv_disable", "update", "identity.basic", false},
		{"user_accounts/email_forwarding_out_of_domain", "share", "content.mail", false},
		{"admin/ASSIGN_ROLE", "administer", "admin", false},
		{"admin/SOMETHING_NEW", "administer", "admin", false},
		{"admin/AUTHORIZE_API_CLIENT_ACCESS", "consent", "admin", true},
		{"admin/ADD_APPLICATION", "consent", "admin", true},
		{"admin/ALERT_CENTER_VIEW", "read", "audit", false},
		{"admin/SECURITY_INVESTIGATION_QUERY", "search", "audit", false},
		{"admin/SECURITY_INVESTIGATION_EXPORT_QUERY", "export", "audit", false},
		{"admin/EMAIL_LOG_SEARCH", "search", "audit", false},
		{"admin/DOWNLOAD_USERLIST_CSV", "export", "pii.hr", false},
		{"admin/CUSTOMER_TAKEOUT_SUCCEEDED", "export", "content.files", false},
		{"admin/USER_LICENSE_REVOKE", "administer", "internal", false},
		{"groups_enterprise/add_member", "administer", "admin", false},
		{"groups_enterprise/add_user", "administer", "internal", false},
		{"groups/add_user", "administer", "admin", false},
		{"calendar/change_calendar_acls", "share", "internal", false},
		{"gmail/delivery", "create", "internal", false},
		{"gmail/download", "export", "content.mail", false},
		{"chat/conversation_read", "read", "content.chat", false},
		{"rules/rule_match", "read", "internal", false},
		{"vault/search", "search", "content.mail", false},
		{"vault/create_export_begin", "export", "content.mail", false},
		{"takeout/something_new", "export", "content.files", false},
	}
	for _, test := range tests {
		application, name, _ := strings.Cut(test.name, "/")
		got, known := c.Action(source, application, name)
		if !known || got.Act != test.act || got.Class != test.class || got.App != test.app {
			t.Errorf("%s: got act %q, class %q, app %v, want %q, %q, %v", test.name, got.Act, got.Class, got.App, test.act, test.class, test.app)
		}
	}
	if got, known := c.Action(source, "quantum_notes", "entangle"); known {
		t.Errorf("an action of no known application: got act %q, want none", got.Act)
	}
}

// A name that Google adds to an application it has must not be without an act:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list#applicationname.
func TestCatalogKnowsEveryApplication(t *testing.T) {
	c := load(t)
	for application := range strings.FieldsSeq(`access_transparency admin admin_data_action assignments calendar chat chrome
		classroom cloud_search contacts context_aware_access data_migration data_studio directory_sync drive gcp
		gemini_in_workspace_apps gmail gplus graduation groups groups_enterprise jamboard keep ldap login meet meet_hardware
		mobile profile rules saml takeout tasks token user_accounts vault voice`) {
		if action, known := c.Action(source, application, "something_new"); !known || action.Act == "" {
			t.Errorf("%s/something_new has no act", application)
		}
	}
}

func TestCatalogScopes(t *testing.T) {
	c := load(t)
	const google = "https://www.googleapis.com/auth/"
	for scope, want := range map[string]string{
		"openid": "identity.basic", google + "userinfo.email": "identity.basic", "https://mail.google.com/": "content.mail",
		google + "gmail.readonly": "content.mail", google + "gmail.send": "content.mail", google + "gmail.labels": "internal",
		google + "gmail.settings.sharing": "admin", google + "drive": "content.files", google + "drive.readonly": "content.files",
		google + "drive.file": "internal", google + "drive.metadata.readonly": "internal", google + "spreadsheets": "content.files",
		google + "contacts": "pii.contact", google + "contacts.readonly": "pii.contact", google + "calendar": "internal",
		google + "admin.directory.user": "admin", google + "admin.directory.user.readonly": "pii.hr",
		google + "admin.reports.audit.readonly": "audit", google + "cloud-platform": "admin", google + "analytics.readonly": "behavioural",
		google + "chat.messages": "content.chat", google + "script.external_request": "internal", google + "ediscovery": "content.mail",
	} {
		if got, _ := c.Scope(source, scope); got != want {
			t.Errorf("%s: got class %q, want %q", scope, got, want)
		}
	}
	if got, known := c.Scope(source, "https://api.example.com/orders"); known {
		t.Errorf("another company's scope: got class %q, want none", got)
	}
}

// Every kind of resource that the decoder makes has a class.
func TestCatalogKinds(t *testing.T) {
	c := load(t)
	kinds := []string{"file", "drive", "user", "app", "mail"}
	for _, list := range targets {
		for _, t := range list {
			kinds = append(kinds, t.kind)
		}
	}
	slices.Sort(kinds)
	for _, kind := range slices.Compact(kinds) {
		if class, known := c.Kind(source, kind); !known {
			t.Errorf("kind %s: got class %q, want one", kind, class)
		}
	}
}
