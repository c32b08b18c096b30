// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// groupResidual is how long what a group opened may stay open: Google says that changes take up to 24 hours to reach all of
// its services, most of them minutes. For each service it is not confirmed.
const groupResidual = "what the group opens: minutes, up to 24 h"

// maxNested bounds the members of a group among which other ways into it are looked for.
const maxNested = 5000

// levels are the roles of a member, the lowest first.
var levels = []string{"member", "manager", "owner"}

// rank is where a level stands, "" being the lowest. An unknown one is below all.
func rank(level string) int {
	if level == "" {
		return 0
	}
	return slices.Index(levels, strings.ToLower(level))
}

// readGroup reads the holder, the group, and whether the holder is in it: directly, and by a group within it. That they
// are not in it is what two reads agree on: of the member, and of hasMember or else of all members.
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/members
func readGroup(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	if rank(p.GetLevel()) < 0 {
		return fmt.Errorf("a group has no level of that name; there are %s", strings.Join(levels, ", "))
	}
	if err := w.holder(ctx, p); err != nil {
		return err
	}
	if err := w.readGroupItself(ctx, p); err != nil {
		return err
	}
	w.state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	if w.state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT {
		return nil
	}
	var m member
	err := w.get(ctx, scopeMembers, w.at("groups", p.GetResource(), "members", p.GetHolder()), &m)
	switch {
	case notThere(err):
	case err != nil:
		return err
	case m.ID != p.GetHolder():
		return errors.New("read member: the answer is of another one")
	default:
		w.isMember(m)
	}
	if err := w.nested(ctx, p); err != nil {
		return err
	}
	return w.readExpiry(ctx)
}

// isMember notes what the holder is in the group.
func (w *work) isMember(m member) {
	w.state.Presence, w.state.Level = curfewv1.Presence_PRESENCE_PRESENT, level(m.Role)
	if w.user == nil {
		// No account of the Workspace, and a member all the same: somebody from outside.
		w.state.Holder, w.state.Detail = curfewv1.Presence_PRESENCE_UNSPECIFIED, "the holder is no account of this Workspace"
	}
}

// readGroupItself reads whether the group exists under the name that the privilege gives: its e-mail, one that it had,
// which Google keeps as an alias, or its display name.
func (w *work) readGroupItself(ctx context.Context, p *curfewv1.Privilege) error {
	var g group
	err := w.certain(ctx, scopeGroups, w.at("groups", p.GetResource()), &g)
	switch {
	case notThere(err):
		w.state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		return nil
	case err != nil:
		return err
	case g.ID != p.GetResource():
		return errors.New("read group: the answer is of another one")
	}
	w.state.Resource, w.group = curfewv1.Presence_PRESENCE_PRESENT, &g
	name := p.GetResourceName()
	switch {
	case name == "" || named(name, g.Email, g.Name) || named(name, slices.Concat(g.Aliases, g.NonEditableAliases)...):
	case strings.Contains(name, "@"):
		w.strange = true
		w.tell("the group goes by another address now and never had this one: nobody is put into it, and who is to go is taken out")
	default:
		w.tell("the group has another name now")
	}
	return nil
}

// nested looks for groups within the group by which the holder is in it too. hasMember answers for all depths at once,
// and for a direct member always yes, so it is asked of each group within. It looks for the holder too where the read of
// the member did not find them, and there goes through all members unless hasMember says at once that they are in it by
// no way.
func (w *work) nested(ctx context.Context, p *curfewv1.Privilege) error {
	direct := w.state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT
	if !direct {
		if within, err := w.hasMember(ctx, p.GetResource(), p.GetHolder()); err == nil && !within {
			return nil
		}
	}
	if count, err := strconv.Atoi(w.group.DirectMembersCount); direct && err == nil && count > maxNested {
		w.tell(fmt.Sprintf("the group has %d members: not looked for groups among them that hold the holder", count))
		return nil
	}
	var within []member
	list := w.at("groups", p.GetResource(), "members")
	_, err := readPages(ctx, w.Source, scopeMembers, list, nil, groupPage, func(page []member) {
		for _, m := range page {
			if m.ID == p.GetHolder() && !direct {
				w.isMember(m)
			}
			if m.Type != "USER" {
				within = append(within, m)
			}
		}
	}, nil)
	w.note(http.MethodGet, list, err)
	if err != nil {
		return err
	}
	if w.state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT {
		return nil
	}
	for _, m := range within {
		switch m.Type {
		case "CUSTOMER":
			w.state.Via = append(w.state.Via, "everybody of the organisation")
		case "GROUP":
			holds, err := w.hasMember(ctx, m.ID, p.GetHolder())
			switch {
			case err != nil:
				w.tell("whether group " + m.ID + " within it holds the holder could not be read")
			case holds:
				w.state.Via = append(w.state.Via, "group "+m.ID)
			}
		}
	}
	return nil
}

