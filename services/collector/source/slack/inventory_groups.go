// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// userGroup is a user group: https://docs.slack.dev/reference/methods/usergroups.list.
type userGroup struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Handle  string `json:"handle"`
	Deleted int64  `json:"date_delete"`
	IDP     bool   `json:"is_idp_group"`
	Auto    bool   `json:"auto_provision"`
	Locked  bool   `json:"is_membership_locked"`
}

// managed is who fills the group: "directory" for an identity provider. What the three fields mean is read from their
// names; Slack documents none of them.
func (g *userGroup) managed() string {
	if g.IDP || g.Auto || g.Locked {
		return "directory"
	}
	return ""
}

// conversation is a channel: https://docs.slack.dev/reference/methods/conversations.list.
type conversation struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Private  bool   `json:"is_private"`
	Archived bool   `json:"is_archived"`
	General  bool   `json:"is_general"`
}

// groups is every user group that is in use, and the channels that the configuration names.
func (s *Source) groups(ctx context.Context, o *observation) {
	for _, team := range s.workspaces(ctx, o) {
		s.eachGroup(ctx, o, team, func(g userGroup) {
			o.add(&curfewv1.Entry{Key: g.ID, Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{
				Id: g.ID, Name: event.Clean(g.Name), Type: "user_group", ManagedBy: g.managed(),
			}}})
		})
		s.eachChannel(ctx, o, team, func(c conversation) {
			o.add(&curfewv1.Entry{Key: c.ID, Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{Id: c.ID, Name: event.Clean(c.Name), Type: "channel"}}})
		})
	}
}

// eachGroup gives every user group of a workspace that is in use. They come in one page.
func (s *Source) eachGroup(ctx context.Context, o *observation, team string, take func(userGroup)) {
	var answer struct {
		Groups *[]userGroup `json:"usergroups"`
	}
	err := s.patiently(ctx, "usergroups.list", of(team), &answer)
	if err == nil && answer.Groups == nil {
		err = errNoList("usergroups")
	}
	o.part(inWorkspace("user groups", team), err)
	if err != nil {
		return
	}
	for _, g := range *answer.Groups {
		if g.ID != "" && g.Deleted == 0 {
			take(g)
		}
	}
}

// eachChannel gives every channel of a workspace that the configuration names and the token's owner sees.
func (s *Source) eachChannel(ctx context.Context, o *observation, team string, take func(conversation)) {
	types := map[string]string{"private": "private_channel", "all": "public_channel,private_channel"}[s.config.Channels]
	if types == "" {
		return
	}
	type page struct {
		Channels *[]conversation `json:"channels"`
		listed
	}
	arguments := of(team, "types", types, "exclude_archived", "true")
	err := each(ctx, s, "conversations.list", arguments, 200, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		if p.Channels == nil {
			return errNoList("channels")
		}
		for _, c := range *p.Channels {
			if c.ID != "" && !c.Archived && (c.Private || s.config.Channels == "all") {
				take(c)
			}
		}
		return nil
	})
	o.part(inWorkspace("channels", team), err)
}

// memberships is who is in each user group and in each of the channels.
func (s *Source) memberships(ctx context.Context, o *observation) {
	for _, team := range s.workspaces(ctx, o) {
		s.eachGroup(ctx, o, team, func(g userGroup) {
			var answer struct {
				Users *[]string `json:"users"`
			}
			err := s.patiently(ctx, "usergroups.users.list", of(team, "usergroup", g.ID), &answer)
			if err == nil && answer.Users == nil {
				err = errNoList("users")
			}
			if err == nil {
				for _, user := range *answer.Users {
					o.membership(g.ID, user)
				}
			}
			o.part("members of user group "+g.ID, err)
		})
		var channels []string
		s.eachChannel(ctx, o, team, func(c conversation) { channels = append(channels, c.ID) })
		for _, id := range channels {
			if ctx.Err() != nil {
				return
			}
			type page struct {
				Members *[]string `json:"members"`
				listed
			}
			err := each(ctx, s, "conversations.members", url.Values{"channel": {id}}, 200, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
				if p.Members == nil {
					return errNoList("members")
				}
				for _, user := range *p.Members {
					o.membership(id, user)
				}
				return nil
			})
			o.part("members of channel "+id, err)
		}
	}
}

