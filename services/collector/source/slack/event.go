// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// envelope is what the Events API puts around an event: https://docs.slack.dev/apis/events-api/. The verification token
// in it is a secret of the app's and is not read.
type envelope struct {
	Type      event.Scalar    `json:"type"`
	EventID   event.Scalar    `json:"event_id"`
	EventTime event.Scalar    `json:"event_time"`
	Team      event.Scalar    `json:"team_id"`
	Org       event.Scalar    `json:"enterprise_id"`
	App       event.Scalar    `json:"api_app_id"`
	Event     json.RawMessage `json:"event"`
	// Of app_rate_limited, which has no event in it.
	MinuteLimited event.Scalar `json:"minute_rate_limited"`
}

// isEnvelope is whether a type is one of an envelope rather than of an event.
func isEnvelope(text string) bool {
	return text == "event_callback" || text == "url_verification" || text == "app_rate_limited"
}

// happening is what is read of an event. Which fields an event has: https://docs.slack.dev/reference/events/.
type happening struct {
	Type    event.Scalar `json:"type"`
	Subtype event.Scalar `json:"subtype"`
	EventTS event.Scalar `json:"event_ts"`
	TS      event.Scalar `json:"ts"`

	// Who acted, or to whom it happened.
	User      thing        `json:"user"`
	UserID    event.Scalar `json:"user_id"`
	ActorID   event.Scalar `json:"actor_id"`
	Actor     *thing       `json:"actor"`
	Accepting *thing       `json:"accepting_user"`
	Approving *thing       `json:"approving_user"`
	Declining *thing       `json:"declining_user"`
	BotID     event.Scalar `json:"bot_id"`
	Username  event.Scalar `json:"username"`
	Inviter   event.Scalar `json:"inviter"`

	// By which app.
	AppID      event.Scalar `json:"app_id"`
	AppName    event.Scalar `json:"app_name"`
	BotProfile *thing       `json:"bot_profile"`
	Scopes     texts        `json:"scopes"`
	AppRequest struct {
		App    *thing `json:"app"`
		User   *thing `json:"user"`
		Scopes texts  `json:"scopes"`
	} `json:"app_request"`
	Function *thing `json:"function"`

	// On what.
	Channel     thing        `json:"channel"`
	ChannelID   event.Scalar `json:"channel_id"`
	ChannelName event.Scalar `json:"channel_name"`
	ChannelType event.Scalar `json:"channel_type"`
	FileID      event.Scalar `json:"file_id"`
	File        *thing       `json:"file"`
	Item        struct {
		Channel event.Scalar `json:"channel"`
		File    *thing       `json:"file"`
	} `json:"item"`
	Subteam   *thing       `json:"subteam"`
	SubteamID event.Scalar `json:"subteam_id"`
	Team      *thing       `json:"team"`
	TeamID    event.Scalar `json:"team_id"`
	Org       event.Scalar `json:"enterprise_id"`
	Workflow  event.Scalar `json:"workflow_id"`
	Step      struct {
		Workflow event.Scalar `json:"workflow_id"`
	} `json:"workflow_step"`
	Call   event.Scalar `json:"call_id"`
	Bot    *thing       `json:"bot"`
	Thread struct {
		User    event.Scalar `json:"user_id"`
		Channel event.Scalar `json:"channel_id"`
	} `json:"assistant_thread"`
	Invite struct {
		ID         event.Scalar `json:"id"`
		Requesters texts        `json:"requester_ids"`
		Team       *thing       `json:"team"`
		Type       event.Scalar `json:"invite_type"`
	} `json:"invite_request"`
	// What was said is not read; who changed it is.
	Message struct {
		User   event.Scalar `json:"user"`
		BotID  event.Scalar `json:"bot_id"`
		Edited struct {
			User event.Scalar `json:"user"`
		} `json:"edited"`
	} `json:"message"`

	told
}

// told is what events say of what was changed.
type told struct {
	Added        texts        `json:"added_users"`
	Removed      texts        `json:"removed_users"`
	TeamIDs      texts        `json:"team_ids"`
	Connected    event.Scalar `json:"connected_team_id"`
	Disconnected event.Scalar `json:"previously_connected_team_id"`
	Name         event.Scalar `json:"name"`
	Names        texts        `json:"names"`
	OldName      event.Scalar `json:"old_name"`
	NewName      event.Scalar `json:"new_name"`
	Domain       event.Scalar `json:"domain"`
	EmailDomain  event.Scalar `json:"email_domain"`
	OldChannel   event.Scalar `json:"old_channel_id"`
	NewChannel   event.Scalar `json:"new_channel_id"`
	Plan         event.Scalar `json:"plan"`
	Tokens       struct {
		OAuth texts `json:"oauth"`
		Bot   texts `json:"bot"`
	} `json:"tokens"`
}

// DecodeEvent turns an event of the Events API into its one event, in its envelope or without it. It is an event.Decode:
// the error, where there is one, is an *event.Unreadable, and it comes for records alone that are no JSON object.
func DecodeEvent(record []byte) ([]*curfewv1.Event, error) {
	var d hearing
	oddities, err := event.Unmarshal(record, &d.outer)
	if err != nil {
		return nil, err
	}
	d.oddities = oddities
	switch {
	case len(d.outer.Event) > 0 && d.outer.Event[0] == '{':
		d.wrapped = true
		oddities, _ = event.Unmarshal(d.outer.Event, &d.happening)
	case isEnvelope(d.outer.Type.Text):
		// Slack asks whether the address is ours, or says that it leaves events out: no event is in it.
		d.wrapped = true
		d.Type, oddities = d.outer.Type, nil
	default:
		oddities, _ = event.Unmarshal(record, &d.happening)
	}
	for _, oddity := range oddities {
		if len(d.oddities) == 0 || d.oddities[0] != oddity {
			d.odd(oddity)
		}
	}
	decoded := d.event()
	decoded.Id = d.id(record)
	decoded.Oddities = d.oddities
	return []*curfewv1.Event{decoded}, nil
}

