// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"strings"
	"unicode"
)

const (
	// mark stands for what must not be shown.
	mark = '\uFFFD'
	// maxMarks bounds the marks above and below one letter: more of them run over the lines around it.
	maxMarks = 4
	// nearWord is how many runes before a cut a word may end and be cut there instead.
	nearWord = 24
)

// Plain is text that somebody else chose, made harmless and fit to be shown: one line of at most most runes, in which
// white space is single spaces and all that cannot be seen, or turns the text around it, is U+FFFD. What is longer is cut
// behind a word, where one ends near, with "…". Plain of its own result is that result.
func Plain(text string, most int) string {
	if most < 1 {
		return ""
	}
	runes := make([]rune, 0, min(len(text), most)+1)
	space, marks := false, 0
	for _, r := range text {
		if unicode.IsSpace(r) {
			space, marks = len(runes) > 0, 0
			continue
		}
		if space {
			runes, space = append(runes, ' '), false
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if !seen(r) || marks > maxMarks {
			r = mark
		}
		if runes = append(runes, r); len(runes) > most {
			return cut(runes[:most])
		}
	}
	return string(runes)
}

// seen is whether a person sees r and nothing else by it.
func seen(r rune) bool {
	switch r {
	case '\uFE0E', '\uFE0F': // how the emoji before it is drawn
		return true
	case '\u2800': // the empty one of the Braille patterns
		return false
	}
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Cut is text that is Plain, or was made of what is, in at most most runes: cut as Plain cuts, and else as it stands.
func Cut(text string, most int) string {
	runes := []rune(text)
	switch {
	case most < 1:
		return ""
	case len(runes) <= most:
		return text
	}
	return cut(runes[:most])
}

// cut is runes with their last replaced by "…", or fewer where a word ends near.
func cut(runes []rune) string {
	end := len(runes) - 1
	for near := end; near > max(end-nearWord, end/2); near-- {
		if runes[near] == ' ' {
			end = near
			break
		}
	}
	return strings.TrimRight(string(runes[:end]), " ") + "…"
}
