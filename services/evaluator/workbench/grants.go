// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/yamlfile"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

const grantsFile = "grants.yaml"

// grants is what grants.yaml says of roles and sources that there are not, and requests that nobody could approve.
func (l *linter) grants() {
	content := l.policy.Files()[grantsFile]
	var file struct {
		Defaults   any                         `yaml:"defaults"`
		Roles      map[string]yamlfile.Section `yaml:"roles"`
		Classes    any                         `yaml:"classes"`
		Auto       []yamlfile.Section          `yaml:"auto"`
		BreakGlass yamlfile.Section            `yaml:"break_glass"`
	}
	if content == nil || yamlfile.Decode(grantsFile, content, &file) != nil {
		return // that it cannot be read was said
	}
	for _, role := range slices.Sorted(maps.Keys(file.Roles)) {
		section := file.Roles[role]
		l.grantedRole(section.Line(), role)
		l.approvable(section.Line(), role)
		var fields map[string]any
		if section.Named(grantsFile).Decode(&fields) == nil {
			l.privileges(section.Line(), fields["privileges"])
		}
	}
	for _, section := range append(file.Auto, file.BreakGlass) {
		var fields map[string]any
		if section.Named(grantsFile).Decode(&fields) != nil {
			continue
		}
		for _, role := range texts(fields["roles"]) {
			l.grantedRole(section.Line(), role)
		}
	}
}

func (l *linter) grantedRole(line int, role string) {
	if roles := l.policy.Roles(); !slices.Contains(roles, role) {
		l.add(grantsFile, line, Warning, "unknown-role", fmt.Sprintf("no row of %s is for %s, so it cannot be granted%s", policyFile, role, didYouMean(role, roles)))
	}
}

func (l *linter) privileges(line int, list any) {
	sources := l.policy.Catalog().Sources()
	all, _ := list.([]any)
	for _, one := range all {
		fields, _ := one.(map[string]any)
		if source, _ := fields["source"].(string); !slices.Contains(sources, source) {
			l.add(grantsFile, line, Warning, "unknown-source", fmt.Sprintf("there is no source %q%s", source, didYouMean(source, sources)))
		}
	}
}

// approvable is whether a request for a role can ever have as many approvals as it needs.
func (l *linter) approvable(line int, role string) {
	grouped := false
	l.policy.Inventories(func(string, string) { grouped = true })
	if grouped {
		return // anybody in a group may be let
	}
	needed, may := int(l.policy.Terms(role).Approvals), 0
	for _, person := range l.policy.Persons() {
		if l.mayApprove(person, role) {
			may++
		}
	}
	if may < needed {
		l.add(grantsFile, line, Warning, "unapprovable", fmt.Sprintf("a request for %s needs %d persons to approve it, and the rows let %d; add a row such as: p, role:lead, *, %s/api/requests/%s, %s, approve, allow",
			role, needed, may, judge.Self, strings.TrimPrefix(role, "role:"), adminClass))
	}
}

func (l *linter) mayApprove(person, role string) bool {
	for _, dom := range l.doms(l.policy) {
		answer, err := l.policy.Suppose(person, dom, l.Now).Ask(judge.Self+"/api/requests/"+strings.TrimPrefix(role, "role:"), adminClass, "approve")
		if err == nil && answer.Allowed {
			return true
		}
	}
	return false
}
