// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
)

// githubField is a field of a body, "" where there is none.
func githubField(body []byte, name string) string {
	var fields map[string]any
	// Without a body that can be read nothing is asked for.
	_ = json.Unmarshal(body, &fields)
	text, _ := fields[name].(string)
	return text
}

// githubREST are what REST calls the roles of repositories that it takes, by their names.
var githubREST = map[string]string{"read": "pull", "triage": "triage", "write": "push", "maintain": "maintain", "admin": "admin"}

func (g *GitHub) team(t *GitHubTeam) map[string]any {
	return map[string]any{"id": t.ID, "slug": t.Slug, "name": t.Name, "privacy": "closed", "permission": "pull"}
}

func (g *GitHub) listTeams(c *githubCall) githubAnswer {
	var teams []any
	for _, t := range githubSorted(g.directory.Teams) {
		teams = append(teams, g.team(t))
	}
	return g.paged(c, "", teams)
}

func (g *GitHub) listTeamInvitations(c *githubCall) githubAnswer {
	team := g.directory.bySlug(c.args[1])
	if team == nil {
		return githubNotFound()
	}
	var invitations []any
	for _, i := range githubSorted(g.directory.Invitations) {
		if slices.Contains(i.Teams, team.ID) {
			invitations = append(invitations, g.invitation(i))
		}
	}
	return g.paged(c, "", invitations)
}

func (g *GitHub) listMappings(c *githubCall) githubAnswer {
	team := g.directory.bySlug(c.args[1])
	if team == nil {
		return githubNotFound()
	}
	groups := []any{}
	if team.Managed {
		groups = append(groups, map[string]any{"group_id": "g1", "group_name": "Invented"})
	}
	return githubJSON(http.StatusOK, map[string]any{"groups": groups})
}

func (g *GitHub) getTeam(c *githubCall) githubAnswer {
	team := g.directory.Teams[c.id(1)]
	if team == nil {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, g.team(team))
}

// place is a team and an account, if both are there.
func (g *GitHub) place(c *githubCall) (*GitHubTeam, *GitHubPerson) {
	return g.directory.Teams[c.id(1)], g.directory.byLogin(c.args[2])
}

func (g *GitHub) pending(team, person int64) *GitHubInvitation {
	for _, i := range githubSorted(g.directory.Invitations) {
		if i.Invitee == person && slices.Contains(i.Teams, team) {
			return i
		}
	}
	return nil
}

// getPlace counts who is in a team below as a member too.
func (g *GitHub) getPlace(c *githubCall) githubAnswer {
	team, person := g.place(c)
	if team == nil || person == nil {
		return githubNotFound()
	}
	role, state := team.Members[person.ID], "active"
	switch {
	case role == "" && g.directory.below(team.ID, person.ID):
		role = "member"
	case role == "" && g.pending(team.ID, person.ID) != nil:
		role, state = "member", "pending"
	case role == "":
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, map[string]any{"role": role, "state": state})
}

// putPlace gives a member a place; somebody else is invited to the organisation.
func (g *GitHub) putPlace(c *githubCall) githubAnswer {
	team, person := g.place(c)
	role := githubField(c.body, "role")
	switch {
	case team == nil || person == nil:
		return githubNotFound()
	case team.Managed:
		return githubRefusal(http.StatusForbidden, "This team is managed by team synchronization and cannot be changed.")
	case role != "member" && role != "maintainer":
		return githubRefusal(http.StatusUnprocessableEntity, "Validation Failed")
	case person.Role == "":
		id := GitHubID("invitation " + person.Login)
		g.change(func() {
			g.directory.Invitations[id] = &GitHubInvitation{ID: id, Invitee: person.ID, Role: "direct_member", Teams: []int64{team.ID}}
		})
		return githubJSON(http.StatusOK, map[string]any{"role": role, "state": "pending"})
	}
	g.change(func() {
		if team.Members[person.ID] == "" {
			g.tellPlace("team.add_member", team, person)
		}
		team.Members[person.ID] = role
	})
	return githubJSON(http.StatusOK, map[string]any{"role": role, "state": "active"})
}

