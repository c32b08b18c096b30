// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

// maxScopes and maxScopeBytes bound the scopes taken of one field: an event has to fit the bus whatever its record holds.
const (
	maxScopes     = 1000
	maxScopeBytes = 64 << 10
)

// scopes are OAuth scopes or an app's permissions. They come as "repo,read:org", as a list, or as an object of
// permission and level, which is read as "contents:write".
type scopes struct {
	list []string
	// cut is set where there were more than can be kept.
	cut bool
}

// UnmarshalJSON never fails, as an event.Scalar's.
func (s *scopes) UnmarshalJSON(value []byte) error {
	var read []string
	switch value[0] {
	case '"':
		var text string
		_ = json.Unmarshal(value, &text)
		read = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	case '[':
		var list []event.Scalar
		_ = json.Unmarshal(value, &list)
		for _, item := range list {
			if item.Text != "" {
				read = append(read, item.Text)
			}
		}
	case '{':
		var levels map[string]event.Scalar
		_ = json.Unmarshal(value, &levels)
		for _, permission := range slices.Sorted(maps.Keys(levels)) {
			read = append(read, permission+":"+levels[permission].Text)
		}
	}
	if len(read) == 0 {
		return nil
	}
	*s = scopes{}
	size := 0
	for _, scope := range read {
		scope = event.Clean(scope)
		if size += len(scope); size > maxScopeBytes || len(s.list) == maxScopes {
			s.cut = true
			break
		}
		s.list = append(s.list, scope)
	}
	return nil
}
