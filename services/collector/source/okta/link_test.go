// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

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
	anna := []string{"00uAnna"}
	sourcetest.Links(t, sourcetest.LinksCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Teller { return newSource(t, options) },
		Registry: func(token string) sourcetest.Registry {
			r := newRegistry(0, token)
			// Who comes into this group gets a role by it, of which the log tells as of their own.
			r.Put(fake.OktaRole{Holder: "00gRefunds", Type: "SUPER_ADMIN"})
			return r
		},
		Feeds: []string{feed},
		Told: slices.Concat(
			privileges("group", []string{"00gPayments", "00gRefunds"}, anna), privileges("app", []string{"0oaShop"}, anna),
		),
		Untold: privileges("admin_role", []string{"READ_ONLY_ADMIN", "cr0Helper"}, anna),
	})
}

func TestLinksOfRecords(t *testing.T) {
	user := fake.OktaEntity{ID: "00uAnna", Type: "User", AlternateID: "anna@example.com"}
	nameless := fake.OktaEntity{Type: "User", AlternateID: "ben@example.com"}
	group := fake.OktaEntity{ID: "00gPayments", Type: "UserGroup", DisplayName: "Payments"}
	app := fake.OktaEntity{ID: "0oaShop", Type: "AppInstance"}
	link := func(holder, holderType, held string, removed bool) *curfewv1.LinkChange {
		return &curfewv1.LinkChange{Kind: "memberships", Holder: holder, HolderType: holderType, Held: held, Removed: removed}
	}
	for name, test := range map[string]struct {
		in   fake.OktaEvent
		want []*curfewv1.LinkChange
		odd  string
	}{
		"into a group": {
			in:   fake.OktaEvent{Type: "group.user_membership.add", Targets: []fake.OktaEntity{user, group}},
			want: []*curfewv1.LinkChange{link("00uAnna", "account", "00gPayments", false)},
		},
		"two out of a group, one by the login alone": {
			in:   fake.OktaEvent{Type: "group.user_membership.remove", Targets: []fake.OktaEntity{group, user, nameless}},
			want: []*curfewv1.LinkChange{link("00uAnna", "account", "00gPayments", true), link("ben@example.com", "account", "00gPayments", true)},
		},
		"an app to a group": {
			in:   fake.OktaEvent{Type: "group.application_assignment.add", Targets: []fake.OktaEntity{app, group}},
			want: []*curfewv1.LinkChange{link("00gPayments", "group", "0oaShop", false)},
		},
		"an app from a group": {
			in:   fake.OktaEvent{Type: "group.application_assignment.remove", Targets: []fake.OktaEntity{group, app}},
			want: []*curfewv1.LinkChange{link("00gPayments", "group", "0oaShop", true)},
		},
		"refused": {in: fake.OktaEvent{Type: "group.user_membership.add", Result: "FAILURE", Targets: []fake.OktaEntity{user, group}}},
		"into two groups": {
			in:  fake.OktaEvent{Type: "group.user_membership.add", Targets: []fake.OktaEntity{user, group, {ID: "00gRefunds", Type: "UserGroup"}}},
			odd: "target: 2 of kind group where a membership has one",
		},
		"an id that is none": {
			in:  fake.OktaEvent{Type: "group.user_membership.add", Targets: []fake.OktaEntity{{ID: strings.Repeat("u", 256), Type: "User"}, group}},
			odd: "target.id: too long to be one end of a membership",
		},
		"a privilege": {in: fake.OktaMakesAdmin(fake.OktaStaff("ben"), fake.OktaStaff("anna"), "Super administrator")},
	} {
		got := decodeOne(t, test.in.JSON())
		if diff := cmp.Diff(test.want, got.GetLinks(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: links (-want +got):\n%s", name, diff)
		}
		if odd := strings.Join(got.GetOddities(), "; "); odd != test.odd {
			t.Errorf("%s: got the oddities %q, want %q", name, odd, test.odd)
		}
	}
}

func TestLinksAreBounded(t *testing.T) {
	e := fake.OktaEvent{Type: "group.user_membership.add", Targets: []fake.OktaEntity{{ID: strings.Repeat("g", 255), Type: "UserGroup"}}}
	for range 1500 {
		e.Targets = append(e.Targets, fake.OktaEntity{ID: strings.Repeat("u", 255), Type: "User"})
	}
	got := decodeOne(t, e.JSON())
	if len(got.GetLinks()) != maxParts || !slices.Contains(got.GetOddities(), "target: more than 1000 members; the rest stands in the record") {
		t.Errorf("got %d links and %q, want %d and that there are more", len(got.GetLinks()), got.GetOddities(), maxParts)
	}
}
