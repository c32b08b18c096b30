// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The kinds of an inventory. Slack shows no tokens.
var kinds = []string{"people", "groups", "memberships", "roles", "apps"}

// pacer returns what waits until a method may be asked again, so that a long listing keeps to the limits by itself: 20
// calls a minute for methods of Tier 2, 50 for Tier 3 and 100 for Tier 4, with some bursts:
// https://docs.slack.dev/apis/web-api/rate-limits. Polling and provisioning do not wait here.
func pacer() func(ctx context.Context, method string) error {
	minute := func(calls, burst int) *rate.Limiter {
		return rate.NewLimiter(rate.Every(time.Minute/time.Duration(calls)), burst)
	}
	slow, middle, quick := minute(20, 10), minute(50, 20), minute(100, 40)
	return func(ctx context.Context, method string) error {
		limiter := slow
		switch method {
		case "conversations.members", "users.info":
			limiter = quick
		case "conversations.info", "admin.teams.list":
			limiter = middle
		}
		return limiter.Wait(ctx)
	}
}

// Kinds is what can be asked for.
func (s *Source) Kinds() []string { return slices.Clone(kinds) }

// Observe reads everything of one kind, page by page. What one workspace, group or channel refuses is missing, and the
// rest is read; an error says that nothing could be. It holds no secret.
//
// Of channels, those are read that the configuration names, and of the private ones those alone that the token's owner is
// in: Slack shows nobody others.
func (s *Source) Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error) {
	reads := map[string]func(context.Context, *observation){
		"people": s.people, "groups": s.groups, "memberships": s.memberships, "roles": s.roles, "apps": s.apps,
	}
	read, known := reads[kind]
	if !known {
		return nil, fmt.Errorf("observe slack: there is no kind %q of things", event.Clean(kind))
	}
	o := &observation{
		seen:      map[string]bool{},
		inventory: &curfewv1.Inventory{Source: source, Kind: kind, Began: timestamppb.New(s.client.Now())},
	}
	read(ctx, o)
	o.inventory.Ended = timestamppb.New(s.client.Now())
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("observe slack %s: %w", kind, ctx.Err())
	case o.parts == 0 && o.err != nil:
		return nil, fmt.Errorf("observe slack %s: %w", kind, o.err)
	}
	return o.inventory, nil
}

// observation is one inventory while it is read.
type observation struct {
	inventory *curfewv1.Inventory
	seen      map[string]bool
	// parts is how many listings were read whole; err is why the first was not.
	parts int
	err   error
}

// add takes an entry. A listing that moves while it is read may show a thing twice.
func (o *observation) add(entry *curfewv1.Entry) {
	if entry.GetKey() == "" || o.seen[entry.GetKey()] {
		return
	}
	o.seen[entry.GetKey()] = true
	o.inventory.Entries = append(o.inventory.Entries, entry)
}

// part notes whether a listing was read whole.
func (o *observation) part(what string, err error) {
	if err == nil {
		o.parts++
		return
	}
	if o.err == nil {
		o.err = err
	}
	o.inventory.Missing = append(o.inventory.Missing, event.Clean(what+": "+err.Error()))
}

// workspaces is every workspace of an organisation; the one that the token is of, by the id "", on other plans.
func (s *Source) workspaces(ctx context.Context, o *observation) []string {
	if s.config.Plan != enterprise {
		return []string{""}
	}
	var ids []string
	type page struct {
		Teams *[]struct {
			ID string `json:"id"`
		} `json:"teams"`
		listed
	}
	err := each(ctx, s, "admin.teams.list", nil, 100, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		if p.Teams == nil {
			return errNoList("teams")
		}
		for _, team := range *p.Teams {
			ids = append(ids, team.ID)
		}
		return nil
	})
	if err == nil && len(ids) == 0 {
		err = errors.New("read answer: the organisation has no workspace, and every one has")
	}
	if err != nil {
		o.part("workspaces", err)
	}
	return ids
}

func errNoList(name string) error { return fmt.Errorf("read answer: it has no list of %s", name) }

// of is the arguments of a method about a workspace.
func of(team string, more ...string) url.Values {
	arguments := url.Values{}
	if team != "" {
		arguments.Set("team_id", team)
	}
	for i := 0; i+1 < len(more); i += 2 {
		arguments.Set(more[i], more[i+1])
	}
	return arguments
}

// inWorkspace is a part of an inventory with its workspace.
func inWorkspace(what, team string) string {
	if team == "" {
		return what
	}
	return what + " of workspace " + team
}

