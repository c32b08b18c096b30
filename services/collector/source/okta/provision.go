// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// privilege is one kind of privilege. Its methods ask with a conversation, which notes what was asked.
type privilege interface {
	// read fills in all of state but its reads and their time.
	read(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error
	// give makes it held where state says that it is not. A person's task is an error of type task.
	give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error
	// take makes it not held where state says that it is.
	take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error
	// residual is what outlives the end.
	residual() string
}

// task is what only a person can do, and the address where.
type task struct{ text, link string }

// Error is the task.
func (t *task) Error() string { return t.text }

// errAlready is for what Okta says is so already.
var errAlready = errors.New("it is so already")

// Privileges is every kind there is.
//
//   - group: a person's membership of a group.
//   - app: a person's own assignment to an app.
//   - admin_role: a person's administrator role: a standard role by its type, such as READ_ONLY_ADMIN, for everything, or
//     a custom role by its id with a resource set's as the privilege's scope.
//   - oauth_grant: an app's scope of Okta's own API, such as okta.users.read, as given by the org.
//
// None has an end of its own at Okta.
func (s *Source) Privileges() []string { return []string{"admin_role", "app", "group", "oauth_grant"} }

// privilege is what is done about a privilege of its kind. An error says that it is none.
func (s *Source) privilege(p *curfewv1.Privilege) (privilege, error) {
	switch {
	case !isID(p.GetHolder()):
		return nil, errors.New("the holder is no id of okta's")
	case p.GetLevel() != "":
		return nil, fmt.Errorf("a privilege of kind %q has no levels", event.Clean(p.GetKind()))
	case p.GetScope() != "" && p.GetKind() != "admin_role":
		return nil, fmt.Errorf("a privilege of kind %q cannot be limited", event.Clean(p.GetKind()))
	}
	switch p.GetKind() {
	case "group", "app":
		if !isID(p.GetResource()) {
			return nil, errors.New("the resource is no id of okta's")
		}
		if p.GetKind() == "app" {
			return appPrivilege{}, nil
		}
		return groupPrivilege{}, nil
	case "admin_role":
		return newRolePrivilege(p)
	case "oauth_grant":
		// Scopes of Okta's own API alone can be given to an app this way.
		if scope := p.GetResource(); !strings.HasPrefix(scope, "okta.") || !isID(strings.ReplaceAll(scope, ".", "")) {
			return nil, errors.New("the resource is no scope of okta's, such as okta.users.read")
		}
		return scopePrivilege{}, nil
	}
	return nil, fmt.Errorf("there is no kind %q; there are %s", event.Clean(p.GetKind()), strings.Join(s.Privileges(), ", "))
}

// Read asks Okta who holds the privilege in their own right. It reads holder and resource first: what is not there of an
// id that means nobody is ABSENT with them.
func (s *Source) Read(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	privilege, err := s.privilege(p)
	if err != nil {
		return nil, fmt.Errorf("read okta privilege: %w", err)
	}
	state, err := s.read(ctx, &conversation{source: s}, privilege, p)
	if err != nil {
		return nil, fmt.Errorf("read okta %s: %w", p.GetKind(), err)
	}
	return state, nil
}

func (s *Source) read(ctx context.Context, talk *conversation, privilege privilege, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	said := len(talk.notes)
	state := &curfewv1.PrivilegeState{}
	if err := privilege.read(ctx, talk, p, state); err != nil {
		return nil, err
	}
	if isGone(state) {
		state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	}
	state.Reads, state.Read = talk.notes[said:len(talk.notes):len(talk.notes)], timestamppb.New(s.client.Now())
	return state, nil
}

// isGone is whether holder or resource is nobody.
func isGone(state *curfewv1.PrivilegeState) bool {
	return state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT || state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT
}

// Grant gives a privilege that is not held. An app that the holder has by a group is ALREADY theirs, and is left so: Okta
// would make of it an assignment of their own, and would not let that be taken as long as the group gives the app.
func (s *Source) Grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	done, err := s.change(ctx, p, curfewv1.Presence_PRESENCE_PRESENT, privilege.give)
	if err != nil {
		return nil, fmt.Errorf("grant okta %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

// Revoke takes a privilege that is held, unless prior shows it: Okta's privileges have no levels, so what was there before
// is as it was.
func (s *Source) Revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	if _, err := s.privilege(p); err == nil && prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}, nil
	}
	done, err := s.change(ctx, p, curfewv1.Presence_PRESENCE_ABSENT, privilege.take)
	if err != nil {
		return nil, fmt.Errorf("revoke okta %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

type changing func(privilege, context.Context, *conversation, *curfewv1.Privilege, *curfewv1.PrivilegeState) error

// change makes a privilege's presence what is wanted, and says what came of it.
func (s *Source) change(ctx context.Context, p *curfewv1.Privilege, want curfewv1.Presence, change changing) (*curfewv1.Provisioned, error) {
	privilege, err := s.privilege(p)
	if err != nil {
		return nil, err
	}
	talk := &conversation{source: s}
	came := func(outcome curfewv1.ProvisionOutcome) *curfewv1.Provisioned {
		done := &curfewv1.Provisioned{Outcome: outcome, Calls: talk.notes}
		if outcome == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
			done.Residual = privilege.residual()
		}
		return done
	}
	state, err := s.read(ctx, talk, privilege, p)
	switch {
	case err != nil:
		return nil, err
	case isGone(state) || talk.stranger && want == curfewv1.Presence_PRESENCE_PRESENT:
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case state.GetPresence() == want && state.GetLevel() == "":
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	err = change(privilege, ctx, talk, p, state)
	var task *task
	switch {
	case err == nil:
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	case errors.As(err, &task):
		done := came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK)
		done.Task, done.Link = task.text, task.link
		return done, nil
	case errors.Is(err, errAlready):
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	case !isMissing(err):
		return nil, err
	}
	// Something went away between reading and changing: which, a read tells.
	state, readErr := s.read(ctx, talk, privilege, p)
	switch {
	case readErr != nil:
		return nil, readErr
	case isGone(state):
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case state.GetPresence() == want:
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	return nil, err
}

// residualSessions is what ending a person's sessions at Okta leaves:
// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/UserSessions/.
const residualSessions = "sessions at apps: until the apps end them; access tokens that an app checks without asking Okta: up to 24 h"

// EndSessions ends a person's sessions at Okta and the tokens that Okta gave to apps in their name. Of an app it ends the
// refresh tokens.
func (s *Source) EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	if !isID(holder) {
		return nil, errors.New("end okta sessions: the holder is no id of okta's")
	}
	talk := &conversation{source: s}
	done := &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, Residual: residualSessions}
	// Remembered devices open nothing by themselves, and forgetting them, which is what Okta does unless told, is a
	// nuisance after each privilege that ends.
	err := talk.send(ctx, endsSessions, http.MethodDelete, at("/api/v1/users/", holder, "/sessions?oauthTokens=true&forgetDevices=false"), nil, nil)
	if isMissing(err) {
		done.Residual = "access tokens: up to 1 h"
		err = talk.send(ctx, setsApps, http.MethodDelete, at("/api/v1/apps/", holder, "/tokens"), nil, nil)
	}
	switch {
	case isMissing(err):
		for _, holder := range []whole{aPerson(holder), anApp(holder)} {
			if gone := talk.send(ctx, holder.right, http.MethodGet, holder.path, nil, nil); !isMissing(gone) {
				// What our role may not change can be missing for it as well.
				return nil, fmt.Errorf("end okta sessions: %w", cmp.Or(gone, err))
			}
		}
		done.Outcome, done.Residual = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE, ""
	case code(err) == codeStatus:
		// Who is deactivated has none. That Okta answers so is not confirmed.
		done.Outcome, done.Residual = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY, ""
	case err != nil:
		return nil, fmt.Errorf("end okta sessions: %w", err)
	}
	done.Calls = talk.notes
	return done, nil
}

// conversation is what was asked for one privilege.
type conversation struct {
	source *Source
	notes  []string
	// groupType is the type of the group that was read, if one was.
	groupType string
	// stranger is whether the holder that was read goes by another name than the privilege says.
	stranger bool
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
	answer, err := c.source.ask(ctx, right, method, path, body)
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
	var entries []T
	for trail := (trail{}); path != ""; {
		answer, err := talk.exchange(ctx, right, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		var page []T
		if err := json.Unmarshal(answer.Body, &page); err != nil || page == nil {
			return nil, fmt.Errorf("read %s: the answer is not as it is documented", shortened(path))
		}
		entries = append(entries, page...)
		if path, err = trail.after(talk.source.base, path, answer.Header); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// person reads the holder, a person, and notes in state what has become of them. That Okta gives no id to somebody else is
// not confirmed; if it did, what was given to the id would still be to be taken from it. Whether Okta says 404 of a person
// whom our role does not reach is not known either, and no call tells: all that is asked of a person is asked the same way.
func (c *conversation) person(ctx context.Context, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error {
	var u user
	err := c.send(ctx, readsUsers, http.MethodGet, at("/api/v1/users/", p.GetHolder()), nil, &u)
	switch {
	case isMissing(err):
		state.Holder = curfewv1.Presence_PRESENCE_ABSENT
		remark(state, "the person does not exist any more")
		return nil
	case err != nil:
		return err
	case u.ID != p.GetHolder():
		// Okta finds people by their login as well.
		return errors.New("read the holder: the answer is about somebody else")
	}
	state.Holder = curfewv1.Presence_PRESENCE_PRESENT
	if c.stranger = p.GetHolderName() != "" && !u.isNamed(p.GetHolderName()); c.stranger {
		remark(state, "the id goes by another login and another address now: nothing is given to it, and what it has is taken")
	} else if name := p.GetHolderName(); name != "" && !strings.EqualFold(name, u.Profile.Login) && !strings.EqualFold(name, u.Profile.Email) {
		remark(state, "the person goes by another login now")
	}
	if !isActive(u.Status) {
		remark(state, "the account is "+event.Clean(u.Status))
	}
	return nil
}

// hidden is the error where Okta says 404 of something that it lists among what the holder has: our role does not reach
// it, which is no sign that it is gone. That Okta does say so is not confirmed.
func hidden(what string, right right) error {
	return fmt.Errorf("read the %s: okta says that there is none of that id, and that the holder has it: give the role %s for it", what, right.role)
}

// application reads an app. It reports whether it exists, which is to be doubted where it does not: see hidden.
func (c *conversation) application(ctx context.Context, id, name string, state *curfewv1.PrivilegeState) (bool, error) {
	var a app
	err := c.send(ctx, readsApps, http.MethodGet, at("/api/v1/apps/", id), nil, &a)
	switch {
	case isMissing(err):
		return false, nil
	case err != nil:
		return false, err
	case a.ID != id:
		return false, errors.New("read the app: the answer is about another")
	}
	if name != "" && name != a.Label {
		remark(state, "the app has another name now")
	}
	if a.Status != "ACTIVE" {
		remark(state, "the app is "+event.Clean(a.Status))
	}
	return true, nil
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
