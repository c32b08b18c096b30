// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestCatalog(t *testing.T) {
	named := documented(t)
	for family := range strings.FieldsSeq(families) {
		named = append(named, family+"something_new")
	}
	named = append(named, strings.Fields(eventTypes)...)
	// Slack's events are merged into the lane of the audit log where there is one, and into their own where not: an action
	// means the same in every feed.
	for _, feed := range []string{audit, events, integrationLogs} {
		sourcetest.Catalog(t, sourcetest.CatalogCase{
			Source: source,
			Feed:   feed,
			Actions: map[string]string{
				"user_login":                             "login identity.basic",
				"user_login_failed":                      "login identity.basic",
				"user_logout":                            "login identity.basic",
				"access":                                 "login identity.basic",
				"anomaly":                                "read internal",
				"user_created":                           "administer admin",
				"user_email_updated":                     "update pii.hr",
				"user_session_reset_by_admin":            "administer identity.basic",
				"guest_created":                          "administer admin",
				"role_change_to_owner":                   "administer admin",
				"owner_transferred":                      "administer admin",
				"permissions_assigned":                   "administer admin",
				"user_added_to_usergroup":                "administer admin",
				"subteam_members_changed":                "administer admin",
				"pref.two_factor_auth_changed":           "administer admin",
				"pref.sso_setting_changed":               "administer admin",
				"pref.dnd_enabled":                       "administer internal",
				"ekm_key_removed":                        "administer secret",
				"ekm_slackbot_rekey_notification_sent":   "read internal",
				"legal_hold_policy_released":             "administer audit",
				"manual_export_downloaded":               "export content.chat",
				"manual_export_deleted":                  "delete internal",
				"audit_logs_export_csv_started":          "export audit",
				"audit_logs_records_searched":            "search audit",
				"file_downloaded":                        "export",
				"file_uploaded":                          "create",
				"file_public":                            "share",
				"file_deleted":                           "delete",
				"file_shared":                            "share internal",
				"canvas_opened":                          "read",
				"canvas_downloaded":                      "export",
				"list_downloaded":                        "export",
				"public_channel_created":                 "create internal",
				"private_channel_converted_to_public":    "share content.chat",
				"user_channel_join":                      "update internal",
				"member_joined_channel":                  "update internal",
				"external_shared_channel_connected":      "share content.chat",
				"external_shared_channel_disconnected":   "update internal",
				"channel_shared":                         "share content.chat",
				"message":                                "create internal",
				"message.channel_join":                   "update internal",
				"message.message_deleted":                "delete internal",
				"message_tombstoned":                     "delete content.chat",
				"private_message_forwarded":              "share content.chat",
				"app_installed":                          "consent app",
				"app_scopes_expanded":                    "consent app",
				"org_app_installed":                      "consent app",
				"integration.added":                      "consent app",
				"integration.expanded":                   "consent app",
				"integration.removed":                    "administer internal",
				"app_uninstalled":                        "administer internal",
				"app_restricted":                         "administer internal",
				"app_allowlist_rule_created":             "administer admin",
				"tokens_revoked":                         "delete identity.basic",
				"seamless_auth_user_token_created":       "create secret",
				"external_auth_oauth2_token_fetched":     "login app",
				"mcp_slack_read_channel_tool_called":     "read content.chat app",
				"mcp_slack_search_public_tool_called":    "search content.chat app",
				"mcp_slack_update_canvas_tool_called":    "update content.files app",
				"mcp_slack_read_something_new":           "read content.chat app",
				"contacts_import_completed":              "create pii.contact",
				"workflow_responses_csv_download":        "export content.files",
				"team_join":                              "administer identity.basic",
				"email_domain_changed":                   "administer admin",
				"url_verification":                       "read internal",
				"nothing_of_slack":                       "",
				"external_shared_channel_something_new":  "share content.chat",
				"salesforce_mcp_server_something_new":    "administer admin",
				"pref.something_new":                     "administer admin",
				"user_something_new":                     "update identity.basic",
				"team.unsupportedVersions.start.success": "read internal",
			},
			Named: named,
			Scopes: map[string]string{
				"channels:history": "content.chat", "groups:history": "content.chat", "im:history": "content.chat", "mpim:history": "content.chat",
				"search:read": "content.chat", "search:read.files": "content.files", "files:read": "content.files", "files:write:user": "content.files",
				"users:read.email": "pii.hr", "users:read": "internal", "channels:read": "internal", "team:read": "internal",
				"chat:write": "internal", "chat:write.public": "internal", "chat:write:bot": "internal", "incoming-webhook": "internal",
				"admin": "admin", "admin.users:write": "admin", "admin.apps:write": "admin", "admin.users:read": "pii.hr",
				"auditlogs:read": "audit", "identity.basic": "identity.basic", "identity.email": "identity.basic", "commands": "identity.basic",
				"usergroups:write": "admin", "usergroups:read": "internal", "canvases:read": "content.files", "bot": "content.chat",
				"something:new": "",
			},
			Kinds: map[string]string{
				"file": "content.files", "message": "content.chat", "channel": "internal", "user": "identity.basic", "role": "admin", "app": "internal",
			},
		})
	}
}

