// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// details is what is read of an entry's details. Slack documents none of them; these are the members that its own
// libraries know, whose types vary: https://github.com/slackapi/python-slack-sdk/blob/main/slack_sdk/audit_logs/v1/logs.py.
type details struct {
	NewValue      json.RawMessage `json:"new_value"`
	PreviousValue json.RawMessage `json:"previous_value"`
	Name          event.Scalar    `json:"name"`
	Reason        json.RawMessage `json:"reason"`
	IsError       event.Scalar    `json:"is_error"`
	ExpiresOn     event.Scalar    `json:"expires_on"`
	AccessLevel   event.Scalar    `json:"access_level"`
	ExportType    event.Scalar    `json:"export_type"`

	// Of an app.
	AppID          event.Scalar `json:"app_id"`
	NewScopes      texts        `json:"new_scopes"`
	PreviousScopes texts        `json:"previous_scopes"`
	OldScopes      texts        `json:"old_scopes"`
	Scopes         texts        `json:"scopes"`
	BotScopes      texts        `json:"bot_scopes"`
	ScopesBot      texts        `json:"scopes_bot"`
	Resolution     event.Scalar `json:"resolution"`

	// Whom else it is about.
	TargetUser   *thing       `json:"target_user"`
	TargetUserID event.Scalar `json:"target_user_id"`
	TargetEntity event.Scalar `json:"target_entity_id"`
	Inviter      *thing       `json:"inviter"`
	Kicker       *thing       `json:"kicker"`
	Way          event.Scalar `json:"type"` // INVITED, KICKED, JOINED
	Installer    event.Scalar `json:"installer_user_id"`
	Approver     event.Scalar `json:"approver_id"`
	InitiatedBy  event.Scalar `json:"initiated_by"`

	// Where it went.
	SharedTo   event.Scalar `json:"shared_to"`
	SharedWith struct {
		ChannelID event.Scalar `json:"channel_id"`
	} `json:"shared_with"`
	Channels     texts        `json:"channels"`
	Channel      *thing       `json:"channel"`
	ChannelID    event.Scalar `json:"channel_id"`
	AddedTeam    event.Scalar `json:"added_team_id"`
	TargetTeam   event.Scalar `json:"target_team"`
	ExternalOrg  event.Scalar `json:"external_organization_id"`
	ExternalUser event.Scalar `json:"external_user_id"`

	// What it set.
	OldRetention json.RawMessage `json:"old_retention_policy"`
	NewRetention json.RawMessage `json:"new_retention_policy"`
	WhoCanPost   json.RawMessage `json:"who_can_post"`
	CanThread    json.RawMessage `json:"can_thread"`
	Permissions  json.RawMessage `json:"permissions"`
	Changed      texts           `json:"changed_permissions"`
	ExternalOnly event.Scalar    `json:"is_external_limited"`
}

// app is the application that gets or loses access, or by which somebody acted.
func (d *auditing) app() *curfewv1.App {
	app := &curfewv1.App{}
	var scopes [][]string
	switch {
	case d.kind == "app":
		app.Id, app.Name = d.text("entity.id", d.object.ID), d.text("entity.name", d.object.label())
		scopes = append(scopes, d.object.Scopes.list, d.object.ScopesBot.list)
	case d.details.AppID.Text != "":
		app.Id = d.text("details.app_id", d.details.AppID)
	case d.object.AppID.Text != "":
		// A workflow or a function belongs to an app.
		app.Id = d.text("entity.app_id", d.object.AppID)
	case d.Context.App != nil:
		app.Id, app.Name = d.text("context.app.id", d.Context.App.ID), d.text("context.app.name", d.Context.App.label())
		scopes = append(scopes, d.Context.App.Scopes.list, d.Context.App.ScopesBot.list)
	}
	// What the entry says of the change comes before what it says of the app.
	if of := &d.details; len(of.NewScopes.list) > 0 {
		scopes = [][]string{of.NewScopes.list}
	} else if len(of.Scopes.list)+len(of.BotScopes.list)+len(of.ScopesBot.list) > 0 && app.Id != "" {
		scopes = [][]string{of.Scopes.list, of.BotScopes.list, of.ScopesBot.list}
	}
	d.whole("scopes", d.object.Scopes, d.object.ScopesBot, d.details.NewScopes, d.details.Scopes, d.details.BotScopes, d.details.ScopesBot)
	app.Scopes = distinct(scopes...)
	if app.Id == "" && app.Name == "" && len(app.Scopes) == 0 {
		return nil
	}
	return app
}

