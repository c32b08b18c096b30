// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestLinks(t *testing.T) {
	role := func(scope string) *curfewv1.Privilege {
		return &curfewv1.Privilege{Source: source, Kind: "admin_role", Holder: anna, Resource: helpdesk, Scope: scope}
	}
	feeds := []string{"admin", "groups_enterprise"}
	sourcetest.Links(t, sourcetest.LinksCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Teller {
			return newSource(t, options, func(c *Config) { c.Applications = feeds })
		},
		Registry: func(token string) sourcetest.Registry { return newOrganisation(0, token) },
		Feeds:    feeds,
		Told: []*curfewv1.Privilege{
			inGroup(anna, "anna@example.com", "member"), inGroup(ben, "ben@example.com", "owner"), role(""),
		},
		Untold: []*curfewv1.Privilege{role("03orgunit")},
		Roles:  map[string]string{"_HELP_DESK_ADMIN_ROLE": helpdesk},
	})
}

func TestLinksOfRecords(t *testing.T) {
	link := func(kind, holder, holderType, held string, removed bool) []*curfewv1.LinkChange {
		return []*curfewv1.LinkChange{{Kind: kind, Holder: holder, HolderType: holderType, Held: held, Removed: removed}}
	}
	group := fake.GoogleParameter{Name: "group_id", Value: "staff@example.com"}
	member := func(address, memberType string) []fake.GoogleParameter {
		return []fake.GoogleParameter{group, {Name: "member_id", Value: address}, {Name: "member_type", Value: memberType}}
	}
	oldGroup := fake.GoogleParameter{Name: "group_email", Value: "staff@example.com"}
	oldMember := []fake.GoogleParameter{oldGroup, {Name: "user_email", Value: "ben@example.com"}}
	roleOn := func(unit string) []fake.GoogleParameter {
		return []fake.GoogleParameter{{Name: "ROLE_NAME", Value: "Helpers"}, {Name: "USER_EMAIL", Value: "ben@example.com"}, {Name: "ORG_UNIT_NAME", Value: unit}}
	}
	self := fake.GoogleProfile("anna@example.com")
	for name, test := range map[string]struct {
		log, act   string
		parameters []fake.GoogleParameter
		want       []*curfewv1.LinkChange
	}{
		"added":                 {"groups_enterprise", "add_member", member("ben@example.com", "user"), link("memberships", "ben@example.com", "account", "staff@example.com", false)},
		"a group added":         {"groups_enterprise", "add_member", member("it@example.com", "group"), link("memberships", "it@example.com", "group", "staff@example.com", false)},
		"of an unknown type":    {"groups_enterprise", "add_member", member("x@example.com", "other"), nil},
		"said twice":            {"groups_enterprise", "add_user", member("ben@example.com", "user"), nil},
		"joined":                {"groups_enterprise", "join", []fake.GoogleParameter{group}, link("memberships", self, "account", "staff@example.com", false)},
		"let in":                {"groups_enterprise", "approve_join_request", member("ben@example.com", "user"), link("memberships", "ben@example.com", "account", "staff@example.com", false)},
		"invited":               {"groups_enterprise", "invite_member", member("ben@example.com", "user"), nil},
		"asks":                  {"groups_enterprise", "request_to_join", []fake.GoogleParameter{group}, nil},
		"another role there":    {"groups_enterprise", "remove_member_role", member("ben@example.com", "user"), nil},
		"removed":               {"groups_enterprise", "remove_member", member("ben@example.com", "user"), link("memberships", "ben@example.com", "account", "staff@example.com", true)},
		"banned":                {"groups_enterprise", "ban_member_with_moderation", member("ben@example.com", "user"), link("memberships", "ben@example.com", "account", "staff@example.com", true)},
		"added, older log":      {"groups", "add_user", oldMember, link("memberships", "ben@example.com", "account", "staff@example.com", false)},
		"removed, older log":    {"groups", "remove_user", oldMember, link("memberships", "ben@example.com", "account", "staff@example.com", true)},
		"accepted, older log":   {"groups", "accept_invitation", []fake.GoogleParameter{oldGroup}, link("memberships", self, "account", "staff@example.com", false)},
		"no group":              {"groups", "join", nil, nil},
		"a role":                {"admin", "ASSIGN_ROLE", roleOn("/"), link("roles", "ben@example.com", "account", "Helpers", false)},
		"a role on a part":      {"admin", "ASSIGN_ROLE", roleOn("/Sales"), nil},
		"a role taken":          {"admin", "UNASSIGN_ROLE", roleOn(""), link("roles", "ben@example.com", "account", "Helpers", true)},
		"a member's delivery":   {"admin", "UPDATE_GROUP_MEMBER_DELIVERY_SETTINGS", fake.GoogleGroupAct("", "ben@example.com", "staff@example.com").Parameters, nil},
		"the same name in vain": {"drive", "ADD_GROUP_MEMBER", fake.GoogleGroupAct("", "ben@example.com", "staff@example.com").Parameters, nil},
	} {
		events, err := Decode(fake.GoogleActivity{Application: test.log, Acts: []fake.GoogleAct{{Name: test.act, Parameters: test.parameters}}}.JSON())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, events[0].GetLinks(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: links (-want +got):\n%s", name, diff)
		}
	}
}
