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
	"sync"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// ownership is which workspace a token is of. The zero value is ready.
type ownership struct {
	mu sync.Mutex
	// token is the digest of the one that was asked for: it can be replaced while Curfew runs.
	token, team string
}

// bind wants the token to be of the workspace that the privilege names: to that of another one every account and every
// app of it is unknown, which must not be taken for gone. Of a token of an organisation that is not told by a workspace:
// there prove looks.
func (s *Source) bind(ctx context.Context, h *holding) error {
	team := h.GetScope()
	if h.GetKind() == workspaceRoleKind || h.GetKind() == appKind {
		team = h.GetResource()
	}
	if s.config.Plan == enterprise || team == "" {
		return nil
	}
	token, err := s.config.Token.Value()
	if err != nil {
		return err
	}
	digest := event.Digest([]byte(token))
	s.owner.mu.Lock()
	own, known := s.owner.team, s.owner.token == digest
	s.owner.mu.Unlock()
	if !known {
		var answer struct {
			Team string `json:"team_id"`
		}
		if err := s.ask(ctx, h, "auth.test", nil, &answer); err != nil {
			return err
		}
		if answer.Team == "" {
			return errors.New("read answer: it does not say whose the token is")
		}
		own = answer.Team
		s.owner.mu.Lock()
		s.owner.team, s.owner.token = own, digest
		s.owner.mu.Unlock()
	}
	if own != team {
		return fmt.Errorf("the token is of workspace %s and the privilege of %s: use a token of that one", event.Clean(own), event.Clean(team))
	}
	h.ours = true
	return nil
}

// prove looks whether the token sees the thing that an unknown account is to hold: only then the account is gone.
func (s *Source) prove(ctx context.Context, h *holding, kind privilegeKind) error {
	if !h.ours {
		err := kind.read(ctx, h)
		switch {
		case err != nil:
			return fmt.Errorf("the account is unknown, and nothing shows that the token is of its workspace: %w", err)
		case !h.ours && h.state.GetResource() != curfewv1.Presence_PRESENCE_PRESENT:
			return errors.New("neither the account nor what it is to hold is known: the token may be another workspace's")
		}
	}
	h.holder(false)
	h.state.Level = ""
	return nil
}

// readHolder looks whether the account exists and is the one that is meant.
func (s *Source) readHolder(ctx context.Context, h *holding) error {
	var answer struct {
		User *member `json:"user"`
	}
	err := s.ask(ctx, h, "users.info", url.Values{"user": {h.GetHolder()}}, &answer)
	switch {
	case reasonOf(err) == "user_not_found":
		h.state.Holder = curfewv1.Presence_PRESENCE_ABSENT
		return nil
	case err != nil:
		return err
	case answer.User == nil || answer.User.ID != h.GetHolder():
		return errors.New("read answer: it is not about the account")
	}
	user := answer.User
	if want := h.GetHolderName(); want != "" && !slices.ContainsFunc([]string{user.Name, user.Profile.Email, user.RealName, user.Profile.RealName}, func(name string) bool {
		return strings.EqualFold(name, want)
	}) {
		h.renamed = true
		h.detail("the account's login and e-mail are others than the privilege says")
	}
	h.state.Holder = curfewv1.Presence_PRESENCE_PRESENT
	h.guest = user.Guest || user.Single
	if user.Deleted {
		h.detail("the account is deactivated; what it holds is in force again when it is reactivated")
	}
	if user.Enterprise.Admin || user.Enterprise.Owner {
		h.state.Via = append(h.state.Via, "administrator of the organisation")
	}
	return nil
}
