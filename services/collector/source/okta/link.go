// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"fmt"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxLinkText bounds an id or a name in a link, of which one record may hold many; Okta's ids have 20 characters, its
// names 255.
const maxLinkText = 255

// linking says of an act that it gives or takes memberships, and which kinds of targets are its two ends.
type linking struct {
	holder, held string
	removed      bool
}

// memberships are the acts of which inventories show what came of them. Privileges are not among them: the log says which
// ones somebody has now, those by groups with the others, and of a revocation all that there are.
var memberships = map[string]linking{
	"group.user_membership.add":           {"user", "group", false},
	"group.user_membership.remove":        {"user", "group", true},
	"application.user_membership.add":     {"user", "app", false},
	"application.user_membership.remove":  {"user", "app", true},
	"group.application_assignment.add":    {"group", "app", false},
	"group.application_assignment.remove": {"group", "app", true},
}

// links are the memberships that the act gave or took away.
func (d *decoding) links(outcome *curfewv1.Outcome) []*curfewv1.LinkChange {
	of, known := memberships[d.EventType]
	if !known || outcome.GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return nil
	}
	held := d.linked(of.held)
	if len(held) != 1 {
		// Of several it would not be clear who is in which.
		d.odd(fmt.Sprintf("target: %d of kind %s where a membership has one", len(held), of.held))
		return nil
	}
	holderType := "account"
	if of.holder == "group" {
		holderType = "group"
	}
	var links []*curfewv1.LinkChange
	for _, holder := range d.linked(of.holder) {
		links = append(links, &curfewv1.LinkChange{Kind: "memberships", Holder: holder, HolderType: holderType, Held: held[0], Removed: of.removed})
	}
	return links
}

// linked is the targets of a kind, by what is most stable of each.
func (d *decoding) linked(of string) []string {
	var keys []string
	for i := range d.Targets {
		key := event.Clean(d.Targets[i].key())
		switch {
		case key == "" || kind(d.Targets[i].Type) != of:
		case len(key) > maxLinkText:
			d.odd("target.id: too long to be one end of a membership")
		case len(keys) == maxParts:
			d.odd(fmt.Sprintf("target: more than %d members; the rest stands in the record", maxParts))
			return keys
		default:
			keys = append(keys, key)
		}
	}
	return keys
}
