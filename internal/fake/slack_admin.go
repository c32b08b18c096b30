// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// slackMethods are the methods of the Web API that a fake Slack answers: https://docs.slack.dev/reference/methods.
func slackMethods() map[string]slackMethod {
	grid, paid, all := []string{"enterprise"}, []string{"enterprise", "other"}, []string(nil)
	return map[string]slackMethod{
		"auth.test":                   {nil, all, (*Slack).authTest},
		"team.integrationLogs":        {[]string{"admin"}, all, (*Slack).integrationLogs},
		"team.accessLogs":             {[]string{"admin"}, []string{"other"}, (*Slack).accessLogs},
		"users.list":                  {[]string{"users:read"}, all, (*Slack).usersList},
		"users.info":                  {[]string{"users:read"}, all, (*Slack).usersInfo},
		"usergroups.list":             {[]string{"usergroups:read"}, paid, (*Slack).groupsList},
		"usergroups.users.list":       {[]string{"usergroups:read"}, paid, (*Slack).groupUsers},
		"usergroups.users.update":     {[]string{"usergroups:write"}, paid, (*Slack).groupUpdate},
		"conversations.list":          {[]string{"channels:read", "groups:read"}, all, (*Slack).channelsList},
		"conversations.info":          {[]string{"channels:read", "groups:read"}, all, (*Slack).channelInfo},
		"conversations.members":       {[]string{"channels:read", "groups:read"}, all, (*Slack).channelMembers},
		"conversations.invite":        {[]string{"channels:write", "groups:write"}, all, (*Slack).channelInvite},
		"conversations.kick":          {[]string{"channels:write", "groups:write"}, all, (*Slack).channelKick},
		"admin.conversations.invite":  {[]string{"admin.conversations:write"}, grid, (*Slack).adminInvite},
		"admin.teams.list":            {[]string{"admin.teams:read"}, grid, (*Slack).teamsList},
		"admin.teams.admins.list":     {[]string{"admin.teams:read"}, grid, (*Slack).teamAdmins},
		"admin.teams.owners.list":     {[]string{"admin.teams:read"}, grid, (*Slack).teamOwners},
		"admin.users.list":            {[]string{"admin.users:read"}, grid, (*Slack).adminUsers},
		"admin.users.setAdmin":        {[]string{"admin.users:write"}, grid, slackLevel("admin")},
		"admin.users.setOwner":        {[]string{"admin.users:write"}, grid, slackLevel("owner")},
		"admin.users.setRegular":      {[]string{"admin.users:write"}, grid, slackLevel("")},
		"admin.users.session.reset":   {[]string{"admin.users:write"}, grid, (*Slack).sessionReset},
		"admin.roles.listAssignments": {[]string{"admin.roles:read"}, grid, (*Slack).rolesList},
		"admin.apps.uninstall":        {[]string{"admin.apps:write"}, grid, (*Slack).appUninstall},
	}
}

// slackOwner is the account that the token is of. Of a channel it can invite to and kick from those alone that it is in.
var slackOwner = SlackID("W", "root")

// page is the ids of a list from where a cursor says, as many as asked for and at most most, and the cursor behind them.
func (s *Slack) page(r *http.Request, ids []string, most int) (page []string, metadata map[string]any, refusal string) {
	limit, ok := slackNumber(r.Form, "limit", 100, 1, most)
	if !ok {
		return nil, nil, "invalid_limit"
	}
	if text := r.Form.Get("cursor"); text != "" {
		after, err := base64.URLEncoding.DecodeString(text)
		generation, id, ok := strings.Cut(string(after), ":")
		if err != nil || !ok || generation != strconv.Itoa(s.generation) {
			return nil, nil, "invalid_cursor"
		}
		at, found := slices.BinarySearch(ids, id)
		if found {
			at++
		}
		ids = ids[at:]
	}
	next := ""
	if len(ids) > limit {
		ids = ids[:limit]
		next = base64.URLEncoding.EncodeToString([]byte(strconv.Itoa(s.generation) + ":" + ids[limit-1]))
	}
	return ids, map[string]any{"next_cursor": next}, ""
}

func (s *Slack) authTest(*http.Request) (map[string]any, string) {
	answer := map[string]any{
		"url": "https://linden-lark.slack.com/", "team": "Linden & Lark", "user": "root", "team_id": SlackID("T", "workspace"),
		"user_id": slackOwner, "is_enterprise_install": s.config.Plan == "enterprise",
	}
	if s.config.Plan == "enterprise" {
		answer["enterprise_id"] = SlackID("E", "organisation")
	}
	return answer, ""
}

