// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxMissing bounds how many missing parts are named one by one.
	maxMissing = 1000
	// maxBroken is how many parts in a row may break before the rest is not asked for: Microsoft is away then.
	maxBroken = 3
)

// Kinds is all there is.
func (s *Source) Kinds() []string {
	return []string{"people", "groups", "memberships", "roles", "apps", "tokens"}
}

// Observe reads everything of a kind from Graph, one request after the other.
//
// People are all accounts but the deleted ones; whether they enrolled a second factor, and when they last signed in, takes
// further permissions and plans and is not read. Memberships are those of users, groups and apps in every group, as member
// and as owner, each in its own right. Roles are directory roles, those that have to be activated first as pending; without
// Entra ID P2 there are no such roles and no ends. Apps are what was consented to: delegated permissions by client, person
// (or everybody) and API, and application permissions of apps that Microsoft does not make by client and API. Tokens are
// secrets and certificates of apps.
//
// Lists are read by Graph's own links. What appears or vanishes while they are read may or may not be shown. What is
// refused is missing and the rest is read; what breaks is asked for again, and missing only then.
func (s *Source) Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error) {
	read := map[string]func(*survey, context.Context) error{
		"people": (*survey).people, "groups": (*survey).groups, "memberships": (*survey).memberships,
		"roles": (*survey).roles, "apps": (*survey).apps, "tokens": (*survey).tokens,
	}[kind]
	if read == nil {
		return nil, fmt.Errorf("observe m365: there is no kind %q; there are %s", event.Clean(kind), strings.Join(s.Kinds(), ", "))
	}
	survey := &survey{
		source: s, seen: map[string]bool{},
		inventory: &curfewv1.Inventory{Source: source, Kind: kind, Began: timestamppb.New(s.client.Now())},
	}
	err := read(survey, ctx)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("observe m365 %s: %w", kind, ctx.Err())
	case len(survey.inventory.Entries) > 0 && err != nil:
		survey.note("the rest", err)
	case err != nil:
		return nil, fmt.Errorf("observe m365 %s: %w", kind, err)
	case len(survey.inventory.Entries) == 0 && len(survey.inventory.Missing) > 0:
		return nil, fmt.Errorf("observe m365 %s: nothing could be read: %s", kind, survey.inventory.Missing[0])
	}
	if survey.unnamed > 0 {
		survey.inventory.Missing = append(survey.inventory.Missing, fmt.Sprintf("%d more parts", survey.unnamed))
	}
	survey.inventory.Ended = timestamppb.New(s.client.Now())
	return survey.inventory, nil
}

// survey is one Observe on its way. It keeps the entries and their keys, and no page.
type survey struct {
	source    *Source
	inventory *curfewv1.Inventory
	seen      map[string]bool
	unnamed   int // missing parts that are not named
	broken    int // parts in a row that broke
}

// errAway ends a survey early: what it has is kept, and the rest is missing.
var errAway = errors.New("not asked for: microsoft did not answer several times in a row")

// errNoID is for an entry without the one thing that names it.
var errNoID = errors.New("one entry has no id")

// add adds an entry, once: a list that shifts while it is read may show a thing twice.
func (v *survey) add(key string, entry *curfewv1.Entry) {
	if v.seen[key] {
		return
	}
	v.seen[key] = true
	entry.Key = key
	v.inventory.Entries = append(v.inventory.Entries, entry)
}

// lack notes that a part could not be read. It returns an error where the survey is to end: the context's own, or errAway.
// A part of something that has vanished since it was listed, by Graph's own word, is not missing: it is not there.
func (v *survey) lack(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isMissing(err):
		return nil
	}
	return v.gap(what, err)
}

// gap is lack for what is there, whatever Graph says of its parts.
func (v *survey) gap(what string, err error) error {
	v.note(what, err)
	if isRefusal(err) {
		v.broken = 0
		return nil
	}
	if v.broken++; v.broken >= maxBroken {
		return errAway
	}
	return nil
}

func (v *survey) note(what string, err error) {
	if len(v.inventory.Missing) >= maxMissing {
		v.unnamed++
		return
	}
	v.inventory.Missing = append(v.inventory.Missing, event.Clean(what+": "+err.Error()))
}

