// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

func (o *Okta) listApps(r *http.Request) oktaAnswer {
	apps := o.directory.apps
	if r.URL.Query().Get("includeNonDeleted") != "true" {
		apps = picked(apps, func(a OktaApp) bool { return a.Status == "ACTIVE" })
	}
	return paged(r, 20, 1, 200, apps, OktaApp.json)
}

func (o *Okta) getApp(r *http.Request) oktaAnswer {
	app, there := o.directory.apps[r.PathValue("app")]
	if !there {
		return oktaMissing("AppInstance", r.PathValue("app"))
	}
	return oktaJSON(http.StatusOK, app.json())
}

func (u OktaAppUser) json() any {
	scope := "USER"
	if u.ByGroup {
		scope = "GROUP"
	}
	return map[string]any{"id": u.User, "status": "ACTIVE", "scope": scope, "externalId": oktaNull(u.External)}
}

func (o *Okta) listAppUsers(r *http.Request) oktaAnswer {
	app := r.PathValue("app")
	if _, there := o.directory.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	users := keyed(o.directory.appUsers(app), func(u OktaAppUser) string { return u.User })
	return paged(r, 50, 1, 500, users, OktaAppUser.json)
}

func (o *Okta) getAppUser(r *http.Request) oktaAnswer {
	app, user := r.PathValue("app"), r.PathValue("user")
	if _, there := o.directory.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	for _, has := range o.directory.appUsers(app) {
		if has.User == user {
			return oktaJSON(http.StatusOK, has.json())
		}
	}
	return oktaMissing("AppUser", user)
}

// listAppLinks shows the apps that a person has, by a group as well, on one page.
func (o *Okta) listAppLinks(r *http.Request) oktaAnswer {
	d, user := o.directory, r.PathValue("user")
	if _, there := d.people[user]; !there {
		return oktaMissing("User", user)
	}
	links := []any{}
	for _, app := range ordered(d.apps) {
		for _, has := range d.appUsers(app.ID) {
			if has.User == user {
				links = append(links, map[string]any{"appInstanceId": app.ID, "appName": app.Name, "label": app.Label})
			}
		}
	}
	return oktaJSON(http.StatusOK, links)
}

func (o *Okta) listAppGroups(r *http.Request) oktaAnswer {
	d, app := o.directory, r.PathValue("app")
	if _, there := d.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	groups := picked(d.groups, func(g OktaGroup) bool { return d.appGroups[app][g.ID] })
	return paged(r, 20, 20, 200, groups, func(g OktaGroup) any { return map[string]any{"id": g.ID, "priority": 0} })
}

func (o *Okta) listAppGrants(r *http.Request) oktaAnswer {
	app := r.PathValue("app")
	if _, there := o.directory.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	return paged(r, 200, 1, 200, picked(o.directory.grants, func(g OktaGrant) bool { return g.App == app && g.User == "" }), OktaGrant.json)
}

// change makes a change, except on a day on which the vendor says so and does not.
func (o *Okta) change(make func(d *oktaDirectory)) {
	if o.faults.lies() {
		return
	}
	make(o.directory)
	o.directory.changes++
}

