// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// Suggestion gathers recorded decisions and proposes the rows that would explain them: what nobody allowed and many did is
// a gap of the policy more often than a crime. It is for a person to read and edit. It is not safe for concurrent use.
type Suggestion struct {
	bench  Bench
	policy *judge.Policy
	judge  *judge.Judge
	people map[string]bool // everybody known

	decisions, explained, unexplained uint64
	first                             time.Time // of the decisions
	open                              map[likeness]*likes
	denied                            map[denial]*likes
	used                              map[int]bool   // lines of rows and links that decided
	lines                             map[string]int // of rows, by their texts
}

// likeness is what violations have in common that are told as one.
type likeness struct{ subject, source, act, classes string }

// denial is violations of one person that one row denies.
type denial struct {
	line                        int
	subject, source, act, class string
}

// likes is some violations that are alike.
type likes struct {
	decisions   uint64
	held        map[string]bool // what the subject held at each of them
	missing     map[string]bool // the classes that no row allows
	first, last *curfewv1.Decision
	times       [2]time.Time // of these
}

// Suggest begins a suggestion by the policy that j judges by at any time. People are subjects who are known, besides those
// whom the policy names and those in the decisions.
func (b Bench) Suggest(j *judge.Judge, people []string) (*Suggestion, error) {
	policy, _ := j.Policies(b.Now)
	for _, column := range policy.Columns() {
		if !slices.Contains([]string{"sub", "dom", "obj", "class", "act", "eft"}, column) {
			return nil, fmt.Errorf("the model's rows have a column %q, of which it is not known what a new row should say in it", column)
		}
	}
	if !slices.Contains(policy.Columns(), "sub") {
		return nil, fmt.Errorf("the model's rows have no column %q, so that no row can be about somebody", "sub")
	}
	s := &Suggestion{
		bench: b, policy: policy, judge: j, people: map[string]bool{},
		open: map[likeness]*likes{}, denied: map[denial]*likes{}, used: map[int]bool{}, lines: map[string]int{},
	}
	for _, name := range people {
		s.people[name] = true
	}
	for _, id := range policy.People() {
		s.people["person:"+id] = true
	}
	for _, row := range policy.Stated() {
		s.lines[row.Kind+", "+strings.Join(row.Fields, ", ")] = row.Line
		if kind, _, _ := strings.Cut(row.Fields[0], ":"); row.Kind == "g" && (kind == "person" || kind == "app" || kind == "service") {
			s.people[row.Fields[0]] = true
		}
	}
	return s, nil
}

// Add takes a recorded decision in. At is when its event happened.
func (s *Suggestion) Add(d *curfewv1.Decision, at time.Time) {
	s.decisions++
	if s.first.IsZero() || at.Before(s.first) {
		s.first = at
	}
	if line, known := s.lines[d.GetRow().GetText()]; known {
		s.used[line] = true
	}
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_UNKNOWN || d.GetSubject() == "" || d.GetAct() == "" {
		return
	}
	if !strings.HasPrefix(d.GetSubject(), "unknown:") {
		s.people[d.GetSubject()] = true
	}
	a := s.ask(s.judge, d, at)
	for _, line := range a.lines {
		s.used[line] = true
	}
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION {
		return
	}
	classes := strings.Join(d.GetClasses(), " ")
	switch id, person := strings.CutPrefix(d.GetSubject(), "person:"); {
	case a.uncertain, strings.HasPrefix(d.GetSubject(), "unknown:"), person && !s.policy.KnowsPerson(id):
		s.unexplained++
	case a.denies > 0:
		s.unexplained++
		note(s.denied, denial{a.denies, d.GetSubject(), d.GetSource(), d.GetAct(), a.deniedClass}, d, at)
	case len(a.missing) == 0:
		s.explained++ // the policy in force allows it by now
	default:
		l := note(s.open, likeness{d.GetSubject(), d.GetSource(), d.GetAct(), classes}, d, at)
		for _, class := range a.missing {
			l.missing[class] = true
		}
		held := map[string]bool{}
		for _, name := range s.judge.Holds(d.GetSubject(), at) {
			held[name] = l.decisions == 1 || l.held[name]
		}
		maps.DeleteFunc(held, func(_ string, always bool) bool { return !always })
		l.held = held
	}
}

// note counts one more of those that are alike.
func note[K comparable](all map[K]*likes, key K, d *curfewv1.Decision, at time.Time) *likes {
	l := all[key]
	if l == nil {
		l = &likes{missing: map[string]bool{}, first: d, last: d, times: [2]time.Time{at, at}}
		all[key] = l
	}
	l.decisions++
	if at.Before(l.times[0]) {
		l.first, l.times[0] = d, at
	}
	if !at.Before(l.times[1]) {
		l.last, l.times[1] = d, at
	}
	return l
}

