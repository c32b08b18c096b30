// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// googleMemberRoles are what a member of a group can be.
var googleMemberRoles = []string{"MEMBER", "MANAGER", "OWNER"}

func (g *Google) ofGroup(answer func(r *http.Request, group GoogleGroup) googleAnswer) func(r *http.Request) googleAnswer {
	return func(r *http.Request) googleAnswer {
		g.directory.expire()
		group, there := g.directory.group(r.PathValue("group"))
		if !there {
			return googleNotFound("groupKey")
		}
		return answer(r, group)
	}
}

func (g *Google) listGroups(r *http.Request) googleAnswer {
	if r.URL.Query().Get("customer") == "" {
		return googleRefusal(http.StatusBadRequest, "badRequest", "Bad Request")
	}
	return googleList(r, "groups", "groups", googleGroupPage, g.directory.groups, g.writeGroup)
}

func (g *Google) getGroup(_ *http.Request, group GoogleGroup) googleAnswer {
	return googleAnswer{body: g.writeGroup(group)}
}

func (g *Google) writeGroup(group GoogleGroup) map[string]any {
	fields := map[string]any{
		"id": group.ID, "email": group.Email, "name": group.Name, "directMembersCount": strconv.Itoa(len(g.membersOf(group))), "adminCreated": true,
	}
	if len(group.Aliases) > 0 {
		fields["aliases"] = group.Aliases
	}
	if len(group.NonEditableAliases) > 0 {
		fields["nonEditableAliases"] = group.NonEditableAliases
	}
	return object("group", fields)
}

func (g *Google) membersOf(group GoogleGroup) map[string]GoogleMember {
	members := map[string]GoogleMember{}
	for _, m := range g.directory.members {
		if m.Group == group.ID {
			members[m.Member] = m
		}
	}
	return members
}

func (g *Google) listMembers(r *http.Request, group GoogleGroup) googleAnswer {
	return googleList(r, "members", "members", googleGroupPage, g.membersOf(group), g.writeMember)
}

func (g *Google) writeMember(m GoogleMember) map[string]any {
	email := ""
	if u, isUser := g.directory.users[m.Member]; isUser {
		email = u.Email
	} else if group, isGroup := g.directory.groups[m.Member]; isGroup {
		email = group.Email
	}
	return object("member", map[string]any{"id": m.Member, "email": email, "role": m.Role, "type": m.Type, "status": "ACTIVE"})
}

// member is the member that a request names by id or address.
func (g *Google) member(r *http.Request, group GoogleGroup) (GoogleMember, bool) {
	key := r.PathValue("member")
	if u, isUser := g.directory.user(key); isUser {
		key = u.ID
	}
	m, there := g.directory.members[group.ID+"/"+key]
	return m, there
}

func (g *Google) getMember(r *http.Request, group GoogleGroup) googleAnswer {
	m, there := g.member(r, group)
	if !there {
		return googleNotFound("memberKey")
	}
	return googleAnswer{body: g.writeMember(m)}
}

