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
