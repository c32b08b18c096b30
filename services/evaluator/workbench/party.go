// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/services/evaluator/judge"
)

// party is everybody who holds the same, in one domain.
type party struct {
	dom      string
	subjects []subject
	old, new []*judge.Supposed // by moment
	asked    map[question]bool
	same     map[question]bool // what both policies answer at all moments, where they agree
	entries  map[entry]reason
}

// question is one put to both policies; without a class it is about all that the object holds.
type question struct{ object, class, act string }

// entry is one thing that is allowed by one policy alone, over some moments.
type entry struct {
	question
	span
}

// span is how, and over which moments.
type span struct {
	gain        bool
	first, last int
}

// reason is the row that makes the difference.
type reason struct {
	line   int  // 0 = none
	before bool // it stands in the old policy
	denies bool
}

// group puts everybody together who holds the same by both policies at each moment.
func (c *contrast) group() []*party {
	bySignature := map[string]*party{}
	var parties []*party
	for _, dom := range c.bothDoms() {
		for _, who := range c.everybody() {
			p := &party{dom: dom, asked: map[question]bool{}, same: map[question]bool{}, entries: map[entry]reason{}}
			var signature strings.Builder
			fmt.Fprintf(&signature, "%q", dom)
			for _, at := range c.moments {
				old, now := who.by(c.old.policy).suppose(c.old.policy, dom, at), who.by(c.new.policy).suppose(c.new.policy, dom, at)
				p.old, p.new = append(p.old, old), append(p.new, now)
				fmt.Fprintf(&signature, "|%q>%q", c.old.heldOf(old), c.new.heldOf(now))
			}
			if c.old.why != "" || c.new.why != "" {
				fmt.Fprintf(&signature, "%q", who) // the matcher may look at names themselves
			}
			known := bySignature[signature.String()]
			if known == nil {
				known = p
				bySignature[signature.String()] = p
				parties = append(parties, p)
			}
			known.subjects = append(known.subjects, who)
		}
	}
	return parties
}

// heldOf is what of somebody's holding rows are for.
func (s *sheet) heldOf(who *judge.Supposed) []string {
	var held []string
	for i := range who.Holding().Len() {
		if name, _ := who.Holding().At(i); s.bySub[name] != nil {
			held = append(held, name)
		}
	}
	slices.Sort(held)
	return held
}

// everybody is all whom either policy names, those whom none names, and those who hold a role.
func (c *contrast) everybody() []subject {
	var all []subject
	seen := map[subject]bool{}
	add := func(s subject) {
		if !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, s := range []*sheet{c.old, c.new} {
		for _, who := range subjects(s.policy) {
			add(who)
		}
	}
	for _, kind := range []string{"app:", "service:", "unknown:"} {
		add(subject{name: kind + fresh})
	}
	for _, s := range []*sheet{c.old, c.new} {
		for _, role := range s.policy.Roles() {
			add(subject{name: "person:" + fresh, holds: role})
		}
	}
	return all
}

func (c *contrast) bothDoms() []string {
	doms := c.doms(c.old.policy)
	for _, dom := range c.doms(c.new.policy) {
		if !slices.Contains(doms, dom) {
			doms = append(doms, dom)
		}
	}
	return doms
}

// by is who somebody is to a policy: a person whom identities.yaml does not list is an account that belongs to nobody.
func (s subject) by(policy *judge.Policy) subject {
	if id, person := strings.CutPrefix(s.name, "person:"); person && s.holds == "" && !policy.KnowsPerson(id) {
		return subject{name: "unknown:" + fresh}
	}
	return s
}
