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

// parameter is one entry of parameters[]: which key is present says its type.
type parameter struct {
	Name              string            `json:"name"`
	Value             event.Scalar      `json:"value"`
	IntValue          event.Scalar      `json:"intValue"`
	BoolValue         event.Scalar      `json:"boolValue"`
	MultiValue        []event.Scalar    `json:"multiValue"`
	MultiIntValue     []event.Scalar    `json:"multiIntValue"`
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
	for _, s := range [...]*event.Scalar{&p.Value, &p.BoolValue, &p.IntValue} {
		if s.Text != "" {
			return event.Clean(s.Text)
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
	if len(list) == 0 && p.Value.Text != "" {
		list = []event.Scalar{p.Value}
	}
	var values []string
	size := 0
	for _, s := range list {
		if s.Text == "" {
			continue
		}
		value := event.Clean(s.Text)
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
			size += len(s.Text)
		}
		if len(p.Value.Text) > maxText || size > limit || len(p.MultiValue) > maxValues {
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
