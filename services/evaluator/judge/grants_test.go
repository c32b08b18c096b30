// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/curfewhq/curfew/internal/inventory"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const grantRows = `p, role:anyone, *, *, level:low, *, allow
p, role:support, *, *, customer, read, allow
p, role:cards, *, *, payment, read, allow
p, role:cards, *, *, special, read, deny
p, role:reader, *, *, behavioural, read, allow
p, role:root, *, *, *, *, allow
g, role:lead, role:cards
`

func TestTermsOfARole(t *testing.T) {
	p, err := makePolicy(t, policyFile, grantRows, grantsFile, `defaults: {max: 2d, answer_within: 12h, remind_before: 10m, owner: person:kim, why: optional}
roles:
  role:support: {max: 8h, approvals: 2, ticket: optional, extend: false, owner: ann}
  role:lead: {max: 30m, approvals: 3}
  role:reader:
    privileges:
      - {source: okta, kind: group, resource: 00g1, resource_name: Readers}
      - {source: github, kind: team, resource: "7", level: maintainer, sessions: keep}
classes:
  chd: {max: 1h, approvals: 2, ticket: required, why: required}
  pii.contact: {max: 10h}
`)
	if err != nil {
		t.Fatal(err)
	}
	def := Terms{Max: 48 * time.Hour, MaxBy: "the defaults of grants.yaml", Approvals: 1, Extend: true, AnswerWithin: 12 * time.Hour, RemindBefore: 10 * time.Minute, Owner: "person:kim"}
	with := func(change func(*Terms)) Terms {
		terms := def
		change(&terms)
		return terms
	}
	for role, want := range map[string]Terms{
		"role:nobody": def,
		"role:support": with(func(t *Terms) {
			t.Max, t.MaxBy, t.Approvals, t.Extend, t.Owner = 8*time.Hour, "role:support", 2, false, "person:ann"
		}),
		"role:cards": with(func(t *Terms) { t.Max, t.MaxBy, t.Approvals, t.Ticket, t.Why = time.Hour, "class chd", 2, true, true }),
		"role:lead": with(func(t *Terms) {
			t.Max, t.MaxBy, t.Approvals, t.Ticket, t.Why = 30*time.Minute, "role:lead", 3, true, true
		}),
		"role:root": with(func(t *Terms) { t.Max, t.MaxBy, t.Approvals, t.Ticket, t.Why = time.Hour, "class chd", 2, true, true }),
		"role:reader": with(func(t *Terms) {
			t.Privileges = []*curfewv1.HeldPrivilege{
				{Privilege: &curfewv1.Privilege{Source: "okta", Kind: "group", Resource: "00g1", ResourceName: "Readers"}},
				{Privilege: &curfewv1.Privilege{Source: "github", Kind: "team", Resource: "7", Level: "maintainer"}, KeepSessions: true},
			}
		}),
	} {
		if diff := cmp.Diff(want, p.Terms(role), protocmp.Transform()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", role, diff)
		}
	}
	bare, err := makePolicy(t, policyFile, grantRows)
	if err != nil {
		t.Fatal(err)
	}
	want := Terms{Max: 365 * 24 * time.Hour, MaxBy: "the policy", Approvals: 1, Why: true, Extend: true, AnswerWithin: 24 * time.Hour, RemindBefore: 30 * time.Minute}
	if diff := cmp.Diff(want, bare.Terms("role:cards")); diff != "" {
		t.Errorf("without the file: (-want +got)\n%s", diff)
	}
	if _, _, ok := bare.Emergency("role:cards"); ok || bare.Answers("person:ann", "role:reader", morning, time.Minute) != "" {
		t.Error("without the file nothing is answered by a rule, and nothing taken")
	}
}

func TestRulesThatAnswer(t *testing.T) {
	p, err := makePolicy(t, policyFile, grantRows, onCallFile, "shifts: [{who: ann, from: 2026-11-02T08:00:00Z, until: 2026-11-02T20:00:00+01:00}]\n", grantsFile, `auto:
  - {name: on-call, roles: [role:support, role:reader], on_call: oncall.yaml, max: 2h}
  - {name: low, roles: [role:reader, role:support], sensitivity: 2}
