// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"strings"
	"testing"

	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestCatalog(t *testing.T) {
	var named []string
	for family := range strings.FieldsSeq(families) {
		named = append(named, family+".something_new")
	}
	sourcetest.Catalog(t, sourcetest.CatalogCase{
		Source: source,
		Feed:   feed,
		Actions: map[string]string{
			"git.clone":                                         "read code",
			"git.fetch":                                         "read code",
			"git.push":                                          "update code",
			"repo.create":                                       "create code",
			"repo.destroy":                                      "delete code",
			"repo.access":                                       "share code",
			"repo.download_zip":                                 "export code",
			"repo.transfer":                                     "share code",
			"repo.add_member":                                   "administer admin",
			"repo.add_topic":                                    "update internal",
			"repo.something_new":                                "administer code",
			"repo.create_actions_secret":                        "create secret",
			"repo.create_actions_variable":                      "update internal",
			"org.remove_actions_secret":                         "delete secret",
			"org.add_member":                                    "administer admin",
			"org.update_member":                                 "administer admin",
			"org.disable_two_factor_requirement":                "administer admin",
			"org.something_new":                                 "administer admin",
			"org.audit_log_export":                              "export audit",
			"org.sso_response":                                  "login identity.basic",
			"org.recovery_codes_downloaded":                     "export secret",
			"org.self_hosted_runner_online":                     "read internal",
			"org.oauth_app_access_approved":                     "consent code app",
			"org.oauth_app_access_requested":                    "create internal",
			"team.add_repository":                               "administer admin",
			"hook.create":                                       "administer code",
			"protected_branch.destroy":                          "administer code",
			"protected_branch.rejected_ref_update":              "update code",
			"repository_ruleset.update":                         "administer code",
			"repository_vulnerability_alert.create":             "read internal",
			"repository_vulnerability_alerts.disable":           "administer code",
			"repository_secret_scanning.disable":                "administer code",
			"secret_scanning.disable":                           "administer admin",
			"secret_scanning_alert.create":                      "read internal",
			"secret_scanning_push_protection.bypass":            "administer secret",
			"integration_installation.create":                   "consent code app",
			"integration_installation.repositories_added":       "consent code app",
			"integration_installation.destroy":                  "administer internal",
			"integration_installation_request.create":           "create internal",
			"oauth_authorization.create":                        "consent app",
			"oauth_authorization.destroy":                       "administer internal",
			"oauth_access.create":                               "consent app",
			"personal_access_token.access_granted":              "consent code app",
			"personal_access_token.create":                      "create secret",
			"personal_access_token.access_restriction_disabled": "administer admin",
			"org_credential_authorization.grant":                "consent code",
			"public_key.create":                                 "create secret",
			"user.login":                                        "login identity.basic",
			"user.failed_login":                                 "login identity.basic",
			"two_factor_authentication.disabled":                "update identity.basic",
			"pull_request.create":                               "update internal",
			"pull_request.merge":                                "update code",
			"workflows.prepared_workflow_job":                   "read internal",
			"ip_allow_list.disable":                             "administer admin",
			"business.add_admin":                                "administer admin",
			"payment_method.update":                             "administer finance",
			"api.request":                                       "read internal",
			"nothing.of_github":                                 "",
		},
		Named: named,
		Scopes: map[string]string{
			"repo": "code", "read:org": "internal", "admin:org": "admin", "admin:org_hook": "admin", "user:email": "identity.basic",
			"admin:public_key": "secret", "read:audit_log": "audit", "gist": "content.files", "workflow": "code",
			"metadata:read": "internal", "contents:write": "code", "contents:read": "code", "members:read": "internal",
			"members:write": "admin", "secrets:write": "secret", "administration:write": "admin", "organization_hooks:write": "admin",
		},
		Kinds: map[string]string{"repo": "code", "org": "internal", "team": "internal", "user": "identity.basic", "business": "internal"},
	})
}