// people is every account: https://docs.slack.dev/reference/methods/admin.users.list,
// https://docs.slack.dev/reference/methods/users.list.
func (s *Source) people(ctx context.Context, o *observation) {
	if s.config.Plan != enterprise {
		o.part("people", s.members(ctx, func(m *member) {
			o.add(&curfewv1.Entry{Key: m.ID, Thing: &curfewv1.Entry_Account{Account: m.account()}})
		}))
		return
	}
	for _, active := range []string{"true", "false"} {
		err := s.orgMembers(ctx, active, func(m *orgMember) {
			o.add(&curfewv1.Entry{Key: m.ID, Thing: &curfewv1.Entry_Account{Account: m.account()}})
		})
		o.part(map[string]string{"true": "active people", "false": "deactivated people"}[active], err)
	}
}

// member is an account as users.list and users.info show it.
type member struct {
	ID       string `json:"id"`
	TeamID   string `json:"team_id"`
	Name     string `json:"name"`
	RealName string `json:"real_name"`
	Deleted  bool   `json:"deleted"`
	Bot      bool   `json:"is_bot"`
	Admin    bool   `json:"is_admin"`
	Owner    bool   `json:"is_owner"`
	Primary  bool   `json:"is_primary_owner"`
	Guest    bool   `json:"is_restricted"`
	Single   bool   `json:"is_ultra_restricted"`
	Invited  bool   `json:"is_invited_user"`
	MFA      *bool  `json:"has_2fa"`
	Profile  struct {
		RealName string `json:"real_name"`
		Email    string `json:"email"`
	} `json:"profile"`
	Enterprise struct {
		Admin bool `json:"is_admin"`
		Owner bool `json:"is_owner"`
	} `json:"enterprise_user"`
}

func (m *member) account() *curfewv1.Account {
	a := &curfewv1.Account{
		Id: m.ID, Login: event.Clean(m.Name), Name: event.Clean(m.RealName), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active",
		Guest: m.Guest || m.Single, Mfa: m.MFA,
	}
	if a.Name == "" {
		a.Name = event.Clean(m.Profile.RealName)
	}
	if m.Profile.Email != "" {
		a.Emails = []string{event.Clean(m.Profile.Email)}
	}
	switch {
	case m.ID == slackbot:
		a.Type = curfewv1.ActorType_ACTOR_TYPE_SERVICE
	case m.Bot:
		a.Type = curfewv1.ActorType_ACTOR_TYPE_APP
	}
	switch {
	case m.Deleted:
		a.Status = "suspended" // Slack deactivates accounts and deletes none; they can be made active again.
	case m.Invited:
		a.Status = "invited"
	}
	return a
}

// members gives every account of a workspace.
func (s *Source) members(ctx context.Context, take func(*member)) error {
	type page struct {
		Members *[]member `json:"members"`
		listed
	}
	return each(ctx, s, "users.list", nil, 200, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		if p.Members == nil {
			return errNoList("members")
		}
		for i := range *p.Members {
			take(&(*p.Members)[i])
		}
		return nil
	})
}

// orgMember is an account as admin.users.list shows it.
type orgMember struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Username string `json:"username"`
	FullName string `json:"full_name"`
	Active   bool   `json:"is_active"`
	Bot      bool   `json:"is_bot"`
	Admin    bool   `json:"is_admin"`
	Owner    bool   `json:"is_owner"`
	Primary  bool   `json:"is_primary_owner"`
	Guest    bool   `json:"is_restricted"`
	Single   bool   `json:"is_ultra_restricted"`
	Created  int64  `json:"date_created"`
	MFA      *bool  `json:"has_2fa"`
}

func (m *orgMember) account() *curfewv1.Account {
	a := &curfewv1.Account{
		Id: m.ID, Login: event.Clean(m.Username), Name: event.Clean(m.FullName), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active",
		Guest: m.Guest || m.Single, Mfa: m.MFA,
	}
	if m.Email != "" {
		a.Emails = []string{event.Clean(m.Email)}
	}
	if m.Bot {
		a.Type = curfewv1.ActorType_ACTOR_TYPE_APP
	}
	if !m.Active {
		a.Status = "suspended"
	}
	if m.Created > 0 {
		a.Created = event.Timestamp(time.Unix(m.Created, 0))
	}
	return a
}

// orgMembers gives every account of an organisation that is active, or every other.
func (s *Source) orgMembers(ctx context.Context, active string, take func(*orgMember)) error {
	type page struct {
		Users *[]orgMember `json:"users"`
		listed
	}
	return each(ctx, s, "admin.users.list", url.Values{"is_active": {active}}, 100, func(p *page) string { return p.Metadata.NextCursor }, func(p *page) error {
		if p.Users == nil {
			return errNoList("users")
		}
		for i := range *p.Users {
			take(&(*p.Users)[i])
		}
		return nil
	})
}
