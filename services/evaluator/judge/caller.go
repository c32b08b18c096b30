// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
)

// CallerByEmail is the person whose address it is at a moment, by the policy in force then. Without one, or where that is
// not certain, person is "" and why says so in a sentence.
func (j *Judge) CallerByEmail(email string, at time.Time) (person, why string) {
	policy, _ := j.Policies(at)
	o := policy.identities.owner(account{source: Self, email: email, person: true}, temporal.Nanos(at), j.Known)
	switch {
	case o.doubt != "":
		return "", o.doubt
	case o.person == "":
		return "", "it is nobody's address, by identities.yaml or the directory"
	}
	return o.person, ""
}

// CallerByAccount is the person whose account it is at a moment, by the policy in force then. An account is a person's where
// identities.yaml states it, or where the directory signs that person in there; an e-mail that both carry proves nothing.
// Without one, or where that is not certain, person is "" and why says so in a sentence.
func (j *Judge) CallerByAccount(source, id string, at time.Time) (person, why string) {
	policy, _ := j.Policies(at)
	ids := policy.identities
	if person := ids.accounts[source+"/"+id]; person != "" {
		return person, ""
	}
	q := inquiry{identities: ids, known: j.Known, at: temporal.Nanos(at)}
	for _, name := range q.links(temporal.Account(source, id)) {
		if strings.HasPrefix(name.Held, temporal.Elsewhere("saml:")) {
			q.through(name.Held, !name.Uncertain)
		}
	}
	switch {
	case q.conflict != "":
		return "", "it is joined to two people, " + q.conflict
	case q.doubt != "":
		return "", q.doubt
	case q.person == "":
		return "", "it is nobody's by " + identitiesFile
	}
	return q.person, ""
}

// Contact is an account of a person where they can be told something.
type Contact struct {
	// System is a source, or "email".
	System string
	// ID there: the vendor's, or the address.
	ID string
}

// Contacts are the accounts of a person at some systems at a moment, as far as they are certain, and their addresses, sorted.
func (j *Judge) Contacts(person string, systems []string, at time.Time) (all []Contact) {
	policy, _ := j.Policies(at)
	ids, moment := policy.identities, temporal.Nanos(at)
	for _, link := range (belongings{ids, j.Known, moment}).Links("person:" + person) {
		source, escaped, is := isAccount(link.Held)
		id, err := url.PathUnescape(escaped)
		if is && err == nil && !link.Uncertain && slices.Contains(systems, source) && link.From <= moment && moment < link.Until {
			all = append(all, Contact{source, id})
		}
	}
	for _, email := range ids.addresses[person] {
		all = append(all, Contact{"email", email})
	}
	slices.SortFunc(all, func(a, b Contact) int {
		return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.ID, b.ID))
	})
	return slices.Compact(all)
}

// Caller is what a policy and the inventories say of a person who calls.
type Caller struct {
	// Known is whether somebody has that id.
	Known bool
	// Directory is the source whose accounts are people; "" = there is none.
	Directory string
	// Accounts are the person's in the directory, escaped, each an id or what it signs in with.
	Accounts []string
	// Lost is whether an account of the directory was theirs and is no longer.
	Lost bool
}

// Caller is what is known of a person at a moment.
func (j *Judge) Caller(person string, at time.Time) Caller {
	policy, _ := j.Policies(at)
	ids, moment := policy.identities, temporal.Nanos(at)
	c := Caller{Known: IsPersonID(person) && policy.KnowsPerson(person), Directory: ids.directory}
	if c.Directory == "" {
		return c
	}
	for _, link := range (belongings{ids, j.Known, moment}).Links("person:" + person) {
		source, id, is := isAccount(link.Held)
		if is && source == c.Directory && link.From <= moment && moment < link.Until && !slices.Contains(c.Accounts, id) {
			c.Accounts = append(c.Accounts, id)
		}
	}
	if own := event.Escape(person); !ids.people[person] && !slices.Contains(c.Accounts, own) {
		c.Accounts = append(c.Accounts, own) // who is known by the directory alone has no other name
	}
	for _, email := range ids.addresses[person] {
		for _, link := range j.Known.Links(temporal.Email(email)) {
			source, id, is := isAccount(link.Held)
			c.Lost = c.Lost || is && source == c.Directory && link.Until <= moment && !slices.Contains(c.Accounts, id)
		}
	}
	return c
}

// IsPersonID is whether a text can be a person's id: a short name without spaces, "/", "@" or ":".
func IsPersonID(id string) bool {
	return id != "" && len(id) <= maxText && id == event.Escape(id) && !strings.ContainsAny(id, "@:")
}
