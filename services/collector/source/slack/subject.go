// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// resource is what an event is about: what its name begins with, else the first that it names.
func (d *hearing) resource() *curfewv1.Resource {
	channel := d.place("channel", first(d.Channel.ID, d.ChannelID, d.Item.Channel, d.Thread.Channel, d.NewChannel), first(d.Channel.Name, d.ChannelName))
	if channel != nil {
		channel.Visibility = d.text("channel_type", first(d.ChannelType, d.Channel.privacy()))
	}
	file := d.place("file", first(d.FileID, d.File.get().ID, d.Item.File.get().ID), first(d.File.get().Title, d.File.get().Name))
	if file != nil && d.name == "file_public" {
		file.Visibility = "public"
	}
	group := d.place("usergroup", first(d.Subteam.get().ID, d.SubteamID), first(d.Subteam.get().Name, d.Subteam.get().Handle))
	app := d.place("app", first(d.AppID, d.AppRequest.App.get().ID, d.Function.get().AppID, d.Bot.get().AppID, d.outer.App), first(d.AppName, d.AppRequest.App.get().Name))
	user := d.place("user", first(d.User.ID, d.UserID), d.User.person())
	team := d.place("workspace", first(d.TeamID, d.Team.get().ID, d.Invite.Team.get().ID, d.outer.Team), first(d.Team.get().Name, d.Invite.Team.get().Name))
	org := d.place("enterprise", first(d.Org, d.outer.Org), event.Scalar{})

	family, _, _ := strings.Cut(d.name, "_")
	switch family {
	case "file":
		return either(file, channel)
	case "subteam":
		return group
	case "user", "dnd", "presence", "manual":
		if strings.HasPrefix(d.name, "user_resource_") {
			return either(app, user)
		}
		return user
	case "app":
		if d.name == "app_mention" {
			return either(channel, app)
		}
		return app
	case "tokens", "scope", "resources", "bot":
		return either(app, d.place("bot", d.Bot.get().ID, d.Bot.get().Name))
	case "team", "email", "pref", "plan", "accounts":
		if d.name == "team_join" {
			return user
		}
		return either(team, org)
	case "grid", "external":
		return either(org, team)
	case "workflow":
		return either(d.place("workflow", first(d.Workflow, d.Step.Workflow), event.Scalar{}), app)
	case "function":
		return either(d.place("function", d.Function.get().ID, d.Function.get().Title), app)
	case "call":
		return either(d.place("call", d.Call, event.Scalar{}), channel)
	case "invite":
		return either(d.place("invite", d.Invite.ID, event.Scalar{}), team)
	case "emoji":
		names := event.Scalar{Text: d.Names.joined()}
		return either(d.place("emoji", first(d.NewName, d.Name, names), event.Scalar{}), team)
	case "url":
		return app
	case "message":
		// What a message of a channel's life tells is told of the channel, as everything said in it is.
		return either(channel, team)
	}
	return either(channel, file, group, either(team, org, user))
}

// place is a resource of a kind; nil where there is no id.
func (d *hearing) place(kind string, id, name event.Scalar) *curfewv1.Resource {
	if id.Text == "" {
		return nil
	}
	// Path cuts as text does, and the cut is named.
	return &curfewv1.Resource{Path: event.Path(kind, d.text(kind+".id", id)), Kind: kind, Name: d.text(kind+".name", name)}
}

// either is the first resource that there is.
func either(resources ...*curfewv1.Resource) *curfewv1.Resource {
	for _, r := range resources {
		if r != nil {
			return r
		}
	}
	return nil
}

// changes notes what an event says was changed.
func (d *hearing) changes() {
	if d.joins() {
		d.change("user", "", d.member())
	}
	switch d.name {
	case "team_join":
		d.change("user", "", d.User.ID.Text)
	case "member_left_channel":
		d.change("user", d.member(), "")
	case "channel_rename", "group_rename":
		d.change("name", "", first(d.Channel.Name).Text)
	case "team_rename":
		d.change("name", "", d.Name.Text)
	case "team_plan_change":
		d.change("plan", "", d.Plan.Text)
	}
	d.whole("lists", d.Removed, d.Added, d.TeamIDs, d.Tokens.OAuth, d.Tokens.Bot, d.Names, d.Invite.Requesters)
	d.change("inviter", "", d.Inviter.Text)
	d.changeLists("user", d.Removed.list, d.Added.list)
	switch d.name {
	case "team_access_revoked":
		d.changeLists("team", d.TeamIDs.list, nil)
	case "team_access_granted":
		d.changeLists("team", nil, d.TeamIDs.list)
	}
	// The ids of the accounts whose tokens ended.
	d.changeLists("oauth", d.Tokens.OAuth.list, nil)
	d.changeLists("bot", d.Tokens.Bot.list, nil)
	d.change("connected_team_id", d.Disconnected.Text, d.Connected.Text)
	d.change("channel_id", d.OldChannel.Text, d.NewChannel.Text)
	if d.OldName.Text != "" {
		d.change("name", d.OldName.Text, first(d.NewName, d.Name).Text)
	}
	d.change("domain", "", d.Domain.Text)
	d.change("email_domain", "", d.EmailDomain.Text)
	d.change("invite_type", "", d.Invite.Type.Text)
}
