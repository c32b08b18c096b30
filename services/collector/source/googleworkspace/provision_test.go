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

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/fake"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/collector/sourcetest"
)

// Holds, Hold and Remove are what is true, and what a person does at the Admin console.
func (o *organisation) Holds(p *curfewv1.Privilege) (level string, held bool) {
	state := o.State()
	switch p.GetKind() {
	case "group":
		for _, m := range state.Members {
			if m.Group == p.GetResource() && m.Member == p.GetHolder() {
				return strings.ToLower(m.Role), true
			}
		}
	case "admin_role":
		return "", slices.ContainsFunc(state.Assignments, func(a fake.GoogleAssignment) bool {
			return a.Role == p.GetResource() && a.Holder == p.GetHolder() && a.OrgUnit == p.GetScope() && a.Condition == ""
		})
	case "oauth_token":
		return "", slices.ContainsFunc(state.Tokens, func(t fake.GoogleToken) bool { return t.ClientID == p.GetResource() && t.User == p.GetHolder() })
	}
	return "", false
}

func (o *organisation) Hold(p *curfewv1.Privilege, level string, held bool) {
	switch p.GetKind() {
	case "group":
		if o.RemoveMember(p.GetResource(), p.GetHolder()); held {
			o.SetMember(fake.GoogleMember{Group: p.GetResource(), Member: p.GetHolder(), Role: strings.ToUpper(level)})
		}
	case "admin_role":
		if o.Unassign(p.GetResource(), p.GetHolder()); held {
			o.Assign(fake.GoogleAssignment{Role: p.GetResource(), Holder: p.GetHolder(), OrgUnit: p.GetScope()})
		}
	case "oauth_token":
		if o.PutOut(p.GetHolder(), p.GetResource()); held {
			o.LetIn(fake.GoogleToken{User: p.GetHolder(), ClientID: p.GetResource(), Name: "Mail Magic"})
		}
	}
}

func (o *organisation) Remove(holder string) { o.Delete(holder) }

func inGroup(holder, name, level string) *curfewv1.Privilege {
	return &curfewv1.Privilege{Source: source, Kind: "group", Holder: holder, HolderName: name, Resource: finance, ResourceName: "finance@example.com", Level: level}
}

func TestProvision(t *testing.T) {
	role := func(holder, scope string) *curfewv1.Privilege {
		return &curfewv1.Privilege{Source: source, Kind: "admin_role", Holder: holder, Resource: helpdesk, ResourceName: "_HELP_DESK_ADMIN_ROLE", Scope: scope}
	}
	token := func(holder, client string) *curfewv1.Privilege {
		return &curfewv1.Privilege{Source: source, Kind: "oauth_token", Holder: holder, HolderName: "", Resource: client, ResourceName: "Mail Magic"}
	}
	named := role(anna, "")
	named.HolderName = "ANNA@example.com"
	sourcetest.Provision(t, sourcetest.ProvisionCase{
		New:      func(t *testing.T, options sourcetest.Options) sourcetest.Provisioner { return newSource(t, options) },
		Registry: func(seed uint64, token string) sourcetest.Registry { return newOrganisation(seed, token) },
		Cases: map[string]sourcetest.PrivilegeCase{
			"group": {
				Privileges: []*curfewv1.Privilege{inGroup(anna, "anna@example.com", "manager"), inGroup(ben, "ben@example.com", "manager"), {
					Source: source, Kind: "group", Holder: anna, Resource: staff, Level: "owner",
				}},
				Lower: "member",
			},
			"admin_role":  {Privileges: []*curfewv1.Privilege{named, role(ben, ""), role(carl, "03orgunit")}},
			"oauth_token": {Privileges: []*curfewv1.Privilege{token(anna, mailMagic), token(ben, mailMagic)}, GrantTask: true},
		},
	})
}

// at is a source of an organisation.
func at(t *testing.T, o *organisation, changes ...func(*Config)) *Source {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	return newSource(t, sourcetest.Options{URL: server.URL, Token: "invented", Impatient: true}, changes...)
}

