// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// holding is a privilege as GitHub shows it, and what was done about it.
type holding struct {
	*Source
	privilege *curfewv1.Privilege
	state     *curfewv1.PrivilegeState

	login   string // the holder's
	renamed bool   // whether the holder goes by another name than the privilege says
	member  bool   // whether the holder is in the organisation, where that was looked at
	sees    bool   // whether the token was seen to be one that nothing is hidden from
	moved   string // who owns the repository now, if it is somebody else
	// place is where the holder's place in the team is, repo the repository's name, invitation the id of one that waits.
	place      *url.URL
	repo       string
	invitation string

	calls          []string
	task, link     string
	residual, slug string
}

// look reads a privilege.
func (s *Source) look(ctx context.Context, privilege *curfewv1.Privilege) (*holding, error) {
	h := &holding{Source: s, privilege: privilege, state: &curfewv1.PrivilegeState{}}
	kind, holder, resource := privilege.GetKind(), privilege.GetHolder(), privilege.GetResource()
	switch {
	case !slices.Contains(s.Privileges(), kind):
		return nil, fmt.Errorf("there is no privilege of kind %q; there are %q", event.Clean(kind), s.Privileges())
	case kind != kindInstallation && !isNumber(holder), !isSlug(holder):
		return nil, errors.New("holder: not the id of an account, or of an app")
	case !isNumber(resource) && (kind != kindOrgRole || resource != ownerRole):
		return nil, errors.New("resource: not an id")
	}
	err := h.lookAll(ctx)
	if err != nil {
		return nil, err
	}
	if h.gone() {
		h.state.Presence = absent
	}
	h.state.Read = timestamppb.New(s.client.Now())
	return h, nil
}

func (h *holding) lookAll(ctx context.Context) error {
	if h.privilege.GetKind() == kindInstallation {
		return h.lookInstallation(ctx)
	}
	if err := h.lookHolder(ctx); err != nil || h.gone() {
		return err
	}
	switch h.privilege.GetKind() {
	case kindTeam:
		return h.lookTeam(ctx)
	case kindCollaborator:
		return h.lookCollaborator(ctx)
	}
	return h.lookOrgRole(ctx)
}

// gone is whether holder or resource is not there, or is another one.
func (h *holding) gone() bool {
	return h.state.GetHolder() == absent || h.state.GetResource() == absent
}

func (h *holding) has(presence curfewv1.Presence, level string) bool {
	return h.state.GetPresence() == presence && h.sameLevel(h.state.GetLevel(), level)
}

// sameLevel is whether two levels are one: "" is the ordinary one, and REST calls two roles by other names.
func (h *holding) sameLevel(a, b string) bool { return h.level(a) == h.level(b) }

func (h *holding) level(level string) string {
	switch h.privilege.GetKind() {
	case kindTeam:
		if level == "" {
			return "member"
		}
	case kindCollaborator:
		if level == "" {
			return "write"
		}
		return roleName(level)
	default:
		return ""
	}
	return level
}

// ranks are the levels of teams and repositories, the lesser first; roles that an organisation made have none.
var ranks = []string{"member", "maintainer", "", "read", "triage", "write", "maintain", "admin"}

// atLeast is whether a level gives as much as another. Of a role that an organisation made nobody can tell, unless it is the
// other itself.
func (h *holding) atLeast(level, other string) (yes, known bool) {
	if h.sameLevel(level, other) {
		return true, true
	}
	a, b := slices.Index(ranks, h.level(level)), slices.Index(ranks, h.level(other))
	return a >= b, a >= 0 && b >= 0
}

// found notes that it is held, or offered, at a level, in the privilege's own word where that means the same.
func (h *holding) found(presence curfewv1.Presence, level string) {
	if h.state.Presence, h.state.Level = presence, event.Clean(level); h.sameLevel(level, h.privilege.GetLevel()) {
		h.state.Level = h.privilege.GetLevel()
	}
}

func (h *holding) say(detail string) {
	h.state.Detail = strings.TrimPrefix(h.state.GetDetail()+"; "+detail, "; ")
}

