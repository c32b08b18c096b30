// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is every endpoint there is: https://developer.okta.com/docs/api/openapi/okta-management/management/.
func (o *Okta) route() *http.ServeMux {
	mux := http.NewServeMux()
	// With a lock around it: what an endpoint sees and does is one step.
	locked := func(pattern, scope string, answer func(*http.Request) oktaAnswer) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			o.serve(w, r, scope, func(r *http.Request) oktaAnswer {
				o.directory.mu.Lock()
				defer o.directory.mu.Unlock()
				return answer(r)
			})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			oktaRefusal(http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method").write(w, r)
			return
		}
		oktaMissing("Endpoint", r.URL.Path).write(w, r)
	})
	mux.HandleFunc("POST "+oktaTokenPath, o.serveToken)
	mux.HandleFunc("GET /api/v1/logs", func(w http.ResponseWriter, r *http.Request) { o.serve(w, r, "okta.logs.read", o.serveLog) })
	locked("GET /api/v1/eventHooks", "okta.eventHooks.read", o.listHooks)

	locked("GET /api/v1/users", "okta.users.read", o.listUsers)
	locked("GET /api/v1/users/{user}", "okta.users.read", o.getUser)
	locked("GET /api/v1/users/{user}/groups", "okta.users.read", o.listUserGroups)
	locked("GET /api/v1/users/{user}/appLinks", "okta.users.read", o.listAppLinks)
	locked("GET /api/v1/users/{user}/grants", "okta.users.read", o.listUserGrants)
	locked("DELETE /api/v1/users/{user}/sessions", "okta.users.manage", o.endSessions)

	locked("GET /api/v1/groups", "okta.groups.read", o.listGroups)
	locked("GET /api/v1/groups/rules", "okta.groups.read", o.listRules)
	locked("GET /api/v1/groups/{group}", "okta.groups.read", o.getGroup)
	locked("GET /api/v1/groups/{group}/users", "okta.groups.read", o.listMembers)
	locked("PUT /api/v1/groups/{group}/users/{user}", "okta.groups.manage", o.addMember)
	locked("DELETE /api/v1/groups/{group}/users/{user}", "okta.groups.manage", o.removeMember)

	locked("GET /api/v1/apps", "okta.apps.read", o.listApps)
	locked("GET /api/v1/apps/{app}", "okta.apps.read", o.getApp)
	locked("GET /api/v1/apps/{app}/users", "okta.apps.read", o.listAppUsers)
	locked("GET /api/v1/apps/{app}/users/{user}", "okta.apps.read", o.getAppUser)
	locked("GET /api/v1/apps/{app}/groups", "okta.apps.read", o.listAppGroups)
	locked("GET /api/v1/apps/{app}/grants", "okta.appGrants.read", o.listAppGrants)
	locked("POST /api/v1/apps/{app}/users", "okta.apps.manage", o.assign)
	locked("DELETE /api/v1/apps/{app}/users/{user}", "okta.apps.manage", o.unassign)
	locked("POST /api/v1/apps/{app}/grants", "okta.appGrants.manage", o.grantScope)
	locked("DELETE /api/v1/apps/{app}/grants/{grant}", "okta.appGrants.manage", o.revokeGrant)
	locked("DELETE /api/v1/apps/{app}/tokens", "okta.apps.manage", o.endTokens)

	locked("GET /api/v1/iam/assignees/users", "okta.roles.read", o.listAssignees)
	locked("GET /api/v1/iam/roles/{role}", "okta.roles.read", o.getCustomRole)
	for _, holders := range []string{"/api/v1/users/{holder}", "/api/v1/groups/{holder}", "/oauth2/v1/clients/{holder}"} {
		locked("GET "+holders+"/roles", "okta.roles.read", o.listRoles)
		locked("GET "+holders+"/roles/{assignment}", "okta.roles.read", o.getRole)
		locked("GET "+holders+"/roles/{assignment}/targets/groups", "okta.roles.read", o.listTargets)
		locked("GET "+holders+"/roles/{assignment}/targets/catalog/apps", "okta.roles.read", o.listTargets)
	}
	locked("POST /api/v1/users/{holder}/roles", "okta.roles.manage", o.giveRole)
	locked("DELETE /api/v1/users/{holder}/roles/{assignment}", "okta.roles.manage", o.takeRole)
	locked("GET /api/v1/api-tokens", "okta.apiTokens.read", o.listTokens)
	return mux
}

