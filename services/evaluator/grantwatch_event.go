// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/detection"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// afterEnds returns the findings that an event and its decision are about a grant that had ended. The same event and basis
// give the same findings.
func (p *picture) afterEnds(e *curfewv1.Event, d *curfewv1.Decision) []*curfewv1.Finding {
	if !judge.IsPlaced(e) {
		return nil
	}
	in := detection.Input{Event: e, Decision: d}
	findings := p.givenAgain(in)
	if ended, found := p.wouldHaveAllowed(e, d); found {
		findings = append(findings, detection.Used(in, ended))
	}
	return findings
}

// wouldHaveAllowed is the grant by which a violation would have been allowed a moment before the grant's end: of several,
// the one that ended last. Of each role the last that ended is asked about.
func (p *picture) wouldHaveAllowed(e *curfewv1.Event, d *curfewv1.Decision) (detection.Ended, bool) {
	if d.GetVerdict() != curfewv1.Verdict_VERDICT_VIOLATION {
		return detection.Ended{}, false
	}
	at := temporal.Nanos(e.GetTime().AsTime())
	asked := map[string]bool{}
	for _, link := range p.Known.Links(d.GetSubject()) { // what ends last first
		id := temporal.GrantID(link.Origin)
		if id == "" || link.Until > at || at-link.Until > int64(remembered) || asked[link.Held] {
			continue
		}
		asked[link.Held] = true
		end := time.Unix(0, link.Until).UTC()
		before := proto.CloneOf(e)
		before.Time = event.Timestamp(end.Add(-1))
		was := p.Decide(before)
		if was.GetVerdict() == curfewv1.Verdict_VERDICT_ALLOWED && was.GetSubject() == d.GetSubject() && isBy(was, id) {
			return detection.Ended{ID: id, Subject: d.GetSubject(), Role: link.Held, End: end}, true
		}
	}
	return detection.Ended{}, false
}

// isBy is whether a grant is among the links of a decision.
func isBy(d *curfewv1.Decision, id string) bool {
	return slices.ContainsFunc(d.GetLinks(), func(l *curfewv1.Link) bool { return temporal.GrantID(l.GetOrigin()) == id })
}

// givenAgain is the findings that an event gave what grants had stood for that are over.
func (p *picture) givenAgain(in detection.Input) (findings []*curfewv1.Finding) {
	e := in.Event
	if len(e.GetLinks()) == 0 || p.grants == nil || p.grants.count == 0 || e.GetOutcome().GetStatus() == curfewv1.OutcomeStatus_OUTCOME_STATUS_FAILURE {
		return nil
	}
	at, told := temporal.Nanos(e.GetTime().AsTime()), map[string]bool{}
	for _, change := range e.GetLinks() {
		if change.GetRemoved() || change.GetHolderType() == "group" {
			continue
		}
		s, found := lastEnded(p.sameAs(e, change, at), at)
		if !found || told[s.grant+s.thing] {
			continue
		}
		told[s.grant+s.thing] = true
		ended := detection.Ended{ID: s.grant, Subject: s.subject, Role: s.role, End: time.Unix(0, s.until).UTC()}
		findings = append(findings, detection.Again(in, ended, s.thing))
	}
	return findings
}

// lastEnded is the newest of the privileges that had ended by a moment, unless somebody was to have them then or the event
// can be our own giving of one.
func lastEnded(all []stood, at int64) (last stood, found bool) {
	for _, s := range all {
		switch {
		case s.from-int64(echoes) <= at && at < s.until:
			return stood{}, false // a grant wants it
		case !s.taken || s.until > at || at-s.until > int64(remembered):
			continue
		case s.giving == temporal.End || at <= s.giving+int64(echoes):
			return stood{}, false // our own call may have come late
		}
		if !found || cmp.Or(cmp.Compare(s.until, last.until), strings.Compare(s.grant, last.grant), strings.Compare(s.thing, last.thing)) > 0 {
			last, found = s, true
		}
	}
	return last, found
}

// sameAs is the privileges of grants that are what an event gave: of the same holder and thing, by id or by name.
func (p *picture) sameAs(e *curfewv1.Event, change *curfewv1.LinkChange, at int64) (same []stood) {
	source := e.GetSource()
	keys := []string{temporal.Account(source, change.GetHolder()), nameKey(source, change.GetHolder())}
	for _, name := range []string{temporal.Login(source, change.GetHolder()), temporal.Email(temporal.FoldEmail(change.GetHolder()))} {
		for _, link := range p.Known.Links(name) {
			if link.From <= at && at < link.Until && strings.HasPrefix(link.Held, "account:"+source+"/") && !slices.Contains(keys, link.Held) {
				keys = append(keys, link.Held)
			}
		}
	}
	for _, key := range keys {
		for _, s := range p.grants.at(key) {
			if s.kind == change.GetKind() && !p.grants.isOld(s.until) && !slices.Contains(same, s) && p.isOf(s, source, change.GetHeld(), at) {
				same = append(same, s)
			}
		}
	}
	return same
}

// isOf is whether what an event calls held is a privilege's resource: by its id, by the name that the grant has for it, or
// by the group that inventories say that name meant.
func (p *picture) isOf(s stood, source, held string, at int64) bool {
	if held == s.resource || s.name != "" && temporal.FoldEmail(held) == s.name {
		return true
	}
	group := "group:" + source + "/" + event.Escape(s.resource)
	return s.kind == "memberships" && slices.ContainsFunc(p.Known.Links(s.holder), func(l temporal.Link) bool {
		return l.Held == group && l.From == at
	})
}