func read(t *testing.T, s *Source, p *curfewv1.Privilege) *curfewv1.PrivilegeState {
	t.Helper()
	state, err := s.Read(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestReadTellsOtherWays(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	p := inGroup(anna, "anna@example.com", "")
	o.AddGroup(fake.GoogleGroup{ID: "03inner", Email: "inner@example.com"})
	o.AddGroup(fake.GoogleGroup{ID: "04innermost", Email: "innermost@example.com"})
	o.SetMember(fake.GoogleMember{Group: finance, Member: "03inner", Type: "GROUP"})
	o.SetMember(fake.GoogleMember{Group: finance, Member: staff, Type: "GROUP"})
	o.SetMember(fake.GoogleMember{Group: "03inner", Member: "04innermost", Type: "GROUP"})
	if state := read(t, s, p); len(state.GetVia()) > 0 || state.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT {
		t.Errorf("got %v, want neither held nor by another way", state)
	}
	o.SetMember(fake.GoogleMember{Group: "04innermost", Member: anna})
	for _, own := range []curfewv1.Presence{curfewv1.Presence_PRESENCE_ABSENT, curfewv1.Presence_PRESENCE_PRESENT} {
		o.Hold(p, "member", own == curfewv1.Presence_PRESENCE_PRESENT)
		if state := read(t, s, p); !slices.Equal(state.GetVia(), []string{"group 03inner"}) || state.GetPresence() != own {
			t.Errorf("got %v, want %v and the group within", state, own)
		}
	}
	o.SetMember(fake.GoogleMember{Group: finance, Member: "C0invented", Type: "CUSTOMER"})
	if state := read(t, s, p); !slices.Contains(state.GetVia(), "everybody of the organisation") {
		t.Errorf("got %v, want everybody of the organisation as a way", state)
	}

	admin := &curfewv1.Privilege{Kind: "admin_role", Holder: anna, Resource: helpdesk}
	unit := o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: anna, OrgUnit: "03orgunit"})
	bound := o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: anna, Condition: "invented"})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: finance})
	o.Assign(fake.GoogleAssignment{Role: helpdesk, Holder: ben})
	state := read(t, s, admin)
	want := []string{"assignment " + unit + " in another scope", "assignment " + bound + " under a condition", "group " + finance}
	if got := slices.Sorted(slices.Values(state.GetVia())); !slices.Equal(got, want) || state.GetPresence() != curfewv1.Presence_PRESENCE_ABSENT || state.GetHandle() != "" {
		t.Errorf("got %v by %q, want absent, and %q", state.GetPresence(), got, want)
	}
	admin.Scope = "id:03orgunit"
	if state := read(t, s, admin); state.GetHandle() != unit {
		t.Errorf("for the organisational unit: got %v, want assignment %s", state, unit)
	}
}

func TestIdentity(t *testing.T) {
	tests := []struct {
		name             string
		change           func(o *organisation, p *curfewv1.Privilege)
		holder, resource curfewv1.Presence
		detail           string
	}{
		{"as it was", func(*organisation, *curfewv1.Privilege) {}, curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, ""},
		{"renamed", func(o *organisation, _ *curfewv1.Privilege) {
			o.AddUser(fake.GoogleUser{ID: anna, Email: "anna.married@example.com", Aliases: []string{"anna@example.com"}})
		}, curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, ""},
		{"suspended", func(o *organisation, _ *curfewv1.Privilege) {
			o.AddUser(fake.GoogleUser{ID: anna, Email: "anna@example.com", Suspended: true})
		}, curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, "suspended"},
		{"an id given anew", func(o *organisation, _ *curfewv1.Privilege) {
			o.AddUser(fake.GoogleUser{ID: anna, Email: "zoe@example.com"})
		}, curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, "the account goes by another address"},
		{"an address given anew", func(o *organisation, _ *curfewv1.Privilege) {
			o.Delete(anna)
			o.AddUser(fake.GoogleUser{ID: "1999", Email: "anna@example.com"})
		}, curfewv1.Presence_PRESENCE_ABSENT, curfewv1.Presence_PRESENCE_PRESENT, "20 days"},
		{"a group's display name", func(_ *organisation, p *curfewv1.Privilege) { p.ResourceName = "Money" },
			curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, "the group has another name"},
		{"another group's address", func(_ *organisation, p *curfewv1.Privilege) { p.ResourceName = "money@example.com" },
			curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_PRESENT, "the group goes by another address"},
		{"a group that is gone", func(o *organisation, _ *curfewv1.Privilege) { o.Delete(finance) },
			curfewv1.Presence_PRESENCE_PRESENT, curfewv1.Presence_PRESENCE_ABSENT, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			s := at(t, o)
			p := inGroup(anna, "anna@example.com", "")
			o.Hold(p, "member", true)
			test.change(o, p)
			state := read(t, s, p)
			if state.GetHolder() != test.holder || state.GetResource() != test.resource || !strings.Contains(state.GetDetail(), test.detail) {
				t.Errorf("got %v, want holder %v, resource %v and %q", state, test.holder, test.resource, test.detail)
			}
			if isGone := gone(state); isGone == (state.GetPresence() == curfewv1.Presence_PRESENCE_PRESENT) {
				t.Errorf("got %v, want it held unless holder or group are gone", state)
			}
			o.Hold(p, "member", false)
			before := o.Changes()
			granted, err := s.Grant(t.Context(), p)
			strange := strings.Contains(state.GetDetail(), "another address") || gone(state)
			if err != nil || strange != (granted.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE) || strange != (o.Changes() == before) {
				t.Errorf("grant: got %v, %v and %d changes, want nothing given: %v", granted, err, o.Changes()-before, strange)
			}
			if !gone(state) {
				o.Hold(p, "member", true)
			}
			revoked, err := s.Revoke(t.Context(), p, nil)
			if want := gone(state); err != nil || want != (revoked.GetOutcome() == curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE) {
				t.Errorf("revoke: got %v, %v, want gone: %v", revoked, err, want)
			}
		})
	}
}

