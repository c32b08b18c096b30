// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

func TestLinks(t *testing.T) {
	app := fake.M365Person{ID: merge, Login: "Mail merge"}
	role := &curfewv1.Privilege{Kind: "directory_role"}
	sourcetest.Links(t, sourcetest.LinksCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Teller { return newSource(t, options) },
		Registry: func(token string) sourcetest.Registry {
			// What happens within this second is read after it.
			return newRegistry(0, fake.M365Config{Token: token, Now: func() time.Time { return time.Now().Add(-2 * time.Second) }})
		},
		Feeds: []string{feedDirectory},
		Told:  privileges(role, []string{reader}, anna, app),
		// As owners they would hold their place still.
		Given: privileges(&curfewv1.Privilege{Kind: "group"}, []string{payments}, anna, app),
		Untold: slices.Concat(
			privileges(&curfewv1.Privilege{Kind: "group", Level: "owner"}, []string{payments}, anna),
			privileges(&curfewv1.Privilege{Kind: "directory_role", Scope: unit}, []string{helper}, anna),
		),
	})
}

func memberships(holder, holderType, held string, removed bool) []*curfewv1.LinkChange {
	return []*curfewv1.LinkChange{{Kind: "memberships", Holder: holder, HolderType: holderType, Held: held, Removed: removed}}
}

func roles(holder, holderType, held string, removed bool) []*curfewv1.LinkChange {
	return []*curfewv1.LinkChange{{Kind: "roles", Holder: holder, HolderType: holderType, Held: held, Removed: removed}}
}

func TestLinksOfGraph(t *testing.T) {
	person := fake.M365Target{ID: anna.ID, Type: "User", Login: anna.Login}
	with := func(target fake.M365Target, removed bool, properties ...string) fake.M365Target {
		target.Modified, target.Removed = map[string]string{}, removed
		for i := 0; i < len(properties); i += 2 {
			target.Modified[properties[i]] = `"` + properties[i+1] + `"`
		}
		return target
	}
	group, within := fake.M365Target{ID: payments, Type: "Group"}, fake.M365Target{ID: inner, Type: "Group"}
	directoryRole := fake.M365Target{ID: fake.M365ID("role object", "x"), Type: "Role", Name: "Reader"}
	for name, test := range map[string]struct {
		activity string
		targets  []fake.M365Target
		want     []*curfewv1.LinkChange
	}{
		"into a group":              {"Add member to group", []fake.M365Target{with(person, false, "Group.ObjectID", payments), group}, memberships(anna.ID, "account", payments, false)},
		"out of it":                 {"Remove member from group", []fake.M365Target{with(person, true, "Group.ObjectID", payments), group}, nil},
		"a group out of a group":    {"Remove member from group", []fake.M365Target{with(within, true, "Group.ObjectID", payments), group}, memberships(inner, "group", payments, true)},
		"an app out of a group":     {"Remove member from group", []fake.M365Target{with(fake.M365Target{ID: merge, Type: "ServicePrincipal"}, true, "Group.ObjectID", payments)}, nil},
		"the group named first":     {"Add member to group", []fake.M365Target{group, with(person, false, "Group.ObjectID", payments)}, memberships(anna.ID, "account", payments, false)},
		"a group told by its place": {"Add member to group", []fake.M365Target{person, group}, memberships(anna.ID, "account", payments, false)},
		"a group told by its name":  {"Add member to group", []fake.M365Target{with(person, false, "Group.DisplayName", "Payments")}, memberships(anna.ID, "account", "Payments", false)},
		"a group into a group":      {"Add member to group", []fake.M365Target{with(within, false, "Group.ObjectID", payments), group}, memberships(inner, "group", payments, false)},
		"two groups, unclear which": {"Add member to group", []fake.M365Target{within, group}, nil},
		"an app":                    {"Add member to group", []fake.M365Target{with(fake.M365Target{ID: merge, Type: "ServicePrincipal"}, false, "Group.ObjectID", payments)}, memberships(merge, "app", payments, false)},
		"a device":                  {"Add member to group", []fake.M365Target{with(fake.M365Target{ID: merge, Type: "Device"}, false, "Group.ObjectID", payments)}, nil},
		"an owner":                  {"Add owner to group", []fake.M365Target{with(person, false, "Group.ObjectID", payments), group}, nil},
		"a role":                    {"Add member to role", []fake.M365Target{with(person, false, "Role.ObjectID", graph, "Role.TemplateId", reader), directoryRole}, roles(anna.ID, "account", reader, false)},
		"a role by its name":        {"Remove member from role", []fake.M365Target{with(person, true, "Role.ObjectID", graph, "Role.DisplayName", "Reader"), directoryRole}, roles(anna.ID, "account", "Reader", true)},
		"a role of PIM's shape":     {"Add member to role", []fake.M365Target{with(directoryRole, false, "TemplateId", reader), {ID: "1", Type: "Request"}, person, {ID: "2", Type: "Directory"}}, roles(anna.ID, "account", reader, false)},
		"a role to a group":         {"Add member to role", []fake.M365Target{with(group, false, "Role.TemplateId", reader), directoryRole}, roles(payments, "group", reader, false)},
		"a role on a part":          {"Add scoped member to role", []fake.M365Target{with(person, false, "Role.TemplateId", reader)}, nil},
		"a role to be activated":    {"Add eligible member to role", []fake.M365Target{with(person, false, "Role.TemplateId", reader)}, nil},
		"a role PIM has activated":  {"Add member to role completed (PIM activation)", []fake.M365Target{with(person, false, "Role.TemplateId", reader)}, nil},
		"nobody":                    {"Add member to group", nil, nil},
	} {
		record := fake.M365Audit{Activity: test.activity, Targets: test.targets}.JSON()
		checkLinks(t, name, DecodeGraph, record, test.want)
		refused := strings.Replace(string(record), `"result":"success"`, `"result":"failure"`, 1)
		checkLinks(t, name+", refused", DecodeGraph, []byte(refused), nil)
	}
}