// What webhooks are called counts the same in the lane of the audit log as in one of their own.
func TestWebhookCatalog(t *testing.T) {
	var named []string
	for line := range strings.Lines(webhookTypes) {
		kind, actions, _ := strings.Cut(strings.TrimSpace(line), ":")
		if actions == "" {
			named = append(named, kind)
			continue
		}
		for action := range strings.FieldsSeq(actions + " something_new") {
			named = append(named, kind+"."+action)
		}
	}
	for _, feed := range []string{feed, webhookFeed} {
		sourcetest.Catalog(t, sourcetest.CatalogCase{
			Source: source,
			Feed:   feed,
			Actions: map[string]string{
				"push":                                   "update code",
				"fork":                                   "read code",
				"public":                                 "share code",
				"repository.created":                     "create code",
				"repository.deleted":                     "delete code",
				"repository.publicized":                  "share code",
				"repository.something_new":               "administer code",
				"member.added":                           "administer admin",
				"membership.removed":                     "administer admin",
				"organization.member_added":              "administer admin",
				"team.added_to_repository":               "administer admin",
				"team_add":                               "administer admin",
				"deploy_key.created":                     "create secret",
				"meta.deleted":                           "administer code",
				"installation.created":                   "consent code app",
				"installation.deleted":                   "administer internal",
				"installation_repositories.added":        "consent code app",
				"personal_access_token_request.approved": "consent code app",
				"personal_access_token_request.created":  "create internal",
				"branch_protection_rule.deleted":         "administer code",
				"repository_ruleset.edited":              "administer code",
				"issues.opened":                          "update internal",
				"pull_request.opened":                    "update internal",
				"workflow_job.completed":                 "read internal",
				"dependabot_alert.created":               "read internal",
				"secret_scanning_alert.resolved":         "update internal",
				"repository_vulnerability_alert.create":  "read internal",
				"exemption_request_push_ruleset.created": "update internal",
				"bypass_request_secret_scanning.created": "update internal",
				"dismissal_request_dependabot.created":   "update internal",
				"no_type_of_github":                      "",
				"no_type_of_github.created":              "",
			},
			Named: named,
		})
	}
}

// webhookTypes are all types of webhooks and their actions: https://docs.github.com/en/webhooks/webhook-events-and-payloads.
const webhookTypes = `branch_protection_configuration: disabled enabled
branch_protection_rule: created deleted edited
bypass_request_push_ruleset: cancelled completed created response_dismissed response_submitted
bypass_request_secret_scanning: cancelled completed created response_dismissed response_submitted
check_run: completed created requested_action rerequested
check_suite: completed requested rerequested
code_scanning_alert: appeared_in_branch closed_by_user created fixed reopened reopened_by_user
commit_comment: created
create
custom_property: created deleted promote_to_enterprise updated
custom_property_values: updated
delete
dependabot_alert: auto_dismissed auto_reopened created dismissed fixed reintroduced reopened
deploy_key: created deleted
deployment: created
deployment_protection_rule: requested
deployment_review: approved rejected requested
deployment_status: created
discussion: answered category_changed closed created deleted edited labeled locked pinned reopened transferred unanswered unlabeled unlocked unpinned
discussion_comment: created deleted edited
dismissal_request_code_scanning: created response_submitted
dismissal_request_dependabot: created response_submitted
dismissal_request_secret_scanning: cancelled completed created response_dismissed response_submitted
enterprise: anonymous_access_disabled anonymous_access_enabled
exemption_request_push_ruleset: cancelled completed created response_dismissed response_submitted
fork
github_app_authorization: revoked
gollum
installation: created deleted new_permissions_accepted suspend unsuspend
installation_repositories: added removed
installation_target: renamed
issue_comment: created deleted edited pinned unpinned
issue_dependencies: blocked_by_added blocked_by_removed blocking_added blocking_removed
issue_relates_to: relates_to_added relates_to_removed
issues: assigned closed deleted demilestoned edited labeled locked milestoned opened pinned reopened transferred typed unassigned unlabeled unlocked unpinned untyped
label: created deleted edited
marketplace_purchase: cancelled changed pending_change pending_change_cancelled purchased
member: added edited removed
membership: added removed
merge_group: checks_requested destroyed
meta: deleted
milestone: closed created deleted edited opened
org_block: blocked unblocked
organization: deleted member_added member_invited member_removed renamed
organization_custom_property: created deleted updated
organization_custom_property_values: updated
package: published updated
page_build
personal_access_token_request: approved cancelled created denied
ping
project: closed created deleted edited reopened
project_card: converted created deleted edited moved
project_column: created deleted edited moved
projects_v2: closed created deleted edited reopened
projects_v2_item: archived converted created deleted edited reordered restored
projects_v2_status_update: created deleted edited
public
pull_request: assigned auto_merge_disabled auto_merge_enabled closed converted_to_draft demilestoned dequeued edited enqueued labeled locked milestoned opened ready_for_review reopened review_request_removed review_requested synchronize unassigned unlabeled unlocked
pull_request_review: dismissed edited submitted
pull_request_review_comment: created deleted edited
pull_request_review_thread: resolved unresolved
push
registry_package: published updated
release: created deleted edited prereleased published released unpublished
repository: archived created deleted edited privatized publicized renamed transferred unarchived
repository_advisory: published reported
repository_dispatch: on-demand-test
repository_import
repository_ruleset: created deleted edited
repository_vulnerability_alert: create dismiss reopen resolve
secret_scanning_alert: assigned created publicly_leaked reopened resolved unassigned validated
secret_scanning_alert_location: created
secret_scanning_scan: completed
security_advisory: published updated withdrawn
security_and_analysis
sponsorship: cancelled created edited pending_cancellation pending_tier_change tier_changed
star: created deleted
status
sub_issues: parent_issue_added parent_issue_removed sub_issue_added sub_issue_removed
team: added_to_repository created deleted edited removed_from_repository
team_add
user: created deleted
watch: started
workflow_dispatch
workflow_job: completed in_progress queued waiting
workflow_run: completed in_progress requested`

