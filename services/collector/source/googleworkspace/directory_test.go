// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// organisation is a fake Workspace with people and what they hold.
type organisation struct {
	*fake.Google
}

const (
	anna, ben, carl = "100000000000000000011", "100000000000000000012", "100000000000000000013"
	staff, finance  = "01staff", "02finance"
	helpdesk        = "9000000001"
	mailMagic       = "9921-mail-magic.apps.example.com"
)

func newOrganisation(seed uint64, token string) *organisation {
	setup := fake.GoogleConfig{Token: token}
	if seed > 0 {
		setup.StrayEvery = 15
		setup.Faults = fake.Faults{Seed: seed, RateLimitEvery: 11, ServerErrorEvery: 13, DropReplyEvery: 12, LieEvery: 5, AwayAfter: int(seed) * 9, AwayFor: 2}
	}
	o := &organisation{fake.NewGoogle(setup)}
	made := time.Date(2025, time.May, 5, 8, 0, 0, 0, time.UTC)
	for id, name := range map[string]string{anna: "Anna", ben: "Ben", carl: "Carl"} {
		o.AddUser(fake.GoogleUser{ID: id, Email: strings.ToLower(name) + "@example.com", Name: name + " Invented", Created: made})
	}
	o.AddGroup(fake.GoogleGroup{ID: staff, Email: "staff@example.com", Name: "Staff"})
	o.AddGroup(fake.GoogleGroup{ID: finance, Email: "finance@example.com", Name: "Finance"})
	o.AddRole(fake.GoogleRole{ID: helpdesk, Name: "_HELP_DESK_ADMIN_ROLE"})
	return o
}

// Change hires and dismisses, and moves people about.
func (o *organisation) Change(n int) {
	at := time.Date(2026, time.March, 2, 8, n%60, 0, 0, time.UTC)
	person := o.AddUser(fake.GoogleUser{
		Email: fmt.Sprintf("person%d@example.com", n), Name: fmt.Sprintf("Person %d", n), Aliases: []string{fmt.Sprintf("p%d@example.com", n)},
		EmployeeID: fmt.Sprint(1000 + n), Suspended: n%2 == 1, Enrolled2SV: n%2 == 0, Created: at, LastLogin: at.Add(time.Hour),
	})
	group := o.AddGroup(fake.GoogleGroup{
		Email: fmt.Sprintf("group%d@example.com", n), Name: fmt.Sprintf("Group %d", n),
		Aliases: []string{fmt.Sprintf("g%d@example.com", n)}, NonEditableAliases: []string{fmt.Sprintf("group%d@example.net", n)},
	})
	o.SetMember(fake.GoogleMember{Group: group, Member: person, Role: []string{"MEMBER", "MANAGER", "OWNER"}[n%3]})
	o.SetMember(fake.GoogleMember{Group: staff, Member: group, Type: "GROUP"})
	o.SetMember(fake.GoogleMember{Group: finance, Member: "C0invented", Type: "CUSTOMER"})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: person})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: group, OrgUnit: "03orgunit"})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: person, Condition: "api.getAttribute('invented', true)"})
	o.LetIn(fake.GoogleToken{User: person, ClientID: mailMagic, Name: "Mail Magic", Scopes: []string{"https://mail.google.com/", "email"}})
	o.LetIn(fake.GoogleToken{User: anna, ClientID: fmt.Sprintf("%d.apps.example.com", n), Name: "App"})
	o.LetIn(fake.GoogleToken{User: anna, ClientID: "anonymous", Name: "invented.example.com"})
	o.AddPassword(fake.GooglePassword{User: person, CodeID: n, Name: "printer", Created: at})
	if n > 0 {
		o.Delete(fake.GoogleProfile(fmt.Sprintf("person%d@example.com", n-1)))
		o.RemoveMember(finance, "C0invented")
	}
}

// Truth is what the Workspace holds, in the words of the contract.
func (o *organisation) Truth(kind string) []*curfewv1.Entry {
	state := o.State()
	var truth []*curfewv1.Entry
	switch kind {
	case "people":
		for _, u := range state.Users {
			truth = append(truth, truePerson(u))
		}
	case "groups":
		for _, g := range state.Groups {
			truth = append(truth, &curfewv1.Entry{Key: g.ID, Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{
				Id: g.ID, Name: g.Name, Type: "group", Aliases: slices.Concat([]string{g.Email}, g.Aliases, g.NonEditableAliases),
			}}})
		}
	case "memberships":
		for _, m := range state.Members {
			memberType := map[string]string{"USER": "account", "GROUP": "group", "CUSTOMER": "customer"}[m.Type]
			truth = append(truth, &curfewv1.Entry{Key: m.Group + "/" + m.Member, Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
				Group: m.Group, Member: m.Member, MemberType: memberType, Level: strings.ToLower(m.Role),
			}}})
		}
	case "roles":
		for _, a := range state.Assignments {
			truth = append(truth, trueAssignment(a, state))
		}
	case "apps":
		for _, t := range state.Tokens {
			key := t.ClientID + "/" + t.User
			if t.ClientID == "anonymous" {
				key += "/" + t.Name
			}
			scopes := slices.Sorted(slices.Values(t.Scopes))
			truth = append(truth, &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_App{App: &curfewv1.AppAccess{
				App: &curfewv1.App{Id: t.ClientID, Name: t.Name, Scopes: scopes}, Grantor: t.User, Status: "active",
			}}})
		}
	case "tokens":
		for _, p := range state.Passwords {
			truth = append(truth, &curfewv1.Entry{Key: fmt.Sprintf("%s/%d", p.User, p.CodeID), Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
				Id: fmt.Sprint(p.CodeID), Name: p.Name, Owner: p.User, Type: "application_password", Created: timestamppb.New(p.Created),
			}}})
		}
	}
	return truth
}

