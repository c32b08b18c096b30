// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxChanges bounds the changes taken of one webhook.
const maxChanges = 1000

// changing collects the changes of a webhook.
type changing struct {
	list []*curfewv1.Change
	cut  bool
}

func (c *changing) add(field, before, after string) {
	switch {
	case before == after:
	case len(c.list) == maxChanges:
		c.cut = true
	default:
		c.list = append(c.list, &curfewv1.Change{Field: field, Before: event.Clean(before), After: event.Clean(after)})
	}
}

// given and taken are what somebody got or lost.
func (c *changing) given(field, value string) { c.add(field, "", value) }
func (c *changing) taken(field, value string) { c.add(field, value, "") }

// changes are the values that the act changed, by the names that the audit log gives them too where it has them.
func (t *told) changes() []*curfewv1.Change {
	c := &changing{}
	t.changedPeople(c)
	t.changedCode(c)
	t.changedApps(c)
	t.changedFields(c)
	if c.cut {
		t.odd("changes: more than can be kept; the rest stands in the record")
	}
	return c.list
}

func (t *told) changedPeople(c *changing) {
	user := c.given
	if action := t.Action.Text; action == "removed" || action == "member_removed" || action == "unblocked" {
		user = c.taken
	}
	switch t.kind {
	case "member", "membership":
		user("user", cmp.Or(t.Member.Login.Text, t.Member.ID.Text))
	case "organization":
		if t.Membership != nil {
			user("user", cmp.Or(t.Membership.User.Login.Text, t.Membership.User.ID.Text))
			user("role", t.Membership.Role.Text)
		}
		if t.Invitation != nil {
			c.given("user", cmp.Or(t.Invitation.Login.Text, t.Invitation.Email.Text))
			c.given("role", t.Invitation.Role.Text)
		}
	case "org_block":
		user("blocked_user", t.BlockedUser.Login.Text)
	case "team", "team_add":
		if t.Team == nil || t.Repository == nil {
			return
		}
		name := cmp.Or(t.Repository.FullName.Text, t.Repository.Name.Text)
		if t.Action.Text == "removed_from_repository" {
			c.taken("repo", name)
			return
		}
		c.given("repo", name)
		c.given("permission", t.Team.Permission.Text)
	}
}

func (t *told) changedCode(c *changing) {
	switch t.kind {
	case "push":
		c.add(cmp.Or(t.Ref.Text, "ref"), t.Before.Text, t.After.Text)
		if t.Forced.Text == "true" {
			c.given("forced", "true")
		}
	case "create":
		c.given(t.RefType.Text, t.Ref.Text)
	case "delete":
		c.taken(t.RefType.Text, t.Ref.Text)
	case "public":
		c.add("visibility", "private", "public")
	case "repository":
		if action := t.Action.Text; t.Repository != nil && (action == "publicized" || action == "privatized") {
			c.given("visibility", t.Repository.visibility())
		}
	case "fork":
		if t.Forkee != nil {
			c.given("forkee", t.Forkee.FullName.Text)
		}
	case "deploy_key":
		if t.Key != nil {
			// The public half of a key; never the private one.
			c.given("key", t.Key.Title.Text)
			c.given("read_only", t.Key.ReadOnly.Text)
		}
	case "branch_protection_rule":
		if t.Rule != nil {
			c.given("branch", t.Rule.Name.Text)
		}
	case "meta", "ping":
		if t.Hook != nil {
			c.given("config.url", hookURL(t.Hook.Config.URL.Text))
		}
	case "release":
		if t.Release != nil {
			c.given("tag_name", t.Release.TagName.Text)
		}
	case "repository_ruleset":
		if t.Ruleset != nil {
			c.given("ruleset_name", t.Ruleset.Name.Text)
		}
	case "secret_scanning_alert":
		if t.Alert != nil {
			c.given("secret_type", t.Alert.SecretType.Text)
			c.given("resolution", t.Alert.Resolution.Text)
		}
	}
}

func (t *told) changedApps(c *changing) {
	switch t.kind {
	case "installation":
		for _, r := range t.Repositories {
			if t.Action.Text == "deleted" {
				c.taken("repo", r.FullName.Text)
			} else {
				c.given("repo", r.FullName.Text)
			}
		}
	case "installation_repositories":
		for _, r := range t.Added {
			c.given("repo", r.FullName.Text)
		}
		for _, r := range t.Removed {
			c.taken("repo", r.FullName.Text)
		}
	case "personal_access_token_request":
		if t.Token != nil {
			c.given("user", t.Token.Owner.Login.Text)
		}
	}
}

// changedFields takes from the payload's own list what says both what was and what is; where what is stands elsewhere in
// the payload, only known fields can be told. Texts that people wrote stay in the record.
func (t *told) changedFields(c *changing) {
	for _, field := range slices.Sorted(maps.Keys(t.Changes)) {
		switch field {
		case "repository":
			var change struct {
				Name from `json:"name"`
			}
			// What is of a wrong type stays empty.
			_ = json.Unmarshal(t.Changes[field], &change)
			if t.Repository != nil && change.Name.From.Text != "" {
				c.add("name", change.Name.From.Text, t.Repository.Name.Text)
			}
			continue
		case "owner":
			var change struct {
				From struct {
					User         account `json:"user"`
					Organization account `json:"organization"`
				} `json:"from"`
			}
			_ = json.Unmarshal(t.Changes[field], &change)
			if t.Repository != nil {
				c.add("owner", cmp.Or(change.From.User.Login.Text, change.From.Organization.Login.Text), t.Repository.Owner.Login.Text)
			}
			continue
		}
		var change from
		_ = json.Unmarshal(t.Changes[field], &change)
		if field == "old_permission" {
			c.add("permission", change.From.Text, change.To.Text)
			continue
		}
		after := cmp.Or(change.To.Text, t.now(field))
		if after != "" {
			c.add(field, change.From.Text, after)
		}
	}
}

// from is a value before and, sometimes, after.
type from struct {
	From event.Scalar `json:"from"`
	To   event.Scalar `json:"to"`
}

// now is the value that a field has after a change of which only what was before is told.
func (t *told) now(field string) string {
	switch {
	case field == "login":
		return t.Organization.Login.Text
	case field == "default_branch" && t.Repository != nil:
		return t.Repository.DefaultBranch.Text
	case field == "privacy" && t.Team != nil:
		return t.Team.Privacy.Text
	case field == "name" && t.Team != nil:
		return t.Team.Name.Text
	case field == "name" && t.Ruleset != nil:
		return t.Ruleset.Name.Text
	case field == "enforcement" && t.Ruleset != nil:
		return t.Ruleset.Enforcement.Text
	case field == "name" && t.kind == "repository" && t.Repository != nil:
		return t.Repository.Name.Text
	}
	return ""
}
