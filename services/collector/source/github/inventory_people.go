// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"errors"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// restUser is an account as REST shows it.
type restUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

// restInvitation is an invitation to the organisation.
type restInvitation struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Email string `json:"email"`
}

// people are the members, who is outside and has a repository, and who is invited.
func (o *observation) people() {
	o.part("outside collaborators", list(o.ctx, o.Source, "", o.orgPath("outside_collaborators"), func(user restUser) {
		account := &curfewv1.Account{Id: number(user.ID), Login: event.Clean(user.Login), Status: "active", Guest: true}
		switch {
		case user.Type == "Bot" || strings.HasSuffix(user.Login, "[bot]"):
			account.Type = curfewv1.ActorType_ACTOR_TYPE_APP
		case user.Type == "User":
			account.Type = curfewv1.ActorType_ACTOR_TYPE_PERSON
		}
		o.add(account.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
	}))
	o.part("invitations", list(o.ctx, o.Source, "", o.orgPath("invitations"), func(i restInvitation) {
		account := &curfewv1.Account{
			Id: "invitation/" + number(i.ID), Login: event.Clean(i.Login), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "invited",
		}
		if i.Email != "" {
			account.Emails = []string{event.Clean(i.Email)}
		}
		o.add(account.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
	}))
	links := map[int64][]string{}
	err := o.identities(links)
	if linked := o.part("identities of single sign-on", err); !linked && !isRefusal(err) {
		// Members without their links would be other members than those of the last time.
		o.part("members", errors.New("not read without their identities"))
		return
	} else if !linked {
		clear(links)
	}
	o.part("members", o.members(func(edge *graphEdge) {
		account := &curfewv1.Account{
			Id: number(edge.Node.ID), Login: event.Clean(edge.Node.Login), Name: event.Clean(edge.Node.Name),
			Emails: cleanAll(edge.Node.Emails), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active",
			Mfa: edge.TwoFactor, Created: event.ParseTime(edge.Node.CreatedAt), Links: links[edge.Node.ID],
		}
		o.add(account.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: account}})
	}))
}

// members calls each with every member.
func (o *observation) members(each func(*graphEdge)) error {
	return o.pages(o.ctx, queryPeople, map[string]any{},
		ofOrg(func(g *graph) *connection { return g.Organization.People }),
		func(page *connection) {
			for i := range page.Edges {
				if page.Edges[i].Node.ID != 0 {
					each(&page.Edges[i])
				}
			}
		})
}

// identities collects who the identity provider says that each account is. Without single sign-on of the organisation's
// own there are none; those of an enterprise are not shown to an organisation.
func (o *observation) identities(links map[int64][]string) error {
	return o.pages(o.ctx, queryIdentities, map[string]any{},
		func(g *graph) (*connection, error) {
			switch {
			case g.Organization == nil:
				return nil, errNotThere
			case g.Organization.SAML == nil:
				return nil, nil
			case g.Organization.SAML.Identities == nil:
				return nil, errNotThere
			}
			return g.Organization.SAML.Identities, nil
		},
		func(page *connection) {
			for _, node := range page.Nodes {
				if node.User == nil {
					continue
				}
				if node.SAML != nil && node.SAML.NameID != "" {
					links[node.User.ID] = append(links[node.User.ID], "saml:"+event.Clean(node.SAML.NameID))
				}
				if node.SCIM != nil && node.SCIM.Username != "" {
					links[node.User.ID] = append(links[node.User.ID], "scim:"+event.Clean(node.SCIM.Username))
				}
			}
		})
}

// groups are the teams. Which of them an identity provider fills is not read here.
func (o *observation) groups() {
	o.part("teams", o.teams(func(team *graphNode) {
		group := &curfewv1.Group{
			Id: number(team.ID), Name: event.Clean(team.Name), Type: "team", Aliases: []string{event.Clean(o.config.Org + "/" + team.Slug)},
		}
		o.add(group.GetId(), &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: group}})
	}))
}

// teams calls each with every team.
func (o *observation) teams(each func(*graphNode)) error {
	return o.pages(o.ctx, queryTeams, map[string]any{},
		ofOrg(func(g *graph) *connection { return g.Organization.Teams }),
		func(page *connection) {
			for i := range page.Nodes {
				if page.Nodes[i].ID != 0 && isSlug(page.Nodes[i].Slug) {
					each(&page.Nodes[i])
				}
			}
		})
}

// memberships are the teams' own members, those invited to them, and the teams below them, whose members count as theirs.
func (o *observation) memberships() {
	var all []graphNode
	o.part("teams", o.teams(func(team *graphNode) { all = append(all, *team) }))
	for _, team := range all {
		if o.ctx.Err() != nil {
			return
		}
		group := number(team.ID)
		if team.Parent != nil {
			o.membership(&curfewv1.Membership{Group: number(team.Parent.ID), Member: group, MemberType: "group", Level: "member"})
		}
		o.part("members of team "+team.Slug, o.pages(o.ctx, queryTeamMembers, map[string]any{"slug": team.Slug},
			ofTeam,
			func(page *connection) {
				for _, edge := range page.Edges {
					o.membership(&curfewv1.Membership{Group: group, Member: number(edge.Node.ID), MemberType: "account", Level: strings.ToLower(event.Clean(edge.Role))})
				}
			}))
		o.part("invitations to team "+team.Slug, list(o.ctx, o.Source, "", o.orgPath("teams", team.Slug, "invitations"), func(i restInvitation) {
			o.membership(&curfewv1.Membership{Group: group, Member: "invitation/" + number(i.ID), MemberType: "account", Level: "member", Pending: true})
		}))
	}
}

func (o *observation) membership(m *curfewv1.Membership) {
	o.add(m.GetGroup()+"/"+m.GetMember(), &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: m}})
}

// isSlug is whether a name can stand in a path as it is.
func isSlug(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\?#%") && event.Clean(name) == name
}
