// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// take is what is next of what ends; none where nothing does. All that ends of one key ends by one call.
func (a *actor) take(t *task, s sorted, now time.Time) step {
	if len(s.ending) == 0 {
		return step{}
	}
	target := s.prior()
	if target == nil || isUnknown(target) {
		target = &curfewv1.PrivilegeState{Presence: curfewv1.Presence_PRESENCE_ABSENT}
	}
	stay := slices.Concat(s.wanting, s.giving) // what is given yet waits, or take would not be asked
	for _, m := range stay {
		target = s.raised(target, m.level())
	}
	top := s.top(s.ending)
	begun := slices.ContainsFunc(s.ending, member.isTaking)
	if len(stay) > 0 && isThere(target) && s.atLeast(target.GetLevel(), top) && !begun {
		return a.leave(t, s.ending)
	}
	var untouched []member
	for _, m := range s.ending {
		if !m.isTaking() {
			untouched = append(untouched, m)
		}
	}
	if len(untouched) > 0 {
		t.forget()
		t.accepted, t.took, t.refused, t.ending = time.Time{}, time.Time{}, "", 0
		a.reckon(t, untouched, now)
		return step{edits: a.announce(t, untouched, "taking", a.mine(now, func(h *curfewv1.HeldPrivilege) {
			h.Stage, h.Task, h.Link, h.Trouble = stageTaking, "", "", ""
		}))}
	}
	switch {
	case t.state == nil:
		return s.read()
	case isUnknown(t.state) && t.took.IsZero() && t.attempts == 0 && s.ending[0].held.GetAttempts() == 0:
		return a.revoke(t, s, target, top, now)
	case isUnknown(t.state):
		return a.judge(t, s, now)
	case s.within(t.state, target) && a.isUnasked(t, s):
		// A call to give it may be on its way yet, unseen.
		return a.revoke(t, s, target, top, now)
	case s.within(t.state, target) && a.isUnsettled(t, s, now):
		return a.doubt(t, t.settles, now)
	case s.within(t.state, target):
		return a.confirm(t, s, stay, now)
	}
	return a.takeBack(t, s, target, top, now)
}

// isUnasked is whether nobody asked for what was being given when it ended, and was not seen since.
func (a *actor) isUnasked(t *task, s sorted) bool {
	return t.attempts == 0 && slices.ContainsFunc(s.ending, func(m member) bool {
		return m.held.GetSeen() == nil && m.held.GetAttempts() == 0 && m.held.GetCalled() == nil
	})
}

// isUnsettled is whether what ends may show later though it does not yet.
func (a *actor) isUnsettled(t *task, s sorted, now time.Time) bool {
	if t.settles.IsZero() {
		a.reckon(t, s.ending, now)
	}
	return now.Before(t.settles)
}

// reckon notes when all calls that may have given some members show at the latest: claims come before calls.
func (a *actor) reckon(t *task, members []member, now time.Time) {
	for _, m := range members {
		at := a.settled(m.held.GetClaimed().AsTime())
		if m.held.GetStage() == stageGiving {
			at = a.settled(now)
		}
		if known := m.isTaking() && m.held.GetSeen() != nil; !known && at.After(t.settles) {
			t.settles = at
		}
	}
	if latest := a.settled(now); t.settles.After(latest) { // a clock was set back
		t.settles = latest
	}
}

func (m member) isTaking() bool {
	return m.held.GetStage() == stageTaking || m.held.GetStage() == stageTaken
}

// leave is for what other grants want.
func (a *actor) leave(t *task, members []member) step {
	return step{edits: a.edit(t, members, "another grant wants it", func(h *curfewv1.HeldPrivilege) {
		h.Stage, h.Trouble, h.Task, h.Link = stageLeft, "", "", ""
	})}
}

