// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"cmp"
	"strings"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxLinkText bounds an id or a name in a link, of which one record may hold many; names have 256 characters.
const maxLinkText = 256

// linking says of an operation that it gives or takes what inventories of a kind show.
type linking struct {
	kind    string
	removed bool
}

// linkings are the operations of the directory that do. That an account or an app is taken out of a group's members is not
// told: as the group's owner it may hold its place still, which the record does not say. A group owns none. An owner of a group need not be its member, a role over a part of
// the tenant is not one over all of it, and one to be activated is not held yet: their operations have other names. What
// PIM activates the directory tells too.
var linkings = map[string]linking{
	"add member to group":      {"memberships", false},
	"remove member from group": {"memberships", true},
	"add member to role":       {"roles", false},
	"remove member from role":  {"roles", true},
}

// links are the membership or the role that an act in the directory gave or took away.
func (n *notes) links(operation string, targets []target, outcome *curfewv1.Outcome) []*curfewv1.LinkChange {
	of, known := linkings[strings.ToLower(strings.TrimSuffix(operation, "."))]
	if !known || outcome.GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return nil
	}
	held := heldOf(of.kind, targets)
	for i := range targets {
		to := &targets[i]
		holderType := holderType(to)
		if held == "" || to.key() == "" || to.id == held || holderType == "" {
			continue
		}
		if of.kind == "memberships" && of.removed && holderType != "group" {
			return nil
		}
		return []*curfewv1.LinkChange{{
			Kind: of.kind, Holder: n.clean("Target", to.key()), HolderType: holderType, Held: n.clean("Target", held), Removed: of.removed,
		}}
	}
	return nil
}

// heldOf is the group or the role that an operation is about, by the id that the inventory has, else by its name. Of a role
// that id is the template's: the one that the log calls the object's is of this tenant alone.
func heldOf(kind string, targets []target) string {
	var id, name string
	var groups []string
	for i := range targets {
		properties, of := targets[i].properties, directoryKind(targets[i].kind)
		if kind == "roles" {
			id = cmp.Or(id, named(value(properties, "Role.TemplateId", "TemplateId")))
			name = cmp.Or(name, named(value(properties, "Role.DisplayName")))
			if of == "role" {
				name = cmp.Or(name, targets[i].name)
			}
			continue
		}
		id = cmp.Or(id, named(value(properties, "Group.ObjectID")))
		name = cmp.Or(name, named(value(properties, "Group.DisplayName")))
		if of == "group" {
			groups = append(groups, targets[i].id)
		}
	}
	if len(groups) == 1 && len(targets) > 1 {
		id = cmp.Or(id, groups[0])
	}
	return cmp.Or(id, name)
}

// holderType is the contract's word for what kind of holder a target is; "" for what holds nothing, such as a device.
func holderType(t *target) string {
	switch directoryKind(t.kind) {
	case "user":
		return "account"
	case "group":
		return "group"
	case "app":
		return "app"
	case "object":
		if t.upn != "" {
			return "account"
		}
	}
	return ""
}

// links are those of the record: of the directory, or of Teams, which says people by their logins. Whom Teams takes out is
// not told either: of its owners it is not documented what they keep in the directory.
func (d *decoding) links(outcome *curfewv1.Outcome) []*curfewv1.LinkChange {
	if d.feed == feedEntra {
		return d.notes.links(d.operation, []target{{partyOf(d.Target), d.Modified.items}}, outcome)
	}
	team := d.clean("AADGroupId", cmp.Or(named(d.GroupID.Text), named(d.TeamName.Text)))
	if d.operation != "MemberAdded" || named(d.ChannelGUID.Text) != "" || named(d.ChatID.Text) != "" || team == "" ||
		outcome.GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return nil // Channels and chats have members of their own.
	}
	var links []*curfewv1.LinkChange
	for i := range d.Members {
		who := d.clean("Members", named(d.Members[i].UPN.Text))
		switch {
		case who == "":
		case len(who) > maxLinkText || len(team) > maxLinkText:
			d.odd("Members: a name too long to be one end of a membership")
		case len(links) == maxParts:
			d.odd("Members: more than can be kept; the rest stands in the record")
			return links
		default:
			links = append(links, &curfewv1.LinkChange{Kind: "memberships", Holder: who, HolderType: "account", Held: team})
		}
	}
	return links
}