// user is a member as users.list and users.info show one.
func (s *Slack) user(m SlackMember) map[string]any {
	team := SlackID("T", "workspace")
	level := m.Levels[team]
	profile := map[string]any{"real_name": m.RealName, "display_name": m.Name}
	if s.config.Scopes == nil || slices.Contains(s.config.Scopes, "users:read.email") {
		profile["email"] = m.Email
	}
	user := map[string]any{
		"id": m.ID, "team_id": team, "name": m.Name, "real_name": m.RealName, "deleted": m.Deleted, "is_bot": m.Bot, "profile": profile,
		"is_admin": level != "", "is_owner": level == "owner" || level == "primary_owner", "is_primary_owner": level == "primary_owner",
		"is_restricted": m.Guest, "is_ultra_restricted": false, "has_2fa": m.MFA, "is_invited_user": m.Invited, "updated": slackDay.Unix(),
	}
	if s.config.Plan == "enterprise" {
		user["enterprise_user"] = map[string]any{
			"id": m.ID, "enterprise_id": SlackID("E", "organisation"), "is_admin": m.OrgLevel != "", "is_owner": m.OrgLevel != "" && m.OrgLevel != "admin",
		}
	}
	return user
}

func (s *Slack) usersList(r *http.Request) (map[string]any, string) {
	if s.config.Plan == "enterprise" && r.Form.Get("team_id") == "" {
		return nil, "missing_argument"
	}
	ids, metadata, refusal := s.page(r, slices.Sorted(maps.Keys(s.directory.people)), 1000)
	members := []any{}
	for _, id := range ids {
		members = append(members, s.user(s.directory.people[id]))
	}
	return map[string]any{"members": members, "response_metadata": metadata}, refusal
}

func (s *Slack) usersInfo(r *http.Request) (map[string]any, string) {
	member, there := s.directory.people[r.Form.Get("user")]
	if !there {
		return nil, "user_not_found"
	}
	return map[string]any{"user": s.user(member)}, ""
}

// team is the workspace that a request of an organisation's token has to name.
func (s *Slack) team(r *http.Request) (id, refusal string) {
	if s.config.Plan != "enterprise" {
		return SlackID("T", "workspace"), ""
	}
	id = r.Form.Get("team_id")
	if id == "" {
		return "", "missing_argument"
	}
	if _, there := s.directory.teams[id]; !there {
		return "", "team_not_found"
	}
	return id, ""
}

func (s *Slack) groupsList(r *http.Request) (map[string]any, string) {
	team, refusal := s.team(r)
	groups := []any{}
	for _, g := range slackByID(s.directory.groups) {
		if g.Team != team || g.Disabled && r.Form.Get("include_disabled") != "true" {
			continue
		}
		deleted := 0
		if g.Disabled {
			deleted = int(slackDay.Unix())
		}
		groups = append(groups, map[string]any{
			"id": g.ID, "team_id": g.Team, "name": g.Name, "handle": g.Name, "is_usergroup": true, "is_idp_group": g.Managed,
			"auto_provision": g.Managed, "date_delete": deleted, "user_count": len(g.Users),
		})
	}
	return map[string]any{"usergroups": groups}, refusal
}

// group is the user group that a request is about.
func (s *Slack) group(r *http.Request) (SlackGroup, string) {
	team, refusal := s.team(r)
	g, there := s.directory.groups[r.Form.Get("usergroup")]
	if refusal == "" && (!there || g.Team != team) {
		refusal = "no_such_subteam"
	}
	return g, refusal
}

func (s *Slack) groupUsers(r *http.Request) (map[string]any, string) {
	g, refusal := s.group(r)
	if refusal == "" && g.Disabled && r.Form.Get("include_disabled") != "true" {
		refusal = "subteam_disabled"
	}
	return map[string]any{"users": append([]string{}, g.Users...)}, refusal
}

// groupUpdate replaces the whole list: https://docs.slack.dev/reference/methods/usergroups.users.update.
func (s *Slack) groupUpdate(r *http.Request) (map[string]any, string) {
	g, refusal := s.group(r)
	users := strings.FieldsFunc(r.Form.Get("users"), func(c rune) bool { return c == ',' })
	switch {
	case refusal != "":
		return nil, refusal
	case len(users) == 0:
		return nil, "no_users_provided"
	}
	for _, id := range users {
		if m, there := s.directory.people[id]; !there || m.Bot || m.Guest {
			return nil, "invalid_users"
		}
	}
	if !s.change() {
		s.tellGroup(g, users)
		g.Users = users
		s.directory.groups[g.ID] = g
	}
	return map[string]any{"usergroup": map[string]any{"id": g.ID, "users": users}}, ""
}

// change counts a change and reports whether it is only said to be made.
func (s *Slack) change() (lie bool) {
	if s.faults.lies() {
		return true
	}
	s.directory.changes++
	return false
}

