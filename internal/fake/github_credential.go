// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"net/http"
	"time"
)

func (g *GitHub) listInstallations(c *githubCall) githubAnswer {
	var installations []any
	for _, i := range githubSorted(g.directory.Installations) {
		var suspended any
		if i.Suspended {
			suspended = githubTime(i.Created.Add(time.Hour))
		}
		installations = append(installations, map[string]any{
			"id": i.ID, "client_id": i.ClientID, "app_id": i.ID + 1, "app_slug": i.Slug, "permissions": i.Permissions,
			"created_at": githubTime(i.Created), "suspended_at": suspended, "repository_selection": "all",
		})
	}
	return g.paged(c, "installations", installations)
}

func (g *GitHub) getApp(c *githubCall) githubAnswer {
	clientID := g.directory.Apps[c.args[0]]
	if clientID == "" {
		return githubNotFound()
	}
	return githubJSON(http.StatusOK, map[string]any{"id": 1, "client_id": clientID, "slug": c.args[0]})
}

func (g *GitHub) deleteInstallation(c *githubCall) githubAnswer {
	if c.args[0] != g.config.Enterprise || g.directory.Installations[c.id(2)] == nil {
		return githubNotFound()
	}
	g.change(func() { delete(g.directory.Installations, c.id(2)) })
	return githubNothing()
}

func (g *GitHub) listCredentials(c *githubCall) githubAnswer {
	if !g.directory.SingleSignOn {
		return githubNotFound()
	}
	var credentials []any
	for _, credential := range githubSorted(g.directory.Credentials) {
		owner := g.directory.People[credential.Owner]
		if owner == nil || c.URL.Query().Get("login") != "" && c.URL.Query().Get("login") != owner.Login {
			continue
		}
		item := map[string]any{
			"login": owner.Login, "credential_id": credential.ID, "credential_type": "personal access token", "token_last_eight": "invented",
			"credential_authorized_at": githubTime(credential.Authorized), "credential_accessed_at": githubTime(credential.Accessed),
			"scopes": credential.Scopes, "authorized_credential_note": credential.Name,
		}
		if credential.SSHKey {
			item["credential_type"], item["authorized_credential_title"] = "SSH key", credential.Name
			delete(item, "authorized_credential_note")
		}
		credentials = append(credentials, item)
	}
	return g.paged(c, "", credentials)
}

func (g *GitHub) deleteCredential(c *githubCall) githubAnswer {
	if g.directory.Credentials[c.id(1)] == nil {
		return githubNotFound()
	}
	g.change(func() { delete(g.directory.Credentials, c.id(1)) })
	return githubNothing()
}

func (g *GitHub) listTokens(c *githubCall) githubAnswer {
	var tokens []any
	for _, t := range githubSorted(g.directory.Tokens) {
		owner := g.directory.People[t.Owner]
		if owner == nil || c.URL.Query().Has("owner[]") && c.URL.Query().Get("owner[]") != owner.Login {
			continue
		}
		tokens = append(tokens, map[string]any{
			"id": t.ID, "token_id": t.TokenID, "token_name": t.Name, "owner": githubUser(owner), "access_granted_at": githubTime(t.Granted),
			"token_last_used_at": nil, "token_expires_at": nil,
			"permissions": map[string]any{"organization": map[string]string{}, "repository": t.Permissions, "other": map[string]string{}},
		})
	}
	return g.paged(c, "", tokens)
}

func (g *GitHub) revokeToken(c *githubCall) githubAnswer {
	if g.directory.Tokens[c.id(1)] == nil || githubField(c.body, "action") != "revoke" {
		return githubNotFound()
	}
	g.change(func() { delete(g.directory.Tokens, c.id(1)) })
	return githubNothing()
}
