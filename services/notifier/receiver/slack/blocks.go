// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/curfewhq/curfew/internal/card"
)

// The limits of Slack, in characters where they are of text: https://docs.slack.dev/reference/block-kit. Slack says nowhere
// how much a message may say in all; it refuses above some 13,200 (https://github.com/slackapi/bolt-js/issues/2509).
const (
	maxBlocks       = 50
	maxTotal        = 12_000
	maxBlockID      = 255
	maxSection      = 3000
	maxHeader       = 150
	maxFields       = 10
	maxField        = 2000
	maxElements     = 10
	maxActions      = 25
	maxButton       = 75
	maxValue        = 2000
	maxOverflow     = 5
	maxOptions      = 100
	maxOption       = 75
	maxOptionValue  = 150
	maxConfirm      = 300
	maxConfirmTitle = 100
	maxConfirmYes   = 30
	maxTitle        = 24
	maxPrivate      = 3000
	// maxFallback is how long the line is that a notification shows.
	maxFallback = 300
)

// escape is text in which nothing is markup: Slack reads an entity for each of the three characters that could begin some,
// and no others. See https://docs.slack.dev/messaging/formatting-message-text#escaping.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// untick is text without the marks around commands of ours, which would be shown where nothing is formatted.
func untick(text string) string {
	const begin = "`curfew "
	var rest strings.Builder
	for {
		before, after, found := strings.Cut(text, begin)
		command, behind, closed := strings.Cut(after, "`")
		if !found || !closed {
			return rest.String() + text
		}
		rest.WriteString(before + begin[1:] + command)
		text = behind
	}
}

// fit is somebody's text in one harmless line of at most most characters as Slack counts them, escaped.
func fit(text string, most int) string {
	one := card.Plain(untick(text), most)
	escaped := escape(one)
	if utf8.RuneCountInString(escaped) <= most {
		return escaped
	}
	// An entity has up to five characters for one, and the mark of the cut is one more.
	room, used := 0, 1
	for _, r := range one {
		if used += utf8.RuneCountInString(escape(string(r))); used > most {
			break
		}
		room++
	}
	return escape(card.Plain(one, room))
}

// plain is a text object that Slack shows as it stands: no formatting, no emoji by name, no mention, no link. All text that
// somebody else chose stands in one. Text is escaped; "" makes a dash, since Slack takes no empty text.
func plain(text string) *slack.TextBlockObject {
	if text == "" {
		text = "–"
	}
	emoji := false
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: text, Emoji: &emoji}
}

// marked is a text object of our own words, with formatting; verbatim, so that Slack makes links of nothing in it.
func marked(text string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.MarkdownType, Text: text, Verbatim: true}
}

// date is a moment in the reader's own zone, and in UTC where that cannot be shown.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// length is a time span as people say it.
func length(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return d.String()
}

// fitLines is lines that need no more than room characters in all, escaped, and whether anything of them was left out: long
// lines are cut first, and only if that is not enough the last ones are left out and counted.
func fitLines(lines []string, room int) (fitted []string, cut bool) {
	const least, note = 60, 24
	whole, sizes := make([]string, len(lines)), make([]int, len(lines))
	for i, line := range lines {
		whole[i] = fit(line, maxSection)
		sizes[i] = utf8.RuneCountInString(whole[i])
	}
	most := longest(sizes, room)
	keep := len(lines)
	if most < least && keep > (room-note)/(least+1) {
		keep = max(1, (room-note)/(least+1))
		most, cut = longest(sizes[:keep], room-note), true
	}
	for i, line := range lines[:keep] {
		one := whole[i]
		if sizes[i] > most {
			one, cut = fit(line, most), true
		}
		// What has no room in a section was cut before.
		cut = cut || sizes[i] > maxSection-5
		fitted = append(fitted, one)
	}
	if keep < len(lines) {
		fitted = append(fitted, fmt.Sprintf("and %d more", len(lines)-keep))
	}
	return fitted, cut
}