func (s *Slack) channelsList(r *http.Request) (map[string]any, string) {
	team, refusal := s.team(r)
	if refusal != "" {
		return nil, refusal
	}
	types := cmp.Or(r.Form.Get("types"), "public_channel")
	var ids []string
	for _, c := range slackByID(s.directory.channels) {
		if c.Team == team && !c.Hidden && strings.Contains(types, map[bool]string{true: "private_channel", false: "public_channel"}[c.Private]) &&
			(!c.Archived || r.Form.Get("exclude_archived") != "true") {
			ids = append(ids, c.ID)
		}
	}
	ids, metadata, refusal := s.page(r, ids, 1000)
	channels := []any{}
	for _, id := range ids {
		channels = append(channels, slackChannel(s.directory.channels[id]))
	}
	return map[string]any{"channels": channels, "response_metadata": metadata}, refusal
}

func slackChannel(c SlackChannel) map[string]any {
	return map[string]any{
		"id": c.ID, "name": c.Name, "is_channel": !c.Private, "is_group": c.Private, "is_private": c.Private, "is_archived": c.Archived,
		"is_general": c.General, "num_members": len(c.Members), "context_team_id": c.Team, "created": slackDay.Unix(),
	}
}

// seen is the channel that a request is about, if the token's owner sees it.
func (s *Slack) seen(r *http.Request) (SlackChannel, string) {
	c, there := s.directory.channels[r.Form.Get("channel")]
	if !there || c.Hidden {
		return c, "channel_not_found"
	}
	return c, ""
}

func (s *Slack) channelInfo(r *http.Request) (map[string]any, string) {
	c, refusal := s.seen(r)
	return map[string]any{"channel": slackChannel(c)}, refusal
}

func (s *Slack) channelMembers(r *http.Request) (map[string]any, string) {
	c, refusal := s.seen(r)
	if refusal != "" {
		return nil, refusal
	}
	ids, metadata, refusal := s.page(r, slices.Sorted(slices.Values(c.Members)), 1000)
	return map[string]any{"members": append([]string{}, ids...), "response_metadata": metadata}, refusal
}

func (s *Slack) channelInvite(r *http.Request) (map[string]any, string) {
	c, refusal := s.seen(r)
	if refusal != "" {
		return nil, refusal
	}
	if !slices.Contains(c.Members, slackOwner) {
		return nil, "not_in_channel"
	}
	return s.invite(c, r.Form.Get("users"), "already_in_channel")
}

func (s *Slack) adminInvite(r *http.Request) (map[string]any, string) {
	c, there := s.directory.channels[r.Form.Get("channel_id")]
	if !there {
		return nil, "channel_not_found"
	}
	return s.invite(c, r.Form.Get("user_ids"), "failed_for_some_users")
}

func (s *Slack) invite(c SlackChannel, user, already string) (map[string]any, string) {
	switch _, there := s.directory.people[user]; {
	case !there:
		return nil, "user_not_found"
	case c.Archived:
		return nil, "is_archived"
	case slices.Contains(c.Members, user):
		return nil, already
	}
	if !s.change() {
		c.Members = append(slices.Clone(c.Members), user)
		s.directory.channels[c.ID] = c
		s.tellChannel(c, user, true)
	}
	return map[string]any{"channel": slackChannel(c)}, ""
}

func (s *Slack) channelKick(r *http.Request) (map[string]any, string) {
	c, refusal := s.seen(r)
	user := r.Form.Get("user")
	switch _, there := s.directory.people[user]; {
	case refusal != "":
		return nil, refusal
	case !there:
		return nil, "user_not_found"
	case c.General:
		return nil, "cant_kick_from_general"
	case !slices.Contains(c.Members, user) || !slices.Contains(c.Members, slackOwner):
		return nil, "not_in_channel" // It is said of either.
	}
	if !s.change() {
		c.Members = slackWithout(c.Members, user)
		s.directory.channels[c.ID] = c
		s.tellChannel(c, user, false)
	}
	return map[string]any{"errors": map[string]any{}}, ""
}

// slackIntegrationOf reads a record of team.integrationLogs.
func slackIntegrationOf(raw json.RawMessage) SlackIntegration {
	var record struct {
		AppID  string      `json:"app_id"`
		App    string      `json:"app_type"`
		User   string      `json:"user_id"`
		Name   string      `json:"user_name"`
		Change string      `json:"change_type"`
		Scope  string      `json:"scope"`
		Date   json.Number `json:"date"`
	}
	// What is none is no installation.
	_ = json.Unmarshal(raw, &record)
	seconds, _ := record.Date.Int64()
	return SlackIntegration{
		Time: slackUnix(seconds), User: SlackUser{ID: record.User, Name: record.Name}, Change: record.Change, App: record.App,
		AppID: record.AppID, Scope: record.Scope,
	}
}
