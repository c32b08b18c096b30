// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"fmt"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// target is what an act in the directory was done to.
type target struct {
	party
	properties []property
}

// directoryObject is what a record of Entra ID was about.
func (d *decoding) directoryObject() *curfewv1.Resource {
	to := target{partyOf(d.Target), d.Modified.items}
	if strings.HasPrefix(d.operation, "UserLog") || d.RecordType.Text == "15" || d.RecordType.Text == "9" {
		// What was signed in to.
		return d.thing("app", to.name, cmp.Or(named(d.ObjectID.Text), to.app, to.id, named(d.ApplicationID.Text)))
	}
	if to.id == "" && to.upn == "" && to.app == "" && to.name == "" {
		to.id = named(d.ObjectID.Text)
	}
	return d.directory(d.operation, []target{to})
}

// given is the application to which a record gives access, or from which it takes access away; nil for records of other
// acts.
func (d *decoding) given() *curfewv1.App {
	if d.feed == feedEntra {
		return d.consent(d.operation, []target{{partyOf(d.Target), d.Modified.items}})
	}
	if id, name := named(d.AddOnGUID.Text), named(d.AddOnName.Text); id != "" || name != "" {
		return newApp(d.clean("AddOnGuid", cmp.Or(named(d.AzureADAppID.Text), id)), d.clean("AddOnName", name))
	}
	return nil
}

// membership is who was put into a role, a group or a team, or taken out of it.
func (d *decoding) membership() []*curfewv1.Change {
	if d.feed == feedEntra {
		return d.members(d.operation, []target{{partyOf(d.Target), nil}})
	}
	var changes []*curfewv1.Change
	for i := range d.Members {
		member := &d.Members[i]
		change := &curfewv1.Change{Field: "member"}
		who := d.text("Members", member.UPN)
		switch {
		case who == "" || len(changes) > maxParts:
			continue
		case strings.Contains(d.operation, "Removed"):
			change.Before = who
		case strings.Contains(d.operation, "RoleChanged"):
			change.Field, change.After = "role of "+who, d.text("Members", member.Role)
		default:
			change.After = who
		}
		changes = append(changes, change)
	}
	return changes
}

// directoryKind is the first part of a resource's path for Microsoft's kind of object.
func directoryKind(kind string) string {
	switch kind {
	case "User":
		return "user"
	case "Group":
		return "group"
	case "ServicePrincipal", "Application", "App":
		return "app"
	case "Role", "RoleDefinition":
		return "role"
	case "", "Other":
		return "object"
	}
	var words strings.Builder
	for i := 0; i < len(kind) && words.Len() < 40; i++ {
		switch c := kind[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			words.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			if i > 0 && 'a' <= kind[i-1] && kind[i-1] <= 'z' {
				words.WriteByte('_')
			}
			words.WriteByte(c + 'a' - 'A')
		}
	}
	return cmp.Or(words.String(), "object")
}

// prefers is the kind of object that an operation is about where its record names several.
func prefers(operation string) string {
	operation = strings.ToLower(operation)
	for _, word := range [...]struct{ in, kind string }{
		{"app role assignment", "app"}, {"permission grant", "app"}, {"permissiongrant", "app"}, {"delegation entry", "app"},
		{"application", "app"}, {"service principal", "app"}, {"role", "role"}, {"group", "group"}, {"user", "user"}, {"password", "user"},
	} {
		if strings.Contains(operation, word.in) {
			return word.kind
		}
	}
	return ""
}

// directory is the target that an operation is about; nil where none has a name.
func (n *notes) directory(operation string, targets []target) *curfewv1.Resource {
	want := prefers(operation)
	// The role or the group may stand among the properties of the member alone. A role's template is the same in every
	// tenant and is what a role is granted by.
	var id, name string
	for i := range targets {
		switch properties := targets[i].properties; want {
		case "role":
			id = cmp.Or(id, value(properties, "Role.TemplateId", "TemplateId", "Role.ObjectID"))
			name = cmp.Or(name, value(properties, "Role.DisplayName"))
		case "group":
			id = cmp.Or(id, value(properties, "Group.ObjectID"))
			name = cmp.Or(name, value(properties, "Group.DisplayName"))
		case "app":
			if strings.Contains(operation, "owner") {
				id = cmp.Or(id, value(properties, "Application.AppId", "ServicePrincipal.AppId", "Application.ObjectID", "ServicePrincipal.ObjectID"))
				name = cmp.Or(name, value(properties, "Application.DisplayName", "ServicePrincipal.DisplayName"))
			}
		}
	}
	for i := range targets {
		if to := &targets[i]; directoryKind(to.kind) == want && to.key() != "" {
			if id != "" {
				return n.thing(want, cmp.Or(name, to.name), id)
			}
			return n.object(to)
		}
	}
	if id != "" || name != "" {
		return n.thing(want, name, cmp.Or(id, name))
	}
	for i := range targets {
		if targets[i].key() != "" {
			return n.object(&targets[i])
		}
	}
	return nil
}

// key is the most stable name of a target.
func (t *target) key() string { return cmp.Or(t.id, t.app, t.upn, t.name) }

// appID is the client id of a target that is an application, else its object id.
func (t *target) appID() string {
	return cmp.Or(clientID(value(t.properties, "TargetId.ServicePrincipalNames", "AppId")), t.app, t.id)
}

