// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// levelLimited is the level of a standard role that holds for some groups or apps alone.
const levelLimited = "limited"

// rolePrivilege is a person's administrator role.
type rolePrivilege struct {
	// standard is the type of a standard role; "" for a custom one.
	standard string
}

// newRolePrivilege tells standard roles from custom ones: the first are named by words in capitals, such as
// READ_ONLY_ADMIN, the others by ids, which have small letters.
func newRolePrivilege(p *curfewv1.Privilege) (privilege, error) {
	resource, scope := p.GetResource(), p.GetScope()
	if !isID(resource) || scope != "" && !isID(scope) {
		return nil, errors.New("the resource is no role of okta's: a type such as READ_ONLY_ADMIN, or the id of a custom role with a resource set's as scope")
	}
	isStandard := strings.Trim(resource, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
	switch {
	case isStandard && resource == customRole:
		return nil, errors.New("the resource is CUSTOM; name a custom role by its id")
	case isStandard && scope != "":
		// Okta gives a standard role for everything first and limits it in a second request.
		return nil, errors.New("a standard role would hold for everything until it is limited; use a custom role with a resource set")
	case isStandard:
		return rolePrivilege{standard: resource}, nil
	case scope == "":
		return nil, errors.New("a custom role holds on a resource set; name one as scope")
	}
	return rolePrivilege{}, nil
}

// residual is nothing: Okta asks at each request what an administrator may. That this holds for requests by the person's
// own API tokens as well is how Okta describes them; how fast is not confirmed.
func (rolePrivilege) residual() string { return "" }

// isIt is whether an assignment is of the privilege's role.
func (r rolePrivilege) isIt(has role, p *curfewv1.Privilege) bool {
	if !isActive(has.Status) {
		return false
	}
	if r.standard != "" {
		return has.Type == r.standard
	}
	return has.Type == customRole && has.Role == p.GetResource() && has.Set == p.GetScope()
}

func (r rolePrivilege) read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if err := talk.person(ctx, p, state); err != nil {
		return err
	}
	if err := r.readRole(ctx, talk, p, state); err != nil || state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT {
		return err
	}
	roles, err := all[role](ctx, talk, readsRoles, at("/api/v1/users/", p.GetHolder(), "/roles"))
	if err != nil {
		return err
	}
	state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	for _, has := range roles {
		switch {
		case !r.isIt(has, p):
		case isGone(state):
			return hidden("custom role", readsRoles)
		case has.By == "GROUP":
			via := "a group"
			// That the link leads to the group is not confirmed.
			if id := path.Base(has.Links.Assignee.Href); strings.Contains(has.Links.Assignee.Href, "/groups/") && isID(id) {
				via = "group " + id
			}
			state.Via = append(state.Via, via)
		case isID(has.ID):
			state.Presence, state.Handle = curfewv1.Presence_PRESENCE_PRESENT, has.ID
			if state.Level, err = talk.limits(ctx, p.GetHolder(), has); err != nil {
				return err
			}
		}
	}
	return nil
}

// readRole reads whether a custom role exists; a standard one always does.
func (r rolePrivilege) readRole(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	state.Resource = curfewv1.Presence_PRESENCE_PRESENT
	if r.standard != "" {
		return nil
	}
	var custom struct {
		ID    string `json:"id"`
		Label string `json:"label"`
	}
	err := talk.send(ctx, readsRoles, http.MethodGet, at("/api/v1/iam/roles/", p.GetResource()), nil, &custom)
	switch {
	case isMissing(err):
		state.Resource = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the custom role does not exist any more")
	case err != nil:
		return err
	case custom.ID != p.GetResource():
		// Okta finds custom roles by their label as well.
		return errors.New("read the custom role: the answer is about another")
	case p.GetResourceName() != "" && p.GetResourceName() != custom.Label:
		remark(state, "the custom role has another name now")
	}
	return nil
}

// limits is levelLimited where a standard role is limited to some groups or apps.
func (c *conversation) limits(ctx context.Context, holder string, r role) (string, error) {
	if r.targets() == "" {
		return "", nil
	}
	targets, err := all[json.RawMessage](ctx, c, readsRoles, at("/api/v1/users/", holder, at("/roles/", r.ID, "/targets/", r.targets())))
	if err != nil || len(targets) == 0 {
		return "", err
	}
	return levelLimited, nil
}

func (r rolePrivilege) give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if state.GetLevel() == levelLimited {
		// Widened, it could not be made again what it was without a moment in which it is neither.
		return &task{
			"the person holds the role for some groups or apps already: widen it by hand, and write down what it was limited to",
			talk.source.console("/admin/access/admins"),
		}
	}
	body := map[string]string{"type": r.standard}
	if r.standard == "" {
		body = map[string]string{"type": customRole, "role": p.GetResource(), "resource-set": p.GetScope()}
	}
	err := talk.send(ctx, setsRoles, http.MethodPost, at("/api/v1/users/", p.GetHolder(), "/roles"), body, nil)
	if code := code(err); code == codeHasRole || code == codeHasOtherRole {
		return errAlready
	}
	return err
}

// take ends the assignment that was read. Where another has taken its place meanwhile, the caller's read shows it.
func (rolePrivilege) take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	if state.GetHandle() == "" {
		return errors.New("revoke the role " + event.Clean(p.GetResource()) + ": its assignment has no id")
	}
	return talk.send(ctx, setsRoles, http.MethodDelete, at("/api/v1/users/", p.GetHolder(), at("/roles/", state.GetHandle())), nil, nil)
}
