// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

// The audit log and webhooks give one act different ids. Where both plainly name the same act, their events have the same
// echo: the audit log's action, and what it was done to by the names that both know. Who did it is left out: for
// invitations that are accepted, whether both name the same one is not confirmed. Git's own acts have none, since one push
// can be several webhooks.

// echoes are the webhooks that the audit log has an action for.
var echoes = map[string]string{
	"repository.created":           "repo.create",
	"repository.deleted":           "repo.destroy",
	"repository.archived":          "repo.archived",
	"repository.unarchived":        "repo.unarchived",
	"repository.publicized":        "repo.access",
	"repository.privatized":        "repo.access",
	"member.added":                 "repo.add_member",
	"member.removed":               "repo.remove_member",
	"organization.member_added":    "org.add_member",
	"organization.member_removed":  "org.remove_member",
	"organization.member_invited":  "org.invite_member",
	"membership.added":             "team.add_member",
	"membership.removed":           "team.remove_member",
	"team.created":                 "team.create",
	"team.deleted":                 "team.destroy",
	"team.added_to_repository":     "team.add_repository",
	"team.removed_from_repository": "team.remove_repository",
}

// echo is what the webhook of the same act has too.
func (d *decoding) echo() string {
	repo, team := d.Repo.Text, d.Team.Text
	switch d.action {
	case "repo.create", "repo.destroy", "repo.archived", "repo.unarchived":
		return echo(d.action, repo)
	case "repo.access":
		return echo(d.action, repo, d.Visibility.Text)
	case "repo.add_member", "repo.remove_member":
		return echo(d.action, repo, d.User.Text)
	case "org.add_member", "org.remove_member", "org.invite_member":
		return echo(d.action, d.Org.Text, d.User.Text)
	case "team.add_member", "team.remove_member":
		return echo(d.action, team, d.User.Text)
	case "team.create", "team.destroy":
		return echo(d.action, team)
	case "team.add_repository", "team.remove_repository":
		return echo(d.action, team, repo)
	}
	return ""
}

// echo is what the audit log's entry of the same act has too.
func (t *told) echo(action string) string {
	canonical, team, repo := echoes[action], "", ""
	if t.Team != nil && t.Team.Slug.Text != "" && t.Organization.Login.Text != "" {
		team = t.Organization.Login.Text + "/" + t.Team.Slug.Text
	}
	if t.Repository != nil {
		repo = t.Repository.FullName.Text
	}
	switch canonical {
	case "repo.create", "repo.destroy", "repo.archived", "repo.unarchived":
		return echo(canonical, repo)
	case "repo.access":
		visibility := ""
		if t.Repository != nil {
			visibility = t.Repository.visibility()
		}
		return echo(canonical, repo, visibility)
	case "repo.add_member", "repo.remove_member":
		return echo(canonical, repo, t.Member.Login.Text)
	case "org.add_member", "org.remove_member":
		if t.Membership != nil {
			return echo(canonical, t.Organization.Login.Text, t.Membership.User.Login.Text)
		}
	case "org.invite_member":
		if t.Invitation != nil {
			return echo(canonical, t.Organization.Login.Text, t.Invitation.Login.Text)
		}
	case "team.add_member", "team.remove_member":
		return echo(canonical, team, t.Member.Login.Text)
	case "team.create", "team.destroy":
		return echo(canonical, team)
	case "team.add_repository", "team.remove_repository":
		return echo(canonical, team, repo)
	}
	return ""
}

// echo is empty where one of the names is: what one side does not know cannot be compared. GitHub's names are the same
// whatever their case.
func echo(action string, names ...string) string {
	for _, name := range names {
		if name == "" || len(name) > maxDocumentID {
			return ""
		}
		action += " " + event.Escape(strings.ToLower(name))
	}
	return action
}