func (g *GitHub) deletePlace(c *githubCall) githubAnswer {
	team, person := g.place(c)
	if team == nil || person == nil {
		return githubNotFound()
	}
	if team.Managed {
		return githubRefusal(http.StatusForbidden, "This team is managed by team synchronization and cannot be changed.")
	}
	if i := g.pending(team.ID, person.ID); i != nil {
		g.change(func() { i.Teams = slices.DeleteFunc(i.Teams, func(id int64) bool { return id == team.ID }) })
		return githubNothing()
	}
	if team.Members[person.ID] == "" {
		return githubNotFound()
	}
	g.change(func() {
		delete(team.Members, person.ID)
		g.tellPlace("team.remove_member", team, person)
	})
	return githubNothing()
}

func (g *GitHub) repo(r *GitHubRepo) map[string]any {
	return map[string]any{
		"id": r.ID, "name": r.Name, "full_name": cmp.Or(r.Owner, g.config.Org) + "/" + r.Name, "private": true, "visibility": "private",
		"owner": map[string]any{"login": cmp.Or(r.Owner, g.config.Org), "id": 2001, "type": "Organization"},
	}
}

func (g *GitHub) listRepos(c *githubCall) githubAnswer {
	var repos []any
	for _, r := range githubSorted(g.directory.Repos) {
		if r.Owner != "" || !g.may(c, "repo") {
			continue // They are private.
		}
		repos = append(repos, g.repo(r))
	}
	return g.paged(c, "", repos)
}

func (g *GitHub) getRepo(c *githubCall) githubAnswer {
	repo := g.directory.Repos[c.id(0)]
	if repo == nil {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, g.repo(repo))
}

func (g *GitHub) listRepoTeams(c *githubCall) githubAnswer {
	repo := g.directory.byName(c.args[1])
	if repo == nil {
		return githubNotFound()
	}
	var teams []any
	for _, t := range githubSorted(g.directory.Teams) {
		if role := repo.Teams[t.ID]; role != "" {
			team := g.team(t)
			team["permission"] = githubREST[role]
			teams = append(teams, team)
		}
	}
	return g.paged(c, "", teams)
}

func (g *GitHub) listKeys(c *githubCall) githubAnswer {
	repo := g.directory.byName(c.args[1])
	if repo == nil {
		return githubNotFound()
	}
	var keys []any
	for _, k := range githubSorted(repo.Keys) {
		keys = append(keys, map[string]any{
			"id": k.ID, "title": k.Title, "key": "ssh-ed25519 AAAAinvented", "read_only": k.ReadOnly, "created_at": githubTime(k.Created), "verified": true,
		})
	}
	return g.paged(c, "", keys)
}

func (g *GitHub) listRepoInvitations(c *githubCall) githubAnswer {
	repo := g.directory.byName(c.args[1])
	if repo == nil {
		return githubNotFound()
	}
	var invitations []any
	for _, i := range githubSorted(repo.Invitations) {
		invitation := map[string]any{"id": i.ID, "permissions": i.Role, "created_at": "2026-03-01T08:00:00Z"}
		if person := g.directory.People[i.Invitee]; person != nil {
			invitation["invitee"] = githubUser(person)
		}
		invitations = append(invitations, invitation)
	}
	return g.paged(c, "", invitations)
}

func (g *GitHub) deleteRepoInvitation(c *githubCall) githubAnswer {
	repo := g.directory.byName(c.args[1])
	if repo == nil || repo.Invitations[c.id(2)] == nil {
		return githubNotFound()
	}
	g.change(func() { delete(repo.Invitations, c.id(2)) })
	return githubNothing()
}

