// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"slices"
	"strings"
)

// guess is the type whose fields the payload, which body is, has; "" where they are not those of one type alone. What
// more fields tell comes first. The fields of every type:
// https://docs.github.com/en/webhooks/webhook-events-and-payloads.
func (p *payload) guess(body []byte) string {
	for _, guess := range []func() string{p.guessWork, p.guessTalk, p.guessCode, p.guessAccess, p.guessRest} {
		if kind := guess(); kind != "" {
			return kind
		}
	}
	// The rest is told by what is not there.
	var fields map[string]json.RawMessage
	// It has been read, so it can be.
	_ = json.Unmarshal(body, &fields)
	for field := range fields {
		if !slices.Contains([]string{"action", "changes", "enterprise", "installation", "organization", "repository", "sender"}, field) {
			return ""
		}
	}
	return p.guessBare()
}

// guessWork tells what runs: checks, deployments and workflows.
func (p *payload) guessWork() string {
	switch {
	case bool(p.Zen), bool(p.HookID) && p.Action.Text == "":
		return "ping"
	case bool(p.HookID), p.Hook != nil:
		return "meta"
	case p.DeploymentState != nil:
		return "deployment_status"
	case bool(p.CallbackURL):
		return "deployment_protection_rule"
	case p.WorkflowJob != nil:
		return "workflow_job"
	case p.Deployment != nil:
		return "deployment"
	case bool(p.Since) && p.WorkflowRun != nil:
		return "deployment_review"
	case p.CheckRun != nil:
		return "check_run"
	case p.CheckSuite != nil:
		return "check_suite"
	case p.WorkflowRun != nil:
		return "workflow_run"
	case bool(p.Workflow), bool(p.Inputs):
		return "workflow_dispatch"
	case bool(p.ClientPayload):
		return "repository_dispatch"
	}
	return ""
}

// guessTalk tells issues, pull requests, discussions and what is said about them.
func (p *payload) guessTalk() string {
	switch {
	case p.Comment != nil && p.Issue != nil:
		return "issue_comment"
	case p.Comment != nil && p.PullRequest != nil:
		return "pull_request_review_comment"
	case p.Comment != nil && p.Discussion != nil:
		return "discussion_comment"
	case p.Comment != nil:
		return "commit_comment"
	case p.Review != nil:
		return "pull_request_review"
	case bool(p.Thread):
		return "pull_request_review_thread"
	case bool(p.SubIssue), bool(p.ParentIssue):
		return "sub_issues"
	case bool(p.Blocked), bool(p.Blocking):
		return "issue_dependencies"
	case bool(p.RelatedIssue), p.Issue != nil && strings.HasPrefix(p.Action.Text, "relates_to_"):
		return "issue_relates_to"
	case p.PullRequest != nil:
		return "pull_request"
	case p.Issue != nil:
		return "issues"
	case p.Discussion != nil, bool(p.Answer):
		return "discussion"
	case p.Milestone != nil:
		return "milestone"
	case bool(p.Label):
		return "label"
	case bool(p.ProjectCard):
		return "project_card"
	case bool(p.ProjectColumn):
		return "project_column"
	case bool(p.Project):
		return "project"
	case bool(p.ProjectsV2Item):
		return "projects_v2_item"
	case bool(p.ProjectsV2State):
		return "projects_v2_status_update"
	case bool(p.ProjectsV2):
		return "projects_v2"
	}
	return ""
}

// guessCode tells what happens to code and what is found in it.
func (p *payload) guessCode() string {
	switch {
	case p.RefType.Text != "" && bool(p.MasterBranch):
		return "create"
	case p.RefType.Text != "":
		return "delete"
	case bool(p.Commits), bool(p.HeadCommit), p.Pusher.Name.Text != "":
		return "push"
	case bool(p.MergeGroup):
		return "merge_group"
	case p.Forkee != nil:
		return "fork"
	case bool(p.Pages):
		return "gollum"
	case bool(p.Build):
		return "page_build"
	case p.Release != nil:
		return "release"
	case bool(p.Package):
		return "package"
	case bool(p.RegistryPackage):
		return "registry_package"
	case p.Alert != nil:
		return p.guessAlert()
	case bool(p.SecretTypes), p.CompletedAt.Text != "":
		return "secret_scanning_scan"
	case bool(p.SHA) && bool(p.Context):
		return "status"
	case p.Rule != nil:
		return "branch_protection_rule"
	case p.Ruleset != nil:
		return "repository_ruleset"
	case p.OwnAdvisory != nil:
		return "repository_advisory"
	case p.Advisory != nil:
		return "security_advisory"
	case p.Exemption != nil:
		return exemption(p.Exemption.RequestType.Text)
	}
	return ""
}

