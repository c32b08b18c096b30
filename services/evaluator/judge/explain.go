// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// Explain judges a question rather than an event, and returns besides every role the subject held and the rows that
// would have allowed it, had it held theirs. Where no row allows it the reason goes on, behind semicolons, with what comes
// nearest: when the subject held or will hold such a role, and what else it may do there.
func (j *Judge) Explain(subject, object, act string, classes []string, at time.Time) (*curfewv1.ExplainDecisionResponse, error) {
	policy, start := j.Policies(at)
	if at.Before(start) {
		return nil, fmt.Errorf("no policy was in force at %s: the first came into force at %s", at.UTC().Format(time.RFC3339), start.UTC().Format(time.RFC3339))
	}
	source, path, _ := strings.Cut(object, "/")
	kind, _, _ := strings.Cut(path, "/")
	if len(classes) == 0 {
		e := &curfewv1.Event{Source: source, Resource: &curfewv1.Resource{Path: path, Kind: kind}}
		classes = policy.classes.of(e, object, catalog.Action{})
	}
	for _, class := range classes {
		if _, known := policy.classes.byID[class]; !known {
			return nil, fmt.Errorf("class %q is not known", class)
		}
	}
	d := &curfewv1.Decision{
		Time: event.Timestamp(at), Source: source, Subject: subject, Dom: j.Tenant, Object: object, Act: act,
		Classes: classes, PolicyDigest: policy.digest,
	}
	m := j.moment(policy, at)
	q := enforcer.Request{Sub: subject, Dom: j.Tenant, Obj: object, Act: act}
	j.ask(d, m, moment.decide, q)
	answer := &curfewv1.ExplainDecisionResponse{Decision: d, Held: m.Hold(subject, j.Tenant).All()}
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED {
		return answer, nil
	}
	rows := m.wouldAllow(q, classes)
	for _, number := range rows {
		answer.WouldAllow = append(answer.WouldAllow, policy.rows[number].message())
	}
	if d.GetVerdict() == curfewv1.Verdict_VERDICT_VIOLATION && d.GetRow() == nil {
		near := slices.Concat([]string{d.GetReason()}, m.atOtherTimes(q, rows), m.otherActs(q, classes))
		d.Reason = strings.Join(near, "; ")
	}
	return answer, nil
}

// wouldAllow is the rows that allow it to whomever they name. It asks the same model with each row's own subject.
func (m moment) wouldAllow(q enforcer.Request, classes []string) (rows []int) {
	column := slices.Index(m.policy.enforcer.Columns(), "sub")
	if column < 0 {
		return nil
	}
	for number, r := range m.policy.rows {
		q.Sub = r.fields[column]
		if m.allows(q, classes, number) {
			rows = append(rows, number)
		}
	}
	return rows
}

// allows is whether it is allowed for every class, by one row where that is not negative.
func (m moment) allows(q enforcer.Request, classes []string, by int) bool {
	s := m.of(q.Sub, q.Dom)
	return !slices.ContainsFunc(classes, func(class string) bool {
		q.Class = class
		answer, err := m.decide(q, s)
		return err != nil || !answer.Allowed || len(answer.Open) > 0 || by >= 0 && answer.Row != by
	})
}

// maxMoments is over how many changes of what somebody holds they are looked for what they held before and will hold.
const maxMoments = 64

// atOtherTimes says when the subject held last, and when it will hold next, what one of the rows asks for.
func (m moment) atOtherTimes(q enforcer.Request, rows []int) (said []string) {
	if h, number := m.find(q, rows, true); h != nil {
		said = append(said, m.sayHeld(h, number, "held %s until %s", h.Until))
	}
	if h, number := m.find(q, rows, false); h != nil {
		said = append(said, m.sayHeld(h, number, "holds %s from %s on", h.From))
	}
	return said
}

