// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// actor is the sender, whom GitHub names in every payload; where a shortened one of a push names none, who pushed. The
// authors of commits are text that anybody may write.
func (t *told) actor() *curfewv1.Actor {
	login := t.text("sender.login", t.Sender.Login)
	id := t.text("sender.id", t.Sender.ID)
	if login == "" && id == "" {
		login = t.text("pusher.name", t.Pusher.Name)
	}
	if id = cmp.Or(id, login); id == "" {
		return nil
	}
	actor := &curfewv1.Actor{Id: id, Name: login}
	switch {
	case t.Sender.Type.Text == "Bot" || strings.HasSuffix(login, "[bot]"):
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_APP
	case t.Sender.Type.Text == "User" || t.Sender.Type.Text == "" && login != "":
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_PERSON
	case login == "github":
		// GitHub itself acts by its own organisation, in alerts.
		actor.Type = curfewv1.ActorType_ACTOR_TYPE_SERVICE
	}
	email := t.Sender.Email.Text
	if email == "" && t.Pusher.Name.Text == login {
		email = t.Pusher.Email.Text
	}
	// An address of GitHub's that stands for none says less than the id.
	if strings.Contains(email, "@") && !strings.HasSuffix(email, "@users.noreply.github.com") {
		actor.Email = event.Clean(email)
	}
	return actor
}

// app is the GitHub App or token that the webhook is about. The installation of other payloads is who is told.
func (t *told) app() *curfewv1.App {
	var app *curfewv1.App
	var lists []scopes
	switch {
	case strings.HasPrefix(t.kind, "installation"):
		i := &t.Installation
		app = &curfewv1.App{
			Id:   t.text("installation.id", event.Scalar{Text: cmp.Or(i.ClientID.Text, i.ID.Text)}),
			Name: t.text("installation.app_slug", i.AppSlug),
		}
		lists = []scopes{i.Permissions}
	case t.kind == "personal_access_token_request" && t.Token != nil:
		app = &curfewv1.App{
			Id:   "token/" + t.text("token_id", event.Scalar{Text: cmp.Or(t.Token.TokenID.Text, t.Token.ID.Text)}),
			Name: t.text("token_name", t.Token.TokenName),
		}
		lists = t.Token.Result.lists()
		if len(lists) == 0 {
			lists = t.Token.Added.lists()
		}
	}
	if app.GetId() == "" {
		return nil
	}
	for _, list := range lists {
		app.Scopes = append(app.Scopes, list.list...)
		if list.cut {
			t.odd("permissions: more than can be kept; the rest stands in the record")
		}
	}
	return app
}

