// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The kinds of privileges. Holder is an account's id, of an installation the app's as its events name it. Resource is the
// id of the team, repository, role or installation; of org_role also ownerRole.
const (
	kindTeam         = "team"
	kindCollaborator = "collaborator"
	kindOrgRole      = "org_role"
	kindInstallation = "installation"

	// ownerRole is the role of an owner, which has no id.
	ownerRole = "admin"
)

const (
	present = curfewv1.Presence_PRESENCE_PRESENT
	absent  = curfewv1.Presence_PRESENCE_ABSENT
	pending = curfewv1.Presence_PRESENCE_PENDING
)

// appResidual is how long an app's tokens live:
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app.
const appResidual = "installation tokens: up to 1 h"

// Privileges is every kind there is; none where an enterprise alone is configured.
func (s *Source) Privileges() []string {
	if s.config.Org == "" {
		return nil
	}
	return []string{kindCollaborator, kindInstallation, kindOrgRole, kindTeam}
}

// Read says whether the holder has the privilege in their own right: a place in a team below, or a repository by a team,
// is another way. GitHub's ids are never given anew, so that an account with another login was renamed, and one whose
// verified addresses are others is somebody else. The error says that it could not be learnt, and holds no secret.
func (s *Source) Read(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	h, err := s.look(ctx, privilege)
	if err == nil && h.moved != "" {
		err = errors.New("the repository belongs to " + h.moved + " now, who alone can say")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s at github: %w", privilege.GetKind(), err)
	}
	return h.state, nil
}

// Grant makes the holder have the privilege at its level, or leaves them what is more. Teams and roles are for members: a place in a team would
// otherwise come with an invitation to the whole organisation, so who is none is a task for a person. Somebody outside is
// invited to a repository. Apps are installed by a person. To an account with another login, or with other verified
// addresses, than the privilege says nothing is given: it is GONE. After an error it may be so or not.
func (s *Source) Grant(ctx context.Context, privilege *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	h, err := s.look(ctx, privilege)
	if err != nil {
		return nil, fmt.Errorf("grant %s at github: %w", privilege.GetKind(), err)
	}
	switch {
	case h.moved != "":
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK), nil
	case h.gone() || h.renamed:
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case h.has(present, privilege.GetLevel()) || h.has(pending, privilege.GetLevel()):
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	case h.state.GetPresence() == present:
		more, known := h.atLeast(h.state.GetLevel(), privilege.GetLevel())
		if more && known {
			return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
		}
		if !known {
			h.task = fmt.Sprintf("%s has %q there: see whether that is less than %q, and give it by hand if it is", h.login, h.state.GetLevel(), privilege.GetLevel())
			return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK), nil
		}
	}
	if err := h.put(ctx, privilege.GetLevel()); err != nil {
		return nil, fmt.Errorf("grant %s at github: %w", privilege.GetKind(), err)
	}
	return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
}

// Revoke makes it what it was before: what prior shows at the privilege's own level or above is left, at one below put back,
// unless somebody has changed it since; without prior it is taken away, an invitation that waits too. An owner stays a
// member. Of a repository that has another owner now it is a TASK. What GitHub says is not there is believed of a token
// alone that would be shown it. After an error it may be so or not.
func (s *Source) Revoke(ctx context.Context, privilege *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	var calls []string
	for try := 1; ; try++ {
		h, err := s.look(ctx, privilege)
		if err != nil {
			return nil, fmt.Errorf("revoke %s at github: %w", privilege.GetKind(), err)
		}
		h.calls = calls
		revoked, err := h.revoke(ctx, prior)
		switch {
		case isHidden(err) && try < 3:
			// It went while it was looked at, became another thing, as an invitation does that is accepted, or is hidden.
			calls = h.calls
			continue
		case err != nil:
			return nil, fmt.Errorf("revoke %s at github: %w", privilege.GetKind(), err)
		}
		return revoked, nil
	}
}

// revoke makes of what was found what was there before.
func (h *holding) revoke(ctx context.Context, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	before := prior.GetPresence() == present || prior.GetPresence() == pending
	// A grant lowers nobody, so who had as much before has it by themselves; and what somebody changed since the grant is
	// theirs to have changed.
	asMuch, _ := h.atLeast(prior.GetLevel(), h.privilege.GetLevel())
	changed := !h.sameLevel(h.state.GetLevel(), h.privilege.GetLevel())
	var err error
	switch {
	case h.moved != "":
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK), nil
	case h.gone():
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case h.state.GetPresence() == absent, before && (asMuch || changed):
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	case before:
		err = h.put(ctx, prior.GetLevel())
	default:
		err = h.remove(ctx)
	}
	if err != nil {
		return nil, err
	}
	return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
}