func (o *observation) membership(group, member string) {
	if group == "" || member == "" {
		return
	}
	o.add(&curfewv1.Entry{Key: group + "/" + member, Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
		Group: group, Member: member, MemberType: "account", Level: "member",
	}}})
}

// roles is who administers the organisation or a workspace, and who holds a role of the organisation's.
func (s *Source) roles(ctx context.Context, o *observation) {
	if s.config.Plan != enterprise {
		o.part("administrators", s.members(ctx, func(m *member) {
			if !m.Deleted {
				o.role(levelOf(m.Admin, m.Owner, m.Primary), m.ID, "workspace/"+m.TeamID)
			}
		}))
		return
	}
	o.part("administrators of the organisation", s.orgMembers(ctx, "true", func(m *orgMember) {
		o.role(levelOf(m.Admin, m.Owner, m.Primary), m.ID, "")
	}))
	for _, team := range s.workspaces(ctx, o) {
		if ctx.Err() != nil {
			return
		}
		owners := map[string]bool{}
		o.part("owners of workspace "+team, s.holders(ctx, team, "owner", func(user string) {
			owners[user] = true
			o.role("owner", user, "workspace/"+team)
		}))
		o.part("administrators of workspace "+team, s.holders(ctx, team, "admin", func(user string) {
			if !owners[user] {
				o.role("admin", user, "workspace/"+team)
			}
		}))
	}
	type page struct {
		Assignments *[]struct {
			Role   string `json:"role_id"`
			Entity string `json:"entity_id"`
			User   string `json:"user_id"`
		} `json:"role_assignments"`
		listed
	}
	err := each(ctx, s, "admin.roles.listAssignments", nil, 100, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		if p.Assignments == nil {
			return errNoList("role_assignments")
		}
		for _, a := range *p.Assignments {
			o.role(a.Role, a.User, entityPath(a.Entity))
		}
		return nil
	})
	o.part("role assignments", err)
}

// levelOf is the highest of an account's roles.
func levelOf(admin, owner, primary bool) string {
	switch {
	case primary:
		return "primary_owner"
	case owner:
		return "owner"
	case admin:
		return "admin"
	}
	return ""
}

// entityPath is the resource that a role holds over, told by its id.
func entityPath(id string) string {
	switch {
	case id == "":
		return ""
	case strings.HasPrefix(id, "E"):
		return event.Path("enterprise", id)
	case strings.HasPrefix(id, "T"):
		return event.Path("workspace", id)
	}
	return event.Path("channel", id)
}

func (o *observation) role(role, holder, scope string) {
	if role == "" || holder == "" {
		return
	}
	// Of the organisation's own roles Slack's API tells the ids alone.
	name := map[string]string{"admin": "Administrator", "owner": "Owner", "primary_owner": "Primary Owner"}[role]
	o.add(&curfewv1.Entry{Key: role + "/" + holder + "/" + scope, Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
		Role: role, RoleName: name, Holder: holder, HolderType: "account", Scope: scope,
	}}})
}

// holders gives those who are owners or administrators of a workspace:
// https://docs.slack.dev/reference/methods/admin.teams.admins.list. Whether owners are among the administrators is not
// confirmed: an owner counts as one.
func (s *Source) holders(ctx context.Context, team, level string, take func(user string)) error {
	type page struct {
		Admins *[]string `json:"admin_ids"`
		Owners *[]string `json:"owner_ids"`
		listed
	}
	return each(ctx, s, "admin.teams."+level+"s.list", of(team), 1000, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		ids := p.Admins
		if level == "owner" {
			ids = p.Owners
		}
		if ids == nil {
			return errNoList(level + "s")
		}
		for _, id := range *ids {
			take(id)
		}
		return nil
	})
}