// find goes back, or forward, from one moment to the next to look for one at which the subject certainly holds what one of
// the rows asks for; nil where there is none.
func (m moment) find(q enforcer.Request, rows []int, back bool) (h *temporal.Holding, number int) {
	column := slices.Index(m.policy.enforcer.Columns(), "sub")
	h = m.Hold(q.Sub, q.Dom)
	for range maxMoments {
		switch {
		case back && h.From > temporal.Start:
			m.at = h.From - 1
		case !back && h.Until < temporal.End:
			m.at = h.Until
		default:
			return nil, 0
		}
		h = m.Hold(q.Sub, q.Dom)
		for _, number := range rows {
			name := m.policy.rows[number].fields[column]
			if _, certain := h.Has(name); certain && name != q.Sub {
				return h, number
			}
		}
	}
	return nil, 0
}

// sayHeld says from or until when something is held that a row asks for, and where the link that begins or ends then was
// learnt.
func (m moment) sayHeld(h *temporal.Holding, number int, form string, edge int64) string {
	row := m.policy.rows[number]
	name := row.fields[slices.Index(m.policy.enforcer.Columns(), "sub")]
	origin := ""
	for _, link := range h.Way(name) {
		if origin == "" || isEdge(link, edge) {
			origin = link.GetOrigin()
		}
	}
	when := time.Unix(0, edge).UTC().Format(time.RFC3339)
	return fmt.Sprintf("%s "+form+" (%s), and row %d allows it to that", h.Name(), name, when, origin, row.line)
}

// isEdge is whether a link begins or ends at a moment.
func isEdge(link *curfewv1.Link, at int64) bool {
	return link.GetFrom() != nil && temporal.Nanos(link.GetFrom().AsTime()) == at || link.GetUntil() != nil && temporal.Nanos(link.GetUntil().AsTime()) == at
}

// otherActs says what else the subject may do to the same.
func (m moment) otherActs(q enforcer.Request, classes []string) []string {
	var acts []string
	for _, act := range catalog.Acts() {
		if q.Act = act; m.allows(q, classes, -1) {
			acts = append(acts, act)
		}
	}
	if len(acts) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s may %s there", q.Sub, strings.Join(acts, ", "))}
}

// Asked is the policy's answer about one class of data.
type Asked struct {
	// Allowed is whether it is allowed by what is certainly held.
	Allowed bool
	// Open is whether links that are not certain would turn that.
	Open bool
	// Row is the line in policy.csv of the row that decided; 0 where none did.
	Row int
	// Links are the lines of the g rows between the subject and whom that row names.
	Links []int
}

// Ask asks about one class of data what a decision asks about all of an event's. An error means that Casbin failed.
func (j *Judge) Ask(subject, object, class, act string, at time.Time) (Asked, error) {
	policy, _ := j.Policies(at)
	m := j.moment(policy, at)
	s := m.of(subject, j.Tenant)
	answer, err := m.decide(enforcer.Request{Sub: subject, Dom: j.Tenant, Obj: object, Class: class, Act: act}, s)
	asked := Asked{Allowed: answer.Allowed, Open: len(answer.Open) > 0}
	if err != nil || answer.Row < 0 {
		return asked, err
	}
	asked.Row = policy.rows[answer.Row].line
	for _, link := range j.way(s.holding, policy, answer.Row) {
		if line, is := strings.CutPrefix(link.GetOrigin(), policyFile+":"); is {
			if number, err := strconv.Atoi(line); err == nil {
				asked.Links = append(asked.Links, number)
			}
		}
	}
	return asked, nil
}

// Holds is what a subject certainly holds at a time, the subject itself not among it.
func (j *Judge) Holds(subject string, at time.Time) []string {
	policy, _ := j.Policies(at)
	h := j.moment(policy, at).Hold(subject, j.Tenant)
	var names []string
	for i := range h.Len() {
		if name, uncertain := h.At(i); i > 0 && !uncertain {
			names = append(names, name)
		}
	}
	return names
}

// Owner is the person whose an account was at a time, by the name that links have for it ("account:okta/00u1"); "" where
// it was nobody's, or is no account.
func (j *Judge) Owner(name string, at time.Time) string {
	source, id, is := isAccount(name)
	if !is {
		return ""
	}
	policy, _ := j.Policies(at)
	o := policy.identities.owner(account{source: source, id: id, person: true}, temporal.Nanos(at), j.Known)
	if o.person == "" || o.doubt != "" {
		return ""
	}
	return "person:" + o.person
}
