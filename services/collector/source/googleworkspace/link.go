// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// linking says of an act that it gives or takes a membership.
type linking struct{ removed, self bool }

// memberships are the acts of the logs of groups that begin or end a membership; by those with self the actor joins or
// leaves. In groups_enterprise add_user and remove_user come beside add_member and remove_member and say the same. That
// who is banned, or unsubscribes by mail, was a member until then is not confirmed.
var memberships = map[string]linking{
	"groups/add_user":                              {},
	"groups/approve_join_request":                  {},
	"groups/join":                                  {self: true},
	"groups/accept_invitation":                     {self: true},
	"groups/remove_user":                           {removed: true},
	"groups/ban_user_with_moderation":              {removed: true},
	"groups/unsubscribe_via_mail":                  {removed: true, self: true},
	"groups_enterprise/add_member":                 {},
	"groups_enterprise/approve_join_request":       {},
	"groups_enterprise/join":                       {self: true},
	"groups_enterprise/accept_invitation":          {self: true},
	"groups_enterprise/remove_member":              {removed: true},
	"groups_enterprise/ban_member_with_moderation": {removed: true},
}

// links are the memberships and roles that the act gave or took away: by addresses and names, since these logs say few
// ids.
func (d *decoding) links(action string, a *act) []*curfewv1.LinkChange {
	link := &curfewv1.LinkChange{Kind: "memberships", HolderType: "account"}
	switch of, known := memberships[d.feed+"/"+action]; {
	case known:
		link.Held, link.Removed = a.first("group_id", "group_email"), of.removed
		link.Holder = a.first("member_id", "user_email")
		if of.self {
			link.Holder = cmp.Or(link.Holder, d.actor().GetId())
		}
		link.HolderType = d.holderType(a.text("member_type"))
	case d.feed != "admin":
		return nil
	case action == "ADD_GROUP_MEMBER" || action == "REMOVE_GROUP_MEMBER":
		link.Holder, link.Held = a.text("USER_EMAIL"), a.text("GROUP_EMAIL")
		link.Removed = action == "REMOVE_GROUP_MEMBER"
	case action == "ASSIGN_ROLE" || action == "UNASSIGN_ROLE":
		if unit := a.text("ORG_UNIT_NAME"); unit != "" && unit != "/" {
			return nil // It holds for a part of the organisation alone, which a link cannot say.
		}
		link.Kind, link.Holder, link.Held = "roles", a.text("USER_EMAIL"), a.first("ROLE_ID", "ROLE_NAME")
		link.Removed = action == "UNASSIGN_ROLE"
	default:
		return nil
	}
	if link.Holder == "" || link.Held == "" || link.HolderType == "" {
		return nil
	}
	return []*curfewv1.LinkChange{link}
}

// holderType is the contract's word for a member's type; "" for what the Directory API does not show as a member.
func (d *decoding) holderType(text string) string {
	switch strings.ToLower(strings.ReplaceAll(text, " ", "_")) {
	case "", "user", "service_account":
		return "account"
	case "group":
		return "group"
	}
	d.odd("parameters.member_type: unknown, so that the membership is not told")
	return ""
}