break_glass: {roles: [role:support]}
`)
	if err != nil {
		t.Fatal(err)
	}
	evening := time.Date(2026, 11, 2, 19, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, who, role string
		at              time.Time
		length          time.Duration
		want            string
	}{
		{"on call", "person:ann", "role:support", morning, time.Hour, "on-call"},
		{"on call, the first rule", "person:ann", "role:reader", morning, time.Hour, "on-call"},
		{"on call, too long", "person:ann", "role:support", morning, 3 * time.Hour, ""},
		{"on call, longer, by another rule", "person:ann", "role:reader", morning, 3 * time.Hour, "low"},
		{"as the shift ends", "person:ann", "role:support", evening, time.Hour, ""},
		{"a moment before", "person:ann", "role:support", evening.Add(-time.Second), time.Hour, "on-call"},
		{"another person", "person:ben", "role:support", morning, time.Hour, ""},
		{"low", "person:ben", "role:reader", morning, time.Hour, "low"},
		{"another role", "person:ann", "role:cards", morning, time.Hour, ""},
	} {
		if got := p.Answers(c.who, c.role, c.at, c.length); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if longest, review, ok := p.Emergency("role:support"); !ok || longest != time.Hour || review != 24*time.Hour {
		t.Errorf("emergency: got %v, %v, %v", longest, review, ok)
	}
}

func TestGrantFilesThatCannotBe(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"a mistyped key", grantsFile, "default: {max: 1h}\n", `read grants.yaml: line 1: unknown key "default"`},
		{"a mistyped key of a role", grantsFile, "roles:\n  role:a:\n    maxi: 1h\n", `read grants.yaml: line 3: unknown key "maxi"`},
		{"a length that is none", grantsFile, "defaults:\n  approvals: 1\n  max: soon\n", `read grants.yaml: line 3: max "soon" is no length of time; write 45m, 2h45m or 7d`},
		{"a number", grantsFile, "defaults: {max: 90}\n", `line 1: max "90" is no length of time`},
		{"nothing", grantsFile, "defaults: {max: 0s}\n", `line 1: max "0s" is no length of time`},
		{"negative", grantsFile, "defaults: {remind_before: -1h}\n", `remind_before "-1h" is no length of time`},
		{"more than a year", grantsFile, "roles:\n  role:a: {max: 366d}\n", "line 2: max is 366d, and can be 365d at most"},
		{"no approvals", grantsFile, "roles:\n  role:a: {approvals: 0}\n", `line 2: approvals is "0", and must be 1 to 10`},
		{"a ticket that is a wish", grantsFile, "defaults: {ticket: yes}\n", `line 1: ticket is required or optional, and not "yes"`},
		{"no role", grantsFile, "roles:\n  support: {max: 1h}\n", `line 2: "support" is no role; write role:<name>`},
		{"no class", grantsFile, "classes:\n  cards: {max: 1h}\n", `line 2: class "cards" is not known`},
		{"an owner nobody knows", grantsFile, "defaults: {owner: person:bob}\n", `line 1: owner: nobody in identities.yaml has the id "bob"`},
		{"a privilege of nothing", grantsFile, "roles:\n  role:a:\n    privileges:\n      - {source: okta, kind: group}\n", "line 4: the privilege has no resource"},
		{"sessions that are", grantsFile, "roles:\n  role:a: {privileges: [{source: okta, kind: group, resource: x, sessions: yes}]}\n", `sessions is keep or end, and not "yes"`},
		{"a rule without a name", grantsFile, "auto:\n  - {roles: [role:a], sensitivity: 1}\n", `line 2: the rule's name "" must be a short name`},
		{"two rules of a name", grantsFile, "auto:\n  - {name: a, roles: [role:a], sensitivity: 1}\n  - {name: a, roles: [role:a], sensitivity: 1}\n", `line 3: a rule called "a" is there twice`},
		{"a rule for nothing", grantsFile, "auto:\n  - {name: a, sensitivity: 1}\n", `line 2: rule "a" names no roles`},
		{"a rule by nothing", grantsFile, "auto:\n  - {name: a, roles: [role:a]}\n", "needs either on_call or sensitivity"},
		{"a rule by both", grantsFile, "auto:\n  - {name: a, roles: [role:a], sensitivity: 1, on_call: oncall.yaml}\n", "needs either on_call or sensitivity"},
		{"a schedule elsewhere", grantsFile, "auto:\n  - {name: a, roles: [role:a], on_call: ../x.yaml}\n", "the schedule is called oncall.yaml"},
		{"a schedule that is not there", grantsFile, "auto:\n  - {name: a, roles: [role:a], on_call: oncall.yaml}\n", "there is none in the policy folder"},
		{"a rule for what is sensitive", grantsFile, "auto:\n  - {name: a, roles: [role:a], sensitivity: 3}\n", "sensitivity is 3, and can be 0 to 2"},
		{"glass of nothing", grantsFile, "break_glass: {max: 1h}\n", "line 1: break_glass names no roles"},
		{"a shift of nobody", onCallFile, "shifts:\n  - {who: bob, from: 2026-11-02T08:00:00Z, until: 2026-11-03T08:00:00Z}\n", `read oncall.yaml: line 2: who: nobody in identities.yaml has the id "bob"`},
		{"a shift without an end", onCallFile, "shifts:\n  - {who: ann, from: 2026-11-02T08:00:00Z}\n", `line 2: until "" is no time`},
		{"a shift that ends before", onCallFile, "shifts:\n  - {who: ann, from: 2026-11-02T08:00:00Z, until: 2026-11-01T08:00:00Z}\n", "line 2: the shift ends at"},
	} {
		_, err := makePolicy(t, policyFile, grantRows, identitiesFile, "people: [{id: ann}]\n", c.file, c.content)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q in one line", c.name, err, c.want)
		}
	}
}

