// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"errors"
	"net/http"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// appsPage is where an administrator sees what apps may do.
const appsPage = "https://admin.google.com/ac/owl"

// readToken reads the holder, and whether they have let the app in: not where neither the app's token nor the list of all
// tokens shows it. An app is no object of the Directory, so whether it
// exists nobody can ask.
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/tokens/get
func readToken(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	if err := w.holder(ctx, p); err != nil {
		return err
	}
	w.state.Presence = curfewv1.Presence_PRESENCE_ABSENT
	if gone(w.state) {
		return nil
	}
	var t token
	err := w.get(ctx, scopeSecurity, w.at("users", p.GetHolder(), "tokens", p.GetResource()), &t)
	switch {
	case notThere(err):
		found := false
		list := w.at("users", p.GetHolder(), "tokens")
		_, err := readPages(ctx, w.Source, scopeSecurity, list, nil, 0, func(page []token) {
			for _, listed := range page {
				if listed.ClientID == p.GetResource() {
					t, found = listed, true
				}
			}
		}, nil)
		w.note(http.MethodGet, list, err)
		if err != nil || !found {
			return err
		}
	case err != nil:
		return err
	case t.ClientID != p.GetResource():
		return errors.New("read token: the answer is of another app")
	}
	w.state.Presence, w.state.Resource = curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT
	if p.GetResourceName() != "" && t.DisplayText != "" && !named(p.GetResourceName(), t.DisplayText) {
		w.tell("the app has another name now")
	}
	return nil
}

// giveToken cannot be done: an app asks its user, nobody else.
func giveToken(_ context.Context, w *work, p *curfewv1.Privilege) (*curfewv1.Provisioned, error) {
	task := w.outcome(curfewv1.ProvisionOutcome_PROVISION_OUTCOME_TASK)
	task.Task = "let the holder (user " + p.GetHolder() + ") sign in to the app " + p.GetResource() + " with their Google account: the app asks them for its access, nobody else can give it"
	task.Link = appsPage
	return task, nil
}

// takeToken ends all access that the app has to what is the holder's. The app may ask them again.
func takeToken(ctx context.Context, w *work, p *curfewv1.Privilege) error {
	return w.change(ctx, scopeSecurity, http.MethodDelete, w.at("users", p.GetHolder(), "tokens", p.GetResource()), nil)
}
