// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// SlackObject is something a fake Slack can hold: a SlackTeam, SlackMember, SlackGroup, SlackChannel or SlackRole.
type SlackObject interface{ put(*slackDirectory) }

// SlackTeam is a workspace. There is one from the beginning, SlackID("T", "workspace"); more of them only on an
// Enterprise plan.
type SlackTeam struct{ ID, Name string }

// SlackMember is an account.
type SlackMember struct {
	// ID is Slack's, such as "W0INVENTED1"; Name the login, RealName what people see.
	ID, Name, RealName, Email string
	// Bot, Deleted, Invited and Guest are what it is.
	Bot, Deleted, Invited, Guest bool
	// MFA is whether a second factor is enrolled.
	MFA bool
	// Created is when, which only Enterprise organisations show.
	Created time.Time
	// OrgLevel is "admin", "owner" or "primary_owner" of the organisation; "" for none of them.
	OrgLevel string
	// Levels is the same for each workspace by its id.
	Levels map[string]string
}

// SlackGroup is a user group.
type SlackGroup struct {
	ID, Name, Team string
	// Managed is whether an identity provider fills it, Disabled whether it is one no longer.
	Managed, Disabled bool
	Users             []string
}

// SlackChannel is a channel.
type SlackChannel struct {
	ID, Name, Team    string
	Private, Archived bool
	// General is whether it is the workspace's first, which nobody can be removed from.
	General bool
	Members []string
	// Hidden is whether the token's owner is not in it, though it is private.
	Hidden bool
}

// SlackRole is a role of the organisation's that somebody holds over an entity: the organisation, a workspace or a channel.
type SlackRole struct{ Role, Entity, User string }

// SlackInstall is an application in a workspace.
type SlackInstall struct {
	Team string
	SlackIntegration
}

// slackDirectory is what a Slack holds besides its logs. The Slack's lock guards it.
type slackDirectory struct {
	teams    map[string]SlackTeam
	people   map[string]SlackMember
	groups   map[string]SlackGroup
	channels map[string]SlackChannel
	roles    map[string]SlackRole
	// forbidden are methods, or a method and what it is asked about, that the token may not use.
	forbidden map[string]bool
	// gone are apps that exist no more.
	gone    map[string]bool
	changes int
}

func newSlackDirectory() *slackDirectory {
	d := &slackDirectory{
		teams: map[string]SlackTeam{}, people: map[string]SlackMember{}, groups: map[string]SlackGroup{},
		channels: map[string]SlackChannel{}, roles: map[string]SlackRole{}, forbidden: map[string]bool{}, gone: map[string]bool{},
	}
	SlackTeam{ID: SlackID("T", "workspace"), Name: "Linden & Lark"}.put(d)
	return d
}

func (t SlackTeam) put(d *slackDirectory) { d.teams[t.ID] = t }
func (m SlackMember) put(d *slackDirectory) {
	m.Levels = maps.Clone(m.Levels)
	d.people[m.ID] = m
}
func (g SlackGroup) put(d *slackDirectory) {
	g.Team, g.Users = cmp.Or(g.Team, SlackID("T", "workspace")), slices.Clone(g.Users)
	d.groups[g.ID] = g
}
func (c SlackChannel) put(d *slackDirectory) {
	c.Team, c.Members = cmp.Or(c.Team, SlackID("T", "workspace")), slices.Clone(c.Members)
	d.channels[c.ID] = c
}
func (r SlackRole) put(d *slackDirectory) { d.roles[r.Role+" "+r.Entity+" "+r.User] = r }

// Put makes objects be there as they are, in place of those of the same id.
func (s *Slack) Put(objects ...SlackObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range objects {
		object.put(s.directory)
	}
}

// Remove makes the object of an id vanish, wherever it is, and with an account all that it holds. An app's id makes the
// app vanish from the logs, and be one that Slack does not find.
func (s *Slack) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.directory
	d.gone[id] = true
	delete(d.teams, id)
	delete(d.people, id)
	delete(d.groups, id)
	delete(d.channels, id)
	for key, group := range d.groups {
		group.Users = slackWithout(group.Users, id)
		d.groups[key] = group
	}
	for key, channel := range d.channels {
		channel.Members = slackWithout(channel.Members, id)
		d.channels[key] = channel
	}
	maps.DeleteFunc(d.roles, func(_ string, r SlackRole) bool { return r.User == id || r.Entity == id })
	for name := range s.logs {
		if name != SlackAuditLog && name != SlackAccessLog {
			s.logs[name] = slices.DeleteFunc(s.logs[name], func(r slackRecord) bool { return slackIntegrationOf(r.raw).AppID == id })
		}
	}
}

func slackWithout(list []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == id })
}

// Install makes an application be in a workspace, which its log says; or be removed, where its Change is "removed".
func (s *Slack) Install(install SlackInstall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.install(install)
}

func (s *Slack) install(install SlackInstall) {
	delete(s.directory.gone, install.AppID)
	s.persist(s.record(slackLogOf(install.Team), install.JSON()))
}

// slackLogOf is the log of a workspace's applications.
func slackLogOf(team string) string {
	if team == "" || team == SlackID("T", "workspace") {
		return SlackIntegrationLog
	}
	return SlackIntegrationLog + "/" + team
}