// lists are those that are not empty.
func (g *grouped) lists() []scopes {
	var lists []scopes
	for _, list := range []scopes{g.Organization, g.Repository, g.Other} {
		if len(list.list) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

// resource is what the webhook is about, by the names that the audit log gives it too.
func (t *told) resource() *curfewv1.Resource {
	order := []func() *curfewv1.Resource{t.repo, t.org, t.business}
	switch t.kind {
	case "team", "team_add", "membership":
		order = []func() *curfewv1.Resource{t.team, t.org}
	case "organization", "org_block", "personal_access_token_request", "projects_v2", "projects_v2_item", "projects_v2_status_update":
		order = []func() *curfewv1.Resource{t.org, t.business}
	case "installation", "installation_repositories", "installation_target", "marketplace_purchase", "sponsorship":
		order = []func() *curfewv1.Resource{t.holder, t.org}
	case "github_app_authorization", "user":
		order = []func() *curfewv1.Resource{t.person}
	}
	for _, find := range order {
		if found := find(); found != nil {
			return found
		}
	}
	return nil
}

func (t *told) repo() *curfewv1.Resource {
	if t.Repository == nil {
		return nil
	}
	name := cmp.Or(t.Repository.FullName.Text, t.Repository.Name.Text)
	if name == "" {
		return nil
	}
	r := owned("repo", name, cmp.Or(t.Repository.Owner.Login.Text, t.Organization.Login.Text))
	r.Visibility = event.Clean(t.Repository.visibility())
	return r
}

func (r *repository) visibility() string {
	switch {
	case r.Visibility.Text != "":
		return r.Visibility.Text
	case r.Private.Text == "true":
		return "private"
	case r.Private.Text == "false":
		return "public"
	}
	return ""
}

func (t *told) team() *curfewv1.Resource {
	if t.Team == nil {
		return nil
	}
	slug := cmp.Or(t.Team.Slug.Text, t.Team.Name.Text)
	if slug == "" {
		return nil
	}
	return owned("team", slug, t.Organization.Login.Text)
}

// org is the organisation; where only a repository is named, the one that owns it.
func (t *told) org() *curfewv1.Resource {
	if t.Organization.Login.Text == "" && t.Repository != nil && t.Repository.Owner.Type.Text == "Organization" {
		return single("org", t.Repository.Owner.Login.Text)
	}
	return single("org", t.Organization.Login.Text)
}

func (t *told) business() *curfewv1.Resource {
	return single("business", cmp.Or(t.Enterprise.Slug.Text, t.Enterprise.Name.Text))
}

func (t *told) person() *curfewv1.Resource {
	return single("user", cmp.Or(t.User.Login.Text, t.Sender.Login.Text))
}

// holder is the account that an app is installed on, or that pays or is paid.
func (t *told) holder() *curfewv1.Resource {
	a := t.Installation.Account
	for _, other := range []*thing{t.Purchase, t.Sponsorship} {
		if other != nil {
			a = other.Account
			if other.Sponsorable.known() {
				a = other.Sponsorable
			}
		}
	}
	if !a.known() {
		a = t.Account
	}
	if a.Type.Text == "User" {
		return single("user", a.Login.Text)
	}
	return single("org", a.Login.Text)
}

// subject is the thing that the webhook's type is about.
func (t *told) subject() *thing {
	switch t.kind {
	case "check_run":
		return t.CheckRun
	case "check_suite":
		return t.CheckSuite
	case "code_scanning_alert", "dependabot_alert", "repository_vulnerability_alert", "secret_scanning_alert":
		return t.Alert
	case "issue_comment", "pull_request_review_comment", "discussion_comment", "commit_comment":
		if t.Comment != nil {
			return &t.Comment.thing
		}
	case "deployment":
		return t.Deployment
	case "deployment_status":
		return t.DeploymentState
	case "discussion":
		return t.Discussion
	case "issues":
		return t.Issue
	case "milestone":
		return t.Milestone
	case "pull_request":
		return t.PullRequest
	case "pull_request_review":
		return t.Review
	case "release":
		return t.Release
	case "repository_advisory":
		return t.OwnAdvisory
	case "repository_ruleset":
		return t.Ruleset
	case "security_advisory":
		return t.Advisory
	case "sponsorship":
		return t.Sponsorship
	case "workflow_job":
		return t.WorkflowJob
	case "workflow_run":
		return t.WorkflowRun
	}
	return nil
}

// when is a time of the payload where it is that of the act itself. That pushed_at is the time of the very push that is
// told of is not confirmed.
func (t *told) when() *timestamppb.Timestamp {
	at, field := t.happened()
	if at.Text == "" {
		return nil
	}
	parsed := parseTime(at.Text)
	if parsed == nil {
		t.odd(field + ": not a time")
	}
	return parsed
}

func (t *told) happened() (at event.Scalar, field string) {
	action := t.Action.Text
	switch {
	case t.kind == "push" && t.Repository != nil:
		return t.Repository.PushedAt, "pushed_at"
	case t.kind == "star" && action == "created":
		return t.StarredAt.Scalar, "starred_at"
	case t.kind == "status":
		return t.CreatedAt, "created_at"
	case t.kind == "secret_scanning_scan":
		return t.CompletedAt, "completed_at"
	case t.kind == "fork" && t.Forkee != nil:
		return t.Forkee.CreatedAt, "created_at"
	case t.kind == "repository" && action == "created" && t.Repository != nil:
		return t.Repository.CreatedAt, "created_at"
	case t.kind == "installation" && action == "created":
		return t.Installation.CreatedAt, "created_at"
	case t.kind == "installation" && action == "suspend":
		return t.Installation.SuspendedAt, "suspended_at"
	case t.kind == "deploy_key" && action == "created" && t.Key != nil:
		return t.Key.CreatedAt, "created_at"
	case t.kind == "branch_protection_rule" && action == "created" && t.Rule != nil:
		return t.Rule.CreatedAt, "created_at"
	case t.kind == "personal_access_token_request" && action == "created" && t.Token != nil:
		return t.Token.CreatedAt, "created_at"
	case action == "member_invited" && t.Invitation != nil:
		return t.Invitation.CreatedAt, "created_at"
	}
	s := t.subject()
	if s == nil {
		return event.Scalar{}, ""
	}
	switch action {
	case "created", "create", "opened":
		// A release has the time of its commit there, and an opened milestone may be one that was closed.
		if t.kind == "release" || t.kind == "milestone" && action == "opened" {
			return event.Scalar{}, ""
		}
		return cmp.Or(s.CreatedAt, s.StartedAt), "created_at"
	case "queued":
		return s.CreatedAt, "created_at"
	case "in_progress":
		return s.StartedAt, "started_at"
	case "completed":
		return s.CompletedAt, "completed_at"
	case "closed":
		return s.ClosedAt, "closed_at"
	case "submitted":
		return s.SubmittedAt, "submitted_at"
	case "published":
		return s.PublishedAt, "published_at"
	case "dismissed", "dismiss", "closed_by_user":
		return s.DismissedAt, "dismissed_at"
	case "auto_dismissed":
		return s.AutoDismissedAt, "auto_dismissed_at"
	case "fixed":
		return s.FixedAt, "fixed_at"
	case "resolved":
		return s.ResolvedAt, "resolved_at"
	case "answered":
		return s.AnsweredAt, "answer_chosen_at"
	}
	return event.Scalar{}, ""
}

// outcome is how what ran came out; other webhooks tell of what was done.
func (t *told) outcome() *curfewv1.Outcome {
	word := ""
	switch t.kind {
	case "check_run", "check_suite", "workflow_job", "workflow_run":
		if s := t.subject(); s != nil {
			word = s.Conclusion.Text
		}
	case "deployment_status":
		if s := t.subject(); s != nil {
			word = s.State.Text
		}
	case "status":
		word = t.State.Text
	}
	switch word {
	case "success":
		return &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS}
	case "failure", "error", "cancelled", "timed_out", "startup_failure":
		return &curfewv1.Outcome{Status: curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE, Reason: word}
	}
	return nil
}
