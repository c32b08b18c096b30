// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/slack-go/slack"
)

// check returns what Slack would refuse of a message, nil if it would take it. It counts characters, as Slack does, where
// slack-go counts bytes.
func (m message) check() error {
	k := checker{ids: map[string]bool{}}
	k.most("the message", "blocks", len(m.blocks), maxBlocks)
	if len(m.blocks) == 0 || m.fallback == "" {
		k.wrong = append(k.wrong, errors.New("the message says nothing"))
	}
	for i, block := range m.blocks {
		k.block(fmt.Sprintf("block %d", i), block)
	}
	k.most("the message", "characters", k.total, maxTotal)
	return errors.Join(k.wrong...)
}

// checker collects what is wrong.
type checker struct {
	wrong []error
	total int
	ids   map[string]bool
}

func (k *checker) most(where, what string, got, most int) {
	if got > most {
		k.wrong = append(k.wrong, fmt.Errorf("%s has %d %s, of %d at most", where, got, what, most))
	}
}

func (k *checker) block(where string, block slack.Block) {
	id := block.ID()
	if id == "" || k.ids[id] || utf8.RuneCountInString(id) > maxBlockID {
		k.wrong = append(k.wrong, fmt.Errorf("%s has no id of its own", where))
	}
	k.ids[id] = true
	switch b := block.(type) {
	case *slack.HeaderBlock:
		k.text(where, b.Text, maxHeader)
	case *slack.ContextBlock:
		k.most(where, "elements", len(b.ContextElements.Elements), maxElements)
		for _, e := range b.ContextElements.Elements {
			if text, ok := e.(*slack.TextBlockObject); ok {
				k.text(where, text, maxSection)
			}
		}
	case *slack.SectionBlock:
		k.section(where, b)
	case *slack.ActionBlock:
		k.most(where, "elements", len(b.Elements.ElementSet), maxActions)
		seen := map[string]bool{}
		for _, e := range b.Elements.ElementSet {
			k.element(where, e, seen)
		}
	default:
		k.wrong = append(k.wrong, fmt.Errorf("%s is of a kind that nobody draws here: %T", where, block))
	}
}

func (k *checker) section(where string, b *slack.SectionBlock) {
	if b.Text == nil && len(b.Fields) == 0 {
		k.wrong = append(k.wrong, fmt.Errorf("%s says nothing", where))
	}
	if b.Text != nil {
		k.text(where, b.Text, maxSection)
	}
	k.most(where, "fields", len(b.Fields), maxFields)
	for _, f := range b.Fields {
		k.text(where, f, maxField)
	}
	if b.Accessory != nil {
		k.element(where, b.Accessory.OverflowElement, map[string]bool{})
	}
}

func (k *checker) element(where string, e slack.BlockElement, seen map[string]bool) {
	var id string
	switch e := e.(type) {
	case *slack.ButtonBlockElement:
		id = e.ActionID
		k.text(where, e.Text, maxButton)
		k.most(where, "characters of a value", utf8.RuneCountInString(e.Value), maxValue)
		if c := e.Confirm; c != nil {
			k.text(where, c.Title, maxConfirmTitle)
			k.text(where, c.Text, maxConfirm)
			k.text(where, c.Confirm, maxConfirmYes)
			k.text(where, c.Deny, maxConfirmYes)
		}
	case *slack.OverflowBlockElement:
		id = e.ActionID
		k.most(where, "options", len(e.Options), maxOverflow)
		if len(e.Options) == 0 {
			k.wrong = append(k.wrong, fmt.Errorf("%s has a menu without choices", where))
		}
		for _, o := range e.Options {
			k.text(where, o.Text, maxOption)
			k.most(where, "characters of a choice", utf8.RuneCountInString(o.Value), maxOptionValue)
		}
	default:
		k.wrong = append(k.wrong, fmt.Errorf("%s has an element that nobody draws here: %T", where, e))
	}
	if id == "" || seen[id] {
		k.wrong = append(k.wrong, fmt.Errorf("%s has an action without an id of its own", where))
	}
	seen[id] = true
}

func (k *checker) text(where string, text *slack.TextBlockObject, most int) {
	if text == nil || text.Text == "" {
		k.wrong = append(k.wrong, fmt.Errorf("%s has a text that is empty", where))
		return
	}
	n := utf8.RuneCountInString(text.Text)
	k.total += n
	k.most(where, "characters of a text", n, most)
	if text.Type == slack.MarkdownType && !text.Verbatim || text.Type == slack.PlainTextType && (text.Emoji == nil || *text.Emoji) {
		k.wrong = append(k.wrong, fmt.Errorf("%s has a text in which Slack would find links or emoji", where))
	}
}
