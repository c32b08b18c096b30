// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/temporal"
	"github.com/curfewhq/curfew/internal/yamlfile"
)

// identities joins the accounts of one person. Two people are never merged on a guess: an e-mail or account that stands
// under two is refused, and an account that is joined to two belongs to nobody.
type identities struct {
	given     bool // there is an identities.yaml
	directory string
	people    map[string]bool
	emails    map[string]string          // folded -> person
	accounts  map[string]string          // "<source>/<id>" -> person
	addresses map[string][]string        // person -> folded e-mails
	stated    map[string][]temporal.Link // person -> accounts
}

type identitiesYAML struct {
	// Directory is the source whose accounts are people even where they are not listed.
	Directory string `yaml:"directory"`
	People    []struct {
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
	ids := &identities{
		given: content != nil, directory: file.Directory, people: map[string]bool{}, emails: map[string]string{}, accounts: map[string]string{},
		addresses: map[string][]string{}, stated: map[string][]temporal.Link{},
	}
	for i, person := range file.People {
		if person.ID == "" || person.ID != event.Escape(person.ID) || strings.ContainsAny(person.ID, "@:") {
			return nil, fmt.Errorf("read %s: person %d: id %q must be a short name without spaces, \"/\", \"@\" or \":\"; it stands in records that outlive the e-mail", identitiesFile, i+1, person.ID)
		}
		if ids.people[person.ID] {
			return nil, fmt.Errorf("read %s: id %q is there twice", identitiesFile, person.ID)
		}
		ids.people[person.ID] = true
		for _, email := range person.Emails {
			email = temporal.FoldEmail(strings.TrimSpace(email))
			if err := claim(ids.emails, email, person.ID, "e-mail"); err != nil {
				return nil, err
			}
			ids.addresses[person.ID] = append(ids.addresses[person.ID], email)
		}
		for _, source := range slices.Sorted(maps.Keys(person.Accounts)) {
			for _, id := range person.Accounts[source] {
				if err := claim(ids.accounts, source+"/"+id, person.ID, "account"); err != nil {
					return nil, err
				}
				ids.stated[person.ID] = append(ids.stated[person.ID], temporal.Link{
					Held: temporal.Account(source, id), From: temporal.Start, Until: temporal.End, Known: temporal.Start, Origin: identitiesFile,
				})
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

// knows is whether a person can have that id: where a directory makes people too, any can.
func (ids *identities) knows(person string) bool { return ids.people[person] || ids.directory != "" }

// byEmail is the person whose address it is by the file; "" where it is nobody's.
func (ids *identities) byEmail(email string) string { return ids.emails[temporal.FoldEmail(email)] }

// account is an account at a source, as an event names it.
type account struct {
	source, id, name, email string
	person                  bool // it can be a person's: it is no app's and no service's
}

// owner is whom an account belonged to.
type owner struct {
	person string   // "" = nobody known
	doubt  string   // why that is not certain, in a sentence; "" where it is
	others []string // with a doubt: who else it may have been, where that is known
	// The same holds for every moment in [from, until).
	from, until int64
}

// inquiry finds the owner of one account at one moment.
type inquiry struct {
	*identities
	known *temporal.Known
	at    int64
	owner
	conflict string
	claimed  []string // all who claimed it
}

// owner returns whom an account belonged to at a time. What the file says of the account comes first; then all else that
// joins it to a person must name the same one. GitHub's log names people by login more often than by id, so there the
// login counts as an account too, but for one of digits alone, which could be another's id. An e-mail says who a person
// is, and not who an app or a service is that carries one.
func (ids *identities) owner(a account, at int64, known *temporal.Known) owner {
	q := inquiry{identities: ids, known: known, at: at, owner: owner{from: temporal.Start, until: temporal.End}}
	if person, stated := ids.accounts[a.source+"/"+a.id]; stated && a.id != "" {
		q.person = person
		return q.owner
	}
	if person, stated := ids.accounts[a.source+"/"+a.name]; stated && a.source == "github" && strings.Trim(a.name, "0123456789") != "" {
		q.person = person
		return q.owner
	}
	if !a.person {
		return q.owner
	}
	if strings.Contains(a.id, "@") { // sources put an address there where a record has no id
		a.id, a.email = "", cmp.Or(a.email, a.id)
	}
	a.id = q.byLogin(a)
	if a.email != "" {
		q.through(temporal.Email(temporal.FoldEmail(a.email)), true)
	}
	if a.id != "" {
		if a.source == ids.directory {
			q.claim(q.inDirectory(a.id), true)
		}
		for _, name := range q.links(temporal.Account(a.source, a.id)) {
			q.through(name.Held, !name.Uncertain)
		}
	}
	since, awaited := known.Since(a.source, "people")
	switch {
	case q.conflict != "":
		q.person, q.doubt, q.others = "", "the account is joined to two people, "+q.conflict, q.claimed
	case q.person == "" && awaited && at < since:
		q.doubt, q.until = "whose account it was is not known: the first whole inventory of people came later", min(q.until, since)
	case q.person == "" && at >= known.Lost(a.source, "people"):
		q.doubt, q.from = "whose account it was is not known: a record of the inventory of people is missing", max(q.from, known.Lost(a.source, "people"))
	}
	return q.owner
}

// byLogin is the account's id; where the record says only the name that it signs in with, the id which that meant then.
func (q *inquiry) byLogin(a account) string {
	name := cmp.Or(a.name, a.id)
	if name == "" || a.id != "" && a.id != name || len(q.known.Links(temporal.Account(a.source, a.id))) > 0 {
		return a.id
	}
	for _, link := range q.links(temporal.Login(a.source, name)) {
		if _, id, is := isAccount(link.Held); is && !link.Uncertain {
			return id
		}
	}
	return a.id
}

// inDirectory is the person that an account of the directory was: the one whom the file names by the account or by an
// address that the directory vouches for, else one of its own; "" where the file gives that id to somebody else.
func (q *inquiry) inDirectory(id string) string {
	if person, stated := q.accounts[q.directory+"/"+id]; stated {
		return person
	}
	listed := ""
	for _, name := range q.links(temporal.Account(q.directory, id)) {
		email, is := strings.CutPrefix(name.Held, "email:")
		if person := q.emails[email]; is && person != "" && !name.Uncertain {
			if listed != "" && listed != person {
				return ""
			}
			listed = person
		}
	}
	if own := event.Escape(id); listed == "" && !q.people[own] {
		return own
	}
	return listed
}

// links is what a name held at the moment.
func (q *inquiry) links(name string) []temporal.Link {
	var held []temporal.Link
	for _, link := range q.known.Links(name) {
		for _, edge := range [2]int64{link.From, link.Until} {
			if edge <= q.at {
				q.from = max(q.from, edge)
			} else {
				q.until = min(q.until, edge)
			}
		}
		if link.From <= q.at && q.at < link.Until {
			held = append(held, link)
		}
	}
	return held
}

// through claims the account for those to whom an address, or an id elsewhere, belongs.
func (q *inquiry) through(name string, certain bool) {
	if email, is := strings.CutPrefix(name, "email:"); is {
		q.claim(q.emails[email], certain)
	}
	if q.directory == "" {
		return
	}
	if id, is := strings.CutPrefix(name, temporal.Elsewhere("saml:")); is && len(q.links(temporal.Account(q.directory, id))) > 0 {
		q.claim(q.inDirectory(id), certain) // the id by which the directory signs its people in
	}
	for _, link := range q.links(name) {
		if source, id, is := isAccount(link.Held); is && source == q.directory {
			q.claim(q.inDirectory(id), certain && !link.Uncertain)
		}
	}
}

func (q *inquiry) claim(person string, certain bool) {
	if person != "" && !slices.Contains(q.claimed, person) {
		q.claimed = append(q.claimed, person)
	}
	switch {
	case person == "":
	case q.person == "":
		q.person = person
		if !certain {
			q.doubt = "it is not certain that the account was person:" + person + "'s then"
		}
	case q.person != person:
		q.conflict = "person:" + q.person + " and person:" + person
	case certain:
		q.doubt = ""
	}
}

// belongings joins people to their accounts at one moment, as owner does, the other way round.
type belongings struct {
	*identities
	known *temporal.Known
	at    int64
}

// Links is the accounts of a person.
func (b belongings) Links(holder string) []temporal.Link {
	person, is := strings.CutPrefix(holder, "person:")
	if !is {
		return nil
	}
	links := slices.Clone(b.stated[person])
	asked := map[string]bool{}
	for _, link := range links {
		asked[link.Held] = true
	}
	// ask goes from a name to the accounts that hold it or ever held it.
	ask := func(name string) {
		for _, link := range b.known.Links(name) {
			source, id, is := isAccount(link.Held)
			if !is || asked[link.Held] {
				continue
			}
			asked[link.Held] = true
			o := b.owner(account{source: source, id: id, person: true}, b.at, b.known)
			joined := temporal.Link{Held: link.Held, From: o.from, Until: o.until, Known: link.Known, Origin: link.Origin, Uncertain: o.doubt != ""}
			if o.person != person {
				joined.Held = holder // gives nothing, and says for how long
			}
			links = append(links, joined)
		}
	}
	for _, email := range b.addresses[person] {
		ask(temporal.Email(email))
	}
	if b.directory == "" {
		return links
	}
	if own := temporal.Account(b.directory, person); !b.people[person] && !asked[own] {
		asked[own] = true
		o := b.owner(account{source: b.directory, id: person, person: true}, b.at, b.known)
		link := temporal.Link{Held: own, From: o.from, Until: o.until, Known: temporal.Start, Origin: identitiesFile, Uncertain: o.doubt != ""}
		if o.person != person {
			link.Held = holder // gives nothing, and says for how long
		}
		links = append(links, link)
	}
	for _, link := range slices.Clone(links) {
		if source, id, is := isAccount(link.Held); is && source == b.directory {
			ask(temporal.Elsewhere("saml:" + id))
			for _, name := range b.known.Links(link.Held) {
				ask(name.Held)
			}
		}
	}
	return links
}

func isAccount(name string) (source, id string, is bool) {
	rest, is := strings.CutPrefix(name, "account:")
	source, id, found := strings.Cut(rest, "/")
	return source, id, is && found
}
