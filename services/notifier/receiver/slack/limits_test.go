// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// Each limit by itself, in characters: an é is one, of two bytes.
func TestCheck(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	button := func(change func(*slack.ButtonBlockElement)) func(*canvas) {
		return func(c *canvas) {
			b := &slack.ButtonBlockElement{
				Type: slack.METButton, ActionID: "a", Text: plain(long(maxButton)), Value: long(maxValue), Confirm: sure(long(maxConfirmTitle), long(maxConfirm)),
			}
			change(b)
			c.actions([]slack.BlockElement{b})
		}
	}
	options := func(n, value int) func(*canvas) {
		return func(c *canvas) {
			var list []*slack.OptionBlockObject
			for range n {
				list = append(list, &slack.OptionBlockObject{Text: plain("x"), Value: long(value)})
			}
			c.section(plain("x"), &slack.Accessory{OverflowElement: &slack.OverflowBlockElement{Type: slack.METOverflow, ActionID: "a", Options: list}})
		}
	}
	for _, c := range []struct {
		name string
		draw func(*canvas)
		ok   bool
	}{
		{"nothing", func(*canvas) {}, false},
		{"50 blocks", func(c *canvas) { c.sections(50, 1) }, true},
		{"51 blocks", func(c *canvas) { c.sections(51, 1) }, false},
		{"a full section", func(c *canvas) { c.sections(1, maxSection) }, true},
		{"a section too long", func(c *canvas) { c.sections(1, maxSection+1) }, false},
		{"12,000 in all", func(c *canvas) { c.sections(4, maxSection) }, true},
		{"more in all", func(c *canvas) { c.sections(4, maxSection); c.sections(1, 1) }, false},
		{"a header too long", func(c *canvas) { c.header(""); c.blocks[0].(*slack.HeaderBlock).Text = plain(long(maxHeader + 1)) }, false},
		{"an empty text", func(c *canvas) { c.section(&slack.TextBlockObject{Type: slack.MarkdownType, Verbatim: true}, nil) }, false},
		{"links", func(c *canvas) { c.section(&slack.TextBlockObject{Type: slack.MarkdownType, Text: "x"}, nil) }, false},
		{"emoji", func(c *canvas) { c.section(&slack.TextBlockObject{Type: slack.PlainTextType, Text: "x"}, nil) }, false},
		{"an id twice", func(c *canvas) { c.sections(1, 1); c.blocks = append(c.blocks, c.blocks[0]) }, false},
		{"another block", func(c *canvas) { c.blocks = append(c.blocks, slack.NewDividerBlock()) }, false},
		{"a full button", button(func(*slack.ButtonBlockElement) {}), true},
		{"a button too long", button(func(b *slack.ButtonBlockElement) { b.Text = plain(long(maxButton + 1)) }), false},
		{"a value too long", button(func(b *slack.ButtonBlockElement) { b.Value = long(maxValue + 1) }), false},
		{"a question too long", button(func(b *slack.ButtonBlockElement) { b.Confirm.Text = plain(long(maxConfirm + 1)) }), false},
		{"a full menu", options(maxOverflow, maxOptionValue), true},
		{"a menu too long", options(maxOverflow+1, 1), false},
		{"a menu of nothing", options(0, 1), false},
		{"a choice too long", options(1, maxOptionValue+1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			canvas := newCanvas(noon())
			c.draw(canvas)
			if err := (message{fallback: "x", blocks: canvas.blocks}).check(); (err == nil) != c.ok {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
}

// sections adds n, each of so many characters.
func (c *canvas) sections(n, size int) {
	for range n {
		c.section(plain(strings.Repeat("é", size)), nil)
	}
}
