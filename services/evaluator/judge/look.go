// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// Looked is what a policy says of one data class that a decision touched.
type Looked struct {
	// Class that was asked about.
	Class string
	// Allowed is whether it is; false also where it is not certain.
	Allowed bool
	// Row decided; nil where none did.
	Row *curfewv1.Row
	// Links joined the subject to the row.
	Links []*curfewv1.Link
}

// Look asks a policy about each class of a decision, by the links of the decision's own time. A decision that names nobody,
// or has no time, gives nothing.
func (j *Judge) Look(policy *Policy, d *curfewv1.Decision) []Looked {
	if d.GetSubject() == "" || d.GetTime() == nil || d.GetAct() == "" {
		return nil
	}
	m := j.moment(policy, d.GetTime().AsTime())
	s := m.of(d.GetSubject(), d.GetDom())
	var looked []Looked
	for _, class := range d.GetClasses() {
		answer, err := m.decide(enforcer.Request{Sub: d.GetSubject(), Dom: d.GetDom(), Obj: d.GetObject(), Class: class, Act: d.GetAct()}, s)
		if err != nil {
			continue
		}
		l := Looked{Class: class, Allowed: answer.Allowed && len(answer.Open) == 0}
		if answer.Row >= 0 {
			l.Row, l.Links = policy.rows[answer.Row].message(), j.way(s.holding, policy, answer.Row)
		}
		looked = append(looked, l)
	}
	return looked
}