// documented is every action of the audit log that Slack documents, where the list of them is at hand.
func documented(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(corpus + "/reference_audit_actions.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Actions map[string][]string `json:"actions"`
	}
	if err := json.Unmarshal(content, &reference); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, group := range reference.Actions {
		names = append(names, group...)
	}
	if len(names) < 700 {
		t.Errorf("got %d actions, want the whole list", len(names))
	}
	return names
}

// families are how Slack's names of actions begin.
const families = `user_ guest_ role_ permissions_ barrier_ legal_hold_ native_dlp_ auth_policy_ ip_allowlist_ idp_ intune_ ekm_ seamless_auth_
usergroup_ subteam_ default_channel_ workspace_ organization_ org_ team_ domain_ approved_orgs_ billing_ emoji_ migration_ quip_migration_
license_ pref. slack_connect_ security_settings_ manual_export_ scheduled_export_ channels_export_ manual_user_export_ corporate_exports_
channel_audit_export_ audit_logs_ search_query_audit_logs_ file_ canvas_ list_ channel_ group_ public_channel_ private_channel_ record_channel_
mpim_ im_ member_ external_shared_channel_ shared_channel_ connect_dm_invite_ message. message_ ai_message_ thread_ pin_ reaction_ star_
huddle_ call_ app_ org_app_ bot_token_ child_app_ agentforce_ cli_app_ integration. user_resource_ assistant_ workflow_ function_ template_
slack_ai_ slackbot_ai_ mcp_slack_ salesforce_ sales_elevate_ contacts_import_ object_import_ field_ anomaly dnd_ grid_migration_ external_auth_oauth2_token_`

// eventTypes are the types of events of the Events API and, where they are events of the same kind, of the older RTM API:
// https://docs.slack.dev/reference/events/.
const eventTypes = `accounts_changed app_context_changed app_deleted app_home_opened app_installed app_mention app_rate_limited app_requested
app_uninstalled app_uninstalled_team assistant_thread_context_changed assistant_thread_started bot_added bot_changed call_rejected
channel_archive channel_created channel_deleted channel_history_changed channel_id_changed channel_joined channel_left channel_marked
channel_rename channel_shared channel_unarchive channel_unshared commands_changed dnd_updated dnd_updated_user email_domain_changed
emoji_changed entity_details_requested external_org_migration_finished external_org_migration_started file_change file_comment_added
file_comment_deleted file_comment_edited file_created file_deleted file_public file_shared file_unshared function_executed goodbye
grid_migration_finished grid_migration_started group_archive group_close group_deleted group_history_changed group_joined group_left
group_marked group_open group_rename group_unarchive hello im_close im_created im_history_changed im_marked im_open invite_requested
link_shared manual_presence_change member_joined_channel member_left_channel message message.bot_message message.channel_archive
message.channel_convert_to_public message.channel_join message.channel_leave message.channel_name message.channel_posting_permissions
message.channel_purpose message.channel_topic message.channel_unarchive message.ekm_access_denied message.file_share message.group_topic
message.me_message message.message_changed message.message_deleted message.message_replied message.thread_broadcast
message_metadata_deleted message_metadata_posted message_metadata_updated pin_added pin_removed pref_change presence_change
reaction_added reaction_removed reconnect_url resources_added resources_removed scope_denied scope_granted
shared_channel_invite_accepted shared_channel_invite_approved shared_channel_invite_declined shared_channel_invite_received
shared_channel_invite_requested star_added star_removed subteam_created subteam_members_changed subteam_self_added
subteam_self_removed subteam_updated team_access_granted team_access_revoked team_domain_change team_join team_migration_started
team_plan_change team_pref_change team_profile_change team_profile_delete team_profile_reorder team_rename tokens_revoked
url_verification user_change user_huddle_changed user_profile_changed user_resource_denied user_resource_granted
user_resource_removed user_status_changed user_typing workflow_deleted workflow_published workflow_step_deleted
workflow_step_execute workflow_unpublished`