// longest is how long a line may be so that all have room, each with a line break.
func longest(sizes []int, room int) int {
	low, high := 1, max(room, 1)
	for low < high {
		middle, total := (low+high+1)/2, 0
		for _, size := range sizes {
			total += min(middle, size) + 1
		}
		if total <= room {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// canvas is a message in the making. Each block has an id that no other drawing has: Slack may show an old one for an id
// that it knows.
type canvas struct {
	blocks []slack.Block
	stamp  string
	// cut is whether something was left out.
	cut bool
}

func newCanvas(now time.Time) *canvas { return &canvas{stamp: strconv.FormatInt(now.UnixNano(), 36)} }

func (c *canvas) id() string { return fmt.Sprintf("%s.%d", c.stamp, len(c.blocks)) }

// header adds the line that stands out. Text is somebody's.
func (c *canvas) header(text string) {
	c.blocks = append(c.blocks, &slack.HeaderBlock{Type: slack.MBTHeader, BlockID: c.id(), Text: plain(fit(text, maxHeader))})
}

// context adds small text.
func (c *canvas) context(texts ...*slack.TextBlockObject) {
	var elements []slack.MixedElement
	for _, text := range texts {
		elements = append(elements, text)
	}
	c.blocks = append(c.blocks, &slack.ContextBlock{
		Type: slack.MBTContext, BlockID: c.id(), ContextElements: slack.ContextElements{Elements: elements},
	})
}

// section adds text, with something to act on beside it unless nil.
func (c *canvas) section(text *slack.TextBlockObject, accessory *slack.Accessory) {
	c.blocks = append(c.blocks, &slack.SectionBlock{Type: slack.MBTSection, BlockID: c.id(), Text: text, Accessory: accessory})
}

// part adds somebody's lines under a title of ours, in no more than room characters; nothing where there are none.
func (c *canvas) part(title string, lines []string, room int) {
	if len(lines) == 0 {
		return
	}
	fitted, cut := fitLines(lines, min(room, maxSection))
	c.cut = c.cut || cut
	c.context(marked("*" + title + "*"))
	c.section(plain(strings.Join(fitted, "\n")), nil)
}

// fields adds what is known, each a name, which is a word of internal/card's, beside somebody's value, or beside a time and
// words of internal/card's.
func (c *canvas) fields(fields []card.Field) {
	var pairs []*slack.TextBlockObject
	for _, f := range fields {
		name, value := "*"+fit(f.Name, maxButton)+"*", fit(f.Value, roomField)
		c.cut = c.cut || value != escape(untick(f.Value))
		shown := plain(value)
		if !f.Time.IsZero() {
			shown = marked(strings.TrimSpace(value + " " + date(f.Time)))
		}
		pairs = append(pairs, marked(name), shown)
	}
	for part := range slices.Chunk(pairs, maxFields) {
		c.blocks = append(c.blocks, &slack.SectionBlock{Type: slack.MBTSection, BlockID: c.id(), Fields: part})
	}
}

// actions adds what a person can act on; nothing where there is nothing.
func (c *canvas) actions(elements []slack.BlockElement) {
	if len(elements) == 0 {
		return
	}
	c.blocks = append(c.blocks, &slack.ActionBlock{
		Type: slack.MBTAction, BlockID: c.id(), Elements: &slack.BlockElements{ElementSet: elements},
	})
}

// message is something to post: blocks, and the line that stands for them in notifications and screen readers.
type message struct {
	fallback string // escaped
	blocks   []slack.Block
}

// options are what the message is posted with.
func (m message) options(more ...slack.MsgOption) []slack.MsgOption {
	return append([]slack.MsgOption{
		slack.MsgOptionText(m.fallback, false), slack.MsgOptionBlocks(m.blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}, more...)
}

// words is a message of mere text, somebody's or our own, each line a line.
func words(now time.Time, lines ...string) message {
	c := newCanvas(now)
	fitted, _ := fitLines(lines, maxSection)
	c.section(plain(strings.Join(fitted, "\n")), nil)
	return message{fallback: cmp.Or(fit(strings.Join(lines, " "), maxFallback), "–"), blocks: c.blocks}
}