func (g *Google) insertMember(r *http.Request, group GoogleGroup) googleAnswer {
	var asked struct {
		ID   string `json:"id"`
		Role string `json:"role"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !slices.Contains(googleMemberRoles, asked.Role) {
		return googleRefusal(http.StatusBadRequest, "invalid", "Invalid Input")
	}
	made := GoogleMember{Group: group.ID, Member: asked.ID, Role: asked.Role, Type: "USER"}
	if _, isGroup := g.directory.groups[asked.ID]; isGroup {
		made.Type = "GROUP"
	} else if _, isUser := g.directory.users[asked.ID]; !isUser {
		return googleNotFound("memberKey")
	}
	if _, there := g.directory.members[group.ID+"/"+asked.ID]; there {
		return googleRefusal(http.StatusConflict, "duplicate", "Member already exists.")
	}
	return googleAnswer{body: g.writeMember(made), do: func() {
		g.directory.members[group.ID+"/"+asked.ID] = made
		g.tellMember(made, true)
	}}
}

func (g *Google) patchMember(r *http.Request, group GoogleGroup) googleAnswer {
	var asked struct {
		Role string `json:"role"`
	}
	m, there := g.member(r, group)
	if !there {
		return googleNotFound("memberKey")
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !slices.Contains(googleMemberRoles, asked.Role) {
		return googleRefusal(http.StatusBadRequest, "invalid", "Invalid Input: role")
	}
	m.Role = asked.Role
	if m.Role != "MEMBER" {
		// No other role can have an end. That this is what becomes of it is not confirmed.
		m.Expires = time.Time{}
	}
	return googleAnswer{body: g.writeMember(m), do: func() { g.directory.members[m.Group+"/"+m.Member] = m }}
}

// deleteMember takes an owner out as it does a member.
func (g *Google) deleteMember(r *http.Request, group GoogleGroup) googleAnswer {
	m, there := g.member(r, group)
	if !there {
		return googleNotFound("memberKey")
	}
	return googleAnswer{status: http.StatusNoContent, do: func() {
		delete(g.directory.members, m.Group+"/"+m.Member)
		g.tellMember(m, false)
	}}
}

func (g *Google) hasMember(r *http.Request, group GoogleGroup) googleAnswer {
	u, isUser := g.directory.user(r.PathValue("member"))
	if !isUser {
		return googleRefusal(http.StatusBadRequest, "invalid", "Invalid Input: memberKey")
	}
	return googleAnswer{body: map[string]any{"isMember": g.directory.holds(group.ID, u.ID, map[string]bool{})}}
}

// lookupGroup answers Cloud Identity's groups.lookup, which takes e-mails alone:
// https://cloud.google.com/identity/docs/reference/rest/v1/groups/lookup.
func (g *Google) lookupGroup(r *http.Request) googleAnswer {
	group, there := g.directory.group(r.URL.Query().Get("groupKey.id"))
	if !there || group.ID == r.URL.Query().Get("groupKey.id") {
		return googleRefusal(http.StatusForbidden, "forbidden", "Error(2028): Permission denied for resource groups (or it may not exist).")
	}
	return googleAnswer{body: map[string]any{"name": "groups/" + group.ID}}
}

func (g *Google) lookupMembership(r *http.Request) googleAnswer {
	u, isUser := g.directory.user(r.URL.Query().Get("memberKey.id"))
	if _, there := g.directory.members[r.PathValue("group")+"/"+u.ID]; !isUser || !there {
		return googleNotFound("membership")
	}
	return googleAnswer{body: map[string]any{"name": "groups/" + r.PathValue("group") + "/memberships/" + u.ID}}
}

func (g *Google) getMembership(r *http.Request) googleAnswer {
	m, there := g.directory.members[r.PathValue("group")+"/"+r.PathValue("membership")]
	if !there {
		return googleNotFound("membership")
	}
	role := map[string]any{"name": "MEMBER"}
	if !m.Expires.IsZero() {
		role["expiryDetail"] = map[string]any{"expireTime": m.Expires.UTC().Format(time.RFC3339)}
	}
	roles := []any{role}
	if m.Role != "MEMBER" {
		roles = append(roles, map[string]any{"name": m.Role})
	}
	return googleAnswer{body: map[string]any{"name": "groups/" + m.Group + "/memberships/" + m.Member, "roles": roles}}
}

// modifyMembership answers modifyMembershipRoles where it sets an end, which a membership of role MEMBER alone can have:
// https://cloud.google.com/identity/docs/how-to/manage-expirations.
func (g *Google) modifyMembership(r *http.Request) googleAnswer {
	id, isModify := strings.CutSuffix(r.PathValue("membership"), ":modifyMembershipRoles")
	m, there := g.directory.members[r.PathValue("group")+"/"+id]
	if !there || !isModify {
		return googleNotFound("membership")
	}
	var asked struct {
		Update []struct {
			FieldMask string `json:"fieldMask"`
			Role      struct {
				Name   string `json:"name"`
				Expiry struct {
					Time time.Time `json:"expireTime"`
				} `json:"expiryDetail"`
			} `json:"membershipRole"`
		} `json:"updateRolesParams"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Update) != 1 || asked.Update[0].FieldMask != "expiry_detail.expire_time" ||
		asked.Update[0].Role.Name != "MEMBER" || m.Role != "MEMBER" || !asked.Update[0].Role.Expiry.Time.After(time.Now()) {
		return googleRefusal(http.StatusBadRequest, "invalid", "Request contains an invalid argument.")
	}
	m.Expires = asked.Update[0].Role.Expiry.Time
	return googleAnswer{body: map[string]any{"membership": map[string]any{}}, do: func() { g.directory.members[m.Group+"/"+m.Member] = m }}
}
