// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// The most entries a page of each list may have, where Google says:
// https://developers.google.com/workspace/admin/directory/v1/limits. That roles and their assignments have 100 is not
// confirmed.
const (
	userPage  = 500
	groupPage = 200
	rolePage  = 100
)

// maxFailed is how many things in a row may be refused until the rest is not asked for.
const maxFailed = 20

// userFields is what is asked for of each user: the rest is most of it.
const userFields = "kind,nextPageToken,users(id,primaryEmail,name/fullName,aliases,nonEditableAliases,externalIds,isAdmin,suspended,archived,isEnrolledIn2Sv,creationTime,lastLoginTime)"

// Kinds returns what the Directory API shows: people, groups, memberships, roles, apps and tokens.
func (s *Source) Kinds() []string {
	return []string{"people", "groups", "memberships", "roles", "apps", "tokens"}
}

// Observe reads everything of one kind. Members are read group by group, apps and application passwords user by user, one
// request after the other and 20 a second at most: a Workspace of 10,000 takes some ten minutes. What of it Google refuses
// or breaks off is missing; an error means that nothing was read, and holds no secret.
func (s *Source) Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error) {
	o := &observation{
		Source: s, entries: map[string]int{},
		seen: &curfewv1.Inventory{Source: source, Kind: kind, Began: timestamppb.New(s.client.Now())},
	}
	observe, known := map[string]func(context.Context) error{
		"people": o.people, "groups": o.groups, "memberships": o.memberships, "roles": o.roles, "apps": o.apps, "tokens": o.passwords,
	}[kind]
	if !known {
		return nil, fmt.Errorf("observe google_workspace: there is no kind %q; there are %s", event.Clean(kind), strings.Join(s.Kinds(), ", "))
	}
	err := observe(ctx)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("observe google_workspace %s: %w", kind, err)
	}
	if o.odd > maxFailed {
		o.seen.Missing = append(o.seen.Missing, fmt.Sprintf("%d more entries that are not as they are documented", o.odd-maxFailed))
	}
	o.seen.Ended = timestamppb.New(s.client.Now())
	return o.seen, nil
}

// observation is an inventory in the making.
type observation struct {
	*Source
	seen    *curfewv1.Inventory
	entries map[string]int // by key, where it stands
	odd     int            // entries that could not be read
}

// add adds an entry. A list that shifts while it is read may show a thing twice: the later sight counts.
func (o *observation) add(entry *curfewv1.Entry) {
	if at, there := o.entries[entry.GetKey()]; there {
		o.seen.Entries[at] = entry
		return
	}
	o.entries[entry.GetKey()] = len(o.seen.GetEntries())
	o.seen.Entries = append(o.seen.Entries, entry)
}

// lacks notes what could not be read.
func (o *observation) lacks(what string, err error) {
	o.seen.Missing = append(o.seen.Missing, event.Clean(what+": "+err.Error()))
}

// strange notes an entry that cannot be read, by its id if that can be.
func (o *observation) strange(what string, raw json.RawMessage) {
	if o.odd++; o.odd > maxFailed {
		return
	}
	var told struct {
		ID         event.Scalar `json:"id"`
		Assignment event.Scalar `json:"roleAssignmentId"`
		Client     event.Scalar `json:"clientId"`
		Code       event.Scalar `json:"codeId"`
	}
	// Where it is no object there is no id.
	_ = json.Unmarshal(raw, &told)
	o.lacks("one of "+what+", id "+cmp.Or(told.ID.Text, told.Assignment.Text, told.Client.Text, told.Code.Text, "unknown"), errOdd)
}

// whole reads a list of which the observation is nothing without its beginning; what broke off is missing.
func whole[T any](ctx context.Context, o *observation, scope, address string, query url.Values, most int, what string, each func(T)) error {
	count, err := readPages(ctx, o.Source, scope, address, query, most, func(page []T) {
		for _, entry := range page {
			each(entry)
		}
	}, func(raw json.RawMessage) { o.strange(what, raw) })
	if err != nil && count == 0 {
		return err
	}
	if err != nil {
		o.lacks(fmt.Sprintf("%s beyond the first %d", what, count), err)
	}
	return nil
}

// part is one list of each of many things.
type part struct {
	scope, what string
	most        int
	address     func(id string) string
	// ofScope and of are how the thing itself is read that has the part.
	ofScope string
	of      func(id string) string
}

