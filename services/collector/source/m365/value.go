// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package m365

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
	curfewv1 "github.com/curfewhq/curfew/proto/curfew/v1"
)

const (
	source = "m365"
	// maxParts bounds the changes and the scopes of one record; what is beyond it stands in the raw record.
	maxParts = 1000
	// maxID bounds an id that is taken as it is; Microsoft's are GUIDs, some with a service's name before them.
	maxID = 256
	// zeroGUID is what stands where Microsoft has no id.
	zeroGUID = "00000000-0000-0000-0000-000000000000"
)

// text is any JSON value as text: a string as what it says, null as nothing, the others as JSON.
type text string

// UnmarshalJSON takes one JSON value. It never fails.
func (t *text) UnmarshalJSON(value []byte) error {
	if len(value) == 0 || value[0] == 'n' {
		return nil
	}
	if value[0] != '"' {
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			*t = text(strings.ToValidUTF8(compact.String(), "\uFFFD"))
		}
		return nil
	}
	var scalar event.Scalar
	_ = scalar.UnmarshalJSON(value)
	*t = text(scalar.Text)
	return nil
}

// object is a JSON object, or a string that holds one: exports of the log and log shippers write it so.
type object[T any] struct {
	value *T
	odd   bool
}

// UnmarshalJSON takes one JSON value. It never fails.
func (o *object[T]) UnmarshalJSON(value []byte) error {
	if len(value) > 2 && value[0] == '"' {
		var inner string
		if json.Unmarshal(value, &inner) == nil && strings.HasPrefix(strings.TrimSpace(inner), "{") {
			value = []byte(inner)
		}
	}
	if len(value) == 0 || value[0] == 'n' || string(value) == `""` {
		return nil
	}
	if value[0] != '{' {
		o.odd = true
		return nil
	}
	into := new(T)
	o.odd = json.Unmarshal(value, into) != nil
	o.value = into
	return nil
}

// property is a name and what it was and is: in the Management Activity API Name with NewValue and OldValue, or with
// Value; in Graph displayName with newValue and oldValue, or key with value; in Intune's log Name with New and Old.
// encoding/json does not mind case.
type property struct {
	Name        event.Scalar `json:"Name"`
	DisplayName event.Scalar `json:"displayName"`
	Key         event.Scalar `json:"key"`
	Value       text         `json:"Value"`
	NewValue    text         `json:"NewValue"`
	OldValue    text         `json:"OldValue"`
	New         text         `json:"New"`
	Old         text         `json:"Old"`
}

// properties is a list of them; of names alone, which is how mailbox records say what was changed; or a text, which is
// how cmdlets of Security & Compliance say their parameters.
type properties struct {
	items []property
	text  string
	odd   bool
}

// UnmarshalJSON takes one JSON value. It never fails.
func (p *properties) UnmarshalJSON(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	if value[0] == '"' {
		var scalar event.Scalar
		_ = scalar.UnmarshalJSON(value)
		p.text = scalar.Text
		return nil
	}
	if value[0] == '[' {
		if rest := bytes.TrimLeft(value[1:], " \t\r\n"); len(rest) > 0 && rest[0] == '"' {
			var names []event.Scalar
			p.odd = json.Unmarshal(value, &names) != nil
			for _, name := range names {
				p.items = append(p.items, property{Name: name})
			}
			return nil
		}
	}
	if value[0] == '{' {
		p.items = make([]property, 1)
		p.odd = json.Unmarshal(value, &p.items[0]) != nil
		return nil
	}
	p.odd = value[0] != 'n' && json.Unmarshal(value, &p.items) != nil
	return nil
}

// called is the property's name.
func (p *property) called() string {
	switch {
	case p.Name.Text != "":
		return p.Name.Text
	case p.DisplayName.Text != "":
		return p.DisplayName.Text
	}
	return p.Key.Text
}

// after and before are the property's values.
func (p *property) after() string  { return unquote(first(p.NewValue, p.Value, p.New)) }
func (p *property) before() string { return unquote(first(p.OldValue, p.Old)) }