// Forbid makes the token lack the right to use a method, or to use it about one thing, by its id, where about is not "".
func (s *Slack) Forbid(method, about string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.directory.forbidden[method+" "+about] = true
}

// Changes is how many changes the API made.
func (s *Slack) Changes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.directory.changes
}

// SlackSnapshot is the truth of a Slack at a moment, each list in the order of ids.
type SlackSnapshot struct {
	Teams    []SlackTeam
	People   []SlackMember
	Groups   []SlackGroup
	Channels []SlackChannel
	Roles    []SlackRole
	// Installs are the applications that are in a workspace, each once for everybody who put it there.
	Installs []SlackInstall
}

// Snapshot is the truth as it is now.
func (s *Slack) Snapshot() SlackSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.directory
	snapshot := SlackSnapshot{
		Teams: slackByID(d.teams), People: slackByID(d.people), Groups: slackByID(d.groups), Channels: slackByID(d.channels), Roles: slackByID(d.roles),
	}
	for _, team := range snapshot.Teams {
		gone := map[string]bool{}
		for _, record := range s.logs[slackLogOf(team.ID)] { // newest first
			install := SlackInstall{Team: team.ID, SlackIntegration: slackIntegrationOf(record.raw)}
			switch {
			case gone[install.AppID]:
			case install.Change == "removed":
				gone[install.AppID] = true
			case install.Change == "added":
				snapshot.Installs = append(snapshot.Installs, install)
			}
		}
	}
	return snapshot
}

func slackByID[V any](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[id])
	}
	return list
}

// Churn makes something else true of everything there is: each number its own changes, the same each time.
func (s *Slack) Churn(n int) {
	id := func(prefix string, k int) string { return SlackID(prefix, fmt.Sprintf("churn %d %d", n, k)) }
	before := func(prefix string, k int) string { return SlackID(prefix, fmt.Sprintf("churn %d %d", n-1, k)) }
	at := slackDay.Add(time.Duration(n) * time.Hour)
	team := SlackID("T", "workspace")
	if s.config.Plan == "enterprise" {
		team = id("T", 0)
		s.Put(SlackTeam{ID: team, Name: fmt.Sprintf("Workspace %d", n)})
	}
	for k := range 5 {
		name := fmt.Sprintf("person.%d.%d", n, k)
		levels := map[string]string{}
		if level := []string{"", "admin", "owner", "", "primary_owner"}[k]; level != "" {
			levels[team] = level
		}
		s.Put(SlackMember{
			ID: id("W", k), Name: name, RealName: fmt.Sprintf("Person %d %d", n, k), Email: name + "@example.com", Deleted: k == 3, Guest: k == 2,
			Bot: k == 4 && n%2 == 1, MFA: k%2 == 0, Created: at, Levels: levels, OrgLevel: map[bool]string{true: "admin"}[k == 1 && n%2 == 0],
		})
	}
	s.Put(
		SlackGroup{ID: id("S", 0), Name: fmt.Sprintf("group-%d", n), Team: team, Managed: n%2 == 0, Users: []string{id("W", 0), id("W", 1)}},
		SlackGroup{ID: id("S", 1), Name: fmt.Sprintf("gone-%d", n), Team: team, Disabled: true, Users: []string{id("W", 0)}},
		SlackChannel{ID: id("C", 0), Name: fmt.Sprintf("public-%d", n), Team: team, Members: []string{id("W", 0), id("W", 1), id("W", 2)}},
		SlackChannel{ID: id("G", 1), Name: fmt.Sprintf("private-%d", n), Team: team, Private: true, Members: []string{id("W", 1), id("W", 2), id("W", 4)}},
		SlackChannel{ID: id("G", 2), Name: fmt.Sprintf("hidden-%d", n), Team: team, Private: true, Hidden: true, Members: []string{id("W", 2)}},
		SlackRole{Role: "Rl0A", Entity: team, User: id("W", 2)}, SlackRole{Role: "Rl0B", Entity: id("C", 0), User: id("W", 0)},
	)
	s.Install(SlackInstall{team, SlackIntegration{Time: at, AppID: id("A", 0), App: "Polls", User: SlackUser{ID: id("W", 0), Name: "a"}, Scope: "chat:write"}})
	s.Install(SlackInstall{team, SlackIntegration{Time: at.Add(time.Minute), AppID: id("A", 1), App: "Notes", User: SlackUser{ID: id("W", 1), Name: "b"}, Scope: "files:read,users:read"}})
	s.Install(SlackInstall{team, SlackIntegration{Time: at.Add(2 * time.Minute), AppID: id("A", 0), App: "Polls", User: SlackUser{ID: id("W", 1), Name: "b"}, Scope: "chat:write"}})
	if n == 0 {
		return
	}
	// What was there is partly gone or otherwise.
	s.Remove(before("W", 0))
	s.Remove(before("S", 0))
	s.Remove(before("C", 0))
	s.Install(SlackInstall{team, SlackIntegration{Time: at.Add(3 * time.Minute), AppID: id("A", 1), App: "Notes", User: SlackUser{ID: id("W", 2), Name: "c"}, Change: "removed"}})
	s.mu.Lock()
	defer s.mu.Unlock()
	if member, there := s.directory.people[before("W", 1)]; there {
		member.MFA, member.Levels = true, map[string]string{}
		s.directory.people[member.ID] = member
	}
}
