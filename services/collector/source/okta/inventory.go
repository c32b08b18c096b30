// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package okta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	// maxListed is the most entries asked for in one page of a list. Okta recommends it for users and groups and refuses
	// more for apps and grants.
	maxListed = 200
	// maxMissing bounds how many missing parts are named one by one.
	maxMissing = 1000
	// maxBroken is how many parts in a row may break before the rest is not asked for: the vendor is away then.
	maxBroken = 3
)

// Kinds is all there is.
func (s *Source) Kinds() []string {
	return []string{"people", "groups", "memberships", "roles", "apps", "tokens"}
}

// Observe reads everything of a kind, one request after the other.
//
// People are all accounts, deactivated ones as well. Groups are groups and apps: who has an app is a membership of it, at
// the level USER, or GROUP where a group gives it. Roles are those of people, groups and service apps, each once, and
// where a role is limited once for each thing that it is limited to. Apps are every app with the scopes that the org gave
// it, and each person's consent. Tokens are API tokens; secrets and keys of apps are left out, since Okta shows them
// themselves.
//
// Lists are read by Okta's own links. What appears or vanishes while they are read may or may not be shown. What is
// refused is missing and the rest is read; what breaks is asked for again, and missing only then.
func (s *Source) Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error) {
	read := map[string]func(*survey, context.Context) error{
		"people": (*survey).people, "groups": (*survey).groups, "memberships": (*survey).memberships,
		"roles": (*survey).roles, "apps": (*survey).apps, "tokens": (*survey).tokens,
	}[kind]
	if read == nil {
		return nil, fmt.Errorf("observe okta: there is no kind %q; there are %s", event.Clean(kind), strings.Join(s.Kinds(), ", "))
	}
	survey := &survey{
		source: s, seen: map[string]bool{},
		inventory: &curfewv1.Inventory{Source: source, Kind: kind, Began: timestamppb.New(s.client.Now())},
	}
	err := read(survey, ctx)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("observe okta %s: %w", kind, ctx.Err())
	case len(survey.inventory.Entries) > 0 && err != nil:
		survey.note("the rest", err)
	case err != nil:
		return nil, fmt.Errorf("observe okta %s: %w", kind, err)
	case len(survey.inventory.Entries) == 0 && len(survey.inventory.Missing) > 0:
		return nil, fmt.Errorf("observe okta %s: nothing could be read: %s", kind, survey.inventory.Missing[0])
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
var errAway = errors.New("not asked for: okta did not answer several times in a row")

// add adds an entry, once: a list that shifts while it is read may show a thing twice.
func (v *survey) add(key string, entry *curfewv1.Entry) {
	if v.seen[key] {
		return
	}
	v.seen[key] = true
	entry.Key = key
	v.inventory.Entries = append(v.inventory.Entries, entry)
}

// whole is something that was listed, of which a part is read: the request that shows it alone. The zero value is for a
// part of nothing.
type whole struct {
	right right
	path  string
}

// lack notes that a part could not be read. It returns an error where the survey is to end: the context's own, or errAway.
// A part of something that has vanished since it was listed is not missing, it is not there: by Okta's own word of both,
// since a 404 of the part alone can mean that a role does not reach it.
func (v *survey) lack(ctx context.Context, what string, of whole, err error) error {
	if isMissing(err) && of.path != "" {
		_, gone := v.source.readPatiently(ctx, of.right, of.path)
		if isMissing(gone) {
			v.broken = 0
			return nil
		}
		if gone != nil && !isRefusal(gone) {
			err = gone
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
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

// main takes the error that ended the main list of a part: what is refused is missing and other parts are read; what broke
// ends the survey.
func (v *survey) main(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isRefusal(err):
		v.note(what, err)
		return nil
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// pageSize is how many entries a page may have, within what an endpoint takes.
func (s *Source) pageSize(least, most int) int { return max(least, min(s.config.PageSize, most)) }

// list reads every page of a list and gives each entry to each. An entry that is not as it is documented is noted as
// missing from what. An error of each ends it.
func list[T any](ctx context.Context, v *survey, right right, path, what string, each func(T) error) error {
	for trail := (trail{}); path != ""; {
		answer, err := v.source.readPatiently(ctx, right, path)
		if err != nil {
			return err
		}
		v.broken = 0
		var page []json.RawMessage
		if err := json.Unmarshal(answer.Body, &page); err != nil || page == nil {
			return errors.New("read page: not a JSON list")
		}
		for _, raw := range page {
			var entry T
			if err := json.Unmarshal(raw, &entry); err != nil {
				v.note(what, errors.New("one entry is not as it is documented"))
				continue
			}
			if err := each(entry); err != nil {
				return err
			}
		}
		if path, err = trail.after(v.source.base, path, answer.Header); err != nil {
			return err
		}
	}
	return nil
}

// trail is which pages of a list were read: links that lead back to one of them would never end.
type trail map[string]bool

var errSamePage = errors.New("read page: the next page is the same one, or one that was read before")

// after is path and query of the page behind that of path; "" where it was the last.
func (t trail) after(base *url.URL, path string, header http.Header) (string, error) {
	next, err := vendorhttp.NextLink(base, header)
	if err != nil || next == nil {
		return "", err
	}
	return t.follow(path, next)
}

// follow makes sure that the next page is one of the same list, and another than those before.
func (t trail) follow(path string, address *url.URL) (string, error) {
	t[path] = true
	list, _, _ := strings.Cut(path, "?")
	next := strings.TrimSuffix(address.EscapedPath()+"?"+address.RawQuery, "?")
	switch {
	case address.EscapedPath() != list:
		return "", errors.New("read page: the link to the next one leads to another list; not followed")
	case t[next]:
		return "", errSamePage
	}
	return next, nil
}

// limited is a path with the size of its pages.
func limited(path string, size int) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + "limit=" + strconv.Itoa(size)
}

// tokens reads API tokens. Their lastUpdated is taken by some for their last use; that is not confirmed, so left out.
func (v *survey) tokens(ctx context.Context) error {
	const what = "API tokens"
	err := list(ctx, v, readsTokens, "/api/v1/api-tokens", what, func(t apiToken) error {
		if t.ID == "" {
			v.note(what, errNoID)
			return nil
		}
		v.add(t.ID, &curfewv1.Entry{Thing: &curfewv1.Entry_Credential{Credential: &curfewv1.Credential{
			Id: event.Clean(t.ID), Name: event.Clean(t.Name), Owner: event.Clean(t.UserID), Type: "api_token",
			Created: event.ParseTime(t.Created), ExpiresAt: event.ParseTime(t.Expires),
		}}})
		return nil
	})
	return v.main(what, err)
}

// errNoID is for an entry without the one thing that names it.
var errNoID = errors.New("one entry has no id")
