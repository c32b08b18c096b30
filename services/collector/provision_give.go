// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// noted is how many calls and reads are kept with a privilege.
const noted = 16

func newest(lines []string) []string { return lines[max(0, len(lines)-noted):] }

// isAwaited is whether all that is being given waits for a person.
func (s sorted) isAwaited(t *task) bool {
	return len(s.fresh) == 0 && !slices.ContainsFunc(s.giving, func(m member) bool {
		return m.held.GetTask() == "" && t.state.GetPresence() != curfewv1.Presence_PRESENCE_PENDING
	})
}

// waits is whether giving waits for something that may take long: that must not keep others from ending.
func (a *actor) waits(t *task, s sorted, giving step, now time.Time) bool {
	return giving.at.After(now.Add(a.spacing)) || giving.at.After(now) && s.isAwaited(t) ||
		len(giving.edits) == 0 && giving.call != callNone && t.giving && now.Before(t.next)
}

// give is what is next of what is to be given; none where nothing is.
func (a *actor) give(t *task, s sorted, now time.Time) step {
	all := slices.Concat(s.fresh, s.giving)
	switch {
	case len(all) == 0:
		return step{}
	case !slices.Contains(a.vendor.Privileges(), s.kind):
		return step{edits: a.refuse(t, all, fmt.Sprintf("%s has no privileges of kind %q", a.source, event.Clean(s.kind)))}
	case t.state == nil:
		return s.read()
	case isUnknown(t.state):
		// What was there before has to be known before anything is given.
		return a.puzzled(t, len(s.ending) > 0, now)
	}
	prior, step := a.before(t, s, now)
	if !step.isNone() {
		return step
	}
	if len(s.fresh) > 0 {
		return a.beginGiving(t, s, prior, now)
	}
	short := slices.DeleteFunc(slices.Clone(s.giving), func(m member) bool { return s.covers(t.state, m.level()) })
	if held := slices.DeleteFunc(slices.Clone(s.giving), func(m member) bool { return !s.covers(t.state, m.level()) }); len(held) > 0 {
		return a.hold(t, held)
	}
	return a.ask(t, s, short, prior, now)
}

// puzzled waits where the vendor does not say whether it is there.
func (a *actor) puzzled(t *task, ending bool, now time.Time) step {
	text := a.source + " does not say whether it is there: " + event.Clean(t.state.GetDetail())
	if edits := a.tell(t, text, now); len(edits) > 0 {
		return step{edits: edits}
	}
	at := t.readAt.Add(a.watch)
	if !ending {
		t.forget()
	}
	if !now.Before(t.next) {
		t.next, t.giving = at, true
	}
	return step{at: at}
}

// before is what was there before any grant gave it. Where the vendor shows less than that by now, somebody took it: then
// that is what is left at the end, and it is recorded before anything is given. One read alone is not believed there.
func (a *actor) before(t *task, s sorted, now time.Time) (*curfewv1.PrivilegeState, step) {
	prior := s.prior()
	if prior == nil {
		return t.state, step{}
	}
	left := s.lower(prior, t.state)
	if left == prior {
		return prior, step{}
	}
	if t.inRow < a.consistent {
		return prior, a.again(t, now)
	}
	var open []member
	for _, m := range s.all {
		if m.isOpen() && m.held.GetPrior() != nil {
			open = append(open, m)
		}
	}
	return prior, step{edits: a.edit(t, open, "what was there before is there no more", func(h *curfewv1.HeldPrivilege) {
		h.Prior = proto.CloneOf(left)
	})}
}

// again reads once more, a little later.
func (a *actor) again(t *task, now time.Time) step {
	if at := t.readAt.Add(a.spacing); now.Before(at) {
		return step{at: at}
	}
	t.state = nil
	return step{at: now}
}

// doubt is again where a call that was made may show late: what was read until it would have does not count.
func (a *actor) doubt(t *task, until, now time.Time) step {
	if now.Before(until) {
		t.first, t.inRow, t.reads = nil, 0, nil
	}
	return a.again(t, now)
}

// settled is when a call to give that is made or given up at a moment shows at the latest.
func (a *actor) settled(at time.Time) time.Time { return at.Add(a.deadline + a.grace) }

// beginGiving records what was there before, and that it may be given from now on.
func (a *actor) beginGiving(t *task, s sorted, prior *curfewv1.PrivilegeState, now time.Time) step {
	t.calls, t.refused, t.accepted, t.residual = nil, "", time.Time{}, ""
	t.spotless = t.spotless && len(s.giving) > 0 || len(s.giving)+len(s.ending) == 0
	return step{edits: a.announce(t, s.fresh, "giving", a.mine(now, func(h *curfewv1.HeldPrivilege) {
		h.Stage, h.Prior = stageGiving, proto.CloneOf(prior)
	}))}
}