// distinct is what the lists hold, each once, and not more than may be kept.
func distinct(lists ...[]string) []string {
	var all []string
	size := 0
	seen := map[string]bool{}
	for _, list := range lists {
		for _, text := range list {
			if seen[text] {
				continue
			}
			if size += len(text); size > maxTextBytes || len(all) == maxTexts {
				return all
			}
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}

// refused are acts that Slack refused, or that broke off, though their names do not end in a word that says so.
var refused = []string{
	"file_downloaded_blocked", "file_upload_blocked_by_type", "file_share_blocked_by_type", "file_download_blocked",
	"ip_allowlist_access_denied", "child_app_auto_install_denied", "canvas_share_limit_reached", "list_share_limit_reached",
}

// outcome is how the act ended, where the entry says. Slack logs what was done, so most entries do not.
func (d *auditing) outcome() *curfewv1.Outcome {
	outcome := &curfewv1.Outcome{Reason: d.reason()}
	switch {
	case strings.HasSuffix(d.action, "_failed") || strings.HasSuffix(d.action, "_failure") || strings.HasSuffix(d.action, ".failure") ||
		slices.Contains(refused, d.action) || d.details.IsError.Text == "true":
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE
	case d.action == "user_login" || strings.HasSuffix(d.action, "_success") || strings.HasSuffix(d.action, ".success"):
		outcome.Status = curfewv1.OutcomeStatus_OUTCOME_STATUS_SUCCESS
	case outcome.Reason == "":
		return nil
	}
	return outcome
}

// reason is why, as one text: of some acts Slack gives several.
func (d *auditing) reason() string {
	var several []event.Scalar
	if json.Unmarshal(d.details.Reason, &several) != nil {
		return d.text("details.reason", event.Scalar{Text: plain(d.details.Reason)})
	}
	reasons := make([]string, 0, len(several))
	for _, one := range several {
		reasons = append(reasons, one.Text)
	}
	return d.text("details.reason", event.Scalar{Text: strings.Join(reasons, ",")})
}

// roles is what the entries that change an account's type make of it.
var roles = map[string]string{
	"role_change_to_admin": "admin", "role_change_to_owner": "owner", "role_change_to_user": "user", "role_change_to_guest": "guest",
	"owner_transferred": "primary_owner",
}

// changes notes what the details say was changed.
func (d *auditing) changes() {
	of := &d.details
	d.whole("lists", of.PreviousScopes, of.OldScopes, of.Changed, of.Channels)
	if role := roles[d.action]; role != "" {
		d.change("role", "", role)
	}
	name := of.Name.Text
	if len(of.PreviousValue) > 0 || len(of.NewValue) > 0 {
		if name == "" {
			name = strings.TrimPrefix(d.action, "pref.")
		}
		d.change(name, plain(of.PreviousValue), plain(of.NewValue))
	}
	if before := of.PreviousScopes; len(of.NewScopes.list) > 0 || len(before.list) > 0 {
		if len(before.list) == 0 {
			before = of.OldScopes
		}
		gone := slices.DeleteFunc(slices.Clone(before.list), func(scope string) bool { return slices.Contains(of.NewScopes.list, scope) })
		come := slices.DeleteFunc(slices.Clone(of.NewScopes.list), func(scope string) bool { return slices.Contains(before.list, scope) })
		d.changeLists("scope", gone, come)
	}
	d.changeLists("permission", nil, of.Changed.list)
	user := cmp.Or(d.target(), of.TargetEntity.Text)
	moved, moves := memberships[d.action]
	if moves {
		user = d.member()
	}
	if taken := moved.removed || strings.Contains(d.action, "removed") || strings.Contains(d.action, "revoked"); taken {
		d.change("user", user, "")
	} else {
		d.change("user", "", user)
	}
	d.change("retention_policy", plain(of.OldRetention), plain(of.NewRetention))
	for _, set := range [...]struct {
		name  string
		value string
	}{
		{"inviter", of.Inviter.get().who()}, {"kicker", of.Kicker.get().who()}, {"installer_user_id", of.Installer.Text},
		{"approver_id", of.Approver.Text}, {"initiated_by", of.InitiatedBy.Text},
		{"shared_to", of.SharedTo.Text}, {"channel", first(of.ChannelID, of.Channel.get().ID, of.SharedWith.ChannelID).Text},
		{"channels", of.Channels.joined()}, {"team", first(of.AddedTeam, of.TargetTeam).Text},
		{"external_organization_id", of.ExternalOrg.Text}, {"external_user_id", of.ExternalUser.Text},
		{"access_level", of.AccessLevel.Text}, {"expires_on", of.ExpiresOn.Text}, {"export_type", of.ExportType.Text},
		{"resolution", of.Resolution.Text}, {"who_can_post", plain(of.WhoCanPost)}, {"can_thread", plain(of.CanThread)},
		{"permissions", plain(of.Permissions)}, {"is_external_limited", of.ExternalOnly.Text},
	} {
		d.change(set.name, "", set.value)
	}
}
