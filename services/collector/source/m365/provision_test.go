// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// privileges are of some holders, each with a name, on some resources.
func privileges(of *curfewv1.Privilege, resources []string, holders ...fake.M365Person) []*curfewv1.Privilege {
	var list []*curfewv1.Privilege
	for _, resource := range resources {
		for _, holder := range holders {
			list = append(list, &curfewv1.Privilege{
				Source: source, Kind: of.GetKind(), Holder: holder.ID, HolderName: holder.Login, Resource: resource, Level: of.GetLevel(), Scope: of.GetScope(),
			})
		}
	}
	return list
}

func TestProvision(t *testing.T) {
	apps := []fake.M365Person{{ID: merge, Login: "Mail merge"}, {ID: payroll, Login: fake.M365ID("app", "Payroll")}}
	group := &curfewv1.Privilege{Kind: "group"}
	role := &curfewv1.Privilege{Kind: "directory_role"}
	grant := &curfewv1.Privilege{Kind: "delegated_grant", Scope: anna.ID, Level: "Files.Read User.Read"}
	everybody := &curfewv1.Privilege{Kind: "delegated_grant", Level: "User.Read"}
	sourcetest.Provision(t, sourcetest.ProvisionCase{
		New: func(t *testing.T, options sourcetest.Options) sourcetest.Provisioner { return newSource(t, options) },
		Registry: func(seed uint64, token string) sourcetest.Registry {
			return newRegistry(seed, fake.M365Config{Token: token})
		},
		Cases: map[string]sourcetest.PrivilegeCase{
			"group": {Privileges: slices.Concat(
				privileges(group, []string{payments, refunds}, anna, ben), privileges(group, []string{payments}, apps[0]),
				privileges(&curfewv1.Privilege{Kind: "group", Level: "owner"}, []string{payments, refunds}, anna, cleo),
			)},
			"directory_role": {Privileges: slices.Concat(
				privileges(role, []string{reader, helper}, anna, ben), privileges(&curfewv1.Privilege{Kind: "directory_role", Scope: unit}, []string{helper}, anna, apps[1]),
			)},
			"delegated_grant": {Lower: "User.Read", Privileges: slices.Concat(privileges(grant, []string{graph}, apps...), privileges(everybody, []string{graph, payroll}, apps[0]))},
			"app_role": {Privileges: slices.Concat(
				privileges(&curfewv1.Privilege{Kind: "app_role"}, []string{graph + "/" + mail}, apps...),
				privileges(&curfewv1.Privilege{Kind: "app_role"}, []string{payroll + "/" + zeroGUID}, anna, ben),
			)},
		},
	})
}

