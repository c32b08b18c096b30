// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
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
	// give makes it held at p's level where state says that it is not. A person's task is an error of type task.
	give(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState) error
	// take makes it held at the level "" or not at all where state says that it is held.
	take(ctx context.Context, talk *conversation, p *curfewv1.Privilege, state *curfewv1.PrivilegeState, level string) error
	// residual is what outlives the end.
	residual() string
}

// insistent is a privilege that can be taken by the ids of holder and resource alone.
type insistent interface {
	// insist takes what state says is not held: Graph shows what was given some seconds late. Done is whether there was
	// something to take.
	insist(ctx context.Context, talk *conversation, p *curfewv1.Privilege) (done bool, err error)
}

// task is what only a person can do, and the address where.
type task struct{ text, link string }

// Error is the task.
func (t *task) Error() string { return t.text }

// Privileges is every kind there is. Holders and resources are object ids of the tenant, and an app is its service
// principal.
//
//   - group: a person's or an app's place in a group; at the level "owner", its ownership.
//   - directory_role: a person's or an app's directory role, by the id of its definition; on the privilege's scope, such as
//     "/administrativeUnits/<id>", or on everything. It is given an end of its own where the tenant has Entra ID P2.
//   - delegated_grant: what an app, the holder, may do with an API, the resource, for the person whose id is the privilege's
//     scope, or for everybody. The level is the permissions, with spaces between.
//   - app_role: an application permission of an app, or a person's place in one: the resource is the service principal's id,
//     a slash, and the role's id, which is all zeros for plain access.
func (s *Source) Privileges() []string {
	return []string{"app_role", "delegated_grant", "directory_role", "group"}
}

// privilege is what is done about a privilege of its kind. An error says that it is none.
func (s *Source) privilege(p *curfewv1.Privilege) (privilege, error) {
	if !isGUID(p.GetHolder()) {
		return nil, errors.New("the holder is no object id of entra's")
	}
	kind := p.GetKind()
	if kind != "app_role" && !isGUID(p.GetResource()) {
		return nil, errors.New("the resource is no object id of entra's")
	}
	if p.GetScope() != "" && kind != "directory_role" && kind != "delegated_grant" {
		return nil, fmt.Errorf("a privilege of kind %q cannot be limited", event.Clean(kind))
	}
	switch kind {
	case "group":
		return newGroupPrivilege(p)
	case "delegated_grant":
		return newDelegatedPrivilege(p)
	case "directory_role", "app_role":
		if p.GetLevel() != "" {
			return nil, fmt.Errorf("a privilege of kind %q has no levels", kind)
		}
		if kind == "app_role" {
			return newAppRolePrivilege(p)
		}
		return newRolePrivilege(p)
	}
	return nil, fmt.Errorf("there is no kind %q; there are %s", event.Clean(kind), strings.Join(s.Privileges(), ", "))
}

// Read asks Graph who holds the privilege in their own right. It reads holder and resource first: what is not there of an
// id that means nobody is ABSENT with them, and Detail says whether it can be restored: GONE holds only until it is. What
// Graph shows can lag behind what it changed by some seconds.
func (s *Source) Read(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	privilege, err := s.privilege(p)
	if err != nil {
		return nil, fmt.Errorf("read m365 privilege: %w", err)
	}
	state, err := s.state(ctx, &conversation{source: s}, privilege, p)
	if err != nil {
		return nil, fmt.Errorf("read m365 %s: %w", p.GetKind(), err)
	}
	return state, nil
}

func (s *Source) state(ctx context.Context, talk *conversation, privilege privilege, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	said := len(talk.notes)
	state := &curfewv1.PrivilegeState{}
	if err := privilege.read(ctx, talk, p, state); err != nil {
		return nil, err
	}
	if isGone(state) {
		state.Presence, state.Level = curfewv1.Presence_PRESENCE_ABSENT, ""
	}
	state.Reads, state.Read = talk.notes[said:len(talk.notes):len(talk.notes)], timestamppb.New(s.client.Now())
	return state, nil
}

// isGone is whether holder or resource is nobody.
func isGone(state *curfewv1.PrivilegeState) bool {
	return state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT || state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT
}

// goal is what a change is to lead to.
type goal struct {
	presence curfewv1.Presence
	level    string
}

func (g goal) reached(state *curfewv1.PrivilegeState) bool {
	return state.GetPresence() == g.presence && (g.presence != curfewv1.Presence_PRESENCE_PRESENT || state.GetLevel() == g.level)
}

