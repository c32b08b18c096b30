// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

// maxMissing bounds the parts named as missing: a missing right is missing for each of thousands of repositories.
const maxMissing = 100

// maxPages bounds the pages of one list.
const maxPages = 5000

// Kinds is all that an organisation shows; nothing where an enterprise alone is configured.
func (s *Source) Kinds() []string {
	if s.config.Org == "" {
		return nil
	}
	return []string{"people", "groups", "memberships", "roles", "apps", "tokens"}
}

// Observe reads everything of one kind. What is refused, or breaks off, is named as missing, and the rest goes on. Lists
// of REST are paged by number, so that what shifts while they are read can be left out: that can be for one observation
// and not for the next. OAuth apps that people let in by themselves are not shown to an organisation. An error says that
// nothing was read; it holds no secret.
func (s *Source) Observe(ctx context.Context, kind string) (*curfewv1.Inventory, error) {
	o := &observation{Source: s, ctx: ctx, seen: map[string]bool{}, inventory: &curfewv1.Inventory{
		Source: source, Kind: kind, Began: timestamppb.New(s.client.Now()),
	}}
	if !slices.Contains(s.Kinds(), kind) {
		return nil, fmt.Errorf("observe github: there is no kind %q; there are %q", event.Clean(kind), s.Kinds())
	}
	switch kind {
	case "people":
		o.people()
	case "groups":
		o.groups()
	case "memberships":
		o.memberships()
	case "roles":
		o.roles()
	case "apps":
		o.apps()
	case "tokens":
		o.tokens()
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("observe github %s: %w", kind, ctx.Err())
	case o.read == 0:
		return nil, fmt.Errorf("observe github %s: %w", kind, o.err)
	}
	if o.more > 0 {
		o.inventory.Missing = append(o.inventory.Missing, fmt.Sprintf("%d parts more: as these", o.more))
	}
	o.inventory.Ended = timestamppb.New(s.client.Now())
	return o.inventory, nil
}

// observation is an inventory on its way.
type observation struct {
	*Source
	ctx       context.Context
	inventory *curfewv1.Inventory
	seen      map[string]bool
	read      int   // parts that were read to their end
	err       error // of the first that was not
	more      int   // parts that are missing and not named
}

// part notes whether a part was read to its end, and returns whether it was.
func (o *observation) part(what string, err error) bool {
	if err == nil {
		o.read++
		return true
	}
	if o.err == nil {
		o.err = err
	}
	if len(o.inventory.Missing) < maxMissing {
		o.inventory.Missing = append(o.inventory.Missing, event.Clean(what+": "+err.Error()))
	} else {
		o.more++
	}
	return false
}

// add adds an entry, once: a list that shifts while it is read may show a thing twice.
func (o *observation) add(key string, entry *curfewv1.Entry) {
	if o.seen[key] {
		return
	}
	o.seen[key] = true
	entry.Key = key
	o.inventory.Entries = append(o.inventory.Entries, entry)
}

// list reads a list of REST to its end and calls each with every item. Under a key the list stands in an object.
func list[T any](ctx context.Context, s *Source, key string, address *url.URL, each func(T)) error {
	query := address.Query()
	query.Set("per_page", strconv.Itoa(s.config.PageSize))
	address.RawQuery = query.Encode()
	seen := map[string]bool{address.String(): true}
	for next := address; ; {
		answer, err := s.get(ctx, next.String())
		if err != nil {
			return err
		}
		items, err := readList[T](answer, key)
		if err != nil {
			return err
		}
		for _, item := range items {
			each(item)
		}
		behind, err := vendorhttp.NextLink(s.base, answer.Header)
		if err != nil || behind == nil {
			return err
		}
		if err := turn(seen, behind.String()); err != nil {
			return err
		}
		next = behind
	}
}

// turn notes the link to a next page. One that was followed before leads round in a circle.
func turn(seen map[string]bool, next string) error {
	switch {
	case next == "" || seen[next]:
		return errors.New("read page: the next page is one that was read")
	case len(seen) >= maxPages:
		return fmt.Errorf("read page: there are more than %d", maxPages)
	}
	seen[next] = true
	return nil
}

func readList[T any](answer *vendorhttp.Answer, key string) ([]T, error) {
	body := json.RawMessage(answer.Body)
	if key != "" {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return nil, errors.New("read page: not a JSON object with a list")
		}
		body = fields[key]
	}
	var items []T
	if err := json.Unmarshal(body, &items); err != nil || items == nil {
		return nil, errors.New("read page: not a JSON list of what was asked for")
	}
	return items, nil
}

// orgPath is an address of the organisation's.
func (s *Source) orgPath(parts ...string) *url.URL {
	return s.base.JoinPath(append([]string{"orgs", s.config.Org}, parts...)...)
}

// number is an id as text.
func number(id int64) string { return strconv.FormatInt(id, 10) }

// isStatus is whether GitHub refused with one of the statuses.
func isStatus(err error, statuses ...int) bool {
	var refused *vendorhttp.Refused
	return errors.As(err, &refused) && slices.Contains(statuses, refused.Status)
}

// isRefusal is whether GitHub refused for a missing right, and will the next time too.
func isRefusal(err error) bool {
	var refused *graphRefused
	return errors.As(err, &refused) || isStatus(err, http.StatusForbidden)
}

// isHidden is whether GitHub said that there is no such thing, or not for this token.
func isHidden(err error) bool { return isStatus(err, http.StatusNotFound) }

// roleName is the one name of a role of repositories that REST and GraphQL call differently.
func roleName(name string) string {
	name = strings.ToLower(event.Clean(name))
	switch name {
	case "pull":
		return "read"
	case "push":
		return "write"
	}
	return name
}