// putCollaborator gives a member a role at once, and invites somebody else.
func (g *GitHub) putCollaborator(c *githubCall) githubAnswer {
	repo, person := g.directory.byName(c.args[1]), g.directory.byLogin(c.args[2])
	role := ""
	for name, permission := range githubREST {
		if permission == githubField(c.body, "permission") {
			role = name
		}
	}
	switch {
	case repo == nil || person == nil:
		return githubNotFound()
	case role == "":
		return githubRefusal(http.StatusUnprocessableEntity, "Validation Failed")
	case person.Role == "" && repo.Collaborators[person.ID] == "":
		id := GitHubID("invitation " + repo.Name + " " + person.Login)
		g.change(func() { repo.Invitations[id] = &GitHubInvitation{ID: id, Invitee: person.ID, Role: role} })
		return githubJSON(http.StatusCreated, map[string]any{"id": id, "permissions": role, "invitee": githubUser(person)})
	}
	g.change(func() {
		repo.Collaborators[person.ID] = role
		g.tellCollaborator("repo.add_member", repo, person, role)
	})
	return githubNothing()
}

// deleteCollaborator says nothing where there was none.
func (g *GitHub) deleteCollaborator(c *githubCall) githubAnswer {
	repo, person := g.directory.byName(c.args[1]), g.directory.byLogin(c.args[2])
	if repo == nil || person == nil {
		return githubNotFound()
	}
	if repo.Collaborators[person.ID] != "" {
		g.change(func() {
			g.tellCollaborator("repo.remove_member", repo, person, repo.Collaborators[person.ID])
			delete(repo.Collaborators, person.ID)
		})
	}
	return githubNothing()
}

func (g *GitHub) listRoles(_ *githubCall) githubAnswer {
	roles := []any{}
	for _, r := range githubSorted(g.directory.Roles) {
		roles = append(roles, map[string]any{"id": r.ID, "name": r.Name})
	}
	return githubJSON(http.StatusOK, map[string]any{"total_count": len(roles), "roles": roles})
}

func (g *GitHub) getRole(c *githubCall) githubAnswer {
	role := g.directory.Roles[c.id(1)]
	if role == nil {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, map[string]any{"id": role.ID, "name": role.Name})
}

// listRoleUsers lists who holds a role in their own right or by a team.
func (g *GitHub) listRoleUsers(c *githubCall) githubAnswer {
	role := g.directory.Roles[c.id(1)]
	if role == nil {
		return githubNotFound()
	}
	var users []any
	for _, person := range githubSorted(g.directory.People) {
		teams := []any{}
		for _, t := range githubSorted(g.directory.Teams) {
			if role.Teams[t.ID] && t.Members[person.ID] != "" {
				teams = append(teams, g.team(t))
			}
		}
		assignment := "direct"
		switch {
		case !role.Users[person.ID] && len(teams) == 0:
			continue
		case !role.Users[person.ID]:
			assignment = "indirect"
		case len(teams) > 0:
			assignment = "mixed"
		}
		user := githubUser(person)
		user["assignment"], user["inherited_from"] = assignment, teams
		users = append(users, user)
	}
	return g.paged(c, "", users)
}

func (g *GitHub) listRoleTeams(c *githubCall) githubAnswer {
	role := g.directory.Roles[c.id(1)]
	if role == nil {
		return githubNotFound()
	}
	var teams []any
	for _, t := range githubSorted(g.directory.Teams) {
		if role.Teams[t.ID] {
			team := g.team(t)
			team["assignment"] = "direct"
			teams = append(teams, team)
		}
	}
	return g.paged(c, "", teams)
}

func (g *GitHub) putRole(c *githubCall) githubAnswer {
	person, role := g.directory.byLogin(c.args[1]), g.directory.Roles[c.id(2)]
	if person == nil || person.Role == "" || role == nil {
		return githubNotFound()
	}
	g.change(func() {
		role.Users[person.ID] = true
		g.tellRole("organization_role.assign", role, person)
	})
	return githubNothing()
}

func (g *GitHub) deleteRole(c *githubCall) githubAnswer {
	person, role := g.directory.byLogin(c.args[1]), g.directory.Roles[c.id(2)]
	if person == nil || role == nil || !role.Users[person.ID] {
		return githubNotFound()
	}
	g.change(func() {
		delete(role.Users, person.ID)
		g.tellRole("organization_role.revoke", role, person)
	})
	return githubNothing()
}
