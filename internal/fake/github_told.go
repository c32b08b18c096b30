// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import "maps"

// tell writes what a request changed for a person to the log.
func (g *GitHub) tell(action string, person *GitHubPerson, more map[string]any) {
	all := map[string]any{"user": person.Login, "user_id": person.ID, "operation_type": "modify"}
	maps.Copy(all, more)
	entry := GitHubEvent{Seed: 0x746f6c64, Number: uint64(g.added), Action: action, Time: g.config.Now(), Actor: "curfew", Org: g.config.Org, Repo: "-", More: all}
	g.persist(g.record(entry.JSON()))
}

// tellPlace writes that a person came into a team or left it.
func (g *GitHub) tellPlace(action string, team *GitHubTeam, person *GitHubPerson) {
	g.tell(action, person, map[string]any{"team": g.config.Org + "/" + team.Slug})
}

// tellRole writes that a person was given a role of the organisation or lost it.
func (g *GitHub) tellRole(action string, role *GitHubRole, person *GitHubPerson) {
	g.tell(action, person, map[string]any{"organization_role_id": role.ID, "organization_role_name": role.Name})
}

// tellPermission writes that a person became an owner of the organisation, or is one no longer.
func (g *GitHub) tellPermission(person *GitHubPerson, before, now string) {
	words := map[string]string{"admin": "admin", "member": "read"}
	if before != now {
		g.tell("org.update_member", person, map[string]any{"old_permission": words[before], "permission": words[now]})
	}
}

// tellCollaborator writes that a person was given a role of a repository or lost it.
func (g *GitHub) tellCollaborator(action string, repo *GitHubRepo, person *GitHubPerson, role string) {
	g.tell(action, person, map[string]any{"repo": g.config.Org + "/" + repo.Name, "repo_id": repo.ID, "permission": role, "visibility": "private"})
}