// clientID is the client id among the names of a service principal, "<client id>;<address>...".
func clientID(names string) string {
	for name := range strings.FieldsFuncSeq(names, func(r rune) bool { return strings.ContainsRune(`;,[]" `, r) }) {
		if isGUID(name) {
			return name
		}
	}
	return ""
}

func (n *notes) object(t *target) *curfewv1.Resource {
	kind, id := directoryKind(t.kind), t.key()
	if kind == "app" {
		id = cmp.Or(t.appID(), id)
	}
	if kind == "object" && t.upn != "" {
		kind = "user"
	}
	return n.thing(kind, cmp.Or(t.upn, t.name), id)
}

// members is who was put into something, or taken out of it, as a member, an owner or a holder of an app role.
func (n *notes) members(operation string, targets []target) []*curfewv1.Change {
	lower := strings.ToLower(operation)
	field := ""
	switch {
	case strings.Contains(lower, "member ") && (strings.Contains(lower, "role") || strings.Contains(lower, "group") || strings.Contains(lower, "administrative unit")):
		field = "member"
	case strings.Contains(lower, "owner to") || strings.Contains(lower, "owner from"):
		field = "owner"
	default:
		return nil
	}
	about := prefers(operation)
	for i := range targets {
		to := &targets[i]
		kind := directoryKind(to.kind)
		if to.key() == "" || kind != "user" && (kind == about || len(targets) > 1 && kind != "app" && kind != "group" && kind != "device") {
			continue
		}
		change := &curfewv1.Change{Field: field}
		if who := n.clean("Target", to.key()); strings.HasPrefix(lower, "remove") {
			change.Before = who
		} else {
			change.After = who
		}
		return []*curfewv1.Change{change}
	}
	return nil
}

// consent is the application that an operation gives access, or takes access from, with the permissions; nil for other
// operations. That the properties have these names is seen in published records, not confirmed by documentation.
func (n *notes) consent(operation string, targets []target) *curfewv1.App {
	lower := strings.ToLower(strings.TrimSuffix(operation, "."))
	var id, name string
	var scopes []string
	switch {
	case lower == "consent to application" || lower == "grant contextual consent to application" || lower == "restore consent":
		for i := range targets {
			to := &targets[i]
			id, name = cmp.Or(id, to.appID()), cmp.Or(name, to.name)
			scopes = append(scopes, consented(value(to.properties, "ConsentAction.Permissions"))...)
		}
	case strings.Contains(lower, "delegated permission grant"), strings.Contains(lower, "oauth2permissiongrant"), strings.Contains(lower, "delegation entry"):
		id, name = granted(targets)
		for i := range targets {
			scopes = append(scopes, strings.Fields(value(targets[i].properties, "DelegatedPermissionGrant.Scope", "OAuth2PermissionGrant.Scope", "Scope"))...)
		}
	case strings.Contains(lower, "app role assignment to service principal"), strings.Contains(lower, "app role assignment from service principal"):
		id, name = granted(targets)
		for i := range targets {
			if scope := value(targets[i].properties, "AppRole.Value", "AppRole.DisplayName"); scope != "" {
				scopes = append(scopes, scope)
			}
		}
	default:
		return nil
	}
	app := newApp(n.clean("ServicePrincipal.AppId", id), n.clean("ServicePrincipal.DisplayName", name))
	if app == nil && len(scopes) == 0 {
		return nil
	}
	if app == nil {
		app = &curfewv1.App{}
	}
	app.Scopes = n.distinct(scopes)
	return app
}

// granted is the client of a permission: the target is the API that it is a permission for, and the client stands among
// its properties, or is the second target.
func granted(targets []target) (id, name string) {
	for i := range targets {
		properties := targets[i].properties
		id = cmp.Or(id, value(properties, "ServicePrincipal.AppId"), clientID(value(properties, "ServicePrincipal.Name")))
		name = cmp.Or(name, value(properties, "ServicePrincipal.DisplayName"))
	}
	for i := range targets {
		id = cmp.Or(id, value(targets[i].properties, "ServicePrincipal.ObjectID"))
	}
	if len(targets) > 1 {
		id, name = cmp.Or(id, targets[1].appID()), cmp.Or(name, targets[1].name)
	}
	return id, name
}

// consented is the scopes of "[] => [[Id: ..., ConsentType: AllPrincipals, Scope: User.Read Mail.Read, ...]]": those that
// stand behind the arrow, where there is one.
func consented(permissions string) []string {
	if _, after, found := strings.Cut(permissions, "=>"); found {
		permissions = after
	}
	var scopes []string
	for {
		_, rest, found := strings.Cut(permissions, "Scope:")
		if !found {
			return scopes
		}
		end := strings.IndexAny(rest, ",]")
		if end < 0 {
			end = len(rest)
		}
		scopes = append(scopes, strings.Fields(rest[:end])...)
		permissions = rest[end:]
	}
}

func (n *notes) distinct(scopes []string) []string {
	seen := make(map[string]bool, len(scopes))
	var distinct []string
	for _, scope := range scopes {
		scope = n.clean("Scope", scope)
		if scope == "" || seen[scope] {
			continue
		}
		if len(distinct) == maxParts {
			n.odd(fmt.Sprintf("Scope: more than %d; the rest stands in the record", maxParts))
			break
		}
		seen[scope] = true
		distinct = append(distinct, scope)
	}
	return distinct
}