// parts reads a list of each of many things. What is refused of one is missing; where all are, that is the error. Where
// many in a row are, the rest is not asked for. A thing whose list is not there is gone since it was listed, and what it
// had with it, if it is not there itself: else the list is read once more.
func parts[T any](ctx context.Context, o *observation, ids []string, p part, each func(id string, entry T)) error {
	what := p.what
	failed, read, vanished := 0, 0, 0
	for i, id := range ids {
		list := func() (int, error) {
			return readPages(ctx, o.Source, p.scope, p.address(id), nil, p.most, func(page []T) {
				for _, entry := range page {
					each(id, entry)
				}
			}, func(raw json.RawMessage) { o.strange(what+" "+id, raw) })
		}
		count, err := list()
		if notThere(err) && count == 0 {
			if vanished < maxFailed && o.vanished(ctx, p.ofScope, p.of(id)) {
				vanished++
				continue
			}
			_, err = list()
		}
		var noToken *tokenRefused
		switch {
		case err == nil:
			failed = 0
			read++
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case read == 0 && (errors.As(err, &noToken) || i == len(ids)-1 || failed == maxFailed-1):
			return err
		case failed == maxFailed-1:
			o.lacks(fmt.Sprintf("%s %s and of the %d behind it", what, id, len(ids)-1-i), err)
			return nil
		}
		failed++
		o.lacks(what+" "+id, err)
	}
	if vanished == min(len(ids), maxFailed) && vanished > 0 {
		// One may go at any time; that all of them did, or so many, is more likely not true.
		o.seen.Missing = append(o.seen.Missing, fmt.Sprintf("%s: google says that %d of %d are gone since it listed them", what, vanished, len(ids)))
	}
	return nil
}

// vanished is whether a thing is not there, twice asked.
func (o *observation) vanished(ctx context.Context, scope, address string) bool {
	absent := func() bool { return notThere(o.read(ctx, scope, address, &struct{}{})) }
	return absent() && o.client.Pause(ctx, moment) == nil && absent()
}

func (o *observation) people(ctx context.Context) error {
	query := url.Values{"customer": {"my_customer"}, "orderBy": {"email"}, "fields": {userFields}}
	return whole(ctx, o, scopeUsers, o.at("users"), query, userPage, "people", func(u user) {
		if u.ID != "" {
			o.add(&curfewv1.Entry{Key: event.Clean(u.ID), Thing: &curfewv1.Entry_Account{Account: u.account()}})
		}
	})
}

// account is a user as the inventory has it. That one with an employee id of a type of its own is told by customType is
// as documented; which type a directory that is synchronised uses is up to it.
func (u *user) account() *curfewv1.Account {
	a := &curfewv1.Account{
		Id: event.Clean(u.ID), Login: event.Clean(u.PrimaryEmail), Name: event.Clean(u.Name.FullName),
		Type: curfewv1.ActorType_ACTOR_TYPE_PERSON, Status: "active", Mfa: u.IsEnrolledIn2Sv,
		Created: event.ParseTime(u.CreationTime), LastLogin: when(u.LastLoginTime),
	}
	a.Emails = addresses(u.PrimaryEmail, u.Aliases, u.NonEditableAliases)
	for _, id := range u.ExternalIDs {
		system := id.Type
		switch id.Type {
		case "organization":
			// What the Admin console calls the employee ID.
			system = "employee"
		case "custom":
			system = cmp.Or(id.CustomType, id.Type)
		}
		if id.Value != "" {
			a.Links = append(a.Links, event.Clean(system+":"+id.Value))
		}
	}
	switch {
	case u.Suspended:
		a.Status = "suspended"
	case u.Archived:
		a.Status = "archived"
	}
	return a
}

// when is a time that Google gives as 1970 where there was none.
func when(text string) *timestamppb.Timestamp {
	at := event.ParseTime(text)
	if at.GetSeconds() <= 0 {
		return nil
	}
	return at
}

// millis is a time that Google gives in milliseconds, 0 where there was none.
func millis(text string) *timestamppb.Timestamp {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return nil
	}
	return event.Timestamp(time.UnixMilli(ms).UTC())
}

func (o *observation) eachGroup(ctx context.Context, each func(group)) error {
	return whole(ctx, o, scopeGroups, o.at("groups"), url.Values{"customer": {"my_customer"}}, groupPage, "groups", func(g group) {
		if g.ID != "" {
			each(g)
		}
	})
}

// groups reads the groups. Which of them a query fills the Directory API does not say, so managed_by is never set.
func (o *observation) groups(ctx context.Context) error {
	return o.eachGroup(ctx, func(g group) {
		o.add(&curfewv1.Entry{Key: event.Clean(g.ID), Thing: &curfewv1.Entry_Group{Group: &curfewv1.Group{
			Id: event.Clean(g.ID), Name: event.Clean(cmp.Or(g.Name, g.Email)), Type: "group",
			Aliases: addresses(g.Email, g.Aliases, g.NonEditableAliases),
		}}})
	})
}

// memberships reads the direct members of each group, groups within groups among them. When one ends the Directory API
// does not say.
func (o *observation) memberships(ctx context.Context) error {
	var ids []string
	if err := o.eachGroup(ctx, func(g group) { ids = append(ids, g.ID) }); err != nil {
		return err
	}
	of := func(id string) string { return o.at("groups", id) }
	return parts(ctx, o, ids, part{scopeGroups, "members of group", groupPage, func(id string) string { return of(id) + "/members" }, scopeGroups, of},
		func(id string, m member) {
			holder := event.Clean(cmp.Or(m.ID, m.Email))
			if holder == "" {
				return
			}
			o.add(&curfewv1.Entry{Key: event.Clean(id) + "/" + holder, Thing: &curfewv1.Entry_Membership{Membership: &curfewv1.Membership{
				Group: event.Clean(id), Member: holder, MemberType: memberType(m.Type), Level: level(m.Role),
			}}})
		})
}

