// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The objects of Okta's management API, each with what is read of it:
// https://developer.okta.com/docs/api/openapi/okta-management/management/.

// link is a link to something.
type link struct {
	Href string `json:"href"`
}

// user is a person of the org.
type user struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Created   string `json:"created"`
	LastLogin string `json:"lastLogin"`
	Profile   struct {
		Login       string `json:"login"`
		Email       string `json:"email"`
		SecondEmail string `json:"secondEmail"`
		FirstName   string `json:"firstName"`
		LastName    string `json:"lastName"`
		DisplayName string `json:"displayName"`
		Number      string `json:"employeeNumber"`
	} `json:"profile"`
}

// account is the user as an entry. Service accounts that somebody made as users look like people in Okta.
func (u *user) account() *curfewv1.Account {
	account := &curfewv1.Account{
		Id: event.Clean(u.ID), Login: event.Clean(u.Profile.Login), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: status(u.Status),
		Name:    event.Clean(cmp.Or(u.Profile.DisplayName, strings.TrimSpace(u.Profile.FirstName+" "+u.Profile.LastName))),
		Created: event.ParseTime(u.Created), LastLogin: event.ParseTime(u.LastLogin),
	}
	// The second address is the person's own to set, and is for getting a password back.
	if u.Profile.Email != "" {
		account.Emails = []string{event.Clean(u.Profile.Email)}
	}
	if u.Profile.Number != "" {
		account.Links = []string{event.Clean("employee:" + u.Profile.Number)}
	}
	return account
}

// isNamed is whether the user goes by a name that was written down earlier. Okta never gives an id away again, so far as
// is known (not confirmed); a login or an address changes, most often of both only what is behind the @.
func (u *user) isNamed(name string) bool {
	local := func(address string) string {
		before, _, _ := strings.Cut(address, "@")
		return before
	}
	for _, known := range []string{u.Profile.Login, u.Profile.Email, u.Profile.SecondEmail} {
		if known != "" && (strings.EqualFold(known, name) || strings.EqualFold(local(known), local(name))) {
			return true
		}
	}
	return false
}

// status is a status in the contract's words, or Okta's own: an account that is locked or has to change its password is
// neither active nor suspended.
func status(text string) string {
	switch text {
	case "ACTIVE":
		return "active"
	case "SUSPENDED", "INACTIVE":
		return "suspended"
	case "STAGED", "PROVISIONED":
		return "invited"
	case "DEPROVISIONED":
		return "deleted"
	}
	return event.Clean(text)
}

// group is a group.
type group struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Profile struct {
		Name string `json:"name"`
	} `json:"profile"`
	Embedded struct {
		Stats struct {
			// Spelt so by Okta. Nil where the list was not asked for it.
			Admin *bool `json:"hasAdminPrivlege"`
		} `json:"stats"`
	} `json:"_embedded"`
}

// rule is a group rule.
type rule struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Actions struct {
		Assign struct {
			GroupIDs []string `json:"groupIds"`
		} `json:"assignUserToGroups"`
	} `json:"actions"`
}

// app is an application.
type app struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Label    string   `json:"label"`
	Status   string   `json:"status"`
	SignOn   string   `json:"signOnMode"`
	Created  string   `json:"created"`
	Features []string `json:"features"`
	Settings struct {
		OAuth struct {
			Type string `json:"application_type"`
		} `json:"oauthClient"`
	} `json:"settings"`
}

// isOAuth is whether an app can ask for tokens, so have scopes granted.
func (a *app) isOAuth() bool { return a.SignOn == "OPENID_CONNECT" }

// isOktas is whether it is a part of Okta itself, such as the Admin Console, which nobody grants scopes to and which may
// refuse to be asked. That these are all of them is not confirmed.
func (a *app) isOktas() bool { return a.Name == "saasure" || strings.HasPrefix(a.Name, "okta_") }

// isService is whether an app acts in its own name, so can hold administrator roles.
func (a *app) isService() bool { return a.isOAuth() && a.Settings.OAuth.Type == "service" }

// provisions is whether Okta makes or imports the accounts of an app, so knows their ids there.
func (a *app) provisions() bool { return len(a.Features) > 0 && a.Status == "ACTIVE" }

// appUser is a person's place in an app.
type appUser struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Scope    string `json:"scope"`
	External string `json:"externalId"`
}

// appLink is an app among those that a person has.
type appLink struct {
	App string `json:"appInstanceId"`
}

// consent is a grant of one scope to an app.
type consent struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	ClientID string `json:"clientId"`
	UserID   string `json:"userId"`
	ScopeID  string `json:"scopeId"`
	Created  string `json:"created"`
}

// isActive is whether a grant or an assignment is in force; Okta leaves the status out where there is but one.
func isActive(status string) bool { return status == "" || status == "ACTIVE" }

// role is the assignment of an administrator role.
type role struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Label  string `json:"label"`
	Status string `json:"status"`
	// By is "USER", "GROUP" or "CLIENT".
	By string `json:"assignmentType"`
	// Role and Set are there for custom roles alone.
	Role  string `json:"role"`
	Set   string `json:"resource-set"`
	Links struct {
		Assignee link `json:"assignee"`
	} `json:"_links"`
}

const customRole = "CUSTOM"

// key is what names the role: a custom role's id, and the type of any other.
func (r *role) key() string {
	if r.Type == customRole {
		return r.Role
	}
	return r.Type
}

// targets is the list of what a role can be limited to; "" where it cannot:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/RoleBTargetAdmin/.
func (r *role) targets() string {
	switch r.Type {
	case "USER_ADMIN", "HELP_DESK_ADMIN", "GROUP_MEMBERSHIP_ADMIN":
		return "groups"
	case "APP_ADMIN":
		return "catalog/apps"
	}
	return ""
}

// apiToken is what Okta shows of an API token.
type apiToken struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	UserID  string `json:"userId"`
	Created string `json:"created"`
	Expires string `json:"expiresAt"`
}

// isID is whether text can be an id of Okta's: what is none could lead a request elsewhere.
func isID(text string) bool {
	return text != "" && len(text) <= 100 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// at is a path with an id in it.
func at(before, id string, after ...string) string {
	return before + url.PathEscape(id) + strings.Join(after, "")
}