func (p *payload) guessAlert() string {
	switch {
	case bool(p.Location):
		return "secret_scanning_alert_location"
	case p.Alert.SecretType.Text != "":
		return "secret_scanning_alert"
	case bool(p.Alert.Tool), bool(p.CommitOID):
		return "code_scanning_alert"
	case bool(p.Alert.Dependency), bool(p.Alert.Advisory):
		return "dependabot_alert"
	case bool(p.Alert.Package), slices.Contains([]string{"create", "dismiss", "reopen", "resolve"}, p.Action.Text):
		return "repository_vulnerability_alert"
	}
	return ""
}

// exemption is the type of a request to be let past a guard, by what it is about. What stands there for Dependabot's
// alerts is not confirmed.
func exemption(about string) string {
	switch about {
	case "push_ruleset_bypass":
		return "exemption_request_push_ruleset"
	case "secret_scanning":
		return "bypass_request_secret_scanning"
	case "secret_scanning_closure":
		return "dismissal_request_secret_scanning"
	case "code_scanning_alert_dismissal":
		return "dismissal_request_code_scanning"
	case "dependabot_alert_dismissal":
		return "dismissal_request_dependabot"
	}
	return "exemption_request"
}

// guessAccess tells who may do what.
func (p *payload) guessAccess() string {
	switch {
	case p.Token != nil:
		return "personal_access_token_request"
	case p.Key != nil:
		return "deploy_key"
	case p.BlockedUser.known():
		return "org_block"
	case p.Team != nil && p.Member.known():
		return "membership"
	case p.Team != nil && p.Action.Text == "":
		return "team_add"
	case p.Team != nil:
		return "team"
	case p.Member.known():
		return "member"
	case p.Membership != nil, p.Invitation != nil:
		return "organization"
	case p.Added != nil || p.Removed != nil:
		return "installation_repositories"
	case bool(p.TargetType) && p.Account.known():
		return "installation_target"
	case p.Installation.AppID.Text != "", p.Installation.Account.known():
		return "installation"
	case p.Purchase != nil:
		return "marketplace_purchase"
	case p.Sponsorship != nil:
		return "sponsorship"
	case bool(p.Definition):
		return "custom_property"
	case bool(p.NewValues) && p.Repository != nil:
		return "custom_property_values"
	case bool(p.NewValues):
		return "organization_custom_property_values"
	}
	return ""
}

// guessRest tells those with one field of their own that says little.
func (p *payload) guessRest() string {
	action := p.Action.Text
	switch {
	case p.StarredAt.there:
		return "star"
	case bool(p.CacheLocation):
		return "cache_sync"
	case bool(p.ContentReference):
		return "content_reference"
	case p.Repository != nil && action == "" && bool(p.Status):
		return "repository_import"
	case p.Repository == nil && p.User.known() && (action == "created" || action == "deleted"):
		return "user"
	}
	return ""
}

// guessBare tells the types that have no field of their own.
func (p *payload) guessBare() string {
	action := p.Action.Text
	_, from := p.Changes["from"]
	switch {
	case p.Repository != nil && action == "started":
		return "watch"
	case p.Repository != nil && (action == "enabled" || action == "disabled"):
		return "branch_protection_configuration"
	case p.Repository != nil && action == "" && from:
		return "security_and_analysis"
	case p.Repository != nil && action == "":
		return "public"
	case p.Repository != nil && slices.Contains([]string{
		"archived", "created", "deleted", "edited", "privatized", "publicized", "renamed", "transferred", "unarchived",
	}, action):
		return "repository"
	case p.Repository == nil && p.Organization.known() && (action == "renamed" || action == "deleted"):
		return "organization"
	case strings.HasPrefix(action, "anonymous_access_"):
		return "enterprise"
	case p.Repository == nil && p.Sender.known() && action == "revoked":
		return "github_app_authorization"
	}
	return ""
}
