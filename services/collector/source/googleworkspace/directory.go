// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/event"
	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// maxReads is how often a read is made whose answer does not arrive: one broken connection among thousands of reads would
// leave a hole in every inventory.
const maxReads = 3

// user is what is read of a User:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/users.
type user struct {
	ID           string `json:"id"`
	PrimaryEmail string `json:"primaryEmail"`
	Name         struct {
		FullName string `json:"fullName"`
	} `json:"name"`
	Aliases            []string `json:"aliases"`
	NonEditableAliases []string `json:"nonEditableAliases"`
	ExternalIDs        []struct {
		Value      string `json:"value"`
		Type       string `json:"type"`
		CustomType string `json:"customType"`
	} `json:"externalIds"`
	IsAdmin         bool   `json:"isAdmin"`
	Suspended       bool   `json:"suspended"`
	Archived        bool   `json:"archived"`
	IsEnrolledIn2Sv *bool  `json:"isEnrolledIn2Sv"`
	CreationTime    string `json:"creationTime"`
	LastLoginTime   string `json:"lastLoginTime"`
}

// group is what is read of a Group:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/groups.
type group struct {
	ID                 string   `json:"id"`
	Email              string   `json:"email"`
	Name               string   `json:"name"`
	DirectMembersCount string   `json:"directMembersCount"`
	Aliases            []string `json:"aliases"`
	NonEditableAliases []string `json:"nonEditableAliases"`
}

// member is what is read of a Member:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/members.
type member struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Role  string `json:"role"`
	Type  string `json:"type"`
}

// role is what is read of a Role:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/roles.
type role struct {
	ID   string `json:"roleId"`
	Name string `json:"roleName"`
}

// assignment is what is read and written of a RoleAssignment:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/roleAssignments.
type assignment struct {
	ID           string `json:"roleAssignmentId,omitempty"`
	RoleID       string `json:"roleId"`
	AssignedTo   string `json:"assignedTo"`
	AssigneeType string `json:"assigneeType,omitempty"`
	ScopeType    string `json:"scopeType"`
	OrgUnitID    string `json:"orgUnitId,omitempty"`
	Condition    string `json:"condition,omitempty"`
}

// token is what is read of a Token: https://developers.google.com/workspace/admin/directory/reference/rest/v1/tokens.
type token struct {
	ClientID    string   `json:"clientId"`
	DisplayText string   `json:"displayText"`
	Scopes      []string `json:"scopes"`
	UserKey     string   `json:"userKey"`
}

// password is what is read of an Asp, a password for one application:
// https://developers.google.com/workspace/admin/directory/reference/rest/v1/asps.
type password struct {
	CodeID       json.Number `json:"codeId"`
	Name         string      `json:"name"`
	CreationTime string      `json:"creationTime"`
	LastTimeUsed string      `json:"lastTimeUsed"`
}

// addresses are the main address and the others, each once.
func addresses(main string, others ...[]string) []string {
	var all []string
	for _, email := range slices.Concat([]string{main}, slices.Concat(others...)) {
		if email = event.Clean(email); email != "" && !slices.Contains(all, email) {
			all = append(all, email)
		}
	}
	return all
}

// listing is a page of any of the lists.
type listing struct {
	Kind    string            `json:"kind"`
	Next    string            `json:"nextPageToken"`
	Users   []json.RawMessage `json:"users"`
	Groups  []json.RawMessage `json:"groups"`
	Members []json.RawMessage `json:"members"`
	Items   []json.RawMessage `json:"items"`
}

// errOdd is the error for an entry of a list that cannot be read.
var errOdd = errors.New("read page: an entry is not as it is documented")

// entries decodes each entry by itself, and gives those that cannot be to odd.
func entries[T any](l *listing, odd func(json.RawMessage)) []T {
	all := slices.Concat(l.Users, l.Groups, l.Members, l.Items)
	list := make([]T, 0, len(all))
	for _, raw := range all {
		var entry T
		if json.Unmarshal(raw, &entry) != nil {
			odd(raw)
			continue
		}
		list = append(list, entry)
	}
	return list
}

// at is an address of the Directory API. An id within it leads nowhere else, whatever it holds.
func (s *Source) at(parts ...string) string { return address(s.base, "/admin/directory/v1", parts...) }

func address(base *url.URL, path string, parts ...string) string {
	var text strings.Builder
	text.WriteString(base.String() + path)
	for _, part := range parts {
		text.WriteString("/" + url.PathEscape(part))
	}
	return text.String()
}

// read reads one answer. What did not arrive is asked for again. The error holds no secret.
func (s *Source) read(ctx context.Context, scope, address string, into any) error {
	for try := 1; ; try++ {
		answer, err := s.ask(ctx, scope, vendorhttp.Request{Method: http.MethodGet, Address: address})
		if err == nil {
			if json.Unmarshal(answer.Body, into) != nil {
				return errors.New("read answer: not the JSON object that was asked for")
			}
			return nil
		}
		var refused *vendorhttp.Refused
		var noToken *tokenRefused
		if errors.As(err, &refused) || errors.As(err, &noToken) || ctx.Err() != nil || try == maxReads {
			return err
		}
		if err := s.client.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// readPages reads a list page by page, at most most entries a page, and gives each page's entries to each. An
// entry that cannot be read goes to odd; where there is none, it breaks off. It returns how many there were before it
// broke.
func readPages[T any](ctx context.Context, s *Source, scope, address string, query url.Values, most int, each func([]T), odd func(json.RawMessage)) (count int, err error) {
	if query == nil {
		query = url.Values{}
	}
	if most > 0 {
		query.Set("maxResults", strconv.Itoa(min(most, s.config.PageSize)))
	}
	for {
		var page listing
		full := address
		if len(query) > 0 {
			full += "?" + query.Encode()
		}
		if err := s.pace.Wait(ctx); err != nil {
			return count, err
		}
		if err := s.read(ctx, scope, full, &page); err != nil {
			return count, err
		}
		if !strings.HasPrefix(page.Kind, "admin#directory#") {
			return count, errors.New("read page: not the list that was asked for")
		}
		strange := 0
		sound := entries[T](&page, func(raw json.RawMessage) {
			if strange++; odd != nil {
				odd(raw)
			}
		})
		if odd == nil && strange > 0 {
			return count, errOdd
		}
		each(sound)
		count += len(sound) + strange
		if page.Next == "" {
			return count, nil
		}
		if page.Next == query.Get("pageToken") {
			return count, errors.New("read page: the next page is the same one")
		}
		query.Set("pageToken", page.Next)
	}
}

// notThere is whether Google itself says that there is no such thing. What stands between may answer 404 too.
func notThere(err error) bool {
	var refused *vendorhttp.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Reason == "notFound"
}

// wasThere is whether Google refused to make something because it is there.
func wasThere(err error) bool {
	var refused *vendorhttp.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusConflict
}

// named is whether one of the names is the one given, as mail addresses are compared.
func named(name string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