func TestWhichAccountHasIt(t *testing.T) {
	d := &directory{t: t, fold: temporal.NewFold(), states: map[string]*inventory.State{}}
	d.read("okta", morning, &curfewv1.Account{Id: "00uann", Login: "ann@example.com", Emails: []string{"ann@example.com"}}, &curfewv1.Account{Id: "00ueve", Emails: []string{"eve@example.com"}}, &curfewv1.Account{Id: "00ueve2", Emails: []string{"eve@corp.example.com"}})
	d.read("github", morning, &curfewv1.Account{Id: "101", Login: "Ann-Linden"})
	p, err := makePolicy(t, policyFile, grantRows, identitiesFile, `people:
  - {id: ann, emails: [ann@example.com], accounts: {github: [ann-linden]}}
  - {id: bob, accounts: {github: [bob-linden], slack: [U1]}}
  - {id: eve, emails: [eve@example.com, eve@corp.example.com]}
`)
	if err != nil {
		t.Fatal(err)
	}
	j := &Judge{Policies: func(time.Time) (*Policy, time.Time) { return p, time.Time{} }, Known: d.fold.Known()}
	for _, c := range []struct {
		person, source string
		want           Account
		err            string
	}{
		{"person:ann", "okta", Account{"00uann", "ann@example.com"}, ""},
		{"person:ann", "github", Account{"101", "ann-linden"}, ""},
		{"person:bob", "github", Account{}, `gives person:bob the login "bob-linden" at github, and no inventory of people says whose id that is`},
		{"person:bob", "slack", Account{"U1", ""}, ""},
		{"person:bob", "okta", Account{}, "no account of person:bob at okta is known"},
		{"person:eve", "okta", Account{}, "person:eve has more than one account at okta (00ueve, 00ueve2)"},
	} {
		got, err := j.Account(c.person, c.source, morning.Add(time.Hour))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s at %s: got %+v, %v, want %+v, %q", c.person, c.source, got, err, c.want, c.err)
		}
	}
}
