// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// roles is roles that nobody holds, and roles that give nothing.
func (l *linter) roles() {
	if !l.sheet.asksRoles {
		return
	}
	named := map[string]int{} // what p rows are for -> the first line
	held := map[string]bool{} // what somebody holds now or later, who is no role
	var roles []string
	for _, r := range l.sheet.rows {
		if _, known := named[r.sub]; !known && r.sub != "" {
			named[r.sub] = r.line
			roles = append(roles, r.sub)
		}
	}
	holders := map[string]int{}
	for _, stated := range l.sheet.stated {
		if stated.Kind != "g" {
			continue
		}
		if _, known := holders[stated.Fields[0]]; !known {
			holders[stated.Fields[0]] = stated.Line
		}
		if !isRole(stated.Fields[0]) {
			l.climb(stated.Fields[0], held)
		}
	}
	for _, kind := range []string{"person:", "app:", "service:", "unknown:"} {
		l.climb(kind, held)
	}
	for name, line := range named {
		if isRole(name) && !held[name] {
			l.add(policyFile, line, Hint, "unheld-role", fmt.Sprintf("nobody holds %s by a g row: the row is for those alone who are granted it%s", name, didYouMean(name, roles)))
		}
	}
	for name, line := range holders {
		if _, alsoNamed := named[name]; isRole(name) && !held[name] && !alsoNamed {
			l.add(policyFile, line, Hint, "unheld-role", fmt.Sprintf("nobody holds %s by a g row: what it holds is for those alone who are granted it%s", name, didYouMean(name, roles)))
		}
	}
	roleNames := slices.DeleteFunc(slices.Clone(roles), func(name string) bool { return !isRole(name) })
	gives := map[string]bool{}
	for _, stated := range l.sheet.stated {
		if stated.Kind != "g" {
			continue
		}
		role := stated.Fields[1]
		if _, known := gives[role]; !known {
			given := map[string]bool{}
			l.climb(role, given)
			for name := range given {
				_, isNamed := named[name]
				gives[role] = gives[role] || isNamed
			}
		}
		if !gives[role] {
			l.add(policyFile, stated.Line, Warning, "idle-role", fmt.Sprintf("%s gives nothing: no p row is for it, nor for a role that it holds%s", role, didYouMean(role, roleNames)))
		}
	}
}

func isRole(name string) bool { return strings.HasPrefix(name, "role:") }

// climb adds a name and all that it holds, now or later.
func (l *linter) climb(name string, held map[string]bool) {
	if held[name] {
		return
	}
	held[name] = true
	for _, link := range l.policy.Links(name) {
		if link.Until > temporal.Nanos(l.Now) {
			l.climb(link.Held, held)
		}
	}
}

// chains is roles that are too far away from somebody.
func (l *linter) chains() {
	holds := map[string][]judge.Stated{}
	for _, stated := range l.sheet.stated {
		if stated.Kind == "g" {
			holds[stated.Fields[0]] = append(holds[stated.Fields[0]], stated)
		}
	}
	said := map[int]bool{}
	for _, holder := range slices.Sorted(maps.Keys(holds)) {
		hops := map[string]int{holder: 0}
		for queue := []string{holder}; len(queue) > 0 && !isRole(holder); queue = queue[1:] {
			for _, stated := range holds[queue[0]] {
				role := stated.Fields[1]
				if _, known := hops[role]; known {
					continue
				}
				hops[role] = hops[queue[0]] + 1
				queue = append(queue, role)
				if hops[role] == maxHops+1 && !said[stated.Line] {
					said[stated.Line] = true
					l.add(policyFile, stated.Line, Warning, "long-chain", fmt.Sprintf("%s is %d links away from %s, and Casbin follows %d: they do not hold it, nor what it holds; give it to them more directly", role, hops[role], holder, maxHops))
				}
			}
		}
	}
}

