// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The objects of Graph, each with what is read of it: https://learn.microsoft.com/graph/api/overview. Fields that are not
// asked for are not shown.

// user is a person of the tenant, or a guest.
type user struct {
	ID      string   `json:"id"`
	Login   string   `json:"userPrincipalName"`
	Name    string   `json:"displayName"`
	Mail    string   `json:"mail"`
	Proxies []string `json:"proxyAddresses"`
	Number  string   `json:"employeeId"`
	Synced  string   `json:"onPremisesImmutableId"`
	Enabled *bool    `json:"accountEnabled"`
	Created string   `json:"createdDateTime"`
	Type    string   `json:"userType"`
	State   string   `json:"externalUserState"`
}

const userFields = "$select=id,userPrincipalName,displayName,mail,proxyAddresses,employeeId,onPremisesImmutableId,accountEnabled,createdDateTime,userType,externalUserState"

// account is the user as an entry. Service accounts and shared mailboxes look like people in Graph.
func (u *user) account() *curfewv1.Account {
	account := &curfewv1.Account{
		Id: event.Clean(u.ID), Login: event.Clean(u.Login), Name: event.Clean(u.Name), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
		Guest: u.isGuest(), Created: event.ParseTime(u.Created),
	}
	for _, address := range u.addresses() {
		account.Emails = append(account.Emails, event.Clean(address))
	}
	if u.Number != "" {
		account.Links = append(account.Links, event.Clean("employee:"+u.Number))
	}
	if u.Synced != "" {
		account.Links = append(account.Links, event.Clean("onpremises:"+u.Synced))
	}
	switch {
	case u.Enabled != nil && !*u.Enabled:
		account.Status = "suspended"
	case u.State == "PendingAcceptance":
		account.Status = "invited"
	case u.Enabled != nil:
		account.Status = "active"
	}
	return account
}

func (u *user) isGuest() bool { return u.Type == "Guest" }

// addresses is where mail to the user goes, the main address first.
func (u *user) addresses() []string {
	var all []string
	add := func(address string) {
		if address != "" && !slices.ContainsFunc(all, func(known string) bool { return strings.EqualFold(known, address) }) {
			all = append(all, address)
		}
	}
	add(u.Mail)
	for _, proxy := range u.Proxies {
		// "SMTP:" is the main one's, "smtp:" the others'; there are x500: and sip: too.
		if kind, address, ok := strings.Cut(proxy, ":"); ok && strings.EqualFold(kind, "smtp") {
			add(address)
		}
	}
	return all
}

// isNamed is whether the user goes by a name that was written down earlier. Who is renamed keeps the old address as a
// further one, as a rule.
func (u *user) isNamed(name string) bool {
	return strings.EqualFold(u.Login, name) || slices.ContainsFunc(u.addresses(), func(address string) bool { return strings.EqualFold(address, name) })
}

// group is a group of any kind.
type group struct {
	ID           string   `json:"id"`
	Name         string   `json:"displayName"`
	Types        []string `json:"groupTypes"`
	Mail         bool     `json:"mailEnabled"`
	Synced       bool     `json:"onPremisesSyncEnabled"`
	Provisioning []string `json:"resourceProvisioningOptions"`
	ForRoles     bool     `json:"isAssignableToRole"`
}

const groupFields = "$select=id,displayName,groupTypes,mailEnabled,onPremisesSyncEnabled,resourceProvisioningOptions,isAssignableToRole"

func (g *group) isDynamic() bool { return slices.Contains(g.Types, "DynamicMembership") }
func (g *group) isUnified() bool { return slices.Contains(g.Types, "Unified") }
func (g *group) isTeam() bool    { return slices.Contains(g.Provisioning, "Team") }

func (g *group) entry() *curfewv1.Group {
	entry := &curfewv1.Group{Id: event.Clean(g.ID), Name: event.Clean(g.Name), Type: "group"}
	if g.isTeam() {
		entry.Type = "team"
	}
	switch {
	case g.isDynamic():
		entry.ManagedBy = "rule"
	case g.Synced:
		entry.ManagedBy = "directory"
	}
	return entry
}

// member is an object in a list of several kinds.
type member struct {
	Type string `json:"@odata.type"`
	ID   string `json:"id"`
}

const (
	typeUser      = "#microsoft.graph.user"
	typeGroup     = "#microsoft.graph.group"
	typePrincipal = "#microsoft.graph.servicePrincipal"
)

// holderType is a kind in the contract's words; "" for what holds nothing there, such as a device.
func (m *member) holderType() string {
	return map[string]string{typeUser: "account", typeGroup: "group", typePrincipal: "app"}[m.Type]
}

// principal is a service principal: an app as the tenant uses it.
type principal struct {
	ID        string `json:"id"`
	AppID     string `json:"appId"`
	Name      string `json:"displayName"`
	Enabled   *bool  `json:"accountEnabled"`
	Owner     string `json:"appOwnerOrganizationId"`
	Publisher struct {
		Name string `json:"displayName"`
	} `json:"verifiedPublisher"`
	Roles   []appRole    `json:"appRoles"`
	Secrets []credential `json:"passwordCredentials"`
	Keys    []credential `json:"keyCredentials"`
}

// microsoft is the tenant that makes Microsoft's own apps. That it makes them all is not confirmed.
const microsoft = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

func (p *principal) status() string {
	switch {
	case p.Enabled == nil:
		return ""
	case *p.Enabled:
		return "active"
	}
	return "suspended"
}

// isNamed is whether the app goes by a name that was written down earlier: its client id, or what people call it.
func (p *principal) isNamed(name string) bool {
	return strings.EqualFold(p.AppID, name) || p.Name == name
}

// appRole is an application permission that an app offers to others.
type appRole struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// credential is a secret or a certificate. Graph shows the first letters of a secret as its hint, which is not read.
type credential struct {
	ID      string `json:"keyId"`
	Name    string `json:"displayName"`
	Created string `json:"startDateTime"`
	Expires string `json:"endDateTime"`
}

// assignment is a directory role that somebody holds, or by PIM's lists when that ends or that they may activate it.
type assignment struct {
	ID       string `json:"id"`
	Role     string `json:"roleDefinitionId"`
	Holder   string `json:"principalId"`
	Scope    string `json:"directoryScopeId"`
	AppScope string `json:"appScopeId"`
	Ends     string `json:"endDateTime"`
	Through  string `json:"memberType"`
	Object   member `json:"principal"`
}

// scope is on what the role holds, as a resource path; "" for everything.
func (a *assignment) scope() string {
	if scope := strings.TrimPrefix(a.Scope, "/"); scope != "" || a.AppScope == "" {
		return scope
	}
	return strings.TrimPrefix(a.AppScope, "/")
}

func (a *assignment) key() string { return strings.TrimSuffix(a.Role+"/"+a.Holder+"/"+a.scope(), "/") }

// permissionGrant is consent to delegated permissions.
type permissionGrant struct {
	ID        string `json:"id"`
	Client    string `json:"clientId"`
	Kind      string `json:"consentType"`
	Principal string `json:"principalId"`
	Resource  string `json:"resourceId"`
	Scope     string `json:"scope"`
}

// roleGiven is an application permission, or a place in an app, that somebody was given.
type roleGiven struct {
	ID         string `json:"id"`
	Role       string `json:"appRoleId"`
	Holder     string `json:"principalId"`
	HolderType string `json:"principalType"`
	Resource   string `json:"resourceId"`
	Created    string `json:"createdDateTime"`
}