// member says whether a group's members may be changed, and whether the person is there.
func (o *Okta) member(r *http.Request) (group, person string, refusal *oktaAnswer) {
	group, person = r.PathValue("group"), r.PathValue("user")
	g, there := o.directory.groups[group]
	_, exists := o.directory.people[person]
	var answer oktaAnswer
	switch {
	case !there:
		answer = oktaMissing("UserGroup", group)
	case !exists:
		answer = oktaMissing("User", person)
	case g.Type == "BUILT_IN":
		answer = oktaRefusal(http.StatusNotImplemented, "E0000060", "Unsupported operation.")
	case g.Type != "OKTA_GROUP":
		answer = oktaRefusal(http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action")
	default:
		return group, person, nil
	}
	return "", "", &answer
}

func (o *Okta) addMember(r *http.Request) oktaAnswer    { return o.setMember(r, true) }
func (o *Okta) removeMember(r *http.Request) oktaAnswer { return o.setMember(r, false) }

func (o *Okta) setMember(r *http.Request, there bool) oktaAnswer {
	group, person, refusal := o.member(r)
	if refusal != nil {
		return *refusal
	}
	// Done twice is answered as done once.
	if o.directory.members[group][person] != there {
		o.change(func(d *oktaDirectory) {
			d.relate(d.members, group, person, there)
			o.tellMember(group, person, there)
		})
	}
	return oktaAnswer{status: http.StatusNoContent}
}

// readBody reads a JSON body; a second value of false says that it is none.
func readBody[T any](r *http.Request) (value T, ok bool) {
	text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	return value, err == nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && json.Unmarshal(text, &value) == nil
}

func (o *Okta) assign(r *http.Request) oktaAnswer {
	d, app := o.directory, r.PathValue("app")
	body, ok := readBody[struct{ ID, Scope string }](r)
	user, exists := d.people[body.ID]
	_, there := d.apps[app]
	switch {
	case !ok:
		return oktaRefusal(http.StatusBadRequest, "E0000003", "The request body was not well-formed.")
	case !there:
		return oktaMissing("AppInstance", app)
	case !exists:
		return oktaMissing("User", body.ID)
	case user.Status != "ACTIVE" && user.Status != "PROVISIONED" && user.Status != "STAGED":
		return oktaRefusal(http.StatusForbidden, "E0000117", "Cannot assign apps or update app profiles for an inactive user.")
	case d.assigned[app][body.ID]:
		return oktaRefusal(http.StatusConflict, "E0000062", "The specified user is already assigned to the application.")
	}
	o.change(func(d *oktaDirectory) {
		d.relate(d.assigned, app, body.ID, true)
		o.tellAssigned(app, body.ID, true)
	})
	return oktaJSON(http.StatusOK, OktaAppUser{User: body.ID, External: d.external[app][body.ID]}.json())
}

func (o *Okta) unassign(r *http.Request) oktaAnswer {
	d, app, user := o.directory, r.PathValue("app"), r.PathValue("user")
	for _, has := range d.appUsers(app) {
		if has.User != user {
			continue
		}
		for group := range d.appGroups[app] {
			if d.members[group][user] {
				return oktaRefusal(http.StatusForbidden, "E0000046", "Deactivate application for user forbidden.",
					"The application cannot be unassigned from the user while their group memberships grant them access")
			}
		}
		o.change(func(d *oktaDirectory) {
			d.relate(d.assigned, app, user, false)
			o.tellAssigned(app, user, false)
		})
		return oktaAnswer{status: http.StatusNoContent}
	}
	return oktaMissing("AppUser", user)
}

func (o *Okta) grantScope(r *http.Request) oktaAnswer {
	d, app := o.directory, r.PathValue("app")
	body, ok := readBody[struct{ ScopeID, Issuer string }](r)
	if _, there := d.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	if !ok || !strings.HasPrefix(body.ScopeID, "okta.") || body.Issuer != "http://"+r.Host {
		return oktaInvalid("scopeId: not a scope of this issuer.")
	}
	grant := OktaGrant{ID: d.newID("oag"), App: app, Scope: body.ScopeID}
	for _, has := range d.grants {
		if has.App == app && has.User == "" && has.Scope == body.ScopeID {
			return oktaJSON(http.StatusCreated, has.json())
		}
	}
	o.change(func(d *oktaDirectory) { d.grants[grant.ID] = grant })
	return oktaJSON(http.StatusCreated, grant.json())
}

func (o *Okta) revokeGrant(r *http.Request) oktaAnswer {
	id := r.PathValue("grant")
	if grant, there := o.directory.grants[id]; !there || grant.App != r.PathValue("app") {
		return oktaMissing("OAuth2ScopeConsentGrant", id)
	}
	o.change(func(d *oktaDirectory) { delete(d.grants, id) })
	return oktaAnswer{status: http.StatusNoContent}
}

func (o *Okta) endSessions(r *http.Request) oktaAnswer {
	user := r.PathValue("user")
	if _, there := o.directory.people[user]; !there {
		return oktaMissing("User", user)
	}
	if r.URL.Query().Get("oauthTokens") != "true" {
		return oktaInvalid(fmt.Sprintf("this fake wants oauthTokens=true, not %q.", r.URL.RawQuery))
	}
	o.change(func(d *oktaDirectory) { d.ended[user]++ })
	return oktaAnswer{status: http.StatusNoContent}
}

func (o *Okta) endTokens(r *http.Request) oktaAnswer {
	app := r.PathValue("app")
	if _, there := o.directory.apps[app]; !there {
		return oktaMissing("AppInstance", app)
	}
	o.change(func(d *oktaDirectory) { d.ended[app]++ })
	return oktaAnswer{status: http.StatusNoContent}
}