// hearing is one event on its way to an event.
type hearing struct {
	decoding
	happening
	outer envelope
	// wrapped is whether there was an envelope.
	wrapped bool
	name    string
}

func (d *hearing) event() *curfewv1.Event {
	d.name = d.text("type", d.Type)
	if d.name == "" {
		d.odd("type: missing")
	}
	action := d.name
	if subtype := d.text("subtype", d.Subtype); d.name == "message" && subtype != "" {
		action += "." + subtype
	}
	decoded := &curfewv1.Event{
		Source:   source,
		Feed:     events,
		Action:   event.Clean(action),
		Time:     d.when(field{"event_ts", d.EventTS}, field{"event_time", d.outer.EventTime}, field{"ts", d.TS}, field{"minute_rate_limited", d.outer.MinuteLimited}),
		Actor:    d.actor(),
		App:      d.app(),
		Resource: d.resource(),
	}
	if d.name == "workflow_step_execute" || d.name == "function_executed" {
		decoded.Actor = nil // The app is told to act; who set it off is not said.
	}
	d.changes()
	decoded.Changes = d.changed
	decoded.Links = d.links()
	decoded.Echo = d.echo(decoded)
	return decoded
}

// id is the envelope's event_id, the same in each of Slack's repeats of it, else from the content.
func (d *hearing) id(record []byte) string {
	if !d.wrapped {
		return event.ID(source, contentKey(events, record), 0)
	}
	return d.recordID("event_id", d.outer.EventID, func() string { return contentKey(events, record) })
}

// actor is who acted. Events that tell what somebody's account has become do not say who made it so.
func (d *hearing) actor() *curfewv1.Actor {
	who := &d.User.members
	switch {
	case strings.HasPrefix(d.name, "user_") && d.name != "user_huddle_changed" && d.name != "user_status_changed" && !strings.HasPrefix(d.name, "user_resource_"):
		return nil
	case d.Inviter.Text != "" && d.joins():
		return d.account("inviter", "user", d.Inviter, event.Scalar{}, event.Scalar{})
	case d.Subtype.Text == "message_changed" || d.Subtype.Text == "message_replied":
		// The message in it is another's; who edited it is said within.
		return d.account("message.edited", "user", first(d.User.ID, d.Message.Edited.User), event.Scalar{}, event.Scalar{})
	case d.AppRequest.User.get().ID.Text != "":
		who = d.AppRequest.User.get()
	case d.Actor.get().ID.Text != "":
		who = d.Actor.get()
	default:
		for _, other := range []*thing{d.Accepting, d.Approving, d.Declining} {
			if other.get().ID.Text != "" {
				who = &other.members
			}
		}
	}
	id := first(who.ID, d.UserID, d.ActorID, d.Thread.User)
	if id.Text == "" && len(d.Invite.Requesters.list) > 0 {
		id = event.Scalar{Text: d.Invite.Requesters.list[0]}
	}
	if id.Text == "" && strings.HasPrefix(d.name, "subteam_") {
		id = first(d.Subteam.get().UpdatedBy, d.Subteam.get().CreatedBy)
	}
	if id.Text == "" && d.name == "channel_created" {
		id = first(d.Channel.Creator)
	}
	kind := "user"
	switch {
	case id.Text == "" && d.BotID.Text != "":
		return d.account("bot_id", "bot", d.BotID, first(d.Username, d.BotProfile.get().Name), event.Scalar{})
	case who.IsBot.Text == "true":
		kind = "bot"
	case d.BotID.Text != "":
		kind = "unclear" // An app speaks, by its own account or by somebody's.
	}
	return d.account("user", kind, id, who.person(), who.email())
}

// joins is whether it tells that somebody came into a channel, whom another may have invited.
func (d *hearing) joins() bool {
	return d.name == "member_joined_channel" || d.name == "message" && (d.Subtype.Text == "channel_join" || d.Subtype.Text == "group_join")
}

// member is who came into a channel or left it.
func (d *hearing) member() string { return first(d.User.ID, d.UserID).Text }

// app is the app that the event is about, or that acted. Nearly every event says by api_app_id which app it was sent to;
// that is said here only where it is about that app.
func (d *hearing) app() *curfewv1.App {
	app := &curfewv1.App{
		Id:   d.text("app_id", first(d.AppID, d.AppRequest.App.get().ID, d.BotProfile.get().AppID, d.Function.get().AppID, d.Bot.get().AppID)),
		Name: d.text("app_name", first(d.AppName, d.AppRequest.App.get().Name)),
	}
	if d.BotProfile.get().AppID.Text != "" {
		app.Name = cmp.Or(app.Name, d.text("bot_profile.name", d.BotProfile.get().Name))
	}
	switch d.name {
	case "app_home_opened", "app_mention", "app_uninstalled", "app_rate_limited", "app_context_changed", "tokens_revoked",
		"team_access_granted", "team_access_revoked", "scope_granted", "scope_denied", "resources_added", "resources_removed",
		"user_resource_granted", "user_resource_denied", "user_resource_removed", "assistant_thread_started",
		"assistant_thread_context_changed", "entity_details_requested", "url_verification":
		app.Id = cmp.Or(app.Id, d.text("api_app_id", d.outer.App))
	}
	app.Scopes = distinct(d.Scopes.list, d.AppRequest.Scopes.list)
	d.whole("scopes", d.Scopes, d.AppRequest.Scopes)
	if app.Id == "" && app.Name == "" && len(app.Scopes) == 0 {
		return nil
	}
	return app
}
