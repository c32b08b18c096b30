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

// scalar is a JSON string, number or boolean as text: GitHub writes ids and times as either.
type scalar struct {
	text string
	// odd is set where something else stands there: an object or a list.
	odd bool
}

// UnmarshalJSON never fails: an error here would end the reading of the whole record. An empty text leaves s as it is.
func (s *scalar) UnmarshalJSON(value []byte) error {
	switch value[0] {
	case '"':
		inner := value[1 : len(value)-1]
		if !isPlain(inner) {
			_ = json.Unmarshal(value, &s.text)
			s.odd = false
		} else if len(inner) > 0 {
			*s = scalar{text: string(inner)}
		}
	case '{', '[':
		s.odd = true
	case 'n':
	default:
		*s = scalar{text: string(value)}
	}
	return nil
}

// isPlain reports whether the inside of a JSON string stands for itself.
func isPlain(inner []byte) bool {
	for _, c := range inner {
		if c == '\\' || c < 0x20 || c >= 0x80 {
			return false
		}
	}
	return true
}

// scopes are OAuth scopes or an app's permissions. They come as "repo,read:org", as a list, or as an object of
// permission and level, which is read as "contents:write".
type scopes struct {
	list []string
	// cut is set where there were more than can be kept.
	cut bool
}

// UnmarshalJSON never fails, as scalar's.
func (s *scopes) UnmarshalJSON(value []byte) error {
	var read []string
	switch value[0] {
	case '"':
		var text string
		_ = json.Unmarshal(value, &text)
		read = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	case '[':
		var list []scalar
		_ = json.Unmarshal(value, &list)
		for _, item := range list {
			if item.text != "" {
				read = append(read, item.text)
			}
		}
	case '{':
		var levels map[string]scalar
		_ = json.Unmarshal(value, &levels)
		for _, permission := range slices.Sorted(maps.Keys(levels)) {
			read = append(read, permission+":"+levels[permission].text)
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