// takeBack is what is next of what the vendor still shows.
func (a *actor) takeBack(t *task, s sorted, target *curfewv1.PrivilegeState, top string, now time.Time) step {
	called := slices.MaxFunc(s.ending, func(x, y member) int {
		return x.held.GetCalled().AsTime().Compare(y.held.GetCalled().AsTime())
	}).held.GetCalled()
	switch {
	case slices.ContainsFunc(s.ending, func(m member) bool { return m.held.GetTask() != "" }):
		return a.look(t, now)
	case !t.took.IsZero() && now.Before(t.took.Add(a.grace)):
		return a.again(t, now)
	case !t.took.IsZero():
		next := a.disbelieve(t, "the revocation", t.took, now)
		t.took = time.Time{}
		return next
	case called != nil && !called.AsTime().After(now) && now.Before(called.AsTime().Add(a.grace)):
		// Another process asked, and has died since.
		return a.again(t, now)
	}
	return a.revoke(t, s, target, top, now)
}

// revoke asks for it, at the level that is there where a grant may have given that.
func (a *actor) revoke(t *task, s sorted, target *curfewv1.PrivilegeState, top string, now time.Time) step {
	if unclaimed := a.unclaimed(s.ending, now); len(unclaimed) > 0 {
		return step{edits: a.announce(t, unclaimed, "taking", a.mine(now, nil))}
	}
	if isThere(t.state) && s.atLeast(top, t.state.GetLevel()) {
		top = t.state.GetLevel()
	}
	return step{call: callRevoke, privilege: at(s.ending[0].held.GetPrivilege(), top), prior: target}
}

// judge is for a vendor that cannot say: a person has to.
func (a *actor) judge(t *task, s sorted, now time.Time) step {
	open := slices.DeleteFunc(slices.Clone(s.ending), func(m member) bool { return m.held.GetTask() != "" })
	if len(open) == 0 {
		return a.look(t, now)
	}
	p := s.ending[0].held.GetPrivilege()
	text := fmt.Sprintf("see whether %s still has %s %s: %s does not say", cmp.Or(p.GetHolderName(), p.GetHolder()), p.GetKind(), cmp.Or(p.GetResourceName(), p.GetResource()), a.source)
	return step{edits: a.byHand(t, open, &curfewv1.Provisioned{Task: text})}
}

// revoked takes in what the vendor said to a privilege that was to be taken.
func (a *actor) revoked(j *job, failed bool, now time.Time) {
	t := j.task
	t.asked()
	s := a.sort(a.members(t), now)
	for _, m := range s.ending {
		if t.attempts == 0 && m.held.GetAttempts() == 0 {
			a.Metrics.Taking(a.source, j.until.Add(-a.deadline).Sub(grant.End(m.grant)))
		}
	}
	t.attempts++
	switch {
	case j.err != nil:
		a.lost(j, failed, now)
		return
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK:
		a.note(a.byHand(t, s.ending, j.done))
		return
	}
	t.took = now
	attempts := t.attempts
	t.attempts = 0
	mine := slices.DeleteFunc(s.ending, func(m member) bool { return m.held.GetActor() != a.Holder || !m.isTaking() })
	a.note(a.edit(t, mine, "the vendor accepted the revocation", func(h *curfewv1.HeldPrivilege) {
		h.Stage, h.Attempts = stageTaken, h.GetAttempts()+attempts
		if h.Called == nil {
			h.Called = timestamppb.New(now)
		}
		h.Calls = newest(append(h.GetCalls(), j.done.GetCalls()...))
		h.Residual = cmp.Or(event.Clean(j.done.GetResidual()), h.GetResidual())
	}))
}