// Grant gives a privilege that is not held, or not at its level.
func (s *Source) Grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	done, err := s.change(ctx, p, goal{curfewv1.Presence_PRESENCE_PRESENT, p.GetLevel()}, true)
	if err != nil {
		return nil, fmt.Errorf("grant m365 %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

// Revoke takes a privilege that is held, or puts back the level that prior shows. A place in a group is taken even where
// Graph does not show it; of the other kinds what was given in the last seconds may not be shown yet, and the answer is
// ALREADY then.
func (s *Source) Revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	want := goal{presence: curfewv1.Presence_PRESENCE_ABSENT}
	if prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT {
		want = goal{curfewv1.Presence_PRESENCE_PRESENT, prior.GetLevel()}
		if _, err := s.privilege(p); err == nil && prior.GetLevel() == p.GetLevel() {
			return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}, nil
		}
	}
	done, err := s.change(ctx, p, want, false)
	if err != nil {
		return nil, fmt.Errorf("revoke m365 %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

// change makes a privilege what is wanted, and says what came of it.
func (s *Source) change(ctx context.Context, p *curfewv1.Privilege, want goal, give bool) (*curfewv1.Provisioned, error) {
	privilege, err := s.privilege(p)
	if err != nil {
		return nil, err
	}
	unlock, err := s.changing.lock(ctx, p.GetHolder()+" "+p.GetResource()+" "+p.GetScope())
	if err != nil {
		return nil, err
	}
	defer unlock()
	talk := &conversation{source: s}
	came := func(outcome curfewv1.ProvisionOutcome) *curfewv1.Provisioned {
		done := &curfewv1.Provisioned{Outcome: outcome, Calls: talk.notes}
		if outcome == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
			done.Residual = privilege.residual()
		}
		return done
	}
	state, err := s.state(ctx, talk, privilege, p)
	switch {
	case err != nil:
		return nil, err
	case isGone(state) || talk.stranger && give:
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case want.reached(state):
		if insistent, can := privilege.(insistent); can && !give && want.presence == curfewv1.Presence_PRESENCE_ABSENT {
			switch done, err := insistent.insist(ctx, talk, p); {
			case err != nil:
				return nil, err
			case done:
				return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
			}
		}
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	case give:
		err = privilege.give(ctx, talk, p, state)
	case state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT:
		err = privilege.take(ctx, talk, p, state, want.level)
	default:
		// What was there before is there no more, by another's hand, and is not for us to put back.
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	var task *task
	var refused *vendorhttp.Refused
	switch {
	case err == nil:
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	case errors.As(err, &task):
		done := came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK)
		done.Task, done.Link = task.text, task.link
		return done, nil
	case !errors.As(err, &refused) || !isRefusal(err) || refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden:
		return nil, err
	}
	// Graph says 400, 404 and 409 of what is so already and of what is gone, in words that change: a read tells.
	state, readErr := s.state(ctx, talk, privilege, p)
	switch {
	case readErr != nil:
		return nil, readErr
	case isGone(state):
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case want.reached(state):
		return came(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	return nil, err
}

// How long access tokens live: https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes and
// https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation.
const (
	residualTokens   = "access tokens: up to 90 min, of clients with continuous access evaluation up to 28 h unless the sessions are ended"
	residualSessions = "access tokens of apps without continuous access evaluation: up to 90 min"
)

// EndSessions ends a person's refresh tokens and browser sessions. An app has none that an API could end.
func (s *Source) EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	if !isGUID(holder) {
		return nil, errors.New("end m365 sessions: the holder is no object id of entra's")
	}
	done, err := s.endSessions(ctx, holder)
	if err != nil {
		return nil, fmt.Errorf("end m365 sessions: %w", err)
	}
	return done, nil
}

func (s *Source) endSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	talk, state := &conversation{source: s}, &curfewv1.PrivilegeState{}
	done := &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE}
	err := talk.holds(ctx, &curfewv1.Privilege{Holder: holder}, state)
	switch {
	case err != nil:
		return nil, err
	case state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT:
	case talk.path != usersPath:
		done.Outcome = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK
		done.Task = "no API ends an app's access tokens: they last up to 90 min, a managed identity's up to 24 h; disable the app if that is too long"
		done.Link = appPage(holder)
	case talk.guest:
		// Graph would answer with success: https://learn.microsoft.com/graph/api/user-revokesigninsessions.
		done.Outcome = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK
		done.Task = "a guest's sessions are their own organisation's to end: block the account here if its access has to end at once"
		done.Link = "https://entra.microsoft.com/#view/Microsoft_AAD_UsersAndTenants/UserProfileMenuBlade/~/overview/userId/" + holder
	default:
		// The answer's own value and status are known to be wrong at times: https://learn.microsoft.com/graph/known-issues.
		err = talk.send(ctx, endsSessions, http.MethodPost, usersPath+holder+"/revokeSignInSessions", nil, nil)
		if err != nil && !isMissing(err) {
			return nil, err
		}
		if err == nil {
			done.Outcome, done.Residual = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, residualSessions
		}
	}
	done.Calls = talk.notes
	return done, nil
}

// Pages of the Entra admin center. Their addresses are not documented.
func groupPage(id string) string {
	return "https://entra.microsoft.com/#view/Microsoft_AAD_IAM/GroupDetailsMenuBlade/~/Members/groupId/" + id
}

func appPage(id string) string {
	return "https://entra.microsoft.com/#view/Microsoft_AAD_IAM/ManagedAppMenuBlade/~/Overview/objectId/" + id
}
