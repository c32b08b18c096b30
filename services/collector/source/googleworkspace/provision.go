// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// moment is how long after it what Google says is not there is asked for once more.
const moment = time.Second

// privilege is one kind of privilege: how it is read, given and taken. What give and take are told was read just now; give
// is asked where it is not held at the level wanted, take where it is held. They return what came of it.
type privilege struct {
	read func(ctx context.Context, w *work, p *curfewv1.Privilege) error
	give func(ctx context.Context, w *work, p *curfewv1.Privilege) (*curfewv1.Provisioned, error)
	take func(ctx context.Context, w *work, p *curfewv1.Privilege) error
	// restore makes it what it was before where it was held before, and says whether there was anything to do; nil where
	// there are no levels.
	restore func(ctx context.Context, w *work, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (changed bool, err error)
	// finish completes what was given earlier and broke off, and moves the end that Google knows of to a later one; it says
	// whether there was anything to do. Nil where nothing can be.
	finish func(ctx context.Context, w *work, p *curfewv1.Privilege) (changed bool, err error)
	// residual is what outlives the end.
	residual string
}

func (s *Source) privileges() map[string]privilege {
	return map[string]privilege{
		"group":       {read: readGroup, give: giveGroup, take: takeGroup, restore: restoreGroup, finish: finishGroup, residual: groupResidual},
		"admin_role":  {read: readRole, give: giveRole, take: takeRole, residual: roleResidual},
		"oauth_token": {read: readToken, give: giveToken, take: takeToken},
	}
}

// Privileges returns every kind of privilege there is: "group", the membership of a user in a group at level member,
// manager or owner; "admin_role", where scope is the id of an organisational unit or empty for the whole Workspace; and
// "oauth_token", all access of a third-party app, named by its client id, to what is the user's.
func (s *Source) Privileges() []string { return []string{"group", "admin_role", "oauth_token"} }

// work is one piece of provisioning: what was asked, and what came of it.
type work struct {
	*Source
	lines []string
	state *curfewv1.PrivilegeState
	// user and group are what the holder and a group are now, where they are there.
	user  *user
	group *group
	// strange is whether holder or group go by another address now than the privilege says, which they never had.
	strange bool
	// endRead is whether state has when Google ends it, be it never; endErr is why not, where that was asked.
	endRead bool
	endErr  error
}

// note adds a call as it is told: without its query, which may hold an e-mail.
func (w *work) note(method, address string, err error) {
	path := strings.TrimPrefix(strings.TrimPrefix(address, w.base.String()), w.identity.String())
	path, _, _ = strings.Cut(path, "?")
	outcome := "done"
	var refused *vendorhttp.Refused
	switch {
	case errors.As(err, &refused):
		outcome = fmt.Sprint(refused.Status)
	case err != nil:
		outcome = "no answer"
	case method == http.MethodGet:
		outcome = "200"
	}
	w.lines = append(w.lines, event.Clean(method+" "+path+": "+outcome))
}

// get reads an object.
func (w *work) get(ctx context.Context, scope, address string, into any) error {
	err := w.read(ctx, scope, address, into)
	w.note(http.MethodGet, address, err)
	return err
}

// certain is get, but what is not there is asked for once more, a moment later: Google is known to answer 404 for things
// that exist, and one such answer must not make anything count as gone.
func (w *work) certain(ctx context.Context, scope, address string, into any) error {
	err := w.get(ctx, scope, address, into)
	if !notThere(err) {
		return err
	}
	if err := w.client.Pause(ctx, moment); err != nil {
		return err
	}
	return w.get(ctx, scope, address, into)
}

// change makes a change. After an error other than a refusal below 500 it may have been made or not.
func (w *work) change(ctx context.Context, scope, method, address string, body any) error {
	request := vendorhttp.Request{Method: method, Address: address}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write request: %w", err)
		}
		request.Body = text
	}
	answer, err := w.ask(ctx, scope, request)
	w.note(method, address, err)
	if err == nil {
		last := len(w.lines) - 1
		w.lines[last] = strings.TrimSuffix(w.lines[last], "done") + fmt.Sprint(answer.Status)
	}
	return err
}

// Read asks Google whether the privilege is held, in the holder's own right, and by which other ways. Absent is only what
// Google itself says is not there of a holder and a resource that are there, or that are gone themselves.
func (s *Source) Read(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.PrivilegeState, error) {
	w, _, err := s.look(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read google_workspace %s: %w", event.Clean(p.GetKind()), err)
	}
	return w.state, nil
}

