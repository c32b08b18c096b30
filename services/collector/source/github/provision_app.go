// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

// lookInstallation reads whether an app is installed, by its installation's id and its own. An app may be renamed; of one
// that is not installed its name alone tells whether there is such an app:
// https://docs.github.com/en/rest/apps/apps#get-an-app.
func (h *holding) lookInstallation(ctx context.Context) error {
	name := h.privilege.GetHolderName()
	h.state.Presence = absent
	address := h.orgPath("installations")
	err := list(ctx, h.Source, "installations", address, func(i restInstallation) {
		switch {
		case i.app() != h.privilege.GetHolder():
		case number(i.ID) != h.privilege.GetResource():
			h.state.Via = append(h.state.Via, "installation "+number(i.ID))
		default:
			h.slug = i.Slug
			h.state.Presence, h.state.Holder, h.state.Resource, h.state.Handle = present, present, present, number(i.ID)
			if i.SuspendedAt != "" {
				h.say("the installation is suspended")
			}
			if name != "" && !strings.EqualFold(name, i.Slug) {
				h.say("the app is called " + event.Clean(i.Slug) + " now, not " + event.Clean(name))
			}
		}
	})
	h.state.Reads = append(h.state.Reads, outcome(http.MethodGet, address, okAnswer(err), err))
	if err != nil || h.state.GetPresence() == present || name == "" {
		return err
	}
	return h.lookApp(ctx, name)
}

func (h *holding) lookApp(ctx context.Context, name string) error {
	if !isSlug(name) {
		return errors.New("holder_name: not the name of an app")
	}
	var app struct {
		ClientID string `json:"client_id"`
		Slug     string `json:"slug"`
	}
	there, err := h.get(ctx, h.base.JoinPath("apps", name), &app)
	switch {
	case err != nil:
		return err
	case there && app.Slug == "":
		return errors.New("read app: the answer is not of an app")
	case there && (app.ClientID == "" || app.ClientID == h.privilege.GetHolder()):
		h.state.Holder = present
	case len(h.state.GetVia()) == 0:
		h.state.Holder = absent
	}
	return nil
}
