// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// What holds of grants where grants.yaml does not say, or is not there.
const (
	// longestGrant is how long a grant may last: what is to last for more than a year is no exception any more.
	longestGrant = 365 * 24 * time.Hour
	answerWithin = 24 * time.Hour
	remindBefore = 30 * time.Minute
	reviewWithin = 24 * time.Hour
	// longestEmergency is how long what is taken in an emergency lasts.
	longestEmergency = time.Hour
)

// grants is grants.yaml with oncall.yaml. It is immutable.
type grants struct {
	defaults  bounds
	roles     map[string]roleTerms
	classes   map[string]bounds
	auto      []autoRule
	emergency *emergency
	shifts    []shift
}

// bounds is what one part of the file says; nil and "" where it says nothing.
type bounds struct {
	max, answerWithin, remindBefore *time.Duration
	approvals                       *uint32
	ticket, why, extend             *bool
	owner                           string
}

type roleTerms struct {
	bounds
	privileges []*curfewv1.HeldPrivilege
}

type autoRule struct {
	name        string
	roles       []string
	onCall      bool
	sensitivity *int
	max         *time.Duration
}

type emergency struct {
	roles             []string
	max, reviewWithin time.Duration
}

type shift struct {
	who         string
	from, until time.Time
}

// Terms is what the policy asks of a grant of a role.
type Terms struct {
	// Max is how long it may last in all; MaxBy what says so: "role:support", "class chd", "the defaults".
	Max   time.Duration
	MaxBy string
	// Approvals is how many persons have to say yes to a request.
	Approvals uint32
	// Ticket and Why are whether it needs them.
	Ticket, Why bool
	// Extend is whether its holder may ask for more time.
	Extend bool
	// AnswerWithin is how long a request waits, and RemindBefore how long before the end its holder is told.
	AnswerWithin, RemindBefore time.Duration
	// Owner is the person who does by hand what no API can, as "person:kim"; "" = none is named.
	Owner string
	// Privileges are what it stands for at SaaS, each without its holder. They must not be changed.
	Privileges []*curfewv1.HeldPrivilege
}