func (s *Source) look(ctx context.Context, p *curfewv1.Privilege) (*work, privilege, error) {
	kind, known := s.privileges()[p.GetKind()]
	if !known {
		return nil, kind, fmt.Errorf("there is no privilege %q; there are %s", event.Clean(p.GetKind()), strings.Join(s.Privileges(), ", "))
	}
	if err := checkIDs(p.GetHolder(), p.GetResource()); err != nil {
		return nil, kind, err
	}
	w := &work{Source: s, state: &curfewv1.PrivilegeState{}}
	if err := kind.read(ctx, w, p); err != nil {
		return w, kind, err
	}
	w.state.Reads, w.state.Read = w.lines, timestamppb.New(s.client.Now())
	return w, kind, nil
}

// checkIDs wants ids as Google makes them. An e-mail finds whoever has it now, so it is none.
func checkIDs(holder, resource string) error {
	for what, id := range map[string]string{"holder": holder, "resource": resource} {
		if id == "" || strings.Trim(id, ".") == "" ||
			strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return fmt.Errorf("%s: not an id of Google's; name users and groups by id, not by e-mail", what)
		}
	}
	return nil
}

// gone is whether there is nobody to give to or take from, or nothing.
func gone(state *curfewv1.PrivilegeState) bool {
	return state.GetHolder() == curfewv1.Presence_PRESENCE_ABSENT || state.GetResource() == curfewv1.Presence_PRESENCE_ABSENT
}

func (w *work) outcome(outcome curfewv1.ProvisionOutcome) *curfewv1.Provisioned {
	return &curfewv1.Provisioned{Outcome: outcome, Calls: w.lines}
}

// Grant makes the holder have the privilege at its level, or at a higher one that they have already. Where Google itself is
// to end it sooner than the privilege says, that end is moved; none is moved to a sooner one, and what Google is not to end
// gets no end. An error may mean that the end alone could not be read or moved. To an id that goes by
// another address now nothing is given: GONE. An OAuth token is for the holder to give: TASK.
func (s *Source) Grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	granted, err := s.grant(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("grant google_workspace %s: %w", event.Clean(p.GetKind()), err)
	}
	return granted, nil
}

func (s *Source) grant(ctx context.Context, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	w, kind, err := s.look(ctx, p)
	if err != nil {
		return nil, err
	}
	switch {
	case gone(w.state), w.strange:
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case w.state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT && rank(w.state.GetLevel()) >= rank(p.GetLevel()):
		return w.finished(ctx, kind, p)
	}
	return kind.give(ctx, w, p)
}

// finished is what comes of a grant of what is held.
func (w *work) finished(ctx context.Context, kind privilege, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	if kind.finish == nil {
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	changed, err := kind.finish(ctx, w, p)
	switch {
	case err != nil:
		return nil, err
	case changed:
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE), nil
	}
	return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
}

// Revoke makes it what it was before: what prior shows at the same level or a higher one stays, a lower level is put back
// if the privilege's is what is there now, with the end that it had, and otherwise it is taken away, whatever name the ids
// go by now. What would have ended meanwhile is taken away too. It raises nobody. An owner of a group who was none before
// is taken out of it like a member.
func (s *Source) Revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	revoked, err := s.revoke(ctx, p, prior)
	if err != nil {
		return nil, fmt.Errorf("revoke google_workspace %s: %w", event.Clean(p.GetKind()), err)
	}
	return revoked, nil
}

func (s *Source) revoke(ctx context.Context, p *curfewv1.Privilege, prior *curfewv1.PrivilegeState) (*curfewv1.Provisioned, error) {
	w, kind, err := s.look(ctx, p)
	if err != nil {
		return nil, err
	}
	before, changed := prior.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT, true
	switch {
	case gone(w.state):
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
	case w.state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT,
		before && kind.restore == nil:
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	case before:
		changed, err = kind.restore(ctx, w, p, prior)
	default:
		err = kind.take(ctx, w, p)
	}
	if notThere(err) {
		// Somebody was faster, or holder or resource are gone since they were read, or it is not true.
		again, _, readErr := s.look(ctx, p)
		if readErr != nil {
			return nil, readErr
		}
		w.lines = append(w.lines, again.lines...)
		switch {
		case gone(again.state):
			return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
		case again.state.GetPresence() == curfewv1.Presence_PRESENCE_ABSENT:
			return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
		}
	}
	if err != nil {
		return nil, err
	}
	if !changed {
		return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY), nil
	}
	done := w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE)
	done.Residual = kind.residual
	return done, nil
}

