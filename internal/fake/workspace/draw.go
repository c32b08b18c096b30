// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package workspace

import (
	"fmt"
	"html/template"
	"math"
)

// drawn is a block as it is drawn. Kind is Block Kit's.
type drawn struct {
	Kind, ID  string
	Text      template.HTML
	Fields    []template.HTML
	Accessory []control
	Controls  []control
	// Input, Hint and Err are of an input.
	Input    *control
	Label    template.HTML
	Hint     template.HTML
	Err      string
	Optional bool
}

// control is what a person acts on: a button, a menu of choices, or a field to fill in. Kind is Block Kit's.
type control struct {
	Kind, TS, Block, Action, Style, URL string
	// ID is its own on the page.
	ID                string
	Text, Placeholder template.HTML
	Choices           []choice
	// Option is the value of a choice.
	Option    string
	Confirm   *confirm
	Multiline bool
	Initial   string
	MaxLength int
}

// choice is an option of a menu.
type choice struct {
	control
	Plain       string
	Description template.HTML
	On          bool
}

type confirm struct {
	Title, Text, Yes, No template.HTML
	Danger               bool
}

func (r *reader) drawBlocks(channel, ts string, blocks []map[string]any) []drawn {
	var list []drawn
	for _, b := range blocks {
		d := drawn{Kind: asString(b["type"]), ID: asString(b["block_id"])}
		d.Text, d.Label, d.Hint = r.text(b["text"]), r.text(b["label"]), r.text(b["hint"])
		d.Optional, _ = b["optional"].(bool)
		for _, f := range anyList(b["fields"]) {
			d.Fields = append(d.Fields, r.text(f))
		}
		if d.Kind == "context" {
			for _, e := range anyList(b["elements"]) {
				d.Fields = append(d.Fields, r.text(e))
			}
		}
		if e, ok := b["element"].(map[string]any); ok {
			c := r.control(channel, ts, d.ID, e)
			d.Input = &c
		}
		if e, ok := b["accessory"].(map[string]any); ok {
			d.Accessory = append(d.Accessory, r.control(channel, ts, d.ID, e))
		}
		if d.Kind == "actions" {
			for _, e := range anyList(b["elements"]) {
				if e, ok := e.(map[string]any); ok {
					d.Controls = append(d.Controls, r.control(channel, ts, d.ID, e))
				}
			}
		}
		list = append(list, d)
	}
	return list
}

// fill puts back what a person filled in, when a view was not accepted.
func (d *drawn) fill(values map[string]string) {
	value, filled := values[d.ID]
	if d.Input == nil || !filled {
		return
	}
	d.Input.Initial = value
	for i, c := range d.Input.Choices {
		d.Input.Choices[i].On = c.Option == value
	}
}

func anyList(v any) []any {
	list, _ := v.([]any)
	return list
}

// text is a text object.
func (r *reader) text(v any) template.HTML {
	o, _ := v.(map[string]any)
	if o["type"] == "mrkdwn" {
		return r.marked(asString(o["text"]))
	}
	return r.plain(asString(o["text"]))
}

func (r *reader) control(channel, ts, block string, e map[string]any) control {
	c := control{
		Kind: asString(e["type"]), TS: ts, Block: block, Action: asString(e["action_id"]), Style: asString(e["style"]), URL: asString(e["url"]),
		Text: r.text(e["text"]), Placeholder: r.text(e["placeholder"]), Initial: asString(e["initial_value"]),
	}
	c.ID = fmt.Sprintf("d-%s-%s-%s-%s", channel, ts, block, c.Action)
	c.Multiline, _ = e["multiline"].(bool)
	most, _ := e["max_length"].(float64)
	c.MaxLength = int(math.Max(most, 0))
	if o, ok := e["confirm"].(map[string]any); ok {
		c.Confirm = &confirm{r.text(o["title"]), r.text(o["text"]), r.text(o["confirm"]), r.text(o["deny"]), o["style"] == "danger"}
	}
	first, _ := e["initial_option"].(map[string]any)
	for i, one := range anyList(e["options"]) {
		o, _ := one.(map[string]any)
		one := c
		one.ID, one.Text, one.Option = fmt.Sprintf("%s-%d", c.ID, i), r.text(o["text"]), asString(o["value"])
		label, _ := o["text"].(map[string]any)
		c.Choices = append(c.Choices, choice{one, emoji(literal(asString(label["text"]))), r.text(o["description"]), first["value"] == o["value"]})
	}
	return c
}