// people is who is listed and named by no row.
func (l *linter) people() {
	named := map[string]bool{}
	for _, stated := range l.sheet.stated {
		for _, field := range stated.Fields {
			named[field] = true
		}
	}
	grouped := false
	l.policy.Inventories(func(string, string) { grouped = true })
	if grouped {
		return // what the rows give to groups, anybody may have
	}
	for _, item := range items(l.policy.Files()[identitiesFile], identitiesFile, "people") {
		if id := item.text("id"); !named["person:"+id] {
			l.add(identitiesFile, item.line, Hint, "no-role", fmt.Sprintf("person:%s has no role: no row names them, so they have what everybody has", id))
		}
	}
}

// rowNames is names of rows that nothing can ever be called.
func (l *linter) rowNames() {
	for _, stated := range l.sheet.stated {
		if stated.Kind == "g" {
			l.subject(stated.Line, stated.Fields[0])
		}
	}
	for _, r := range l.sheet.rows {
		if l.sheet.asksRoles {
			l.subject(r.line, r.sub)
		}
		if l.sheet.why != "" {
			continue // what the matcher takes for a pattern is not known
		}
		if problem, severity := l.object(r.object); problem != "" {
			l.add(policyFile, r.line, severity, "unknown-object", problem)
		}
	}
}

// subject checks the name of somebody whom a source tells of: "<kind>:<source>/<id>".
func (l *linter) subject(line int, name string) {
	kind, rest, _ := strings.Cut(name, ":")
	if kind == "person" || kind == "role" {
		return
	}
	source, id, found := strings.Cut(rest, "/")
	if !found && kind == "service" {
		return // Curfew's own callers
	}
	add := func(text string) { l.add(policyFile, line, Warning, "unknown-subject", text) }
	sources := l.policy.Catalog().Sources()
	switch {
	case !found && kind == "unknown" && slices.Contains(sources, rest):
		// Whoever acts there unnamed.
	case !found:
		add(fmt.Sprintf("nobody is called %q: write %s:<source>/<id>; the sources are %s", name, kind, strings.Join(sources, ", ")))
	case !slices.Contains(sources, source):
		add(fmt.Sprintf("nobody is called %q: there is no source %q%s", name, source, didYouMean(source, sources)))
	case kind == "privilege" && strings.Contains(id, "@"):
		// The scope behind the @ is written as the source says it.
	case event.Escape(strings.ReplaceAll(id, "%", "")) != strings.ReplaceAll(id, "%", ""):
		add(fmt.Sprintf("nobody is called %q: within an id %q and the like are written as %%XX; write %s:%s/%s", name, "/", kind, source, event.Escape(id)))
	}
}

// object says what is wrong with a pattern of objects, "<source>/<kind>/<id>"; "" where nothing is.
func (l *linter) object(pattern string) (problem string, severity Severity) {
	source, path, found := strings.Cut(pattern, "/")
	sources := l.policy.Catalog().Sources()
	if start, _, wild := strings.Cut(source, "*"); wild {
		if !slices.ContainsFunc(sources, func(name string) bool { return strings.HasPrefix(name, start) }) {
			return fmt.Sprintf("no object is like %q: no source begins with %q%s", pattern, start, didYouMean(start, sources)), Warning
		}
		return "", ""
	}
	if !slices.Contains(sources, source) {
		return fmt.Sprintf("no object is like %q: there is no source %q%s", pattern, source, didYouMean(source, sources)), Warning
	}
	if !found {
		return fmt.Sprintf("no object is like %q: an object is <source>/<kind>/<id>; write %s/*", pattern, source), Warning
	}
	kind, _, _ := strings.Cut(path, "/")
	if kind == "-" || strings.Contains(kind, "*") {
		return "", ""
	}
	knows := func(kind string) bool { _, known := l.policy.Catalog().Kind(source, kind); return known }
	if knows(kind) {
		return "", ""
	}
	if near := neighbour(kind, knows); near != "" {
		return fmt.Sprintf("the catalogue knows no kind %q of %s; did you mean %q?", kind, source, near), Warning
	}
	return fmt.Sprintf("the catalogue knows no kind %q of %s: if there is one, say in %s what data it holds", kind, source, catalogFile), Hint
}
