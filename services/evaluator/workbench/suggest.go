// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Suggestion gathers decisions and proposes the least rows that would have allowed what no row allows. It is not safe for
// concurrent use.
type Suggestion struct {
	policy *judge.Policy
	judge  *judge.Judge
	now    time.Time

	needs       map[need]map[string]uint64 // who did what no row allows, how often
	used        map[string]bool            // rows and links that were needed, by their text
	seen        map[string]bool            // subjects
	decisions   uint64
	explained   uint64
	unexplained uint64
}

// need is a right that somebody would need.
type need struct{ source, act, class string }

// NewSuggestion begins one for a policy, by what a judge knows of links.
func NewSuggestion(policy *judge.Policy, by *judge.Judge, now time.Time) *Suggestion {
	return &Suggestion{policy: policy, judge: by, now: now, needs: map[need]map[string]uint64{}, used: map[string]bool{}, seen: map[string]bool{}}
}

// See takes a recorded decision in. What the policy denies by a row, and what an account did that belongs to nobody known,
// no row should allow.
func (s *Suggestion) See(d *curfewv1.Decision) {
	s.decisions++
	var lacking []string
	denied := strings.HasPrefix(d.GetSubject(), "unknown:")
	for _, l := range s.judge.Look(s.policy, d) {
		if l.Row != nil {
			s.used[l.Row.GetText()] = true
			for _, link := range l.Links {
				s.used[linkText(link.GetHolder(), link.GetHeld())] = true
			}
		}
		switch {
		case l.Allowed:
		case l.Row != nil:
			denied = true
		default:
			lacking = append(lacking, l.Class)
		}
	}
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION || len(lacking) == 0 && !denied {
		return
	}
	if denied || len(lacking) == 0 {
		s.unexplained++
		return
	}
	s.explained++
	s.seen[d.GetSubject()] = true
	for _, class := range lacking {
		n := need{d.GetSource(), d.GetAct(), class}
		if s.needs[n] == nil {
			s.needs[n] = map[string]uint64{}
		}
		s.needs[n][d.GetSubject()]++
	}
}

func linkText(holder, held string) string { return "g, " + holder + ", " + held }

// proposal is a right for somebody, a person or all who hold something.
type proposal struct {
	who, source, act string
}

// Answer is what is proposed. The same decisions in whatever order give the same.
func (s *Suggestion) Answer() *curfewv1.SuggestPolicyResponse {
	answer := &curfewv1.SuggestPolicyResponse{Decisions: s.decisions, Explained: s.explained, Unexplained: s.unexplained}
	members := s.members()
	classes := map[proposal]map[string]bool{}
	counts, people := map[proposal]map[string]uint64{}, map[proposal]map[string]bool{}
	for n, by := range s.needs {
		for who, covered := range cover(by, members) {
			p := proposal{who, n.source, n.act}
			if classes[p] == nil {
				classes[p], counts[p], people[p] = map[string]bool{}, map[string]uint64{}, map[string]bool{}
			}
			classes[p][n.class] = true
			for _, person := range covered {
				counts[p][n.class] += by[person]
				people[p][person] = true
			}
		}
	}
	for p, needed := range classes {
		for class, parts := range s.fold(needed) {
			row := &curfewv1.SuggestedRow{Text: s.row(p, class), People: slices.Sorted(maps.Keys(people[p])), Holders: uint32(len(members[p.who]))}
			for _, part := range parts {
				row.Decisions += counts[p][part]
			}
			answer.Rows = append(answer.Rows, row)
		}
	}
	slices.SortFunc(answer.Rows, func(a, b *curfewv1.SuggestedRow) int {
		return cmp.Or(cmp.Compare(b.GetDecisions(), a.GetDecisions()), cmp.Compare(a.GetText(), b.GetText()))
	})
	for _, stated := range s.policy.Stated() {
		text := stated.Kind + ", " + strings.Join(stated.Fields, ", ")
		if stated.Kind == "g" && len(stated.Fields) > 1 {
			text = linkText(stated.Fields[0], stated.Fields[1])
		}
		if !s.used[text] {
			answer.Unused = append(answer.Unused, &curfewv1.Row{Text: stated.Kind + ", " + strings.Join(stated.Fields, ", "), File: "policy.csv", Line: uint32(stated.Line)})
		}
	}
	return answer
}

// members is who of those that are known holds each role and group, as far as that says something: what goes with being a
// person says nothing.
func (s *Suggestion) members() map[string][]string {
	known := maps.Clone(s.seen)
	for _, id := range s.policy.People() {
		known["person:"+id] = true
	}
	all := map[string][]string{}
	for _, subject := range slices.Sorted(maps.Keys(known)) {
		for _, held := range s.judge.Holds(subject, s.now) {
			if isRole(held) && !slices.Contains([]string{"role:anyone", "role:person", "role:app", "role:service", "role:unknown"}, held) || strings.HasPrefix(held, "group:") {
				all[held] = append(all[held], subject)
			}
		}
	}
	return all
}

// nearly is how many of a role's members must have needed a right before it is proposed for all of them.
const nearly = 0.8

// cover finds for those who need something the roles and groups that explain it, the largest first, and takes the others
// one by one.
func cover(by map[string]uint64, members map[string][]string) map[string][]string {
	left := maps.Clone(by)
	covered := map[string][]string{}
	for {
		best, most := "", []string(nil)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			var need, still []string
			for _, member := range members[name] {
				if _, needs := by[member]; needs {
					need = append(need, member)
				}
				if _, is := left[member]; is {
					still = append(still, member)
				}
			}
			if len(members[name]) > 1 && len(still) > 1 && len(still) > len(most) && float64(len(need)) >= nearly*float64(len(members[name])) {
				best, most = name, still
			}
		}
		if best == "" {
			break
		}
		covered[best] = most
		for _, member := range most {
			delete(left, member)
		}
	}
	for who := range left {
		covered[who] = []string{who}
	}
	return covered
}

// fold takes a parent for its children where all of them are needed.
func (s *Suggestion) fold(needed map[string]bool) map[string][]string {
	folded := map[string][]string{}
	for class := range needed {
		folded[class] = []string{class}
	}
	for _, parent := range s.policy.Classes() {
		var children []string
		whole := true
		for _, class := range s.policy.Classes() {
			if class != parent && s.policy.Within(class, parent) {
				children = append(children, class)
				whole = whole && needed[class]
			}
		}
		if !whole || len(children) < 2 {
			continue
		}
		parts := slices.Clone(folded[parent])
		for _, child := range children {
			parts = append(parts, folded[child]...)
			delete(folded, child)
		}
		folded[parent] = parts
	}
	return folded
}

// row writes a proposal down in the columns of the policy's own model.
func (s *Suggestion) row(p proposal, class string) string {
	fields := []string{"p"}
	for _, column := range s.policy.Columns() {
		switch column {
		case "sub":
			fields = append(fields, p.who)
		case "obj":
			fields = append(fields, p.source+"/*")
		case "class":
			fields = append(fields, class)
		case "act":
			fields = append(fields, p.act)
		case "eft":
			fields = append(fields, "allow")
		case "dom":
			fields = append(fields, "*")
		default:
			fields = append(fields, fmt.Sprintf("(%s)", column))
		}
	}
	return strings.Join(fields, ", ")
}