// get reads one thing, and notes that. What is not there is false and no error, if the token would be shown it.
func (h *holding) get(ctx context.Context, address *url.URL, into any) (there bool, err error) {
	answer, err := h.Source.get(ctx, address.String())
	h.state.Reads = append(h.state.Reads, outcome(http.MethodGet, address, answer, err))
	switch {
	case isHidden(err):
		return false, h.believe(ctx)
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return false, errors.New("read answer: not what was asked for")
	}
	return true, nil
}

// believe asks, once in a look, whether what is not there would be shown if it were.
func (h *holding) believe(ctx context.Context) error {
	if h.sees {
		return nil
	}
	err := h.seesAll(ctx, h.privilege.GetKind())
	h.sees = err == nil
	return err
}

// query makes a query, and notes that.
func (h *holding) query(ctx context.Context, query string, variables map[string]any) (*graph, error) {
	g, err := h.ask(ctx, query, variables)
	h.noteQuery(query, err)
	return g, err
}

// queryAll makes a query page by page, and notes that.
func (h *holding) queryAll(ctx context.Context, query string, variables map[string]any, find func(*graph) (*connection, error), each func(*graphEdge)) error {
	err := h.pages(ctx, query, variables, find, func(page *connection) {
		for i := range page.Edges {
			each(&page.Edges[i])
		}
	})
	h.noteQuery(query, err)
	return err
}

func (h *holding) noteQuery(query string, err error) {
	status := "200"
	if err != nil {
		status = "refused"
	}
	operation, _, _ := strings.Cut(strings.TrimPrefix(query, "query "), "(")
	h.state.Reads = append(h.state.Reads, "POST /graphql "+operation+": "+status)
}

// lookHolder reads the account: https://docs.github.com/en/rest/users/users#get-a-user-using-their-id.
func (h *holding) lookHolder(ctx context.Context) error {
	var user restUser
	there, err := h.get(ctx, h.base.JoinPath("user", h.privilege.GetHolder()), &user)
	switch {
	case err != nil:
		return err
	case !there:
		h.state.Holder = absent
		return nil
	case number(user.ID) != h.privilege.GetHolder() || !isSlug(user.Login):
		return errors.New("read holder: the answer is not of that account")
	}
	h.login, h.state.Holder = user.Login, present
	name := h.privilege.GetHolderName()
	switch {
	case name == "" || strings.EqualFold(name, user.Login):
		return nil
	case strings.Contains(name, "@"):
		return h.compareEmails(ctx, name)
	}
	h.renamed = true
	h.say("the account is called " + user.Login + " now, not " + event.Clean(name))
	return nil
}

// compareEmails looks whether an address is one of those that the organisation vouches for.
func (h *holding) compareEmails(ctx context.Context, email string) error {
	g, err := h.query(ctx, queryEmails, map[string]any{"login": h.login})
	var refused *graphRefused
	switch {
	case errors.As(err, &refused):
		h.say("the account's addresses cannot be seen")
		return nil
	case err != nil:
		return err
	case g.User == nil || number(g.User.ID) != h.privilege.GetHolder():
		return errNotThere
	}
	isOne := func(known string) bool { return strings.EqualFold(known, email) }
	h.renamed = len(g.User.Emails) > 0 && !slices.ContainsFunc(g.User.Emails, isOne)
	if h.renamed {
		h.say("the account " + h.login + " has other addresses than the one it was known by")
	}
	return nil
}

// lookTeam reads a place in a team. REST counts who is in a team below as a member too, and alone tells of invitations;
// GraphQL alone tells a member's own place: https://docs.github.com/en/rest/teams/members.
func (h *holding) lookTeam(ctx context.Context) error {
	var org restUser
	there, err := h.get(ctx, h.orgPath(), &org)
	switch {
	case err != nil:
		return err
	case !there || org.ID == 0:
		return errors.New("read organisation: it is not there, or not for this token")
	}
	var team restTeam
	address := h.base.JoinPath("organizations", number(org.ID), "team", h.privilege.GetResource())
	there, err = h.get(ctx, address, &team)
	switch {
	case err != nil:
		return err
	case !there:
		h.state.Resource = absent
		return nil
	case number(team.ID) != h.privilege.GetResource() || !isSlug(team.Slug):
		return errors.New("read team: the answer is not of that team")
	}
	h.state.Resource, h.slug, h.place = present, team.Slug, address.JoinPath("memberships", h.login)
	h.sayManaged(ctx)
	var place struct {
		Role  string `json:"role"`
		State string `json:"state"`
	}
	there, err = h.get(ctx, h.place, &place)
	switch {
	case err != nil:
		return err
	case !there:
		h.state.Presence = absent
		return nil
	case place.State == "pending":
		h.found(pending, place.Role)
		return nil
	}
	h.state.Presence = absent
	// What GitHub makes of the login is a search: who has it may come behind all whose logins hold it.
	err = h.queryAll(ctx, queryTeamMembers, map[string]any{"slug": team.Slug, "login": h.login}, ofTeam, func(edge *graphEdge) {
		if number(edge.Node.ID) == h.privilege.GetHolder() {
			h.found(present, strings.ToLower(edge.Role))
		}
	})
	if err == nil && h.state.GetPresence() == absent {
		h.state.Via = append(h.state.Via, "a team below "+team.Slug)
	}
	return err
}

