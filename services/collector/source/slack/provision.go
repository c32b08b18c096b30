// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The kinds of privileges: a place in a user group, a place in a channel, to be administrator or owner of a workspace, and
// for an application to be in a workspace.
//
// Slack can end none of them by itself: the one end that it knows is that of a guest's whole account
// (admin.users.setExpiration), which is more than a privilege, so expires_at is not passed on.
const (
	userGroupKind     = "user_group"
	channelKind       = "channel"
	workspaceRoleKind = "workspace_role"
	appKind           = "app"
)

// adminPage is where people do what no API does. Slack leads from there to the workspace that somebody is signed in to.
const adminPage = "https://my.slack.com/admin"

// Privileges is every kind of privilege there is.
func (s *Source) Privileges() []string {
	return []string{userGroupKind, channelKind, workspaceRoleKind, appKind}
}

// holding is one privilege while it is read, given or taken.
type holding struct {
	*curfewv1.Privilege
	state *curfewv1.PrivilegeState
	// guest is whether the holder is one: of one channel or of several.
	guest bool
	// ours is whether an answer showed that the token is of the privilege's workspace.
	ours bool
	// renamed is whether the holder goes by neither login nor e-mail that the privilege says.
	renamed bool
	// calls are the changes that were made.
	calls []string
}

// privilegeKind is what one kind of privilege takes.
type privilegeKind struct {
	// read says whether it is held; the holder has been looked at.
	read func(ctx context.Context, h *holding) error
	// give and take make it so; a task says what no API does.
	give func(ctx context.Context, h *holding) (task string, err error)
	// take leaves the holder with the level that they had before, "" for none and "guest" for less.
	take func(ctx context.Context, h *holding, before string) (task string, err error)
	// residual is what outlives it.
	residual string
}

func (s *Source) kind(p *curfewv1.Privilege) (privilegeKind, error) {
	var kind privilegeKind
	switch p.GetKind() {
	case userGroupKind:
		kind = privilegeKind{s.readGroup, s.joinGroup, s.leaveGroup, ""}
	case channelKind:
		kind = privilegeKind{s.readChannel, s.joinChannel, s.leaveChannel, "what the person's devices have already loaded"}
	case workspaceRoleKind:
		kind = privilegeKind{s.readRole, s.giveRole, s.takeRole, ""}
	case appKind:
		kind = privilegeKind{s.readApp, s.installApp, s.uninstallApp, ""}
	default:
		return kind, fmt.Errorf("there are no privileges of kind %q; there are %s", event.Clean(p.GetKind()), strings.Join(s.Privileges(), ", "))
	}
	for name, id := range map[string]string{"holder": p.GetHolder(), "resource": p.GetResource()} {
		if !isID(id) {
			return kind, fmt.Errorf("the %s %q is no id of Slack's", name, event.Clean(id))
		}
	}
	if p.GetScope() != "" && !isID(p.GetScope()) {
		return kind, fmt.Errorf("the scope %q is no id of a workspace", event.Clean(p.GetScope()))
	}
	levels := []string{""}
	if p.GetKind() == workspaceRoleKind {
		levels = []string{"admin", "owner"}
	}
	if !slices.Contains(levels, p.GetLevel()) {
		return kind, fmt.Errorf("there is no level %q of a %s", event.Clean(p.GetLevel()), p.GetKind())
	}
	return kind, nil
}