func truePerson(u fake.GoogleUser) *curfewv1.Entry {
	account := &curfewv1.Account{
		Id: u.ID, Login: u.Email, Name: u.Name, Emails: append([]string{u.Email}, u.Aliases...), Type: curfewv1.ActorType_ACTOR_TYPE_PERSON,
		Status: "active", Mfa: proto.Bool(u.Enrolled2SV), Created: timestamppb.New(u.Created),
	}
	if u.Suspended {
		account.Status = "suspended"
	}
	if u.EmployeeID != "" {
		account.Links = []string{"employee:" + u.EmployeeID}
	}
	if !u.LastLogin.IsZero() {
		account.LastLogin = timestamppb.New(u.LastLogin)
	}
	return &curfewv1.Entry{Key: u.ID, Thing: &curfewv1.Entry_Account{Account: account}}
}

func trueAssignment(a fake.GoogleAssignment, state fake.GoogleState) *curfewv1.Entry {
	held := &curfewv1.Assignment{Id: a.ID, Role: a.Role, RoleName: "_HELP_DESK_ADMIN_ROLE", Holder: a.Holder, HolderType: "account"}
	if slices.ContainsFunc(state.Groups, func(g fake.GoogleGroup) bool { return g.ID == a.Holder }) {
		held.HolderType = "group"
	}
	key := a.Role + "/" + a.Holder
	if a.OrgUnit != "" {
		held.Scope = "org_unit/" + a.OrgUnit
		key += "/" + held.Scope
	}
	if a.Condition != "" {
		key += "/assignment/" + a.ID
	}
	return &curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_Assignment{Assignment: held}}
}

// Forbid refuses the members of one group, or what one user let in.
func (o *organisation) Forbid(kind string) bool {
	switch kind {
	case "memberships":
		o.Google.Forbid("/admin/directory/v1/groups/" + finance + "/members")
	case "apps":
		o.Google.Forbid("/admin/directory/v1/users/" + anna + "/tokens")
	case "tokens":
		o.Google.Forbid("/admin/directory/v1/users/" + anna + "/asps")
	default:
		return false
	}
	return true
}

func TestInventory(t *testing.T) {
	sourcetest.Inventory(t, sourcetest.InventoryCase{
		Source:    source,
		New:       func(t *testing.T, options sourcetest.Options) sourcetest.Observer { return newSource(t, options) },
		Directory: func(seed uint64, token string) sourcetest.Directory { return newOrganisation(seed, token) },
	})
}

// undelegated is a source whose service account has these scopes alone.
func undelegated(t *testing.T, google *fake.Google) *Source {
	t.Helper()
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	source, err := New(Config{URL: server.URL, Credentials: config.SecretValue(google.Credentials(server.URL)), Subject: "root@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	source.pace.SetLimit(1000)
	return source
}

// A scope that is not delegated breaks what needs it, and is asked for once and not for each user.
func TestScopesAreApart(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{Scopes: []string{scopeAudit, scopeUsers}})
	for i := range 30 {
		google.AddUser(fake.GoogleUser{Email: fmt.Sprintf("person%d@example.com", i)})
	}
	source := undelegated(t, google)
	if _, err := source.Poll(t.Context(), "login", ""); err != nil {
		t.Errorf("poll: %v", err)
	}
	people, err := source.Observe(t.Context(), "people")
	if err != nil || len(people.GetEntries()) != 30 {
		t.Errorf("people: got %d, %v, want 30", len(people.GetEntries()), err)
	}
	for kind, scope := range map[string]string{"groups": scopeGroups, "memberships": scopeGroups, "roles": scopeRoles, "apps": scopeSecurity, "tokens": scopeSecurity} {
		_, err := source.Observe(t.Context(), kind)
		if err == nil || !strings.Contains(err.Error(), "domain-wide delegation for "+scope) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one line that names %s", kind, err, scope)
		}
	}
}

// Where many users in a row are refused, the rest is not asked for.
func TestInventoryGivesUp(t *testing.T) {
	google := fake.NewGoogle(fake.GoogleConfig{})
	for i := range 100 {
		id := google.AddUser(fake.GoogleUser{ID: fmt.Sprintf("1%020d", i)})
		if i >= 10 {
			google.Forbid("/admin/directory/v1/users/" + id + "/tokens")
		}
	}
	seen, err := undelegated(t, google).Observe(t.Context(), "apps")
	if err != nil || len(seen.GetMissing()) != maxFailed {
		t.Fatalf("got %d missing, %v, want %d", len(seen.GetMissing()), err, maxFailed)
	}
	if last := seen.GetMissing()[maxFailed-1]; !strings.Contains(last, "and of the 70 behind it") || !strings.Contains(last, "may manage users' security") {
		t.Errorf("got %q, want how many were not asked for and the right that it takes", last)
	}
}
