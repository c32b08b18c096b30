// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// linking says of an action that it begins or ends a membership in a kind of entity.
type linking struct {
	kind    string
	removed bool
}

// memberships are the audit log's actions that do. The entry's actor is who came or went, and who did it stands in the
// details as inviter or kicker: so in records and mappings of
// https://github.com/AppOmni-Labs/event-maturity-matrix/tree/main/products/slack, not confirmed by Slack's documentation.
// Roles are not among them: they hold over one workspace or another, which a link cannot say.
var memberships = map[string]linking{
	"user_added_to_usergroup":     {"usergroup", false},
	"user_removed_from_usergroup": {"usergroup", true},
	"user_channel_join":           {"channel", false},
	"guest_channel_join":          {"channel", false},
	"user_channel_leave":          {"channel", true},
	"guest_channel_leave":         {"channel", true},
}

// member is who came or went by one of memberships.
func (d *auditing) member() string {
	return cmp.Or(d.target(), first(d.Actor.User.ID, d.Actor.ID).Text)
}

// target is whom the details say it was done to; the entry's actor did it then.
func (d *auditing) target() string {
	return cmp.Or(d.details.TargetUser.get().who(), d.details.TargetUserID.Text)
}

// links are the memberships that the entry tells of. Those of public channels are left to the inventory, which shows them
// only where it is told to.
func (d *auditing) links(outcome *curfewv1.Outcome) []*curfewv1.LinkChange {
	of, known := memberships[d.action]
	if !known || of.kind != d.kind || d.kind == "channel" && d.object.Privacy.Text != "private" ||
		outcome.GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return nil
	}
	return d.link(nil, d.member(), d.object.ID.Text, of.removed)
}

// links are the memberships that the event tells of, as those of the audit log.
func (d *hearing) links() []*curfewv1.LinkChange {
	var links []*curfewv1.LinkChange
	switch d.name {
	case "subteam_members_changed":
		group := first(d.Subteam.get().ID, d.SubteamID).Text
		for _, user := range d.Removed.list {
			links = d.link(links, user, group, true)
		}
		for _, user := range d.Added.list {
			links = d.link(links, user, group, false)
		}
	case "member_joined_channel", "member_left_channel":
		if d.ChannelType.Text == "G" { // a private one
			links = d.link(links, d.member(), first(d.Channel.ID, d.ChannelID).Text, d.name == "member_left_channel")
		}
	}
	return links
}

// link adds a membership to links, if both its ends are there.
func (d *decoding) link(links []*curfewv1.LinkChange, user, group string, removed bool) []*curfewv1.LinkChange {
	switch {
	case user == "" || group == "":
		return links
	case len(user) > maxID || len(group) > maxID:
		d.odd("an id too long to be one end of a membership")
		return links
	}
	return append(links, &curfewv1.LinkChange{
		Kind: "memberships", Holder: event.Clean(user), HolderType: "account", Held: event.Clean(group), Removed: removed,
	})
}
