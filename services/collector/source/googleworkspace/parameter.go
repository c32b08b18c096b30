// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package googleworkspace

import (
	"encoding/json"
	"strings"

	"github.com/curfewhq/curfew/internal/event"
)

const (
	// maxValues and maxList bound the values taken of one list, such as an app's scopes, in number and in bytes: an event
	// has to fit the bus whatever its record holds.
	maxValues = 1000
	maxList   = 64 << 10
	// maxText is what event.Clean leaves of a text.
	maxText = 8 << 10
)

// scalar is a JSON string, number or boolean as text. Google writes 64-bit numbers as strings, log shippers write them
// as numbers; neither may cost the event a field.
type scalar struct {
	text string
	// odd is set where something else stands there: an object or a list.
	odd bool
}

// UnmarshalJSON never fails: an error here would end the reading of the whole record.
func (s *scalar) UnmarshalJSON(value []byte) error {
	switch value[0] {
	case '"':
		if inner := value[1 : len(value)-1]; isPlain(inner) {
			s.text = string(inner)
			return nil
		}
		_ = json.Unmarshal(value, &s.text)
	case '{', '[':
		s.odd = true
	case 'n':
	default:
		s.text = string(value)
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

// parameter is one entry of parameters[]: which key is present says its type.
type parameter struct {
	Name              string            `json:"name"`
	Value             scalar            `json:"value"`
	IntValue          scalar            `json:"intValue"`
	BoolValue         scalar            `json:"boolValue"`
	MultiValue        []scalar          `json:"multiValue"`
	MultiIntValue     []scalar          `json:"multiIntValue"`
	MessageValue      json.RawMessage   `json:"messageValue"`
	MultiMessageValue []json.RawMessage `json:"multiMessageValue"`
}

// find returns the first parameter of that name, or nil.
func (a *act) find(name string) *parameter {
	for i := range a.Parameters {
		if a.Parameters[i].Name == name {
			return &a.Parameters[i]
		}
	}
	return nil
}

// text is the value of the parameter of that name as one text, lists joined by ", "; "" where there is none.
func (a *act) text(name string) string { return a.find(name).text() }

// first is text of the first of names that has one.
func (a *act) first(names ...string) string {
	for _, name := range names {
		if text := a.text(name); text != "" {
			return text
		}
	}
	return ""
}

// values are all values of the parameter of that name, at most maxValues of them.
func (a *act) values(name string) []string { return a.find(name).values() }

func (p *parameter) text() string {
	if p == nil {
		return ""
	}
	for _, s := range [...]*scalar{&p.Value, &p.BoolValue, &p.IntValue} {
		if s.text != "" {
			return event.Clean(s.text)
		}
	}
	return event.Clean(strings.Join(p.values(), ", "))
}

func (p *parameter) values() []string {
	if p == nil {
		return nil
	}
	list := p.MultiValue
	if len(list) == 0 {
		list = p.MultiIntValue
	}
	if len(list) == 0 && p.Value.text != "" {
		list = []scalar{p.Value}
	}
	var values []string
	size := 0
	for _, s := range list {
		if s.text == "" {
			continue
		}
		value := event.Clean(s.text)
		if size += len(value); size > maxList || len(values) == maxValues {
			break
		}
		values = append(values, value)
	}
	return values
}

// long is the name of the first parameter of which a part is left out; "" where none is.
func (a *act) long() string {
	for i := range a.Parameters {
		p := &a.Parameters[i]
		limit := maxText
		if p.Name == "scope" {
			limit = maxList
		}
		size := 0
		for _, s := range p.MultiValue {
			size += len(s.text)
		}
		if len(p.Value.text) > maxText || size > limit || len(p.MultiValue) > maxValues {
			return event.Clean(p.Name)
		}
	}
	return ""
}

// messages are the nested parameter lists of messageValue and multiMessageValue, each read like an act's own.
func (p *parameter) messages() []act {
	if p == nil {
		return nil
	}
	raw := p.MultiMessageValue
	if len(p.MessageValue) > 0 {
		raw = append([]json.RawMessage{p.MessageValue}, raw...)
	}
	var acts []act
	for _, message := range raw {
		var nested struct {
			Parameter []parameter `json:"parameter"`
		}
		// A mismatch leaves the field empty.
		_ = json.Unmarshal(message, &nested)
		if len(nested.Parameter) > 0 && len(acts) < maxValues {
			acts = append(acts, act{Parameters: nested.Parameter})
		}
	}
	return acts
}