// paged is the page of a list in the order of keys that a request asks for. Its cursor is the last key of the page
// before: what appears behind it meanwhile is shown, what appears before it is not.
func paged[T any](r *http.Request, usual, least, most int, list map[string]T, show func(T) any) oktaAnswer {
	query := r.URL.Query()
	limit := usual
	if text := query.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < least || limit > most {
			return oktaInvalid(fmt.Sprintf("'limit': must be a number from %d to %d.", least, most))
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(query.Get("after"))
	if err != nil {
		return oktaRefusal(http.StatusBadRequest, "E0000029", "Invalid paging request.")
	}
	page, last := []any{}, ""
	for _, key := range slices.Sorted(maps.Keys(list)) {
		if key <= string(after) {
			continue
		}
		if len(page) == limit {
			query.Set("after", base64.RawURLEncoding.EncodeToString([]byte(last)))
			answer := oktaJSON(http.StatusOK, page)
			answer.next = query.Encode()
			return answer
		}
		page, last = append(page, show(list[key])), key
	}
	return oktaJSON(http.StatusOK, page)
}

// picked is the values of a map that pick says.
func picked[T any](values map[string]T, pick func(T) bool) map[string]T {
	some := map[string]T{}
	for key, value := range values {
		if pick(value) {
			some[key] = value
		}
	}
	return some
}

// keyed is a list as a map.
func keyed[T any](list []T, key func(T) string) map[string]T {
	values := map[string]T{}
	for _, value := range list {
		values[key(value)] = value
	}
	return values
}

// oktaTime is a time as Okta writes it, null where there is none.
func oktaTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (u OktaUser) json() any {
	return map[string]any{
		"id": u.ID, "status": u.Status, "created": oktaTime(u.Created), "lastLogin": oktaTime(u.LastLogin), "type": map[string]any{"id": "otyInvented"},
		"profile": map[string]any{
			"login": u.Login, "email": u.Email, "secondEmail": nil, "firstName": u.First, "lastName": u.Last, "employeeNumber": oktaNull(u.Number),
		},
	}
}

func (g OktaGroup) json() map[string]any {
	return map[string]any{"id": g.ID, "type": g.Type, "profile": map[string]any{"name": g.Name, "description": nil}, "objectClass": []string{"okta:user_group"}}
}

func (a OktaApp) json() any {
	app := map[string]any{
		"id": a.ID, "name": a.Name, "label": a.Label, "status": a.Status, "signOnMode": a.SignOn, "features": a.Features, "created": oktaTime(a.Created),
		"settings": map[string]any{},
	}
	if a.SignOn == "OPENID_CONNECT" {
		kind := "web"
		if a.Service {
			kind = "service"
		}
		app["settings"] = map[string]any{"oauthClient": map[string]any{"application_type": kind}}
		app["credentials"] = map[string]any{"oauthClient": map[string]any{"client_id": a.ID}}
	}
	return app
}

func (g OktaGrant) json() any {
	grant := map[string]any{
		"id": g.ID, "status": "ACTIVE", "clientId": g.App, "scopeId": g.Scope, "source": "ADMIN", "created": oktaTime(g.Created),
		"issuer": "https://invented.example.com",
	}
	if g.User != "" {
		grant["userId"], grant["source"] = g.User, "END_USER"
	}
	return grant
}

func (o *Okta) listUsers(r *http.Request) oktaAnswer {
	status, filtered := "", r.URL.Query().Get("filter")
	if filtered != "" {
		var ok bool
		if status, ok = strings.CutPrefix(filtered, `status eq "`); !ok {
			return oktaRefusal(http.StatusBadRequest, "E0000031", "Invalid search criteria.")
		}
		status = strings.TrimSuffix(status, `"`)
	}
	people := picked(o.directory.people, func(u OktaUser) bool {
		return filtered == "" && u.Status != "DEPROVISIONED" || filtered != "" && u.Status == status
	})
	return paged(r, 200, 1, 200, people, OktaUser.json)
}

func (o *Okta) getUser(r *http.Request) oktaAnswer {
	id := r.PathValue("user")
	if id == "me" {
		id = o.config.Owner
	}
	if user, there := o.directory.people[id]; there {
		return oktaJSON(http.StatusOK, user.json())
	}
	// By login as well, which is a trap for who takes an id for granted.
	for _, user := range o.directory.people {
		if user.Login == id {
			return oktaJSON(http.StatusOK, user.json())
		}
	}
	return oktaMissing("User", id)
}

func (o *Okta) listUserGroups(r *http.Request) oktaAnswer {
	d, user := o.directory, r.PathValue("user")
	if _, there := d.people[user]; !there {
		return oktaMissing("User", user)
	}
	return paged(r, 10_000, 1, 10_000, picked(d.groups, func(g OktaGroup) bool { return d.members[g.ID][user] }), func(g OktaGroup) any { return g.json() })
}

func (o *Okta) listUserGrants(r *http.Request) oktaAnswer {
	d, user := o.directory, r.PathValue("user")
	if _, there := d.people[user]; !there {
		return oktaMissing("User", user)
	}
	return paged(r, 20, 1, 200, picked(d.grants, func(g OktaGrant) bool { return g.User == user }), OktaGrant.json)
}

func (o *Okta) listGroups(r *http.Request) oktaAnswer {
	d := o.directory
	return paged(r, 10_000, 1, 10_000, d.groups, func(g OktaGroup) any {
		shown := g.json()
		if r.URL.Query().Get("expand") == "stats" {
			admin := len(picked(d.roles, func(role OktaRole) bool { return role.Holder == g.ID })) > 0
			// Spelt so by Okta.
			shown["_embedded"] = map[string]any{"stats": map[string]any{"usersCount": len(d.members[g.ID]), "hasAdminPrivlege": admin}}
		}
		return shown
	})
}

func (o *Okta) getGroup(r *http.Request) oktaAnswer {
	group, there := o.directory.groups[r.PathValue("group")]
	if !there {
		return oktaMissing("UserGroup", r.PathValue("group"))
	}
	return oktaJSON(http.StatusOK, group.json())
}

func (o *Okta) listRules(r *http.Request) oktaAnswer {
	return paged(r, 50, 1, 200, o.directory.rules, func(rule OktaRule) any {
		status := "ACTIVE"
		if rule.Inactive {
			status = "INACTIVE"
		}
		return map[string]any{
			"id": rule.ID, "type": "group_rule", "status": status, "name": rule.Name,
			"actions": map[string]any{"assignUserToGroups": map[string]any{"groupIds": rule.Groups}},
		}
	})
}

func (o *Okta) listMembers(r *http.Request) oktaAnswer {
	d, group := o.directory, r.PathValue("group")
	if _, there := d.groups[group]; !there {
		return oktaMissing("UserGroup", group)
	}
	return paged(r, 1000, 1, 1000, picked(d.people, func(u OktaUser) bool { return d.members[group][u.ID] }), OktaUser.json)
}

func (o *Okta) listTokens(r *http.Request) oktaAnswer {
	return paged(r, 200, 1, 200, o.directory.tokens, func(t OktaToken) any {
		return map[string]any{
			"id": t.ID, "name": t.Name, "userId": t.User, "clientName": "Okta API", "tokenWindow": "P30D",
			"created": oktaTime(t.Created), "lastUpdated": oktaTime(t.Created), "expiresAt": oktaTime(t.Expires),
		}
	})
}

func (o *Okta) listHooks(r *http.Request) oktaAnswer {
	return paged(r, 200, 1, 200, o.directory.hooks, func(h OktaHook) any {
		status, verified := "ACTIVE", "VERIFIED"
		if h.Inactive {
			status = "INACTIVE"
		}
		if h.Unverified {
			verified = "UNVERIFIED"
		}
		return map[string]any{
			"id": h.ID, "name": h.Name, "status": status, "verificationStatus": verified,
			"events": map[string]any{"type": "EVENT_TYPE", "items": h.Events},
		}
	})
}