// Terms returns what the policy asks of a grant of a role: what stands under the role, else under the defaults, and of the
// classes that the role reaches the strictest. A role that nobody names has the defaults.
func (p *Policy) Terms(role string) Terms {
	t := Terms{
		Max: longestGrant, MaxBy: "the policy", Approvals: 1, Why: true, Extend: true, AnswerWithin: answerWithin, RemindBefore: remindBefore,
	}
	own := p.grants.roles[role]
	t.Privileges = own.privileges
	for _, part := range []struct {
		bounds
		name string
	}{{p.grants.defaults, "the defaults of " + grantsFile}, {own.bounds, role}} {
		if part.max != nil {
			t.Max, t.MaxBy = *part.max, part.name
		}
		set(&t.Approvals, part.approvals)
		set(&t.Ticket, part.ticket)
		set(&t.Why, part.why)
		set(&t.Extend, part.extend)
		set(&t.AnswerWithin, part.answerWithin)
		set(&t.RemindBefore, part.remindBefore)
		if part.owner != "" {
			t.Owner = part.owner
		}
	}
	for class, b := range p.reached(role, p.grants.classes) {
		if b.max != nil && (*b.max < t.Max || *b.max == t.Max && "class "+class < t.MaxBy) {
			t.Max, t.MaxBy = *b.max, "class "+class
		}
		if b.approvals != nil {
			t.Approvals = max(t.Approvals, *b.approvals)
		}
		t.Ticket = t.Ticket || b.ticket != nil && *b.ticket
		t.Why = t.Why || b.why != nil && *b.why
	}
	return t
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

// reached is those of some bounds whose class, or one under it, the role gives something about.
func (p *Policy) reached(role string, of map[string]bounds) map[string]bounds {
	if len(of) == 0 {
		return nil
	}
	reached := map[string]bounds{}
	for _, class := range p.Reaches(role) {
		for named, b := range of {
			if p.classes.within(class, named) {
				reached[named] = b
			}
		}
	}
	return reached
}

// Reaches is the classes of data about which a role gives anything, by rows for itself or for a role that it ever holds,
// sorted. Where the model names no subject or no class it may be any.
func (p *Policy) Reaches(role string) []string {
	held := map[string]bool{}
	p.climb(role, held)
	columns := p.enforcer.Columns()
	sub, class, effect := slices.Index(columns, "sub"), slices.Index(columns, "class"), slices.Index(columns, "eft")
	named := map[string]bool{}
	for _, r := range p.rows {
		if sub >= 0 && !held[r.fields[sub]] || effect >= 0 && r.fields[effect] == "deny" {
			continue
		}
		if class < 0 {
			return p.Classes()
		}
		named[r.fields[class]] = true
	}
	return slices.DeleteFunc(p.Classes(), func(id string) bool {
		for name := range named {
			if p.classes.within(id, name) {
				return false
			}
		}
		return true
	})
}

func (p *Policy) climb(name string, held map[string]bool) {
	if held[name] {
		return
	}
	held[name] = true
	for _, link := range p.links[name] {
		p.climb(link.Held, held)
	}
}

// Emergency is how long a role may be held that is taken in an emergency, and within what time after its end a person has
// to look at it; ok is false where it may not be taken so.
func (p *Policy) Emergency(role string) (longest, review time.Duration, ok bool) {
	e := p.grants.emergency
	if e == nil || !slices.Contains(e.roles, role) {
		return 0, 0, false
	}
	return e.max, e.reviewWithin, true
}

// EmergencyRoles are the roles that may be taken in an emergency.
func (p *Policy) EmergencyRoles() []string {
	if p.grants.emergency == nil {
		return nil
	}
	return slices.Clone(p.grants.emergency.roles)
}

// Answers is the name of the first rule that says yes to a person's own request, which would begin at a moment and last so
// long; "" where none does.
func (p *Policy) Answers(person, role string, from time.Time, length time.Duration) string {
	for _, rule := range p.grants.auto {
		switch {
		case !slices.Contains(rule.roles, role), rule.max != nil && length > *rule.max:
		case rule.onCall && p.onCall(person, from):
			return rule.name
		case rule.sensitivity != nil && p.sensitivityOf(role) <= *rule.sensitivity:
			return rule.name
		}
	}
	return ""
}

func (p *Policy) onCall(person string, at time.Time) bool {
	return slices.ContainsFunc(p.grants.shifts, func(s shift) bool {
		return s.who == person && !at.Before(s.from) && at.Before(s.until)
	})
}

// sensitivityOf is that of the most sensitive class that a role reaches.
func (p *Policy) sensitivityOf(role string) int {
	most := 0
	for _, class := range p.Reaches(role) {
		most = max(most, p.classes.sensitivity(class))
	}
	return most
}

// GrantRoles are the roles that grants.yaml names, sorted, for whoever looks whether there are such.
func (p *Policy) GrantRoles() []string {
	var roles []string
	for role := range p.grants.roles {
		roles = append(roles, role)
	}
	for _, rule := range p.grants.auto {
		roles = append(roles, rule.roles...)
	}
	roles = append(roles, p.EmergencyRoles()...)
	slices.Sort(roles)
	return slices.Compact(roles)
}

// Hold is a role's privileges as one holder has them, whom holder names at a source. An error names what is in the way.
func (t Terms) Hold(holder func(source string) (id, name string, err error)) ([]*curfewv1.HeldPrivilege, error) {
	var held []*curfewv1.HeldPrivilege
	for _, row := range t.Privileges {
		id, name, err := holder(row.GetPrivilege().GetSource())
		if err != nil {
			return nil, err
		}
		one := proto.CloneOf(row)
		one.Privilege.Holder, one.Privilege.HolderName = id, name
		held = append(held, one)
	}
	return held, nil
}

// asPerson is a person as rows name them, whether or not the kind was written.
func (p *Policy) asPerson(name string) (string, error) {
	id := strings.TrimPrefix(name, "person:")
	if id == "" || strings.Contains(id, ":") || !p.KnowsPerson(id) {
		return "", fmt.Errorf("nobody in %s has the id %q", identitiesFile, id)
	}
	return "person:" + id, nil
}