// A member from outside is no account of the Workspace, and is taken out all the same.
func TestMemberFromOutside(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	p := inGroup("1777", "", "")
	o.Hold(p, "member", true)
	if state := read(t, s, p); state.GetPresence() != curfewv1.Presence_PRESENCE_PRESENT || state.GetHolder() != curfewv1.Presence_PRESENCE_UNSPECIFIED {
		t.Errorf("got %v, want a member that is no account", state)
	}
	if revoked, err := s.Revoke(t.Context(), p, nil); err != nil || revoked.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
		t.Errorf("revoke: got %v, %v", revoked, err)
	}
}

// A grant lowers nobody, and a revocation leaves alone what somebody else has changed since.
func TestLevels(t *testing.T) {
	for _, test := range []struct{ prior, wanted, since, granted, revoked string }{
		{"", "member", "", "member", ""},
		{"member", "manager", "", "manager", "member"},
		{"manager", "owner", "", "owner", "manager"},
		{"owner", "member", "", "owner", "owner"},
		{"owner", "", "", "owner", "owner"},
		{"member", "manager", "owner", "manager", "owner"},
		{"member", "manager", "gone", "manager", ""},
		{"", "member", "owner", "member", ""},
	} {
		o := newOrganisation(0, "invented")
		s := at(t, o)
		p := inGroup(anna, "anna@example.com", test.wanted)
		o.Hold(p, test.prior, test.prior != "")
		prior := read(t, s, p)
		if _, err := s.Grant(t.Context(), p); err != nil {
			t.Errorf("%+v: grant: %v", test, err)
		}
		if level, _ := o.Holds(p); level != test.granted {
			t.Errorf("%+v: got level %q when granted", test, level)
		}
		if test.since != "" {
			o.Hold(p, test.since, test.since != "gone")
		}
		if _, err := s.Revoke(t.Context(), p, prior); err != nil {
			t.Errorf("%+v: revoke: %v", test, err)
		}
		if level, _ := o.Holds(p); level != test.revoked {
			t.Errorf("%+v: got level %q when revoked", test, level)
		}
	}
}