func TestProvisionTraps(t *testing.T) {
	group := &curfewv1.Privilege{Kind: "group", Holder: anna.ID, HolderName: anna.Login, Resource: payments}
	with := func(p *curfewv1.Privilege, change func(*curfewv1.Privilege)) *curfewv1.Privilege {
		p = privileges(p, []string{p.GetResource()}, fake.M365Person{ID: p.GetHolder(), Login: p.GetHolderName()})[0]
		change(p)
		return p
	}
	role := with(group, func(p *curfewv1.Privilege) { p.Kind, p.Resource = "directory_role", reader })
	grant := with(group, func(p *curfewv1.Privilege) {
		p.Kind, p.Holder, p.HolderName, p.Resource, p.Scope, p.Level = "delegated_grant", merge, "Mail merge", graph, anna.ID, "Mail.Read"
	})
	owner := with(group, func(p *curfewv1.Privilege) { p.Level, p.Resource = "owner", refunds })
	put := func(group fake.M365Group) func(*registry) {
		return func(r *registry) {
			group.ID, group.Name = payments, "Payments"
			r.Put(group)
			r.Join(payments, anna.ID)
		}
	}
	tests := []struct {
		name             string
		p                *curfewv1.Privilege
		before           func(r *registry)
		presence         curfewv1.Presence
		via              string
		detail           string // some of it
		granted, revoked string // the outcomes
		task             string // some of the revocation's
		heldAfter        bool
	}{
		{
			name: "a group in the group", p: group,
			before:   func(r *registry) { r.Join(payments, inner); r.Join(inner, anna.ID) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "group " + inner, granted: "DONE", revoked: "DONE",
		},
		{
			name: "groups in the group that may not be seen", p: group,
			before:   func(r *registry) { r.Forbid("GET /v1.0/groups/" + payments + "/members") },
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "could not be learnt", granted: "DONE", revoked: "DONE",
		},
		{
			name: "a rule fills the group", p: group, before: put(fake.M365Group{Dynamic: true}),
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "a rule fills the group", granted: "ALREADY", revoked: "TASK", task: "by its rule", heldAfter: true,
		},
		{
			name: "a directory fills the group", p: group, before: put(fake.M365Group{Synced: true}),
			presence: curfewv1.Presence_PRESENCE_PRESENT, detail: "another directory fills the group", granted: "ALREADY", revoked: "TASK",
			task: "take the holder out of the group in the directory", heldAfter: true,
		},
		{
			name: "a group that takes mail", p: group, before: put(fake.M365Group{Mail: true}),
			presence: curfewv1.Presence_PRESENCE_PRESENT, granted: "ALREADY", revoked: "TASK", task: "in the Exchange admin center", heldAfter: true,
		},
		{
			name: "the last owner of a team", p: owner,
			before:   func(r *registry) { r.Own(refunds, anna.ID); r.Disown(refunds, merge) },
			presence: curfewv1.Presence_PRESENCE_PRESENT, granted: "ALREADY", revoked: "TASK", task: "make somebody else an owner", heldAfter: true,
		},
		{
			name: "a group that is gone", p: group, before: func(r *registry) { r.Remove(payments) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the group does not exist any more", granted: "GONE", revoked: "GONE",
		},
		{
			name: "a role by a group", p: role,
			before: func(r *registry) {
				r.Join(payments, inner)
				r.Join(inner, anna.ID)
				r.Put(fake.M365RoleAssignment{Role: reader, Holder: payments}, fake.M365RoleAssignment{Role: reader, Holder: refunds})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "group " + payments, granted: "DONE", revoked: "DONE",
		},
		{
			name: "a role on everything besides that on a unit", p: with(role, func(p *curfewv1.Privilege) { p.Scope = unit }),
			before: func(r *registry) {
				r.Put(fake.M365RoleAssignment{Role: reader, Holder: anna.ID})
				r.Put(fake.M365RoleAssignment{Role: reader, Holder: anna.ID, Scope: unit + "0"})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "the role on everything", granted: "DONE", revoked: "DONE",
		},
		{
			name: "a role to be activated", p: role, before: func(r *registry) { r.Put(fake.M365RoleAssignment{Role: reader, Holder: anna.ID, Eligible: true}) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "eligible: the holder may activate it", granted: "DONE", revoked: "DONE",
		},
		{
			name: "a role that is gone", p: role, before: func(r *registry) { r.Remove(reader) },
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the role does not exist any more", granted: "GONE", revoked: "GONE",
		},
		{
			name: "consent for everybody", p: grant, before: func(r *registry) {
				r.Put(fake.M365Grant{ID: "everybody-1", Client: merge, Resource: graph, Scope: "Mail.Read"})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "consent for everybody everybody-1", granted: "DONE", revoked: "DONE",
		},
		{
			name: "consent to other permissions, which stays", p: grant,
			before: func(r *registry) {
				r.Put(fake.M365Grant{Client: merge, Resource: graph, Principal: anna.ID, Scope: "User.Read"})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "holds other permissions too, which stay", granted: "DONE", revoked: "DONE", heldAfter: true,
		},
		{
			name: "a place in an app by a group", p: with(group, func(p *curfewv1.Privilege) { p.Kind, p.Resource = "app_role", payroll+"/"+zeroGUID }),
			before: func(r *registry) {
				r.Join(payments, anna.ID)
				r.Put(fake.M365AppRole{Holder: payments, Resource: payroll, Role: zeroGUID})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, via: "group " + payments, granted: "DONE", revoked: "DONE",
		},
		{
			name: "a role that the app does not offer any more", p: with(group, func(p *curfewv1.Privilege) { p.Kind, p.Resource = "app_role", payroll+"/"+mail }),
			before: func(*registry) {}, presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "does not offer the role", granted: "GONE", revoked: "GONE",
		},
		{
			name: "a person who was renamed", p: group,
			before: func(r *registry) {
				person := fake.M365Person{ID: anna.ID, Login: "anna.meyer@example.com"}
				r.Put(fake.M365User{M365Person: person, Aliases: []string{"ANNA.berg@example.com"}, Disabled: true})
			},
			presence: curfewv1.Presence_PRESENCE_ABSENT, detail: "the person goes by another login now; the account is disabled", granted: "DONE", revoked: "DONE",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRegistry(0, fake.M365Config{Token: "invented"})
			test.before(r)
			source := serveTenant(t, r)
			state, err := source.Read(t.Context(), test.p)
			if err != nil {
				t.Fatal(err)
			}
			if state.GetPresence() != test.presence || strings.Join(state.GetVia(), ",") != test.via || !strings.Contains(state.GetDetail(), test.detail) {
				t.Errorf("read: got %v, want %v by %q with %q", state, test.presence, test.via, test.detail)
			}
			granted, err := source.Grant(t.Context(), test.p)
			if err != nil || !strings.HasSuffix(granted.GetOutcome().String(), test.granted) {
				t.Errorf("grant: got %v, %v, want %s", granted, err, test.granted)
			}
			revoked, err := source.Revoke(t.Context(), test.p, nil)
			if err != nil || !strings.HasSuffix(revoked.GetOutcome().String(), test.revoked) || !strings.Contains(revoked.GetTask(), test.task) {
				t.Errorf("revoke: got %v, %v, want %s with the task %q", revoked, err, test.revoked, test.task)
			}
			if _, held := r.Holds(test.p); held != test.heldAfter {
				t.Errorf("it is held afterwards: %v, want %v", held, test.heldAfter)
			}
		})
	}
}

// A role is given with an end where the tenant can, and without one where it cannot.
func TestRoleEnds(t *testing.T) {
	end := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	p := privileges(&curfewv1.Privilege{Kind: "directory_role"}, []string{reader}, anna)[0]
	p.ExpiresAt = timestamppb.New(end)
	for name, test := range map[string]struct {
		setup  fake.M365Config
		forbid string
		ends   bool
	}{
		"with the plan":     {ends: true},
		"without the plan":  {setup: fake.M365Config{NoPremium: true}},
		"without the right": {forbid: "POST /v1.0/roleManagement/directory/roleAssignmentScheduleRequests"},
	} {
		test.setup.Token = "invented"
		r := newRegistry(0, test.setup)
		if test.forbid != "" {
			r.Forbid(test.forbid)
		}
		source := serveTenant(t, r)
		if granted, err := source.Grant(t.Context(), p); err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
			t.Errorf("%s: grant: got %v, %v, want it done", name, granted, err)
		}
		state, err := source.Read(t.Context(), p)
		if ends := state.GetExpiresAt() != nil && state.GetExpiresAt().AsTime().Equal(end); err != nil || state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || ends != test.ends {
			t.Errorf("%s: read: got %v, %v, want that it ends: %v", name, state, err, test.ends)
		}
		if granted, err := source.Grant(t.Context(), p); err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY {
			t.Errorf("%s: grant again: got %v, %v, want ALREADY", name, granted, err)
		}
	}
}

// What somebody else was given by the same consent stays when ours is taken.
func TestTwoPrivilegesInOneConsent(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented"})
	source := serveTenant(t, r)
	first := privileges(&curfewv1.Privilege{Kind: "delegated_grant", Level: "Mail.Read User.Read", Scope: anna.ID}, []string{graph}, fake.M365Person{ID: merge})[0]
	second := privileges(&curfewv1.Privilege{Kind: "delegated_grant", Level: "User.Read Files.Read", Scope: anna.ID}, []string{graph}, fake.M365Person{ID: merge})[0]
	if _, err := source.Grant(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	prior, err := source.Read(t.Context(), second)
	if err != nil || prior.GetLevel() != "User.Read" {
		t.Fatalf("got %v, %v, want the one permission that is there", prior, err)
	}
	if _, err := source.Grant(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if level, _ := r.Holds(first); level != "Files.Read Mail.Read User.Read" {
		t.Errorf("got %q, want all three", level)
	}
	if _, err := source.Revoke(t.Context(), second, prior); err != nil {
		t.Fatal(err)
	}
	if level, _ := r.Holds(first); level != "Mail.Read User.Read" {
		t.Errorf("got %q, want the first one's two", level)
	}
}

func TestGroupThatRolesCanBeGivenTo(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented", Permissions: []string{"GroupMember.ReadWrite.All", "Directory.Read.All"}})
	r.Put(fake.M365Group{ID: payments, Name: "Payments", ForRoles: true})
	_, err := serveTenant(t, r).Grant(t.Context(), privileges(&curfewv1.Privilege{Kind: "group"}, []string{payments}, anna)[0])
	if want := "the application permission RoleManagement.ReadWrite.Directory of Microsoft Graph"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestPrivilegesThatAreNone(t *testing.T) {
	source := serveTenant(t, newRegistry(0, fake.M365Config{Token: "invented"}))
	for want, p := range map[string]*curfewv1.Privilege{
		`the levels "" and "owner"`:  {Kind: "group", Holder: anna.ID, Resource: payments, Level: "maintainer"},
		"has no levels":              {Kind: "directory_role", Holder: anna.ID, Resource: reader, Level: "owner"},
		"cannot be limited":          {Kind: "group", Holder: anna.ID, Resource: payments, Scope: "/"},
		"the scope is none":          {Kind: "directory_role", Holder: anna.ID, Resource: reader, Scope: "/administrativeUnits/../" + anna.ID},
		"no person's object id":      {Kind: "delegated_grant", Holder: merge, Resource: graph, Scope: "anna", Level: "x"},
		"names no permission":        {Kind: "delegated_grant", Holder: merge, Resource: graph},
		"or one twice":               {Kind: "delegated_grant", Holder: merge, Resource: graph, Level: "User.Read User.Read"},
		"more than one space":        {Kind: "delegated_grant", Holder: merge, Resource: graph, Level: "User.Read  Mail.Read"},
		"no app role":                {Kind: "app_role", Holder: merge, Resource: graph},
		"the holder is no object id": {Kind: "group", Holder: anna.Login, Resource: payments},
		`there is no kind "zone"`:    {Kind: "zone", Holder: anna.ID, Resource: payments},
	} {
		if _, err := source.Read(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v, want one with %q", p, err, want)
		}
	}
}

func TestEndSessions(t *testing.T) {
	r := newRegistry(0, fake.M365Config{Token: "invented"})
	guest := fake.NewM365Person("gert", "example.org")
	r.Put(fake.M365User{M365Person: guest, Guest: true})
	source := serveTenant(t, r)
	for holder, want := range map[string]string{anna.ID: "DONE", guest.ID: "TASK", merge: "TASK", payments: "GONE"} {
		ended, err := source.EndSessions(t.Context(), holder)
		if err != nil || !strings.HasSuffix(ended.GetOutcome().String(), want) || len(ended.GetCalls()) == 0 || (ended.GetTask() != "") != (want == "TASK") {
			t.Errorf("end sessions of %s: got %v, %v, want %s", holder, ended, err, want)
		}
		if done := want == "DONE"; (r.SessionsEnded(holder) == 1) != done || (ended.GetResidual() != "") != done {
			t.Errorf("end sessions of %s: they were ended %d times, leaving %q", holder, r.SessionsEnded(holder), ended.GetResidual())
		}
	}
	if _, err := source.EndSessions(t.Context(), "../users"); err == nil {
		t.Error("end sessions of an id that is none: got no error")
	}
}

func TestWhatIsNotedHoldsNoQuery(t *testing.T) {
	source := serveTenant(t, newRegistry(0, fake.M365Config{Token: "invented"}))
	granted, err := source.Grant(t.Context(), privileges(&curfewv1.Privilege{Kind: "group"}, []string{payments}, anna)[0])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /v1.0/users/" + anna.ID + ": 200", "GET /v1.0/groups/" + payments + ": 200", "GET /v1.0/users/" + anna.ID + "/memberOf: 200",
		"GET /v1.0/groups/" + payments + "/members/microsoft.graph.group: 200", "POST /v1.0/groups/" + payments + "/members/$ref: 204",
	}
	if got := strings.Join(granted.GetCalls(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got the calls\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
