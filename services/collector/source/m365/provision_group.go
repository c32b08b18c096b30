// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// groupPrivilege is somebody's place in a group.
type groupPrivilege struct {
	relation string // "members" or "owners"
	held     string // the list of groups on the holder's side
	right    right
}

func newGroupPrivilege(p *curfewv1.Privilege) (privilege, error) {
	switch p.GetLevel() {
	case "":
		return groupPrivilege{"members", "memberOf", setsMembers}, nil
	case "owner":
		return groupPrivilege{"owners", "ownedObjects", setsOwners}, nil
	}
	return nil, errors.New(`a group has the levels "" and "owner"`)
}

// residual leaves out that a team follows its group, which Microsoft says takes up to 24 hours for its own client.
func (groupPrivilege) residual() string { return residualTokens }

func (g groupPrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.holds(ctx, p, state); err != nil {
		return err
	}
	talk.group = new(group)
	err := talk.send(ctx, readsGroups, http.MethodGet, at("/v1.0/groups/", p.GetResource(), "?"+groupFields), nil, talk.group)
	switch {
	case isMissing(err):
		state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the group does not exist any more")
		return talk.deleted(ctx, p.GetResource(), "the group", state)
	case err != nil:
		return err
	case !strings.EqualFold(talk.group.ID, p.GetResource()):
		return errors.New("read the group: the answer is about another")
	}
	state.Resource = curfewv1.Presence_PRESENCE_PRESENT
	if name := p.GetResourceName(); name != "" && name != talk.group.Name {
		remark(state, "the group has another name now")
	}
	if isGone(state) {
		return nil
	}
	// The holder's own list: Graph v1.0 leaves apps out of a group's, and a group's can be long.
	held, err := all[member](ctx, talk, talk.reads, talk.source.topped(talk.path+p.GetHolder()+"/"+g.held+"?$select=id"))
	if err != nil {
		return err
	}
	is := slices.ContainsFunc(held, func(m member) bool { return m.Type == typeGroup && strings.EqualFold(m.ID, p.GetResource()) })
	state.Presence = presence(is)
	if is {
		state.Level = p.GetLevel()
	}
	switch {
	case g.relation == "owners":
	case talk.group.isDynamic():
		remark(state, "a rule fills the group: nobody can be put in or taken out")
	case talk.group.Synced:
		remark(state, "another directory fills the group: its members are changed there")
	}
	if g.relation == "members" && !talk.group.isUnified() {
		g.nested(ctx, talk, p, state)
	}
	return nil
}

// nested notes by which groups in the group the holder is in it too.
func (groupPrivilege) nested(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) {
	var found []string
	// Asked for by kind, so that a long list of people need not be read: https://learn.microsoft.com/graph/aad-advanced-queries.
	inside, err := all[member](ctx, talk, readsGroups, at("/v1.0/groups/", p.GetResource(), "/members/microsoft.graph.group?$count=true&$select=id"))
	if err == nil {
		var ids []string
		for _, m := range inside {
			ids = append(ids, m.ID)
		}
		found, err = talk.within(ctx, p.GetHolder(), ids)
	}
	if err != nil {
		// It is a warning and no part of the answer.
		remark(state, "whether a group in the group has the holder in it could not be learnt")
		return
	}
	for _, id := range found {
		state.Via = append(state.Via, "group "+event.Clean(id))
	}
}

func (g groupPrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState) error {
	if err := g.hand(talk.group, p, "put the holder into"); err != nil {
		return err
	}
	body := map[string]string{"@odata.id": talk.source.graph.base.String() + "/v1.0/directoryObjects/" + p.GetHolder()}
	return talk.send(ctx, g.sets(talk.group), http.MethodPost, at("/v1.0/groups/", p.GetResource(), "/"+g.relation+"/$ref"), body, nil)
}

// take ends the place. Without /$ref at its end this request would delete the holder itself, where our permissions let it:
// https://learn.microsoft.com/graph/api/group-delete-members.
func (g groupPrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, _ *curfewv1.PrivilegeState, _ string) error {
	if err := g.hand(talk.group, p, "take the holder out of"); err != nil {
		return err
	}
	path := at("/v1.0/groups/", p.GetResource(), "/"+g.relation+"/"+p.GetHolder()+"/$ref")
	err := talk.send(ctx, g.sets(talk.group), http.MethodDelete, path, nil, nil)
	var refused *vendorhttp.Refused
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && g.relation == "owners" && talk.group.isUnified() {
		// A Microsoft 365 group keeps its last owner: https://learn.microsoft.com/graph/api/group-delete-owners.
		return &task{"make somebody else an owner of the group first, if this is its last one: Graph refused to take it", groupPage(p.GetResource())}
	}
	return err
}

// insist takes the place though the list does not show it. Where Graph refuses, there is nothing to take, or nothing that a
// request could.
func (g groupPrivilege) insist(ctx context.Context, talk *conversation, p *curfewv1.Privilege) (done bool, err error) {
	if g.hand(talk.group, p, "") != nil {
		return false, nil
	}
	path := at("/v1.0/groups/", p.GetResource(), "/"+g.relation+"/"+p.GetHolder()+"/$ref")
	err = talk.send(ctx, g.sets(talk.group), http.MethodDelete, path, nil, nil)
	if isRefusal(err) {
		return false, nil
	}
	return err == nil, err
}

// sets is the right that a change takes; of a group that roles can be given to, the one that is lacking as a rule.
func (g groupPrivilege) sets(group *group) right {
	if group.ForRoles {
		return setsRoles
	}
	return g.right
}

// hand is a person's task where Graph does not change the group's members.
func (g groupPrivilege) hand(group *group, p *curfewv1.Privilege, verb string) error {
	link := groupPage(p.GetResource())
	switch {
	case group.Synced:
		return &task{verb + " the group in the directory that fills it", link}
	case group.Mail && !group.isUnified():
		return &task{verb + " the group in the Exchange admin center: Graph does not change groups that take mail", link}
	case group.isDynamic() && g.relation == "members":
		return &task{verb + " the group by its rule: nothing else changes its members", link}
	}
	return nil
}
