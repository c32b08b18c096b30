// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"net/http"
	"slices"
	"strings"
)

// githubRight is what the personal token may do.
type githubRight struct {
	scopes string
	owner  bool
}

// SetScopes makes the personal token one of other scopes, as GitHubConfig.Scopes.
func (g *GitHub) SetScopes(scopes string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.right.scopes = scopes
}

// SetOwner makes the personal token's owner an owner of the organisation, or one whose role was taken: a
// member that is shown nothing.
func (g *GitHub) SetOwner(owner bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.right.owner = owner
}

func (g *GitHub) scopes() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.right.scopes
}

// may is whether the caller has one of the scopes and owns the organisation. Of fine-grained tokens nothing is known, so
// they may.
func (g *GitHub) may(c *githubCall, scopes ...string) bool {
	if c.isApp {
		return true
	}
	has := strings.FieldsFunc(g.right.scopes, func(r rune) bool { return r == ',' || r == ' ' })
	return g.right.owner && (g.right.scopes == "-" || slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(has, scope) }))
}

// hides is whether what a route shows or changes is hidden from the caller: GitHub answers then as if it were not there.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource
func (g *GitHub) hides(c *githubCall, path string) bool {
	reads := c.Method == http.MethodGet
	switch {
	case path == "/orgs/{}" || path == "/orgs/{}/hooks" || path == "/orgs/{}/repos":
		return false
	case strings.HasPrefix(path, "/repos/{}") || strings.HasPrefix(path, "/repositories/"):
		return !g.may(c, "repo")
	case path == "/orgs/{}/credential-authorizations/{}":
		return !g.may(c, "admin:org")
	case strings.HasPrefix(path, "/orgs/{}") || strings.HasPrefix(path, "/organizations/{}"):
		return reads && !g.may(c, "admin:org", "write:org", "read:org") || !reads && !g.may(c, "admin:org", "write:org")
	}
	return false
}
