// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	usersPath      = "/v1.0/users/"
	principalsPath = "/v1.0/servicePrincipals/"
)

// conversation is what was asked for one privilege.
type conversation struct {
	source *Source
	notes  []string
	// path leads to the holder that was read, and reads is the right that its lists take.
	path  string
	reads right
	// stranger is whether the holder that was read goes by another name than the privilege says, guest whether it is a
	// guest.
	stranger, guest bool
	// group is the group that was read, if one was; grant the consent.
	group *group
	grant *permissionGrant
}

// send asks once, notes it, and reads the answer into into, if that is not nil.
func (c *conversation) send(ctx context.Context, right right, method, path string, body, into any) error {
	answer, err := c.exchange(ctx, right, method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return fmt.Errorf("read %s: the answer is not as it is documented", shortened(path))
	}
	return nil
}

func (c *conversation) exchange(ctx context.Context, right right, method, path string, body any) (*vendorhttp.Answer, error) {
	answer, err := c.source.call(ctx, right, method, path, body)
	result := "no answer"
	var refused *vendorhttp.Refused
	switch {
	case errors.As(err, &refused):
		result = fmt.Sprint(refused.Status)
		if code := code(err); code != "" {
			result += " " + code
		}
	case err == nil:
		result = fmt.Sprint(answer.Status)
	}
	c.notes = append(c.notes, method+" "+shortened(path)+": "+event.Clean(result))
	return answer, err
}

// shortened is a path without its query.
func shortened(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// all reads every page of a list.
func all[T any](ctx context.Context, talk *conversation, right right, path string) ([]T, error) {
	var list []T
	for taken := (turns{}); path != ""; {
		if err := taken.take(path); err != nil {
			return nil, err
		}
		answer, err := talk.exchange(ctx, right, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		page, next, err := talk.source.entries(path, answer)
		if err != nil {
			return nil, err
		}
		for _, raw := range page {
			var entry T
			if err := json.Unmarshal(raw, &entry); err != nil {
				return nil, fmt.Errorf("read %s: the answer is not as it is documented", shortened(path))
			}
			list = append(list, entry)
		}
		path = next
	}
	return list, nil
}

// holds reads the holder, a person or an app, and notes in state what has become of them. That Entra gives no id to
// somebody else is not confirmed; if it did, what was given to the id would still be to be taken from it.
func (c *conversation) holds(ctx context.Context, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	var u user
	err := c.send(ctx, readsUsers, http.MethodGet, at(usersPath, p.GetHolder(), "?"+userFields), nil, &u)
	switch {
	case isMissing(err):
		return c.app(ctx, p, state)
	case err != nil:
		return err
	case !strings.EqualFold(u.ID, p.GetHolder()):
		return errors.New("read the holder: the answer is about somebody else")
	}
	c.path, c.reads, c.guest = usersPath, readsUsers, u.isGuest()
	state.Holder = curfewv1.Presence_PRESENCE_PRESENT
	switch name := p.GetHolderName(); {
	case name == "" || strings.EqualFold(name, u.Login):
	case u.isNamed(name):
		remark(state, "the person goes by another login now")
	default:
		c.stranger = true
		remark(state, "the id goes by another login and another address now: nothing is given to it, and what it has is taken")
	}
	if u.Enabled != nil && !*u.Enabled {
		remark(state, "the account is disabled")
	}
	return nil
}

// app reads the holder, an app.
func (c *conversation) app(ctx context.Context, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	found, err := c.principal(ctx, p.GetHolder(), "")
	switch {
	case err != nil:
		return err
	case found == nil:
		state.Holder = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the holder does not exist any more")
		return c.deleted(ctx, p.GetHolder(), "the holder", state)
	}
	c.path, c.reads = principalsPath, readsApps
	state.Holder = curfewv1.Presence_PRESENCE_PRESENT
	if name := p.GetHolderName(); name != "" && !found.isNamed(name) {
		c.stranger = true
		remark(state, "the id goes by another name now: nothing is given to it, and what it has is taken")
	}
	if found.status() == "suspended" {
		remark(state, "the app is disabled")
	}
	return nil
}

// deleted notes of what is not there whether it can come back: people, apps and Microsoft 365 groups are kept for 30 days
// after they were deleted, and get back with what they held, so that what was given to them is not gone for good.
// https://learn.microsoft.com/graph/api/directory-deleteditems-get
func (c *conversation) deleted(ctx context.Context, id, what string, state *curfewv1.PrivilegeState) error {
	var found member
	err := c.send(ctx, readsDeleted, http.MethodGet, at("/v1.0/directory/deletedItems/", id, "?$select=id"), nil, &found)
	switch {
	case isMissing(err):
	case err != nil && !isRefusal(err):
		return err
	case err != nil:
		remark(state, "whether "+what+" can be restored could not be learnt; if so, it gets back what it held")
	case strings.EqualFold(found.ID, id):
		remark(state, what+" was deleted and can be restored for 30 days; it gets back what it held then, so revoke it again if that happens")
	}
	return nil
}

// principal reads a service principal; nil where there is none.
func (c *conversation) principal(ctx context.Context, id, fields string) (*principal, error) {
	var found principal
	err := c.send(ctx, readsApps, http.MethodGet, at(principalsPath, id, "?$select=id,appId,displayName,accountEnabled"+fields), nil, &found)
	switch {
	case isMissing(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !strings.EqualFold(found.ID, id):
		return nil, errors.New("read the app: the answer is about another")
	}
	return &found, nil
}

// within is those of some groups that the holder is in, be it by another group.
func (c *conversation) within(ctx context.Context, holder string, groups []string) ([]string, error) {
	var found []string
	// Graph takes 20 at once: https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups.
	for len(groups) > 0 {
		some := groups[:min(20, len(groups))]
		groups = groups[len(some):]
		var answer struct {
			Value []string `json:"value"`
		}
		if err := c.send(ctx, c.reads, http.MethodPost, c.path+holder+"/checkMemberGroups", map[string]any{"groupIds": some}, &answer); err != nil {
			return nil, err
		}
		found = append(found, answer.Value...)
	}
	return found, nil
}

// remark adds to what a person should know.
func remark(state *curfewv1.PrivilegeState, text string) {
	if state.Detail != "" {
		state.Detail += "; "
	}
	state.Detail += text
}

// presence is a yes or a no as the contract has it.
func presence(is bool) curfewv1.Presence {
	if is {
		return curfewv1.Presence_PRESENCE_PRESENT
	}
	return curfewv1.Presence_PRESENCE_ABSENT
}

// locks makes those who change the same thing wait for each other.
type locks struct {
	seed maphash.Seed
	kept [64]chan struct{}
}

func newLocks() *locks {
	l := &locks{seed: maphash.MakeSeed()}
	for i := range l.kept {
		l.kept[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits for a thing, which may be the same as another's; unlock gives it back.
func (l *locks) lock(ctx context.Context, thing string) (unlock func(), err error) {
	place := l.kept[maphash.String(l.seed, strings.ToLower(thing))%uint64(len(l.kept))]
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