// hasMember is whether a group holds somebody, directly or by a group within it. Google refuses to say so of a group or a
// member that is not the Workspace's own.
func (w *work) hasMember(ctx context.Context, group, holder string) (bool, error) {
	var answer struct {
		IsMember bool `json:"isMember"`
	}
	err := w.get(ctx, scopeMembers, w.at("groups", group, "hasMember", holder), &answer)
	return answer.IsMember, err
}

// giveGroup makes the holder a member, or raises the level of one.
func giveGroup(ctx context.Context, w *work, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	wanted := strings.ToUpper(levels[rank(p.GetLevel())])
	if w.state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
		if err := w.setLevel(ctx, p, wanted); err != nil {
			return nil, err
		}
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	}
	err := w.change(ctx, scopeMembers, http.MethodPost, w.at("groups", p.GetResource(), "members"), map[string]string{"id": p.GetHolder(), "role": wanted})
	w.begin(p, err)
	if wasThere(err) {
		// Somebody was faster, or this was asked before and the answer was lost. It may be there at a lower level.
		var m member
		if err := w.get(ctx, scopeMembers, w.at("groups", p.GetResource(), "members", p.GetHolder()), &m); err != nil {
			return nil, err
		}
		if rank(level(m.Role)) >= rank(p.GetLevel()) {
			return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
		}
		if err := w.setLevel(ctx, p, wanted); err != nil {
			return nil, err
		}
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	}
	if err != nil {
		return nil, err
	}
	w.endNew(ctx, p)
	return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
}

// begin notes whether a membership that was asked for may be ours: it is unless Google refused it.
func (w *work) begin(p *curfewv1.Privilege, err error) {
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		w.begun.Delete(begunKey(p))
		return
	}
	w.begun.Store(begunKey(p), struct{}{})
}

func begunKey(p *curfewv1.Privilege) string { return p.GetResource() + "/" + p.GetHolder() }

// endNew makes Google end a membership that we made. It is the second belt: where it does not hold, the calls say so, and
// the next Grant tries again; the first belt does hold.
func (w *work) endNew(ctx context.Context, p *curfewv1.Privilege) {
	if p.GetExpiresAt() != nil && w.config.NativeExpiry && rank(p.GetLevel()) == 0 && w.setExpiry(ctx, p.GetExpiresAt()) != nil {
		return
	}
	w.begun.Delete(begunKey(p))
}

// finishGroup gives a membership its end that we made and whose answer was lost, and moves an end that is sooner than the
// privilege's. A membership that was there before without an end gets none, and no end becomes a sooner one.
func finishGroup(ctx context.Context, w *work, p *curfewv1.Privilege) (changed bool, err error) {
	wanted, shown := p.GetExpiresAt(), w.state.GetExpiresAt()
	_, ours := w.begun.Load(begunKey(p))
	switch {
	case wanted == nil || !w.endRead && w.endErr == nil: // nobody asked, as none can be
		return false, nil
	case !w.endRead:
		return false, fmt.Errorf("learn when Google ends the membership: %w", w.endErr)
	case shown == nil && !ours,
		// Google knows of seconds.
		shown != nil && !wanted.AsTime().Truncate(time.Second).After(shown.AsTime()):
		return false, nil
	}
	if err := w.setExpiry(ctx, wanted); err != nil {
		return false, err
	}
	w.begun.Delete(begunKey(p))
	return true, nil
}

func (w *work) setLevel(ctx context.Context, p *curfewv1.Privilege, role string) error {
	return w.change(ctx, scopeMembers, http.MethodPatch, w.at("groups", p.GetResource(), "members", p.GetHolder()), map[string]string{"role": role})
}

// takeGroup takes the holder out of the group. Google takes out an owner as it does a member.
func takeGroup(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	return w.change(ctx, scopeMembers, http.MethodDelete, w.at("groups", p.GetResource(), "members", p.GetHolder()), nil)
}

// restoreGroup puts back the level that the holder had, and the end that Google knew of; where that end is over, the
// holder is taken out. It may be asked again after it broke off between the two.
func restoreGroup(ctx context.Context, w *work, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (changed bool, err error) {
	had, given, has := rank(prior.GetLevel()), rank(p.GetLevel()), rank(w.state.GetLevel())
	end := prior.GetExpiresAt()
	switch {
	case had >= given || has != given && has != had:
		// Nothing was given, or somebody has changed it since: neither is ours to undo.
		return false, nil
	case had < 0:
		return false, errors.New("the level before is none of a group")
	case has == had && (end == nil || !w.config.NativeExpiry || w.state.GetExpiresAt() != nil):
		// It is back already, with its end or with one that somebody gave it since.
		return false, nil
	case has == had && !w.endRead:
		return false, errors.New("whether the end before is back could not be read")
	}
	if end != nil && !end.AsTime().After(w.client.Time()) {
		return true, takeGroup(ctx, w, p)
	}
	if has == given {
		err = w.setLevel(ctx, p, strings.ToUpper(levels[had]))
	}
	if err == nil && end != nil && w.config.NativeExpiry {
		err = w.setExpiry(ctx, end)
	}
	return true, err
}
