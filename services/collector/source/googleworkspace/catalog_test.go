// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestCatalog(t *testing.T) {
	const google = "https://www.googleapis.com/auth/"
	var named []string
	for application := range strings.FieldsSeq(applications) {
		named = append(named, application+"/something_new")
	}
	sourcetest.Catalog(t, sourcetest.CatalogCase{
		Source: source,
		Actions: map[string]string{
			"token/authorize":                              "consent app",
			"token/activity":                               "read app",
			"token/revoke":                                 "administer internal",
			"drive/view":                                   "read",
			"drive/preview":                                "read",
			"drive/download":                               "export",
			"drive/copy":                                   "export",
			"drive/source_copy":                            "export",
			"drive/print":                                  "export",
			"drive/email_as_attachment":                    "export",
			"drive/download_something_new":                 "export",
			"drive/create":                                 "create",
			"drive/upload":                                 "create",
			"drive/edit":                                   "update",
			"drive/rename":                                 "update",
			"drive/create_comment":                         "update",
			"drive/delete":                                 "delete",
			"drive/trash":                                  "delete",
			"drive/untrash":                                "update",
			"drive/change_user_access":                     "share",
			"drive/change_document_visibility":             "share",
			"drive/change_acl_editors":                     "share",
			"drive/change_owner":                           "share",
			"drive/shared_drive_membership_change":         "share",
			"drive/shared_drive_settings_change":           "administer",
			"drive/storage_usage_update":                   "read internal",
			"login/login_success":                          "login identity.basic",
			"saml/login_failure":                           "login identity.basic",
			"login_audit_copy/login_success":               "login identity.basic",
			"login/2sv_disable":                            "update identity.basic",
			"user_accounts/2sv_disable":                    "update identity.basic",
			"user_accounts/email_forwarding_out_of_domain": "share content.mail",
			"admin/ASSIGN_ROLE":                            "administer admin",
			"admin/SOMETHING_NEW":                          "administer admin",
			"admin/AUTHORIZE_API_CLIENT_ACCESS":            "consent admin app",
			"admin/ADD_APPLICATION":                        "consent admin app",
			"admin/ALERT_CENTER_VIEW":                      "read audit",
			"admin/SECURITY_INVESTIGATION_QUERY":           "search audit",
			"admin/SECURITY_INVESTIGATION_EXPORT_QUERY":    "export audit",
			"admin/EMAIL_LOG_SEARCH":                       "search audit",
			"admin/DOWNLOAD_USERLIST_CSV":                  "export pii.hr",
			"admin/CUSTOMER_TAKEOUT_SUCCEEDED":             "export content.files",
			"admin/USER_LICENSE_REVOKE":                    "administer internal",
			"groups_enterprise/add_member":                 "administer admin",
			"groups_enterprise/add_user":                   "administer internal",
			"groups/add_user":                              "administer admin",
			"calendar/change_calendar_acls":                "share internal",
			"gmail/delivery":                               "create internal",
			"gmail/download":                               "export content.mail",
			"chat/conversation_read":                       "read content.chat",
			"rules/rule_match":                             "read internal",
			"vault/search":                                 "search content.mail",
			"vault/create_export_begin":                    "export content.mail",
			"takeout/something_new":                        "export content.files",
			"access_evaluation/allow_token_request":        "login identity.basic",
			"quantum_notes/entangle":                       "",
		},
		Named: named,
		Scopes: map[string]string{
			"openid": "identity.basic", google + "userinfo.email": "identity.basic", "https://mail.google.com/": "content.mail",
			google + "gmail.readonly": "content.mail", google + "gmail.send": "content.mail", google + "gmail.labels": "internal",
			google + "gmail.settings.sharing": "admin", google + "drive": "content.files", google + "drive.readonly": "content.files",
			google + "drive.file": "internal", google + "drive.metadata.readonly": "internal", google + "spreadsheets": "content.files",
			google + "contacts": "pii.contact", google + "contacts.readonly": "pii.contact", google + "calendar": "internal",
			google + "admin.directory.user": "admin", google + "admin.directory.user.readonly": "pii.hr",
			google + "admin.reports.audit.readonly": "audit", google + "cloud-platform": "admin", google + "analytics.readonly": "behavioural",
			google + "chat.messages": "content.chat", google + "script.external_request": "internal", google + "ediscovery": "content.mail",
			"https://api.example.com/orders": "",
		},
	})
}

// applications are all that Google documents:
// https://developers.google.com/workspace/admin/reports/reference/rest/v1/activities/list#applicationname.
const applications = `access_evaluation access_transparency admin admin_data_action assignments calendar chat chrome
classroom cloud_search contacts context_aware_access data_migration data_studio directory_sync drive gcp
gemini_in_workspace_apps gmail gplus graduation groups groups_enterprise jamboard keep ldap login meet meet_hardware
mobile profile rules saml takeout tasks token user_accounts vault voice`

// aliases are the names that Google gave Admin log events anew, by the old ones: what is not confirmed of them stands in
// the catalogue.
var aliases = map[string]string{
	"TOGGLE_NEW_APP_FEATURES":         "ADMIN_EVENTS_TOGGLE_NEW_APP_FEATURES_PREFERENCE",
	"CREATE_GMAIL_SETTING":            "CREATE_APPLICATION_SETTING",
	"CHANGE_GMAIL_SETTING":            "CHANGE_APPLICATION_SETTING",
	"DELETE_GMAIL_SETTING":            "DELETE_APPLICATION_SETTING",
	"CHANGE_DOCS_SETTING":             "CHANGE_APPLICATION_SETTING",
	"ADD_TO_TRUSTED_OAUTH2_APPS":      "CHANGE_APP_ACCESS",
	"REMOVE_FROM_TRUSTED_OAUTH2_APPS": "CHANGE_APP_ACCESS",
}

// An event means the same under its old name and its new one.
func TestAliases(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for old, renamed := range aliases {
		before, knownBefore := c.Action(source, "admin", old)
		after, known := c.Action(source, "admin", renamed)
		before.Match, after.Match = "", ""
		if !knownBefore || !known || before != after {
			t.Errorf("%s: got %+v, and as %s %+v, want the same", old, before, renamed, after)
		}
	}
}

// Every kind of resource that the decoder makes has a class.
func TestCatalogKinds(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
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
