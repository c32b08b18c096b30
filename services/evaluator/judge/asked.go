// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"maps"
	"slices"
	"strings"
)

// Roles is every role that a row names and that can be given, sorted. Those that go with a kind ("role:person",
// "role:anyone") cannot: who is of that kind holds them, and nobody else is meant to.
func (p *Policy) Roles() []string {
	named := map[string]bool{}
	add := func(name string) {
		kind, is := strings.CutPrefix(name, "role:")
		if is && kind != "anyone" && !slices.Contains(subjectKinds, kind) {
			named[name] = true
		}
	}
	for _, r := range p.rows {
		for _, field := range r.fields {
			add(field)
		}
	}
	for holder, links := range p.links {
		add(holder)
		for _, link := range links {
			add(link.Held)
		}
	}
	return slices.Sorted(maps.Keys(named))
}

// KnowsPerson is whether a person can have that id: one whom identities.yaml lists, any where a directory makes people
// too, and any where there is no such file.
func (p *Policy) KnowsPerson(id string) bool { return !p.identities.given || p.identities.knows(id) }

// NamesHolders is whether every person who holds a role that is given is among Persons: none holds one by a group or an
// account.
func (p *Policy) NamesHolders() bool {
	named := func(subject string) bool {
		kind, _, typed := strings.Cut(subject, ":")
		return !typed || kind != "group" && kind != "account"
	}
	for _, r := range p.rows {
		if slices.ContainsFunc(r.fields, func(field string) bool { return !named(field) }) {
			return false
		}
	}
	for holder := range p.links {
		if !named(holder) {
			return false
		}
	}
	return true
}

// Persons is every person whom identities.yaml lists or a row names, as rows name them, sorted.
func (p *Policy) Persons() []string {
	named := map[string]bool{}
	for id := range p.identities.people {
		named["person:"+id] = true
	}
	for holder := range p.links {
		if strings.HasPrefix(holder, "person:") {
			named[holder] = true
		}
	}
	for _, r := range p.rows {
		for _, field := range r.fields {
			if strings.HasPrefix(field, "person:") {
				named[field] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(named))
}
