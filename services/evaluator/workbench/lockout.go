// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/catalog"
	"github.com/curfewhq/curfew/internal/temporal"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// The act of changing the policy, as it is judged.
const (
	policyPath = "api/policy"
	administer = "administer"
	adminClass = "admin"
)

// LockedOut is an error where a policy leaves nobody, no person, service or group, who may administer the policy itself:
// nobody could then change it through the API any more. It asks for now and for later, when every row that ends has ended.
func (b Bench) LockedOut(policy *judge.Policy) error {
	// Whom to try first: it may, mostly, and then the rows need not be read through.
	who := []subject{{name: "service:admin"}}
	for _, at := range []time.Time{b.Now, later} {
		if b.hasAdministrator(policy, who, at) {
			continue
		}
		if len(who) == 1 {
			who = append(who, subjects(policy)...)
		}
		if b.hasAdministrator(policy, who, at) {
			continue
		}
		when := ""
		if at.Equal(later) {
			when = ", once the rows that end have ended,"
		}
		return fmt.Errorf("the policy would lock every administrator out: nobody may%s %s class %s on %s/%s, so nobody could change it again; add a row such as: p, service:admin, *, %s/api/*, %s, *, allow",
			when, administer, adminClass, judge.Self, policyPath, judge.Self, adminClass)
	}
	return nil
}

// later is when whatever ends has ended.
var later = time.Date(2249, 1, 1, 0, 0, 0, 0, time.UTC)

// doms are the domains to ask in.
func (b Bench) doms(policy *judge.Policy) []string {
	if b.Tenant != "" {
		return []string{b.Tenant}
	}
	doms := []string{fresh}
	column := slices.Index(policy.Columns(), "dom")
	for _, stated := range policy.Stated() {
		if stated.Kind != "p" || column < 0 || stated.Fields[column] == "*" {
			continue
		}
		if dom := strings.ReplaceAll(stated.Fields[column], "*", fresh); !slices.Contains(doms, dom) {
			doms = append(doms, dom)
		}
	}
	return doms
}

// hasAdministrator is whether one of some may administer the policy, in one of the domains.
func (b Bench) hasAdministrator(policy *judge.Policy, among []subject, at time.Time) bool {
	e := &curfewv1.Event{Source: judge.Self, Resource: &curfewv1.Resource{Path: policyPath, Kind: "api"}}
	classes := policy.ClassesOf(e, catalog.Action{Act: administer, Class: adminClass})
	for _, dom := range b.doms(policy) {
		for _, who := range among {
			if strings.HasPrefix(who.name, "unknown:") || strings.HasPrefix(who.name, "app:") {
				continue
			}
			s := who.suppose(policy, dom, at)
			if !slices.ContainsFunc(classes, func(class string) bool {
				answer, err := s.Ask(judge.Object(e), class, administer)
				return err != nil || !answer.Allowed
			}) {
				return true
			}
		}
	}
	return false
}

// subject is somebody whose rights are looked at: one who has a name, or anybody who holds something.
type subject struct {
	name  string // as the policy names who acts
	holds string // what they are supposed to hold besides; "" = nothing
}

// String is who it is, to be read.
func (s subject) String() string {
	kind, id, _ := strings.Cut(s.name, ":")
	switch {
	case isRole(s.holds):
		return "whoever holds " + s.holds
	case s.holds != "":
		return "whoever is in " + s.holds
	case id == fresh && kind == "unknown":
		return "an account that belongs to nobody known"
	case id == fresh:
		return "any other " + kind
	default:
		return s.name
	}
}

func (s subject) suppose(policy *judge.Policy, dom string, at time.Time) *judge.Supposed {
	if s.holds == "" {
		return policy.Suppose(s.name, dom, at)
	}
	return policy.Suppose(s.name, dom, at, given{s.name: {{Held: s.holds, From: temporal.Start, Until: temporal.End, Known: temporal.Start}}})
}

// given is links by holder.
type given map[string][]temporal.Link

// Links are those of a holder.
func (g given) Links(holder string) []temporal.Link { return g[holder] }

// subjects is everybody whom a policy names or lists, and anybody in each group that it names.
func subjects(policy *judge.Policy) []subject {
	var all []subject
	seen := map[subject]bool{}
	add := func(s subject) {
		if !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, id := range policy.People() {
		add(subject{name: "person:" + id})
	}
	if policy.KnowsPerson(fresh) {
		add(subject{name: "person:" + fresh})
	}
	column := slices.Index(policy.Columns(), "sub")
	for _, stated := range policy.Stated() {
		name := stated.Fields[0]
		if stated.Kind == "p" {
			if column < 0 {
				continue
			}
			name = stated.Fields[column]
		}
		switch kind, _, _ := strings.Cut(name, ":"); kind {
		case "person", "app", "service", "unknown":
			add(subject{name: name})
		case "group", "privilege":
			add(subject{name: "person:" + fresh, holds: name})
		case "scope":
			add(subject{name: "app:" + fresh, holds: name})
		}
	}
	return all
}
