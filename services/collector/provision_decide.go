// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/grant"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	stageNone    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_UNSPECIFIED
	stageGiving  = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GIVING
	stageHeld    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_HELD
	stageTaking  = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKING
	stageTaken   = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_TAKEN
	stageGone    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_GONE
	stageLeft    = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_LEFT
	stageRefused = curfewv1.PrivilegeStage_PRIVILEGE_STAGE_REFUSED
)

// step is what is next of a key: changes to be stored, else a call, else a time to decide again; none where all is done.
type step struct {
	edits     []edit
	call      call
	privilege *curfewv1.Privilege
	prior     *curfewv1.PrivilegeState
	at        time.Time
	idle      bool // the call waits while others want a worker
	taking    bool // the call is not put off by giving
}

func (s step) isNone() bool { return len(s.edits) == 0 && s.call == callNone && s.at.IsZero() }

// member is a privilege of a grant that is not over, among all of one key.
type member struct {
	grant *curfewv1.Grant
	at    int
	held  *curfewv1.HeldPrivilege
}

func (m member) level() string { return m.held.GetPrivilege().GetLevel() }

// isOpen is whether the vendor may show it because of its grant.
func (m member) isOpen() bool {
	switch m.held.GetStage() {
	case stageGiving, stageHeld, stageTaking, stageTaken:
		return true
	default:
		return false
	}
}

// isActing is whether a call may be under way.
func (m member) isActing() bool { return m.isOpen() && m.held.GetStage() != stageHeld }

// members are all privileges of a key, in an order of their grants.
func (a *actor) members(t *task) (all []member) {
	for _, id := range a.index[t.key] {
		e, ok := a.book.Get(id)
		if _, large := a.large.Load(id); !ok || large {
			continue
		}
		for i, held := range e.Value.GetPrivileges() {
			if held.GetPrivilege().GetSource() == a.source && a.key(held) == t.key {
				all = append(all, member{e.Value, i, held})
			}
		}
	}
	return all
}

// sorted is the members of a key by what is to become of them.
type sorted struct {
	ladder
	all     []member
	fresh   []member // to be given, nothing was done yet
	giving  []member // being given
	wanting []member // held, and to stay so
	never   []member // ending, and nothing was done
	ending  []member // ending, and may be there
}

func (a *actor) sort(all []member, now time.Time) sorted {
	s := sorted{all: all}
	if len(all) > 0 {
		s.ladder = ladder{a.vendor, all[0].held.GetPrivilege().GetKind()}
	}
	for _, m := range all {
		stage := m.held.GetStage()
		// What is wanted and over by the clock waits for the step that ends it: it is not given any more.
		inTime := now.Before(grant.End(m.grant))
		switch {
		case grant.IsEnding(m.grant) && stage == stageNone:
			s.never = append(s.never, m)
		case grant.IsEnding(m.grant) && m.isOpen():
			s.ending = append(s.ending, m)
		case grant.IsWanted(m.grant) && stage == stageNone && inTime:
			s.fresh = append(s.fresh, m)
		case grant.IsWanted(m.grant) && stage == stageGiving && inTime:
			s.giving = append(s.giving, m)
		case grant.IsWanted(m.grant) && stage == stageHeld:
			s.wanting = append(s.wanting, m)
		}
	}
	return s
}

// decide says what is next. It asks nobody, and changes nothing but what is noted of the task.
func (a *actor) decide(t *task, now time.Time) step {
	all := a.members(t)
	if until := a.foreign(all, now); !until.IsZero() {
		t.forget()
		t.spotless = false
		return step{at: until}
	}
	s := a.sort(all, now)
	if len(s.never) > 0 {
		return step{edits: a.edit(t, s.never, "nothing was given", func(h *curfewv1.HeldPrivilege) {
			h.Stage, h.Trouble, h.Task, h.Link = stageGone, "", "", ""
		})}
	}
	if t.state != nil && !now.Before(t.readAt.Add(a.fresh)) {
		t.forget()
	}
	giving := a.give(t, s, now)
	if !giving.isNone() && !a.waits(t, s, giving, now) {
		return giving
	}
	if giving.call != callNone {
		giving = step{at: t.next}
	}
	taking := a.take(t, s, now)
	taking.taking = true
	switch {
	case !taking.isNone() && giving.isNone(), len(taking.edits) > 0, taking.call != callNone:
		return taking
	case !taking.isNone() && taking.at.Before(giving.at):
		return taking
	case !giving.isNone():
		return giving
	}
	return a.renew(t, s, now)
}

