// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The methods that only an Enterprise organisation has: https://docs.slack.dev/reference/methods?filter=admin.

func slackUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func (s *Slack) teamsList(r *http.Request) (map[string]any, string) {
	var all []string
	for _, team := range slackByID(s.directory.teams) {
		all = append(all, team.ID)
	}
	ids, metadata, refusal := s.page(r, all, 100)
	teams := []any{}
	for _, id := range ids {
		teams = append(teams, map[string]any{"id": id, "name": s.directory.teams[id].Name, "team_url": "https://example.com/"})
	}
	return map[string]any{"teams": teams, "response_metadata": metadata}, refusal
}

func (s *Slack) teamAdmins(r *http.Request) (map[string]any, string) {
	// Whether owners are among them Slack's documentation does not say; here they are.
	return s.holders(r, "admin_ids", "admin", "owner", "primary_owner")
}

func (s *Slack) teamOwners(r *http.Request) (map[string]any, string) {
	return s.holders(r, "owner_ids", "owner", "primary_owner")
}

// holders are those who hold one of the levels in a workspace.
func (s *Slack) holders(r *http.Request, list string, levels ...string) (map[string]any, string) {
	team, refusal := s.team(r)
	if refusal != "" {
		return nil, refusal
	}
	var all []string
	for _, m := range slackByID(s.directory.people) {
		if slices.Contains(levels, m.Levels[team]) {
			all = append(all, m.ID)
		}
	}
	ids, metadata, refusal := s.page(r, all, 1000)
	return map[string]any{list: append([]string{}, ids...), "response_metadata": metadata}, refusal
}

func (s *Slack) adminUsers(r *http.Request) (map[string]any, string) {
	active := r.Form.Get("is_active") != "false"
	var all []string
	for _, m := range slackByID(s.directory.people) {
		if m.Deleted != active {
			all = append(all, m.ID)
		}
	}
	ids, metadata, refusal := s.page(r, all, 100)
	users := []any{}
	for _, id := range ids {
		m := s.directory.people[id]
		users = append(users, map[string]any{
			"id": m.ID, "email": m.Email, "username": m.Name, "full_name": m.RealName, "is_active": !m.Deleted, "is_bot": m.Bot,
			"is_admin": m.OrgLevel != "", "is_owner": m.OrgLevel == "owner" || m.OrgLevel == "primary_owner",
			"is_primary_owner": m.OrgLevel == "primary_owner", "is_restricted": m.Guest, "is_ultra_restricted": false,
			"date_created": m.Created.Unix(), "has_2fa": m.MFA, "has_sso": true, "expiration_ts": 0, "workspaces": []string{SlackID("T", "workspace")},
		})
	}
	return map[string]any{"users": users, "response_metadata": metadata}, refusal
}

// slackLevel makes an account an administrator or an owner of a workspace, or with "" neither.
func slackLevel(to string) func(*Slack, *http.Request) (map[string]any, string) {
	return func(s *Slack, r *http.Request) (map[string]any, string) {
		team, refusal := s.team(r)
		m, there := s.directory.people[r.Form.Get("user_id")]
		switch {
		case refusal != "":
			return nil, refusal
		case !there:
			return nil, "user_not_found"
		case m.Levels[team] == "primary_owner":
			return nil, "cannot_modify_primary_owner"
		case to == "" && m.OrgLevel != "":
			return nil, "cannot_set_org_admin_to_regular_at_workspace_level"
		}
		if !s.change() {
			levels := map[string]string{}
			for id, level := range m.Levels {
				levels[id] = level
			}
			levels[team] = to
			if to == "" {
				delete(levels, team)
			}
			// Who was a guest is a full member from then on.
			m.Levels, m.Guest = levels, false
			s.directory.people[m.ID] = m
			s.persist(s.record(SlackAuditLog, SlackAudit{
				Seed: 0x746f6c64, Number: uint64(s.added), Action: "role_change_to_" + cmp.Or(to, "user"), Time: time.Now(), Kind: "user",
				Entity: map[string]any{"id": m.ID, "name": m.Name, "email": m.Email, "team": team},
			}.JSON()))
		}
		return map[string]any{}, ""
	}
}

func (s *Slack) sessionReset(r *http.Request) (map[string]any, string) {
	if _, there := s.directory.people[r.Form.Get("user_id")]; !there {
		return nil, "user_not_found"
	}
	return map[string]any{}, ""
}

func (s *Slack) rolesList(r *http.Request) (map[string]any, string) {
	var all []string
	for _, role := range slackByID(s.directory.roles) {
		all = append(all, role.Role+" "+role.Entity+" "+role.User)
	}
	ids, metadata, refusal := s.page(r, all, 100)
	assignments := []any{}
	for _, id := range ids {
		role := s.directory.roles[id]
		assignments = append(assignments, map[string]any{"role_id": role.Role, "entity_id": role.Entity, "user_id": role.User, "date_create": slackDay.Unix()})
	}
	return map[string]any{"role_assignments": assignments, "response_metadata": metadata}, refusal
}

// appUninstall takes an app out of workspaces, which their logs then say.
func (s *Slack) appUninstall(r *http.Request) (map[string]any, string) {
	app := r.Form.Get("app_id")
	for team := range strings.SplitSeq(r.Form.Get("team_ids"), ",") {
		if _, there := s.directory.teams[team]; !there {
			return nil, "team_not_found"
		}
		name := slackLogOf(team)
		at := slices.IndexFunc(s.logs[name], func(record slackRecord) bool { return slackIntegrationOf(record.raw).AppID == app })
		if at < 0 {
			return nil, "app_not_found"
		}
		newest := slackIntegrationOf(s.logs[name][at].raw)
		if newest.Change == "removed" || s.change() {
			continue
		}
		newest.Change, newest.Time = "removed", newest.Time.Add(time.Second)
		newest.User = SlackUser{ID: slackOwner, Name: "root"}
		s.install(SlackInstall{team, newest})
	}
	return map[string]any{}, ""
}

// slackAbout is what a request is about: the id in the first of the arguments that name a thing.
func slackAbout(r *http.Request) string {
	for _, name := range []string{"usergroup", "channel", "user", "team_id", "channel_id", "user_id", "app_id"} {
		if id := r.Form.Get(name); id != "" {
			return id
		}
	}
	return strconv.Itoa(len(r.Form))
}
