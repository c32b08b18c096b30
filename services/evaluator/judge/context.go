// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

const (
	// maxReach is how many lines Reach returns, and maxReachRows how many rows it looks at.
	maxReach, maxReachRows = 8, 1000
	// maxRoles is how many roles AllowingRoles returns, and maxRolesAsked how many it asks about.
	maxRoles, maxRolesAsked = 6, 500
)

// reach is what a name holds of one class at one source.
type reach struct {
	class, source string
	acts          map[string]bool
}

// Reach is what sensitive data a subject could reach at a time by what it certainly held, each a line for a person, the most
// sensitive first. Nil where that is none, or where the model does not say it by sub, obj, class and act.
func (j *Judge) Reach(subject string, at time.Time) []string {
	policy, _ := j.Policies(at)
	m := j.moment(policy, at)
	s := m.of(subject, j.Tenant)
	s.reaching.Do(func() { s.reach = m.reach(s, j.Tenant) })
	return slices.Clone(s.reach)
}

func (m moment) reach(s *standing, dom string) []string {
	columns := m.policy.enforcer.Columns()
	obj, class, act := slices.Index(columns, "obj"), slices.Index(columns, "class"), slices.Index(columns, "act")
	if slices.Index(columns, "sub") < 0 || obj < 0 || class < 0 || act < 0 {
		return nil
	}
	found := map[[2]string]*reach{}
	for _, number := range m.held(s) {
		row := m.policy.rows[number].fields
		source, _, _ := strings.Cut(row[obj], "/")
		for _, c := range m.policy.sensitive() {
			q := enforcer.Request{Sub: s.holding.Name(), Dom: dom, Obj: row[obj], Act: row[act]}
			if !m.policy.classes.within(c, row[class]) || !m.allows(q, []string{c}, -1) {
				continue
			}
			key := [2]string{c, source}
			if found[key] == nil {
				found[key] = &reach{c, source, map[string]bool{}}
			}
			found[key].acts[row[act]] = true
		}
	}
	return m.policy.sayReach(found)
}

// held is the rows that a subject certainly holds and that give something.
func (m moment) held(s *standing) []int {
	var rows []int
	for i := range s.holding.Len() {
		if name, uncertain := s.holding.At(i); !uncertain {
			rows = append(rows, m.policy.outline().bySub[name]...)
		}
	}
	slices.Sort(rows)
	return rows[:min(len(rows), maxReachRows)]
}

// sayReach is some reaches in lines. What holds at every source is not said again of one.
func (p *Policy) sayReach(found map[[2]string]*reach) (lines []string) {
	all := slices.Collect(maps.Values(found))
	all = slices.DeleteFunc(all, func(r *reach) bool {
		everywhere := found[[2]string{r.class, "*"}]
		return r.source != "*" && everywhere != nil && everywhere.covers(r)
	})
	slices.SortFunc(all, func(a, b *reach) int {
		return cmp.Or(cmp.Compare(p.classes.sensitivity(b.class), p.classes.sensitivity(a.class)), strings.Compare(a.class, b.class), strings.Compare(a.source, b.source))
	})
	for i, r := range all {
		if i == maxReach-1 && len(all) > maxReach {
			return append(lines, fmt.Sprintf("and %d more", len(all)-i))
		}
		source, acts := r.source, strings.Join(slices.Sorted(maps.Keys(r.acts)), ", ")
		if source == "*" {
			source = "every source"
		}
		if r.acts["*"] {
			acts = "everything"
		}
		lines = append(lines, clip(fmt.Sprintf("%s (sensitivity %d) at %s: %s", r.class, p.classes.sensitivity(r.class), source, acts)))
	}
	return lines
}

func (r *reach) covers(other *reach) bool {
	for act := range other.acts {
		if !r.acts["*"] && !r.acts[act] {
			return false
		}
	}
	return true
}

// AllowingRoles is the roles that can be given and that would have allowed what a decision calls a violation, the least
// powerful first: what reaches less sensitive data, fewer classes of it, by fewer rows. What a row denies no role allows.
func (j *Judge) AllowingRoles(e *curfewv1.Event, d *curfewv1.Decision) []string {
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || d.GetRow() != nil {
		return nil
	}
	at, _ := placeTime(e)
	policy, _ := j.Policies(at)
	m := j.moment(policy, at)
	q := enforcer.Request{Dom: j.Tenant, Obj: Object(e), Act: d.GetAct()}
	roles := policy.outline().roles
	var found []string
	for _, role := range roles[:min(len(roles), maxRolesAsked)] {
		q.Sub = role
		if m.allows(q, d.GetClasses(), -1) {
			found = append(found, role)
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(slices.Compare(policy.power(a), policy.power(b)), strings.Compare(a, b))
	})
	return found[:min(len(found), maxRoles)]
}

// outline is a policy's rows as one looks them up for people. It is made when it is first asked for.
type outline struct {
	bySub map[string][]int
	roles []string
}

func (p *Policy) outline() *outline {
	p.outlining.Do(func() {
		p.outlined = &outline{bySub: map[string][]int{}, roles: p.Roles()}
		columns := p.enforcer.Columns()
		sub, effect := slices.Index(columns, "sub"), slices.Index(columns, "eft")
		for number, r := range p.rows {
			if sub >= 0 && (effect < 0 || r.fields[effect] != "deny") {
				p.outlined.bySub[r.fields[sub]] = append(p.outlined.bySub[r.fields[sub]], number)
			}
		}
	})
	return p.outlined
}

// power is how much a role gives: its highest sensitivity, how many sensitive classes, and by how many rows.
func (p *Policy) power(role string) []int {
	held := map[string]bool{}
	p.climb(role, held)
	class := slices.Index(p.enforcer.Columns(), "class")
	reached, rows, most := map[string]bool{}, 0, 0
	for name := range held {
		for _, number := range p.outline().bySub[name] {
			rows++
			for _, c := range p.sensitive() {
				if class < 0 || p.classes.within(c, p.rows[number].fields[class]) {
					reached[c] = true
					most = max(most, p.classes.sensitivity(c))
				}
			}
		}
	}
	return []int{most, len(reached), rows}
}

// sensitive is the classes of sensitivity 3 and more.
func (p *Policy) sensitive() []string {
	p.listing.Do(func() {
		p.listed = slices.DeleteFunc(p.Classes(), func(class string) bool { return p.classes.sensitivity(class) < sensitive })
	})
	return p.listed
}

// AccountsOf is the names that links have for the accounts that are certainly a subject's at a time.
func (j *Judge) AccountsOf(subject string, at time.Time) (names []string) {
	policy, _ := j.Policies(at)
	moment := temporal.Nanos(at)
	if source, id, is := strings.Cut(strings.TrimPrefix(subject, "app:"), "/"); is && strings.HasPrefix(subject, "app:") {
		return []string{"account:" + source + "/" + id}
	}
	for _, link := range (belongings{policy.identities, j.Known, moment}).Links(subject) {
		if _, _, is := isAccount(link.Held); is && !link.Uncertain && link.From <= moment && moment < link.Until {
			names = append(names, link.Held)
		}
	}
	return names
}