// apps is what team.integrationLogs says of the applications of each workspace, since Slack has no list of what is
// installed: an app is there for each account that added it since it was last removed. That a removal is one for
// everybody, and that the log goes back to the beginning, is not confirmed.
func (s *Source) apps(ctx context.Context, o *observation) {
	for _, team := range s.workspaces(ctx, o) {
		fold := appFold{gone: map[string]bool{}, at: map[string]*curfewv1.AppAccess{}, disabled: map[string]bool{}}
		o.part(inWorkspace("apps", team), s.foldApps(ctx, team, &fold))
		for _, key := range fold.order {
			o.add(&curfewv1.Entry{Key: strings.Trim(team+"/"+key, "/"), Thing: &curfewv1.Entry_App{App: fold.at[key]}})
		}
	}
}

// foldApps reads the log from its newest record. New records push others onto the next page, where they are met again,
// which changes nothing.
func (s *Source) foldApps(ctx context.Context, team string, fold *appFold) error {
	query := of(team, "count", strconv.Itoa(min(s.config.PageSize, maxLogPage)))
	for number := 1; ; number++ {
		query.Set("page", strconv.Itoa(number))
		var page struct {
			Logs   *[]integration `json:"logs"`
			Paging struct {
				Pages int `json:"pages"`
			} `json:"paging"`
		}
		err := s.patiently(ctx, "team.integrationLogs", query, &page)
		switch {
		case number > 1 && reasonOf(err) == "over_pagination_limit":
			return errors.New("what is older than a hundred pages is not shown")
		case err != nil:
			return err
		case page.Logs == nil:
			return errNoList("logs")
		}
		for i := range *page.Logs {
			fold.take(&(*page.Logs)[i])
		}
		if number >= page.Paging.Pages {
			return nil
		}
	}
}

// appFold is what a log of applications, read backwards, makes of them.
type appFold struct {
	gone, disabled map[string]bool
	at             map[string]*curfewv1.AppAccess
	order          []string
}

func (f *appFold) take(record *integration) {
	id := first(record.AppID, record.ServiceID).Text
	if id == "" || f.gone[id] {
		return
	}
	switch record.ChangeType.Text {
	case "removed":
		f.gone[id] = true
		return
	case "disabled":
		if f.newest(id) == "" {
			f.disabled[id] = true
		}
		return
	case "added", "enabled", "expanded", "updated":
	default:
		return
	}
	key := fmt.Sprintf("%s/%s", event.Clean(id), event.Clean(record.UserID.Text))
	access := f.at[key]
	if access == nil {
		access = &curfewv1.AppAccess{
			App:     &curfewv1.App{Id: event.Clean(id), Name: event.Clean(first(record.AppType, record.ServiceType).Text)},
			Grantor: event.Clean(record.UserID.Text), Status: "active",
		}
		if f.disabled[id] {
			access.Status = "disabled"
		}
		f.at[key] = access
		f.order = append(f.order, key)
	}
	for _, scope := range record.Scope.list {
		if !slices.Contains(access.App.Scopes, scope) && len(access.App.Scopes) < maxTexts {
			access.App.Scopes = append(access.App.Scopes, scope)
		}
	}
	slices.Sort(access.App.Scopes)
	if at := parseTime(record.Date.Text); at != nil && record.ChangeType.Text == "added" {
		access.Created = event.Timestamp(at.AsTime().Truncate(time.Second))
	}
}

// newest is the first access of an app that was met; "" where none was.
func (f *appFold) newest(id string) string {
	for _, key := range f.order {
		if strings.HasPrefix(key, id+"/") {
			return key
		}
	}
	return ""
}