func TestNativeExpiry(t *testing.T) {
	end := time.Now().Add(8 * time.Hour).Truncate(time.Second).UTC()
	native := func(c *Config) { c.NativeExpiry = true }
	expiry := func(o *organisation) time.Time {
		for _, m := range o.State().Members {
			if m.Member == anna {
				return m.Expires
			}
		}
		return time.Time{}
	}
	for _, test := range []struct {
		name, level string
		set         bool
		forbid      bool
		want        time.Time
	}{
		{"not asked for", "member", false, false, time.Time{}},
		{"set", "member", true, false, end},
		{"no member has one at another level", "manager", true, false, time.Time{}},
		{"refused", "member", true, true, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrganisation(0, "invented")
			s := at(t, o)
			if test.set {
				s = at(t, o, native)
			}
			if test.forbid {
				o.Google.Forbid("/v1/groups/")
			}
			p := inGroup(anna, "anna@example.com", test.level)
			p.ExpiresAt = timestamppb.New(end)
			granted, err := s.Grant(t.Context(), p)
			if err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE {
				t.Fatalf("got %v, %v", granted, err)
			}
			if got := expiry(o); !got.Equal(test.want) {
				t.Errorf("got an end at %v, want %v; calls %q", got, test.want, granted.GetCalls())
			}
			state := read(t, s, p)
			if got := state.GetExpiresAt(); (got != nil) != !test.want.IsZero() || got != nil && !got.AsTime().Equal(test.want) {
				t.Errorf("read: got an end at %v, want %v", got, test.want)
			}
			if test.forbid != strings.Contains(state.GetDetail(), "could not be read") || test.forbid != strings.Contains(fmt.Sprint(granted.GetCalls()), ":lookup: 403") {
				t.Errorf("got calls %q and detail %q, want them to tell of a refusal: %v", granted.GetCalls(), state.GetDetail(), test.forbid)
			}
		})
	}
	// What was there before gets no end; what had one gets it back with its level.
	o := newOrganisation(0, "invented")
	s := at(t, o, native)
	p := inGroup(anna, "anna@example.com", "")
	p.ExpiresAt = timestamppb.New(end)
	o.Hold(p, "member", true)
	if granted, err := s.Grant(t.Context(), p); err != nil || granted.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_ALREADY || !expiry(o).IsZero() {
		t.Errorf("there before: got %v, %v and an end at %v, want none", granted, err, expiry(o))
	}
	o.SetMember(fake.GoogleMember{Group: finance, Member: anna, Expires: end.Add(24 * time.Hour)})
	p.Level = "manager"
	prior := read(t, s, p)
	if _, err := s.Grant(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), p, prior); err != nil || !expiry(o).Equal(end.Add(24*time.Hour)) {
		t.Errorf("put back: got an end at %v, %v, want %v", expiry(o), err, end.Add(24*time.Hour))
	}
}

func TestEndSessions(t *testing.T) {
	o := newOrganisation(0, "invented")
	s := at(t, o)
	o.LetIn(fake.GoogleToken{User: anna, ClientID: mailMagic})
	o.LetIn(fake.GoogleToken{User: anna, ClientID: "anonymous"})
	o.LetIn(fake.GoogleToken{User: ben, ClientID: mailMagic})
	o.AddPassword(fake.GooglePassword{User: anna, CodeID: 7})
	ended, err := s.EndSessions(t.Context(), anna)
	if err != nil || ended.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_DONE || ended.GetResidual() == "" || len(ended.GetCalls()) != 6 {
		t.Errorf("got %v, %v, want six calls and what is left", ended, err)
	}
	if state := o.State(); o.SignOuts(anna) != 1 || len(state.Tokens) != 1 || len(state.Passwords) != 0 {
		t.Errorf("got %d sign-outs, tokens %v and passwords %v, want Ben's token left alone", o.SignOuts(anna), state.Tokens, state.Passwords)
	}
	if ended, err := s.EndSessions(t.Context(), "1777"); err != nil || ended.GetOutcome() != curfewv1.ProvisionOutcome_PROVISION_OUTCOME_GONE {
		t.Errorf("of nobody: got %v, %v, want GONE", ended, err)
	}
	// That one part is refused leaves no other open.
	o.LetIn(fake.GoogleToken{User: anna, ClientID: mailMagic})
	o.Google.Forbid("/admin/directory/v1/users/" + anna + "/asps")
	if ended, err := s.EndSessions(t.Context(), anna); err == nil || len(o.State().Tokens) != 1 {
		t.Errorf("a part refused: got %v, %v and tokens %v, want an error and the rest ended", ended, err, o.State().Tokens)
	}
	if _, err := s.EndSessions(t.Context(), "anna@example.com"); err == nil {
		t.Error("by e-mail: got no error, want one")
	}
}
