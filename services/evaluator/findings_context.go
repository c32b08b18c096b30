// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxHeld is how many grants a finding names.
const maxHeld = 5

// evaluate judges an event and asks every detection about it. The same event and basis give the same.
func (p *picture) evaluate(e *curfewv1.Event) (*curfewv1.Decision, []*curfewv1.Finding) {
	d, findings := p.Evaluate(e)
	if findings = append(findings, p.afterEnds(e, d)...); len(findings) == 0 {
		return d, nil
	}
	known := p.context(e, d)
	for _, f := range findings {
		f.Context = known
	}
	return d, findings
}

// context is what helps a person to answer findings about an event, as far as it is known without asking. The same event,
// decision and basis give the same; nil where nothing is known.
func (p *picture) context(e *curfewv1.Event, d *curfewv1.Decision) *curfewv1.FindingContext {
	subject := d.GetSubject()
	if subject == "" {
		return nil
	}
	at := e.GetTime().AsTime()
	return &curfewv1.FindingContext{Reach: p.Reach(subject, at), AllowingRoles: p.AllowingRoles(e, d), Grants: p.heldAt(subject, at)}
}

// heldAt is the grants of a subject that were in force at a time, the first to end first.
func (p *picture) heldAt(subject string, at time.Time) (held []*curfewv1.HeldGrant) {
	moment := temporal.Nanos(at)
	links := slices.DeleteFunc(slices.Clone(p.Known.Links(subject)), func(l temporal.Link) bool {
		return temporal.GrantID(l.Origin) == "" || l.From > moment || l.Until <= moment
	})
	slices.SortFunc(links, func(a, b temporal.Link) int {
		if a.Until != b.Until {
			return int(min(max(a.Until-b.Until, -1), 1))
		}
		return strings.Compare(a.Origin, b.Origin)
	})
	for _, link := range links[:min(len(links), maxHeld)] {
		id := temporal.GrantID(link.Origin)
		text := link.Held
		if things := p.thingsOf(id, subject, at); len(things) > 0 {
			text += " (" + strings.Join(things, "; ") + ")"
		}
		held = append(held, &curfewv1.HeldGrant{Id: id, Text: fmt.Sprintf("%s until %s", text, time.Unix(0, link.Until).UTC().Format(time.RFC3339))})
	}
	return held
}

// maxThings is how many privileges of a grant are named.
const maxThings = 5

// thingsOf is what a grant stands for at SaaS.
func (p *picture) thingsOf(id, subject string, at time.Time) (things []string) {
	if p.grants == nil {
		return nil
	}
	for _, account := range p.AccountsOf(subject, at) {
		for _, s := range p.grants.at(account) {
			if s.grant == id && !slices.Contains(things, s.thing) {
				things = append(things, s.thing)
			}
		}
	}
	slices.Sort(things)
	if len(things) > maxThings {
		return append(things[:maxThings], fmt.Sprintf("%d more", len(things)-maxThings))
	}
	return things
}
