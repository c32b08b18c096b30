// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/curfewhq/curfew/internal/vendorhttp"
)

// right is the application permissions of Graph that a request takes: each is enough, and the first is the least.
// https://learn.microsoft.com/graph/permissions-reference
type right []string

// The rights there are. Which is the least for app roles of people is not confirmed.
var (
	readsUsers    = right{"User.Read.All", "Directory.Read.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
	readsGroups   = right{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}
	setsMembers   = right{"GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}
	setsOwners    = right{"Group.ReadWrite.All", "Directory.ReadWrite.All"}
	readsRoles    = right{"RoleManagement.Read.Directory", "Directory.Read.All", "RoleManagement.ReadWrite.Directory", "Directory.ReadWrite.All"}
	readsSchedule = right{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"}
	setsRoles     = right{"RoleManagement.ReadWrite.Directory"}
	readsApps     = right{"Application.Read.All", "Directory.Read.All", "Application.ReadWrite.All", "Directory.ReadWrite.All"}
	readsGrants   = right{"Directory.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"}
	setsGrants    = right{"DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"}
	readsAppRoles = right{"Directory.Read.All", "AppRoleAssignment.ReadWrite.All", "Directory.ReadWrite.All"}
	setsAppRoles  = right{"AppRoleAssignment.ReadWrite.All"}
	readsDeleted  = right{"Directory.Read.All", "User.Read.All", "Group.Read.All", "Application.Read.All"}
	endsSessions  = right{"User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
)

// Error codes of Graph's directory. They are seen in its answers and in reports of users; there is no list of them.
const (
	codeMissing = "Request_ResourceNotFound"  // there is no such object
	codeNoPIM   = "AadPremiumLicenseRequired" // no plan with Privileged Identity Management
	// codeNotGranted is what Privileged Identity Management says, with its name, of a permission that the app lacks. That
	// it says nothing else so is not confirmed.
	codeNotGranted = "PermissionScopeNotGranted"
)

// call asks Graph. A body is sent as JSON. Its error holds no secret.
func (s *Source) call(ctx context.Context, right right, method, pathAndQuery string, body any) (*vendorhttp.Answer, error) {
	request := vendorhttp.Request{Method: method, Address: s.graph.base.String() + pathAndQuery}
	if strings.Contains(pathAndQuery, "$count=true") {
		// Such queries take it: https://learn.microsoft.com/graph/aad-advanced-queries.
		request.Header = http.Header{"Consistencylevel": {"eventual"}}
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
		request.Body = text
	}
	return s.ask(ctx, &s.graph, right[0], request)
}

// at is a path with an id in it.
func at(before, id, after string) string { return before + url.PathEscape(id) + after }

// topped is a path with the size of its pages.
func (s *Source) topped(path string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + "$top=" + strconv.Itoa(s.config.PageSize)
}

// entries is a page of a list, and path and query of the page behind it; "" where it was the last. A link that leads
// elsewhere is an error, and the page is one all the same.
func (s *Source) entries(path string, answer *vendorhttp.Answer) (page []json.RawMessage, next string, err error) {
	var told graphPage
	if err := json.Unmarshal(answer.Body, &told); err != nil || told.Value == nil {
		return nil, "", errors.New("read page: not a JSON object with a list of entries")
	}
	if told.Next == "" {
		return told.Value, "", nil
	}
	link, err := vendorhttp.SameHost(s.graph.base, told.Next)
	if err != nil {
		return told.Value, "", err
	}
	next = link.EscapedPath() + "?" + link.RawQuery
	switch list, _, _ := strings.Cut(path, "?"); {
	case link.EscapedPath() != list:
		return told.Value, "", errors.New("read page: the link to the next one leads to another list; not followed")
	case next == path:
		return told.Value, "", errors.New("read page: the next page is the same one")
	}
	return told.Value, next, nil
}

// maxTurns bounds the pages of a list.
const maxTurns = 5000

// turns is the pages of a list that were asked for. A list that leads back to one of them has no end.
type turns map[string]bool

// take notes a page that is about to be asked for.
func (t turns) take(path string) error {
	switch {
	case t[path]:
		return errors.New("read page: the link to the next one leads back to an earlier one")
	case len(t) >= maxTurns:
		return fmt.Errorf("read page: the list has more than %d", maxTurns)
	}
	t[path] = true
	return nil
}

// isMissing is whether Graph itself says that there is no such object. A 404 of anybody else says nothing.
func isMissing(err error) bool { return code(err) == codeMissing }

// isRefusal is whether an error says that asking again the same way leads nowhere.
func isRefusal(err error) bool {
	var refused *vendorhttp.Refused
	var untold *vendorhttp.TokenRefused
	switch {
	case errors.As(err, &refused):
		return refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests
	case errors.As(err, &untold):
		return untold.Status < http.StatusInternalServerError && untold.Status != http.StatusTooManyRequests
	}
	return false
}

// patience bounds how often a page of an inventory is asked for.
const patience = 5

// readPatiently asks for a page of a list that would be worth nothing without it: where Graph or the way to it breaks, it
// asks again.
func (s *Source) readPatiently(ctx context.Context, right right, pathAndQuery string) (*vendorhttp.Answer, error) {
	for try := 1; ; try++ {
		answer, err := s.call(ctx, right, http.MethodGet, pathAndQuery, nil)
		if err == nil || isRefusal(err) || try == patience || ctx.Err() != nil {
			return answer, err
		}
		if err := s.client.Pause(ctx, time.Second<<(try-1)); err != nil {
			return nil, fmt.Errorf("wait for microsoft to answer again: %w", err)
		}
	}
}