// whole takes the error that ended the main list of a part: what is refused is missing and other parts are read; what broke
// ends the survey.
func (v *survey) whole(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isRefusal(err):
		v.note(what, err)
		return nil
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// list reads every page of a list and gives each entry to each. An entry that is not as it is documented is noted as
// missing from what. An error of each ends it.
func list[T any](ctx context.Context, v *survey, right right, path, what string, each func(*T) error) error {
	for taken := (turns{}); path != ""; {
		if err := taken.take(path); err != nil {
			return err
		}
		answer, err := v.source.readPatiently(ctx, right, path)
		if err != nil {
			return err
		}
		v.broken = 0
		page, next, astray := v.source.entries(path, answer)
		for _, raw := range page {
			entry := new(T)
			if err := json.Unmarshal(raw, entry); err != nil {
				v.note(what, errors.New("one entry is not as it is documented"))
				continue
			}
			if err := each(entry); err != nil {
				return err
			}
		}
		if astray != nil {
			return astray
		}
		path = next
	}
	return nil
}

// people reads every account.
func (v *survey) people(ctx context.Context) error {
	err := list(ctx, v, readsUsers, v.source.topped("/v1.0/users?"+userFields), "people", func(u *user) error {
		if u.ID == "" {
			v.note("people", errNoID)
			return nil
		}
		v.add(u.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Account{Account: u.account()}})
		return nil
	})
	return v.whole("people", err)
}

// eachGroup reads every group.
func (v *survey) eachGroup(ctx context.Context, each func(*group) error) error {
	return list(ctx, v, readsGroups, v.source.topped("/v1.0/groups?"+groupFields), "groups", func(g *group) error {
		if g.ID == "" {
			v.note("groups", errNoID)
			return nil
		}
		return each(g)
	})
}

func (v *survey) groups(ctx context.Context) error {
	err := v.eachGroup(ctx, func(g *group) error {
		v.add(g.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Group{Group: g.entry()}})
		return nil
	})
	return v.whole("groups", err)
}

// eachPrincipal reads every service principal, Microsoft's own too.
func (v *survey) eachPrincipal(ctx context.Context, fields string, each func(*principal) error) error {
	return list(ctx, v, readsApps, v.source.topped("/v1.0/servicePrincipals?$select="+fields), "apps", func(p *principal) error {
		if p.ID == "" {
			v.note("apps", errNoID)
			return nil
		}
		return each(p)
	})
}

// memberships reads who is in which group and who owns it, group by group. Graph v1.0 leaves apps out of these lists, so
// theirs are read from their own side: https://learn.microsoft.com/graph/api/group-list-members.
func (v *survey) memberships(ctx context.Context) error {
	err := v.eachGroup(ctx, func(g *group) error {
		for _, relation := range []struct{ path, level string }{{"/members", "member"}, {"/owners", "owner"}} {
			err := v.part(ctx, readsGroups, at("/v1.0/groups/", g.ID, relation.path), relation.level+"s of the group "+g.ID, func(m *member) {
				if holder := m.holderType(); holder != "" {
					v.join(g.ID, m.ID, holder, relation.level)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := v.whole("groups", err); err != nil {
		return err
	}
	err = v.eachPrincipal(ctx, "id", func(p *principal) error {
		for _, relation := range []struct{ path, level string }{{"/memberOf", "member"}, {"/ownedObjects", "owner"}} {
			err := v.part(ctx, readsApps, at("/v1.0/servicePrincipals/", p.ID, relation.path), "groups that the app "+p.ID+" is "+relation.level+" of", func(m *member) {
				if m.Type == typeGroup {
					v.join(m.ID, p.ID, "app", relation.level)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return v.whole("groups of apps", err)
}

func (v *survey) join(group, holder, holderType, level string) {
	key := group + "/" + holder
	if level != "member" {
		key += "/" + level
	}
	v.add(key, &curfewv1.Entry{Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
		Group: event.Clean(group), Member: event.Clean(holder), MemberType: holderType, Level: level,
	}}})
}

// part reads one of many lists of objects; where it is refused, it is missing and the rest is read.
func (v *survey) part(ctx context.Context, right right, path, what string, each func(*member)) error {
	err := list(ctx, v, right, v.source.topped(path+"?$select=id"), what, func(m *member) error {
		if m.ID == "" {
			v.note(what, errNoID)
			return nil
		}
		each(m)
		return nil
	})
	if err != nil {
		if err := v.lack(ctx, what, err); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
