// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package evaluator

import (
	"fmt"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/yamlfile"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// identities joins the accounts of one person. Two people are never merged on a guess: an e-mail or account that stands
// under two is refused.
type identities struct {
	stated   bool // there is an identities.yaml
	people   map[string]bool
	emails   map[string]string // lower case -> person
	accounts map[string]string // "<source>/<id>" -> person
}

type identitiesYAML struct {
	People []struct {
		ID       string              `yaml:"id"`
		Emails   []string            `yaml:"emails"`
		Accounts map[string][]string `yaml:"accounts"`
	} `yaml:"people"`
}

func readIdentities(content []byte) (*identities, error) {
	var file identitiesYAML
	if err := yamlfile.Decode(identitiesFile, content, &file); err != nil {
		return nil, err
	}
	ids := &identities{stated: content != nil, people: map[string]bool{}, emails: map[string]string{}, accounts: map[string]string{}}
	for i, person := range file.People {
		if person.ID == "" || person.ID != event.Escape(person.ID) || strings.ContainsAny(person.ID, "@:") {
			return nil, fmt.Errorf("read %s: person %d: id %q must be a short name without spaces, \"/\", \"@\" or \":\"; it stands in records that outlive the e-mail", identitiesFile, i+1, person.ID)
		}
		if ids.people[person.ID] {
			return nil, fmt.Errorf("read %s: id %q is there twice", identitiesFile, person.ID)
		}
		ids.people[person.ID] = true
		for _, email := range person.Emails {
			if err := claim(ids.emails, foldEmail(strings.TrimSpace(email)), person.ID, "e-mail"); err != nil {
				return nil, err
			}
		}
		for source, accounts := range person.Accounts {
			for _, account := range accounts {
				if err := claim(ids.accounts, source+"/"+account, person.ID, "account"); err != nil {
					return nil, err
				}
			}
		}
	}
	return ids, nil
}

func claim(owners map[string]string, key, person, what string) error {
	if owner, taken := owners[key]; taken && owner != person {
		return fmt.Errorf("read %s: %s %q stands under %q and under %q; it can be one person's only", identitiesFile, what, key, owner, person)
	}
	owners[key] = person
	return nil
}

// knows is whether a person has that id.
func (ids *identities) knows(person string) bool { return ids.people[person] }

// person returns who an account belongs to. GitHub's log names people by login more often than by id, so there the
// login counts as an account too, but for one of digits alone, which could be another's id. An e-mail says who a person
// is, and not who an app or a service is that carries one.
func (ids *identities) person(source string, actor *curfewv1.Actor) (person string, known bool) {
	if actor.GetId() != "" {
		if person, known = ids.accounts[source+"/"+actor.GetId()]; known {
			return person, true
		}
	}
	if source == "github" && strings.Trim(actor.GetName(), "0123456789") != "" {
		if person, known = ids.accounts[source+"/"+actor.GetName()]; known {
			return person, true
		}
	}
	if actor.GetType() == curfewv1.ActorType_ACTOR_TYPE_APP || actor.GetType() == curfewv1.ActorType_ACTOR_TYPE_SERVICE {
		return "", false
	}
	return ids.byEmail(actor.GetEmail())
}

// foldEmail makes the case of ASCII letters not count, and of no others: to fold all would make a letter that only looks
// like another the same (U+212A, the Kelvin sign, folds to k).
func foldEmail(email string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}

func (ids *identities) byEmail(email string) (person string, known bool) {
	if email == "" {
		return "", false
	}
	person, known = ids.emails[foldEmail(email)]
	return person, known
}