func first(texts ...text) string {
	for _, t := range texts {
		if t != "" && t != "<null>" {
			return string(t)
		}
	}
	return ""
}

// unquote takes off the quotes that Graph puts around a value within its JSON string: "\"User.Read\"", and around one in
// a list of one: "[\"User.Read\"]".
func unquote(value string) string {
	if len(value) < 2 {
		return value
	}
	switch {
	case value == "[]" || value == `""`:
		return ""
	case value[0] == '"':
		var inner string
		if json.Unmarshal([]byte(value), &inner) == nil {
			return inner
		}
	case value[0] == '[' && len(value) < maxID*4:
		var inner []string
		if json.Unmarshal([]byte(value), &inner) == nil && len(inner) == 1 {
			return inner[0]
		}
	}
	return value
}

// find is the property of a name; nil where there is none.
func find(properties []property, name string) *property {
	for i := range properties {
		if properties[i].called() == name {
			return &properties[i]
		}
	}
	return nil
}

// value is what the property of the first of the names that has one is now, or was.
func value(properties []property, names ...string) string {
	for _, name := range names {
		p := find(properties, name)
		if p == nil {
			continue
		}
		if now := p.after(); now != "" {
			return now
		}
		if was := p.before(); was != "" {
			return was
		}
	}
	return ""
}

// notes are what is odd about a record.
type notes struct{ oddities []string }

func (n *notes) odd(oddity string) { n.oddities = append(n.oddities, oddity) }

// text is vendor text as it may stand in an event; what could not be kept is named.
func (n *notes) text(field string, s event.Scalar) string {
	if s.Odd {
		n.odd(field + ": no text, number or boolean")
	}
	return n.clean(field, s.Text)
}

// clean is text as it may stand in an event; a cut is named.
func (n *notes) clean(field, text string) string {
	clean := event.Clean(text)
	// All text here is valid UTF-8, so cleaning makes it no shorter in any other way.
	if len(clean) < len(text) {
		n.odd(field + ": longer than a field may be; cut")
	}
	return clean
}

// id is the event's id: Microsoft's own, or else the content's.
func (n *notes) id(field, id string, record []byte) string {
	id = strings.TrimSpace(id)
	switch {
	case id == "":
		n.odd(field + ": missing")
	case id == zeroGUID:
		n.odd(field + ": of zeros alone, so that the id is the content's")
	case len(id) > maxID || event.Clean(id) != id:
		n.odd(field + ": unusable")
	default:
		return event.ID(source, id, 0)
	}
	// The whole record counts, but for its spacing: parts alone would make one of two sparse records.
	var compact bytes.Buffer
	if json.Compact(&compact, record) != nil {
		return event.ID(source, event.ContentKey(source, string(record)), 0)
	}
	return event.ID(source, event.ContentKey(source, compact.String()), 0)
}

// changes is properties as changes. Those that say nothing, and that nothing changed, are left out.
func (n *notes) changes(field string, from []property) []*curfewv1.Change {
	var changes []*curfewv1.Change
	for i := range from {
		p := &from[i]
		change := &curfewv1.Change{
			Field:  n.clean(field, p.called()),
			Before: n.clean(field, p.before()),
			After:  n.clean(field, p.after()),
		}
		if change.Field == "" && change.Before == "" && change.After == "" || change.Before == change.After && change.After != "" {
			continue
		}
		changes = append(changes, change)
	}
	return changes
}

// bounded is the first maxParts of changes; that there were more is named.
func (n *notes) bounded(field string, changes []*curfewv1.Change) []*curfewv1.Change {
	if len(changes) > maxParts {
		n.odd(fmt.Sprintf("%s: more than %d changes; the rest stands in the record", field, maxParts))
		changes = changes[:maxParts]
	}
	return changes
}

// isGUID is whether text has a GUID's form.
func isGUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

// named is text, or "" where Microsoft writes that it has none.
func named(text string) string {
	switch text = strings.TrimSpace(text); text {
	case zeroGUID, "Not Available", "Not available", "NotAvailable", "Unknown", "<null>", "null", "None", "N/A":
		return ""
	}
	return text
}
