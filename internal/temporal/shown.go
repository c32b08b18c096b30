// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package temporal

import (
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// Names of what inventories show, as holders and as what is held. A source's own ids stand in them, escaped.
func node(kind, source, id string) string { return kind + ":" + source + "/" + event.Escape(id) }

// Account is the name of an account at a source.
func Account(source, id string) string { return node("account", source, id) }

// Email is the name of an address: it holds the accounts that sources vouch it belongs to, and they hold it.
func Email(folded string) string { return "email:" + folded }

// Login is the name of what an account signs in with at a source, as events may say in place of its id.
func Login(source, login string) string { return node("login", source, FoldEmail(login)) }

// Elsewhere is the name of an id of the same person in another system, as inventories write it ("saml:00uInvented1").
func Elsewhere(link string) string { return "link:" + link }

// privilege is the name of a role at a source, on a part of what is there or, with scope "", on everything.
func privilege(source, role, scope string) string {
	name := strings.ReplaceAll(node("privilege", source, role), "@", "%40")
	if scope != "" {
		name += "@" + scope
	}
	return name
}

// pair is who holds what; where the holder is a name with nameMark, which account or group it means.
type pair struct{ holder, held string }

// nameMark begins what is no holder: a folded name by which events speak of an account or a group, which "holds" its id.
const nameMark = "name "

// pairs is what an entry says who holds.
func pairs(source string, entry *curfewv1.Entry) []pair {
	switch thing := entry.GetThing().(type) {
	case *curfewv1.Entry_Membership:
		m := thing.Membership
		if m.GetPending() {
			return nil
		}
		return []pair{{node(m.GetMemberType(), source, m.GetMember()), node("group", source, m.GetGroup())}}
	case *curfewv1.Entry_Assignment:
		a := thing.Assignment
		if a.GetPending() {
			return nil
		}
		return []pair{{node(a.GetHolderType(), source, a.GetHolder()), privilege(source, a.GetRole(), a.GetScope())}}
	case *curfewv1.Entry_App:
		if thing.App.GetStatus() == "suspended" {
			return nil
		}
		var all []pair
		for _, scope := range thing.App.GetApp().GetScopes() {
			all = append(all, pair{node("app", source, thing.App.GetApp().GetId()), node("scope", source, scope)})
		}
		return all
	case *curfewv1.Entry_Account:
		return names(source, thing.Account)
	case *curfewv1.Entry_Group:
		var all []pair
		for _, name := range append([]string{thing.Group.GetName()}, thing.Group.GetAliases()...) {
			if p := (pair{nameMark + FoldEmail(name), thing.Group.GetId()}); name != "" && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		return all
	default:
		return nil
	}
}

// names is the addresses and other ids of an account, each way round, and what events may call it.
func names(source string, a *curfewv1.Account) []pair {
	if a.GetStatus() == "deleted" {
		return nil
	}
	account := Account(source, a.GetId())
	var all []pair
	add := func(p pair) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	join := func(name string) {
		add(pair{account, name})
		add(pair{name, account})
	}
	for _, email := range a.GetEmails() {
		join(Email(FoldEmail(email)))
	}
	for _, link := range a.GetLinks() {
		join(Elsewhere(link))
	}
	if a.GetLogin() != "" {
		add(pair{Login(source, a.GetLogin()), account})
	}
	for _, name := range append([]string{a.GetLogin()}, a.GetEmails()...) {
		if name != "" {
			add(pair{nameMark + FoldEmail(name), a.GetId()})
		}
	}
	return all
}

// idOf is the id of an account or group; "" for any other entry.
func idOf(entry *curfewv1.Entry) string {
	if group := entry.GetGroup(); group != nil {
		return group.GetId()
	}
	return entry.GetAccount().GetId()
}

// FoldEmail makes the case of ASCII letters not count, and of no others: to fold all would make a letter that only looks
// like another the same (U+212A, the Kelvin sign, folds to k).
func FoldEmail(email string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}