// confirm is what is next of what the vendor shows no more: sessions are ended, it is read until enough reads agree, and
// then it is reported. What is to stay for another grant and was taken too, by a call of ours that came late, is given
// again; what somebody else took is not.
func (a *actor) confirm(t *task, s sorted, stay []member, now time.Time) step {
	asked := slices.ContainsFunc(s.ending, func(m member) bool { return t.attempts > 0 || m.held.GetAttempts() > 0 })
	missing := slices.DeleteFunc(slices.Clone(s.wanting), func(m member) bool { return s.covers(t.state, m.level()) })
	if asked && len(missing) > 0 {
		if t.inRow < a.consistent {
			return a.again(t, now)
		}
		return step{edits: a.announce(t, missing, "it was taken with another grant's end", func(h *curfewv1.HeldPrivilege) { h.Stage = stageGiving })}
	}
	if len(stay) == 0 {
		if next := a.endSessions(t, s, now); !next.isNone() {
			return next
		}
	}
	if t.inRow < a.consistent {
		return a.again(t, now)
	}
	stage, detail := stageGone, "the vendor shows it no more"
	if isThere(t.state) {
		detail = "the vendor shows what was there before"
	}
	if len(stay) > 0 {
		stage, detail = stageLeft, "another grant wants it"
	}
	gone, reads, attempts := cmp.Or(t.first.GetRead(), timestamppb.New(t.readAt)), newest(t.reads), t.attempts
	t.attempts = 0
	residual := ""
	if t.state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT || t.state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT {
		residual = event.Clean(t.state.GetDetail()) // such as that it comes back once the holder is restored
	}
	return step{edits: a.edit(t, s.ending, detail, func(h *curfewv1.HeldPrivilege) {
		outlives(h, residual)
		h.Stage, h.Gone, h.Reads, h.Attempts = stage, gone, reads, h.GetAttempts()+attempts
		h.Trouble, h.Task, h.Link = "", "", ""
	})}
}

// sessionTries is how often sessions are asked to be ended, over a few minutes; refusedTries where the vendor refuses.
const (
	sessionTries = 10
	refusedTries = 2
)

// endSessions is what is next of the sessions of a holder whose privilege is taken.
func (a *actor) endSessions(t *task, s sorted, now time.Time) step {
	var ending, spared []member
	for _, m := range s.ending {
		switch given := m.held.GetSeen() != nil || m.held.GetCalled() != nil; {
		case m.held.GetSessions() != "" || !given:
		case m.held.GetKeepSessions() || isThere(m.held.GetPrior()):
			spared = append(spared, m)
		default:
			ending = append(ending, m)
		}
	}
	switch {
	case len(spared) > 0:
		return step{edits: a.edit(t, spared, "sessions are left alone", func(h *curfewv1.HeldPrivilege) {
			if h.Sessions = "left alone: the privilege was held before"; h.GetKeepSessions() {
				h.Sessions = "left alone, as the policy says"
			}
		})}
	case len(ending) == 0:
		return step{}
	}
	if unclaimed := a.unclaimed(ending, now); len(unclaimed) > 0 {
		return step{edits: a.announce(t, unclaimed, "ending sessions", a.mine(now, nil))}
	}
	return step{call: callSessions, privilege: ending[0].held.GetPrivilege()}
}

// endedSessions notes what came of ending sessions: whatever it is, it does not keep the grant from ending.
func (a *actor) endedSessions(j *job, now time.Time) {
	t := j.task
	most := sessionTries
	if j.err != nil && isRefusal(j.err) {
		most = refusedTries
	}
	if t.ending++; j.err != nil && t.ending < most {
		if t.ending == 1 {
			t.fails = 0
		}
		a.lost(j, !isRefusal(j.err), now)
		return
	}
	text := "not ended"
	switch {
	case j.err != nil:
		text = "not ended: " + event.Clean(j.err.Error())
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK:
		text = strings.TrimSpace("to be ended by hand: " + event.Clean(j.done.GetTask()) + " " + event.Clean(j.done.GetLink()))
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE:
		text = "the holder does not exist any more"
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY:
		text = "there were none to end"
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE:
		text = "ended: " + strings.Join(newest(j.done.GetCalls()), ", ")
	default: // an outcome to come
	}
	residual := event.Clean(j.done.GetResidual())
	var members []member
	for _, m := range a.members(t) {
		if m.isTaking() && m.held.GetSessions() == "" {
			members = append(members, m)
		}
	}
	a.note(a.edit(t, members, "sessions", func(h *curfewv1.HeldPrivilege) {
		h.Sessions = text
		outlives(h, residual)
	}))
}

// outlives adds to what outlives a privilege's end.
func outlives(h *curfewv1.HeldPrivilege, residual string) {
	if residual != "" && !strings.Contains(h.GetResidual(), residual) {
		h.Residual = strings.TrimPrefix(h.GetResidual()+"; "+residual, "; ")
	}
}