// answers is what a policy says to all that a decision asks.
type answers struct {
	missing     []string // classes that no row allows
	denies      int      // the line of a row that denies one
	deniedClass string
	uncertain   bool
	lines       []int // of rows and links that decided
}

// ask asks about each class of a decision.
func (s *Suggestion) ask(j *judge.Judge, d *curfewv1.Decision, at time.Time) (a answers) {
	classes := d.GetClasses()
	if !s.has("class") {
		classes = classes[:min(1, len(classes))]
	}
	for _, class := range classes {
		asked, err := j.Ask(d.GetSubject(), d.GetObject(), class, d.GetAct(), at)
		if asked.Row > 0 {
			a.lines = append(append(a.lines, asked.Row), asked.Links...)
		}
		switch {
		case err != nil || asked.Open:
			a.uncertain = true
		case asked.Allowed:
		case asked.Row > 0:
			if a.denies == 0 {
				a.denies, a.deniedClass = asked.Row, class
			}
		default:
			a.missing = append(a.missing, class)
		}
	}
	return a
}

func (s *Suggestion) has(column string) bool { return slices.Contains(s.policy.Columns(), column) }

// Answer is what follows from all that was added. The same decisions, in whatever order, give the same answer.
func (s *Suggestion) Answer() (*curfewv1.SuggestPolicyResponse, error) {
	rows := s.rows()
	answer := &curfewv1.SuggestPolicyResponse{Decisions: s.decisions, Explained: s.explained, Unexplained: s.unexplained}
	var file bytes.Buffer
	for _, row := range rows {
		message := row.message(s)
		answer.Rows = append(answer.Rows, message)
		fmt.Fprintln(&file, message.GetText())
	}
	// Whether the rows explain what they are meant to is tried, not believed.
	explains, err := s.with(file.String())
	if err != nil {
		return nil, err
	}
	for _, l := range s.open {
		if explains(l) {
			answer.Explained += l.decisions
		} else {
			answer.Unexplained += l.decisions
		}
	}
	answer.Rows = append(answer.Rows, s.denials()...)
	answer.Unused = s.unused()
	return answer, nil
}

// with returns whether the policy, with more rows, allows the first and the last of some violations.
func (s *Suggestion) with(rows string) (func(*likes) bool, error) {
	files := maps.Clone(s.policy.Files())
	files[policyFile] = slices.Concat(files[policyFile], []byte("\n"+rows))
	policy, err := judge.NewPolicy(files, s.bench.Catalog)
	if err != nil {
		return nil, fmt.Errorf("try the rows suggested: %w", err)
	}
	j := &judge.Judge{
		Tenant: s.judge.Tenant, Pseudonyms: s.judge.Pseudonyms, Known: s.judge.Known,
		Policies: func(time.Time) (*judge.Policy, time.Time) { return policy, time.Time{} },
	}
	return func(l *likes) bool {
		for i, d := range []*curfewv1.Decision{l.first, l.last} {
			if a := s.ask(j, d, l.times[i]); len(a.missing) > 0 || a.denies > 0 || a.uncertain {
				return false
			}
		}
		return true
	}, nil
}

// denials is what rows deny, as comments: around a deny nothing is suggested.
func (s *Suggestion) denials() []*curfewv1.SuggestedRow {
	type group struct {
		line               int
		source, act, class string
	}
	rows := map[group]*curfewv1.SuggestedRow{}
	for key, l := range s.denied {
		at := group{key.line, key.source, key.act, key.class}
		if rows[at] == nil {
			rows[at] = &curfewv1.SuggestedRow{Text: fmt.Sprintf("# %s:%d denies %s of %s at %s, and no row is suggested around that", policyFile, key.line, key.act, key.class, key.source)}
		}
		rows[at].Decisions += l.decisions
		rows[at].People = append(rows[at].People, key.subject)
	}
	for _, row := range rows {
		slices.Sort(row.People)
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b *curfewv1.SuggestedRow) int { return cmp.Or(strings.Compare(a.GetText(), b.GetText())) })
}

// unused is the rows that allow something, and the links, that no decision needed. The rows for Curfew's own API are left
// out: they are there for a day that may not have come.
func (s *Suggestion) unused() []*curfewv1.Row {
	var rows []*curfewv1.Row
	effect, object := slices.Index(s.policy.Columns(), "eft"), slices.Index(s.policy.Columns(), "obj")
	for _, row := range s.policy.Stated() {
		denies := row.Kind == "p" && effect >= 0 && row.Fields[effect] != "allow"
		own := row.Kind == "p" && object >= 0 && strings.HasPrefix(row.Fields[object], judge.Self+"/")
		if !s.used[row.Line] && !denies && !own {
			rows = append(rows, &curfewv1.Row{Text: row.Kind + ", " + strings.Join(row.Fields, ", "), File: policyFile, Line: uint32(row.Line)})
		}
	}
	return rows
}