// holder reads the user who holds the privilege, and whether they go by the name that the privilege gives: Google keeps an
// address that a user had as an alias. That it gives no id to somebody else is not confirmed.
func (w *work) holder(ctx context.Context, p *curfewv1.Privilege) error {
	var u user
	err := w.certain(ctx, scopeUsers, w.at("users", p.GetHolder()), &u)
	switch {
	case notThere(err):
		w.state.Holder = curfewv1.Presence_PRESENCE_ABSENT
		w.tell("the account is gone; Google can bring it back within 20 days of its deletion")
		return nil
	case err != nil:
		return err
	case u.ID != p.GetHolder():
		return errors.New("read user: the answer is of another one")
	}
	w.state.Holder, w.user = curfewv1.Presence_PRESENCE_PRESENT, &u
	if p.GetHolderName() != "" && !named(p.GetHolderName(), slices.Concat([]string{u.PrimaryEmail}, u.Aliases, u.NonEditableAliases)...) {
		w.strange = true
		w.tell("the account goes by another address now and never had this one: nothing is given to it, and what it has is taken")
	}
	if u.Suspended {
		w.tell("the account is suspended")
	}
	return nil
}

// tell adds what a person should know.
func (w *work) tell(text string) {
	if w.state.GetDetail() != "" {
		text = w.state.GetDetail() + "; " + text
	}
	w.state.Detail = event.Clean(text)
}

// EndSessions signs the holder out everywhere, and takes from every app and device what it was let in with: all OAuth
// tokens and application passwords of theirs. An error says why not all of it was ended; it may be asked again.
func (s *Source) EndSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	ended, err := s.endSessions(ctx, holder)
	if err != nil {
		return nil, fmt.Errorf("end google_workspace sessions: %w", err)
	}
	return ended, nil
}

func (s *Source) endSessions(ctx context.Context, holder string) (*curfewv1.Provisioned, error) {
	if err := checkIDs(holder, holder); err != nil {
		return nil, err
	}
	w := &work{Source: s}
	err := w.change(ctx, scopeSecurity, http.MethodPost, w.at("users", holder, "signOut"), nil)
	if notThere(err) {
		if err := w.client.Pause(ctx, moment); err != nil {
			return nil, err
		}
		if notThere(w.get(ctx, scopeUsers, w.at("users", holder), &user{})) {
			return w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE), nil
		}
		err = w.change(ctx, scopeSecurity, http.MethodPost, w.at("users", holder, "signOut"), nil)
	}
	// Each is ended by itself: that one cannot be leaves no other open.
	err = cmp.Or(err,
		endAll(ctx, w, w.at("users", holder, "tokens"), func(t token) string { return t.ClientID }),
		endAll(ctx, w, w.at("users", holder, "asps"), func(p password) string { return p.CodeID.String() }))
	if err != nil {
		return nil, err
	}
	done := w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE)
	// Not confirmed.
	done.Residual = "access tokens that apps hold already: up to 1 h"
	return done, nil
}

// endAll ends all that is in a list. What is not there when it is to end is gone if a second list has it no more. The
// error is the first; the rest was ended all the same.
func endAll[T any](ctx context.Context, w *work, list string, id func(T) string) error {
	for again := false; ; again = true {
		var ids []string
		var first error
		_, err := readPages(ctx, w.Source, scopeSecurity, list, nil, 0, func(page []T) {
			for _, entry := range page {
				ids = append(ids, id(entry))
			}
		}, func(json.RawMessage) { first = errOdd })
		w.note(http.MethodGet, list, err)
		first = cmp.Or(err, first)
		unsure := false
		for _, id := range ids {
			err := w.change(ctx, scopeSecurity, http.MethodDelete, list+"/"+url.PathEscape(id), nil)
			if notThere(err) && !again {
				unsure = true
				continue
			}
			first = cmp.Or(first, err)
		}
		if first != nil || !unsure {
			return first
		}
		if err := w.client.Pause(ctx, moment); err != nil {
			return err
		}
	}
}
