// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"maps"
	"slices"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// Stated is one row as policy.csv states it.
type Stated struct {
	// Kind is "p" or "g".
	Kind string
	// Fields are what stands behind the kind.
	Fields []string
	// Line is where, from 1.
	Line int
}

// Stated is every row in the order of the file.
func (p *Policy) Stated() []Stated {
	rows, _ := readRows(p.files[policyFile]) // they were read once, so they can be
	stated := make([]Stated, 0, len(rows))
	for _, r := range rows {
		stated = append(stated, Stated{r.kind, r.fields, r.line})
	}
	return stated
}

// Columns are the names of the model's policy definition: sub, dom ...
func (p *Policy) Columns() []string { return p.enforcer.Columns() }

// Indexed is whether the rows that can matter are picked by an index, and if not, a sentence that says why.
func (p *Policy) Indexed() (indexed bool, why string) { return p.enforcer.Indexed() }

// Catalog is the catalogue with what the policy adds to it.
func (p *Policy) Catalog() *catalog.Catalog { return p.catalog }

// Classes are the ids of every data class, sorted.
func (p *Policy) Classes() []string { return slices.Sorted(maps.Keys(p.classes.byID)) }

// Within is whether a class is, or belongs to, what a row names: a class, a level or "*".
func (p *Policy) Within(class, named string) bool { return p.classes.within(class, named) }

// ClassesOf are the classes of data that an event touches, most sensitive first, by what the catalogue says of its action.
func (p *Policy) ClassesOf(e *curfewv1.Event, action catalog.Action) []string {
	return p.classes.of(e, Object(e), action)
}

// People are the ids that identities.yaml lists, sorted.
func (p *Policy) People() []string { return slices.Sorted(maps.Keys(p.identities.people)) }

// Inventories calls visit with each inventory whose groups, roles or apps the policy names.
func (p *Policy) Inventories(visit func(source, kind string)) {
	for _, n := range p.named {
		visit(n.source, n.kind)
	}
}

// Supposed is what somebody holds, if nothing but the policy and what was supposed gives anything, all of it certain.
type Supposed struct {
	policy  *Policy
	at      int64
	more    []temporal.Source
	subject *enforcer.Subject
	holding *temporal.Holding
	dom     string
}

// Suppose is what a name holds at a time by the policy and by more links.
func (p *Policy) Suppose(name, dom string, at time.Time, more ...temporal.Source) *Supposed {
	s := &Supposed{policy: p, at: temporal.Nanos(at), more: append([]temporal.Source{p}, more...), dom: dom}
	s.holding = s.Hold(name, dom)
	s.subject = p.enforcer.Subject(s.holding)
	return s
}

// Hold is what any name holds under the same supposition.
func (s *Supposed) Hold(name, dom string) *temporal.Holding {
	return temporal.Hold(name, dom, s.at, s.more...)
}

// Holding is what the name itself holds.
func (s *Supposed) Holding() *temporal.Holding { return s.holding }

// Ask is the policy's answer to one question. Row counts the p rows in the order of the file.
func (s *Supposed) Ask(object, class, act string) (enforcer.Answer, error) {
	q := enforcer.Request{Sub: s.holding.Name(), Dom: s.dom, Obj: object, Class: class, Act: act}
	return s.policy.enforcer.Decide(q, s.subject, s)
}

// Try judges an act that somebody made up, as Decide would an event. Subject is who acts where the event has no actor;
// action is what the catalogue would say of the event's; classes, where there are any, stand in place of the object's own.
func (j *Judge) Try(e *curfewv1.Event, subject string, action catalog.Action, classes []string) *curfewv1.Decision {
	at := e.GetTime().AsTime()
	policy, _ := j.Policies(at)
	d := &curfewv1.Decision{
		EventId: e.GetId(), Time: e.GetTime(), Source: e.GetSource(), Feed: e.GetFeed(), Dom: j.Tenant, Act: action.Act,
		Action: e.GetAction(), Verdict: curfewv1.Verdict_VERDICT_UNKNOWN, PolicyDigest: policy.digest, Classes: classes,
	}
	who := j.name(d, e, policy, action, at)
	switch {
	case subject == "":
	case d.GetSubject() != "": // an app acts through them
		d.Person = subject
	default:
		who.subject, d.Subject = subject, subject
	}
	object := Object(e)
	d.Object = clip(j.pseudonymise(policy, object))
	if len(d.GetClasses()) == 0 {
		d.Classes = policy.classes.of(e, object, action)
	}
	j.ask(d, j.moment(policy, at), moment.decide, enforcer.Request{Sub: who.subject, Dom: j.Tenant, Obj: object, Act: action.Act})
	if who.doubt != "" && d.GetVerdict() != curfewv1.Verdict_VERDICT_UNKNOWN && j.hangsOn(who, d, policy, at, object) {
		d.Verdict, d.Row, d.Links, d.Reason = curfewv1.Verdict_VERDICT_UNKNOWN, nil, nil, who.doubt
	}
	return d
}
