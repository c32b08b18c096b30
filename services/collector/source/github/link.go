// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// links are the places in teams, and the roles of the organisation, that the act gave or took away. Roles of a repository
// are left to the inventory: a link cannot say of which one. A team has a name here ("org/slug") where the log says no id.
func (d *decoding) links() []*curfewv1.LinkChange {
	user, team := cmp.Or(d.UserID.Text, d.User.Text), cmp.Or(d.TeamID.Text, d.Team.Text)
	switch d.action {
	case "team.add_member", "team.remove_member":
		return link("memberships", user, "account", team, d.action == "team.remove_member")
	case "organization_role.assign", "organization_role.revoke":
		holder, holderType := user, "account"
		if team != "" {
			holder, holderType = team, "group"
		}
		return link("roles", holder, holderType, cmp.Or(d.RoleID.Text, d.Role.Text), d.action == "organization_role.revoke")
	case "org.add_member", "org.update_member":
		before, now := d.OldPermission.Text, d.Permission.Text
		if now != "" && (before == ownerRole) != (now == ownerRole) {
			return link("roles", user, "account", ownerRole, before == ownerRole)
		}
	}
	return nil
}

// links are those of the webhook of the same acts, by ids.
func (t *told) links(action string) []*curfewv1.LinkChange {
	switch action {
	case "membership.added", "membership.removed":
		team := ""
		if t.Team != nil {
			team = t.Team.ID.Text
			if slug := cmp.Or(t.Team.Slug.Text, t.Team.Name.Text); team == "" && slug != "" {
				team = t.Organization.Login.Text + "/" + slug
			}
		}
		return link("memberships", cmp.Or(t.Member.ID.Text, t.Member.Login.Text), "account", team, action == "membership.removed")
	case "organization.member_added", "organization.member_removed":
		// GitHub writes the state "pending" of who has accepted as well, so that it says nothing.
		if m := t.Membership; m != nil && m.Role.Text == ownerRole {
			return link("roles", cmp.Or(m.User.ID.Text, m.User.Login.Text), "account", ownerRole, action == "organization.member_removed")
		}
	}
	return nil
}

// link is a link with two ends, and none where one is missing.
func link(kind, holder, holderType, held string, removed bool) []*curfewv1.LinkChange {
	if holder == "" || held == "" {
		return nil
	}
	return []*curfewv1.LinkChange{{Kind: kind, Holder: event.Clean(holder), HolderType: holderType, Held: event.Clean(held), Removed: removed}}
}
