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