// foreign is until when another actor's claim on a key stands; zero where none does. Ours does not help against it: of two
// who claim at once each sees the other, or one does.
func (a *actor) foreign(all []member, now time.Time) (until time.Time) {
	for _, m := range all {
		claimed := m.held.GetClaimed().AsTime()
		// One that lies ahead was made before a clock was set back.
		if ends := claimed.Add(a.respect); !claimed.After(now.Add(a.respect)) && m.isActing() && m.held.GetActor() != a.Holder && now.Before(ends) && ends.After(until) {
			until = ends
		}
	}
	return until
}

// unclaimed are those among members without a claim of ours that outlasts a call.
func (a *actor) unclaimed(members []member, now time.Time) (without []member) {
	for _, m := range members {
		left := m.held.GetClaimed().AsTime().Add(a.claim).Sub(now)
		if m.held.GetActor() != a.Holder || left < a.deadline || left > a.claim {
			without = append(without, m)
		}
	}
	return without
}

// mine makes a claim of a change.
func (a *actor) mine(now time.Time, change func(*curfewv1.HeldPrivilege)) func(*curfewv1.HeldPrivilege) {
	return func(h *curfewv1.HeldPrivilege) {
		h.Actor, h.Claimed = a.Holder, timestamppb.New(now)
		if change != nil {
			change(h)
		}
	}
}

// edit changes members alike.
func (a *actor) edit(t *task, members []member, detail string, change func(*curfewv1.HeldPrivilege)) (edits []edit) {
	for _, m := range members {
		edits = append(edits, edit{
			task: t, id: m.grant.GetId(), at: m.at, was: m.held, wanted: grant.IsWanted(m.grant), detail: detail, change: change,
		})
	}
	return edits
}

// announce is edit of what is done next, which is void once the grant wants something else.
func (a *actor) announce(t *task, members []member, detail string, change func(*curfewv1.HeldPrivilege)) []edit {
	edits := a.edit(t, members, detail, change)
	for i := range edits {
		edits[i].intent = true
	}
	return edits
}

// tell stores what keeps a key from going on, unless that is known, or another trouble was stored a little while ago.
func (a *actor) tell(t *task, text string, now time.Time) []edit {
	var untold []member
	away := a.away(nil)
	for _, m := range a.members(t) {
		if strings.HasPrefix(text, away) && strings.HasPrefix(m.held.GetTrouble(), away) {
			continue // errors of the net name ports, each time another
		}
		old, unfinished := m.held.GetTrouble(), m.held.GetStage() == stageNone && grant.IsWanted(m.grant) || m.isActing() || m.isOpen() && grant.IsEnding(m.grant)
		if unfinished && old != text && (old == "" || !now.Before(t.quiet)) {
			untold = append(untold, m)
		}
	}
	if len(untold) == 0 || len(a.foreignTo(untold, now)) > 0 {
		return nil
	}
	a.Log.Warn("a grant's privilege waits", "grant", untold[0].grant.GetId(), "source", a.source, "why", text)
	t.quiet = now.Add(a.pace.tell + bounds{a.pace.tell / 8, a.pace.tell / 8}.pause(0))
	attempts := t.attempts
	t.attempts = 0
	return a.edit(t, untold, text, func(h *curfewv1.HeldPrivilege) {
		h.Trouble = text
		if h.GetStage() == stageTaking || h.GetStage() == stageTaken {
			h.Attempts += attempts
		}
	})
}

// away is how it is told that the source does not answer.
func (a *actor) away(err error) string {
	text := a.source + " does not answer: "
	if err != nil {
		text += event.Clean(err.Error())
	}
	return text
}

func (a *actor) foreignTo(members []member, now time.Time) []member {
	return slices.DeleteFunc(slices.Clone(members), func(m member) bool { return a.foreign([]member{m}, now).IsZero() })
}

// read asks for what the vendor shows.
func (s sorted) read() step {
	return step{call: callRead, privilege: s.all[0].held.GetPrivilege()}
}

// prior is what was there before any of the grants that may have given it: the least that is recorded. Nil where nothing
// is.
func (s sorted) prior() (prior *curfewv1.PrivilegeState) {
	for _, m := range s.all {
		if !m.isOpen() || m.held.GetPrior() == nil {
			continue
		}
		if prior == nil {
			prior = m.held.GetPrior()
			continue
		}
		prior = s.lower(prior, m.held.GetPrior())
	}
	return prior
}

// top is the highest level of members.
func (s sorted) top(members []member) string {
	top := members[0].level()
	for _, m := range members[1:] {
		top = s.higher(top, m.level())
	}
	return top
}
