// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

// Applications. That an app is in a workspace is told by the newest record of the workspace's log about it, since Slack
// has no list of what is installed; how late the log is, and that it goes back to the beginning, is not confirmed: of an
// app that does not stand in it nothing is known. That Slack says so of an app that exists no more (app_not_found) is not
// confirmed either.

func (s *Source) readApp(ctx context.Context, h *holding) error {
	var answer struct {
		Logs *[]integration `json:"logs"`
	}
	arguments := url.Values{"app_id": {h.GetHolder()}, "count": {"100"}}
	if s.config.Plan == enterprise {
		arguments.Set("team_id", h.GetResource())
	}
	err := s.ask(ctx, h, "team.integrationLogs", arguments, &answer)
	switch {
	case reasonOf(err) == "team_not_found":
		h.resource(false, "")
		return nil
	case reasonOf(err) == "app_not_found":
		h.resource(true, "")
		h.holder(false)
		return nil
	case err != nil:
		return err
	case answer.Logs == nil:
		return errNoList("logs")
	}
	h.resource(true, "")
	known := slices.DeleteFunc(*answer.Logs, func(record integration) bool { return record.AppID.Text != h.GetHolder() })
	if len(known) == 0 {
		h.detail("the workspace's log of apps says nothing of the app, so that nothing is known of it")
		return nil
	}
	h.holder(true)
	newest := slices.IndexFunc(known, func(record integration) bool {
		return slices.Contains([]string{"added", "enabled", "expanded", "updated", "removed", "disabled"}, record.ChangeType.Text)
	})
	if newest < 0 {
		h.detail("the newest records of the workspace's log of apps do not say whether the app is there")
	} else {
		h.present(!slices.Contains([]string{"removed", "disabled"}, known[newest].ChangeType.Text), "")
	}
	if want := h.GetHolderName(); want != "" && !strings.EqualFold(want, known[0].AppType.Text) {
		h.detail("the app is called " + event.Clean(known[0].AppType.Text) + " now") // Its maker may call it anything.
	}
	return nil
}

func (s *Source) installApp(_ context.Context, h *holding) (task string, err error) {
	return fmt.Sprintf("install app %s in workspace %s: a person has to consent to what it may do", h.GetHolder(), h.GetResource()), nil
}

func (s *Source) uninstallApp(ctx context.Context, h *holding, _ string) (task string, err error) {
	what := fmt.Sprintf("remove app %s from workspace %s, and restrict it if nobody is to install it again", h.GetHolder(), h.GetResource())
	if s.config.Plan != enterprise {
		return what + ": only an Enterprise plan has an API for it", nil
	}
	return tasked(s.do(ctx, h, "admin.apps.uninstall", url.Values{"app_id": {h.GetHolder()}, "team_ids": {h.GetResource()}}), what, map[string]string{
		"can_not_uninstall":  "this app cannot be removed by the API",
		"must_revoke_access": "the app is deployed by the organisation; take the workspace's access away there",
		"permission_denied":  "the token's owner may not manage this app",
	})
}
