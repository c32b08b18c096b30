// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/temporal"
)

// Account is a person's account at a source.
type Account struct {
	// ID is the vendor's.
	ID string
	// Name is its address or what it signs in with; "" where neither is known.
	Name string
}

// Account is the one account that a person certainly has at a source at a moment, by identities.yaml and the inventories.
// Where there is none, or more than one, the error says in a sentence what would settle it.
func (j *Judge) Account(person, source string, at time.Time) (Account, error) {
	policy, _ := j.Policies(at)
	moment := temporal.Nanos(at)
	var found []Account
	var doubtful []string
	for _, link := range (belongings{policy.identities, j.Known, moment}).Links(person) {
		of, escaped, is := isAccount(link.Held)
		id, err := url.PathUnescape(escaped)
		switch {
		case !is || of != source || err != nil || moment < link.From || link.Until <= moment:
			continue
		case !policy.identities.people[strings.TrimPrefix(person, "person:")] && j.linked(link.Held, "", moment) == "":
			continue // only the directory knows such a person, and it shows none
		case link.Uncertain:
			doubtful = append(doubtful, id)
			continue
		}
		account, ok := j.identified(source, id, moment)
		if !ok {
			return Account{}, fmt.Errorf("%s gives %s the login %q at %s, and no inventory of people says whose id that is; write the id there", identitiesFile, person, id, source)
		}
		if !slices.ContainsFunc(found, func(other Account) bool { return other.ID == account.ID }) {
			found = append(found, account)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, account := range found {
			ids[i] = account.ID
		}
		return Account{}, fmt.Errorf("%s has more than one account at %s (%s), so it cannot be said which is to have it", person, source, strings.Join(ids, ", "))
	case len(doubtful) > 0:
		return Account{}, fmt.Errorf("it is not certain that account %s at %s is %s's; state it under accounts in %s", doubtful[0], source, person, identitiesFile)
	default:
		return Account{}, fmt.Errorf("no account of %s at %s is known; state it under accounts in %s, or let Curfew read the inventory of people there", person, source, identitiesFile)
	}
}

// identified is the account that an id, or on GitHub a login, stands for; ok is false for a login whose id nobody knows.
func (j *Judge) identified(source, id string, at int64) (account Account, ok bool) {
	if name := j.linked(temporal.Account(source, id), "email:", at); name != "" {
		return Account{ID: id, Name: name}, true
	}
	if source != "github" || strings.Trim(id, "0123456789") == "" {
		return Account{ID: id}, true
	}
	escaped := j.linked(temporal.Login(source, id), "account:"+source+"/", at)
	meant, err := url.PathUnescape(escaped)
	return Account{ID: meant, Name: id}, meant != "" && err == nil
}

// linked is what a name certainly held at a moment that begins with a prefix, without that; "" where it held nothing.
func (j *Judge) linked(name, prefix string, at int64) string {
	for _, link := range j.Known.Links(name) {
		held, is := strings.CutPrefix(link.Held, prefix)
		if is && !link.Uncertain && link.From <= at && at < link.Until {
			return held
		}
	}
	return ""
}
