// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestLinks(t *testing.T) {
	sourcetest.Links(t, sourcetest.LinksCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Teller {
			return admin(t, enterprise, "all", options)
		},
		Registry: func(token string) sourcetest.Registry { return newRegistry(enterprise, 0, token) },
		Feeds:    []string{audit},
		Told:     slices.Concat(privileges(userGroupKind, "", "S0SUPPORT"), privileges(channelKind, "", "G0SALARIES")),
		Untold:   slices.Concat(privileges(channelKind, "", "C0SHOP"), privileges(workspaceRoleKind, "owner", workplace)),
	})
}

func joins(user, group string, removed bool) *curfewv1.LinkChange {
	return &curfewv1.LinkChange{Kind: "memberships", Holder: user, HolderType: "account", Held: group, Removed: removed}
}

func TestLinksOfEntries(t *testing.T) {
	type fields = map[string]any
	group := fields{"id": "S0SUPPORT", "name": "support"}
	private, public := fields{"id": "G0SALARIES", "privacy": "private"}, fields{"id": "C0SHOP", "privacy": "public"}
	for name, test := range map[string]struct {
		action, kind string
		entity       fields
		details      fields
		want         []*curfewv1.LinkChange
	}{
		"into a group":           {"user_added_to_usergroup", "usergroup", group, fields{"inviter": fields{"type": "user", "user": fields{"id": "W0ROOT"}}}, []*curfewv1.LinkChange{joins(anna.ID, "S0SUPPORT", false)}},
		"out of it":              {"user_removed_from_usergroup", "usergroup", group, fields{"kicker": fields{"type": "user", "user": fields{"id": "W0ROOT"}}}, []*curfewv1.LinkChange{joins(anna.ID, "S0SUPPORT", true)}},
		"by somebody else":       {"user_added_to_usergroup", "usergroup", group, fields{"target_user_id": ben.ID}, []*curfewv1.LinkChange{joins(ben.ID, "S0SUPPORT", false)}},
		"by somebody else still": {"user_added_to_usergroup", "usergroup", group, fields{"target_user": fields{"type": "user", "user": fields{"id": ben.ID}}}, []*curfewv1.LinkChange{joins(ben.ID, "S0SUPPORT", false)}},
		"not into it":            {"user_add_to_usergroup_failed", "usergroup", group, nil, nil},
		"into it, with an error": {"user_added_to_usergroup", "usergroup", group, fields{"is_error": true}, nil},
		"into something else":    {"user_added_to_usergroup", "channel", private, nil, nil},
		"into a private channel": {"user_channel_join", "channel", private, nil, []*curfewv1.LinkChange{joins(anna.ID, "G0SALARIES", false)}},
		"a guest leaves":         {"guest_channel_leave", "channel", private, nil, []*curfewv1.LinkChange{joins(anna.ID, "G0SALARIES", true)}},
		"into a public channel":  {"user_channel_join", "channel", public, nil, nil},
		"an administrator":       {"role_change_to_admin", "user", fields{"id": ben.ID}, nil, nil},
		"a role":                 {"role_assigned", "role", fields{"id": "Rl0E"}, fields{"target_user": ben.ID, "target_entity": workplace}, nil},
	} {
		checkLinks(t, name, Decode, fake.SlackAudit{Action: test.action, Actor: anna, Kind: test.kind, Entity: test.entity, Details: test.details}.JSON(), test.want)
	}
	for name, test := range map[string]struct {
		event  string
		fields fields
		want   []*curfewv1.LinkChange
	}{
		"event: a group changes": {
			"subteam_members_changed", fields{"subteam_id": "S0SUPPORT", "added_users": []string{anna.ID, ben.ID}, "removed_users": []string{"W0C"}},
			[]*curfewv1.LinkChange{joins("W0C", "S0SUPPORT", true), joins(anna.ID, "S0SUPPORT", false), joins(ben.ID, "S0SUPPORT", false)},
		},
		"event: no group":               {"subteam_members_changed", fields{"added_users": []string{anna.ID}}, nil},
		"event: into a private channel": {"member_joined_channel", fields{"user": anna.ID, "channel": "G0SALARIES", "channel_type": "G"}, []*curfewv1.LinkChange{joins(anna.ID, "G0SALARIES", false)}},
		"event: out of it":              {"member_left_channel", fields{"user": anna.ID, "channel": "G0SALARIES", "channel_type": "G"}, []*curfewv1.LinkChange{joins(anna.ID, "G0SALARIES", true)}},
		"event: into a public channel":  {"member_joined_channel", fields{"user": anna.ID, "channel": "C0SHOP", "channel_type": "C"}, nil},
		"event: the token's owner":      {"subteam_self_added", fields{"subteam_id": "S0SUPPORT"}, nil},
		"event: an id that is none": {
			"subteam_members_changed", fields{"subteam_id": strings.Repeat("S", maxID+1), "added_users": []string{anna.ID}}, nil,
		},
	} {
		checkLinks(t, name, DecodeEvent, fake.SlackEvent{Type: test.event, Fields: test.fields}.JSON(), test.want)
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