// memberType is the contract's word for a member's type: USER, GROUP, or CUSTOMER for everybody of the organisation.
func memberType(text string) string {
	if text == "USER" || text == "" {
		return "account"
	}
	return event.Clean(strings.ToLower(text))
}

// level is a member's role in the contract's words: member, manager or owner.
func level(role string) string { return event.Clean(strings.ToLower(cmp.Or(role, "MEMBER"))) }

func (o *observation) roles(ctx context.Context) error {
	names := map[string]string{}
	_, err := readPages(ctx, o.Source, scopeRoles, o.at("customer", "my_customer", "roles"), nil, rolePage, func(page []role) {
		for _, r := range page {
			names[r.ID] = event.Clean(r.Name)
		}
	}, func(raw json.RawMessage) { o.strange("roles", raw) })
	if err != nil {
		return err
	}
	return whole(ctx, o, scopeRoles, o.at("customer", "my_customer", "roleassignments"), nil, rolePage, "role assignments", func(a assignment) {
		if a.RoleID == "" || a.AssignedTo == "" {
			return
		}
		key := event.Clean(a.RoleID + "/" + a.AssignedTo)
		scope := ""
		if a.OrgUnitID != "" {
			scope = event.Path("org_unit", a.OrgUnitID)
			key += "/" + scope
		}
		if a.Condition != "" {
			// One role may be held with and without a condition at once.
			key += "/assignment/" + event.Clean(a.ID)
		}
		o.add(&curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_Assignment{Assignment: &curfewv1.Assignment{
			Id: event.Clean(a.ID), Role: event.Clean(a.RoleID), RoleName: names[a.RoleID], Holder: event.Clean(a.AssignedTo),
			HolderType: memberType(strings.ToUpper(a.AssigneeType)), Scope: scope,
		}}})
	})
}

// userIDs are the ids of all users.
func (o *observation) userIDs(ctx context.Context) (ids []string, err error) {
	query := url.Values{"customer": {"my_customer"}, "orderBy": {"email"}, "fields": {"kind,nextPageToken,users(id)"}}
	type known struct {
		ID string `json:"id"`
	}
	err = whole(ctx, o, scopeUsers, o.at("users"), query, userPage, "people", func(u known) {
		if u.ID != "" {
			ids = append(ids, u.ID)
		}
	})
	return ids, err
}

func (o *observation) ofUser(what, path string) part {
	of := func(id string) string { return o.at("users", id) }
	return part{scopeSecurity, what, 0, func(id string) string { return of(id) + path }, scopeUsers, of}
}

// apps reads which third-party apps each user has let in. Google says neither when nor whether they are used: the log of
// tokens does. Apps that an administrator let in for everybody, by delegation or from the Marketplace, no API shows.
func (o *observation) apps(ctx context.Context) error {
	ids, err := o.userIDs(ctx)
	if err != nil {
		return err
	}
	return parts(ctx, o, ids, o.ofUser("apps of user", "/tokens"),
		func(id string, t token) {
			client := event.Clean(cmp.Or(t.ClientID, t.DisplayText))
			if client == "" {
				return
			}
			key := client + "/" + event.Clean(id)
			if named(t.ClientID, "anonymous") {
				// Every app that is not registered has this id.
				key += "/" + event.Clean(t.DisplayText)
			}
			scopes := make([]string, 0, len(t.Scopes))
			for _, scope := range t.Scopes {
				scopes = append(scopes, event.Clean(scope))
			}
			// Their order means nothing, and must not make a change.
			slices.Sort(scopes)
			o.add(&curfewv1.Entry{Key: key, Thing: &curfewv1.Entry_App{App: &curfewv1.AppAccess{
				App: &curfewv1.App{Id: client, Name: event.Clean(t.DisplayText), Scopes: scopes}, Grantor: event.Clean(id), Status: "active",
			}}})
		})
}

// passwords reads the passwords that each user made for a single application. Keys of service accounts are Google Cloud's
// and not shown here.
func (o *observation) passwords(ctx context.Context) error {
	ids, err := o.userIDs(ctx)
	if err != nil {
		return err
	}
	return parts(ctx, o, ids, o.ofUser("application passwords of user", "/asps"),
		func(id string, p password) {
			code := event.Clean(p.CodeID.String())
			o.add(&curfewv1.Entry{Key: event.Clean(id) + "/" + code, Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
				Id: code, Name: event.Clean(p.Name), Owner: event.Clean(id), Type: "application_password",
				Created: millis(p.CreationTime), LastUsed: millis(p.LastTimeUsed),
			}}})
		})
}