// families are all those of GitHub's lists of audit log events.
const families = `account account_recovery_token actions_cache advisory_credit artifact audit_log_streaming
auto_approve_personal_access_token_requests billing billing_customer business business_advanced_security
business_dependabot_alerts business_dependabot_alerts_new_repos business_secret_scanning
business_secret_scanning_custom_pattern business_secret_scanning_push_protection checks code_scanning codespaces
commit_comment copilot custom_hosted_runner custom_property_definition custom_property_value dependabot_alerts
dependabot_alerts_new_repos dependabot_closure_request dependabot_repository_access dependabot_security_updates
dependabot_security_updates_new_repos dependency_graph dependency_graph_new_repos discussion discussion_comment
discussion_post discussion_post_reply enterprise enterprise_announcement enterprise_domain enterprise_installation
enterprise_role enterprise_team environment external_group external_identity gist git git_signing_ssh_public_key
github_hosted_runner gpg_key hook integration integration_installation integration_installation_request ip_allow_list
ip_allow_list_entry issue issue_comment issue_dependencies issue_type issues marketplace_agreement_signature
marketplace_listing marketplace_listing_plan mcp_registry members_can_create_pages members_can_delete_repos
members_can_view_dependency_insights merge_queue metered_billing_configuration migration network_configuration
oauth_access oauth_application oauth_authorization org org_credential_authorization
org_secret_scanning_custom_pattern organization_custom_property_definition organization_custom_property_value
organization_default_label organization_domain organization_moderators organization_projects_change organization_role
organization_wide_project_base_role packages pages_protected_domain passkey payment_method personal_access_token
prebuild_configuration premium_runner private_repository_forking private_vulnerability_reporting
private_vulnerability_reporting_new_repos profile_picture project project_base_role project_collaborator project_field
project_view protected_branch public_key pull_request pull_request_review pull_request_review_comment repo
repository_advisory repository_branch_protection_evaluation repository_code_security repository_content_analysis
repository_dependency_graph repository_image repository_invitation repository_limit repository_projects_change
repository_ruleset repository_secret_scanning repository_security_configuration repository_visibility_change
repository_vulnerability_alert repository_vulnerability_alerts required_status_check restrict_notification_delivery role
sandbox secret_scanning secret_scanning_alert secret_scanning_closure_request secret_scanning_new_repos
secret_scanning_push_protection secret_scanning_push_protection_request secret_scanning_scan security_configuration
security_configuration_default security_configuration_policy security_key social_identity sponsors
ssh_certificate_authority ssh_certificate_requirement sso_lockdown sso_redirect staff sub_issues successor_invitation
team team_discussions team_group_mapping team_sync_tenant trusted_device two_factor_account_recovery
two_factor_authentication user user_content_edit user_email user_session user_status vulnerability_alert_rule workflows`
