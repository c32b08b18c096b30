// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import "github.com/curfewhq/curfew/internal/catalog"

// OwnAction is what is known of a call of Curfew's own API, by the name of its action.
func OwnAction(c *catalog.Catalog, feed, name string) (action catalog.Action, known bool) {
	if action, known = c.Action(Self, feed, name); known {
		return action, true
	}
	act, class := "", ""
	switch name {
	case "alerts.list", "alerts.get", "silences.list":
		act, class = "read", "audit"
	case "alerts.acknowledge", "alerts.resolve", "alerts.ask":
		act, class = "update", "audit"
	case "alerts.answer", "commands.take": // the first is for the person asked alone, the second gives nobody anything
		act, class = "update", "internal"
	case "silences.create": // what nobody hears of may happen
		act, class = "create", "admin"
	case "silences.approve":
		act, class = "approve", "admin"
	case "silences.end":
		act, class = "delete", "admin"
	}
	return catalog.Action{Match: name, Act: act, Class: class}, act != ""
}

// actionOf is what a policy knows of an action.
func (p *Policy) actionOf(source, feed, name string) (catalog.Action, bool) {
	if source == Self {
		return OwnAction(p.catalog, feed, name)
	}
	return p.catalog.Action(source, feed, name)
}