// sayManaged says where an identity provider fills the team. What is answered where there is no team synchronisation is
// not confirmed, so a refusal says nothing.
func (h *holding) sayManaged(ctx context.Context) {
	var mapped struct {
		Groups []json.RawMessage `json:"groups"`
	}
	address := h.orgPath("teams", h.slug, "team-sync", "group-mappings")
	answer, err := h.Source.get(ctx, address.String())
	h.state.Reads = append(h.state.Reads, outcome(http.MethodGet, address, answer, err))
	if err == nil && json.Unmarshal(answer.Body, &mapped) == nil && len(mapped.Groups) > 0 {
		h.say("an identity provider fills the team: what is changed here is put back")
	}
}

// lookCollaborator reads what an account may do with a repository, and by which ways.
func (h *holding) lookCollaborator(ctx context.Context) error {
	var repo restRepo
	there, err := h.get(ctx, h.base.JoinPath("repositories", h.privilege.GetResource()), &repo)
	switch {
	case err != nil:
		return err
	case !there:
		h.state.Resource = absent
		return nil
	case number(repo.ID) != h.privilege.GetResource() || !isSlug(repo.Name):
		return errors.New("read repository: the answer is not of that repository")
	case !strings.EqualFold(repo.Owner.Login, h.config.Org):
		h.moved = event.Clean(repo.Owner.Login)
		h.task = "the repository " + event.Clean(repo.FullName) + " belongs to " + h.moved + " now, who goes on with its collaborators: have " + h.login + " taken from it there"
		h.link = h.site().JoinPath(h.moved, repo.Name, "settings", "access").String()
		return nil
	}
	h.state.Resource, h.repo, h.state.Presence = present, repo.Name, absent
	err = h.queryAll(ctx, queryCollaborator, map[string]any{"repo": repo.Name, "login": h.login}, ofRepo, func(edge *graphEdge) {
		if number(edge.Node.ID) != h.privilege.GetHolder() {
			return
		}
		for _, source := range edge.Sources {
			switch source.Source.Type {
			case "Team":
				h.state.Via = append(h.state.Via, "team "+event.Clean(source.Source.Slug))
			case "Organization":
				h.state.Via = append(h.state.Via, "the organisation")
			}
		}
		if own := edge.own(); own != "" {
			h.found(present, own)
		}
	})
	if err != nil || h.state.GetPresence() == present {
		return err
	}
	return h.lookInvitation(ctx)
}

// lookInvitation looks for one to the repository.
func (h *holding) lookInvitation(ctx context.Context) error {
	address := h.base.JoinPath("repos", h.config.Org, h.repo, "invitations")
	err := list(ctx, h.Source, "", address, func(i restRepoInvitation) {
		if i.Invitee != nil && number(i.Invitee.ID) == h.privilege.GetHolder() {
			h.found(pending, roleName(i.Permissions))
			h.invitation = number(i.ID)
			h.state.Handle = h.invitation
		}
	})
	h.state.Reads = append(h.state.Reads, outcome(http.MethodGet, address, okAnswer(err), err))
	return err
}

// okAnswer stands for the answers of a list that was read.
func okAnswer(err error) *vendorhttp.Answer {
	if err != nil {
		return nil
	}
	return &vendorhttp.Answer{Status: http.StatusOK}
}
