// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"encoding/json"
	"strings"
	"time"
)

// happen is Add for whoever holds the lock.
func (g *Google) happen(application string, records ...json.RawMessage) {
	for _, raw := range records {
		record := g.record(application, raw)
		g.push(record)
		if g.hit(g.config.LateEvery) && g.config.LateBy > 0 {
			request := g.requests + 1 + g.rand.IntN(g.config.LateBy)
			g.late[request] = append(g.late[request], record)
			continue
		}
		g.persist(record)
	}
}

// tell writes what a request changed to a log, now.
func (g *Google) tell(application string, acts ...GoogleAct) {
	g.happen(application, GoogleActivity{
		Seed: 0x746f6c64, Number: uint64(g.added), Application: application, Time: time.Now(), Email: "curfew@example.com", Acts: acts,
	}.JSON())
}

// tellMember writes that somebody came into a group or left it: the administrators' log and that of groups each say so.
func (g *Google) tellMember(m GoogleMember, there bool) {
	verb, sign := "remove_", "REMOVE_"
	if there {
		verb, sign = "add_", "ADD_"
	}
	member, group := g.address(m.Member), g.address(m.Group)
	g.tell("admin", GoogleGroupAct(sign+"GROUP_MEMBER", member, group))
	parameters := []GoogleParameter{
		{"member_id", member}, {"group_id", group}, {"member_role", []string{strings.ToLower(m.Role)}}, {"member_type", strings.ToLower(m.Type)},
	}
	g.tell("groups_enterprise", GoogleAct{"moderator_action", verb + "user", parameters}, GoogleAct{"moderator_action", verb + "member", parameters})
}

// tellRole writes that somebody was given a role or lost it.
func (g *Google) tellRole(a GoogleAssignment, name string) {
	act := GoogleRoleAct(name, g.address(a.Holder), g.directory.roles[a.Role].Name)
	if a.OrgUnit != "" {
		act.Parameters = append(act.Parameters, GoogleParameter{"ORG_UNIT_NAME", "/" + a.OrgUnit})
	}
	g.tell("admin", act)
}

// address is what the logs call a user or a group.
func (g *Google) address(id string) string {
	if group, isGroup := g.directory.groups[id]; isGroup {
		return group.Email
	}
	return g.directory.users[id].Email
}
