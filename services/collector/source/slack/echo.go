// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// echoes is one name for each act that the Events API and a polled log both tell of, with the account that acted, or that
// came or went, and the thing that it was about, under ids of their own. That both name these alike is read in their
// documentation and not confirmed by a comparison of live records; an act of which one of them leaves something out is not
// here.
var echoes = map[string]string{
	// The audit log's names.
	"user_channel_join": "channel_join", "guest_channel_join": "channel_join",
	"user_channel_leave": "channel_leave", "guest_channel_leave": "channel_leave",
	"public_channel_created": "channel_create",
	"public_channel_archive": "channel_archive", "private_channel_archive": "channel_archive",
	"public_channel_unarchive": "channel_unarchive", "private_channel_unarchive": "channel_unarchive",
	"public_channel_deleted": "channel_delete", "private_channel_deleted": "channel_delete",
	"file_uploaded": "file_create", "file_public_link_created": "file_public",
	"app_uninstalled": "app_uninstall",
	// The Events API's.
	"member_joined_channel": "channel_join", "member_left_channel": "channel_leave", "channel_created": "channel_create",
	"channel_archive": "channel_archive", "group_archive": "channel_archive",
	"channel_unarchive": "channel_unarchive", "group_unarchive": "channel_unarchive",
	"channel_deleted": "channel_delete", "group_deleted": "channel_delete",
	"file_created": "file_create", "file_public": "file_public",
	"app_uninstalled_team": "app_uninstall",
	// Those of both, and of team.integrationLogs.
	"app_installed": "app_install", "integration.added": "app_install", "integration.removed": "app_uninstall",
}

// echo is that of an entry. By whom somebody was taken out it alone says.
func (d *auditing) echo(e *curfewv1.Event) string {
	of, moves := memberships[d.action]
	who := event.Clean(d.member())
	switch {
	case !moves:
		who = e.GetActor().GetId()
	case of.removed && e.GetActor().GetId() != who:
		return ""
	}
	return echo(e, who)
}

// echo is that of an event.
func (d *hearing) echo(e *curfewv1.Event) string {
	if d.name == "member_joined_channel" {
		return echo(e, event.Clean(d.member()))
	}
	return echo(e, e.GetActor().GetId())
}

// echo is what an act's event and its entry in a polled log have in common, who being the account that acted, or that came
// or went; "" where only one of them tells of it.
func echo(e *curfewv1.Event, who string) string {
	act, object := echoes[e.GetAction()], e.GetResource().GetPath()
	if act == "" || who == "" || object == "" || object == e.GetResource().GetKind() {
		return ""
	}
	return act + " " + who + " " + object
}