func TestLinksOfActivities(t *testing.T) {
	type fields = map[string]any
	names := func(kind, id, upn string) []any {
		return []any{
			fields{"ID": kind + "_" + id, "Type": 2}, fields{"ID": id, "Type": 2}, fields{"ID": kind, "Type": 2}, fields{"ID": upn, "Type": 5},
		}
	}
	modified := func(before, after string, names ...string) []any {
		var list []any
		for _, name := range names {
			list = append(list, fields{"Name": name, "OldValue": before, "NewValue": after})
		}
		return list
	}
	team := func(more fields) fields {
		all := fields{"TeamGuid": "19:invented@thread.tacv2", "TeamName": "Orders", "Members": []any{fields{"UPN": "ben@example.com", "Role": 0}}}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	for name, test := range map[string]struct {
		operation, workload string
		fields              fields
		want                []*curfewv1.LinkChange
	}{
		"into a group":          {"Add member to group.", "AzureActiveDirectory", fields{"Target": names("User", anna.ID, anna.Login), "ModifiedProperties": modified("", payments, "Group.ObjectID")}, memberships(anna.ID, "account", payments, false)},
		"out of it":             {"Remove member from group.", "AzureActiveDirectory", fields{"Target": names("User", anna.ID, anna.Login), "ModifiedProperties": modified(payments, "", "Group.ObjectID")}, nil},
		"a role, by the login":  {"Add member to role.", "AzureActiveDirectory", fields{"Target": []any{fields{"ID": anna.Login, "Type": 5}}, "ModifiedProperties": modified("", reader, "Role.TemplateId")}, roles(anna.Login, "account", reader, false)},
		"refused":               {"Add member to group.", "AzureActiveDirectory", fields{"ResultStatus": "Failure", "Target": names("User", anna.ID, anna.Login), "ModifiedProperties": modified("", payments, "Group.ObjectID")}, nil},
		"into a team":           {"MemberAdded", "MicrosoftTeams", team(fields{"AADGroupId": payments}), memberships("ben@example.com", "account", payments, false)},
		"out of a team":         {"MemberRemoved", "MicrosoftTeams", team(fields{"AADGroupId": payments}), nil},
		"into a team by name":   {"MemberAdded", "MicrosoftTeams", team(nil), memberships("ben@example.com", "account", "Orders", false)},
		"into a team's channel": {"MemberAdded", "MicrosoftTeams", team(fields{"ChannelGuid": "19:c@thread.tacv2"}), nil},
		"into a chat":           {"MemberAdded", "MicrosoftTeams", fields{"ChatThreadId": "19:d@thread.v2", "Members": []any{fields{"UPN": "ben@example.com"}}}, nil},
		"another role there":    {"MemberRoleChanged", "MicrosoftTeams", team(nil), nil},
	} {
		recordType := map[string]int{"AzureActiveDirectory": 8, "MicrosoftTeams": 25}[test.workload]
		record := fake.M365Activity{Operation: test.operation, Workload: test.workload, RecordType: recordType, Fields: test.fields}.JSON()
		checkLinks(t, name, Decode, record, test.want)
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

func TestLinksAreBounded(t *testing.T) {
	var people []any
	for range 1500 {
		people = append(people, map[string]any{"UPN": strings.Repeat("u", 256)})
	}
	for name, length := range map[string]int{strings.Repeat("t", 256): maxParts, strings.Repeat("t", 257): 0} {
		events, err := Decode(fake.M365Activity{
			Operation: "MemberAdded", Workload: "MicrosoftTeams", RecordType: 25, Fields: map[string]any{"TeamGuid": "19:t", "TeamName": name, "Members": people},
		}.JSON())
		if err != nil || len(events[0].GetLinks()) != length || len(events[0].GetOddities()) == 0 {
			t.Errorf("a team's name of %d: got %d links, %d oddities, %v, want %d links and an oddity", len(name), len(events[0].GetLinks()), len(events[0].GetOddities()), err, length)
		}
	}
}