// hold reports what the vendor shows as given.
func (a *actor) hold(t *task, held []member) step {
	calls, residual, seen := newest(t.calls), t.residual, t.state.GetRead()
	t.fails, t.accepted = 0, time.Time{}
	return step{edits: a.edit(t, held, "the vendor shows it", func(h *curfewv1.HeldPrivilege) {
		h.Stage, h.Calls, h.Residual = stageHeld, calls, residual
		if h.Seen == nil {
			h.Seen = cmp.Or(seen, timestamppb.New(t.readAt))
		}
		h.Trouble, h.Task, h.Link = "", "", ""
	})}
}

func (a *actor) refuse(t *task, members []member, why string) []edit {
	calls := newest(t.calls)
	return a.edit(t, members, why, func(h *curfewv1.HeldPrivilege) {
		h.Stage, h.Trouble, h.Calls, h.Task, h.Link = stageRefused, why, calls, "", ""
	})
}

// ask is what is next of what the vendor does not show as given.
func (a *actor) ask(t *task, s sorted, short []member, prior *curfewv1.PrivilegeState, now time.Time) step {
	for _, m := range s.wanting {
		prior = s.raised(prior, m.level())
	}
	for _, m := range s.ending {
		prior = s.raised(prior, m.level())
	}
	top := s.top(short)
	switch {
	case t.refused != "" && s.within(t.state, prior) && !t.spotless && (now.Before(t.shows) || t.inRow < a.consistent):
		return a.doubt(t, t.shows, now)
	case t.refused != "" && s.within(t.state, prior):
		why := t.refused
		t.refused = ""
		return step{edits: a.refuse(t, short, why)}
	case t.state.GetPresence() == curfewv1.Presence_PRESENCE_PENDING && s.atLeast(t.state.GetLevel(), top),
		!slices.ContainsFunc(short, func(m member) bool { return m.held.GetTask() == "" }):
		return a.look(t, now)
	case !t.accepted.IsZero() && now.Before(t.accepted.Add(a.grace)):
		return a.again(t, now)
	case !t.accepted.IsZero():
		next := a.disbelieve(t, "to give it", t.accepted, now)
		t.accepted, t.giving = time.Time{}, true
		return next
	}
	if unclaimed := a.unclaimed(short, now); len(unclaimed) > 0 {
		return step{edits: a.announce(t, unclaimed, "giving", a.mine(now, nil))}
	}
	// What is held besides and somebody took meanwhile comes back with it.
	return step{call: callGrant, privilege: a.belted(s, at(short[0].held.GetPrivilege(), s.top(slices.Concat(short, s.wanting))))}
}

// look reads again, ever so often: a person has to do something.
func (a *actor) look(t *task, now time.Time) step {
	if at := t.readAt.Add(a.watch); now.Before(at) {
		return step{at: at}
	}
	t.forget()
	return step{at: now}
}

// disbelieve is for a vendor that said yes and shows no effect: it is told, and asked again later.
func (a *actor) disbelieve(t *task, what string, accepted, now time.Time) step {
	text := fmt.Sprintf("%s accepted %s at %s and did not show that at %s", a.source, what, accepted.UTC().Format(time.RFC3339), t.readAt.UTC().Format(time.RFC3339))
	t.fail(now, a.retry)
	t.forget()
	return step{edits: a.tell(t, text, now), at: now}
}

// granted takes in what the vendor said to a privilege that was to be given.
func (a *actor) granted(j *job, failed bool, now time.Time) {
	t := j.task
	t.asked()
	t.calls = append(t.calls, j.done.GetCalls()...)
	short := a.sort(a.members(t), now).giving
	if delete(a.expiry, t.key); len(short) == 0 { // it is held: its end was to move
		t.renewAt = now.Add(a.retry.pause(t.renewed))
		t.renewed++
	}
	refused := j.err != nil && isRefusal(j.err) || j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE
	t.spotless, t.shows = t.spotless && refused, a.settled(now)
	switch {
	case j.err != nil && isRefusal(j.err):
		t.refused = a.source + ": " + event.Clean(j.err.Error())
		t.fail(now, a.retry)
		t.next = now // a read tells at once
	case j.err != nil:
		a.lost(j, failed, now)
		t.giving = true
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE:
		t.refused = a.source + ": the holder or what was to be given does not exist any more, or goes by another name now"
	case j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK:
		a.note(a.byHand(t, short, j.done))
	default:
		t.accepted, t.residual = now, j.done.GetResidual()
		t.already = j.done.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY
	}
}

// byHand stores what a person has to do.
func (a *actor) byHand(t *task, members []member, done *curfewv1.Provisioned) []edit {
	attempts := t.attempts
	t.attempts = 0
	return a.edit(t, members, "a person has to do it", func(h *curfewv1.HeldPrivilege) {
		h.Task, h.Link, h.Trouble = event.Clean(done.GetTask()), event.Clean(done.GetLink()), ""
		h.Attempts += attempts
		h.Calls = newest(append(h.GetCalls(), done.GetCalls()...))
	})
}
