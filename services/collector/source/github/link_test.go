// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestLinks(t *testing.T) {
	sourcetest.Links(t, sourcetest.LinksCase{
		New:      func(t *testing.T, options sourcetest.Options) sourcetest.Teller { return newManager(t, options) },
		Registry: func(token string) sourcetest.Registry { return newRegistry(0, token) },
		Feeds:    []string{feed},
		Told: slices.Concat(
			privileges(kindTeam, "maintainer", [2]string{"ada", "team red"}),
			privileges(kindOrgRole, "", [2]string{"ada", ownerRole}, [2]string{"cyn", "role auditor"}),
		),
		Untold: privileges(kindCollaborator, "admin", [2]string{"ada", "repo store"}),
	})
}

func TestLinksOfRecords(t *testing.T) {
	link := func(kind, holder, holderType, held string, removed bool) []*curfewv1.LinkChange {
		return []*curfewv1.LinkChange{{Kind: kind, Holder: holder, HolderType: holderType, Held: held, Removed: removed}}
	}
	type fields = map[string]any
	for name, test := range map[string]struct {
		action string
		more   fields
		want   []*curfewv1.LinkChange
	}{
		"into a team":                                   {"team.add_member", fields{"user": "lee", "user_id": 7, "team": "example/red"}, link("memberships", "7", "account", "example/red", false)},
		"out of a team, by names":                       {"team.remove_member", fields{"data": fields{"user": "lee", "team": "example/red"}}, link("memberships", "lee", "account", "example/red", true)},
		"out of a team, by ids":                         {"team.remove_member", fields{"user_id": 7, "team": "example/red", "team_id": 9}, link("memberships", "7", "account", "9", true)},
		"another role in a team":                        {"team.promote_maintainer", fields{"user_id": 7, "team": "example/red"}, nil},
		"a team of the enterprise, which nothing shows": {"enterprise_team.add_member", fields{"user_id": 7, "team": "red"}, nil},
		"a role":              {"organization_role.assign", fields{"user_id": 7, "organization_role_id": 4, "organization_role_name": "auditor"}, link("roles", "7", "account", "4", false)},
		"a role from a team":  {"organization_role.revoke", fields{"team": "example/red", "organization_role_name": "auditor"}, link("roles", "example/red", "group", "auditor", true)},
		"a role of nobody":    {"organization_role.assign", fields{"organization_role_name": "auditor"}, nil},
		"an owner":            {"org.update_member", fields{"user_id": 7, "permission": "admin", "old_permission": "read"}, link("roles", "7", "account", "admin", false)},
		"an owner no longer":  {"org.update_member", fields{"user_id": 7, "permission": "read", "old_permission": "admin"}, link("roles", "7", "account", "admin", true)},
		"an owner still":      {"org.update_member", fields{"user_id": 7, "permission": "admin", "old_permission": "admin"}, nil},
		"nothing said of it":  {"org.update_member", fields{"user_id": 7, "old_permission": "admin"}, nil},
		"a member":            {"org.add_member", fields{"user_id": 7, "permission": "read"}, nil},
		"a member and owner":  {"org.add_member", fields{"user_id": 7, "permission": "admin"}, link("roles", "7", "account", "admin", false)},
		"invited":             {"org.invite_member", fields{"user_id": 7, "permission": "admin"}, nil},
		"a repository's role": {"repo.add_member", fields{"user_id": 7, "permission": "admin", "repo": "example/shop"}, nil},
	} {
		checkLinks(t, name, Decode, fake.GitHubEvent{Action: test.action, Repo: "-", More: test.more}.JSON(), test.want)
	}
	account := fields{"login": "lee", "id": 7}
	for name, test := range map[string]struct {
		kind, action string
		more         fields
		want         []*curfewv1.LinkChange
	}{
		"hook: into a team":             {"membership", "added", fields{"scope": "team", "member": account, "team": fields{"id": 9, "slug": "red"}}, link("memberships", "7", "account", "9", false)},
		"hook: out of a team, by names": {"membership", "removed", fields{"member": fields{"login": "lee"}, "team": fields{"slug": "red"}}, link("memberships", "lee", "account", "example/red", true)},
		"hook: out of no team":          {"membership", "removed", fields{"member": account}, nil},
		"hook: a member":                {"organization", "member_added", fields{"membership": fields{"role": "member", "state": "pending", "user": account}}, nil},
		"hook: an owner":                {"organization", "member_added", fields{"membership": fields{"role": "admin", "state": "pending", "user": account}}, link("roles", "7", "account", "admin", false)},
		"hook: an owner no longer":      {"organization", "member_removed", fields{"membership": fields{"role": "admin", "user": account}}, link("roles", "7", "account", "admin", true)},
		"hook: invited":                 {"organization", "member_invited", fields{"invitation": fields{"login": "lee", "role": "admin"}}, nil},
		"hook: a repository's role":     {"member", "added", fields{"member": account, "repository": fields{"full_name": "example/shop"}}, nil},
	} {
		test.more["action"] = test.action
		checkLinks(t, name, DecodeWebhook, store("d1", test.kind, fake.GitHubPayload("example", "kim", test.more)), test.want)
	}
}

func checkLinks(t *testing.T, name string, decode func([]byte) ([]*curfewv1.Event, error), record []byte, want []*curfewv1.LinkChange) {
	t.Helper()
	events, err := decode(record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, events[0].GetLinks(), protocmp.Transform()); diff != "" {
		t.Errorf("%s: links (-want +got):\n%s", name, diff)
	}
}