// EndSessions takes from an account what lets its tokens into the organisation: what it let in by single sign-on, and,
// where a GitHub App asks, its fine-grained tokens. What access it has is looked at by GitHub with every request, so
// nothing else has to end; but no API ends a session of single sign-on in a browser. An app's tokens end by themselves.
func (s *Source) EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	h := &holding{Source: s, state: &curfewv1.PrivilegeState{}, privilege: &curfewv1.Privilege{Kind: kindSession, Holder: holder}}
	if !isNumber(holder) {
		h.residual = appResidual
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	if err := h.lookHolder(ctx); err != nil {
		return nil, fmt.Errorf("end sessions at github: %w", err)
	}
	if h.gone() {
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	}
	signsOn, err := h.endCredentials(ctx)
	if err == nil && s.tokens != nil {
		err = h.endTokens(ctx)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("end sessions at github: %w", err)
	case signsOn:
		h.task = "end " + h.login + "'s session of single sign-on, if there is one: open the page and revoke it"
		h.link = s.site().JoinPath("orgs", s.config.Org, "people", h.login, "sso").String()
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK), nil
	case len(h.calls) > 0:
		return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	}
	return h.done(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
}

// endCredentials ends what was let in by single sign-on and says whether there is single sign-on. That an organisation
// without it is answered with 404 is not confirmed.
func (h *holding) endCredentials(ctx context.Context) (signsOn bool, err error) {
	address := h.orgPath("credential-authorizations")
	address.RawQuery = url.Values{"login": {h.login}}.Encode()
	for try := 1; ; try++ {
		var all []restCredential
		err := list(ctx, h.Source, "", address, func(c restCredential) {
			if strings.EqualFold(c.Login, h.login) {
				all = append(all, c)
			}
		})
		if isHidden(err) {
			return false, h.seesNoSignOn(ctx, err)
		}
		if err != nil {
			return false, err
		}
		again, err := endAll(all, try, func(c restCredential) error {
			return h.call(ctx, http.MethodDelete, h.orgPath("credential-authorizations", number(c.ID)), nil)
		})
		if err != nil || !again {
			return true, err
		}
	}
}

// endTokens takes the organisation from fine-grained tokens.
func (h *holding) endTokens(ctx context.Context) error {
	address := h.orgPath("personal-access-tokens")
	address.RawQuery = url.Values{"owner[]": {h.login}}.Encode()
	for try := 1; ; try++ {
		var all []restToken
		err := list(ctx, h.Source, "", address, func(t restToken) {
			if number(t.Owner.ID) == h.privilege.GetHolder() {
				all = append(all, t)
			}
		})
		if err != nil {
			return err
		}
		again, err := endAll(all, try, func(t restToken) error {
			return h.call(ctx, http.MethodPost, h.orgPath("personal-access-tokens", number(t.ID)), map[string]string{"action": "revoke"})
		})
		if err != nil || !again {
			return err
		}
	}
}

// endAll ends each. Again says that some were said not to be there, and have to be looked for: what is still there at the
// second try is an error.
func endAll[T any](all []T, try int, end func(T) error) (again bool, err error) {
	for _, one := range all {
		err := end(one)
		if isHidden(err) && try == 1 {
			again = true
			continue
		}
		if err != nil {
			return false, err
		}
	}
	return again, nil
}

// call makes a change and notes it.
func (h *holding) call(ctx context.Context, method string, address *url.URL, body any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write request: %w", err)
		}
	}
	answer, err := h.do(ctx, method, address.String(), text)
	h.calls = append(h.calls, outcome(method, address, answer, err))
	return err
}

// outcome is a request and what it was answered, as calls and reads are noted.
func outcome(method string, address *url.URL, answer *vendorhttp.Answer, err error) string {
	var refused *vendorhttp.Refused
	status := "no answer"
	switch {
	case answer != nil:
		status = fmt.Sprint(answer.Status)
	case errors.As(err, &refused):
		status = fmt.Sprint(refused.Status)
	}
	return method + " /" + strings.TrimPrefix(address.EscapedPath(), "/") + ": " + status
}

// done is what came of it. A task, where one came up, is what is left to do.
func (h *holding) done(outcome curfewv1.ProvisionOutcome) *curfewv1.Provisioned {
	if h.task != "" {
		outcome = curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK
	}
	return &curfewv1.Provisioned{Outcome: outcome, Task: h.task, Link: h.link, Calls: h.calls, Residual: h.residual}
}

// site is the address of GitHub's pages.
func (s *Source) site() *url.URL {
	host, _ := strings.CutPrefix(s.base.Host, "api.")
	return &url.URL{Scheme: s.base.Scheme, Host: cmp.Or(host, s.base.Host)}
}

func isNumber(text string) bool {
	return text != "" && len(text) < 19 && strings.Trim(text, "0123456789") == ""
}
