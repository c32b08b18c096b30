// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/enforcer"
)

// Explain judges a question rather than an event, and returns besides every role the subject held and the rows that
// would have allowed it, had it held theirs.
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
	j.ask(d, m, moment.decide, enforcer.Request{Sub: subject, Dom: j.Tenant, Obj: object, Act: act})
	answer := &curfewv1.ExplainDecisionResponse{Decision: d, Held: m.Hold(subject, j.Tenant).All()}
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_ALLOWED {
		answer.WouldAllow = m.wouldAllow(enforcer.Request{Dom: j.Tenant, Obj: object, Act: act}, classes)
	}
	return answer, nil
}

// wouldAllow is the rows that allow it to whomever they name. It asks the same model with each row's own subject.
func (m moment) wouldAllow(q enforcer.Request, classes []string) []*curfewv1.Row {
	column := slices.Index(m.policy.enforcer.Columns(), "sub")
	if column < 0 {
		return nil
	}
	var rows []*curfewv1.Row
	for number, r := range m.policy.rows {
		q.Sub = r.fields[column]
		all := !slices.ContainsFunc(classes, func(class string) bool {
			q.Class = class
			answer, err := m.policy.enforcer.Decide(q, m.of(q.Sub, q.Dom).subject, m)
			return err != nil || !answer.Allowed || answer.Row != number
		})
		if all {
			rows = append(rows, r.message())
		}
	}
	return rows
}