// isID is whether text is in the form of Slack's ids.
func isID(text string) bool {
	return len(text) >= 2 && len(text) <= 40 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// Read asks Slack whether a privilege is held.
func (s *Source) Read(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	h, _, err := s.look(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read slack %s: %w", event.Clean(p.GetKind()), err)
	}
	return h.state, nil
}

// look reads a privilege.
func (s *Source) look(ctx context.Context, p *curfewv1.Privilege) (*holding, privilegeKind, error) {
	kind, err := s.kind(p)
	if err != nil {
		return nil, kind, err
	}
	h := &holding{Privilege: p, state: &curfewv1.PrivilegeState{}}
	if err := s.bind(ctx, h); err != nil {
		return nil, kind, err
	}
	if p.GetKind() != appKind {
		if err := s.readHolder(ctx, h); err != nil {
			return nil, kind, err
		}
	}
	if h.state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT {
		err = s.prove(ctx, h, kind)
	} else {
		err = kind.read(ctx, h)
	}
	if err != nil {
		return nil, kind, err
	}
	h.state.Read = timestamppb.New(s.client.Now())
	return h, kind, nil
}

// ask is a read that is noted.
func (s *Source) ask(ctx context.Context, h *holding, method string, arguments url.Values, into any) error {
	note, err := s.get(ctx, method, arguments, into)
	h.state.Reads = append(h.state.Reads, note)
	return err
}

func (h *holding) detail(text string) {
	h.state.Detail = strings.TrimPrefix(h.state.GetDetail()+"; "+text, "; ")
}

// present notes whether the privilege is held.
func (h *holding) present(held bool, level string) {
	h.state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	if held {
		h.state.Presence, h.state.Level = curfewv1.Presence_PRESENCE_PRESENT, level
	}
}

// resource notes whether the thing held exists, and under which name now.
func (h *holding) resource(exists bool, name string) {
	h.state.Resource = curfewv1.Presence_PRESENCE_ABSENT
	if !exists {
		h.state.Presence = curfewv1.Presence_PRESENCE_ABSENT
		return
	}
	h.state.Resource = curfewv1.Presence_PRESENCE_PRESENT
	if want := h.GetResourceName(); want != "" && name != "" && !strings.EqualFold(strings.TrimPrefix(want, "#"), name) {
		h.detail("it is called " + event.Clean(name) + " now")
	}
}

// holder notes whether the holder is known.
func (h *holding) holder(exists bool) {
	h.state.Holder = curfewv1.Presence_PRESENCE_PRESENT
	if !exists {
		h.state.Holder, h.state.Presence = curfewv1.Presence_PRESENCE_ABSENT, curfewv1.Presence_PRESENCE_ABSENT
	}
}

func (h *holding) gone() bool {
	return h.state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT || h.state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT
}

func (h *holding) held() bool { return h.state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT }

// The roles that an account can have in a workspace, the least first. A privilege is at least "admin"; every other kind of
// privilege has the one level "".
var ranks = []string{guestLevel, "", "admin", "owner", "primary_owner"}

const guestLevel = "guest"

func rank(level string) int { return slices.Index(ranks, level) }

// Grant makes the holder have the privilege at its level, or leaves them at a higher one, which is ALREADY. To an id whose login and e-mail are both others than the
// privilege says nothing is given; taken from it is what it has, since Slack gives no id twice and accounts are renamed.
func (s *Source) Grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	done, err := s.grant(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("grant slack %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

func (s *Source) grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	h, kind, err := s.look(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case h.gone() || h.renamed:
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE}, nil
	case h.held() && rank(h.state.GetLevel()) >= rank(p.GetLevel()):
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}, nil
	}
	task, err := kind.give(ctx, h)
	return h.outcome(task, err, "")
}

// outcome is what came of a change.
func (h *holding) outcome(task string, err error, residual string) (*curfewv1.Provisioned, error) {
	switch {
	case err != nil:
		return nil, err
	case task != "":
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK, Task: task, Link: adminPage, Calls: h.calls}, nil
	case len(h.calls) == 0:
		// Somebody else was quicker.
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}, nil
	}
	return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, Calls: h.calls, Residual: residual}, nil
}

// Revoke makes the privilege what it was before, if it is held at the privilege's own level: whoever was stripped of it or
// raised since by somebody else is left as they are, which is ALREADY.
func (s *Source) Revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	done, err := s.revoke(ctx, p, prior)
	if err != nil {
		return nil, fmt.Errorf("revoke slack %s: %w", event.Clean(p.GetKind()), err)
	}
	return done, nil
}

func (s *Source) revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	already := &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}
	heldBefore, before := prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT, prior.GetLevel()
	if heldBefore && rank(before) >= rank(p.GetLevel()) {
		return already, nil
	}
	h, kind, err := s.look(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case h.gone():
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE}, nil
	case h.state.GetPresence() == curfewv1.Presence_PRESENCE_UNSPECIFIED:
		return nil, errors.New("whether it is held could not be learnt: " + h.state.GetDetail())
	case !h.held() || h.state.GetLevel() != p.GetLevel():
		return already, nil
	}
	if !heldBefore && before != guestLevel {
		before = ""
	}
	task, err := kind.take(ctx, h, before)
	return h.outcome(task, err, kind.residual)
}

// EndSessions ends all sessions of an account on all devices, which on other plans than Enterprise a person has to.
func (s *Source) EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	if !isID(holder) {
		return nil, fmt.Errorf("end sessions at slack: the holder %q is no id of Slack's", event.Clean(holder))
	}
	// What apps may do for the person is not a session.
	const residual = "what apps may do in the person's name, until the apps are removed"
	switch {
	case strings.HasPrefix(holder, "A"):
		// An app has no sessions, and its tokens end when it is removed.
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY}, nil
	case s.config.Plan != enterprise:
		return &curfewv1.Provisioned{
			Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK, Link: adminPage, Residual: residual,
			Task: "sign " + holder + " out of all sessions, under Manage members; only an Enterprise plan has an API for it",
		}, nil
	}
	note, err := s.post(ctx, "admin.users.session.reset", url.Values{"user_id": {holder}}, nil)
	switch {
	case reasonOf(err) == "user_not_found":
		return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE, Calls: []string{note}}, nil
	case err != nil:
		return nil, fmt.Errorf("end sessions at slack: %w", err)
	}
	return &curfewv1.Provisioned{Outcome: curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE, Calls: []string{note}, Residual: residual}, nil
}
