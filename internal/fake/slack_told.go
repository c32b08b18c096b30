// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"
	"time"
)

// tell writes what a request changed for an account to the audit log: the account is the actor, and who did it stands in
// the details, as in published records.
func (s *Slack) tell(action, user, kind string, entity map[string]any, by, how string) {
	m := s.directory.people[user]
	who := func(id, name, email string) SlackUser {
		return SlackUser{ID: id, Name: name, Email: email, Team: SlackID("T", "workspace")}
	}
	s.persist(s.record(SlackAuditLog, SlackAudit{
		Seed: 0x746f6c64, Number: uint64(s.added), Action: action, Time: time.Now(), Actor: who(m.ID, m.Name, m.Email), Kind: kind, Entity: entity,
		Details: map[string]any{"type": how, by: map[string]any{"type": "user", "user": slackUser(who(slackOwner, "root", "root@example.com"))}},
	}.JSON()))
}

// tellGroup writes who came into a user group and who left it.
func (s *Slack) tellGroup(g SlackGroup, now []string) {
	entity := map[string]any{"id": g.ID, "name": g.Name}
	for _, user := range now {
		if !slices.Contains(g.Users, user) {
			s.tell("user_added_to_usergroup", user, "usergroup", entity, "inviter", "INVITED")
		}
	}
	for _, user := range g.Users {
		if !slices.Contains(now, user) {
			s.tell("user_removed_from_usergroup", user, "usergroup", entity, "kicker", "KICKED")
		}
	}
}

// tellChannel writes that somebody came into a channel or left it.
func (s *Slack) tellChannel(c SlackChannel, user string, there bool) {
	entity := map[string]any{"id": c.ID, "name": c.Name, "privacy": map[bool]string{true: "private", false: "public"}[c.Private]}
	if there {
		s.tell("user_channel_join", user, "channel", entity, "inviter", "INVITED")
		return
	}
	s.tell("user_channel_leave", user, "channel", entity, "kicker", "KICKED")
}
